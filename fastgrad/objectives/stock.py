"""Stock objectives with closed forms: each knows its gradient and its exact expectation."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike
from fastgrad.objectives.objective import Objective

__all__ = ["bernoulli3", "linear", "separable"]


def linear(weights: ArrayLike) -> Objective:
    """Build f(x) = sum of weights times x, linear in the features x.

    Parameters
    ----------
    weights : array, the shape of the logits
        One weight for each category of each variable, or for each Bernoulli variable.

    Returns
    -------
    Objective
        With its gradient and its exact expectation.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.linear([1.0, 2.0, 3.0])
    >>> value, grad = fg.exact.value_and_grad(f, np.zeros(3))
    >>> float(value.round(6)), grad.round(6)
    (2.0, array([-0.333333,  0.      ,  0.333333]))
    """
    w = _validate.real_array(weights, "weights")

    def f(x):
        return _per_sample(x, w.shape) @ w.reshape(-1)

    def grad(x):
        return np.broadcast_to(w, x.shape)

    return Objective(f, grad, expectation=_closed_form(0.0, w))


def separable(
    target: ArrayLike, *, weights: ArrayLike | None = None, power: float = 2.0
) -> Objective:
    """Build f(x) = sum of weights times abs(x - target)**power, a sum over the features x.

    With one Bernoulli variable this is the toy problem of REBAR, with 200 that of double control
    variates, and with weights on the first of two categories that of ReinMax.

    Parameters
    ----------
    target : array, the shape of the logits
    weights : array, the shape of the logits, optional
        By default all weights are equal and sum to 1: f is the mean over the features.
    power : float
        At least 1; a smaller one is refused.

    Returns
    -------
    Objective
        With its gradient and its exact expectation.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable([[0.45, 0.45]], weights=[[0.0, 1.0]])
    >>> fg.exact.grad(f, np.zeros((1, 2))).round(6)
    array([[-0.025,  0.025]])

    References
    ----------
    Tucker et al., "REBAR", NeurIPS 2017. Titsias and Shi, "Double control variates for gradient
    estimation in discrete latent variable models", AISTATS 2022. Liu et al., "Bridging discrete
    and backpropagation", NeurIPS 2023.
    """
    t = _validate.real_array(target, "target")
    given = np.full(t.shape, 1 / max(t.size, 1)) if weights is None else weights
    w = _validate.like(given, t.shape, np.float64, "weights")
    power = _validate.positive(power, "power")
    if power < 1:
        raise ValueError(f"power must be at least 1, got {power}")

    def f(x):
        return _per_sample(np.abs(x - t) ** power, t.shape) @ w.reshape(-1)

    def grad(x):
        distance = x - t
        return w * power * np.abs(distance) ** (power - 1) * np.sign(distance)

    zero, one = w * np.abs(t) ** power, w * np.abs(1 - t) ** power
    return Objective(f, grad, expectation=_closed_form(zero.sum(), one - zero))


def bernoulli3(target: ArrayLike = (0.6, 0.51, 0.48)) -> Objective:
    """Build the toy problem of three bits b, f = sum over i of (b_i - target_i)**2.

    The bits are one categorical variable with 8 categories: category 4 b_0 + 2 b_1 + b_2 stands
    for bits b. In the literature its logit is eta (b_0 + b_1 + b_2), with one parameter eta.

    Parameters
    ----------
    target : sequence of three floats

    Returns
    -------
    Objective
        Of logits of shape (8,), with its gradient and its exact expectation.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> bits = np.array([0, 1, 1, 2, 1, 2, 2, 3])
    >>> float((fg.exact.grad(fg.objectives.bernoulli3(), np.zeros(8)) @ bits).round(6))
    -0.045

    References
    ----------
    Liu et al., "Rao-Blackwellized stochastic gradients for discrete distributions", ICML 2019.
    Kool, van Hoof and Welling, "Estimating gradients for discrete random variables by sampling
    without replacement", ICLR 2020.
    """
    t = _validate.like(target, (3,), np.float64, "target")
    bits = np.arange(8)[:, None] >> np.array([2, 1, 0]) & 1
    return linear(((bits - t) ** 2).sum(axis=1))


def _per_sample(x: Array, shape: tuple[int, ...]) -> Array:
    """Return features x, (S, *shape), as (S, number of features)."""
    _fit(x.shape[1:], shape)
    return x.reshape(len(x), -1)


def _fit(shape, expected):
    if shape != expected:
        raise ValueError(f"the logits must have the objective's shape {expected}, got {shape}")


def _closed_form(offset, weights):
    """Build the exact expectation of offset + sum of weights x, which f is at all outcomes."""

    def expectation(distribution):
        if not distribution.one_hot:
            return None  # not in closed form
        _fit(distribution.logits.shape, weights.shape)
        mean, grad = distribution.mean_and_product(weights)
        return offset + mean, grad

    return expectation
