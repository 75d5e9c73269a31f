"""Systems of a few equations, whose solution by LAPACK would take as long as a pass over samples.

Oracle: tests/estimators/score_functions/test_baselines.py, `test_a_regression_is_least_squares`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import cached, standalone

SINGULAR = 1e-8  # of the sum of the diagonal: the least ridge of what is far from singular


@cached
@standalone
def solve(gram, ridge, a, b):
    """a = gram and the ridge, but for the last row and column, b = the last column; solve a x = b.

    Return whether a is surely far from singular: then no order of rows is better than another, b
    becomes x, and a is lost.
    """
    n, total, least = b.size, 0.0, np.inf
    for i in range(n):
        for j in range(n):
            a[i, j] = gram[i, j]
        b[i] = gram[i, n]
        a[i, i] += ridge[i]
        total, least = total + a[i, i], min(least, ridge[i])
    if not least > SINGULAR * total:
        return False
    for k in range(n):
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            for j in range(k + 1, n):
                a[i, j] -= factor * a[k, j]
            b[i] -= factor * b[k]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            b[i] -= a[i, j] * b[j]
        b[i] /= a[i, i]
    return True
