"""Remainders of Stirling's series: what log-gamma and digamma are beyond their leading terms.

At large shapes, entropies and densities are small differences of large log-gamma functions. Their
leading terms cancel on paper, in `log_gamma_remainder` and `digamma_gap`, so no digit is lost:

    log Gamma(a) = (a - 1/2) log a - a + log(2 pi) / 2 + log_gamma_remainder(a)
    digamma(a) = log a - digamma_gap(a),    digamma_gap(a) = 1 / (2 a) + digamma_remainder(a).

All of them hold for any normal a > 0 and work on float64 arrays.

References
----------
Abramowitz and Stegun, "Handbook of mathematical functions", 6.1.40 and 6.3.18. Loader, "Fast and
accurate computation of binomial probabilities", 2000, for densities by their deviance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array
from fastgrad.kernels.distributions.continuous import stirling as _kernels

__all__ = [
    "HALF_LOG_2PI",
    "digamma_gap",
    "digamma_remainder",
    "exp_remainder",
    "flat",
    "log_gamma_remainder",
]

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def flat(*arrays: Array) -> list[Array]:
    """Return parameters in float64 as kernels take them: flat, contiguous and mutable."""
    return [np.ascontiguousarray(a, np.float64).reshape(-1) for a in arrays]


def log_gamma_remainder(a: Array) -> Array:
    """Return log Gamma(a) - (a - 1/2) log a + a - log(2 pi) / 2, which is about 1 / (12 a)."""
    return _apply(_kernels.log_gamma_remainders, a)


def digamma_gap(a: Array) -> Array:
    """Return log a - digamma(a), which is about 1 / (2 a)."""
    return _apply(_kernels.digamma_gaps, a, 0.0)


def digamma_remainder(a: Array) -> Array:
    """Return log a - digamma(a) - 1 / (2 a), which is about 1 / (12 a^2)."""
    return _apply(_kernels.digamma_gaps, a, 1.0)


def exp_remainder(t: Array) -> Array:
    """Return t - (exp(t) - 1), which is about -t^2 / 2; -inf at both infinities."""
    return _apply(_kernels.exp_remainders, t)


def _apply(kernel: Any, a: Array, *options: float) -> Array:
    out = np.empty(np.shape(a))
    kernel(_validate.real_array(a, "shape").reshape(-1), *options, out.reshape(-1))
    return out
