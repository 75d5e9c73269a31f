"""Implicit maximum likelihood: gradients through a solver by differences of two solutions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.perturbed.solver import call, draw_noise, parameters, per_sample, problem_axes
from fastgrad.random import replayed_key

__all__ = ["Adaptation", "aimle_vjp", "imle_vjp"]


def imle_vjp(
    solver,
    theta,
    cotangent,
    *,
    step,
    rng,
    solutions=None,
    symmetric=False,
    noise="gumbel",
    noise_scale=1.0,
    sample_offset=0,
):
    """Product of a cotangent with the Jacobian of a solver, by implicit maximum likelihood (I-MLE).

    The difference of two solutions under one noise, ``y(theta + Z)`` less
    ``y(theta - step * cotangent + Z)``, over the step. It takes the Jacobian to be symmetric, which
    that of the mean of an argmax is.

    Parameters
    ----------
    solver : callable
    theta : array, shape (*batch, ...)
    cotangent : array, shape (S, *theta.shape) or theta.shape
        Derivative of a loss with respect to the solutions of `solve`.
    step : float or array
        Above 0; an array broadcasts with theta. Large ones find more, and are more biased.
    rng : int, SeedSequence or Key
        What the forward call was given; not a Generator, whose state has moved on.
    solutions : array, optional
        What the forward call returned; by default the problems are solved again.
    symmetric : bool
        Take the difference to both sides of theta, over twice the step.
    noise, noise_scale, sample_offset
        As in the forward call; noise_scale may be 0.

    Returns
    -------
    array, the shape of theta
        Summed over samples.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> r = np.array([1.0, -1.0])
    >>> fg.perturbed.imle_vjp(lambda theta: theta, np.zeros(2), r, step=4, rng=0)
    array([ 1., -1.])

    References
    ----------
    Niepert, Minervini and Franceschi, "Implicit MLE: backpropagating through discrete exponential
    family distributions", NeurIPS 2021. The division by the step is that of Minervini, Franceschi
    and Niepert, "Adaptive perturbation-based gradient estimation", AAAI 2023.
    """
    theta = parameters(theta)
    step = _validate.like(step, np.shape(step), theta.dtype, "step")
    if not (np.isfinite(step) & (step > 0)).all():
        raise ValueError(f"step must be finite and above 0, got {step.min()}")
    r = per_sample(cotangent, theta)
    return _difference(
        solver, theta, r, step, rng, solutions, symmetric, noise, noise_scale, sample_offset
    ).sum(axis=0)


class Adaptation(NamedTuple):
    """What `aimle_vjp` has learned.

    Attributes
    ----------
    strength : float
        The size of the step: that of theta times this.
    density : float
        Moving average of the number of entries of a problem's gradient that are not 0.
    """

    strength: float = 1.0
    density: float = 0.0


def aimle_vjp(
    solver,
    theta,
    cotangent,
    *,
    rng,
    state=None,
    target=1.0,
    rate=0.01,
    decay=0.9,
    solutions=None,
    symmetric=True,
    noise="gumbel",
    noise_scale=1.0,
    problem_ndim=1,
    sample_offset=0,
):
    """`imle_vjp` whose step adapts: it grows while gradients are sparser than a target.

    The step of a problem is ``strength * norm(theta) / norm(cotangent)``, so that it does not
    depend on the units of either.

    Parameters
    ----------
    solver, theta, cotangent, rng, solutions, symmetric, noise, noise_scale, sample_offset
        As in `imle_vjp`.
    state : Adaptation, optional
        That of the last call.
    target : float
        Number of entries other than 0 in a problem's gradient that it aims at.
    rate : float
        By how much the logarithm of the strength changes in a call.
    decay : float
        From 0 to 1: weight of the past in the average of that number.
    problem_ndim : int
        Trailing axes that make up one problem.

    Returns
    -------
    grad : array, the shape of theta
        Summed over samples.
    state : Adaptation
        To be passed to the next call.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> grad, state = fg.perturbed.aimle_vjp(
    ...     lambda theta: theta, np.ones(2), np.array([1.0, -1.0]), rng=0
    ... )
    >>> grad.round(6), round(state.density, 6)
    (array([ 1., -1.]), 0.2)

    References
    ----------
    Minervini, Franceschi and Niepert, "Adaptive perturbation-based gradient estimation for discrete
    latent variable models", AAAI 2023.
    """
    target, rate = _validate.positive(target, "target"), _validate.positive(rate, "rate")
    decay = _validate.not_negative(decay, "decay")
    if decay > 1:
        raise ValueError(f"decay must be from 0 to 1, got {decay}")
    state = Adaptation() if state is None else Adaptation(*state)
    theta = parameters(theta)
    axes, r = problem_axes(theta, problem_ndim), per_sample(cotangent, theta)
    kept = np.where(np.isneginf(theta), theta.dtype.type(0), theta)
    size, pull = (np.sqrt((a * a).sum(axis=axes, keepdims=True)) for a in (kept[None], r))
    step = np.where((pull > 0) & (size > 0), state.strength * size / np.where(pull > 0, pull, 1), 1)
    each = _difference(
        solver,
        theta,
        r,
        step.astype(theta.dtype),
        rng,
        solutions,
        symmetric,
        noise,
        noise_scale,
        sample_offset,
    )
    problems = each.size // math.prod(each.shape[i] for i in axes)
    found = int(np.count_nonzero(each)) / max(1, problems)
    density = decay * state.density + (1 - decay) * found
    strength = state.strength * math.exp(rate if density < target else -rate)
    return each.sum(axis=0), Adaptation(strength, density)


def _difference(
    solver, theta, r, step, rng, solutions, symmetric, noise, noise_scale, sample_offset
):
    """Return the quotient of differences of solutions, for each sample."""
    key = replayed_key(rng)
    at = theta + draw_noise(theta, len(r), key, noise, noise_scale, sample_offset)
    low = call(solver, at - step * r)
    if symmetric:
        difference = (call(solver, at + step * r) - low) / (2 * step)
    elif solutions is None:
        difference = (call(solver, at) - low) / step
    else:
        y = _validate.like(solutions, at.shape, theta.dtype, "solutions")
        difference = (y - low) / step
    return np.where(np.isneginf(theta), theta.dtype.type(0), difference)
