"""The figures of some rows are their share in those of the picture."""

import numpy as np
import pytest

from fastgrad.dithering import BlurredError
from fastgrad.dithering.optimiser import diffusion
from fastgrad.dithering.optimiser.row_sums import row_sums


@pytest.mark.parametrize("wide", [16, 8192])
def test_rows_add_up_to_the_picture(monkeypatch, wide):
    monkeypatch.setattr(diffusion, "WIDE", wide)
    rng = np.random.default_rng(0)
    image, palette = rng.random((60, 40, 3), np.float32), rng.random((8, 3), np.float32)
    labels = rng.integers(0, 8, (60, 40)).astype(np.uint8)
    weights = rng.random((60, 40), np.float32) + np.float32(0.1)
    weights[20:30, ::3] = 0
    loss = BlurredError(image, weights=weights)
    colors, radius, found = np.ascontiguousarray(palette.T), loss.radius, []
    for top, end in ((0, 13), (13, 14), (14, 60)):
        first, last = max(0, top - radius), min(60, end + radius)
        here = slice(first, last)
        planes = np.ascontiguousarray(loss.planes[:, first:])  # more rows than are needed
        what = labels[here], weights[here], planes, colors
        own = slice(top - first, end - first)
        parts = [row_sums(loss, *what, own=own, columns=part) for part in ((0, 16), (16, 40))]
        whole = row_sums(loss, *what, own=own, columns=(0, 40))
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-12)
        assert len(whole) == end - top
        found.append(whole)
    sums = np.concatenate(found).sum(axis=0) / loss.pixels
    plain, even = loss.error(labels, palette) / np.where(weights, weights, 1), loss.unweighted()
    expected = loss.of(labels, palette), even.of(labels, palette)
    np.testing.assert_allclose(sums[:2], expected, rtol=1e-5)
    np.testing.assert_allclose(sums[2], np.square(plain).sum() / loss.pixels, rtol=1e-5)
    assert sums[3] == 1
