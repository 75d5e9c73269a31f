"""`choose=`: which colours are taken, and what the picture is made of."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import dithering
from fastgrad.dithering import choose_colors

y, x = np.mgrid[:24, :32]
PICTURE = np.stack([60 + 4 * x, 200 - 5 * y, 40 + x + y], axis=-1).astype(np.uint8)
INKS = ["#000000", "#ffffff", "#ff0000", "#00ff00", "#0000ff", "#808000"]


def test_a_picture_in_two_inks_finds_them():
    picture = np.where((x + y)[..., None] % 2, np.uint8([255, 0, 0]), np.uint8([0, 0, 255]))
    assert choose_colors(picture, 2, INKS).tolist() == [2, 4]
    result = fg.dither(picture, palette=INKS, choose=2)
    np.testing.assert_array_equal(result.image, picture)


def test_the_rest_is_as_with_those_colours():
    which = choose_colors(PICTURE, 3, INKS)
    chosen = fg.dither(PICTURE, palette=INKS, choose=3, speed=10)
    plain = fg.dither(PICTURE, palette=[INKS[i] for i in which], speed=10)
    np.testing.assert_array_equal(chosen.palette, plain.palette)
    np.testing.assert_array_equal(chosen.indices, plain.indices)


def test_a_preset_keeps_its_options_and_the_colours_of_its_device():
    preset = fg.presets.find("acep7")
    result = fg.dither(PICTURE, preset="acep7", choose=4, speed=10)
    assert len(result.palette) == len(result.device) == 4
    places = [preset.colors.tolist().index(color) for color in result.palette.tolist()]
    assert places == sorted(places)
    np.testing.assert_array_equal(result.device, preset.device[places])


def test_what_is_not_seen_has_no_say():
    picture = np.zeros_like(PICTURE)
    picture[:, :8, 0] = picture[:, 8:16, 2] = picture[:, 16:, 1] = 255
    assert choose_colors(picture, 3, INKS).tolist() == [2, 3, 4]
    assert choose_colors(picture, 2, INKS, weights=x < 16).tolist() == [2, 4]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"choose": 2}, "palette or preset must be given with choose"),
        ({"choose": 7, "palette": INKS}, "choose must be from 2 to 6, got 7"),
        ({"choose": 1, "palette": INKS}, "choose must be"),
        ({"choose": 2, "palette": INKS, "lock_colors": True}, "lock_colors must be left out"),
        ({"choose": 2, "tiles": "nes"}, "choose must be left out with tiles"),
        ({"choose": 2, "palette": INKS, "preset": "bw"}, "palette must be None with a preset"),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        fg.dither(PICTURE, **options)


def test_it_is_public():
    assert dithering.choose_colors is choose_colors
