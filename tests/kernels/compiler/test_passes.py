"""What compiles kernels, beside what compiles other functions of Numba's."""

import math

import numba
import numba.core.compiler as numba_compiler
import numpy as np

from fastgrad.kernels.compiler import jit
from fastgrad.kernels.compiler.passes import Flags


def test_flags_are_told_apart_as_numba_s_are():
    theirs = numba_compiler.Flags()
    ours, other = Flags(theirs), Flags(theirs)
    other.nrt = True
    assert ours == theirs == ours.copy()
    assert type(ours.copy()) is Flags
    assert hash(ours) == hash(theirs)
    assert ours.get_mangle_string() == theirs.get_mangle_string()
    assert other not in (ours, theirs)
    assert theirs != other
    other.nrt = theirs.nrt  # the same, said or not
    assert other == ours


def extremes(a, b):
    return max(a, b), min(a, b), max(a, b if a < b else a), max(a, b, 2)


_part = jit.block(extremes)


@jit.standalone
def ours(a, b):
    return _part(a, b)


theirs = numba.njit(extremes)


def test_extremes_are_those_of_numba():
    for a, b in (0.0, -0.0), (-0.0, 0.0), (math.nan, 1.0), (1.0, math.nan), (3.0, 2.5):
        assert list(map(str, ours(a, b))) == list(map(str, theirs(a, b)))
    a, b = np.int32(-1), np.uint8(3)
    assert ours(a, b) == theirs(a, b) == (3, -1, 3, 3)
    assert ours.nopython_signatures == theirs.nopython_signatures


def test_extremes_of_two_call_no_function():
    called = str(next(iter(_part.overloads.values())).library._final_module)
    assert "ol_min" not in called  # and ol_max is that of three
