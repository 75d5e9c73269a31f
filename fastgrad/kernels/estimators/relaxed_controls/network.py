"""A network with one hidden layer of tanh for each cell, and the derivatives that train it.

c(x) = bias + sum over j of output_j tanh(input_j . (2 x - 1) + offset_j). Features and weights come
in `network_blocks`; what is known of units stands in arrays of W columns, a multiple of 16. Sums
over samples take them in order: results do not depend on blocks of samples.

Oracle: tests/estimators/relaxed_controls/test_rebar.py, `test_the_network_and_its_derivatives`.
"""

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.estimators.relaxed_controls.network_blocks import (
    block_size,
    four,
    gather,
    project,
    put_ends,
    put_inputs,
    take_ends,
    take_features,
    take_inputs,
    width,
)
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.special import expm1
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import flattened


@inline
def tanh(x):
    """Hyperbolic tangent."""
    e = expm1(like(-2, x) * abs(x))
    t = -e / (e + like(2, x))
    return where(x < like(0, x), -t, t)


@block
def fill(h, row):
    """Set each row of h, (S, W), to a row."""
    for s in range(h.shape[0]):
        for c in range(0, h.shape[1], LANES):
            store(h, (s, c), load(row, c))


@block
def activate(h):
    """h = tanh(h)."""
    wide_vectors()
    for s in range(h.shape[0]):
        for c in range(0, h.shape[1], LANES):
            store(h, (s, c), tanh(load(h, (s, c))))


@block
def slopes(k, value, h, w, hidden, d, cell, size):
    """k = derivatives of c by inputs . x of each unit, (S, W); value = c size, of each sample."""
    for s in range(h.shape[0]):
        c = w[hidden * (d + 2)]
        for j in range(hidden):
            t, v = h[s, j], w[hidden * (d + 1) + j]
            c = fma(v, t, c)
            k[s, j] = like(2, v) * v * (like(1, t) - t * t)
        value[s, cell] = c * size


@block
def combine(gradient, k, w, hidden, cell, size):
    """gradient = size (sum over units of k inputs), of the samples of a cell: (S, M, D)."""
    wide_vectors()
    samples, m, d = gradient.shape
    flat, whole, zero = flattened(gradient), d // LANES * LANES, like(0, w)
    for first in range(0, samples, 4):
        s, t, u, v = four(first, samples)
        at_s, at_t, at_u, at_v = (
            (s * m + cell) * d,
            (t * m + cell) * d,
            (u * m + cell) * d,
            (v * m + cell) * d,
        )
        for i in range(0, whole, LANES):
            a, b, e, f = filled(zero), filled(zero), filled(zero), filled(zero)
            for j in range(hidden):
                row = load(w, j * d + i)
                a, b = fma(k[s, j], row, a), fma(k[t, j], row, b)
                e, f = fma(k[u, j], row, e), fma(k[v, j], row, f)
            store(flat, at_s + i, a * size)
            store(flat, at_t + i, b * size)
            store(flat, at_u + i, e * size)
            store(flat, at_v + i, f * size)
    for s in range(samples):
        for i in range(whole, d):
            a = zero
            for j in range(hidden):
                a = fma(k[s, j], w[j * d + i], a)
            gradient[s, cell, i] = a * size


@block
def keep_units(units, h, cell):
    """Put what units are at the samples of a cell, (S, W), in their place in units, (S, M, W)."""
    m, columns = units.shape[1:]
    flat = flattened(units)
    for s in range(h.shape[0]):
        for c in range(0, columns, LANES):
            store(flat, (s * m + cell) * columns + c, load(h, (s, c)))


@block
def take_units(h, units, cell):
    """Take what `keep_units` has kept."""
    m, columns = units.shape[1:]
    flat = flattened(units)
    for s in range(h.shape[0]):
        for c in range(0, columns, LANES):
            store(h, (s, c), load(flat, (s * m + cell) * columns + c))


@kernel(cost=lambda hidden, x: x.size * hidden)
def value_and_gradient(chunk, chunks, weights, hidden, size, x, value, gradient, units):
    """Fill value (S, M) and gradient (S, M, D) of size c at x (S, M, D), and units (S, M, W).

    Weights are (M, P), and sizes (M,). Units, W = `width(hidden)`, are kept for
    `add_parameter_gradient`.
    """
    samples, m, d = x.shape
    columns, real = width(hidden), x.dtype
    features = block_size(d)
    ends, inputs = tile.empty((2, columns), real), tile.empty((hidden, features), real)
    y, parts = tile.empty((samples, features), real), tile.empty((samples, hidden * LANES), real)
    h, k = tile.empty((samples, columns), real), tile.empty((samples, columns), real)
    for cell in chunk_range(m, chunk, chunks):
        w = weights[cell]
        parts[:] = like(0, h)
        for first in range(0, d, features):
            take_inputs(inputs, w, first, d)
            take_features(y, x, cell, first, like(2, h), like(-1, h))
            project(parts, inputs, y)
        take_ends(ends, w, hidden, d)
        fill(h, ends[0])
        gather(h, parts, hidden)
        activate(h)
        keep_units(units, h, cell)
        slopes(k, value, h, w, hidden, d, cell, size[cell])
        combine(gradient, k, w, hidden, cell, size[cell])


@block
def unit_gradients(total, h, q, outputs, factor, cell):
    """Add to total, of the offsets and outputs, the gradient of a c(x) + u . grad c(x).

    q holds inputs . 2 u, and is left with what 2 x - 1 is multiplied by in the gradient by the
    inputs, h with what u is.
    """
    wide_vectors()
    one, two = like(1, h), like(2, h)
    for c in range(0, h.shape[1], LANES):
        v, offsets, ends = load(outputs, c), load(total, (0, c)), load(total, (1, c))
        for s in range(h.shape[0]):
            t, along, a = load(h, (s, c)), load(q, (s, c)), factor[s, cell]
            slope = one - t * t
            ends = ends + (a * t + slope * along)
            along = v * slope * (a - two * along * t)
            store(q, (s, c), along)
            store(h, (s, c), two * v * slope)
            offsets = offsets + along
        store(total, (0, c), offsets)
        store(total, (1, c), ends)


@block
def input_gradients(total, h, q, y, u):
    """Add to total, of the inputs, q y + h u of each sample in turn."""
    wide_vectors()
    samples, columns = y.shape
    for j in range(total.shape[0]):
        for i in range(0, columns, 2 * LANES):  # two chains of additions, to hide their latency
            n = min(i + LANES, columns - LANES)
            a, b = load(total, (j, i)), load(total, (j, n))
            for s in range(samples):
                p, r = q[s, j], h[s, j]
                a = a + fma(p, load(y, (s, i)), r * load(u, (s, i)))
                b = b + fma(p, load(y, (s, n)), r * load(u, (s, n)))
            store(total, (j, i), a)
            store(total, (j, n), b)


@kernel(cost=lambda hidden, x: x.size * hidden)
def add_parameter_gradient(chunk, chunks, weights, hidden, units, x, factor, direction, total):
    """total (M, P) += gradient by the weights of sum of factor c(x) + direction . grad c(x).

    Units are those that `value_and_gradient` has found at x.
    """
    samples, m, d = x.shape
    columns, real = width(hidden), x.dtype
    features = block_size(d)
    ends, sums = tile.empty((2, columns), real), tile.empty((2, columns), real)
    inputs = tile.empty((hidden, features), real)
    y, u = tile.empty((samples, features), real), tile.empty((samples, features), real)
    parts = tile.empty((samples, hidden * LANES), real)
    h, q = tile.empty((samples, columns), real), tile.empty((samples, columns), real)
    two, zero, minus_one = like(2, h), like(0, h), like(-1, h)
    for cell in chunk_range(m, chunk, chunks):
        w, target = weights[cell], total[cell]
        parts[:], q[:] = zero, zero
        for first in range(0, d, features):
            take_inputs(inputs, w, first, d)
            take_features(u, direction, cell, first, two, zero)
            project(parts, inputs, u)
        gather(q, parts, hidden)
        take_units(h, units, cell)
        take_ends(ends, w, hidden, d)
        take_ends(sums, target, hidden, d)
        unit_gradients(sums, h, q, ends[1], factor, cell)
        put_ends(target, sums, hidden, d)
        for first in range(0, d, features):
            take_inputs(inputs, target, first, d)
            take_features(y, x, cell, first, two, minus_one)
            take_features(u, direction, cell, first, like(1, h), zero)
            input_gradients(inputs, h, q, y, u)
            put_inputs(target, inputs, first, d)
        for s in range(samples):
            target[hidden * (d + 2)] += factor[s, cell]
