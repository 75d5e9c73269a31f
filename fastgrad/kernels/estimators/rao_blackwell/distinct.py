"""The k first outcomes by perturbed log probability (samples without replacement), or by rank.

N variables with K categories belong to M cells, N / M consecutive ones to each; an outcome is that
of a whole cell. Noise stands at (row, category): the first outcome is `sample`'s, method="gumbel".
With several variables a cell holds too many outcomes to list: a beam keeps the k best beginnings,
whose value is that of their best completion; noise of the i-th stands at sample i. In the race of
exponential clocks, a beginning's best completion arrives at T, and its children at T + A_i - A_b: A
are their own clocks, b is the first of them; the others are still to come, and have no memory.

Oracle: tests/estimators/rao_blackwell/test_unordered_set.py,
`test_random_orders_have_their_probability`, `test_by_rank_the_likeliest_come_first`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import (
    block,
    chunk_bounds,
    inline,
    kernel,
    wide_vectors,
)
from fastgrad.kernels.distributions.concrete import exponentials
from fastgrad.kernels.distributions.concrete_noise import draw
from fastgrad.kernels.random.bits import addresses, empty_bits
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp_normal, expm1, log, log1p, logaddexp
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.memory import empty, zeros

NEGLIGIBLE = 60.0  # exp(-60) is nothing to 1


# -- one variable: a tile of rows at a time ----------------------------------------------------


@block
def take_winner(w, t, arg, s, fold):
    """s = t at the winners, which leave w."""
    wide_vectors()
    for c in range(s.size):
        s[c] = like(0, s)
    for i in range(w.shape[0]):
        for c in range(s.size):
            hit = arg[c] == np.int32(i)
            s[c] += where(hit, t[i, c], like(0, s))
            w[i, c] = where(hit, like(-np.inf, w), w[i, c])
    if fold:
        col.fold_sum(s)


@block
def sum_left(w, e, s, fold):
    """s = column sums of e where w still stands."""
    wide_vectors()
    for c in range(s.size):
        s[c] = like(0, s)
    for i in range(w.shape[0]):
        for c in range(s.size):
            s[c] += where(w[i, c] > like(-np.inf, w), e[i, c], like(0, s))
    if fold:
        col.fold_sum(s)


@block
def shift_by_log(s, total):
    """s -= log(total)."""
    wide_vectors()
    for c in range(s.size):
        s[c] -= log(total[c])


@kernel(cost=lambda logits, z: logits.size * len(z))
def rows(chunk, chunks, logits, noise, noisy, z, log_p, rest, last):
    """z (S, N) = the first outcomes of each row, a cell of its own, log_p their log probabilities.

    rest is the log of the mass of all others, last the perturbed log probability of the next one.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, w, e = tile.scratch(layout, 3, real)
    best, s, total = tile.statistics(layout, 3, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        exponentials(t, e, best, total, fold)
        elementwise.copy(w, t)
        if noisy:
            place, ahead = addresses(layout, row), (best[:0], tile.ahead(logits, row, layout))
            draw(w, t, bits, place, np.uint32(first_sample), key, best, arg, fold, ahead)
        for i in range(z.shape[0]):
            col.argmax(w, best, arg, fold)
            tile.store_categories(z[i], arg, row, fold)
            take_winner(w, t, arg, s, fold)
            shift_by_log(s, total)
            tile.store_statistics(log_p[i], s, row, fold)
        shift_by_log(best, total)
        tile.store_statistics(last, best, row, fold)
        sum_left(w, e, s, fold)
        for c in range(layout.columns):
            s[c] = log(s[c] / total[c])
        tile.store_statistics(rest, s, row, fold)


# -- several variables: a beam -----------------------------------------------------------------


@block
def read(out, w, r):
    """Take row r of a tile, in float64."""
    if out.size > tile.NARROW:
        flat = w.reshape(w.size)
        for i in range(out.size):
            out[i] = np.float64(flat[i])
    else:
        c = r % 4 * (w.shape[1] // 4) + r // 4
        for i in range(out.size):
            out[i] = np.float64(w[i, c])


@block
def normalise(x, e):
    """x = log_softmax(x), e = softmax(x), for x with maximum 0."""
    wide_vectors()
    total = 0.0
    for i in range(x.size):
        e[i] = exp_normal(x[i])
    for i in range(x.size):
        total += e[i]
    shift, scale = log(total), 1.0 / total
    for i in range(x.size):
        x[i] -= shift
        e[i] *= scale


@block
def continue_race(score, h, top, gap, parent):
    """score = -log(time) of the children, whose own are h: the first of them keeps its parent's.

    T + A_i - A_b over T is 1 + exp(gap) (exp(top - h_i) - 1), gap = log(A_b / T).
    """
    wide_vectors()
    for i in range(score.size):
        score[i] = -expm1(h[i] - top)
    for i in range(score.size):
        score[i] = gap + (top - h[i]) + log(score[i])
    for i in range(score.size):  # less its softplus; subnormal numbers would be slow
        x = score[i]
        score[i] = parent - (max(x, 0.0) + log1p(exp_normal(-abs(x))))


@inline
def keep(values, sources, count, value, parent, category):
    """Enter a child among the best, in order, after its equals; return how many there are."""
    if value == -np.inf or (count == values.size and value <= values[count - 1]):
        return count
    i = min(count, values.size - 1)
    while i > 0 and value > values[i - 1]:
        values[i], sources[i, 0], sources[i, 1] = (
            values[i - 1],
            sources[i - 1, 0],
            sources[i - 1, 1],
        )
        i -= 1
    values[i], sources[i, 0], sources[i, 1] = value, parent, category
    return min(count + 1, values.size)


@block
def left_behind(rest, phi, alive, e, sources, count):
    """Return the log of rest and the mass of the children that are not kept."""
    for j in range(alive):
        if phi[j] < rest - NEGLIGIBLE:
            continue
        for i in range(count):
            if sources[i, 0] == j:
                e[sources[i, 1]] = -e[sources[i, 1]]
        mass = 0.0
        for i in range(e.size):
            mass += max(e[i], 0.0)
        for i in range(count):
            if sources[i, 0] == j:
                e[sources[i, 1]] = -e[sources[i, 1]]
        if mass > 0.0:
            rest = logaddexp(rest, phi[j] + log(mass))
    return rest


@block
def trace(z, up, held):
    """Follow the beam back: z and up, (S, variables), hold each step's categories and parents."""
    for i in range(held.shape[0]):
        held[i, 0] = i
    for row in range(z.shape[1] - 1, -1, -1):
        for i in range(held.shape[0]):
            held[i, 1] = z[held[i, 0], row]
            held[i, 0] = up[held[i, 0], row]
        for i in range(held.shape[0]):
            z[i, row] = held[i, 1]


@kernel(cost=lambda logits, z: logits.size * len(z))
def beams(chunk, chunks, logits, noise, noisy, z, log_p, rest, last):
    """The same as `rows` where a cell is several rows: log_p is (S, M), rest and last (M,)."""
    key, first_sample, offset = noise
    (n, k), most, m = logits.shape, z.shape[0], rest.size
    per, real = n // m, logits.dtype
    begin, end = chunk_bounds(m, chunk, chunks)
    begin, end = begin * per, end * per
    layout = tile.layout(end - begin, k, offset + begin)
    fold = layout.fold
    (t,) = tile.scratch(layout, 1, real)
    (best,) = tile.statistics(layout, 1, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    w = empty((most, layout.depth, layout.columns), real)
    x, e, h, score = empty((4, k))
    g, phi, values, mass = empty((4, most))
    sources, held = empty((most, 2), np.int64), empty((most, 2), np.int64)
    up = zeros((most, per), np.int32)
    for first in tile.rows(layout, 0, 1):
        tile.load(t, logits[begin:end], first, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        place = addresses(layout, first)
        ahead = best[:0], tile.ahead(logits[begin:end], first, layout)
        for j in range(most if noisy else 0):
            draw(w[j], t, bits, place, np.uint32(first_sample + j), key, best, arg, fold, ahead)
        head = first + begin
        for r in range(max(0, begin - head), min(1 if fold else layout.columns, end - head)):
            row = head + r
            cell, step = row // per, row % per
            if step == 0:
                alive, left, phi[0] = 1, -np.inf, 0.0
            read(x, t, r)
            count, mode = 0, x.argmax()
            normalise(x, e)
            for j in range(alive):
                winner = mode
                if noisy:
                    read(h, w[j], r)
                    winner = h.argmax()
                    own = h[winner] + x[mode]  # x[mode] is minus the log of the total
                    g[j] = own if step == 0 else g[j]
                    continue_race(score, h, h[winner], g[j] - phi[j] - own, g[j])
                else:
                    for i in range(k):
                        score[i] = phi[j] + x[i]
                count = keep(values, sources, count, score[winner], j, winner)
                for i in range(k):
                    if i != winner:
                        count = keep(values, sources, count, score[i], j, i)
            left = left_behind(left, phi, alive, e, sources, count)
            for i in range(count):
                z[i, row], up[i, step] = sources[i, 1], sources[i, 0]
                mass[i] = phi[sources[i, 0]] + x[sources[i, 1]]
            alive = count
            elementwise.assign(g, values)
            elementwise.assign(phi, mass)
            if step == per - 1:
                trace(z[:, row - step : row + 1], up, held)
                elementwise.assign(log_p[:, cell], phi)
                rest[cell] = left
                last[cell] = g[most - 1] if alive == most else -np.inf
