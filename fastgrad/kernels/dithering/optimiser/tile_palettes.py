"""Descent on a picture whose tiles have a palette each: move pixels, and give tiles other palettes.

All palettes stand in one, `colors` entries each; the label of a pixel says its palette too, which
is the same for the pixels of a tile. Blocks hold whole tiles.

Oracle: tests/dithering/optimiser/test_tile_palettes.py, `loss.of` of every picture a move away.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel
from fastgrad.kernels.dithering.optimiser.search import (
    AROUND,
    MARGIN,
    NEIGHBOURS,
    nearest_from,
    relabel,
    swap_gain,
    wake,
)
from fastgrad.kernels.simd.intrinsics import fma, like
from fastgrad.kernels.tiles.memory import empty

PASSES = 3  # over the pixels of a tile that is tried with another palette


@inline
def goal_of(labels, field, palette, y, c, radius, inverse, weight, goal):
    """Set the colour that a pixel should have; return the squared distance of the one it has."""
    old = labels[y, c]
    distance = like(0, goal)
    for channel in range(goal.size):
        shift = -(inverse / weight) * field[channel, y + radius, c + radius]
        goal[channel] = palette[channel, old] + shift
        distance = fma(shift, shift, distance)
    return distance


@block
def descend_block(labels, awake, weights, blurred, colours, colors, corner, size, goal):
    """Make every relabelling and swap inside a block that lowers the error; return their number."""
    field, table, nu = blurred
    palette, near = colours
    top, left = corner
    height, width = labels.shape
    bottom, right = min(top + size[0], height), min(left + size[1], width)
    radius = table.shape[0] // 2
    own = table[radius, radius] + nu
    inverse = like(1, own) / own
    moves = 0
    for y in range(top, bottom):
        for c in range(left, right):
            if awake[y + AROUND, c + AROUND] == 0:
                continue
            awake[y + AROUND, c + AROUND] = 0
            weight = weights[y, c]
            if weight == like(0, own):
                continue
            old = np.int64(labels[y, c])
            gain, best_y, best_x, best = like(0, own), y, c, old  # half the change of the error
            distance = goal_of(labels, field, palette, y, c, radius, inverse, weight, goal)
            new, least = nearest_from(old, distance, near, goal, goal)
            if new != old and distance - least > like(MARGIN, own) * distance:
                gain = like(0.5, own) * own * (weight * weight) * (least - distance)
                best = new
            for dy, dx in NEIGHBOURS:
                if (
                    y + dy < bottom
                    and left <= c + dx < right
                    and labels[y + dy, c + dx] != old
                    and labels[y + dy, c + dx] // colors == old // colors
                    and weights[y + dy, c + dx] > like(0, own)
                ):
                    pair = y, c, dy, dx
                    g = swap_gain(labels, weights, field, palette, table, own, *pair, goal)
                    if g < gain:
                        gain, best_y, best_x = g, y + dy, c + dx
                        best = np.int64(labels[best_y, best_x])
            if gain < like(0, own):
                relabel(labels, weights, field, palette, table, nu, y, c, best)
                wake(awake, y, c)
                if best_y != y or best_x != c:
                    relabel(labels, weights, field, palette, table, nu, best_y, best_x, old)
                    wake(awake, best_y, best_x)
                moves += 1
    return moves


@block
def repaint(labels, weights, blurred, palette, colors, which, rows, columns, goal):
    """Give the pixels of a tile the best colours of palette `which`; return the error's change."""
    field, table, nu = blurred
    radius = table.shape[0] // 2
    own = table[radius, radius] + nu
    inverse = like(1, own) / own
    first = which * colors
    change = like(0, own)
    for _ in range(PASSES):
        moves = 0
        for y in range(rows[0], rows[1]):
            for c in range(columns[0], columns[1]):
                weight, old = weights[y, c], np.int64(labels[y, c])
                if weight == like(0, own):
                    labels[y, c] = first + old % colors
                    continue
                distance = goal_of(labels, field, palette, y, c, radius, inverse, weight, goal)
                best, least = old, distance
                if old // colors != which:
                    least = like(np.inf, own)
                for k in range(first, first + colors):
                    apart = like(0, own)
                    for channel in range(goal.size):
                        x = palette[channel, k] - goal[channel]
                        apart = fma(x, x, apart)
                    if apart < least:
                        best, least = k, apart
                if best != old:
                    relabel(labels, weights, field, palette, table, nu, y, c, best)
                    change += own * (weight * weight) * (least - distance)
                    moves += 1
        if moves == 0:
            break
    return change


@inline
def copy(out, x):
    """out = x, in two dimensions: see `elementwise.assign`."""
    for y in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[y, c] = x[y, c]


@block
def copy_planes(out, x):
    """out = x, plane by plane."""
    for channel in range(out.shape[0]):
        copy(out[channel], x[channel])


@block
def exchange_block(
    labels, awake, weights, blurred, palette, colors, count, corner, size, tile, goal
):
    """Give each tile of a block the palette with which the error is least; return the changes."""
    field, table, _ = blurred
    height, width = labels.shape
    bottom, right = min(corner[0] + size[0], height), min(corner[1] + size[1], width)
    radius = table.shape[0] // 2
    own = table[radius, radius]
    down, across = tile[0] + table.shape[0] - 1, tile[1] + table.shape[1] - 1
    window = empty((3, len(field), down, across), field.dtype)  # as it was, and the best
    kept = empty((2, tile[0], tile[1]), np.uint8)
    moves = 0
    for top in range(corner[0], bottom, tile[0]):
        for left in range(corner[1], right, tile[1]):
            rows, columns = (top, min(top + tile[0], height)), (left, min(left + tile[1], width))
            high, wide = rows[1] - top, columns[1] - left
            below, beside = high + table.shape[0] - 1, wide + table.shape[1] - 1
            present = np.int64(labels[top, left]) // colors
            old = kept[0, :high, :wide]
            own_labels = labels[top : rows[1], left : columns[1]]
            copy(old, own_labels)
            around = field[:, top : top + below, left : left + beside]
            before = window[0, :, :below, :beside]
            copy_planes(before, around)
            best = kept[1, :high, :wide]
            found = window[1, :, :below, :beside]
            square = like(0, own)
            for y in range(rows[0], rows[1]):
                for c in range(columns[0], columns[1]):
                    for channel in range(len(field)):
                        x = field[channel, y + radius, c + radius]
                        square = fma(x, x, square)
            least = -like(MARGIN, own) * square
            chosen = present
            for which in range(count):
                if which == present:
                    continue
                place = which, rows, columns
                change = repaint(labels, weights, blurred, palette, colors, *place, goal)
                if change < least:
                    least, chosen = change, which
                    copy(best, own_labels)
                    copy_planes(found, around)
                copy(own_labels, old)
                copy_planes(around, before)
            if chosen != present:
                copy(own_labels, best)
                copy_planes(around, found)
                for y in range(rows[0], rows[1]):
                    for c in range(columns[0], columns[1]):
                        wake(awake, y, c)
                moves += 1
    return moves


@kernel(cost=lambda labels, blurred: labels.size * blurred[1].size)
def descend(chunk, chunks, moves, labels, awake, weights, blurred, colours, colors, size, phase):
    """Move pixels within their palettes, in a phase of four; see `search.descend`, but for size.

    Blocks have size[0] rows and size[1] columns; moves[row of blocks, column of blocks] counts what
    was done.
    """
    rows, columns = moves.shape
    across, down = (columns - phase % 2 + 1) // 2, (rows - phase // 2 + 1) // 2
    goal = empty(len(blurred[0]), colours[0].dtype)
    for t in chunk_range(across * down, chunk, chunks):
        i, j = 2 * (t // across) + phase // 2, 2 * (t % across) + phase % 2
        corner = i * size[0], j * size[1]
        work = labels, awake, weights, blurred, colours, colors
        moves[i, j] = descend_block(*work, corner, size, goal)


@kernel(cost=lambda labels, blurred, count: labels.size * blurred[1].size * count)
def exchange(
    chunk, chunks, moves, labels, awake, weights, blurred, palette, colors, count, size, tile, phase
):
    """Give tiles others of the `count` palettes where that lowers the error, in a phase of four."""
    rows, columns = moves.shape
    across, down = (columns - phase % 2 + 1) // 2, (rows - phase // 2 + 1) // 2
    goal = empty(len(blurred[0]), palette.dtype)
    for t in chunk_range(across * down, chunk, chunks):
        i, j = 2 * (t // across) + phase // 2, 2 * (t % across) + phase % 2
        corner = i * size[0], j * size[1]
        work = labels, awake, weights, blurred, palette, colors, count
        moves[i, j] = exchange_block(*work, corner, size, tile, goal)
