"""Direct binary search; its moves are proved in `test_annealing`."""

import numpy as np
import pytest

from fastgrad.dithering import BlurredError
from fastgrad.dithering.optimiser import search as module
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.search import Search, table_of
from fastgrad.kernels.dithering.optimiser import search_lanes


def test_without_blur_neighbours_that_may_swap_are_in_the_table():
    rng = np.random.default_rng(0)
    image, palette = rng.random((40, 50, 3)), rng.random((8, 3))
    loss = BlurredError(image.astype(np.float32), sigma=0, weights=rng.random((40, 50)) + 0.1)
    table, _ = table_of(loss)
    assert table.shape[0] == 3  # a kernel reads one row above and below, whatever stands there
    assert np.count_nonzero(table) == 1
    assert table[1, 1] == loss.table[0, 0]
    indices = diffuse(loss, palette)
    search = Search(loss, indices, palette)
    for _ in range(8):
        search.sweep()
    nearest = np.square(image[:, :, None] - palette).sum(axis=-1).argmin(axis=-1)
    assert (indices != nearest).mean() < 0.002  # which needs no search


def test_in_many_colours_a_swap_across_a_corner_gains_nothing_in_the_end():
    ramps = np.broadcast_arrays(*np.ogrid[0.1:0.9:24j, 0.1:0.9:24j], 0.3)
    palette = np.indices((3, 3, 3)).reshape(3, 27).T / 2
    loss = BlurredError(np.stack(ramps, axis=-1).astype(np.float32))
    indices = diffuse(loss, palette)
    search = Search(loss, indices, palette)
    while search.sweep() + search.sweep():  # one without moves wakes all pixels
        pass
    value, least = search.errors()[0], 0.0
    for y, x, side in np.ndindex(23, 23, 2):
        pair = [y, y + 1], [x + side, x + 1 - side]
        swapped = indices.copy()
        swapped[pair] = indices[pair][::-1]
        least = min(least, loss.of(swapped, palette) - value)
    assert least > -1e-7


@pytest.mark.parametrize("colors", [2, 4, 5])  # few colours are added up in vectors
def test_slopes_are_half_the_derivatives_of_the_loss(colors):
    rng = np.random.default_rng(1)
    image, palette = rng.random((30, 41, 3)), rng.random((colors, 3))
    loss = BlurredError(image, weights=rng.random((30, 41)) + 0.1)
    indices = rng.integers(0, colors, (30, 41)).astype(np.uint8)
    slopes = Search(loss, indices, palette).slopes()
    squares = np.bincount(indices.ravel(), np.square(loss.weights).ravel())
    np.testing.assert_allclose(slopes[:, 3], squares)
    step = 1e-3
    for k, channel in ((0, 2), (1, 0), (colors - 1, 1)):
        moved = np.zeros_like(palette)
        moved[k, channel] = step
        change = loss.of(indices, palette + moved) - loss.of(indices, palette - moved)
        expected = change * loss.pixels / (4 * step)
        assert abs(slopes[k, channel] - expected) < 1e-8 * abs(slopes[:, :3]).max()


def test_whole_rows_of_tiles_are_swept_as_their_even_and_odd_tiles_in_turn(monkeypatch):
    rng = np.random.default_rng(2)
    image, palette = rng.random((150, 171, 3)).astype(np.float32), rng.random((16, 3))
    loss, found = BlurredError(image, weights=rng.random((150, 171)) + 0.1), []
    for rows in (0, 1000):
        monkeypatch.setattr(module, "ROWS", rows)
        search = Search(loss, diffuse(loss, palette), palette)
        moves = [search.sweep() for _ in range(3)]
        found.append((moves, search.errors(), search.indices.tolist()))
    assert found[0] == found[1]
    assert found[0][0][0] > 1000


@pytest.mark.parametrize(
    ("colors", "channels"),
    [(colors, channels) for colors in (2, 5, search_lanes.FEW) for channels in (1, 3)]
    + [(64, 1), (256, 1)],
)
def test_pixels_that_are_passed_over_would_not_have_moved(colors, channels):
    rng, shape = np.random.default_rng(colors), (75, 109)
    image, palette = rng.random((*shape, channels)), rng.random((colors, channels))
    weights = np.maximum(rng.random(shape) - 0.1, 0)
    loss, found = BlurredError(image.astype(np.float32), weights=weights), []
    # A previous frame, though nothing is paid for it, has every pixel looked at by itself.
    for previous in (None, np.zeros(shape, np.uint8)):
        search = Search(loss, diffuse(loss, palette), palette, previous=previous)
        moves = [search.sweep() for _ in range(6)]
        found.append((moves, search.errors(), search.indices.tolist()))
    assert found[0] == found[1]
    assert found[0][0][0] > 100
