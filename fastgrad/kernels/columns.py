"""Reductions down the columns of a tile, and what the softmax family needs of them.

Statistics have one entry per column. In a wide tile (`fold`) the columns are parts of one row, so
their statistics are combined and spread again. One transcendental function a loop: two would not
fit in the registers.
"""

import numpy as np

from fastgrad.kernels import elementwise
from fastgrad.kernels.intrinsics import like, where
from fastgrad.kernels.jit import block, inline, wide_vectors
from fastgrad.kernels.special import exp_normal, log_normal, previous


@inline
def fold_sum(s):
    """Give every column the sum over all columns, added pairwise."""
    half = s.size // 2
    while half:
        for c in range(half):
            s[c] += s[half + c]
        half //= 2
    for c in range(1, s.size):
        s[c] = s[0]


@inline
def fold_maximum(m):
    """Give every column the maximum over all columns."""
    for c in range(m.size):
        m[0] = max(m[0], m[c])
    for c in range(m.size):
        m[c] = m[0]


@block
def maximum(t, m, fold):
    """m = maximum of each column."""
    wide_vectors()
    depth, columns = t.shape
    for c in range(columns):
        m[c] = t[0, c]
    for i in range(depth):
        for c in range(columns):
            m[c] = where(t[i, c] > m[c], t[i, c], m[c])
    if fold:
        fold_maximum(m)


@block
def subtract_maximum(t, m, fold):
    """Subtract from each column its maximum, left in m."""
    wide_vectors()
    depth, columns = t.shape
    maximum(t, m, fold)
    for i in range(depth):
        for c in range(columns):
            t[i, c] -= m[c]


@block
def exponentiate(w, m, scale, s, fold):
    """w = exp((w - m) scale), in place (overlapping arrays do not vectorise); s its column sums."""
    wide_vectors()
    depth, columns = w.shape
    for c in range(columns):
        s[c] = like(0, s)
    for i in range(depth):
        for c in range(columns):
            e = exp_normal((w[i, c] - m[c]) * scale)
            w[i, c] = e
            s[c] += e
    if fold:
        fold_sum(s)


@block
def divide(w, s):
    """Divide each column by its entry of s."""
    wide_vectors()
    depth, columns = w.shape
    for c in range(columns):
        s[c] = like(1, s) / s[c]
    for i in range(depth):
        for c in range(columns):
            w[i, c] *= s[c]


@block
def softmax(w, m, s, fold):
    """w = softmax(w), given its column maxima m; s is left with the inverse sums of exp(w - m)."""
    exponentiate(w, m, like(1, w), s, fold)
    divide(w, s)


@block
def log_softmax(t, m, s, scratch, fold):
    """t = log_softmax(t), given its column maxima m."""
    wide_vectors()
    elementwise.copy(scratch, t)
    exponentiate(scratch, m, like(1, t), s, fold)
    depth, columns = t.shape
    for c in range(columns):
        s[c] = m[c] + log_normal(s[c])
    for i in range(depth):
        for c in range(columns):
            t[i, c] -= s[c]


@block
def sharpen(w, best, arg, scale, s, cap, fold):
    """w = softmax(w scale), the winner strictly above the rest, which rounding could tie."""
    wide_vectors()
    depth, columns = w.shape
    exponentiate(w, best, scale, s, fold)
    for c in range(columns):
        s[c] = like(1, s) / s[c]  # the winner's own value, since exp(0) = 1
    for c in range(columns):
        cap[c] = previous(s[c])
    for i in range(depth):
        for c in range(columns):
            x = w[i, c] * s[c]
            x = where(x < cap[c], x, cap[c])
            w[i, c] = where(arg[c] == np.int32(i), s[c], x)


@block
def log_sharpen(w, best, arg, scale, s, cap, scratch, fold):
    """w = log_softmax(w scale), the winner strictly above the rest."""
    wide_vectors()
    elementwise.copy(scratch, w)
    exponentiate(scratch, best, scale, s, fold)
    depth, columns = w.shape
    for c in range(columns):
        s[c] = -log_normal(s[c])
    for c in range(columns):
        cap[c] = previous(s[c])
    for i in range(depth):
        for c in range(columns):
            x = (w[i, c] - best[c]) * scale + s[c]
            x = where(x < cap[c], x, cap[c])
            w[i, c] = where(arg[c] == np.int32(i), s[c], x)


@block
def argmax(t, best, arg, fold):
    """Find in each column the largest entry and its depth, the first where several are equal.

    Folded, the one winner's column holds its depth, all others -1: an element (i, c) is the winner
    where arg[c] == i, in narrow and wide tiles alike.
    """
    wide_vectors()
    depth, columns = t.shape
    for c in range(columns):
        best[c] = t[0, c]
        arg[c] = np.int32(0)
    for i in range(depth):
        for c in range(columns):
            larger = t[i, c] > best[c]
            arg[c] = where(larger, np.int32(i), arg[c])
            best[c] = where(larger, t[i, c], best[c])
    if fold:
        winner = 0
        for c in range(columns):
            if best[c] > best[winner] or (best[c] == best[winner] and arg[c] < arg[winner]):
                winner = c
        for c in range(columns):
            best[c] = best[winner]
            if c != winner:
                arg[c] = np.int32(-1)


@block
def one_hot(w, arg):
    """w = 1 at the winners, 0 elsewhere."""
    wide_vectors()
    depth, columns = w.shape
    for i in range(depth):
        for c in range(columns):
            w[i, c] = where(arg[c] == np.int32(i), like(1, w), like(0, w))


@block
def one_hot_minus(w, arg, p):
    """w = one-hot(winners) - p."""
    wide_vectors()
    depth, columns = w.shape
    for i in range(depth):
        for c in range(columns):
            w[i, c] = where(arg[c] == np.int32(i), like(1, w), like(0, w)) - p[i, c]


@block
def add_log(t, s):
    """t += log(s), one s a column."""
    wide_vectors()
    depth, columns = t.shape
    for c in range(columns):
        s[c] = log_normal(s[c])
    for i in range(depth):
        for c in range(columns):
            t[i, c] += s[c]


@block
def expectation(p, x, s, fold):
    """s = column sums of p x, where what has no probability counts nothing, be it infinite."""
    wide_vectors()
    depth, columns = p.shape
    for c in range(columns):
        s[c] = like(0, s)
    for i in range(depth):
        for c in range(columns):
            s[c] += where(p[i, c] > like(0, p), p[i, c] * x[i, c], like(0, s))
    if fold:
        fold_sum(s)


@block
def total(a, s, fold):
    """s = column sums of a."""
    wide_vectors()
    depth, columns = a.shape
    for c in range(columns):
        s[c] = like(0, s)
    for i in range(depth):
        for c in range(columns):
            s[c] += a[i, c]
    if fold:
        fold_sum(s)


@block
def dot(a, b, s, fold):
    """s = column sums of a * b."""
    wide_vectors()
    depth, columns = a.shape
    for c in range(columns):
        s[c] = like(0, s)
    for i in range(depth):
        for c in range(columns):
            s[c] += a[i, c] * b[i, c]
    if fold:
        fold_sum(s)
