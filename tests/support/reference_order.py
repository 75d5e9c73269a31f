"""Slow float64 twins of fastgrad.order and fastgrad.sparse, from their definitions."""

import numpy as np
from scipy import optimize


def jacobian(function, x, step=1e-6):
    """Jacobian [..., j] of a function of a vector, by central differences."""
    columns = []
    for j in range(x.size):
        up, down = x.copy(), x.copy()
        up[j] += step
        down[j] -= step
        columns.append((function(up) - function(down)) / (up[j] - down[j]))
    return np.stack(columns, axis=-1)


# -- sparse maps -------------------------------------------------------------------------------


def entmax(t, alpha):
    """alpha-entmax of rows, by bisection of the threshold down to neighbouring numbers."""
    a, t = alpha - 1, t.astype(np.float64)
    t = t - t.max(axis=-1, keepdims=True)
    if a == 0:
        e = np.exp(t)
        return e / e.sum(axis=-1, keepdims=True)
    low, high = np.full((*t.shape[:-1], 1), -1.0), np.zeros((*t.shape[:-1], 1))
    for _ in range(200):
        middle = (low + high) / 2
        if ((middle == low) | (middle == high)).all():
            break
        enough = (np.maximum(a * t - middle, 0) ** (1 / a)).sum(axis=-1, keepdims=True) >= 1
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    p = np.maximum(a * t - low, 0) ** (1 / a)
    return p / p.sum(axis=-1, keepdims=True)


def tsallis(p, alpha):
    """Tsallis' entropy of rows as Peters et al. scale it."""
    if alpha == 1:
        return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=-1)
    return (1 - (p**alpha).sum(axis=-1)) / (alpha * (alpha - 1))


def entmax_loss(x, y, alpha):
    """max over p of <p, x> + H(p), less <y, x> + H(y)."""
    p, x = entmax(x, alpha), np.where(np.isfinite(x), x, 0).astype(np.float64)
    t = x - x.max(-1, keepdims=True)
    return ((p - y) * t).sum(-1) + tsallis(p, alpha) - tsallis(y, alpha)


# -- soft orders of one row without masks ------------------------------------------------------


def laplace(z):
    """Chance that a standard Laplace variable is below z."""
    return 0.5 - np.sign(z) * np.expm1(-np.abs(z)) / 2


def isotonic(s, w, entropic):
    """v that does not increase, nearest to s - w: the least over starts of the most over ends."""
    n = len(s)
    level = np.empty((n, n))
    for a in range(n):  # level[a, b]: of s, less that of w, from a to b
        of_s, of_w = (
            np.logaddexp.accumulate(x[a:])
            if entropic
            else np.cumsum(x[a:]) / np.arange(1, n - a + 1)
            for x in (s, w)
        )
        level[a, a:] = of_s - of_w
    return np.array([min(level[a, i:].max() for a in range(i + 1)) for i in range(n)])


def projected(z, w, entropic):
    """Projection of z onto the permutations of w; entropic: the logarithm of that of exp(z)."""
    order = np.argsort(-z, kind="stable")
    s, w = z[order], -np.sort(-w)
    out = np.empty(len(z))
    with np.errstate(divide="ignore"):
        out[order] = s - isotonic(s, w, entropic)
    return out


def soft_rank(x, method, temperature, descending=False):
    x = -x.astype(np.float64) if descending else x.astype(np.float64)
    n = len(x)
    if method == "laplace":
        f = laplace((x[:, None] - x) / temperature)
        return 0.5 + f.sum(axis=1)
    w = np.arange(1.0, n + 1)
    if method == "entropic":
        return np.exp(projected(x / temperature, np.log(w), True))
    return projected(x / temperature, w, False)


def soft_top_k(x, k, method, temperature):
    x = x.astype(np.float64)
    n = len(x)
    if method == "laplace":
        if k == n:
            return np.ones(n)
        reach = temperature * (5 + np.log(n))
        excess = lambda b: laplace((x - b) / temperature).sum() - k  # noqa: E731
        b = optimize.brentq(excess, x.min() - reach, x.max() + reach, xtol=1e-13, rtol=1e-14)
        return laplace((x - b) / temperature)
    w = (np.arange(n) < k).astype(float)
    if method == "entropic":
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.exp(projected(x / temperature, np.log(w), True))
    return projected(x / temperature, w, False)


def soft_sort(x, method, temperature, descending=False):
    x = x.astype(np.float64)
    n = len(x)
    if method == "laplace":
        reach = temperature * (5 + np.log(n))

        def place(w):
            excess = lambda b: laplace((b - x) / temperature).sum() - w  # noqa: E731
            return optimize.brentq(excess, x.min() - reach, x.max() + reach, xtol=1e-13, rtol=1e-14)

        found = np.array([place(i + 0.5) for i in range(n)])
        return found[::-1] if descending else found
    sign = 1 if descending else -1
    w = np.arange(n, 0.0, -1) / temperature
    return sign * projected(w, sign * x, method == "entropic")
