"""Steps of the palette of a picture under search."""

import numpy as np
import pytest
from dithering_problems import problem

from fastgrad.dithering import BlurredError
from fastgrad.dithering.eye.colour import SPACES
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.learning import fitted
from fastgrad.dithering.optimiser.palette import Fit, Sample
from fastgrad.dithering.optimiser.search import Search


@pytest.fixture
def search():
    image, _, colours = problem(3, 96, 128, 6)
    loss = BlurredError(image.astype(np.float32))
    search = Search(loss, diffuse(loss, colours), colours)
    search.sweep()
    return search, np.float32(colours)


def test_a_few_steps_lead_to_the_palette_of_least_squares(search):
    search, colours = search
    fit = Fit(Sample(search.loss), SPACES["linear"])
    expected = fit(search.indices[None], colours)
    new = colours
    for _ in range(4):
        new = fitted(search, fit, new)
    np.testing.assert_allclose(new, expected, atol=1e-4)
    assert search.errors()[0] == pytest.approx(search.loss.of(search.indices, new), rel=1e-5)


@pytest.mark.parametrize("pixels", [16 * 16, 6 * 16 * 16])
def test_a_small_sample_never_makes_it_worse(search, pixels):
    search, colours = search
    sample = Sample(search.loss, pixels, 16)
    least = search.loss.of(
        search.indices, Fit(Sample(search.loss), SPACES["linear"])(search.indices[None], colours)
    )
    first = before = search.errors()[0]
    for _ in range(6):
        colours = fitted(search, Fit(sample, SPACES["linear"]), colours)
        after = search.errors()[0]
        assert after <= before * (1 + 1e-6)
        before = after
    assert before - least < 0.2 * (first - least)


def test_a_colour_that_the_sample_does_not_have_moves_too(search):
    search, colours = search
    sample = Sample(search.loss, 16 * 16, 16)
    ((y, x),) = sample.corners
    tile = search.indices[y : y + 16, x : x + 16]
    rare = next(iter(set(range(6)) - {0}))
    tile[tile == rare] = 0
    search.recolor(colours)
    assert search.slopes()[rare, -1] > 0
    new = fitted(search, Fit(sample, SPACES["linear"]), colours)
    assert np.all(new[rare] != colours[rare])
