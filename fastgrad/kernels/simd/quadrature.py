"""Gauss-Legendre quadrature of smooth integrands on an interval that starts at 0."""

import numpy as np

from fastgrad.kernels.compiler.jit import inline

SIZE = 24  # nodes: three vectors of eight float64
_nodes, _weights = np.polynomial.legendre.leggauss(SIZE)
NODES, WEIGHTS = (1 + _nodes) / 2, _weights / 2  # on [0, 1]


@inline
def total(values):
    """Sum of SIZE values: four sums side by side, so that additions need not wait."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(0, SIZE, 4):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
    return (a + b) + (c + d)
