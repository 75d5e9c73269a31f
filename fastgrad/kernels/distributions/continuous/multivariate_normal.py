"""Lower triangular matrices: products and solutions, in one order for any number of rows.

Oracle: tests/distributions/continuous/test_multivariate_normal.py: SciPy.
"""

from fastgrad.kernels.compiler.jit import chunk_range, kernel


@kernel(cost=lambda x: x.size * x.shape[1])
def affine(chunk, chunks, loc, scale, x, out):
    """out[r] = loc[r % N] + scale[r % N] x[r]: loc is (N, D), scale (N, D, D), x and out (R, D)."""
    rows, d = x.shape
    for r in chunk_range(rows, chunk, chunks):
        n = r % loc.shape[0]
        for i in range(d):
            total = loc[n, i]
            for j in range(i + 1):
                total += scale[n, i, j] * x[r, j]
            out[r, i] = total


@kernel(cost=lambda x: x.size * x.shape[1])
def solve(chunk, chunks, scale, x, out):
    """out[r] solves scale[r % N] y = x[r]."""
    rows, d = x.shape
    for r in chunk_range(rows, chunk, chunks):
        n = r % scale.shape[0]
        for i in range(d):
            total = x[r, i]
            for j in range(i):
                total -= scale[n, i, j] * out[r, j]
            out[r, i] = total / scale[n, i, i]


@kernel(cost=lambda x: x.size * x.shape[1])
def solve_transposed(chunk, chunks, scale, x, out):
    """out[r] solves the transpose of scale[r % N] y = x[r]."""
    rows, d = x.shape
    for r in chunk_range(rows, chunk, chunks):
        n = r % scale.shape[0]
        for k in range(d):
            i = d - 1 - k
            total = x[r, i]
            for j in range(i + 1, d):
                total -= scale[n, j, i] * out[r, j]
            out[r, i] = total / scale[n, i, i]
