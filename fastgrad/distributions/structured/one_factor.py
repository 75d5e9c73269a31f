"""Probabilities of rows of bits under a Gaussian copula with one factor, by quadrature.

Given the factor z, site i is 1 with probability ``Phi((t_i + a_i z) c_i)``, where Phi(t_i) is its
own probability, a_i its loading and ``c_i = 1 / sqrt(1 - a_i**2)``. With ``s_i`` = 1 or -1, the
integrand is ``phi(z) prod_i Phi(s_i c_i (t_i + a_i z))``. As abs(Phi(u + iv)) is at most
exp(v**2 / 2) Phi(u), the trapezoidal rule with step h has the relative error
``2 exp(-2 pi**2 / (h**2 Q))``, where ``Q = 1 + sum of (c_i a_i)**2``. The logarithm of the
integrand has a second derivative between -Q and -1, so what is beyond REACH from its maximum is of
no account.
"""

from __future__ import annotations

import numpy as np
import scipy

from fastgrad._typing import FloatArray

NUMBERS = 1 << 21  # of all sites of all points that are looked at at once
REACH = 9.5  # of the points about the maximum, whose place is known to 0.1
STEP = 0.77  # times the root of 1 / Q: a relative error of 1e-14
HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def integrate(
    logits: FloatArray, bits: FloatArray, loadings: FloatArray, *, slopes: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the log probabilities of rows of bits, (R,), and their gradients, (R, K).

    Logits and bits are (R, K), loadings (K,). The gradients are empty unless asked for.
    """
    steepness = loadings / np.sqrt(1 - loadings**2)
    q = 1 + (steepness**2).sum()
    half = int(np.ceil(REACH * np.sqrt(q) / STEP))
    points = np.arange(-half, half + 1) * (STEP / np.sqrt(q))
    r, k = logits.shape
    log_p, gradient = np.empty(r), np.empty((r if slopes else 0, k))
    size = max(1, NUMBERS // max(1, k * points.size))
    for begin in range(0, r, size):
        rows = slice(begin, begin + size)
        _rows(logits[rows], bits[rows], loadings, points, log_p[rows], gradient[rows])
    return log_p, gradient


def _rows(
    logits: FloatArray,
    bits: FloatArray,
    loadings: FloatArray,
    points: FloatArray,
    log_p: FloatArray,
    gradient: FloatArray,
) -> None:
    """Fill in the results of some rows; the gradient has rows only where it is wanted."""
    t, slope = _thresholds(logits)
    sign, c = 2 * bits - 1, 1 / np.sqrt(1 - loadings**2)
    origin, steep = sign * c * t, sign * c * loadings
    z = _maximum(origin, steep)[:, None] + points  # (R, J)
    u = origin[:, None, :] + steep[:, None, :] * z[:, :, None]
    log_phi = scipy.special.log_ndtr(u)
    integrand = log_phi.sum(axis=2) - z**2 / 2
    total = scipy.special.logsumexp(integrand, axis=1)
    log_p[:] = total + np.log(points[1] - points[0]) - HALF_LOG_2PI
    if len(gradient):
        weights = np.exp(integrand - total[:, None])
        ratio = _mills(u, log_phi)
        gradient[:] = sign * c * slope * np.einsum("rj,rjk->rk", weights, ratio)


def _thresholds(logits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return t, for which Phi(t) is the probability of 1, and its derivative by the logit."""
    log_tail = -np.logaddexp(0, abs(logits))  # of the less probable bit
    t = scipy.special.ndtri_exp(log_tail)
    slope = np.exp(-np.logaddexp(0, -abs(logits))) / _mills(t, log_tail)
    return np.where(logits > 0, -t, t), slope


def _mills(u: FloatArray, log_phi: FloatArray) -> FloatArray:
    """Return phi(u) / Phi(u) where log Phi(u) is known."""
    far = np.minimum(u, -1e3)
    return np.where(u < -1e3, -far - 1 / far, np.exp(-(u**2) / 2 - HALF_LOG_2PI - log_phi))


def _maximum(origin: FloatArray, steep: FloatArray) -> FloatArray:
    """Return where sum of log Phi(origin + steep z) - z**2 / 2 is largest, to within 0.1.

    Newton's method on the derivative, which falls, and bisection at every third turn, or where a
    step leaves the bracket. A row that is there stays there, so that no result depends on other
    rows.
    """
    far = (abs(steep) * (np.maximum(-origin, 0) + 1)).sum(axis=1) + 1
    low, high, z = -far, far, np.zeros(len(origin))
    for turn in range(200):
        u = origin + steep * z[:, None]
        ratio = _mills(u, scipy.special.log_ndtr(u))
        slope = (steep * ratio).sum(axis=1) - z
        there = abs(slope) < 0.1  # nor is the distance more, as curve is at least 1
        if there.all():
            break
        curve = 1 + (steep**2 * ratio * (u + ratio)).sum(axis=1)
        rising = slope > 0
        np.copyto(low, z, where=rising)
        np.copyto(high, z, where=~rising)
        new = z + slope / curve
        newton = (new > low) & (new < high) & (turn % 3 < 2)
        z[:] = np.where(there, z, np.where(newton, new, (low + high) / 2))
    return z
