"""Error diffusion against a loop over pixels, and what it must keep."""

import numpy as np
import pytest
import reference_dithering as reference
from dithering_problems import WEIGHTED, problem, some_weights
from numba import get_num_threads, set_num_threads

from fastgrad.dithering import BlurredError
from fastgrad.dithering.optimiser.diffusion import FEW, LIMIT, WIDE_LIMIT, begin, diffuse
from fastgrad.kernels.dithering.optimiser.diffusion import BAND, SIZE
from fastgrad.kernels.dithering.optimiser.diffusion import FEW as FEW_GREYS


@pytest.mark.parametrize("colors", [2, 4, 5, 16, 37])
@pytest.mark.parametrize("shape", [(30, 41), (1, 50), (50, 1), (BAND + 9, 20), (3 * BAND - 9, 7)])
@WEIGHTED
def test_against_a_loop_over_pixels(shape, colors, weighted):
    image, _, colours = problem(2, *shape, colors)
    weights = some_weights(*shape) if weighted else None
    loss = BlurredError(image, weights=weights)
    counting = loss.weights > 0
    for fitted in (False, True):
        limit = WIDE_LIMIT if fitted and colors <= FEW else LIMIT
        expected = reference.diffused(image, colours, loss.weights, BAND, limit)
        made = diffuse(loss, colours, fitted=fitted)
        np.testing.assert_array_equal(made[counting], expected[counting])


@pytest.mark.parametrize("colors", [FEW_GREYS + 1, 16, 40, 256])
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_a_table_of_greys_finds_what_a_look_at_all_of_them_does(colors, real):
    rng, across = np.random.default_rng(colors), SIZE // BAND - 1  # columns for which there is none
    few = rng.choice(256, colors, replace=colors > 40)  # some of them twice, and not in order
    image = rng.integers(0, 512, (2 * BAND, across, 1)) / 512  # many are in the middle of two greys
    for levels in (few / 256, np.square(few / 256), np.append(few[1:] / 256, 1 / 256 + 1e-6)):
        palette = levels[:, None].astype(real)
        table = diffuse(BlurredError(image.astype(real)), palette)
        for top in (0, BAND):
            band = BlurredError(image[top : top + BAND].astype(real))
            np.testing.assert_array_equal(diffuse(band, palette), table[top : top + BAND])


def test_the_picture_before_stays_where_it_will_do():
    image, _, colours = problem(3, 60, 80, 6, np.float32)
    image[:] = image.mean(axis=(0, 1))
    before = diffuse(BlurredError(image[:, ::-1]), colours)
    image[:, 50:] = 0
    loss, fresh = BlurredError(image), diffuse(BlurredError(image), colours)
    start = begin(loss, colours, previous=before, gap=0.05)
    np.testing.assert_array_equal(start[:, :40], before[:, :40])
    np.testing.assert_array_equal(start[:, 60:], fresh[:, 60:])
    assert np.mean(before != fresh) > 0.5
    np.testing.assert_array_equal(begin(loss, colours, previous=before, gap=1e9), before)
    np.testing.assert_array_equal(begin(loss, colours), fresh)


@pytest.mark.parametrize("tone", [0.02, 0.25, 0.5, 0.9])
def test_tones_are_kept(tone):
    loss = BlurredError(np.full((3 * BAND, 300, 1), tone, np.float32))
    mean = diffuse(loss, [[0.0], [1.0]]).mean()
    assert mean == pytest.approx(tone, abs=1 / BAND)  # what is lost at the end of a band


def test_mixtures_of_inks_that_lie_askew_are_true():
    inks = np.array([[0.0, 0, 0], [1, 0, 0], [0.53, 0.05, 0.3], [0.06, 0.18, 0.05]])  # yellow, red
    shares = np.array([0.45, 0.35, 0.1, 0.1])
    loss = BlurredError(np.tile(shares @ inks, (BAND, 200, 1)))
    off = [
        np.abs(inks[diffuse(loss, inks, fitted=fitted)].mean(axis=(0, 1)) - shares @ inks).max()
        for fitted in (False, True)
    ]
    assert off[1] < 0.01 < off[0]


def test_what_no_colour_can_show_is_not_handed_on_for_long():
    image = np.full((40, 60, 1), 0.5)
    image[:, :30] = 5.0
    indices = diffuse(BlurredError(image), [[0.0], [1.0]])
    assert indices[:, :30].all()
    assert indices[:, 33:].mean() == pytest.approx(0.5, abs=0.02)


def test_pixels_without_weight_hand_nothing_on():
    image, _, colours = problem(5, 20, 30, 4)
    weights = np.ones((20, 30))
    weights[:, 15] = 0
    image[:, 15] = 9
    other = image.copy()
    other[:, 15] = -9
    counting = weights > 0
    first, second = (diffuse(BlurredError(x, weights=weights), colours) for x in (image, other))
    np.testing.assert_array_equal(first[counting], second[counting])


def test_threads_give_the_same_bits():
    loss = BlurredError(problem(7, 5 * BAND, 200, 2, np.float32)[0])
    colours = problem(7, 2, 2, 9, np.float32)[2]
    many = get_num_threads()
    try:
        set_num_threads(1)
        alone = diffuse(loss, colours)
    finally:
        set_num_threads(many)
    np.testing.assert_array_equal(diffuse(loss, colours), alone)
