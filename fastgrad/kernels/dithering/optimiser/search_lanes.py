"""Which of 16 pixels in a row may move: most of those that are visited stay as they are.

What is seen of a row of a tile and of the row below is held in arrays, with a column more on either
side: weights, which are 0 outside the tile, and colours. A pixel that is passed over gains nothing
by any move that `search` knows; for the others `search` looks at each move.

Oracle: tests/dithering/optimiser/test_search.py,
`test_pixels_that_are_passed_over_would_not_have_moved`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.lanes import bits_of
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store

MARGIN = 1e-4  # a move must gain this share of its own square, not just rounding errors
FEW = 32  # colours up to which all of them are compared with what 16 pixels lack; greys may be many
AHEAD = 3  # rows
BESIDE = 2  # planes of greys: of the next ones below and above


@inline
def held_planes(channels):
    """Return how many numbers are held of a colour: of a grey, its neighbours' too."""
    return 1 + BESIDE if len(channels) == 1 else len(channels)


@inline
def see(shown, labels, palette, y, c, left, channels):
    """Hold the colour of pixel (y, c)."""
    label = np.int64(labels[np.uint64(y), np.uint64(c)])
    count = held_planes(channels)
    for plane in range(count):
        row, column = np.uint64(y % 2 * count + plane), np.uint64(c - left + 1)
        shown[row, column] = palette[plane, label]


@block
def see_row(held, shown, labels, weights, palette, y, left, right, bottom, channels):
    """Hold a row of a tile; below the tile, nothing has weight."""
    here = np.uint64(y % 2)
    for i in range(held.shape[1]):
        held[here, np.uint64(i)] = like(0, held)
    if y < bottom:
        for c in range(left, right):
            held[here, np.uint64(c - left + 1)] = weights[np.uint64(y), np.uint64(c)]
            see(shown, labels, palette, y, c, left, channels)


@inline
def fetch(array, row, first, end):
    """Bring entries of a row, counted through all planes, near; they need not exist."""
    width = array.shape[array.ndim - 1]
    for c in range(first, end + LANES, LANES):
        prefetch(array, row * width + c)


@block
def fetch_row(labels, awake, weights, field, y, left, right, radius, around):
    """Bring what will be looked at of a row of a tile near, in the time of some others."""
    fetch(labels, y, left, right)
    fetch(awake, y + around, left, right)
    fetch(weights, y, left, right)
    for channel in range(len(field)):
        fetch(field, channel * field.shape[1] + y + radius, left + radius, right + radius)


@block
def may_move(held, shown, goals, field, table, nu, palette, colors, y, c, left, swaps, channels):
    """Return which of 16 pixels from (y, c) on may gain by a move, as bits."""
    wide_vectors()
    radius, column, here = table.shape[0] // 2, c - left + 1, y % 2
    count, planes = len(channels), held_planes(channels)
    at_y, at_c = np.uint64(y + radius), np.uint64(c + radius)
    own = table[radius, radius] + nu
    zero, margin = filled(like(0, own)), like(MARGIN, own)
    weight, distance = load(held, (here, column)), zero
    inverse = filled(like(1, own) / own) / weight
    for channel in range(count):
        shift = -inverse * load(field[channel], (at_y, at_c))
        store(goals, channel * LANES, load(shown, (here * planes + channel, column)) + shift)
        distance = fma(shift, shift, distance)
    least = distance
    if count == 1:  # no grey is nearer than it is, if none of the two beside it is
        for plane in range(1, planes):
            x = load(shown, (here * planes + plane, column)) - load(goals, 0)
            least = where(x * x < least, x * x, least)
        found = least < distance
    else:
        for k in range(colors):
            apart = zero
            for channel in range(count):
                x = palette[channel, k] - load(goals, channel * LANES)
                apart = fma(x, x, apart)
            least = where(apart < least, apart, least)
        found = distance - least > margin * distance
    for i in range(swaps):
        dy, dx = min(i, 1), 1 - i % 3  # NEIGHBOURS[i]
        there = (y + dy) % 2
        its = load(held, (there, column + dx))
        square = linear = zero
        for channel in range(count):
            mine = load(shown, (here * planes + channel, column))
            change = load(shown, (there * planes + channel, column + dx)) - mine
            plane, place = field[channel], (np.uint64(y + dy + radius), np.uint64(c + dx + radius))
            apart = weight * load(plane, (at_y, at_c)) - its * load(plane, place)
            square = fma(change, change, square)
            linear = fma(change, apart, linear)
        mean = like(0.5, own) * own * (weight * weight + its * its)
        shared = weight * its * table[np.uint64(radius + dy), np.uint64(radius + dx)]
        gains = fma(square, mean - shared + mean * margin, linear) < zero
        found = found | (gains & (its > zero))
    return bits_of(found & (weight > zero))
