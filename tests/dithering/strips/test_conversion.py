"""Rows are converted as the whole picture is, whatever their division."""

from itertools import pairwise

import numpy as np

from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.strips.conversion import Conversion
from fastgrad.dithering.strips.learning import learn

IMAGE = np.random.default_rng(0).integers(0, 256, (300, 40, 3), np.uint8)


def test_any_division_gives_the_same_rows():
    source = ArraySource(IMAGE)
    conversion = Conversion(source, learn(source, palette=["#000", "#fff"], pace=Pace(10)))
    whole = conversion.rows(0, 300)
    for cuts in ([0, 1, 2, 300], [0, 150, 300], [*range(0, 300, 37), 300]):
        parts = [conversion.rows(a, b) for a, b in pairwise(cuts)]
        planes = np.concatenate([part.planes for part in parts], axis=1)
        np.testing.assert_array_equal(planes, whole.planes)
        weights = np.concatenate([part.weights for part in parts])
        np.testing.assert_array_equal(weights, whole.weights)
    assert whole.labels is None


def test_smooth_pictures_are_pinned_to_the_nearest_colours():
    ramp = np.repeat(np.arange(60, dtype=np.uint8).reshape(1, -1, 1), 3, axis=2)
    source = ArraySource(np.repeat(ramp, 300, axis=0))
    learned = learn(source, colors=40, pace=Pace(10))
    assert learned.pinning == "all"
    labels = Conversion(source, learned).rows(128, 256).labels
    off = learned.palette[labels].astype(int) - ramp
    nearest = abs(learned.palette[:, 0].astype(int) - np.arange(60)[:, None]).min(axis=1)
    np.testing.assert_array_equal(abs(off[0, :, 0]), nearest)
