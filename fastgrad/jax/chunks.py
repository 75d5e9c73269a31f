"""How many chunks handlers run in parallel: what Python decides before, and they while they run."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from numba import types

from fastgrad.jax.frames import KEPT, address, caller, compiled, words
from fastgrad.kernels.compiler import jit, threads

MOST = KEPT.setdefault(
    "most chunks", np.ones(1, np.int64)
)  # chunks of a call, read by handlers; 1 is serial


def plan_threads() -> None:
    """Let handlers use as many threads as a call of NumPy's API would, now."""
    most = jit.plan(sys.maxsize)
    if most > 1 and jit.threading_layer() == "workqueue":  # it is not for XLA's threads
        most = 1
    elif threads.limit() < threads.MOST:  # Numba wakes all its threads, but so few have work
        most = min(most, threads.count())
    MOST[0] = most


threads.watch(plan_threads)  # programs that were traced before go by a number chosen later


def _alone() -> None:
    MOST[0] = 1  # OpenMP ends a forked child that runs a parallel region


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_alone)


_most = address(__name__, "MOST")
_runner = address(jit.__name__, "_runner", 3 * (types.int64,))


@compiled
def chunks_for(work):
    """Return the number of chunks for so much work, as `jit.plan` does for NumPy's API."""
    if work < jit.PARALLEL_WORK:
        return 1
    return min(words(_most(), 1)[0], (work * 8 - 1) // jit.PARALLEL_WORK + 1)


def running(kernel: jit.Kernel) -> Any:
    """Return a compiled function (work, args) that runs a kernel in as many chunks as pay."""
    run = caller(kernel)

    @compiled
    def call(work, args):
        chunks = chunks_for(work)
        return run(0, 1, args) if chunks == 1 else run(_runner(), chunks, args)

    return call
