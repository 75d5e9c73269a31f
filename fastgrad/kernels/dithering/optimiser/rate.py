"""Descent on a picture of labels, each of which costs bits that depend on those before it.

Prices are three tables of shape (contexts + 1, N): what a label costs in its context, the labels
before it in its row; what it adds to the cost of the label after it, whose context it is; and of
the one after that. Their last rows are zeros, for labels that there are none of. A context of two
labels a, b has the number a K + b. Outside the picture labels are 0.

Oracle: tests/dithering/optimiser/test_rate.py, `objective`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.dithering.optimiser.search import (
    AROUND,
    MARGIN,
    NEIGHBOURS,
    relabel,
    swap_gain,
    wake,
)
from fastgrad.kernels.simd.intrinsics import fma, like
from fastgrad.kernels.simd.lanes import first_of, least_of
from fastgrad.kernels.simd.vectors import LANES, filled, load


@inline
def label(labels, y, c):
    """Return the label of a pixel, 0 to the left of the picture."""
    return np.int64(labels[y, c]) if c >= 0 else np.int64(0)


@inline
def context(labels, colors, order, y, c):
    """Return the number of the context of a pixel, and so the row of its prices."""
    before = label(labels, y, c - 1)
    return before if order == 1 else label(labels, y, c - 2) * colors + before


@inline
def rows_of(labels, colors, order, y, c, none):
    """Return the rows of the three tables that hold the prices of labels of a pixel."""
    width = labels.shape[1]
    after, last = none, none
    if c + 1 < width:
        following = np.int64(labels[y, c + 1])
        after = following if order == 1 else label(labels, y, c - 1) * colors + following
        if order == 2 and c + 2 < width:
            last = following * colors + labels[y, c + 2]
    return context(labels, colors, order, y, c), after, last


@inline
def cheapest(palette, prices, rows, goal, scale):
    """Return the label of least cost, and this: its prices, and scale |colour - goal|^2."""
    best, least = np.int64(0), like(np.inf, goal)
    for first in range(0, palette.shape[1], LANES):
        distance = filled(like(0, goal))
        for channel in range(goal.size):
            x = load(palette, (channel, first)) - goal[channel]
            distance = fma(x, x, distance)
        cost = load(prices[0], (rows[0], first)) + load(prices[1], (rows[1], first))
        cost = fma(filled(scale), distance, cost + load(prices[2], (rows[2], first)))
        low = least_of(cost)
        if low < least:
            least, best = low, np.int64(first + first_of(cost == low) % LANES)
    return best, least


@inline
def cost_of(palette, prices, rows, goal, scale, k):
    """Return what `cheapest` minimises, of label k."""
    distance = like(0, goal)
    for channel in range(goal.size):
        x = palette[channel, k] - goal[channel]
        distance = fma(x, x, distance)
    cost = prices[0][rows[0], k] + prices[1][rows[1], k]
    return fma(scale, distance, cost + prices[2][rows[2], k])


@inline
def row_price(labels, price, colors, order, y, first, last):
    """Return the prices of the pixels from column first up to, not including, last."""
    total = price[0, 0] - price[0, 0]
    for c in range(first, min(last, labels.shape[1])):
        total += price[context(labels, colors, order, y, c), labels[y, c]]
    return total


@inline
def swap_price(labels, price, colors, order, y, c, dy, dx):
    """Return the change of all prices if a pixel and its neighbour swap labels."""
    mine, other = labels[y, c], labels[y + dy, c + dx]
    change = price[0, 0] - price[0, 0]
    for _ in range(2):
        if dy == 0:
            total = row_price(labels, price, colors, order, y, c, c + dx + order + 1)
        else:
            total = row_price(labels, price, colors, order, y, c, c + order + 1)
            below = c + dx
            total += row_price(labels, price, colors, order, y + dy, below, below + order + 1)
        change = total - change
        swapped = labels[y, c] == mine
        labels[y, c] = other if swapped else mine
        labels[y + dy, c + dx] = mine if swapped else other
    return change


@block
def descend_tile(labels, awake, weights, kept, blurred, palette, prices, order, corner, size, goal):
    """Make every relabelling and swap in a tile that lowers error and price; return their number.

    `palette` is (colours, K), the colours padded with infinite ones.
    """
    wide_vectors()
    colours, colors = palette
    previous, gaps = kept
    field, table, nu = blurred
    top, left = corner
    height, width = labels.shape
    bottom, right = min(top + size, height), min(left + size, width)
    radius = table.shape[0] // 2
    own = table[radius, radius] + nu
    inverse = like(1, own) / own
    none = np.int64(prices[0].shape[0] - 1)
    paid = previous.size > 0
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
            for channel in range(goal.size):
                shift = -(inverse / weight) * field[channel, y + radius, c + radius]
                goal[channel] = colours[channel, old] + shift
            scale = own * (weight * weight)
            rows = rows_of(labels, colors, order, y, c, none)
            present = cost_of(colours, prices, rows, goal, scale, old)
            new, least = cheapest(colours, prices, rows, goal, scale)
            if paid:
                before, gap = np.int64(previous[y, c]), scale * gaps[y, c]
                kept_cost = cost_of(colours, prices, rows, goal, scale, before) - gap
                if kept_cost <= least:
                    new, least = before, kept_cost
                present -= gap if old == before else like(0, gap)
            gain, best_y, best_x, best = like(0, own), y, c, old
            if new != old and present - least > like(MARGIN, own) * abs(present):
                gain, best = least - present, new
            for dy, dx in NEIGHBOURS:
                if (
                    y + dy < bottom
                    and left <= c + dx < right
                    and labels[y + dy, c + dx] != old
                    and weights[y + dy, c + dx] > like(0, own)
                ):
                    g = swap_gain(labels, weights, field, colours, table, own, y, c, dy, dx)
                    g = g + g + swap_price(labels, prices[0], colors, order, y, c, dy, dx)
                    if paid:
                        other = labels[y + dy, c + dx]
                        for a, b in ((y, c), (y + dy, c + dx)):
                            gap = own * gaps[a, b] * (weights[a, b] * weights[a, b])
                            if previous[a, b] == labels[a, b]:
                                g += gap
                            elif previous[a, b] == old or previous[a, b] == other:
                                g -= gap
                    if g < gain:
                        gain, best_y, best_x = g, y + dy, c + dx
                        best = np.int64(labels[best_y, best_x])
            if gain < like(0, own):
                relabel(labels, weights, field, colours, table, nu, y, c, best)
                wake(awake, y, c)
                if best_y != y or best_x != c:
                    relabel(labels, weights, field, colours, table, nu, best_y, best_x, old)
                    wake(awake, best_y, best_x)
                moves += 1
    return moves


@kernel(cost=lambda labels, blurred: labels.size * blurred[1].size)
def descend(
    chunk, chunks, moves, labels, awake, weights, kept, blurred, palette, prices, order, size, phase
):
    """Lower error and price over every second tile, every second row of tiles: a phase of four.

    It is `search.descend`, in whose tiles nothing changes that another of the phase reads: neither
    the field, nor the labels in contexts.
    """
    rows, columns = moves.shape
    across, down = (columns - phase % 2 + 1) // 2, (rows - phase // 2 + 1) // 2
    goal = np.empty(palette[0].shape[0], palette[0].dtype)
    for t in chunk_range(across * down, chunk, chunks):
        i, j = 2 * (t // across) + phase // 2, 2 * (t % across) + phase % 2
        corner = i * size, j * size
        work = labels, awake, weights, kept, blurred, palette, prices, order
        moves[i, j] = descend_tile(*work, corner, size, goal)


@kernel(cost=lambda labels, prices: labels.size * prices[0].shape[1])
def regrets(chunk, chunks, sums, labels, weights, field, table, nu, palette, prices, order):
    """sums[y, k] = what it costs row y to do without label k, each pixel by itself."""
    height, width = labels.shape
    colours, colors = palette
    radius = table.shape[0] // 2
    own = table[radius, radius] + nu
    none = np.int64(prices[0].shape[0] - 1)
    goal, there = np.empty(colours.shape[0], colours.dtype), np.empty_like(colours[:, 0])
    others = colours.copy()
    for y in chunk_range(height, chunk, chunks):
        sums[y] = 0
        for c in range(width):
            weight = weights[y, c]
            if weight == like(0, own):
                continue
            old = np.int64(labels[y, c])
            for channel in range(goal.size):
                shift = field[channel, y + radius, c + radius] / (own * weight)
                goal[channel] = colours[channel, old] - shift
                there[channel] = colours[channel, old]
                others[channel, old] = like(np.inf, own)
            scale = own * (weight * weight)
            rows = rows_of(labels, colors, order, y, c, none)
            least = cheapest(others, prices, rows, goal, scale)[1]
            for channel in range(goal.size):
                others[channel, old] = there[channel]
            sums[y, old] += np.float64(least - cost_of(colours, prices, rows, goal, scale, old))
