"""LZW as a GIF has it: the codes of the longest strings in the table, packed, lowest bit first.

``table[n, s]`` is the string that is longer than n by the symbol s, or `FREE`. The row of a string
is emptied when the string is made, so that a new table costs no more than what is put into it.

Oracle: tests/support/lzw.py, `codes`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import cached, inline, standalone
from fastgrad.kernels.dithering.optimiser.lzw import CODES, FREE, WIDEST

SPARE = 3  # bytes that a code may touch


@inline
def put(data, place, code, width):
    """Write a code behind the bits that there are, and return how many there are then."""
    byte, value = place >> 3, code << (place & 7)
    data[byte] |= value & 0xFF
    data[byte + 1] |= value >> 8 & 0xFF
    data[byte + 2] |= value >> 16
    return place + width


@inline
def empty(table, symbols):
    """Leave nothing but strings of one symbol in the table."""
    for n in range(symbols):
        for s in range(symbols):
            table[n, s] = FREE


@cached
@standalone
def pack(pixels, others, bits, table, data):
    """Write the codes of pixels to data, which are zeros; return the number of their bits.

    Each pixel may have another value: that one is taken, if it continues a string, or if neither
    does. table has room for `CODES` strings of ``1 << bits`` symbols, data for all codes and for
    `SPARE` bytes.
    """
    clear = 1 << bits
    following, width = clear + 2, bits + 1
    empty(table, clear)
    place = put(data, 0, clear, width)
    before = np.int64(others[0])
    for i in range(1, pixels.size):
        symbol = np.int64(others[i])
        code = np.int64(table[before, symbol])
        if code == FREE and pixels[i] != symbol:
            code = np.int64(table[before, pixels[i]])
        if code != FREE:
            before = code
            continue
        place = put(data, place, before, width)
        if following == 1 << width:
            width += 1
        table[before, symbol] = following
        for s in range(clear):
            table[following, s] = FREE
        following += 1
        if following == CODES:
            place = put(data, place, clear, width)
            following, width = clear + 2, bits + 1
            empty(table, clear)
        before = symbol
    place = put(data, place, before, width)
    if following == 1 << width and width < WIDEST:  # the reader adds a string once more
        width += 1
    return put(data, place, clear + 1, width)
