"""Tests of the palettes that are tried out."""

import numpy as np
import pytest

from fastgrad.dithering import dither
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.optimiser.palette import initial
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.start import Trials


def picture(height=60, width=70):
    """Return a smooth picture with noise, in sRGB values."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / 70
    return np.clip(
        np.stack([y, x, (x + y) / 2], -1) + 0.05 * rng.normal(size=(height, width, 3)), 0, 1
    )


@pytest.mark.parametrize("kept", [None, 2])
def test_the_best_trial_is_taken(kept):
    """Of all, or of those that are best before they are annealed."""
    trials = Trials(Problem(picture(), Viewing(), colors=8), 5, steps=2, rng=3, kept=kept)
    order = sorted(range(5), key=lambda i: trials._diffused(trials.palette(i)))
    learned = [trials._learned(i) for i in order]
    palette, value = min(learned[:kept], key=lambda one: one[1])
    assert np.array_equal(trials.best(), palette)
    assert len({value for _, value in learned}) > 1
    assert kept is None or value > min(value for _, value in learned)


def test_palettes_that_are_alike_are_tried_once(monkeypatch):
    """Two colours are mostly found again from any seeds; if all are alike, none is tried."""
    problem, tried = Problem(picture(), Viewing(), colors=2), []
    plain = Trials._diffused
    monkeypatch.setattr(Trials, "_diffused", lambda self, x: tried.append(x) or plain(self, x))
    trials = Trials(problem, 6, steps=0, rng=3)
    trials._encoded[1:] = trials._encoded[0]
    trials._encoded[2] = trials._encoded[0][::-1]
    assert np.array_equal(trials.best(), trials.palette(0))
    assert not tried
    trials._encoded[3:] *= 0.5
    trials.best()
    assert len(tried) == 2
    best = min((0, 3), key=lambda i: plain(trials, trials.palette(i)))
    assert np.array_equal(trials.best(), trials.palette(best))


def test_no_palette_is_taken_that_is_right_in_the_mean_and_lacks_a_tone():
    # By the mean distance of blurred colours, one was taken that scores 19.
    data, Image = pytest.importorskip("skimage.data"), pytest.importorskip("PIL.Image")
    small = Image.fromarray(data.stereo_motorcycle()[0])
    small.thumbnail((240, 240), Image.Resampling.LANCZOS)
    image = np.asarray(small)
    assert Ssimulacra2(image).score(dither(image, colors=8).image) >= 26


@pytest.mark.parametrize("colors", [2, 9, 40])
def test_colours_that_count_several_times_are_clustered_as_if_they_were_there_as_often(colors):
    rng = np.random.default_rng(colors)
    values = rng.random((1, 150, 3)).astype(np.float32)
    counts = rng.integers(1, 20, (1, 150))
    often = np.repeat(values[0], counts[0], axis=0)[None]
    options = {"rng": 0, "trials": 3, "iterations": 6}
    found = [initial(values, colors, counts=counts, **options), initial(often, colors, **options)]
    np.testing.assert_allclose(*found, atol=1e-6)
