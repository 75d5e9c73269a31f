"""Log densities of gamma variables and their derivatives by the logarithms of shape a and rate.

With t = log(rate x / a), the log density is the deviance a (t - (e^t - 1)) and what Stirling's
formula leaves of the constant, whose leading terms cancel (Loader, 2000). Near t = 0 it is taken
from rate x - a, which has more digits than log x.

Number e of flat points has the parameters number e % N.

Oracle: tests/distributions/continuous/test_asymptotics.py: mpmath.
"""

import math

from fastgrad.kernels.compiler.jit import block, chunk_bounds, kernel, wide_vectors
from fastgrad.kernels.distributions.continuous.stirling import WORK, exp_remainder, repeated
from fastgrad.kernels.random.rejection import ROWS
from fastgrad.kernels.simd.intrinsics import where
from fastgrad.kernels.simd.special import exp, log, log1p
from fastgrad.kernels.tiles.memory import empty


@block
def place_logarithms(points, x, log_a, log_rate):
    """Set points, (3, ROWS), to t, rate x and log x, where x holds logarithms."""
    wide_vectors()
    t, scaled, log_x = points[0], points[1], points[2]
    for i in range(x.size):
        log_x[i] = x[i]
        scaled[i] = exp(x[i] + log_rate[i])
        t[i] = x[i] + log_rate[i] - log_a[i]


@block
def place_points(points, x, a, log_a, rate, log_rate):
    """Set points to t, rate x and log x: NaN below 0."""
    wide_vectors()
    t, scaled, log_x = points[0], points[1], points[2]
    for i in range(x.size):
        log_x[i] = log(x[i])
        scaled[i] = where(x[i] < 0.0, math.nan, rate[i] * x[i])
        excess = (scaled[i] - a[i]) / a[i]
        near = abs(excess) < 0.5
        t[i] = where(near, log1p(where(near, excess, 0.0)), log_x[i] + log_rate[i] - log_a[i])


@block
def place_distances(points, x, a, log_a, rate, log_rate):
    """Set the first two of points, t and rate x, as `place_points` does, by one logarithm for both.

    Where x is near, 1 + excess is y + lost exactly, and lost, a rounding, adds lost / y to log y.
    """
    wide_vectors()
    t, scaled = points[0], points[1]
    for i in range(x.size):
        scaled[i] = where(x[i] < 0.0, math.nan, rate[i] * x[i])
        excess = (scaled[i] - a[i]) / a[i]
        y = 1.0 + excess
        back = y - 1.0
        lost = (1.0 - (y - back)) + (excess - back)
        near = abs(excess) < 0.5
        rest = where(near, lost * (2.0 - y), log_rate[i] - log_a[i])
        t[i] = log(where(near, y, x[i])) + rest


@block
def densities(out, points, a, log_rate, constant):
    """Set out to log densities, but NaN below 0."""
    wide_vectors()
    t, scaled, log_x = points[0], points[1], points[2]
    for i in range(out.size):
        near = abs(t[i]) < 1.0
        deviance = a[i] * where(near, exp_remainder(where(near, t[i], 0.0)), 0.0)
        deviance = where(near, deviance, a[i] * t[i] + a[i] - scaled[i])
        value = deviance + constant[i] - log_x[i]
        at_zero = where(a[i] < 1.0, math.inf, where(a[i] > 1.0, -math.inf, log_rate[i]))
        value = where(log_x[i] == -math.inf, at_zero, value)
        out[i] = where(scaled[i] == math.inf, -math.inf, value)


@block
def slopes(by_shape, by_rate, points, a, gap):
    """Set the derivatives by log a and log rate."""
    wide_vectors()
    t, scaled = points[0], points[1]
    for i in range(by_shape.size):
        by_shape[i] = a[i] * (t[i] + gap[i])
        by_rate[i] = a[i] - scaled[i]


@kernel(cost=lambda out: WORK * out.size)
def log_prob(chunk, chunks, x, logs, a, log_a, rate, log_rate, constant, out):
    """out = log densities at flat x, or with logs at exp(x).

    constant is log(a / (2 pi)) / 2 less the remainder of log-gamma. Below 0, out is -inf.
    """
    begin, end = chunk_bounds(out.size, chunk, chunks)
    a, log_a, rate = repeated(a), repeated(log_a), repeated(rate)
    log_rate, constant = repeated(log_rate), repeated(constant)
    points = empty((3, ROWS))
    while begin < end:
        first = begin % a.size
        last = min(first + min(ROWS, end - begin), a.size)
        own, origin = a[first:last], log_rate[first:last]
        part = x[begin : begin + last - first]
        target = out[begin : begin + last - first]
        if logs:
            place_logarithms(points, part, log_a[first:last], origin)
        else:
            place_points(points, part, own, log_a[first:last], rate[first:last], origin)
        densities(target, points, own, origin, constant[first:last])
        if not logs:
            for i in range(part.size):
                target[i] = where(part[i] < 0.0, -math.inf, target[i])
        begin += last - first


@kernel(cost=lambda x: WORK * x.size)
def score(chunk, chunks, x, logs, a, log_a, rate, log_rate, gap, by_shape, by_rate):
    """Set the derivatives of `log_prob` by log_a and log_rate: NaN below 0.

    gap is log a - digamma(a).
    """
    begin, end = chunk_bounds(x.size, chunk, chunks)
    a, log_a, rate = repeated(a), repeated(log_a), repeated(rate)
    log_rate, gap = repeated(log_rate), repeated(gap)
    points = empty((3, ROWS))
    while begin < end:
        first = begin % a.size
        last = min(first + min(ROWS, end - begin), a.size)
        own, origin = a[first:last], log_rate[first:last]
        rows = slice(begin, begin + last - first)
        if logs:
            place_logarithms(points, x[rows], log_a[first:last], origin)
        else:
            place_distances(points, x[rows], own, log_a[first:last], rate[first:last], origin)
        slopes(by_shape[rows], by_rate[rows], points, own, gap[first:last])
        begin += last - first
