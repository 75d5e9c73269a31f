"""Scores of samples that `relax` drew without them, with the bits that it would have given them.

They follow from logits and samples: compilers of programs drop the call where nothing needs them.

Oracle: tests/distributions/test_concrete_score.py: the scores of `fg.relax`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import kernel
from fastgrad.kernels.distributions import concrete
from fastgrad.kernels.distributions import concrete_ratios_given as given
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile


@kernel(cost=lambda out: out.size)
def score(chunk, chunks, logits, z, by_ratios, out):
    """out = one-hot(z) - softmax(logits): z is (S, N), out (S, N, K).

    It is rounded as the kernels of `concrete` do, or as those of `concrete_by_ratios`.
    """
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    t, p, w = tile.scratch(layout, 3, real)
    best, total, rest, s = tile.statistics(layout, 4, real)
    arg, likeliest = tile.statistics(layout, 2, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        if by_ratios:
            col.argmax(t, best, likeliest, fold)
            given.weigh(t, best, total, fold, tile.ahead(logits, row, layout))
            given.sum_others(t, likeliest, total, rest, fold)
        else:
            concrete.softmax(t, p, best, total, fold)
            concrete.sum_others(p, s, likeliest, rest, fold)
        for i in range(z.shape[0]):
            tile.load_categories(arg, z[i], row, fold)
            if by_ratios:
                given.score(w, t, arg, likeliest, rest, total, s)
            else:
                concrete.score_tile(w, arg, p, likeliest, rest)
            tile.store(out[i], w, row)
