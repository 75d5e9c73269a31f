"""Entropy and divergence of Bernoulli variables against mpmath, and their gradients."""

import mpmath as mp
import numpy as np
import pytest
from strategies import DTYPES

import fastgrad as fg

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
INF = np.inf
RELATIVE = {np.float32: 1e-5, np.float64: 1e-12}
VALUES = (0, 1e-3, 0.3, 1, 2.5, 8, 17, 39, 40, 80)
STEPS = (0, 1e-6, 1e-4, 1e-2, 0.5, 1, 3, 20, 60)


def exact(t, u):
    """Return entropy, divergence and the gradients of both at logits t and u."""
    with mp.workdps(150):
        t, u = mp.mpf(float(t)), mp.mpf(float(u))

        def log_sigmoid(x):
            return -mp.log1p(mp.exp(-x))

        p, q, rest = (mp.exp(log_sigmoid(x)) for x in (t, u, -t))
        entropy = -p * log_sigmoid(t) - rest * log_sigmoid(-t)
        divergence = p * (log_sigmoid(t) - log_sigmoid(u))
        divergence += rest * (log_sigmoid(-t) - log_sigmoid(-u))
        spread = p * rest
        return [float(v) for v in (entropy, divergence, -t * spread, spread * (t - u), q - p)]


@by_dtype
def test_values_and_gradients_keep_their_digits(dtype):
    """From equal logits to far ones, from even to saturated, of both signs."""
    pairs = [
        (s * t, s * t + r * h) for t in VALUES for h in STEPS for s in (1, -1) for r in (1, -1)
    ]
    t, u = np.array(pairs, dtype).T
    want = np.array([exact(*pair) for pair in zip(t, u)]).T
    one = np.ones_like(t)
    got = [fg.bernoulli.entropy(t), fg.bernoulli.kl_divergence(t, u)]
    got += [fg.bernoulli.entropy_vjp(t, one), *fg.bernoulli.kl_divergence_vjp(t, u, one)]
    assert (got[1] >= 0).all()
    assert (got[1][t == u] == 0).all()
    for g, w in zip(got, want):
        assert g.dtype == dtype
        np.testing.assert_allclose(g, w, rtol=RELATIVE[dtype], atol=2 * np.finfo(dtype).tiny)


def test_values_of_the_list():
    assert fg.bernoulli.kl_divergence(np.float32(1), np.float32(1.0001)) == pytest.approx(
        exact(np.float32(1), np.float32(1.0001))[1], rel=1e-6
    )
    assert fg.bernoulli.kl_divergence(40.0, 39.0) == pytest.approx(3.05e-18, rel=1e-2)


@by_dtype
def test_infinite_logits(dtype):
    """Certain outcomes: 0 where p and q agree, -log q of the outcome, inf where q excludes it."""
    t = np.array([INF, -INF, INF, -INF, INF, 0, 1], dtype)
    u = np.array([INF, -INF, 1, 2, -INF, INF, -INF], dtype)
    want = [0, 0, np.log1p(np.exp(-1)), np.log1p(np.exp(2)), INF, INF, INF]
    np.testing.assert_allclose(fg.bernoulli.kl_divergence(t, u), want, rtol=1e-6)
    assert (fg.bernoulli.entropy_vjp(t[:5], np.ones(5)) == 0).all()
    w = np.array([1, 1, 1, 1, 0, 0, 0], dtype)
    p_grad, q_grad = fg.bernoulli.kl_divergence_vjp(t, u, w)
    assert (p_grad == 0).all()
    want = [0, 0, -1 / (1 + np.exp(1)), 1 / (1 + np.exp(-2)), 0, 0, 0]
    np.testing.assert_allclose(q_grad, want, rtol=1e-6)
    w[5] = 1
    with pytest.raises(ValueError, match=r"q_logits excludes .* row \(5,\)"):
        fg.bernoulli.kl_divergence_vjp(t, u, w)


def test_shapes_broadcast_and_types_promote():
    p, q = np.linspace(-1, 1, 4)[:, None], np.linspace(0, 2, 3).astype(np.float32)
    got = fg.bernoulli.kl_divergence(p, q)
    assert (got.shape, got.dtype) == ((4, 3), np.float64)
    w = np.ones((4, 3))
    p_grad, q_grad = fg.bernoulli.kl_divergence_vjp(p, q, w)
    assert (p_grad.shape, q_grad.shape, q_grad.dtype) == ((4, 1), (3,), np.float32)
    whole = np.broadcast_arrays(p, q.astype(np.float64))
    full = fg.bernoulli.kl_divergence_vjp(*whole, w)
    np.testing.assert_allclose(p_grad[:, 0], full[0].sum(axis=1))
    np.testing.assert_allclose(q_grad, full[1].sum(axis=0), rtol=1e-6)
    with pytest.raises(ValueError, match="q_logits must have a shape that broadcasts"):
        fg.bernoulli.kl_divergence(np.zeros(3), np.zeros(2))
    for call in (fg.bernoulli.entropy_vjp, lambda x, w: fg.bernoulli.kl_divergence_vjp(x, x, w)):
        with pytest.raises(ValueError, match="cotangent"):
            call(np.zeros(3), np.zeros(2))


@by_dtype
def test_it_is_the_divergence_of_two_categories(dtype):
    rng = np.random.default_rng(0)
    t, u = rng.normal(size=(2, 50)).astype(dtype) * 4
    p, q = (np.stack([x, np.zeros_like(x)], axis=-1) for x in (t, u))
    eps = 40 * np.finfo(dtype).eps
    close = np.testing.assert_allclose
    close(fg.bernoulli.kl_divergence(t, u), fg.kl_divergence(p, q), rtol=eps)
    w = rng.normal(size=50).astype(dtype)
    for a, b in zip(fg.bernoulli.kl_divergence_vjp(t, u, w), fg.kl_divergence_vjp(p, q, w)):
        close(a, b[:, 0], rtol=eps, atol=eps)
    close(fg.bernoulli.entropy_vjp(t, w), fg.entropy_vjp(p, w)[:, 0], rtol=eps, atol=eps)
