"""REINFORCE of a compiled objective in one pass, band by band: see `compiled_bands`.

Oracle: tests/estimators/test_examples_in_parts.py, `test_estimates_are_those_of_one_call`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, inline, kernel
from fastgrad.kernels.distributions import bernoulli, categorical_inverse
from fastgrad.kernels.estimators import sums_of_scores
from fastgrad.kernels.objectives import compiled_bands as bands
from fastgrad.kernels.objectives.compiled import evaluate

draw = bands.serial(categorical_inverse.sample)
draw_sites = bands.serial(bernoulli.sample)
centre = bands.serial(sums_of_scores.centre)


@inline
def shifted(value, baseline, head, shift):
    """Return value less its baseline, of one number or one an example; empty where that is."""
    if baseline.size == 0:
        return shift[:0]
    for c in range(value.size):
        shift[c] = value[c] - baseline[head + c if baseline.size > 1 else 0]
    return shift[: value.size]


@kernel(cost=lambda samples, out: samples * out.size)
def categories(chunk, chunks, where, first, logits, noise, samples, width, about, value, out):
    """Fill value, (M,), and out, (N, K), with estimates of `centre`, f being what is at `where`.

    about is (a divisor of sums, baselines, whether about the optimum). Baselines are (M,), or one
    number, or none: then that is the mean.
    """
    key, first_sample, offset = noise
    over, baseline, optimal = about
    cells, n = value.size, len(logits)
    z, x = np.empty(samples * width * (n // max(cells, 1)), np.int32), np.empty(samples * width)
    deviations, shifts = np.empty(width), np.empty(width)
    none, bad = np.empty((0, 2, 1, 1), out.dtype), np.zeros(1, np.bool_)
    for b in chunk_range(bands.count(cells, width), chunk, chunks):
        head, tail, low, high = bands.bounds(b, width, cells, n)
        own, f = bands.shaped(z, samples, high - low), bands.shaped(x, samples, tail - head)
        rows, deviation = logits[low:high], deviations[: tail - head]
        draw(0, 1, rows, (key, first_sample, offset + low), own, bad)
        evaluate(where, first + head, (f, own))
        bands.mean(f, deviation, value[head:tail])
        centres = deviation, shifted(value[head:tail], baseline, head, shifts), optimal
        centre(0, 1, none, (own, f, f[0]), samples, over, centres, (rows, False), out[low:high])


@kernel(cost=lambda samples, out: 8 * samples * out.size)
def sites(chunk, chunks, where, first, logits, noise, samples, width, about, value, out):
    """Do as `categories` for Bernoulli variables, of logits (N, 1)."""
    key, first_sample, offset = noise
    over, baseline, optimal = about
    cells, n = value.size, len(logits)
    z, x = np.empty(samples * width * (n // max(cells, 1)), np.int32), np.empty(samples * width)
    deviations, shifts = np.empty(width), np.empty(width)
    none, flat = np.empty((0, 2, 1, 1), out.dtype), logits.reshape(n)
    for b in chunk_range(bands.count(cells, width), chunk, chunks):
        head, tail, low, high = bands.bounds(b, width, cells, n)
        own, f = bands.shaped(z, samples, high - low), bands.shaped(x, samples, tail - head)
        rows, deviation = logits[low:high], deviations[: tail - head]
        draw_sites(0, 1, flat[low:high], (key, first_sample, offset + low), own)
        evaluate(where, first + head, (f, own))
        bands.mean(f, deviation, value[head:tail])
        centres = deviation, shifted(value[head:tail], baseline, head, shifts), optimal
        centre(0, 1, none, (own, f, f[0]), samples, over, centres, (rows, True), out[low:high])
