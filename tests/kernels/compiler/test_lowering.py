"""Loops, elements of arrays and divisions as they are emitted for kernels."""

import numpy as np
import pytest

from fastgrad.kernels.compiler import jit

STEP = 3


def walked(x, start, stop, step, numbers):
    """Write what many loops, indices and divisions give, one after the other."""
    n = 0
    for i in range(stop):
        numbers[n] = i
        n += 1
    for i in range(start, stop):
        numbers[n] = i
        n += 1
    for i in range(start, stop, STEP):
        numbers[n] = i
        n += 1
    for i in range(start, stop, step):
        numbers[n] = i
        n += 1
        if i == 2:
            break
    for i in range(stop, start, -2):
        numbers[n] = i
        n += 1
    ahead = range(start, stop, 2)
    for _ in range(2):
        for i in ahead:
            numbers[n] = i
            n += 1
    for a in range(-7, 8):
        numbers[n], numbers[n + 1] = a // 3, a % 3
        numbers[n + 2], numbers[n + 3] = a // -3, a % STEP
        numbers[n + 4] = a // step
        n += 5
    x[-1, 0] = numbers[-len(numbers)] = x[1, -2] + x.shape[0] * x.shape[1]
    x[0][-1] = x[-1][1]
    x[:, 1][0] = x[0:2, 1:][1, 0] + x[-2:][0, 1]
    return n


_block = jit.block(walked)


@jit.standalone
def _walked(x, start, stop, step, numbers):
    return _block(x, start, stop, step, numbers)


@pytest.mark.parametrize(("start", "stop", "step"), [(0, 7, 2), (-4, 5, 1), (5, -5, -3), (3, 3, 4)])
def test_the_same_numbers_as_in_python(start, stop, step):
    results = []
    for function in (walked, _walked):
        x, numbers = np.arange(6.0).reshape(2, 3), np.zeros(300)
        n = function(x, start, stop, step, numbers)
        results.append((n, x.tolist(), numbers.tolist()))
    assert results[0] == results[1]
    assert n > 75


def test_a_step_of_nothing_is_refused():
    with pytest.raises(ValueError, match="must not be zero"):
        _walked(np.zeros((2, 3)), 0, 3, 0, np.zeros(300))
