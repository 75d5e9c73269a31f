"""What all estimators share: the samples that an estimate was made of, on request."""

import re
import sys

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.estimators import ESTIMATORS
from fastgrad.estimators.score_functions.reinforce import RLOO
from fastgrad.kernels.compiler import jit

BINARY = ("arm", "disarm", "arms")
WEIGHTS = np.array([[0.3, -1.0, 0.8], [0.5, 0.2, -0.4]])


def distribution_of(name, batch=()):
    if name in BINARY:
        return fg.Bernoulli(np.linspace(-1, 1, 2 * int(np.prod(batch))).reshape(*batch, 2))
    return fg.Categorical(np.linspace(-1, 1, 6 * int(np.prod(batch))).reshape(*batch, 2, 3))


def objective_of(d, examples):
    w = WEIGHTS if d.logits.shape[-2:] == WEIGHTS.shape else WEIGHTS[:, 0]

    def f(x):
        return np.exp((x * w).reshape(*x.shape[: 1 + examples], -1).sum(axis=-1))

    def grad(x):
        y = f(x)
        return y.reshape(y.shape + (1,) * (x.ndim - y.ndim)) * w

    return fg.objective(f, grad=grad)


@pytest.mark.parametrize("examples", [0, 1])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_value_is_the_weighted_sum_of_f_at_the_samples(name, examples):
    d = distribution_of(name, (3,) * examples)
    f, run = objective_of(d, examples), fg.estimator(name)
    plain = run(f, d, num_samples=4, rng=1)
    found = run(f, d, num_samples=4, rng=1, return_samples=True)
    assert plain.samples is None
    assert plain.weights is None
    np.testing.assert_array_equal(found.grad, plain.grad)
    assert found.samples.shape[1:] == d.logits.shape
    assert found.samples.dtype == d.logits.dtype
    assert found.weights.shape == (len(found.samples), *np.shape(found.value))
    if name not in ("arsm", "vimco"):  # as `Estimate` says
        value = (found.weights * f.f(found.samples)).sum(axis=0)
        np.testing.assert_allclose(value, found.value, rtol=1e-12)
    if name != "importance_weighted":
        np.testing.assert_allclose(found.weights.sum(axis=0), 1, rtol=1e-12)


@pytest.mark.parametrize("name", ["rloo", "rebar", "gumbel_softmax", "vimco"])
def test_samples_do_not_depend_on_blocks(name):
    d = distribution_of(name)
    f, options = objective_of(d, 0), {"group_size": 2} if name == "vimco" else {}
    run, call = fg.estimator(name, **options), {"num_samples": 8, "rng": 2, "return_samples": True}
    whole, blocks = run(f, d, **call), run(f, d, block_size=2, **call)
    np.testing.assert_array_equal(whole.samples, blocks.samples)
    np.testing.assert_allclose(whole.weights, blocks.weights, rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("rloo", lambda logits: fg.sample(logits, num_samples=4, rng=5)),
        ("rebar", lambda logits: fg.sample(logits, num_samples=4, rng=5, method="gumbel")),
    ],
)
def test_samples_are_those_of_the_key(name, draw):
    logits = distribution_of(name).logits
    found = fg.estimator(name)(
        objective_of(fg.Categorical(logits), 0), logits, num_samples=4, rng=5, return_samples=True
    )
    np.testing.assert_array_equal(found.samples.argmax(axis=-1), draw(logits))


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in BINARY])
def test_logits_are_refused_before_f_is_asked(name):
    """Also where they are looked at by what draws."""
    f = fg.objective(lambda x: pytest.fail("f was called"), grad=lambda x: pytest.fail("so was f'"))
    for logits, message in (
        ([[0.0, np.nan, 1.0]], "logits must be below infinity, got nan at index (0, 1)"),
        ([[0.0, np.inf, 1.0]], "logits must be below infinity, got inf at index (0, 1)"),
        ([[-np.inf] * 3], "logits has only -inf in row (0,): no category is possible"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            fg.estimator(name)(f, np.array(logits), num_samples=4, rng=0)


@pytest.mark.parametrize(
    ("outcome", "dtype"), [(-1, np.int32), (3, np.int32), (2**31 - 1, np.int64), (np.nan, float)]
)
def test_outcomes_of_ones_own_estimator_are_in_range(outcome, dtype):
    """Kernels use outcomes as indices: one out of range would be written beyond the sums."""

    class Own(RLOO):
        def draw(self, distribution, num_samples, key, **options):
            z = super().draw(distribution, num_samples, key, **options).astype(dtype)
            z[-1, -1] = outcome
            return z

    d = distribution_of("own", (3,))
    with pytest.raises(ValueError, match=r"must be from 0 to 2, got -?\d+"):
        Own()(fg.objective(index=lambda z: np.zeros(len(z))), d, num_samples=4, rng=0)


def test_weights_of_vimco_are_the_derivative_of_the_bound():
    """By finite differences of the mean of log mean exp over groups."""
    d, log_weights = distribution_of("vimco"), np.random.default_rng(3).normal(size=6)

    def bound(values):
        groups = np.exp(values).reshape(-1, 3)
        return np.log(groups.mean(axis=1)).mean()

    run = fg.estimator("vimco", group_size=3)
    found = run(fg.objective(lambda x: log_weights), d, num_samples=6, rng=0, return_samples=True)
    steps = 1e-6 * np.eye(6)
    slopes = [(bound(log_weights + h) - bound(log_weights - h)) / 2e-6 for h in steps]
    np.testing.assert_allclose(found.weights, slopes, rtol=0, atol=1e-9)
    assert found.value == pytest.approx(bound(log_weights), rel=1e-14)


def test_weights_of_vimco_are_zero_where_log_weights_are_minus_infinity():
    values = np.array([-np.inf, 0.0, -np.inf, -np.inf])
    run = fg.estimator("vimco", group_size=2)
    found = run(lambda x: values, np.zeros(3), num_samples=4, rng=0, return_samples=True)
    np.testing.assert_array_equal(found.weights, [0.0, 0.5, 0.0, 0.0])


@pytest.mark.parametrize("name", ["pathwise", "score_function", "measure_valued"])
def test_samples_of_continuous_estimators(name):
    d = fg.continuous.Normal(np.zeros(3), np.zeros(3))
    f = fg.objective(lambda x: (x**2).sum(axis=-1), grad=lambda x: 2 * x)
    found = fg.estimator(name)(f, d, num_samples=4, rng=0, return_samples=True)
    assert found.samples.shape == (4, 3)
    np.testing.assert_allclose((found.weights * f.f(found.samples)).sum(axis=0), found.value)


# -- draws made by hand --------------------------------------------------------------------------


BY_HAND = ("rloo", "reinforce", "double_cv", "muprop", "rodeo", "vimco", "local_expectation")
BY_HAND += ("sum_and_sample", "unordered_set", "arm", "arsm", "carms", "rebar", "straight_through")


def of_their_own(x):
    """A copy of draws or answers, in arrays that may be written to."""
    if isinstance(x, np.ndarray):
        return x.copy()
    if isinstance(x, tuple):
        parts = map(of_their_own, x)
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return x


def compiled():
    """Names of the kernels that have been compiled, each with its number of signatures."""
    modules = [m for name, m in list(sys.modules.items()) if name.startswith("fastgrad.kernels")]
    kernels = [k for m in modules for k in vars(m).values() if isinstance(k, jit.Compiled)]
    return {
        f"{k.__module__}.{k.__name__}": len(k.dispatcher.signatures)
        for k in kernels
        if k._dispatcher
    }


@pytest.mark.parametrize("name", BY_HAND)
def test_arrays_that_may_be_written_to_need_no_kernel_of_their_own(name):
    """Who makes draws or answers by hand need not wait for kernels to be compiled again."""
    d = distribution_of(name)
    f, run = objective_of(d, 0), fg.estimator(name)
    draws = run.draw(d, 4, fg.Key(1))
    grad = run.combine(d, [(draws, run.ask(f, d, draws))]).grad
    before, draws = compiled(), of_their_own(draws)
    answers = of_their_own(run.ask(f, d, draws))
    np.testing.assert_array_equal(run.combine(d, [(draws, answers)]).grad, grad)
    assert compiled() == before


@pytest.mark.parametrize("name", ["rebar", "reinmax_cv", "double_cv", "rodeo"])
@pytest.mark.parametrize(
    ("scale", "dtype", "way"),
    [(1e39, np.float32, "smaller"), (1e307, np.float64, "smaller"), (1e-50, np.float32, "larger")],
)
def test_a_scale_that_the_type_does_not_hold_is_refused(name, scale, dtype, way):
    f = fg.objective(lambda x: x[:, 0], grad=lambda x: np.eye(3)[:1] + 0 * x)
    words = f"^scale must be {way} for {np.dtype(dtype)}, got"
    run = fg.estimator(name, scale=scale)
    with pytest.raises(ValueError, match=words):
        run(f, np.zeros(3, dtype), num_samples=4, rng=0)
