"""Functions of tensors of logits: sparse alternatives to the softmax, their losses and samples."""

from __future__ import annotations

from torch import Tensor

from fastgrad import sparse as _arrays
from fastgrad.torch.arguments import DRAW, PLACE, Operator
from fastgrad.torch.operators import build
from fastgrad.torch.tensors import TorchRNG, integers, real, scalar, typed, words

__all__ = [
    "entmax",
    "entmax15",
    "entmax15_loss",
    "entmax_loss",
    "gumbel_entmax",
    "gumbel_sparsemax",
    "sparsemax",
    "sparsemax_loss",
]

_entmax = build(
    Operator(
        name="entmax",
        function=_arrays.entmax,
        vjp=_arrays.entmax_vjp,
        arguments="Tensor logits, float alpha",
    )
)
_entmax_loss = build(
    Operator(
        name="entmax_loss",
        function=_arrays.entmax_loss,
        vjp=_arrays.entmax_loss_vjp,
        arguments="Tensor logits, Tensor target, float alpha",
        operands=(0, -1),
        results=((-1, None),),
    )
)
_entmax_loss_of_probabilities = build(
    Operator(
        name="entmax_loss_of_probabilities",
        function=_arrays.entmax_loss,
        vjp=_arrays.entmax_loss_vjp,
        arguments="Tensor logits, Tensor probabilities, float alpha",
        operands=(0, 0),
        results=((-1, None),),
    )
)
_gumbel_entmax = build(
    Operator(
        name="gumbel_entmax",
        function=_arrays.gumbel_entmax,
        vjp=_arrays.gumbel_entmax_vjp,
        arguments=f"Tensor logits, Tensor temperature, {DRAW}, float alpha, {PLACE}",
    )
)


def entmax(logits: Tensor, *, alpha: float) -> Tensor:
    """Map each row of logits to the simplex, differentiably: see `fastgrad.sparse.entmax`.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        On the CPU; -inf gives a probability of 0. float16 and bfloat16 are computed in float32.
    alpha : float
        From 1, the softmax, to 2, the sparsemax: the larger, the sparser. It has no gradient.

    Returns
    -------
    Tensor, shape (*batch, K)
        Probabilities, in the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.sparse.entmax`, and if logits are no tensor or not on the CPU.

    References
    ----------
    Peters, Niculae and Martins, "Sparse sequence-to-sequence models", ACL 2019.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.sparse.entmax(torch.tensor([1.0, 0.5, -1.0]), alpha=1.25)
    tensor([0.6315, 0.3451, 0.0235])
    """
    return typed(_entmax(real(logits, "logits"), alpha), logits.dtype)


def sparsemax(logits: Tensor) -> Tensor:
    """Project each row of logits onto the simplex, differentiably: `entmax` with alpha = 2.

    Parameters, errors and results are those of `entmax`.

    References
    ----------
    Martins and Astudillo, "From softmax to sparsemax", ICML 2016.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.sparse.sparsemax(torch.tensor([1.0, 0.5, -1.0]))
    tensor([0.7500, 0.2500, 0.0000])
    """
    return entmax(logits, alpha=2.0)


def entmax15(logits: Tensor) -> Tensor:
    """Map each row of logits by 1.5-entmax, differentiably: `entmax` with alpha = 1.5.

    Parameters, errors and results are those of `entmax`.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.sparse.entmax15(torch.tensor([1.0, 0.5, -1.0]))
    tensor([0.6740, 0.3260, 0.0000])
    """
    return entmax(logits, alpha=1.5)


def entmax_loss(logits: Tensor, target: Tensor, *, alpha: float) -> Tensor:
    """Compute the loss of alpha-entmax for each row: see `fastgrad.sparse.entmax_loss`.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        As in `entmax`.
    target : Tensor of int, shape (*batch), or of real numbers, shape (*batch, K)
        Categories, or probabilities, which have no gradient: detach them.
    alpha : float
        As in `entmax`.

    Returns
    -------
    Tensor, shape (*batch)
        Losses, at least 0, in the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.sparse.entmax_loss`; if one is no tensor or not on the CPU, or the target
        requires grad.

    References
    ----------
    Blondel, Martins and Niculae, "Learning with Fenchel-Young losses", JMLR 2020, section 4.3.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> fgt.sparse.entmax_loss(logits, torch.tensor([0, 0]), alpha=1.5)
    tensor([0.0000, 0.5635])
    """
    x = real(logits, "logits")
    if isinstance(target, Tensor) and target.is_floating_point():
        if target.requires_grad:
            raise ValueError("target must not require grad, as it is given none: detach it")
        y = real(target, "target").to(x.dtype)
        return typed(_entmax_loss_of_probabilities(x, y, alpha), logits.dtype)
    return typed(_entmax_loss(x, integers(target, "target"), alpha), logits.dtype)


def sparsemax_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the loss of `sparsemax` for each row: `entmax_loss` with alpha = 2.

    Parameters, errors and results are those of `entmax_loss`.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.tensor([[2.0, 1.0], [0.0, 0.0]])
    >>> fgt.sparse.sparsemax_loss(logits, torch.tensor([0, 0]))
    tensor([0.0000, 0.2500])
    """
    return entmax_loss(logits, target, alpha=2.0)


def entmax15_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the loss of `entmax15` for each row: `entmax_loss` with alpha = 1.5.

    Parameters, errors and results are those of `entmax_loss`.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.sparse.entmax15_loss(torch.zeros(1, 2), torch.tensor([0]))
    tensor([0.3905])
    """
    return entmax_loss(logits, target, alpha=1.5)


def gumbel_entmax(
    logits: Tensor,
    *,
    alpha: float,
    temperature: float | Tensor,
    num_samples: int | None = None,
    rng: TorchRNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> Tensor:
    """Draw relaxed samples with exact zeros: see `fastgrad.sparse.gumbel_entmax`.

    Parameters
    ----------
    logits, alpha
        As in `entmax`.
    temperature, num_samples, rng
        As in `fastgrad.torch.gumbel_softmax`.
    row_offset, sample_offset
        As in `fastgrad.sparse.gumbel_entmax`.

    Returns
    -------
    Tensor, shape (S, *batch, K), or (*batch, K) without num_samples
        Points of the simplex, in the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.sparse.gumbel_entmax`, and if logits are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.zeros(4, 9, requires_grad=True)
    >>> x = fgt.sparse.gumbel_entmax(logits, alpha=1.5, temperature=0.5, rng=0)
    >>> x.square().sum().backward()
    >>> logits.grad.shape, bool((x == 0).any())
    (torch.Size([4, 9]), True)
    """
    x = real(logits, "logits")
    options = (*words(rng), num_samples, alpha, row_offset, sample_offset)
    return typed(_gumbel_entmax(x, scalar(temperature, "temperature"), *options), logits.dtype)


def gumbel_sparsemax(
    logits: Tensor,
    *,
    temperature: float | Tensor,
    num_samples: int | None = None,
    rng: TorchRNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> Tensor:
    """Draw relaxed samples with exact zeros: `gumbel_entmax` with alpha = 2.

    Parameters, errors and results are those of `gumbel_entmax`.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.sparse.gumbel_sparsemax(torch.zeros(9), temperature=0.5, num_samples=3, rng=0).shape
    torch.Size([3, 9])
    """
    return gumbel_entmax(
        logits,
        alpha=2.0,
        temperature=temperature,
        num_samples=num_samples,
        rng=rng,
        row_offset=row_offset,
        sample_offset=sample_offset,
    )
