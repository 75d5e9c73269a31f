"""ReinMax with control variates: exact where outcomes are all that is drawn, else by quadrature.

Where a test draws, its seed is fixed and its bound is 5.5 standard errors (a false-alarm rate of
4e-8 for each number compared).
"""

import numpy as np
import pytest
import reference

import fastgrad as fg
from fastgrad.estimators.relaxations.reinmax_cv import half_way
from fastgrad.estimators.relaxations.st_gumbel import STGumbel

RNG = np.random.default_rng(40)
SIGMAS = 5.5
SHAPES = [(2,), (3, 4)]


def problem(shape):
    """A function of one-hot x that is not quadratic, with its gradient, and logits."""
    w = RNG.normal(size=shape)

    def inner(x):
        return (x * w).reshape(len(x), -1).sum(axis=1)

    def grad(x):
        return (3 * inner(x) ** 2 + 20).reshape(-1, *(1,) * len(shape)) * w

    return fg.objective(lambda x: inner(x) ** 3 + 20 * inner(x), grad=grad), RNG.normal(size=shape)


def leave_one_out(**options):
    return fg.estimator("reinmax_cv", control="leave_one_out", **options)


# -- the second control: exact --------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_leave_one_out_has_the_mean_of_reinmax(shape, scale):
    f, logits = problem(shape)
    run = leave_one_out(scale=scale)
    found = fg.moments(run, f, logits, num_samples=2)
    plain = fg.moments("reinmax", f, logits, num_samples=2)
    assert found.exact
    np.testing.assert_allclose(found.mean, plain.mean, rtol=1e-9, atol=1e-12)
    if scale == 0:
        np.testing.assert_allclose(found.variance, plain.variance, rtol=1e-9)
    elif len(shape) > 1:  # one variable of two outcomes says too little
        assert found.variance.sum() < plain.variance.sum()
    bits = fg.Bernoulli(logits[..., 0])
    g = fg.objective(
        lambda x: np.exp(x.reshape(len(x), -1).sum(axis=1)),
        grad=lambda x: np.exp(x.reshape(len(x), -1).sum(axis=1)).reshape(-1, *(1,) * (x.ndim - 1))
        * np.ones_like(x),
    )  # fmt: skip
    found = fg.moments(run, g, bits, num_samples=3)
    plain = fg.moments("reinmax", g, bits, num_samples=3)
    np.testing.assert_allclose(found.mean, plain.mean, rtol=1e-9)


def test_leave_one_out_has_no_variance_where_f_is_linear():
    f = fg.objectives.linear(RNG.normal(size=(2, 4)))
    logits = RNG.normal(size=(2, 4))
    found = leave_one_out()(f, logits, num_samples=3, rng=0)
    np.testing.assert_allclose(found.grad, fg.exact.grad(f, logits), rtol=1e-12)


def test_leave_one_out_is_its_formula():
    _, logits = problem((5,))
    d, p, scale = fg.Categorical(logits), reference.softmax(logits), 0.7
    z = np.array([0, 3, 3, 1], np.int32)
    w = RNG.normal(size=(4, 5))
    run = leave_one_out(scale=scale)
    drawn = run.draw(d, 4, fg.Key(0))._replace(z=z)
    grad = run.combine(d, [(drawn, (np.zeros(4), w))]).grad
    j, expected = np.diag(p) - np.outer(p, p), np.zeros(5)
    for s, k in enumerate(z):
        r = 0.5 * (j + np.outer(np.eye(5)[k] - p, np.eye(5)[k] - p))
        others = (w.sum(axis=0) - w[s]) / 3
        expected += (r @ w[s] - scale * (r - j) @ others) / 4
    np.testing.assert_allclose(grad, expected, rtol=1e-12, atol=1e-14)


# -- the first control ---------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_relaxations_have_the_noise_of_the_outcome(temperature):
    """Raising the logit of the winner by the odds of p' against p, with the same noise."""
    logits = RNG.normal(size=(40, 3))
    d, key = fg.Categorical(logits), fg.Key(5)
    x, y = STGumbel(temperature=temperature).draw(d, 6, key)
    z = x.argmax(axis=-1).astype(np.int32)
    perturbed = np.log(y) * temperature  # logits + G, up to a constant
    p = reference.softmax(logits)
    moved = perturbed + np.log((p + x) / 2) - np.log(p)
    expected = reference.softmax(moved / temperature)
    found = half_way(d, z, np.asarray(x), np.asarray(y), temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-300)
    bits = fg.Bernoulli(logits[:, 0])
    x, y = STGumbel(temperature=temperature).draw(bits, 6, key)
    q = 1 / (1 + np.exp(-logits[:, 0]))
    odds = np.log(y / (1 - y)) * temperature
    moved = odds + np.log((q + x) / (1 - q + 1 - x)) - logits[:, 0]
    found = half_way(bits, x.astype(np.int32), np.asarray(x), np.asarray(y), temperature)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-moved / temperature)), rtol=1e-9)


def ahead(x, phi, rarity, v):
    """Log odds by which the winner x of logit phi is ahead, for uniform v, the losers' rarer."""
    loser = 1 / (1 + np.exp(phi if x else -phi))
    return np.log1p(rarity * v / (1 - v) / loser)


def slope(odds, temperature):
    """y (1 - y) / temperature of the relaxation of these log odds."""
    e = np.exp(-odds / temperature)
    return e / (1 + e) ** 2 / temperature


def panels():
    """Nodes and weights on (0, 1), whose panels halve towards both ends."""
    halves = 0.5 ** np.arange(1, 50)
    edges = np.concatenate([[0], halves[::-1], 1 - halves[1:], [1]])
    node, weight = np.polynomial.legendre.leggauss(40)
    half = np.diff(edges)[:, None] / 2
    v = (edges[:-1, None] + half * (1 + node)).ravel()
    return np.minimum(v, 1 - 1e-15), (half * weight).ravel()


@pytest.mark.parametrize("kind", [fg.Categorical, fg.Bernoulli])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_it_has_its_own_mean(temperature, kind):
    """One bit of logit 0.7: reinmax, and what the control adds, by quadrature.

    Given that x wins, its lead over the loser in logits + G has the law of `ahead` with rarity 1;
    that lead is raised by log((1 + p_x) / p_x) in y. In y' it is that of the logits of p'.
    """
    phi, examples, scale, (v, weight) = 0.7, 40_000, 1.5, panels()
    p = 1 / (1 + np.exp(-phi))
    mean = 0.0
    for x, chance, w in ((0, 1 - p, -0.9), (1, p, 1.1)):
        raised = ahead(x, phi, 1.0, v) + np.log((1 + chance) / chance)
        given = ahead(x, phi, 2.0, v)
        change = weight @ (slope(given, temperature) - slope(raised, temperature))
        r = 0.5 * (p * (1 - p) + (x - p) ** 2)
        mean += chance * w * (r + scale * change)
    if kind is fg.Bernoulli:
        d = fg.Bernoulli(np.full(examples, phi))
        f = fg.objective(lambda x: (x - 0.45) ** 2, grad=lambda x: 2 * (x - 0.45))
    else:
        d = fg.Categorical(np.tile([phi, 0.0], (examples, 1)))
        grad = fg.objectives.separable([0.45, 0.0], weights=[1.0, 0.0]).grad
        f = fg.objective(lambda x: (x[..., 0] - 0.45) ** 2, grad=grad)
    options = {"temperature": temperature, "scale": scale, "inner_samples": 2}
    run = fg.estimator("reinmax_cv", **options)
    drawn = run(f, d, num_samples=1, rng=23).grad.reshape(examples, -1)[:, 0]
    assert abs(drawn.mean() - mean) < SIGMAS * drawn.std() / np.sqrt(examples)


def test_without_weight_it_is_reinmax():
    _, logits = problem((3, 4))
    run = fg.estimator("reinmax_cv", scale=0.0)
    d = fg.Categorical(logits)
    draws = run.draw(d, 6, fg.Key(1))
    w = RNG.normal(size=(6, 3, 4))
    plain = fg.estimator("reinmax").combine(d, [(draws.z, (np.zeros(6), w))])
    found = run.combine(d, [(draws, (np.zeros(6), w))])
    np.testing.assert_allclose(found.grad, plain.grad, rtol=1e-12, atol=1e-15)


def test_errors():
    with pytest.raises(
        ValueError, match="control must be one of 'gumbel', 'leave_one_out', got 'rao'"
    ):
        fg.estimator("reinmax_cv", control="rao")
    with pytest.raises(ValueError, match="scale must be a finite number, at least 0, got -1"):
        fg.estimator("reinmax_cv", scale=-1)
    f, logits = problem((3, 4))
    with pytest.raises(ValueError, match="reinmax_cv needs at least 2 samples"):
        leave_one_out()(f, logits, num_samples=1, rng=0)
    many = fg.estimator("reinmax_cv", inner_samples=2**31)
    with pytest.raises(
        ValueError, match=r"num_samples times inner_samples must be at most 2\*\*32"
    ):
        many(f, logits, num_samples=3, rng=0)
