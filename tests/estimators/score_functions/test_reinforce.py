"""REINFORCE with each baseline, and RLOO, against exact means and variances.

`nodes` gives every tuple of outcomes with its probability: no sampling, so no false alarms.
"""

import itertools
import math

import numpy as np
import pytest
from score_family import PROBLEMS, RNG, assert_unbiased, moments, problem, smooth, variance

import fastgrad as fg
from fastgrad import exact
from fastgrad.estimators.score_functions.baselines import LeastSquares, MovingAverage, Optimal
from fastgrad.objectives import Values, bernoulli3

BITS = np.array([0, 1, 1, 2, 1, 2, 2, 3])  # of the outcomes of `bernoulli3`
BASELINES = {
    "none": None,
    "number": 1.7,
    "moving average": "moving_average",
    "optimal": "optimal",
    "optimal, pooled": "optimal_pooled",
    "function": lambda d: 1.3,
    "least squares": LeastSquares(features=lambda d: np.ones((*d.logits.shape[:-2], 2)) * [1, 2]),
}


# -- nodes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "case"), PROBLEMS)
@pytest.mark.parametrize("num_samples", [1, 2])
def test_nodes_are_all_tuples_of_possible_outcomes(kind, case, num_samples):
    d = problem(kind, case)
    z, weight = fg.estimator("reinforce").nodes(d, num_samples)
    assert z.dtype == np.int32
    assert z.shape == (num_samples, len(weight), *d.batch_shape)
    assert len({row.tobytes() for row in z.swapaxes(0, 1)}) == len(weight)
    log_p = d.log_probabilities()
    possible = [np.flatnonzero(column > -np.inf) for column in log_p.reshape(len(log_p), -1).T]
    assert len(weight) == math.prod(map(len, possible)) ** num_samples
    log_p = d.log_prob(z.reshape(-1, *d.batch_shape)).reshape(num_samples, len(weight), -1)
    np.testing.assert_allclose(weight, np.exp(log_p.sum(axis=(0, 2))), rtol=1e-12)
    assert weight.sum() == pytest.approx(1, rel=1e-12)


def test_there_are_no_nodes_of_large_problems():
    run = fg.estimator("rloo")
    assert run.nodes(fg.Categorical(np.zeros((6, 8))), 2) is None
    assert run.nodes(fg.Bernoulli(np.zeros(1000)), 2) is None
    assert run.nodes(fg.Categorical(np.full((1000, 2), [0, -np.inf])), 2)[0].shape == (2, 1, 1000)


@pytest.mark.parametrize("batch", [(), (0,), (2, 1)])
def test_nodes_of_any_batch(batch):
    z, weight = fg.estimator("rloo").nodes(fg.Categorical(np.zeros((*batch, 3))), 2)
    assert z.shape == (2, 9 ** math.prod(batch), *batch)
    assert len(weight) == z.shape[1]


# -- unbiased, with the variances of the literature ----------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(("kind", "case"), PROBLEMS)
def test_reinforce_is_unbiased(kind, case, name):
    d, baseline = problem(kind, case), BASELINES[name]
    if name == "least squares":  # values have one axis: that of the copies
        baseline = LeastSquares(features=lambda copies: np.ones((len(copies.logits), 1)))
    run = fg.estimator("reinforce", baseline=baseline)
    f = smooth(d)
    assert_unbiased(run, f, d, run.min_samples)
    assert_unbiased(fg.estimator("rloo"), f, d, 2)


@pytest.mark.parametrize("name", ["none", "optimal", "optimal, pooled"])
@pytest.mark.parametrize("num_samples", [3, 4])
def test_reinforce_is_unbiased_with_more_samples(name, num_samples):
    d = problem(fg.Categorical, "plain")
    run = fg.estimator("reinforce", baseline=BASELINES[name])
    assert_unbiased(run, smooth(d), d, num_samples)
    d = problem(fg.Bernoulli, "three")
    assert_unbiased(run, smooth(d), d, num_samples)


@pytest.mark.parametrize(
    ("t", "phi", "expected"),
    [(0.45, 0.0, 1.593906e-2), (0.499, 0.0, 1.562513e-2), (0.3, 1.2, None)],
)
def test_reinforce_has_the_variance_of_the_one_bit_toy(t, phi, expected):
    p, one, zero = 1 / (1 + math.exp(-phi)), (1 - t) ** 2, t**2
    slope = (one - zero) * p * (1 - p)
    closed_form = p * (1 - p) * ((1 - p) * one**2 + p * zero**2) - slope**2
    f, d = fg.objective(lambda x: (x - t)[..., 0] ** 2), fg.Bernoulli(np.array([phi]))
    mean, covariance, _ = moments(fg.estimator("reinforce"), f, d, 1)
    assert mean[0] == pytest.approx(slope, rel=1e-12)
    assert covariance[0, 0] == pytest.approx(closed_form, rel=1e-12)
    if expected:
        assert closed_form == pytest.approx(expected, rel=1e-6)
    best = (1 - p) * one + p * zero  # one bit is special: the best constant leaves no variance
    assert variance(fg.estimator("reinforce", baseline=best), f, d, 1) < 1e-30


@pytest.mark.parametrize(
    ("baseline", "num_samples", "expected"),
    [
        (None, 1, 4.38420188e-1),
        (None, 4, 4.38420188e-1 / 4),
        (bernoulli3().f(np.eye(8)).mean(), 1, 4.65e-3),  # the true mean
        (0.7605, 1, 4.65e-3),  # the optimal constant, the same here
        ("optimal_pooled", 2, 7.275e-3),  # of two samples, they are RLOO
        ("optimal", 2, 7.275e-3),
    ],
)
def test_reinforce_has_the_variance_of_the_three_bit_toy(baseline, num_samples, expected):
    d = fg.Categorical(np.zeros((1, 8)))
    run = fg.estimator("reinforce", baseline=baseline)
    z, weight = run.nodes(d, num_samples)
    copies = fg.Categorical(np.zeros((len(weight), 1, 8)))
    table = bernoulli3().f(np.eye(8))
    grad = run.combine(copies, [(z, Values(table[z[..., 0]], None))]).grad[:, 0] @ BITS
    mean = weight @ grad
    assert mean == pytest.approx(-0.045, abs=1e-12)
    assert weight @ (grad - mean) ** 2 == pytest.approx(expected, rel=1e-8)


def test_the_optimal_constant_is_the_minimum_for_each_logit():
    d = problem(fg.Categorical, "plain")
    f = smooth(d)
    z, weight = fg.estimator("reinforce").nodes(d, 1)
    values = f.f(np.eye(3)[z[0]])
    square = d.score(z[0]) ** 2
    best = np.einsum("c,c,cij->ij", weight, values, square) / np.einsum("c,cij->ij", weight, square)
    least = moments(fg.estimator("reinforce", baseline=best[0, 0]), f, d, 1)[1][0, 0]
    for step in (-0.1, 0.1):
        run = fg.estimator("reinforce", baseline=best[0, 0] + step)
        assert moments(run, f, d, 1)[1][0, 0] > least


# -- what it computes ----------------------------------------------------------------------------


def _weights(f, score, baseline):
    """What multiplies the scores (S, *batch, K), by definition, f (S, *batch, 1)."""
    others = ~np.eye(len(f), dtype=bool)
    if baseline == "optimal":
        square = score**2
    else:
        square = (score**2).sum(axis=(1, 2), keepdims=True)
    c = [(f * square)[o].sum(axis=0) / square[o].sum(axis=0) for o in others]
    return f - np.array(c)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("baseline", ["optimal", "optimal_pooled"])
@pytest.mark.parametrize("num_samples", [2, 3, 8])
def test_optimal_baselines_are_their_definition(baseline, num_samples, dtype):
    d = fg.Categorical(RNG.normal(size=(5, 4)).astype(dtype))
    z = d.sample(num_samples=num_samples, rng=1)
    f = 10 + RNG.normal(size=num_samples)
    score = fg.Categorical(d.logits.astype(float)).score(z)
    weight = _weights(f[:, None, None], score, baseline)
    run = fg.estimator("reinforce", baseline=baseline)
    grad = run.combine(d, [(z, Values(f, None))]).grad
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(grad, (weight * score).mean(axis=0), rtol=0, atol=tolerance)
    assert grad.dtype == dtype


@pytest.mark.parametrize("baseline", ["optimal", "optimal_pooled"])
def test_optimal_baselines_with_credit_are_those_of_each_variable(baseline):
    d = fg.Categorical(RNG.normal(size=(5, 4)))
    z = d.sample(num_samples=6, rng=1)
    credit = RNG.normal(size=z.shape)
    run = fg.estimator("reinforce", baseline=baseline)
    whole = run.combine(d, [(z, Values(credit.sum(axis=1), credit))]).grad
    for i in range(5):
        one = fg.Categorical(d.logits[i])
        alone = run.combine(one, [(z[:, i], Values(credit[:, i], None))]).grad
        np.testing.assert_allclose(whole[i], alone, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (5,), (3, 4), (2, 3, 100)])
@pytest.mark.parametrize("k", [1, 2, 3, 16, 40, 700])
def test_reinforce_is_its_formula(batch, k, dtype):
    d = fg.Categorical(RNG.normal(size=(*batch, k)).astype(dtype))
    z = d.sample(num_samples=6, rng=1)
    score = fg.score(d.logits.astype(float), z)
    for lead in range(len(batch) + 2):  # values of every shape, credit last
        signal = 100 + RNG.normal(size=(6, *batch[:lead]))
        answer = Values(signal, None)
        if lead > len(batch):
            signal = 100 + RNG.normal(size=(6, *batch))
            answer = Values(np.ones(6), signal)
        baseline = 99 + RNG.normal(size=signal.shape[1:])
        weight = signal - baseline
        weight = weight.reshape(*weight.shape, *(1 for _ in range(score.ndim - weight.ndim)))
        run = fg.estimator("reinforce", baseline=lambda d, b=baseline: b)
        estimate = run.combine(d, [(z, answer)])
        tolerance = 1e-4 if dtype == np.float32 else 1e-12
        expected = (weight * score).mean(axis=0)
        np.testing.assert_allclose(estimate.grad, expected, rtol=0, atol=tolerance)
        assert estimate.grad.dtype == estimate.value.dtype == dtype
        assert estimate.evaluations == 6
    binary = fg.Bernoulli(d.logits[..., 0])
    z = binary.sample(num_samples=6, rng=2)
    f = RNG.normal(size=6)
    grad = fg.estimator("reinforce", baseline=0.3).combine(binary, [(z, Values(f, None))]).grad
    score = fg.Bernoulli(d.logits[..., 0].astype(float)).score(z)
    expected = np.tensordot(f - 0.3, score, 1) / 6
    np.testing.assert_allclose(grad, expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("name", BASELINES)
def test_reinforce_draws_have_the_exact_mean(name):
    """A bound of 5.5 standard errors: a false-alarm rate of 4e-8 for each of the 6 numbers."""
    logits = np.tile([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]], (20_000, 1, 1))
    f = smooth(fg.Categorical(logits[0]))
    run = fg.estimator("reinforce", baseline=BASELINES[name])
    grad = run(f, logits, num_samples=3, rng=11).grad
    error = grad.mean(axis=0) - exact.grad(f, logits[0])
    assert (np.abs(error) < 5.5 * grad.std(axis=0) / math.sqrt(len(grad))).all()


def test_credit_is_unbiased():
    """A chain of three variables, f the sum of two terms; each variable is told its own terms."""
    first, second = RNG.normal(size=(2, 3, 3))
    d = fg.Categorical(RNG.normal(size=(3, 3)))

    def terms(z):
        a, b = first[z[..., 0], z[..., 1]], second[z[..., 1], z[..., 2]]
        return a + b, np.stack([a, a + b, b], axis=-1)

    f = fg.objective(index=terms)
    for baseline in (None, "optimal", "optimal_pooled"):
        run = fg.estimator("reinforce", baseline=baseline)
        assert_unbiased(run, f, d, 2)


# -- states ----------------------------------------------------------------------------------------


def test_moving_averages_are_means_of_past_calls():
    values = RNG.normal(size=(5, 3))
    for decay in (0.5, 0.9, 1.0):
        run = fg.estimator("reinforce", baseline=MovingAverage(decay=decay))
        state = None
        for t in range(5):
            f = fg.objective(lambda x, t=t: np.broadcast_to(values[t], (len(x), 3)))
            state = run(f, np.zeros((3, 2, 4)), num_samples=2, rng=t, state=state).state
        weight = decay ** np.arange(4, -1, -1)
        np.testing.assert_allclose(state["mean"], weight @ values / weight.sum(), rtol=1e-12)


@pytest.mark.parametrize("name", ["moving average", "least squares"])
def test_past_calls_leave_the_mean_and_lower_the_variance(name):
    d = problem(fg.Categorical, "plain")
    f, run = smooth(d), fg.estimator("reinforce", baseline=BASELINES[name])
    state = None
    for t in range(100):
        state = run(f, d, num_samples=4, rng=t, state=state).state
    if name == "moving average":  # kept for each example: of the copies, each has its own
        copies = len(run.nodes(d, 1)[1])
        state = {**state, "mean": np.full(copies, state["mean"])}
    after = assert_unbiased(run, f, d, 1, state)
    mean = fg.estimator("reinforce", baseline=float(exact.value(f, d)))
    assert after < 1.2 * variance(mean, f, d, 1) < 0.9 * variance(run, f, d, 1)


def test_least_squares_find_what_depends_on_the_input():
    """f is 3 + 5 x_1 - 2 x_2 of the input x and what is drawn: new inputs are predicted."""
    rng = np.random.default_rng(0)
    state, d = None, fg.Categorical(np.zeros((30, 2, 3)))
    for t in range(40):
        x = rng.normal(size=(30, 2))
        run = fg.estimator("reinforce", baseline=LeastSquares(features=x))
        offset = 3 + x @ [5, -2]
        f = fg.objective(lambda y, offset=offset: offset + y[..., 0].sum(axis=-1))
        last, state = state, run(f, d, num_samples=4, rng=t, state=state).state
    predicted = run.baseline.at(d, (30,), last)
    np.testing.assert_allclose(predicted, offset + 2 / 3, atol=0.1)
    assert set(state) == {"gram", "weight"}
    assert fg.estimator("reinforce", baseline=run.baseline).baseline is run.baseline


def test_a_call_does_not_change_the_state_it_is_given():
    d, f = np.zeros((3, 2)), fg.objective(lambda x: x[..., 0])
    for baseline in ("moving_average", LeastSquares(features=np.ones((3, 1)))):
        run = fg.estimator("reinforce", baseline=baseline)
        state = run(f, d, num_samples=4, rng=0).state
        before = {name: x.copy() for name, x in state.items()}
        a, b = (run(f, d, num_samples=4, rng=1, state=state) for _ in range(2))
        np.testing.assert_array_equal(a.grad, b.grad)
        for name, x in before.items():
            np.testing.assert_array_equal(state[name], x)


# -- blocks, examples, extremes ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BASELINES)
def test_blocks_do_not_change_a_bit(name, dtype):
    logits = RNG.normal(size=(5, 70, 10)).astype(dtype)
    for shape, f in (
        ((5,), lambda x: (x * np.arange(10)).sum(axis=(2, 3))),
        ((5, 70), lambda x: (x[..., 0].sum(axis=2), x[..., 0] / 3)),
    ):
        run = fg.estimator("reinforce", baseline=BASELINES[name])
        if name == "least squares":
            run = fg.estimator("reinforce", baseline=LeastSquares(features=np.ones((*shape, 1))))
        whole = run(f, logits, num_samples=17, rng=4)
        for block_size in (1, 3, 16):
            estimate = run(f, logits, num_samples=17, rng=4, block_size=block_size)
            np.testing.assert_array_equal(estimate.grad, whole.grad)
            np.testing.assert_array_equal(estimate.value, whole.value)
            for key, x in (whole.state or {}).items():
                np.testing.assert_array_equal(estimate.state[key], x)


@pytest.mark.parametrize("name", BASELINES)
def test_examples_do_not_mix(name):
    logits, scale = RNG.normal(size=(4, 6, 3)), np.ones((4, 1, 1))

    def f(x):
        return ((x * scale) ** 2 * [1, 2, 3]).sum(axis=(2, 3))

    run = fg.estimator("reinforce", baseline=BASELINES[name])
    state = run(f, logits, num_samples=5, rng=1).state
    before = run(f, logits, num_samples=5, rng=2, state=state)
    scale[1], logits[1, 2] = 7, [0, 9, 0]
    after = run(f, logits, num_samples=5, rng=2, state=state)
    others = [0, 2, 3]
    np.testing.assert_array_equal(after.grad[others], before.grad[others])
    np.testing.assert_array_equal(after.value[others], before.value[others])
    assert (after.grad[1] != before.grad[1]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("large", [90.0, 1e4, 1e30])
@pytest.mark.parametrize("name", BASELINES)
def test_masks_give_zero_and_extreme_logits_finite_gradients(name, large, dtype):
    logits = np.array([[large, 0, -large], [-large, -large, large], [0.3, -np.inf, 0.1]], dtype)
    logits = np.vstack([logits, np.array([[-np.inf, 2, -np.inf]], dtype)])
    run = fg.estimator("reinforce", baseline=BASELINES[name])
    if name == "least squares":
        run = fg.estimator("reinforce", baseline=LeastSquares(features=np.ones(2)))
    grad = run(lambda x: (x * [1, 2, 3]).sum(axis=(1, 2)), logits, num_samples=5, rng=0).grad
    assert np.isfinite(grad).all()
    assert not grad[np.isinf(logits)].any()
    assert not grad[3].any()
    np.testing.assert_allclose(grad[:2], 0, atol=1e-5)


@pytest.mark.parametrize("baseline", ["optimal", "optimal_pooled"])
def test_rare_outcomes_do_not_spoil_optimal_baselines(baseline):
    """An outcome of probability e**-800 among the samples: its square underflows."""
    for d in (
        fg.Categorical(np.array([[0.0, -800.0, -790.0], [0.0, 0.3, 0.1]])),
        fg.Categorical(np.array([[0.0, -800.0, -790.0]])),
        fg.Bernoulli(np.array([-800.0, 0.1])),
        fg.Bernoulli(np.array([-800.0])),
    ):
        for z in itertools.product([0, 1], repeat=4):
            z = np.array(z, np.int32)[:, None] * np.eye(1, *d.batch_shape, dtype=np.int32)
            run = fg.estimator("reinforce", baseline=baseline)
            grad = run.combine(d, [(z, Values(np.arange(4.0), None))]).grad
            assert (np.abs(grad) < 5).all()


def test_a_constant_f_gives_exactly_zero_about_itself():
    logits = RNG.normal(size=(30, 4)).astype(np.float32)
    for baseline in ("optimal", "optimal_pooled", 0.1):
        run = fg.estimator("reinforce", baseline=baseline)
        assert not run(lambda x: np.full(len(x), 0.1), logits, num_samples=7, rng=0).grad.any()


def test_a_buffer_that_f_returns_twice_is_not_kept():
    buffer = np.empty(2)

    def f(x):
        buffer[:] = x[:, 0, 0]
        return buffer

    for name in BASELINES.values():
        run, logits = fg.estimator("reinforce", baseline=name), np.zeros((2, 3))
        if isinstance(name, LeastSquares):
            run = fg.estimator("reinforce", baseline=LeastSquares(features=np.ones(1)))
        a = run(f, logits, num_samples=6, rng=0, block_size=2)
        b = run(lambda x: x[:, 0, 0], logits, num_samples=6, rng=0)
        np.testing.assert_array_equal(a.grad, b.grad)


def test_optimal_baselines_need_two_samples():
    message = "reinforce needs at least 2 samples, got num_samples=1"
    for baseline in (Optimal(), Optimal(pooled=True)):
        run = fg.estimator("reinforce", baseline=baseline)
        with pytest.raises(ValueError, match=message):
            run(lambda x: x[:, 0], np.zeros(3), num_samples=1, rng=0)
    assert fg.estimator("reinforce").min_samples == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_saturated_logits_keep_their_digits(dtype):
    """Without a baseline nothing cancels 1 - p, which is the sum of the other probabilities."""
    gap = 20.0 if dtype == np.float32 else 42.0
    run, eps = fg.estimator("reinforce", baseline=None), np.finfo(dtype).eps
    values = fg.objective(lambda x: np.arange(1, len(x) + 1, dtype=dtype))
    rest = 2 * np.exp(-gap) / (1 + 2 * np.exp(-gap))
    grad = run(values, np.array([[gap, 0, 0]], dtype), num_samples=4, rng=0).grad
    np.testing.assert_allclose(grad, 2.5 * rest * np.array([[1, -0.5, -0.5]]), rtol=64 * eps)
    rest, bits = np.exp(-gap) / (1 + np.exp(-gap)), fg.Bernoulli(np.array([gap, -gap], dtype))
    grad = run(values, bits, num_samples=4, rng=0).grad
    np.testing.assert_allclose(grad, 2.5 * rest * np.array([1, -1]), rtol=64 * eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_optimal_baselines_of_saturated_logits_keep_their_digits(dtype):
    gap, eps = (20.0 if dtype == np.float32 else 42.0), np.finfo(dtype).eps
    z, x = np.array([0, 0, 1, 0], np.int32)[:, None], np.array([1.0, 2, 4, 7])
    p, rest = np.array([1, np.exp(-gap), np.exp(-gap)]), 2 * np.exp(-gap)  # 1 - p of the first
    p, rest = p / (1 + rest), rest / (1 + rest)
    score = (z == np.arange(3)) - p
    score[z[:, 0] == 0, 0] = rest
    weight = score.sum(0) * 0
    for s in range(4):
        others = np.arange(4) != s
        squares = score[others] ** 2
        weight += (x[s] - (x[others] @ squares) / squares.sum(0)) * score[s] / 4
    f = fg.objective(lambda features: x.astype(dtype))
    for d, i in ((fg.Categorical(np.array([[gap, 0, 0]], dtype)), [0, 1]),):
        run = fg.estimator("reinforce", baseline="optimal")
        grad = run.combine(d, [(z, run.ask(f, d, z))]).grad
        np.testing.assert_allclose(grad[0, i], weight[i], rtol=64 * eps)
