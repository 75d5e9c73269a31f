"""Score-function estimators with control variates made of the gradient of f.

A control variate has mean zero, or its mean is known and added again, so that these estimators are
unbiased whatever the gradient is. With credit, the linear term of a variable is its own. The mean
of the features x is written mu, and the Jacobian of mu by the logits J.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, estimate
from fastgrad.estimators.score_functions.gradient_controls import (
    NO_MEANS,
    NO_SIZE,
    Expansion,
    Given,
    Linear,
    ScaledControls,
    StructuredLinear,
    mean_of,
)
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.score_sums import score_sums
from fastgrad.estimators.sums import Mean
from fastgrad.objectives import Objective

__all__ = ["DoubleCV", "MuProp"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MuProp(ScoreFunction):
    """MuProp: REINFORCE with the first-order Taylor expansion of f as control variate.

    The expansion is at the mean mu of the features, and its gradient is known in closed form. The
    estimate is the mean over samples of ``(f(x) - f(mu) - f'(mu) (x - mu)) score(x) + J f'(mu)``.
    f and its gradient are evaluated once at mu, which is a relaxed sample.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.linear([[1.0, 2.0, 4.0]])
    >>> muprop = fg.estimator("muprop")
    >>> estimate = muprop(f, np.zeros((1, 3)), num_samples=1, rng=0)
    >>> bool(np.allclose(estimate.grad, fg.exact.grad(f, np.zeros((1, 3)))))
    True

    References
    ----------
    Gu et al., "MuProp: unbiased backpropagation for stochastic neural networks", ICLR 2016.
    """

    name = "muprop"
    unbiased = True
    weighs = True
    needs: ClassVar[tuple[str, ...]] = ("f", "grad")
    asks: ClassVar[tuple[str, ...]] = ("score", "mean")
    evaluations = "S + 1"
    paper = "Gu, Levine, Sutskever and Mnih, 'MuProp', 2016"

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f at the outcomes and, the first time, f and its gradient at the mean."""
        expansion = None
        if offset == 0:
            mu = _validate.frozen(mean_of(distribution))
            x = mu.reshape(1, *distribution.feature_shape)
            values, gradient = objective.relaxed_and_gradient(distribution, x)
            expansion = mu, values.signal[0].copy(), gradient  # f may reuse its buffer
        return objective.outcomes(distribution, draws, offset=offset), expansion

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (outcomes, (`Values`, mu with f and its gradient or None))."""
        value, scores = Mean(), score_sums(distribution)
        at_mu, linear = np.empty(0), None
        for z, (f_z, expansion) in blocks:
            if expansion is not None:
                mu, at_mu, slope = expansion
                linear = Expansion(distribution, mu, slope)
            value.add(f_z.value)
            signal = f_z.signal.reshape(len(z), -1)
            assert linear is not None, "it is in the first block"
            rest = signal - linear.at(z, signal.shape)
            scores.add(z, rest.reshape(f_z.signal.shape))
        if at_mu.shape != scores.mean.shape:
            shapes = f"{scores.mean.shape} at outcomes and {at_mu.shape} at the mean"
            raise ValueError(f"f must return values and credit of one shape, got {shapes}")
        assert linear is not None, "there is at least one block"
        grad = scores.about(at_mu, value.count) + linear.product
        return estimate(value.result, grad, state, value.count + 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoubleCV(ScaledControls):
    """Double control variates: RLOO of f minus a linear function, whose gradient is added again.

    The slope of that function is, for each sample, the mean gradient of f over the other samples.
    The estimate is ``sum over s of (h_s - mean h) score(x_s) / (S - 1) + scale J mean(f')`` with
    ``h_s = f_s - scale <mean of the others' f', x_s - mu>``. It is exact where f is linear.

    Parameters
    ----------
    scale : float, optional
        Weight of the linear function. By default it is 1 in the first call, and then the weight of
        least variance according to past calls, which are kept in the state.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.linear([[1.0, 2.0, 4.0]])
    >>> estimate = fg.estimator("double_cv")(f, np.zeros((1, 3)), num_samples=2, rng=0)
    >>> bool(np.allclose(estimate.grad, fg.exact.grad(f, np.zeros((1, 3)))))
    True

    References
    ----------
    Titsias and Shi, "Double control variates for gradient estimation in discrete latent variable
    models", AISTATS 2022.
    """

    name = "double_cv"
    weights: ClassVar[tuple[float, ...]] = (1.0,)
    asks: ClassVar[tuple[str, ...]] = ("score", "mean")
    paper = "Titsias and Shi, 'Double control variates', 2022"

    def sums(self, given: Given) -> tuple[FloatArray, FloatArray]:
        """Fill rows[0] with J mean(f') less RLOO of the linear terms."""
        linear = Linear(given)
        total = linear.total[None]
        return linear.add(linear.sums, NO_SIZE, total, NO_MEANS[total.dtype])

    def controls(
        self,
        distribution: Discrete,
        z: Any,
        shape: tuple[int, ...],
        gradient: FloatArray,
        out: FloatArray,
    ) -> None:
        """Fill out with the control variate, of structures, too."""
        if distribution.one_hot:
            super().controls(distribution, z, shape, gradient, out)
            return
        linear, scores = (
            StructuredLinear(distribution, z, gradient, shape),
            score_sums(distribution),
        )
        scores.add(z, linear.sums)
        np.divide(linear.product.reshape(out[0].shape), len(z), out=out[0, ...])
        out[0] -= scores.total(len(z) - 1)
