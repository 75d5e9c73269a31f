"""Sums over pairs of coupled categorical draws, each pair with its ratio: see `coupled_sticks`.

A pair counts ratio (x - x') (one-hot(z) - one-hot(z')), with the ratio of the category which comes
first in the order. Signals x are (S, M): N variables belong to M cells, as in `sums`. Sums
are float64, take the groups in their order and start from what the array holds.

Oracle: tests/estimators/antithetic/test_carms.py, `test_the_mean_is_the_exact_gradient`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import empty, zeros
from fastgrad.kernels.tiles.sums import spread


@kernel(cost=lambda z: z.size)
def pair_scores(chunk, chunks, logits, ratios, z, x, total):
    """total += sum over pairs of ratio (x - x of the twin) (one-hot(z) - that of the twin) / 2."""
    samples, n = z.shape
    per = n // max(x.shape[1], 1)
    for i in range(0, samples, 2):
        for row in chunk_range(n, chunk, chunks):
            a, b, cell = z[i, row], z[i + 1, row], row // per
            low, high = logits[row, a], logits[row, b]
            first = a if low < high or (low == high and a < b) else b
            d = np.float64(x[i, cell]) - np.float64(x[i + 1, cell])
            d = 0.5 * ratios[row, first] * d if a != b else 0.0
            total[row, a] += d
            total[row, b] -= d


@block
def add_group(total, mass, count, order, ratios, size):
    """total += sum over pairs of ratio (x - x') (one-hot(z) - one-hot(z')) / (size (size - 1)).

    mass and count, the sum of x and the number of draws of each category, are left at 0.
    """
    whole = 0.0
    for c in range(mass.size):
        whole += mass[c]
    seen, seen_mass = 0.0, 0.0  # over the places so far
    bound, bound_mass = 0.0, 0.0  # the same, weighted by their ratios
    for i in range(order.size):
        c = order[i]
        if count[c] > 0.0:
            seen, seen_mass = seen + count[c], seen_mass + mass[c]
            later = mass[c] * (size - seen) - count[c] * (whole - seen_mass)
            earlier = mass[c] * bound - count[c] * bound_mass
            total[c] += (earlier + ratios[c] * later) / (size * (size - 1.0))
            bound, bound_mass = bound + ratios[c] * count[c], bound_mass + ratios[c] * mass[c]
            count[c], mass[c] = 0.0, 0.0


@kernel(cost=lambda z: z.size)
def group_scores(chunk, chunks, order, ratios, z, x, size, total):
    """total += sum over groups of what `add_group` says; z is (S, N), x (S, M), total (N, K)."""
    samples, n = z.shape
    k = order.shape[1]
    per = n // max(x.shape[1], 1)
    rows = max(1, 2 * tile.TILE // k)
    blocks = (n + rows - 1) // rows
    mass, count, scratch = zeros((rows, k)), zeros((rows, k)), empty(rows)
    for b in chunk_range(blocks, chunk, chunks):
        head, tail = b * rows, min((b + 1) * rows, n)
        d = scratch[: tail - head]
        for i in range(0, samples, size):
            for j in range(i, i + size):
                spread(d, x[j], x[i], head, per)  # from the first: 0 where x is constant
                for r in range(d.size):
                    mass[r, z[j, head + r]] += d[r]
                    count[r, z[j, head + r]] += 1.0
            for r in range(d.size):
                row = head + r
                add_group(total[row], mass[r], count[r], order[row], ratios[row], float(size))
