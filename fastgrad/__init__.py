"""Gradients of expectations over discrete random variables, on the CPU."""

import sys as _sys
from typing import TYPE_CHECKING as _TYPE_CHECKING

from fastgrad import (  # the first two end the command quietly while it is being imported
    _failed_imports,  # noqa: F401
    _signals,  # noqa: F401
    random,
    threads,
)
from fastgrad._lazy import Aliases as _Aliases
from fastgrad._lazy import attach as _attach
from fastgrad._version import __version__
from fastgrad.random import Key
from fastgrad.threads import get_num_threads, set_num_threads

if _TYPE_CHECKING:
    from fastgrad import exact, graph, objectives, optim, order, perturbed, sparse
    from fastgrad.comparison import Comparison, GradCheck, check_grad, compare, moments
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
    from fastgrad.dithering import DitheredFile, Dithering, dither, dither_files
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

# Where the public names stand: each is imported when it is first asked for.
_CATEGORICAL = ("Categorical", "entropy", "entropy_vjp", "kl_divergence", "kl_divergence_vjp")
_CATEGORICAL += ("log_prob", "log_softmax", "sample", "score")
_CONCRETE = ("Relaxation", "concrete_log_prob", "exp_concrete_log_prob", "gumbel_softmax")
_CONCRETE += ("gumbel_softmax_vjp", "relax", "relax_vjp")
_HOMES = {
    "Bernoulli": "distributions.bernoulli",
    **dict.fromkeys(_CATEGORICAL, "distributions.categorical"),
    **dict.fromkeys(_CONCRETE, "distributions.concrete"),
    **dict.fromkeys(("Objective", "objective"), "objectives"),
    **dict.fromkeys(("Estimate", "Estimator", "estimator"), "estimators"),
    **dict.fromkeys(("list_estimators", "register_estimator"), "estimators"),
    **dict.fromkeys(("Comparison", "GradCheck", "check_grad", "compare", "moments"), "comparison"),
    "expectation_grad": "graph",
    **dict.fromkeys(("DitheredFile", "Dithering", "dither", "dither_files"), "dithering"),
}
_DEEPER = {  # `import fastgrad.presets` finds them by these names, too
    **{
        name: f"distributions.{name}"
        for name in ("bernoulli", "chains", "continuous", "counts", "permutation", "subset")
    },
    "transport": "distributions.transport",
    "trees": "distributions.trees",
    "baselines": "estimators.score_functions.baselines",
    "palettes": "dithering.pictures.palettes",
    "presets": "dithering.pictures.presets",
}
_ROOMS = ("comparison", "dask", "distributions", "dithering", "estimators", "exact", "graph")
_ROOMS += ("interop", "jax", "objectives", "optim", "order", "perturbed", "sparse", "torch")

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

__getattr__, __dir__ = _attach(__name__, _HOMES, _DEEPER | {n: n for n in _ROOMS}, __all__)
_sys.meta_path.append(_Aliases(__name__, _DEEPER))
