"""The number of threads that fastgrad computes with, and all else that the environment decides.

Results never depend on the number of threads. Small calls (below about 32,000 elements) use one
thread; larger ones use, in the order in which these are looked at,

1. the number given to `set_num_threads`;
2. ``NUMBA_NUM_THREADS``, or else ``OMP_NUM_THREADS``, where such a variable is set;
3. as many threads as the process may use processors: those of its affinity mask
   (``taskset``), and no more than the processor time that the quota of its control group allows
   (containers). Both are looked at again every second.

No more threads are ever used than Numba starts, which is ``NUMBA_NUM_THREADS`` or the number of
processors in the affinity mask when Numba was imported. Numba's own ``set_num_threads``, which
concerns the calling thread only, can lower the number further. A process that was forked after the
first parallel call computes with one thread.

Threads that have nothing to do sleep, so that they do not slow down other processes. The exceptions
are the user's own: where ``OMP_WAIT_POLICY``, ``GOMP_SPINCOUNT``, ``KMP_BLOCKTIME`` or
``KMP_LIBRARY`` is set, it is obeyed; and where another package has loaded the same OpenMP library
before the first parallel call, that library's threads wait as that package had it. The setting is
made for the moment in which the library is loaded, so the threads of PyTorch and others are not
concerned.

======================  ===========================================================================
Environment variable    Meaning
======================  ===========================================================================
NUMBA_NUM_THREADS       The largest, and the default, number of threads.
OMP_NUM_THREADS         The default number of threads where NUMBA_NUM_THREADS is not set.
NUMBA_THREADING_LAYER   The library that runs the threads: ``tbb``, ``omp`` or ``workqueue``. With
                        ``workqueue``, only calls from the main thread are parallel.
OMP_WAIT_POLICY         ``active`` lets threads of OpenMP spin while they wait: a few per cent
                        faster where nothing else runs, several times slower where something does.
FASTGRAD_CACHE          ``0`` turns the cache of compiled kernels off.
FASTGRAD_PREBUILT       ``0`` passes over kernels that came with the package: all are compiled here.
NUMBA_CACHE_DIR         Where compiled kernels are kept; without it, in the package's own folder
                        or, where that is not writable, in the user's cache folder.
NUMBA_DISABLE_JIT       Must not be set: fastgrad's kernels exist only as compiled code.
======================  ===========================================================================

A file of the cache is trusted as a program is: do not let others write to its folder. Kernels that
came with the package stand in its own folder, and are trusted as the package is.
"""

from __future__ import annotations

from fastgrad import _validate
from fastgrad.kernels.compiler import threads as _threads

__all__ = ["get_num_threads", "set_num_threads"]


def set_num_threads(n: int | None) -> None:
    """Set the number of threads that large calls compute with, for the whole process.

    Results do not depend on it, bit for bit. It concerns programs of JAX, too, whenever they were
    traced.

    Parameters
    ----------
    n : int or None
        From 1 to the number of threads that Numba starts (see `fastgrad.threads`). None returns to
        the default: the environment's number, or that of the available processors.

    Raises
    ------
    ValueError
        If n is out of this range.
    TypeError
        If n is neither an integer nor None.

    See Also
    --------
    get_num_threads : The number that a call would use now.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.set_num_threads(1)
    >>> fg.get_num_threads()
    1
    >>> fg.set_num_threads(None)
    """
    _threads.choose(None if n is None else _validate.integer(n, "n", 1, _threads.MOST))


def get_num_threads() -> int:
    """Return the number of threads that a large call from this thread would compute with.

    Returns
    -------
    int
        At least 1.

    See Also
    --------
    set_num_threads : Sets it, and says what the default is.

    Examples
    --------
    >>> import fastgrad as fg
    >>> fg.get_num_threads() >= 1
    True
    """
    return _threads.count()
