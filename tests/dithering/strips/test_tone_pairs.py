"""The pairs of pixels to which tones are fitted are those of the whole picture."""

import numpy as np

from fastgrad.dithering.optimiser.tones import places_of_pairs
from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.strips.tone_pairs import pairs
from fastgrad.dithering.strips.weights import WeightSource

IMAGE = np.random.default_rng(0).integers(0, 256, (600, 70, 3), np.uint8)


def test_pairs_are_those_of_the_picture_but_for_what_does_not_count():
    found = places_of_pairs((600, 70))
    found = found[np.argsort(found[:, 0, 0], kind="stable")]
    expected = IMAGE[found[..., 0], found[..., 1]]
    source = ArraySource(IMAGE)
    np.testing.assert_array_equal(pairs(source, "keep"), expected)
    weights = np.ones((600, 70))
    weights[200:400] = 0
    counting = (weights[found[..., 0], found[..., 1]] > 0).all(axis=1)
    weighed = pairs(source, "keep", WeightSource(weights, (600, 70)))
    np.testing.assert_array_equal(weighed, expected[counting])
    clear = np.dstack([IMAGE, (255 * weights).astype(np.uint8)])
    np.testing.assert_array_equal(pairs(ArraySource(clear), "key"), expected[counting])
