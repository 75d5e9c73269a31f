"""Losses of a solver's parameters, given the solution or the parameters that are right."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.perturbed.solver import (
    Noise,
    Solver,
    call,
    draw_noise,
    factors,
    parameters,
    perturb,
    problem_axes,
    size_of_noise,
)
from fastgrad.random import RNG, as_key

__all__ = ["fenchel_young", "spo_plus"]


def fenchel_young(
    solver: Solver,
    theta: ArrayLike,
    target: ArrayLike,
    *,
    num_samples: int,
    rng: RNG,
    noise: Noise = "gumbel",
    noise_scale: float = 1.0,
    problem_ndim: int = 1,
    sample_offset: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Compute the Fenchel-Young loss of a perturbed solver, and its gradient.

    It is ``E[max <y, theta + noise>] - <target, theta>``, with the mean over samples for E. It is
    convex in theta, and smallest where the mean solution is the target: its gradient is the mean
    solution less the target, so that no solver has to be differentiated. With log-normal noise each
    solution counts times the factor of its noise. (The conjugate of the first term at the target, a
    constant in theta, is left out.)

    Parameters
    ----------
    solver : callable
        Function that takes parameters of shape (S, *theta.shape) and returns the solutions y of
        that shape that maximise ``<y, parameters>``.
    theta : array, shape (*batch, ...)
        Parameters of the problems, float32 or float64; -inf forbids an entry.
    target : array, the shape of theta
        The solutions observed, or their mean.
    num_samples : int
        Number of perturbed problems S for each problem.
    rng : int, SeedSequence, Generator or Key
    noise, noise_scale, sample_offset
        As for `solve`.
    problem_ndim : int
        Number of trailing axes that make up one problem.

    Returns
    -------
    loss : array, shape (*batch)
        One for each problem.
    grad : array, the shape of theta
        Gradient of the sum of the losses; 0 where theta is -inf.

    Raises
    ------
    ValueError
        If theta holds NaN or +inf, shapes do not fit, the solver returns what is not finite, or the
        target is not 0 where theta is -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> def best(theta):
    ...     return np.eye(3)[theta.argmax(axis=-1)]
    >>> theta, target = np.zeros(3), np.array([0.7, 0.2, 0.1])
    >>> for step in range(300):
    ...     _, grad = fg.perturbed.fenchel_young(best, theta, target, num_samples=100, rng=step)
    ...     theta -= grad * 0.5
    >>> (np.exp(theta) / np.exp(theta).sum()).round(1)  # with Gumbel noise, a softmax
    array([0.7, 0.2, 0.1])

    References
    ----------
    Blondel, Martins and Niculae, "Learning with Fenchel-Young losses", JMLR 2020; Berthet et al.,
    "Learning with differentiable perturbed optimizers", NeurIPS 2020, section 4. Log-normal: Dalle
    et al., 2022.
    """
    if type(theta) is not ndarray and foreign(theta):
        return in_kind(fenchel_young, theta, locals())
    theta = parameters(solver, theta, noise)
    scale = size_of_noise(noise_scale, theta.dtype)
    axes = problem_axes(theta, problem_ndim)
    goal: FloatArray = _validate.like(target, theta.shape, theta.dtype, "target")
    _validate.finite(goal, "target")
    forbidden = np.isneginf(theta)
    if goal[forbidden].any():
        worst = goal[forbidden][np.flatnonzero(goal[forbidden])[0]]
        raise ValueError(f"target must be 0 where theta is -inf, got {worst}")
    count, _ = _validate.samples(num_samples)
    z = draw_noise(theta, count, as_key(rng), noise, 1.0, sample_offset)
    at = perturb(theta, z, noise, scale)
    priced = np.where(np.isneginf(at), theta.dtype.type(0), at)  # before a solver may change it
    y = call(solver, at)
    kept = np.where(forbidden, theta.dtype.type(0), theta)
    each = priced * y
    best = each.sum(axis=axes, dtype=np.float64).mean(axis=0)
    loss = best - (kept * goal).sum(axis=axes, dtype=np.float64)
    if noise == "lognormal":
        y = y * factors(z, scale)
    grad = y.mean(axis=0) - goal
    return loss.astype(theta.dtype), np.where(forbidden, theta.dtype.type(0), grad)


def spo_plus(
    solver: Solver, theta: ArrayLike, true_theta: ArrayLike, *, problem_ndim: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Compute the SPO+ loss of predicted parameters, and a subgradient.

    A solution that is best for predicted parameters loses ``max <y, true> - <y(theta), true>``, the
    regret. SPO+ is convex in theta and at least the regret:
    ``max <y, 2 theta - true> - <y(true), 2 theta - true>``. The subgradient is twice the difference
    of the two solutions. There is no noise, and nothing to choose.

    Parameters
    ----------
    solver : callable
        As for `fenchel_young`.
    theta : array, shape (*batch, ...)
        Predicted parameters, float32 or float64, finite.
    true_theta : array, the shape of theta
        The parameters that turned out to be right.
    problem_ndim : int
        Number of trailing axes that make up one problem.

    Returns
    -------
    loss : array, shape (*batch)
        One for each problem, 0 where the prediction is right.
    grad : array, the shape of theta
        A subgradient of the sum of the losses by theta.

    Raises
    ------
    ValueError
        If parameters are not finite, shapes do not fit, or the solver returns what is not finite.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> def best(theta):
    ...     return np.eye(3)[theta.argmax(axis=-1)]
    >>> true = np.array([1.0, 2.0, 3.0])
    >>> loss, grad = fg.perturbed.spo_plus(best, np.array([3.0, 0.0, 0.0]), true)
    >>> float(loss), grad
    (8.0, array([ 2.,  0., -2.]))

    References
    ----------
    Elmachtoub and Grigas, "Smart 'predict, then optimize'", Management Science, 2022, definition 3,
    with maxima in place of minima.
    """
    if type(theta) is not ndarray and foreign(theta):
        return in_kind(spo_plus, theta, locals())
    theta = parameters(solver, theta)
    axes = problem_axes(theta, problem_ndim)
    true: FloatArray = _validate.like(true_theta, theta.shape, theta.dtype, "true_theta")
    _validate.finite(theta, "theta")
    _validate.finite(true, "true_theta")
    turned = 2 * theta - true
    y, right = call(solver, np.stack([turned, true]))
    loss = ((y - right) * turned).sum(axis=axes, dtype=np.float64)
    return loss.astype(theta.dtype), 2 * (y - right)
