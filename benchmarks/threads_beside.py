"""How other processes slow a call down, by how its threads wait.

Run ``python -m benchmarks.threads_beside``.

Several processes run `gumbel_softmax` on 65,536 x 16 float32 for as long as each other, and each
reports its mean time for a call. Each way is measured alone and beside others in turns, several
rounds of them, and the medians of the rounds are compared, so read the ratios; the machine should
do nothing else. The bounds: beside others at most 1.2 times the time of processes of one thread
each, alone at most 1.05 times the time of threads that spin as OpenMP lets them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import common

ROOT = Path(__file__).resolve().parent.parent
UNSET = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "NUMBA_NUM_THREADS")
WAYS = {  # what is set in the environment
    "default": {},
    "spinning": {"GOMP_SPINCOUNT": "300000"},  # GNU OpenMP's own default
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "workqueue": {"NUMBA_THREADING_LAYER": "workqueue"},
    "one thread": {"NUMBA_NUM_THREADS": "1"},
}


def work(seconds):
    """Say that all is compiled, wait for a line, and print the mean ns per logit of all calls."""
    call = common.works(common.logits())["gumbel_softmax"]
    call()
    print("ready", flush=True)
    sys.stdin.readline()
    calls, start = 0, time.perf_counter()
    while (now := time.perf_counter()) < start + seconds:
        call()
        calls += 1
    print((now - start) / calls / (common.ROWS * common.CATEGORIES) * 1e9)


def together(way, processes, seconds):
    """Run so many processes at once; return the mean of their figures."""
    environment = {k: v for k, v in os.environ.items() if k not in UNSET} | WAYS[way]
    command = [sys.executable, "-m", "benchmarks.threads_beside", "--work", str(seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) for _ in range(processes)
    ]
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    return statistics.mean(float(process.communicate()[0]) for process in started)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=4, help="that run at once")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--work", type=float, metavar="SECONDS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    numbers = 1, options.processes
    found = {(way, n): [] for way in options.ways for n in numbers}
    for _ in range(options.rounds):
        for way, n in found:
            found[way, n].append(together(way, n, options.seconds))
    median = {key: statistics.median(values) for key, values in found.items()}
    print(f"ns per logit, load {os.getloadavg()[0]:.1f}")
    print(f"| threads | alone | {options.processes} at once |\n|---|---|---|")
    for way in options.ways:
        print(f"| {way} | " + " | ".join(f"{median[way, n]:.2f}" for n in numbers) + " |")
    for way, other, n, bound in (
        ("default", "spinning", 1, 1.05),
        ("default", "one thread", options.processes, 1.2),
    ):
        if {way, other} <= set(options.ways):
            ratio = median[way, n] / median[other, n]
            print(f"{n} at once: {way} / {other} = {ratio:.2f} (at most {bound})")


if __name__ == "__main__":
    main()
