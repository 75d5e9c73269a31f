"""Samples of continuous families as functions of tensors, differentiable by their parameters."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fastgrad.distributions import continuous as _families
from fastgrad.distributions.continuous import Continuous
from fastgrad.torch.arguments import Operator
from fastgrad.torch.operators import build
from fastgrad.torch.tensors import TorchRNG, real, typed, words

__all__ = ["sample"]

_DRAW = "SymInt key_0, SymInt key_1, SymInt? num_samples, SymInt sample_offset"
_AXES = {"scale_tril": 1}  # beside those of the first parameter


def _operator(family: Any, names: tuple[str, ...]) -> Operator:
    def draw(*parameters: Any, num_samples: Any, rng: Any, sample_offset: Any) -> Any:
        options = {"num_samples": num_samples, "rng": rng, "sample_offset": sample_offset}
        return family(*parameters).sample(**options)

    def multiply(*arrays: Any, num_samples: Any, rng: Any, sample_offset: Any) -> Any:
        *parameters, cotangent = arrays
        d, count = family(*parameters), 1 if num_samples is None else num_samples
        noise = d.noise(count, rng=rng, sample_offset=sample_offset)
        shape = (count, *d.batch_shape, *d.event_shape)
        grads = d.transform_vjp(noise, cotangent.reshape(shape))
        return tuple(grads[name].sum(axis=0) for name in names)

    return Operator(
        name=f"continuous_{family.__name__}",
        function=draw,
        vjp=multiply,
        arguments=", ".join([*(f"Tensor {name}" for name in names), _DRAW]),
        operands=tuple(_AXES.get(name, 0) for name in names),
        gradients=len(names),
    )


_KINDS: dict[Any, tuple[tuple[str, ...], Callable[..., Any]]] = {}
for _family in (getattr(_families, name) for name in _families.__all__):
    if _family is not Continuous:
        _names = tuple(field.name for field in dataclasses.fields(_family))
        _KINDS[_family] = _names, build(_operator(_family, _names))


def sample(
    family: type[Continuous],
    *,
    num_samples: int | None = None,
    rng: TorchRNG,
    sample_offset: int = 0,
    **parameters: Tensor,
) -> Tensor:
    """Draw samples of a family of `fastgrad.continuous`, with the pathwise gradient.

    Parameters
    ----------
    family : type
        Such as ``fastgrad.continuous.Gamma``.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, Key, torch.Generator, or what the NumPy API takes
        The same key gives the samples of ``family(**parameters).sample``, bit for bit.
    sample_offset : int
        As in the method ``sample`` of the family.
    **parameters : Tensor
        Parameters of the family by name, of its shapes, on the CPU. They may differ in type; the
        samples have the wider one. float16 and bfloat16 are computed in float32.

    Returns
    -------
    Tensor, shape (S, *batch_shape, *event_shape), or without S where num_samples is None
        Its derivative by the parameters is that of the method ``transform_vjp``: for `Gamma` and
        its kin that of implicit reparameterisation. The backward pass draws the noise again.

    Raises
    ------
    TypeError
        If the family is none of `fastgrad.continuous`, or has other parameters, or they are not
        tensors of real numbers.
    ValueError
        If they are not on the CPU; as the family itself.

    References
    ----------
    Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", NeurIPS 2018.

    Examples
    --------
    >>> import torch, fastgrad as fg, fastgrad.torch as fgt
    >>> log_rate = torch.zeros(3, requires_grad=True)
    >>> given = {"log_concentration": torch.zeros(3), "log_rate": log_rate}
    >>> x = fgt.continuous.sample(fg.continuous.Gamma, num_samples=5, rng=0, **given)
    >>> x.sum().backward()
    >>> bool((log_rate.grad + x.sum(dim=0) < 1e-5).all())  # the rate divides
    True
    """
    if family not in _KINDS:
        raise TypeError(f"family must be one of fastgrad.continuous, got {family!r}")
    names, draw = _KINDS[family]
    if set(parameters) != set(names):
        raise TypeError(f"{family.__name__} has the parameters {names}, got {tuple(parameters)}")
    tensors = [real(parameters[name], name) for name in names]
    own = functools.reduce(torch.promote_types, [parameters[name].dtype for name in names])
    dtype = functools.reduce(torch.promote_types, [x.dtype for x in tensors])
    found = draw(*[x.to(dtype) for x in tensors], *words(rng), num_samples, sample_offset)
    return typed(found, own)
