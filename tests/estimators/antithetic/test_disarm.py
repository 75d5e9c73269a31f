"""ARM, DisARM and ARMS: exact moments from all pairs and groups, and the law of what is drawn.

`nodes` gives every outcome a group may have with its probability, and for ARM Gauss-Legendre nodes
of the uniform; with them means and variances are exact. That draws follow that law is counted, at
fixed seeds, within 5.5 standard errors: a false-alarm rate of 4e-8 for each number compared.
"""

import itertools
import math

import numba
import numpy as np
import pytest
from exact_moments import copies, moments, of_table
from scipy import stats

import fastgrad as fg
from fastgrad import exact
from fastgrad.estimators.antithetic import joint_distributions
from fastgrad.estimators.antithetic.arm import Pairs
from fastgrad.objectives import Values, objective

RNG = np.random.default_rng(11)
SIGMAS = 5.5
NAMES = ("arm", "disarm", "arms")
LOGITS = {
    "plain": np.array([0.4, -1.3, 2.1]),
    "even": np.zeros(3),
    "rare": np.array([-13.8, 13.8, -30.0]),
    "certain": np.array([np.inf, 0.3, -np.inf]),
    "near-deterministic": np.array([700.0, -0.2, -90.0]),
}


# -- exact means --------------------------------------------------------------------------------

GROUPS = [
    ("arm", {}, 2),
    ("disarm", {}, 2),
    ("arms", {}, 2),
    ("arms", {}, 3),
    ("arms", {}, 5),
    ("disarm", {}, 4),
    ("arms", {"group_size": 3}, 6),
]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("case", LOGITS)
@pytest.mark.parametrize(("name", "options", "num_samples"), GROUPS)
def test_the_mean_is_the_exact_gradient(name, options, num_samples, case, n):
    if n * num_samples > 15:
        n = 2
    table, d = RNG.normal(size=(2,) * n), fg.Bernoulli(LOGITS[case][:n])
    mean, _ = moments(fg.estimator(name, **options), of_table(table), d, num_samples)
    np.testing.assert_allclose(mean, exact.grad(of_table(table), d), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("name", "options", "num_samples"), GROUPS)
def test_two_categories_are_binary(name, options, num_samples):
    """The gradient by the second logit is that by a Bernoulli logit, by the first its opposite."""
    table, which = RNG.normal(size=(2, 2)), fg.estimator(name, **options)
    logits = np.array([[0.3, 1.1], [0.2, -1.0]])
    mean, covariance = moments(which, of_table(table), fg.Categorical(logits), num_samples)
    binary = fg.Bernoulli(logits[:, 1] - logits[:, 0])
    expected, other = moments(which, of_table(table), binary, num_samples)
    np.testing.assert_allclose(mean, np.stack([-expected, expected], axis=1), atol=1e-14)
    np.testing.assert_allclose(np.diag(covariance)[1::2], np.diag(other), atol=1e-14)
    masked = np.array([[0.3, -np.inf], [0.2, -1.0]])
    mean, _ = moments(which, of_table(table), fg.Categorical(masked), num_samples)
    np.testing.assert_allclose(mean, exact.grad(of_table(table), masked), atol=1e-14)
    assert not mean[0].any()


@pytest.mark.parametrize("name", NAMES)
def test_nodes_are_refused_where_they_are_too_many(name):
    assert fg.estimator(name).nodes(fg.Bernoulli(np.zeros(30)), 2) is None
    assert fg.estimator("arms").nodes(fg.Bernoulli(np.zeros(1)), 40) is None


# -- exact variances ----------------------------------------------------------------------------


def one_bit(t):
    return of_table(np.array([t**2, (1 - t) ** 2]))


@pytest.mark.parametrize("t", [0.45, 0.499, 0.49, 0.501, 0.3])
@pytest.mark.parametrize("phi", [0.0, 0.7, -1.2, 3.0, -6.0])
def test_the_variances_of_the_one_bit_toy(t, phi):
    p, delta = 1 / (1 + math.exp(-phi)), 1 - 2 * t
    q, g = max(p, 1 - p), delta * p * (1 - p)
    arm = delta**2 * (2 / 3) * (1 / 8 - (q - 1 / 2) ** 3) - g**2
    disarm = delta**2 * q**2 * (1 - q) * (q - 1 / 2)
    for name, variance in (("arm", arm), ("disarm", disarm), ("arms", disarm)):
        mean, covariance = moments(fg.estimator(name), one_bit(t), fg.Bernoulli([phi]), 2)
        assert mean[0] == pytest.approx(g, rel=1e-12)
        assert covariance[0, 0] == pytest.approx(variance, rel=1e-9, abs=1e-18)


@pytest.mark.parametrize(
    ("t", "variance"),
    [(0.45, 2.083333e-4), (0.499, 8.333333e-8), (0.49, 8.33e-6), (0.501, 8.33e-8)],
)
def test_the_published_variances_at_phi_0(t, variance):
    """REBAR's toy and ARM's: DisARM's variance is zero there."""
    _, arm = moments(fg.estimator("arm"), one_bit(t), fg.Bernoulli([0.0]), 2)
    _, disarm = moments(fg.estimator("disarm"), one_bit(t), fg.Bernoulli([0.0]), 2)
    assert arm[0, 0] == pytest.approx(variance, rel=5e-4)
    assert disarm[0, 0] == pytest.approx(0, abs=1e-30)


def separable_variances(d, p0=0.499):
    a = (1 - 2 * p0) / d
    return {"arm": a**2 * (d / 12 - 1 / 16), "disarm": a**2 * (d - 1) / 16}


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_variances_of_the_separable_toy(d):
    f = fg.objectives.separable(np.full(d, 0.499))
    for name, variance in separable_variances(d).items():
        f_of_examples = objective(lambda x: ((x - 0.499) ** 2).mean(axis=-1))
        mean, covariance = moments(fg.estimator(name), f_of_examples, fg.Bernoulli(np.zeros(d)), 2)
        np.testing.assert_allclose(mean, exact.grad(f, fg.Bernoulli(np.zeros(d))), rtol=1e-9)
        np.testing.assert_allclose(np.diag(covariance), variance, rtol=1e-7, atol=1e-24)


@pytest.mark.parametrize(("name", "variance"), [("arm", 1.66042e-9), ("disarm", 1.24375e-9)])
def test_the_variance_of_the_separable_toy_of_200_variables(name, variance):
    assert separable_variances(200)[name] == pytest.approx(variance, rel=1e-5)
    f = objective(lambda x: ((x - 0.499) ** 2).mean(axis=-1))
    grad = fg.estimator(name)(f, fg.Bernoulli(np.zeros((20_000, 200))), num_samples=2, rng=5).grad
    square = ((grad - 2.5e-6) ** 2).mean(axis=1)  # of independent examples
    error = square.mean() - separable_variances(200)[name]
    assert abs(error) < SIGMAS * square.std() / math.sqrt(len(square))
    assert square.std() / math.sqrt(len(square)) < 0.02 * variance


def test_disarm_is_arm_with_the_uniform_integrated_out():
    """The mean of ARM over all nodes with one pair of outcomes is DisARM at that pair."""
    table, d = RNG.normal(size=(2, 2)), fg.Bernoulli(np.array([0.8, -0.3]))
    arm, disarm = fg.estimator("arm"), fg.estimator("disarm")
    draws, weights = arm.nodes(d, 2)
    many = copies(d, len(weights))
    answers = arm.ask(of_table(table), many, draws)
    given_u = arm.combine(many, [(draws, answers)]).grad
    given_pair = disarm.combine(many, [(draws.z, answers)]).grad
    code = draws.z.transpose(1, 0, 2).reshape(len(weights), -1) @ [8, 4, 2, 1]
    for one in np.unique(code):
        w = weights * (code == one)
        np.testing.assert_allclose(w @ given_u / w.sum(), w @ given_pair / w.sum(), atol=1e-14)


@pytest.mark.parametrize("p", [0.02, 0.1, 0.3, 0.6, 0.9])
def test_four_antithetic_samples_beat_two_pairs_and_independent_ones(p):
    f, d = of_table(np.array([0.3, 1.7])), fg.Bernoulli([math.log(p / (1 - p))])
    joint = moments(fg.estimator("arms"), f, d, 4)[1][0, 0]
    pairs = moments(fg.estimator("arms", group_size=2), f, d, 4)[1][0, 0]
    independent = moments(fg.estimator("rloo"), f, d, 4)[1][0, 0]
    assert joint < 0.97 * min(pairs, independent)


# -- formulae -----------------------------------------------------------------------------------


def overlap(p, n):
    """P(b_1 = b_2 = 1) of ARMS, as its paper has it."""
    if p < 0.5:
        return max(2 * p ** (1 / (n - 1)) - 1, 0) ** (n - 1)
    return 2 * p - 1 + max(2 * (1 - p) ** (1 / (n - 1)) - 1, 0) ** (n - 1)


def signals(batch, count):
    """Answers of every shape, with the signal of each variable, (S, *batch)."""
    for lead in range(len(batch) + 1):
        x = 100 + RNG.normal(size=(count, *batch[:lead]))
        spread = x.reshape(*x.shape, *(1 for _ in range(len(batch) - lead)))
        yield Values(x, None), np.broadcast_to(spread, (count, *batch))
    credit = 100 + RNG.normal(size=(count, *batch))
    yield Values(np.arange(float(count)), credit), credit


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (5,), (3, 4), (2, 3, 100)])
def test_each_is_its_formula(batch, dtype):
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    d = fg.Bernoulli(RNG.normal(size=batch).astype(dtype))
    p = 1 / (1 + np.exp(-d.logits.astype(float)))
    for answer, x in signals(batch, 6):
        draws = fg.estimator("arm").draw(d, 6, fg.Key(1))
        b, twin = draws.z[0::2], draws.z[1::2]
        difference = x[0::2] - x[1::2]
        expected = {
            "arm": (draws, (difference * draws.noise).mean(axis=0)),
            "disarm": (draws.z, (difference * (b - twin) * np.maximum(p, 1 - p) / 2).mean(axis=0)),
        }
        for n in (2, 3, 6):
            j = np.reshape([overlap(q, n) for q in np.ravel(p)], p.shape)
            z, y = (a.reshape(6 // n, n, *batch) for a in (draws.z, x))
            centred = y - y.mean(axis=1, keepdims=True)
            each = (centred * (z - p)).sum(axis=1) / (n - 1) * p * (1 - p) / (p - j)
            expected["arms", n] = (draws.z, each.mean(axis=0))
        for key, (given, grad) in expected.items():
            name, size = key if isinstance(key, tuple) else (key, None)
            which = fg.estimator(name, group_size=size) if size else fg.estimator(name)
            estimate = which.combine(d, [(given, answer)])
            np.testing.assert_allclose(estimate.grad, grad, rtol=0, atol=tolerance)
            assert estimate.grad.dtype == estimate.value.dtype == dtype
            np.testing.assert_allclose(estimate.value, answer.value.mean(axis=0), rtol=1e-6)
            assert estimate.evaluations == 6


def test_credit_is_unbiased():
    """A chain of three variables, f the sum of two terms; each variable is told its own terms."""
    first, second = RNG.normal(size=(2, 2, 2))
    d = fg.Bernoulli(RNG.normal(size=3))

    def terms(z):
        a, b = first[z[..., 0], z[..., 1]], second[z[..., 1], z[..., 2]]
        return a + b, np.stack([a, a + b, b], axis=-1)

    for name, options, num_samples in GROUPS[:5]:
        which = fg.estimator(name, **options)
        mean, covariance = moments(which, objective(index=terms), d, num_samples)
        np.testing.assert_allclose(mean, exact.grad(objective(index=terms), d), atol=1e-13)
        without = moments(which, objective(index=lambda z: terms(z)[0]), d, num_samples)[1]
        assert np.diag(covariance)[[0, 2]].sum() < np.diag(without)[[0, 2]].sum()


# -- the law of the draws -----------------------------------------------------------------------


def close(counts, probability, trials):
    """Whether each count lies inside all but 4e-8 of its binomial law."""
    probability = np.clip(probability, 0, 1)
    low = stats.binom.cdf(counts, trials, probability)
    high = stats.binom.sf(np.subtract(counts, 1), trials, probability)
    return (np.minimum(low, high) > 2e-8).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pairs_share_one_uniform(dtype):
    """The first of a pair is what `sample` draws; b = [u > 1 - p] and b' = [u < p] on each draw."""
    phi = np.array([-4.0, -0.5, 0.0, 0.3, 2.5, np.inf, -np.inf], dtype)
    d = fg.Bernoulli(np.repeat(phi[:, None], 3000, axis=1))
    draws = fg.estimator("arm").draw(d, 20, fg.Key(3))
    np.testing.assert_array_equal(draws.z[::2], d.sample(num_samples=10, rng=fg.Key(3)))
    np.testing.assert_array_equal(draws.z, fg.estimator("disarm").draw(d, 20, fg.Key(3)))
    u, p = draws.noise.astype(float) + 0.5, 1 / (1 + np.exp(-d.logits.astype(float)))
    clear = np.abs(np.abs(draws.noise) - np.abs(p - 0.5)) > 1e-6
    np.testing.assert_array_equal(draws.z[::2][clear], (u > 1 - p)[clear])
    np.testing.assert_array_equal(draws.z[1::2][clear], (u < p)[clear])
    assert clear.mean() > 0.999
    trials = u.size
    for edge in (0.01, 0.25, 0.5, 0.9):
        assert close(np.count_nonzero(u < edge), edge, trials)
    assert abs(draws.noise.mean()) < SIGMAS / math.sqrt(12 * trials)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 3, 4, 7])
def test_groups_have_the_joint_law(n, dtype):
    """Counts of all 2**n outcomes of a group; those of a pair as the paper's formula says."""
    p = np.array([1e-3, 0.05, 0.2, 0.45, 0.5, 0.55, 0.9, 0.999])
    sites = 50_000
    phi = np.log(p / (1 - p))
    d = fg.Bernoulli(np.repeat(phi[:, None], sites, axis=1).astype(dtype))
    z = fg.estimator("arms").draw(d, n, fg.Key(8))
    for i, q in enumerate(p):
        outcome = z[:, i]
        assert close(outcome.sum(axis=1), q, sites)
        for a, b in itertools.combinations(range(n), 2):
            assert close(np.count_nonzero(outcome[a] & outcome[b]), overlap(q, n), sites)
        rarer = outcome if q <= 0.5 else 1 - outcome
        law = joint_distributions.hits(np.array([min(q, 1 - q)]), n)[n, :, 0]
        counts = np.bincount(rarer.sum(axis=0), minlength=n + 1)
        assert close(counts, [math.comb(n, t) * law[t] for t in range(n + 1)], sites)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_the_law_of_hits_is_a_law(n):
    p = np.array([1e-9, 0.01, 0.3, 0.5])
    law = joint_distributions.hits(p, n)
    for m in range(n + 1):
        total = sum(math.comb(m, t) * law[m, t] for t in range(m + 1))
        np.testing.assert_allclose(total, 1, rtol=1e-12)
        mean = sum(t * math.comb(m, t) * law[m, t] for t in range(m + 1))
        np.testing.assert_allclose(mean, m * p, rtol=1e-9)
    np.testing.assert_allclose(law[2, 2], [overlap(q, n) for q in p], atol=1e-15)


def test_rare_outcomes_keep_their_probability():
    """p = 1e-5 in float32: the threshold on a sum of exponentials is as exact as the noise."""
    d = fg.Bernoulli(np.full(2_000_000, math.log(1e-5), np.float32))
    p = 1 / (1 + math.exp(-float(d.logits[0])))
    for name in ("disarm", "arms"):
        z = fg.estimator(name).draw(d, 4, fg.Key(2))
        assert close(z.sum(axis=1), p, d.logits.size)


# -- calls --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_calls_have_the_exact_mean(name):
    phi, table = np.array([0.5, -1.0, 2.0]), RNG.normal(size=(2, 2, 2))
    d = fg.Bernoulli(np.tile(phi, (20_000, 1)))
    estimate = fg.estimator(name)(of_table(table), d, num_samples=4, rng=1)
    value, grad = exact.value_and_grad(of_table(table), fg.Bernoulli(phi))
    error = estimate.grad.mean(axis=0) - grad
    assert (np.abs(error) < SIGMAS * estimate.grad.std(axis=0) / math.sqrt(20_000)).all()
    assert abs(estimate.value.mean() - value) < SIGMAS * estimate.value.std() / math.sqrt(20_000)


PROBLEMS = {
    "whole": lambda x: (x * np.arange(x.shape[-1])).sum(axis=(1, 2)),
    "examples": lambda x: (x * np.arange(x.shape[-1])).sum(axis=2),
    "credit": lambda x: ((x * 3).sum(axis=(1, 2)), x / 3),
}
RUNS = [("arm", {}), ("disarm", {}), ("arms", {"group_size": 6}), ("arms", {})]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(("name", "options"), RUNS)
def test_neither_blocks_nor_threads_change_a_bit(name, options, problem, dtype):
    d = fg.Bernoulli(RNG.normal(size=(5, 1300)).astype(dtype))
    run, f = fg.estimator(name, **options), PROBLEMS[problem]
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    whole = run(f, d, num_samples=24, rng=4)
    assert whole.evaluations == 24
    for block_size, threads in ((1, 2), (2, 1), (7, 2), (13, 1), (24, 1), (100, 2)):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        estimate = run(f, d, num_samples=24, rng=4, block_size=block_size)
        np.testing.assert_array_equal(estimate.grad, whole.grad)
        np.testing.assert_array_equal(estimate.value, whole.value)
        assert estimate.evaluations == 24


@pytest.mark.parametrize(("name", "size"), [("arm", 2), ("disarm", 2), ("arms", 8)])
def test_blocks_are_whole_groups(name, size):
    sizes = []

    def f(x):
        sizes.append(len(x))
        return x[:, 0]

    fg.estimator(name)(f, fg.Bernoulli(np.zeros(3)), num_samples=8, rng=0, block_size=3)
    assert sizes == [size] * (8 // size)


@pytest.mark.parametrize("name", NAMES)
def test_examples_do_not_mix(name):
    phi, scale = RNG.normal(size=(4, 6)), np.ones((4, 1))
    run = fg.estimator(name)

    def f(x):
        return ((x * scale) ** 2 * np.arange(6)).sum(axis=2)

    before = run(f, fg.Bernoulli(phi), num_samples=6, rng=2)
    scale[1], phi[1, 2] = 7, -9
    after = run(f, fg.Bernoulli(phi), num_samples=6, rng=2)
    others = [0, 2, 3]
    np.testing.assert_array_equal(after.grad[others], before.grad[others])
    np.testing.assert_array_equal(after.value[others], before.value[others])
    assert (after.grad[1] != before.grad[1]).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_f_and_certain_outcomes_give_exactly_zero(name, dtype):
    run = fg.estimator(name)
    d = fg.Bernoulli(RNG.normal(size=30).astype(dtype))
    estimate = run(lambda x: np.full(len(x), 0.1), d, num_samples=6, rng=0)
    assert not estimate.grad.any()
    assert estimate.value == dtype(0.1)
    phi = RNG.normal(size=(30, 2)).astype(dtype)
    phi[:, 0] = np.where(np.arange(30) % 2, np.inf, -np.inf)
    grad = run(
        lambda x: np.exp(x.sum(axis=(1, 2)) / 7), fg.Bernoulli(phi), num_samples=6, rng=0
    ).grad
    assert not grad[:, 0].any()
    assert grad[:, 1].any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("large", [90.0, 1e4, 1e30])
def test_near_deterministic_logits_give_finite_gradients(name, dtype, large):
    d = fg.Bernoulli(np.array([large, -large], dtype))
    grad = fg.estimator(name)(lambda x: x.sum(axis=1), d, num_samples=6, rng=0).grad
    np.testing.assert_allclose(grad, 0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_strides_scalars_and_empty_batches(name):
    phi, run = RNG.normal(size=(5, 6)), fg.estimator(name)
    view = phi[::2, ::-3]
    a = run(lambda x: x.sum(axis=(1, 2)), fg.Bernoulli(view), num_samples=4, rng=0)
    b = run(lambda x: x.sum(axis=(1, 2)), fg.Bernoulli(view.copy()), num_samples=4, rng=0)
    np.testing.assert_array_equal(a.grad, b.grad)
    assert run(lambda x: x, fg.Bernoulli(np.float32(0.3)), num_samples=2, rng=0).grad.shape == ()
    empty = run(lambda x: np.ones(len(x)), fg.Bernoulli(np.zeros((0, 3))), num_samples=2, rng=0)
    assert empty.grad.shape == (0, 3)


def test_draws_are_read_only():
    for name in NAMES:
        draws = fg.estimator(name).draw(fg.Bernoulli(np.zeros(3)), 4, fg.Key(0))
        for array in draws if isinstance(draws, Pairs) else (draws,):
            assert not array.flags.writeable


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_refused(name):
    run, d = fg.estimator(name), fg.Bernoulli(np.zeros(3))
    with pytest.raises(ValueError, match=f"{name} is for binary variables, .* got K = 3"):
        run(lambda x: x[:, 0, 0], np.zeros((4, 3)), num_samples=2, rng=0)
    with pytest.raises(ValueError, match=f"{name} needs at least 2 samples, got num_samples=1"):
        run(lambda x: x[:, 0], d, num_samples=1, rng=0)
    with pytest.raises(ValueError, match=r"leading part of \(S, \*batch\)"):
        run(lambda x: x[:, :2], d, num_samples=2, rng=0)

    def nan_in_sample_5(x):
        return np.where(np.arange(len(x)) == 5, np.nan, 0.0)

    with pytest.raises(ValueError, match="got nan for sample 5"):
        run(nan_in_sample_5, d, num_samples=8, rng=0)


def test_samples_come_in_whole_groups():
    d = fg.Bernoulli(np.zeros(3))
    for name in ("arm", "disarm"):
        with pytest.raises(ValueError, match="a multiple of 2, got 5"):
            fg.estimator(name)(lambda x: x[:, 0], d, num_samples=5, rng=0)
    with pytest.raises(ValueError, match="a multiple of 4, got 6"):
        fg.estimator("arms", group_size=4)(lambda x: x[:, 0], d, num_samples=6, rng=0)
    with pytest.raises(ValueError, match="group_size must be at least 2, got 1"):
        fg.estimator("arms", group_size=1)
    with pytest.raises(TypeError, match=r"group_size must be an integer, got 2\.5"):
        fg.estimator("arms", group_size=2.5)
    with pytest.raises(TypeError, match="disarm has no option 'group_size'"):
        fg.estimator("disarm", group_size=4)
