"""Descent on a picture of labels: its blurred error and its structure, differences exact.

The loss is ``<e, b * e> + nu |e|^2`` over the channels, e the error of colours, plus the sum of
weight (1 - S) over the windows of `metrics.similarity`: maps are m, q and v there, and weight S.
Whatever a pixel and a neighbour touch is in a region ROWS x COLUMNS of windows, as wide as a
vector, whose corner in the maps is (y, c). Unsigned indices vectorise: they cannot mean places from
the end.

Oracle: tests/dithering/metrics/test_structure.py, `reference_loss`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.dithering.metrics.similarity import MARGIN
from fastgrad.kernels.simd.intrinsics import fma, like
from fastgrad.kernels.tiles.memory import empty

ROWS, COLUMNS = 2 * MARGIN + 1, 16
NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
NOWHERE = (ROWS + 2, 0)  # where the table of weights has zeros for a whole region
LEAST = 1e-4  # a move must gain this share of its own square,
ROUNDING = 2e-6  # and this one of the similarity at stake, not just rounding errors


@block
def add_region(values, y, c, sums):
    """Return the sum of a region of a map."""
    wide_vectors()
    row, column = np.uint64(y), np.uint64(c)
    for j in range(COLUMNS):
        sums[j] = like(0, sums)
    for i in range(np.uint64(ROWS)):
        for j in range(np.uint64(COLUMNS)):
            sums[j] += values[row + i, column + j]
    total = like(0, sums)
    for j in range(COLUMNS):
        total += sums[j]
    return total


@block
def similarity(maps, fixed, c1, table, y, c, other, change, square, mine, theirs, sums):
    """Return the weighted similarity of a region if a pixel changes, and another the other way.

    square is what the change adds to the pixel's square, mine the reference there; the windows'
    weights of the other pixel, where the reference is theirs, start at `other` in the table.
    """
    wide_vectors()
    m, q, v, mx, weights = maps[0], maps[1], maps[2], fixed[0], fixed[2]
    two, one = like(2, sums), np.uint64(1)
    row, column = np.uint64(y), np.uint64(c)
    top, left = np.uint64(other[0]), np.uint64(other[1])
    for j in range(COLUMNS):
        sums[j] = like(0, sums)
    for i in range(np.uint64(ROWS)):
        for j in range(np.uint64(COLUMNS)):
            first, second = table[one + i, one + j], table[top + i, left + j]
            by = first - second
            old, centre = m[row + i, column + j], mx[row + i, column + j]
            new = fma(change, by, old)
            product = mine * first - theirs * second - centre * by
            a = fma(two * centre, new, c1)
            a *= fma(two * change, product, q[row + i, column + j])
            b = fma(centre, centre, fma(new, new, c1))
            b *= fma(by, square - change * (old + new), v[row + i, column + j])
            sums[j] += weights[row + i, column + j] * (a / b)
    total = like(0, sums)
    for j in range(COLUMNS):
        total += sums[j]
    return total


@block
def update(maps, fixed, c1, table, y, c, change, square, mine):
    """Let a pixel change: keep the maps up to date."""
    m, q, v, s = maps[0], maps[1], maps[2], maps[3]
    two = like(2, change)
    for i in range(ROWS):
        for j in range(COLUMNS):
            by, old, centre = table[1 + i, 1 + j], m[y + i, c + j], fixed[0, y + i, c + j]
            new = fma(change, by, old)
            m[y + i, c + j] = new
            q[y + i, c + j] += two * change * by * (mine - centre)
            v[y + i, c + j] += by * (square - change * (old + new))
            a = fma(two * centre, new, c1) * q[y + i, c + j]
            b = fma(centre, centre, fma(new, new, c1)) * v[y + i, c + j]
            s[y + i, c + j] = fixed[2, y + i, c + j] * (a / b)


@block
def blur_change(field, palette, weight, blur, nu, y, c, old, new):
    """Let a pixel change its label: keep the field up to date."""
    wide_vectors()
    side = blur.shape[0]
    for channel in range(palette.shape[0]):
        change = weight * (palette[channel, new] - palette[channel, old])
        for i in range(side):
            row, taps = field[channel, y + i, c : c + side], blur[i]
            for j in range(side):
                row[j] = fma(change, taps[j], row[j])
        field[channel, y + side // 2, c + side // 2] += nu * change


@block
def error_change(field, palette, y, c, other_y, other_c, old, new, mine, its, weight):
    """Return how the blurred error changes with a label, and the other way at another place.

    Also return its square: weight times that is the part that no error can change. y and c count
    from the corner of the field; mine and its are the weights of the pixels.
    """
    square, linear = like(0, weight), like(0, weight)
    for channel in range(palette.shape[0]):
        change = palette[channel, new] - palette[channel, old]
        slope = mine * field[channel, y, c]
        if other_y >= 0:
            slope -= its * field[channel, other_y, other_c]
        square = fma(change, change, square)
        linear = fma(change, slope, linear)
    square *= weight
    return fma(like(2, weight), linear, square), square


@block
def descend_tile(labels, weights, blurred, structure, top, left, size):
    """Make every relabelling and swap inside a tile that lowers the loss; return their number."""
    field, palette, blur, nu = blurred
    maps, fixed, c1, table, reference, values = structure
    height, width = labels.shape
    bottom, right = min(top + size, height), min(left + size, width)
    radius = blur.shape[0] // 2
    own, two = blur[radius, radius] + nu, like(2, nu)
    sums = empty(COLUMNS, maps.dtype)
    moves = 0
    for y in range(top, bottom):
        for c in range(left, right):
            own_weight, zero = weights[y, c], like(0, nu)
            if own_weight == zero:
                continue
            once = own * own_weight * own_weight
            old, fy, fc = np.int64(labels[y, c]), y + radius, c + radius
            present = add_region(maps[3], y, c, sums)
            # No move gains more than perfect windows would.
            possible = present - add_region(fixed[2], y, c, sums)
            rounding = like(ROUNDING, nu) * present
            best, best_y, best_x, new = like(0, nu), y, c, old
            for k in range(palette.shape[1]):
                if k != old:
                    by, square = error_change(
                        field, palette, fy, fc, -1, -1, old, k, own_weight, zero, once
                    )
                    by += like(LEAST, nu) * square + rounding
                    if by + possible < best:
                        change = values[k] - values[old]
                        square = change * fma(two, values[old], change)
                        mine = reference[y, c]
                        pair = NOWHERE, change, square, mine, mine
                        by += present - similarity(maps, fixed, c1, table, y, c, *pair, sums)
                        if by < best:
                            best, new = by, k
            for dy, dx in NEIGHBOURS:
                if top <= y + dy < bottom and left <= c + dx < right:
                    k = np.int64(labels[y + dy, c + dx])
                    its = weights[y + dy, c + dx]
                    if k != old and its > zero:
                        weight = once + own * its * its
                        if radius > 0:
                            weight -= two * own_weight * its * blur[radius + dy, radius + dx]
                        there = fy + dy, fc + dx
                        by, square = error_change(
                            field, palette, fy, fc, *there, old, k, own_weight, its, weight
                        )
                        by += like(LEAST, nu) * square + rounding
                        if by + possible < best:
                            change = values[k] - values[old]
                            square = change * fma(two, values[old], change)
                            mine, theirs = reference[y, c], reference[y + dy, c + dx]
                            other = (1 - dy, 1 - dx)
                            pair = other, change, square, mine, theirs
                            by += present - similarity(maps, fixed, c1, table, y, c, *pair, sums)
                            if by < best:
                                best, best_y, best_x, new = by, y + dy, c + dx, k
            if best < like(0, nu):
                moves += 1
                for turn in range(2):
                    if turn == 1:
                        if best_y == y and best_x == c:
                            break
                        at_y, at_x, before, after = best_y, best_x, new, old
                    else:
                        at_y, at_x, before, after = y, c, old, new
                    labels[at_y, at_x] = after
                    moved = weights[at_y, at_x]
                    blur_change(field, palette, moved, blur, nu, at_y, at_x, before, after)
                    change = values[after] - values[before]
                    square = change * fma(two, values[before], change)
                    mine = reference[at_y, at_x]
                    update(maps, fixed, c1, table, at_y, at_x, change, square, mine)
    return moves


@kernel(cost=lambda labels, blurred: labels.size * blurred[1].shape[1] * ROWS * COLUMNS)
def descend(chunk, chunks, moves, labels, weights, blurred, structure, size, phase):
    """Lower the loss over every second tile, every second row of tiles: one phase of four.

    blurred holds the field, half the gradient of the error, padded by the radius of b; the palette,
    planar; b; and nu. structure holds the maps, the fixed maps, c1, the table of weights, the
    reference, and the colours' values in it. Only pixels that count change. Tiles of a phase stand
    `size` apart, and what two of them change never overlaps: their order does not matter.
    moves[row of tiles, column of tiles] counts what was done.
    """
    rows, columns = moves.shape
    across, down = (columns - phase % 2 + 1) // 2, (rows - phase // 2 + 1) // 2
    for t in chunk_range(across * down, chunk, chunks):
        i, j = 2 * (t // across) + phase // 2, 2 * (t % across) + phase % 2
        corner = i * size, j * size
        moves[i, j] = descend_tile(labels, weights, blurred, structure, *corner, size)
