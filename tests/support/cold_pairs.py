"""cold_pairs.py FOLDER PAIRS: pairs of cold processes save one function for two types at once.

Each pair has an empty folder of its own. A process is cold: it is forked from this one, where no
such function was ever compiled or loaded, looks in the cache in vain, compiles, and waits for the
other before it saves. (What this one has compiled is something else: to start the compiler 1000
times would take a quarter of an hour.) Prints how many of the 2 PAIRS entries are not what they
should be. With "numba" as third argument, the cache is Numba's own, of which some are not.
"""

import contextlib
import gc
import mmap
import os
import sys

import numba
from numba.core.caching import FunctionCache

from fastgrad.kernels.compiler import cache

ONCE = 8  # pairs at a time
# Of one size: mixed up, nothing complains.
SIGNATURES = [(numba.types.float32,), (numba.types.int32,)]


def dispatcher(folder, kind):
    """Return a function that has compiled nothing yet, and its cache in a folder."""

    def same(x):
        return x

    numba.config.CACHE_DIR = folder
    made = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)(same)
    if kind == "numba":
        made._cache = FunctionCache(same)
        return made
    return cache.cached(made)


def compile_one(folder, kind, mine, met):
    """Compile for one type, and save when the other process is about to save, too."""
    made = dispatcher(folder, kind)
    save = made._cache.save_overload

    def together(*args):
        met[mine] = 1
        while not met[1 - mine]:
            os.sched_yield()
        save(*args)

    made._cache.save_overload = together
    made.compile(SIGNATURES[mine])


def forked(work, *args):
    """Return the number of a process that does this and nothing else."""
    child = os.fork()
    if child:
        return child
    try:
        work(*args)
        os._exit(0)
    finally:
        os._exit(1)


def wrong(folder, kind):
    """Return how many of the two entries are not there, or hold something else."""
    with contextlib.ExitStack() as stack:
        made = dispatcher(folder, kind)
        if hasattr(made._cache, "close"):
            stack.callback(made._cache.close)
        found = [made._cache.load_overload(s, made.targetctx) for s in SIGNATURES]
    return sum(one is None or one.signature.args != s for one, s in zip(found, SIGNATURES))


def main():
    place, pairs, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3] if sys.argv[3:] else ""
    numba.njit(lambda x: x + x).compile((numba.types.int64,))
    gc.freeze()
    total = 0
    for first in range(0, pairs, ONCE):
        folders = [os.path.join(place, str(i)) for i in range(first, min(first + ONCE, pairs))]
        children = []
        for folder in folders:
            met = mmap.mmap(-1, 2)
            children += [forked(compile_one, folder, kind, mine, met) for mine in range(2)]
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
        total += sum(wrong(folder, kind) for folder in folders)
    print(total, "of", 2 * pairs)


if __name__ == "__main__":
    main()
