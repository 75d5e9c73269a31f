"""Entropy of choices without replacement: given samples of them, or summed over all sets.

Oracle: tests/distributions/test_plackett_luce.py, `probabilities` of all `orders`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.distributions.plackett_luce import column_sum, columns_for, gather, log_left
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp, log
from fastgrad.kernels.tiles.memory import empty


@block
def entropies_left(g, levels, w, best, s, h):
    """g[i] = entropy of choice i given those before; w and best are as `log_left` leaves them.

    With q the probability of the item chosen, it is the entropy of whether that is, h(q), and
    1 - q times the entropy of a choice among the rest.
    """
    wide_vectors()
    k, columns = g.shape
    zero, one = like(0, g), like(1, g)
    for c in range(columns):
        s[c], h[c] = zero, zero
    for j in range(w.shape[0]):
        for c in range(columns):
            s[c] += w[j, c]
        for c in range(columns):
            h[c] -= where(w[j, c] > zero, w[j, c] * log(w[j, c]), zero)
    for c in range(columns):
        h[c] = where(s[c] > zero, h[c] / s[c] + log(s[c]), zero)
        best[c] = where(s[c] > zero, best[c] + log(s[c]), like(-np.inf, g))
    for i in range(k - 1, -1, -1):
        for c in range(columns):
            q, rest = exp(g[i, c] - levels[i, c]), exp(best[c] - levels[i, c])
            of_item = where(q > zero, q * (levels[i, c] - g[i, c]), zero)
            of_rest = where(rest > zero, rest * (levels[i, c] - best[c] + h[c]), zero)
            h[c] = where(q >= one, zero, of_item + of_rest)
            best[c] = levels[i, c]
            g[i, c] = h[c]


@kernel(cost=lambda logits, z: logits.size * len(z))
def entropy_given(chunk, chunks, logits, z, out):
    """out = sum over the choices z of the entropy of each given those before it: (S N,)."""
    columns, k = columns_for(out.size), z.shape[2]
    blocks = (out.size + columns - 1) // columns
    real = logits.dtype
    w = empty((logits.shape[1], columns), real)
    g, levels = empty((k, columns), real), empty((k, columns), real)
    best, (s, h) = empty(columns, real), empty((2, columns), real)
    for b in chunk_range(blocks, chunk, chunks):
        first = b * columns
        gather(w, g, logits, z, first)
        log_left(levels, g, w, best, s, h)
        entropies_left(g, levels, w, best, s, h)
        for c in range(min(columns, out.size - first)):
            out[first + c] = column_sum(g, c)


@block
def entropy_of_row(row, k, reach):
    """Return the entropy of k choices, by the probability of having chosen each set of items."""
    n, result = row.size, 0.0
    reach[:] = 0.0
    reach[0] = 1.0
    for chosen in range(reach.size):
        size = 0
        for j in range(n):
            size += (chosen >> j) & 1
        if reach[chosen] == 0.0 or size >= k:
            continue
        top, total, mean = -np.inf, 0.0, 0.0
        for j in range(n):
            if not (chosen >> j) & 1:
                top = max(top, np.float64(row[j]))
        for j in range(n):
            if not (chosen >> j) & 1 and row[j] > -np.inf:
                e = exp(np.float64(row[j]) - top)
                total += e
                if e > 0.0:  # else the difference may be -inf
                    mean += e * (np.float64(row[j]) - top)
        result += reach[chosen] * (log(total) - mean / total)
        for j in range(n):
            if not (chosen >> j) & 1:
                e = exp(np.float64(row[j]) - top)
                reach[chosen | (1 << j)] += reach[chosen] * e / total
    return result


@kernel(cost=lambda logits: logits.size << logits.shape[1])
def entropy(chunk, chunks, logits, k, out):
    """out = entropy of k choices from each row, exactly: time and memory grow as 2^K."""
    n = logits.shape[0]
    reach = empty(1 << logits.shape[1])
    for row in chunk_range(n, chunk, chunks):
        out[row] = entropy_of_row(logits[row], k, reach)
