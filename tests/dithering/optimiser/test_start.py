"""Tests of the palettes that are tried out."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.start import Trials


def picture(height=60, width=70):
    """Return a smooth picture with noise, in sRGB values."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / 70
    return np.clip(
        np.stack([y, x, (x + y) / 2], -1) + 0.05 * rng.normal(size=(height, width, 3)), 0, 1
    )


@pytest.mark.parametrize("space", ["opponent", "linear"])
@pytest.mark.parametrize("masked", [False, True])
def test_differences_are_of_srgb_values_blurred_in_linear_light(space, masked):
    image = picture()
    weights = np.ones(image.shape[:2])
    if masked:
        weights[:, 40:], weights[:20] = 0, 2
    problem = Problem(image, Viewing(space=space, sigma=1.0), colors=4, weights=weights)
    trials = Trials(problem, 2, steps=2, rng=0)
    colors = trials.palette(1)
    indices = np.random.default_rng(1).integers(0, 4, image.shape[:2])

    light = np.clip(problem.space.back(colors), 0, 1)[indices]
    seen = weights > 0

    def encoded(light):
        # The loss blurs twice, with a standard deviation of 1; nothing is beyond the edges.
        blur = [
            gaussian_filter(c * seen, 2**0.5, mode="constant") for c in light.transpose(2, 0, 1)
        ]
        return colour.encode(np.stack(blur, -1))

    distance = np.linalg.norm(encoded(light) - encoded(colour.decode(image)), axis=-1)
    expected = np.average(distance, weights=weights)
    assert trials._difference(colors.T[:, indices]) == pytest.approx(expected, rel=0.02)


def test_the_best_trial_is_taken():
    trials = Trials(Problem(picture(), Viewing(), colors=8), 5, steps=2, rng=3)
    learned = [trials._learned(i) for i in range(5)]
    palette, _ = min(learned, key=lambda one: one[1])
    assert np.array_equal(trials.best(), palette)
    assert len({value for _, value in learned}) > 1
