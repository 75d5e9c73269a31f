"""DisARM and ARM of a compiled objective in one pass, band by band: see `compiled_bands`.

Oracle: tests/estimators/test_examples_in_parts.py, `test_estimates_are_those_of_one_call`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel
from fastgrad.kernels.estimators.antithetic import coupled_log_odds, disarm
from fastgrad.kernels.objectives import compiled_bands as bands
from fastgrad.kernels.objectives.compiled import evaluate
from fastgrad.kernels.tiles.memory import empty

draw = bands.serial(disarm.sample_pairs)
group_scores = bands.serial(disarm.group_scores)
pair_products = bands.serial(disarm.pair_products)
correct = bands.serial(coupled_log_odds.correct)
gradient = bands.serial(coupled_log_odds.gradient)


@block
def by_sites(sums, t, over, out):
    """out = sums / over, 0 where the outcome is certain."""
    for c in range(t.size):
        out[c] = 0.0 if np.isinf(t[c]) else sums[c] / over


@kernel(cost=lambda samples, logits: 8 * samples * logits.size)
def pairs(chunk, chunks, where, first, logits, noise, samples, width, arm, value, out):
    """Fill value, (M,), and out, (N, 1) or (N, 2), with estimates, f being what is at `where`.

    logits are log odds, (N,). If arm is true, pairs are multiplied by their noise.
    """
    key, first_pair, offset = noise
    cells, n = value.size, logits.size
    size, halves = width * (n // max(cells, 1)), samples // 2
    z, x, deviations = (
        empty(samples * size, np.int32),
        empty(samples * width),
        empty(width),
    )
    u, sums = empty(halves * size if arm else 0, logits.dtype), empty(size)
    for b in chunk_range(bands.count(cells, width), chunk, chunks):
        head, tail, low, high = bands.bounds(b, width, cells, n)
        own, f = bands.shaped(z, samples, high - low), bands.shaped(x, samples, tail - head)
        uniform = bands.shaped(u, halves if arm else 0, high - low)
        t, mine = logits[low:high], sums[: high - low]
        draw(0, 1, t, (key, first_pair, offset + low), own, uniform)
        evaluate(where, first + head, (f, own))
        bands.mean(f, deviations[: tail - head], value[head:tail])
        mine[:] = 0.0
        if arm:
            pair_products(0, 1, f, uniform, mine)
        else:
            group_scores(0, 1, own, f, 2, mine)
            correct(0, 1, t, 2, mine)
        if out.shape[1] == 1:
            by_sites(mine, t, halves, out.reshape(n)[low:high])
        else:
            gradient(0, 1, mine, t, halves, out[low:high])
