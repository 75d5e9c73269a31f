"""Parts of kernels: compiled into what calls them, and callable from nowhere else."""

import numpy as np
import pytest

from fastgrad.kernels.compiler import jit


@jit.inline
def _half(x):
    return 0.5 * x


@jit.block
def _halve(x):
    """Halve the numbers, or raise: exceptions must find their way out of parts."""
    if x.size == 3:
        raise ValueError("three")
    for i in range(x.size):
        x[i] = _half(x[i])


@jit.kernel(cost=lambda x: x.size)
def _halve_rows(chunk, chunks, x):
    for i in jit.chunk_range(len(x), chunk, chunks):
        _halve(x[i])


@jit.standalone
def _halve_alone(x):
    _halve(x)


def test_kernels_contain_their_parts():
    x = np.ones((2, 4))
    _halve_rows(x)
    assert (x == 0.5).all()
    _halve_rows.run(2, x)
    assert (x == 0.25).all()


def test_other_compiled_functions_may_call_parts():
    x = np.ones(4)
    _halve_alone(x)
    assert (x == 0.5).all()


@pytest.mark.parametrize("function", [_halve_rows, _halve_alone])
def test_exceptions_leave_parts(function):
    x = np.ones((1, 3)) if function is _halve_rows else np.ones(3)
    with pytest.raises(ValueError, match="three"):
        function(x)


def test_a_part_has_no_machine_code_of_its_own():
    x = np.ones(4)
    _halve_alone(x)
    assert [o.library.get_pointer_to_function("any") for o in _halve.overloads.values()] == [0]


def test_python_cannot_call_a_part():
    with pytest.raises(TypeError):
        _half(1.0)
    with pytest.raises(TypeError):
        _halve(np.ones(4))
