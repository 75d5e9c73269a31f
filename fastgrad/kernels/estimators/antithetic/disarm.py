"""Coupled Bernoulli draws, in pairs and in larger groups, and the sums that they call for.

Signals x are (S, M): N variables belong to M cells, as in `sums`. Sums are float64, take the
groups in their order and start from what the array holds.

Oracle: tests/estimators/antithetic/test_disarm.py, `test_each_is_its_formula`,
`test_groups_have_the_joint_law`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.distributions import bernoulli_noise as lg
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.random.noise import fill_exponential
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import like, to_float64, where
from fastgrad.kernels.simd.special import log_normal
from fastgrad.kernels.simd.vectors import LANES, load, store
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import empty, zeros
from fastgrad.kernels.tiles.sums import ROWS, spread

# -- draws -------------------------------------------------------------------------------------


@block
def centre_uniform(d, w):
    """d = u - 1/2, w holding u / (1 - u)."""
    wide_vectors()
    for c in range(d.size):
        d[c] = like(0.5, d) * (w[c] - like(1, w)) / (w[c] + like(1, w))


@block
def decide_pair(x, y, t, w):
    """x = [t + log(w) > 0], y = [t - log(w) > 0]: u and 1 - u. w is left with log(w)."""
    wide_vectors()
    for c in range(t.size):
        w[c] = log_normal(w[c])
    for c in range(t.size):
        x[c] = where(t[c] + w[c] > like(0, t), like(1, x), like(0, x))
    for c in range(t.size):
        y[c] = where(t[c] - w[c] > like(0, t), like(1, y), like(0, y))


@kernel(cost=lambda z: z.size)
def sample_pairs(chunk, chunks, logits, noise, z, uniform):
    """Fill z, (2 P, N), with antithetic pairs, and uniform, (P, N) or (0, N), with u - 1/2."""
    key, first_pair, offset = noise
    n = logits.size
    blocks, depth = lg.layout(n, offset)
    bits = empty((logits.itemsize // 4, depth, tile.FOLD), np.uint32)
    odds = empty(bits[0].size, logits.dtype)
    for b in chunk_range(blocks, chunk, chunks):
        start, head, tail, low = lg.span(b, depth, n, offset)
        w = odds[low : low + tail - head]
        for i in range(z.shape[0] // 2):
            lg.fill_odds(odds, bits, start, np.uint32(first_pair + i), NOISE, key)
            if uniform.shape[0]:
                centre_uniform(uniform[i, head:tail], w)
            decide_pair(z[2 * i, head:tail], z[2 * i + 1, head:tail], logits[head:tail], w)


@inline
def width(n, size):
    """Return how many of n variables to draw groups of `size` for at a time: their noise in L2."""
    most = min(max(4 * tile.TILE // size, tile.FOLD), tile.TILE)
    return min(most, n + tile.FOLD - 1) // tile.FOLD * tile.FOLD


@block
def add_to(total, a, b):
    """total = a + b."""
    wide_vectors()
    for c in range(total.size):
        total[c] = a[c] + b[c]


@block
def compare(hit, e, threshold, before, after):
    """hit = [e > threshold (before + after)]; before += e."""
    wide_vectors()
    for c in range(hit.size):
        rest = before[c] + after[c]
        hit[c] = where(e[c] > threshold[c] * rest, np.int32(1), np.int32(0))
        before[c] += e[c]


@block
def exceed(hit, e, after, before, threshold):
    """hit[j] = [e[j] > threshold (sum of the other e)], which are summed, never subtracted.

    With d = e / sum e, the coupled uniform (1 - d)**(n - 1) lies below p if and only if this holds
    for threshold = p**(-1 / (n - 1)) - 1.
    """
    last = e.shape[0] - 1
    after[last], before[:] = like(0, e), like(0, e)
    for j in range(last, 0, -1):
        add_to(after[j - 1], after[j], e[j])
    for j in range(last + 1):
        compare(hit[j], e[j], threshold, before, after[j])


@block
def flip(z, hit, t):
    """z = hit, or 1 - hit where the logit t is above 0."""
    wide_vectors()
    for c in range(z.size):
        z[c] = where(t[c] > like(0, t), np.int32(1 - hit[c]), hit[c])


@kernel(cost=lambda z: z.size)
def sample_groups(chunk, chunks, logits, threshold, size, noise, z):
    """Fill z, (S, N), with groups of `size`: the rarer outcome is where `exceed` says."""
    key, first_sample, offset = noise
    samples, n = z.shape
    lead = offset % tile.FOLD
    columns = width(lead + n, size)
    blocks = (lead + n + columns - 1) // max(columns, 1) if n else 0
    real = logits.dtype
    bits = empty((logits.itemsize // 4, columns // tile.FOLD, tile.FOLD), np.uint32)
    e, after = empty((size, columns), real), empty((size, columns), real)
    hit, before = empty((size, columns), np.int32), tile.empty((columns,), real)
    limit = zeros(columns, real)
    for b in chunk_range(blocks, chunk, chunks):
        begin = b * columns - lead
        head, tail = max(begin, 0), min(begin + columns, n)
        low, high = head - begin, tail - begin
        assign(limit[low:high], threshold[head:tail])
        start = (offset + begin) // 4
        for i in range(0, samples, size):
            for j in range(size):
                sample = np.uint32(first_sample + i + j)
                fill_bits(bits, start, 1, tile.FOLD // 4, sample, NOISE, key)
                fill_exponential(e[j].reshape(bits[0].shape), bits)
            exceed(hit, e, after, before, limit)
            for j in range(size):
                flip(z[i + j, head:tail], hit[j, low:high], logits[head:tail])


# -- sums --------------------------------------------------------------------------------------


@block
def add_product(total, d, r):
    """total += d r, in float64."""
    wide_vectors()
    for c in range(total.size):
        total[c] += d[c] * np.float64(r[c])


@block
def add_to_mean(mean, d, size):
    """mean += d / size."""
    wide_vectors()
    for c in range(mean.size):
        mean[c] += d[c] / size


@block
def subtract(d, mean):
    """d -= mean."""
    wide_vectors()
    for c in range(d.size):
        d[c] -= mean[c]


@inline
def difference(x, i, j, cell):
    """Return x of a sample less that of another."""
    return np.float64(x[i, cell]) - np.float64(x[j, cell])


@block
def add_rows(total, weights, rows, head):
    """total += sum over j of weights[j] rows[j, head:], one after the other, in float64."""
    wide_vectors()
    whole = total.size // (2 * LANES) * 2 * LANES
    for c in range(0, whole, 2 * LANES):  # two chains of additions, to hide their latency
        d = c + LANES
        s, t = load(total, c), load(total, d)
        for j in range(weights.size):
            s = s + weights[j] * to_float64(load(rows, (j, head + c)))
            t = t + weights[j] * to_float64(load(rows, (j, head + d)))
        store(total, c, s)
        store(total, d, t)
    for j in range(weights.size):
        for c in range(whole, total.size):
            total[c] += weights[j] * np.float64(rows[j, head + c])


@block
def centre_groups(weights, x, size, cell):
    """weights = x less its mean in the group, from its first: 0 where x is constant."""
    for i in range(0, weights.size, size):
        mean = 0.0
        for j in range(i, i + size):
            mean += difference(x, j, i, cell) / size
        for j in range(i, i + size):
            weights[j] = difference(x, j, i, cell) - mean


@kernel(cost=lambda z: z.size)
def group_scores(chunk, chunks, z, x, size, total):
    """total += sum over groups of (x - its mean in the group) z: z is (S, N), x (S, M)."""
    samples, n = z.shape
    per = n // max(x.shape[1], 1)
    blocks = (n + ROWS - 1) // ROWS
    scratch, weights, weighed = empty((2, ROWS)), empty(samples), -1
    for b in chunk_range(blocks, chunk, chunks):
        head, tail = b * ROWS, min((b + 1) * ROWS, n)
        d, means, cell = scratch[0, : tail - head], scratch[1, : tail - head], head // per
        if cell == (tail - 1) // per:
            if cell != weighed:
                centre_groups(weights, x, size, cell)
                weighed = cell
            add_rows(total[head:tail], weights, z, head)
            continue
        for i in range(0, samples, size):
            means[:] = 0.0
            for j in range(i, i + size):
                spread(d, x[j], x[i], head, per)
                add_to_mean(means, d, np.float64(size))
            for j in range(i, i + size):
                spread(d, x[j], x[i], head, per)
                subtract(d, means)
                add_product(total[head:tail], d, z[j, head:tail])


@kernel(cost=lambda noise: noise.size)
def pair_products(chunk, chunks, x, noise, total):
    """total += sum over pairs of (x - x of the twin) noise: x is (2 P, M), noise (P, N)."""
    pairs, n = noise.shape
    per = n // max(x.shape[1], 1)
    blocks = (n + ROWS - 1) // ROWS
    scratch, weights, weighed = empty(ROWS), empty(pairs), -1
    for b in chunk_range(blocks, chunk, chunks):
        head, tail = b * ROWS, min((b + 1) * ROWS, n)
        d, cell = scratch[: tail - head], head // per
        if cell == (tail - 1) // per:
            if cell != weighed:
                for i in range(pairs):
                    weights[i] = difference(x, 2 * i, 2 * i + 1, cell)
                weighed = cell
            add_rows(total[head:tail], weights, noise, head)
            continue
        for i in range(pairs):
            spread(d, x[2 * i], x[2 * i + 1], head, per)
            add_product(total[head:tail], d, noise[i, head:tail])
