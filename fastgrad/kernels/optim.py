"""Steps of optimisers on flat arrays, in one pass over memory: parts stay in cache between loops.

What a step makes goes into new arrays. An infinite parameter, as of a masked logit, stays infinite.

Oracle: tests/test_optim.py, `reference`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like, sqrt, where
from fastgrad.kernels.tiles.memory import empty

PART = 1024  # elements: the seven arrays of Adam fill 28 kB in float32


@block
def accumulate(out, a, x, y):
    """out = a x + y."""
    wide_vectors()
    for i in range(out.size):
        out[i] = fma(a, x[i], y[i])


@block
def mix(out, a, x, b, y):
    """out = a x + b y."""
    wide_vectors()
    for i in range(out.size):
        out[i] = fma(a, x[i], b * y[i])


@block
def mix_squares(out, a, x, b, y):
    """out = a x + b y^2."""
    wide_vectors()
    for i in range(out.size):
        out[i] = fma(a, x[i], b * (y[i] * y[i]))


@block
def descend(out, p, rate, m, scale, v, epsilon):
    """out = p - rate m / (scale sqrt(v) + epsilon)."""
    wide_vectors()
    for i in range(out.size):
        out[i] = p[i] - rate * m[i] / fma(scale, sqrt(v[i]), epsilon)


@kernel(cost=lambda p: p.size)
def sgd(chunk, chunks, p, g, velocity, momentum, rate, new_p, new_velocity):
    """new_velocity = momentum velocity + g, new_p = p - rate new_velocity."""
    parts = (p.size + PART - 1) // PART
    for b in chunk_range(parts, chunk, chunks):
        part = slice(b * PART, min((b + 1) * PART, p.size))
        accumulate(new_velocity[part], momentum, velocity[part], g[part])
        accumulate(new_p[part], -rate, new_velocity[part], p[part])


@inline
def step(part, p, g, mean, square, how, new_p, new_m, new_v):
    """Take a step of Adam with a part of the parameters, whose gradient is g."""
    keep, keep_square, rate, scale, epsilon = how
    m, v = new_m[part], new_v[part]
    mix(m, keep[0], mean[part], keep[1], g)
    mix_squares(v, keep_square[0], square[part], keep_square[1], g)
    descend(new_p[part], p[part], rate, m, scale, v, epsilon)


@kernel(cost=lambda p: p.size)
def adam(chunk, chunks, p, g, mean, square, how, new_p, new_m, new_v):
    """Take a step of Adam: how = (beta, 1 - beta) twice, rate, scale and epsilon."""
    parts = (p.size + PART - 1) // PART
    for b in chunk_range(parts, chunk, chunks):
        part = slice(b * PART, min((b + 1) * PART, p.size))
        step(part, p, g[part], mean, square, how, new_p, new_m, new_v)


@block
def add_scaled(g, slopes, unit):
    """g += slopes unit."""
    wide_vectors()
    for i in range(g.size):
        g[i] += np.float64(slopes[i]) * unit


@block
def limit(out, x, most):
    """out = x in the type of out, from -most to most."""
    wide_vectors()
    for i in range(out.size):
        y = x[i]
        out[i] = like(where(y > most, most, where(y < -most, -most, y)), out)


@kernel(cost=lambda p: p.size)
def adam_of_cells(chunk, chunks, p, slopes, unit, most, mean, square, how, new_p, new_m, new_v):
    """Do as `adam` for M cells of weights, whose gradient is unit (M,) times the sum of slopes.

    Slopes are (C, n), and may be of another type. No gradient is larger than `most`, whose square
    must be finite.
    """
    parts, per = (p.size + PART - 1) // PART, p.size // max(unit.size, 1)
    g, own = empty(PART), empty(PART, p.dtype)
    for b in chunk_range(parts, chunk, chunks):
        first, last = b * PART, min((b + 1) * PART, p.size)
        gradient = g[: last - first]
        gradient[:] = 0.0
        for row in slopes:
            begin = first
            while begin < last:
                cell = begin // per
                end = min(last, (cell + 1) * per)
                add_scaled(gradient[begin - first : end - first], row[begin:end], unit[cell])
                begin = end
        limited = own[: last - first]
        limit(limited, gradient, most)
        step(slice(first, last), p, limited, mean, square, how, new_p, new_m, new_v)
