"""Functions of tensors of categorical logits: samples, log probabilities, entropies."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from fastgrad.distributions import categorical as _arrays
from fastgrad.torch.arguments import DRAW, PLACE, Operator
from fastgrad.torch.calls import summed_scores
from fastgrad.torch.operators import build
from fastgrad.torch.tensors import TorchRNG, integers, real, typed, words

__all__ = ["entropy", "kl_divergence", "log_prob", "sample"]

_sample = build(
    Operator(
        name="sample",
        function=_arrays.sample,
        arguments=f"Tensor logits, {DRAW}, str method, {PLACE}",
        results=((-1, torch.int32),),
    )
)
_log_prob = build(
    Operator(
        name="log_prob",
        function=_arrays.log_prob,
        vjp=summed_scores(_arrays.score, 1),
        arguments="Tensor logits, Tensor z",
        operands=(0, -1),
        results=((-1, None),),
    )
)
_entropy = build(
    Operator(
        name="entropy",
        function=_arrays.entropy,
        vjp=_arrays.entropy_vjp,
        arguments="Tensor logits",
        results=((-1, None),),
    )
)
_kl_divergence = build(
    Operator(
        name="kl_divergence",
        function=_arrays.kl_divergence,
        vjp=_arrays.kl_divergence_vjp,
        arguments="Tensor p_logits, Tensor q_logits",
        operands=(0, 0),
        results=((-1, None),),
        gradients=2,
    )
)


def sample(
    logits: Tensor,
    *,
    num_samples: int | None = None,
    rng: TorchRNG,
    method: Literal["inverse", "gumbel"] = "inverse",
    row_offset: int = 0,
    sample_offset: int = 0,
) -> Tensor:
    """Draw categories: see `fastgrad.sample`.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        Unnormalised log probabilities on the CPU; -inf is never drawn. float16 and bfloat16 are
        computed in float32.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, Key, torch.Generator, or what the NumPy API takes
        The same key gives the samples of `fastgrad.sample`. From a generator 64 bits are drawn;
        under `torch.compile` it is refused.
    method, row_offset, sample_offset
        As in `fastgrad.sample`.

    Returns
    -------
    Tensor of int32, shape (S, *batch), or (*batch) without num_samples
        Categories from 0 to K - 1.

    Raises
    ------
    TypeError
        If logits are not a tensor of real numbers.
    ValueError
        If they are not on the CPU, or hold NaN or +inf, or a row of nothing but -inf.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.sample(torch.zeros(4, 3), num_samples=10, rng=0).shape
    torch.Size([10, 4])
    """
    x = real(logits, "logits")
    return _sample(x.detach(), *words(rng), num_samples, method, row_offset, sample_offset)


def log_prob(logits: Tensor, z: Tensor) -> Tensor:
    """Compute the log probability of categories, differentiably: see `fastgrad.log_prob`.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        Unnormalised log probabilities on the CPU; -inf masks a category.
    z : Tensor of integers, shape (*batch) or (S, *batch)
        Categories from 0 to K - 1.

    Returns
    -------
    Tensor, the shape of z
        In the type of the logits. Its gradient is the score.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.log_prob`, and if one is no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.log_prob(torch.tensor([0.25, 0.75]).log(), torch.tensor([0, 1]))
    tensor([-1.3863, -0.2877])
    """
    return typed(_log_prob(real(logits, "logits"), integers(z, "z")), logits.dtype)


def entropy(logits: Tensor) -> Tensor:
    """Compute the entropy of each variable in nats, differentiably: see `fastgrad.entropy`.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        Unnormalised log probabilities on the CPU.

    Returns
    -------
    Tensor, shape (*batch)
        In the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.entropy`, and if logits are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.entropy(torch.zeros(2, 4))
    tensor([1.3863, 1.3863])
    """
    return typed(_entropy(real(logits, "logits")), logits.dtype)


def kl_divergence(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """Compute the divergence of q from p in nats, differentiably: see `fastgrad.kl_divergence`.

    Parameters
    ----------
    p_logits, q_logits : Tensor, shape (*batch, K)
        Unnormalised log probabilities on the CPU, of one type; their batches broadcast.

    Returns
    -------
    Tensor, shape (*batch)
        In the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.kl_divergence`, and if one is no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.kl_divergence(torch.tensor([0.0, 0.0]), torch.tensor([0.25, 0.75]).log())
    tensor(0.1438)
    """
    return typed(_kl_divergence(*pair(p_logits, q_logits)), p_logits.dtype)


def pair(p_logits: Tensor, q_logits: Tensor) -> list[Tensor]:
    """Return the logits of two distributions, checked, of one type and one shape."""
    p, q = real(p_logits, "p_logits"), real(q_logits, "q_logits")
    if p_logits.dtype != q_logits.dtype:
        raise TypeError(
            f"q_logits must have the type of p_logits, {p_logits.dtype}, got {q_logits.dtype}"
        )
    if p.shape == q.shape or p.shape[-1:] != q.shape[-1:]:  # what differs is refused further down
        return [p, q]
    return list(torch.broadcast_tensors(p, q))
