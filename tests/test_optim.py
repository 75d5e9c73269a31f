"""Optimisers against closed forms, NumPy loops in float64, and torch."""

import dataclasses

import numba
import numpy as np
import pytest

import fastgrad as fg
from fastgrad.optim import SGD, Adam

RNG = np.random.default_rng(5)
DTYPES = (np.float32, np.float64)
OPTIMISERS = {
    "sgd": SGD(learning_rate=0.1),
    "momentum": SGD(learning_rate=0.1, momentum=0.9),
    "adam": Adam(learning_rate=0.1),
    "other adam": Adam(learning_rate=0.03, beta1=0.7, beta2=0.95, epsilon=1e-3),
    "adam without memory": Adam(learning_rate=0.1, beta1=0.0, beta2=0.0),
}
each = pytest.mark.parametrize("name", OPTIMISERS)


def reference(optimiser, x, gradients):
    """The published algorithms, in float64."""
    x, m, v = x.astype(np.float64), 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        g = g.astype(np.float64)
        if isinstance(optimiser, SGD):
            m = optimiser.momentum * m + g
            x = x - optimiser.learning_rate * m
        else:
            b1, b2 = optimiser.beta1, optimiser.beta2
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            root = np.sqrt(v / (1 - b2**t)) + optimiser.epsilon
            x = x - optimiser.learning_rate * (m / (1 - b1**t)) / root
    return x


def run(optimiser, x, gradients):
    state = None
    for g in gradients:
        x, state = optimiser.update(x, g, state)
    return x, state


@each
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (7, 1025), (40, 30, 32)])
def test_the_published_algorithm(name, shape, dtype):
    x, gradients = (RNG.normal(size=(*n, *shape)).astype(dtype) for n in ((), (20,)))
    result, _ = run(OPTIMISERS[name], x, gradients)
    assert result.dtype == dtype
    assert result.shape == shape
    expected = reference(OPTIMISERS[name], x, gradients)
    np.testing.assert_allclose(result, expected, rtol=0, atol=200 * np.finfo(dtype).eps)


def test_closed_forms():
    """Under a constant gradient g: geometric sums, and for Adam steps of the learning rate."""
    g, n = np.array([2.0, -0.3]), 30
    x, _ = run(SGD(learning_rate=0.1), np.zeros(2), [g] * n)
    np.testing.assert_allclose(x, -0.1 * n * g, rtol=1e-12)
    x, state = run(SGD(learning_rate=0.1, momentum=0.5), np.zeros(2), [g] * n)
    np.testing.assert_allclose(state["velocity"], g * 2 * (1 - 0.5**n), rtol=1e-12)
    np.testing.assert_allclose(x, -0.1 * g * 2 * (n - (1 - 0.5**n)), rtol=1e-12)
    x, state = run(Adam(learning_rate=0.1, epsilon=1e-15), np.zeros(2), [g] * n)
    np.testing.assert_allclose(x, -0.1 * n * np.sign(g), rtol=1e-12)
    np.testing.assert_allclose(state["mean"], g * (1 - 0.9**n), rtol=1e-12)
    np.testing.assert_allclose(state["square"], g**2 * (1 - 0.999**n), rtol=1e-12)
    assert state["step"] == n


@each
@pytest.mark.parametrize("dtype", DTYPES)
def test_dictionaries_are_arrays_by_name(name, dtype):
    shapes = {"weights": (5, 3), "bias": (3,), "scale": ()}
    optimiser = OPTIMISERS[name]
    x = {k: RNG.normal(size=shape).astype(dtype) for k, shape in shapes.items()}
    gradients = [
        {k: RNG.normal(size=shape).astype(dtype) for k, shape in shapes.items()} for _ in range(5)
    ]
    together, state = run(optimiser, x, gradients)
    assert list(together) == list(shapes)
    for k in shapes:
        alone, own = run(optimiser, x[k], [g[k] for g in gradients])
        np.testing.assert_array_equal(together[k], alone)
        for entry in own.keys() - {"step"}:
            np.testing.assert_array_equal(state[entry][k], own[entry])
            assert own[entry].dtype == dtype
    reordered = {k: gradients[0][k] for k in reversed(shapes)}
    again, _ = optimiser.update(x, reordered)
    np.testing.assert_array_equal(again["bias"], run(optimiser, x, gradients[:1])[0]["bias"])


@each
def test_a_step_is_pure(name):
    x, g = RNG.normal(size=(2, 50))
    optimiser = OPTIMISERS[name]
    x.flags.writeable = g.flags.writeable = False
    first, state = optimiser.update(x, g)
    before = {k: v.copy() for k, v in state.items()}
    a, b = (optimiser.update(first, g, state) for _ in range(2))
    np.testing.assert_array_equal(a[0], b[0])
    for k, value in before.items():
        np.testing.assert_array_equal(state[k], value)
    a[0][:] = 0  # results are the caller's
    assert b[0].all()


@each
@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_logits_stay_masked(name, dtype):
    x = np.array([0.5, -np.inf, np.inf, 1.0], dtype)
    for masked in (0.0, 0.7):
        gradients = [np.array([0.2, masked, -masked, -1.0], dtype)] * 6
        result, _ = run(OPTIMISERS[name], x, gradients)
        assert result[1] == -np.inf
        assert result[2] == np.inf
        assert np.isfinite(result[[0, 3]]).all()


@each
def test_a_gradient_of_zero_moves_nothing(name):
    x = RNG.normal(size=9)
    result, _ = run(OPTIMISERS[name], x, [np.zeros(9)] * 3)
    np.testing.assert_array_equal(result, x)


@each
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_do_not_change_a_bit(name, dtype):
    x, *gradients = RNG.normal(size=(3, 300_001)).astype(dtype)
    results = []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        results.append(run(OPTIMISERS[name], x, gradients)[0])
    np.testing.assert_array_equal(*results)


@each
def test_strides_and_mixed_dtypes_are_welcome(name):
    x, g = RNG.normal(size=(2, 8, 6)).astype(np.float32)
    optimiser = OPTIMISERS[name]
    a, _ = optimiser.update(x[::2, ::-1], g[::2, ::-1])
    b, _ = optimiser.update(x[::2, ::-1].copy(), g[::2, ::-1].astype(np.float64))
    np.testing.assert_array_equal(a, b)
    assert b.dtype == np.float32
    c, state = optimiser.update([1, 2], [0.5, 0.5])
    assert c.dtype == np.float64
    optimiser.update(c, [0.5, 0.5], state)


def test_a_learning_rate_may_change_between_steps():
    adam = Adam(learning_rate=0.1)
    x, state = adam.update(np.zeros(3), np.ones(3))
    slower = dataclasses.replace(adam, learning_rate=0.05)
    y, _ = slower.update(x, np.ones(3), state)
    np.testing.assert_allclose(y, -0.15, rtol=1e-6)


@pytest.mark.parametrize("optimiser", [Adam(learning_rate=0.05), SGD(learning_rate=2.0)])
def test_an_expectation_is_minimised(optimiser):
    """Bits that are cheaper at 0 where the target is below a half; seeds are fixed."""
    target = np.array([0.3, 0.7, 0.4, 0.6])
    f, logits, state = fg.objectives.separable(target), np.zeros(4), None
    for step in range(300):
        estimate = fg.estimator("rloo")(f, fg.Bernoulli(logits), num_samples=8, rng=step)
        logits, state = optimiser.update(logits, estimate.grad, state)
    np.testing.assert_array_equal(logits > 0, target > 0.5)
    assert (np.abs(logits) > 1.5).all()


NAMES = ("velocity", "mean", "square")
BAD = {
    "NaN": (
        (np.zeros(3), [0.0, np.nan, 0.0]),
        r"grads must be finite, got nan at index \(1,\)",
    ),
    "infinity": (
        ({"w": np.zeros((2, 2))}, {"w": [[0, 0], [-np.inf, 0]]}),
        r"grads\['w'\] must be finite, got -inf at index \(1, 0\)",
    ),
    "shape": ((np.zeros(3), np.zeros(2)), r"grads must have shape \(3,\), got \(2,\)"),
    "names": (
        ({"a": np.zeros(2)}, {"b": np.zeros(2)}),
        r"grads must have the names of params, \['a'\], got \['b'\]",
    ),
    "array for dictionary": (
        ({"a": np.zeros(2)}, np.zeros(2)),
        "grads must have the names of params",
    ),
    "foreign state": (
        (np.zeros(2), np.zeros(2), {"count": 1}),
        "state must be that of the last update: it has no",
    ),
    "state of another shape": (
        (np.zeros(2), np.zeros(2), {"step": 1} | {name: np.zeros(3) for name in NAMES}),
        r"state's (velocity|mean) must have shape \(2,\), got \(3,\)",
    ),
    "state of NaN": (
        (np.zeros(2), np.zeros(2), {"step": 1} | {name: np.full(2, np.nan) for name in NAMES}),
        r"state's (velocity|mean) must be finite, got nan at index \(0,\)",
    ),
    "state of other names": (
        ({"a": 1.0}, {"a": 1.0}, {"step": 1} | {name: {"b": 1.0} for name in NAMES}),
        "it has no 'a'",
    ),
}


@pytest.mark.parametrize("optimiser", [Adam(), SGD(learning_rate=1.0)])
@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, optimiser):
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        optimiser.update(*arguments)


@pytest.mark.parametrize("step", [-1, "1", np.nan, [1, 2]])
def test_no_number_of_steps(step):
    state = Adam().update(np.ones(2), np.ones(2))[1] | {"step": step}
    with pytest.raises((TypeError, ValueError), match="state's step must be"):
        Adam().update(np.ones(2), np.ones(2), state)


def test_complex_params_are_refused():
    with pytest.raises(TypeError, match="params must be float32 or float64, got dtype complex128"):
        Adam().update(np.zeros(2, complex), np.zeros(2))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Adam, {"learning_rate": 0}, "learning_rate must be a finite number above 0, got 0"),
        (SGD, {"learning_rate": np.nan}, "learning_rate must be a finite number above 0, got nan"),
        (Adam, {"epsilon": 0.0}, "epsilon must be a finite number above 0"),
        (Adam, {"beta1": 1.0}, "beta1 must be from 0 to below 1, got 1.0"),
        (Adam, {"beta2": -0.1}, "beta2 must be from 0 to below 1, got -0.1"),
        (Adam, {"beta2": "x"}, "beta2 must be from 0 to below 1, got 'x'"),
        (SGD, {"learning_rate": 1, "momentum": 1.5}, "momentum must be from 0 to below 1, got 1.5"),
    ],
)
def test_bad_options(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


@pytest.mark.optional
@each
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch(name, dtype):
    torch = pytest.importorskip("torch")
    optimiser = OPTIMISERS[name]
    if isinstance(optimiser, SGD):
        kind, options = torch.optim.SGD, {"momentum": optimiser.momentum}
    else:
        kind = torch.optim.Adam
        options = {"betas": (optimiser.beta1, optimiser.beta2), "eps": optimiser.epsilon}
    x, *gradients = RNG.normal(size=(31, 200)).astype(dtype)
    ours, _ = run(optimiser, x, gradients)
    theirs = torch.nn.Parameter(torch.tensor(x))
    torch_optimiser = kind([theirs], lr=optimiser.learning_rate, **options)
    for g in gradients:
        theirs.grad = torch.tensor(g)
        torch_optimiser.step()
    np.testing.assert_allclose(ours, theirs.detach(), rtol=0, atol=200 * np.finfo(dtype).eps)


# -- out of the type's range -------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "large"), [(np.float32, 1e25), (np.float64, 1e200)])
def test_a_gradient_whose_square_overflows_is_refused(dtype, large):
    """It would make every later step 0, without a word."""
    g = np.array([[0, 1], [large, 0]], dtype)
    with pytest.raises(ValueError, match=rf"grads must be smaller in {g.dtype}.*\(1, 0\)"):
        Adam().update(np.zeros((2, 2), dtype), g)
    with pytest.raises(ValueError, match=r"grads\['a'\] must be smaller"):
        Adam().update({"a": np.zeros((2, 2), dtype)}, {"a": g})
    fits = np.array([np.sqrt(np.finfo(dtype).max) / 2], dtype)
    x, state = Adam(learning_rate=0.1).update(np.zeros(1, dtype), fits)
    np.testing.assert_allclose(x, -0.1, rtol=1e-6)
    assert np.isfinite(state["square"]).all()


def test_a_velocity_that_overflows_is_refused():
    g = np.array([3e38], np.float32)
    sgd = SGD(learning_rate=1e-38, momentum=0.9)
    x, state = sgd.update(np.zeros(1, np.float32), g)
    with pytest.raises(ValueError, match="grads must be smaller in float32: the velocity"):
        sgd.update(x, g, state)


@pytest.mark.parametrize(("dtype", "small"), [(np.float32, 1e-50), (np.float64, 1e-160)])
def test_an_epsilon_below_the_range_is_refused(dtype, small):
    """It would be 0, and a gradient of 0 make a parameter NaN."""
    with pytest.raises(ValueError, match=f"epsilon must be at least .* got {small}"):
        Adam(epsilon=small).update(np.zeros(2, dtype), np.array([0, 1], dtype))
    epsilon = 1.2 * float(np.sqrt(np.finfo(dtype).tiny))
    g = np.array([0, 1, epsilon / 100, np.finfo(dtype).tiny], dtype)
    x, _ = Adam(learning_rate=0.1, epsilon=epsilon).update(np.zeros(4, dtype), g)
    assert x[0] == 0
    np.testing.assert_allclose(x[1], -0.1, rtol=1e-6)
    assert (np.abs(x) <= 0.11).all()


@pytest.mark.parametrize("optimiser", [Adam(learning_rate=1e300), SGD(learning_rate=1e39)])
def test_a_learning_rate_above_the_range_is_refused(optimiser):
    with pytest.raises(ValueError, match="learning_rate must be smaller for float32"):
        optimiser.update(np.zeros(2, np.float32), np.zeros(2, np.float32))
