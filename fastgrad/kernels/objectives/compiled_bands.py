"""Bands of examples, which a pass takes one after the other: what it makes of one stays in cache.

A pass draws, calls a compiled objective and sums, all for one band. Each of these is done by the
kernel that does it for all examples, so that the numbers are the same.
"""

from fastgrad.kernels.compiler.jit import block, inline
from fastgrad.kernels.tiles import sums


def serial(kernel):
    """Return what a kernel does on one chunk as a function (0, 1, ...) for use in others."""
    return block(kernel.function)


accumulate = serial(sums.accumulate)


@inline
def count(cells, width):
    """Return the number of bands of `width` examples."""
    return (cells + width - 1) // width


@inline
def bounds(band, width, cells, n):
    """Return the first example of a band and the one after its last, and so of their rows."""
    per = n // max(cells, 1)
    head, tail = band * width, min((band + 1) * width, cells)
    return head, tail, head * per, tail * per


@inline
def shaped(memory, samples, columns):
    """Return the beginning of flat memory as samples (S, columns)."""
    return memory[: samples * columns].reshape((samples, columns))


@inline
def mean(x, deviation, value):
    """Put the mean over samples of x, (S, m), into value, and less the first into deviation."""
    deviation[:] = 0.0
    accumulate(0, 1, x, x[0], deviation)
    for c in range(value.size):
        deviation[c] /= len(x)
        value[c] = x[0, c] + deviation[c]
