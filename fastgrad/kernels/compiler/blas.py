"""Numba's question whether there is a BLAS, which no kernel calls."""

import functools
import importlib

from numba.core.compiler_lock import global_compiler_lock


@functools.cache
@global_compiler_lock
def take_for_granted():
    """Let Numba import its functions of arrays without SciPy's linear algebra.

    It would import that for a flag which says whether `np.dot` can be had, and which is true, since
    this package requires SciPy: half of the time of the first call of a process went into that.
    Whoever calls `np.dot` has Numba ask again. A Numba that asks in another way is left alone.
    """
    linalg = importlib.import_module("numba.np.linalg")
    ask = getattr(linalg, "ensure_blas", None)
    if ask is None:
        return
    linalg.ensure_blas = lambda: None
    try:
        arrays = importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = ask
    arrays.ensure_blas = ask
