"""Search and fits where tiles have a palette each."""

import numpy as np
import pytest

from fastgrad.dithering import BlurredError, Tiles
from fastgrad.dithering.eye.colour import SPACES, to_linear
from fastgrad.dithering.optimiser.palette import Fit, Sample
from fastgrad.dithering.optimiser.tile_palettes import (
    TileSearch,
    allowed,
    diffused,
    fitted,
    refilled,
)

LINEAR = SPACES["linear"]


@pytest.fixture(scope="module")
def problem():
    """A noisy picture of 44 x 37, which no tile divides, two palettes of 3, labels by chance."""
    rng = np.random.default_rng(0)
    tiles = Tiles((8, 8), palettes=3, colors=3, channel_bits=3, shared_color=True)
    image = rng.random((44, 37, 3), np.float32)
    weights = rng.random((44, 37)).astype(np.float32) + 0.1
    weights[5:9, 3:20] = 0
    loss = BlurredError(image, weights=weights)
    palette = rng.random((9, 3), np.float32)[tiles.variables]
    labels = rng.integers(0, 3, (6, 5))
    return tiles, loss, palette, labels


def palettes_of(indices, tiles):
    """The palettes that are met in each tile."""
    across, down = tiles.size
    height, width = indices.shape
    return [
        set(np.unique(indices[y : y + down, x : x + across] // tiles.colors).tolist())
        for y in range(0, height, down)
        for x in range(0, width, across)
    ]


def test_diffusion_takes_the_palette_of_each_tile(problem):
    tiles, loss, palette, labels = problem
    found = palettes_of(diffused(loss, labels, palette, tiles), tiles)
    assert found == [{label} for label in labels.ravel().tolist()]


def test_no_move_is_left_that_lowers_the_loss(problem):
    tiles, loss, palette, labels = problem
    indices = diffused(loss, labels, palette, tiles)
    before = loss.of(indices, palette)
    search = TileSearch(loss, indices, palette, tiles)
    while search.sweep():
        pass
    value = loss.of(indices, palette)
    assert value < before
    assert search.errors()[0] == pytest.approx(value, rel=1e-4)
    assert palettes_of(indices, tiles) == [{label} for label in labels.ravel().tolist()]
    rng = np.random.default_rng(1)
    for y, x in zip(rng.integers(0, 44, 60), rng.integers(0, 37, 60)):
        for entry in range(3):
            other = indices.copy()
            other[y, x] = 3 * (other[y, x] // 3) + entry
            assert loss.of(other, palette) >= value - 1e-6
        if x + 1 < 37 and indices[y, x] // 3 == indices[y, x + 1] // 3:
            other = indices.copy()
            other[y, [x, x + 1]] = indices[y, [x + 1, x]]
            block = x // 32 == (x + 1) // 32  # no swap leaves a block
            assert not block or loss.of(other, palette) >= value - 1e-6


def test_tiles_change_palettes_whole_and_the_loss_falls(problem):
    tiles, loss, palette, labels = problem
    indices = diffused(loss, labels, palette, tiles)
    search = TileSearch(loss, indices, palette, tiles)
    search.sweep()
    before, old = search.errors()[0], palettes_of(indices, tiles)
    moves = search.exchange()
    new = palettes_of(indices, tiles)
    assert moves > 0
    assert moves == sum(a != b for a, b in zip(old, new))
    assert all(len(found) == 1 for found in new)
    assert search.errors()[0] < before
    assert search.errors()[0] == pytest.approx(loss.of(indices, palette), rel=1e-4)


def test_an_exchange_that_finds_nothing_changes_nothing(problem):
    tiles, loss, palette, labels = problem
    indices = diffused(loss, labels, palette, tiles)
    search = TileSearch(loss, indices, palette, tiles)
    for _ in range(20):
        search.sweep()
        if not search.exchange():
            break
    field, picture = search._field.copy(), indices.copy()
    assert search.exchange() == 0
    np.testing.assert_array_equal(search._field, field)  # bit for bit
    np.testing.assert_array_equal(indices, picture)


def test_a_fit_is_the_least_squares_of_all_palettes(problem):
    tiles, loss, palette, labels = problem
    indices = diffused(loss, labels, palette, tiles)
    fit = Fit(Sample(loss), LINEAR)
    found = palette
    for _ in range(5):
        found = fitted(fit, indices, found, tiles)
    assert (found[0] == found[3]).all()
    assert (found[0] == found[6]).all()
    value = loss.of(indices, found)
    assert value < loss.of(indices, palette)
    for k in range(9):
        for change in (-0.02, 0.02):
            other = found.copy()
            other[tiles.variables == tiles.variables[k]] += np.float32(change)
            other = np.clip(other, 0, 1)
            assert loss.of(indices, other) >= value - 1e-7


def test_rounding_is_the_best_of_each_colour(problem):
    tiles, loss, palette, labels = problem
    indices = diffused(loss, labels, palette, tiles)
    rgb = allowed(Sample(loss), LINEAR, indices, palette, tiles)
    assert np.isin(rgb, tiles.levels).all()
    assert (rgb[[3, 6]] == rgb[0]).all()
    value = loss.of(indices, to_linear(rgb))
    for k in range(9):
        for ink in ([0, 0, 0], [255, 255, 255], [146, 109, 109], [182, 146, 182]):
            other = rgb.copy()
            other[tiles.variables == tiles.variables[k]] = tiles.shown([ink])[0]
            assert loss.of(indices, to_linear(other)) >= value - 1e-6


def test_an_idle_entry_goes_where_a_colour_is_missing(problem):
    tiles, loss, palette, labels = problem
    rgb = allowed(Sample(loss), LINEAR, diffused(loss, labels, palette, tiles), palette, tiles)
    rgb[5] = rgb[4]  # twice in the second palette
    indices = diffused(loss, labels, to_linear(rgb), tiles)
    search = TileSearch(loss, indices, to_linear(rgb), tiles)
    search.sweep()
    made = refilled(search, rgb, tiles, LINEAR)
    assert (made != rgb).any(axis=1)[3:6].tolist() == [False, False, True]
    assert (made[[3, 6]] == made[0]).all()
    better = TileSearch(loss, indices.copy(), to_linear(made), tiles)
    better.sweep()
    assert better.errors()[0] < search.errors()[0]
