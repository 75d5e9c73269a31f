"""Logistic noise on sites: z, its sign x, z~ given x, their relaxations and derivatives.

With logit t, p = sigmoid(t) and q = sigmoid(-t), a site's perturbed logit is
z = t + log(u / (1 - u)), u uniform, and its sample is x = [z > 0]. Given x, z~ has the same sign
and |z~| = log1p(v / (1 - v) / r), where r = |x - p| and v is uniform. So the sign is right on every
draw, |z~| keeps its relative precision, and d z~ / dt = (1 - r) (1 - exp(-|z~|)). Coupled noise,
which recovers v from u, gives z~ = z and that same derivative.

Oracle: tests/distributions/test_binary_concrete.py, `conditional_logit`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, shared, wide_vectors
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.random.noise import odds
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp_normal, expm1, log1p, log_normal, previous
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.factors import item
from fastgrad.kernels.tiles.memory import flattened


@inline
def layout(n, offset):
    """Return (blocks, depth): sites are cut into blocks of `depth` rows of the stream."""
    rows = (offset % tile.FOLD + n + tile.FOLD - 1) // tile.FOLD if n else 0
    depth = max(min(rows, tile.TILE // tile.FOLD), 1)
    return (rows + depth - 1) // depth, depth


@inline
def span(b, depth, n, offset):
    """Return (start, head, tail, low): block b's first address, its sites, and its unused lead."""
    row = offset // tile.FOLD + b * depth
    begin = row * tile.FOLD - offset
    head = max(begin, 0)
    return row * (tile.FOLD // 4), head, min(begin + depth * tile.FOLD, n), head - begin


@shared
def fill_odds(w, bits, start, sample, purpose, key):
    """w = u / (1 - u) of one block and sample."""
    wide_vectors()
    fill_bits(bits, start, 1, tile.FOLD // 4, sample, purpose, key)
    high, low = flattened(bits[0]), flattened(bits[-1])
    for c in range(w.size):
        w[c] = odds(high[c], low[c], w)


@shared
def perturb(z, t, w):
    """z = t + log(w)."""
    wide_vectors()
    for c in range(z.size):
        z[c] = t[c] + log_normal(w[c])


@shared
def probabilities(p, q, t):
    """p = sigmoid(t), q = sigmoid(-t)."""
    wide_vectors()
    for c in range(t.size):
        p[c] = exp_normal(-abs(t[c]))
    for c in range(t.size):
        high = like(1, p) / (like(1, p) + p[c])
        low = p[c] * high
        up = t[c] >= like(0, t)
        p[c] = where(up, high, low)
        q[c] = where(up, low, high)


@shared
def condition(m, w, z, t, p, q):
    """m = z~ given the sign of z, w holding v / (1 - v).

    Where r is so small that 1 / r might overflow, it is raised to a floor: w / r is so large that
    log1p is log, and what the floor took away is added.
    """
    wide_vectors()
    cap = like(60 if t.itemsize == 4 else 600, t)
    floor = exp_normal(-cap)
    for c in range(m.size):
        one = z[c] > like(0, z)
        r = where(one, q[c], p[c])
        steep = r < floor
        x = log1p(w[c] / where(steep, floor, r)) + where(steep, abs(t[c]) - cap, like(0, t))
        m[c] = where(one, x, -x)


@block
def sharpen(z, scale, log):
    """z = sigmoid(z scale), or z scale itself: the sign shows, whatever the rounding."""
    wide_vectors()
    if log:
        least = like(np.finfo(z.dtype).tiny, z)
        for c in range(z.size):
            x = abs(z[c]) * item(scale, c)
            x = where(x > least, x, least)
            z[c] = where(z[c] > like(0, z), x, -x)
        return
    above, below = -previous(like(-0.5, z)), previous(like(0.5, z))
    for c in range(z.size):
        e = exp_normal(-abs(z[c]) * item(scale, c))
        high = like(1, z) / (like(1, z) + e)
        low = e * high
        high, low = where(high > above, high, above), where(low < below, low, below)
        z[c] = where(z[c] > like(0, z), high, low)


@block
def decide(x, z):
    """x = [z > 0], in the type of x."""
    wide_vectors()
    for c in range(z.size):
        x[c] = where(z[c] > like(0, z), like(1, x), like(0, x))


@block
def subtract_mean(s, z, p, q):
    """s = [z > 0] - p."""
    wide_vectors()
    for c in range(s.size):
        s[c] = where(z[c] > like(0, z), q[c], -p[c])


@block
def copy(a, b):
    """a = b."""
    wide_vectors()
    for c in range(a.size):
        a[c] = b[c]


# -- derivatives -------------------------------------------------------------------------------


@block
def slope(d, z, scale, log):
    """d = derivative of what `sharpen` returns with respect to z."""
    wide_vectors()
    if log:
        for c in range(d.size):
            d[c] = item(scale, c)
        return
    for c in range(d.size):
        e = exp_normal(-abs(z[c]) * item(scale, c))
        root = like(1, e) + e
        d[c] = item(scale, c) * (e / (root * root))


@block
def damp(d, m, p, q):
    """d *= d z~ / dt, where m is z~."""
    wide_vectors()
    for c in range(d.size):
        d[c] *= where(m[c] > like(0, m), p[c], q[c]) * -expm1(-abs(m[c]))


@block
def accumulate(g, d, r):
    """g += d r."""
    wide_vectors()
    for c in range(g.size):
        g[c] += d[c] * r[c]


@block
def mask(g, t):
    """g = 0 where t is infinite: x is certain."""
    wide_vectors()
    for c in range(g.size):
        g[c] = where(abs(t[c]) < like(np.inf, t), g[c], like(0, g))
