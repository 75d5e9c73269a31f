"""Labels that continue strings which LZW has in its table, where that is worth an error.

LZW writes a picture as codes of strings: each is the longest one in the table, and then the table
has that with the symbol after it. So what a code costs does not depend on how long its string is.
Here strings are chosen instead of found: of those in the table, the one for which what its labels
add to the error, and its code, are least beside what so many pixels are worth.

The table is a tree: ``links[0, n]`` is the first string that is one symbol longer than n, or -1,
``links[1, n]`` the next one after n that is as long and has the same beginning, and ``links[2, n]``
the last symbol of n. Strings of one symbol have its number.

A symbol is a label, or one more for pixels that are transparent: those of weight 0, which have no
other, and those that keep what the previous frame shows.

Oracle: tests/dithering/optimiser/test_lzw.py, `strings`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import cached, inline, standalone
from fastgrad.kernels.dithering.optimiser.search import relabel
from fastgrad.kernels.simd.intrinsics import like

WIDEST = 12  # bits of a code
CODES = 1 << WIDEST  # of a table, which begins anew when it is full
MOST = 64  # symbols of a string that are chosen at once
FREE, CHILD, NEXT, LAST = -1, 0, 1, 2  # no string, and rows of links


@inline
def label_of(picture, clear, symbol, y, c):
    """Return the label that a symbol stands for, or -1 where there is no such symbol."""
    labels, weights, previous, _ = picture
    seen = weights[y, c] > 0
    if symbol < clear:
        return np.int64(symbol) if seen else np.int64(-1)
    if not seen:
        return np.int64(labels[y, c])
    return np.int64(previous[y, c]) if previous.size > 0 else np.int64(-1)


@inline
def steepen(blurred, changes, slopes, depth, y, c):
    """slopes[depth] = slopes of the error at a pixel after changes before it in the same row."""
    field, table, _ = blurred
    radius = table.shape[0] // 2
    for channel in range(len(field)):
        slope = field[channel, y + radius, c + radius]
        for d in range(max(0, depth - min(radius, c)), depth):
            slope += table[radius, radius + depth - d] * changes[d, channel]
        slopes[depth, channel] = slope


@inline
def added(picture, blurred, colours, changes, slopes, depth, y, c, new):
    """Return what a label adds to the error where it has these slopes.

    changes[d] are those of colours that the string so far makes; that of this pixel is written.
    """
    labels, weights, previous, gaps = picture
    _, table, nu = blurred
    radius, old, weight = table.shape[0] // 2, np.int64(labels[y, c]), weights[y, c]
    own, total = table[radius, radius] + nu, like(0, nu)
    for channel in range(slopes.shape[1]):
        change = weight * (colours[channel, new] - colours[channel, old])
        changes[depth, channel] = change
        slope = slopes[depth, channel]
        total += change * (slope + slope + own * change)
    if previous.size > 0:
        gap = own * gaps[y, c] * (weight * weight)
        total += gap if old == previous[y, c] else like(0, nu)
        total -= gap if new == previous[y, c] else like(0, nu)
    return np.float64(total)


@inline
def all_added(picture, blurred, colours, slopes, y, c, out):
    """out[k] = what label k adds to the error as the first of a string: `added`, to the bit."""
    labels, weights, previous, gaps = picture
    _, table, nu = blurred
    radius, old, weight = table.shape[0] // 2, np.int64(labels[y, c]), weights[y, c]
    own, count = table[radius, radius] + nu, out.size
    for k in range(count):
        out[k] = 0
    for channel in range(slopes.shape[1]):
        row, here = colours[channel], colours[channel, old]
        twice = slopes[0, channel] + slopes[0, channel]
        for k in range(count):
            change = weight * (row[k] - here)
            out[k] += change * (twice + own * change)
    if previous.size > 0:
        gap, kept = own * gaps[y, c] * (weight * weight), np.int64(previous[y, c])
        for k in range(count):
            out[k] += gap if old == kept else like(0, nu)
        out[kept] -= gap


@inline
def place(area, i):
    """Return row and column of the pixel of this number in an area."""
    top, left, _, right = area
    return top + i // (right - left), left + i % (right - left)


@inline
def best_string(picture, blurred, colours, clear, links, area, start, most, price, worth, room):
    """Find the best string for the pixels from `start` on; return length, node and error added.

    room is (changes, slopes, errors, nodes, symbols, firsts): the labels are written to symbols.
    """
    changes, slopes, errors, nodes, symbols, firsts = room
    code, limit = price
    least, length, found, error = np.inf, 0, np.int64(0), 0.0
    y, c = place(area, start)
    seen = picture[1][y, c] > 0
    steepen(blurred, changes, slopes, 0, y, c)
    if seen:
        all_added(picture, blurred, colours, slopes, y, c, firsts)
    for first in range(clear + 1):
        if first < clear:  # most neither are the best so far nor go on
            if not seen:
                continue
            value = np.float64(firsts[first]) - worth
            if value + code >= least and value >= limit:
                continue
        depth = 0
        nodes[0] = first
        while depth >= 0:
            node, deeper = np.int64(nodes[depth]), False
            label = label_of(picture, clear, np.int64(links[LAST, node]), y, c)
            if label >= 0:
                cost = added(picture, blurred, colours, changes, slopes, depth, y, c, label)
                errors[depth] = cost + (errors[depth - 1] if depth > 0 else 0.0)
                value = errors[depth] - worth * (depth + 1)
                if value + code < least:
                    least, length, found, error = value + code, depth + 1, node, errors[depth]
                    for d in range(length):
                        symbols[d] = links[LAST, nodes[d]]
                deeper = value < limit and depth + 1 < most and links[CHILD, node] != FREE
            if deeper:
                depth += 1
                nodes[depth] = links[CHILD, node]
                y, c = place(area, start + depth)
                steepen(blurred, changes, slopes, depth, y, c)
                continue
            at = depth
            while depth > 0 and links[NEXT, nodes[depth]] == FREE:
                depth -= 1
            if depth < at:
                y, c = place(area, start + depth)
            if depth == 0:
                break
            nodes[depth] = links[NEXT, nodes[depth]]
    return length, found, error


@inline
def longer(links, node, symbol):
    """Return the string that is longer by a symbol, or `FREE`."""
    node = np.int64(links[CHILD, node])
    while node != FREE and links[LAST, node] != symbol:
        node = np.int64(links[NEXT, node])
    return node


@inline
def begin(links, clear):
    """Empty the table."""
    for n in range(links.shape[1]):
        links[CHILD, n] = links[NEXT, n] = FREE
        links[LAST, n] = min(n, clear)


@cached
@standalone
def choose(picture, blurred, colours, clear, bits, area, rate, worth, limit, scratch):
    """Give the pixels of an area, row by row, the labels of strings; return bits and added error.

    picture is (labels, weights, previous labels, gaps), blurred (field, table, nu) as in `search`,
    and `clear` the number of labels, and so the symbol of what is transparent. An index has `bits`
    bits in the file. A bit costs `rate`, and a pixel is worth `worth`: a string is followed while
    its error is above what its pixels are worth by less than `limit`. scratch is links, with room
    for all codes, and the room of `best_string`.
    """
    labels, weights = picture[:2]
    field, table, nu = blurred
    links, room = scratch[0], scratch[1:]
    top, left, bottom, right = area
    pixels = (bottom - top) * (right - left)
    # Labels in other rows are not near those in the same string.
    row = max(1, min(room[0].shape[0], right - left - table.shape[0] // 2))
    control, width, error = 1 << bits, bits + 1, 0.0
    following, written = control + 2, width
    before, i = np.int64(FREE), 0  # the string that is not yet written, and a pixel
    begin(links, clear)
    while i < pixels:
        price, most = (rate * width, limit), min(row, pixels - i)
        chosen = picture, blurred, colours, clear, links, area, i, most, price, worth, room
        length, node, more = best_string(*chosen)
        symbols = room[4]
        after = longer(links, before, symbols[0]) if before != FREE else np.int64(FREE)
        if after != FREE:  # the string before goes on: what follows is looked for from there
            length, node = 1, after
        elif before != FREE:
            written += width
            if following == 1 << width:
                width += 1
            links[NEXT, following] = links[CHILD, before]
            links[CHILD, before] = following
            links[CHILD, following], links[LAST, following] = FREE, symbols[0]
            following += 1
            if following == CODES:
                written += width
                following, width = control + 2, bits + 1
                begin(links, clear)
                length, node = 1, np.int64(symbols[0])
        for d in range(length):
            y, c = place(area, i + d)
            label = label_of(picture, clear, np.int64(symbols[d]), y, c)
            if label != labels[y, c]:
                relabel(labels, weights, field, colours, table, nu, y, c, label)
        error += more
        before = node
        i += length
    last = width + (following == 1 << width and width < WIDEST)
    return written + width + last, error
