"""Remainders of Stirling's series: what log-gamma and digamma are beyond their leading terms.

At large shapes, entropies and densities are small differences of large log-gamma functions. Their
leading terms cancel on paper, in `log_gamma_remainder` and `digamma_gap`, so no digit is lost:

    log Gamma(a) = (a - 1/2) log a - a + log(2 pi) / 2 + log_gamma_remainder(a)
    digamma(a) = log a - digamma_gap(a),    digamma_gap(a) = 1 / (2 a) + digamma_remainder(a).

All of them hold for any a > 0 and work on float64 arrays.

References
----------
Abramowitz and Stegun, "Handbook of mathematical functions", 6.1.40 and 6.3.18. Loader, "Fast and
accurate computation of binomial probabilities", 2000, for densities by their deviance.
"""

from __future__ import annotations

import math

import numpy as np
import scipy

from fastgrad._typing import Array

__all__ = [
    "HALF_LOG_2PI",
    "digamma_gap",
    "digamma_remainder",
    "exp_remainder",
    "log_gamma_remainder",
]

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
LARGE = 10.0  # from here on the series below are exact to the last digit
# B_2k / (2k (2k - 1)) and B_2k / (2k), with B the Bernoulli numbers, for k = 1, 2, ...
LOG_GAMMA = (
    *(1 / 12, -1 / 360, 1 / 1260, -1 / 1680),
    *(1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400, 43867 / 244188),
)
DIGAMMA = tuple((2 * k - 1) * c for k, c in enumerate(LOG_GAMMA, 1))
EXP = tuple(1 / math.factorial(k) for k in range(2, 20))


def log_gamma_remainder(a: Array) -> Array:
    """Return log Gamma(a) - (a - 1/2) log a + a - log(2 pi) / 2, which is about 1 / (12 a)."""
    small, s = np.minimum(a, LARGE), 1 / np.maximum(a, LARGE)
    exact = scipy.special.gammaln(small) - (small - 0.5) * np.log(small) + small - HALF_LOG_2PI
    return np.where(a < LARGE, exact, s * polynomial(LOG_GAMMA, s * s))


def digamma_gap(a: Array) -> Array:
    """Return log a - digamma(a), which is about 1 / (2 a)."""
    small, s = np.minimum(a, LARGE), 1 / np.maximum(a, LARGE)
    series = s * (0.5 + s * polynomial(DIGAMMA, s * s))
    return np.where(a < LARGE, np.log(small) - scipy.special.digamma(small), series)


def digamma_remainder(a: Array) -> Array:
    """Return log a - digamma(a) - 1 / (2 a), which is about 1 / (12 a^2)."""
    small, s = np.minimum(a, LARGE), 1 / np.maximum(a, LARGE)
    exact = np.log(small) - scipy.special.digamma(small) - 0.5 / small
    return np.where(a < LARGE, exact, s * s * polynomial(DIGAMMA, s * s))


def exp_remainder(t: Array) -> Array:
    """Return t - (exp(t) - 1), which is about -t^2 / 2; -inf at both infinities."""
    near = np.clip(t, -1, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        far = np.where(t == np.inf, -np.inf, t - np.expm1(t))
    return np.where(np.abs(t) < 1, -near * near * polynomial(EXP, near), far)


def polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Return the sum of coefficients[i] x^i."""
    result = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        result = c + x * result
    return result
