"""Large picture files, and what they are."""

import io

import numpy as np
import pytest

from fastgrad.dithering.pictures import large
from fastgrad.dithering.pictures.images import FileError

Image = pytest.importorskip("PIL.Image")
VALUES = np.random.default_rng(0).integers(0, 256, (60, 40, 3), np.uint8)


def test_what_pillow_reads(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(VALUES).save(path, dpi=(100, 100))
    picture = large.find(path)
    assert (picture.width, picture.height, picture.format) == (40, 60, "PNG")
    assert [kind for kind, _ in picture.metadata] == [b"pHYs"]
    with picture.rows() as source:
        np.testing.assert_array_equal(source.read(5, 9).values, VALUES[5:9])
    with pytest.raises(FileError, match="more than 100 pixels"):
        large.find(path, largest=100)
    with pytest.raises(FileError, match="no such file"):
        large.find(tmp_path / "b.png")


def test_what_is_read_in_parts(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VALUES, photometric="rgb", tile=(16, 16))
    picture = large.find(path)
    assert (picture.width, picture.height, picture.format) == (40, 60, "TIFF")
    assert picture.picture is None
    with picture.rows() as source:
        np.testing.assert_array_equal(source.read(5, 9).values, VALUES[5:9])
    with pytest.raises(FileError, match="more than 100 pixels"):
        large.find(path, largest=100)
    tifffile.imwrite(path, VALUES[:30], photometric="rgb")
    with pytest.raises(FileError, match="has changed"), picture.rows():
        pass


def test_an_animation_is_none():
    data = io.BytesIO()
    frames = [Image.fromarray(VALUES), Image.fromarray(255 - VALUES)]
    frames[0].save(data, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(FileError, match="in a frame"):
        large.find(data.getvalue())
