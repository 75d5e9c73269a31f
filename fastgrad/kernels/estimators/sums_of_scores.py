"""Sums of scores weighted by signals, made of the `sums_by_outcome` of what samples showed.

Oracle: tests/estimators/score_functions/test_reinforce.py, `test_reinforce_is_its_formula`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, shared, wide_vectors
from fastgrad.kernels.distributions.categorical_marked import mark, mark_rows, marked, share
from fastgrad.kernels.estimators.sums_by_outcome import begin, last_row, load_cells, take, width
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.pairs import load_pairs
from fastgrad.kernels.simd.special import sigmoid
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import empty, zeros
from fastgrad.kernels.tiles.sums import add_deviations, spread


@block
def keep_second(own, rows):
    """Keep of the two pairs of each Bernoulli variable that of outcome 1."""
    for r in range(rows):
        own[2 * r], own[2 * r + 1] = own[4 * r + 2], own[4 * r + 3]


@block
def gather(own, sums, row, end, k, last, first, d):
    """Take rows of the sums, and of the last block (z, x, ...) whose signals count from first."""
    z, x, _ = last
    begin(own, sums, row, end)
    take(own, row, end, k, z, x, first, d)
    if k == 1:
        keep_second(own, end - row)


@inline
def centred(total, n, mean, s, inverse):
    """Return (total - mean n) inverse, 0 if the outcome never varied: that sum less itself."""
    x = (total - mean * n) * inverse
    return where(n == s, like(0, x), x)


@block
def centre_rows(y, own, mean, samples, inverse):
    """y = the `centred` sums of pairs."""
    wide_vectors()
    s = filled(like(samples, y))
    for i in range(0, y.size, LANES):
        total, n = load_pairs(own, i)
        store(y, i, centred(total, n, load(mean, i), s, inverse))


@block
def score_rows(y, own, mean, shift, samples, inverse, p):
    """y = the `centred` sums of pairs + shift (count - samples p) inverse; p has a `mark`."""
    wide_vectors()
    s = filled(like(samples, y))
    for i in range(0, y.size, LANES):
        total, n = load_pairs(own, i)
        x, each = centred(total, n, load(mean, i), s, inverse), load(p, i)
        seen = where(marked(each), n - s, n) - s * each
        store(y, i, x + load(shift, i) * inverse * seen)


@shared
def sites(p, likeliest, rest):
    """Do as `share` for log odds of sites, of which 1 is the likeliest where p > 1 / 2."""
    wide_vectors()
    flat = p.reshape(p.size)
    for c in range(0, flat.size, LANES):
        x = load(flat, c)
        here = sigmoid(x)
        store(likeliest, c, where(here > like(0.5, p), np.int32(0), np.int32(-1)))
        store(rest, c, sigmoid(-x))
        store(flat, c, here)


@block
def mean_features(p, logits, row, s, likeliest, rest, single, fold):
    """p = the mean features: the softmax of rows of logits, (N, K), or the sigmoid.

    The likeliest outcome of each column is found, and rest = 1 - p of it; s is room.
    """
    wide_vectors()
    tile.load(p, logits, row, like(0 if single else -np.inf, p))
    if single:
        sites(p, likeliest, rest)
    else:
        col.argmax(p, rest, likeliest, fold)
        col.exponentiate(p, rest, like(1, p), s, fold)
        share(p, s, likeliest, rest, fold)


@inline
def means_room(layout, real):
    """Return what `marked_means` needs of room."""
    stats, args = tile.statistics(layout, 2, real), tile.statistics(layout, 1, np.int32)
    return tile.scratch(layout, 1, real), stats, args


@inline
def marked_means(q, distribution, row, end, room, fold):
    """q = the mean features of rows, flat, with a `mark`; distribution is as of `centre`."""
    logits, single, (whole, likeliest, gaps) = distribution
    k = logits.shape[1]
    if len(whole):
        assign(q[: (end - row) * k], tile.flattened(whole)[row * k : end * k])
        mark_rows(q, k, likeliest[row:end], gaps[row:end])
    else:
        (p,), (s, rest), (arg,) = room
        height = 1 if fold else p.shape[1]
        mean_features(p, logits, row, s, arg, rest, single, fold)
        mark(p, arg, rest)
        tile.store(q[: height * k].reshape((height, k)), p, 0)


@inline
def optimum(n, p, q, s):
    """Return the factor that makes of a sum about the mean one about the optimum; q = 1 - p.

    The optimum c = sum x score^2 / sum score^2 over the other samples depends on whether a sample
    shows this category, of probability p, as n of s do; the sum over all has a closed form.
    """
    zero, one = like(0, p), like(1, p)
    m, y = s - n, q
    # For n = 1, or m = 1, the squares of p, or q, cancel, which could underflow.
    shown, absent = n == one, m == one
    up = where(shown, y, y * p * p)
    down = where(shown, m, y * y * (n - one) + p * p * m)
    up_too = where(absent, p, p * y * y)
    down_too = where(absent, n, y * y * n + p * p * (m - one))
    both = (n > zero) & (m > zero)
    return where(both, s * (up / down + up_too / down_too), p - p)


@block
def optimal_rows(y, own, mean, samples, inverse, p):
    """y = the `centred` sums of pairs times `optimum`; p has a `mark`."""
    wide_vectors()
    s, one = filled(like(samples, y)), like(1, y)
    for i in range(0, y.size, LANES):
        total, n = load_pairs(own, i)
        x, each = centred(total, n, load(mean, i), s, inverse), load(p, i)
        top = marked(each)
        here, gap = where(top, one + each, each), where(top, like(0, y) - each, one - each)
        store(y, i, x * optimum(n, here, gap, s))


@block
def settle_origin(origin, last, cells):
    """Fill origin, (2, M), with what signals count from, and with the sum of those before, less it.

    Of those that are the first, last has nothing: they count from their first sample.
    """
    _, x, known = last
    first, total = origin[0], origin[1]
    if known.size:
        assign(first, known[0])
        assign(total, known[1])
    else:
        assign(first, x[0])
        for c in range(cells):
            total[c] = 0.0


@shared
def settle_means(deviation, shift, value, last, origin, head, tail, samples, baseline):
    """Set what `about` needs of the cells head to tail: the mean of x, less first and baseline."""
    wide_vectors()
    x, first = last[1], origin[0]
    cells, own = slice(head, tail), deviation[head:tail]
    assign(own, origin[1, cells])
    for i in range(x.shape[0]):
        add_deviations(own, x[i, cells], first[cells])
    begin, mean = first[cells], value[cells]
    for c in range(own.size):
        own[c] /= samples
        mean[c] = begin[c] + own[c]
    if baseline.size > 0:
        for c in range(head, tail):
            shift[c] = first[c] + deviation[c] - baseline[c if baseline.size > 1 else 0]


@kernel(cost=lambda last, out: last[0].size + out.size)
def centre(chunk, chunks, sums, last, samples, over, value, out):
    """value, (M,), = the mean of x; out = the sum over samples of (x - value) one-hot(z), / over.

    last are samples z with signals x that are not in the sums yet, (z, x, origin): a tile is
    finished while it is in L1. The origin of those that are is `settle_origin`'s.
    """
    n, k = out.shape
    layout, real, cells = tile.layout(n, k), out.dtype, value.size
    height = 1 if layout.fold else layout.columns
    size = (height * k + LANES - 1) // LANES * LANES
    own, flat = tile.empty((2 * max(size, height * width(k)),), real), out.reshape(n * k)
    room, d = tile.empty((2, size), real), empty(layout.columns, real)
    spare, m = room[0], room[1]
    origin, deviation, nothing = empty((2, cells)), empty(cells), zeros(cells)
    settle_origin(origin, last, cells)
    inverse, per, head, tail = like(1.0 / over, out), n // max(cells, 1), 0, 0
    ready, none = False, nothing[:0]
    if n == 0:
        settle_means(deviation, none, value, last, origin, 0, cells, samples, none)
    for row in tile.rows(layout, chunk, chunks):
        end = last_row(row, k, layout.columns, n)
        if (end - 1) // per >= tail:
            head, tail = row // per, (end - 1) // per + 1
            settle_means(deviation, none, value, last, origin, head, tail, samples, none)
        target, here = flat[row * k : end * k], slice(0, (end - row) * k)
        y = spare if target.size % LANES else target  # vectors do not end where it does
        gather(own, sums, row, end, k, last, origin[0], d)
        if not ready:
            spread(m[here], deviation, nothing, row * k, per * k)
        centre_rows(y, own, m, samples, inverse)
        ready = cells == 1 and end - row == height  # what belongs to the cell is there already
        if target.size % LANES:
            assign(target, y[here])


@kernel(cost=lambda last, out: last[0].size + out.size)
def about(chunk, chunks, sums, last, samples, over, how, distribution, value, out):
    """Do as `centre`, but about what `how` says: (baseline, optimal).

    With a baseline, (M,) or one for all, out is the sum of (x - baseline) score; if optimal, that
    of (x - optimum of each coordinate) score, both given the logits. distribution is (logits,
    whether each is alone, what `categorical_marked.sample` has kept of them, or nothing).
    """
    baseline, optimal = how
    n, k = out.shape
    layout, real, cells = tile.layout(n, k), out.dtype, value.size
    fold, columns, weighed = layout.fold, layout.columns, optimal or baseline.size > 0
    height = 1 if fold else columns
    size = (height * k + LANES - 1) // LANES * LANES
    own, flat = tile.empty((2 * max(size, height * width(k)),), real), out.reshape(n * k)
    room, d = tile.empty((4, size), real), empty(columns, real)
    spare, m, q, moved = room[0], room[1], room[2], room[3]
    scratch = means_room(layout, real)
    origin, deviation, nothing = empty((2, cells)), empty(cells), zeros(cells)
    settle_origin(origin, last, cells)
    shift = empty(cells if baseline.size > 0 else 0)
    inverse, per, head, tail = like(1.0 / over, out), n // max(cells, 1), 0, 0
    ready = False
    if n == 0:
        settle_means(deviation, shift, value, last, origin, 0, cells, samples, baseline)
    for row in tile.rows(layout, chunk, chunks):
        end = last_row(row, k, columns, n)
        if (end - 1) // per >= tail:
            head, tail = row // per, (end - 1) // per + 1
            settle_means(deviation, shift, value, last, origin, head, tail, samples, baseline)
        target, here = flat[row * k : end * k], slice(0, (end - row) * k)
        y = spare if target.size % LANES else target  # vectors do not end where it does
        gather(own, sums, row, end, k, last, origin[0], d)
        if not ready:
            spread(m[here], deviation, nothing, row * k, per * k)
        if weighed:
            marked_means(q, distribution, row, end, scratch, fold)
            if optimal:
                optimal_rows(y, own, m, samples, inverse, q)
            else:
                if not ready:
                    spread(moved[here], shift, nothing, row * k, per * k)
                score_rows(y, own, m, moved, samples, inverse, q)
        else:
            centre_rows(y, own, m, samples, inverse)
        ready = cells == 1 and end - row == height  # what belongs to the cell is there already
        if target.size % LANES:
            assign(target, y[here])


@block
def add_change(t, start, arg, d):
    """t += d (one-hot(arg) - one-hot(start)), in columns, where they differ."""
    depth = t.shape[0]
    for c in range(d.size):
        if arg[c] != start[c]:
            if depth > 1:
                t[arg[c], c] += d[c]
                t[start[c], c] -= d[c]
            else:
                t[0, c] += d[c] if arg[c] else -d[c]


@block
def add_change_folded(t, start, arg, d):
    """`add_change` of a wide tile, whose outcomes are given by their number."""
    flat = t.reshape(t.size)
    if arg != start:
        flat[arg] += d
        flat[start] -= d


@block
def add_first(t, p, start, total, likeliest, rest):
    """t += total (one-hot(start) - p), where 1 - p of the likeliest is given as rest."""
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        d, winner, top, gap = load(total, c), load(start, c), load(likeliest, c), load(rest, c)
        for i in range(t.shape[0]):
            x, here = load(p, (i, c)), np.int32(i)
            mine = where(top == here, gap, like(1, t) - x)
            x = where(winner == here, mine, like(0, t) - x)
            store(t, (i, c), load(t, (i, c)) + d * x)


@kernel(cost=lambda out: out.size)
def weighted(chunk, chunks, z, weights, total, logits, single, out):
    """out = the sum over samples of weights score(z), z (S, N) and weights (S, M).

    That is the sum of weights (one-hot(z) - one-hot(z_0)), and of total score(z_0), if total, (M,),
    the sum of all weights, is not empty: what all samples agree on, and what is masked, gets 0.
    """
    n, k = out.shape
    layout, real = tile.layout(n, k), out.dtype
    fold = layout.fold
    t, p = tile.scratch(layout, 2, real)
    s, rest = tile.statistics(layout, 2, real)
    start, arg = tile.statistics(layout, 2, np.int32)
    d = tile.empty((1, layout.columns), real)
    origin = zeros(weights.shape[1])
    for row in tile.rows(layout, chunk, chunks):
        last = last_row(row, k, layout.columns, n)
        tile.load_categories(start, z[0], row, fold)
        t[:] = like(0, t)
        for i in range(1, len(z)):
            load_cells(d, s, weights[i : i + 1], origin, row, last, n)
            if fold:
                add_change_folded(t, z[0, row], z[i, row], d[0, 0])
            else:
                tile.load_categories(arg, z[i], row, fold)
                add_change(t, start, arg, d[0])
        if total.size > 0:
            mean_features(p, logits, row, s, arg, rest, single, fold)
            load_cells(d, s, total.reshape((1, total.size)), origin, row, last, n)
            if k == 1:
                start -= np.int32(1)  # the feature is 1 at outcome 1
            add_first(t, p, start, d[0], arg, rest)
        tile.store(out, t, row)
