"""The functions of the NumPy API on arrays of JAX: subsets and permutations."""

from __future__ import annotations

import math
from typing import Any

import jax

from fastgrad import _validate
from fastgrad.distributions.sinkhorn import Sinkhorn
from fastgrad.jax.gradients import differentiable
from fastgrad.jax.keys import JaxKey
from fastgrad.jax.operands import JaxArray, known, logits_of, placed, real

__all__ = ["marginals", "relaxed_top_k", "sinkhorn"]


def marginals(logits: JaxArray, k: int) -> jax.Array:
    """Compute the probability of each item in sets of k: `fastgrad.subset.marginals`.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log weights of the items.
    k : int
        Size of the set, at most the number of logits above -inf in every row.

    Returns
    -------
    array, shape (*batch, K)

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `sample`; also where a row has fewer than k logits above -inf.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.marginals(jnp.zeros(4), 2)
    Array([0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    x, own = logits_of(logits)
    k = _validate.integer(k, "k", 0, x.shape[-1])
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return differentiable("marginals", k=k)(rows)[0].reshape(x.shape).astype(own)


def relaxed_top_k(
    logits: JaxArray,
    k: int,
    key: JaxKey,
    *,
    temperature: float,
    num_samples: int | None = None,
    row_offset: Any = 0,
    sample_offset: Any = 0,
) -> jax.Array:
    """Draw relaxed choices of k items: `fastgrad.subset.relaxed_top_k` inside a JAX program.

    Parameters
    ----------
    logits, key, num_samples, row_offset, sample_offset
        As in `sample`.
    k : int
        Number of items, at most the number of logits above -inf in every row.
    temperature : float
        Temperature of the softmaxes, above 0, known when the program is traced.

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `marginals` and `sample`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.relaxed_top_k(jnp.zeros((4, 6)), 2, 0, temperature=0.5).shape
    (4, 6)
    """
    x, own = logits_of(logits)
    k = _validate.integer(k, "k", 0, x.shape[-1])
    count, lead = _validate.samples(num_samples)
    rows, where = placed(x, key, row_offset, sample_offset, count)
    options = {"k": k, "temperature": _validate.temperature(known(temperature, "temperature"))}
    function = differentiable("relaxed_top_k", samples=count, **options)
    return function(rows, where)[0].reshape(*lead, *x.shape).astype(own)


def sinkhorn(
    log_alpha: JaxArray,
    *,
    temperature: float = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    newton: bool = True,
) -> Sinkhorn:
    """Scale matrices until rows and columns sum to 1: `fastgrad.permutation.sinkhorn`.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        Score of each pair; -inf is a pair that is never matched.
    temperature, tolerance, max_iterations, newton
        As in `fastgrad.permutation.sinkhorn`, known when the program is traced.

    Returns
    -------
    Sinkhorn
        Named tuple of `matrix`, `error` and `iterations`. The matrix has a gradient, the implicit
        one of the solution.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As `fastgrad.permutation.sinkhorn`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.sinkhorn(jnp.eye(3)).matrix.sum(axis=0).round(3)
    Array([1., 1., 1.], dtype=float32)
    """
    x, own = real(log_alpha, "log_alpha")
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"log_alpha must have shape (*batch, N, M) with N, M >= 1, got {x.shape}")
    batch = x.shape[:-2]
    options = {
        "temperature": _validate.temperature(known(temperature, "temperature")),
        "tolerance": _validate.not_negative(known(tolerance, "tolerance"), "tolerance"),
        "max_iterations": _validate.integer(max_iterations, "max_iterations", 1),
        "newton": bool(newton),
    }
    flat = x.reshape(math.prod(batch), *x.shape[-2:])
    matrix, error, iterations = differentiable("sinkhorn", **options)(flat)
    others = error.reshape(batch), iterations.reshape(batch)
    return Sinkhorn(matrix.reshape(x.shape).astype(own), *others)  # pyright: ignore
