"""The judges of pictures: against scikit-image, and against what they must be."""

import numpy as np
import pytest
from scipy import ndimage

from fastgrad.dithering.metrics import structure
from fastgrad.dithering.metrics.psnr_and_ssim import cssim, flicker, ms_ssim, psnr, ssim
from fastgrad.dithering.metrics.s_cielab_and_flip import flip, s_cielab

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


@pytest.mark.parametrize("name", ["cssim", "ms_ssim"])
@pytest.mark.parametrize("shape", [(11, 12, 3), (40, 61, 3), (200, 180, 3)])
def test_structural_judges_are_the_objectives_of_that_name(name, shape):
    first, second = pair(shape)
    colours, indices = np.unique(first.reshape(-1, 3), axis=0, return_inverse=True)
    objective = getattr(structure, name)(second, colours, dtype=np.float64)
    expected = 1 - objective.index(indices.reshape(1, *shape[:2]))[0][0]
    judge = {"cssim": cssim, "ms_ssim": ms_ssim}[name]
    assert judge(first, second) == pytest.approx(expected, abs=1e-7)
    assert judge(first, second) < judge(second, second) == pytest.approx(1)


@pytest.mark.optional
@pytest.mark.parametrize("ppd", [20, 67])
def test_flip_is_that_of_its_authors(ppd):
    flip_evaluator = pytest.importorskip("flip_evaluator", reason="the authors' FLIP judges")
    options = {"ppd": ppd}
    for first, second in (pair((60, 90, 3)), [x[::-1] for x in pair((31, 20, 3))]):
        images = [np.float32(x / 255) for x in (second, first)]
        expected = flip_evaluator.evaluate(*images, "LDR", True, False, True, options)[1]
        assert flip(first, second, ppd=ppd) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("judge", [flip, s_cielab])
def test_differences_that_the_eye_sees(judge):
    image = pair((40, 50, 3))[0] / 255
    y, x = np.mgrid[:40, :50]
    checks = 0.2 * ((x + y) % 2 - 0.5)[..., None]
    stripes = 0.2 * (x // 10 % 2 - 0.5)[..., None]
    image = 0.3 + 0.4 * image
    assert judge(image, image) == pytest.approx(0, abs=1e-9)
    assert judge(image + checks, image, ppd=60) < 0.5 * judge(image + stripes, image, ppd=60)
    assert judge(image + checks, image, ppd=5) > 2 * judge(image + checks, image, ppd=60)


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
