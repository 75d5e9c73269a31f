"""Descent on a picture of labels, one palette index per pixel: relabel pixels and swap neighbours.

Palettes are planar, shape (channels, K), with K filled up to whole vectors by infinitely far
colours; one of greys has the next ones below and above in two planes more, see `search_lanes`.
Unsigned indices need no check of whether they mean places from the end.

Oracle: tests/dithering/optimiser/test_annealing.py, tests/support/reference_dithering.py, `loss`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, shared, wide_vectors
from fastgrad.kernels.dithering.optimiser.search_lanes import (
    AHEAD,
    FEW,
    MARGIN,
    fetch_row,
    held_planes,
    may_move,
    see,
    see_row,
)
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.lanes import bits_of, first_bit, first_of, least_of
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles.memory import empty

NEIGHBOURS = ((0, 1), (1, 0), (1, -1), (1, 1))  # the others have met the pixel before
BOTH = 2  # turns
AROUND = 2  # rows and columns around a pixel that moves in which others look again for a move


@inline
def nearest_from(old, distance, near, goal, channels):
    """Return the colour nearest to a goal, and its squared distance; `old` has the given one.

    near is (others, order, bounds): the colours from each colour outwards, in vectors, their
    indices, and the squared distance at which each vector begins; channels is of their length.
    """
    others, order, bounds = near
    best, least = old, distance
    for first in range(bounds.shape[1]):
        # A colour that is nearer to the goal is as far from `old` as the sum of both at most.
        # The first block is looked at in any case: whether it is worth it, no processor foresees.
        if first > 0 and bounds[old, first] > like(2, goal) * (distance + least):
            break
        apart = filled(like(0, goal))
        for channel in range(len(channels)):
            place = old, (first * len(channels) + channel) * LANES
            x = load(others, place) - goal[channel]
            apart = fma(x, x, apart)
        if first_of(apart < least) < LANES:
            least = least_of(apart)
            best = np.int64(order[old, first * LANES + first_of(apart == least) % LANES])
    return best, least


@inline
def wake(awake, y, c):
    """Have the pixels around (y, c) visited; awake has a margin of AROUND."""
    for i in range(2 * AROUND + 1):
        for j in range(2 * AROUND + 1):
            awake[np.uint64(y + i), np.uint64(c + j)] = 1


@inline
def give(labels, weights, field, palette, table, nu, y, c, new, channels):
    """Give pixel (y, c) the label `new` and keep the field, as long as channels, up to date."""
    row, column = np.uint64(y), np.uint64(c)
    old, weight = labels[row, column], weights[row, column]
    labels[row, column] = new
    side, width = table.shape
    for channel in range(len(channels)):
        plane = field[channel]
        change = weight * (palette[channel, new] - palette[channel, old])
        for i in range(side):
            for j in range(0, width, LANES):
                place = np.uint64(y + i), np.uint64(c + j)
                store(plane, place, fma(change, load(table, (i, j)), load(plane, place)))
        plane[np.uint64(y + side // 2), np.uint64(c + side // 2)] += nu * change


@inline
def exchange(labels, weights, field, palette, table, nu, y, c, dy, dx, changes, channels):
    """Do what `give` does for a pixel and its neighbour, one after the other, in one pass.

    changes has room for two numbers of each channel.
    """
    side, width = table.shape
    radius, count = side // 2, len(channels)
    row, column, below, beside = np.uint64(y), np.uint64(c), np.uint64(y + dy), np.uint64(c + dx)
    mine, other = labels[row, column], labels[below, beside]
    labels[row, column], labels[below, beside] = other, mine
    weight, its = weights[row, column], weights[below, beside]
    here = np.uint64(y + radius), np.uint64(c + radius)
    there = np.uint64(y + dy + radius), np.uint64(c + dx + radius)
    own, shared = table[radius, radius], table[np.uint64(radius - dy), np.uint64(radius - dx)]
    for channel in range(count):
        apart = palette[channel, other] - palette[channel, mine]
        first, second = weight * apart, -its * apart
        before = fma(first, own, field[channel, here[0], here[1]]) + nu * first
        changes[channel], changes[count + channel] = first, second
        changes[2 * count + channel] = fma(second, shared, before)
    # The tables of both begin at the left one of them; zeros are around a table in memory.
    left, right = min(dx, 0), max(dx, 0)
    for i in range(side + dy):
        for j in range(0, width, LANES):
            place = np.uint64(y + i), np.uint64(c + left + j)
            mine_there, its_there = load(table, (i, j + left)), load(table, (i - dy, j - right))
            for channel in range(count):
                plane = field[channel]
                x = fma(changes[channel], mine_there, load(plane, place))
                store(plane, place, fma(changes[count + channel], its_there, x))
    for channel in range(count):
        field[channel, here[0], here[1]] = changes[2 * count + channel]
        field[channel, there[0], there[1]] += nu * changes[count + channel]


@shared
def relabel(labels, weights, field, palette, table, nu, y, c, new):
    """Do what `give` does, as a function of its own."""
    wide_vectors()
    give(labels, weights, field, palette, table, nu, y, c, new, field)


@inline
def swap_gain(labels, weights, field, palette, table, own, y, c, dy, dx, channels):
    """Return half the change of the error if a pixel and its neighbour swap labels.

    It is 0 where both have the same one: to ask whether they do would be a branch that no processor
    foresees.
    """
    radius = table.shape[0] // 2
    row, column, below, beside = np.uint64(y), np.uint64(c), np.uint64(y + dy), np.uint64(c + dx)
    mine, other = np.int64(labels[row, column]), np.int64(labels[below, beside])
    square, linear = like(0, own), like(0, own)
    weight, its = weights[row, column], weights[below, beside]
    here_y, here_c = np.uint64(y + radius), np.uint64(c + radius)
    there_y, there_c = np.uint64(y + dy + radius), np.uint64(c + dx + radius)
    for channel in range(len(channels)):
        change = palette[channel, other] - palette[channel, mine]
        here, there = field[channel, here_y, here_c], field[channel, there_y, there_c]
        square = fma(change, change, square)
        linear = fma(change, weight * here - its * there, linear)
    mean = like(0.5, own) * own * (weight * weight + its * its)
    least = mean * like(MARGIN, own)
    shared = weight * its * table[np.uint64(radius + dy), np.uint64(radius + dx)]
    return fma(square, mean - shared + least, linear)


@block
def descend_tile(labels, awake, weights, kept, blurred, colours, corner, size, scratch, swaps):
    """Make every relabelling and swap inside a tile that lowers the error; return their number.

    Pixels swap with the first `swaps` of their `NEIGHBOURS`.
    """
    wide_vectors()
    previous, gaps = kept
    field, table, nu = blurred
    palette, near, channels = colours
    goal, changes, goals, places, held, shown = scratch
    top, left = corner
    height, width = labels.shape
    bottom, right = min(top + size, height), min(left + size, width)
    radius, colors = table.shape[0] // 2, len(near[0])
    own = table[radius, radius] + nu
    inverse = like(1, own) / own
    paid = previous.size > 0
    ahead = (colors <= FEW or len(channels) == 1) and not paid
    moves = 0
    if ahead:
        see_row(held, shown, labels, weights, palette, top, left, right, bottom, channels)
    for y in range(top, bottom):
        row = np.uint64(y)
        if ahead:
            see_row(held, shown, labels, weights, palette, y + 1, left, right, bottom, channels)
            fetch_row(labels, awake, weights, field, y + AHEAD, left, right, radius, AROUND)
        c, known, bits = left - 1, -1, 0
        while c + 1 < right:
            c += 1
            first = c - (c - left) % LANES
            if ahead and first + LANES <= width:
                # Those of 16 pixels that may move are known until one does; the others fall asleep.
                group, lane = (np.uint64(y + AROUND), np.uint64(first + AROUND)), c - first
                waking = load(awake, group)
                if known != first:
                    bits, known = bits_of(waking > like(0, awake)) >> lane << lane, first
                    if bits:
                        seen = field, table, nu, palette, colors, y, first, left, swaps
                        bits &= may_move(held, shown, goals, *seen, channels)
                after = min(first_bit(bits >> lane << lane), LANES)
                lanes = load(places, 0)
                passed = (lanes >= like(lane, awake)) & (lanes < like(after, awake))
                store(awake, group, where(passed, filled(like(0, awake)), waking))
                if after == LANES:
                    c = first + LANES - 1
                    continue
                c = first + after
            column = np.uint64(c)
            place = np.uint64(y + AROUND), np.uint64(c + AROUND)
            if awake[place] == 0:
                continue
            awake[place] = 0
            weight = weights[row, column]
            if weight == like(0, own):
                continue
            old = np.int64(labels[row, column])
            gain, best_y, best_x, best = like(0, own), y, c, old  # half the change of the error
            # The error of colour k here is own weight^2 |k - goal|^2 + const.
            distance = like(0, own)
            at_y, at_c = np.uint64(y + radius), np.uint64(c + radius)
            for channel in range(len(channels)):
                shift = -(inverse / weight) * field[channel, at_y, at_c]
                goal[channel] = palette[channel, old] + shift
                distance = fma(shift, shift, distance)
            new, least = nearest_from(old, distance, near, goal, channels)
            if paid:
                before, gap = np.int64(previous[row, column]), gaps[row, column]
                apart = -gap
                for channel in range(len(channels)):
                    x = palette[channel, before] - goal[channel]
                    apart = fma(x, x, apart)
                if apart <= least:
                    new, least = before, apart
                distance -= gap if old == before else like(0, gap)
            if new != old and distance - least > like(MARGIN, own) * abs(distance):
                gain = like(0.5, own) * own * (weight * weight) * (least - distance)
                best = new
            for i in range(swaps):
                dy, dx = min(i, 1), 1 - i % 3  # NEIGHBOURS[i], sooner than by a table
                below, beside = np.uint64(y + dy), np.uint64(c + dx)
                if (
                    y + dy < bottom
                    and left <= c + dx < right
                    and weights[below, beside] > like(0, own)
                ):
                    pair = y, c, dy, dx
                    g = swap_gain(labels, weights, field, palette, table, own, *pair, channels)
                    if paid:
                        other = labels[below, beside]
                        for a, b in ((row, column), (below, beside)):
                            half = (
                                like(0.5, own) * own * gaps[a, b] * (weights[a, b] * weights[a, b])
                            )
                            if previous[a, b] == labels[a, b]:
                                g += half
                            elif previous[a, b] == old or previous[a, b] == other:
                                g -= half
                    if g < gain:
                        gain, best_y, best_x = g, y + dy, c + dx
                        best = np.int64(labels[below, beside])
            if gain < like(0, own):
                wake(awake, y, c)
                if best_y == y and best_x == c:
                    give(labels, weights, field, palette, table, nu, y, c, best, channels)
                else:
                    wake(awake, best_y, best_x)
                    pair = y, c, best_y - y, best_x - c
                    exchange(labels, weights, field, palette, table, nu, *pair, changes, channels)
                moves += 1
                if ahead:
                    known = -1
                    see(shown, labels, palette, y, c, left, channels)
                    see(shown, labels, palette, best_y, best_x, left, channels)
    return moves


@inline
def room(size, channels, real):
    """Return the scratch memory of `descend_tile`."""
    count, columns = len(channels), size + 2
    places = empty(LANES, np.uint8)
    for lane in range(LANES):
        places[lane] = lane
    goal, changes, goals = empty(count, real), empty(3 * count, real), empty(count * LANES, real)
    return (
        goal,
        changes,
        goals,
        places,
        empty((2, columns), real),
        empty((2 * held_planes(channels), columns), real),
    )


@kernel(cost=lambda labels, blurred: labels.size * blurred[1].size)
def descend(
    chunk, chunks, moves, labels, awake, weights, kept, blurred, colours, size, odd, turn, swaps
):
    """Lower the error over every second row of tiles, the even or the odd ones.

    In turn 0 or 1 these are the even or the odd tiles of each. They stand `size` apart, and what
    two of them change never overlaps: their order does not matter. In turn BOTH each row is worked
    on as if by both turns: an odd tile follows the even ones to its sides, while they are near.

    Only pixels that are awake are visited; then they sleep until a pixel near them moves. kept is
    (previous labels, gaps). blurred is (field, table, nu): the field is half the gradient of the
    error, with a margin of the table's radius and, to the right, of its width. colours is (palette,
    near, channels), see `nearest_from`: channels is a tuple of as many numbers as there are, whose
    loops are none in machine code. swaps is as in `descend_tile`. moves[row of tiles, column of
    tiles] counts what was done.
    """
    rows, columns = moves.shape
    down, across = (rows - odd + 1) // 2, 1 if turn == BOTH else (columns - turn + 1) // 2
    scratch = room(size, colours[2], weights.dtype)
    for t in chunk_range(across * down, chunk, chunks):
        i, first = 2 * (t // across) + odd, 2 * (t % across) + turn
        for place in range(0, columns + 1) if turn == BOTH else range(first, first + 1):
            j = place
            if turn == BOTH and place > 0:  # 0, 2, 1, 4, 3, ...
                j += 2 * (place % 2) - 1
            if j < columns:
                work = labels, awake, weights, kept, blurred, colours
                moves[i, j] = descend_tile(*work, (i * size, j * size), size, scratch, swaps)
