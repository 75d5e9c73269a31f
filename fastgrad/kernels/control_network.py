"""A network with one hidden layer of tanh for each cell, and the derivatives that train it.

c(x) = bias + sum over j of output_j tanh(input_j . (2 x - 1) + offset_j). The weights of a cell are
one row: inputs (H, D), offsets (H), outputs (H), bias. Inside, units are the columns of an array
(D + 2, W) of inputs, offsets and outputs, W a multiple of 16 and those beyond H of weight 0. Four
samples at a time go through the inputs, which are loaded once for all; each adds up its own, and
sums over samples take them in order: results do not depend on blocks.
"""

import numpy as np

from fastgrad.kernels import tile
from fastgrad.kernels.intrinsics import fma, like, where
from fastgrad.kernels.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.special import expm1
from fastgrad.kernels.vectors import LANES, filled, load, store


@inline
def tanh(x):
    """Hyperbolic tangent."""
    e = expm1(like(-2, x) * abs(x))
    t = -e / (e + like(2, x))
    return where(x < like(0, x), -t, t)


@inline
def width(hidden):
    """Return the number of columns of units."""
    return (hidden + LANES - 1) // LANES * LANES


@block
def spread(units, w, hidden):
    """Take inputs, offsets and outputs, the rows of units, from a row w."""
    d = units.shape[0] - 2
    units[:] = like(0, units)
    for i in range(d):
        for j in range(hidden):
            units[i, j] = w[j * d + i]
    for i in range(2):
        for j in range(hidden):
            units[d + i, j] = w[(d + i) * hidden + j]


@block
def collect(w, units, hidden):
    """Put the rows of units back in a row w."""
    d = units.shape[0] - 2
    for i in range(d):
        for j in range(hidden):
            w[j * d + i] = units[i, j]
    for i in range(2):
        for j in range(hidden):
            w[(d + i) * hidden + j] = units[d + i, j]


@inline
def four(first, samples):
    """Return four samples from the first on; beyond the last, that again."""
    last = samples - 1
    return first, min(first + 1, last), min(first + 2, last), min(first + 3, last)


@block
def add_inputs(h, units, x, cell, scale, shift):
    """h += inputs . (scale x + shift) of each sample: h is (S, W), x (S, M, D)."""
    wide_vectors()
    samples, d = x.shape[0], x.shape[2]
    for first in range(0, samples, 4):
        s, t, u, v = four(first, samples)
        xs, xt, xu, xv = x[s, cell], x[t, cell], x[u, cell], x[v, cell]
        for c in range(0, h.shape[1], LANES):
            hs, ht, hu, hv = load(h, (s, c)), load(h, (t, c)), load(h, (u, c)), load(h, (v, c))
            for i in range(d):
                w = load(units, (i, c))
                hs = fma(w, fma(scale, xs[i], shift), hs)
                ht = fma(w, fma(scale, xt[i], shift), ht)
                hu = fma(w, fma(scale, xu[i], shift), hu)
                hv = fma(w, fma(scale, xv[i], shift), hv)
            store(h, (s, c), hs)
            store(h, (t, c), ht)
            store(h, (u, c), hu)
            store(h, (v, c), hv)


@block
def activate(h, units, x, cell):
    """h = tanh of each unit at each sample of a cell."""
    wide_vectors()
    d = x.shape[2]
    for s in range(h.shape[0]):
        for c in range(0, h.shape[1], LANES):
            store(h, (s, c), load(units, (d, c)))
    add_inputs(h, units, x, cell, like(2, h), like(-1, h))
    for s in range(h.shape[0]):
        for c in range(0, h.shape[1], LANES):
            store(h, (s, c), tanh(load(h, (s, c))))


@block
def slopes(k, value, h, w, hidden, d, cell):
    """k = derivatives of c by inputs . x of each unit, (S, W); value = c, both of each sample."""
    for s in range(h.shape[0]):
        c = w[hidden * (d + 2)]
        for j in range(hidden):
            t, v = h[s, j], w[hidden * (d + 1) + j]
            c = fma(v, t, c)
            k[s, j] = like(2, v) * v * (like(1, t) - t * t)
        value[s, cell] = c


@block
def combine(gradient, k, w, hidden, cell):
    """gradient = sum over units of k inputs, for each sample of a cell: gradient is (S, M, D)."""
    wide_vectors()
    samples, d = gradient.shape[0], gradient.shape[2]
    whole, zero = d // LANES * LANES, like(0, w)
    for first in range(0, samples, 4):
        s, t, u, v = four(first, samples)
        gs, gt, gu, gv = gradient[s, cell], gradient[t, cell], gradient[u, cell], gradient[v, cell]
        for i in range(0, whole, LANES):
            a, b, e, f = filled(zero), filled(zero), filled(zero), filled(zero)
            for j in range(hidden):
                row = load(w, j * d + i)
                a, b = fma(k[s, j], row, a), fma(k[t, j], row, b)
                e, f = fma(k[u, j], row, e), fma(k[v, j], row, f)
            store(gs, i, a)
            store(gt, i, b)
            store(gu, i, e)
            store(gv, i, f)
    for s in range(samples):
        for i in range(whole, d):
            a = zero
            for j in range(hidden):
                a = fma(k[s, j], w[j * d + i], a)
            gradient[s, cell, i] = a


@kernel
def value_and_gradient(chunk, chunks, weights, hidden, x, value, gradient):
    """Fill value (S, M) and gradient (S, M, D) of c at x (S, M, D); weights are (M, P)."""
    samples, m, d = x.shape
    units = tile.empty((d + 2, width(hidden)), x.dtype)
    h = tile.empty((samples, width(hidden)), x.dtype)
    k = np.empty_like(h)
    for cell in chunk_range(m, chunk, chunks):
        w = weights[cell]
        spread(units, w, hidden)
        activate(h, units, x, cell)
        slopes(k, value, h, w, hidden, d, cell)
        combine(gradient, k, w, hidden, cell)


@block
def unit_gradients(total, h, q, units, factor, cell):
    """Add to total, of the offsets and outputs, the gradient of a c(x) + u . grad c(x).

    q holds inputs . 2 u, and is left with what 2 x - 1 is multiplied by in the gradient by the
    inputs, h with what u is.
    """
    wide_vectors()
    d = units.shape[0] - 2
    one, two = like(1, h), like(2, h)
    for c in range(0, h.shape[1], LANES):
        v, offsets, outputs = load(units, (d + 1, c)), load(total, (d, c)), load(total, (d + 1, c))
        for s in range(h.shape[0]):
            t, along, a = load(h, (s, c)), load(q, (s, c)), factor[s, cell]
            slope = one - t * t
            outputs = outputs + (a * t + slope * along)
            along = v * slope * (a - two * along * t)
            store(q, (s, c), along)
            store(h, (s, c), two * v * slope)
            offsets = offsets + along
        store(total, (d, c), offsets)
        store(total, (d + 1, c), outputs)


@block
def input_gradients(total, h, q, x, u, cell):
    """Add to total, of the inputs, q (2 x - 1) + h u of each sample in turn."""
    wide_vectors()
    samples, d = x.shape[0], x.shape[2]
    two, minus_one = like(2, h), like(-1, h)
    for c in range(0, h.shape[1], LANES):
        for i in range(d):
            sums = load(total, (i, c))
            for s in range(samples):
                y = fma(two, x[s, cell, i], minus_one)
                sums = sums + fma(load(q, (s, c)), y, load(h, (s, c)) * u[s, cell, i])
            store(total, (i, c), sums)


@kernel
def add_parameter_gradient(chunk, chunks, weights, hidden, x, factor, direction, total):
    """total (M, P) += gradient by the weights of sum of factor c(x) + direction . grad c(x)."""
    samples, m, d = x.shape
    units = tile.empty((d + 2, width(hidden)), x.dtype)
    sums = tile.empty((d + 2, width(hidden)), x.dtype)
    h, q = (
        tile.empty((samples, width(hidden)), x.dtype),
        tile.empty((samples, width(hidden)), x.dtype),
    )
    for cell in chunk_range(m, chunk, chunks):
        spread(units, weights[cell], hidden)
        spread(sums, total[cell], hidden)
        activate(h, units, x, cell)
        q[:] = like(0, q)
        add_inputs(q, units, direction, cell, like(2, q), like(0, q))
        unit_gradients(sums, h, q, units, factor, cell)
        input_gradients(sums, h, q, x, direction, cell)
        bias = total[cell, hidden * (d + 2)]
        for s in range(samples):
            bias += factor[s, cell]
        collect(total[cell], sums, hidden)
        total[cell, hidden * (d + 2)] = bias
