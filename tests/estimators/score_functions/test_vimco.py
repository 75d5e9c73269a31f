"""VIMCO against the exact gradient of its bound, and its scans against their definition."""

import itertools
import math

import numba
import numpy as np
import pytest
from score_family import PROBLEMS, RNG, problem, smooth

import fastgrad as fg
from fastgrad import _validate
from fastgrad.kernels.estimators.score_functions import vimco as kernels
from fastgrad.objectives import Values


def logsumexp(x, axis=0):
    top = x.max(axis=axis, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(axis=axis, keepdims=True))).squeeze(axis)


def leave_out(x):
    """The worth of each sample (S, M) in the bound, by definition."""
    result = np.empty(x.shape)
    for k in range(len(x)):
        others = np.delete(x, k, axis=0)
        without = np.concatenate([others, others.mean(axis=0, keepdims=True)])
        result[k] = logsumexp(x) - logsumexp(without)
    return result


def run_kernel(x, size):
    bound, signal = np.empty((len(x) // size, x.shape[1])), np.empty(x.shape)
    few = np.zeros(1, np.bool_)
    kernels.bounds(_validate.frozen(x), size, math.log(size), bound, signal, few)
    possible = (x > -np.inf).reshape(-1, size, x.shape[1]).sum(axis=1)
    assert few[0] == (possible < 2).any()
    return bound, signal


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 3, 64, 65, 200])
@pytest.mark.parametrize(("samples", "size"), [(2, 2), (3, 3), (16, 16), (12, 4)])
@pytest.mark.parametrize("spread", [0.1, 10.0, 1000.0])
def test_bounds_are_their_definition(samples, size, columns, spread, dtype):
    x = (RNG.normal(size=(samples, columns)) * spread - 500).astype(dtype)
    x.flags.writeable = False
    bound, signal = run_kernel(x, size)
    groups = x.astype(np.float64).reshape(-1, size, columns)
    expected = logsumexp(groups, axis=1) - math.log(size)
    np.testing.assert_allclose(bound, expected, rtol=1e-13)
    worth = np.stack([leave_out(group) for group in groups]).reshape(signal.shape)
    np.testing.assert_allclose(signal, worth, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("place", [(0, 0), (4, 69), (5, 3)])
@pytest.mark.parametrize("others", [0, 1])
def test_groups_with_fewer_than_two_weights_are_told(place, others):
    x = RNG.normal(size=(6, 70))
    i, column = place
    group = slice(i // 3 * 3, i // 3 * 3 + 3)
    keep = x[i, column], x[(i + 1) % 3 + group.start, column]
    x[group, column] = -np.inf
    x[i, column] = keep[0]
    if others:
        x[(i + 1) % 3 + group.start, column] = keep[1]
    run_kernel(x, 3)  # which says so


def test_one_log_weight_may_dominate():
    """Subtracting from the sum would leave nothing of the others: [-50, -120, -125]."""
    x = np.array([[-50.0], [-120.0], [-125.0]])
    bound, signal = run_kernel(x, 3)
    others = [-120, -125, -122.5]
    without = math.log(sum(math.exp(v + 120) for v in others)) - 120
    assert signal[0, 0] == pytest.approx(-50 - without, rel=1e-12)
    assert without - math.log(2) == pytest.approx(-120.5, abs=0.15)
    assert bound[0, 0] == pytest.approx(-50 - math.log(3), rel=1e-12)
    x = np.array([[0.0], [-1e5], [-1e5]])
    bound, signal = run_kernel(x, 3)
    assert signal[0, 0] == pytest.approx(1e5 - math.log(3), rel=1e-12)
    np.testing.assert_allclose(signal[1:], math.log1p(0) - math.log1p(0), atol=1e-9)


def exact_bound(f, d, size):
    """The mean of the bound over all tuples of joint outcomes, and its gradient."""
    z, weight = fg.estimator("vimco").nodes(d, size)
    copies = type(d)(np.broadcast_to(d.logits, (len(weight), *d.logits.shape)))
    bound = logsumexp(f.outcomes(copies, z).value) - math.log(size)
    score = copies.score(z).sum(axis=0)
    return weight @ bound, np.tensordot(weight * bound, score, 1)


@pytest.mark.parametrize(("kind", "case"), PROBLEMS)
def test_vimco_is_unbiased_for_the_bound(kind, case):
    d = problem(kind, case)
    f, run = smooth(d), fg.estimator("vimco")
    z, weight = run.nodes(d, 2)
    copies = type(d)(np.broadcast_to(d.logits, (len(weight), *d.logits.shape)))
    estimate = run.combine(copies, [(z, run.ask(f, copies, z))])
    value, grad = exact_bound(f, d, 2)
    assert weight @ estimate.value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(np.tensordot(weight, estimate.grad, 1), grad, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("samples", "size"), [(3, None), (4, 2), (4, None), (4, 4)])
def test_groups_share_a_bound(samples, size):
    d = problem(fg.Categorical, "one")
    f, run = smooth(d), fg.estimator("vimco", group_size=size)
    z, weight = run.nodes(d, samples)
    copies = fg.Categorical(np.broadcast_to(d.logits, (len(weight), *d.logits.shape)))
    estimate = run.combine(copies, [(z, run.ask(f, copies, z))])
    value, grad = exact_bound(f, d, size or samples)
    assert weight @ estimate.value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(np.tensordot(weight, estimate.grad, 1), grad, rtol=0, atol=1e-11)
    assert estimate.evaluations == samples


def test_the_bound_grows_with_its_samples():
    d = problem(fg.Categorical, "one")
    means = [exact_bound(smooth(d), d, size)[0] for size in (1, 2, 3, 4)]
    assert means[0] == pytest.approx(fg.exact.value(smooth(d), d), rel=1e-12)
    assert (np.diff(means) > 0.01).all()


def test_its_variance_is_below_that_of_the_plain_score_function():
    d = problem(fg.Categorical, "plain")
    f, run = smooth(d), fg.estimator("vimco")
    z, weight = run.nodes(d, 3)
    copies = fg.Categorical(np.broadcast_to(d.logits, (len(weight), *d.logits.shape)))
    grad = run.combine(copies, [(z, run.ask(f, copies, z))]).grad
    bound = logsumexp(f.outcomes(copies, z).value) - math.log(3)
    plain = bound[:, None, None] * copies.score(z).sum(axis=0)
    mean = exact_bound(f, d, 3)[1]
    ours, theirs = (np.tensordot(weight, (x - mean) ** 2, 1).sum() for x in (grad, plain))
    assert ours < 0.3 * theirs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_its_formula(dtype):
    d = fg.Categorical(RNG.normal(size=(3, 5, 4)).astype(dtype))
    z = d.sample(num_samples=6, rng=1)
    x = RNG.normal(size=(6, 3)) * 5 - 100
    estimate = fg.estimator("vimco").combine(d, [(z, Values(x, None))])
    score = fg.Categorical(d.logits.astype(float)).score(z)
    expected = np.einsum("se,sevk->evk", leave_out(x), score)
    np.testing.assert_allclose(estimate.value, logsumexp(x) - math.log(6), rtol=1e-6)
    np.testing.assert_allclose(estimate.grad, expected, atol=1e-4 if dtype == np.float32 else 1e-11)
    assert estimate.grad.dtype == estimate.value.dtype == dtype
    credit = fg.estimator("vimco").combine(d, [(z, Values(x, np.ones(z.shape)))])
    np.testing.assert_array_equal(credit.grad, estimate.grad)


def test_draws_have_the_exact_mean():
    """A bound of 5.5 standard errors: a false-alarm rate of 4e-8 for each of the 6 numbers."""
    logits = np.tile([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]], (20_000, 1, 1))
    d = fg.Categorical(logits[0])
    f = smooth(d)
    grad = fg.estimator("vimco", group_size=2)(f, logits, num_samples=4, rng=11).grad
    error = grad.mean(axis=0) - exact_bound(f, d, 2)[1]
    assert (np.abs(error) < 5.5 * grad.std(axis=0) / math.sqrt(len(grad))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neither_blocks_nor_threads_change_a_bit(dtype):
    logits = RNG.normal(size=(5, 70, 10)).astype(dtype)
    sizes = []

    def f(x):
        sizes.append(len(x))
        return (x * np.arange(10)).sum(axis=3)

    run = fg.estimator("vimco", group_size=4)
    numba.set_num_threads(1)
    whole = run(f, logits, num_samples=16, rng=4)
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    for block_size, expected in ((4, [4] * 4), (11, [8, 8]), (1, [4] * 4), (16, [16])):
        sizes.clear()
        estimate = run(f, logits, num_samples=16, rng=4, block_size=block_size)
        np.testing.assert_array_equal(estimate.grad, whole.grad)
        np.testing.assert_array_equal(estimate.value, whole.value)
        assert sizes == expected


def test_examples_do_not_mix():
    logits, scale = RNG.normal(size=(4, 6, 3)), np.ones((4, 1, 1))

    def f(x):
        return ((x * scale) ** 2 * [1, 2, 3]).sum(axis=(2, 3))

    run = fg.estimator("vimco")
    before = run(f, logits, num_samples=5, rng=2)
    scale[1], logits[1, 2] = 7, [0, 9, 0]
    after = run(f, logits, num_samples=5, rng=2)
    others = [0, 2, 3]
    np.testing.assert_array_equal(after.grad[others], before.grad[others])
    np.testing.assert_array_equal(after.value[others], before.value[others])
    assert (after.grad[1] != before.grad[1]).any()


def test_masks_give_zero_and_all_equal_log_weights_nothing():
    logits = np.array([[1e4, 0, -1e4], [0.3, -np.inf, 0.1], [-np.inf, 2, -np.inf]])
    run = fg.estimator("vimco")
    grad = run(lambda x: (x * [1, 2, 3]).sum(axis=(1, 2)), logits, num_samples=5, rng=0).grad
    assert np.isfinite(grad).all()
    assert not grad[np.isinf(logits)].any()
    assert not grad[2].any()
    grad = run(lambda x: np.full(len(x), -700.0), logits, num_samples=5, rng=0).grad
    np.testing.assert_allclose(grad, 0, atol=1e-14)


def test_no_variables():
    estimate = fg.estimator("vimco")(
        lambda x: x.sum(axis=(1, 2)) + 2, np.zeros((0, 3)), num_samples=4, rng=0
    )
    assert estimate.grad.shape == (0, 3)
    assert estimate.value == pytest.approx(2)


def test_errors():
    def f(x):
        return x[:, 0]

    for size in (0, 1):
        with pytest.raises(ValueError, match=f"group_size must be at least 2, got {size}"):
            fg.estimator("vimco", group_size=size)
    with pytest.raises(TypeError, match="group_size must be an integer"):
        fg.estimator("vimco", group_size=2.0)
    with pytest.raises(ValueError, match="vimco needs at least 2 samples, got num_samples=1"):
        fg.estimator("vimco")(f, np.zeros(3), num_samples=1, rng=0)
    with pytest.raises(ValueError, match="num_samples must be a multiple of 3, got 4"):
        fg.estimator("vimco", group_size=3)(f, np.zeros(3), num_samples=4, rng=0)


def test_every_pair_of_groups_is_independent_of_the_others():
    """Changing the log weights of one group leaves the worth of the others' samples."""
    x = RNG.normal(size=(6, 2))
    before = run_kernel(x, 2)[1]
    for group, other in itertools.permutations(range(3), 2):
        changed = x.copy()
        changed[2 * group : 2 * group + 2] += [[1.0], [5.0]]
        after = run_kernel(changed, 2)[1]
        rows = slice(2 * other, 2 * other + 2)
        np.testing.assert_array_equal(after[rows], before[rows])


# -- weights of zero -------------------------------------------------------------------------------


def with_zeros(log_weights, size):
    """Bound and worth of each sample (S, M) of one group, by definition; 0 without a baseline."""
    with np.errstate(divide="ignore"):
        weights = np.exp(log_weights)
        bound = np.log(weights.mean(axis=0))
        worth = np.zeros(log_weights.shape)
        for s, m in np.ndindex(log_weights.shape):
            others = np.delete(log_weights[:, m], s)
            left_out = np.log((np.exp(others).sum() + np.exp(others.mean())) / size)
            if left_out > -np.inf:
                worth[s, m] = bound[m] - left_out
    return bound, worth


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("kind", [fg.Categorical, fg.Bernoulli])
def test_log_weights_may_be_minus_infinity(kind, size):
    """All tuples of outcomes, each as an example of its own, against the definition."""
    d = kind(np.array([[0.3, -1.0, 0.8]]) if kind is fg.Categorical else np.array([0.3, -0.4]))
    if kind is fg.Categorical:
        f = fg.objective(index=lambda z: np.array([-1.5, -np.inf, 0.4])[z[..., 0]])
    else:
        f = fg.objective(index=lambda z: np.where(z[..., 0] > 0, -np.inf, 0.7 * z[..., 1] - 900))
    run = fg.estimator("vimco")
    z, weights = run.nodes(d, size)
    copies = d.with_logits(np.broadcast_to(d.logits, (len(weights), *d.logits.shape)))
    shifted = f.index(z) + (900 if kind is fg.Bernoulli else 0)
    bound, worth = with_zeros(shifted, size)
    assert (bound == -np.inf).any()
    expected = np.einsum("sc,sc...->c...", worth, copies.score(z))
    estimate = run.combine(copies, [(z, run.ask(f, copies, z))])
    np.testing.assert_allclose(estimate.grad, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        estimate.value, bound - (900 if kind is fg.Bernoulli else 0), rtol=1e-13
    )


def test_groups_and_blocks_with_weights_of_zero():
    """Groups in one call, and in blocks, are the mean of the groups."""
    logits = np.array([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]])
    table = np.array([-np.inf, 0.3, -2.0])
    f = fg.objective(index=lambda z: table[z].sum(axis=-1))
    run = fg.estimator("vimco", group_size=3)
    whole = run(f, logits, num_samples=30, rng=2)
    blocks = run(f, logits, num_samples=30, rng=2, block_size=6)
    np.testing.assert_array_equal(whole.grad, blocks.grad)
    np.testing.assert_array_equal(whole.value, blocks.value)
    z = fg.Categorical(logits).sample(num_samples=30, rng=2)
    expected, bounds = np.zeros(logits.shape), []
    for group in z.reshape(10, 3, 2):
        bound, worth = with_zeros(f.index(group)[:, None], 3)
        bounds.append(bound[0])
        expected += (worth[..., None] * fg.score(logits, group)).sum(axis=0) / 10
    np.testing.assert_allclose(whole.grad, expected, rtol=0, atol=1e-12)
    assert whole.value == np.mean(bounds)
    finite = run(f, logits + np.array([-9, 0, 0]), num_samples=30, rng=2)
    assert np.isfinite(finite.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_log_weights_must_be_below_infinity(bad):
    f = fg.objective(index=lambda z: np.where(z[:, 0] > 0, bad, -np.inf))
    with pytest.raises(ValueError, match=f"f must be below infinity, got {bad} for sample"):
        fg.estimator("vimco")(f, np.zeros((1, 2)), num_samples=50, rng=0)
    g = fg.objective(index=lambda z: np.full(len(z), -np.inf))
    with pytest.raises(ValueError, match="f must be finite, got -inf for sample 0"):
        fg.estimator("rloo")(g, np.zeros((1, 2)), num_samples=50, rng=0)
