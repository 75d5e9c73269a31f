"""The part of a picture that stands for the whole."""

import numpy as np

from fastgrad.dithering import BlurredError
from fastgrad.dithering.optimiser.parts import tiled


def test_tiles_stand_for_a_large_picture():
    rng = np.random.default_rng(0)
    image = rng.random((300, 500, 3)).astype(np.float32)
    weights = rng.random((300, 500)).astype(np.float32)
    weights[:50] = 0
    loss = BlurredError(image, weights=weights)
    part = tiled(loss, 1 << 14)
    assert part.planes.shape == (3, 128, 128)
    assert loss.pixels == np.count_nonzero(loss.weights)
    assert part.pixels == np.count_nonzero(part.weights) < 128**2
    for y, x in ((16, 32), (112, 112)):
        here = slice(y, y + 16), slice(x, x + 16)
        (top,), (left,) = np.nonzero(loss.weights[:285, :485] == part.weights[y, x])
        there = slice(top, top + 16), slice(left, left + 16)
        np.testing.assert_array_equal(part.weights[here], loss.weights[there])
        np.testing.assert_array_equal(
            part.planes[(slice(None), *here)], loss.planes[(slice(None), *there)]
        )
    assert tiled(loss, 75_000) is loss  # no more than twice as many
    assert tiled(BlurredError(image[:5]), 1000).shape[0] % 5 == 0


def test_tiles_lie_where_pixels_count():
    image, weights = np.zeros((300, 500, 3), np.float32), np.zeros((300, 500), np.float32)
    weights[40:43, 10:400:3] = 1
    weights[299, 499] = 1
    part = tiled(BlurredError(image, weights=weights), 1 << 14)
    tiles = part.weights.reshape(8, 16, 8, 16)
    assert part.shape == (128, 128)
    assert tiles.any(axis=(1, 3)).all()
