"""Grain: shares by another solver, and what is expected of dots beside dots that were laid."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import linprog

from fastgrad.dithering import dither
from fastgrad.dithering.eye.colour import SPACES, decode, to_linear
from fastgrad.dithering.eye.grain import grain, shares
from fastgrad.dithering.pictures.presets import PRESETS

rng = np.random.default_rng(5)


@pytest.mark.parametrize("preset", ["bw", "bwr", "bwry", "spectra6", "acep7", "kindle16"])
def test_shares_make_the_tone_with_the_least_variance(preset):
    inks = to_linear(PRESETS[preset].colors).astype(float)
    tones = rng.dirichlet(np.ones(len(inks)), 6) @ inks
    found = shares(tones, inks)
    np.testing.assert_allclose(found @ inks, tones, atol=2e-3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=4e-3)
    for tone, share in zip(tones, found):
        apart = np.square(inks - tone).sum(axis=1)
        made = linprog(apart, A_eq=np.vstack([inks.T, np.ones(len(inks))]), b_eq=[*tone, 1])
        assert share @ apart == pytest.approx(made.fun, abs=2e-3)
    none = grain(inks, PRESETS[preset].colors)
    np.testing.assert_allclose(none, 0, atol=1e-9)


@pytest.mark.parametrize("value", [40, 50, 60, 120, 188])
def test_grain_is_that_of_dots_as_they_are_seen(value):
    field = np.full((96, 96), value, np.uint8)
    made = dither(field, preset="bw")
    seen = gaussian_filter(decode(made.image[..., 0] / 255), 1.4)[8:-8, 8:-8]
    tone = decode(np.full((1, 3), value / 255))
    light = SPACES["oklab"].into(tone)[0, 0]
    off = np.sqrt(np.square(np.cbrt(seen) - light).mean())
    expected = np.sqrt(grain(tone, PRESETS["bw"].colors)[0])
    assert off == pytest.approx(expected, rel=0.25, abs=0.011)


def test_many_colors_have_none():
    palette = rng.integers(0, 256, (40, 3)).astype(np.uint8)
    assert not grain(rng.random((5, 3)), palette).any()
