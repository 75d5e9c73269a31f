"""Gumbel-Rao: the products draw by draw against the reference noise, the law by quadrature.

Where a test draws, its seed is fixed and its bound is 5.5 standard errors (a false-alarm rate of
4e-8 for each number compared).
"""

import itertools
import sys

import numpy as np
import pytest
import reference

import fastgrad as fg
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators import estimator
from fastgrad.objectives import objective, separable

RNG = np.random.default_rng(13)
SIGMAS = 5.5
NAMES = ["gumbel_rao", "reinmax_rao"]


def product(p, w):
    """J(p) w."""
    return p * (w - (p * w).sum(axis=-1, keepdims=True))


def conditional_product(logits, z, w, time, noise, temperature):
    """J(y) w / temperature, y the relaxation of the logits perturbed given the outcome z."""
    with np.errstate(divide="ignore"):
        y = reference.relaxed(reference.conditional(logits, z, time, noise), temperature)
    return product(y, w) / temperature


def half_way(logits, z):
    """log((p + D) / 2)."""
    with np.errstate(divide="ignore"):
        return np.log((reference.softmax(logits) + reference.one_hot(z, logits.shape[-1])) / 2)


# -- draw by draw ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "k"), [(7, 1), (70, 2), (41, 16), (5, 65), (2, 700)])
@pytest.mark.parametrize("inner", [1, 3])
def test_products_are_means_over_inner_draws(inner, n, k, dtype):
    samples, offset, temperature, key = 4, 5, 0.6, fg.Key(3)
    logits = RNG.normal(size=(n, k), scale=2).astype(dtype)
    if k > 2:
        logits[:, 1] = -np.inf
    d, w = Categorical(logits), RNG.normal(size=(samples, n, k)).astype(dtype)
    wide = logits.astype(np.longdouble)
    options = {"temperature": temperature, "inner_samples": inner}
    for name in NAMES:
        run = estimator(name, **options)
        draws = run.draw(d, samples, key, offset=offset)
        np.testing.assert_array_equal(
            draws.z, d.sample(num_samples=samples, rng=key, sample_offset=offset)
        )
        noise = reference.exponential_noise(
            (samples * inner, n, k),
            key.words,
            8 * np.dtype(dtype).itemsize,
            reference.CONDITIONAL,
            sample_offset=offset * inner,
        ).reshape(samples, inner, n, k)
        expected = np.zeros((n, k))
        for i, j in np.ndindex(samples, inner):
            z = draws.z[i]
            time, fresh = reference.independent_noise(z, noise[i, j])
            base = wide if name == "gumbel_rao" else half_way(wide, z)
            term = conditional_product(base, z, w[i], time, fresh, temperature)
            if name == "reinmax_rao":
                term = 2 * term - product(reference.softmax(wide), w[i]) / 2
            expected += term.astype(float) / (samples * inner)
        grad = run.combine(d, [(draws, (np.zeros(samples), w))]).grad
        assert grad.dtype == dtype
        np.testing.assert_allclose(grad, expected, rtol=0, atol=60 * np.finfo(dtype).eps)
        assert not grad[np.isinf(logits)].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 70, 3000])
@pytest.mark.parametrize("inner", [1, 3])
def test_products_of_sites_are_means_over_inner_draws(inner, n, dtype):
    """The pair (0, logit) given x: the winner's time is 1, the loser's noise v / (1 - v)."""
    samples, offset, temperature, key = 3, 2, 0.6, fg.Key(4)
    logits, w = RNG.normal(size=n).astype(dtype), RNG.normal(size=(samples, n)).astype(dtype)
    width = 8 * np.dtype(dtype).itemsize
    two = np.stack([np.zeros(n), logits], axis=-1)
    for name in NAMES:
        run = estimator(name, temperature=temperature, inner_samples=inner)
        draws = run.draw(Bernoulli(logits), samples, key, offset=offset)
        expected = np.zeros(n)
        for i, j in np.ndindex(samples, inner):
            number = np.full(n, (offset + i) * inner + j)
            bits = reference.random_bits(
                key.words,
                reference.flat_address(np.arange(n)),
                number,
                reference.CONDITIONAL,
                width,
            )
            odds = np.exp(reference.variates("logistic", bits, width))
            z = draws.z[i]
            base = two if name == "gumbel_rao" else half_way(two, z)
            noise, wide = np.stack([odds, odds], axis=-1), np.stack([0 * w[i], w[i]], axis=-1)
            term = conditional_product(base, z, wide, np.ones(n), noise, temperature)
            if name == "reinmax_rao":
                term = 2 * term - product(reference.softmax(two), wide) / 2
            expected += term[:, 1].astype(float) / (samples * inner)
        grad = run.combine(Bernoulli(logits), [(draws, (np.zeros(samples), w))]).grad
        np.testing.assert_allclose(grad, expected, rtol=0, atol=60 * np.finfo(dtype).eps)


def test_inner_draws_are_fresh():
    """No two of all inner draws of all samples share their noise, nor with the outcomes'."""
    key, d = fg.Key(1), Categorical(np.zeros((40, 3)))
    hot = np.zeros((1, 40, 3))
    hot[..., 0] = 1
    run = estimator("gumbel_rao", inner_samples=1)
    seen = set()
    for number in range(12):
        draws = run.draw(d, 1, key, offset=number)
        draws = draws._replace(z=np.zeros((1, 40), np.int32))
        seen |= set(run.combine(d, [(draws, (np.zeros(1), hot))]).grad[:, 0].tolist())
    assert len(seen) == 12 * 40
    many = estimator("gumbel_rao", inner_samples=12)
    draws = many.draw(d, 1, key)._replace(z=np.zeros((1, 40), np.int32))
    once = sum(
        run.combine(d, [(draws._replace(offset=j), (np.zeros(1), hot))]).grad for j in range(12)
    )
    mean = many.combine(d, [(draws, (np.zeros(1), hot))]).grad
    np.testing.assert_allclose(mean, once / 12, rtol=0, atol=1e-14)


# -- the law ---------------------------------------------------------------------------------------


def given(x, phi, temperature, rarity=1.0, n=400):
    """Mean and mean square of y (1 - y) / temperature given the bit x, by Gauss-Legendre in v.

    The winner is ahead by log1p(rarity v / (1 - v) / r), r the loser's probability; panels halve
    towards v = 0 and v = 1, where that is steep.
    """
    loser = 1 / (1 + np.exp(phi if x else -phi))
    halves = 0.5 ** np.arange(1, 60)
    edges = np.concatenate([[0], halves[::-1], 1 - halves[1:], [1]])
    node, weight = np.polynomial.legendre.leggauss(n // 10)
    half = np.diff(edges)[:, None] / 2
    v = (edges[:-1, None] + half * (1 + node)).ravel()
    ahead = np.log1p(rarity * v / np.maximum(1 - v, 1e-300) / loser)
    e = np.exp(-ahead / temperature)
    slope = e / (1 + e) ** 2 / temperature
    weight = (half * weight).ravel()
    return weight @ slope, weight @ slope**2


@pytest.mark.parametrize("phi", [-2.0, 0.0, 0.7])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 4.0])
def test_noise_given_the_outcome_has_the_law_of_st_gumbel(temperature, phi):
    """First and second moments of the slope, for both outcomes: so the means agree for any f."""
    run, d = estimator("st_gumbel", temperature=temperature), Bernoulli(np.array(phi))
    (x, y), weights = run.nodes(d, 1)
    slope = (y * (1 - y) / temperature)[0]
    for bit in (0, 1):
        p = weights[x[0] == bit].sum()
        assert p == pytest.approx(1 / (1 + np.exp(-phi if bit else phi)), abs=1e-12)
        mean, square = given(bit, phi, temperature)
        assert weights[x[0] == bit] @ slope[x[0] == bit] / p == pytest.approx(mean, abs=1e-9)
        assert weights[x[0] == bit] @ slope[x[0] == bit] ** 2 / p == pytest.approx(square, abs=1e-8)


TABLE = {  # temperature: mean, variance of the mean given the outcome, mean variance given it
    0.1: (0.024799, 0.061499, 0.357373),
    0.5: (0.021460, 0.046054, 0.031880),
    1.0: (0.016667, 0.027778, 0.005611),
}


@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
@pytest.mark.parametrize("temperature", TABLE)
def test_mean_for_any_inner_draws_and_variance_linear_in_their_inverse(temperature, kind):
    """f = (x - 0.45)**2 of one fair bit; 40,000 examples."""
    examples, (mean, outer, inner) = 40_000, TABLE[temperature]
    if kind is Bernoulli:
        d = Bernoulli(np.zeros(examples))
        f = objective(lambda x: (x - 0.45) ** 2, grad=lambda x: 2 * (x - 0.45))
    else:
        d = Categorical(np.zeros((examples, 2)))
        grad = separable([0.45, 0.0], weights=[1.0, 0.0]).grad
        f = objective(lambda x: (x[..., 0] - 0.45) ** 2, grad=grad)
    for inner_samples in (1, 2, 10, 100):
        run = estimator("gumbel_rao", temperature=temperature, inner_samples=inner_samples)
        drawn = run(f, d, num_samples=1, rng=17).grad.reshape(examples, -1)[:, 0]
        variance = outer + inner / inner_samples
        squares = (drawn - mean) ** 2
        assert abs(drawn.mean() - mean) < SIGMAS * np.sqrt(variance / examples) + 5e-7
        assert abs(squares.mean() - variance) < SIGMAS * squares.std() / np.sqrt(examples) + 1e-6


def test_mean_is_that_of_st_gumbel_with_more_categories():
    """Four categories, three variables that f mixes; 40,000 examples of each."""
    examples, weights = 40_000, RNG.normal(size=(3, 4))
    logits = np.broadcast_to(RNG.normal(size=(3, 4)), (examples, 3, 4))

    def grad(x):
        return weights * (1 + x) * (1 + x[..., :1, :1])

    f = objective(lambda x: np.zeros(x.shape[:2]), grad=grad)
    drawn = [
        estimator(name, temperature=0.5, **options)(f, logits, num_samples=1, rng=19).grad
        for name, options in (
            ("st_gumbel", {}),
            ("gumbel_rao", {}),
            ("gumbel_rao", {"inner_samples": 1}),
        )
    ]
    for a, b in itertools.combinations(drawn, 2):
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / examples)
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < SIGMAS * error).all()
    assert drawn[1].var(axis=0).sum() < 0.8 * drawn[0].var(axis=0).sum()


@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_reinmax_rao_has_its_mean(temperature, kind):
    """One bit with logit 0.7: 2 E[y (1 - y)] / temperature - p (1 - p) / 2 times w at both ends."""
    phi, examples = 0.7, 40_000
    p = 1 / (1 + np.exp(-phi))
    mean = sum(
        chance * w * (2 * given(x, phi, temperature, rarity=2.0)[0] - p * (1 - p) / 2)
        for x, chance, w in ((0, 1 - p, -0.9), (1, p, 1.1))
    )
    if kind is Bernoulli:
        d = Bernoulli(np.full(examples, phi))
        f = objective(lambda x: (x - 0.45) ** 2, grad=lambda x: 2 * (x - 0.45))
    else:
        d = Categorical(np.tile([phi, 0.0], (examples, 1)))
        grad = separable([0.45, 0.0], weights=[1.0, 0.0]).grad
        f = objective(lambda x: (x[..., 0] - 0.45) ** 2, grad=grad)
    run = estimator("reinmax_rao", temperature=temperature, inner_samples=3)
    drawn = run(f, d, num_samples=1, rng=23).grad.reshape(examples, -1)[:, 0]
    assert abs(drawn.mean() - mean) < SIGMAS * drawn.std() / np.sqrt(examples)


# -- calls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_there_are_no_nodes(name):
    assert estimator(name).nodes(Bernoulli(np.zeros(1)), 1) is None


def test_memory_does_not_grow_with_inner_samples():
    """A stored float32 for each inner draw of each category would take 1.6 GB."""
    resource = pytest.importorskip("resource")
    logits = np.zeros((2000, 50), np.float32)
    f = objective(lambda x: x[:, 0, 0], grad=lambda x: x)
    run = estimator("gumbel_rao", inner_samples=1000)
    estimator("gumbel_rao", inner_samples=1)(f, logits, num_samples=4, rng=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(f, logits, num_samples=4, rng=0)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 2**10
    assert (after - before) * unit < 2**26


def test_errors():
    with pytest.raises(ValueError, match="inner_samples must be at least 1, got 0"):
        estimator("gumbel_rao", inner_samples=0)
    with pytest.raises(TypeError, match=r"inner_samples must be an integer, got 2\.5"):
        estimator("reinmax_rao", inner_samples=2.5)
    with pytest.raises(TypeError, match="gumbel_rao needs the gradient of f at relaxed points"):
        estimator("gumbel_rao")(lambda x: x[:, 0], np.zeros(3), num_samples=2, rng=0)
    f = objective(lambda x: x[:, 0], grad=lambda x: x)
    with pytest.raises(
        ValueError, match=r"num_samples times inner_samples must be at most 2\*\*32"
    ):
        estimator("gumbel_rao", inner_samples=2**31)(f, np.zeros(3), num_samples=3, rng=0)
