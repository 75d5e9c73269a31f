"""Pathwise derivatives of continuous variables: f is differentiated through the sample."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate
from fastgrad.estimators.base import read_only
from fastgrad.estimators.of_continuous.continuous import Means, OfContinuous, estimate_of
from fastgrad.estimators.sums import Mean

__all__ = ["Pathwise"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pathwise(OfContinuous):
    """The reparameterisation trick: gradients of f, carried back through the samples.

    Parameters
    ----------
    control : None or "linear"
        The tangent of f at the mean of the distribution as a control variate: what it adds to the
        estimate is subtracted, and its own gradient, which is known, put in its place.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objective(lambda x: (x**2).sum(axis=-1), grad=lambda x: 2 * x)
    >>> d = fg.continuous.Normal(np.ones(3), np.zeros(3))
    >>> estimate = fg.estimator("pathwise", control="linear")(f, d, num_samples=100, rng=0)
    >>> estimate.grad["loc"].shape, estimate.evaluations
    ((3,), 101)

    References
    ----------
    Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014. Figurnov, Mohamed and Mnih,
    "Implicit reparameterization gradients", NeurIPS 2018. Miller, Foti, D'Amour and Adams,
    "Reducing reparameterization gradient variance", NeurIPS 2017.
    """

    control: str | None = None

    name = "pathwise"
    unbiased = True
    needs = ("f", "grad")
    evaluations = "S, and 1 more for the control variate"
    paper = "Kingma and Welling, 2014; Figurnov, Mohamed and Mnih, 2018"

    def __post_init__(self):
        _validate.choice(self.control, "control", (None, "linear"))

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw noise and make samples of it."""
        noise = distribution.noise(num_samples, rng=key, sample_offset=offset)
        return noise, read_only(distribution.transform(noise))

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f and its gradient at the samples, and once its gradient at the mean."""
        values = objective.relaxed(distribution, draws[1], offset=offset)
        gradient, at_mean = objective.gradient(draws[1], offset=offset), None
        if self.control and offset == 0:
            mean = np.asarray(_validate.finite(distribution.mean(), "the mean"))
            at_mean = objective.gradient(read_only(mean[None]))
        return values.value, gradient, at_mean

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs ((noise, samples), (values, gradients of f))."""
        value, means, tangent = Mean(), Means(), None
        for (noise, _), (f_x, gradient, at_mean) in blocks:
            tangent = tangent if at_mean is None else at_mean[0]
            value.add(f_x)
            gradient = gradient if tangent is None else gradient - tangent
            means.add(distribution.transform_vjp(noise, gradient))
        grad = {name: mean.result for name, mean in means.items()}
        if tangent is not None:
            known = distribution.mean_vjp(tangent)
            grad = {name: g + known[name] for name, g in grad.items()}
        return estimate_of(distribution, value, grad, state, value.count + (tangent is not None))
