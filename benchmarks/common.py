"""Data and clocks that the benchmarks share.

Speeds are also given in units U: the time NumPy needs for the logarithm of as many float32, on one
thread of the same machine, in the same process. U is what makes two machines comparable.
"""

import contextlib
import functools
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import numpy as np

HELD = "FASTGRAD_BENCHMARKS_AVX2"  # where set, all works are held to AVX2: see `rivals`
AVX2 = bool(os.environ.get(HELD))
QUICK = bool(os.environ.get("FASTGRAD_QUICK"))  # whether everything runs, not how fast
ROWS, CATEGORIES = 4_096 if QUICK else 65_536, 16
FEW = 2048  # rows of what is measured in units: a call ends before others get the processor
TEMPERATURE = 0.5
KEY = 7


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


def call_of(calls, function, rows, categories, dtype):
    """Return one of the calls on random logits, on one thread."""
    set_threads(1)
    call = calls(logits(rows, categories, np.dtype(dtype)))[function]
    call()
    return call


class Call:
    """Benchmarks of one call, by name, on 2^20 logits or `rows`; compiled before the clock."""

    param_names = ("function", "value")

    def prepare(
        self, calls, function, *, rows=None, categories=CATEGORIES, dtype="float32", threads=1
    ):
        rows = rows or ROWS * CATEGORIES // categories
        self.make = functools.partial(call_of, calls, function, rows, categories, dtype)
        self.call = self.make()
        set_threads(threads)
        self.call()


def best(call, seconds=0.5, beside=None, clock=time.perf_counter):
    """Return the shortest time of many calls, and of calls to `beside` made in turns with them.

    Of what runs on one thread, the clock ``time.thread_time`` leaves out when others run.
    """
    call()
    shortest, beside_shortest = float("inf"), float("inf")
    end, count = time.perf_counter() + (0.0 if QUICK else seconds), 0
    while count < 5 or time.perf_counter() < end:
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


def fastest(count, seconds=float("inf")):
    """Return the shortest time of the logarithm of so many numbers that this machine has shown."""
    kept = Path(tempfile.gettempdir()) / f"fastgrad-log-{count}.txt"
    try:
        known = float(kept.read_text())
    except (OSError, ValueError):
        known = float("inf")
    if seconds < known:
        known = seconds
        with contextlib.suppress(OSError):
            kept.write_text(repr(seconds))
    return known


def in_units(make, count):
    """Return the time in U of a call that makes `count` numbers; ``make()`` returns the call."""
    ours, unit = calmly(make, count)
    return ours / unit


def calmly(make, count, windows=6, patience=6):
    """Return the shortest times of a call that makes `count` numbers, and of their logarithm.

    What else runs on the same core changes even the ratio by a tenth, for half a second or for ten.
    So the call is made in short windows with pauses between, each with other arrays, and windows
    count in which the logarithm is as fast as this machine was ever seen to be, to within 4 %: so
    many, or what `patience` seconds allow.
    """
    np.empty(1 << 24, np.uint8)  # freed at once: from then on malloc keeps what is smaller
    end = time.perf_counter() + (0 if QUICK else patience)
    kept, pairs, calm = [], [], []
    while not pairs or (len(calm) < windows and time.perf_counter() < end):
        kept = [*kept[-20:], make(), log_of(count)]
        pairs.append(best(kept[-2], 0.03, beside=kept[-1]))
        floor = 1.04 * fastest(count, pairs[-1][1])
        calm = [pair for pair in pairs if pair[1] <= floor]
        time.sleep(0.0 if QUICK else 0.07)
    ours, units = zip(*(calm or pairs), strict=True)
    return min(ours), min(units)


ELSEWHERE = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
print(*pickle.load(sys.stdin.buffer)())
"""


def steady_units(make, count, processes=3):
    """Return `in_units` by the shortest times here and in new processes. `make` is pickled.

    Some processes run a kernel slower by a fifth from first to last: code lies elsewhere in each.
    """
    path = [*sys.path, str(Path(__file__).resolve().parent.parent)]
    sent = pickle.dumps(path) + pickle.dumps(functools.partial(calmly, make, count))
    command = [sys.executable, "-c", ELSEWHERE]
    times = [calmly(make, count)]
    for _ in range(0 if QUICK else processes - 1):
        run = subprocess.run(command, input=sent, capture_output=True, check=True)
        times.append(tuple(map(float, run.stdout.split())))
    ours, units = zip(*times, strict=True)
    return min(ours) / min(units)
