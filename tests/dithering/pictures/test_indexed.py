"""Indexed pictures as files: what Pillow reads back."""

import io

import numpy as np
import pytest

from fastgrad.dithering.pictures import indexed

Image = pytest.importorskip("PIL.Image")
PALETTE = np.uint8([[0, 0, 0], [255, 128, 0], [1, 2, 3]])
FRAMES = [np.uint8([[0, 1, 2], [2, 1, 0]]), np.uint8([[1, 1, 1], [2, 1, 0]])]


@pytest.mark.parametrize("ending", indexed.ENDINGS)
def test_an_animation_of_every_format(ending):
    data = indexed.encode(FRAMES, PALETTE, ending=ending, durations=[80, 120], plays=3)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2
        times = []
        for i, frame in enumerate(FRAMES):
            image.seek(i)
            image.load()
            times.append(image.info["duration"])
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), PALETTE[frame])
        assert times == [80, 120]


@pytest.mark.parametrize(("ending", "most"), [(".gif", 65_535), (".webp", 16_383)])
def test_sides_that_a_format_has_no_room_for(ending, most):
    fits = indexed.encode([np.zeros((most, 1), np.uint8)], PALETTE, ending=ending)
    with Image.open(io.BytesIO(fits)) as image:
        assert image.size == (1, most)
    said = f"a {ending} has at most {most} pixels on a side, got {most + 1} x 1"
    with pytest.raises(indexed.FileError, match=said):
        indexed.encode([np.zeros((1, most + 1), np.uint8)], PALETTE, ending=ending)
    assert indexed.encode([np.zeros((1, most + 1), np.uint8)], PALETTE)


def test_opacity_without_loss():
    opacity = np.uint8([0, 77, 255])
    data = indexed.encode(FRAMES[:1], PALETTE, opacity, ending=".webp")
    with Image.open(io.BytesIO(data)) as image:
        found = np.asarray(image.convert("RGBA"))
    np.testing.assert_array_equal(found[..., 3], opacity[FRAMES[0]])
    np.testing.assert_array_equal(found[..., :3], PALETTE[FRAMES[0]])
