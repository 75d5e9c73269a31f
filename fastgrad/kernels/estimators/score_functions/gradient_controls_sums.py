"""Control variates made of the gradients of f, added to RLOO: all that follows from their sums.

Each is made, weighed and multiplied with the others while its rows are in the cache.

Oracle: tests/estimators/score_functions/test_control_variates.py, `test_they_are_their_formulae`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.categorical_marked import marked
from fastgrad.kernels.estimators.score_functions.control_variates import dot
from fastgrad.kernels.estimators.score_functions.gradient_controls import SHORT
from fastgrad.kernels.estimators.sums_by_outcome import last_row, width
from fastgrad.kernels.estimators.sums_of_scores import marked_means, means_room
from fastgrad.kernels.simd.intrinsics import like, to_float64, where
from fastgrad.kernels.simd.lanes import entry
from fastgrad.kernels.simd.pairs import add_four, add_pair, load_fours, load_pairs
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import features, tile
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import empty, zeros
from fastgrad.kernels.tiles.sums import spread

SAFE = 1e-25  # a sum of squares, above which those that underflow do not count


# -- what samples show --------------------------------------------------------------------------


@block
def sum_of(x):
    """Return the sum of a flat array, in float64."""
    wide_vectors()
    sums, total, whole = filled(0.0), 0.0, x.size // LANES * LANES
    for i in range(0, whole, LANES):
        sums = sums + to_float64(load(x, i))
    for lane in range(LANES):
        total += entry(sums, lane)
    for i in range(whole, x.size):
        total += np.float64(x[i])
    return total


@kernel(cost=lambda x: x.size)
def cell_sums(chunk, chunks, x, out):
    """out = the sums of x, (S, N), over the variables of each cell: (S, M)."""
    cells = out.shape[1]
    per = x.shape[1] // max(cells, 1)
    for item in chunk_range(out.size, chunk, chunks):
        i, cell = item // cells, item % cells
        out[i, cell] = sum_of(x[i, cell * per : (cell + 1) * per])


@kernel(cost=lambda f: f.size)
def centre_signals(chunk, chunks, f, w, size, out, means):
    """out = (f, w, size), each less its mean over samples, and 1, for each sample: (S, M, 4).

    They are (S, M), or with no samples where there are none; the means are (3, M).
    """
    samples, cells, _ = out.shape
    for cell in chunk_range(cells, chunk, chunks):
        for i in range(samples):
            out[i, cell, 3] = like(1, out)
        for j, x in enumerate((f, w, size)):
            mean = 0.0
            if len(x):
                for i in range(samples):
                    mean += x[i, cell] - x[0, cell]
                mean = x[0, cell] + mean / samples
            for i in range(samples):
                out[i, cell, j] = x[i, cell] - mean if len(x) else 0.0
            means[j, cell] = mean


@block
def take_fours(own, row, end, outcomes_each, z, x):
    """Add the signals of each sample, x (S, M, 4), to the fours of the outcomes, z (S, N)."""
    samples, n = z.shape
    per, one = n // max(x.shape[1], 1), like(1, own)
    for i in range(samples):
        first, cell = row, row // per
        while first < end:
            last = min(end, (cell + 1) * per)
            a, b, c = x[i, cell, 0], x[i, cell, 1], x[i, cell, 2]
            for v in range(first, last):
                place = np.int64(z[i, v]) + outcomes_each * (v - row)
                add_four(own, place, a, b, c, one)
            first, cell = last, cell + 1


@block
def take_pairs(own, row, end, outcomes_each, z, means):
    """Add the means of each sample and variable, (2, S, N), to the pairs of the outcomes."""
    for i in range(len(z)):
        for v in range(row, end):
            place = np.int64(z[i, v]) + outcomes_each * (v - row)
            add_pair(own, place, means[0, i, v], means[1, i, v])


@block
def keep_second(own, rows, count):
    """Keep, of the two groups of numbers of each Bernoulli variable, that of outcome 1."""
    for r in range(rows):
        for j in range(count):
            own[count * r + j] = own[count * (2 * r + 1) + j]


# -- controls of a block of rows, flat; the last row is RLOO ------------------------------------


@inline
def varied(x, n, s):
    """Return a sum about the mean, 0 if the outcome never varied: that sum less itself."""
    return where(n == s, like(0, x), x)


@inline
def mean_product(out, p, total, samples, row, layout, room):
    """out = the Jacobian of p times the mean gradient, for the rows of a tile: both (1, N, K)."""
    scale = like(1.0 / samples, out)
    if layout.k > 1:
        features.add_softmax_products(out, p, total, scale, True, row, layout, room)
    else:
        out[:] = like(0, out)
        y, w = tile.extent(p[0], row, layout), tile.extent(total[0], row, layout)
        features.add_sigmoid_product(out, y, w, scale)


@block
def taylor_rows(rows, fours, samples, inverse):
    """rows[0] -= the sum of the second signals, times inverse; rows[1] = that of the first."""
    wide_vectors()
    s = filled(like(samples, rows))
    for i in range(0, rows.shape[1], LANES):
        f, w, _, n = load_fours(fours, i)
        store(rows, (0, i), load(rows, (0, i)) - varied(w, n, s) * inverse)
        store(rows, (1, i), varied(f, n, s) * inverse)


@block
def stein_rows(rows, fours, pairs, first, second, means, q, samples, inverse):
    """Fill rows with the controls of g = w and abs(w), then of h = w and abs(w), and with RLOO.

    first and second are the `steps` of both, means those of the signals, q has a `mark`.
    """
    wide_vectors()
    s, each = filled(like(samples, rows)), like(1.0 / samples, rows)
    for i in range(0, rows.shape[1], LANES):
        f, w, size, n = load_fours(fours, i)
        own_w, own_size = load_pairs(pairs, i)
        p = load(q, i)
        seen = where(marked(p), n - s, n) - s * p
        w, size = varied(w, n, s), varied(size, n, s)
        about_w = (w + load(means, (0, i)) * seen) * each
        about_size = (size + load(means, (1, i)) * seen) * each
        store(rows, (0, i), w * inverse - about_w)
        store(rows, (1, i), size * inverse - about_size)
        store(rows, (2, i), (load(first, i) - own_w) * each + about_w)
        store(rows, (3, i), (load(second, i) - own_size) * each + about_size)
        store(rows, (4, i), varied(f, n, s) * inverse)


@block
def add_weighed(rows, weights):
    """Add to the last row the others with their weights."""
    wide_vectors()
    last = len(rows) - 1
    for i in range(0, rows.shape[1], LANES):
        x = load(rows, (last, i))
        for j in range(last):
            x = x + like(weights[j], rows) * load(rows, (j, i))
        store(rows, (last, i), x)


@block
def products(a, b, c):
    """Return <a, b> and <a, c>, of which short runs are summed in their own type."""
    wide_vectors()
    zero, step = filled(like(0, a)), 2 * LANES
    sums, sums2, total, total2 = filled(0.0), filled(0.0), 0.0, 0.0
    whole = a.size // step * step
    for start in range(0, whole, SHORT):
        x, x2, y, y2 = zero, zero, zero, zero
        for i in range(start, min(start + SHORT, whole), step):
            j = i + LANES
            here, there = load(a, i), load(a, j)
            x, y = x + here * load(b, i), y + here * load(c, i)
            x2, y2 = x2 + there * load(b, j), y2 + there * load(c, j)
        sums, sums2 = sums + to_float64(x + x2), sums2 + to_float64(y + y2)
    for lane in range(LANES):
        total, total2 = total + entry(sums, lane), total2 + entry(sums2, lane)
    for i in range(whole, a.size):
        total, total2 = total + np.float64(a[i] * b[i]), total2 + np.float64(a[i] * c[i])
    return total, total2


@block
def multiply_all(part, rows, size):
    """part = the products of rows, so long, with each other."""
    fine = 0
    for i in range(len(rows)):
        for j in range(0, i + 1, 2):
            k = min(j + 1, i)
            part[i, j], part[i, k] = products(rows[i, :size], rows[j, :size], rows[k, :size])
            part[j, i], part[k, i] = part[i, j], part[i, k]
        fine += SAFE < part[i, i] < 1 / SAFE
    if fine < len(rows):  # what is of another size may have left the range of float32
        for i in range(len(rows)):
            for j in range(i + 1):
                part[i, j] = dot(rows[i, :size], rows[j, :size])
                part[j, i] = part[i, j]


@kernel(cost=lambda z, given: z.size + given.size)
def add_controls(
    chunk, chunks, z, x, means, given, own, p, distribution, weights, change, rows, parts, grad
):
    """grad = RLOO + weights controls, and if there are parts, which learn, + change controls.

    parts, zeros before, are products of the controls and of RLOO + weights controls, the last row:
    one for each block of rows, be it one row or `tile.FOLD` or a multiple of these.

    x and means are what `centre_signals` makes. Controls are those of double_cv where given is the
    sum of the gradients and p the mean features, (1, N, K); those of rodeo where given and own are
    the steps and means of `stein`, (2, N, K) and (2, S, N). distribution is as of `about`. Where
    there is room, controls are written to rows, (C, N K), and the rest to grad, (N K,).
    """
    samples, n = z.shape
    k, count, real = given.shape[2], weights.size, given.dtype
    layout = features.products_layout((n, k))
    fold, columns, outcomes_each = layout.fold, layout.columns, width(k)
    height = 1 if fold else columns
    size = (height * k + LANES - 1) // LANES * LANES
    fours = empty(4 * max(size, height * outcomes_each), real)
    pairs = empty(fours.size // 2, real)
    made, room = empty((count + 1, size), real), empty((5, size), real)
    first, second, q, moved = room[0], room[1], room[2], room[3:]
    scratch, spare = means_room(layout, real), features.products_room(layout, real)
    inverse, cells = like(1.0 / (samples - 1), given), x.shape[1]
    per, origin, ready = n // max(cells, 1), zeros(cells), False
    for row in tile.rows(layout, chunk, chunks):
        end = last_row(row, k, columns, n)
        here, mine = slice(0, (end - row) * k), slice(row * k, end * k)
        fours[:] = like(0, given)
        take_fours(fours, row, end, outcomes_each, z, x)
        if k == 1:
            keep_second(fours, end - row, 4)
        if count == 1:
            mean_product(made[0, here], p, given, samples, row, layout, spare)
            taylor_rows(made, fours, samples, inverse)
        else:
            pairs[:] = like(0, given)
            take_pairs(pairs, row, end, outcomes_each, z, own)
            if k == 1:
                keep_second(pairs, end - row, 2)
            if not ready:
                spread(moved[0, here], means[1], origin, row * k, per * k)
                spread(moved[1, here], means[2], origin, row * k, per * k)
                ready = cells == 1 and end - row == height  # it is the same for all
            marked_means(q, distribution, row, end, scratch, fold)
            assign(first[here], tile.flattened(given[0])[mine])
            assign(second[here], tile.flattened(given[1])[mine])
            stein_rows(made, fours, pairs, first, second, moved, q, samples, inverse)
        if len(rows):
            for j in range(count):
                assign(rows[j, mine], made[j, here])
        add_weighed(made, weights)
        if len(parts):  # they learn to explain RLOO as the weights leave it
            multiply_all(parts[row if fold else row // tile.FOLD], made, (end - row) * k)
            add_weighed(made, change)
        if grad.size:
            assign(grad[mine], made[count, here])
