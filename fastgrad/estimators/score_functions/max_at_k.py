"""The gradient of the best of k samples: max@k, and pass@k where f is 0 or 1."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, Reduction, by_options, estimate
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.score_sums import score_sums

__all__ = ["MaxAtK"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaxAtK(ScoreFunction):
    """Best of k: the gradient of the mean of the largest f among k samples.

    Value and gradient estimate ``E[max(f(z_1), ..., f(z_k))]``, not the mean of f; the gradient is
    unbiased for that. Both are means over all sets of k among the S samples, in closed form by
    their order, with S log S operations: the value is the U-statistic that is known as pass@k where
    f is 0 or 1. In the gradient the score of a sample is multiplied by what it adds, summed over
    the sets that it is in: the best of a set less the best without it. From that the mean over the
    other samples, themselves ranked without it, is subtracted, where there are more than k.

    Credit is not used, since the best is not a sum of terms.

    Parameters
    ----------
    k : int
        Number of samples among which the best counts, at least 2. There must be as many samples;
        more lower the variance.

    Examples
    --------
    Three bits, of which one pattern passes:

    >>> import numpy as np, fastgrad as fg
    >>> passes = lambda z: (z == [1, 0, 1]).all(axis=-1).astype(float)
    >>> f = fg.objective(index=passes)
    >>> found = fg.estimator("max_at_k", k=8)(f, fg.Bernoulli(np.zeros(3)), num_samples=4000, rng=0)
    >>> bool(abs(found.value - (1 - (7 / 8) ** 8)) < 0.05), np.sign(found.grad)
    (True, array([ 1., -1.,  1.]))

    References
    ----------
    Chen et al., "Evaluating large language models trained on code", 2021, for the value. Centred
    leave-two-out advantages: arXiv 2606.06080, 2026. The formulae here are derived anew, and
    compared with sums over all sets.
    """

    k: int = 2

    name = "max_at_k"
    unbiased = False
    asks: ClassVar[tuple[str, ...]] = ("score",)
    min_samples: ClassVar[int] = by_options(lambda run: run.k)
    reduction: ClassVar[Reduction] = "order_statistic"
    paper = "arXiv 2606.06080, 2026; pass@k: Chen et al., 2021"

    def __post_init__(self) -> None:
        _validate.integer(self.k, "k", 2)

    def group(self, num_samples: int) -> int:
        """Return the number of samples: all are ranked together."""
        return num_samples

    def weighed(
        self, distribution: Discrete, draws: Any, answers: Any
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return the features, and the derivative of the value by each f."""
        x = answers.value
        order = np.argsort(x, axis=0, kind="stable")
        weights = np.empty(x.shape)
        by_rank = self.rank_weights(len(x)).reshape(-1, *(1,) * (x.ndim - 1))
        np.put_along_axis(weights, order, np.broadcast_to(by_rank, x.shape), axis=0)
        return self.samples(distribution, draws), weights

    def rank_weights(self, num_samples: int) -> FloatArray:
        """Return the share of sets whose best is the sample of each rank, the smallest f first."""
        rank = np.arange(1, num_samples + 1)
        return pair_weights(num_samples, self.k) * (rank - self.k + 1).clip(0) / (self.k - 1)

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of one pair (outcomes, `Values`)."""
        ((z, (value, _)),) = blocks
        count, examples = len(value), value.shape[1:]
        x = value.reshape(count, -1).astype(np.float64)
        order = np.argsort(x, axis=0, kind="stable")
        ranked = np.take_along_axis(x, order, axis=0)
        lowest = ranked[0].copy()
        ranked -= lowest
        # One after the other: the order within a product of matrices depends on its columns.
        best = lowest + np.cumsum(self.rank_weights(count)[:, None] * ranked, axis=0)[-1]
        signal = np.empty_like(x)
        np.put_along_axis(signal, order, advantages(ranked, self.k), axis=0)
        scores = score_sums(distribution)
        scores.add(z, signal.reshape(value.shape))
        return estimate(best.reshape(examples)[()], scores.about(0.0, 1), state, count)


def advantages(ranked: FloatArray, k: int) -> FloatArray:
    """Return what each sample adds to the best of the sets of k that it is in, less a baseline.

    Parameters
    ----------
    ranked : array, shape (S, M)
        Values in ascending order along the first axis, from 0.
    k : int

    Returns
    -------
    array, shape (S, M)
        For rank r the sum over j < r of ``C(j - 1, k - 2) (f_r - f_j) / C(S, k)``: a set that r and
        j are best and second in has k - 2 others, of ranks below j. Less the mean of the same over
        all other samples, ranked without r: the mean distance from best to second, over S.
    """
    count = len(ranked)
    below = pair_weights(count, k)[:, None]
    weight, weighted = np.zeros_like(ranked[:, :1]), np.zeros_like(ranked)
    np.cumsum(below[:-1], axis=0, out=weight[1:])
    np.cumsum((below * ranked)[:-1], axis=0, out=weighted[1:])
    out = ranked * weight - weighted
    if count > k:
        rest, rank = count - 1, np.arange(1, count)
        pairs = pair_weights(rest, k)
        gaps = pairs * ((rank - k + 1) / (k - 1) - (rest - rank))
        before, after = np.zeros_like(ranked), np.zeros_like(ranked)
        np.cumsum(gaps[:, None] * ranked[:-1], axis=0, out=before[1:])
        after[:-1] = np.cumsum((gaps[:, None] * ranked[1:])[::-1], axis=0)[::-1]
        out -= (before + after) / count
    return out


def pair_weights(count: int, k: int) -> FloatArray:
    """Return ``C(j - 1, k - 2) / C(count, k)`` for ranks j from 1 to count."""
    out = np.empty(count)
    out[-1] = k * (k - 1) / (count * (count - k + 1))
    j = np.arange(count, 1, -1)
    out[:-1] = (out[-1] * np.cumprod((j - k + 1).clip(0) / (j - 1)))[::-1]
    return out
