"""Predicted bytes, beside those of files."""

import numpy as np

from fastgrad.dithering.files.predicted_size import predicted_size
from fastgrad.dithering.pictures import png


def test_filtered_rows_of_many_colours_may_repeat():
    y, x = np.mgrid[:200, :240]
    rings = np.uint8(np.hypot(y - 100, x - 120) / 3)
    palette = np.repeat(np.arange(53, dtype=np.uint8)[:, None], 3, axis=1)
    real = len(png.encode([rings], palette))
    assert real < predicted_size(rings, palette) < 2.7 * real  # by a Huffman code 3.6 times as much
