"""Hard Concrete gates as functions of tensors: a part of `fastgrad.torch.bernoulli`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fastgrad.distributions import hard_concrete as _arrays
from fastgrad.distributions.hard_concrete import STRETCH, TEMPERATURE, interval
from fastgrad.torch.arguments import DRAW, Operator
from fastgrad.torch.operators import build
from fastgrad.torch.tensors import TorchRNG, real, scalar, typed, words

__all__ = ["hard_concrete", "hard_concrete_active"]


def _stretched(function: Any) -> Any:
    """Return a function that takes the interval as two numbers, as operators do."""

    def call(*arrays: Any, low: float, high: float, **options: Any) -> Any:
        return function(*arrays, stretch=(low, high), **options)

    return call


def _gates_vjp(*arrays: Any, num_samples: Any, **options: Any) -> Any:
    return _stretched(_arrays.hard_concrete_vjp)(*arrays, **options)


_hard_concrete = build(
    Operator(
        name="hard_concrete",
        function=_stretched(_arrays.hard_concrete),
        vjp=_gates_vjp,
        arguments=f"Tensor logits, Tensor temperature, {DRAW}, float low, float high, "
        "SymInt site_offset, SymInt sample_offset",
    )
)
_active = build(
    Operator(
        name="hard_concrete_active",
        function=_stretched(_arrays.hard_concrete_active),
        vjp=_stretched(_arrays.hard_concrete_active_vjp),
        arguments="Tensor logits, Tensor temperature, float low, float high",
    )
)


def hard_concrete(
    logits: Tensor,
    *,
    temperature: float | Tensor = TEMPERATURE,
    stretch: tuple[float, float] = STRETCH,
    num_samples: int | None = None,
    rng: TorchRNG,
    site_offset: int = 0,
    sample_offset: int = 0,
) -> Tensor:
    """Draw gates that may be exactly 0 or 1, differentiably: `fastgrad.bernoulli.hard_concrete`.

    Parameters
    ----------
    logits : Tensor, shape (*batch)
        Log odds, on the CPU. float16 and bfloat16 are computed in float32.
    temperature, num_samples, rng
        As in `fastgrad.torch.gumbel_softmax`.
    stretch, site_offset, sample_offset
        As in `fastgrad.bernoulli.hard_concrete`.

    Returns
    -------
    Tensor, shape (S, *batch), or (*batch) without num_samples
        From 0 to 1, in the type of the logits. The backward pass draws the noise again.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.bernoulli.hard_concrete`, and if logits are no tensor or not on the CPU.

    References
    ----------
    Louizos, Welling and Kingma, "Learning sparse neural networks through L0 regularization", ICLR
    2018.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.zeros(1000, requires_grad=True)
    >>> z = fgt.bernoulli.hard_concrete(logits, rng=0)
    >>> z.sum().backward()
    >>> bool((logits.grad[(z == 0) | (z == 1)] == 0).all())
    True
    """
    x, heat = real(logits, "logits"), scalar(temperature, "temperature")
    options = (*words(rng), num_samples, *interval(stretch), site_offset, sample_offset)
    return typed(_hard_concrete(x, heat, *options), logits.dtype)


def hard_concrete_active(
    logits: Tensor,
    *,
    temperature: float | Tensor = TEMPERATURE,
    stretch: tuple[float, float] = STRETCH,
) -> Tensor:
    """Compute the probability that a gate is not 0: `fastgrad.bernoulli.hard_concrete_active`.

    Parameters, results and errors are those of `hard_concrete`, without samples.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.bernoulli.hard_concrete_active(torch.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0831, 0.8318, 0.9963])
    """
    x, heat = real(logits, "logits"), scalar(temperature, "temperature")
    return typed(_active(x, heat, *interval(stretch)), logits.dtype)
