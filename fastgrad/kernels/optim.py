"""Steps of optimisers on flat arrays, in one pass over memory: parts stay in cache between loops.

What a step makes goes into new arrays. An infinite parameter, as of a masked logit, stays infinite.

Oracle: tests/test_optim.py, `reference`.
"""

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, sqrt

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


@kernel(cost=lambda p: p.size)
def adam(
    chunk, chunks, p, g, mean, square, keep, keep_square, rate, scale, epsilon, new_p, new_m, new_v
):
    """Take a step of Adam: keep and keep_square are pairs (beta, 1 - beta)."""
    parts = (p.size + PART - 1) // PART
    for b in chunk_range(parts, chunk, chunks):
        part = slice(b * PART, min((b + 1) * PART, p.size))
        m, v, gradient = new_m[part], new_v[part], g[part]
        mix(m, keep[0], mean[part], keep[1], gradient)
        mix_squares(v, keep_square[0], square[part], keep_square[1], gradient)
        descend(new_p[part], p[part], rate, m, scale, v, epsilon)
