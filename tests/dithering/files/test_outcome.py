"""What came of a picture."""

import io

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.files import outcome
from fastgrad.dithering.pictures import images

Image = pytest.importorskip("PIL.Image")


def test_what_is_larger():
    file = io.BytesIO()
    Image.new("RGB", (5, 4), "teal").save(file, "PNG")
    source, size = images.Picture(file.getvalue()), len(file.getvalue())
    assert outcome.larger(source, bytes(size)) is None
    reason = outcome.larger(source, bytes(size + 1))
    assert reason == f"its {size + 1} bytes are more than the {size} of standard input"


def test_an_indexed_picture_keeps_the_order_of_its_palette(tmp_path):
    """As it comes from Aseprite: index 0 is transparent, and its hidden colour is magenta."""
    indices = np.add.outer(np.arange(16), np.arange(16)) // 5 % 7
    image = Image.fromarray(indices.astype(np.uint8), "P")
    colors = [255, 0, 255, 0, 0, 0, 34, 32, 52, 172, 50, 50, 223, 113, 38, 251, 242, 54]
    image.putpalette([*colors, 99, 155, 255])
    image.save(tmp_path / "a.png", transparency=0)
    (done,) = fg.dither_files(tmp_path / "a.png", output=tmp_path / "b.png", colors=16)
    assert done.error is None
    with Image.open(tmp_path / "b.png") as found:
        assert found.getpalette()[:21] == image.getpalette()[:21]
        assert found.info["transparency"] in (0, b"\0")
        np.testing.assert_array_equal(np.asarray(found), indices)
