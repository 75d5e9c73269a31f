"""Functions of tensors of categorical logits: relaxed samples, and relaxations given the sample."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastgrad.distributions import concrete as _arrays
from fastgrad.distributions.concrete_products import gumbel_softmax_product, relax_product
from fastgrad.distributions.concrete_score import relax_score, relaxed_pair
from fastgrad.torch.arguments import DRAW, PLACE, Operator
from fastgrad.torch.calls import summed_relaxations
from fastgrad.torch.operators import build
from fastgrad.torch.small_calls import GUMBEL_SOFTMAX
from fastgrad.torch.tensors import TorchRNG, real, scalar, typed, words

__all__ = ["Relaxation", "gumbel_softmax", "relax"]

_relax_vjp = summed_relaxations(_arrays.relax_vjp)


def _gumbel_softmax_product(
    logits: Any, relaxed: Any, cotangent: Any, *, num_samples: Any, hard: Any, **options: Any
) -> Any:
    """Return the product, of soft samples by what they are: hard or logarithms do not say it."""
    if hard or options["log"]:
        return _arrays.gumbel_softmax_vjp(logits, cotangent, **options)
    heat = options["temperature"]
    return gumbel_softmax_product(logits, relaxed, cotangent, temperature=heat)


def _relax_product(logits: Any, z: Any, x: Any, y: Any, *cotangents: Any, **options: Any) -> Any:
    if options["log"]:
        return _relax_vjp(logits, *cotangents, **options)
    return relax_product(logits, z, x, y, *cotangents, temperature=options["temperature"])


_gumbel_softmax = build(
    Operator(
        name="gumbel_softmax",
        function=_arrays.gumbel_softmax,
        vjp=_gumbel_softmax_product,
        arguments=f"Tensor logits, Tensor temperature, {DRAW}, bool hard, bool log, {PLACE}",
        reuses=(0,),
        small=GUMBEL_SOFTMAX,
    )
)
_RELAX = Operator(
    name="relax",
    function=_arrays.relax,
    vjp=_relax_product,
    arguments=f"Tensor logits, Tensor temperature, {DRAW}, bool coupled, bool log, {PLACE}",
    results=((-1, torch.int32), (0, None), (0, None), (0, None)),
    differentiable=(1, 2),
    reuses=(0, 1, 2),
)
_relax = build(_RELAX)
# The same in two parts, for compilers, which leave out the second where nothing needs it.
_relaxed_pair = build(
    dataclasses.replace(
        _RELAX, name="relaxed_pair", function=relaxed_pair, results=_RELAX.results[:3]
    )
)
_relax_score = build(
    Operator(
        name="relax_score",
        function=relax_score,
        arguments="Tensor logits, Tensor z, Tensor temperature, bool log",
        operands=(0, -1),
    )
)


class Relaxation(NamedTuple):
    """Discrete samples with their relaxations, conditional relaxations and scores, as tensors.

    Attributes
    ----------
    sample : Tensor of int32, shape (S, *batch)
        The categories z, argmax of the perturbed logits.
    relaxed : Tensor, shape (S, *batch, K)
        Softmax of the perturbed logits over the temperature.
    conditional : Tensor, shape (S, *batch, K)
        Softmax over the temperature of perturbed logits that are drawn again given z.
    score : Tensor, shape (S, *batch, K)
        Gradient of the log probability of z by the logits. It has no gradient of its own.
    """

    sample: Tensor
    relaxed: Tensor
    conditional: Tensor
    score: Tensor


def gumbel_softmax(
    logits: Tensor,
    *,
    temperature: float | Tensor,
    num_samples: int | None = None,
    rng: TorchRNG,
    hard: bool = False,
    log: bool = False,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> Tensor:
    """Draw from the Concrete distribution, differentiably: see `fastgrad.gumbel_softmax`.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        Unnormalised log probabilities on the CPU; -inf gives a relaxed value of 0. float16 and
        bfloat16 are computed in float32.
    temperature : float or Tensor of one number
        Divisor of the perturbed logits, above 0. It has no gradient. Under `torch.compile` let one
        that changes be a tensor: for each new float a graph is compiled anew, for keys it is not.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, Key, torch.Generator, or what the NumPy API takes
        The same key gives the samples of `fastgrad.gumbel_softmax`, bit for bit.
    hard : bool
        Return the one-hot argmax of each relaxed sample, with the gradient of the relaxed sample:
        straight through.
    log, row_offset, sample_offset
        As in `fastgrad.gumbel_softmax`.

    Returns
    -------
    Tensor, shape (S, *batch, K), or (*batch, K) without num_samples
        In the type of the logits. The backward pass reads them again; where they are hard, or
        logarithms, it draws the noise again from the key.

    Raises
    ------
    TypeError
        If logits are not a tensor of real numbers.
    ValueError
        If they are not on the CPU, or hold NaN or +inf, or a row of nothing but -inf; if the
        temperature is not a finite number above 0, or requires grad.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.zeros(4, 3, requires_grad=True)
    >>> x = fgt.gumbel_softmax(logits, temperature=0.5, num_samples=10, rng=0)
    >>> x.square().sum().backward()
    >>> logits.grad.shape
    torch.Size([4, 3])
    """
    x = real(logits, "logits")
    noise = (*words(rng), num_samples)
    options = (hard, log, row_offset, sample_offset)
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
    row_offset: int = 0,
    sample_offset: int = 0,
) -> Relaxation:
    """Draw categories with both relaxations and the score, in one pass: see `fastgrad.relax`.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        Unnormalised log probabilities on the CPU. float16 and bfloat16 are computed in float32.
    temperature, num_samples, rng
        As in `gumbel_softmax`.
    coupled, log, row_offset, sample_offset
        As in `fastgrad.relax`.

    Returns
    -------
    Relaxation
        Named tuple of `sample`, `relaxed`, `conditional` and `score`. Both relaxations have a
        gradient, sample and score have none. Under `torch.compile` a score that nothing needs is
        not computed.

    Raises
    ------
    TypeError, ValueError
        As in `gumbel_softmax`.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.zeros(4, 3, requires_grad=True)
    >>> r = fgt.relax(logits, temperature=0.5, num_samples=10, rng=0)
    >>> (r.relaxed - r.conditional).square().sum().backward()
    >>> bool((r.conditional.argmax(-1) == r.sample).all()), r.score.requires_grad
    (True, False)
    """
    x = real(logits, "logits")
    noise = (*words(rng), num_samples)
    options, heat = (coupled, log, row_offset, sample_offset), scalar(temperature, "temperature")
    if torch.compiler.is_compiling():
        z, *pair = _relaxed_pair(x, heat, *noise, *options)
        others = [*pair, _relax_score(x.detach(), z, heat, log)]
    else:
        z, *others = _relax(x, heat, *noise, *options)
    relaxed, conditional, score = [typed(y, logits.dtype) for y in others]
    return Relaxation(z, relaxed, conditional, score)
