"""Descent on a picture of labels, each of which costs bits that depend on those before it.

What is written is a string of symbols: the labels, but one more symbol for pixels that keep the
label of a previous frame. Prices are three tables of shape (contexts + 1, N): what a symbol costs
in its context, the symbols before it in its row; what it adds to the cost of the symbol after it,
whose context it is; and of the one after that. Their last rows are zeros, for symbols that there
are none of. A context of two symbols a, b has the number a M + b, of M symbols. Outside the picture
they are 0.

Where rows are filtered, what is written is each symbol less what is predicted of it: the one above
it, or the mean of that and the one to the left. Then the context of a symbol x is its prediction,
and it is in those of its right neighbour and of the one below, whose prices are in the third table.
Where predictions are means, 2 x - y + M is their row, x being a neighbour and y the other one that
predicts it; where they are symbols, x.

Oracle: tests/dithering/optimiser/test_rate.py, `objective`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.dithering.optimiser.search import (
    AROUND,
    MARGIN,
    relabel,
    swap_gain,
    wake,
)
from fastgrad.kernels.simd.intrinsics import fma, like
from fastgrad.kernels.simd.lanes import first_of, least_of
from fastgrad.kernels.simd.vectors import LANES, filled, load
from fastgrad.kernels.tiles.memory import empty

MEAN, UP = 3, 4  # orders of models of filtered rows


@inline
def symbol(symbols, y, c):
    """Return the symbol of a pixel, 0 to the left of the picture."""
    return np.int64(symbols[y, c]) if c >= 0 else np.int64(0)


@inline
def above(symbols, y, c):
    """Return the symbol above a pixel, 0 outside the picture."""
    return np.int64(symbols[y - 1, c]) if y > 0 else np.int64(0)


@inline
def filtered_rows(symbols, count, order, y, c, none):
    """Return what `rows_of` does where rows are filtered."""
    height, width = symbols.shape
    up, after, last = above(symbols, y, c), none, none
    if order == MEAN and c + 1 < width:
        after = 2 * np.int64(symbols[y, c + 1]) - above(symbols, y, c + 1) + count
    if y + 1 < height:
        last = np.int64(symbols[y + 1, c])
        if order == MEAN:
            last = 2 * last - symbol(symbols, y + 1, c - 1) + count
    return (symbol(symbols, y, c - 1) + up) >> 1 if order == MEAN else up, after, last


@inline
def symbol_of(previous, count, y, c, label):
    """Return the symbol of a label: the last one where it is the previous frame's."""
    if previous.size > 0 and np.int64(previous[y, c]) == np.int64(label):
        return np.int64(count - 1)
    return np.int64(label)


@inline
def context(symbols, count, order, y, c):
    """Return the number of the context of a pixel, and so the row of its prices."""
    before = symbol(symbols, y, c - 1)
    return before if order != 2 else symbol(symbols, y, c - 2) * count + before


@inline
def rows_of(symbols, count, order, y, c, none):
    """Return the rows of the three tables that hold the prices of symbols of a pixel."""
    if order > 2:
        return filtered_rows(symbols, count, order, y, c, none)
    width = symbols.shape[1]
    after, last = none, none
    if c + 1 < width:
        following = np.int64(symbols[y, c + 1])
        after = following if order == 1 else symbol(symbols, y, c - 1) * count + following
        if order == 2 and c + 2 < width:
            last = following * count + symbols[y, c + 2]
    return context(symbols, count, order, y, c), after, last


@inline
def cheapest(palette, prices, rows, goal, scale, best, least, channels):
    """Return the label of least cost, and this: its prices, and scale |colour - goal|^2.

    `best` is one of cost `least`, to which another is preferred only if it costs less.
    """
    for first in range(0, palette.shape[1], LANES):
        distance = filled(like(0, goal))
        for channel in range(len(channels)):
            x = load(palette, (channel, first)) - goal[channel]
            distance = fma(x, x, distance)
        cost = load(prices[0], (rows[0], first)) + load(prices[1], (rows[1], first))
        cost = fma(filled(scale), distance, cost + load(prices[2], (rows[2], first)))
        if first_of(cost < least) < LANES:
            least = least_of(cost)
            best = np.int64(first + first_of(cost == least) % LANES)
    return best, least


@inline
def cost_of(palette, prices, rows, goal, scale, k, symbol, channels):
    """Return what `cheapest` minimises, of label k as a symbol."""
    distance = like(0, goal)
    for channel in range(len(channels)):
        x = palette[channel, k] - goal[channel]
        distance = fma(x, x, distance)
    cost = prices[0][rows[0], symbol] + prices[1][rows[1], symbol]
    return fma(scale, distance, cost + prices[2][rows[2], symbol])


@inline
def row_price(symbols, price, count, order, y, first, last):
    """Return the prices of the pixels from column first up to, not including, last."""
    total = price[0, 0] - price[0, 0]
    for c in range(first, min(last, symbols.shape[1])):
        total += price[context(symbols, count, order, y, c), symbols[y, c]]
    return total


@inline
def billed(bills, order, y, c):
    """Return the prices of a pixel and of those whose contexts it is in, as they are."""
    row, column = np.uint64(y), np.uint64(c)
    total = bills[row, column] + bills[row, column + np.uint64(1)]
    return total if order != 2 else total + bills[row, column + np.uint64(2)]


@inline
def bill(bills, symbols, price, count, order, y, c):
    """Bring the prices that depend on a pixel up to date, unless no swap will ask for them."""
    if order > 2:
        return
    for i in range(c, min(c + order + 1, symbols.shape[1])):
        bills[y, i] = price[context(symbols, count, order, y, i), symbols[y, i]]


@inline
def price_around(bills, order, y, c, dy, dx, here):
    """Return all prices that depend on a pixel or its neighbour; `here` are those in its row."""
    if dy == 0:
        return here + bills[y, c + order + 1]
    return here + billed(bills, order, y + dy, c + dx)


@inline
def price_if_swapped(labels, previous, symbols, price, count, order, y, c, dy, dx):
    """Return what `price_around` would be if a pixel and its neighbour swapped labels."""
    mine, other = symbols[y, c], symbols[y + dy, c + dx]
    symbols[y, c] = symbol_of(previous, count, y, c, labels[y + dy, c + dx])
    symbols[y + dy, c + dx] = symbol_of(previous, count, y + dy, c + dx, labels[y, c])
    total = row_price(symbols, price, count, order, y, c, c + order + (1 if dy else 2))
    if dy:
        below = c + dx
        total += row_price(symbols, price, count, order, y + dy, below, below + order + 1)
    symbols[y, c], symbols[y + dy, c + dx] = mine, other
    return total


@inline
def cheapest_but(palette, prices, rows, goal, scale, k, colors, channels):
    """Return what `cheapest` does, of all labels but k."""
    best, least = np.int64(k), like(np.inf, goal)
    for other in range(colors):
        if other != k:
            cost = cost_of(palette, prices, rows, goal, scale, other, other, channels)
            if cost < least:
                least, best = cost, np.int64(other)
    return best, least


@block
def descend_tile(labels, written, awake, weights, kept, blurred, rated, corner, size, goal, swaps):
    """Make every relabelling and swap in a tile that lowers error and price; return their number.

    `written` is (symbols, bills): what is written of each pixel, and its price. `rated` is
    ((colours, K, M, channels), prices, order): the colours padded with infinite ones, the numbers
    of labels and of symbols, and a tuple as long as there are channels. Pixels swap with the first
    `swaps` of their `NEIGHBOURS`.
    """
    wide_vectors()
    (colours, colors, count, channels), prices, order = rated
    symbols, bills = written
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
            for channel in range(len(channels)):
                shift = -(inverse / weight) * field[channel, y + radius, c + radius]
                goal[channel] = colours[channel, old] + shift
            scale = own * (weight * weight)
            rows = rows_of(symbols, count, order, y, c, none)
            near, now = (colours, prices, rows, goal, scale), np.int64(symbols[y, c])
            present = cost_of(*near, old, now, channels)
            bound = like(np.inf, own) if paid else present
            new, least = cheapest(*near, old, bound, channels)
            if paid:
                same, gap = np.int64(previous[y, c]), scale * gaps[y, c]
                kept_cost = cost_of(*near, same, count - 1, channels) - gap
                if new == same and kept_cost > least:  # which is no symbol here
                    new, least = cheapest_but(*near, same, colors, channels)
                if kept_cost <= least:
                    new, least = same, kept_cost
                present -= gap if old == same else like(0, gap)
            gain, best_y, best_x, best = like(0, own), y, c, old
            if new != old and present - least > like(MARGIN, own) * abs(present):
                gain, best = least - present, new
            here = billed(bills, order, y, c)
            for i in range(swaps):
                dy, dx = min(i, 1), 1 - i % 3  # NEIGHBOURS[i], sooner than by a table
                if (
                    y + dy < bottom
                    and left <= c + dx < right
                    and labels[y + dy, c + dx] != old
                    and weights[y + dy, c + dx] > like(0, own)
                ):
                    pair = y, c, dy, dx
                    g = swap_gain(labels, weights, field, colours, table, own, *pair, channels)
                    g += g
                    before = price_around(bills, order, y, c, dy, dx, here)
                    if not paid and g - before >= gain:  # no price is below 0
                        continue
                    work = labels, previous, symbols, prices[0], count, order
                    g += price_if_swapped(*work, y, c, dy, dx) - before
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
                symbols[y, c] = symbol_of(previous, count, y, c, best)
                bill(bills, symbols, prices[0], count, order, y, c)
                wake(awake, y, c)
                if best_y != y or best_x != c:
                    relabel(labels, weights, field, colours, table, nu, best_y, best_x, old)
                    symbols[best_y, best_x] = symbol_of(previous, count, best_y, best_x, old)
                    bill(bills, symbols, prices[0], count, order, best_y, best_x)
                    wake(awake, best_y, best_x)
                moves += 1
    return moves


@kernel(cost=lambda labels, blurred: labels.size * blurred[1].size)
def descend(
    chunk,
    chunks,
    moves,
    labels,
    written,
    awake,
    weights,
    kept,
    blurred,
    rated,
    size,
    phase,
    swaps,
):
    """Lower error and price over every second tile, every second row of tiles: a phase of four.

    It is `search.descend`, in whose tiles nothing changes that another of the phase reads: neither
    the field, nor the symbols in contexts. written, rated and swaps are as in
    `descend_tile`.
    """
    rows, columns = moves.shape
    across, down = (columns - phase % 2 + 1) // 2, (rows - phase // 2 + 1) // 2
    goal = empty(rated[0][0].shape[0], rated[0][0].dtype)
    for t in chunk_range(across * down, chunk, chunks):
        i, j = 2 * (t // across) + phase // 2, 2 * (t % across) + phase % 2
        corner = i * size, j * size
        work = labels, written, awake, weights, kept, blurred, rated
        moves[i, j] = descend_tile(*work, corner, size, goal, swaps)


@kernel(cost=lambda labels, prices: labels.size * prices[0].shape[1])
def regrets(
    chunk, chunks, sums, labels, symbols, weights, field, table, nu, palette, prices, order
):
    """sums[y, k] = what it costs row y to do without label k, each pixel by itself."""
    height, width = labels.shape
    colours, _, count, channels = palette
    radius = table.shape[0] // 2
    own = table[radius, radius] + nu
    none = np.int64(prices[0].shape[0] - 1)
    goal, there = empty(colours.shape[0], colours.dtype), np.empty_like(colours[:, 0])
    others = colours.copy()
    for y in chunk_range(height, chunk, chunks):
        sums[y] = 0
        for c in range(width):
            weight = weights[y, c]
            if weight == like(0, own):
                continue
            old = np.int64(labels[y, c])
            for channel in range(len(channels)):
                shift = field[channel, y + radius, c + radius] / (own * weight)
                goal[channel] = colours[channel, old] - shift
                there[channel] = colours[channel, old]
                others[channel, old] = like(np.inf, own)
            scale = own * (weight * weight)
            rows = rows_of(symbols, count, order, y, c, none)
            most = like(np.inf, own)
            least = cheapest(others, prices, rows, goal, scale, old, most, channels)[1]
            for channel in range(len(channels)):
                others[channel, old] = there[channel]
            now = np.int64(symbols[y, c])
            sums[y, old] += np.float64(
                least - cost_of(colours, prices, rows, goal, scale, old, now, channels)
            )
