"""The error of a picture of labels, its blur and their sums, row by row: nothing else is stored.

Oracle: tests/support/reference_dithering.py, `loss`.
"""

from fastgrad.kernels.compiler.jit import (
    block,
    chunk_bounds,
    chunk_range,
    inline,
    kernel,
    wide_vectors,
)
from fastgrad.kernels.dithering.eye.blur import blur_row, newest, room
from fastgrad.kernels.simd.intrinsics import fma, like, to_float64, where
from fastgrad.kernels.simd.lanes import entry
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import zeros

WEIGHTED, COUNTED, AIMED = range(3)  # what `lay` does
FEW = 4  # colours that are chosen from


@block
def choose_row(out, labels, weights, image, palette, counted):
    """Do what `error_row` does, in whole vectors, and return how many pixels that were.

    Of a few colours each is chosen in all pixels that have it, sooner than fetched for each.
    """
    wide_vectors()
    whole = labels.size // LANES * LANES
    for c in range(0, whole, LANES):
        weight, label, colour = load(weights, c), load(labels, c), filled(palette[0])
        if counted:
            weight = where(weight > like(0, weight), filled(like(1, out)), weight)
        for k in range(1, palette.size):
            colour = where(label == like(k, labels), filled(palette[k]), colour)
        store(out, c, weight * (colour - load(image, c)))
    return whole


@block
def error_row(out, labels, weights, image, palette, counted):
    """out = the weights, or 1 where they count, times colours of the palette minus the image."""
    first = choose_row(out, labels, weights, image, palette, counted) if palette.size <= FEW else 0
    out, labels, weights, image = out[first:], labels[first:], weights[first:], image[first:]
    for c in range(labels.size):
        weight = weights[c]
        if counted and weight > like(0, weight):
            weight = like(1, weight)
        out[c] = weight * (palette[labels[c]] - image[c])


@inline
def sum_of(vector):
    """Return the sum of a vector's entries, from the first to the last."""
    total = 0.0
    for lane in range(LANES):
        total += entry(vector, lane)
    return total


@block
def energies_of(error, field):
    """Return the sums of error * field and of error^2 in whole vectors."""
    wide_vectors()
    whole = plain = filled(0.0)
    for c in range(0, error.size, LANES):
        e = to_float64(load(error, c))
        whole = fma(e, to_float64(load(field, c)), whole)
        plain = fma(e, e, plain)
    return sum_of(whole), sum_of(plain)


@kernel(cost=lambda planes, taps: planes.size * taps.size)
def lay(chunk, chunks, out, sums, labels, weights, planes, colours, taps, nu, margin, what):
    """Lay out, inside its margin, the blurred error of a picture; colours is planar, (3, K).

    sums[y] = row y's sums of error * field and of error^2. What is WEIGHTED has the weights of the
    pixels, and what is COUNTED 1 where they count. What is AIMED is the image minus this blur.
    Empty `out` and `sums` are left as they are.
    """
    channels, height, width = planes.shape
    radius = taps.shape[2] // 2
    held, places, middle, line = room(width, taps)
    begin, end = chunk_bounds(height, chunk, chunks)
    sums[begin:end] = 0.0
    for channel in range(channels):
        for y in range(begin, end):
            for new in range(newest(y, begin, radius), y + radius + 1):
                row = held[new % len(held), :width]
                if 0 <= new < height:
                    image, palette = planes[channel, new], colours[channel]
                    error_row(row, labels[new], weights[new], image, palette, what != WEIGHTED)
                else:
                    row[:] = like(0, nu)
            blur_row(line, held, y, places, middle, taps, nu)
            if sums.size > 0:
                whole, plain = energies_of(held[y % len(held)], line)
                sums[y, 0] += whole
                sums[y, 1] += plain
            if out.size == 0:
                continue
            row, image = out[channel, margin + y, margin : margin + width], planes[channel, y]
            if what == AIMED:
                for c in range(width):
                    missing = line[c] if weights[y, c] > like(0, nu) else like(0, nu)
                    row[c] = image[c] - missing
            else:
                assign(row, line[:width])


@kernel(cost=lambda out: out.size)
def errors(chunk, chunks, out, labels, weights, planes, colours):
    """out = weights times the picture minus the image; colours is planar, (3, K)."""
    for y in chunk_range(len(labels), chunk, chunks):
        for channel in range(len(planes)):
            seen = labels[y], weights[y], planes[channel, y], colours[channel]
            error_row(out[channel, y], *seen, False)


@kernel(cost=lambda labels: labels.size)
def energies(chunk, chunks, sums, labels, weights, planes, colours, field, margin):
    """sums[y] = what `lay` says of row y, of a field that is laid out; weights as they are."""
    width = labels.shape[1]
    whole_width = -(-width // LANES) * LANES
    error, line = zeros(whole_width, planes.dtype), zeros(whole_width, planes.dtype)
    for y in chunk_range(len(labels), chunk, chunks):
        sums[y] = 0.0
        for channel in range(len(planes)):
            image, palette = planes[channel, y], colours[channel]
            error_row(error[:width], labels[y], weights[y], image, palette, False)
            assign(line[:width], field[channel, margin + y, margin : margin + width])
            whole, plain = energies_of(error, line)
            sums[y, 0] += whole
            sums[y, 1] += plain
