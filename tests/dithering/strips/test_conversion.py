"""Rows are converted as the whole picture is, whatever their division."""

from itertools import pairwise

import numpy as np

from fastgrad.dithering.eye.lightness import REACH
from fastgrad.dithering.optimiser import diffusion
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


def test_solid_colour_at_the_edge_of_what_is_read():
    image = IMAGE.copy()
    image[110:112, 20] = 255, 0, 0  # which the panel calls red, and is seen as a darker one
    source = ArraySource(image)
    conversion = Conversion(source, learn(source, preset="spectra6", pace=Pace(10)))
    whole, top = conversion.rows(0, 300), 111 + REACH
    assert (whole.labels[110:112, 20] >= 0).all()
    below = conversion.rows(top, 300)
    np.testing.assert_array_equal(below.weights, whole.weights[top:])


def test_columns_of_wide_pictures(monkeypatch):
    monkeypatch.setattr(diffusion, "WIDE", 256)
    monkeypatch.setattr(diffusion, "SPAN", 64)
    image = np.ascontiguousarray(IMAGE.swapaxes(0, 1))
    image[10:12, 200] = 255, 0, 0
    source = ArraySource(image)
    regions = {"line": image[..., 0] > 250}
    learned = learn(source, preset="spectra6", pace=Pace(10), regions=regions)
    conversion = Conversion(source, learned, regions)
    whole = conversion.rows(0, 40)
    assert (whole.labels[regions["line"]] >= 0).all()
    for left, right in [(0, 64), (64, 256), (192, 300)]:
        part = conversion.rows(5, 30, left, right)
        for mine, all_of_it in zip(part, whole, strict=True):
            np.testing.assert_array_equal(mine, all_of_it[..., 5:30, left:right])
