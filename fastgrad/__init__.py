"""Gradients of expectations over discrete random variables, on the CPU."""

from fastgrad import random
from fastgrad._version import __version__
from fastgrad.distributions.categorical import (
    Categorical,
    entropy,
    kl_divergence,
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
from fastgrad.random import Key

__all__ = [
    "Categorical",
    "Key",
    "Relaxation",
    "__version__",
    "concrete_log_prob",
    "entropy",
    "exp_concrete_log_prob",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "kl_divergence",
    "log_prob",
    "log_softmax",
    "random",
    "relax",
    "relax_vjp",
    "sample",
    "score",
]
