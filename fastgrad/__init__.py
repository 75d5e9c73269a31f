"""Gradients of expectations over discrete random variables, on the CPU."""

import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from fastgrad import (  # the first two end the command quietly while it is being imported
    _failed_imports,  # noqa: F401
    _signals,  # noqa: F401
    dithering,
    exact,
    graph,
    objectives,
    optim,
    perturbed,
    random,
    threads,
)
from fastgrad._version import __version__
from fastgrad.comparison import Auto, Comparison, GradCheck, check_grad, compare, moments
from fastgrad.distributions import (
    bernoulli,
    chains,
    continuous,
    counts,
    permutation,
    subset,
    transport,
    trees,
)
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import (
    Categorical,
    entropy,
    entropy_vjp,
    kl_divergence,
    kl_divergence_vjp,
    log_prob,
    log_softmax,
    sample,
    score,
)
from fastgrad.distributions.concrete import (
    Relaxation,
    concrete_log_prob,
    exp_concrete_log_prob,
    gumbel_softmax,
    gumbel_softmax_vjp,
    relax,
    relax_vjp,
)
from fastgrad.dithering.pictures import palettes, presets
from fastgrad.estimators import (
    Estimate,
    Estimator,
    estimator,
    list_estimators,
    register_estimator,
)
from fastgrad.estimators.score_functions import baselines
from fastgrad.graph import expectation_grad
from fastgrad.objectives import Objective, objective
from fastgrad.random import Key
from fastgrad.threads import get_num_threads, set_num_threads

if _TYPE_CHECKING:
    from fastgrad import order, sparse
    from fastgrad.dithering import DitheredFile, Dithering, dither, dither_files

register_estimator(Auto, listed=False)  # it chooses among the others, and so stands above them
del Auto

# Modules that stand deeper in the tree: `import fastgrad.presets` finds them by these names too.
for _name in (
    "baselines",
    "bernoulli",
    "chains",
    "continuous",
    "counts",
    "palettes",
    "permutation",
    "presets",
    "subset",
    "transport",
    "trees",
):
    _sys.modules[f"{__name__}.{_name}"] = globals()[_name]
del _name


def __getattr__(name: str) -> _Any:
    """Import what is large, and not all need, when it is first asked for."""
    if name in ("DitheredFile", "Dithering", "dither", "dither_files"):
        return getattr(dithering, name)
    if name in ("dask", "jax", "order", "sparse", "torch"):
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Bernoulli",
    "Categorical",
    "Comparison",
    "DitheredFile",
    "Dithering",
    "Estimate",
    "Estimator",
    "GradCheck",
    "Key",
    "Objective",
    "Relaxation",
    "__version__",
    "baselines",
    "bernoulli",
    "chains",
    "check_grad",
    "compare",
    "concrete_log_prob",
    "continuous",
    "counts",
    "dither",
    "dither_files",
    "entropy",
    "entropy_vjp",
    "estimator",
    "exact",
    "exp_concrete_log_prob",
    "expectation_grad",
    "get_num_threads",
    "graph",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "kl_divergence",
    "kl_divergence_vjp",
    "list_estimators",
    "log_prob",
    "log_softmax",
    "moments",
    "objective",
    "objectives",
    "optim",
    "order",
    "palettes",
    "permutation",
    "perturbed",
    "presets",
    "random",
    "register_estimator",
    "relax",
    "relax_vjp",
    "sample",
    "score",
    "set_num_threads",
    "sparse",
    "subset",
    "threads",
    "transport",
    "trees",
]
