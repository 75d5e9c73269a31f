"""Samples without replacement: weights of sets, draws of them, and the estimators that use them.

Weights are compared with mpmath and with each other; estimators are given every set that can be
drawn, so that their means and variances are exact. The tests that draw have fixed seeds and bounds
of 5.5 standard errors (a false-alarm rate of 4e-8 for each number compared).
"""

import itertools
import math

import numba
import numpy as np
import pytest
from exact_moments import moments, of_table

import fastgrad as fg
from fastgrad import exact
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators import estimator
from fastgrad.estimators.rao_blackwell import weighted
from fastgrad.estimators.rao_blackwell.distinct import First, Outcomes, search
from fastgrad.estimators.rao_blackwell.distinct_nodes import weigh
from fastgrad.kernels.compiler.jit import standalone
from fastgrad.kernels.estimators.rao_blackwell import unordered_set as kernels
from fastgrad.objectives import Values, bernoulli3, objective

RNG = np.random.default_rng(33)
SIGMAS = 5.5
BITS = np.array([0, 1, 1, 2, 1, 2, 2, 3])  # of the outcomes of `bernoulli3`
TOY = objective(index=lambda z: bernoulli3().f(np.eye(8))[z])
NAMES = ("sum_and_sample", "unordered_set", "importance_weighted")


def log_softmax(x):
    return x - np.logaddexp.reduce(x, axis=-1, keepdims=True)


# -- the weights of a set -----------------------------------------------------------------------


recurse = standalone(lambda *args: kernels.recurse(*args))
integrate = standalone(lambda *args: kernels.integrate(*args))


def weights_of(method, log_p, log_q):
    """Log P(S), weights p R (k,) and pairs (k, k), below the diagonal, of one set."""
    k, n = len(log_p), 16
    p, q = np.tile(np.array(log_p)[:, None], (1, n)), np.full(n, max(log_q, kernels.LEAST))
    log_set, weight, pair = np.empty(n), np.empty((k, n)), np.zeros((k, k, n))
    a, b = np.empty((2, k, n))
    if method == "subsets":
        recurse(p, q, np.empty((1 << k, n)), a, b, log_set, weight, pair)
    else:
        integrate(p, q, a, b, log_set, weight, pair)
    for x in (log_set, weight, pair):
        np.testing.assert_array_equal(x, np.repeat(x[..., :1], n, axis=-1))
    return log_set[0], weight[:, 0], pair[..., 0]


def precise_weights(mpmath, log_p, log_q):
    """The same by the definition, over the subsets, with 60 digits."""
    with mpmath.workdps(60):
        k = len(log_p)
        p, q = [mpmath.exp(mpmath.mpf(x)) for x in log_p], mpmath.exp(mpmath.mpf(log_q))
        first = {0: mpmath.mpf(1)}
        for c in range(1, 1 << k):
            members = [s for s in range(k) if c >> s & 1]
            total = q + sum(p[s] for s in members)
            first[c] = sum(p[s] * first[c ^ 1 << s] for s in members) / total
        whole = (1 << k) - 1
        weight = [p[s] * first[whole ^ 1 << s] / first[whole] for s in range(k)]
        pair = [
            [p[s] * p[t] * first[whole ^ 1 << s ^ 1 << t] / first[whole] for t in range(s)]
            for s in range(k)
        ]
        return float(mpmath.log(first[whole])), weight, pair


def random_set(k, scale):
    log_p = log_softmax(RNG.normal(size=k + 3) * scale)
    return log_p[:k].tolist(), float(np.logaddexp.reduce(log_p[k:]))


SETS = {f"{k}, {scale}": random_set(k, scale) for k in (2, 3, 5, 8) for scale in (0, 1, 5, 30, 300)}
SETS |= {
    "one": ([math.log(0.3)], math.log(0.7)),
    "rare": (np.log([0.5, 0.3, 1e-6, 1e-8]).tolist(), math.log(0.2)),
    "rarer": (np.log([0.1, 1e-3, 1e-6, 1e-9]).tolist(), math.log(0.899)),
    "little left": (np.log([0.6, 0.39, 1e-4, 1e-5]).tolist(), math.log(0.00989)),
    "nothing left": (np.log([0.1, 0.2, 0.3, 0.4]).tolist(), -math.inf),
    "all certain but one": ([-1e-12, -30.0, -700.0], -60.0),
    "long sequences": ([-5000.0, -5003.0, -4998.0, -6000.0, -5001.0], 0.0),
}


@pytest.mark.parametrize("case", SETS)
@pytest.mark.parametrize("method", ["subsets", "integral"])
def test_weights_have_full_relative_accuracy(method, case):
    mpmath = pytest.importorskip("mpmath")
    log_p, log_q = SETS[case]
    log_set, weight, pair = weights_of(method, log_p, log_q)
    expected = precise_weights(mpmath, log_p, log_q)
    assert log_set == pytest.approx(expected[0], rel=1e-14, abs=1e-12)
    bound = 1e-14 if method == "subsets" else 2e-13
    for s in range(len(log_p)):
        for got, true in [(weight[s], expected[1][s]), *zip(pair[s], expected[2][s], strict=False)]:
            assert abs(got - true) <= bound * true + 1e-280


@pytest.mark.parametrize("k", [2, 6, kernels.SUBSETS, kernels.SUBSETS + 2])
def test_both_ways_agree(k):
    for scale in (0.1, 2.0, 20.0):
        log_p, log_q = random_set(k, scale)
        a, b = (weights_of(method, log_p, log_q) for method in ("subsets", "integral"))
        assert a[0] == pytest.approx(b[0], rel=1e-13, abs=1e-12)
        np.testing.assert_allclose(a[1], b[1], rtol=2e-13, atol=1e-290)
        np.testing.assert_allclose(a[2], b[2], rtol=2e-13, atol=1e-290)


@pytest.mark.parametrize("log_ratio", [-12.0, -1.0, 0.0, 3.0])
@pytest.mark.parametrize("k", [1, 2, 13, 40, 250])
def test_equal_outcomes_have_equal_weights(k, log_ratio):
    """And the probability of their set is a product: each time, of what has not yet come."""
    ratio = math.exp(log_ratio)
    q = 1 / (1 + k * ratio)
    log_set, weight, pair = weights_of("integral", [math.log(q * ratio)] * k, math.log(q))
    left = ratio * np.arange(1, k + 1)
    assert log_set == pytest.approx(np.log(left / (1 + left)).sum(), rel=1e-13, abs=1e-12)
    np.testing.assert_allclose(weight, 1 / k, rtol=1e-12)
    lower = pair[np.tril_indices(k, -1)]
    if k > 1:  # those with s sum to its weight times 1 - p_s
        np.testing.assert_allclose(lower * (k - 1), (1 - q * ratio) / k, rtol=1e-12)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_weights_are_averages_over_orders(k):
    """R is the share of the orders that begin with s: Kool et al., equations 9 and 13."""
    p = np.exp(log_softmax(RNG.normal(size=k + 2)))
    chance = {}
    for order in itertools.permutations(range(k)):
        gone = np.cumsum([0, *p[list(order)]])[:-1]
        chance[order] = np.prod(p[list(order)] / (1 - gone))
    total = sum(chance.values())
    log_set, weight, pair = weights_of("subsets", np.log(p[:k]).tolist(), np.log(p[k:].sum()))
    assert log_set == pytest.approx(math.log(total), rel=1e-12)
    for s in range(k):
        first = sum(c for order, c in chance.items() if order[0] == s)
        assert weight[s] == pytest.approx(first / total, rel=1e-12)
        for t in range(s):
            # First and second, the second as if drawn from all but the first: p_t, not its share.
            both = sum(c * (1 - p[s]) for order, c in chance.items() if order[:2] == (s, t))
            assert pair[s, t] == pytest.approx(both / total, rel=1e-12)


@pytest.mark.parametrize("k", [4, kernels.SUBSETS + 3])
def test_sets_side_by_side_do_not_mix(k):
    """Nor does it matter for a bit how many there are, and on how many threads."""
    log_p = log_softmax(RNG.normal(size=(300, k + 4)) * RNG.uniform(0, 30, size=(300, 1))).T
    rest, x = np.logaddexp.reduce(log_p[k:], axis=0), RNG.normal(size=(k, 600))
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    whole = weigh(log_p[:k], rest, x)
    numba.set_num_threads(1)
    for part in (slice(0, 1), slice(3, 80), slice(299, 300)):
        both = slice(2 * part.start, 2 * part.stop)
        some = weigh(log_p[:k, part], rest[part], x[:, both])
        np.testing.assert_array_equal(some[0], whole[0][part])
        np.testing.assert_array_equal(some[1], whole[1][:, part])
        np.testing.assert_array_equal(some[2], whole[2][:, both])


# -- the weights of a set by inclusion ------------------------------------------------------------


def by_inclusion(log_p, last, signal, f, baseline, normalized):
    """Mean, weights and coefficients by the formulae of the kernel's head, each sum by itself."""
    q = -np.expm1(-np.exp(np.minimum(log_p - last, 700.0)))
    w, per = np.exp(log_p) / q, signal.shape[1] // log_p.shape[1]
    p, v = np.repeat(np.exp(log_p), per, axis=1), np.repeat(w, per, axis=1)

    def rest(x):
        return np.stack([np.delete(x, s, axis=0).sum(axis=0) for s in range(len(x))])

    b, mean = rest(v * signal) + p * signal, (w * f).sum(axis=0)
    if normalized:
        b, mean = (v * signal).sum(axis=0) / v.sum(axis=0), mean / w.sum(axis=0)
    own = v / (rest(v) + p) if normalized else v
    return mean, w, own * (signal - b * baseline)


@pytest.mark.parametrize("baseline", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_weights_by_inclusion_are_their_formula(baseline, normalized):
    """Of cells of three variables each; the first has no other outcomes: all are certain."""
    rng = np.random.default_rng(34)
    log_p = log_softmax(rng.normal(size=(70, 6)) * rng.uniform(0, 4, size=(70, 1))).T[:4]
    last, f, x = rng.normal(size=70) - 2, rng.normal(size=(4, 70)), rng.normal(size=(4, 210))
    last[0] = -np.inf
    run = estimator("importance_weighted", baseline=baseline, normalized=normalized)
    outcomes = Outcomes(None, log_p, None, last)
    mean, weights, coefficients = by_inclusion(log_p, last, x, f, baseline, normalized)
    found = run._by_inclusion(outcomes, f, x)
    np.testing.assert_allclose(found[0], mean, rtol=1e-12)
    np.testing.assert_allclose(found[1], coefficients, rtol=1e-11, atol=1e-13)
    expected = weights / weights.sum(axis=0) if normalized else weights
    np.testing.assert_allclose(run.weights(outcomes), expected, rtol=1e-12)


# -- drawing distinct outcomes ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "k"), [(1, 5), (70, 2), (300, 16), (3, 700), (2, 5000)])
def test_the_first_outcome_is_that_of_gumbel_sampling(n, k, dtype):
    """For cells of any size: its noise stands where that of `sample` does."""
    d, key = Categorical(RNG.normal(size=(n, k)).astype(dtype)), fg.Key(5)
    expected = d.sample(num_samples=1, rng=key, method="gumbel")[0]
    for cells in {1, n, n // 2 if n % 2 == 0 else n}:
        count = 2 if cells == n else 4
        np.testing.assert_array_equal(search(d, cells, 1, key, who="").z[0], expected)
        np.testing.assert_array_equal(search(d, cells, count, key, who="").z[0], expected)


@pytest.mark.parametrize("random", [True, False])
@pytest.mark.parametrize(("n", "cells", "k"), [(40, 40, 6), (1, 1, 600), (40, 8, 3), (30, 2, 7)])
def test_outcomes_are_distinct_and_know_their_probability(n, cells, k, random):
    logits = RNG.normal(size=(n, k)) * 2
    logits[RNG.uniform(size=logits.shape) < 0.3] = -np.inf
    logits[:, :2] = RNG.normal(size=(n, 2))
    d, count = Categorical(logits), 2
    found = search(d, cells, count + (n > cells) * 5, fg.Key(1) if random else None, who="")
    z = found.z.reshape(len(found.z), cells, -1)
    for cell in range(cells):
        assert len(np.unique(z[:, cell], axis=0)) == len(z)
    log_p = d.log_prob(found.z).reshape(*z.shape).sum(axis=2)
    np.testing.assert_allclose(found.log_p, log_p, rtol=1e-12)
    left = 1 - np.exp(log_p).sum(axis=0)
    np.testing.assert_allclose(np.exp(found.rest), left, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_left_is_known_to_its_own_accuracy(dtype):
    logits = np.array([[0.0, -40.0, -41.0, -80.0], [1.0, 0.0, -30.0, -35.0]], dtype)
    p = np.exp(log_softmax(logits.astype(float)))
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    found = search(Categorical(logits), 2, 2, None, who="")
    np.testing.assert_allclose(np.exp(found.rest), p[:, 2:].sum(axis=1), rtol=tolerance)
    both = search(Categorical(logits), 1, 2, None, who="")
    rest = np.outer(p[0], p[1])
    rest[0, :2] = 0
    np.testing.assert_allclose(np.exp(both.rest), rest.sum(), rtol=tolerance)


@pytest.mark.parametrize(("variables", "k", "count"), [(1, 9, 9), (3, 4, 20), (6, 2, 64)])
def test_by_rank_the_likeliest_come_first(variables, k, count):
    logits = RNG.normal(size=(5, variables, k))
    logits[1, 0, 1] = -np.inf
    count = min(count, k**variables - k ** (variables - 1))
    d = Categorical(logits)
    z = search(d, 5, count, None, who="").z
    for cell in range(5):
        joint = np.array(list(itertools.product(range(k), repeat=variables)))
        log_p = log_softmax(logits[cell])[np.arange(variables), joint].sum(axis=1)
        best = joint[np.argsort(-log_p, kind="stable")[:count]]
        np.testing.assert_array_equal(z[:, cell], best)


def test_ties_go_to_the_lower_category():
    z = search(Categorical(np.zeros((3, 8))), 3, 5, None, who="").z
    np.testing.assert_array_equal(z, np.tile(np.arange(5)[:, None], (1, 3)))
    z = search(Categorical(np.zeros((2, 700))), 2, 5, None, who="").z
    np.testing.assert_array_equal(z, np.tile(np.arange(5)[:, None], (1, 2)))
    z = search(Categorical(np.zeros((3, 2))), 1, 8, None, who="").z
    np.testing.assert_array_equal(z, list(itertools.product(range(2), repeat=3)))


ONE, THREE = RNG.normal(size=(1, 5)), np.array([[0.4, -0.5, -np.inf], [1, 0, 0.3], [0, 0, -3.0]])


@pytest.mark.parametrize(("logits", "count"), [(ONE, 2), (ONE, 3), (THREE, 2)])
def test_random_orders_have_their_probability(logits, count):
    """Plackett-Luce, for one variable and for the joint outcomes of three."""
    n, k, cells = *logits.shape, 60_000
    d = Categorical(np.tile(logits, (cells, 1, 1)))
    z = search(d, cells, count, fg.Key(2), who="").z
    joint = np.array(list(itertools.product(range(k), repeat=n)))
    p = np.exp(log_softmax(logits))[np.arange(n), joint].prod(axis=1)
    code = (z * k ** np.arange(n)[::-1]).sum(axis=2)
    often = np.zeros((len(p),) * count)
    np.add.at(often, tuple(code), 1)
    for order in itertools.permutations(np.flatnonzero(p), count):
        gone = np.cumsum([0, *p[list(order)]])[:-1]
        chance = np.prod(p[list(order)] / (1 - gone))
        error = abs(often[order] - cells * chance)
        assert error < SIGMAS * math.sqrt(cells * chance) + 4
    assert often.sum() == cells


def test_the_threshold_is_the_next_outcome():
    """That of one more draw; -inf where there are no more."""
    d = Categorical(RNG.normal(size=(6, 2, 3)))
    for cells in (12, 6, 1):
        count = 2 if cells == 12 else 4
        more = search(d, cells, count + 1, fg.Key(3), who="")
        spare = search(d, cells, count, fg.Key(3), who="", spare=1)
        np.testing.assert_array_equal(spare.last, more.last)
        np.testing.assert_array_equal(spare.z, more.z[:count])
        np.testing.assert_array_equal(spare.log_p, more.log_p[:count])
    for cells, count in ((12, 3), (6, 9)):
        assert np.isneginf(search(d, cells, count, fg.Key(3), who="", spare=1).last).all()


def test_threads_and_cells_do_not_matter():
    for logits in (RNG.normal(size=(3000, 16)), RNG.normal(size=(600, 5, 7))):
        d, found = Categorical(logits), []
        for threads in (1, 2):
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            found.append(search(d, len(logits), 4, fg.Key(0), who=""))
        for a, b in zip(*found, strict=True):
            np.testing.assert_array_equal(a, b)
        changed = logits.copy()
        changed[7] = 0
        other = search(Categorical(changed), len(logits), 4, fg.Key(0), who="")
        same = np.arange(len(logits)) != 7
        np.testing.assert_array_equal(other.z[:, same], found[0].z[:, same])
        np.testing.assert_array_equal(other.rest[same], found[0].rest[same])


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("kind", [Bernoulli, Categorical])
@pytest.mark.parametrize(("n", "cells"), [(6, 1), (6, 3), (6, 6), (200, 100), (1500, 750)])
def test_weighted_scores_are_their_sum(n, cells, kind, centred):
    for k in (2,) if kind is Bernoulli else (1, 3, 700):
        d = kind(RNG.normal(size=n if kind is Bernoulli else (n, k)))
        z = RNG.integers(k, size=(4, n), dtype=np.int32)
        z[1, ::2] = z[0, ::2]
        weights = RNG.normal(size=(4, cells))
        if centred:
            weights -= weights.mean(axis=0)
        each = np.repeat(weights, n // cells, axis=1)
        score = d.score(z)
        expected = (each.reshape(*z.shape, *(1,) * (score.ndim - 2)) * score).sum(axis=0)
        found = weighted.scores(d, z, weights, centred=centred)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


# -- exact means and variances ------------------------------------------------------------------


LOGITS = {
    "one": np.array([[0.3, -1.0, 0.8, 0.1, -2.0]]),
    "two": np.array([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]]),
    "three": RNG.normal(size=(3, 2)),
    "masked": np.array([[0.3, -np.inf, 0.8], [-np.inf, 0.5, 0.1]]),
    "near-deterministic": np.array([[30.0, 0.0, -2.0], [0.0, -650.0, 2.0]]),
}
UNBIASED = {
    "unordered_set": [{}, {"baseline": False}],
    "sum_and_sample": [
        {},
        {"baseline": None},
        {"summed": 0},
        {"summed": 1},
        {"summed": 1, "baseline": "independent"},
    ],
    "importance_weighted": [{}, {"baseline": False}],
}
UNBIASED = [(name, options) for name, each in UNBIASED.items() for options in each]


@pytest.mark.parametrize("num_samples", [1, 2, 3, 4])
@pytest.mark.parametrize("case", LOGITS)
@pytest.mark.parametrize(("name", "options"), UNBIASED)
def test_the_mean_is_the_exact_gradient(name, options, case, num_samples):
    run, logits = estimator(name, **options), LOGITS[case]
    table = RNG.normal(size=(logits.shape[1],) * len(logits))
    if num_samples < max(run.min_samples, options.get("summed", 0) + 1):
        return
    if name == "importance_weighted" and run.baseline and num_samples < 4:
        assert run.nodes(Categorical(logits), num_samples, examples=()) is None
        return  # its variance is infinite
    if name == "sum_and_sample" and num_samples > 2 and run.baseline == "independent":
        num_samples = 2
    mean, _ = moments(run, of_table(table), Categorical(logits), num_samples, examples=())
    expected = exact.grad(of_table(table), logits)
    np.testing.assert_allclose(mean, expected, rtol=1e-9, atol=1e-12)
    assert not mean[np.isinf(logits)].any()


@pytest.mark.parametrize(("name", "options"), UNBIASED)
def test_a_set_of_everything_is_exact(name, options):
    if "summed" in options or options.get("baseline") == "independent":
        return
    for logits in (LOGITS["one"], LOGITS["three"], LOGITS["masked"]):
        table = RNG.normal(size=(logits.shape[1],) * len(logits))
        outcomes = int(np.prod((logits > -np.inf).sum(axis=1)))
        estimate = estimator(name, **options)(of_table(table), logits, num_samples=outcomes, rng=0)
        value, grad = exact.value_and_grad(of_table(table), logits)
        np.testing.assert_allclose(estimate.grad, grad, rtol=1e-11, atol=1e-14)
        assert estimate.value == pytest.approx(value, rel=1e-12)


BUILT_IN = [6.1125e-3, 2.2625e-3, 1.130833e-3, 6.105e-4, 3.165e-4, 1.291667e-4, 0.0]


@pytest.mark.parametrize(
    ("baseline", "num_samples", "variance"),
    [(False, 2, 1.878944e-1), (False, 4, 6.263146e-2), (False, 7, 8.947351e-3)]
    + [(True, k, v) for k, v in enumerate(BUILT_IN, 2)],
)
def test_unordered_set_has_the_variance_of_the_three_bit_toy(baseline, num_samples, variance):
    run = estimator("unordered_set", baseline=baseline)
    mean, covariance = moments(run, TOY, Categorical(np.zeros(8)), num_samples)
    assert mean @ BITS == pytest.approx(-0.045, abs=1e-12)
    assert BITS @ covariance @ BITS == pytest.approx(variance, rel=3e-7, abs=1e-20)


LIU = {0: 0.012525, 1: 0.007732, 2: 0.006357, 3: 0.005195, 4: 0.003623, 7: 0.000984, 8: 0.000984}


@pytest.mark.parametrize("summed", LIU)
def test_sum_and_sample_has_the_variance_of_the_three_bit_toy(summed):
    """With an independent baseline for each term, of which it is linear: one at a time.

    Var = Var of the mean given the sample + mean of sum over terms of slope**2 Var f.
    """
    samples, table = min(summed + 1, 8), bernoulli3().f(np.eye(8))
    run = estimator("sum_and_sample", summed=summed, baseline="independent")
    d = Categorical(np.zeros((1, 8)))
    top = search(Categorical(np.zeros(8)), 1, summed, None, who="")
    mean, spread = [], []
    for last in [None] if summed == 8 else range(summed, 8):
        z = np.array([*top.z, last][:samples], np.int32)
        outcomes = top._replace(z=z[:, None], others=z[:, None])

        def grad(baselines, outcomes=outcomes, z=z):
            values = Values(np.concatenate([table[z], baselines])[:, None], None)
            return run.combine(d, [(None, (outcomes, values))]).grad[0] @ BITS

        centre = np.full(samples, table.mean())
        mean.append(grad(centre))
        slopes = [grad(centre + np.eye(samples)[i]) - mean[-1] for i in range(samples)]
        spread.append(np.square(slopes).sum() * table.var())
    assert np.mean(mean) == pytest.approx(-0.045, abs=1e-12)
    assert np.var(mean) + np.mean(spread) == pytest.approx(LIU[summed], abs=5.1e-7)


@pytest.mark.parametrize("summed", [0, 1, 2])
def test_nodes_of_independent_baselines_give_the_same(summed):
    run = estimator("sum_and_sample", summed=summed, baseline="independent")
    mean, covariance = moments(run, TOY, Categorical(np.zeros(8)), summed + 1)
    assert mean @ BITS == pytest.approx(-0.045, abs=1e-12)
    assert BITS @ covariance @ BITS == pytest.approx(LIU[summed], abs=5.1e-7)


def test_importance_weights_have_larger_variance_than_their_averages():
    """The unordered set is the mean of importance weighting given the set: Rao-Blackwell."""
    for logits in (np.zeros(8), RNG.normal(size=5)):
        f, d = objective(index=lambda z: np.sin(3.0 * z)), Categorical(logits)
        _, a = moments(estimator("unordered_set", baseline=False), f, d, 4)
        _, b = moments(estimator("importance_weighted", baseline=False), f, d, 4)
        assert (np.diag(b) > np.diag(a)).all()


def test_normalized_weights_are_biased_and_steadier():
    assert not estimator("importance_weighted", normalized=True).unbiased
    f, d = TOY, Categorical(np.zeros(8))
    normalized, covariance = moments(estimator("importance_weighted", normalized=True), f, d, 4)
    _, plain = moments(estimator("importance_weighted"), f, d, 4)
    assert abs(normalized @ BITS + 0.045) > 1e-3
    assert BITS @ covariance @ BITS < 0.1 * (BITS @ plain @ BITS)
    # By its definition, at one set and threshold.
    log_p, k, x = np.log([0.1, 0.3, 0.2]), math.log(0.4), np.array([2.0, -1.0, 0.5])
    p, w = np.exp(log_p), np.exp(log_p) / -np.expm1(-np.exp(log_p - k))
    total = w.sum()
    coefficient = w / (total - w + p) * (x - (w @ x) / total)
    expected = coefficient @ (np.eye(4)[:3] - np.array([*p, 0.4]))
    outcomes = search(Categorical(np.log([*p, 0.4])), 1, 3, None, who="")._replace(
        z=np.arange(3, dtype=np.int32)[:, None], log_p=log_p[:, None], last=np.array([k])
    )
    d = Categorical(np.log([[*p, 0.4]]))
    run = estimator("importance_weighted", normalized=True)
    estimate = run.combine(d, [(None, (outcomes, Values(x[:, None], None)))])
    np.testing.assert_allclose(estimate.grad[0], expected, rtol=1e-12)
    assert estimate.value[0] == pytest.approx((w @ x) / total, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_two_variables(name):
    """Nodes of a minibatch: each example's sets with each of the other's."""
    logits, tables = RNG.normal(size=(2, 2, 2)), RNG.normal(size=(2, 2, 2))

    def index(z):
        return np.stack([t[z[..., b, 0], z[..., b, 1]] for b, t in enumerate(tables)], axis=-1)

    f, run = objective(index=index), estimator(name)
    s = 4 if name == "importance_weighted" else 2
    mean, covariance = moments(run, f, Categorical(logits), s, examples=(2,))
    np.testing.assert_allclose(mean, exact.grad(f, logits), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(covariance[:4, 4:], 0, atol=1e-12)


def test_credit_is_unbiased_and_of_lower_variance():
    first, second = RNG.normal(size=(2, 2, 2))
    logits = RNG.normal(size=(3, 2))

    def terms(z):
        a, b = first[z[..., 0], z[..., 1]], second[z[..., 1], z[..., 2]]
        return a + b, np.stack([a, a + b, b], axis=-1)

    expected = exact.grad(objective(index=terms), logits)
    for name, options in UNBIASED:
        s = 4 if name == "importance_weighted" else 2
        run = estimator(name, **options)
        if run.nodes(Categorical(logits), s, examples=()) is None:
            continue
        credit = moments(run, objective(index=terms), Categorical(logits), s, examples=())
        np.testing.assert_allclose(credit[0], expected, rtol=1e-9, atol=1e-12)
        if name == "unordered_set" and not options:
            whole = objective(index=lambda z: terms(z)[0])
            without = moments(run, whole, Categorical(logits), s, examples=())
            lower, higher = np.diag(credit[1]), np.diag(without[1])
            ends, middle = [0, 1, 4, 5], [2, 3]
            assert lower[ends].sum() < 0.9 * higher[ends].sum()
            np.testing.assert_allclose(lower[middle], higher[middle], rtol=1e-9)


@pytest.mark.parametrize(("name", "options"), UNBIASED)
def test_bernoulli_variables(name, options):
    logits, table = np.array([0.4, -1.2, np.inf]), RNG.normal(size=(2, 2, 2))
    run, d = estimator(name, **options), Bernoulli(logits)
    s = 3 if options == {"summed": 1} else 2
    table[:, :, 0] = np.nan
    expected = exact.grad(of_table(table), d)
    if run.nodes(d, s, examples=()) is not None:
        mean, _ = moments(run, of_table(table), d, s, examples=())
        np.testing.assert_allclose(mean, expected, rtol=1e-9, atol=1e-13)
    grad = run(of_table(table), d, num_samples=s, rng=0).grad
    assert np.isfinite(grad).all()
    assert grad[2] == 0


def test_several_variables_need_examples_to_be_named():
    """What is distinct hangs on f, which `nodes` is not told: no wrong moments."""
    run, d = estimator("unordered_set"), Categorical(np.zeros((2, 3)))
    assert run.nodes(d, 2) is None
    assert run.nodes(Categorical(np.zeros((1, 3))), 2) is not None
    assert run.nodes(Categorical(np.zeros((12, 16))), 2, examples=()) is None
    draws, weights = run.nodes(d, 2, examples=())
    copies = Categorical(np.zeros((len(weights), 2, 3)))
    with pytest.raises(ValueError, match=r"^f has 72 values a sample, not 36$"):
        run.ask(objective(index=lambda z: z * 1.0), copies, draws)


# -- calls --------------------------------------------------------------------------------------


@pytest.mark.parametrize("examples", [True, False])
@pytest.mark.parametrize(("name", "options"), UNBIASED)
def test_draws_have_the_exact_mean(name, options, examples):
    """Cells of one variable, and of two."""
    logits = LOGITS["two"] if not examples else LOGITS["one"]
    table = RNG.normal(size=(logits.shape[1],) * len(logits))
    d = Categorical(np.tile(logits, (20_000, 1, 1)))
    run, s = estimator(name, **options), 3
    if name == "importance_weighted" and run.baseline:
        s = 4  # a finite variance; with few samples more the tails are heavy
    estimate = run(of_table(table), d, num_samples=s, rng=11)
    value, grad = exact.value_and_grad(of_table(table), logits)
    error, deviation = estimate.grad.mean(axis=0) - grad, estimate.grad.std(axis=0)
    assert (np.abs(error) < SIGMAS * deviation / math.sqrt(len(d.logits)) + 1e-12).all()
    error, deviation = estimate.value.mean() - value, estimate.value.std()
    assert abs(error) < SIGMAS * deviation / math.sqrt(len(d.logits))


@pytest.mark.parametrize(("name", "options"), UNBIASED)
def test_f_is_asked_once_at_each_sample(name, options):
    logits, sizes = RNG.normal(size=(4, 2, 5)), []

    def f(x):
        sizes.append(len(x))
        return np.sin(x[..., 0].sum(axis=2) + x[..., 1, 1])

    estimate = estimator(name, **options)(f, logits, num_samples=6, rng=0)
    total = 12 if options.get("baseline") == "independent" else 6
    assert sizes == [1, total - 1]
    assert estimate.evaluations == total
    assert estimate.value.shape == (4,)
    assert estimate.grad.shape == (4, 2, 5)


def test_one_sample_without_a_baseline_is_reinforce():
    logits = RNG.normal(size=(6, 3))
    run = estimator("unordered_set", baseline=False)
    weights = RNG.normal(size=(6, 3))
    f = objective(lambda x: (x * weights).sum(axis=(1, 2)) + 2)
    estimate = run(f, logits, num_samples=1, rng=4)
    z = fg.sample(logits, num_samples=1, rng=4, method="gumbel")
    expected = f.f(np.eye(3)[z])[0] * fg.score(logits, z)[0]
    np.testing.assert_allclose(estimate.grad, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("s", [3, 14])
@pytest.mark.parametrize("name", NAMES)
def test_examples_do_not_mix_nor_threads_matter(name, s, dtype):
    logits, scale = RNG.normal(size=(40, 3, 4)).astype(dtype), np.ones(40)
    weights = RNG.normal(size=(40, 3, 4))

    def f(x):
        return np.sin((x * weights).sum(axis=(2, 3))) * scale

    run = estimator(name)
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    before = run(f, logits, num_samples=s, rng=4)
    assert before.grad.dtype == before.value.dtype == dtype
    numba.set_num_threads(1)
    again = run(f, logits, num_samples=s, rng=4, block_size=2)
    np.testing.assert_array_equal(again.grad, before.grad)
    np.testing.assert_array_equal(again.value, before.value)
    scale[1], logits[1, 2] = 7, [0, 30, 0, -np.inf]
    after = run(f, logits, num_samples=s, rng=4)
    others = np.arange(40) != 1
    np.testing.assert_array_equal(after.grad[others], before.grad[others])
    np.testing.assert_array_equal(after.value[others], before.value[others])
    assert (after.grad[1] != before.grad[1]).any()


def test_a_constant_f_gives_exactly_zero():
    logits = RNG.normal(size=(30, 4)).astype(np.float32)
    for s in (5, 15):
        run = estimator("unordered_set")
        estimate = run(lambda x: np.full(len(x), 0.1), logits, num_samples=s, rng=0)
        assert not estimate.grad.any()
        assert estimate.value == np.float32(0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("large", [90.0, 1e4, 1e30])
@pytest.mark.parametrize(("name", "options"), UNBIASED)
def test_near_deterministic_logits_give_finite_gradients(name, options, large, dtype):
    logits = np.array([[large, 0.0, -large], [-large, -large, large]], dtype)
    for f in (lambda x: x[..., 0].sum(axis=1), lambda x: x[..., 0]):
        for s in (3, 2):
            if s < options.get("summed", 0) + 1:
                continue
            estimate = estimator(name, **options)(f, logits, num_samples=s, rng=0)
            np.testing.assert_allclose(estimate.grad, 0, atol=1e-6)
            assert np.isfinite(estimate.value).all()


def test_masked_categories_get_exactly_zero():
    logits = RNG.normal(size=(30, 4))
    logits[:, 2] = -np.inf
    logits[3, :3] = -np.inf
    for name in NAMES:
        for s in (5, 14):
            run = estimator(name)
            grad = run(lambda x: x[..., 0].sum(axis=1), logits, num_samples=s, rng=0).grad
            assert np.isfinite(grad).all()
            assert not grad[np.isinf(logits)].any()
            assert not grad[3].any()


def test_the_others_hang_on_the_first():
    """What f is asked at before the cells are known is what the whole draw begins with."""
    logits, key = RNG.normal(size=(4, 3, 5)), fg.Key(8)
    for name, options in UNBIASED:
        run, d = estimator(name, **options), Categorical(logits)
        first = run.draw(d, 3, key)
        assert isinstance(first, First)
        for cells in (1, 4, 12):
            z = run.complete(d, cells, first).z
            np.testing.assert_array_equal(z[0], first.z[0])
            assert z.shape == (3, 4, 3)


def f_of_first(x):
    return x[:, 0, 0]


def each(x):
    return x[..., 0]


def nan_in_the_second(x):
    return f_of_first(x) + np.where(np.arange(len(x)) == 1, np.nan, 0)


ERRORS = [
    ("unordered_set", {}, f_of_first, 4, "needs 4 distinct outcomes, but only 3 are possible$"),
    (
        "importance_weighted",
        {},
        each,
        2,
        "2 distinct outcomes, but only 1 are possible in example 0",
    ),
    ("sum_and_sample", {}, each, 3, "sum_and_sample needs 2 distinct outcomes"),
    ("sum_and_sample", {"summed": 3}, f_of_first, 2, "num_samples must be at least the 3 summed"),
    ("sum_and_sample", {"summed": 2}, f_of_first, 2, "num_samples must be above the 2 summed, as "),
    ("unordered_set", {}, f_of_first, 1, "unordered_set needs at least 2 samples"),
    ("unordered_set", {}, lambda x: x, 2, "f must return values whose shape is a leading part"),
    ("unordered_set", {}, nan_in_the_second, 3, "f must be finite, got nan for sample 2"),
]
OPTIONS = [
    ("sum_and_sample", {"summed": -1}, "summed must be at least 0, got -1"),
    ("sum_and_sample", {"baseline": "mean"}, "baseline must be one of 'summed', 'independent', No"),
    ("unordered_set", {"baseline": "x"}, "baseline must be one of True, False, got 'x'"),
    ("importance_weighted", {"normalized": 2}, "normalized must be one of True, False, got 2"),
]


@pytest.mark.parametrize(("name", "options", "f", "num_samples", "message"), ERRORS)
def test_errors(name, options, f, num_samples, message):
    logits = np.array([[0.0, -np.inf, -np.inf], [0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match=message):
        estimator(name, **options)(f, logits, num_samples=num_samples, rng=0)


@pytest.mark.parametrize(("name", "options", "message"), OPTIONS)
def test_options_that_make_no_sense(name, options, message):
    with pytest.raises(ValueError, match=message):
        estimator(name, **options)
