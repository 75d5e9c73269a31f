"""Binary variables with two logits: their log odds, and what coupled samples make of them.

t are log odds, (N,), infinite where an outcome is certain; p is the probability of the rarer one.
Oracle: tests/estimators/antithetic/test_disarm.py, `overlap`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_bounds, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp, expm1, softplus
from fastgrad.kernels.tiles import elementwise
from fastgrad.kernels.tiles.memory import empty
from fastgrad.kernels.tiles.sums import ROWS

LOG_2 = np.log(2.0)


@block
def subtract_first(t, pairs):
    """t = the second less the first of each pair: pairs are flat."""
    wide_vectors()
    for c in range(t.size):
        t[c] = pairs[2 * c + 1] - pairs[2 * c]


@kernel(cost=lambda t: t.size)
def log_odds(chunk, chunks, logits, t):
    """t = logit of outcome 1 less that of outcome 0: logits are (N, 2)."""
    head, tail = chunk_bounds(t.size, chunk, chunks)
    subtract_first(t[head:tail], logits.reshape(logits.size)[2 * head : 2 * tail])


@block
def limits(out, t, others):
    """out = p**(-1 / others) - 1."""
    wide_vectors()
    for c in range(t.size):
        out[c] = expm1(softplus(abs(np.float64(t[c]))) / others)


@kernel(cost=lambda t: t.size)
def thresholds(chunk, chunks, t, size, out):
    """out = p**(-1 / (size - 1)) - 1."""
    blocks = (t.size + ROWS - 1) // ROWS
    scratch = empty(ROWS)
    for b in chunk_range(blocks, chunk, chunks):
        part = slice(b * ROWS, min((b + 1) * ROWS, t.size))
        own = scratch[: t[part].size]
        limits(own, t[part], np.float64(size - 1))
        out[part] = own


@block
def shares(out, t, others):
    """out = 1 / ((1 + exp(-abs(t))) others)."""
    wide_vectors()
    for c in range(t.size):
        out[c] = 1.0 / ((1.0 + exp(-abs(np.float64(t[c])))) * others)


@block
def bases(x, t, others):
    """x = max(0, 2 - p**(-1 / others))."""
    wide_vectors()
    for c in range(t.size):
        root = softplus(abs(np.float64(t[c]))) / others
        root = 2.0 - exp(where(root < LOG_2, root, LOG_2))
        x[c] = where(root > 0.0, root, 0.0)


@block
def divide_by_rest(out, x):
    """out /= 1 - x."""
    wide_vectors()
    for c in range(x.size):
        out[c] /= 1.0 - x[c]


@block
def multiply(total, factor):
    """total *= factor."""
    wide_vectors()
    for c in range(total.size):
        total[c] *= factor[c]


@kernel(cost=lambda t: t.size)
def correct(chunk, chunks, t, size, total):
    """total *= p (1 - p) / ((p - P(two of a group are the rarer outcome)) (size - 1)).

    P over p is max(0, 2 - p**(-1 / (size - 1)))**(size - 1), and 0 for pairs.
    """
    blocks = (t.size + ROWS - 1) // ROWS
    scratch = empty((3, ROWS))
    for b in chunk_range(blocks, chunk, chunks):
        part = slice(b * ROWS, min((b + 1) * ROWS, t.size))
        n = t[part].size
        factor, x, power = scratch[0, :n], scratch[1, :n], scratch[2, :n]
        shares(factor, t[part], np.float64(size - 1))
        if size > 2:
            bases(x, t[part], np.float64(size - 1))
            elementwise.power(power, x, size - 1)
            divide_by_rest(factor, power)
        multiply(total[part], factor)


@block
def write(pairs, total, t, inverse):
    """The same as `gradient`, for a block: pairs are flat."""
    wide_vectors()
    for c in range(t.size):
        x = where(abs(t[c]) < like(np.inf, t), total[c] * inverse, 0.0)
        pairs[2 * c], pairs[2 * c + 1] = like(-x, t), like(x, t)


@kernel(cost=lambda out: out.size)
def gradient(chunk, chunks, total, t, over, out):
    """out = total / over by logit 1, its negative by logit 0, (N, 2); 0 where certain."""
    head, tail = chunk_bounds(t.size, chunk, chunks)
    part, pairs = slice(head, tail), out.reshape(out.size)[2 * head : 2 * tail]
    write(pairs, total[part], t[part], 1.0 / over)
