"""The work on one picture file; what the command makes of it is tested there."""

import io

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.files import one_picture, outcome
from fastgrad.dithering.pictures import images

Image = pytest.importorskip("PIL.Image")
y, x = np.mgrid[:16, :24]
VALUES = np.stack([9 * x, 15 * y, 255 - 9 * x], axis=-1).astype(np.uint8)
SETTINGS = outcome.Settings(None, None, False, 4, "keep", None, {"speed": 9})


def picture():
    file = io.BytesIO()
    Image.fromarray(VALUES).save(file, "PNG")
    return images.Picture(file.getvalue())


def test_a_file_is_dithered_as_its_pixels():
    source = picture()
    made = one_picture.run(source, SETTINGS, quiet=True)
    np.testing.assert_array_equal(made.shown, fg.dither(VALUES, colors=4, speed=9).image)
    data, (indices,) = made.encode(".png", source, SETTINGS)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), made.shown)
    np.testing.assert_array_equal(made.palette[indices], made.shown)
    assert made.complete
