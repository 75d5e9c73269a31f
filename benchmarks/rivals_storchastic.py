"""Estimators beside those of storchastic (PyPI, needs torch), one thread, time for one gradient.

    python -m benchmarks.rivals_storchastic [--seconds 1]

f is the same, ``sum (x - t)**2`` over all features with a target t for each, at 16 samples: in
torch for storchastic, in NumPy for fastgrad, which at outcomes looks terms up by index (for one-hot
x, t**2 of each feature and 1 - 2 t of the chosen one). Each measurement has its own process.
"""

import argparse
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

from . import common

SAMPLES = 16
SHAPES = ((200, 2), (4096, 16))
NAMES = ("reinforce", "rloo", "gumbel_softmax", "st_gumbel", "rebar", "relax", "arm")


def targets(*shape):
    """Return the targets of all features."""
    return np.random.default_rng(0).uniform(0.2, 0.8, shape).astype(np.float32)


def fastgrad_call(name, rows, categories):
    """Return a call that estimates a gradient."""
    import numba

    import fastgrad as fg

    numba.set_num_threads(1)
    binary = name == "arm"
    t = targets(rows) if binary else targets(rows, categories)
    chosen, always = (1 - 2 * t).reshape(-1), np.square(t).sum()
    first = np.arange(rows) * categories

    def f(x):
        d = (x - t).reshape(len(x), -1)
        return np.einsum("sn,sn->s", d, d)

    def index(z):
        terms = z * chosen if binary else chosen.take(z + first)
        return terms.sum(axis=1) + always

    objective = fg.objective(f, grad=lambda x: 2 * (x - t), index=index)
    logits = np.zeros((rows, categories), np.float32)
    if binary:
        logits = fg.Bernoulli(np.zeros(rows, np.float32))
    run = fg.estimator(name)
    state = run(objective, logits, num_samples=SAMPLES, rng=0).state
    return lambda: run(objective, logits, num_samples=SAMPLES, rng=0, state=state)


def storchastic_call(name, rows, categories):
    """Return a call that estimates a gradient."""
    import storch
    import torch
    from storch import method as methods
    from torch.distributions import Bernoulli, OneHotCategorical

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    method = {
        "reinforce": lambda: methods.ScoreFunction("z", n_samples=SAMPLES),
        "rloo": lambda: methods.ScoreFunction(
            "z", n_samples=SAMPLES, baseline_factory="batch_average"
        ),
        "gumbel_softmax": lambda: methods.GumbelSoftmax("z", n_samples=SAMPLES),
        "st_gumbel": lambda: methods.GumbelSoftmax("z", n_samples=SAMPLES, straight_through=True),
        "rebar": lambda: methods.REBAR("z", n_samples=SAMPLES),
        "relax": lambda: methods.RELAX("z", n_samples=SAMPLES, in_dim=(rows, categories)),
        "arm": lambda: methods.ARM("z", n_samples=SAMPLES // 2),
    }[name]()
    binary = name == "arm"
    t = torch.from_numpy(targets(rows) if binary else targets(rows, categories))
    logits = torch.zeros(rows) if binary else torch.zeros(rows, categories)
    logits.requires_grad_()

    def call():
        logits.grad = None
        p = logits.sigmoid() if binary else logits.softmax(-1)
        z = method(Bernoulli(probs=p) if binary else OneHotCategorical(probs=p))
        cost = ((z - t) ** 2).sum(-1)
        storch.add_cost(cost if binary else cost.sum(-1), "f")
        storch.backward()

    return call


CALLS = {"fastgrad": fastgrad_call, "storchastic": storchastic_call}


def in_new_process(library, name, shape, seconds):
    """Return the milliseconds of one gradient, or None where the library fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.rivals_storchastic", "--seconds", str(seconds)]
    command += ["--worker", library, name, *map(str, shape)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"{library}, {name}, {shape}: {done.stderr.splitlines()[-1]:.150}", file=sys.stderr)
        return None
    return 1e3 * float(done.stdout.split()[-1])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measurement")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        library, name, rows, categories = options.worker
        call = CALLS[library](name, int(rows), int(categories))
        print(common.best(call, options.seconds)[0])
        return
    print(
        "| estimator | variables | fastgrad, ms | storchastic, ms | ratio |\n|---|---|---|---|---|"
    )
    for shape in SHAPES:
        for name in NAMES:
            ours, theirs = (in_new_process(x, name, shape, options.seconds) for x in CALLS)
            cells = [f"{x:.3f}" if x else "-" for x in (ours, theirs)]
            cells.append(f"{theirs / ours:.1f}" if ours and theirs else "-")
            print(f"| {name} | {shape[0]} x {shape[1]} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
