"""Geometric and negative binomial variables."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.counts.densities import log_negative_binomial
from fastgrad.distributions.counts.panjer import Counts, whole

__all__ = ["Geometric", "NegativeBinomial"]


class Waiting(Counts):
    """Base class: successes of log odds `sign` times the logits, before a number of failures."""

    sign: ClassVar[float] = 1.0

    @property
    def failures(self) -> float:
        """Number r of failures that end the count."""
        raise NotImplementedError

    def _odds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the log odds of going on, and the probabilities of that and of ending."""
        x = self.sign * self.logits.astype(np.float64)
        return x, np.exp(-np.logaddexp(0, -x)), np.exp(-np.logaddexp(0, x))

    def law(self) -> tuple[Any, Any, Any, Any]:
        """Return a and b of Panjer's class, the mode, and the largest possible count."""
        x, p, _ = self._odds()
        return self.failures * p, p, np.floor(max(self.failures - 1, 0) * np.exp(x)), np.inf

    def growth(self) -> FloatArray:
        """Return the derivative of the mean by the logits, in float64."""
        return self.sign * self.failures * np.exp(self._odds()[0])

    def curvature(self) -> FloatArray:
        """Return half the derivative of the variance by the logits, over it: (1 + p) / 2."""
        _, p, _ = self._odds()
        return self.sign * (1 + p) / 2

    def mean(self) -> FloatArray:
        """Return the mean of each variable, r times the odds of going on."""
        return (self.failures * np.exp(self._odds()[0])).astype(self.logits.dtype)

    def log_prob(self, z: ArrayLike) -> FloatArray:
        """Return the log probability of counts z of each variable, the shape of z."""
        x, logits = whole(z, self.batch_shape), self._odds()[0]
        log_p, log_q = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
        found = log_negative_binomial(x, self.failures, log_p, log_q)
        return found.astype(self.logits.dtype)

    def score(self, z: ArrayLike) -> FloatArray:
        """Return the gradient of the log probability by the logits."""
        x, (_, p, q) = whole(z, self.batch_shape), self._odds()
        return (self.sign * (x * q - self.failures * p)).astype(self.logits.dtype)

    def score_jvp(self, z: ArrayLike, tangent: FloatArray) -> FloatArray:
        """Return the derivative of the score along a tangent: -(z + r) p (1 - p) times it."""
        x, (_, p, q) = whole(z, self.batch_shape), self._odds()
        return (-(x + self.failures) * p * q * tangent).astype(self.logits.dtype)

    def shifted(self) -> Any:
        """Return the distribution of Y with dE[f(X)] = growth E[f(Y + 1) - f(Y)]."""
        logits = self.logits * self.logits.dtype.type(self.sign)
        more = {"total_count": self.failures + 1, "row_offset": self.row_offset}
        return NegativeBinomial(logits, copy=False, **more)


@dataclasses.dataclass(frozen=True, eq=False)
class NegativeBinomial(Waiting):
    """Independent negative binomial variables: successes before a number of failures.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of a success, finite: float32 or float64. The mean, `total_count` exp(logits), is
        at most 2**24.
    total_count : float
        Number of failures at which counting stops, above 0; it need not be whole.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first variable in a larger batch, of which samples are then a part.

    Raises
    ------
    ValueError
        If the logits are not finite, or `total_count` is not above 0, or the mean is too large.

    Notes
    -----
    There is no largest count. Estimators that list outcomes (and relaxations, which do) list as
    many of each variable as that with the largest mean needs, and their noise depends on how many
    these are. So with such estimators parts of a minibatch (`row_offset`) join to the whole only if
    each has a variable of that mean; with others, such as `rloo`, they always do.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.counts.NegativeBinomial(np.zeros(1), 2.5)
    >>> d.mean(), fg.exact.grad(lambda x: x[:, 0] ** 2, d).round(6)
    (array([2.5]), array([20.]))
    """

    logits: FloatArray
    total_count: float
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self, copy: bool) -> None:
        _validate.positive(self.total_count, "total_count")
        self._keep_parameter(copy)

    @property
    def failures(self) -> float:
        """Number r of failures that end the count."""
        return float(self.total_count)


@dataclasses.dataclass(frozen=True, eq=False)
class Geometric(Waiting):
    """Independent geometric variables: failures before the first success.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of a success, finite: float32 or float64. The mean, exp(-logits), is at most 2**24.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first variable in a larger batch, of which samples are then a part.

    Raises
    ------
    ValueError
        If the logits are not finite, or the mean is too large.

    Notes
    -----
    There is no largest count. Estimators that list outcomes (and relaxations, which do) list as
    many of each variable as that with the largest mean needs, and their noise depends on how many
    these are. So with such estimators parts of a minibatch (`row_offset`) join to the whole only if
    each has a variable of that mean; with others, such as `rloo`, they always do.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.counts.Geometric(np.log([1.0]))  # heads or tails
    >>> float(fg.exact.value(lambda x: x[:, 0] == 2, d).round(6))
    0.125
    """

    logits: FloatArray
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    sign: ClassVar[float] = -1.0

    def __post_init__(self, copy: bool) -> None:
        self._keep_parameter(copy)

    @property
    def failures(self) -> float:
        """Number of ends of the count: the first success."""
        return 1.0
