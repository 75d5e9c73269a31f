"""fastgrad on Dask arrays beside the NumPy API: cost of a call, of a block, and peak memory.

    python -m benchmarks.rivals_dask [--logits 1e7] [--stream 2e9] [--workers 2]

Calls take turns within one process, on two threads each, and medians of ratios of neighbours are
printed: of the time on the clock, and of that of the processors, which counts where others use the
machine too. `--stream` samples so many logits, which are made block by block and never stored, in
a process of its own, whose peak it prints.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fastgrad as fg

try:
    import dask
    import dask.array as da

    import fastgrad.dask as fgd
except ImportError:
    dask = None  # asv imports every file of this folder

K, KEY, TEMPERATURE = 16, fg.Key(0), 0.5
PERSIST = {"scheduler": "threads", "num_workers": 2}


def rounds(calls, seconds, least=5):
    """Return for each call the seconds of the clock and of the processors, all taking turns."""
    times, end = {name: [] for name in calls}, time.perf_counter() + seconds
    for call in calls.values():
        call()
    while time.perf_counter() < end or len(times[next(iter(calls))]) < least:
        for name, call in calls.items():
            clock, own = time.perf_counter(), time.process_time()
            call()
            times[name].append((time.perf_counter() - clock, time.process_time() - own))
    return times


def compare(times, base):
    """Print the ratios of all calls to the base."""
    for name in times:
        if name != base:
            pairs = [np.divide(a, b) for a, b in zip(times[name], times[base], strict=True)]
            clock, own = map(statistics.median, zip(*pairs, strict=True))
            print(f"{name:31} {clock:6.2f} x NumPy's time, {own:6.2f} x its processor time")


def against_numpy(logits, seconds):
    """Print the cost of four blocks on two threads of Dask, relative to one call on two of Numba.

    Blocks stay where they are, as for what follows in a graph; to join them to one array, as
    compute() does, is a copy of the result.
    """
    n = int(logits) // K
    x = np.random.default_rng(0).normal(size=(n, K)).astype(np.float32)
    square = x.reshape(100, n // 100, K)
    four, tiles = da.from_array(x, chunks=(-(-n // 4), K)), da.from_array(square, (50, n // 200, K))
    options = {"temperature": TEMPERATURE, "rng": KEY}
    out = fg.relax(x, **options)  # written again: fresh pages cost as much as what is put there
    calls = {
        "relax": lambda: fg.relax(x, **options, out=out),
        "relax in fresh memory": lambda: fg.relax(x, **options),
        "dask relax": lambda: dask.persist(*fgd.relax(four, **options), **PERSIST),
        "dask relax, joined": lambda: dask.compute(*fgd.relax(four, **options), **PERSIST),
        "dask relax, 2 x 2 tiles": lambda: dask.persist(*fgd.relax(tiles, **options), **PERSIST),
    }
    print(f"{n * K:.0e} logits, K = {K}, float32, two threads")
    compare(rounds(calls, seconds), "relax")
    piece = 30_000
    calls = {
        "sample": lambda: fg.sample(x, rng=KEY),
        "sample in pieces of 30,000 rows": lambda: [
            fg.sample(x[i : i + piece], rng=KEY, row_offset=i) for i in range(0, n, piece)
        ],
        "dask sample": lambda: fgd.sample(four, rng=KEY).persist(**PERSIST),
        "dask's own noise": lambda: own_noise(four).persist(**PERSIST),
    }
    compare(rounds(calls, seconds / 2), "sample")


def own_noise(x):
    """Return what users of Dask write: other samples for other chunks."""
    noise = da.random.default_rng(0).gumbel(size=x.shape, chunks=x.chunks)
    return (x + noise).argmax(axis=-1)


def a_block(seconds, blocks=400):
    """Print what a block costs that has hardly any rows: in all, and beyond Dask's own cost."""
    x = da.from_array(np.zeros((blocks * 8, 4), np.float32), chunks=(8, 4))
    calls = {
        "map_blocks": lambda: x.map_blocks(np.positive, dtype=x.dtype).persist(**PERSIST),
        "sample": lambda: fgd.sample(x, rng=KEY).persist(**PERSIST),
        "relax": lambda: dask.persist(*fgd.relax(x, temperature=0.5, rng=KEY), **PERSIST),
    }
    times = rounds(calls, seconds)
    own = {name: statistics.median(own for _, own in times[name]) / blocks for name in calls}
    for name in calls:
        each, more = own[name] * 1e6, (own[name] - own["map_blocks"]) * 1e6
        print(f"a block of {name:11} {each:5.0f} us of a processor, {more:4.0f} beyond map_blocks")


def on_workers(number, blocks=200):
    """Print what starting workers costs, their first call, and a block on them."""
    from distributed import Client, LocalCluster

    options = {"n_workers": number, "threads_per_worker": 1, "dashboard_address": None}
    began = time.perf_counter()
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        print(f"{number} workers started in {time.perf_counter() - began:.1f} s")
        first = client.run(first_call)
        print(f"the first call in each: {', '.join(f'{t:.2f} s' for t in first.values())}")
        x = da.from_array(np.zeros((blocks * 8, 4), np.float32), chunks=(8, 4))
        calls = {
            "map_blocks": lambda: x.map_blocks(np.positive, dtype=x.dtype).compute(),
            "sample": lambda: fgd.sample(x, rng=KEY).compute(),
        }
        times = rounds(calls, 5)
        pairs = zip(times["sample"], times["map_blocks"], strict=True)
        more = statistics.median(a / b for (a, _), (b, _) in pairs)
        each = min(clock for clock, _ in times["map_blocks"]) / blocks * 1e3
        print(f"a block of map_blocks {each:.2f} ms at best; of sample {more:.2f} times as long")


def first_call():
    """Return the seconds of a processor that a first small call takes, after the import."""
    x = np.zeros((8, 4), np.float32)
    began = time.process_time()
    fg.sample(x, rng=KEY)
    return time.process_time() - began


def stream(logits):
    """Sample so many logits, K = 32, into a file, with blocks of 8 million; print time and peak."""
    rows, began = int(logits) // 32, time.perf_counter()
    made = fgd.random.normal((rows, 32), rng=1, chunks=(2**18, 32))
    with tempfile.NamedTemporaryFile() as file:
        target = np.memmap(file.name, np.int32, "w+", shape=(rows,))
        da.store(fgd.sample(made, rng=KEY), target, lock=False, **PERSIST)
        spent, mean = time.perf_counter() - began, target[:1000].mean()
    # Not getrusage: its peak begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 2**20
    print(f"{rows * 32:.0e} logits in {spent:.1f} s: peak {peak:.2f} GB, mean {mean:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--logits", type=float, default=1e7)
    parser.add_argument("--stream", type=float, default=2e8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=0, help="of a cluster on this machine")
    parser.add_argument("--streaming", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if dask is None:
        raise SystemExit("this is for users of Dask: pip install fastgrad[dask]")
    if args.streaming:
        stream(args.stream)
        return
    fg.set_num_threads(min(2, os.cpu_count() or 1))
    against_numpy(args.logits, args.seconds)
    a_block(args.seconds / 4)
    if args.workers:
        on_workers(args.workers)
    command = ["-m", "benchmarks.rivals_dask", "--streaming", "--stream", str(args.stream)]
    subprocess.run([sys.executable, *command], check=True)


if __name__ == "__main__":
    main()
