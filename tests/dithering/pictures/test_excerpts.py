"""Some frames of an animation."""

import io

import numpy as np
import pytest

from fastgrad.dithering.pictures.excerpts import Excerpt
from fastgrad.dithering.pictures.images import Picture

Image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(9, 4, [0, 1, 4, 5]), (3, 6, [0, 1, 2]), (7, 6, [0, 1, 2, 3, 4, 5])],
)
def test_frames_are_chosen_in_pairs(count, most, expected):
    file, frames = io.BytesIO(), [Image.new("RGB", (4, 3), (i, 9, 0)) for i in range(count)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=40, loop=0)
    picture = Picture(file.getvalue())
    some = Excerpt(picture, most)
    assert some.count == len(expected)
    assert (some.plays, some.width, picture.count) == (0, 4, count)
    assert [int(frame.values[0, 0, 0]) for frame in some.frames()] == expected
    np.testing.assert_array_equal(next(some.frames()).values, next(picture.frames()).values)
