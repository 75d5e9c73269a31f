"""Gates of Bernoulli logits inside a JAX program: of the functions of `fastgrad.bernoulli`."""

from __future__ import annotations

import math
from typing import Any

import jax

from fastgrad import _validate
from fastgrad.distributions.hard_concrete import STRETCH, TEMPERATURE, interval
from fastgrad.jax.gradients import differentiable
from fastgrad.jax.keys import JaxKey, address
from fastgrad.jax.operands import JaxArray, known, real

__all__ = ["hard_concrete", "hard_concrete_active"]


def hard_concrete(
    logits: JaxArray,
    key: JaxKey,
    *,
    temperature: float = TEMPERATURE,
    stretch: tuple[float, float] = STRETCH,
    num_samples: int | None = None,
    site_offset: Any = 0,
    sample_offset: Any = 0,
) -> jax.Array:
    """Draw gates that may be exactly 0 or 1: `fastgrad.bernoulli.hard_concrete` in a JAX program.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds. float16 and bfloat16 are computed in float32.
    key, num_samples, sample_offset
        As in `fastgrad.jax.sample`.
    temperature, stretch
        As in `fastgrad.bernoulli.hard_concrete`, known when the program is traced.
    site_offset
        Index of the first variable in a larger batch.

    Returns
    -------
    array, shape (S, *batch), or (*batch) without num_samples
        From 0 to 1, in the dtype of the logits. The gradient draws the noise again.

    Raises
    ------
    TypeError, ValueError
        When it is traced, for a wrong key or option.
    jax.errors.JaxRuntimeError
        When it runs, if the logits hold NaN.

    References
    ----------
    Louizos, Welling and Kingma, "Learning sparse neural networks through L0 regularization", ICLR
    2018.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> draw = jax.jit(fastgrad.jax.bernoulli.hard_concrete)
    >>> z = draw(jnp.zeros(1000), jax.random.key(0))
    >>> bool((z == 0).any()), bool((z == 1).any())
    (True, True)
    """
    x, own = real(logits, "logits")
    count, lead = _validate.samples(num_samples)
    sites = x.reshape(math.prod(x.shape))
    where = address(sites, key, len(sites), site_offset, sample_offset, count, "site_offset")
    function = differentiable("hard_concrete", samples=count, **_options(temperature, stretch))
    return function(sites, where)[0].reshape(*lead, *x.shape).astype(own)


def hard_concrete_active(
    logits: JaxArray,
    *,
    temperature: float = TEMPERATURE,
    stretch: tuple[float, float] = STRETCH,
) -> jax.Array:
    """Compute the probability that a gate is not 0: `fastgrad.bernoulli.hard_concrete_active`.

    Parameters, results and errors are those of `hard_concrete`, without samples.

    Examples
    --------
    >>> import jax.numpy as jnp, numpy as np, fastgrad.jax
    >>> p = fastgrad.jax.bernoulli.hard_concrete_active(jnp.array([-4.0, 0.0, 4.0]))
    >>> np.asarray(p).round(3)
    array([0.083, 0.832, 0.996], dtype=float32)
    """
    x, own = real(logits, "logits")
    function = differentiable("hard_concrete_active", **_options(temperature, stretch))
    return function(x.reshape(math.prod(x.shape)))[0].reshape(x.shape).astype(own)


def _options(temperature: float, stretch: tuple[float, float]) -> dict[str, Any]:
    """Return options, checked."""
    heat = _validate.temperature(known(temperature, "temperature"))
    return {"temperature": heat, "stretch": interval(stretch)}
