"""Descent on a printed picture, whose dots reach into the pixels around them.

How much of a pixel is covered depends on its own dot and the eight around it. A code says which of
them there are, bit 3 (dy + 1) + dx + 1 for the dot at (dy, dx), and `response` has the cover of
each code. Codes and weights have a margin of 1. One number for each pixel is enough, for with two
colours all errors lie along a line.

Oracle: tests/dithering/optimiser/test_printed.py, the loss of every picture a move away.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.dithering.optimiser.search import AROUND, MARGIN, NEIGHBOURS, wake
from fastgrad.kernels.simd.intrinsics import fma, like
from fastgrad.kernels.simd.vectors import LANES, load, store
from fastgrad.kernels.tiles.memory import empty

MOST = 16  # pixels around two that swap


@inline
def flipped(code, y, c, dot):
    """Return the code of pixel (y, c) with another dot turned into none, or none into one."""
    dy, dx = y - dot[0], c - dot[1]
    if abs(dy) > 1 or abs(dx) > 1:
        return code
    return code ^ (1 << (4 - 3 * dy - dx))


@block
def steps_of(codes, weights, response, first, second, places, steps):
    """List the pixels whose errors change where one or two dots turn; return their number.

    `second` is not above the first; it is the same where one dot turns.
    """
    left, right = min(first[1], second[1]) - 1, max(first[1], second[1]) + 2
    two = first[0] != second[0] or first[1] != second[1]
    count = 0
    for y in range(first[0] - 1, second[0] + 2):
        for c in range(left, right):
            weight = weights[y + 1, c + 1]
            if weight == like(0, weights):
                continue
            old = np.int64(codes[y + 1, c + 1])
            new = flipped(old, y, c, first)
            if two:
                new = flipped(new, y, c, second)
            step = weight * (response[new] - response[old])
            if step != like(0, step):
                places[count, 0], places[count, 1], steps[count] = y, c, step
                count += 1
    return count


@block
def change(field, table, own, places, steps, count):
    """Return half the change of the loss by some steps of errors, and the least that matters."""
    radius = table.shape[0] // 2
    total, squares = like(0, own), like(0, own)
    for i in range(count):
        y, c, step = places[i, 0], places[i, 1], steps[i]
        slope = fma(like(0.5, own) * own, step, field[y + radius, c + radius])
        for j in range(i):
            near = table[radius + places[j, 0] - y, radius + places[j, 1] - c]
            slope = fma(steps[j], near, slope)
        total = fma(step, slope, total)
        squares = fma(step, step, squares)
    return total, like(MARGIN, own) * own * squares


@block
def turn(labels, codes, field, table, nu, pair, places, steps, count):
    """Turn one or two dots, and keep codes and field up to date."""
    wide_vectors()
    side, width = table.shape
    for i in range(count):
        y, c, step = places[i, 0], places[i, 1], steps[i]
        for row in range(side):
            for j in range(0, width, LANES):
                place = y + row, c + j
                store(field, place, fma(step, load(table, (row, j)), load(field, place)))
        field[y + side // 2, c + side // 2] += nu * step
    for k in range(2):
        dot = pair[k]
        if k == 1 and dot[0] == pair[0][0] and dot[1] == pair[0][1]:
            break
        labels[dot] = 1 - labels[dot]
        for y in range(dot[0] - 1, dot[0] + 2):
            for c in range(dot[1] - 1, dot[1] + 2):
                codes[y + 1, c + 1] = flipped(np.int64(codes[y + 1, c + 1]), y, c, dot)


@block
def descend_tile(labels, awake, codes, weights, response, blurred, corner, size, places, steps):
    """Make every turn and swap of dots inside a tile that lowers the loss; return their number."""
    field, table, nu = blurred
    top, left = corner
    height, width = labels.shape
    bottom, right = min(top + size, height), min(left + size, width)
    radius = table.shape[0] // 2
    own = table[radius, radius] + nu
    moves = 0
    for y in range(top, bottom):
        for c in range(left, right):
            if awake[y + AROUND, c + AROUND] == 0:
                continue
            awake[y + AROUND, c + AROUND] = 0
            if weights[y + 1, c + 1] == like(0, own):
                continue
            here = best = y, c
            count = steps_of(codes, weights, response, here, here, places, steps)
            gain, least = change(field, table, own, places, steps, count)
            low = min(gain + least, like(0, own))
            for dy, dx in NEIGHBOURS:
                there = y + dy, c + dx
                if (
                    there[0] < bottom
                    and left <= there[1] < right
                    and labels[there] != labels[here]
                    and weights[there[0] + 1, there[1] + 1] > like(0, own)
                ):
                    count = steps_of(codes, weights, response, here, there, places, steps)
                    gain, least = change(field, table, own, places, steps, count)
                    if gain + least < low:
                        low, best = gain + least, there
            if low < like(0, own):
                count = steps_of(codes, weights, response, here, best, places, steps)
                turn(labels, codes, field, table, nu, (here, best), places, steps, count)
                wake(awake, y, c)
                wake(awake, best[0], best[1])
                moves += 1
    return moves


@kernel(cost=lambda labels, blurred: labels.size * blurred[1].size)
def descend(chunk, chunks, moves, labels, awake, codes, weights, response, blurred, size, phase):
    """Lower the loss over every second tile, every second row of tiles: one phase of four.

    blurred is (field, table, nu), see `search.descend`, but the field is one plane. Tiles of a
    phase stand `size` apart, which is more than the table has, so that what two of them change does
    not overlap. moves[row of tiles, column of tiles] counts what was done.
    """
    rows, columns = moves.shape
    across, down = (columns - phase % 2 + 1) // 2, (rows - phase // 2 + 1) // 2
    places, steps = empty((MOST, 2), np.int64), empty(MOST, weights.dtype)
    for t in chunk_range(across * down, chunk, chunks):
        i, j = 2 * (t // across) + phase // 2, 2 * (t % across) + phase % 2
        corner = i * size, j * size
        work = labels, awake, codes, weights, response, blurred
        moves[i, j] = descend_tile(*work, corner, size, places, steps)
