"""What an f is, how samples are put to it, and stock objectives with closed forms.

An objective sees a batch of samples at once, with the samples first, as their features x: one-hot
for categoricals, 0 or 1 for Bernoulli variables, so x always has the shape (S, *logits.shape).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.kernels.tiles import check as _check

__all__ = ["Objective", "bernoulli3", "linear", "objective", "separable"]

PARTS = {
    "f": "the function itself: fg.objective(f, ...)",
    "grad": "the gradient of f at relaxed points: fg.objective(f, grad=...)",
    "index": "f of indices: fg.objective(f, index=...)",
    "local": "f with one variable changed: fg.objective(f, local=...)",
}


def objective(f=None, *, grad=None, index=None, local=None, expectation=None):
    """Join a function with what else is known about it; each part serves more estimators.

    Parameters
    ----------
    f : callable, optional
        Takes x of shape (S, *batch, K), one-hot or relaxed ((S, *batch) for Bernoulli variables),
        and returns values whose shape is a leading part of (S, *batch): (S,) is one number for the
        whole sample, (S, B) one for each example of a minibatch, whose gradients do not mix.
        It may return a pair ``(value, credit)``: credit of shape (S, *batch) holds for every
        variable the sum of those terms of f which that variable touches.
    grad : callable, optional
        Takes x like f; returns the derivative of the sum of its values by x, of the shape of x.
    index : callable, optional
        f as a function of indices (S, *batch): no one-hot array is then made. One of f and index
        must be given.
    local : callable, optional
        Takes indices (S, *batch); returns f with variable i set to k and the others left, for all
        i and k: shape (S, *batch, K), or (S, *batch, 2) for Bernoulli variables.
    expectation : callable, optional
        Takes a distribution; returns the exact mean of f and its gradient by the logits.

    Returns
    -------
    Objective
        Plain functions work wherever an objective does, as far as they go.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> target = np.array([0.2, 0.5, 0.3])
    >>> f = fg.objective(
    ...     lambda x: ((x - target) ** 2).sum(axis=-1),
    ...     grad=lambda x: 2 * (x - target),
    ... )
    >>> gumbel_softmax = fg.estimator("gumbel_softmax", temperature=0.5)
    >>> gumbel_softmax(f, np.zeros(3), num_samples=10, rng=0).grad.shape
    (3,)
    """
    return Objective(f, grad, index, local, expectation)


class Values(NamedTuple):
    """Values of f, shape (S, *examples), and credit, shape (S, *batch) or None."""

    value: np.ndarray
    credit: np.ndarray | None

    @property
    def signal(self):
        """What concerns each variable: its credit where there is one, else the value."""
        return self.value if self.credit is None else self.credit


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """A function and its optional parts: see `objective`."""

    f: Callable | None = None
    grad: Callable | None = None
    index: Callable | None = None
    local: Callable | None = None
    expectation: Callable | None = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            part = getattr(self, field.name)
            if part is not None and not callable(part):
                raise TypeError(f"{field.name} must be callable, got {part!r}")
        if self.f is None and self.index is None:
            raise TypeError("an objective must have f or index, got neither")

    def require(self, who, parts):
        """Raise TypeError unless all these parts are given, naming who needs which."""
        for part in parts:
            if getattr(self, part) is None:
                raise TypeError(f"{who} needs {PARTS[part]}")

    def outcomes(self, distribution, z, *, offset=0):
        """Evaluate f, checked, at outcomes z (S, *batch), the first of which is sample `offset`."""
        answer = self.index(z) if self.index else self.f(discrete.features(distribution, z))
        return _values(answer, z.shape, offset)

    def relaxed(self, distribution, x, *, offset=0):
        """Evaluate f, checked, at features x, shape (S, *logits.shape)."""
        return _values(self.f(x), (len(x), *distribution.batch_shape), offset)

    def gradient(self, x, *, offset=0):
        """Evaluate the gradient of f, checked, at features x: same shape and dtype."""
        g = _validate.like(self.grad(x), x.shape, x.dtype, "the gradient of f")
        return _finite(g, "the gradient of f", offset)

    def neighbours(self, distribution, z, *, offset=0):
        """Evaluate f, checked, with each variable of z in turn set to each category."""
        shape = (*z.shape, discrete.num_outcomes(distribution))
        values = _validate.real_array(self.local(z), "local")
        values = _validate.like(values, shape, values.dtype, "local")
        return _finite(values, "local", offset)


def as_objective(f):
    """Return the objective that a user's f means: itself, or a plain function."""
    if isinstance(f, Objective):
        return f
    if not callable(f):
        raise TypeError(f"f must be a function or an Objective, got {f!r}")
    return Objective(f)


def _values(answer, shape, offset):
    """Check what f returned for samples of this shape, (S, *batch)."""
    if isinstance(answer, tuple) and len(answer) != 2:
        raise ValueError(f"f must return values or (values, credit), got {len(answer)} results")
    value, credit = answer if isinstance(answer, tuple) else (answer, None)
    value = _validate.real_array(value, "the value of f")
    if value.ndim == 0 or value.shape != shape[: value.ndim]:
        raise ValueError(
            f"f must return values whose shape is a leading part of (S, *batch) = {shape}, "
            f"got {value.shape}"
        )
    _finite(value, "f", offset)
    if credit is not None:
        credit = _validate.real_array(credit, "credit")
        _finite(_validate.like(credit, shape, credit.dtype, "credit"), "credit", offset)
    return Values(value, credit)


def _finite(x, name, offset):
    """Return x, (S, ...), unless it holds NaN or infinity: say then in which sample."""
    if _check.worst(x.reshape(-1)) != _check.FINE:
        sample, *rest = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
        where = f" at {tuple(rest)}" if rest else ""
        value = x[(sample, *rest)]
        raise ValueError(f"{name} must be finite, got {value} for sample {sample + offset}{where}")
    return x


# -- stock objectives: each knows its gradient and its exact expectation -----------------------


def linear(weights):
    """Build f(x) = sum of weights x, linear in the features.

    Parameters
    ----------
    weights : array, the shape of the logits

    Returns
    -------
    Objective

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.linear([1.0, 2.0, 3.0])
    >>> value, grad = fg.exact.value_and_grad(f, np.zeros(3))
    >>> float(value.round(6)), grad.round(6)
    (2.0, array([-0.333333,  0.      ,  0.333333]))
    """
    weights = _validate.real_array(weights, "weights")

    def f(x):
        return _per_sample(x, weights.shape) @ weights.reshape(-1)

    def grad(x):
        return np.broadcast_to(weights, x.shape)

    return Objective(f, grad, expectation=_closed_form(0.0, weights))


def separable(target, *, weights=None, power=2.0):
    """Build f(x) = sum of weights abs(x - target)**power, by default the mean over features.

    With one Bernoulli variable it is REBAR's toy, with 200 that of double control variates, with
    weights on the first of two categories ReinMax's.

    Parameters
    ----------
    target : array, the shape of the logits
    weights : array, the same shape, optional
    power : float
        At least 1.

    Returns
    -------
    Objective

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
    target = _validate.real_array(target, "target")
    if weights is None:
        weights = np.full(target.shape, 1 / max(target.size, 1))
    weights = _validate.like(weights, target.shape, np.float64, "weights")
    power = _validate.positive(power, "power")
    if power < 1:
        raise ValueError(f"power must be at least 1, got {power}")

    def f(x):
        return _per_sample(np.abs(x - target) ** power, target.shape) @ weights.reshape(-1)

    def grad(x):
        distance = x - target
        return weights * power * np.abs(distance) ** (power - 1) * np.sign(distance)

    zero, one = weights * np.abs(target) ** power, weights * np.abs(1 - target) ** power
    return Objective(f, grad, expectation=_closed_form(zero.sum(), one - zero))


def bernoulli3(target=(0.6, 0.51, 0.48)):
    """Build sum over i of (b_i - target_i)**2 for three bits b, as one variable of 8 categories.

    Category 4 b_0 + 2 b_1 + b_2 stands for bits b; its logit is eta (b_0 + b_1 + b_2).

    Parameters
    ----------
    target : three floats

    Returns
    -------
    Objective
        Of one categorical with K = 8.

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
    target = _validate.like(target, (3,), np.float64, "target")
    bits = np.arange(8)[:, None] >> np.array([2, 1, 0]) & 1
    return linear(((bits - target) ** 2).sum(axis=1))


def _per_sample(x, shape):
    """Return features x, (S, *shape), as (S, number of features)."""
    _fit(x.shape[1:], shape)
    return x.reshape(len(x), -1)


def _fit(shape, expected):
    if shape != expected:
        raise ValueError(f"the logits must have the objective's shape {expected}, got {shape}")


def _closed_form(offset, weights):
    """Build the exact expectation of offset + sum of weights x, which f is at all outcomes."""

    def expectation(distribution):
        _fit(distribution.logits.shape, weights.shape)
        mean, grad = discrete.mean_and_product(distribution, weights)
        return offset + mean, grad

    return expectation
