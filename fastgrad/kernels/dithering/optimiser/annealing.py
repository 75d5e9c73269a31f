"""Mean-field annealing, in place.

The pixels of a list of columns (see `annealing_response`) are so far apart that they hardly blur
into each other, and are updated all at once. List after list, row after row sees what is new before
it.

Oracle: tests/dithering/optimiser/test_annealing.py, `sequential_step`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.dithering.optimiser.annealing_response import (
    PHASES,
    SEGMENT,
    expect,
    greatest,
    score,
    variance,
)
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.tiles.memory import empty, zeros


@block
def down(out, error, channel, y, phase, taps):
    """out = the columns' blur of a row, given as the uppermost row that it needs."""
    wide_vectors()
    radius = taps.size // 2
    row = error[channel, y + radius, phase]
    tap = taps[radius]
    for c in range(row.size):
        out[c] = tap * row[c]
    for t in range(1, radius + 1):
        tap = taps[radius + t]
        up, low = error[channel, y + radius - t, phase], error[channel, y + radius + t, phase]
        for c in range(up.size):
            out[c] = fma(tap, up[c] + low[c], out[c])


@block
def across(out, middle, phase, taps, margin):
    """Add the rows' blur of one list of columns to out; middle holds all lists, with margins."""
    wide_vectors()
    radius = taps.size // 2
    n = out.size
    for t in range(-radius, radius + 1):
        column = phase + t
        start = margin + column // PHASES
        row, tap = middle[column % PHASES, start : start + n], taps[radius + t]
        for c in range(n):
            out[c] = fma(tap, row[c], out[c])


@block
def approach(target, energy, error, image, weights, field, own, nu, rate):
    """Move targets towards mean - field / (own weights), and add error * field to energy."""
    wide_vectors()
    inverse, zero = like(1, own) / own, like(0, own)
    for c in range(target.size):
        field[c] = fma(nu, error[c], field[c])
        step = fma(-inverse, field[c], error[c]) / weights[c]
        goal = image[c] + where(weights[c] > zero, step, zero)
        target[c] = fma(rate, goal - target[c], target[c])
    for c in range(target.size):
        energy[c] = fma(error[c], field[c], energy[c])


@block
def settle(error, change, image, mean, weights):
    """error = that of the means, change = the difference."""
    wide_vectors()
    for c in range(mean.size):
        after = weights[c] * (mean[c] - image[c])
        change[c] = after - error[c]
        error[c] = after


@block
def add(middle, change, tap):
    """Bring the columns' blur of this row up to date."""
    wide_vectors()
    for c in range(change.size):
        middle[c] = fma(tap, change[c], middle[c])


@kernel(cost=lambda picture, colours: picture[1].size * len(colours))
def sweep(chunk, chunks, state, picture, colours, blur, beta, rate, energies, size, turn):
    """Update every second band of `size` rows: one turn of two.

    state is (targets, errors), errors being multiplied by weights; picture is (image, weights);
    blur is (taps, nu, own), own the weight with which the error of a pixel meets itself.
    energies[y] = the share of row y in the expected loss.
    """
    target, error = state
    image, weights = picture
    taps, nu, own = blur
    channels, height, _, width = image.shape
    radius = taps.shape[2] // 2
    margin = radius // PHASES + 1
    bands = (-(-height // size) - turn + 1) // 2
    middle = zeros((channels, taps.shape[0], PHASES, width + 2 * margin), image.dtype)
    field = empty(width, image.dtype)
    energy = empty(width, image.dtype)
    logits = empty((colours.shape[0], SEGMENT), image.dtype)
    theta = empty((channels, SEGMENT), image.dtype)
    mean = empty((channels + 1, SEGMENT), image.dtype)
    high = empty(SEGMENT, image.dtype)
    total = empty(SEGMENT, image.dtype)
    bias = -beta * colours[:, channels]
    for b in chunk_range(bands, chunk, chunks):
        top = (2 * b + turn) * size
        for y in range(top, min(top + size, height)):
            energy[:] = like(0, field)
            for channel in range(channels):
                for i in range(taps.shape[0]):
                    for p in range(PHASES):
                        row = middle[channel, i, p, margin : margin + width]
                        down(row, error, channel, y, p, taps[i, 0])
            for p in range(PHASES):
                for channel in range(channels):
                    field[:] = like(0, field)
                    for i in range(taps.shape[0]):
                        across(field, middle[channel, i], p, taps[i, 1], margin)
                    approach(
                        target[channel, y, p],
                        energy,
                        error[channel, y + radius, p],
                        image[channel, y, p],
                        weights[y, p],
                        field,
                        own,
                        nu,
                        rate,
                    )
                for first in range(0, width, SEGMENT):
                    n = min(SEGMENT, width - first)
                    last = first + n
                    score(logits, theta, target[:, y, p], first, n, colours, bias, 2 * beta)
                    greatest(high[:n], logits)
                    expect(mean, total, logits, high[:n], colours)
                    variance(energy[first:last], mean, weights[y, p, first:last], own)
                    for channel in range(channels):
                        settle(
                            error[channel, y + radius, p, first:last],
                            total[:n],
                            image[channel, y, p, first:last],
                            mean[channel, :n],
                            weights[y, p, first:last],
                        )
                        for i in range(taps.shape[0]):
                            row = middle[channel, i, p, margin + first : margin + last]
                            add(row, total[:n], taps[i, 0, radius])
            energies[y] = 0.0
            for c in range(width):
                energies[y] += np.float64(energy[c])
