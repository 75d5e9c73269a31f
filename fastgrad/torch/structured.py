"""Sets, orders, trees, chains and counts as functions of tensors of their logits.

A family makes a distribution of an array of logits: a class of `fastgrad.subset`, `permutation`,
`trees`, `chains`, `counts` or `bernoulli`, whose other arguments are bound by `functools.partial`.
All functions are methods of that distribution, for any family. `expectation` takes families, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from fastgrad import _validate
from fastgrad.distributions.discrete import Discrete
from fastgrad.interop import families
from fastgrad.random import as_key
from fastgrad.torch.operators import FIRST_ORDER, one_by_one
from fastgrad.torch.tensors import (
    TorchRNG,
    key_of,
    on_cpu,
    real,
    scalar,
    typed,
    widened,
    words,
)

__all__ = ["features", "gumbel_softmax", "log_prob", "mean", "sample"]

#: What makes a distribution of an array of logits.
Family: TypeAlias = Callable[..., Discrete]


# -- the mechanism: one function of torch for all families and methods -------------------


@dataclasses.dataclass(frozen=True)
class _Call:
    """A method of the distributions of a family, with what it takes by name."""

    family: Any
    method: str
    options: dict[str, Any]

    def of(self, function: Callable[..., Any], *tensors: Tensor) -> Tensor:
        """Return what a function of arrays makes of tensors."""
        arrays = [x.numpy(force=True) for x in tensors]
        found = function(self.family, self.method, *arrays, **self.options)
        return torch.from_numpy(np.asarray(found))

    def placed(self, info: Any, dims: Any, *tensors: Tensor) -> tuple[list[Tensor], int]:
        """Return tensors with the axis of vmap before the batch, and its place in a result.

        The tensors are the logits, then what has an axis of samples where there are several.
        """
        logits, *others = tensors
        shape = logits.shape if dims[0] is None else logits.movedim(dims[0], 0).shape[1:]
        dtype = np.float32 if logits.dtype is torch.float32 else np.float64
        axes = families.shapes_of(self.family, tuple(shape), dtype)
        if self.method in ("log_prob", "features"):
            lead = others[0].ndim - (dims[1] is not None) - len(axes.sample)
        else:
            lead = int(self.options.get("num_samples") is not None)
        moved = []
        for x, dim, place in zip(tensors, dims, (0, *(lead for _ in others))):
            if dim is None:
                x = x.unsqueeze(place)
                moved.append(x.expand(*x.shape[:place], info.batch_size, *x.shape[place + 1 :]))
            else:
                moved.append(x.movedim(dim, place))
        return moved, lead


class _Applied(torch.autograd.Function):
    @staticmethod
    def forward(call: _Call, *tensors: Tensor) -> Tensor:
        return call.of(families.apply, *tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.call = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        saved = ctx.saved_tensors  # once: `torch.utils.checkpoint` allows no more
        grad = _Product.apply(ctx.call, *saved, *cotangents)
        return None, grad, *(None for _ in saved[1:])

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        call, *tensors = args
        moved, lead = call.placed(info, in_dims[1:], *tensors)
        return _Applied.apply(call, *moved), lead


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(call: _Call, *tensors: Tensor) -> Tensor:
        return call.of(families.product, *tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.method = inputs[0].method

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        raise NotImplementedError(FIRST_ORDER.format(ctx.method))

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        call, *tensors = args
        if "rng" in call.options and in_dims[1] is None:  # cotangents of the same rows
            return one_by_one(_Product.apply, info.batch_size, in_dims, args)
        moved, _ = call.placed(info, in_dims[1:], *tensors)
        return _Product.apply(call, *moved), 0


def _apply(family: Family, method: str, tensors: Any, **options: Any) -> Tensor:
    if not callable(family):
        raise TypeError(f"family must make a distribution of an array of logits, got {family!r}")
    found: Any = _Applied.apply(_Call(family, method, options), *tensors)
    return found


_applied: Any = torch.compiler.disable(_apply)


def _drawn(rng: TorchRNG, num_samples: int | None, sample_offset: int) -> dict[str, Any]:
    count, _ = _validate.samples(num_samples)
    _, sample_offset = _validate.offsets(0, sample_offset, count)
    key = key_of(*words(rng)) if isinstance(rng, torch.Generator) else as_key(rng)
    return {"num_samples": num_samples, "rng": key, "sample_offset": sample_offset}


def _samples(z: Any) -> Tensor:
    """Return samples in a type that NumPy has."""
    return widened(on_cpu(z, "z").detach())


# -- the functions ----------------------------------------------------------------------------


def sample(
    family: Family,
    logits: Tensor,
    *,
    num_samples: int | None = None,
    rng: TorchRNG,
    sample_offset: int = 0,
) -> Tensor:
    """Draw samples of a distribution of structures or counts.

    Parameters
    ----------
    family : callable
        Makes a distribution of an array of logits, as ``functools.partial(fastgrad.subset.KSubset,
        k=2)`` does.
    logits : Tensor
        Of the shape that the family wants, on the CPU. float16 and bfloat16 are computed in
        float32.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, Key, torch.Generator, or what the NumPy API takes
        The same key gives the samples of ``family(logits).sample``, bit for bit.
    sample_offset : int
        Index of the first sample in a larger batch.

    Returns
    -------
    Tensor
        Samples as the distribution has them, without a gradient: `features` makes of them what f
        sees, and `log_prob` has the score as its gradient.

    Raises
    ------
    TypeError, ValueError
        As the distribution does; if the family makes none with those logits; if logits are no
        tensor of real numbers on the CPU.

    Notes
    -----
    Under `torch.func.vmap` all rows are one call. `torch.compile` breaks the graph here, as at all
    functions of this module, and with ``fullgraph=True`` refuses it: what shape and type the result
    has is known by the distribution alone, which a function of the user's makes in NumPy.

    Examples
    --------
    >>> import functools, torch, fastgrad as fg, fastgrad.torch as fgt
    >>> pairs = functools.partial(fg.subset.KSubset, k=2)
    >>> fgt.structured.sample(pairs, torch.zeros(4, 6), num_samples=5, rng=0).sum(dim=-1).unique()
    tensor([2.])
    """
    x = real(logits, "logits").detach()
    return _applied(family, "sample", [x], **_drawn(rng, num_samples, sample_offset))


def features(family: Family, logits: Tensor, z: Tensor) -> Tensor:
    """Return the features of samples z, which is what f sees of them.

    Parameters
    ----------
    family, logits
        As in `sample`.
    z : Tensor, shape (S, *batch, ...)
        Samples.

    Returns
    -------
    Tensor, shape (S, *feature_shape)
        In the type of the logits.

    Examples
    --------
    >>> import torch, fastgrad as fg, fastgrad.torch as fgt
    >>> orders, logits = fg.permutation.PlackettLuce, torch.zeros(3)
    >>> z = fgt.structured.sample(orders, logits, num_samples=5, rng=0)
    >>> fgt.structured.features(orders, logits, z).shape
    torch.Size([5, 3, 3])
    """
    x = real(logits, "logits").detach()
    return typed(_applied(family, "features", [x, _samples(z)]), logits.dtype)


def log_prob(family: Family, logits: Tensor, z: Tensor) -> Tensor:
    """Compute the log probability of samples, with the score as its gradient.

    Parameters
    ----------
    family, logits
        As in `sample`.
    z : Tensor, shape (S, *batch, ...) or (*batch, ...)
        Samples.

    Returns
    -------
    Tensor, shape (S, *batch) or (*batch)
        In the type of the logits.

    Examples
    --------
    >>> import functools, torch, fastgrad as fg, fastgrad.torch as fgt
    >>> tree = functools.partial(fg.trees.SpanningTree, edges=[[0, 1], [1, 2], [2, 0]])
    >>> logits = torch.zeros(3, requires_grad=True)
    >>> fgt.structured.log_prob(tree, logits, torch.tensor([0, 1])).backward()
    >>> logits.grad
    tensor([ 0.6667,  0.1667, -0.8333])
    """
    tensors = [real(logits, "logits"), _samples(z)]
    return typed(_applied(family, "log_prob", tensors), logits.dtype)


def mean(family: Family, logits: Tensor) -> Tensor:
    """Compute the exact mean of the features, differentiably.

    Parameters
    ----------
    family, logits
        As in `sample`.

    Returns
    -------
    Tensor, shape (*feature_shape)
        In the type of the logits.

    Raises
    ------
    TypeError
        If the distribution has no mean in closed form, which the message explains.

    Examples
    --------
    >>> import functools, torch, fastgrad as fg, fastgrad.torch as fgt
    >>> within = functools.partial(fg.subset.Knapsack, costs=[1, 2, 3], budget=3)
    >>> fgt.structured.mean(within, torch.zeros(3))
    tensor([0.4000, 0.4000, 0.2000])
    """
    return typed(_applied(family, "mean", [real(logits, "logits")]), logits.dtype)


def gumbel_softmax(
    family: Family,
    logits: Tensor,
    *,
    temperature: float,
    num_samples: int | None = None,
    rng: TorchRNG,
    sample_offset: int = 0,
) -> Tensor:
    """Draw relaxed features, differentiably.

    Parameters
    ----------
    family, logits, num_samples, rng, sample_offset
        As in `sample`.
    temperature : float
        Temperature of the relaxation, above 0. It has no gradient, and must not require one.

    Returns
    -------
    Tensor, shape (S, *feature_shape), or without S where num_samples is None
        In the type of the logits. The backward pass draws the noise again.

    Raises
    ------
    TypeError
        If the distribution has no relaxation, which the message explains.

    Examples
    --------
    >>> import torch, fastgrad as fg, fastgrad.torch as fgt
    >>> log_alpha = torch.zeros(3, 3, requires_grad=True)
    >>> matching = fg.permutation.GumbelMatching
    >>> x = fgt.structured.gumbel_softmax(matching, log_alpha, temperature=0.5, rng=0)
    >>> x[0, 0].backward()
    >>> log_alpha.grad.shape
    torch.Size([3, 3])
    """
    drawn = _drawn(rng, num_samples, sample_offset)
    if isinstance(temperature, Tensor):
        temperature = float(scalar(temperature, "temperature"))
    drawn["temperature"] = _validate.temperature(temperature)
    return typed(
        _applied(family, "gumbel_softmax", [real(logits, "logits")], **drawn), logits.dtype
    )
