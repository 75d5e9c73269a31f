"""Gradients with a relaxed control variate for Bernoulli sites; see `controlled_sums`.

Of the relaxations x = sigmoid(z / temperature) and y of z~, d x / d logit = x (1 - x) / temperature
and d z~ / d logit = (1 - |b - p|) (1 - exp(-|z~|)), with exp(-|z~|) = (odds of y)^temperature, the
odds being those against the sample b.

Oracle: tests/estimators/relaxed_controls/test_rebar.py, `gradients`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.bernoulli_noise import copy, probabilities
from fastgrad.kernels.estimators.relaxed_controls.controlled_sums import accumulate
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp_normal, log_normal
from fastgrad.kernels.tiles import elementwise
from fastgrad.kernels.tiles.memory import empty

SITES = 512  # of a block: its arrays stay in L1


@block
def take_cells(s, x, row, per):
    """s[c] = x of the cell to which site row + c belongs."""
    wide_vectors()
    n = s.size
    if per == 1:
        y = x[row : row + n]
        for c in range(n):
            s[c] = like(y[c], s)
        return
    c = 0
    while c < n:
        cell = (row + c) // per
        end = min(n, (cell + 1) * per - row)
        s[c:end] = like(x[cell], s)
        c = end


@block
def through_sigmoid(a, x, r, temperature):
    """a = r d x / d z."""
    wide_vectors()
    for c in range(a.size):
        a[c] = r[c] * (x[c] * (like(1, x) - x[c])) / temperature[c]


@block
def find_keep(w, y, temperature, b, p, q):
    """w = d z~ / d logit; an odds of 0 counts for nothing, since then y (1 - y) is 0."""
    wide_vectors()
    for c in range(w.size):
        low = where(b[c] == np.int32(1), like(1, y) - y[c], y[c])
        w[c] = log_normal(low / (like(1, y) - low)) * temperature[c]
    for c in range(w.size):
        w[c] = where(b[c] == np.int32(1), p[c], q[c]) * (like(1, w) - exp_normal(w[c]))


@block
def multiply(e, keep):
    """e *= keep."""
    wide_vectors()
    for c in range(e.size):
        e[c] *= keep[c]


@block
def assemble(a, e, b, p, q, d, c_y, eta):
    """Make g of a and h of e, in place."""
    wide_vectors()
    for c in range(a.size):
        score = where(b[c] == np.int32(1), q[c], -p[c])
        path = a[c] - e[c]
        a[c] = d[c] * score + eta[c] * path
        e[c] = c_y[c] * score - path


@block
def add(g, r):
    """g += r."""
    wide_vectors()
    for c in range(g.size):
        g[c] += r[c]


@block
def product(s, u, v):
    """s = u v."""
    wide_vectors()
    for c in range(s.size):
        s[c] = u[c] * v[c]


@block
def score_product(s, g, b, p, q):
    """s = g score."""
    wide_vectors()
    for c in range(s.size):
        s[c] = g[c] * where(b[c] == np.int32(1), q[c], -p[c])


@inline
def add_products(products, sites, g, h, s):
    """Add g h, h h and g g to the rows of products."""
    for j, u, v in ((0, g, h), (1, h, h), (2, g, g)):
        product(s, u, v)
        accumulate(products[j][sites], s)


@kernel(cost=lambda pair: pair[0].size)
def bernoulli(
    chunk, chunks, logits, z, pair, slopes, temperature, eta, values, grad, products, directions
):
    """`controlled_sums.categorical` for sites: logits (N,), all else without K."""
    x, y = pair
    r, q = slopes
    d, c_y = values
    along_x, along_y, dots = directions
    n = logits.size
    coupled = y.shape[0] == 0
    real, per = logits.dtype, n // max(d.shape[1], 1)
    blocks = (n + SITES - 1) // SITES
    scratch = empty((8, SITES), real)
    for block_ in chunk_range(blocks, chunk, chunks):
        row = block_ * SITES
        sites = slice(row, min(row + SITES, n))
        size = sites.stop - row
        p, no, a, e = scratch[0][:size], scratch[1][:size], scratch[2][:size], scratch[3][:size]
        keep, s = scratch[4][:size], scratch[5][:size]
        signal, control = scratch[6][:size], scratch[7][:size]
        at, scale = temperature[sites], eta[sites]
        probabilities(p, no, logits[sites])
        for i in range(z.shape[0]):
            b, t = z[i][sites], x[i][sites]
            take_cells(signal, d[i], row, per)
            take_cells(control, c_y[i], row, per)
            through_sigmoid(a, t, r[i][sites], at)
            if coupled:
                u = t
                copy(e, a)
            else:
                u = y[i][sites]
                through_sigmoid(e, u, q[i][sites], at)
            find_keep(keep, u, at, b, p, no)
            multiply(e, keep)
            assemble(a, e, b, p, no, signal, control, scale)
            add(grad[sites], a)
            if products.shape[1]:
                add_products(products, sites, a, e, s)
            if dots.shape[0]:
                score_product(dots[i][sites], a, b, p, no)
                through_sigmoid(along_x[i][sites], t, a, at)
                multiply(a, keep)
                if along_y.shape[0]:
                    through_sigmoid(along_y[i][sites], u, a, at)
                else:
                    through_sigmoid(e, u, a, at)
                    elementwise.add_multiple(along_x[i][sites], like(-1, e), e)
