"""fastgrad for torch: tensors in, tensors out, differentiable, on the CPU."""

from fastgrad.torch import (
    bernoulli,
    continuous,
    order,
    permutation,
    perturbed,
    sparse,
    structured,
    subset,
    transport,
)
from fastgrad.torch.categorical import entropy, kl_divergence, log_prob, sample
from fastgrad.torch.concrete import Relaxation, gumbel_softmax, relax
from fastgrad.torch.expectation import expectation, expectation_and_state

__all__ = [
    "Relaxation",
    "bernoulli",
    "continuous",
    "entropy",
    "expectation",
    "expectation_and_state",
    "gumbel_softmax",
    "kl_divergence",
    "log_prob",
    "order",
    "permutation",
    "perturbed",
    "relax",
    "sample",
    "sparse",
    "structured",
    "subset",
    "transport",
]
