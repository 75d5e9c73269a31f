"""Presets: what must hold of every one, and the figures of some."""

import numpy as np
import pytest

from fastgrad.dithering.pictures.presets import PRESETS, relative_to_white

each = pytest.mark.parametrize("name", PRESETS)


@each
def test_every_preset(name):
    preset = PRESETS[name]
    assert preset.colors.shape == preset.device.shape
    assert preset.colors.dtype == preset.device.dtype == np.uint8
    assert preset.summary
    for colors in (preset.colors, preset.device):
        assert len(np.unique(colors, axis=0)) == len(colors)
        if name != "game-boy" or colors is preset.device:
            assert [255, 255, 255] in colors.tolist()  # white is white
    hue = np.argmax(preset.colors.astype(int), axis=1), np.argmax(preset.device, axis=1)
    strong = np.ptp(preset.device.astype(int), axis=1) > 0
    np.testing.assert_array_equal(hue[0][strong], hue[1][strong])  # red stays red


def test_the_greens_of_the_game_boy_are_green():
    colors = PRESETS["game-boy"].colors.astype(int)
    assert (colors.argmax(axis=1) == 1).all()
    assert (np.diff(colors[:, 1]) < 0).all()


def test_the_order_is_that_of_the_drivers():
    device = PRESETS["spectra6"].device
    inks = [[0, 0, 0], [255, 255, 255], [255, 255, 0], [255, 0, 0], [0, 0, 255], [0, 255, 0]]
    assert device.tolist() == inks
    assert PRESETS["acep7"].device[2:].tolist()[::2] == [[0, 255, 0], [255, 0, 0], [255, 140, 0]]
    assert PRESETS["grey4"].colors[:, 0].tolist() == [0, 85, 170, 255]
    assert len(PRESETS["grey16"].colors) == 16


def test_relative_to_white():
    measured = np.array([[0, 0, 0], [150, 100, 50], [100, 200, 200]])
    found = relative_to_white(measured)
    assert found[2].tolist() == [255, 255, 255]
    assert found[0].tolist() == [0, 0, 0]
    assert found[1, 0] == 255  # no brighter than white is shown

    def linear(value):
        return ((value / 255 + 0.055) / 1.055) ** 2.4

    assert linear(found[1, 1]) == pytest.approx(linear(100) / linear(200), rel=0.01)
