"""Of outcomes in a random order, the first that is not among those summed."""

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel


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


@kernel
def first_unseen(chunk, chunks, order, seen, out):
    """out, (M, N / M), is each cell's first of order, (T + 1, N), that is not in seen, (T, N)."""
    cells, per = out.shape
    for cell in chunk_range(cells, chunk, chunks):
        own = slice(cell * per, (cell + 1) * per)
        i = 0
        while i < len(order) - 1 and is_among(order[i, own], seen[:, own]):
            i += 1
        out[cell, :] = order[i, own]
