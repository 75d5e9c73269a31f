"""A network with one hidden layer of tanh for each cell, and the derivatives that train it.

c(x) = bias + sum over j of output_j tanh(input_j . (2 x - 1) + offset_j). The weights of a cell are
one row: inputs (H, D), offsets (H), outputs (H), bias. Inside, units stand in blocks of LANES,
those beyond H with weights of 0. Each sample is worked on alone, and sums over samples take them
in order: results do not depend on blocks.
"""

import numpy as np

from fastgrad.kernels.intrinsics import fma, like, where
from fastgrad.kernels.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.special import expm1

LANES = 16


@inline
def tanh(x):
    """Hyperbolic tangent."""
    e = expm1(like(-2, x) * abs(x))
    t = -e / (e + like(2, x))
    return where(x < like(0, x), -t, t)


@block
def spread(units, w, hidden):
    """Take inputs, offsets and outputs, the rows of units (D + 2, blocks, LANES), from a row w."""
    rows, blocks, _ = units.shape
    flat = units.reshape((rows, blocks * LANES))
    d = rows - 2
    flat[:] = like(0, flat)
    for i in range(d):
        for j in range(hidden):
            flat[i, j] = w[j * d + i]
    for i in range(2):
        for j in range(hidden):
            flat[d + i, j] = w[(d + i) * hidden + j]


@block
def collect(w, units, hidden):
    """Put the rows of units back in a row w."""
    rows, blocks, _ = units.shape
    flat = units.reshape((rows, blocks * LANES))
    d = rows - 2
    for i in range(d):
        for j in range(hidden):
            w[j * d + i] = flat[i, j]
    for i in range(2):
        for j in range(hidden):
            w[(d + i) * hidden + j] = flat[d + i, j]


@block
def add_inputs(h, units, x, scale, shift):
    """h += inputs . (scale x + shift)."""
    wide_vectors()
    for i in range(x.size):
        y = fma(scale, x[i], shift)
        for b in range(h.shape[0]):
            for c in range(LANES):
                h[b, c] = fma(units[i, b, c], y, h[b, c])


@block
def activate(h, units, x):
    """h = tanh of each unit at x."""
    wide_vectors()
    h[:] = units[x.size]
    add_inputs(h, units, x, like(2, x), like(-1, x))
    for b in range(h.shape[0]):
        for c in range(LANES):
            h[b, c] = tanh(h[b, c])


@block
def differentiate(slope, w, h, units, hidden):
    """slope = gradient of c by x; return c less its bias."""
    wide_vectors()
    d = slope.size
    c = like(0, slope)
    for i in range(d):
        slope[i] = like(0, slope)
    for j in range(hidden):
        t, v = h[j // LANES, j % LANES], units[d + 1, j // LANES, j % LANES]
        c = fma(v, t, c)
        k, row = like(2, v) * v * (like(1, t) - t * t), w[j * d : (j + 1) * d]
        for i in range(d):
            slope[i] = fma(k, row[i], slope[i])
    return c


@kernel
def value_and_gradient(chunk, chunks, weights, hidden, x, value, gradient):
    """Fill value (S, M) and gradient (S, M, D) of c at x (S, M, D); weights are (M, P)."""
    samples, m, d = x.shape
    work, blocks = samples * m, (hidden + LANES - 1) // LANES
    units = np.empty((d + 2, blocks, LANES), x.dtype)
    h, last = np.empty((blocks, LANES), x.dtype), -1
    for pair in chunk_range(work, chunk, chunks):
        cell, i = pair // samples, pair % samples
        w = weights[cell]
        if cell != last:
            spread(units, w, hidden)
            last = cell
        activate(h, units, x[i, cell])
        c = differentiate(gradient[i, cell], w, h, units, hidden)
        value[i, cell] = c + w[hidden * (d + 2)]


@block
def add_unit_gradients(total, h, q, units, x, u, a):
    """Add to total, in the places of units, the gradient of a c(x) + u . grad c(x).

    q holds inputs . 2 u, and is left with what x is multiplied by.
    """
    wide_vectors()
    d, one, two = x.size, like(1, x), like(2, x)
    for b in range(h.shape[0]):
        for c in range(LANES):
            t, v = h[b, c], units[d + 1, b, c]
            slope = one - t * t
            total[d + 1, b, c] += a * t + slope * q[b, c]
            q[b, c] = v * slope * (a - two * q[b, c] * t)
            h[b, c] = two * v * slope
            total[d, b, c] += q[b, c]
    for i in range(d):
        y, along = fma(two, x[i], -one), u[i]
        for b in range(h.shape[0]):
            for c in range(LANES):
                total[i, b, c] += fma(q[b, c], y, h[b, c] * along)


@kernel
def add_parameter_gradient(chunk, chunks, weights, hidden, x, factor, direction, total):
    """total (M, P) += gradient by the weights of sum of factor c(x) + direction . grad c(x)."""
    samples, m, d = x.shape
    blocks = (hidden + LANES - 1) // LANES
    units = np.empty((d + 2, blocks, LANES), x.dtype)
    sums = np.empty((d + 2, blocks, LANES), x.dtype)
    h, q = np.empty((blocks, LANES), x.dtype), np.empty((blocks, LANES), x.dtype)
    for cell in chunk_range(m, chunk, chunks):
        spread(units, weights[cell], hidden)
        spread(sums, total[cell], hidden)
        for i in range(samples):
            point, u, a = x[i, cell], direction[i, cell], factor[i, cell]
            activate(h, units, point)
            q[:] = like(0, q)
            add_inputs(q, units, u, like(2, u), like(0, u))
            add_unit_gradients(sums, h, q, units, point, u, a)
            total[cell, hidden * (d + 2)] += a
        collect(total[cell], sums, hidden)
