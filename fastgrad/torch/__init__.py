"""fastgrad for torch: tensors in, tensors out, differentiable, on the CPU.

Under `torch.func.vmap` over logits, rows have the noise that one large call would give them. With
its ``chunk_size`` every chunk is a call of its own, which is not told its place: all chunks have
the noise of the first. To map in parts, call `torch.func.vmap` for each, with a key of its own.
"""

from torch.serialization import add_safe_globals

from fastgrad.random import Key
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
from fastgrad.torch.permutation import Sinkhorn as _Sinkhorn
from fastgrad.torch.transport import Transport as _Transport

# Keys and results in checkpoints, for `torch.load`.
add_safe_globals([Key, Relaxation, _Sinkhorn, _Transport])

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
