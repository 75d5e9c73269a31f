"""What S-CIELAB and FLIP are made of; their values are tested beside those of the other judges."""

import numpy as np
import pytest
from scipy import ndimage

from fastgrad.dithering.metrics import s_cielab_and_flip


@pytest.mark.parametrize("shape", [(40, 27), (1, 31), (64, 64)])
@pytest.mark.parametrize("sigmas", [(0.7,), (5.0,), (30.0,), (150.0,), (1.4, 6.4, 199.2)])
def test_blurs_are_the_sums_over_neighbours(sigmas, shape):
    """Of a picture that goes on as its mirror image, however far they reach."""
    plane, weights = (
        np.random.default_rng(0).random(shape),
        np.array([1.0, 0.2, -0.1])[: len(sigmas)],
    )
    parts = [ndimage.gaussian_filter(plane, sigma, mode="reflect") for sigma in sigmas]
    expected = np.average(parts, axis=0, weights=weights)
    found = s_cielab_and_flip._blurred(plane, [*zip(sigmas, weights)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_picture_goes_on_as_its_mirror_image():
    """The original pads with reflections: a pixel in a corner is one pixel, not a wide border."""
    rng = np.random.default_rng(1)
    picture = np.repeat((rng.random((48, 64, 1)) < 0.3).astype(float), 3, axis=2)
    grey = np.full(picture.shape, 0.3)
    judge = s_cielab_and_flip.s_cielab
    whole = judge(np.vstack([picture, picture[::-1]]), np.vstack([grey, grey]))
    assert judge(picture, grey) == pytest.approx(whole, rel=1e-9)
    corner = picture.copy()
    corner[0, 0] = 1 - corner[0, 0]
    assert abs(judge(corner, grey) - judge(picture, grey)) < 0.1
