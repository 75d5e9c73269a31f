"""What compiles kernels, beside what compiles other functions of Numba's."""

import numba.core.compiler as numba_compiler

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
