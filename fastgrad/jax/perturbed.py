"""Perturbed optimisers inside a JAX program: any solver in NumPy as a layer with a gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import jax

from fastgrad import _validate
from fastgrad.jax.calls import call
from fastgrad.jax.gradients import differentiable
from fastgrad.jax.keys import JaxKey, words
from fastgrad.jax.operands import JaxArray, known, real
from fastgrad.jax.shared import while_used
from fastgrad.perturbed.solver import NOISES, Noise

__all__ = ["fenchel_young", "solve", "spo_plus"]


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
        as in `fastgrad.perturbed.solve`. The same object makes the same program, and goes with it:
        of calls outside `jax.jit`, JAX keeps programs until `jax.clear_caches()`.
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
    x, own = _problems(solver, theta)
    least = 2 if control == "leave-one-out" else 1
    count = _validate.integer(num_samples, "num_samples", least)
    scale = _noise_scale(noise, noise_scale)
    _validate.choice(control, "control", ("leave-one-out", "unperturbed", "none"))
    ndim = _validate.integer(problem_ndim, "problem_ndim", 0, x.ndim)
    options = (solver, x.shape, count, noise, scale, control, ndim)
    flat = x.reshape(math.prod(x.shape))
    return _layer(*options)(flat, words(key)).reshape(x.shape).astype(own)


@while_used
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


def fenchel_young(
    solver: Callable[[Any], Any],
    theta: JaxArray,
    target: JaxArray,
    key: JaxKey,
    *,
    num_samples: int,
    noise: Noise = "gumbel",
    noise_scale: float = 1.0,
    problem_ndim: int = 1,
) -> jax.Array:
    """Compute the Fenchel-Young loss of a perturbed solver inside a JAX program.

    Parameters
    ----------
    solver, theta, key, num_samples, noise, noise_scale, problem_ndim
        As in `solve`.
    target : array, the shape of theta
        The solutions observed, or their mean. It has no gradient.

    Returns
    -------
    array, shape (*batch)
        The losses of `fastgrad.perturbed.fenchel_young`, whose gradient is known with them: the
        mean solution less the target.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `solve`; when it runs, also if the target is not 0 where theta is -inf.

    References
    ----------
    Blondel, Martins and Niculae, "Learning with Fenchel-Young losses", JMLR 2020.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np, fastgrad.jax
    >>> def best(theta):
    ...     return np.eye(3)[theta.argmax(axis=-1)]
    >>> def loss(theta, target):
    ...     of_best = fastgrad.jax.perturbed.fenchel_young
    ...     return of_best(best, theta, target, 0, num_samples=100)
    >>> jnp.sign(jax.grad(loss)(jnp.zeros(3), jnp.array([0.0, 0.0, 1.0])))
    Array([ 1.,  1., -1.], dtype=float32)
    """
    x, own = _problems(solver, theta)
    count = _validate.integer(num_samples, "num_samples", 1)
    scale = _noise_scale(noise, noise_scale)
    options = {"samples": count, "noise": noise, "noise_scale": scale}
    operands = (_given(target, "target", x), words(key))
    return _losses("fenchel_young", solver, x, operands, problem_ndim, own, **options)


def spo_plus(
    solver: Callable[[Any], Any], theta: JaxArray, true_theta: JaxArray, *, problem_ndim: int = 1
) -> jax.Array:
    """Compute the SPO+ loss of predicted parameters inside a JAX program.

    Parameters
    ----------
    solver, problem_ndim
        As in `solve`.
    theta : array, shape (*batch, ...)
        Predicted parameters, finite.
    true_theta : array, the shape of theta
        The parameters that turned out to be right. They have no gradient.

    Returns
    -------
    array, shape (*batch)
        The losses of `fastgrad.perturbed.spo_plus`, whose gradient is its subgradient.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `solve`; when it runs, also if parameters are not finite.

    References
    ----------
    Elmachtoub and Grigas, "Smart 'predict, then optimize'", Management Science, 2022.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np, fastgrad.jax
    >>> def best(theta):
    ...     return np.eye(3)[theta.argmax(axis=-1)]
    >>> true = jnp.array([1.0, 2.0, 3.0])
    >>> loss = lambda theta: fastgrad.jax.perturbed.spo_plus(best, theta, true)
    >>> jax.grad(loss)(jnp.array([3.0, 0.0, 0.0]))
    Array([ 2.,  0., -2.], dtype=float32)
    """
    x, own = _problems(solver, theta)
    given = (_given(true_theta, "true_theta", x),)
    return _losses("spo_plus", solver, x, given, problem_ndim, own)


def _problems(solver: Any, theta: JaxArray) -> tuple[jax.Array, Any]:
    if not callable(solver):
        raise TypeError(f"solver must be a function of arrays, got {solver!r}")
    return real(theta, "theta")


def _noise_scale(noise: str, noise_scale: float) -> float:
    _validate.choice(noise, "noise", tuple(NOISES))
    return _validate.positive(known(noise_scale, "noise_scale"), "noise_scale")


def _given(target: JaxArray, name: str, x: jax.Array) -> jax.Array:
    """Return what goes with theta, in one axis."""
    y, _ = real(target, name)
    if y.shape != x.shape:
        raise ValueError(f"{name} must have shape {x.shape}, got {y.shape}")
    return jax.lax.stop_gradient(y.astype(x.dtype)).reshape(-1)


def _losses(
    name: str, solver: Any, x: jax.Array, operands: Any, problem_ndim: int, own: Any, **options: Any
) -> jax.Array:
    ndim = _validate.integer(problem_ndim, "problem_ndim", 0, x.ndim)
    options |= {"solver": solver, "shape": x.shape, "problem_ndim": ndim}
    loss, _ = differentiable(name, **options)(x.reshape(-1), *operands)
    return loss.reshape(x.shape[: x.ndim - ndim]).astype(own)
