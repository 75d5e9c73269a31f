"""The survey and the sample of a large picture."""

import numpy as np
import pytest

from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.strips.sample import sample, survey

RNG = np.random.default_rng(0)


class Counted(ArraySource):
    """An array that counts the rows that are read."""

    rows = 0

    def read(self, top, bottom, left=0, right=None):
        self.rows += bottom - top
        return super().read(top, bottom, left, right)


def test_a_photograph_is_known_by_its_first_strip():
    source = Counted(RNG.integers(0, 256, (1000, 50, 3), np.uint8))
    found = survey(source, 256)
    assert found.few is None
    assert found.coloured is not None
    assert source.rows == 256


def test_what_is_rare_is_found():
    image = np.full((1000, 50, 4), 255, np.uint8)
    image[990, 7, 2] = 9
    image[800, 3, 3] = 0
    image[700, 4, 3] = 100
    found = survey(ArraySource(image), 2)
    assert found.coloured == (990, 7)
    assert found.clear == (800, 3)
    assert found.partial == (700, 4)
    assert found.few.tolist() == [[255, 255, 9], [255, 255, 255]]
    assert survey(ArraySource(image), 2, below=128).clear == (700, 4)
    assert survey(ArraySource(image), 1).few is None
    (values, alpha), _ = sample(ArraySource(image), found, pixels=2048)
    assert (values == [255, 255, 9]).all(axis=-1).any()
    assert (alpha == 0).any()


def test_tiles_are_those_of_the_picture():
    image = np.arange(300 * 500, dtype=np.uint32).reshape(300, 500)
    image = np.stack([image >> 16, image >> 8, image], axis=-1).astype(np.uint8)
    source = Counted(image)
    (values, alpha), _ = sample(source, survey(ArraySource(image), 2), pixels=1 << 14)
    assert alpha is None
    assert values.shape == (128, 128, 3)
    assert source.rows <= 300 + 2 * 16  # each once
    codes = values.astype(np.int64) @ [1 << 16, 1 << 8, 1]
    tiles = codes.reshape(8, 16, 8, 16).swapaxes(1, 2).reshape(-1, 16, 16)
    corner = tiles[:, :1, :1]
    inside = np.arange(16)[:, None] * 500 + np.arange(16)
    np.testing.assert_array_equal(tiles, corner + inside)
    assert np.unique(corner // 500 // 60).size == 5  # everywhere
    flat = ArraySource(image[:5])
    assert sample(flat, survey(flat, 2))[0].values.shape[0] % 5 == 0


@pytest.mark.parametrize("shape", [(600, 500), (7, 5), (1, 3000), (2000, 2)])
@pytest.mark.parametrize("columns", [None, 64])
def test_an_overview_has_a_pixel_of_each_square(shape, columns):
    places = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(shape)
    image = np.stack([places >> 16, places >> 8, places, ~places], axis=-1).astype(np.uint8)
    source = ArraySource(image)
    source.columns = columns
    pixels = 300
    (_, _), (values, alpha) = sample(source, survey(source, 2), pixels=pixels)
    step = int(np.ceil((places.size / min(pixels, places.size)) ** 0.5))
    squares = [max(1, n // step) for n in shape]
    assert values.shape == (*squares, 3)
    np.testing.assert_array_equal(alpha, 255 - values[..., 2])
    found = values.astype(np.int64) @ [1 << 16, 1 << 8, 1]
    for which, place in enumerate(np.divmod(found, shape[1])):
        within = place - step * np.arange(squares[which]).reshape((-1, 1) if not which else (1, -1))
        assert (within >= 0).all()
        assert (within < step).all()
        if min(squares) >= step:  # else there are too few
            counts = np.bincount(within.ravel(), minlength=step)
            assert counts.max() < 1.2 * counts.min()
