"""How many threads kernels use, and how these wait for each other."""

import contextlib
import ctypes
import importlib
import math
import os
import pathlib
import time

import numba
from numba.core import config
from numba.np.ufunc import parallel

from fastgrad.kernels.compiler import interrupts

MOST: int = getattr(config, "NUMBA_NUM_THREADS", 1)  # as many as Numba will ever start
MEMORY = 1.0  # seconds for which the default number is remembered
GROUPS = pathlib.Path("/sys/fs/cgroup")

# -- how many ----------------------------------------------------------------------------------

_chosen = None  # by `choose`, for the whole process
_default, _counted = MOST, -math.inf
_watchers = []


def choose(n):
    """Set the number of threads of the process; None: as before any was chosen."""
    global _chosen
    _chosen = n
    for told in _watchers:
        told()


def watch(told):
    """Call a function whenever a number is chosen: of those who plan ahead."""
    _watchers.append(told)


def limit():
    """Return the number of threads, from 1 to MOST, that the process may use."""
    global _default, _counted
    if _chosen is not None:
        return _chosen
    now = time.monotonic()
    if now - _counted > MEMORY:
        _default, _counted = min(MOST, _wished() or available()), now
    return _default


def count():
    """Return how many threads a call from this thread may use: Numba can mask some of its own."""
    # `numba.get_num_threads` locks out other processes first, to see that threads have started.
    return min(limit(), parallel._get_num_threads()) if parallel._is_initialized else limit()


@contextlib.contextmanager
def masked():
    """Let Numba use no more threads than `limit`, in this thread and for the time of the block."""
    before, most = numba.get_num_threads(), limit()
    if before <= most:
        yield
        return
    numba.set_num_threads(most)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _wished():
    """Return the number that the environment asks for, or None."""
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").partition(",")[0].strip()
        if text.isdecimal() and int(text) > 0:
            return int(text)
    return None


def available():
    """Return how many processors the affinity mask and the quota of the control group leave."""
    mask = getattr(os, "sched_getaffinity", None)
    processors = len(mask(0)) if mask else os.cpu_count() or 1
    return max(1, math.ceil(min(processors, quota())))


def quota(groups=GROUPS, membership=pathlib.Path("/proc/self/cgroup")):
    """Return the processors' worth of time that the control groups of this process allow."""
    least = math.inf
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # no control groups here
        return least
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for root in (groups,) if not controllers else (groups / "cpu", groups / controllers):
            if not controllers or "cpu" in controllers.split(","):
                place = root / path.lstrip("/")
                for folder in (place, *place.parents):
                    if folder.is_relative_to(root):
                        least = min(least, _quota_of(folder))
    return least


def _quota_of(folder):
    """Return the quota of one control group, of version 2 or 1."""
    try:
        if (folder / "cpu.max").exists():
            most, period = (folder / "cpu.max").read_text().split()
        else:
            most = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(most) / int(period) if int(most) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # "max": no limit
        return math.inf


# -- how they wait -----------------------------------------------------------------------------

# A thread of OpenMP that has nothing to do turns in a loop, by default for milliseconds, and keeps
# a thread of another process off its processor. It is to sleep after as long as waking it takes:
# 2,000 turns are 20 to 90 microseconds.
WAITING = {"GOMP_SPINCOUNT": "2000", "KMP_BLOCKTIME": "0"}
ASKED = ("OMP_WAIT_POLICY", "KMP_LIBRARY", *WAITING)


def start():
    """Start Numba's threads, such that those that wait sleep; those of others stay as they are.

    The OpenMP library reads the environment when it is loaded. Where that has happened before, or
    the user has set one of these variables, its threads wait as they do.
    """
    waiting = {} if any(map(os.environ.get, ASKED)) else WAITING
    with interrupts.held(), _environment(waiting), _number_of_openmp():
        parallel._launch_threads()


@contextlib.contextmanager
def _number_of_openmp():
    """Keep the number of threads that OpenMP has for this thread, which Numba sets to its own.

    The library may be torch's as well, which would then go by that and not by what its user set.
    """
    library = _openmp()
    if library is None:
        yield
        return
    number = library.omp_get_max_threads()
    try:
        yield
    finally:
        library.omp_set_num_threads(number)


def _openmp():
    """Return the library whose threads Numba's layer starts, or None.

    A linker looks first among those loaded for all, where torch's is, and then at the layer's own.
    """
    try:
        own = importlib.import_module("numba.np.ufunc.omppool").__file__
    except ImportError:
        return None
    for name in (None, own):
        with contextlib.suppress(OSError, TypeError):
            library = ctypes.CDLL(name)
            if hasattr(library, "omp_get_max_threads"):
                return library
    return None


@contextlib.contextmanager
def _environment(variables):
    """Set environment variables for the time of the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
