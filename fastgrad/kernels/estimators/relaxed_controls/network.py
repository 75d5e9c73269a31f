"""A network with one hidden layer of tanh for each cell, and the derivatives that train it.

c(x) = bias + sum over j of output_j tanh(input_j . (2 x - 1) + offset_j). Features and weights come
in `network_blocks`; what is known of units stands in arrays of W columns, a multiple of 16. Sums
over samples take them in order: results do not depend on blocks of samples. So do those over the
spans of a cell that has several, which threads share: `project_spans` makes them beforehand.

Oracle: tests/estimators/relaxed_controls/test_rebar.py, `test_the_network_and_its_derivatives`.
"""

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.estimators.relaxed_controls.network_blocks import (
    SPAN,
    WIDE,
    block_size,
    four,
    gather,
    project_span,
    put_ends,
    put_inputs,
    spans,
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
def evaluate(value, h, w, hidden, d, cell, size):
    """value = c size, of each sample of a cell."""
    for s in range(h.shape[0]):
        c = w[hidden * (d + 2)]
        for j in range(hidden):
            c = fma(w[hidden * (d + 1) + j], h[s, j], c)
        value[s, cell] = c * size


@block
def slopes(k, h, w, hidden, d):
    """k = derivatives of c by inputs . x of each unit, (S, W)."""
    for s in range(h.shape[0]):
        for j in range(hidden):
            t, v = h[s, j], w[hidden * (d + 1) + j]
            k[s, j] = like(2, v) * v * (like(1, t) - t * t)


@block
def combine(gradient, k, inputs, cell, first, size):
    """gradient = size (sum over units of k inputs), (S, M, D): of a cell, from `first` on."""
    wide_vectors()
    samples, m, d = gradient.shape
    hidden, count, zero = inputs.shape[0], min(inputs.shape[1], d - first), like(0, inputs)
    flat, whole = flattened(gradient), count // LANES * LANES
    for begin in range(0, samples, 4):
        s, t, u, v = four(begin, samples)
        at_s, at_t, at_u, at_v = (
            (s * m + cell) * d + first,
            (t * m + cell) * d + first,
            (u * m + cell) * d + first,
            (v * m + cell) * d + first,
        )
        for i in range(0, whole, LANES):
            a, b, e, f = filled(zero), filled(zero), filled(zero), filled(zero)
            for j in range(hidden):
                row = load(inputs, (j, i))
                a, b = fma(k[s, j], row, a), fma(k[t, j], row, b)
                e, f = fma(k[u, j], row, e), fma(k[v, j], row, f)
            store(flat, at_s + i, a * size)
            store(flat, at_t + i, b * size)
            store(flat, at_u + i, e * size)
            store(flat, at_v + i, f * size)
    for s in range(samples):
        for i in range(whole, count):
            a = zero
            for j in range(hidden):
                a = fma(k[s, j], inputs[j, i], a)
            gradient[s, cell, first + i] = a * size


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
def project_spans(chunk, chunks, weights, hidden, x, how, sums):
    """sums = the products of each unit's inputs and scale x + shift: (M, spans, S, W), one a span.

    x is (S, M, D), how = (scale, shift).
    """
    samples, m, d = x.shape
    each, features, real = spans(d), block_size(d), x.dtype
    inputs, y = tile.empty((hidden, features), real), tile.empty((samples, features), real)
    parts = tile.empty((samples, hidden * LANES), real)
    for item in chunk_range(m * each, chunk, chunks):
        cell, span = item // each, item % each
        h = sums[cell, span]
        project_span(parts, inputs, y, weights[cell], x, (cell, span * SPAN), how[0], how[1])
        h[:] = like(0, h)
        gather(h, parts, hidden)


@block
def add_spans(h, sums):
    """h += the sum of spans, (spans, S, W), one after the other."""
    for one in sums:
        for s in range(h.shape[0]):
            for c in range(0, h.shape[1], LANES):
                store(h, (s, c), load(h, (s, c)) + load(one, (s, c)))


@kernel(cost=lambda hidden, x: x.size * hidden)
def value_and_gradient(chunk, chunks, weights, hidden, size, x, sums, value, gradient, units):
    """Fill value (S, M) and gradient (S, M, D) of size c at x (S, M, D), and units (S, M, W).

    Weights are (M, P), and sizes (M,). Units, W = `width(hidden)`, are kept for
    `add_parameter_gradient`. Where a cell has several spans, sums are `project_spans` of 2 x - 1;
    each span finds again what the units are, and the first one writes it.
    """
    samples, m, d = x.shape
    columns, real = width(hidden), x.dtype
    each, features, wide = spans(d), block_size(d), block_size(d, WIDE)
    ends, inputs = tile.empty((2, columns), real), tile.empty((hidden, features), real)
    rows = tile.empty((hidden, wide), real)
    y, parts = tile.empty((samples, features), real), tile.empty((samples, hidden * LANES), real)
    h, k = tile.empty((samples, columns), real), tile.empty((samples, columns), real)
    for item in chunk_range(m * each, chunk, chunks):
        cell, begin = item // each, item % each * SPAN
        w = weights[cell]
        take_ends(ends, w, hidden, d)
        fill(h, ends[0])
        if each == 1:
            project_span(parts, inputs, y, w, x, (cell, 0), like(2, h), like(-1, h))
            gather(h, parts, hidden)
        else:
            add_spans(h, sums[cell])
        activate(h)
        slopes(k, h, w, hidden, d)
        if begin == 0:
            keep_units(units, h, cell)
            evaluate(value, h, w, hidden, d, cell, size[cell])
        for first in range(begin, min(begin + SPAN, d), wide):
            take_inputs(rows, w, first, d)
            combine(gradient, k, rows, cell, first, size[cell])


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
def add_parameter_gradient(
    chunk, chunks, weights, hidden, units, x, factor, direction, along, total
):
    """total (M, P) += gradient by the weights of sum of factor c(x) + direction . grad c(x).

    Units are those that `value_and_gradient` has found at x. Where a cell has several spans, along
    are `project_spans` of 2 direction; the first one adds what does not belong to inputs.
    """
    samples, m, d = x.shape
    columns, real = width(hidden), x.dtype
    each, features = spans(d), block_size(d)
    ends, sums = tile.empty((2, columns), real), tile.empty((2, columns), real)
    inputs = tile.empty((hidden, features), real)
    y, u = tile.empty((samples, features), real), tile.empty((samples, features), real)
    parts = tile.empty((samples, hidden * LANES), real)
    h, q = tile.empty((samples, columns), real), tile.empty((samples, columns), real)
    two, zero, minus_one = like(2, h), like(0, h), like(-1, h)
    for item in chunk_range(m * each, chunk, chunks):
        cell, begin = item // each, item % each * SPAN
        w, target = weights[cell], total[cell]
        q[:], sums[:] = zero, zero
        if each == 1:
            project_span(parts, inputs, u, w, direction, (cell, 0), two, zero)
            gather(q, parts, hidden)
        else:
            add_spans(q, along[cell])
        take_units(h, units, cell)
        take_ends(ends, w, hidden, d)
        if begin == 0:
            take_ends(sums, target, hidden, d)
        unit_gradients(sums, h, q, ends[1], factor, cell)
        if begin == 0:
            put_ends(target, sums, hidden, d)
            for s in range(samples):
                target[hidden * (d + 2)] += factor[s, cell]
        for first in range(begin, min(begin + SPAN, d), features):
            take_inputs(inputs, target, first, d)
            take_features(y, x, cell, first, two, minus_one)
            take_features(u, direction, cell, first, like(1, h), zero)
            input_gradients(inputs, h, q, y, u)
            put_inputs(target, inputs, first, d)
