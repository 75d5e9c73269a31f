"""Gradients through any solver of ``argmax <y, theta>``, by perturbing what it is given.

The solver is the user's function: a shortest path, a matching, the top k. It takes parameters of
shape (S, *theta.shape) and returns solutions y of that shape. Noise makes the mean solution smooth
in theta: `solve` draws solutions, and `solve_vjp` estimates the derivative of their mean without
bias. `imle_vjp` and `aimle_vjp` are finite differences of solutions, biased and less noisy.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.perturbed.solver import (
    Noise,
    Solver,
    call,
    draw_noise,
    known_solutions,
    parameters,
    perturb,
    problem_axes,
    size_of_noise,
)
from fastgrad.random import RNG, as_key, replayed_key

__all__ = ["solve", "solve_vjp"]

CONTROLS = ("leave-one-out", "unperturbed", "none")


def solve(
    solver: Solver,
    theta: ArrayLike,
    *,
    num_samples: int,
    rng: RNG,
    noise: Noise = "gumbel",
    noise_scale: float = 1.0,
    sample_offset: int = 0,
) -> FloatArray:
    """Draw solutions of perturbed problems: ``solver(theta + noise_scale * noise)``.

    Parameters
    ----------
    solver : callable
        Function that takes parameters of shape (S, *theta.shape) and returns solutions of that
        shape.
    theta : array, shape (*batch, ...)
        Parameters of the problems, float32 or float64; -inf stays as it is.
    num_samples : int
        Number of perturbed problems S.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness; the same seed or key gives the same samples.
    noise : {"gumbel", "normal", "lognormal"}
        Distribution of the noise that is added to theta. Log-normal noise multiplies it instead, by
        ``exp(noise_scale * Z - noise_scale**2 / 2)`` with Z normal, of mean 1: signs stay as they
        are, as solvers for positive costs demand.
    noise_scale : float
        Factor of the noise, at least 0.
    sample_offset : int
        Index of the first sample of a larger number: chunked calls with the right offsets equal one
        call.

    Returns
    -------
    array, shape (S, *theta.shape)
        Solutions, in the dtype of theta.

    Raises
    ------
    ValueError
        If theta holds NaN or +inf, or the solver returns another shape, or what is not finite.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> def best(theta):
    ...     return np.eye(3)[theta.argmax(axis=-1)]
    >>> theta = np.log([0.2, 0.3, 0.5])
    >>> fg.perturbed.solve(best, theta, num_samples=20_000, rng=0).mean(axis=0).round(1)
    array([0.2, 0.3, 0.5])

    References
    ----------
    Berthet et al., "Learning with differentiable perturbed optimizers", NeurIPS 2020. Log-normal:
    Dalle, Baty, Bouvier and Parmentier, "Learning with combinatorial optimization layers: a
    probabilistic approach", 2022.
    """
    if type(theta) is not ndarray and foreign(theta):
        return in_kind(solve, theta, locals())
    theta = parameters(solver, theta, noise)
    count, _ = _validate.samples(num_samples)
    scale = size_of_noise(noise_scale, theta.dtype)
    z = draw_noise(theta, count, as_key(rng), noise, 1.0, sample_offset)
    return call(solver, perturb(theta, z, noise, scale))


def solve_vjp(
    solver: Solver,
    theta: ArrayLike,
    cotangent: ArrayLike,
    *,
    num_samples: int,
    rng: RNG,
    solutions: ArrayLike | None = None,
    noise: Noise = "gumbel",
    noise_scale: float = 1.0,
    control: Literal["leave-one-out", "unperturbed", "none"] = "leave-one-out",
    problem_ndim: int = 1,
    sample_offset: int = 0,
) -> FloatArray:
    """Multiply a cotangent with the Jacobian of the mean solution, estimated without bias.

    The estimate is the mean over samples of
    ``(<y_s, cotangent> - baseline) * grad nu(Z_s) / noise_scale``, where exp(-nu) is the density of
    the noise Z. With log-normal noise it is further divided by theta.

    Parameters
    ----------
    solver : callable
        Function that takes parameters of shape (S, *theta.shape) and returns solutions of that
        shape.
    theta : array, shape (*batch, ...)
        Parameters of the problems, as in the forward call.
    cotangent : array, the shape of theta
        Derivative of a loss with respect to the mean solution.
    num_samples, noise, noise_scale, sample_offset
        As in the forward call; noise_scale is above 0.
    rng : int, SeedSequence or Key
        The seed or key of the forward call. A Generator is refused: its state has moved on.
    solutions : array, shape (S, *theta.shape), optional
        Solutions that the forward call returned; by default the problems are solved again.
    control : {"leave-one-out", "unperturbed", "none"}
        Baseline, which does not change the mean: the mean of the other samples' products, the
        product of the solution without noise (solved for once), or 0.
    problem_ndim : int
        Number of trailing axes that make up one problem. The axes before them are a batch, whose
        gradients do not mix.

    Returns
    -------
    array, the shape of theta
        Gradient with respect to theta, in its dtype; 0 where theta is -inf.

    Raises
    ------
    ValueError
        If theta holds NaN or +inf, shapes do not fit, or the solver returns what is not finite.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> grad = fg.perturbed.solve_vjp(  # of an identity: the cotangent, up to noise
    ...     lambda theta: theta, np.zeros(2), np.array([1.0, -1.0]), num_samples=100_000, rng=0
    ... )
    >>> bool(abs(grad - [1.0, -1.0]).max() < 0.05)
    True

    References
    ----------
    Berthet et al., "Learning with differentiable perturbed optimizers", NeurIPS 2020, prop. 3.1.
    """
    if type(theta) is not ndarray and foreign(theta):
        return in_kind(solve_vjp, theta, locals())
    _validate.choice(control, "control", CONTROLS)
    key, theta = replayed_key(rng), parameters(solver, theta, noise)
    count = _validate.integer(num_samples, "num_samples", 2 if control == CONTROLS[0] else 1)
    axes = problem_axes(theta, problem_ndim)
    r = _validate.like(cotangent, theta.shape, theta.dtype, "cotangent")
    scale = size_of_noise(_validate.positive(noise_scale, "noise_scale"), theta.dtype)
    if noise == "lognormal" and not theta.all():
        raise ValueError("theta must not be 0 for lognormal noise, got 0")
    z = draw_noise(theta, count, key, noise, 1.0, sample_offset)
    if solutions is None:
        y = call(solver, perturb(theta, z, noise, scale))
    else:
        y = known_solutions(solutions, z.shape, theta.dtype)
    signal = (y * r).sum(axis=axes, keepdims=True)
    if control == "leave-one-out":
        signal = (signal - signal.mean(axis=0)) * (count / (count - 1))
    elif control == "unperturbed":
        signal -= (call(solver, theta[None]) * r).sum(axis=axes, keepdims=True)
    slope = 1 - np.exp(-z) if noise == "gumbel" else z
    grad = (signal * slope).mean(axis=0) / theta.dtype.type(scale)
    if noise == "lognormal":
        grad /= theta
    return np.where(np.isneginf(theta), theta.dtype.type(0), grad)
