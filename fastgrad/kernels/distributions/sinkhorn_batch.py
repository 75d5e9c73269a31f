"""Batches of Sinkhorn problems, perturbed by Gumbel noise or not, and their products.

Problems are (n, m) with n <= m: rows sum to 1, columns too or, where n < m, to at most 1 (`clip`).
Sinkhorn's iteration comes first; a problem on which it is slow is handed to Newton's method, in
float64. Entry e of problem b has its noise at the address of entry e in row b of a wide tile.
Noise is (key, first_sample, offset of the first problem), limits are (1 / temperature of each
problem, (B,), tolerance, most iterations, whether Newton's method helps).

Oracle: tests/distributions/test_sinkhorn.py, `iterations`, and `differences` for derivatives.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.distributions import sinkhorn, sinkhorn_newton, sinkhorn_unrolled
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.random.noise import fill_exponential
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import log_normal
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import empty, flattened, zeros

PATIENCE = 50  # iterations, or as many as columns, before Newton's method


@inline
def depth_of(n, m):
    """Return the depth of the wide tile that holds the noise of a problem."""
    return (n * m + tile.FOLD - 1) // tile.FOLD


@block
def add_noise(y, x, noise, scale):
    """y = x - scale log(noise), noise being exponential: a scaled Gumbel variate."""
    wide_vectors()
    for i in range(y.size):
        y[i] = x[i] - scale * log_normal(noise[i])


@block
def perturb_one(y, x, noise, bits, scale, address, sample, key):
    """y = x + scale Gumbel noise of the problem at this address; noise and bits are scratch."""
    flat_y, flat_x = flattened(y), flattened(x)
    if scale == like(0, y):
        assign(flat_y, flat_x)
        return
    start = address * (noise.size // 4)
    fill_bits(bits, start, 1, tile.FOLD // 4, sample, NOISE, key)
    fill_exponential(noise, bits)
    add_noise(flat_y, flat_x, flattened(noise), scale)


@kernel(cost=lambda out: out.size)
def perturb(chunk, chunks, logits, noise, noise_scale, out):
    """Fill out, (S, B, n, m), with logits + noise_scale Gumbel noise."""
    key, first_sample, offset = noise
    samples, batch, n, m = out.shape
    shape, work = (depth_of(n, m), tile.FOLD), samples * batch
    e = empty(shape, out.dtype)
    bits = empty((out.itemsize // 4, *shape), np.uint32)
    for w in chunk_range(work, chunk, chunks):
        s, b = w // batch, w % batch
        sample = np.uint32(first_sample + s)
        perturb_one(out[s, b], logits[b], e, bits, noise_scale, offset + b, sample, key)


@block
def cast(out, x, scale):
    """out = x scale, where out may have fewer rows and columns, and less precision."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = x[i, j] * scale


@inline
def patience(most, m, use_newton):
    """Return how many of the iterations are Sinkhorn's."""
    return min(most, max(PATIENCE, m)) if use_newton else most


@block
def solve_one(p, exact, s, y, scale, tolerance, most, use_newton, past_f, past_g):
    """Solve problem y; return the iterations made, and whether Newton's method left it in `exact`.

    To within a little less than the tolerance: rounding is to fit in.
    """
    n, m = y.shape
    sinkhorn.load(p, y, scale)
    plain, close = patience(most, m, use_newton), 0.98 * tolerance
    count, done = sinkhorn.iterate(p, like(close, y), plain, n < m, past_f, past_g)
    if done or not use_newton or count == most:
        return count, False
    sinkhorn.load(exact, y, np.float64(scale))
    return count + sinkhorn_newton.anneal(exact, s, close, most - count, n < m), True


@kernel(cost=lambda out: 8 * out.size)
def solve(chunk, chunks, logits, noise, noise_scale, limits, out, errors, counts):
    """Fill out, (S, B, n, m), with scaled matrices, with their errors and numbers of iterations."""
    key, first_sample, offset = noise
    scales, tolerance, most, use_newton = limits
    samples, batch, n, m = out.shape
    shape, work = (depth_of(n, m), tile.FOLD), samples * batch
    e, y = empty(shape, out.dtype), empty((n, m), out.dtype)
    bits = empty((out.itemsize // 4, *shape), np.uint32)
    p, past = sinkhorn.problem(n, m, out.dtype), empty((0, 0), out.dtype)
    exact, s = sinkhorn.problem(n, m, np.float64), sinkhorn_newton.system(m)
    for w in chunk_range(work, chunk, chunks):
        i, b = w // batch, w % batch
        sample, scale = np.uint32(first_sample + i), scales[b]
        perturb_one(y, logits[b], e, bits, noise_scale, offset + b, sample, key)
        count, exactly = solve_one(p, exact, s, y, scale, tolerance, most, use_newton, past, past)
        if exactly:
            cast(out[i, b], exact.k, 1.0)
        else:
            sinkhorn.store(out[i, b], p)
        errors[i, b] = sinkhorn.error(out[i, b], n < m)
        counts[i, b] = count


@block
def derive(out, result, w, p, exact, s, y, exactly, scale):
    """out = product of w with the derivative of the solution, by the equations it satisfies."""
    clip = y.shape[0] < y.shape[1]
    if not exactly:
        sinkhorn.move(p.g, p.v, p.top)
        sinkhorn.load(exact, y, np.float64(scale))
        assign(exact.g, p.g)
        sinkhorn_newton.evaluate(exact)
    sinkhorn_newton.differentiate(result, exact, s, w, clip)
    cast(out, result, np.float64(scale))


@kernel(cost=lambda out: 8 * out.size)
def vjp(chunk, chunks, logits, cotangent, noise, noise_scale, limits, implicit, out):
    """Fill out, (S, B, n, m), with products of the cotangent and the derivative of `solve`."""
    key, first_sample, offset = noise
    scales, tolerance, most, use_newton = limits
    samples, batch, n, m = out.shape
    shape, work = (depth_of(n, m), tile.FOLD), samples * batch
    kept = 0 if implicit else patience(most, m, use_newton)
    e, y = empty(shape, out.dtype), empty((n, m), out.dtype)
    bits = empty((out.itemsize // 4, *shape), np.uint32)
    p = sinkhorn.problem(n, m, out.dtype)
    a, total = zeros(p.x.shape, out.dtype), zeros(p.x.shape, out.dtype)
    past_f = empty((kept, p.f.size), out.dtype)
    past_g = empty((kept, p.g.size), out.dtype)
    exact, s = sinkhorn.problem(n, m, np.float64), sinkhorn_newton.system(m)
    result = empty((n, m))
    for w in chunk_range(work, chunk, chunks):
        i, b = w // batch, w % batch
        sample, scale = np.uint32(first_sample + i), scales[b]
        perturb_one(y, logits[b], e, bits, noise_scale, offset + b, sample, key)
        count, exactly = solve_one(
            p, exact, s, y, scale, tolerance, most, use_newton, past_f, past_g
        )
        if implicit:
            derive(out[i, b], result, cotangent[i, b], p, exact, s, y, exactly, scale)
        else:
            sinkhorn_unrolled.unroll(p, cotangent[i, b], past_f, past_g, count, n < m, a, total)
            cast(out[i, b], total, scale)
