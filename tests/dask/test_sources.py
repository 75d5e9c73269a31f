"""Pictures on Dask arrays as sources."""

import numpy as np
import pytest

from fastgrad.dithering.optimiser import diffusion
from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.strips.sample import sample, survey
from fastgrad.dithering.strips.tone_pairs import pairs

pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
from fastgrad.dask.sources import Blocks, DaskSource  # noqa: E402

pytestmark = pytest.mark.optional
IMAGE = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)


def test_blocks_are_sliced_as_one_array():
    blocks = [[IMAGE[:5, :20], IMAGE[:5, 20:]], [IMAGE[5:30, :20], IMAGE[5:30, 20:]]]
    whole = Blocks(blocks)
    assert whole.shape == (30, 50, 3)
    for top, bottom in [(0, 30), (0, 5), (5, 6), (4, 29)]:
        np.testing.assert_array_equal(whole[top:bottom, 3:33], IMAGE[top:bottom, 3:33])
        np.testing.assert_array_equal(whole[top:bottom, 0:None], IMAGE[top:bottom])


def test_what_is_known_of_a_wide_picture_does_not_depend_on_how_it_is_read(monkeypatch):
    monkeypatch.setattr(diffusion, "WIDE", 64)
    image = np.zeros((600, 700, 4), np.uint8)
    image[..., 3] = 255
    image[300, 600:] = [9, 9, 9, 0]
    image[310:, 5] = [1, 2, 3, 90]
    image[340:, 690] = [1, 2, 4, 255]
    source, array = DaskSource(da.from_array(image, chunks=(100, 90, 3))), ArraySource(image)
    assert source.columns == 64
    found, expected = survey(source, 9), survey(array, 9)
    assert found.coloured == expected.coloured == (310, 5)
    assert found.clear == expected.clear == (300, 600)
    np.testing.assert_array_equal(found.few, expected.few)
    for mine, theirs in zip(sample(source, found), sample(array, expected), strict=True):
        for part, same in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(part, same)
    for mode in ("keep", "blend"):
        np.testing.assert_array_equal(pairs(source, mode), pairs(array, mode))
