"""What S-CIELAB and FLIP are made of; their values are tested beside those of the other judges."""

import numpy as np
import pytest
from scipy import ndimage

from fastgrad.dithering.metrics import s_cielab_and_flip


@pytest.mark.parametrize("sigma", [5.0, 30.0, 150.0])
def test_wide_blurs_are_sums_too(sigma):
    plane = np.random.default_rng(0).random((40, 27))
    expected = ndimage.gaussian_filter(plane, sigma, mode="nearest")
    np.testing.assert_allclose(s_cielab_and_flip._blurred(plane, sigma), expected, rtol=1e-12)
