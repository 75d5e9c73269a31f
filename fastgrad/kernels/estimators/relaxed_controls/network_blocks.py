"""Features and weights of a `network`, a block at a time: taken, multiplied, put back.

The weights of a cell are one row: inputs (H, D), offsets (H), outputs (H), bias. A block of
features is taken to where it stays in L1, with zeros beyond the last of D.
"""

from fastgrad.kernels.compiler.jit import block, inline, shared, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like
from fastgrad.kernels.simd.vectors import LANES, load, prefetch, store
from fastgrad.kernels.tiles.memory import flattened

FEATURES = 256
WIDE = 4 * FEATURES  # features of which only the inputs are taken: rows are written in long runs
SPAN = 4 * WIDE  # features of a cell that one thread takes: the rest may be for others


@inline
def width(n):
    """Return the least multiple of 16 that is at least n."""
    return (n + LANES - 1) // LANES * LANES


@inline
def block_size(d, most=FEATURES):
    """Return how many of d features to take at a time."""
    return min(most, max(width(d), LANES))


@inline
def spans(d):
    """Return the number of spans of d features."""
    return max((d + SPAN - 1) // SPAN, 1)


# What is taken is found by its place, not by slices, whose arrays would be counted at each row. The
# row after it is fetched by the way: it is far off, and runs are too short to be foreseen.


@shared
def take_inputs(out, w, first, d):
    """out = the inputs of each unit, a row each, from feature `first` on, and zeros beyond d."""
    wide_vectors()
    count = min(out.shape[1], d - first)
    whole = count // LANES * LANES
    for j in range(out.shape[0]):
        at = j * d + first
        for i in range(0, whole, LANES):
            prefetch(w, at + d + i)
            store(out, (j, i), load(w, at + i))
        for i in range(whole, count):
            out[j, i] = w[at + i]
        for i in range(count, out.shape[1]):
            out[j, i] = like(0, w)


@block
def put_inputs(w, out, first, d):
    """Put what `take_inputs` took back."""
    wide_vectors()
    count = min(out.shape[1], d - first)
    whole = count // LANES * LANES
    for j in range(out.shape[0]):
        at = j * d + first
        for i in range(0, whole, LANES):
            store(w, at + i, load(out, (j, i)))
        for i in range(whole, count):
            w[at + i] = out[j, i]


@shared
def take_features(out, x, cell, first, scale, shift):
    """out = scale x + shift of each sample of a cell, from feature `first` on: x is (S, M, D)."""
    wide_vectors()
    _, m, d = x.shape
    flat, count = flattened(x), min(out.shape[1], d - first)
    whole = count // LANES * LANES
    for s in range(out.shape[0]):
        at = (s * m + cell) * d + first
        for i in range(0, whole, LANES):
            prefetch(flat, at + m * d + i)
            store(out, (s, i), fma(scale, load(flat, at + i), shift))
        for i in range(whole, count):
            out[s, i] = fma(scale, flat[at + i], shift)
        for i in range(count, out.shape[1]):
            out[s, i] = like(0, out)


@block
def take_ends(ends, w, hidden, d):
    """Take offsets and outputs, the two rows of ends."""
    ends[:] = like(0, ends)
    for i in range(2):
        for j in range(hidden):
            ends[i, j] = w[(d + i) * hidden + j]


@block
def put_ends(w, ends, hidden, d):
    """Put what `take_ends` took back."""
    for i in range(2):
        for j in range(hidden):
            w[(d + i) * hidden + j] = ends[i, j]


@inline
def four(first, samples):
    """Return four samples from the first on; beyond the last, that again."""
    last = samples - 1
    return first, min(first + 1, last), min(first + 2, last), min(first + 3, last)


@shared
def project(parts, inputs, y):
    """parts += products of inputs and y, 16 sums for each unit of each sample: (S, H LANES)."""
    wide_vectors()
    samples, columns = y.shape
    for begin in range(0, samples, 4):
        s, t, u, v = four(begin, samples)
        for j in range(inputs.shape[0]):
            at = j * LANES
            a, b, e, f = (
                load(parts, (s, at)),
                load(parts, (t, at)),
                load(parts, (u, at)),
                load(parts, (v, at)),
            )
            for i in range(0, columns, LANES):
                w = load(inputs, (j, i))
                a, b = fma(w, load(y, (s, i)), a), fma(w, load(y, (t, i)), b)
                e, f = fma(w, load(y, (u, i)), e), fma(w, load(y, (v, i)), f)
            store(parts, (s, at), a)
            store(parts, (t, at), b)
            store(parts, (u, at), e)
            store(parts, (v, at), f)


@inline
def project_span(parts, inputs, y, w, x, place, scale, shift):
    """parts = the products of inputs w and scale x + shift: of one cell, from one feature on.

    place is (cell, feature); inputs and y are room.
    """
    cell, begin = place
    d, features = x.shape[2], y.shape[1]
    parts[:] = like(0, parts)
    for first in range(begin, min(begin + SPAN, d), features):
        take_inputs(inputs, w, first, d)
        take_features(y, x, cell, first, scale, shift)
        project(parts, inputs, y)


@block
def gather(h, parts, hidden):
    """h[s, j] += the sum of the 16 parts."""
    for s in range(h.shape[0]):
        for j in range(hidden):
            total = h[s, j]  # in a register: an array would be written to at each lane
            for lane in range(LANES):
                total += parts[s, j * LANES + lane]
            h[s, j] = total
