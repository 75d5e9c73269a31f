"""Functions of tensors of Bernoulli logits: samples, relaxations, log probabilities, entropies."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgrad.distributions import bernoulli as _arrays
from fastgrad.torch.arguments import DRAW, Operator
from fastgrad.torch.calls import summed_relaxations, summed_scores
from fastgrad.torch.categorical import pair
from fastgrad.torch.concrete import Relaxation
from fastgrad.torch.hard_concrete import hard_concrete, hard_concrete_active
from fastgrad.torch.operators import build
from fastgrad.torch.tensors import TorchRNG, integers, real, scalar, typed, words

__all__ = [
    "entropy",
    "gumbel_softmax",
    "hard_concrete",
    "hard_concrete_active",
    "kl_divergence",
    "log_prob",
    "relax",
    "sample",
]

_PLACE = "SymInt site_offset, SymInt sample_offset"
_sample = build(
    Operator(
        name="bernoulli_sample",
        function=_arrays.sample,
        arguments=f"Tensor logits, {DRAW}, {_PLACE}",
        results=((0, torch.int32),),
    )
)
_gumbel_softmax = build(
    Operator(
        name="bernoulli_gumbel_softmax",
        function=_arrays.gumbel_softmax,
        vjp=_arrays.gumbel_softmax_vjp,
        arguments=f"Tensor logits, Tensor temperature, {DRAW}, bool hard, bool log, {_PLACE}",
    )
)
_relax = build(
    Operator(
        name="bernoulli_relax",
        function=_arrays.relax,
        vjp=summed_relaxations(_arrays.relax_vjp),
        arguments=f"Tensor logits, Tensor temperature, {DRAW}, bool coupled, bool log, {_PLACE}",
        results=((0, torch.int32), (0, None), (0, None), (0, None)),
        differentiable=(1, 2),
    )
)
_log_prob = build(
    Operator(
        name="bernoulli_log_prob",
        function=_arrays.log_prob,
        vjp=summed_scores(_arrays.score, 0),
        arguments="Tensor logits, Tensor x",
        operands=(0, 0),
    )
)
_entropy = build(
    Operator(
        name="bernoulli_entropy",
        function=_arrays.entropy,
        vjp=_arrays.entropy_vjp,
        arguments="Tensor logits",
    )
)
_kl_divergence = build(
    Operator(
        name="bernoulli_kl_divergence",
        function=_arrays.kl_divergence,
        vjp=_arrays.kl_divergence_vjp,
        arguments="Tensor p_logits, Tensor q_logits",
        operands=(0, 0),
        gradients=2,
    )
)


def sample(
    logits: Tensor,
    *,
    num_samples: int | None = None,
    rng: TorchRNG,
    site_offset: int = 0,
    sample_offset: int = 0,
) -> Tensor:
    """Draw outcomes 0 and 1: see `fastgrad.bernoulli.sample`.

    Parameters
    ----------
    logits : Tensor, shape (*batch)
        Log odds of the outcome 1, on the CPU. float16 and bfloat16 are computed in float32.
    num_samples, rng
        As in `fastgrad.torch.sample`.
    site_offset, sample_offset
        As in `fastgrad.bernoulli.sample`.

    Returns
    -------
    Tensor of int32, shape (S, *batch), or (*batch) without num_samples

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.bernoulli.sample`, and if logits are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.bernoulli.sample(torch.zeros(4), num_samples=10, rng=0).shape
    torch.Size([10, 4])
    """
    x = real(logits, "logits")
    return _sample(x.detach(), *words(rng), num_samples, site_offset, sample_offset)


def gumbel_softmax(
    logits: Tensor,
    *,
    temperature: float | Tensor,
    num_samples: int | None = None,
    rng: TorchRNG,
    hard: bool = False,
    log: bool = False,
    site_offset: int = 0,
    sample_offset: int = 0,
) -> Tensor:
    """Draw relaxed outcomes, differentiably: see `fastgrad.bernoulli.gumbel_softmax`.

    Parameters
    ----------
    logits : Tensor, shape (*batch)
        Log odds of the outcome 1, on the CPU. float16 and bfloat16 are computed in float32.
    temperature, num_samples, rng, hard
        As in `fastgrad.torch.gumbel_softmax`.
    log, site_offset, sample_offset
        As in `fastgrad.bernoulli.gumbel_softmax`.

    Returns
    -------
    Tensor, shape (S, *batch), or (*batch) without num_samples
        Numbers from 0 to 1 (or their logarithms), in the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.torch.gumbel_softmax`.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.zeros(4, requires_grad=True)
    >>> fgt.bernoulli.gumbel_softmax(logits, temperature=0.5, rng=0).sum().backward()
    >>> logits.grad.shape
    torch.Size([4])
    """
    x = real(logits, "logits")
    noise = (*words(rng), num_samples)
    options = (hard, log, site_offset, sample_offset)
    return typed(
        _gumbel_softmax(x, scalar(temperature, "temperature"), *noise, *options), logits.dtype
    )


def relax(
    logits: Tensor,
    *,
    temperature: float | Tensor,
    num_samples: int | None = None,
    rng: TorchRNG,
    coupled: bool = False,
    log: bool = False,
    site_offset: int = 0,
    sample_offset: int = 0,
) -> Relaxation:
    """Draw outcomes with both relaxations and the score: see `fastgrad.bernoulli.relax`.

    Parameters
    ----------
    logits : Tensor, shape (*batch)
        Log odds of the outcome 1, on the CPU. float16 and bfloat16 are computed in float32.
    temperature, num_samples, rng
        As in `fastgrad.torch.gumbel_softmax`.
    coupled, log, site_offset, sample_offset
        As in `fastgrad.bernoulli.relax`.

    Returns
    -------
    Relaxation
        Both relaxations have a gradient, sample and score have none; each of shape (S, *batch).

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.torch.gumbel_softmax`.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> r = fgt.bernoulli.relax(torch.zeros(4), temperature=0.5, num_samples=10, rng=0)
    >>> bool(((r.conditional > 0.5) == r.sample).all())
    True
    """
    x = real(logits, "logits")
    noise = (*words(rng), num_samples)
    options = (coupled, log, site_offset, sample_offset)
    z, *others = _relax(x, scalar(temperature, "temperature"), *noise, *options)
    relaxed, conditional, score = [typed(y, logits.dtype) for y in others]
    return Relaxation(z, relaxed, conditional, score)


def log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """Compute the log probability of outcomes: see `fastgrad.bernoulli.log_prob`.

    Parameters
    ----------
    logits : Tensor, shape (*batch)
        Log odds of the outcome 1, on the CPU.
    x : Tensor of integers, shape (*batch) or (S, *batch)
        Outcomes, each 0 or 1.

    Returns
    -------
    Tensor, the shape of x
        In the type of the logits. Its gradient is the score.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.bernoulli.log_prob`, and if one is no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.bernoulli.log_prob(torch.zeros(2), torch.tensor([0, 1]))
    tensor([-0.6931, -0.6931])
    """
    return typed(_log_prob(real(logits, "logits"), integers(x, "x")), logits.dtype)


def entropy(logits: Tensor) -> Tensor:
    """Compute the entropy of each variable in nats: see `fastgrad.bernoulli.entropy`.

    Parameters
    ----------
    logits : Tensor, shape (*batch)
        Log odds of the outcome 1, on the CPU.

    Returns
    -------
    Tensor, shape (*batch)
        In the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.bernoulli.entropy`, and if logits are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.bernoulli.entropy(torch.zeros(2))
    tensor([0.6931, 0.6931])
    """
    return typed(_entropy(real(logits, "logits")), logits.dtype)


def kl_divergence(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """Compute the divergence of q from p in nats: see `fastgrad.bernoulli.kl_divergence`.

    Parameters
    ----------
    p_logits, q_logits : Tensor, shape (*batch)
        Log odds of the outcome 1, on the CPU, of one type; their shapes broadcast.

    Returns
    -------
    Tensor, shape (*batch)
        In the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.bernoulli.kl_divergence`, and if one is no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.bernoulli.kl_divergence(torch.zeros(1), torch.tensor([1.0]))
    tensor([0.1201])
    """
    return typed(_kl_divergence(*pair(p_logits, q_logits)), p_logits.dtype)
