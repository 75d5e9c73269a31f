"""Implicit maximum likelihood: gradients through a solver by differences of two solutions."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.perturbed.solver import (
    Solver,
    call,
    draw_noise,
    known_solutions,
    parameters,
    per_sample,
    problem_axes,
)
from fastgrad.random import RNG, replayed_key

__all__ = ["Adaptation", "aimle_vjp", "imle_vjp"]


def imle_vjp(
    solver: Solver,
    theta: ArrayLike,
    cotangent: ArrayLike,
    *,
    step: ArrayLike,
    rng: RNG,
    solutions: ArrayLike | None = None,
    symmetric: bool = False,
    noise: Literal["gumbel", "normal"] = "gumbel",
    noise_scale: float = 1.0,
    sample_offset: int = 0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of a solver, by implicit maximum likelihood (I-MLE).

    The estimate is the difference of two solutions under the same noise Z, ``y(theta + Z)`` less
    ``y(theta - step * cotangent + Z)``, divided by the step. It assumes a symmetric Jacobian, as
    the mean of an argmax has. With ``noise_scale=0`` it is the interpolation of a blackbox solver.

    Parameters
    ----------
    solver : callable
        Function that takes parameters of shape (S, *theta.shape) and returns solutions of that
        shape.
    theta : array, shape (*batch, ...)
        Parameters of the problems, float32 or float64.
    cotangent : array, shape (S, *theta.shape) or theta.shape
        Derivative of a loss with respect to the solutions of `solve`.
    step : float or array
        Size of the step, above 0; an array broadcasts with theta. A large step changes more
        solutions, and is more biased.
    rng : int, SeedSequence or Key
        The seed or key of the forward call. A Generator is refused: its state has moved on.
    solutions : array, optional
        Solutions that the forward call returned; by default the problems are solved again.
    symmetric : bool
        Whether to take the difference to both sides of theta, divided by twice the step.
    noise, noise_scale, sample_offset
        As in the forward call; noise_scale may be 0.

    Returns
    -------
    array, the shape of theta
        Gradient with respect to theta, summed over samples; 0 where theta is -inf.

    Raises
    ------
    ValueError
        If theta holds NaN or +inf, cotangents are not finite, shapes do not fit, or the solver
        returns what is not finite.

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
    and Niepert, "Adaptive perturbation-based gradient estimation", AAAI 2023. Without noise:
    Vlastelica et al., "Differentiation of blackbox combinatorial solvers", ICLR 2020.
    """
    if type(theta) is not ndarray and foreign(theta):
        return in_kind(imle_vjp, theta, locals())
    theta = parameters(solver, theta)
    r = per_sample(cotangent, theta)
    given = _validate.real_array(step, "step")
    size = _validate.narrowed(given, theta.dtype)
    bad = ~(np.isfinite(size) & (size > 0))
    if bad.any():
        found = f"{theta.dtype}, got {given[bad].flat[0]}"
        raise ValueError(f"step must be finite and above 0 in {found}")
    try:
        np.broadcast_to(size, r.shape)
    except ValueError:
        shapes = f"{theta.shape}, got shape {size.shape}"
        raise ValueError(f"step must broadcast to the shape of theta, {shapes}") from None
    return _difference(
        solver, theta, r, size, rng, solutions, symmetric, noise, noise_scale, sample_offset
    ).sum(axis=0)


class Adaptation(NamedTuple):
    """State of `aimle_vjp`: how large its step is and how dense its gradients are.

    Attributes
    ----------
    strength : float
        Size of the step as a multiple of the norm of theta.
    density : float
        Moving average of the number of nonzero entries of a problem's gradient.
    """

    strength: float = 1.0
    density: float = 0.0


def aimle_vjp(
    solver: Solver,
    theta: ArrayLike,
    cotangent: ArrayLike,
    *,
    rng: RNG,
    state: Adaptation | None = None,
    target: float = 1.0,
    rate: float = 0.01,
    decay: float = 0.9,
    solutions: ArrayLike | None = None,
    symmetric: bool = True,
    noise: Literal["gumbel", "normal"] = "gumbel",
    noise_scale: float = 1.0,
    problem_ndim: int = 1,
    sample_offset: int = 0,
) -> tuple[FloatArray, Adaptation]:
    """Multiply cotangents as `imle_vjp` does, by a step that grows while gradients are too sparse.

    The step of a problem is ``strength * norm(theta) / norm(cotangent)``, so that it does not
    depend on the units of either.

    Parameters
    ----------
    solver, theta, cotangent, rng, solutions, symmetric, noise, noise_scale, sample_offset
        As in `imle_vjp`.
    state : Adaptation, optional
        State that the last call returned. None begins anew.
    target : float
        Number of nonzero entries that a problem's gradient should have.
    rate : float
        Change of the logarithm of the strength in each call.
    decay : float
        Weight of the past in the moving average of nonzero entries, from 0 to 1.
    problem_ndim : int
        Number of trailing axes that make up one problem.

    Returns
    -------
    grad : array, the shape of theta
        Gradient with respect to theta, summed over samples; 0 where theta is -inf.
    state : Adaptation
        State to pass to the next call.

    Raises
    ------
    ValueError
        If theta holds NaN or +inf, cotangents are not finite, shapes do not fit, or the solver
        returns what is not finite.

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
    if type(theta) is not ndarray and foreign(theta):
        return in_kind(aimle_vjp, theta, locals())
    target, rate = _validate.positive(target, "target"), _validate.positive(rate, "rate")
    rate = _validate.number(rate, "rate", 0, 700)  # of which the exponential is finite
    decay = _validate.number(decay, "decay", 0, 1)
    state = _checked(state)
    theta = parameters(solver, theta)
    axes, r = problem_axes(theta, problem_ndim), per_sample(cotangent, theta)
    kept = np.where(np.isneginf(theta), theta.dtype.type(0), theta)
    size, pull = (_norms(a, axes) for a in (kept[None], r))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        step = _validate.narrowed(state.strength * size / pull, theta.dtype)
    step = np.where(np.isfinite(step) & (step > 0), step, theta.dtype.type(1))  # where none is told
    each = _difference(
        solver,
        theta,
        r,
        step,
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


def _checked(state):
    """Return the state of the last call, or the first one."""
    if state is None:
        return Adaptation()
    if not isinstance(state, tuple) or len(state) != 2:
        raise TypeError(f"state must be the Adaptation of the last call, got {state!r}")
    strength, density = state
    positive, not_negative = _validate.positive, _validate.not_negative
    return Adaptation(positive(strength, "strength"), not_negative(density, "density"))


def _norms(x, axes):
    """Return the norms of problems: squares of their largest entries may leave the type."""
    _, power = np.frexp(abs(x).max(axis=axes, keepdims=True, initial=0))
    part = np.ldexp(x, -power)
    return np.ldexp(np.sqrt((part * part).sum(axis=axes, keepdims=True)), power)


def _difference(
    solver, theta, r, size, rng, solutions, symmetric, noise, noise_scale, sample_offset
):
    """Return the quotient of differences of solutions, for each sample."""
    _validate.choice(noise, "noise", ("gumbel", "normal"))
    key = replayed_key(rng)
    at = theta + draw_noise(theta, len(r), key, noise, noise_scale, sample_offset)
    low = call(solver, at - size * r).copy()  # a solver may use one array for all its results
    if symmetric:
        difference = (call(solver, at + size * r) - low) / (2 * size)
    elif solutions is None:
        difference = (call(solver, at) - low) / size
    else:
        y = known_solutions(solutions, at.shape, theta.dtype)
        difference = (y - low) / size
    return np.where(np.isneginf(theta), theta.dtype.type(0), difference)
