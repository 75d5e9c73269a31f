"""Subsets of k items: relaxed choices by successive softmax.

Relaxed: alpha_1 = perturbed logits, p_t = softmax(alpha_t / temperature), and
alpha_{t+1} = alpha_t + log(1 - p_t); the result is the sum of k such p. For the largest entry 1 - p
is the sum of the others, which is exact when it is small; for the rest p <= 1/2. Each row has a
temperature of its own: the statistic `at` holds the inverses of the columns.

Oracle: tests/distributions/test_subset_top_k.py, `recursion`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, kernel, shared, wide_vectors
from fastgrad.kernels.distributions.concrete_noise import draw
from fastgrad.kernels.random.bits import addresses, empty_bits
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import log, log1p, log_normal
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.memory import empty


@block
def others(e, arg, rest, fold):
    """rest = column sums of e without the winners."""
    wide_vectors()
    for c in range(rest.size):
        rest[c] = like(0, rest)
    for i in range(e.shape[0]):
        for c in range(rest.size):
            rest[c] += where(arg[c] == np.int32(i), like(0, rest), e[i, c])
    if fold:
        col.fold_sum(rest)


@block
def soften(e, alpha, best, arg, at, s, rest, fold):
    """e = exp((alpha - best) at), with sums s and, without the winners, rest."""
    wide_vectors()
    elementwise.copy(e, alpha)
    col.argmax(alpha, best, arg, fold)
    col.exponentiate(e, best, at, s, fold)
    others(e, arg, rest, fold)
    for c in range(s.size):
        s[c] = rest[c] + like(1, s)


@shared
def choose(out, alpha, e, arg, s, rest, scratch):
    """out += p, and alpha += log(1 - p), where p = e / s."""
    wide_vectors()
    depth, columns = e.shape
    for c in range(columns):
        scratch[c] = log(rest[c])
    for c in range(columns):
        scratch[c] -= log_normal(s[c])
    for i in range(depth):
        for c in range(columns):
            p = e[i, c] / s[c]
            out[i, c] += p
            lost = log1p(-where(arg[c] == np.int32(i), like(0, p), p))
            alpha[i, c] += where(arg[c] == np.int32(i), scratch[c], lost)


@block
def choose_back(g, r, e, arg, s, rest, at, a, t, d, fold):
    """Turn g, the cotangent of alpha_{t+1}, into that of alpha_t; r is that of p_t.

    The derivative of log(1 - p_i) by alpha_j is ([i != j] p_j / (1 - p_i) - p_j) / temperature,
    where for the winner i, p_j / (1 - p_i) = e_j / rest. a, t and d are scratch.
    """
    wide_vectors()
    depth, columns = e.shape
    zero, one = like(0, g), like(1, g)
    for c in range(columns):
        a[c], t[c], d[c] = zero, zero, zero
    for i in range(depth):
        for c in range(columns):
            winner = arg[c] == np.int32(i)
            p = e[i, c] / s[c]
            d[c] += where(winner, g[i, c], zero)
            t[c] += where(winner, -g[i, c], p / (one - p) * g[i, c])
            a[c] += p * r[i, c]
    if fold:
        col.fold_sum(a)
        col.fold_sum(t)
        col.fold_sum(d)
    for c in range(columns):
        t[c] -= a[c]  # sum of g / (1 - p) over others, less that of g over all, less <p, r>
        d[c] = where(rest[c] > zero, d[c] / rest[c], zero)
    for i in range(depth):
        for c in range(columns):
            winner = arg[c] == np.int32(i)
            p = e[i, c] / s[c]
            own = where(winner, zero, g[i, c] / (one - where(winner, zero, p)))
            shared = where(winner, zero, e[i, c] * d[c])
            g[i, c] += at[c] * (p * (r[i, c] + t[c] - own) + shared)


@kernel(cost=lambda k, out: out.size * k)
def relaxed_top_k(chunk, chunks, logits, k, noise, scale, out):
    """Fill out, (S, N, K), with relaxed choices of k items."""
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, alpha, e, sums = tile.scratch(layout, 4, real)
    best, s, rest, scratch, at = tile.statistics(layout, 5, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load_statistics(at, scale, row, like(1, at), fold)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        place = addresses(layout, row)
        for i in range(out.shape[0]):
            sample = np.uint32(first_sample + i)
            ahead = tile.extent(out[i], row, layout), tile.ahead(logits, row, layout)
            draw(alpha, t, bits, place, sample, key, best, arg, fold, ahead)
            sums[:] = like(0, sums)
            for _ in range(k):
                soften(e, alpha, best, arg, at, s, rest, fold)
                choose(sums, alpha, e, arg, s, rest, scratch)
            tile.store(out[i], sums, row)


@kernel(cost=lambda cotangent, k: cotangent.size * k)
def relaxed_top_k_vjp(chunk, chunks, logits, cotangent, k, noise, scale, grad):
    """grad = product of the cotangent, (S, N, K), with the Jacobian of `relaxed_top_k`."""
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, e, g, r, total = tile.scratch(layout, 5, real)
    best, s, rest, scratch, left, lost, at = tile.statistics(layout, 7, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    past = empty((k + 1, layout.depth, layout.columns), real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load_statistics(at, scale, row, like(1, at), fold)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        place = addresses(layout, row)
        total[:] = like(0, total)
        for i in range(cotangent.shape[0]):
            sample, ahead = np.uint32(first_sample + i), (best[:0], tile.ahead(logits, row, layout))
            draw(past[0], t, bits, place, sample, key, best, arg, fold, ahead)
            for step in range(k - 1):
                elementwise.copy(past[step + 1], past[step])
                soften(e, past[step + 1], best, arg, at, s, rest, fold)
                choose(r, past[step + 1], e, arg, s, rest, scratch)
            tile.load(r, cotangent[i], row, like(0, r))
            g[:] = like(0, g)
            for step in range(k - 1, -1, -1):
                soften(e, past[step], best, arg, at, s, rest, fold)
                choose_back(g, r, e, arg, s, rest, at, scratch, left, lost, fold)
            elementwise.add(total, g)
        tile.store(grad, total, row)
