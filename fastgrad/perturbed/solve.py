"""Gradients through any solver of ``argmax <y, theta>``, by perturbing what it is given.

The solver is the user's: a shortest path, a matching, the top k. It takes parameters
(S, *theta.shape) and returns solutions y of that shape. Noise makes the mean solution smooth in
theta: `solve` draws solutions, `solve_vjp` is the derivative of their mean, without bias;
`imle_vjp` and `aimle_vjp` are finite differences of solutions, biased and less noisy.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad.perturbed.solver import call, draw_noise, parameters, problem_axes
from fastgrad.random import as_key, replayed_key

__all__ = ["solve", "solve_vjp"]

CONTROLS = ("leave-one-out", "unperturbed", "none")


def solve(solver, theta, *, num_samples, rng, noise="gumbel", noise_scale=1.0, sample_offset=0):
    """Draw solutions of perturbed problems: ``solver(theta + noise_scale * noise)``.

    Parameters
    ----------
    solver : callable
        Takes an array (S, *theta.shape), returns solutions of that shape.
    theta : array, shape (*batch, ...)
        float32 or float64; -inf stays as it is.
    num_samples : int
        S.
    rng : int, SeedSequence, Generator or Key
    noise : {"gumbel", "normal"}
    noise_scale : float
        Above 0.
    sample_offset : int
        Where samples stand in the whole: chunks join to what one call would give.

    Returns
    -------
    array, shape (S, *theta.shape)
        In the dtype of theta.

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
    Berthet et al., "Learning with differentiable perturbed optimizers", NeurIPS 2020.
    """
    theta = parameters(theta)
    count, _ = _validate.samples(num_samples)
    z = draw_noise(theta, count, as_key(rng), noise, noise_scale, sample_offset)
    return call(solver, theta + z)


def solve_vjp(
    solver,
    theta,
    cotangent,
    *,
    num_samples,
    rng,
    solutions=None,
    noise="gumbel",
    noise_scale=1.0,
    control="leave-one-out",
    problem_ndim=1,
    sample_offset=0,
):
    """Product of a cotangent with the Jacobian of the mean solution, without bias.

    It is the mean of ``(<y_s, cotangent> - baseline) * grad nu(Z_s) / noise_scale``, exp(-nu) being
    the density of the noise Z.

    Parameters
    ----------
    solver : callable
    theta : array, shape (*batch, ...)
    cotangent : array, the shape of theta
        Derivative of a loss with respect to the mean solution.
    num_samples, noise, noise_scale, sample_offset
        As in the forward call.
    rng : int, SeedSequence or Key
        What the forward call was given; not a Generator, whose state has moved on.
    solutions : array, shape (S, *theta.shape), optional
        What the forward call returned; by default the problems are solved again.
    control : {"leave-one-out", "unperturbed", "none"}
        The baseline, which does not change the mean: that of the other samples, that of the
        solution without noise (solved for once), or 0.
    problem_ndim : int
        Trailing axes that make up one problem; those before are a batch, which does not mix.

    Returns
    -------
    array, the shape of theta

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
    _validate.choice(control, "control", CONTROLS)
    key, theta = replayed_key(rng), parameters(theta)
    count = _validate.integer(num_samples, "num_samples", 2 if control == CONTROLS[0] else 1)
    axes = problem_axes(theta, problem_ndim)
    r = _validate.like(cotangent, theta.shape, theta.dtype, "cotangent")
    z = draw_noise(theta, count, key, noise, 1.0, sample_offset)
    scale = _validate.positive(noise_scale, "noise_scale")
    if solutions is None:
        y = call(solver, theta + theta.dtype.type(scale) * z)
    else:
        y = _validate.like(solutions, z.shape, theta.dtype, "solutions")
    signal = (y * r).sum(axis=axes, keepdims=True)
    if control == "leave-one-out":
        signal = (signal - signal.mean(axis=0)) * (count / (count - 1))
    elif control == "unperturbed":
        signal -= (call(solver, theta[None]) * r).sum(axis=axes, keepdims=True)
    slope = 1 - np.exp(-z) if noise == "gumbel" else z
    grad = (signal * slope).mean(axis=0) / theta.dtype.type(scale)
    return np.where(np.isneginf(theta), theta.dtype.type(0), grad)
