"""Rows moved into tiles and back, whatever K, their number and the way in which they are moved."""

import numpy as np
import pytest

from fastgrad.kernels.compiler import jit
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles import tile

# Of every way to move rows.
KS = [*range(1, 10), 11, 12, 16, 20, 63, 64, 65, 127, 128, 129, 512, 513, 1000]


@jit.standalone
def through_tiles(x, offset, factor, whole, multiple, less):
    """Store rows as they are, times their own factor, and less that and its half."""
    layout = tile.layout(*x.shape, offset)
    (t,) = tile.scratch(layout, 1, x.dtype)
    own, half = tile.statistics(layout, 2, x.dtype)
    for row in tile.rows(layout, 0, 1):
        tile.load(t, x, row, like(0, t))
        tile.load_statistics(own, factor, row, like(1, own), layout.fold)
        for c in range(own.size):
            half[c] = own[c] * like(0.5, own)
        tile.store(whole, t, row)
        tile.store_multiple(multiple, t, own, row)
        tile.store_less(less, t, own, half, row)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", KS)
@pytest.mark.parametrize("offset", [0, 3])
def test_rows_come_back_as_they_were(dtype, k, offset):
    rng = np.random.default_rng(k)
    for n in (1, 15, 66, 200, 1300 // k):
        x, factor = rng.normal(size=(n, k)).astype(dtype), rng.normal(size=n).astype(dtype)
        outs = [np.full((n + 2, k), np.nan, dtype) for _ in range(3)]
        through_tiles(x, offset, factor, *(out[1:-1] for out in outs))
        own = factor[:, None]
        for out, expected in zip(outs, (x, x * own, (x - own) - own * dtype(0.5))):
            assert np.array_equal(out[1:-1], expected)
            assert np.isnan(out[[0, -1]]).all()
