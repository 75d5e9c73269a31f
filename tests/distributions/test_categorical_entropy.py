"""Entropy and divergence against mpmath, near equality and saturated, and their gradients."""

import mpmath as mp
import numpy as np
import pytest
import reference
from strategies import DTYPES

import fastgrad as fg

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
INF = np.inf
RELATIVE = {np.float32: 1e-4, np.float64: 1e-6}
DPS = 120


# -- right values ------------------------------------------------------------------------------


def log_p(x):
    """Log probabilities of one row, by mpmath."""
    with mp.workdps(DPS):
        x = [mp.mpf(float(v)) for v in x]
        normaliser = mp.log(mp.fsum(mp.exp(v) for v in x))
        return [v - normaliser for v in x]


def exact(x, y):
    """Return entropy, divergence, and the gradients of both, by mpmath."""
    with mp.workdps(DPS):
        a, b = log_p(x), log_p(y)
        p, q = [mp.exp(v) for v in a], [mp.exp(v) for v in b]
        entropy = -mp.fsum(u * v for u, v in zip(p, a))
        divergence = mp.fsum(u * (v - w) for u, v, w in zip(p, a, b))
        of_entropy = [-u * (v + entropy) for u, v in zip(p, a)]
        of_p = [u * (v - w - divergence) for u, v, w in zip(p, a, b)]
        of_q = [v - u for u, v in zip(p, q)]
        return (
            float(entropy),
            float(divergence),
            *(np.array([float(g) for g in grad]) for grad in (of_entropy, of_p, of_q)),
        )


def divergence_of_long_rows(x, y):
    """The divergence in long doubles, by the formula that does not cancel."""
    x, y = x.astype(np.longdouble), y.astype(np.longdouble)
    r = x.argmax()
    g = (y - y[r]) - (x - x[r])
    p = np.exp(x - x[r])
    p /= p.sum()
    d = g - np.log1p((p * np.expm1(g)).sum())
    small = abs(d) < 0.01
    s = np.where(small, d, 0)
    series = s * s * (0.5 + s * (1 / np.longdouble(6) + s * (1 / np.longdouble(24) + s / 120)))
    return (p * np.where(small, series, np.expm1(np.where(small, 0, d)) - d)).sum()


def pairs(k, dtype, seed=0):
    """Rows p and q from a rounding apart to far apart, of several spreads and shifts."""
    rng = np.random.default_rng([seed, k])
    eps = np.finfo(dtype).eps
    for spread in (1, 4, 20):
        for step in (100 * eps, 1e-4, 1e-2, 1, 5, 30):
            x = rng.normal(size=k) * spread + rng.choice([0, 50, 300])
            yield x.astype(dtype), (x + rng.normal(size=k) * step).astype(dtype)


def assert_close(got, want, dtype, scale=1.0):
    """Relative to the right value, but for what the type cannot hold."""
    tiny = np.finfo(dtype).tiny
    assert np.all(np.abs(got - want) <= scale * RELATIVE[dtype] * np.abs(want) + tiny), (got, want)


# -- values ------------------------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("k", [2, 3, 8, 40])
def test_divergence_keeps_its_digits(dtype, k):
    for x, y in pairs(k, dtype):
        got = fg.kl_divergence(x, y)
        assert got >= 0
        assert got.dtype == dtype
        assert_close(got, exact(x, y)[1], dtype)


@by_dtype
@pytest.mark.parametrize("k", [600, 131_072, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_divergence_of_long_rows_keeps_its_digits(dtype, k):
    rng = np.random.default_rng(k)
    for step in (1e-4, 1e-2, 1):
        x = rng.normal(size=k).astype(dtype)
        y = (x + rng.normal(size=k) * step).astype(dtype)
        assert_close(fg.kl_divergence(x, y), divergence_of_long_rows(x, y), dtype)


@by_dtype
def test_values_of_the_literature_of_long_rows(dtype):
    """Closed forms: log K, and log((K - 1 + e) / K) - 1 / K for one logit moved by 1."""
    k = 1_000_000
    x, y = np.zeros(k, dtype), np.eye(1, k, dtype=dtype)[0]
    assert fg.entropy(x) == pytest.approx(np.log(k), rel=1e-6)
    with mp.workdps(DPS):
        want = float(mp.log((k - 1 + mp.e) / k) - mp.mpf(1) / k)
    assert_close(fg.kl_divergence(x, y), want, dtype)
    p = 1 / (k - 1 + np.e)
    assert_close(fg.score(y, np.array(1))[2], -p, dtype)


@by_dtype
@pytest.mark.parametrize("gap", [17.0, 20.0, 40.0, 80.0])
@pytest.mark.parametrize("k", [2, 3, 700, 5000])
def test_saturated_rows_keep_their_digits(dtype, gap, k):
    """Also where 1 - p of the likeliest category is below the type's rounding of 1."""
    x = np.zeros(k, dtype)
    top = k - 1
    x[top] = gap
    rest = (k - 1) * mp.exp(-mp.mpf(gap))
    with mp.workdps(DPS):
        of_top, probability = -mp.log1p(rest), rest / (1 + rest)
        entropy = float(mp.log1p(rest) + rest * gap / (1 + rest))
        of_top, probability = float(of_top), float(probability)
    assert_close(fg.log_prob(x, top), of_top, dtype)
    assert_close(fg.log_prob(x, 0), of_top - gap, dtype)
    assert_close(fg.log_softmax(x)[top], of_top, dtype)
    assert_close(fg.score(x, top)[top], probability, dtype)
    assert_close(fg.score(x, top)[0], -probability / (k - 1), dtype)
    assert_close(fg.entropy(x), entropy, dtype)


@by_dtype
def test_divergence_of_equal_rows_is_zero(dtype):
    for k in (2, 7, 600):
        x = np.random.default_rng(k).normal(size=(9, k)).astype(dtype)
        x[::2, 1] = -INF
        assert (fg.kl_divergence(x, x) == 0).all()
        assert all((g == 0).all() for g in fg.kl_divergence_vjp(x, x, np.ones(9)))


@by_dtype
def test_divergence_of_masks(dtype):
    """inf where q masks what p allows, be it p's likeliest; 0 p is nothing, at any q."""
    p = np.array([[0, 1, -INF], [0, -INF, 1], [-INF, 0, -INF], [0, 0, 0]], dtype)
    q = np.array([[0, 1, 5], [0, 0, -INF], [3, 0, 3], [0, -INF, 0]], dtype)
    got = fg.kl_divergence(p, q)
    assert np.array_equal(np.isinf(got), [False, True, False, True])
    assert_close(got[0], np.log((1 + np.e + np.exp(5)) / (1 + np.e)), dtype)
    assert_close(got[2], np.log(1 + 2 * np.exp(3)), dtype)


# -- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 5, 600])
def test_gradients_are_those_of_the_oracle(k):
    """Differences of the oracle's functions."""
    rng = np.random.default_rng(k)
    x, y, w = rng.normal(size=(3, k)), rng.normal(size=(3, k)), rng.normal(size=3)
    entropy, (by_p, by_q) = fg.entropy_vjp(x, w), fg.kl_divergence_vjp(x, y, w)
    for row, (p, q) in enumerate(zip(x, y)):
        for got, function, at in (
            (entropy, reference.entropy, p),
            (by_p, lambda a, q=q: reference.kl_divergence(a, q), p),
            (by_q, lambda a, p=p: reference.kl_divergence(p, a), q),
        ):
            want = w[row] * reference.gradient(function, at)
            np.testing.assert_allclose(got[row], want, atol=1e-8)


@by_dtype
@pytest.mark.parametrize("k", [2, 3, 40])
def test_gradients_keep_their_digits(dtype, k):
    """Relative to the largest entry of each, near equality and at saturation."""
    for x, y in pairs(k, dtype):
        _, _, of_entropy, of_p, of_q = exact(x, y)
        got = (fg.entropy_vjp(x, 1.0), *fg.kl_divergence_vjp(x, y, 1.0))
        for g, want in zip(got, (of_entropy, of_p, of_q)):
            assert g.dtype == dtype
            error = np.abs(g - want).max()
            assert error <= RELATIVE[dtype] * np.abs(want).max() + 40 * np.finfo(dtype).tiny


@by_dtype
def test_gradients_at_saturation(dtype):
    """Two categories 20 and 40 apart: -t p (1 - p), p (1 - p) (t - u) and q - p, by mpmath."""
    for t, u in ((20, 19), (40, 39), (40, -40), (-20, 20)):
        x, y = np.array([t, 0], dtype), np.array([u, 0], dtype)
        _, _, of_entropy, of_p, of_q = exact(x, y)
        assert_close(fg.entropy_vjp(x, 1.0), of_entropy, dtype)
        of_both = fg.kl_divergence_vjp(x, y, 1.0)
        assert_close(of_both[0], of_p, dtype)
        assert_close(of_both[1], of_q, dtype)


@by_dtype
def test_gradients_of_masks(dtype):
    """0 at masks, as if the category did not exist; infinite divergences only with weight 0."""
    x, y = np.array([[0, -INF, 1.0]], dtype), np.array([[0.5, -INF, 0]], dtype)
    keep = [0, 2]
    for few, many in (
        (fg.entropy_vjp(x[:, keep], [2.0]), fg.entropy_vjp(x, [2.0])),
        *zip(fg.kl_divergence_vjp(x[:, keep], y[:, keep], [2]), fg.kl_divergence_vjp(x, y, [2])),
    ):
        assert np.array_equal(many[:, keep], few)
        assert many[0, 1] == 0
    p_grad, q_grad = fg.kl_divergence_vjp(x, np.zeros((1, 3), dtype), [1.0])
    assert p_grad[0, 1] == 0
    assert q_grad[0, 1] == pytest.approx(1 / 3)
    p, q = np.zeros((2, 3), dtype), np.array([[0, 0, 0], [-INF, 0, 0]], dtype)
    with pytest.raises(ValueError, match=r"q_logits masks .* row \(1,\)"):
        fg.kl_divergence_vjp(p, q, np.ones(2))
    assert all((g == 0).all() for g in fg.kl_divergence_vjp(p, q, np.array([1, 0])))


# -- shapes and types --------------------------------------------------------------------------


def test_divergence_broadcasts_and_promotes():
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(4, 1, 5)), rng.normal(size=(3, 5)).astype(np.float32)
    whole = [np.ascontiguousarray(np.broadcast_to(x, (4, 3, 5)), np.float64) for x in (p, q)]
    got = fg.kl_divergence(p, q)
    assert got.shape == (4, 3)
    assert got.dtype == np.float64
    assert np.array_equal(got, fg.kl_divergence(*whole))
    w = rng.normal(size=(4, 3))
    p_grad, q_grad = fg.kl_divergence_vjp(p, q, w)
    assert (p_grad.shape, p_grad.dtype) == (p.shape, p.dtype)
    assert (q_grad.shape, q_grad.dtype) == (q.shape, q.dtype)
    full = fg.kl_divergence_vjp(*whole, w)
    np.testing.assert_allclose(p_grad, full[0].sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(q_grad, full[1].sum(axis=0), rtol=1e-6)
    assert fg.kl_divergence(np.zeros(3, "f4"), np.zeros((2, 3), "f4")).dtype == np.float32


def test_what_does_not_fit_is_refused():
    x = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"q_logits must .* categories .* 3, got 1"):
        fg.kl_divergence(x, np.zeros((4, 1)))
    with pytest.raises(ValueError, match=r"q_logits must .* broadcasts .* \(4, 3\), got \(2, 3\)"):
        fg.kl_divergence(x, np.zeros((2, 3)))
    for call in (
        lambda w: fg.entropy_vjp(x, w),
        lambda w: fg.kl_divergence_vjp(x, x, w),
    ):
        for w in (np.zeros(3), 1.0, np.zeros((1, 4)), "a"):
            with pytest.raises((ValueError, TypeError), match="cotangent"):
                call(w)
    assert fg.entropy_vjp(np.zeros((0, 3)), np.zeros(0)).shape == (0, 3)
    assert fg.kl_divergence_vjp(np.zeros((0, 3)), np.zeros(3), np.zeros(0))[1].shape == (3,)


@by_dtype
def test_chunks_and_threads_give_the_same_bits(dtype):
    rng = np.random.default_rng(1)
    for k in (5, 700):
        x, y = rng.normal(size=(2, 60_000 // k, k)).astype(dtype)
        w = rng.normal(size=len(x)).astype(dtype)
        many = (fg.entropy_vjp(x, w), *fg.kl_divergence_vjp(x, y, w), fg.kl_divergence(x, y))
        for i in (0, 17):
            one = slice(i, i + 1)
            few = fg.kl_divergence_vjp(x[one], y[one], w[one])
            few = (fg.entropy_vjp(x[one], w[one]), *few, fg.kl_divergence(x[one], y[one]))
            assert all(np.array_equal(a[one], b) for a, b in zip(many, few))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(70, 3), (3, 700)])
@pytest.mark.parametrize("row", [0, -1])
@pytest.mark.parametrize("name", ["p_logits", "q_logits"])
def test_invalid_logits_are_seen_wherever_they_are(name, row, shape, dtype):
    """Their sums are NaN: there is no pass over the logits that looks for them."""
    fine = np.zeros(shape, dtype)
    for value, words in ((np.nan, "nan"), (INF, "inf"), (-INF, "-inf")):
        for k in (0, shape[1] - 1, slice(None)):
            x = fine.copy()
            x[row, k] = value
            if value == -INF and k != slice(None):
                continue
            pair = {"p_logits": fine, "q_logits": fine, name: x}
            with pytest.raises(ValueError, match=rf"{name} .*{words}"):
                fg.kl_divergence(**pair)
            with pytest.raises(ValueError, match=rf"{name} .*{words}"):
                fg.kl_divergence_vjp(**pair, cotangent=np.zeros(shape[0]))


def test_an_empty_batch_has_no_divergence_but_is_checked():
    none, row = np.zeros((0, 3)), np.array([[0, np.nan, 1]])
    assert fg.kl_divergence(none, none).shape == (0,)
    assert [g.shape for g in fg.kl_divergence_vjp(none, none, np.zeros(0))] == [(0, 3), (0, 3)]
    with pytest.raises(ValueError, match="q_logits"):
        fg.kl_divergence(none, row)
