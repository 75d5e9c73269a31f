"""Data and clocks that the benchmarks share.

Speeds are also given in units U: the time NumPy needs for the logarithm of as many float32, on one
thread of the same machine, in the same process. U is what makes two machines comparable.
"""

import os
import time

import numba
import numpy as np

ROWS, CATEGORIES = 65_536, 16
FEW = 2048  # rows of what is measured in units: a call ends before others get the processor
TEMPERATURE = 0.5
KEY = 7


QUICK = bool(os.environ.get("FASTGRAD_QUICK"))  # whether everything runs, not how fast


def grid(functions, *values):
    """Return a benchmark's parameters: with FASTGRAD_QUICK set, only the first of all values."""
    if QUICK:
        values = [value[:1] for value in values]
    return functions, *values


def logits(rows=ROWS, categories=CATEGORIES, dtype=np.float32):
    """Random logits, the same on every call."""
    return np.random.default_rng(0).normal(size=(rows, categories)).astype(dtype)


def set_threads(threads):
    """Use so many threads; where there are fewer, asv skips the benchmark."""
    if threads > numba.config.NUMBA_NUM_THREADS:
        raise NotImplementedError(f"{threads} threads on {numba.config.NUMBA_NUM_THREADS} cores")
    numba.set_num_threads(threads)


def works(x):
    """Return the calls whose speed is the point of the package, by name, for logits x."""
    import fastgrad as fg

    key = fg.Key(KEY)
    noise, soft = np.empty_like(x), np.empty_like(x)
    indices = np.empty(x.shape[:-1], np.int32)
    gradient = np.random.default_rng(1).normal(size=x.shape).astype(x.dtype)
    tau = TEMPERATURE
    return {
        "gumbel": lambda: fg.random.gumbel(x.shape, rng=key, dtype=x.dtype, out=noise),
        "sample": lambda: fg.sample(x, rng=key, out=indices),
        "gumbel_softmax": lambda: fg.gumbel_softmax(x, temperature=tau, rng=key, out=soft),
        "relax": lambda: fg.relax(x, temperature=tau, rng=key),
        "relax_vjp": lambda: fg.relax_vjp(x, gradient, gradient, temperature=tau, rng=key),
    }


class Call:
    """Benchmarks of one call, by name, on 2^20 logits or `rows`; compiled before the clock."""

    param_names = ("function", "value")

    def prepare(
        self, calls, function, *, rows=None, categories=CATEGORIES, dtype="float32", threads=1
    ):
        set_threads(threads)
        rows = rows or ROWS * CATEGORIES // categories
        self.call = calls(logits(rows, categories, np.dtype(dtype)))[function]
        self.call()


def best(call, seconds=0.5, beside=None):
    """Return the shortest time of many calls, and of calls to `beside` made in turns with them."""
    call()
    shortest, beside_shortest = float("inf"), float("inf")
    clock = time.perf_counter
    end, count = clock() + (0.0 if QUICK else seconds), 0
    while count < 5 or clock() < end:
        start = clock()
        call()
        shortest = min(shortest, clock() - start)
        if beside is not None:
            start = clock()
            beside()
            beside_shortest = min(beside_shortest, clock() - start)
        count += 1
    return shortest, beside_shortest


def log_of(count):
    """Return a call that takes the logarithm of so many float32."""
    x = np.random.default_rng(2).random(count, dtype=np.float32) + np.float32(0.5)
    out = np.empty_like(x)
    return lambda: np.log(x, out=out)


def in_units(call, count, seconds=0.5):
    """Return the time of a call that makes `count` numbers, in U."""
    np.empty(1 << 24, np.uint8)  # freed at once: from then on malloc keeps what is smaller
    ours, unit = best(call, seconds, beside=log_of(count))
    return ours / unit
