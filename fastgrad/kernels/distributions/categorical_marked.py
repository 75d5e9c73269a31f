"""Probabilities that are marked: in place of the likeliest outcome's, p, stands -(1 - p).

The difference from 1 has digits that 1 - p would lack; a sum of scores needs both. Samples drawn
here are those of `categorical_inverse`, and what they are drawn from is kept.

Oracle: tests/distributions/test_categorical_inverse.py, `test_estimators_draw_what_sample_does`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, shared, wide_vectors
from fastgrad.kernels.distributions.categorical_inverse import draw_rows, room
from fastgrad.kernels.distributions.concrete import total_but
from fastgrad.kernels.simd.intrinsics import bits, like
from fastgrad.kernels.simd.vectors import LANES, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile


@inline
def marked(p):
    """Return whether p is the `mark` of the likeliest outcome, -(1 - p)."""
    sign = bits(p)
    return sign < like(0, sign)


@shared
def share(p, s, likeliest, rest, fold):
    """Divide columns by s, and find rest = 1 - p of the likeliest, as the sum of the others."""
    wide_vectors()
    for c in range(0, p.shape[1], LANES):
        inverse = like(1, p) / load(s, c)
        store(rest, c, total_but(p, c, load(likeliest, c), inverse, True))
    if fold:
        col.fold_sum(rest)


@block
def mark(p, likeliest, rest):
    """Replace p of the likeliest outcomes by -(1 - p)."""
    for c in range(likeliest.size):
        if likeliest[c] >= 0:
            p[likeliest[c], c] = -rest[c]


@block
def mark_rows(p, k, likeliest, rest):
    """Do as `mark` for rows of K, flat."""
    for r in range(likeliest.size):
        p[r * k + np.int64(likeliest[r])] = -rest[r]


@kernel(cost=lambda logits, z: 2 * logits.size + z.size)
def sample(chunk, chunks, logits, noise, z, bad, p, likeliest, rest):
    """Draw z, shape (S, N), as `categorical_inverse.sample`.

    p, (N, K), = the softmax, and what marks it: the likeliest outcomes, and 1 - p of these, (N,).
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    (e,) = tile.scratch(layout, 1, real)
    m, s = tile.statistics(layout, 2, real)
    arg, top = tile.statistics(layout, 2, np.int32)
    given = room(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(e, logits, row, like(-np.inf, e))
        col.argmax(e, m, top, fold)
        col.exponentiate(e, m, like(1, e), s, fold)
        bad[chunk] |= draw_rows(z, row, first_sample, offset, key, e, given, arg, fold)
        share(e, s, top, m, fold)
        tile.store(p, e, row)
        tile.store_categories(likeliest, top, row, fold)
        tile.store_statistics(rest, m, row, fold)
