"""The functions of the NumPy API on arrays of JAX: subsets and permutations."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from fastgrad import _validate
from fastgrad.distributions.sinkhorn import Sinkhorn
from fastgrad.jax import structured_operations as structured_operations  # fills the table
from fastgrad.jax.gradients import differentiable
from fastgrad.jax.keys import Address, JaxKey, address, nowhere
from fastgrad.jax.operands import JaxArray, flag, inverse, known, logits_of, placed, real

__all__ = ["gumbel_sinkhorn", "k_hot", "marginals", "relaxed_top_k", "sinkhorn", "soft_permute"]


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
    k = _validate.integer(k, "k", 1, x.shape[-1])
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
    temperature : float or array of one number
        Temperature of the softmaxes, above 0; it may be traced. It has no gradient.

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
    k = _validate.integer(k, "k", 1, x.shape[-1])
    count, lead = _validate.samples(num_samples)
    rows, where = placed(x, key, row_offset, sample_offset, count)
    scale = inverse(temperature, x.dtype)
    function = differentiable("relaxed_top_k", samples=count, k=k)
    return function(rows, where, scale)[0].reshape(*lead, *x.shape).astype(own)


def k_hot(
    logits: JaxArray,
    k: int,
    key: JaxKey,
    *,
    num_samples: int | None = None,
    row_offset: Any = 0,
    sample_offset: Any = 0,
) -> jax.Array:
    """Draw sets of k items, whose gradient is that of their marginals: the estimator SIMPLE.

    The samples are those of `fastgrad.subset.k_hot`. The gradient is biased, but for a loss that is
    linear in them.

    Parameters
    ----------
    logits, key, num_samples, row_offset, sample_offset
        As in `sample`.
    k : int
        Size of the set, at most the number of logits above -inf in every row.

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples
        1 at the k items of the set, 0 elsewhere.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `marginals` and `sample`.

    References
    ----------
    Ahmed, Zeng, Niepert and Van den Broeck, "SIMPLE: a gradient estimator for k-subset sampling",
    ICLR 2023.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.k_hot(jnp.zeros(6), 2, 0, num_samples=5).sum(axis=-1)
    Array([2., 2., 2., 2., 2.], dtype=float32)
    """
    x, own = logits_of(logits)
    k = _validate.integer(k, "k", 1, x.shape[-1])
    count, lead = _validate.samples(num_samples)
    rows, where = placed(x, key, row_offset, sample_offset, count)
    function = differentiable("k_hot", samples=count, k=k)
    return function(rows, where)[0].reshape(*lead, *x.shape).astype(own)


def soft_permute(scores: JaxArray, x: JaxArray, *, temperature: float) -> jax.Array:
    """Put items in the order of their scores, softly: `fastgrad.permutation.soft_permute`.

    Parameters
    ----------
    scores : array, shape (*batch, N)
        Scores, the largest of which comes first.
    x : array, shape (*batch, N, D)
        The items.
    temperature : float
        In the units of the scores, above 0, known when the program is traced.

    Returns
    -------
    array, shape (*batch, N, D)
        In the dtype of x. Scores and items have a gradient.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As `fastgrad.permutation.soft_permute`.

    Examples
    --------
    >>> import jax.numpy as jnp, numpy as np, fastgrad.jax
    >>> x = jnp.array([[10.0], [20.0], [30.0]])
    >>> found = fastgrad.jax.soft_permute(jnp.array([0.0, 2.0, 1.0]), x, temperature=0.1)
    >>> np.asarray(found).round(2).ravel()
    array([20., 30., 10.], dtype=float32)
    """
    (items, own), (s, _) = real(x, "x"), real(scores, "scores")
    if items.ndim < 2 or s.shape != items.shape[:-1]:
        shapes = f"{s.shape} and {items.shape}"
        raise ValueError(f"scores and x must have shapes (*batch, N) and (*batch, N, D): {shapes}")
    count = math.prod(s.shape[:-1])
    heat = _validate.temperature(known(temperature, "temperature"))
    flat = items.reshape(count, *items.shape[-2:]), s.reshape(count, s.shape[-1])
    return differentiable("soft_permute", temperature=heat)(*flat)[0].reshape(x.shape).astype(own)


def sinkhorn(
    log_alpha: JaxArray,
    *,
    temperature: Any = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    newton: bool = True,
) -> Sinkhorn:
    """Scale matrices until rows and columns sum to 1: `fastgrad.permutation.sinkhorn`.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        Score of each pair; -inf is a pair that is never matched.
    temperature : float or array of one number
        Divisor of the scores, above 0; it may be traced. It has no gradient.
    tolerance, max_iterations, newton
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
    problems = _Problems(log_alpha)
    where = nowhere()  # not perturbed
    limits = _limits(tolerance, max_iterations, newton)
    return _scaled(problems, where, temperature, 0.0, (1, ()), limits)


def gumbel_sinkhorn(
    log_alpha: JaxArray,
    key: JaxKey,
    *,
    temperature: Any,
    num_samples: int | None = None,
    noise_scale: float = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    newton: bool = True,
    problem_offset: Any = 0,
    sample_offset: Any = 0,
) -> Sinkhorn:
    """Draw relaxed permutations: `fastgrad.permutation.gumbel_sinkhorn` inside a JAX program.

    The gradient draws the noise again, and is the implicit one of the solution.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        Score of each pair; -inf is a pair that is never matched.
    key, num_samples
        As in `sample`.
    temperature, tolerance, max_iterations, newton
        As in `sinkhorn`.
    noise_scale : float
        Factor of the noise, known when the program is traced.
    problem_offset, sample_offset : int or integer array of no axes
        Index of the first problem and of the first sample in a larger batch.

    Returns
    -------
    Sinkhorn
        Named tuple of `matrix`, `error` and `iterations`, each with the axis S first if num_samples
        is given.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `sinkhorn` and `sample`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> r = fastgrad.jax.gumbel_sinkhorn(jnp.zeros((3, 3)), 0, temperature=0.5, num_samples=4)
    >>> r.matrix.shape, bool((r.error <= 1e-4).all())
    ((4, 3, 3), True)
    """
    problems = _Problems(log_alpha)
    count = _validate.samples(num_samples)
    noise_scale = _validate.not_negative(known(noise_scale, "noise_scale"), "noise_scale")
    _validate.held(noise_scale, "noise_scale", problems.flat.dtype)
    size = len(problems.flat)
    offsets = problem_offset, sample_offset
    where = address(problems.flat, key, size, *offsets, count[0], "problem_offset")
    limits = _limits(tolerance, max_iterations, newton)
    return _scaled(problems, where, temperature, noise_scale, count, limits)


class _Problems:
    """A user's matrices as problems (B, n, m) with n <= m, and the way back."""

    def __init__(self, log_alpha: JaxArray) -> None:
        x, self.own = real(log_alpha, "log_alpha")
        if x.ndim < 2 or 0 in x.shape[-2:]:
            raise ValueError(
                f"log_alpha must have shape (*batch, N, M) with N, M >= 1, got {x.shape}"
            )
        self.shape, self.batch = x.shape, x.shape[:-2]
        self.transposed = x.shape[-2] > x.shape[-1]
        self.flat = self._turned(x.reshape(math.prod(self.batch), *x.shape[-2:]))

    def restored(self, matrix: jax.Array, lead: tuple[int, ...]) -> jax.Array:
        """Return matrices (S, B, n, m) in the user's shape, with the leading axes `lead`."""
        return self._turned(matrix).reshape(*lead, *self.shape).astype(self.own)

    def _turned(self, x: jax.Array) -> jax.Array:
        return x.swapaxes(-1, -2) if self.transposed else x


def _limits(tolerance: Any, max_iterations: Any, newton: Any) -> dict[str, Any]:
    return {
        "tolerance": _validate.not_negative(known(tolerance, "tolerance"), "tolerance"),
        "max_iterations": _validate.integer(max_iterations, "max_iterations", 1),
        "newton": flag(newton, "newton"),
    }


def _scaled(
    problems: _Problems,
    where: Address,
    temperature: Any,
    noise_scale: float,
    count: tuple[int, tuple[int, ...]],
    limits: dict[str, Any],
) -> Sinkhorn:
    samples, lead = count
    dtype, batch = problems.flat.dtype, (*lead, *problems.batch)
    scales = inverse(temperature, dtype), jnp.asarray(noise_scale, dtype)
    solve = differentiable("sinkhorn", samples=samples, **limits)
    matrix, error, iterations = solve(problems.flat, where, *scales)
    others = error.reshape(batch), iterations.reshape(batch)
    return Sinkhorn(problems.restored(matrix, lead), *others)  # pyright: ignore
