"""PNG files that are written row by row, as Pillow reads them."""

import io

import numpy as np
import pytest

from fastgrad.dithering.pictures.png_rows import png_rows

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("colors", [2, 4, 16, 17, 256])
@pytest.mark.parametrize("rows", [1, 64, 1000])
def test_every_depth_is_read_back(colors, rows):
    indices = RNG.integers(0, colors, (700, 301), np.uint8)
    palette = RNG.integers(0, 256, (colors, 3), np.uint8)
    opacity = RNG.integers(0, 256, colors).astype(np.uint8)
    strips = (indices[top : top + rows] for top in range(0, 700, rows))
    parts = list(png_rows(strips, indices.shape, palette, opacity, chunks=[(b"pHYs", bytes(9))]))
    data = b"".join(parts)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "P"
        read = np.asarray(image.convert("RGBA"))
    np.testing.assert_array_equal(read[..., :3], palette[indices])
    np.testing.assert_array_equal(read[..., 3], opacity[indices])
    assert data[37:41] == b"pHYs"


def test_rows_must_be_as_many_as_was_said():
    with pytest.raises(ValueError, match="strips must have 3 rows in all, got 2"):
        list(png_rows([np.zeros((2, 3), np.uint8)], (3, 3), np.zeros((2, 3), np.uint8)))
