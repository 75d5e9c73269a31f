"""Factors of rows: one stands for all, more are laid out as the rows are."""

import numpy as np
import pytest

from fastgrad.kernels.compiler import jit
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.vectors import LANES, load, store
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.factors import entry, fill, item, part, room


@jit.kernel(cost=lambda out: out.size)
def multiply(chunk, chunks, x, factor, offset, out):
    """out = x times the factor of its row."""
    layout = tile.layout(*x.shape, offset)
    (t,) = tile.scratch(layout, 1, x.dtype)
    own = room(factor, layout)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, x, row, like(0, t))
        fill(own, factor, row, layout.fold)
        for c in range(0, t.shape[1], LANES):
            at = entry(own, c)
            for i in range(t.shape[0]):
                store(t, (i, c), load(t, (i, c)) * at)
        tile.store(out, t, row)


@jit.standalone
def multiply_sites(x, factor, head, tail):
    own, out = np.empty(tail - head), np.empty(tail - head)
    part(own, factor, head)
    for c in range(tail - head):
        out[c] = x[head + c] * item(own, c)
    return out


@pytest.mark.parametrize("shape", [(1, 3), (300, 3), (70, 5), (3, 600)])
@pytest.mark.parametrize("offset", [0, 3])
def test_rows_get_their_own(shape, offset):
    x, factors = np.random.default_rng(0).normal(size=shape), np.arange(1.0, 1 + shape[0])
    for factor in (np.full(1, 2.5), factors):
        out = np.empty(shape)
        multiply(x, factor, offset, out)
        np.testing.assert_array_equal(out, x * np.reshape(factor, (-1, 1)))


def test_sites_get_their_own():
    x, factors = np.arange(9.0), np.arange(9.0)
    np.testing.assert_array_equal(multiply_sites(x, factors, 2, 7), (x * x)[2:7])
    np.testing.assert_array_equal(multiply_sites(x, np.full(1, 0.5), 2, 7), (x / 2)[2:7])
