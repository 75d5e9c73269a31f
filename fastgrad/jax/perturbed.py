"""Perturbed optimisers inside a JAX program: any solver in NumPy as a layer with a gradient."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax

from fastgrad import _validate
from fastgrad.jax.calls import call
from fastgrad.jax.keys import JaxKey, words
from fastgrad.jax.operands import JaxArray, known, real
from fastgrad.perturbed.solver import NOISES, Noise

__all__ = ["solve"]


def solve(
    solver: Callable[[Any], Any],
    theta: JaxArray,
    key: JaxKey,
    *,
    num_samples: int,
    noise: Noise = "gumbel",
    noise_scale: float = 1.0,
    control: Literal["leave-one-out", "unperturbed", "none"] = "leave-one-out",
    problem_ndim: int = 1,
) -> jax.Array:
    """Return the mean solution of perturbed problems, with the gradient of `solve_vjp`.

    Parameters
    ----------
    solver : callable
        Function of NumPy arrays (not of JAX's, which may not be touched while a program runs),
        as in `fastgrad.perturbed.solve`. The same object makes the same program.
    theta : array, shape (*batch, ...)
        Parameters of the problems; -inf stays as it is.
    key : jax.random.key, int or fastgrad.Key
        Names the noise, as in `fastgrad.jax.sample`. Under vmap, elements that share a key share
        its noise.
    num_samples, noise, noise_scale
        As in `fastgrad.perturbed.solve`, known when the program is traced.
    control, problem_ndim
        As in `fastgrad.perturbed.solve_vjp`.

    Returns
    -------
    array, the shape of theta
        The mean of the solutions that `fastgrad.perturbed.solve` returns for the same key. They are
        kept for the backward pass, which solves no problem but that of "unperturbed".

    Raises
    ------
    TypeError, ValueError
        When it is traced, for a wrong key or option.
    jax.errors.JaxRuntimeError
        When it runs, if theta holds NaN or +inf, or for what the solver raises or returns.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np, fastgrad.jax
    >>> def best(theta):
    ...     return np.eye(3)[theta.argmax(axis=-1)]
    >>> @jax.jit
    ... def value(theta):
    ...     return fastgrad.jax.perturbed.solve(best, theta, 0, num_samples=100) @ jnp.arange(3.0)
    >>> jax.grad(value)(jnp.zeros(3)).shape
    (3,)
    """
    if not callable(solver):
        raise TypeError(f"solver must be a function of arrays, got {solver!r}")
    x, own = real(theta, "theta")
    least = 2 if control == "leave-one-out" else 1
    count = _validate.integer(num_samples, "num_samples", least)
    _validate.choice(noise, "noise", tuple(NOISES))
    _validate.choice(control, "control", ("leave-one-out", "unperturbed", "none"))
    scale = _validate.positive(known(noise_scale, "noise_scale"), "noise_scale")
    ndim = _validate.integer(problem_ndim, "problem_ndim", 0, x.ndim)
    options = (solver, x.shape, count, noise, scale, control, ndim)
    flat = x.reshape(math.prod(x.shape))
    return _layer(*options)(flat, words(key)).reshape(x.shape).astype(own)


@functools.lru_cache(256)
def _layer(
    solver: Any, shape: Any, samples: int, noise: str, scale: float, control: str, ndim: int
) -> Any:
    options = {"solver": solver, "shape": shape, "noise": noise, "noise_scale": scale}

    @jax.custom_vjp
    def mean(theta, key):
        return forward(theta, key)[0]

    def forward(theta, key):
        (y,) = call("solve", theta, key, samples=samples, **options)
        return y.mean(axis=0), (theta, key, y)

    def backward(residuals, cotangent):
        how = {"control": control, "problem_ndim": ndim}
        (grad,) = call("solve_vjp", *residuals, cotangent, **options, **how)
        return grad, None

    mean.defvjp(forward, backward)
    return mean
