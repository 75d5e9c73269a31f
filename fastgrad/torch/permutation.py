"""Functions of tensors of matching scores: Sinkhorn scaling, with and without Gumbel noise."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastgrad.distributions import sinkhorn as _arrays
from fastgrad.distributions import soft_sort as _soft_sort
from fastgrad.torch.arguments import Operator
from fastgrad.torch.operators import build
from fastgrad.torch.tensors import TorchRNG, real, scalar, typed, words

__all__ = ["Sinkhorn", "gumbel_sinkhorn", "sinkhorn", "soft_permute"]

_LIMITS = "float tolerance, SymInt max_iterations, bool newton"
_RESULTS = ((0, None), (-2, torch.float64), (-2, torch.int32))
_sinkhorn = build(
    Operator(
        name="sinkhorn",
        function=_arrays.sinkhorn,
        vjp=_arrays.sinkhorn_vjp,
        arguments=f"Tensor log_alpha, Tensor temperature, {_LIMITS}",
        results=_RESULTS,
    )
)
_gumbel_sinkhorn = build(
    Operator(
        name="gumbel_sinkhorn",
        function=_arrays.gumbel_sinkhorn,
        vjp=_arrays.gumbel_sinkhorn_vjp,
        arguments=(
            "Tensor log_alpha, Tensor temperature, SymInt key_0, SymInt key_1, "
            f"SymInt? num_samples, float noise_scale, {_LIMITS}, "
            "SymInt problem_offset, SymInt sample_offset"
        ),
        results=_RESULTS,
    )
)


def _permuted(x: Any, scores: Any, *, temperature: float) -> Any:
    return _soft_sort.soft_permute(scores, x, temperature=temperature)


def _permuted_vjp(x: Any, scores: Any, cotangent: Any, *, temperature: float) -> Any:
    found = _soft_sort.soft_permute_vjp(scores, x, cotangent, temperature=temperature)
    return found.x, found.scores


_soft_permute = build(
    Operator(
        name="soft_permute",
        function=_permuted,
        vjp=_permuted_vjp,
        arguments="Tensor x, Tensor scores, Tensor temperature",
        operands=(0, -1),
        gradients=2,
    )
)


class Sinkhorn(NamedTuple):
    """Scaled matrices and how exact they are, as tensors.

    Attributes
    ----------
    matrix : Tensor, shape (S, *batch, N, M)
        Scaled matrices, in the type of log_alpha. Error and iterations have no gradient.
    error : Tensor of float64, shape (S, *batch)
        Largest amount by which a row or column sum misses its bound.
    iterations : Tensor of int32, shape (S, *batch)
        Iterations made.
    """

    matrix: Tensor
    error: Tensor
    iterations: Tensor


def sinkhorn(
    log_alpha: Tensor,
    *,
    temperature: float | Tensor = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    newton: bool = True,
) -> Sinkhorn:
    """Scale rows and columns until they sum to 1: see `fastgrad.permutation.sinkhorn`.

    The gradient is that of the equations which the converged matrix satisfies.

    Parameters
    ----------
    log_alpha : Tensor, shape (*batch, N, M)
        Score of each pair, on the CPU; -inf is a pair that is never matched. float16 and bfloat16
        are computed in float32.
    temperature : float or Tensor of one number
        Divisor of the scores, above 0. It has no gradient.
    tolerance, max_iterations, newton
        As in `fastgrad.permutation.sinkhorn`.

    Returns
    -------
    Sinkhorn
        Named tuple of `matrix`, `error` and `iterations`, without the axis S.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.permutation.sinkhorn`, and if log_alpha is no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> log_alpha = torch.eye(2, requires_grad=True)
    >>> fgt.permutation.sinkhorn(log_alpha, temperature=0.5).matrix.square().sum().backward()
    >>> log_alpha.grad.shape
    torch.Size([2, 2])
    """
    x = real(log_alpha, "log_alpha")
    limits = (tolerance, max_iterations, newton)
    matrix, error, iterations = _sinkhorn(x, scalar(temperature, "temperature"), *limits)
    return Sinkhorn(typed(matrix, log_alpha.dtype), error, iterations)


def gumbel_sinkhorn(
    log_alpha: Tensor,
    *,
    temperature: float | Tensor,
    num_samples: int | None = None,
    rng: TorchRNG,
    noise_scale: float = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    newton: bool = True,
    problem_offset: int = 0,
    sample_offset: int = 0,
) -> Sinkhorn:
    """Draw relaxed permutations, differentiably: see `fastgrad.permutation.gumbel_sinkhorn`.

    Parameters
    ----------
    log_alpha : Tensor, shape (*batch, N, M)
        Score of each pair, on the CPU. float16 and bfloat16 are computed in float32.
    temperature, num_samples, rng
        As in `fastgrad.torch.gumbel_softmax`.
    noise_scale, tolerance, max_iterations, newton, problem_offset, sample_offset
        As in `fastgrad.permutation.gumbel_sinkhorn`.

    Returns
    -------
    Sinkhorn
        Named tuple of `matrix`, `error` and `iterations`.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.permutation.gumbel_sinkhorn`, and if log_alpha is no tensor or not on the
        CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> log_alpha = torch.zeros(3, 3)
    >>> r = fgt.permutation.gumbel_sinkhorn(log_alpha, temperature=0.5, num_samples=4, rng=0)
    >>> r.matrix.shape, bool((r.error <= 1e-4).all())
    (torch.Size([4, 3, 3]), True)
    """
    x = real(log_alpha, "log_alpha")
    noise = (*words(rng), num_samples, noise_scale)
    options = (tolerance, max_iterations, newton, problem_offset, sample_offset)
    found = _gumbel_sinkhorn(x, scalar(temperature, "temperature"), *noise, *options)
    matrix, error, iterations = found
    return Sinkhorn(typed(matrix, log_alpha.dtype), error, iterations)


def soft_permute(scores: Tensor, x: Tensor, *, temperature: float | Tensor) -> Tensor:
    """Put items in the order of their scores: see `fastgrad.permutation.soft_permute`.

    Parameters
    ----------
    scores : Tensor, shape (*batch, N)
        Scores, the largest of which comes first, on the CPU.
    x : Tensor, shape (*batch, N, D)
        The items. float16 and bfloat16 are computed in float32.
    temperature : float or Tensor of one number
        In the units of the scores, above 0. It has no gradient.

    Returns
    -------
    Tensor, shape (*batch, N, D)
        In the type of x. Scores and items have a gradient.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.permutation.soft_permute`, and if one is no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> scores = torch.tensor([0.0, 2.0, 1.0], requires_grad=True)
    >>> x = torch.tensor([[10.0], [20.0], [30.0]])
    >>> fgt.permutation.soft_permute(scores, x, temperature=0.1).detach().round(decimals=2).ravel()
    tensor([20., 30., 10.])
    """
    given = real(x, "x"), real(scores, "scores")
    return typed(_soft_permute(*given, scalar(temperature, "temperature")), x.dtype)
