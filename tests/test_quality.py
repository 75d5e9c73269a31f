"""The judges of pictures: against scikit-image, and against what they must be."""

import numpy as np
import pytest
from scipy import ndimage

from fastgrad.dithering.quality import flicker, psnr, ssim

RNG = np.random.default_rng(0)


def pair(shape):
    """A smooth picture, and the same disturbed."""
    first = ndimage.gaussian_filter(RNG.random(shape), (2, 2, 0))
    first = (first - first.min()) / np.ptp(first)
    second = np.clip(first + 0.1 * RNG.standard_normal(shape), 0, 1)
    return [np.rint(255 * x).astype(np.uint8) for x in (first, second)]


@pytest.mark.parametrize("shape", [(11, 11, 3), (40, 61, 3), (120, 90, 3)])
def test_ssim_is_that_of_scikit_image(shape):
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image judges")
    options = {"gaussian_weights": True, "use_sample_covariance": False, "channel_axis": 2}
    for first, second in (pair(shape), [x / 255 for x in pair(shape)]):
        high = 255 if first.dtype == np.uint8 else 1
        expected = metrics.structural_similarity(first, second, data_range=high, **options)
        assert ssim(first, second) == pytest.approx(expected, abs=1e-9)
        assert ssim(second, first) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_a_picture_that_is_smaller_than_a_window():
    first, second = pair((8, 30, 3))
    assert ssim(first, first) == pytest.approx(1)
    assert ssim(first, second) < 1
    assert ssim(first[:1, :1], first[:1, :1]) == pytest.approx(1)


def test_psnr_is_that_of_the_mean_square():
    first, second = pair((20, 30, 3))
    error = np.square(first / 255 - second / 255).mean()
    assert psnr(first, second, linear=False) == pytest.approx(-10 * np.log10(error))
    assert psnr(first, first) == np.inf


def test_flicker_counts_what_changes_by_itself():
    values = RNG.integers(0, 256, (4, 5, 3)).astype(np.uint8)
    moved, indices = values.copy(), np.zeros((4, 5), np.uint8)
    moved[0, 0, 1] ^= 1
    changed = indices.copy()
    changed[0, :3] = 1
    assert flicker(changed, moved, indices, values) == (2, 19)
