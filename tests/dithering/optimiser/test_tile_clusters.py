"""K-means of tiles and colours together."""

import numpy as np

from fastgrad.dithering import Tiles
from fastgrad.dithering.optimiser.tile_clusters import clustered
from fastgrad.random import Key

NONE = np.empty((0, 3), np.float32)


def blocks(rng, tiles, palettes):
    """A picture of 6 x 5 tiles, each of colours of one palette by chance; and these palettes."""
    labels = np.arange(30).reshape(6, 5) % tiles.palettes
    rows, columns = tiles.size[::-1]
    of_pixels = labels.repeat(rows, axis=0).repeat(columns, axis=1)
    picked = rng.integers(0, tiles.colors, of_pixels.shape)
    return palettes[of_pixels, picked], labels


def test_palettes_of_tiles_are_found():
    rng, tiles = np.random.default_rng(0), Tiles((6, 4), palettes=3, colors=2)
    palettes = np.float32(
        [[[0, 0, 0], [0.2, 0, 0]], [[0, 1, 0], [0, 0.8, 0.1]], [[0, 0, 1], [0.9, 0.9, 1]]]
    )
    image, labels = blocks(rng, tiles, palettes)
    found = [
        clustered(image, np.ones(image.shape[:2]), tiles, NONE, key=Key(seed)) for seed in range(4)
    ]
    best = min(found, key=lambda run: run[2])
    assert best[2] < 1e-3
    pairs = set(zip(best[0].ravel().tolist(), labels.ravel().tolist()))
    assert len(pairs) == 3  # the same tiles belong together
    np.testing.assert_allclose(
        sorted(best[1].tolist()), sorted(palettes.reshape(-1, 3).tolist()), atol=1e-5
    )


def test_a_given_colour_stays_and_pixels_without_weight_do_not_count():
    rng = np.random.default_rng(0)
    tiles = Tiles((8, 8), palettes=2, colors=3, shared_color="#ff00ff")
    image, weights = rng.random((20, 20, 3), np.float32), np.ones((20, 20))
    image[:, :4], weights[:, :4] = 77, 0
    locked = tiles.fixed.astype(np.float32) / 255
    labels, palette, value = clustered(image, weights, tiles, locked, key=Key(0))
    assert labels.shape == (3, 3)
    assert (palette[[0, 3]] == locked).all()
    assert palette.max() <= 1
    assert value > 0
