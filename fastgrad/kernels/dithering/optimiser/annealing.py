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
    score,
)
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles.memory import empty, reshaped, zeros


@block
def down(middle, lines, plane, y, taps, margin):
    """middle[plane x terms + term] = the columns' blur of a row, of all lists, within margins.

    lines are rows of all lists; y is the uppermost one that is needed, and taps has all terms.
    """
    wide_vectors()
    terms, radius = taps.shape[0], taps.shape[2] // 2
    apart, width = middle.shape[1] // PHASES, lines.shape[1] // PHASES
    here = y + radius
    for i in range(terms):
        out = plane * terms + i
        for p in range(PHASES):
            for c in range(p * width, (p + 1) * width, LANES):
                x = taps[i, 0, radius] * load(lines, (here, c))
                for t in range(1, radius + 1):
                    pair = load(lines, (here - t, c)) + load(lines, (here + t, c))
                    x = fma(taps[i, 0, np.uint64(radius + t)], pair, x)
                store(middle, (out, p * (apart - width) + margin + c), x)


@block
def approach(target, energy, planes, errors, weights, middle, places, rows, phase, blur, rate):
    """Move targets towards mean - field / (own weights), and add error * field to energy.

    rows are those of the target, of the errors, of the weights, and the plane of the middle; in it,
    places say where the columns are by which the list of this phase is blurred.
    """
    wide_vectors()
    taps, nu, own = blur
    here, seen, y, plane = rows
    terms, width = taps.shape[0], energy.size
    inverse, zero = like(1, own) / own, filled(like(0, own))
    for c in range(0, width, LANES):
        field, place = zero, phase * width + c
        for i in range(terms):
            for t in range(taps.shape[2]):
                beside = load(middle, (plane * terms + i, places[np.uint64(t)] + c))
                field = fma(taps[i, 1, np.uint64(t)], beside, field)
        error, weight = load(errors, (seen, place)), load(weights, (y, place))
        field = fma(nu, error, field)
        step = fma(-inverse, field, error) / weight
        goal = load(planes, (here, place)) + where(weight > zero, step, zero)
        before = load(target, (here, place))
        store(target, (here, place), fma(rate, goal - before, before))
        store(energy, c, fma(error, field, load(energy, c)))


@block
def settle(energy, errors, middle, mean, planes, weights, rows, place, at, first, n, blur):
    """Bring errors, and the columns' blur of their row, up to date with means of n pixels.

    These begin at `first` of their list: at `place` of a row of all lists, and at `at` of the
    middle. rows are those of the first channel's picture, which is that of the weights, too, and of
    its errors, and how many they are from one channel to the next. The means' variance is added to
    energy.
    """
    wide_vectors()
    taps, own = blur[0], blur[2]
    row, seen, apart, beyond = rows
    terms, radius = taps.shape[0], taps.shape[2] // 2
    channels = mean.shape[0] - 1
    for c in range(0, n, LANES):
        weight, square = load(weights, (row, place + c)), load(mean, (channels, c))
        for i in range(channels):
            x = load(mean, (i, c))
            square = fma(-x, x, square)
            after = weight * (x - load(planes, (row + i * apart, place + c)))
            there = seen + i * beyond, place + c
            change = after - load(errors, there)
            store(errors, there, after)
            for j in range(terms):
                here = i * terms + j, at + c
                store(middle, here, fma(taps[j, 0, radius], change, load(middle, here)))
        whole = first + c
        store(energy, whole, fma(own * weight, weight * square, load(energy, whole)))


@kernel(cost=lambda picture, colours: picture[1].size * len(colours))
def sweep(chunk, chunks, state, picture, colours, blur, beta, rate, energies, size, turn):
    """Update every second band of `size` rows: one turn of two.

    state is (targets, errors), errors being multiplied by weights; picture is (image, weights);
    blur is (taps, nu, own), own the weight with which the error of a pixel meets itself.
    energies[y] = the share of row y in the expected loss.
    """
    channels, height, _, width = picture[0].shape
    taps = blur[0]
    terms, side = taps.shape[0], taps.shape[2]
    radius = side // 2
    beyond, margin = height + 2 * radius, radius // PHASES + 1
    wide = width + 2 * margin
    bands = (-(-height // size) - turn + 1) // 2
    target = reshaped(state[0], (channels * height, PHASES * width))
    errors = reshaped(state[1], (channels * beyond, PHASES * width))
    planes = reshaped(picture[0], (channels * height, PHASES * width))
    weights = reshaped(picture[1], (height, PHASES * width))
    real = planes.dtype
    middle = zeros((channels * terms, PHASES * wide), real)
    places = empty((PHASES, side), np.int64)
    for p in range(PHASES):
        for t in range(side):
            column = p + t - radius
            places[p, t] = column % PHASES * wide + margin + column // PHASES
    energy, chosen = empty(width, real), empty(colours.shape[0], np.int64)
    logits = empty((colours.shape[0], SEGMENT), real)
    theta, mean = empty((channels, SEGMENT), real), empty((channels + 1, SEGMENT), real)
    high = empty(SEGMENT, real)
    bias = empty(colours.shape[0], real)
    for k in range(bias.size):
        bias[k] = -beta * colours[k, channels]
    for b in chunk_range(bands, chunk, chunks):
        top = (2 * b + turn) * size
        for y in range(top, min(top + size, height)):
            energy[:] = like(0, energy)
            for channel in range(channels):
                down(middle, errors, channel, channel * beyond + y, taps, margin)
            for p in range(PHASES):
                for channel in range(channels):
                    rows = channel * height + y, channel * beyond + y + radius, y, channel
                    seen = planes, errors, weights, middle, places[p]
                    approach(target, energy, *seen, rows, p, blur, rate)
                for first in range(0, width, SEGMENT):
                    n, place = min(SEGMENT, width - first), p * width + first
                    seen = target, y, height, place, n
                    score(logits, theta, high, *seen, colours, bias, 2 * beta)
                    expect(mean, logits, chosen, high, n, colours)
                    rows = y, y + radius, height, beyond
                    at = p * wide + margin + first
                    seen = errors, middle, mean, planes, weights
                    settle(energy, *seen, rows, place, at, first, n, blur)
            energies[y] = 0.0
            for c in range(width):
                energies[y] += np.float64(energy[c])
