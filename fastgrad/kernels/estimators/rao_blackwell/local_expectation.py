"""Samples with one variable changed, and what f says of them, put in their places.

Point p of a list is sample p % S after move p // S: (j, turn) = moves[p // S], variable j of every
cell goes on by so many turns among its possible categories. The categories of row i of the logits
are order[i], the counts[i] possible ones first, and place[i] tells where each stands.

Oracle: tests/estimators/rao_blackwell/test_enumeration.py, `neighbours`.
"""

from fastgrad.kernels.compiler.jit import chunk_range, kernel
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles.elementwise import assign


@kernel(cost=lambda points: points.size)
def change(chunk, chunks, z, moves, order, place, counts, per, begin, points):
    """Fill points (P, N) from number `begin` on; z is (S, N), `per` rows to a cell."""
    samples, n = z.shape
    total = points.shape[0]
    for p in chunk_range(total, chunk, chunks):
        move, s = (begin + p) // samples, (begin + p) % samples
        j, turn = moves[move, 0], moves[move, 1]
        assign(points[p], z[s])
        for i in range(j, n, per):
            at = place[i, z[s, i]] + turn
            while at >= counts[i]:
                at -= counts[i]
            points[p, i] = order[i, at]


@kernel(cost=lambda f: f.size)
def enter(chunk, chunks, points, moves, begin, f, table):
    """Set table (S, N, K) to f (P, M) at the categories to which these points were changed."""
    samples, n, _ = table.shape
    cells = f.shape[1]
    per = n // max(cells, 1)
    for p in range(f.shape[0]):
        move, s = (begin + p) // samples, (begin + p) % samples
        j = moves[move, 0]
        for cell in chunk_range(cells, chunk, chunks):
            i = cell * per + j
            table[s, i, points[p, i]] = like(f[p, cell], table)
