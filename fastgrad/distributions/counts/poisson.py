"""Poisson variables."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.counts.densities import log_poisson
from fastgrad.distributions.counts.panjer import Counts, whole

__all__ = ["Poisson"]


@dataclasses.dataclass(frozen=True, eq=False)
class Poisson(Counts):
    """Independent Poisson variables, with probabilities rate**x exp(-rate) / x!.

    Parameters
    ----------
    log_rate : array, shape (*batch)
        Logarithm of the rate, which is the mean, at most 24 log(2): float32 or float64.
    copy : bool
        Whether the distribution keeps its own copy of the parameter. Without a copy it may share
        the caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first variable in a larger batch, of which samples are then a part.

    Raises
    ------
    ValueError
        If a logarithm is not finite, or a rate is too large.

    Notes
    -----
    There is no largest count. Estimators that list outcomes (and relaxations, which do) list as
    many of each variable as that with the largest mean needs, and their noise depends on how many
    these are. So with such estimators parts of a minibatch (`row_offset`) join to the whole only if
    each has a variable of that mean; with others, such as `rloo`, they always do.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.counts.Poisson(np.log([2.0, 5.0]))
    >>> f = lambda x: np.minimum(x[:, 0], x[:, 1])
    >>> fg.exact.grad(f, d).round(4)
    array([1.6629, 0.4303])
    >>> fg.estimator("measure_valued")(f, d, num_samples=100, rng=0).grad.shape
    (2,)

    References
    ----------
    Mohamed, Rosca, Figurnov and Mnih, "Monte Carlo gradient estimation in machine learning", JMLR
    2020, section 6, for its derivative as a difference.
    """

    log_rate: FloatArray
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    parameter = "log_rate"

    def __post_init__(self, copy: bool) -> None:
        self._keep_parameter(copy)

    def law(self) -> tuple[Any, Any, Any, Any]:
        """Return a and b of Panjer's class, the mode, and the largest possible count."""
        rate = self.growth()
        return rate, 0.0, np.floor(rate), np.inf

    def growth(self) -> FloatArray:
        """Return the derivative of the mean by the parameter, in float64: the rate."""
        return np.exp(self.log_rate.astype(np.float64))

    def curvature(self) -> float:
        """Return half the derivative of the variance by the parameter, over it: 1 / 2."""
        return 0.5

    def mean(self) -> FloatArray:
        """Return the mean of each variable: the rate."""
        return self.growth().astype(self.log_rate.dtype)

    def log_prob(self, z: ArrayLike) -> FloatArray:
        """Return the log probability of counts z of each variable, the shape of z."""
        x = whole(z, self.batch_shape)
        return log_poisson(x, self.log_rate.astype(np.float64)).astype(self.log_rate.dtype)

    def score(self, z: ArrayLike) -> FloatArray:
        """Return the gradient of the log probability by the logarithm of the rate: z - rate."""
        return (whole(z, self.batch_shape) - self.growth()).astype(self.log_rate.dtype)

    def shifted(self) -> Poisson:
        """Return the distribution of Y with dE[f(X)] = growth E[f(Y + 1) - f(Y)]: itself."""
        return self
