"""Pictures on screens of other proportions: turned, cropped, with margins."""

import numpy as np
import pytest

from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.pictures.placement import TURNS, placed

rng = np.random.default_rng(2)
VALUES = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
ALPHA = rng.integers(0, 256, (20, 30)).astype(np.uint8)


@pytest.mark.parametrize("turn", TURNS)
def test_turns_are_clockwise(turn):
    Image = pytest.importorskip("PIL.Image")
    expected = np.asarray(Image.fromarray(VALUES).rotate(-turn, expand=True))
    values, alpha = placed(VALUES, ALPHA, expected.shape[1::-1], "stretch", turn)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(alpha, np.rot90(ALPHA, -turn // 90))


def test_cover_crops_evenly():
    values, _ = placed(VALUES, None, (20, 20), "cover")
    np.testing.assert_array_equal(values, VALUES[:, 5:25])
    values, _ = placed(VALUES, None, (10, 10), "cover")
    expected, _ = transparency.resize(VALUES[:, 5:25], None, (10, 10))
    np.testing.assert_array_equal(values, expected)


def test_contain_leaves_margins():
    values, alpha = placed(VALUES, None, (30, 40), "contain")
    np.testing.assert_array_equal(values[10:30], VALUES)
    assert (values[:10] == 255).all()
    assert (values[30:] == 255).all()
    assert alpha is None
    values, alpha = placed(VALUES, ALPHA, (60, 20), "contain")
    np.testing.assert_array_equal(values[:, 15:45], VALUES)
    assert (alpha[:, :15] == 0).all()
    np.testing.assert_array_equal(alpha[:, 15:45], ALPHA)


@pytest.mark.parametrize("size", [(1, 50), (50, 1), (7, 3)])
@pytest.mark.parametrize("placement", ["cover", "contain", "stretch"])
def test_every_size(size, placement):
    values, alpha = placed(VALUES, ALPHA, size, placement, 90)
    assert values.shape == (*size[::-1], 3)
    assert alpha.shape == size[::-1]
