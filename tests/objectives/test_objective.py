"""What an f may be, and what it is shown."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators import ESTIMATORS, estimator
from fastgrad.objectives import Objective, as_objective, objective

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(2, 3, 4))
Z = RNG.integers(0, 4, (5, 2, 3)).astype(np.int32)


def test_a_plain_function_sees_one_hot_samples():
    seen = []

    def f(x):
        seen.append(x)
        return x[..., 0].sum(axis=(1, 2))

    values = as_objective(f).outcomes(Categorical(LOGITS.astype(np.float32)), Z)
    np.testing.assert_array_equal(values.value, (Z == 0).sum(axis=(1, 2)))
    assert values.credit is None
    (x,) = seen
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, np.eye(4, dtype=np.float32)[Z])


@pytest.mark.parametrize("k", [1, 2, 700])
def test_one_hot_of_any_width(k):
    z = RNG.integers(0, k, (3, 50)).astype(np.int32)
    f = as_objective(lambda x: (x.argmax(axis=-1) == z).all(axis=1) & (x.sum(axis=(1, 2)) == 50))
    assert f.outcomes(Categorical(np.zeros((50, k))), z).value.all()


def test_with_index_no_one_hot_array_is_made():
    def f(x):
        raise AssertionError("called")

    values = objective(f, index=lambda z: z.sum(axis=(1, 2))).outcomes(Categorical(LOGITS), Z)
    np.testing.assert_array_equal(values.value, Z.sum(axis=(1, 2)))


def test_parts_must_be_functions():
    with pytest.raises(TypeError, match=r"grad must be callable, got array"):
        objective(lambda x: x, grad=np.ones(2))
    with pytest.raises(TypeError, match="must have f or index, got neither"):
        objective(grad=lambda x: x)
    with pytest.raises(TypeError, match="f must be a function or an Objective, got 3"):
        as_objective(3)


def test_what_is_missing_is_named():
    with pytest.raises(TypeError, match=r"rebar needs the gradient of f .* fg.objective\(f, grad="):
        objective(lambda x: x).require("rebar", ("f", "grad"))


def test_an_objective_stays_itself():
    f = Objective(lambda x: x)
    assert as_objective(f) is f


# -- one pass for f and its gradient, and arrays of f's own ---------------------------------------

NEED_GRADIENT = [
    *[(name, {}) for name in ESTIMATORS if "grad" in ESTIMATORS[name].needs],
    ("rebar", {"coupled": False}),
    ("rebar", {"adapt_temperature": True}),
    ("relax", {"add_objective": True}),
]


def smooth(x):
    return np.exp(x[..., 0].sum(axis=-1))


def slope_of_smooth(x):
    g = np.zeros_like(x)
    g[..., 0] = smooth(x)[:, None]
    return g


def equal_estimates(found, expected):
    np.testing.assert_array_equal(found.value, expected.value)
    np.testing.assert_array_equal(found.grad, expected.grad)
    assert found.evaluations == expected.evaluations


@pytest.mark.parametrize(("name", "options"), NEED_GRADIENT)
def test_value_and_gradient_are_made_in_one_pass(name, options):
    """Where an estimator asks for both, at no point twice, and with the same bits."""
    points = {"f": [], "grad": [], "value_and_grad": []}

    def counted(part, function):
        def call(x):
            points[part].append(x.tobytes())
            return function(x)

        return call

    f = objective(
        counted("f", smooth),
        grad=counted("grad", slope_of_smooth),
        value_and_grad=counted("value_and_grad", lambda x: (smooth(x), slope_of_smooth(x))),
    )
    logits, run = np.zeros((2, 3)), estimator(name, **options)
    found = run(f, logits, num_samples=4, rng=0)
    two = objective(smooth, grad=slope_of_smooth)
    equal_estimates(found, run(two, logits, num_samples=4, rng=0))
    equal_estimates(
        run(
            objective(value_and_grad=lambda x: (smooth(x), slope_of_smooth(x))),
            logits,
            num_samples=4,
            rng=0,
        ),
        found,
    )
    both = points["value_and_grad"]
    assert both
    assert not set(both) & {*points["f"], *points["grad"]}
    assert len(both) == len(set(both))


def test_a_continuous_objective_is_evaluated_in_one_pass():
    calls = []

    def both(x):
        calls.append(len(x))
        return (x**2).sum(axis=-1), 2 * x

    d = fg.continuous.Normal(np.ones(3), np.zeros(3))
    found = estimator("pathwise")(objective(value_and_grad=both), d, num_samples=5, rng=0)
    assert calls == [5]
    assert found.evaluations == 5


def test_value_and_grad_may_return_credit():
    def both(x):
        terms = x[..., 0]
        g = np.zeros_like(x)
        g[..., 0] = 1
        return (terms.sum(axis=-1), terms), g

    two = objective(lambda x: both(x)[0], grad=lambda x: both(x)[1])
    run = estimator("rebar")
    one = run(objective(value_and_grad=both), np.zeros((2, 3)), num_samples=4, rng=0)
    equal_estimates(one, run(two, np.zeros((2, 3)), num_samples=4, rng=0))


def test_what_value_and_grad_returns_is_checked():
    run, logits = estimator("gumbel_softmax"), np.zeros((2, 3))

    def call(answer):
        return run(objective(value_and_grad=lambda x: answer(x)), logits, num_samples=4, rng=0)

    with pytest.raises(ValueError, match=r"value_and_grad must return a pair, .* got ndarray"):
        call(smooth)
    with pytest.raises(ValueError, match=r"the gradient of f must have shape \(4, 2, 3\)"):
        call(lambda x: (smooth(x), smooth(x)))
    with pytest.raises(ValueError, match="the gradient of f must be finite, got nan"):
        call(lambda x: (smooth(x), x * np.nan))
    with pytest.raises(TypeError, match="value_and_grad must be callable, got 3"):
        objective(value_and_grad=3)
    with pytest.raises(ValueError, match="writable must be one of False, True, got 'yes'"):
        objective(smooth, writable="yes")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_f_may_keep_what_it_is_given_and_write_to_its_own(name):
    """What f keeps never changes; arrays of its own it may spoil without changing the estimate."""
    binary = name in ("arm", "disarm", "arms")
    d = Bernoulli(np.zeros(4)) if binary else Categorical(np.zeros((2, 3)))
    kept = []

    def keeping(x):
        kept.append((x, x.copy()))
        return smooth(x[..., None] if binary else x)

    def slope(x):
        kept.append((x, x.copy()))
        return slope_of_smooth(x[..., None])[..., 0] if binary else slope_of_smooth(x)

    run, call = estimator(name), {"num_samples": 4, "rng": 0}
    expected = run(objective(keeping, grad=slope), d, **call)
    for x, before in kept:
        np.testing.assert_array_equal(x, before)

    def spoiling(part):
        def spoil(x):
            assert x.flags.writeable
            answer = part(x)
            x[...] = 7
            return answer

        return spoil

    own = objective(spoiling(keeping), grad=spoiling(slope), writable=True)
    equal_estimates(run(own, d, **call), expected)


def test_indices_of_its_own():
    def f(z):
        z += 1
        return z.sum(axis=-1)

    found = estimator("rloo")(
        objective(index=f, writable=True), np.zeros((2, 3)), num_samples=4, rng=0
    )
    assert found.value >= 2
