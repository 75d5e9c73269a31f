"""Sparse maps inside a JAX program, differentiable: the functions of `fastgrad.sparse`."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from fastgrad import _validate
from fastgrad.jax.gradients import differentiable
from fastgrad.jax.keys import JaxKey, nowhere
from fastgrad.jax.operands import JaxArray, inverse, known, logits_of, placed, real
from fastgrad.sparse.entmax import curve

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


def entmax(logits: JaxArray, *, alpha: float) -> jax.Array:
    """Map each row of logits to the simplex: `fastgrad.sparse.entmax` inside a JAX program.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Logits; -inf gives a probability of 0. float16 and bfloat16 are computed in float32.
    alpha : float
        From 1, the softmax, to 2, the sparsemax: known when the program is traced.

    Returns
    -------
    array, shape (*batch, K)
        Probabilities, in the dtype of the logits.

    Raises
    ------
    TypeError, ValueError
        When it is traced, for a wrong shape or alpha.
    jax.errors.JaxRuntimeError
        When it runs, if the logits hold NaN or +inf, or a row of nothing but -inf.

    References
    ----------
    Peters, Niculae and Martins, "Sparse sequence-to-sequence models", ACL 2019.

    Examples
    --------
    >>> import jax.numpy as jnp, numpy as np, fastgrad.jax
    >>> p = fastgrad.jax.sparse.entmax(jnp.array([1.0, 0.5, -1.0]), alpha=1.25)
    >>> np.asarray(p).round(3)
    array([0.631, 0.345, 0.023], dtype=float32)
    """
    x, own = logits_of(logits)
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    as_it_is = nowhere(), jnp.ones((), x.dtype)
    function = differentiable("entmax", samples=1, alpha=_checked(alpha), noisy=False)
    return function(rows, *as_it_is)[0].reshape(x.shape).astype(own)


def sparsemax(logits: JaxArray) -> jax.Array:
    """Project each row of logits onto the simplex: `entmax` with alpha = 2.

    Parameters, errors and results are those of `entmax`.

    References
    ----------
    Martins and Astudillo, "From softmax to sparsemax", ICML 2016.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.sparse.sparsemax(jnp.array([1.0, 0.5, -1.0]))
    Array([0.75, 0.25, 0.  ], dtype=float32)
    """
    return entmax(logits, alpha=2.0)


def entmax15(logits: JaxArray) -> jax.Array:
    """Map each row of logits by 1.5-entmax: `entmax` with alpha = 1.5.

    Parameters, errors and results are those of `entmax`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.sparse.entmax15(jnp.array([1.0, 0.5, -1.0])).round(3)
    Array([0.674, 0.326, 0.   ], dtype=float32)
    """
    return entmax(logits, alpha=1.5)


def entmax_loss(logits: JaxArray, target: JaxArray, *, alpha: float) -> jax.Array:
    """Compute the loss of alpha-entmax: `fastgrad.sparse.entmax_loss` inside a JAX program.

    Parameters
    ----------
    logits, alpha
        As in `entmax`.
    target : array of int, shape (*batch), or of real numbers, shape (*batch, K)
        Categories, or probabilities. They have no gradient.

    Returns
    -------
    array, shape (*batch)
        Losses, at least 0, in the dtype of the logits.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `entmax`; also for a target of another shape, out of range, or not of sum 1.

    References
    ----------
    Blondel, Martins and Niculae, "Learning with Fenchel-Young losses", JMLR 2020, section 4.3.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> logits = jnp.array([3.0, 0.0, 0.0])
    >>> jax.grad(lambda x: fastgrad.jax.sparse.entmax_loss(x, 1, alpha=1.5))(logits).round(3)
    Array([ 1., -1.,  0.], dtype=float32)
    """
    x, own = logits_of(logits)
    y, batch = jnp.asarray(target), x.shape[:-1]
    whole = jnp.issubdtype(y.dtype, jnp.integer)
    if y.shape != (batch if whole else x.shape):
        raise ValueError(
            f"target must have shape {batch} (integers) or {x.shape}, got {y.dtype} of "
            f"shape {y.shape}"
        )
    name = "entmax_loss" if whole else "entmax_loss_of_probabilities"
    rows = x.reshape(math.prod(batch), x.shape[-1])
    if whole:  # what is out of range stays so
        given = jnp.clip(y, -1, x.shape[-1]).astype(jnp.int32).reshape(len(rows))
    else:
        given = jax.lax.stop_gradient(real(y, "target")[0].astype(x.dtype)).reshape(rows.shape)
    return differentiable(name, alpha=_checked(alpha))(rows, given)[0].reshape(batch).astype(own)


def sparsemax_loss(logits: JaxArray, target: JaxArray) -> jax.Array:
    """Compute the loss of `sparsemax` for each row: `entmax_loss` with alpha = 2.

    Parameters, errors and results are those of `entmax_loss`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.sparse.sparsemax_loss(jnp.zeros(2), 0)
    Array(0.25, dtype=float32)
    """
    return entmax_loss(logits, target, alpha=2.0)


def entmax15_loss(logits: JaxArray, target: JaxArray) -> jax.Array:
    """Compute the loss of `entmax15` for each row: `entmax_loss` with alpha = 1.5.

    Parameters, errors and results are those of `entmax_loss`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> round(float(fastgrad.jax.sparse.entmax15_loss(jnp.zeros(2), 0)), 4)
    0.3905
    """
    return entmax_loss(logits, target, alpha=1.5)


def gumbel_entmax(
    logits: JaxArray,
    key: JaxKey,
    *,
    alpha: float,
    temperature: Any,
    num_samples: int | None = None,
    row_offset: Any = 0,
    sample_offset: Any = 0,
) -> jax.Array:
    """Draw relaxed samples with exact zeros: `fastgrad.sparse.gumbel_entmax` in a JAX program.

    Parameters
    ----------
    logits, alpha
        As in `entmax`.
    key, temperature, num_samples, row_offset, sample_offset
        As in `fastgrad.jax.gumbel_softmax`.

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples
        Points of the simplex, in the dtype of the logits. The gradient draws the noise again.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `entmax` and `fastgrad.jax.gumbel_softmax`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> x = fastgrad.jax.sparse.gumbel_entmax(jnp.zeros((4, 9)), 0, alpha=1.5, temperature=0.5)
    >>> x.shape, bool((x == 0).any())
    ((4, 9), True)
    """
    x, own = logits_of(logits)
    count, lead = _validate.samples(num_samples)
    where = placed(x, key, row_offset, sample_offset, count)
    function = differentiable("entmax", samples=count, alpha=_checked(alpha), noisy=True)
    found = function(*where, inverse(temperature, x.dtype))[0]
    return found.reshape(*lead, *x.shape).astype(own)


def gumbel_sparsemax(
    logits: JaxArray,
    key: JaxKey,
    *,
    temperature: Any,
    num_samples: int | None = None,
    row_offset: Any = 0,
    sample_offset: Any = 0,
) -> jax.Array:
    """Draw relaxed samples that are mostly zeros: `gumbel_entmax` with alpha = 2.

    Parameters, errors and results are those of `gumbel_entmax`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.sparse.gumbel_sparsemax(jnp.zeros(9), 0, temperature=0.5, num_samples=2).shape
    (2, 9)
    """
    return gumbel_entmax(
        logits,
        key,
        alpha=2.0,
        temperature=temperature,
        num_samples=num_samples,
        row_offset=row_offset,
        sample_offset=sample_offset,
    )


def _checked(alpha: Any) -> float:
    """Return alpha as a number that is in range."""
    curve(known(alpha, "alpha"))
    return float(alpha)
