"""Error diffusion: each pixel takes the nearest colour, and hands on to others what is missing.

Oracle: tests/support/reference_dithering.py, `diffused`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.lanes import entry, first_of, least_of
from fastgrad.kernels.simd.vectors import LANES, filled, load
from fastgrad.kernels.tiles.memory import empty

BAND = 128  # rows between which no error passes: bands are worked on side by side
FEW = 4  # colours whose distances, one by one, are known sooner than the least of a vector
SIZE = 1 << 14  # pixels from which on such a table is laid out
BINS = 4096  # of a table of the nearest greys: narrower than two levels are apart in the dark
MOST = 256  # colours of a palette
AHEAD, BEHIND, BELOW = 7 / 16, 4 / 16, 5 / 16  # Floyd and Steinberg's, but for serpentines


@inline
def nearest(palette, goal, channels):
    """Return the index of the colour nearest to a goal, and its squared distance.

    It is 0 where all distances overflow. channels is a tuple of as many numbers as there are.
    """
    zero = like(0, goal)
    least, index = filled(like(np.inf, goal)), filled(np.int32(0))
    for first in range(0, palette.shape[1], LANES):
        distance = filled(zero)
        for channel in range(len(channels)):
            x = load(palette, (channel, first)) - goal[channel]
            distance = fma(x, x, distance)
        near = distance < least
        least = where(near, distance, least)
        index = where(near, np.int32(first), index)
    low = least_of(least)
    lane = first_of(least == low) % LANES
    return np.int64(entry(index, lane)) + lane, low


@inline
def nearest_of_few(palette, count, goal, channels):
    """Return the index that `nearest` returns, of one of the first so many colours."""
    least, chosen = like(np.inf, goal), np.int64(0)
    for k in range(count):
        distance = like(0, goal)
        for channel in range(len(channels)):
            x = palette[channel, np.uint64(k)] - goal[channel]
            distance = fma(x, x, distance)
        chosen = k if distance < least else chosen
        least = min(distance, least)
    return chosen


@inline
def nearest_grey(greys, goal):
    """Return the index that `nearest` returns, of greys that are laid out by `ordered`.

    No bin holds more than one of the places where the nearest grey is another one. So it is one of
    three: that of the middle of the bin, or one beside it.
    """
    levels, ranks, table, low, scale = greys
    bin = min(max((goal - low) * scale, like(0, goal)), like(BINS - 1, goal))
    place = np.int64(table[np.uint64(bin)])
    least, best = like(np.inf, goal), np.int64(0)
    for i in range(3):
        x, rank = levels[np.uint64(place + i)] - goal, np.int64(ranks[np.uint64(place + i)])
        x *= x
        best = rank if (x < least) | ((x == least) & (rank < best)) else best
        least = min(x, least)
    return best % MOST


@block
def ordered(levels, ranks, table, greys, count):
    """Lay out some greys in rising order, with infinite ones around, and a table of bins.

    Of greys as near, `nearest` returns that of the first lane, and there the first: their ranks say
    so. The table holds the place of the grey that is nearest to the middle of each bin. Return the
    bins in a unit; 0 if they are too wide.
    """
    found = 0
    levels[0] = like(-np.inf, greys)
    for k in range(count):
        at, rank = found, k % LANES * MOST + k
        while levels[at] > greys[k]:
            at -= 1
        if found > 0 and levels[at] == greys[k]:
            ranks[at] = min(rank, ranks[at])
            continue
        for i in range(found, at, -1):
            levels[i + 1], ranks[i + 1] = levels[i], ranks[i]
        levels[at + 1], ranks[at + 1] = greys[k], rank
        found += 1
    levels[found + 1] = like(np.inf, greys)
    ranks[0], ranks[found + 1] = ranks[1], ranks[found]
    width, place = (levels[found] - levels[1]) / like(BINS, greys), 0
    for i in range(1, found - 1):
        if levels[i + 2] - levels[i] <= like(2, greys) * width:
            return like(0, greys)
    if found < 2:
        return like(0, greys)
    for b in range(BINS):
        middle = levels[1] + (like(b, greys) + like(0.5, greys)) * width
        while levels[place + 2] - middle < middle - levels[place + 1]:
            place += 1
        table[b] = place
    return like(1, greys) / width


@inline
def diffuse_pixel(labels, planes, weights, colours, y, c, step, goal, here, there):
    """Give pixel (y, c) the nearest colour; hand its error on in this row, `here`, and the next."""
    palette, limits, channels, few, greys = colours
    row, column, below = np.uint64(y), np.uint64(c), np.uint64(c + 1)
    ahead, behind = np.uint64(c + 1 + step), np.uint64(c + 1 - step)
    for channel in range(len(channels)):
        goal[channel] = planes[channel, row, column] + here[channel, below]
    if few:
        chosen = nearest_of_few(palette, few, goal, channels)
    elif len(channels) == 1 and greys[4] > like(0, planes):
        chosen = nearest_grey(greys, goal[0])
    else:
        chosen, _ = nearest(palette, goal, channels)
    labels[row, column] = chosen
    if weights[row, column] == like(0, weights):
        return
    for channel in range(len(channels)):
        most = limits[channel]
        e = min(max(goal[channel] - palette[channel, chosen], -most), most)
        here[channel, ahead] = fma(like(AHEAD, e), e, here[channel, ahead])
        there[channel, below] = fma(like(BELOW, e), e, there[channel, below])
        there[channel, behind] = fma(like(BEHIND, e), e, there[channel, behind])


@block
def diffuse_bands(labels, planes, weights, colours, top, goal, errors):
    """labels = the nearest colours in two bands of rows, back and forth.

    Each pixel waits for the one before it, but not for those of the other band. colours is the
    kernel's, the number of colours if they are `FEW`, else 0, and what `nearest_grey` needs.
    """
    height, width = labels.shape
    errors[:] = like(0, errors)
    for y in range(min(BAND, height - top)):
        step = 1 - 2 * (y % 2)
        here, there = errors[y % 2], errors[(y + 1) % 2]
        there[:] = like(0, there)
        image = labels, planes, weights, colours
        first, second = top + y, top + BAND + y
        for i in range(width):
            c = i if step > 0 else width - 1 - i
            diffuse_pixel(*image, first, c, step, goal[0], here[0], there[0])
            if second < height:
                diffuse_pixel(*image, second, c, step, goal[1], here[1], there[1])


@kernel(cost=lambda labels, colours: labels.size * (colours[0].shape[1] + 16))
def diffuse(chunk, chunks, labels, planes, weights, colours):
    """labels = the picture of diffused errors.

    colours is (palette, limits, channels): limits, which bound the errors that are handed on, has a
    number for each channel, and channels is a tuple as in `search.descend`.
    """
    height, width = labels.shape
    real, channels, count = planes.dtype, len(colours[2]), 0
    for k in range(colours[0].shape[1]):
        count += colours[0][0, k] < np.inf
    levels, ranks, table = empty(MOST + 2, real), empty(MOST + 2, np.int64), empty(BINS, np.uint8)
    low = scale = like(0, planes)
    if channels == 1 and count > FEW and labels.size > SIZE:
        scale = ordered(levels, ranks, table, colours[0][0], count)
        low = levels[1]
    greys = levels, ranks, table, low, scale
    known = colours[0], colours[1], colours[2], count if count <= FEW else 0, greys
    goal, errors = empty((2, channels), real), empty((2, 2, channels, width + 2), real)
    for pair in chunk_range((height + 2 * BAND - 1) // (2 * BAND), chunk, chunks):
        diffuse_bands(labels, planes, weights, known, 2 * BAND * pair, goal, errors)
