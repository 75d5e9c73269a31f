"""Samples of continuous distributions inside a JAX program, differentiable by their parameters."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from fastgrad import _validate
from fastgrad.distributions.continuous import Continuous
from fastgrad.jax.calls import call
from fastgrad.jax.keys import JaxKey, words
from fastgrad.jax.operands import JaxArray, real
from fastgrad.jax.shared import while_used

__all__ = ["sample"]


def sample(
    family: type[Continuous],
    key: JaxKey,
    *,
    num_samples: int | None = None,
    **parameters: JaxArray,
) -> jax.Array:
    """Draw samples of a family of `fastgrad.continuous`, with the pathwise gradient.

    Parameters
    ----------
    family : type
        Such as ``fastgrad.continuous.Gamma``.
    key : jax.random.key, int or fastgrad.Key
        Names the noise, as in `fastgrad.jax.sample`. Under vmap, elements that share a key share
        its noise.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    **parameters : arrays
        Parameters of the family by name, of its shapes.

    Returns
    -------
    array, shape (S, *batch_shape, *event_shape), or without S where num_samples is None
        The samples that ``family(**parameters).sample`` draws of the same key. Their derivative by
        the parameters is that of `transform_vjp`: for `Gamma` and its kin that of implicit
        reparameterisation. Second derivatives are refused.

    Raises
    ------
    TypeError, ValueError
        When it is traced, for a wrong family, name, shape or key.
    jax.errors.JaxRuntimeError
        When it runs, if parameters are not finite or out of their ranges.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad as fg, fastgrad.jax
    >>> @jax.grad
    ... def slope(log_rate):
    ...     parameters = {"log_concentration": jnp.zeros(3), "log_rate": log_rate}
    ...     return fastgrad.jax.continuous.sample(fg.continuous.Gamma, 0, **parameters).sum()
    >>> slope(jnp.zeros(3)).shape
    (3,)
    """
    if not (
        isinstance(family, type) and issubclass(family, Continuous) and family is not Continuous
    ):
        raise TypeError(f"family must be one of fastgrad.continuous, got {family!r}")
    names = tuple(field.name for field in dataclasses.fields(family))
    if set(parameters) != set(names):
        raise TypeError(f"{family.__name__} has the parameters {names}, got {tuple(parameters)}")
    count, lead = _validate.samples(num_samples)
    given = [real(parameters[name], name) for name in names]
    dtype = jnp.result_type(*(x.dtype for x, _ in given))
    own = jnp.result_type(*(kind for _, kind in given))
    shapes = tuple(x.shape for x, _ in given)
    flat = [x.astype(dtype).reshape(math.prod(x.shape)) for x, _ in given]
    drawn = _drawing(family, names, shapes, count)(words(key), *flat)
    return drawn.reshape(*lead, *shapes[0]).astype(own)


@while_used
def _drawing(family: Any, names: Any, shapes: Any, samples: int) -> Any:
    options = {"family": family, "names": names, "shapes": shapes}

    @jax.custom_vjp
    def draw(key, *parameters):
        return call("draw", key, *parameters, samples=samples, **options)[0]

    def forward(key, *parameters):
        return draw(key, *parameters), (key, *parameters)

    def backward(residuals, cotangent):
        return None, *call("draw_vjp", *residuals, cotangent, **options)

    draw.defvjp(forward, backward)
    return draw
