"""Choices without replacement: the first k of the race that Gumbel noise decides, and their law.

An item is chosen with odds exp(phi) among those left. With L_i the log of the sum of exp(phi) over
what is left before choice i, log P(s) = sum over i of phi_{s_i} - L_i, and its derivative by phi_a
is 1 if a is chosen, less exp(phi_a + D), D the log of the sum of exp(-L_i) over the choices that a
took part in. Both sums grow by one term after the other, in twice the precision of their type
(`accumulate`). Columns of a tile are pairs (sample, row), whatever the sample.

Oracle: tests/distributions/test_plackett_luce.py, `probabilities`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.concrete_noise import draw
from fastgrad.kernels.random.bits import addresses, empty_bits
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp, exp_normal, log
from fastgrad.kernels.simd.vectors import LANES
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile

PAIRS = 64  # columns of a tile, at most
REACH = 16  # of exponents: sums of exp(REACH) stay far from the end of float32


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
            sample, ahead = np.uint32(first_sample + s), (best[:0], tile.ahead(logits, row, layout))
            draw(w, t, bits, place, sample, key, best, arg, fold, ahead)
            for i in range(k):
                if i > 0:
                    col.argmax(w, best, arg, fold)
                take(w, arg, found, i, fold)
            store_choices(z[s], found, row, fold)


# -- the law -----------------------------------------------------------------------------------


@inline
def columns_for(pairs):
    """Return the number of columns of tiles of so many pairs."""
    return min(PAIRS, (pairs + LANES - 1) // LANES * LANES)


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
def raise_reference(x, m, high, low):
    """Set m to x, and the sums to what they are then, where exp(x - m) would be too large."""
    wide_vectors()
    zero, none = like(0, x), like(-np.inf, x)
    for c in range(x.size):
        empty = high[c] == zero
        rises = x[c] > where(empty, none, m[c] + like(REACH, x))
        factor = where(rises, exp(where(empty, zero, m[c] - x[c])), like(1, x))
        m[c] = where(rises, x[c], m[c])
        high[c] *= factor
        low[c] *= factor


@block
def accumulate(x, m, high, low):
    """Add exp(x) to the sums exp(m) (high + low) of the columns: low is what rounding lost.

    A rounding of m would add up over many choices, so m moves seldom: by more than REACH at once.
    """
    wide_vectors()
    none, rises = like(-np.inf, x), 0
    for c in range(x.size):
        rises += x[c] > where(high[c] == like(0, x), none, m[c] + like(REACH, x))
    if rises:
        raise_reference(x, m, high, low)
    for c in range(x.size):
        e = exp_normal(x[c] - m[c])
        total = high[c] + e
        back = total - high[c]
        low[c] += (high[c] - (total - back)) + (e - back)
        high[c] = total


@block
def log_left(levels, g, w, best, high, low):
    """levels[i] = L_i; w, -inf where chosen, becomes exp(w - best), best its maximum.

    high and low are scratch.
    """
    wide_vectors()
    k, columns = g.shape
    col.maximum(w, best, False)
    for c in range(columns):
        best[c] = where(best[c] > like(-np.inf, w), best[c], like(0, w))
    col.exponentiate(w, best, like(1, w), high, False)
    m = best.copy()
    for c in range(columns):
        low[c] = like(0, low)
    for i in range(k - 1, -1, -1):
        accumulate(g[i], m, high, low)
        level = levels[i]
        for c in range(columns):
            level[c] = m[c] + log(high[c] + low[c])


@block
def score_columns(out, g, levels, chosen, logits, first, m, high, low):
    """Write the scores of pairs from `first` on to out, (S N, K); g and levels are overwritten."""
    wide_vectors()
    k, columns = g.shape
    n, categories = logits.shape
    none, zero = like(-np.inf, g), like(0, g)
    for c in range(columns):
        m[c], high[c], low[c] = zero, zero, zero
    for i in range(k):
        x, passed = g[i], levels[i]
        for c in range(columns):  # where nothing is left, the choice was of a masked item
            passed[c] = where(passed[c] > none, -passed[c], none)
        accumulate(passed, m, high, low)
        for c in range(columns):
            share = exp_normal(x[c] + m[c]) * (high[c] + low[c])
            x[c] = where(x[c] > none, like(1, g) - share, zero)
    for c in range(min(columns, out.shape[0] - first)):
        pair = first + c
        row, target = logits[pair % n], out[pair]
        top = row[0]
        for j in range(categories):
            top = max(top, row[j])
        score_others(target, row, top, m[c], high[c] + low[c])
        for i in range(k):
            target[chosen[pair, i]] = g[i, c]


@block
def score_others(out, row, top, m, total):
    """out = -exp(row - top + m) total: of items that were never chosen."""
    wide_vectors()
    for j in range(row.size):
        out[j] = -exp_normal(row[j] - top + m) * total


@inline
def column_sum(x, c):
    """Return the sum of column c, in float64, with what rounding lost; -inf if an entry is."""
    total, lost = 0.0, 0.0
    for i in range(x.shape[0]):
        term = np.float64(x[i, c])
        new = total + term
        back = new - total
        lost += (total - (new - back)) + (term - back)
        total = new
    return total + lost if total > -np.inf else total


@kernel(cost=lambda logits, z: logits.size * len(z))
def log_prob(chunk, chunks, logits, z, out):
    """out = log probability of choices z, (S, N, k), in their order: out is (S N,)."""
    columns, k = columns_for(out.size), z.shape[2]
    blocks = (out.size + columns - 1) // columns
    real = logits.dtype
    w = np.empty((logits.shape[1], columns), real)
    g, levels = np.empty((k, columns), real), np.empty((k, columns), real)
    best, (high, low) = np.empty(columns, real), np.empty((2, columns), real)
    for b in chunk_range(blocks, chunk, chunks):
        first = b * columns
        gather(w, g, logits, z, first)
        log_left(levels, g, w, best, high, low)
        for c in range(min(columns, out.size - first)):
            for i in range(k):
                possible = g[i, c] > like(-np.inf, g)
                g[i, c] = g[i, c] - levels[i, c] if possible else like(-np.inf, g)
            out[first + c] = column_sum(g, c)


@kernel(cost=lambda out: out.size)
def score(chunk, chunks, logits, z, out):
    """out = derivative of `log_prob` by the logits: out is (S N, K)."""
    pairs, k = out.shape[0], z.shape[2]
    columns = columns_for(pairs)
    blocks = (pairs + columns - 1) // columns
    real = logits.dtype
    w = np.empty((logits.shape[1], columns), real)
    g, levels = np.empty((k, columns), real), np.empty((k, columns), real)
    best, (high, low) = np.empty(columns, real), np.empty((2, columns), real)
    for b in chunk_range(blocks, chunk, chunks):
        first = b * columns
        gather(w, g, logits, z, first)
        log_left(levels, g, w, best, high, low)
        score_columns(out, g, levels, z.reshape((pairs, k)), logits, first, best, high, low)
