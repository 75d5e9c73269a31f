"""Weights of k distinct outcomes by their probability of being among the first k of a random order.

Given the perturbed log probability of the next outcome, `last`, outcome s is among them with
probability q_s = 1 - exp(-exp(log p_s - last)). Its weight is p_s / q_s, and its coefficient the
weight times its signal less a baseline: the estimate of the mean in which q_s is 1. Sums that leave
one outcome out are those before and after it. Cells stand in columns, worked on together.

Oracle: tests/estimators/rao_blackwell/test_unordered_set.py, `by_inclusion`.
"""

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import where
from fastgrad.kernels.simd.special import exp, expm1
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import empty

CELLS = 64  # columns at most
CERTAIN = 40.0  # exp(-40) is nothing to 1: the outcome is among the first


@block
def include(log_p, last, p, w):
    """p = exp(log_p), w = p / q."""
    wide_vectors()
    for c in range(0, last.size, LANES):
        at = load(last, c)
        scale = exp(at)
        for s in range(log_p.shape[0]):
            x = load(log_p, (s, c))
            d, own = x - at, exp(x)
            y = exp(where(d < CERTAIN, d, filled(CERTAIN)))
            share = where(y > 1e-8, -expm1(-y) / y, 1.0 - 0.5 * y)  # q over y, and p is y scale
            store(p, (s, c), own)
            store(w, (s, c), where(y < CERTAIN, scale / share, own))


@block
def sum_others(out, x):
    """out_s = the sum of all x but x_s."""
    wide_vectors()
    k, n = x.shape
    for c in range(0, n, LANES):
        before, after = filled(0.0), filled(0.0)
        for s in range(k):
            store(out, (s, c), before)
            before = before + load(x, (s, c))
        for s in range(k - 1, -1, -1):
            store(out, (s, c), load(out, (s, c)) + after)
            after = after + load(x, (s, c))


@block
def average(out, x, w):
    """out = the sum of w x, x being left with the products."""
    wide_vectors()
    k, n = x.shape
    for c in range(0, n, LANES):
        total = filled(0.0)
        for s in range(k):
            y = load(w, (s, c)) * load(x, (s, c))
            store(x, (s, c), y)
            total = total + y
        store(out, c, total)


@block
def total(out, w):
    """out = the sum of w."""
    wide_vectors()
    k, n = w.shape
    for c in range(0, n, LANES):
        whole = filled(0.0)
        for s in range(k):
            whole = whole + load(w, (s, c))
        store(out, c, whole)


@block
def divide(out, x, other):
    """out = x / (out + other)."""
    wide_vectors()
    k, n = x.shape
    for c in range(0, n, LANES):
        for s in range(k):
            store(out, (s, c), load(x, (s, c)) / (load(out, (s, c)) + load(other, (s, c))))


@block
def about_each(out, w, x, p, rest):
    """out = w (x - (rest + p x))."""
    wide_vectors()
    k, n = x.shape
    for c in range(0, n, LANES):
        for s in range(k):
            y = load(x, (s, c))
            b = load(rest, (s, c)) + load(p, (s, c)) * y
            store(out, (s, c), load(w, (s, c)) * (y - b))


@block
def about_one(out, w, x, sums, whole):
    """out = w (x - sums / whole), or w x where there are no sums."""
    wide_vectors()
    k, n = x.shape
    for c in range(0, n, LANES):
        b = load(sums, c) / load(whole, c) if sums.size else filled(0.0)
        for s in range(k):
            store(out, (s, c), load(w, (s, c)) * (load(x, (s, c)) - b))


@block
def gather(x, signal, begin, end, per, v):
    """x = the signal of variable v of each cell from begin to end; beyond, that of the last."""
    last = (end - 1) * per + v
    for s in range(x.shape[0]):
        for c in range(x.shape[1]):
            x[s, c] = signal[s, min((begin + c) * per + v, last)]


@kernel(cost=lambda log_p, signal: 8 * (log_p.size + signal.size))
def by_inclusion(chunk, chunks, log_p, last, signal, f, how, mean, coefficient):
    """Fill mean (M,) with that of f (k, M), and coefficients (k, n) of the signal, (k, n).

    n / M consecutive columns of the signal belong to a cell. how is (whether there is a baseline,
    whether weights are divided by their sum).
    """
    baseline, normalized = how
    k, m = log_p.shape
    per = signal.shape[1] // max(m, 1)
    columns = min(CELLS, (m + LANES - 1) // LANES * LANES)
    x, p, w, rest, own, y = empty((6, k, columns))
    at, whole, sums = empty((3, columns))
    for i in chunk_range((m + columns - 1) // max(columns, 1), chunk, chunks):
        begin, end = i * columns, min((i + 1) * columns, m)
        gather(x, log_p, begin, end, 1, 0)
        for c in range(columns):
            at[c] = last[min(begin + c, m - 1)]
        include(x, at, p, w)
        gather(x, f, begin, end, 1, 0)
        average(sums, x, w)
        total(whole, w)
        for c in range(end - begin):
            mean[begin + c] = sums[c] / whole[c] if normalized else sums[c]
        if normalized:
            sum_others(own, w)
            divide(own, w, p)
        for v in range(per):
            gather(x, signal, begin, end, per, v)
            if baseline and not normalized:
                for s in range(k):
                    assign(rest[s], x[s])
                average(sums, rest, w)
                sum_others(y, rest)
                about_each(y, w, x, p, y)
            elif baseline:
                for s in range(k):
                    assign(rest[s], x[s])
                average(sums, rest, w)
                about_one(y, own, x, sums, whole)
            else:
                about_one(y, own if normalized else w, x, sums[:0], whole)
            for s in range(k):
                for c in range(end - begin):
                    coefficient[s, (begin + c) * per + v] = y[s, c]
