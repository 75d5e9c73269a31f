"""DisARM and ARM of a compiled objective in one pass, band by band: see `compiled_bands`.

Oracle: tests/estimators/test_examples_in_parts.py, `test_estimates_are_those_of_one_call`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, kernel
from fastgrad.kernels.estimators.antithetic import disarm
from fastgrad.kernels.objectives import compiled_bands as bands
from fastgrad.kernels.objectives.compiled import evaluate

draw = bands.serial(disarm.sample_pairs)
group_scores = bands.serial(disarm.group_scores)
pair_products = bands.serial(disarm.pair_products)


@kernel(cost=lambda samples, total: 8 * samples * total.size)
def pairs(chunk, chunks, where, first, logits, noise, samples, width, arm, value, total):
    """Fill value, (M,), and total, (N,), with the sums of `group_scores`, or of `pair_products`.

    f is what is at `where`; if arm is true, pairs are multiplied by their noise.
    """
    key, first_pair, offset = noise
    cells, n = value.size, logits.size
    size = width * (n // max(cells, 1))
    z, x, deviations = (
        np.empty(samples * size, np.int32),
        np.empty(samples * width),
        np.empty(width),
    )
    halves = samples // 2 if arm else 0
    u = np.empty(halves * size, logits.dtype)
    for b in chunk_range(bands.count(cells, width), chunk, chunks):
        head, tail, low, high = bands.bounds(b, width, cells, n)
        own, f = bands.shaped(z, samples, high - low), bands.shaped(x, samples, tail - head)
        uniform, mine = bands.shaped(u, halves, high - low), total[low:high]
        draw(0, 1, logits[low:high], (key, first_pair, offset + low), own, uniform)
        evaluate(where, first + head, (f, own))
        bands.mean(f, deviations[: tail - head], value[head:tail])
        mine[:] = 0.0
        if arm:
            pair_products(0, 1, f, uniform, mine)
        else:
            group_scores(0, 1, own, f, 2, mine)
