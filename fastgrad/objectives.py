"""Objectives: what an f is, how it is evaluated, and stock objectives with closed forms.

An objective is evaluated at a batch of samples at once, with the samples along the first axis. It
sees the features x of the samples: one-hot vectors for categorical variables, 0 or 1 for Bernoulli
variables, so that x always has the shape (S, *logits.shape).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, overload

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.kernels.tiles import check as _check

__all__ = ["Objective", "bernoulli3", "linear", "objective", "separable"]

PARTS = {
    "f": "the function itself: fg.objective(f, ...)",
    "grad": "the gradient of f at relaxed points: fg.objective(f, grad=...)",
    "index": "f of indices: fg.objective(f, index=...)",
    "local": "f with one variable changed: fg.objective(f, local=...)",
}


@overload
def objective(
    f: Callable[[Array], Any] | None = None,
    *,
    grad: Callable[[Array], Any] | None = None,
    index: Callable[[IntArray], Any] | None = None,
    local: Callable[[IntArray], Any] | None = None,
    expectation: Callable[[Any], Any] | None = None,
) -> Objective: ...
@overload
def objective(
    f: Callable[..., Any] | None = None, *, grad: Callable[..., Any] | None = None
) -> Objective: ...  # of several nodes of a graph
def objective(
    f: Callable[..., Any] | None = None,
    *,
    grad: Callable[..., Any] | None = None,
    index: Callable[..., Any] | None = None,
    local: Callable[..., Any] | None = None,
    expectation: Callable[..., Any] | None = None,
) -> Objective:
    """Bundle a function f with optional parts, such as its gradient, that some estimators require.

    Plain functions work wherever an objective does, with the estimators that need no other part.

    Parameters
    ----------
    f : callable, optional
        Takes samples x of shape (S, *batch, K), one-hot or relaxed; (S, *batch) for Bernoulli
        variables. Returns values whose shape is a leading part of (S, *batch): shape (S,) is one
        number for the whole sample; shape (S, B) one number for each example of a minibatch, whose
        gradients then do not mix. It may also return a pair ``(value, credit)``. Credit, shape
        (S, *batch), is for every variable the sum of those terms of f that depend on it; it
        replaces the value in that variable's gradient, which stays unbiased and has less variance.
    grad : callable, optional
        Takes x as f does. Returns the derivative of the sum of f's values with respect to x, an
        array of the shape of x.
    index : callable, optional
        f as a function of category indices, int32 of shape (S, *batch), which spares the one-hot
        array. At least one of f and index must be given.
    local : callable, optional
        Takes indices (S, *batch). Returns the value of f with variable i set to category k and the
        other variables left as they are, for all i and k: shape (S, *batch, K), or (S, *batch, 2)
        for Bernoulli variables.
    expectation : callable, optional
        Takes a distribution. Returns the exact mean of f and its gradient by the logits.

    Returns
    -------
    Objective

    Raises
    ------
    TypeError
        If a part is not callable, or neither f nor index is given.

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
    """Values of f, shape (S, *examples), and credit, shape (S, *batch), or None."""

    value: FloatArray
    credit: FloatArray | None

    @property
    def signal(self) -> FloatArray:
        """The part of f that concerns each variable: its credit where there is one, else f."""
        return self.value if self.credit is None else self.credit


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """A function with optional parts that some estimators require: see `objective`."""

    f: Callable[..., Any] | None = None
    grad: Callable[..., Any] | None = None
    index: Callable[..., Any] | None = None
    local: Callable[..., Any] | None = None
    expectation: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            part = getattr(self, field.name)
            if part is not None and not callable(part):
                raise TypeError(f"{field.name} must be callable, got {part!r}")
        if self.f is None and self.index is None:
            raise TypeError("an objective must have f or index, got neither")

    def require(self, who: str, parts: Iterable[str]) -> None:
        """Raise TypeError, naming who needs what, unless the objective has all these parts."""
        for part in parts:
            if getattr(self, part) is None:
                raise TypeError(f"{who} needs {PARTS[part]}")

    def part(self, name: Literal["f", "grad", "index", "local", "expectation"]) -> Any:
        """Return a part that the objective is known to have."""
        return getattr(self, name)

    def outcomes(
        self, distribution: Discrete, z: IntArray, *, offset: int = 0, masked: bool = False
    ) -> Values:
        """Evaluate f at outcomes z (S, *batch), the first of which is sample number `offset`.

        Values must be finite; where `masked` is true they may be -inf, as log weights are.
        """
        answer = self.index(z) if self.index else self.part("f")(distribution.features(z))
        return _values(answer, z.shape, offset, masked)

    def relaxed(self, distribution: Any, x: FloatArray, *, offset: int = 0) -> Values:
        """Evaluate f, checked, at features x, shape (S, *logits.shape)."""
        return _values(self.part("f")(x), (len(x), *distribution.batch_shape), offset)

    def gradient(self, x: FloatArray, *, offset: int = 0) -> FloatArray:
        """Evaluate the gradient of f, checked, at features x: same shape and dtype."""
        g = _validate.like(self.part("grad")(x), x.shape, x.dtype, "the gradient of f")
        return _finite(g, "the gradient of f", offset)

    def neighbours(self, distribution: Discrete, z: IntArray, *, offset: int = 0) -> FloatArray:
        """Evaluate f, checked, with each variable of z in turn set to each category."""
        shape = (*z.shape, distribution.num_outcomes)
        values = _validate.real_array(self.part("local")(z), "local")
        values = _validate.like(values, shape, values.dtype, "local")
        return _finite(values, "local", offset)


def as_objective(f: Any) -> Objective:
    """Return the objective that a user's f means: itself, or a plain function."""
    if isinstance(f, Objective):
        return f
    if not callable(f):
        raise TypeError(f"f must be a function or an Objective, got {f!r}")
    return Objective(f)


def _values(answer, shape, offset, masked=False):
    """Check what f returned for samples of this shape, (S, *batch)."""
    answer = answer if isinstance(answer, tuple) else (answer, None)
    if len(answer) != 2:
        raise ValueError(f"f must return values or (values, credit), got {len(answer)} results")
    value, credit = answer
    value = _validate.real_array(value, "the value of f")
    if value.ndim == 0 or value.shape != shape[: value.ndim]:
        raise ValueError(
            f"f must return values whose shape is a leading part of (S, *batch) = {shape}, "
            f"got {value.shape}"
        )
    _finite(value, "f", offset, masked)
    if credit is not None:
        credit = _validate.real_array(credit, "credit")
        _finite(_validate.like(credit, shape, credit.dtype, "credit"), "credit", offset)
    return Values(value, credit)


def _finite(x, name, offset, masked=False):
    """Return x, (S, ...), if it is finite (or, if masked, -inf); else say in which sample not."""
    worst = _check.worst(x.reshape(-1))
    if worst != _check.FINE and not (masked and worst == _check.MASKED):
        bad = ~(x < np.inf) if masked else ~np.isfinite(x)
        sample, *rest = (int(i) for i in np.argwhere(bad)[0])
        where = f" at {tuple(rest)}" if rest else ""
        value, rule = x[(sample, *rest)], "below infinity" if masked else "finite"
        raise ValueError(f"{name} must be {rule}, got {value} for sample {sample + offset}{where}")
    return x


# -- stock objectives: each knows its gradient and its exact expectation -----------------------


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
        _fit(distribution.logits.shape, weights.shape)
        mean, grad = distribution.mean_and_product(weights)
        return offset + mean, grad

    return expectation
