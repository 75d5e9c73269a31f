"""Relaxations of Bernoulli sites and their vector-Jacobian products; see `bernoulli_noise`.

Noise is (key, first_sample, offset), offset being that of the first site; scale is 1 / temperature,
the `factors` of sites.
Oracle: tests/distributions/test_binary_concrete.py, `conditional_logit`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, kernel
from fastgrad.kernels.distributions import bernoulli_noise as lg
from fastgrad.kernels.random.philox import CONDITIONAL, NOISE
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.factors import part
from fastgrad.kernels.tiles.memory import empty

SOFT, HARD, LOG = 0, 1, 2


@kernel(cost=lambda out: out.size)
def gumbel_softmax(chunk, chunks, logits, noise, scale, mode, out):
    """Fill out, shape (S, N), with relaxed samples (SOFT), 0 or 1 (HARD), or log odds (LOG)."""
    key, first_sample, offset = noise
    n = logits.size
    blocks, depth = lg.layout(n, offset)
    bits = empty((logits.itemsize // 4, depth, tile.FOLD), np.uint32)
    w, own = empty(bits[0].size, logits.dtype), empty(bits[0].size, logits.dtype)
    for b in chunk_range(blocks, chunk, chunks):
        start, head, tail, low = lg.span(b, depth, n, offset)
        odds, at = w[low : low + tail - head], own[: tail - head]
        part(at, scale, head)
        for i in range(out.shape[0]):
            z = out[i][head:tail]
            lg.fill_odds(w, bits, start, np.uint32(first_sample + i), NOISE, key)
            lg.perturb(z, logits[head:tail], odds)
            if mode == HARD:
                lg.decide(z, z)
            else:
                lg.sharpen(z, at, mode == LOG)


@kernel(cost=lambda x: x.size)
def relax(chunk, chunks, logits, noise, scale, coupled, log, x, others):
    """Draw x and the others: relaxed, conditional and score, each (S, N)."""
    key, first_sample, offset = noise
    relaxed, conditional, score = others
    n = logits.size
    blocks, depth = lg.layout(n, offset)
    real = logits.dtype
    bits = empty((logits.itemsize // 4, depth, tile.FOLD), np.uint32)
    size = bits[0].size
    w, own = empty(size, real), empty(size, real)
    p_all, q_all = empty(size, real), empty(size, real)
    for b in chunk_range(blocks, chunk, chunks):
        start, head, tail, low = lg.span(b, depth, n, offset)
        t, odds = logits[head:tail], w[low : low + tail - head]
        p, q, at = p_all[: tail - head], q_all[: tail - head], own[: tail - head]
        part(at, scale, head)
        lg.probabilities(p, q, t)
        for i in range(x.shape[0]):
            number = np.uint32(first_sample + i)
            z, m = relaxed[i][head:tail], conditional[i][head:tail]
            lg.fill_odds(w, bits, start, number, NOISE, key)
            lg.perturb(z, t, odds)
            lg.decide(x[i][head:tail], z)
            lg.subtract_mean(score[i][head:tail], z, p, q)
            if not coupled:
                lg.fill_odds(w, bits, start, number, CONDITIONAL, key)
                lg.condition(m, odds, z, t, p, q)
                lg.sharpen(m, at, log)
            lg.sharpen(z, at, log)
            if coupled:
                lg.copy(m, z)


@kernel(cost=lambda cotangents: cotangents[0].size + cotangents[1].size)
def relax_vjp(chunk, chunks, logits, cotangents, noise, scale, coupled, log, grads):
    """grads = products of both cotangents, (S, N) or empty, summed over samples.

    Cotangents are those of the relaxed and the conditional samples; so are grads, (N,) or empty.
    """
    key, first_sample, offset = noise
    relaxed, conditional = cotangents
    n = logits.size
    blocks, depth = lg.layout(n, offset)
    real = logits.dtype
    bits = empty((logits.itemsize // 4, depth, tile.FOLD), np.uint32)
    w, scratch = empty(bits[0].size, real), empty((6, bits[0].size), real)
    for b in chunk_range(blocks, chunk, chunks):
        start, head, tail, low = lg.span(b, depth, n, offset)
        size = tail - head
        t, odds = logits[head:tail], w[low : low + size]
        z, m, d = scratch[0][:size], scratch[1][:size], scratch[2][:size]
        p, q, at = scratch[3][:size], scratch[4][:size], scratch[5][:size]
        part(at, scale, head)
        g, h = grads[0][head:tail], grads[1][head:tail]
        g[:], h[:] = like(0, g), like(0, h)
        lg.probabilities(p, q, t)
        for i in range(max(relaxed.shape[0], conditional.shape[0])):
            number = np.uint32(first_sample + i)
            lg.fill_odds(w, bits, start, number, NOISE, key)
            lg.perturb(z, t, odds)
            if relaxed.shape[0]:
                lg.slope(d, z, at, log)
                lg.accumulate(g, d, relaxed[i][head:tail])
            if conditional.shape[0]:
                if coupled:
                    elementwise.assign(m, z)
                else:
                    lg.fill_odds(w, bits, start, number, CONDITIONAL, key)
                    lg.condition(m, odds, z, t, p, q)
                lg.slope(d, m, at, log)
                lg.damp(d, m, p, q)
                lg.accumulate(h, d, conditional[i][head:tail])
        lg.mask(g, t[: g.size])
        lg.mask(h, t[: h.size])
