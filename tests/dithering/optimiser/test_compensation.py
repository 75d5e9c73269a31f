"""The blurred residual of a picture, handed back to its target."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fastgrad.dithering import dither, fit_tones
from fastgrad.dithering.metrics.s_cielab_and_flip import s_cielab
from fastgrad.dithering.optimiser import compensation
from fastgrad.dithering.optimiser.compensation import Steering, compensated
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.search import Search
from fastgrad.dithering.pictures.presets import PRESETS
from fastgrad.dithering.run import Run

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("colors", "masked"), [(12, False), (5, True)])
def test_half_of_the_blurred_residual_is_added_or_less_of_few_colours(colors, masked):
    image, palette = RNG.random((40, 50, 3)).astype(np.float32), RNG.random((colors, 3))
    indices = RNG.integers(0, colors, (40, 50)).astype(np.uint8)
    weights = np.ones((40, 50))
    if masked:
        weights[:12], weights[:, 30:] = 0, 3
    loss = BlurredError(image, weights=weights)
    target = compensated(loss, indices, palette)
    seen, share = weights > 0, min(0.5, colors / 16)
    for plane, values, colours in zip(target.planes, image.transpose(2, 0, 1), palette.T):
        missing = (values - colours[indices]) * seen
        blurred = gaussian_filter(missing, 2, mode="constant", truncate=3)
        np.testing.assert_allclose(plane, (values + share * blurred) * seen, atol=1e-5)
    np.testing.assert_array_equal(target.weights, loss.weights)
    assert target.of(indices, palette) != loss.of(indices, palette)


def added_up(before, most, loss, indices, palette):
    """Return the sum after another sweep, (channels, height, width)."""
    missed = [
        (colours[indices] - values) * (loss.weights > 0)
        for values, colours in zip(loss.planes, palette.T)
    ]
    blurred = [gaussian_filter(m, 4, mode="constant", truncate=3) for m in missed]
    return np.clip(0.7 * before + np.array(blurred), -most, most)


def test_what_is_missed_adds_up_and_wakes_pixels_where_it_is_much():
    y, x = np.mgrid[:61, :90]
    image = np.stack([x / 90, y / 61, 0.5 + 0 * x], axis=-1).astype(np.float32)
    weights, palette = np.ones(x.shape), RNG.random((5, 3)).astype(np.float32)
    weights[:12], weights[:, 70:] = 0, 3
    loss = BlurredError(image, weights=weights, ppd=50.0)
    indices = np.full(x.shape, 3, np.uint8)
    search, steering = Search(loss, indices, palette), Steering(loss, palette)
    while search.sweep():
        pass
    steps = palette[:, None, None] - loss.planes.transpose(1, 2, 0)
    apart = np.sqrt(np.square(steps).sum(axis=-1)).min(axis=0) * (weights > 0)
    exact, most = 0.15 * gaussian_filter(apart, 4, mode="constant", truncate=3), steering._most
    assert np.abs(most - exact).mean() < 0.02 * exact.max()  # it is that of every second pixel
    expected, field, moved = 0, search._field.copy(), False
    for _ in range(2):
        before = expected
        expected = added_up(before, most, loss, search.indices, palette)
        search._awake[:] = 0
        steering.steer(search)
        np.testing.assert_allclose(steering._sum, expected, atol=1e-6)
        asleep = search._awake[2:-2, 2:-2] == 0
        off = np.abs(expected - before).max(axis=0)
        assert asleep[off < 0.09 * most].all()
        assert not asleep[off > 0.11 * most].any()
        moved |= not asleep.all()
    assert moved
    steering.end(search)
    np.testing.assert_allclose(search._field, field, atol=1e-5)
    assert search._awake.all()


@pytest.mark.parametrize(("preset", "dark"), [("grey4", False), ("bwry", False), ("bw", True)])
def test_few_inks_are_true_in_the_mean_where_the_eye_mixes_them(preset, dark, monkeypatch):
    y, x = np.mgrid[:96, :128]
    waves = np.stack([120 + 70 * np.sin(x / 19), 100 + 50 * np.sin(y / 15), 90 + y / 2], -1)
    image = (waves / 6 if dark else waves).astype(np.uint8)
    inks = PRESETS[preset].colors
    goal = fit_tones(image, inks)(image)
    steered = dither(goal, preset=preset, fit="none")
    monkeypatch.setattr(Run, "_steers", False)
    without = dither(goal, preset=preset, fit="none")
    # With 1 % white the eye sees every dot: more of them would be worse than none.
    assert s_cielab(steered.image, goal) < 0.97 * s_cielab(without.image, goal)


def test_slow_changes_are_truer_with_it(monkeypatch):
    y, x = np.mgrid[:96, :128]
    waves = np.stack([40 + 30 * np.sin(x / 9), 36 + 20 * np.sin(y / 11 + x / 30), 50 + y / 6], -1)
    ratios = []
    for seed in range(6):  # of one, .93 with a deviation of .024
        noise = np.random.default_rng(seed).normal(0, 2, waves.shape)
        image = np.clip(waves + noise, 0, 255).astype(np.uint8)
        ours = dither(image, colors=16)
        with monkeypatch.context() as patch:
            patch.setattr(compensation, "SHARE", 0.0)
            without = dither(image, colors=16)
        np.testing.assert_array_equal(ours.palette, without.palette)
        ratios.append(s_cielab(ours.image, image) / s_cielab(without.image, image))
        # What is reported is the loss of the picture itself, which is a little higher.
        assert without.loss[-1] < ours.loss[-1] < 1.2 * without.loss[-1]
    assert np.mean(ratios) < 0.95
