"""Perturbed logits of a tile: logits less the logarithm of exponential noise, and their winners.

Oracle: tests/support/reference.py, `perturbed`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, shared, wide_vectors
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.random.noise import exponential_at, strip_ahead
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import log_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles.memory import flattened


@shared
def perturb(w, t, bits, best, arg, fold, ahead):
    """w = t - log of exponential noise from bits; best and arg their maximum, as of `argmax`.

    By the way it fetches both of `ahead`: where results are going to be stored, and the logits of
    the next tile.
    """
    wide_vectors()
    at, columns = 0, t.shape[1]
    target, later = ahead
    logits, perturbed, first, second = (
        flattened(t),
        flattened(w),
        flattened(bits[0]),
        flattened(bits[-1]),
    )
    for c in range(0, columns, LANES):
        high, winner = filled(like(-np.inf, t)), filled(np.int32(0))
        strip_ahead(perturbed, first, second, c, w.size, columns)
        for i in range(t.shape[0]):
            prefetch(target, at)
            prefetch(later, at)
            at += LANES
            j = i * columns + c
            x = load(logits, j) - log_normal(exponential_at(perturbed, first, second, j))
            store(perturbed, j, x)
            larger = x > high
            winner = where(larger, np.int32(i), winner)
            high = where(larger, x, high)
        store(best, c, high)
        store(arg, c, winner)
    if fold:
        col.fold_argmax(best, arg)


@block
def draw(w, t, bits, place, sample, key, best, arg, fold, ahead):
    """w = perturbed logits of one sample, their noise from `bits.addresses`; see `perturb`."""
    fill_bits(bits, *place, sample, NOISE, key)
    perturb(w, t, bits, best, arg, fold, ahead)
