"""Log probabilities of counts, made of the Poisson law without cancellation at large counts.

With m = x + 1 and t = log(m / rate), ``log(rate**x exp(-rate) / Gamma(x + 1))`` is
``m (1 - exp(-t) - t) + t - log(m) / 2 - log(2 pi) / 2`` less the remainder of Stirling's series.
Binomial probabilities are products of three such terms (Loader), negative binomial ones too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad._typing import Array
from fastgrad.distributions.continuous.stirling import (
    HALF_LOG_2PI,
    exp_remainder,
    log_gamma_remainder,
)

__all__ = ["log_binomial", "log_negative_binomial", "log_poisson"]


def log_poisson(x: Array, log_rate: Any) -> Array:
    """Return the log probability of counts x, or its formula at any x >= 0."""
    x, log_rate = np.broadcast_arrays(np.asarray(x, np.float64), log_rate)
    m = x + 1
    t = np.log(m) - log_rate
    near = m * exp_remainder(np.asarray(-t, order="C")) + t
    return near - np.log(m) / 2 - HALF_LOG_2PI - log_gamma_remainder(np.asarray(m, order="C"))


def log_binomial(x: Array, n: Any, log_p: Array, log_q: Array) -> Array:
    """Return the log probability of x successes of n >= x, with log p + log q those of one."""
    log_n = np.log(n)
    both = log_poisson(x, log_n + log_p) + log_poisson(n - x, log_n + log_q)
    return both - log_poisson(n, log_n)


def log_negative_binomial(x: Array, r: float, log_p: Array, log_q: Array) -> Array:
    """Return the log probability of x successes, each of probability p, before r failures."""
    n = x + r
    return np.log(r) - np.log(n) + log_binomial(np.broadcast_to(r, n.shape), n, log_q, log_p)
