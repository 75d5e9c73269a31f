"""Of outcomes in a random order, the first that is not among those summed.

Oracle: tests/estimators/rao_blackwell/test_unordered_set.py, `test_the_mean_is_the_exact_gradient`.
"""

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel
from fastgrad.kernels.tiles.elementwise import assign


@block
def is_among(outcome, seen):
    """Return whether an outcome, one category for each variable of a cell, is one of the rows."""
    for j in range(len(seen)):
        same = True
        for v in range(outcome.size):
            if seen[j, v] != outcome[v]:
                same = False
                break
        if same:
            return True
    return False


@kernel(cost=lambda order: order.size)
def first_unseen(chunk, chunks, order, seen, out):
    """out (M, N / M) = the first row of order, (T + 1, N), that seen, (T, N), lacks: by cell."""
    cells, per = out.shape
    for cell in chunk_range(cells, chunk, chunks):
        own = slice(cell * per, (cell + 1) * per)
        i = 0
        while i < len(order) - 1 and is_among(order[i, own], seen[:, own]):
            i += 1
        assign(out[cell], order[i, own])
