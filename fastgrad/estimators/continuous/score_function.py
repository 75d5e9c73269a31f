"""What estimators for continuous distributions share, and the score function."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate
from fastgrad.distributions.continuous import Continuous
from fastgrad.estimators.base import Estimate, Estimator, read_only
from fastgrad.estimators.sums import Mean

__all__ = ["ScoreFunction"]


class OfContinuous(Estimator):
    """An estimator of the gradient of E[f] by the parameters, a dict of arrays by their names."""

    def __call__(self, f, distribution, **options):
        """Estimate E[f] and its gradient: see `Estimator`."""
        self.check(distribution)
        return super().__call__(f, distribution, **options)

    def check(self, distribution, kind=Continuous):
        """Refuse distributions of another kind."""
        if not isinstance(distribution, kind):
            got = type(distribution).__name__
            raise TypeError(f"{self.name} needs a distribution that is {kind.__name__}, got {got}")


class Means(dict):
    """Means over samples by the name of the parameter."""

    def add(self, arrays):
        """Take the next block: a dict of arrays (S, *shape of the parameter)."""
        for name, x in arrays.items():
            self.setdefault(name, Mean()).add(x)


def estimate_of(distribution, value, grad, state, evaluations):
    """Return the estimate, in the dtype of the distribution."""
    dtype = distribution.dtype
    grad = {name: np.asarray(g, dtype) for name, g in grad.items()}
    return Estimate(value.result.astype(dtype), grad, state, evaluations)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreFunction(OfContinuous):
    """REINFORCE for continuous variables: f less a baseline, times the gradient of log density.

    Parameters
    ----------
    baseline : None or "leave_one_out"
        What is subtracted from f: for each sample, the mean of f over the others.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.Gamma(np.zeros(3), np.zeros(3))
    >>> f = lambda x: (x > 1).sum(axis=-1)
    >>> fg.estimator("score_function")(f, d, num_samples=100, rng=0).grad["log_rate"].shape
    (3,)
    """

    baseline: str | None = "leave_one_out"

    name = "score_function"
    unbiased = True
    paper = "Williams, 1992; Kool, van Hoof and Welling, 2019"

    def __post_init__(self):
        _validate.choice(self.baseline, "baseline", (None, "leave_one_out"))
        object.__setattr__(self, "min_samples", 2 if self.baseline else 1)

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw noise, of which scores are made, and the samples of it, which f sees."""
        noise = distribution.noise(num_samples, rng=key, sample_offset=offset)
        return noise, read_only(distribution.transform(noise))

    def samples(self, distribution, draws):
        """Return the samples."""
        return draws

    def alone(self):
        """Return the estimator without a baseline."""
        return dataclasses.replace(self, baseline=None)

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f at the samples."""
        return objective.relaxed(distribution, draws[1], offset=offset)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs ((noise, samples), `Values`)."""
        value, signals, weighted, scores = Mean(), Mean(), Means(), Means()
        for (noise, _), f_x in blocks:
            value.add(f_x.value)
            signals.add(f_x.signal)
            signal = f_x.signal - signals.first.reshape(f_x.signal.shape[1:])
            score = distribution.transform_score(noise)
            scores.add(score)
            weighted.add({name: expand(signal, s) * s for name, s in score.items()})
        n = value.count
        # Scores weighted from the first signal on; the baseline, or 0, moves the origin.
        origin = signals.first if self.baseline is None else -signals.deviation
        origin = origin.astype(np.float64).reshape(signals.shape)
        factor = 1 if self.baseline is None else n / (n - 1)
        grad = {
            name: factor * (mean.result + expand(origin, mean.result) * scores[name].result)
            for name, mean in weighted.items()
        }
        return estimate_of(distribution, value, grad, state, n)


def expand(x, like):
    """Return x with trailing axes of length 1, as many as `like` has more."""
    return x.reshape(x.shape + (1,) * (np.ndim(like) - x.ndim))
