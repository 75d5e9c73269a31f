"""The speeds that fastgrad promises: rows of (what, measured, limit, unit)."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from . import common

UNITS = {"gumbel": 3.3, "sample": 2.5, "gumbel_softmax": 6.0, "relax": 11.0}


def per_call(call, count=200):
    """Return microseconds of one short call."""

    def many():
        for _ in range(count):
            call()

    return common.best(many, 0.2)[0] / count * 1e6


def import_time():
    """Return the seconds that importing takes in a new process, the best of five."""
    code = "import time; t = time.perf_counter(); import fastgrad; print(time.perf_counter() - t)"
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", code]
    return min(float(subprocess.check_output(command, cwd=root)) for _ in range(5))


def measure(seconds=0.5):
    """Measure all that this process can; one thread unless said."""
    common.set_threads(1)
    count = common.ROWS * common.CATEGORIES
    works = common.works(common.logits())

    def in_units(call, numbers=count):
        return common.in_units(lambda: call, numbers)

    units = {work: in_units(call) for work, call in works.items()}
    rows = [[work, units[work], limit, "U at most"] for work, limit in UNITS.items()]
    ratio = units["relax_vjp"] / units["relax"]
    rows.append(["relax_vjp over relax", ratio, 1.6, "at most"])

    try:
        one = common.best(works["relax"], seconds)[0]
        common.set_threads(2)
        two = common.best(works["relax"], seconds)[0]
        rows.append(["relax, 1 thread over 2", one / two, 1.7, "at least"])
    except NotImplementedError:
        pass
    common.set_threads(1)

    for work in list(units)[1:]:
        for categories in (3, 5, 10, 64, 1000):
            x = common.logits(count // categories, categories)
            ratio = in_units(common.works(x)[work], x.size) / units[work]
            rows.append([f"{work}, K = {categories} over K = 16", ratio, 1.5, "at most"])
    for work, call in common.works(common.logits(dtype=np.float64)).items():
        ratio = in_units(call) / units[work]
        rows.append([f"{work}, float64 over float32", ratio, 3.5, "at most"])
    for work, call in common.works(common.logits(10, 2)).items():
        rows.append([f"{work}, 10 x 2 logits", per_call(call), 15, "microseconds at most"])
    rows.append(["import", import_time(), 0.6, "seconds at most"])
    return rows


def against_rivals(results):
    """Return how many times faster than each framework `relax` is, on equal threads."""
    rows = []
    for library in {"torch", "jax"} & set(results):
        for threads, times in results[library].items():
            theirs = min(times["relax"].values())[0]
            ours = results["fastgrad"][threads]["relax"]["fastgrad"][0]
            what = f"relax, {library} over fastgrad, threads: {threads}"
            rows.append([what, theirs / ours, 5, "at least"])
    return sorted(rows)


def table(rows):
    """Print the rows with a mark each."""
    print("\n| promise | measured | limit | measured / limit | |")
    print("|---|---|---|---|---|")
    for what, measured, limit, unit in rows:
        good = measured >= limit if unit == "at least" else measured <= limit
        share = f"{measured / limit:.2f}"
        mark = "pass" if good else "FAIL"
        print(f"| {what} | {measured:.3g} | {limit} {unit} | {share} | {mark} |")


if __name__ == "__main__":
    start = time.perf_counter()
    table(measure())
    print(f"\nmeasured in {time.perf_counter() - start:.0f} s")
