"""Score-function estimators whose control variates are made of the gradient of f.

Each adds to REINFORCE what has mean zero, or takes from f what it adds again in closed form; so all
are unbiased whatever that gradient is. With credit, the linear term of a variable is its own. Mean
features are written mu, their Jacobian by the logits J.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad.estimators.base import Estimate, read_only
from fastgrad.estimators.score_functions.gradient_controls import (
    Linear,
    ScaledControls,
    of_cells,
    slopes,
)
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.sums import CentredScores, Mean, mean_features
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels

__all__ = ["DoubleCV", "MuProp"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MuProp(ScoreFunction):
    """REINFORCE less the first-order Taylor expansion of f at mu, whose gradient is in closed form.

    The estimate is ``(f(x) - f(mu) - f'(mu) (x - mu)) score(x) + J f'(mu)``, the mean over samples.

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
    needs = ("f", "grad")
    evaluations = "S + 1"
    paper = "Gu, Levine, Sutskever and Mnih, 'MuProp', 2016"

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f at the outcomes and, the first time, f and its gradient at the mean."""
        expansion = None
        if offset == 0:
            mu = read_only(mean_features(distribution))
            x = mu.reshape(1, *distribution.logits.shape)
            at_mu = objective.relaxed(distribution, x).signal[0].copy()  # f may reuse its buffer
            expansion = mu, at_mu, objective.gradient(x)
        return objective.outcomes(distribution, draws, offset=offset), expansion

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (outcomes, (`Values`, mu with f and its gradient or None))."""
        value, scores = Mean(), CentredScores(distribution)
        for z, (f_z, expansion) in blocks:
            if expansion is not None:
                mu, at_mu, slope = expansion
                table, product = slopes(distribution, slope, mu)
            value.add(f_z.value)
            signal = f_z.signal.reshape(len(z), -1)
            linear = np.empty(signal.shape)
            _kernels.sum_chosen(table, z.reshape(len(z), -1), linear)
            scores.add(z, (signal - linear).reshape(f_z.signal.shape))
        if at_mu.shape != scores.mean.shape:
            shapes = f"{scores.mean.shape} at outcomes and {at_mu.shape} at the mean"
            raise ValueError(f"f must return values and credit of one shape, got {shapes}")
        grad = scores.about(at_mu, value.count) + product
        return Estimate(value.result.astype(grad.dtype), grad, state, value.count + 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoubleCV(ScaledControls):
    """RLOO of f less the linear term that the others' gradients predict.

    The estimate is ``sum over s of (h_s - mean h) score(x_s) / (S - 1) + scale J mean(f')`` with
    ``h_s = f_s - scale <mean of the others' f', x_s - mu>``: exact where f is linear.

    Parameters
    ----------
    scale : float, optional
        By default 1 to begin with, then what past calls, kept in the state, say is best.

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
    weights = (1.0,)
    paper = "Titsias and Shi, 'Double control variates', 2022"

    def controls(self, distribution, z, shape, gradient, out):
        """Fill out[0] with J mean(f') less RLOO of the linear terms."""
        linear = Linear(distribution, z, gradient)
        scores = CentredScores(distribution)
        scores.add(z, of_cells(linear.terms, shape))
        product = linear.product.reshape(out[0].shape)
        np.subtract(product / len(z), scores.total(len(z) - 1), out=out[0])
