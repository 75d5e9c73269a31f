"""Patterns: tones that are true, mixtures of near colours, and the spectrum of blue noise."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import presets
from fastgrad.dithering.eye.colour import to_linear, to_srgb
from fastgrad.dithering.optimiser.patterns import PATTERNS, Mixtures, patterned, thresholds

each = pytest.mark.parametrize("name", PATTERNS)
PALETTES = {name: presets.find(name).colors for name in ("bw", "grey4", "bwr", "spectra6", "acep7")}
PALETTES["cube"] = np.uint8([[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)])
PALETTES["many"] = np.random.default_rng(0).integers(0, 256, (90, 3)).astype(np.uint8)
PALETTES["twice"] = np.uint8([[0, 0, 0], [255, 255, 255], [0, 0, 0]])
y, x = np.mgrid[:64, :64]


@each
def test_every_threshold_comes_once(name):
    found = np.sort(thresholds(name).ravel())
    np.testing.assert_allclose(found, (np.arange(found.size) + 0.5) / found.size)


def test_blue_noise_has_no_low_frequencies():
    spectrum = np.abs(np.fft.fft2(thresholds("blue-noise") - 0.5)) ** 2
    one = np.fft.fftfreq(len(spectrum))
    radius = np.hypot(one[:, None], one)
    assert spectrum[(radius > 0) & (radius < 0.15)].mean() < 0.01 * spectrum[radius > 0.35].mean()


@pytest.mark.parametrize("palette", PALETTES)
def test_mixtures_are_exact_within_the_palette(palette):
    colors = PALETTES[palette]
    shares = np.random.default_rng(1).dirichlet(np.full(len(colors), 0.5), 500)
    goal = shares @ to_linear(colors).astype(float)
    inks, found = Mixtures(colors).of(goal)
    np.testing.assert_allclose((to_linear(colors)[inks] * found[..., None]).sum(1), goal, atol=1e-6)
    light = to_linear(colors)[inks] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light, axis=1) > -1e-6).all()  # from dark to light
    assert (found >= 0).all()


@pytest.mark.parametrize("palette", ["bwr", "spectra6", "cube"])
def test_what_is_beyond_becomes_the_nearest_mixture(palette):
    colors = PALETTES[palette]
    rng = np.random.default_rng(2)
    goal = rng.uniform(-0.3, 1.3, (40, 3))
    inks, shares = Mixtures(colors).of(goal)
    mixed = (to_linear(colors)[inks] * shares[..., None]).sum(1)
    turn = np.array([[3**0.5 * c for c in (0.2126, 0.7152, 0.0722)], [0.5**1.5, -(0.5**1.5), 0]])
    turn = np.vstack([turn, 0.5 * np.array([-1, -1, 2]) / 6**0.5])
    off = np.linalg.norm((mixed - goal) @ turn.T, axis=1)
    for alpha in (0.1, 1.0):
        others = rng.dirichlet(np.full(len(colors), alpha), 20000) @ to_linear(colors)
        least = np.linalg.norm((others[:, None] - goal) @ turn.T, axis=2).min(axis=0)
        assert (off <= least + 1e-6).all()


@each
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_tones_are_true(name, dtype):
    grey = np.array([[0.4, 0.3, 0.5]])
    values = np.broadcast_to(to_srgb(grey), (64, 64, 3))
    values = values if dtype == np.uint8 else (values / 255).astype(dtype)
    found = patterned(values, PALETTES["cube"], name)
    mean = to_linear(PALETTES["cube"])[found].mean(axis=(0, 1))
    np.testing.assert_allclose(mean, to_linear(to_srgb(grey))[0], atol=0.01)


@each
def test_a_pixel_depends_on_nothing_else(name):
    picture = np.stack([4 * x, 255 - 4 * y, 2 * (x + y)], axis=-1).astype(np.uint8)
    other = picture.copy()
    other[20:30, 20:30] = 7
    one, two = (fg.dither(p, preset="spectra6", fit="none", pattern=name) for p in (picture, other))
    outside = np.ones(x.shape, bool)
    outside[20:30, 20:30] = False
    np.testing.assert_array_equal(one.indices[outside], two.indices[outside])


def test_a_learned_palette_and_solid_inks():
    picture = np.stack([4 * x, 255 - 4 * y, 2 * (x + y)], axis=-1).astype(np.uint8)
    learned = fg.dither(picture, colors=8, speed=10, pattern="ordered")
    assert len(learned.palette) == 8
    np.testing.assert_array_equal(learned.indices, patterned(picture, learned.palette, "ordered"))
    picture[:20, :20] = [255, 0, 0]
    inks = fg.dither(picture, preset="spectra6", pattern="blue-noise")
    assert (inks.indices[:20, :20] == 3).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pattern": "bayer"}, "pattern must be"),
        ({"pattern": "ordered", "rate": 0.1}, "rate must be left out with a pattern"),
        ({"pattern": "ordered", "structure": 0.1}, "structure must be left out"),
        ({"pattern": "ordered", "alpha": "keep"}, "alpha must be 'key' or 'blend'"),
        ({"pattern": "ordered", "tiles": "nes"}, "pattern must be left out with tiles"),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        fg.dither(np.zeros((8, 8), np.uint8), **options)
