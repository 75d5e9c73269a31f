"""fastgrad inside JAX programs: under jit, vmap, grad and scan, on the CPU.

The functions are those of the NumPy API, and give its numbers, bit for bit, from the key that
`to_key` names. `expectation` makes every estimator a value that JAX differentiates.

Under `jax.vmap` over logits, rows have the noise that one large call would give them; but in
`expectation`, and in `continuous`, `perturbed` and `structured`, elements that share a key share
its noise: map keys as well, as ``jax.random.split`` makes them, where it must not be the same.
Calls in a loop, as `jax.lax.scan` and `jax.lax.map` make them (with ``batch_size``, of batches),
have the same noise every time unless the key changes with the loop. There are first derivatives
only. Programs may be checkpointed, and compiled ahead, in the process that traced them: another
does not know what they call, and says so.

Tests run with JAX 0.10.2. With 0.6.2 all but the slow ones have been run by hand, and passed. What
is older than 0.5 is refused when it is imported.
"""

from fastgrad.jax import bernoulli, continuous, order, perturbed, sparse, structured, transport
from fastgrad.jax.combinatorial import (
    gumbel_sinkhorn,
    k_hot,
    marginals,
    relaxed_top_k,
    sinkhorn,
    soft_permute,
)
from fastgrad.jax.expectation import Expectation, expectation, initial_state
from fastgrad.jax.functions import entropy, gumbel_softmax, kl_divergence, log_prob, relax, sample
from fastgrad.jax.keys import to_key

__all__ = [
    "Expectation",
    "bernoulli",
    "continuous",
    "entropy",
    "expectation",
    "gumbel_sinkhorn",
    "gumbel_softmax",
    "initial_state",
    "k_hot",
    "kl_divergence",
    "log_prob",
    "marginals",
    "order",
    "perturbed",
    "relax",
    "relaxed_top_k",
    "sample",
    "sinkhorn",
    "soft_permute",
    "sparse",
    "structured",
    "to_key",
    "transport",
]
