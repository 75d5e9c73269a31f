"""Masks are white where they mean something."""

import numpy as np
import pytest

from fastgrad.dithering.pictures import images, masks
from fastgrad.dithering.pictures.images import FileError

Image = pytest.importorskip("PIL.Image")


def test_white_and_opaque(tmp_path):
    values = np.zeros((2, 4, 4), np.uint8)
    values[:, 1:, :3] = 255
    values[..., 3] = 255
    values[:, 2, 3] = 20
    values[:, 3, :3] = 110
    Image.fromarray(values, "RGBA").save(tmp_path / "m.png")
    assert masks.read(tmp_path / "m.png").tolist() == 2 * [[False, True, False, False]]
    Image.fromarray(values[..., 0]).save(tmp_path / "g.png")
    assert masks.read(tmp_path / "g.png").tolist() == 2 * [[False, True, True, False]]


def test_no_such_file(tmp_path):
    with pytest.raises(FileError, match=r"m\.png"):
        masks.read(tmp_path / "m.png")


def test_a_mask_of_a_large_picture_is_read_in_parts(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 256, (600, 50), np.uint8)
    alpha = np.random.default_rng(1).integers(0, 256, (600, 50), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(np.dstack([values, alpha])).save(path)
    expected = masks.read(path)
    assert 0.1 < expected.mean() < 0.4
    monkeypatch.setattr(images, "MAX_PIXELS", 5000)
    np.testing.assert_array_equal(masks.read(path), expected)
