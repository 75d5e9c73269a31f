"""The order of the values in a row whatever they are, by radix sort: a part of `sorting`.

A word of 64 bits holds 32 bits of a key above the index of its value. Words are sorted by their
upper halves, 8 or 11 bits at a time, from the least: equal keys keep the order of their indices. A
key is the bits of a value, changed so that they increase with it; of float64, first the upper half
is sorted, then, in runs where it is equal, the lower. Masked values (-inf) come last in either
direction.

Oracle: tests/order/test_sorting.py, `stable_order`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, shared
from fastgrad.kernels.simd.intrinsics import bits, like

FEW = 32  # words that are sorted by insertion
MANY = 3000  # words from which on passes over 11 bits cost less than those over 8
DIGITS = 3 * 2048  # of all passes
HALF, LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


@inline
def key_of(x, i, sign):
    """Return bits that increase with the place of x[i] in the order: ascending where sign is -1."""
    real = bits(x[i] + like(0, x))  # of both zeros, the same
    word = np.uint64(real) if x.itemsize == 8 else np.uint64(np.uint32(real)) << HALF
    top = np.uint64(1) << np.uint64(63)
    word = word ^ (~np.uint64(0) if word & top else top)
    word = word if sign < 0 else ~word
    return ~np.uint64(0) if x[i] == like(-np.inf, x) else word


@block
def insert(words):
    """Sort a few words."""
    for i in range(1, words.size):
        word, j = words[i], i
        while j > 0 and words[j - 1] > word:
            words[j] = words[j - 1]
            j -= 1
        words[j] = word


@inline
def passes_for(n):
    """Return how many bits a pass goes over, and how many passes there are."""
    return (11, 3) if n >= MANY else (8, 4)


@block
def count_digits(words, counts):
    """Count the digits of all passes."""
    width, passes = passes_for(words.size)
    size, most = np.uint64(1) << np.uint64(width), np.uint64((1 << width) - 1)
    for c in range(passes * (1 << width)):
        counts[c] = 0
    if passes == 3:
        for i in range(words.size):
            word = words[i] >> HALF
            counts[word & most] += 1
            counts[size + ((word >> np.uint64(11)) & most)] += 1
            counts[np.uint64(2) * size + (word >> np.uint64(22))] += 1
    else:
        for i in range(words.size):
            word = words[i] >> HALF
            counts[word & most] += 1
            counts[size + ((word >> np.uint64(8)) & most)] += 1
            counts[np.uint64(2) * size + ((word >> np.uint64(16)) & most)] += 1
            counts[np.uint64(3) * size + (word >> np.uint64(24))] += 1


@block
def sort_words(start, words, spare, counts):
    """Sort the words of `start`, which is words or spare, by their upper halves, into words."""
    n = start.size
    width, passes = passes_for(n)
    size, most = 1 << width, np.uint64((1 << width) - 1)
    count_digits(start, counts)
    inside = passes % 2 == 0  # whether start is words
    for p in range(passes):
        here, shift = counts[p * size : (p + 1) * size], np.uint64(32 + p * width)
        source, target = (words, spare) if inside else (spare, words)
        if here[(source[0] >> shift) & most] == n:
            continue  # all have the same digit
        before = np.uint32(0)
        for c in range(size):
            count = here[c]
            here[c] = before
            before += count
        for i in range(n):
            word = source[i]
            d = (word >> shift) & most
            place = here[d]
            target[place] = word
            here[d] = place + np.uint32(1)
        inside = not inside
    if not inside:
        for i in range(n):
            words[i] = spare[i]


@block
def sort_run(x, sign, words, spare, counts):
    """Sort words of equal upper halves of keys by their lower halves."""
    n = words.size
    start = words if n <= FEW or passes_for(n)[1] % 2 == 0 else spare
    for i in range(n):
        index = words[i] & LOW
        start[i] = (key_of(x, np.int64(index), sign) << HALF) | index
    if n <= FEW:
        insert(words)
    else:
        sort_words(start, words, spare, counts)


@shared
def sort_by_bits(x, sign, words, spare, counts):
    """Leave the indices of x in order in words: descending, or ascending where sign is -1."""
    n = x.size
    start = words if n <= FEW or passes_for(n)[1] % 2 == 0 else spare
    for i in range(n):
        start[i] = (key_of(x, i, sign) & ~LOW) | np.uint64(i)
    if n <= FEW:
        insert(words)  # indices increase: whole words compare as their upper halves do
    else:
        sort_words(start, words, spare, counts)
    if x.itemsize == 8:
        begin = 0
        while begin < n:
            end = begin + 1
            while end < n and words[end] >> HALF == words[begin] >> HALF:
                end += 1
            if end > begin + 1:
                sort_run(x, sign, words[begin:end], spare[begin:end], counts)
            begin = end
    for i in range(n):
        words[i] &= LOW
