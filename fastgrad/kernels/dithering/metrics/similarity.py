"""Structural similarity of pictures, in one plane, to a reference.

A window is known by its centre. Maps of windows have a margin: the one at (y, c) is at [MARGIN + y,
MARGIN + c] of shape (height + 2 MARGIN, width + 2 MARGIN + 4). Windows that leave the picture do
not count, and have the weight 0. With the means mx, m, variances and covariance of a window, its
similarity is S = (2 mx m + c1) q / ((mx^2 + m^2 + c1) v), where q = 2 covariance + c2 and
v = both variances + c2; so a picture's maps are m, q and v. The loss is the sum of weight (1 - S).

Oracle: tests/dithering/metrics/test_structure.py, `terms` and `reference_loss`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like
from fastgrad.kernels.tiles.memory import empty

MARGIN = 6  # the radius of a window, and one


@block
def convolve_row(out, row, taps):
    """out[c] = the sum of taps[t] row[c + t]."""
    wide_vectors()
    for c in range(out.size):
        out[c] = taps[0] * row[c]
    for t in range(1, taps.size):
        tap, shifted = taps[t], row[t:]
        for c in range(out.size):
            out[c] = fma(tap, shifted[c], out[c])


@block
def sum_rows(sums, squares, products, plane, reference, taps, y):
    """Sum columns, under taps from row y on, of a picture, its square, and times the reference.

    Both count from one half: so the variance, a difference, is small beside no square.
    """
    wide_vectors()
    half = like(0.5, plane)
    for c in range(sums.size):
        sums[c] = like(0, plane)
        squares[c] = like(0, plane)
        products[c] = like(0, plane)
    for t in range(taps.size):
        tap, row, other = taps[t], plane[y + t], reference[y + t]
        for c in range(sums.size):
            value = row[c] - half
            sums[c] = fma(tap, value, sums[c])
            squares[c] = fma(tap * value, value, squares[c])
        for c in range(sums.size):
            products[c] = fma(tap * (row[c] - half), other[c] - half, products[c])


@block
def settle_row(m, q, v, mx, vx, c2):
    """Turn the means of value, product and square, from one half, into m, q and v."""
    wide_vectors()
    half, two = like(0.5, m), like(2, m)
    for c in range(m.size):
        q[c] = fma(two, q[c] - m[c] * (mx[c] - half), c2)
    for c in range(m.size):
        v[c] = vx[c] + fma(-m[c], m[c], v[c])
    for c in range(m.size):
        m[c] += half


@kernel(cost=lambda planes, taps: 6 * taps.size * planes.size)
def moments(chunk, chunks, maps, planes, reference, fixed, taps, c2):
    """maps (samples, 3, ...) = m, q and v of pictures (samples, height, width).

    fixed holds mx, vx + c2 and the weights. Windows that do not count are left as they are.
    """
    samples, height, width = planes.shape
    radius = taps.size // 2
    rows = height - 2 * radius
    first, last = MARGIN + radius, MARGIN + width - radius
    sums = empty((3, width), planes.dtype)
    for i in chunk_range(samples * rows, chunk, chunks):
        s, y = i // rows, i % rows
        sum_rows(sums[0], sums[2], sums[1], planes[s], reference, taps, y)
        for j in range(3):
            convolve_row(maps[s, j, first + y, first:last], sums[j], taps)
        m, q, v = maps[s, 0, first + y], maps[s, 1, first + y], maps[s, 2, first + y]
        mx, vx = fixed[0, first + y], fixed[1, first + y]
        part = slice(first, last)
        settle_row(m[part], q[part], v[part], mx[part], vx[part], c2)


@block
def terms_row(terms, m, q, v, mx, weights, c1):
    """terms = weight (1 - S) of a row of windows; return their sum."""
    wide_vectors()
    two = like(2, m)
    for c in range(terms.size):
        a = fma(two * mx[c], m[c], c1) * q[c]
        b = fma(mx[c], mx[c], fma(m[c], m[c], c1)) * v[c]
        terms[c] = weights[c] - weights[c] * (a / b)
    total = 0.0
    for c in range(terms.size):
        total += np.float64(terms[c])
    return total


@kernel(cost=lambda out: 8 * out.size)
def terms(chunk, chunks, out, sums, maps, fixed, c1):
    """out (samples, ...) = the terms of all windows, sums = those of their rows."""
    samples, rows = out.shape[:2]
    for i in chunk_range(samples * rows, chunk, chunks):
        s, y = i // rows, i % rows
        m, q, v = maps[s, 0, y], maps[s, 1, y], maps[s, 2, y]
        sums[s, y] = terms_row(out[s, y], m, q, v, fixed[0, y], fixed[2, y], c1)


@block
def spread_row(out, windows, y, taps, sums):
    """out = row y of what windows give their pixels: their own numbers, under taps."""
    wide_vectors()
    first = MARGIN - taps.size // 2
    for c in range(sums.size):
        sums[c] = like(0, sums)
    for t in range(taps.size):
        tap, row = taps[t], windows[y + first + t]
        for c in range(sums.size):
            sums[c] = fma(tap, row[c], sums[c])
    convolve_row(out, sums[first:], taps)


@kernel(cost=lambda out, taps: 2 * taps.size * out.size)
def spread(chunk, chunks, out, windows, taps):
    """out (samples, height, width) = what windows give their pixels."""
    height, lines = out.shape[1], out.shape[0] * out.shape[1]
    sums = empty(windows.shape[2], out.dtype)
    for i in chunk_range(lines, chunk, chunks):
        s, y = i // height, i % height
        spread_row(out[s, y], windows[s], y, taps, sums)


@block
def slopes_row(m, q, v, mx, weights, c1, scale, slope):
    """Turn m, q and v into derivatives: the loss's is their sum with 2 (y - 1/2), x - 1/2 and 1.

    In this order: the derivative by m, of all that it enters; by the covariance; by the variance.
    """
    wide_vectors()
    half, two = like(0.5, m), like(2, m)
    for c in range(m.size):
        scale[c] = weights[c] / (fma(mx[c], mx[c], fma(m[c], m[c], c1)) * v[c])
    for c in range(m.size):
        ratio = fma(two * mx[c], m[c], c1) / fma(mx[c], mx[c], fma(m[c], m[c], c1))
        slope[c] = two * scale[c] * q[c] * (m[c] * ratio - mx[c])
    for c in range(m.size):
        v[c] = fma(two * mx[c], m[c], c1) * q[c] * scale[c] / v[c]
    for c in range(m.size):
        q[c] = -two * fma(two * mx[c], m[c], c1) * scale[c]
    for c in range(m.size):
        m[c] = slope[c] - two * v[c] * (m[c] - half) - q[c] * (mx[c] - half)


@kernel(cost=lambda maps: 16 * maps.size)
def slopes(chunk, chunks, maps, fixed, c1):
    """Turn maps (samples, 3, ...) into derivatives, in place."""
    samples, _, rows, columns = maps.shape
    scratch = empty((2, columns), maps.dtype)
    for i in chunk_range(samples * rows, chunk, chunks):
        s, y = i // rows, i % rows
        m, q, v = maps[s, 0, y], maps[s, 1, y], maps[s, 2, y]
        slopes_row(m, q, v, fixed[0, y], fixed[2, y], c1, scratch[0], scratch[1])


@block
def combine_row(out, by_mean, by_product, by_square, row, other):
    wide_vectors()
    half, two = like(0.5, out), like(2, out)
    for c in range(out.size):
        slope = fma(two * (row[c] - half), by_square[c], by_mean[c])
        out[c] = fma(other[c] - half, by_product[c], slope)


@kernel(cost=lambda out, taps: 6 * taps.size * out.size)
def gradient(chunk, chunks, out, slopes, planes, reference, taps):
    """out = the gradient of the loss by the pixels, (samples, height, width)."""
    samples, height, width = planes.shape
    lines = samples * height
    sums = empty(slopes.shape[3], planes.dtype)
    parts = empty((3, width), planes.dtype)
    for i in chunk_range(lines, chunk, chunks):
        s, y = i // height, i % height
        for j in range(3):
            spread_row(parts[j], slopes[s, j], y, taps, sums)
        row, other = planes[s, y], reference[y]
        combine_row(out[s, y], parts[0], parts[1], parts[2], row, other)


@block
def prepare_row(square, product, change, row, other):
    """square, product = what a change adds to weighted sums of squares, and twice of products."""
    wide_vectors()
    two = like(2, change)
    for c in range(change.size):
        square[c] = change[c] * fma(two, row[c], change[c])
    for c in range(change.size):
        product[c] = two * change[c] * other[c]


@block
def add_changed(out, weight, change, square, product, m, q, v, mx, weights, c1):
    """Add the term of one window of each pixel, in which it has this weight, after its change."""
    wide_vectors()
    two = like(2, out)
    for c in range(out.size):
        new = fma(weight, change[c], m[c])
        a = fma(two * mx[c], new, c1) * fma(weight, product[c] - two * change[c] * mx[c], q[c])
        b = fma(mx[c], mx[c], fma(new, new, c1))
        b *= fma(weight, square[c] - change[c] * (m[c] + new), v[c])
        out[c] += weights[c] - weights[c] * (a / b)


@kernel(cost=lambda out, taps: taps.size**2 * out.size)
def changed(chunk, chunks, out, change, maps, planes, reference, fixed, taps, c1):
    """out = the sum of the terms which each pixel touches, were it alone changed by so much.

    out and change have the shape (samples, alternatives, height, width).
    """
    samples, alternatives, height, width = out.shape
    lines, start = samples * alternatives * height, MARGIN - taps.size // 2
    square = empty(width, planes.dtype)
    product = empty(width, planes.dtype)
    for i in chunk_range(lines, chunk, chunks):
        s, j, y = i // (alternatives * height), i // height % alternatives, i % height
        row, by = out[s, j, y], change[s, j, y]
        prepare_row(square, product, by, planes[s, y], reference[y])
        row[:] = like(0, planes)
        for t in range(taps.size):
            line = start + y + t
            m, q, v = maps[s, 0, line], maps[s, 1, line], maps[s, 2, line]
            mx, weights = fixed[0, line], fixed[2, line]
            for u in range(start, start + taps.size):
                part = slice(u, u + width)
                weight = taps[t] * taps[u - start]
                window = m[part], q[part], v[part], mx[part], weights[part]
                add_changed(row, weight, by, square, product, *window, c1)
