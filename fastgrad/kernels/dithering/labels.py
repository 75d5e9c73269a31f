"""Pictures of labels, one palette index per pixel; palettes are planar here, shape (3, K)."""

import numpy as np

from fastgrad.kernels.dithering.expectation import BLOCKS
from fastgrad.kernels.jit import block, kernel, prange, wide_vectors
from fastgrad.kernels.special import fma, like

NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
SWAP_MARGIN = 1e-4  # a move must gain this share of its own square, not just rounding errors


@block
def nearest(d, palette, red, green, blue):
    """Return the index of the palette colour nearest to a colour, and leave all distances in d."""
    wide_vectors()
    r, g, b = palette[0], palette[1], palette[2]
    for k in range(d.size):
        x, y, z = r[k] - red, g[k] - green, b[k] - blue
        d[k] = fma(x, x, fma(y, y, z * z))
    best, low = 0, d[0]
    for k in range(1, d.size):
        if d[k] < low:
            best, low = k, d[k]
    return best


@kernel
def normal_equations(chunks, gram, right, labels, blurred, table, nu):
    """Add up, per block of rows, half the Gram matrix and the right-hand side of the palette's fit.

    blurred is the image under table and nu. The other half of the matrix is the transpose.
    """
    height, width = labels.shape
    radius = table.shape[0] // 2
    for chunk in prange(chunks):
        for b in range(chunk * BLOCKS // chunks, (chunk + 1) * BLOCKS // chunks):
            for y in range(b * height // BLOCKS, (b + 1) * height // BLOCKS):
                for c in range(width):
                    k = labels[y, c]
                    row = gram[b, k]
                    row[k] += 0.5 * np.float64(table[radius, radius] + nu)
                    for channel in range(3):
                        right[b, k, channel] += np.float64(blurred[channel, y, c])
                    for x in range(c + 1, min(c + radius + 1, width)):
                        row[labels[y, x]] += np.float64(table[radius, radius + x - c])
                    for y2 in range(y + 1, min(y + radius + 1, height)):
                        weights = table[radius + y2 - y]
                        for x in range(max(c - radius, 0), min(c + radius + 1, width)):
                            row[labels[y2, x]] += np.float64(weights[radius + x - c])


@kernel
def fit(chunks, palette, gram, right, low, high, iterations):
    """Lower <palette, gram palette> / 2 - <palette, right> by coordinate descent within bounds.

    palette and right are planar; a channel is a problem of its own.
    """
    for channel in prange(3):
        x = palette[channel]
        for _ in range(iterations):
            for k in range(x.size):
                if gram[k, k] > 0.0:
                    slope = -right[channel, k]
                    for j in range(x.size):
                        slope += gram[k, j] * x[j]
                    x[k] = min(max(x[k] - slope / gram[k, k], low), high)


@block
def relabel(labels, field, palette, table, nu, y, c, new):
    """Give pixel (y, c) the label `new` and keep the field up to date."""
    wide_vectors()
    old = labels[y, c]
    labels[y, c] = new
    side = table.shape[0]
    for channel in range(3):
        change = palette[channel, new] - palette[channel, old]
        for i in range(side):
            row, weights = field[channel, y + i, c : c + side], table[i]
            for j in range(side):
                row[j] = fma(change, weights[j], row[j])
        field[channel, y + side // 2, c + side // 2] += nu * change


@block
def swap_gain(labels, field, palette, table, own, y, c, dy, dx):
    """Return half the change of the error if a pixel and its neighbour swap labels."""
    radius = table.shape[0] // 2
    mine, other = labels[y, c], labels[y + dy, c + dx]
    square, linear = like(0, own), like(0, own)
    for channel in range(3):
        change = palette[channel, other] - palette[channel, mine]
        here = field[channel, y + radius, c + radius]
        there = field[channel, y + dy + radius, c + dx + radius]
        square = fma(change, change, square)
        linear = fma(change, here - there, linear)
    least = own * like(SWAP_MARGIN, own)
    return fma(square, own - table[radius + dy, radius + dx] + least, linear)


@block
def descend_tile(labels, field, palette, table, nu, top, left, size, d):
    """Make every relabelling and swap inside a tile that lowers the error; return their number."""
    height, width = labels.shape
    bottom, right = min(top + size, height), min(left + size, width)
    radius = table.shape[0] // 2
    own = table[radius, radius] + nu
    inverse = like(1, own) / own
    moves = 0
    for y in range(top, bottom):
        for c in range(left, right):
            old = np.int64(labels[y, c])
            # The error of colour k here is own |k - goal|^2 + const.
            red = fma(-inverse, field[0, y + radius, c + radius], palette[0, old])
            green = fma(-inverse, field[1, y + radius, c + radius], palette[1, old])
            blue = fma(-inverse, field[2, y + radius, c + radius], palette[2, old])
            new = nearest(d, palette, red, green, blue)
            if d[new] < d[old] * like(1 - SWAP_MARGIN, own):
                relabel(labels, field, palette, table, nu, y, c, new)
                moves += 1
                continue
            gain, best_y, best_x = like(0, own), y, c
            for dy, dx in NEIGHBOURS:
                if (
                    top <= y + dy < bottom
                    and left <= c + dx < right
                    and labels[y + dy, c + dx] != old
                ):
                    g = swap_gain(labels, field, palette, table, own, y, c, dy, dx)
                    if g < gain:
                        gain, best_y, best_x = g, y + dy, c + dx
            if gain < like(0, own):
                other = np.int64(labels[best_y, best_x])
                relabel(labels, field, palette, table, nu, y, c, other)
                relabel(labels, field, palette, table, nu, best_y, best_x, old)
                moves += 1
    return moves


@kernel
def descend(chunks, moves, labels, field, palette, table, nu, size, phase):
    """Lower the error over every second tile, every second row of tiles: one phase of four.

    Tiles of a phase stand `size` apart, and what two of them change never overlaps: their order
    does not matter. field is half the gradient of the error, padded to shape (3, height +
    2 radius, width + 2 radius). moves[row of tiles, column of tiles] counts what was done.
    """
    rows, columns = moves.shape
    across, down = (columns - phase % 2 + 1) // 2, (rows - phase // 2 + 1) // 2
    for chunk in prange(chunks):
        d = np.empty(palette.shape[1], palette.dtype)
        for t in range(chunk * across * down // chunks, (chunk + 1) * across * down // chunks):
            i, j = 2 * (t // across) + phase // 2, 2 * (t % across) + phase % 2
            moves[i, j] = descend_tile(
                labels, field, palette, table, nu, i * size, j * size, size, d
            )
