"""What users of JAX pass, as operands of the operations; checked when a program is traced."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fastgrad import _validate
from fastgrad.estimators.base import Estimator
from fastgrad.jax.keys import Address, JaxKey, address

JaxArray: TypeAlias = Any  # what jnp.asarray takes


def real(x: JaxArray, name: str) -> tuple[jax.Array, Any]:
    """Return an array as float32 or float64, and the type in which results are wanted."""
    try:
        x = jnp.asarray(x)
    except (TypeError, ValueError) as error:  # whose words do not name the argument
        raise TypeError(f"{name} must be real numbers, got {x!r}") from error
    if not all(isinstance(n, int) for n in x.shape):
        raise TypeError(f"{name} must have a shape that is known, got {x.shape}")
    if not (jnp.issubdtype(x.dtype, jnp.floating) or jnp.issubdtype(x.dtype, jnp.integer)):
        raise TypeError(f"{name} must be real, got dtype {x.dtype}")
    own = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.asarray(0.0).dtype
    return x.astype(own if own in (jnp.float32, jnp.float64) else jnp.float32), own


def logits_of(logits: JaxArray, name: str = "logits") -> tuple[jax.Array, Any]:
    """Return logits as `real` does, if they have at least one category."""
    x, own = real(logits, name)
    if x.ndim == 0 or x.shape[-1] < 1:
        raise ValueError(f"{name} must have shape (*batch, K) with K >= 1, got {x.shape}")
    return x, own


def placed(
    x: jax.Array, key: JaxKey, row_offset: Any, sample_offset: Any, count: int
) -> tuple[jax.Array, Address]:
    """Return logits as rows, and the words that name their noise."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return rows, address(rows, key, len(rows), row_offset, sample_offset, count)


def inverse(temperature: Any, dtype: Any) -> jax.Array:
    """Return the inverse of a temperature: computed as for NumPy where it is known."""
    traced = isinstance(temperature, Tracer)
    if not traced and (isinstance(temperature, numbers.Real) or np.size(temperature) == 1):
        return jnp.asarray(_validate.scale(np.dtype(dtype), np.asarray(temperature).item()))
    t = one_number(jnp.asarray(temperature), jnp.floating, jnp.integer)
    return jax.lax.stop_gradient(1 / t.astype(dtype))


def one_number(t: jax.Array, *kinds: Any) -> jax.Array:
    """Return a temperature without axes, if it is one number of these kinds."""
    if t.size != 1 or not any(jnp.issubdtype(t.dtype, kind) for kind in kinds):
        raise ValueError(
            f"temperature must be one number for all rows, got {t.dtype} of shape {t.shape}"
        )
    return t.reshape(())


def known(value: Any, name: str) -> Any:
    """Return a value unless it is only known when the program runs."""
    if isinstance(value, Tracer):
        raise TypeError(f"{name} must be known when the program is traced, got a tracer")
    return value


def flag(value: Any, name: str) -> bool:
    """Return whether an option is on."""
    return bool(known(value, name))


def answers(f: Callable[..., Any], dtype: Any, estimator: Estimator) -> Callable[..., Any]:
    """Return f as a function of floats, in that dtype where it counts or says yes and no."""
    if not callable(f):
        raise TypeError(f"f must be a function that JAX can trace, got {f!r}")
    kind = "floating" if "grad" in estimator.needs else "real"

    def checked(part: Any) -> Any:
        if not isinstance(part, (jax.Array, np.ndarray, np.generic)):
            got = type(part).__name__
            raise TypeError(f"f must return an array of values, or values and credit, got {got}")
        if jnp.issubdtype(part.dtype, jnp.floating):
            return part
        if kind == "floating" or jnp.issubdtype(part.dtype, jnp.complexfloating):
            raise TypeError(f"f must return {kind} values for {estimator.name}, got {part.dtype}")
        return part.astype(dtype)

    def call(x: Any) -> Any:
        found = f(x)
        if isinstance(found, tuple) and len(found) == 2:
            return checked(found[0]), checked(found[1])
        return checked(found)

    return call
