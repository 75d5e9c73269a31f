"""RODEO: control variates from discrete Stein operators."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from fastgrad._typing import FloatArray
from fastgrad.estimators.base import Estimator
from fastgrad.estimators.listed import Listed
from fastgrad.estimators.score_functions.gradient_controls import Given, Linear, ScaledControls

__all__ = ["RODEO"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RODEO(ScaledControls):
    """RODEO: RLOO with control variates from a discrete Stein operator.

    Drawing one variable v afresh given the others (a Gibbs step) leaves the distribution as it is.
    Therefore ``(A h)(x) = sum over v of E[h(x) with x_v drawn afresh] - h(x)`` has mean zero for
    any function h. The estimate is the mean over samples of
    ``(f_s - mean over the others of (f + A g)) score(x_s) + A (h score)(x_s)``. The surrogates g
    and h of f are weighted sums of w and abs(w), with ``w(x) = <mean of the others' f', x - mu>``.
    In place of this sum the paper has a network, with a leaky rectifier as its activation.

    Parameters
    ----------
    scale : float, optional
        Weight of the surrogates g = w and h = w / 2, which cancel the contribution of other
        variables where f is linear. By default it is 1 in the first call; then the weights of w
        and abs(w) are those of least variance according to past calls, kept in the state.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f, logits = fg.objectives.separable(np.full((50, 2), 0.4)), np.zeros((50, 2))
    >>> fg.estimator("rodeo")(f, logits, num_samples=4, rng=0).grad.shape
    (50, 2)

    References
    ----------
    Shi, Zhou, Hwang, Titsias and Mackey, "Gradient estimation with discrete Stein operators",
    NeurIPS 2022.
    """

    name = "rodeo"
    weights: ClassVar[tuple[float, ...]] = (1.0, 0.0, 0.5, 0.0)
    asks: ClassVar[tuple[str, ...]] = ("outcomes", "score")
    paper = "Shi et al., 'Gradient estimation with discrete Stein operators', 2022"

    def for_distribution(self, distribution: Any) -> Estimator:
        """Return the form for listed outcomes, each a category, where features are not one-hot."""
        return self if distribution.one_hot else Listed(inner=self)

    def sums(self, given: Given) -> tuple[FloatArray, FloatArray]:
        """Fill rows with the terms of g = w and abs(w), then with those of h = w and abs(w)."""
        linear = Linear(given, keep_rests=True)
        w, (steps, means) = linear.sums, linear.steps()
        sizes = linear.of_cells(means[1])
        sizes -= len(linear.mu) // max(w.shape[1], 1) * abs(w)
        return linear.add(-w, sizes, steps, means)
