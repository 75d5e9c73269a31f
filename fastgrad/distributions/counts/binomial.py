"""Binomial variables."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.counts.densities import log_binomial
from fastgrad.distributions.counts.panjer import LARGEST, Counts, whole

__all__ = ["Binomial"]


@dataclasses.dataclass(frozen=True, eq=False)
class Binomial(Counts):
    """Independent binomial variables: numbers of successes among a number of trials.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of a success, finite: float32 or float64.
    total_count : int
        Number of trials, from 1 to 2**24.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first variable in a larger batch, of which samples are then a part.

    Raises
    ------
    ValueError
        If the logits are not finite, or the number of trials is out of range.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.counts.Binomial(np.zeros(2), 10)
    >>> f = lambda x: np.maximum(x[:, 0], x[:, 1])
    >>> fg.exact.grad(f, d).round(4)
    array([1.25, 1.25])
    >>> fg.estimator("rloo")(f, d, num_samples=100, rng=0).grad.shape
    (2,)
    """

    logits: FloatArray
    total_count: int
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self, copy: bool) -> None:
        _validate.integer(self.total_count, "total_count", 1, int(LARGEST))
        self._keep_parameter(copy)

    def _odds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the logits and the probabilities of success and failure, in float64."""
        x = self.logits.astype(np.float64)
        return x, np.exp(-np.logaddexp(0, -x)), np.exp(-np.logaddexp(0, x))

    def law(self) -> tuple[Any, Any, Any, Any]:
        """Return a and b of Panjer's class, the mode, and the largest possible count."""
        return self._law(self.total_count)

    def _law(self, n: int) -> tuple[Any, Any, Any, Any]:
        x, p, _ = self._odds()
        odds = np.exp(np.minimum(x, 700))
        return n * odds, -odds, np.minimum(np.floor((n + 1) * p), n), float(n)

    def growth(self) -> FloatArray:
        """Return the derivative of the mean by the logits, in float64: n p (1 - p)."""
        _, p, q = self._odds()
        return self.total_count * p * q

    def curvature(self) -> FloatArray:
        """Return half the derivative of the variance by the logits, over it: 1 / 2 - p."""
        _, p, q = self._odds()
        return (q - p) / 2

    def mean(self) -> FloatArray:
        """Return the mean of each variable: n p."""
        return (self.total_count * self._odds()[1]).astype(self.logits.dtype)

    def log_prob(self, z: ArrayLike) -> FloatArray:
        """Return the log probability of counts z of each variable, the shape of z."""
        x, n, logits = whole(z, self.batch_shape), self.total_count, self.logits.astype(np.float64)
        log_p, log_q = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
        found = log_binomial(np.minimum(x, n), n, log_p, log_q)
        return np.where(x > n, -np.inf, found).astype(self.logits.dtype)

    def score(self, z: ArrayLike) -> FloatArray:
        """Return the gradient of the log probability by the logits: z - n p, all digits kept."""
        x = whole(z, self.batch_shape)
        _, p, q = self._odds()
        return (x * q - (self.total_count - x) * p).astype(self.logits.dtype)

    def shifted(self) -> Any:
        """Return the distribution of Y with dE[f(X)] = growth E[f(Y + 1) - f(Y)]."""
        if self.total_count == 1:
            return Never(self.batch_shape)
        return dataclasses.replace(self, total_count=self.total_count - 1, copy=False)


@dataclasses.dataclass(frozen=True)
class Never:
    """Variables that are always 0: successes among no trials."""

    batch_shape: tuple[int, ...]

    def sample(self, *, num_samples: int, **options: Any) -> Any:
        """Return zeros."""
        return np.zeros((num_samples, *self.batch_shape), np.int32)

    def law(self) -> tuple[float, float, float, float]:
        """Return a, b, the mode and the largest count of Panjer's class, all 0."""
        return 0.0, 0.0, 0.0, 0.0

    def log_prob(self, z: Any) -> Any:
        """Return the log probability of zeros, 0."""
        return np.zeros(z.shape)
