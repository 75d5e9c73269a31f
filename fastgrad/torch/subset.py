"""Functions of tensors of logits of items: sets of k of them, exact and relaxed."""

from __future__ import annotations

from torch import Tensor

from fastgrad.distributions import subset as _arrays
from fastgrad.torch.arguments import DRAW, PLACE, Operator
from fastgrad.torch.operators import build
from fastgrad.torch.tensors import TorchRNG, real, scalar, typed, words

__all__ = ["k_hot", "marginals", "relaxed_top_k"]

_relaxed_top_k = build(
    Operator(
        name="relaxed_top_k",
        function=_arrays.relaxed_top_k,
        vjp=_arrays.relaxed_top_k_vjp,
        arguments=f"Tensor logits, Tensor temperature, SymInt k, {DRAW}, {PLACE}",
    )
)
_marginals = build(
    Operator(
        name="marginals",
        function=_arrays.marginals,
        vjp=_arrays.marginals_vjp,
        arguments="Tensor logits, SymInt k",
    )
)
_k_hot = build(
    Operator(
        name="k_hot",
        function=_arrays.k_hot,
        vjp=_arrays.marginals_vjp,
        arguments=f"Tensor logits, SymInt k, {DRAW}, {PLACE}",
    )
)


def relaxed_top_k(
    logits: Tensor,
    k: int,
    *,
    temperature: float | Tensor,
    num_samples: int | None = None,
    rng: TorchRNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> Tensor:
    """Draw relaxed choices of k items, differentiably: see `fastgrad.subset.relaxed_top_k`.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        Unnormalised log probabilities, on the CPU. float16 and bfloat16 are computed in float32.
    k : int
        Number of items.
    temperature, num_samples, rng
        As in `fastgrad.torch.gumbel_softmax`.
    row_offset, sample_offset
        As in `fastgrad.subset.relaxed_top_k`.

    Returns
    -------
    Tensor, shape (S, *batch, K), or (*batch, K) without num_samples
        In the type of the logits, of sum k.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.subset.relaxed_top_k`, and if logits are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.zeros(4, 6, requires_grad=True)
    >>> x = fgt.subset.relaxed_top_k(logits, 2, temperature=0.5, rng=0)
    >>> x.square().sum().backward()
    >>> x.shape, logits.grad.shape
    (torch.Size([4, 6]), torch.Size([4, 6]))
    """
    x = real(logits, "logits")
    options = (k, *words(rng), num_samples, row_offset, sample_offset)
    return typed(_relaxed_top_k(x, scalar(temperature, "temperature"), *options), logits.dtype)


def marginals(logits: Tensor, k: int) -> Tensor:
    """Compute the probability of each item to be chosen: see `fastgrad.subset.marginals`.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        Log weights of the items, on the CPU. float16 and bfloat16 are computed in float32.
    k : int
        Size of the set.

    Returns
    -------
    Tensor, shape (*batch, K)
        In the type of the logits, of sum k.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.subset.marginals`, and if logits are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.subset.marginals(torch.tensor([1.0, 1.0, 2.0]).log(), 2)
    tensor([0.6000, 0.6000, 0.8000])
    """
    return typed(_marginals(real(logits, "logits"), k), logits.dtype)


def k_hot(
    logits: Tensor,
    k: int,
    *,
    num_samples: int | None = None,
    rng: TorchRNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> Tensor:
    """Draw sets of k items, whose gradient is that of their marginals: the estimator SIMPLE.

    The samples are those of `fastgrad.subset.k_hot`. The gradient is biased, but for a loss that is
    linear in them.

    Parameters
    ----------
    logits : Tensor, shape (*batch, K)
        Log weights of the items, on the CPU. float16 and bfloat16 are computed in float32.
    k : int
        Size of the set.
    num_samples, rng
        As in `fastgrad.torch.sample`.
    row_offset, sample_offset
        As in `fastgrad.subset.k_hot`.

    Returns
    -------
    Tensor, shape (S, *batch, K), or (*batch, K) without num_samples
        1 at the k items of the set, 0 elsewhere, in the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.subset.k_hot`, and if logits are no tensor or not on the CPU.

    References
    ----------
    Ahmed, Zeng, Niepert and Van den Broeck, "SIMPLE: a gradient estimator for k-subset sampling",
    ICLR 2023.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.zeros(6, requires_grad=True)
    >>> x = fgt.subset.k_hot(logits, 2, num_samples=5, rng=0)
    >>> x[..., 0].mean().backward()
    >>> x.sum(dim=-1), logits.grad.shape
    (tensor([2., 2., 2., 2., 2.], grad_fn=<SumBackward1>), torch.Size([6]))
    """
    x = real(logits, "logits")
    options = (*words(rng), num_samples, row_offset, sample_offset)
    return typed(_k_hot(x, k, *options), logits.dtype)
