"""Control variates from discrete Stein operators."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad.estimators.score_functions.gradient_controls import Linear, ScaledControls, of_cells
from fastgrad.estimators.sums import CentredScores

__all__ = ["RODEO"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RODEO(ScaledControls):
    """RLOO with Stein control variates: what a Gibbs step makes of a surrogate of f, less it.

    Drawing one variable v afresh leaves the distribution as it is, so ``(A h)(x) = sum over v of
    E[h(x) with x_v drawn afresh] - h(x)`` has mean zero whatever h. The estimate is
    ``mean of (f_s - mean over the others of (f + A g)) score(x_s) + A (h score)(x_s)``, with
    surrogates g_s and h_s made of the others' gradients: weighted sums of w and of its absolute
    value, ``w(x) = <mean of the others' f', x - mu>``, which is a leaky rectifier; of the paper's
    network, it keeps the activation.

    Parameters
    ----------
    scale : float, optional
        Of g = w and h = w / 2, which cancel what other variables contribute where f is linear. By
        default 1 to begin with; past calls, kept in the state, then say what weights of w and
        abs(w) are best.

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
    weights = (1.0, 0.0, 0.5, 0.0)
    paper = "Shi et al., 'Gradient estimation with discrete Stein operators', 2022"

    def controls(self, distribution, z, shape, gradient, out):
        """Fill out with the terms of g = w and abs(w), then those of h = w and abs(w)."""
        linear = Linear(distribution, z, gradient)
        w = of_cells(linear.terms, shape)
        *local, size = linear.steps(w)
        per = size.shape[1] // max(w.shape[1], 1)
        steps = -w, of_cells(size, shape) - per * abs(w)
        for i, (step, own) in enumerate(zip(steps, local, strict=True)):
            scores = CentredScores(distribution)
            scores.add(z, step)
            scores.settle()
            mean = scores.about(0.0, len(z))
            np.subtract(scores.total(len(z) - 1), mean, out=out[i])
            np.add(mean, own.reshape(mean.shape) / len(z), out=out[2 + i])
