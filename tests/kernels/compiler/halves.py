"""A program of one kernel and two parts that are shared; test_shared.py runs it twice."""

import numpy as np

from fastgrad.kernels.compiler import jit


@jit.shared
def halve(x):
    """Halve numbers."""
    jit.wide_vectors()
    for i in range(x.size):
        x[i] *= 0.5


@jit.shared
def halve_checked(x):
    """Halve numbers, but no three."""
    halve(x)
    if x.size == 3:
        raise ValueError("three")


@jit.kernel(cost=lambda x: x.size)
def halve_all(chunk, chunks, x):
    """Halve numbers, all as one chunk."""
    halve_checked(x)


if __name__ == "__main__":
    numbers = np.ones(4)
    halve_all(numbers)
    print(numbers.sum())
    try:
        halve_all(np.ones(3))
    except ValueError as error:
        print(error)
    print("hits", sum(halve_all.dispatcher.stats.cache_hits.values()))
    print("compiled", len(halve.overloads) + len(halve_checked.overloads))
