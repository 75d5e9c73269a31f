"""Sinkhorn beside POT and OTT-JAX (whichever is installed): 512 problems of 64 x 64.

    python -m benchmarks.rivals_permutation [--threads 1] [--temperature 1.0] [--problems 512]

All solve the same problems and stop at the same error of the marginals, 1e-4 in a row or column sum
of 1 (POT and OTT look at it every tenth iteration only). Times are of whole calls, NumPy in and
NumPy out, the best of several, each library in a process bound to as many cores as threads.
"""

import argparse
import functools
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np

from . import common
from .bench_permutation import PROBLEMS, SIDE, TOLERANCE, log_alpha

LIBRARIES = {"fastgrad": "fastgrad", "POT": "ot", "OTT-JAX": "ott"}
MOST = 100_000  # iterations


def fastgrad_calls(x, temperature, threads):
    import numba

    import fastgrad as fg

    numba.set_num_threads(threads)
    solve = functools.partial(
        fg.permutation.sinkhorn,
        x,
        temperature=temperature,
        tolerance=TOLERANCE,
        max_iterations=MOST,
    )
    return {
        "sinkhorn": lambda: solve().matrix,
        "sinkhorn, newton=False": lambda: solve(newton=False).matrix,
    }


def pot_calls(x, temperature, threads):
    """POT's masses sum to 1, and it stops at the norm of the error of the columns."""
    import ot

    side = x.shape[1]
    mass = np.full(side, 1 / side, x.dtype)
    looped = {"reg": temperature, "stopThr": TOLERANCE / side, "numItermax": MOST, "warn": False}
    calls = {
        "looped sinkhorn_log": lambda: (
            side * np.stack([ot.bregman.sinkhorn_log(mass, mass, -one, **looped) for one in x])
        )
    }
    if importlib.util.find_spec("ot.batch"):
        from ot.batch import solve_batch

        masses = np.broadcast_to(mass, x.shape[:2])
        options = {"method": "log_sinkhorn", "max_iter": MOST, "tol": TOLERANCE / side}
        calls["batched log_sinkhorn"] = lambda: (
            side * solve_batch(-x, temperature, masses, masses, **options).plan
        )
    return calls


def ott_calls(x, temperature, threads):
    """OTT's masses sum to 1, and it stops at the sum of the errors of one marginal."""
    import jax
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    side = x.shape[1]
    solver = sinkhorn.Sinkhorn(threshold=TOLERANCE, max_iterations=MOST)

    def one(y):
        shape = geometry.Geometry(cost_matrix=-y, epsilon=temperature)
        return side * solver(linear_problem.LinearProblem(shape)).matrix

    batched = jax.jit(jax.vmap(one))
    return {"jit of vmap": lambda: np.asarray(batched(x))}


CALLS = {"fastgrad": fastgrad_calls, "POT": pot_calls, "OTT-JAX": ott_calls}


def measure(library, problems, temperature, threads, seconds):
    """Return the time and the error of each call of a library."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    x, results = log_alpha(problems), {}
    for name, call in CALLS[library](x, temperature, threads).items():
        matrix = call()
        error = max(abs(matrix.sum(axis) - 1).max() for axis in (1, 2))
        results[f"{library}: {name}"] = common.best(call, seconds)[0], float(error)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--problems", type=int, default=PROBLEMS)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measurement")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    given = (options.problems, options.temperature, options.threads, options.seconds)
    if options.worker:
        print(json.dumps(measure(options.worker, *given)))
        return
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment[name] = str(options.threads)
    rows = {}
    for library, module in LIBRARIES.items():
        if importlib.util.find_spec(module):
            command = [sys.executable, "-m", "benchmarks.rivals_permutation", "--worker", library]
            found = subprocess.run(
                command + sys.argv[1:], env=environment, check=True, stdout=subprocess.PIPE
            )
            rows |= json.loads(found.stdout.splitlines()[-1])
    ours = rows["fastgrad: sinkhorn"][0]
    print(f"{options.problems} problems of {SIDE} x {SIDE}, temperature {options.temperature}")
    print("| | ms | error | times fastgrad |\n|---|---:|---:|---:|")
    for name, (seconds, error) in rows.items():
        print(f"| {name} | {1e3 * seconds:.1f} | {error:.1e} | {seconds / ours:.1f} |")


if __name__ == "__main__":
    main()
