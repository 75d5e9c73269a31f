"""The score beside what its package gives."""

import io

import numpy as np
import pytest
from PIL import Image

from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2


def pair(height, width):
    """Return waves of colour, and the same in few steps with noise."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 7), np.sin(y / 5), np.sin((x + y) / 11)], axis=-1)
    original = np.uint8(127.5 + 120 * waves)
    noise = np.random.default_rng(0).normal(0, 12, original.shape)
    return original, np.uint8(np.clip((original.astype(int) // 40) * 40 + 20 + noise, 0, 255))


# Values of the package ssimulacra2, 0.3.0.
@pytest.mark.parametrize(
    ("shape", "score"), [((96, 128), -43.553365), ((61, 47), 61.523700), ((9, 20), 82.596762)]
)
def test_score_is_that_of_the_package(shape, score):
    original, picture = pair(*shape)
    judge = Ssimulacra2(original)
    assert judge.score(picture) == pytest.approx(score, abs=1e-5)
    assert judge.score(original) == 100


@pytest.mark.optional
@pytest.mark.parametrize("shape", [(256, 257), (33, 300)])
def test_score_is_that_of_the_package_in_other_sizes(shape):
    package = pytest.importorskip("ssimulacra2")
    original, picture = pair(*shape)
    files = [io.BytesIO(), io.BytesIO()]
    for image, file in zip((original, picture), files):
        Image.fromarray(image).save(file, "PNG")
    expected = package.compute_ssimulacra2(*files)
    assert Ssimulacra2(original).score(picture) == pytest.approx(expected, abs=1e-5)


def test_score_of_the_original_is_100():
    original, _ = pair(40, 30)
    assert Ssimulacra2(original).score(original) == pytest.approx(100)
    assert Ssimulacra2(original / 255).score(original / 255) == pytest.approx(100)


def test_narrow_pictures_have_scores_too():
    original, picture = pair(3, 64)
    assert Ssimulacra2(original).score(original) == pytest.approx(100)
    assert Ssimulacra2(original).score(picture) < 80
