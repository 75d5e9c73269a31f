"""``fastgrad info``: versions, threads, the kernel cache; or the table of estimators."""

import argparse
import os
import platform
from typing import Any

import llvmlite.binding
import numba
import numpy
import scipy

from fastgrad import _tables
from fastgrad._version import __version__
from fastgrad.cli.options import Option, option
from fastgrad.distributions import counts
from fastgrad.distributions.bernoulli import Bernoulli, CopulaBernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.distributions.chains import LinearChain
from fastgrad.distributions.permutation import GumbelMatching, PlackettLuce
from fastgrad.distributions.subset import Knapsack, KSubset
from fastgrad.distributions.trees import Arborescence, SpanningTree, WeightedTree
from fastgrad.estimators import CONTINUOUS, ESTIMATORS
from fastgrad.kernels.compiler import cache, jit, prebuilt
from fastgrad.threads import get_num_threads

DISTRIBUTIONS = (
    *(Categorical, Bernoulli, CopulaBernoulli, KSubset, Knapsack, PlackettLuce, GumbelMatching),
    *(SpanningTree, Arborescence, WeightedTree, LinearChain),
    *(getattr(counts, name) for name in counts.__all__),
)
INFO: dict[str, tuple[Option, ...]] = {
    "": (
        option(
            "--estimators", action="store_true", help="print the table of all estimators instead"
        ),
    )
}


def info(given: argparse.Namespace) -> int:
    """Run ``fastgrad info``; return the exit code."""
    if given.estimators:
        print(estimators())
        return 0

    packages = {"numba": numba, "llvmlite": llvmlite, "numpy": numpy, "scipy": scipy}
    rows = {"fastgrad": __version__}
    rows |= {name: package.__version__ for name, package in packages.items()}
    rows |= {
        "python": platform.python_version(),
        "threads": f"{get_num_threads()} of {os.cpu_count()} processors",
        "threading layer": jit.threading_layer(),
        "vectors": _vector_width(),
        "kernel cache": cache.cache_directory() or "none: no place is writable",
        "shipped kernels": ", ".join(prebuilt.usable()) or "none for this processor",
    }
    print(_tables.aligned([(name, str(value)) for name, value in rows.items()], left=2))
    return 0


def _vector_width() -> str:
    """Name the widest vectors that LLVM finds on this machine."""
    try:
        features = llvmlite.binding.get_host_cpu_features()
    except RuntimeError:
        return "unknown"
    for bits, name in ((512, "avx512f"), (256, "avx2"), (128, "sse2"), (128, "neon")):
        if features.get(name):
            return f"{bits} bits ({name})"
    return "unknown"


def estimators() -> str:
    """Return the table of all estimators, in Markdown."""
    rows = [("estimator", "unbiased", "needs", "evaluations of f", "distributions", "paper")]
    for name, cls in ESTIMATORS.items():
        needs = ", ".join(f"`{part}`" for part in cls.needs)
        unbiased = "yes" if cls.unbiased else "no"
        rows.append((f"`{name}`", unbiased, needs, cls.evaluations, _takes(cls), cls.paper))
    return _tables.markdown(rows)


def by_distributions() -> str:
    """Return a table of the same distributions, in Markdown: the one of the README.

    Estimators that take the same stand in one row.
    """
    alike: dict[str, list[str]] = {}
    for name, cls in (ESTIMATORS | CONTINUOUS).items():
        alike.setdefault(_takes(cls), []).append(f"`{name}`")
    rows = [(", ".join(names), takes) for takes, names in alike.items() if takes]
    return _tables.markdown([("estimators", "distributions"), *rows])


def _takes(cls: Any) -> str:
    """Return the names of the distributions that an estimator works with, or does not."""
    refused = [kind.__name__ for kind in DISTRIBUTIONS if cls.refusal(kind)]
    if 2 * len(refused) < len(DISTRIBUTIONS):
        return f"all but {', '.join(refused)}" if refused else "all"
    return ", ".join(kind.__name__ for kind in DISTRIBUTIONS if not cls.refusal(kind))
