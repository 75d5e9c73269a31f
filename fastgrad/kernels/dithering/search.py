"""Descent on a picture of labels, one palette index per pixel: relabel pixels and swap neighbours.

Palettes are planar and in blocks of LANES colours, shape (channels, blocks, LANES); the last block
is filled up with colours too far away to be the nearest.
"""

import numpy as np

from fastgrad.kernels.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.special import fma, like, where

LANES = 16
NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))  # the others have met the pixel before
MARGIN = 1e-4  # a move must gain this share of its own square, not just rounding errors


@block
def distances(d, palette, goal):
    """Set d to the squared distances of all colours from a goal."""
    wide_vectors()
    for b in range(d.shape[0]):
        row, colours, x = d[b], palette[0, b], goal[0]
        for k in range(LANES):
            row[k] = (colours[k] - x) * (colours[k] - x)
        for channel in range(1, goal.size):
            colours, x = palette[channel, b], goal[channel]
            for k in range(LANES):
                row[k] = fma(colours[k] - x, colours[k] - x, row[k])


@block
def nearest(d, low, label):
    """Return the index of the least distance."""
    wide_vectors()
    first = d[0]
    for k in range(LANES):
        low[k] = first[k]
        label[k] = np.int32(0)
    for b in range(1, d.shape[0]):
        row, index = d[b], np.int32(b)
        for k in range(LANES):
            near = row[k] < low[k]
            low[k] = where(near, row[k], low[k])
            label[k] = where(near, index, label[k])
    best = 0
    for k in range(1, LANES):
        if low[k] < low[best]:
            best = k
    return label[best] * LANES + best


@block
def relabel(labels, field, palette, table, nu, y, c, new):
    """Give pixel (y, c) the label `new` and keep the field up to date."""
    wide_vectors()
    old = labels[y, c]
    labels[y, c] = new
    side, width = table.shape
    for channel in range(field.shape[0]):
        change = palette[channel, new // LANES, new % LANES]
        change -= palette[channel, old // LANES, old % LANES]
        for i in range(side):
            row, weights = field[channel, y + i, c : c + width], table[i]
            for j in range(width):
                row[j] = fma(change, weights[j], row[j])
        field[channel, y + side // 2, c + side // 2] += nu * change


@block
def swap_gain(labels, field, palette, table, own, y, c, dy, dx):
    """Return half the change of the error if a pixel and its neighbour swap labels."""
    radius = table.shape[0] // 2
    mine, other = np.int64(labels[y, c]), np.int64(labels[y + dy, c + dx])
    square, linear = like(0, own), like(0, own)
    for channel in range(field.shape[0]):
        change = palette[channel, other // LANES, other % LANES]
        change -= palette[channel, mine // LANES, mine % LANES]
        here = field[channel, y + radius, c + radius]
        there = field[channel, y + dy + radius, c + dx + radius]
        square = fma(change, change, square)
        linear = fma(change, here - there, linear)
    least = own * like(MARGIN, own)
    return fma(square, own - table[radius + dy, radius + dx] + least, linear)


@block
def descend_tile(
    labels, counts, previous, gap, field, palette, reach, table, nu, top, left, size, scratch
):
    """Make every relabelling and swap inside a tile that lowers the error; return their number."""
    d, low, label, goal = scratch
    height, width = labels.shape
    bottom, right = min(top + size, height), min(left + size, width)
    radius = table.shape[0] // 2
    own = table[radius, radius] + nu
    inverse = like(1, own) / own
    paid = previous.size > 0
    moves = 0
    for y in range(top, bottom):
        for c in range(left, right):
            if counts[y, c] == 0:
                continue
            old = np.int64(labels[y, c])
            # The error of colour k here is own |k - goal|^2 + const.
            distance = like(0, own)
            for channel in range(goal.size):
                shift = -inverse * field[channel, y + radius, c + radius]
                goal[channel] = palette[channel, old // LANES, old % LANES] + shift
                distance = fma(shift, shift, distance)
            if distance > reach[old] or paid:
                distances(d, palette, goal)
                if paid:
                    d[previous[y, c] // LANES, previous[y, c] % LANES] -= gap
                    distance = d[old // LANES, old % LANES]
                new = np.int64(nearest(d, low, label))
                if new != old:
                    least = d[new // LANES, new % LANES]
                    if distance - least > like(MARGIN, own) * abs(distance):
                        relabel(labels, field, palette, table, nu, y, c, new)
                        moves += 1
                        continue
            gain, best_y, best_x = like(0, own), y, c
            for dy, dx in NEIGHBOURS:
                if (
                    y + dy < bottom
                    and left <= c + dx < right
                    and labels[y + dy, c + dx] != old
                    and counts[y + dy, c + dx] != 0
                ):
                    g = swap_gain(labels, field, palette, table, own, y, c, dy, dx)
                    if paid:
                        other, half = labels[y + dy, c + dx], like(0.5, own) * own * gap
                        for a, b in ((y, c), (y + dy, c + dx)):
                            if previous[a, b] == labels[a, b]:
                                g += half
                            elif previous[a, b] == old or previous[a, b] == other:
                                g -= half
                    if g < gain:
                        gain, best_y, best_x = g, y + dy, c + dx
            if gain < like(0, own):
                other = np.int64(labels[best_y, best_x])
                relabel(labels, field, palette, table, nu, y, c, other)
                relabel(labels, field, palette, table, nu, best_y, best_x, old)
                moves += 1
    return moves


@kernel
def descend(
    chunk,
    chunks,
    moves,
    labels,
    counts,
    previous,
    gap,
    field,
    palette,
    reach,
    table,
    nu,
    size,
    phase,
):
    """Lower the error over every second tile, every second row of tiles: one phase of four.

    Tiles of a phase stand `size` apart, and what two of them change never overlaps: their order
    does not matter. field is half the gradient of the error, with a margin of the table's radius
    and, to the right, of its width. A pixel nearer to its colour than reach has no nearer one.
    moves[row of tiles, column of tiles] counts what was done.
    """
    rows, columns = moves.shape
    across, down = (columns - phase % 2 + 1) // 2, (rows - phase // 2 + 1) // 2
    d = np.empty(palette.shape[1:], palette.dtype)
    low = np.empty(LANES, palette.dtype)
    label = np.empty(LANES, np.int32)
    goal = np.empty(palette.shape[0], palette.dtype)
    scratch = (d, low, label, goal)
    for t in chunk_range(across * down, chunk, chunks):
        i, j = 2 * (t // across) + phase // 2, 2 * (t % across) + phase % 2
        top, left = i * size, j * size
        moves[i, j] = descend_tile(
            labels,
            counts,
            previous,
            gap,
            field,
            palette,
            reach,
            table,
            nu,
            top,
            left,
            size,
            scratch,
        )


@kernel
def errors(chunk, chunks, out, labels, counts, planes, colours):
    """Set out to the picture minus the image, where pixels count; colours is planar, (3, K)."""
    height, width = labels.shape
    for y in chunk_range(height, chunk, chunks):
        for channel in range(planes.shape[0]):
            row, image, palette = out[channel, y], planes[channel, y], colours[channel]
            for c in range(width):
                e = palette[labels[y, c]] - image[c]
                row[c] = e if counts[y, c] != 0 else like(0, out)


@kernel
def energies(chunk, chunks, sums, labels, counts, planes, colours, field, margin):
    """Set sums[y] to row y's sums of error * field and of error^2."""
    height, width = labels.shape
    for y in chunk_range(height, chunk, chunks):
        whole, plain = 0.0, 0.0
        for channel in range(planes.shape[0]):
            image, palette = planes[channel, y], colours[channel]
            row = field[channel, y + margin, margin : margin + width]
            for c in range(width):
                if counts[y, c] != 0:
                    e = np.float64(palette[labels[y, c]] - image[c])
                    whole += e * np.float64(row[c])
                    plain += e * e
        sums[y, 0] = whole
        sums[y, 1] = plain
