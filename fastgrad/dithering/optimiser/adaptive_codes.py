"""The lengths of adaptive codes, and by them the bits of the filtered rows of a grey picture."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fastgrad._typing import Array, FloatArray
from fastgrad.kernels.dithering.optimiser import rate as kernels

__all__ = ["PRIOR", "FilterModel", "code_length", "price"]

KEPT = 1 << 19  # numbers of a table, at most, that stays in memory
PRIOR = 0.06  # count of each index in each context before any is seen


def code_length(counts: Array) -> float:
    """Return the bits of adaptive codes, one for each row of counts."""
    totals = counts.sum(axis=1)
    size = 1 << int(totals.max(initial=0)).bit_length()
    table = _rising if size <= KEPT else _rising.__wrapped__
    seen, contexts = (table(size, prior) for prior in (PRIOR, PRIOR * counts.shape[1]))
    return float(contexts[totals].sum() - seen[counts].sum())


@lru_cache(maxsize=4)  # a search asks for the same two again and again
def _rising(size: int, prior: float) -> FloatArray:
    """Return the logarithms of the first rising factorials of a number; the array is read only."""
    found = np.concatenate(
        [[0.0], np.cumsum(np.log2(np.arange(size - 1, dtype=np.float64) + prior))]
    )
    found.flags.writeable = False
    return found


def price(counts: Array) -> FloatArray:
    """Return the bits of each symbol, the last axis."""
    whole = counts.sum(axis=-1, keepdims=True) + PRIOR * counts.shape[-1]
    return np.log2(whole) - np.log2(counts + PRIOR)


class FilterModel(NamedTuple):
    """How many bits the rows of a grey picture take that are filtered as PNG files may be.

    Of each index there is written by how much it is off its prediction, modulo 256. These bytes
    hardly repeat, and take what an adaptive code without contexts does, and no less than a bit.

    Attributes
    ----------
    colors : int
        Number of greys K, which are in the order of their luminance.
    order : {1, 3, 4}
        What predicts: the index to the left, the mean of that and the one above, the one above.

    References
    ----------
    W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025, section 9.

    Examples
    --------
    >>> y, x = np.mgrid[:200, :3]
    >>> ramp = np.uint8(x + y)
    >>> model = FilterModel(99, 4)
    >>> model.counts(ramp).nonzero()[0].tolist(), model.bits(model.counts(ramp)) / ramp.size
    ([0, 1, 2], 1.0)
    """

    colors: int
    order: int

    @property
    def symbols(self) -> int:
        """The number of symbols M."""
        return self.colors

    def counts(self, symbols: Array) -> Array:
        """Count how often each byte is written."""
        left, up = np.zeros_like(symbols), np.zeros_like(symbols)
        left[:, 1:], up[1:] = symbols[:, :-1], symbols[:-1]
        guess = {1: left, kernels.MEAN: (left + up) >> 1, kernels.UP: up}[self.order]
        return np.bincount(((symbols - guess) & 255).ravel(), minlength=256)

    def bits(self, counts: Array) -> float:
        """Return the bits of a picture whose bytes have these counts."""
        return max(code_length(counts[None]), float(counts.sum()))

    def tables(self, counts: Array) -> list[FloatArray]:
        """Return the prices of symbols in the three tables that kernels take."""
        bits, each = price(counts), np.arange(self.colors)
        own = bits[(each - each[:, None]) & 255]
        none = np.zeros_like(own)
        if self.order == 1:
            return [own, own.T, none]
        if self.order == kernels.UP:
            return [own, none, own.T]
        twice = np.arange(-self.colors, 2 * self.colors)[:, None] - each  # less the other neighbour
        mean = bits[((twice + 1) >> 1) & 255]
        return [own, mean, mean]
