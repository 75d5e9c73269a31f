"""Objectives that are compiled functions: they are the arrays' f, example by example."""

import gc
import pickle
import weakref

import numba
import numpy as np
import pytest

import fastgrad as fg

RNG = np.random.default_rng(7)
WEIGHTS = RNG.normal(size=(5, 2, 3))
Z = RNG.integers(0, 3, (4, 5, 2)).astype(np.int32)
X = RNG.dirichlet(np.ones(3), (4, 5, 2))


@numba.njit
def chosen(example, z, weights, power):
    total = 0.0
    for d in range(z.size):
        total += weights[example, d, z[d]]
    return total**power


@numba.njit
def cosines(example, x, grad, weights, power):
    total = 0.0
    for d in range(x.shape[0]):
        for k in range(x.shape[1]):
            total += weights[example, d, k] * x[d, k]
    for d in range(x.shape[0]):
        for k in range(x.shape[1]):
            grad[d, k] = power * total ** (power - 1) * weights[example, d, k]
    return total**power


@numba.njit
def alone(example, z, table):
    if example == 3 and z == 1:
        raise ValueError("three must not be one")
    return table[example, z]


@numba.njit
def alone_and_gradient(example, x, grad, table):
    grad[0] = 2 * x[0]
    return x[0] ** 2 + table[example, 0]


def objective(**options):
    given = {"data": (WEIGHTS, 2)} | options
    return fg.objective(compiled=chosen, compiled_value_and_grad=cosines, **given)


def at_outcomes(z, weights=WEIGHTS):
    """f of `chosen`, by NumPy."""
    x = np.eye(3)[z]
    return (x * weights).sum(axis=(2, 3)) ** 2


def at_features(x, weights=WEIGHTS):
    """f of `cosines` and its gradient, by NumPy."""
    total = (x * weights).sum(axis=(2, 3))
    return total**2, 2 * total[..., None, None] * weights


def test_values_and_gradients_are_those_of_arrays():
    f, d = objective(), fg.Categorical(np.zeros((5, 2, 3)))
    found = f.outcomes(d, Z).value
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, at_outcomes(Z), rtol=1e-13)
    values, grad = f.relaxed_and_gradient(d, X)
    np.testing.assert_allclose(values.value, at_features(X)[0], rtol=1e-13)
    np.testing.assert_allclose(grad, at_features(X)[1], rtol=1e-13)
    np.testing.assert_array_equal(f.relaxed(d, X).value, values.value)
    np.testing.assert_array_equal(f.gradient(X), grad)


def test_examples_says_over_which_axes_f_has_values():
    """None: then the sample is one example; its outcomes have the shape of the batch."""

    f = fg.objective(compiled=table_of_all, data=(WEIGHTS,), examples=0)
    found = f.outcomes(fg.Categorical(np.zeros((5, 2, 3))), Z).value
    np.testing.assert_allclose(found, (np.eye(3)[Z] * WEIGHTS).sum(axis=(1, 2, 3)), rtol=1e-13)
    f = fg.objective(compiled=alone, data=(np.arange(30.0).reshape(10, 3),), examples=2)
    z = np.zeros((4, 5, 2), np.int32)
    found = f.outcomes(fg.Categorical(np.zeros((5, 2, 3))), z).value
    np.testing.assert_array_equal(found, np.tile(np.arange(0.0, 30, 3).reshape(5, 2), (4, 1, 1)))
    with pytest.raises(
        ValueError, match="examples must be at most 2, the axes of the batch, got 3"
    ):
        objective(examples=3).outcomes(fg.Categorical(np.zeros((5, 2, 3))), z)


@numba.njit
def table_of_all(example, z, weights):
    total = 0.0
    for i in range(z.shape[0]):
        for d in range(z.shape[1]):
            total += weights[i, d, z[i, d]]
    return total + example


def test_a_bernoulli_variable_alone_has_features_of_shape_1():
    table = RNG.normal(size=(5, 2))
    f = fg.objective(compiled=alone, compiled_value_and_grad=alone_and_gradient, data=(table,))
    d, x = fg.Bernoulli(np.zeros(5)), RNG.uniform(size=(4, 5))
    z = np.zeros((4, 5), np.int32)
    np.testing.assert_array_equal(f.outcomes(d, z).value, np.tile(table[:, 0], (4, 1)))
    values, grad = f.relaxed_and_gradient(d, x)
    np.testing.assert_allclose(values.value, x**2 + table[:, 0], rtol=1e-13)
    np.testing.assert_array_equal(grad, 2 * x)


@pytest.mark.parametrize("examples", [5, 40_000])
def test_exceptions_of_f_are_raised_as_they_are(examples):
    """On one thread, and on several: these are many examples."""
    f = fg.objective(compiled=alone, data=(np.zeros((examples, 3)),))
    with pytest.raises(ValueError, match="three must not be one"):
        fg.estimator("rloo")(f, np.zeros((examples, 3)), num_samples=16, rng=0)


def test_values_that_are_not_finite_are_refused_where_they_are():
    table = np.zeros((5, 3))
    table[1] = np.nan
    f = fg.objective(compiled=alone, data=(table,))
    with pytest.raises(ValueError, match=r"f must be finite, got nan for sample 0 at \(1,\)"):
        fg.estimator("rloo")(f, np.tile([9.0, -9.0, -9.0], (5, 1)), num_samples=2, rng=0)


def test_a_part_that_is_missing_is_named():
    f = fg.objective(compiled=chosen, data=(WEIGHTS, 2))
    with pytest.raises(TypeError, match=r"the gradient of f at relaxed points") as e:
        f.require("gumbel_softmax", ("grad",))
    assert "compiled_value_and_grad" in str(e.value)


@numba.njit
def adds_text(example, z):
    return z + "x"


@numba.njit
def writes(example, z, table):
    table[example, z] = 1.0
    return 0.0


@numba.njit
def gives_an_array(example, z, table):
    return table[example]


@numba.njit("float64(int64, int64, float64[:, ::1])")
def for_writable_data(example, z, table):
    return 0.0


@numba.njit
def too_few(example):
    return 0.0


@pytest.mark.parametrize(
    ("function", "data", "words"),
    [
        (adds_text, (), "No implementation of function .*add"),
        (writes, (np.zeros((5, 3)),), "Cannot modify readonly array"),
        (gives_an_array, (np.zeros((5, 3)),), "it returns .*array.*, not a number"),
        (too_few, (), "too many positional arguments"),
        (
            for_writable_data,
            (np.zeros((5, 3)),),
            r"it is for .*, not for .int64, int64, .*readonly",
        ),
    ],
    ids=["text", "writes", "array", "arguments", "signature"],
)
def test_what_does_not_compile_is_refused_in_the_words_of_numba(function, data, words):
    f = fg.objective(compiled=function, data=data)
    rule = r"compiled must be a function \(example, z, \*data\) that Numba compiles and that "
    with pytest.raises(TypeError, match=f"{rule}returns a number: .*{words}"):
        f.outcomes(fg.Categorical(np.zeros((5, 3))), Z[..., 0])


def test_arguments_are_refused():
    with pytest.raises(TypeError, match=r"compiled must be a function of numba\.njit, got <func"):
        fg.objective(compiled=lambda example, z: 0.0)
    with pytest.raises(TypeError, match="compiled_value_and_grad must be a function"):
        fg.objective(compiled=chosen, compiled_value_and_grad=at_features)
    with pytest.raises(ValueError, match="compiled must not have parallel=True"):
        fg.objective(compiled=numba.njit(parallel=True)(at_outcomes))
    with pytest.raises(ValueError, match="compiled functions must stand alone"):
        fg.objective(at_outcomes, compiled=chosen)
    with pytest.raises(TypeError, match="data must be a tuple of arrays and numbers, got ndarray"):
        fg.objective(compiled=chosen, data=WEIGHTS)
    with pytest.raises(TypeError, match=r"data\[1\] must be an array of numbers or a number"):
        fg.objective(compiled=chosen, data=(WEIGHTS, "2"))
    with pytest.raises(ValueError, match=r"examples must be .*0.*got -1"):
        fg.objective(compiled=chosen, examples=-1)


def test_a_function_is_compiled_once_for_its_types():
    """Whatever the data: a step of training brings its own."""
    made = [objective(data=(w, 2)).compiled.outcomes((2,)) for w in (WEIGHTS, WEIGHTS + 1)]
    first, second = (where.kept[0] for where in made)
    assert first is second


SHIFT = 1.5


@numba.njit
def shifted(example, z):
    return z + SHIFT


def test_a_function_that_is_compiled_again_is_seen(monkeypatch):
    """Numba freezes what a function refers to, until `recompile` is called."""
    f, d = fg.objective(compiled=shifted), fg.Categorical(np.zeros((5, 3)))
    np.testing.assert_array_equal(f.outcomes(d, Z[..., 0]).value, Z[..., 0] + 1.5)
    monkeypatch.setitem(globals(), "SHIFT", 4.0)
    shifted.recompile()
    np.testing.assert_array_equal(f.outcomes(d, Z[..., 0]).value, Z[..., 0] + 4.0)


def test_a_function_that_nobody_uses_any_more_goes():
    """And what was compiled for it: a function of each step would fill the memory."""
    kept = []

    def use(shift):
        @numba.njit
        def own(example, z):
            return z + shift

        f = fg.objective(compiled=own)
        d = fg.Categorical(np.zeros((5, 3)))
        np.testing.assert_array_equal(f.outcomes(d, Z[..., 0]).value, Z[..., 0] + shift)
        kept.extend((weakref.ref(own), weakref.ref(f.compiled.outcomes(()).kept[0])))

    use(1.5)
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_it_can_be_pickled():
    """Workers of a cluster are sent it."""
    f = pickle.loads(pickle.dumps(objective()))
    d = fg.Categorical(np.zeros((5, 2, 3)))
    np.testing.assert_allclose(f.outcomes(d, Z).value, at_outcomes(Z), rtol=1e-13)
    np.testing.assert_allclose(f.gradient(X), at_features(X)[1], rtol=1e-13)


def test_check_grad_compares_the_functions_with_each_other():
    check = fg.check_grad(objective(), np.zeros((5, 2, 3)))
    assert set(check.errors) == {"samples", "examples", "index", "grad", "value_and_grad"}
    assert check.agrees
    table = np.zeros((2, 2))
    f = fg.objective(compiled=alone, compiled_value_and_grad=alone_and_gradient, data=(table,))
    check = fg.check_grad(f, fg.Bernoulli(np.zeros(2)))
    assert check.errors["index"] == 1.0  # 0 and x**2, at the outcome 1
    assert check.errors["grad"] < 1e-6
