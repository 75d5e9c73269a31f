"""Choices without replacement: the first k of the race that Gumbel noise decides, and their law.

An item is chosen with odds exp(phi) among those left. With L_i the log of the sum of exp(phi) over
what is left before choice i, log P(s) = sum over i of phi_{s_i} - L_i, and its derivative by phi_a
is 1 if a is chosen, less exp(phi_a + D), D the log of the sum of exp(-L_i) over the choices that a
took part in. Columns of a tile are pairs (sample, row), whatever the sample.

Oracle: tests/distributions/test_plackett_luce.py, `probabilities`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.distributions.concrete import draw
from fastgrad.kernels.random.bits import addresses, empty_bits
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp, exp_normal, log, logaddexp
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile

PAIRS = 64  # columns of a tile


@block
def take(w, arg, found, place, fold):
    """Set found[place] to the category of each winner, and the winners in w to -inf."""
    columns = arg.size
    for c in range(columns):
        if arg[c] >= 0:
            w[arg[c], c] = like(-np.inf, w)
            if fold:
                found[place, 0] = np.int32(arg[c] * columns + c)
            else:
                found[place, c] = arg[c]


@block
def store_choices(z, found, row, fold):
    """Write choices, (k, columns), to their rows of z, (N, k), as `tile.store` does."""
    k, columns = found.shape
    if fold:
        for i in range(k):
            z[row, i] = found[i, 0]
        return
    for c in range(columns):
        r = row + 4 * (c % (columns // 4)) + c // (columns // 4)
        if 0 <= r < z.shape[0]:
            for i in range(k):
                z[r, i] = found[i, c]


@kernel(cost=lambda logits, z: logits.size * len(z))
def gumbel_top_k(chunk, chunks, logits, noise, z):
    """Fill z, (S, N, k), with the k largest perturbed logits in order: the noise of `concrete`."""
    key, first_sample, offset = noise
    k = z.shape[2]
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, w = tile.scratch(layout, 2, real)
    (best,) = tile.statistics(layout, 1, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    found = np.empty((k, layout.columns), np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        place = addresses(layout, row)
        for s in range(z.shape[0]):
            sample = np.uint32(first_sample + s)
            draw(w, t, bits, place, sample, key, best, arg, fold, best[:0])
            for i in range(k):
                if i > 0:
                    col.argmax(w, best, arg, fold)
                take(w, arg, found, i, fold)
            store_choices(z[s], found, row, fold)


# -- the law -----------------------------------------------------------------------------------


@block
def gather(w, g, logits, z, first):
    """w = logits of pairs from `first` on, less their maximum; g = those chosen, in w -inf.

    Pair p is row p % N of sample p // N; the last is repeated where there are no more.
    """
    n, categories = logits.shape
    last = z.shape[0] * n - 1
    for c in range(w.shape[1]):
        pair = min(first + c, last)
        row = logits[pair % n]
        choices = z[pair // n, pair % n]
        top = row[0]
        for j in range(categories):
            top = max(top, row[j])
        for j in range(categories):
            w[j, c] = row[j] - top
        for i in range(choices.size):
            g[i, c] = w[choices[i], c]
            w[choices[i], c] = like(-np.inf, w)


@block
def log_left(levels, g, w, best, s):
    """levels[i] = L_i; w, -inf where chosen, becomes exp(w - best), best its maximum."""
    wide_vectors()
    k, columns = g.shape
    col.maximum(w, best, False)
    for c in range(columns):
        best[c] = where(best[c] > like(-np.inf, w), best[c], like(0, w))
    col.exponentiate(w, best, like(1, w), s, False)
    for c in range(columns):
        s[c] = best[c] + log(s[c])
    for i in range(k - 1, -1, -1):
        for c in range(columns):
            s[c] = logaddexp(g[i, c], s[c])
        for c in range(columns):
            levels[i, c] = s[c]


@block
def score_columns(out, g, levels, chosen, logits, first, s):
    """Write the scores of pairs from `first` on to out, (S N, K); g is overwritten by D."""
    wide_vectors()
    k, columns = g.shape
    n, categories = logits.shape
    for c in range(columns):
        s[c] = like(-np.inf, s)
    for i in range(k):
        for c in range(columns):  # where nothing is left, the choice was of a masked item
            left = levels[i, c] > like(-np.inf, g)
            s[c] = logaddexp(where(left, -levels[i, c], like(-np.inf, g)), s[c])
        for c in range(columns):
            x = like(1, g) - exp(g[i, c] + s[c])
            g[i, c] = where(g[i, c] > like(-np.inf, g), x, like(0, g))
    for c in range(min(columns, out.shape[0] - first)):
        pair = first + c
        row, target = logits[pair % n], out[pair]
        top = row[0]
        for j in range(categories):
            top = max(top, row[j])
        score_others(target, row, top, s[c])
        for i in range(k):
            target[chosen[pair, i]] = g[i, c]


@block
def score_others(out, row, top, sum_):
    """out = -exp(row - top + sum_): of items that were never chosen."""
    wide_vectors()
    for j in range(row.size):
        out[j] = -exp_normal(row[j] - top + sum_)


@kernel(cost=lambda logits, z: logits.size * len(z))
def log_prob(chunk, chunks, logits, z, out):
    """out = log probability of choices z, (S, N, k), in their order: out is (S N,)."""
    blocks, k = (out.size + PAIRS - 1) // PAIRS, z.shape[2]
    real = logits.dtype
    w = np.empty((logits.shape[1], PAIRS), real)
    g, levels = np.empty((k, PAIRS), real), np.empty((k, PAIRS), real)
    best, s = np.empty(PAIRS, real), np.empty(PAIRS, real)
    for b in chunk_range(blocks, chunk, chunks):
        first = b * PAIRS
        gather(w, g, logits, z, first)
        log_left(levels, g, w, best, s)
        for c in range(min(PAIRS, out.size - first)):
            total = like(0, out)
            for i in range(k):
                possible = g[i, c] > like(-np.inf, g)
                total += g[i, c] - levels[i, c] if possible else like(-np.inf, g)
            out[first + c] = total


@kernel(cost=lambda out: out.size)
def score(chunk, chunks, logits, z, out):
    """out = derivative of `log_prob` by the logits: out is (S N, K)."""
    pairs, k = out.shape[0], z.shape[2]
    blocks = (pairs + PAIRS - 1) // PAIRS
    real = logits.dtype
    w = np.empty((logits.shape[1], PAIRS), real)
    g, levels = np.empty((k, PAIRS), real), np.empty((k, PAIRS), real)
    best, s = np.empty(PAIRS, real), np.empty(PAIRS, real)
    for b in chunk_range(blocks, chunk, chunks):
        first = b * PAIRS
        gather(w, g, logits, z, first)
        log_left(levels, g, w, best, s)
        score_columns(out, g, levels, z.reshape((pairs, k)), logits, first, s)
