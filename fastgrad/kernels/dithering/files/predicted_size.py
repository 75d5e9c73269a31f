"""How Deflate takes a string of bytes apart: literals, and matches with what came before.

A match is the longest with one of the last `DEPTH` places that begin with the same `LEAST` bytes,
the nearest of equals. A literal takes its place where a match that begins a byte later is longer.
Places are found by hashes: the last one of each in `heads`, and in `links` the one before each, of
as many as a match may reach back.

Oracle: tests/dithering/files/test_predicted_size.py, `rebuilt`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import cached, inline, standalone

WINDOW = 1 << 15  # bytes that a match may reach back
LEAST, MOST = 3, 258  # bytes of a match
DEPTH = 32  # places that are tried
ENOUGH = 64  # bytes of a match beside which no other is looked for
NEAR = 1 << 12  # bytes that a match of the least length may reach back: further, it is too dear
HASHES = 1 << 15
FACTOR = 0x9E3779B1  # odd, 2^32 over the golden ratio
END, DISTANCES, SYMBOLS = 256, 286, 316  # of a block; the first of distances; of both alphabets
BLOCK = 1 << 14  # literals and matches that share a code


@inline
def hash_of(data, i):
    """Return the hash of the bytes with which a match may begin."""
    value = np.int64(data[i]) | np.int64(data[i + 1]) << 8 | np.int64(data[i + 2]) << 16
    return (value * FACTOR & 0xFFFFFFFF) >> 17


@inline
def place(data, i, heads, links):
    """Note a place in the string, and return the last one before it with the same hash, or -1."""
    if i + LEAST > data.size:
        return np.int64(-1)
    code = hash_of(data, i)
    before = np.int64(heads[code])
    links[i % WINDOW] = before
    heads[code] = i
    return before


@inline
def longest(data, i, before, links):
    """Return the length of the longest match at i with `before` and its links, and its distance."""
    length, distance, most = LEAST - 1, 0, min(MOST, data.size - i)
    for _ in range(DEPTH):
        if before < 0 or i - before >= WINDOW or length >= min(most, ENOUGH):
            break
        if data[before + length] == data[i + length]:
            same = 0
            while same < most and data[before + same] == data[i + same]:
                same += 1
            if same > length and (same > LEAST or i - before <= NEAR):
                length, distance = same, i - before
        before = np.int64(links[before % WINDOW])
    return length, distance


@inline
def floor_log2(n):
    """Return the number of the highest bit of a number above 0."""
    found = 0
    while n > 1:
        n >>= 1
        found += 1
    return found


@inline
def length_symbol(length):
    """Return the symbol of a match's length."""
    rest = length - LEAST
    if rest < 8:
        return END + 1 + rest
    high = floor_log2(rest)
    return DISTANCES - 1 if length == MOST else END - 3 + 4 * high + (rest >> (high - 2) & 3)


@inline
def distance_symbol(distance):
    """Return the symbol of a match's distance, after those of lengths."""
    rest = distance - 1
    if rest < 4:
        return DISTANCES + rest
    high = floor_log2(rest)
    return DISTANCES + 2 * high + (rest >> (high - 1) & 1)


@cached
@standalone
def parse(data, counts, heads, links):
    """counts[b, s] = how often symbol s is in block b; return how many literals and matches are.

    heads has `HASHES` entries of -1, links `WINDOW`.
    """
    tokens, i = 0, 0
    length, distance = 0, 0  # of the match that begins at the byte before
    while i < data.size:
        new, back = longest(data, i, place(data, i, heads, links), links)
        if length >= max(new, LEAST):
            block = counts[tokens // BLOCK]
            block[length_symbol(length)] += 1
            block[distance_symbol(distance)] += 1
            tokens += 1
            for j in range(i + 1, i - 1 + length):
                place(data, j, heads, links)
            i += length - 1
            length = 0
            continue
        if length > 0:
            counts[tokens // BLOCK, data[i - 1]] += 1
            tokens += 1
        length, distance = new, back
        i += 1
    if length > 0:  # a match of the last byte alone is none
        counts[tokens // BLOCK, data[data.size - 1]] += 1
        tokens += 1
    return tokens
