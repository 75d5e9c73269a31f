"""Fields and the inks of text are pinned; steps of ramps only if there is an entry for each."""

import numpy as np

from fastgrad.dithering import Viewing, dither
from fastgrad.dithering.metrics.s_cielab_and_flip import s_cielab
from fastgrad.dithering.optimiser import flat
from fastgrad.dithering.optimiser.drawn import codes_of, shaded
from fastgrad.dithering.optimiser.field_colours import chosen_of
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.selection import nearest

NONE = np.empty((0, 3), np.uint8)
FIELDS = np.uint8([[255, 255, 255], [30, 25, 60], [200, 40, 40]])


def chart(steps=300, width=400):
    """Three fields, and two ramps of so many steps side by side."""
    image = np.empty((200, width, 3), np.uint8)
    image[:], image[150:], image[:30, :90] = FIELDS
    t = np.floor(np.linspace(0, steps, width - 40, endpoint=False))[:, None] / max(1, steps - 1)
    for i, (one, two) in enumerate((((255, 0, 0), (0, 0, 255)), ((0, 160, 90), (255, 220, 0)))):
        image[40 + 50 * i : 85 + 50 * i, 20:-20] = np.rint(np.array(one) * (1 - t) + t * two)
    return image


def test_ramps_beside_fields_have_grain():
    image = chart()
    for colors in (16, 64):
        problem = Problem(image, Viewing(), colors=colors)
        assert not problem.drawn
        assert problem.finished() is None
        pins = flat.fields(image, None, colors, kept=NONE)
        assert pins.palette[:3].tolist() == FIELDS.tolist()
        assert len(pins.palette) <= 7  # and the ends of the ramps
        assert not pins.covering
        result = dither(image, colors=colors)
        ground = (image[..., None, :] == FIELDS).all(-1).any(-1)
        np.testing.assert_array_equal(result.image[ground], image[ground])
        bands = result.palette[nearest(image.reshape(-1, 3), result.palette)[0]]
        assert s_cielab(result.image, image) < 0.7 * s_cielab(bands.reshape(image.shape), image)


def test_each_step_of_a_ramp_has_its_colour_if_there_is_room_for_all():
    image = chart(steps=20)
    pins = flat.fields(image, None, 50, kept=NONE)
    np.testing.assert_array_equal(pins.palette[pins.labels], image)
    assert pins.covering
    few = flat.fields(image, None, 40, kept=NONE)  # of which five are left for the rest
    assert len(few.palette) <= 35


def test_steps_of_ramps_are_no_inks():
    y, x = np.mgrid[:60, :160]
    image = np.full((160, 240, 3), 250, np.uint8)
    image[50:110, 40:200] = np.stack([60 + x, 90 + x // 2, 200 - y // 2 * 2], axis=-1)
    for i in range(20):  # strokes of text
        image[8 + i % 3 : 14 + i % 3, 5 + 9 * i] = [70, 80, 96]
    pins = flat.fields(image, None, 64, kept=NONE)
    assert pins.palette.tolist() == [[250] * 3, [70, 80, 96]]
    assert not pins.covering


def test_shading_is_nearly_as_what_is_beside_it_in_every_channel():
    image = np.full((9, 30, 3), 90, np.uint8)
    image[:, 10:20] = [101, 84, 92]  # of nearly the same luma
    image[:, 20:] = [103, 85, 92]
    places = shaded(image, np.ones((9, 30), bool))
    columns = np.bincount(places % 30, minlength=30)
    assert columns.tolist() == [9] * 9 + [0, 0] + [9] * 19
    some = np.zeros((9, 30), bool)
    some[3, 19:21] = True
    assert shaded(image, some).tolist() == [3 * 30 + 19, 3 * 30 + 20]


def test_a_large_field_is_no_step_for_what_is_around_text():
    image = np.full((100, 100, 3), 250, np.uint8)
    image[10:90:12, 10:90:2] = 252  # noise, as JPEG leaves it
    image[40:60, 20:80] = np.arange(60, dtype=np.uint8)[:, None]
    codes = codes_of(image)
    amid = codes[flat.flat_of(codes)]
    ramps = codes.ravel()[shaded(image, np.ones((100, 100), bool) & (codes != codes[0, 0]))]
    around = np.concatenate([ramps, np.repeat(codes[0, 0], 700)])
    for which, chosen in ((ramps, [[250] * 3]), (around, [[250] * 3])):
        assert chosen_of(codes, amid, which, NONE, 16)[0].tolist() == chosen
    assert not len(chosen_of(codes, amid, np.repeat(around, 5), NONE, 16)[0])
