"""Loop-erased random walks: a tree of each row and sample.

Oracle: tests/distributions/structured/test_wilson.py, by enumeration.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel
from fastgrad.kernels.random.philox import NOISE, philox
from fastgrad.kernels.tiles.memory import empty

STEPS = 1 << 22  # of the walks of one tree, at most
ROOM = np.uint64(STEPS)  # addresses of a row, each of which has two variates


@block
def chosen(shares, begin, end, u):
    """Return the first place from `begin` on whose cumulative share is above u."""
    place = begin
    while place < end - 1 and not u < shares[place]:
        place += 1
    return place


@block
def variate(address, sample, key, which):
    """Return a uniform variate of 53 bits, the first or the second at an address."""
    low, high = np.uint32(address), np.uint32(address >> np.uint64(32))
    a, b, c, d = philox(low, high, sample, NOISE, key[0], key[1])
    x, y = (c, d) if which else (a, b)
    return (np.float64(x >> np.uint32(5)) * 2.0**26 + np.float64(y >> np.uint32(6))) * 2.0**-53


@kernel(cost=lambda lists, shares, out: 64 * out.size)
def trees(chunk, chunks, lists, shares, noise, root, out, failed):
    """Fill out, (S, R, E), with the edges of trees; failed[chunk] tells of walks without an end.

    lists are (first place of each node and the end, edge of each place, node it comes from), and
    shares, (R, places), the cumulative probabilities of the places of each node.
    """
    first, edge, other = lists
    key, first_sample, offset = noise
    nodes, rows = len(first) - 1, shares.shape[0]
    taken, inside = empty(nodes, np.int64), np.empty(nodes, np.bool_)
    for item in chunk_range(rows * out.shape[0], chunk, chunks):
        row, s = item // out.shape[0], item % out.shape[0]
        sample, place = np.uint32(first_sample + s), np.uint64(row + offset) * ROOM
        out[s, row] = False
        inside[:] = False
        inside[root] = True
        step = 0
        for node in range(nodes):
            at = node
            while not inside[at]:
                if step >= 2 * STEPS:
                    failed[chunk] = True
                    return
                u = variate(place + np.uint64(step >> 1), sample, key, step & 1)
                taken[at] = chosen(shares[row], first[at], first[at + 1], u)
                at = other[taken[at]]
                step += 1
            at = node
            while not inside[at]:
                inside[at] = True
                out[s, row, edge[taken[at]]] = True
                at = other[taken[at]]
