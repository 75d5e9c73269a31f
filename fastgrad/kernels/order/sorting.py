"""The order of the values in a row, and hard order statistics.

Values are mapped, by a linear and so increasing function, onto numbers of two digits, many more
than there are values, and these are sorted digit by digit. Few neighbours are then in the wrong
order, and these are exchanged. Where values lie in clusters, or most are near each other beside a
few that are far, many would be: then all the bits of the values are sorted, by `sorting_radix`. A
sample tells which it is, and exchanges are counted, so that no row takes longer than O(n). Equal
values keep the order of their indices; masked ones (-inf) come last in either direction.

Oracle: tests/order/test_sorting.py, `stable_order`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, shared, wide_vectors
from fastgrad.kernels.order.sorting_radix import DIGITS, FEW, sort_by_bits
from fastgrad.kernels.simd.intrinsics import bits, like, where
from fastgrad.kernels.simd.lanes import entry
from fastgrad.kernels.simd.vectors import LANES, filled, load
from fastgrad.kernels.tiles.memory import empty

RANK, TOP_K, SORT = 0, 1, 2  # what is asked of the order
WIDEST = 12  # bits of a digit
MOST = 1 << 20  # values whose indices are kept beside a digit, in 32 bits
COUNTS = max(2 << WIDEST, DIGITS)
SAMPLE = 256
CROWDED = 24  # times that two values share a digit as often as if all were uniform
UNITS = 2.0**52  # a number below 2**32 plus this has its integer part in its lower bits
COUNTABLE = 1 << 20  # values whose number is exact in any of their types
STEP = 32  # values whose order is looked at at once


@inline
def digit_width(n):
    """Return how many bits a digit has: two of them tell most of n values apart."""
    width = 4
    while width < WIDEST and (1 << (2 * width)) < 64 * n:
        width += 1
    return width


@shared
def extremes(x):
    """Return the largest of x, the least that is not masked, and how many are not."""
    wide_vectors()
    one, zero, inf = filled(like(1, x)), filled(like(0, x)), filled(like(np.inf, x))
    high, low = -inf, inf
    most, least, real = like(-np.inf, x), like(np.inf, x), x.size
    whole = x.size // LANES * LANES if x.strides[0] == x.itemsize else 0
    for begin in range(0, whole, COUNTABLE):
        gone = zero
        for i in range(begin, min(begin + COUNTABLE, whole), LANES):
            y = load(x, i)
            masked = y == -inf
            z = where(masked, inf, y)
            high, low = where(y > high, y, high), where(z < low, z, low)
            gone = gone + where(masked, one, zero)
        for lane in range(LANES):
            real -= np.int64(entry(gone, lane))
    for lane in range(LANES):
        most, least = max(most, entry(high, lane)), min(least, entry(low, lane))
    for i in range(whole, x.size):
        if x[i] > like(-np.inf, x):
            most, least = max(most, x[i]), min(least, x[i])
        else:
            real -= 1
    return np.float64(most), np.float64(least), real


@block
def crowds(x, width, counts, most, least):
    """Return whether many of a sample of x share the upper of their digits."""
    size, sample = 1 << width, min(1 << (width - 1), SAMPLE)
    stride, scale = x.size // sample, (size - 1) / (most - least)
    if not scale < np.inf:
        return True
    for c in range(size):
        counts[c] = 0
    for i in range(sample):
        y = x[i * stride]
        if y > like(-np.inf, x):
            counts[np.uint64((np.float64(y) - least) * scale)] += 1
    pairs = -sample
    for c in range(size):
        pairs += np.int64(counts[c]) * np.int64(counts[c])
    return pairs * size > min(CROWDED, size // 16) * sample * sample


@block
def map_all(mapped, x, first, scale, last):
    """Set how far x is from the first, as an integer; masked values are the last."""
    wide_vectors()
    for i in range(x.size):
        t = abs(np.float64(x[i]) - first) * scale
        mapped[i] = np.uint32(bits(where(t < last, t, last) + UNITS))


@block
def count_digits(mapped, width, counts):
    """Count the upper digits, and after them the lower ones."""
    size, shift = np.uint64(1) << np.uint64(width), np.uint64(width)
    for c in range(np.uint64(2) * size):
        counts[c] = 0
    for i in range(mapped.size):
        both = np.uint64(mapped[i])
        counts[both >> shift] += 1
        counts[size + (both & (size - np.uint64(1)))] += 1
    before = np.uint32(0)
    for c in range(np.uint64(2) * size):
        before = np.uint32(0) if c == size else before
        count = counts[c]
        counts[c] = before
        before += count


@block
def sort_by_lower(mapped, width, counts, target):
    """Set target to upper digits, each above its index, in the order of the lower digits."""
    most, shift, up = np.uint64(counts.size - 1), np.uint64(width), np.uint64(32 - width)
    for i in range(mapped.size):
        both = np.uint64(mapped[i])
        place = counts[both & most]
        counts[both & most] = place + np.uint32(1)
        target[place] = ((both >> shift) << up) | np.uint64(i)


@block
def sort_by_upper(source, width, counts, x, sign, s, words):
    """Put sign x into s, and indices into words, in the order of the upper digits."""
    up = np.uint64(32 - width)
    most = (np.uint64(1) << up) - np.uint64(1)
    for i in range(source.size):
        word = np.uint64(source[i])
        place, index = counts[word >> up], word & most
        counts[word >> up] = place + np.uint32(1)
        s[place], words[place] = sign * np.float64(x[index]), index


@inline
def in_order(s, begin, end):
    """Return whether none of these values is larger than the one before."""
    larger = 0
    for i in range(max(begin, 1), end):
        larger += 1 if s[np.uint64(i)] > s[np.uint64(i - 1)] else 0
    return larger == 0


@block
def settle(s, words, exchanges):
    """Bring s, and words with it, into order, by insertion; return whether so few exchanges did."""
    wide_vectors()
    for begin in range(0, s.size, STEP):
        end = min(begin + STEP, s.size)
        if in_order(s, begin, end):
            continue
        for i in range(max(begin, 1), end):
            value, word, j = s[i], words[i], i
            while j > 0 and value > s[j - 1]:
                s[j], words[j] = s[j - 1], words[j - 1]
                j -= 1
            s[j], words[j] = value, word
            exchanges -= i - j
        if exchanges < 0:
            return False
    return True


@shared
def sort_by_map(x, sign, s, words, spare, counts, most, least):
    """Bring x and its indices into order, into s and words; return whether it was short work."""
    n, width = x.size, digit_width(x.size)
    size, last = 1 << width, (1 << (2 * width)) - 1.0
    scale = (last - size) / (most - least)  # masked values are alone with the last upper digit
    if not scale < np.inf or crowds(x, width, counts, most, least):
        return False
    halves = spare.view(np.uint32)
    mapped, source = halves[:n], halves[n:]
    map_all(mapped, x, most if sign > 0 else least, scale, last)
    count_digits(mapped, width, counts)
    sort_by_lower(mapped, width, counts[size : 2 * size], source)
    sort_by_upper(source, width, counts, x, sign, s, words)
    return True


@shared
def order(x, sign, s, words, spare, counts):
    """Leave the indices of x in order in words: descending, or ascending where sign is -1.

    s is sign x in that order, -inf where masked. Return how many values are not masked: the others
    come last.
    """
    n, real, done = x.size, x.size, False
    if FEW < n <= MOST:
        most, least, real = extremes(x)
        if real == n and most == least:
            for i in range(n):
                s[i], words[i] = sign * np.float64(x[i]), np.uint64(i)
            return n
        if sort_by_map(x, sign, s, words, spare, counts, most, least):
            for i in range(real, n):
                s[i] = -np.inf
            done = settle(s[:real], words, n)
    if not done:
        sort_by_bits(x, sign, words, spare, counts)
        for i in range(n):
            s[i] = sign * np.float64(x[words[i]])
        real = n
        while real > 0 and x[words[real - 1]] == like(-np.inf, x):
            real -= 1
            s[real] = -np.inf
    return real


@inline
def first_place(n, real, sign):
    """Return where sorted values start: masked ones come first in ascending order, else last."""
    return n - real if sign < 0 else 0


@kernel(cost=lambda values: 4 * values.size)
def hard(chunk, chunks, values, task, sign, k, out):
    """Fill out, (N, n), with the ranks of values, marks of the k largest, or the values in order.

    Ranks are ascending where sign is -1: so is the order of values.
    """
    n = values.shape[1]
    words, spare = empty(n, np.uint64), empty(n, np.uint64)
    counts, s = empty(COUNTS, np.uint32), empty(n)
    for row in chunk_range(len(values), chunk, chunks):
        x, y = values[row], out[row]
        real = order(x, sign, s, words, spare, counts)
        first = first_place(n, real, sign)
        if task == SORT:
            for i in range(n if real < n else 0):
                y[i] = like(-np.inf, y)
            for i in range(real):
                y[first + i] = like(sign * s[i], y)
        else:
            for i in range(n if real < n else 0):
                y[i] = like(0, y)
            for i in range(real):
                y[words[i]] = like(i + 1 if task == RANK else i < k, y)
