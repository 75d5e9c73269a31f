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
total = bands.serial(sums_of_scores.about)


@inline
def of_cells(baseline, head, tail):
    """Return the baselines of cells: of one for all, or none, all."""
    return baseline[head:tail] if baseline.size > 1 else baseline


@kernel(cost=lambda samples, out: samples * out.size)
def categories(chunk, chunks, where, first, logits, noise, samples, width, about, value, out):
    """Fill value, (M,), and out, (N, K), with estimates of `about`, f being what is at `where`.

    about is (a divisor of sums, baselines, whether about the optimum). Baselines are (M,), or one
    number, or none: then that is the mean.
    """
    key, first_sample, offset = noise
    over, baseline, optimal = about
    cells, n = value.size, len(logits)
    z, x = np.empty(samples * width * (n // max(cells, 1)), np.int32), np.empty(samples * width)
    origin, none = np.empty((2, 0)), np.empty((0, 4), out.dtype)
    unknown = none, np.empty(0, np.int32), none.reshape(0)
    bad = np.zeros(1, np.bool_)
    for b in chunk_range(bands.count(cells, width), chunk, chunks):
        head, tail, low, high = bands.bounds(b, width, cells, n)
        own, f = bands.shaped(z, samples, high - low), bands.shaped(x, samples, tail - head)
        rows, means = logits[low:high], value[head:tail]
        draw(0, 1, rows, (key, first_sample, offset + low), own, bad)
        evaluate(where, first + head, (f, own))
        last, centres = (own, f, origin), (of_cells(baseline, head, tail), optimal)
        of = rows, False, unknown
        total(0, 1, none, last, samples, over, centres, of, means, out[low:high])


@kernel(cost=lambda samples, out: 8 * samples * out.size)
def sites(chunk, chunks, where, first, logits, noise, samples, width, about, value, out):
    """Do as `categories` for Bernoulli variables, of logits (N, 1)."""
    key, first_sample, offset = noise
    over, baseline, optimal = about
    cells, n = value.size, len(logits)
    z, x = np.empty(samples * width * (n // max(cells, 1)), np.int32), np.empty(samples * width)
    origin, none = np.empty((2, 0)), np.empty((0, 4), out.dtype)
    unknown = none, np.empty(0, np.int32), none.reshape(0)
    flat = logits.reshape(n)
    for b in chunk_range(bands.count(cells, width), chunk, chunks):
        head, tail, low, high = bands.bounds(b, width, cells, n)
        own, f = bands.shaped(z, samples, high - low), bands.shaped(x, samples, tail - head)
        rows, means = logits[low:high], value[head:tail]
        draw_sites(0, 1, flat[low:high], (key, first_sample, offset + low), own)
        evaluate(where, first + head, (f, own))
        last, centres = (own, f, origin), (of_cells(baseline, head, tail), optimal)
        of = rows, True, unknown
        total(0, 1, none, last, samples, over, centres, of, means, out[low:high])
