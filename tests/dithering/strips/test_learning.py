"""What is learned on a sample."""

import json
from functools import partial

import numpy as np
import pytest

from fastgrad.dithering.eye.colour import to_srgb
from fastgrad.dithering.eye.lightness import sensitivity
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.start import Trials
from fastgrad.dithering.optimiser.tones import fit_tones
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.strips import learning
from fastgrad.dithering.strips.learned import Learned
from fastgrad.dithering.strips.learning import learn

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (80, 90, 3), np.uint8)


def fast(image, **options):
    return learn(ArraySource(image), pace=Pace(10), **options)


def test_the_eye_is_adapted_to_the_picture():
    learned = fast(NOISE, palette=["#000", "#fff"])
    from fastgrad.dithering.eye.colour import to_linear

    linear = to_linear(NOISE)
    apart = sensitivity(linear, adapted=learned.adapted)
    np.testing.assert_allclose(apart, sensitivity(linear), rtol=0.02)
    np.testing.assert_allclose(np.square(apart).mean(), 1, rtol=0.02)


def test_a_single_pixel_of_colour_makes_three_channels():
    image = np.repeat(NOISE[..., :1], 3, axis=2)
    assert fast(image, palette=["#000", "#fff"]).grey
    image[70, 80] = 255, 0, 0
    assert not fast(image, palette=["#000", "#fff"]).grey


def test_few_colours_are_the_palette():
    image = np.zeros((400, 300, 3), np.uint8)
    image[399, 299] = 1, 2, 3
    learned = fast(image, colors=3)
    assert learned.palette.tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0]]


def test_a_preset_gives_the_colours_of_the_device():
    learned = fast(NOISE, preset="spectra6")
    assert len(learned.device) == len(learned.palette) == 6
    assert learned.device.tolist() != learned.palette.tolist()
    assert learned.alpha == "blend"


def test_tones_are_fitted_to_the_pixels_of_all_of_it():
    image = RNG.integers(0, 256, (700, 90, 3), np.uint8)
    learned = fast(image, preset="spectra6")
    whole = fit_tones(image, learned.palette)
    assert sorted(whole.chroma) == sorted(learned.tones.chroma)
    np.testing.assert_allclose(learned.tones.table, whole.table, atol=1e-6)
    again = Learned.from_json(json.loads(json.dumps(learned.to_json())))
    np.testing.assert_array_equal(again.tones.table, learned.tones.table)
    assert again.to_json() == learned.to_json()
    assert fast(image, preset="spectra6", fit="none").tones is None
    clear = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    clear[300:, :, 3] = 0
    seen = fast(clear, preset="spectra6", alpha="key").tones
    whole = fit_tones(image, learned.palette, seen=clear[..., 3] > 0)
    np.testing.assert_allclose(seen.table, whole.table, atol=1e-6)


def test_degrees_of_opacity_are_learned_or_refused_in_a_line():
    image = np.dstack([NOISE, np.full((80, 90), 128, np.uint8)])
    image[40:, :, 3] = 255
    learned = fast(image, colors=4)
    assert learned.opacity.min() == 128
    assert learned.opacity.max() == 255
    for given in ({"palette": ["#000", "#fff"]}, {"preset": "spectra6", "alpha": "keep"}):
        with pytest.raises(ValueError, match=r"in a given palette.*is known only"):
            fast(image, **given)
    with pytest.raises(ValueError, match="alpha must be one of keep, key, blend in strips"):
        fast(image, alpha="#f0f", colors=3)
    assert not fast(image, alpha="blend", palette=["#000", "#fff"]).clear
    image[0, 0, 3] = 3
    learned = fast(image, alpha="key", colors=3)
    assert learned.clear
    assert len(learned.palette) == 2
    assert learned.entries[1].tolist() == [255, 255, 0]


def test_bad_options_are_refused_before_anything_is_read():
    class Unread(ArraySource):
        def read(self, *box):
            raise AssertionError

    with pytest.raises(ValueError, match="colors must be"):
        learn(Unread(NOISE), colors=1)


def test_an_overview_has_the_channels_of_the_tiles():
    grey = RNG.integers(0, 256, (6, 7), np.uint8)
    color, weights = np.stack([grey, grey, grey // 2], -1), np.ones((6, 7))
    for image, channels in ((grey, 1), (color, 3)):
        problem = Problem(image, Viewing(), colors=4)
        for pixels in (grey[:3], np.stack([grey[:3]] * 3, -1)):
            overview = problem.among(pixels, weights[:3])
            assert overview.linear.shape == (3, 7, channels)
            np.testing.assert_array_equal(to_srgb(overview.linear)[..., -1], grey[:3])
            assert overview.weights.dtype == np.float32
            assert overview.pins is None
        assert problem.linear.shape == (6, 7, channels)


def test_the_first_palette_is_that_of_the_overview(monkeypatch):
    """Tiles are as they are; where they lie is chance, and an overview has seen all places."""
    seen = []
    taken = Trials.__init__

    def noted(self, problem, *args, **kwargs):
        seen.append(problem.linear.shape[:2])
        taken(self, problem, *args, **kwargs)

    monkeypatch.setattr(Trials, "__init__", noted)
    monkeypatch.setattr(learning, "sample", partial(learning.sample, pixels=1 << 10))
    image = RNG.integers(0, 256, (90, 200, 3), np.uint8)
    learn(ArraySource(image), colors=4, pace=Pace(10))
    assert seen == [(90 // 5, 200 // 5)]
