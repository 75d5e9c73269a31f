"""Sinkhorn beside POT and OTT-JAX (whichever is installed): 512 problems of 64 x 64.

    python -m benchmarks.rivals_permutation [--threads 1] [--temperature 1.0] [--problems 512]
    python -m benchmarks.rivals_permutation --penalty 1.0  # unbalanced: masses are only aimed at

All solve the same problems and stop at the same error of the marginals, 1e-4 in a row or column sum
of 1 (POT and OTT look at it every tenth iteration only). With a penalty each stops by a rule of its
own, and the error is that of the plan, as a part of its largest entry. Times are of whole calls,
NumPy in and NumPy out, the best of several, each library in a process bound to as many cores as
threads.
"""

import argparse
import functools
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
from scipy.special import logsumexp

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


# -- unbalanced ------------------------------------------------------------------------------------


def masses(x):
    """Masses of rows and columns, of different sums."""
    rng = np.random.default_rng(common.KEY)
    a, b = rng.uniform(0.5, 1.5, size=(2, PROBLEMS, SIDE)).astype(x.dtype)
    return a[: len(x)], b[: len(x)]


def relaxed_fastgrad(x, temperature, threads, penalty):
    import numba

    import fastgrad as fg

    numba.set_num_threads(threads)
    a, b = masses(x)
    options = {"temperature": temperature, "row_penalty": penalty, "column_penalty": penalty}
    options |= {"tolerance": TOLERANCE, "max_iterations": MOST}
    return {"transport.sinkhorn": lambda: fg.transport.sinkhorn(x, a, b, **options).matrix}


def relaxed_pot(x, temperature, threads, penalty):
    """One problem after the other: POT has no batches of unbalanced ones."""
    import ot

    a, b = masses(x)
    options = {"reg_type": "entropy", "stopThr": TOLERANCE, "numItermax": MOST}

    def solve(method):
        each = zip(a, b, -x)
        return np.stack(
            [
                ot.unbalanced.sinkhorn_unbalanced(
                    *one, temperature, penalty, method=method, **options
                )
                for one in each
            ]
        )

    names = ("sinkhorn", "sinkhorn_stabilized", "sinkhorn_translation_invariant")
    return {f"looped {name}": functools.partial(solve, name) for name in names}


def relaxed_ott(x, temperature, threads, penalty):
    import jax
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    a, b = masses(x)
    solver = sinkhorn.Sinkhorn(threshold=TOLERANCE, max_iterations=MOST)
    tau = penalty / (penalty + temperature)

    def one(y, a, b):
        shape = geometry.Geometry(cost_matrix=-y, epsilon=temperature)
        problem = linear_problem.LinearProblem(shape, a, b, tau_a=tau, tau_b=tau)
        return solver(problem).matrix

    batched = jax.jit(jax.vmap(one))
    return {"jit of vmap": lambda: np.asarray(batched(x, a, b))}


CALLS = {"fastgrad": fastgrad_calls, "POT": pot_calls, "OTT-JAX": ott_calls}
RELAXED = {"fastgrad": relaxed_fastgrad, "POT": relaxed_pot, "OTT-JAX": relaxed_ott}


def optimum(x, temperature, penalty):
    """Plans by plain iterations on logarithms, in float64."""
    a, b = (np.log(mass.astype(np.float64)) for mass in masses(x))
    y, g, damping = x / temperature, 0.0, penalty / (penalty + temperature)
    for _ in range(5000):
        before = g
        f = damping * (logsumexp(y - g, axis=2, keepdims=True) - a[:, :, None])
        g = damping * (logsumexp(y - f, axis=1, keepdims=True) - b[:, None])
        if np.allclose(g, before, rtol=0, atol=1e-12):
            break
    return np.exp(y - f - g)


def measure(library, problems, temperature, threads, seconds, penalty):
    """Return the time and the error of each call of a library."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    x, results = log_alpha(problems), {}
    given = (x, temperature, threads)
    calls = RELAXED[library](*given, penalty) if penalty else CALLS[library](*given)
    for name, call in calls.items():
        matrix = call()
        error = max(abs(matrix.sum(axis) - 1).max() for axis in (1, 2))
        if penalty:
            best = optimum(x[:8], temperature, penalty)
            error = abs(matrix[:8] - best).max() / best.max()
        results[f"{library}: {name}"] = common.best(call, seconds)[0], float(error)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--penalty", type=float, default=0.0, help="of unbalanced problems")
    parser.add_argument("--problems", type=int, default=PROBLEMS)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measurement")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    given = (options.problems, options.temperature, options.threads, options.seconds)
    given += (options.penalty,)
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
    ours = next(iter(rows.values()))[0]
    told = f", penalty {options.penalty}" if options.penalty else ""
    size = f"{options.problems} problems of {SIDE} x {SIDE}"
    print(f"{size}, temperature {options.temperature}{told}")
    print("| | ms | error | times fastgrad |\n|---|---:|---:|---:|")
    for name, (seconds, error) in rows.items():
        print(f"| {name} | {1e3 * seconds:.1f} | {error:.1e} | {seconds / ours:.1f} |")


if __name__ == "__main__":
    main()
