"""Gumbel-softmax of a compiled objective in one pass, band by band: see `compiled_bands`.

Oracle: tests/estimators/test_examples_in_parts.py, `test_estimates_are_those_of_one_call`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, kernel
from fastgrad.kernels.distributions import binary_concrete, concrete, concrete_by_ratios
from fastgrad.kernels.objectives import compiled_bands as bands
from fastgrad.kernels.objectives.compiled import evaluate
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles import features
from fastgrad.kernels.tiles.factors import power
from fastgrad.kernels.tiles.memory import empty, zeros

draw = bands.serial(concrete.gumbel_softmax)
draw_by_ratios = bands.serial(concrete_by_ratios.gumbel_softmax)
draw_sites = bands.serial(binary_concrete.gumbel_softmax)
products = bands.serial(features.softmax_products)
site_products = bands.serial(features.sigmoid_products)


@kernel(cost=lambda samples, total: samples * total.size)
def categories(chunk, chunks, where, first, logits, noise, samples, width, scales, value, total):
    """Fill value, (M,), and total, (N, K), with the sums of `softmax_products`.

    f is what is at `where`; scales are those of the draws and of the products.
    """
    key, first_sample, offset = noise
    cells, (n, k) = value.size, logits.shape
    size = samples * width * (n // max(cells, 1)) * k
    x, r = empty(size, total.dtype), empty(size, total.dtype)
    values, deviations, bad = empty(samples * width), empty(width), zeros(1, np.bool_)
    for b in chunk_range(bands.count(cells, width), chunk, chunks):
        head, tail, low, high = bands.bounds(b, width, cells, n)
        shape, f = (samples, high - low, k), bands.shaped(values, samples, tail - head)
        own, grad = (
            bands.shaped(x, samples, (high - low) * k),
            bands.shaped(r, samples, (high - low) * k),
        )
        cube, place = own.reshape(shape), (key, first_sample, offset + low)
        if power(scales[0]):
            draw_by_ratios(0, 1, logits[low:high], place, scales[:1], concrete.SOFT, cube, bad)
        else:
            draw(0, 1, logits[low:high], place, scales[:1], concrete.SOFT, cube, bad)
        evaluate(where, first + head, (f, own, grad))
        bands.mean(f, deviations[: tail - head], value[head:tail])
        total[low:high] = like(0, total)
        products(0, 1, cube, grad.reshape(shape), scales[1], total[low:high])


@kernel(cost=lambda samples, total: 8 * samples * total.size)
def sites(chunk, chunks, where, first, logits, noise, samples, width, scales, value, total):
    """Do as `categories` for Bernoulli variables, of logits and sums (N,)."""
    key, first_sample, offset = noise
    cells, n = value.size, logits.size
    size = samples * width * (n // max(cells, 1))
    x, r = empty(size, total.dtype), empty(size, total.dtype)
    values, deviations = empty(samples * width), empty(width)
    for b in chunk_range(bands.count(cells, width), chunk, chunks):
        head, tail, low, high = bands.bounds(b, width, cells, n)
        own, grad = bands.shaped(x, samples, high - low), bands.shaped(r, samples, high - low)
        f, place = bands.shaped(values, samples, tail - head), (key, first_sample, offset + low)
        draw_sites(0, 1, logits[low:high], place, scales[:1], binary_concrete.SOFT, own)
        evaluate(where, first + head, (f, own, grad))
        bands.mean(f, deviations[: tail - head], value[head:tail])
        total[low:high] = like(0, total)
        site_products(0, 1, own, grad, scales[1], total[low:high])
