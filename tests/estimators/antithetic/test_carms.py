"""ARSM, DisARM-IW and CARMS: exact moments from all groups, and the law of what is drawn.

DisARM-IW and CARMS have finitely many outcomes, so their means are exact. ARSM's are integrated by
Gauss-Legendre nodes for K = 2, over the triangle of shares for K = 3, and sampled for K = 4 and 5.
That draws follow their law is counted, at fixed seeds, within 5.5 standard errors or all but 4e-8
of a binomial: that is the false-alarm rate of each number compared.
"""

import itertools
import math

import numba
import numpy as np
import pytest
from exact_moments import moments, of_nodes, of_table
from scipy import stats

import fastgrad as fg
from fastgrad import exact
from fastgrad.estimators.antithetic.arsm import Races
from fastgrad.estimators.antithetic.coupled import ascending
from fastgrad.kernels.estimators.antithetic import coupled_sticks
from fastgrad.objectives import Values, objective

RNG = np.random.default_rng(12)
SIGMAS = 5.5
NAMES = ("arsm", "disarm_iw", "carms")


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def logits_of(case, n, k):
    rng = np.random.default_rng([n, k])
    x = rng.normal(size=(n, k))
    if case == "uniform":
        x[:] = 0.3
    if case == "masked":
        x[0, rng.integers(k)] = -np.inf
        x[-1] = np.where(np.arange(k) < 2, x[-1], -np.inf)
    if case == "one possible":
        x[0, 1:] = -np.inf
    if case == "rare":
        x[:, rng.permutation(k)[: max(k - 2, 1)]] = math.log(1e-6)
    if case == "very rare":
        x[:, 0], x[-1, -1] = math.log(1e-6), math.log(1e-12)
    if case == "near-deterministic":
        x[0, 0], x[-1, -1] = 40, -700
    return x


CASES = ["plain", "uniform", "masked", "one possible", "rare", "very rare", "near-deterministic"]
each_case = pytest.mark.parametrize("case", CASES)

# -- exact means --------------------------------------------------------------------------------


@each_case
@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("name", "options", "n", "num_samples"),
    [
        ("disarm_iw", {}, 2, 2),
        ("disarm_iw", {}, 3, 2),
        ("carms", {}, 2, 2),
        ("carms", {}, 2, 3),
        ("carms", {}, 1, 4),
        ("carms", {"group_size": 2}, 1, 4),
    ],
)
def test_the_mean_is_the_exact_gradient(name, options, n, num_samples, k, case):
    """Relative to each coordinate: that of a rare category counts as much as any other."""
    logits, table = logits_of(case, n, k), RNG.normal(size=(k,) * n)
    if k ** (n * num_samples) * n * num_samples > 2**20:
        n, logits, table = 1, logits[:1], table[(slice(None), *[0] * (n - 1))]
    d = fg.Categorical(logits)
    mean, _ = moments(fg.estimator(name, **options), of_table(table), d, num_samples)
    tiny = 1e-16 if case == "near-deterministic" else 1e-20  # rounding of terms that cancel
    np.testing.assert_allclose(mean, exact.grad(of_table(table), d), rtol=1e-8, atol=tiny)
    assert not mean[np.isneginf(logits)].any()


def triangles(w):
    """Cut the triangle of three shares wherever a swap changes its winner: (T, 3 vertices, 3).

    Two categories i and j finish at once, holding the shares of a and b, where
    share_a w_j = share_b w_i.
    """
    pieces = [np.eye(3)]
    for i, j in itertools.permutations(range(3), 2):
        for a, b in itertools.permutations(range(3), 2):
            side = np.zeros(3)
            side[a], side[b] = w[j], -w[i]
            pieces = [part for piece in pieces for part in cut(piece, side)]
    return np.array([[p[0], p[i], p[i + 1]] for p in pieces for i in range(1, len(p) - 1)])


def cut(polygon, side):
    """Return the parts of a convex polygon on both sides of side @ x = 0."""
    height = polygon @ side
    if (height > -1e-13).all() or (height < 1e-13).all():
        return [polygon]
    parts = []
    for sign in (1, -1):
        part = []
        for i, x in enumerate(polygon):
            y, h, g = polygon[i - 1], sign * height[i], sign * height[i - 1]
            if h * g < 0:
                part.append((x * g - y * h) / (g - h))
            if h >= 0:
                part.append(x)
        parts.append(np.array(part))
    return parts


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("case", ["plain", "uniform", "rare"])
def test_the_mean_of_arsm_is_the_exact_gradient_for_three_categories(case, n):
    """Linear in the shares on each triangle, so its centroid integrates it."""
    logits, table = logits_of(case, n, 3), RNG.normal(size=(3,) * n)
    shares, areas, z = [], [], []
    for w in softmax(logits):
        corners = triangles(w)
        area = np.abs(np.linalg.det(corners))  # twice the area, of a triangle of area 1/2
        shares.append(corners.mean(axis=1))
        areas.append(area)
        z.append((shares[-1] / w).argmin(axis=1))
        assert area.sum() == pytest.approx(1, abs=1e-10)
    index = np.indices([len(a) for a in areas]).reshape(n, -1)
    weights = np.prod([a[i] for a, i in zip(areas, index)], axis=0)
    draws = Races(
        np.stack([a[i] for a, i in zip(z, index)], axis=-1)[None].astype(np.int32),
        np.stack([a[i] for a, i in zip(shares, index)], axis=-2)[None],
    )
    arsm, d = fg.estimator("arsm"), fg.Categorical(logits)
    mean = of_nodes(arsm, of_table(table), d, draws, weights).mean
    np.testing.assert_allclose(mean, exact.grad(of_table(table), d), rtol=0, atol=1e-11)


@pytest.mark.parametrize("case", ["plain", "one possible", "near-deterministic", "rare"])
def test_arsm_of_two_categories_is_arm(case):
    logits, table = logits_of(case, 2, 2), RNG.normal(size=(2, 2))
    d = fg.Categorical(logits)
    mean, covariance = moments(fg.estimator("arsm"), of_table(table), d, 1)
    np.testing.assert_allclose(mean, exact.grad(of_table(table), d), rtol=1e-8, atol=1e-15)
    _, of_arm = moments(fg.estimator("arm"), of_table(table), d, 2)
    np.testing.assert_allclose(covariance, of_arm, atol=1e-14)


def test_arsm_leaves_out_what_is_masked():
    """As if the masked categories were not there; nodes know the case of two that are."""
    logits, table = np.array([[0.3, -np.inf, 1.0], [-1.0, 0.2, -np.inf]]), RNG.normal(size=(3, 3))
    f, d = of_table(table), fg.Categorical(logits)
    for num_samples in (1, 2):
        mean, _ = moments(fg.estimator("arsm"), f, d, num_samples)
        np.testing.assert_allclose(mean, exact.grad(f, d), atol=1e-14)
    assert fg.estimator("arsm").nodes(fg.Categorical(np.zeros((1, 3))), 1) is None


@pytest.mark.parametrize("case", ["plain", "masked"])
@pytest.mark.parametrize("k", [3, 4, 5])
@pytest.mark.parametrize("name", NAMES)
def test_calls_have_the_exact_mean(name, k, case):
    logits, table, count = logits_of(case, 2, k), RNG.normal(size=(k, k)), 20_000
    num_samples = {"arsm": 1, "disarm_iw": 2, "carms": 3}[name]
    many = fg.Categorical(np.broadcast_to(logits, (count, 2, k)))
    estimate = fg.estimator(name)(of_table(table), many, num_samples=num_samples, rng=1)
    value, grad = exact.value_and_grad(of_table(table), logits)
    error = np.abs(estimate.grad.mean(axis=0) - grad)
    assert (error <= SIGMAS * estimate.grad.std(axis=0) / math.sqrt(count)).all()
    sigma = estimate.value.std() / math.sqrt(count)
    assert abs(estimate.value.mean() - value) < SIGMAS * sigma


@pytest.mark.parametrize("name", ["disarm_iw", "carms"])
def test_nodes_are_refused_where_they_are_too_many(name):
    assert fg.estimator(name).nodes(fg.Categorical(np.zeros((20, 5))), 2) is None
    assert fg.estimator("carms").nodes(fg.Categorical(np.zeros(4)), 30) is None


# -- what they are to each other ----------------------------------------------------------------


def test_carms_of_two_samples_is_disarm_iw():
    d, table = fg.Categorical(logits_of("plain", 2, 4)), RNG.normal(size=(4, 4))
    a = moments(fg.estimator("carms"), of_table(table), d, 2)
    b = moments(fg.estimator("disarm_iw"), of_table(table), d, 2)
    np.testing.assert_array_equal(a[1], b[1])


@pytest.mark.parametrize("n", [2, 3, 5])
def test_carms_of_two_categories_is_arms(n):
    logits = np.array([[0.7, -0.4]])
    f, d = of_table(RNG.normal(size=2)), fg.Categorical(logits)
    _, covariance = moments(fg.estimator("carms"), f, d, n)
    np.testing.assert_allclose(covariance, moments(fg.estimator("arms"), f, d, n)[1], atol=1e-15)


@pytest.mark.parametrize(("name", "n"), [("arsm", 1), ("disarm_iw", 2), ("carms", 3)])
def test_bernoulli_variables_are_two_categories(name, n):
    phi, table = np.array([0.4, -1.1]), RNG.normal(size=(2, 2))
    two = fg.Categorical(np.stack([0 * phi, phi], axis=-1))
    mean, covariance = moments(fg.estimator(name), of_table(table), fg.Bernoulli(phi), n)
    expected, other = moments(fg.estimator(name), of_table(table), two, n)
    np.testing.assert_allclose(mean, expected[:, 1], atol=1e-15)
    np.testing.assert_allclose(covariance, other[1::2, 1::2], atol=1e-15)
    certain = fg.Bernoulli(np.array([np.inf, -0.3]))
    mean, _ = moments(fg.estimator(name), of_table(table), certain, n)
    assert mean[0] == 0
    assert mean[1] == pytest.approx(exact.grad(of_table(table), certain)[1], rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_reweighted_antithetic_samples_beat_as_many_independent_ones(seed, n):
    rng = np.random.default_rng(seed)
    d, f = fg.Categorical(rng.normal(size=(1, 4))), of_table(rng.normal(size=4))
    carms, rloo = (np.trace(moments(fg.estimator(x), f, d, n)[1]) for x in ("carms", "rloo"))
    assert carms < 0.9 * rloo


# -- the law of the draws -----------------------------------------------------------------------


def close(counts, probability, trials):
    """Whether each count lies inside all but 4e-8 of its binomial law."""
    probability = np.clip(probability, 0, 1)
    low = stats.binom.cdf(counts, trials, probability)
    high = stats.binom.sf(np.subtract(counts, 1), trials, probability)
    return (np.minimum(low, high) > 2e-8).all()


def pair_law(logits, n):
    """P(z = a, z' = b) of two of n coupled draws, and its ratio to p_a p_b, from the papers."""
    k, p = len(logits), softmax(logits)
    order = np.argsort(logits, kind="stable")
    law, passed = np.zeros((k, k)), 1.0
    for place, a in enumerate(order):
        left = p[order[place:]].sum()
        stick = p[a] / left if place < k - 1 else 1.0
        both = max(2 * stick ** (1 / (n - 1)) - 1, 0) ** (n - 1) if stick < 1 else 1.0
        for b in order[place + 1 :]:
            law[a, b] = law[b, a] = passed * (stick - both) * p[b] / (left - p[a])
        law[a, a] = passed * both
        passed *= 1 - 2 * stick + both
    return law, np.outer(p, p) / np.where(law > 0, law, np.inf)


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_ratios_are_those_of_the_pair_law(k, n):
    logits = RNG.normal(size=(7, k)) * 2
    d = fg.Categorical(logits)
    ratios = np.empty((7, k))
    rows, order = ascending(d)
    coupled_sticks.pair_ratios(rows, order, n, ratios)
    for row in range(7):
        law, expected = pair_law(logits[row], n)
        assert law.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(law.sum(axis=0), softmax(logits[row]), rtol=1e-12)
        for a, b in itertools.combinations(range(k), 2):
            first = a if logits[row, a] < logits[row, b] else b
            assert ratios[row, first] == pytest.approx(expected[a, b], rel=1e-10)
    if n == 2:
        assert ratios.max() <= 1


@pytest.mark.parametrize("k", [1, 2, 16, 64, 65, 300])
def test_the_order_ascends_and_equal_categories_keep_their_places(k):
    logits = RNG.integers(-3, 4, size=(40, k)) * 0.5
    logits[:, 1:][RNG.random((40, k - 1)) < 0.2] = -np.inf
    rows, order = ascending(fg.Categorical(logits.astype(np.float32)))
    np.testing.assert_array_equal(order, np.argsort(rows, axis=1, kind="stable"))


def test_ratios_are_finite_however_rare_a_category_is():
    logits = np.array([[0.0, -20, -700, -np.inf, -1e4, 0.0], [5.0, -np.inf, *[-np.inf] * 4]])
    for n in (2, 4):
        ratios = np.empty(logits.shape)
        rows, order = ascending(fg.Categorical(logits))
        coupled_sticks.pair_ratios(rows, order, n, ratios)
        assert np.isfinite(ratios).all()
        assert (ratios[0] <= 2).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "n"), [("disarm_iw", 2), ("carms", 2), ("carms", 3)])
def test_groups_have_the_joint_law(name, n, dtype):
    """Counts of all outcomes of a group, of each pair by the formula, and of each sample alone."""
    trials, k = 60_000, 4
    rows = np.array(
        [
            [0.3, -1.0, 0.8, 0.0],
            [0.0, 0.0, 0.0, 0.0],
            [0.0, -np.inf, -5.0, -6.0],
            [-np.inf, 0.0, -np.inf, 0.2],
            [9.0, 0.0, 1.0, -1.0],
        ]
    )
    d = fg.Categorical(np.repeat(rows[:, None], trials, axis=1).astype(dtype))
    which = fg.estimator(name)
    z = which.draw(d, n, fg.Key(4))
    assert z.shape == (n, len(rows), trials)
    for i, logits in enumerate(rows):
        for j in range(n):
            assert close(np.bincount(z[j, i], minlength=k), softmax(logits), trials)
        law, _ = pair_law(logits, n)
        for a, b in itertools.permutations(range(n), 2):
            counts = np.bincount(z[a, i] * k + z[b, i], minlength=k * k).reshape(k, k)
            assert close(counts, law, trials)
        tuples, weights = which.nodes(fg.Categorical(logits), n)
        whole = np.zeros((k,) * n)
        whole[tuple(tuples)] = weights
        code = np.ravel_multi_index(tuple(z[:, i]), whole.shape)
        assert close(np.bincount(code, minlength=k**n), whole.reshape(-1), trials)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 7, 64, 65, 600])
def test_each_sample_has_its_law(name, k):
    """Also for more categories than fit in a tile, and rows that do not fill one."""
    logits = RNG.normal(size=(3, k)) * 2
    d = fg.Categorical(np.repeat(logits[None], 3001, axis=0))
    draws = fg.estimator(name).draw(d, 4, fg.Key(5))
    z = draws.z if isinstance(draws, Races) else draws
    for row in range(3):
        for sample in z:  # those of one group depend on each other
            counts = np.bincount(sample[:, row], minlength=k)
            assert close(counts, softmax(logits[row]), 3001)


def test_rare_categories_keep_their_probability():
    logits = np.array([0.0, math.log(1e-5), math.log(2e-5), 1.0], np.float32)
    d = fg.Categorical(np.repeat(logits[None], 1_000_000, axis=0))
    p = softmax(logits.astype(float))
    for name in NAMES:
        draws = fg.estimator(name).draw(d, 2, fg.Key(6))
        for sample in draws.z if isinstance(draws, Races) else draws:
            assert close(np.bincount(sample, minlength=4), p, len(sample))


# -- formulae -----------------------------------------------------------------------------------


def signals(batch, count):
    """Answers of every shape, with the signal of each variable, (S, *batch)."""
    for lead in range(len(batch) + 1):
        x = 100 + RNG.normal(size=(count, *batch[:lead]))
        spread = x.reshape(*x.shape, *(1 for _ in range(len(batch) - lead)))
        yield Values(x, None), np.broadcast_to(spread, (count, *batch))
    credit = 100 + RNG.normal(size=(count, *batch))
    yield Values(np.arange(float(count)), credit), credit


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (5,), (2, 3, 30)])
@pytest.mark.parametrize("k", [1, 2, 3, 16])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_carms_and_disarm_iw_are_their_formula(n, k, batch, dtype):
    """The sum over pairs of ratio (x - x') (score - score') / 2, the ratio from the pair's law."""
    d = fg.Categorical(RNG.normal(size=(*batch, k)).astype(dtype))
    rows = d.logits.reshape(-1, k).astype(float)
    ratio = np.array([pair_law(row, n)[1] for row in rows])
    z = fg.estimator("carms", group_size=n).draw(d, 6, fg.Key(1))
    for answer, x in signals(batch, 6):
        expected = np.zeros((len(rows), k))
        flat, y = z.reshape(6, -1), x.reshape(6, -1)
        for start in range(0, 6, n):
            for i, j in itertools.combinations(range(start, start + n), 2):
                a, b = flat[i], flat[j]
                each = ratio[np.arange(len(rows)), a, b] * (y[i] - y[j]) / (n * (n - 1))
                each = np.where(a != b, each, 0)[:, None]
                expected += each * (np.eye(k)[a] - np.eye(k)[b]) / (6 // n)
        for name in ("carms", "disarm_iw") if n == 2 else ("carms",):
            options = {"group_size": n} if name == "carms" else {}
            estimate = fg.estimator(name, **options).combine(d, [(z, answer)])
            grad = estimate.grad.reshape(expected.shape)
            np.testing.assert_allclose(
                grad, expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-11
            )
            assert estimate.grad.dtype == estimate.value.dtype == dtype
            np.testing.assert_allclose(estimate.value, answer.value.mean(axis=0), rtol=1e-6)
            assert estimate.evaluations == 6


def swapped_winner(logits, shares, a, b):
    """The winner with the shares of two possible categories swapped; logits and shares (..., K)."""
    possible = np.isfinite(logits[..., a]) & np.isfinite(logits[..., b])
    turned = shares.copy()
    turned[..., [a, b]] = np.where(possible[..., None], shares[..., [b, a]], shares[..., [a, b]])
    with np.errstate(divide="ignore"):
        return (np.log(turned) - logits).argmin(axis=-1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3,), (4, 2), (2, 3, 5), (50, 12)])
def test_arsm_is_its_formula(shape, dtype):
    """f at all swaps of all variables at once; the sum over j, and the mean over m, written out."""
    *batch, k = shape
    logits = RNG.normal(size=shape).astype(dtype)
    if len(batch) > 1:
        logits[0, 0, 1] = -np.inf
    d, arsm = fg.Categorical(logits), fg.estimator("arsm")
    table = RNG.normal(size=shape)
    draws = arsm.draw(d, 3, fg.Key(2))
    plain = logits.astype(float)
    shares = np.where(np.isfinite(plain), draws.shares.astype(float), np.inf)
    np.testing.assert_allclose(draws.shares.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(draws.z, swapped_winner(plain, shares, 0, 0))

    def credit(z):
        return np.sin(np.take_along_axis(table[None] + 0 * z[..., None], z[..., None], axis=-1))[
            ..., 0
        ]

    for lead in range(len(batch) + 1):

        def f(z, lead=lead):
            each = credit(z)
            value = each.sum(axis=tuple(range(lead + 1, each.ndim)))
            return (value, each) if lead == len(batch) else value

        value, evaluations = np.zeros(()), 0
        of = np.zeros((k, k, 3, *batch))  # f_cj, for each variable
        plain_z = swapped_winner(plain, shares, 0, 0)
        for a, b in itertools.product(range(k), repeat=2):
            z = swapped_winner(plain, shares, a, b)
            got = f(z)[0] if lead == len(batch) else f(z)
            of[a, b] = got.reshape(*got.shape, *(1 for _ in range(z.ndim - got.ndim)))
            if a < b or a == b == 0:
                value = value + got
            if a < b:
                evaluations += (z != plain_z).reshape(3, -1).any(axis=1).sum()
        expected = np.zeros(shape)
        for index in np.ndindex(*batch):
            allowed = np.flatnonzero(np.isfinite(plain[index]))
            for s in range(3):
                local = of[(slice(None), slice(None), s, *index)][np.ix_(allowed, allowed)]
                share = shares[(s, *index)][allowed]
                weight = (local - local.mean(axis=0)) * (1 / len(allowed) - share)
                expected[index][allowed] += weight.sum(axis=1) / 3
        estimate = arsm.combine(d, [(draws, arsm.ask(objective(index=f), d, draws))])
        tolerance = 2e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(estimate.grad, expected, rtol=0, atol=tolerance)
        mean = value.mean(axis=0) / (1 + k * (k - 1) / 2)
        np.testing.assert_allclose(estimate.value, mean, rtol=1e-5, atol=1e-12)
        assert estimate.evaluations == 3 + evaluations
        assert estimate.grad.dtype == estimate.value.dtype == dtype


def test_arsm_counts_what_it_asks():
    seen = []

    def f(x):
        seen.append(len(x))
        return x[:, :, 0].sum(axis=1)

    for block_size in (None, 1, 3):
        seen.clear()
        logits = np.array([[0.1, 2.0, -1.0, 0.0], [3.0, 0, 0, 0]])
        estimate = fg.estimator("arsm")(f, logits, num_samples=8, rng=0, block_size=block_size)
        assert estimate.evaluations == sum(seen)
        assert max(seen) <= (block_size or 8)
        assert 8 < estimate.evaluations < 8 * 7
    certain = fg.estimator("arsm")(f, np.array([[100.0, 0, 0]] * 2), num_samples=5, rng=0)
    assert certain.evaluations == 5


def test_credit_is_unbiased():
    """A chain of three variables, f the sum of two terms; each variable is told its own terms."""
    first, second = RNG.normal(size=(2, 3, 3))
    d = fg.Categorical(RNG.normal(size=(3, 3)))

    def terms(z):
        a, b = first[z[..., 0], z[..., 1]], second[z[..., 1], z[..., 2]]
        return a + b, np.stack([a, a + b, b], axis=-1)

    expected = exact.grad(objective(index=terms), d)
    for name in ("disarm_iw", "carms"):
        mean, covariance = moments(fg.estimator(name), objective(index=terms), d, 2)
        np.testing.assert_allclose(mean, expected, atol=1e-13)
        alone = moments(fg.estimator(name), objective(index=lambda z: terms(z)[0]), d, 2)[1]
        ends = [0, 1, 2, 6, 7, 8]
        assert np.diag(covariance)[ends].sum() < np.diag(alone)[ends].sum()
    logits = np.where(np.arange(3) < 2, d.logits, -np.inf)  # for ARSM, exact with two categories
    mean, _ = moments(fg.estimator("arsm"), objective(index=terms), fg.Categorical(logits), 1)
    np.testing.assert_allclose(mean, exact.grad(objective(index=terms), logits), atol=1e-13)


# -- calls --------------------------------------------------------------------------------------

PROBLEMS = {
    "whole": lambda x: (x * np.arange(x.shape[-1])).sum(axis=(1, 2, 3)),
    "examples": lambda x: (x * np.arange(x.shape[-1])).sum(axis=(2, 3)),
    "credit": lambda x: (x[..., 0].sum(axis=(1, 2)), x[..., 0].astype(np.float64) / 3),
}
RUNS = [("arsm", {}), ("disarm_iw", {}), ("carms", {"group_size": 3}), ("carms", {})]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(("name", "options"), RUNS)
def test_neither_blocks_nor_threads_change_a_bit(name, options, problem, dtype):
    logits = RNG.normal(size=(5, 90, 6)).astype(dtype)
    run, f = fg.estimator(name, **options), PROBLEMS[problem]
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    whole = run(f, logits, num_samples=12, rng=4)
    for block_size, threads in ((1, 2), (2, 1), (5, 2), (7, 1), (12, 1), (100, 2)):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        estimate = run(f, logits, num_samples=12, rng=4, block_size=block_size)
        np.testing.assert_array_equal(estimate.grad, whole.grad)
        np.testing.assert_array_equal(estimate.value, whole.value)
        assert estimate.evaluations == whole.evaluations


@pytest.mark.parametrize("name", NAMES)
def test_examples_do_not_mix(name):
    logits, scale = RNG.normal(size=(4, 6, 3)), np.ones((4, 1, 1))
    run = fg.estimator(name)

    def f(x):
        return ((x * scale) ** 2 * [1, 2, 3]).sum(axis=(2, 3))

    before = run(f, logits, num_samples=4, rng=2)
    assert before.value.shape == (4,)
    scale[1], logits[1, 2] = 7, [0, 9, 0]
    after = run(f, logits, num_samples=4, rng=2)
    others = [0, 2, 3]
    np.testing.assert_array_equal(after.grad[others], before.grad[others])
    np.testing.assert_array_equal(after.value[others], before.value[others])
    assert (after.grad[1] != before.grad[1]).any()
    assert after.value[1] != before.value[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_f_and_masks_give_exactly_zero(name, dtype):
    run, logits = fg.estimator(name), RNG.normal(size=(30, 4)).astype(dtype)
    estimate = run(lambda x: np.full(len(x), 0.1), logits, num_samples=6, rng=0)
    assert not estimate.grad.any()
    assert estimate.value == dtype(0.1)
    logits[:, 2], logits[3, :3] = -np.inf, -np.inf
    grad = run(lambda x: (x * [1, 2, 3, 4]).sum(axis=(1, 2)), logits, num_samples=6, rng=0).grad
    assert np.isfinite(grad).all()
    assert grad.any()
    assert not grad[np.isinf(logits)].any()
    assert not grad[3].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("large", [90.0, 1e4, 1e30])
@pytest.mark.parametrize("name", NAMES)
def test_near_deterministic_logits_give_finite_gradients(name, large, dtype):
    logits = np.array([[large, 0.0, -large], [-large, -large, large]], dtype)
    grad = fg.estimator(name)(lambda x: x[..., 0].sum(axis=1), logits, num_samples=6, rng=0).grad
    np.testing.assert_allclose(grad, 0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_strides_single_rows_and_empty_batches(name):
    logits, run = RNG.normal(size=(5, 7, 6)), fg.estimator(name)
    view = logits[::2, ::-1, ::3]
    a = run(PROBLEMS["whole"], view, num_samples=4, rng=0)
    b = run(PROBLEMS["whole"], view.copy(), num_samples=4, rng=0)
    np.testing.assert_array_equal(a.grad, b.grad)
    assert run(lambda x: x[:, 0], np.zeros(3, np.float32), num_samples=2, rng=0).grad.shape == (3,)
    empty = run(lambda x: np.ones(len(x)), np.zeros((0, 3)), num_samples=2, rng=0)
    assert empty.grad.shape == (0, 3)
    alone = run(lambda x: x[:, 0, 0], np.zeros((2, 1)), num_samples=2, rng=0)
    assert not alone.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_read_only(name):
    draws = fg.estimator(name).draw(fg.Categorical(np.zeros((4, 3))), 4, fg.Key(0))
    for array in draws if isinstance(draws, Races) else (draws,):
        assert not array.flags.writeable


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_refused(name):
    run, logits = fg.estimator(name), np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"leading part of \(S, \*batch\)"):
        run(lambda x: x[:, :, :2].sum(axis=2)[:, :2], logits, num_samples=2, rng=0)

    def nan_in_sample_5(x):
        return np.where(np.arange(len(x)) == 5, np.nan, 0.0)

    with pytest.raises(ValueError, match="got nan for sample 5"):
        run(nan_in_sample_5, logits, num_samples=8, rng=0)


def test_samples_come_in_whole_groups():
    f, logits = (lambda x: x[:, 0, 0]), np.zeros((4, 3))
    with pytest.raises(ValueError, match="a multiple of 2, got 5"):
        fg.estimator("disarm_iw")(f, logits, num_samples=5, rng=0)
    with pytest.raises(ValueError, match="a multiple of 4, got 6"):
        fg.estimator("carms", group_size=4)(f, logits, num_samples=6, rng=0)
    for name in ("disarm_iw", "carms"):
        with pytest.raises(ValueError, match=f"{name} needs at least 2 samples, got num_samples=1"):
            fg.estimator(name)(f, logits, num_samples=1, rng=0)
    with pytest.raises(ValueError, match="group_size must be at least 2, got 0"):
        fg.estimator("carms", group_size=0)
    with pytest.raises(TypeError, match="arsm has no option 'group_size'"):
        fg.estimator("arsm", group_size=4)
