"""The functions of the NumPy API on arrays of JAX: categorical variables and their relaxations."""

from __future__ import annotations

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

from fastgrad import _validate
from fastgrad.distributions.concrete import Relaxation
from fastgrad.jax.calls import call
from fastgrad.jax.gradients import differentiable, scored
from fastgrad.jax.keys import JaxKey
from fastgrad.jax.operands import JaxArray, flag, inverse, logits_of, placed, real
from fastgrad.kernels.distributions.concrete import HARD, LOG, SOFT

__all__ = ["entropy", "gumbel_softmax", "kl_divergence", "log_prob", "relax", "sample"]


def sample(
    logits: JaxArray,
    key: JaxKey,
    *,
    num_samples: int | None = None,
    method: Literal["inverse", "gumbel"] = "inverse",
    row_offset: Any = 0,
    sample_offset: Any = 0,
) -> jax.Array:
    """Draw categories: `fastgrad.sample` inside a JAX program.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities. float16 and bfloat16 are computed in float32.
    key : jax.random.key, int or fastgrad.Key
        Names the noise: see `to_key`. An integer must be known when the program is traced.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    method : {"inverse", "gumbel"}
        As in `fastgrad.sample`.
    row_offset, sample_offset : int or integer array of no axes
        Index of the first row and of the first sample in a larger batch. A row offset of
        ``jax.lax.axis_index(name) * rows`` makes shards of one batch draw what one device would.
        Under `jax.vmap` a row offset that is mapped says where the rows of its logits begin.

    Returns
    -------
    array of int32, shape (S, *batch), or (*batch) without num_samples

    Raises
    ------
    TypeError, ValueError
        When it is traced, for a wrong key, shape or option.
    jax.errors.JaxRuntimeError
        When it runs, if the logits hold NaN or +inf, or a row of nothing but -inf.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> draw = jax.jit(lambda k: fastgrad.jax.sample(jnp.zeros((4, 3)), k, num_samples=10))
    >>> draw(jax.random.key(0)).shape
    (10, 4)
    """
    _validate.choice(method, "method", ("inverse", "gumbel"))
    x, _ = logits_of(logits)
    count, lead = _validate.samples(num_samples)
    rows, where = placed(x, key, row_offset, sample_offset, count)
    rows = jax.lax.stop_gradient(rows)
    (z,) = call("sample", rows, where, samples=count, method=method)
    return z.reshape(*lead, *x.shape[:-1])


def gumbel_softmax(
    logits: JaxArray,
    key: JaxKey,
    *,
    temperature: Any,
    num_samples: int | None = None,
    hard: bool = False,
    log: bool = False,
    row_offset: Any = 0,
    sample_offset: Any = 0,
) -> jax.Array:
    """Draw relaxed samples: `fastgrad.gumbel_softmax` inside a JAX program.

    The gradient is made of the samples themselves, which are kept for it; where they are hard, or
    logarithms, the noise is drawn again. The gradient of hard samples is the straight-through
    estimate; none flows to the temperature. To keep nothing, wrap the loss in `jax.checkpoint`.

    Parameters
    ----------
    logits, key, num_samples, row_offset, sample_offset
        As in `sample`.
    temperature : float or array of one number
        Divisor of the perturbed logits, above 0; it may be traced.
    hard, log : bool
        As in `fastgrad.gumbel_softmax`.

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `sample`; also for a temperature outside 2**-60 to 2**60.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> @jax.grad
    ... def slope(logits):
    ...     x = fastgrad.jax.gumbel_softmax(logits, jax.random.key(0), temperature=0.5)
    ...     return (x[:, 0] ** 2).sum()
    >>> slope(jnp.zeros((4, 3))).shape
    (4, 3)
    """
    hard, log = flag(hard, "hard"), flag(log, "log")
    if hard and log:
        raise ValueError(
            "log=True does not go with hard=True: a one-hot sample has no finite logarithm"
        )
    x, own = logits_of(logits)
    count, lead = _validate.samples(num_samples)
    rows, where = placed(x, key, row_offset, sample_offset, count)
    mode = HARD if hard else LOG if log else SOFT
    scale = inverse(temperature, x.dtype)
    function = differentiable("gumbel_softmax", samples=count, mode=mode)
    return function(rows, where, scale)[0].reshape(*lead, *x.shape).astype(own)


def relax(
    logits: JaxArray,
    key: JaxKey,
    *,
    temperature: Any,
    num_samples: int | None = None,
    coupled: bool = False,
    log: bool = False,
    row_offset: Any = 0,
    sample_offset: Any = 0,
) -> Relaxation:
    """Draw samples with relaxations and scores: `fastgrad.relax` inside a JAX program.

    Parameters
    ----------
    logits, key, num_samples, row_offset, sample_offset
        As in `sample`.
    temperature : float or array of one number
        Divisor of the perturbed logits, above 0; it may be traced.
    coupled, log : bool
        As in `fastgrad.relax`.

    Returns
    -------
    Relaxation
        Named tuple of `sample`, `relaxed`, `conditional` and `score`. All but the first have
        gradients by the logits, for fixed noise. A program in which nothing depends on the score
        does not compute it.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `gumbel_softmax`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> r = fastgrad.jax.relax(jnp.zeros((4, 3)), 0, temperature=0.5, num_samples=10)
    >>> bool((r.conditional.argmax(-1) == r.sample).all())
    True
    """
    x, own = logits_of(logits)
    count, lead = _validate.samples(num_samples)
    rows, where = placed(x, key, row_offset, sample_offset, count)
    scale = inverse(temperature, x.dtype)
    options = {"coupled": flag(coupled, "coupled"), "log": flag(log, "log")}
    function = differentiable("relax", samples=count, **options)
    z, *pair = function(rows, where, scale)
    score: Any = scored(options["log"], rows, z, scale)
    others = (*pair, score)
    others = (y.reshape(*lead, *x.shape).astype(own) for y in others)
    return Relaxation(z.reshape(*lead, *x.shape[:-1]), *others)  # pyright: ignore


def log_prob(logits: JaxArray, z: JaxArray) -> jax.Array:
    """Compute the log probability of categories: `fastgrad.log_prob` inside a JAX program.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities.
    z : array of int, shape (*batch) or (S, *batch)
        Categories from 0 to K - 1.

    Returns
    -------
    array, the shape of z

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `sample`; also for categories out of range.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> logits = jnp.log(jnp.array([0.25, 0.75]))
    >>> jax.grad(fastgrad.jax.log_prob)(logits, 1).round(4)
    Array([-0.25,  0.25], dtype=float32)
    """
    x, own = logits_of(logits)
    z, batch = jnp.asarray(z), x.shape[:-1]
    if not jnp.issubdtype(z.dtype, jnp.integer):
        raise TypeError(f"z must hold integers, got dtype {z.dtype}")
    if z.shape != batch and z.shape[1:] != batch:
        raise ValueError(f"z must have shape {batch} or (S, *{batch}), got {z.shape}")
    count = z.shape[0] if z.shape != batch else 1
    rows = x.reshape(math.prod(batch), x.shape[-1])
    flat = jnp.clip(z, -1, x.shape[-1]).astype(jnp.int32)  # what is out of range stays so
    flat = flat.reshape(count, math.prod(batch))
    return differentiable("log_prob")(rows, flat)[0].reshape(z.shape).astype(own)


def entropy(logits: JaxArray) -> jax.Array:
    """Compute the entropy of each row in nats: `fastgrad.entropy` inside a JAX program.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities.

    Returns
    -------
    array, shape (*batch)

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `sample`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> jax.jit(fastgrad.jax.entropy)(jnp.zeros((2, 4)))
    Array([1.3862944, 1.3862944], dtype=float32)
    """
    x, own = logits_of(logits)
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return differentiable("entropy")(rows)[0].reshape(x.shape[:-1]).astype(own)


def kl_divergence(p_logits: JaxArray, q_logits: JaxArray) -> jax.Array:
    """Compute the divergence of q from p in nats: `fastgrad.kl_divergence` inside a JAX program.

    Parameters
    ----------
    p_logits, q_logits : array, shape (*batch, K)
        Unnormalised log probabilities; their batches broadcast. Both have a gradient.

    Returns
    -------
    array, shape (*batch)

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `sample`; also for different numbers of categories.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> p, q = jnp.zeros(2), jnp.log(jnp.array([0.25, 0.75]))
    >>> round(float(jax.jit(fastgrad.jax.kl_divergence)(p, q)), 4)
    0.1438
    """
    (p, own), (q, other) = real(p_logits, "p_logits"), real(q_logits, "q_logits")
    if 0 in (p.ndim, q.ndim) or p.shape[-1] != q.shape[-1]:
        raise ValueError(
            f"q_logits must have as many categories as p_logits, {p.shape}, got {q.shape}"
        )
    dtype = jnp.result_type(p.dtype, q.dtype)
    shape = jnp.broadcast_shapes(p.shape, q.shape)
    rows = (math.prod(shape[:-1]), shape[-1])
    p, q = (jnp.broadcast_to(x.astype(dtype), shape).reshape(rows) for x in (p, q))
    found = differentiable("kl_divergence")(p, q)[0].reshape(shape[:-1])
    return found.astype(jnp.result_type(own, other))
