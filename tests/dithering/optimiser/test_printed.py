"""Printed pictures: the search is exact for what is seen of their dots."""

import numpy as np
import pytest

from fastgrad.dithering import BlurredError, DotGain
from fastgrad.dithering.optimiser.printed import (
    PrintedError,
    PrintedSearch,
    diffused,
    searching,
)
from fastgrad.dithering.optimiser.search import Search

rng = np.random.default_rng(0)
PALETTE = np.float32([[0.9, 0.8, 0.7], [0.1, 0.0, 0.2]])


def problem(size, gain, sigma=1.0):
    image = rng.random((*size, 3)).astype(np.float32)
    weights = rng.random(size).astype(np.float32) + 0.1
    weights[3:5, 2:9] = 0
    return PrintedError(image, gain=gain, ink=1, weights=weights, sigma=sigma)


def test_the_loss_is_that_of_the_picture_as_it_is_seen():
    gain = DotGain(rng.random(512))  # which no direction is like another
    loss, dots = problem((12, 17), gain), rng.integers(0, 2, (12, 17)).astype(np.uint8)
    shown = PALETTE[0] + gain.cover(dots == 1)[..., None] * (PALETTE[1] - PALETTE[0])
    plain = BlurredError(loss.planes.transpose(1, 2, 0), weights=loss.weights)
    error = (np.float32(shown).transpose(2, 0, 1) - plain.planes) * plain.weights
    np.testing.assert_allclose(loss.error(dots, PALETTE), error, atol=1e-6)
    expected = float((error * plain.field(error)).sum()) / plain.pixels
    assert loss.of(dots, PALETTE) == pytest.approx(expected, rel=1e-5)
    assert PrintedSearch(loss, dots, PALETTE).errors()[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("size", "table", "sigma"),
    [((21, 35), DotGain.grown(20).table, 1.0), ((18, 20), rng.random(512), 0.0)],
)
def test_no_move_is_left_that_lowers_the_loss(size, table, sigma):
    loss = problem(size, DotGain(table), sigma)
    dots = diffused(loss, PALETTE)
    assert not dots[loss.weights == 0].any()
    search = PrintedSearch(loss, dots, PALETTE)
    before = loss.of(dots, PALETTE)
    while search.sweep() or search.sweep():  # the second visits all, also what slept
        value = loss.of(dots, PALETTE)
        assert value < before
        before = value
    again = PrintedSearch(loss, dots, PALETTE)
    height, width = size
    margin = search._margin
    inside = np.s_[:, margin : margin + height, margin : margin + width]
    np.testing.assert_allclose(search._field[inside], again._field[inside], atol=1e-5)
    np.testing.assert_array_equal(search._codes[1:-1, 1:-1], again._codes[1:-1, 1:-1])
    for y, x in np.argwhere(loss.weights > 0):
        for dy, dx in ((0, 0), (0, 1), (1, 0), (1, -1), (1, 1)):
            there = y + dy, x + dx
            if not (there[0] < height and 0 <= there[1] < width) or not loss.weights[there]:
                continue
            if (y // 32, x // 32) != (there[0] // 32, there[1] // 32):  # no swap leaves a tile
                continue
            other = dots.copy()
            other[y, x], other[there] = dots[there], dots[y, x]
            if not dy and not dx:
                other[y, x] = 1 - other[y, x]
            assert loss.of(other, PALETTE) >= before - 1e-6


def test_without_gain_it_is_the_search_of_other_pictures():
    loss = problem((40, 70), DotGain.grown(0))
    plain = BlurredError(loss.planes.transpose(1, 2, 0), weights=loss.weights)
    dots = diffused(loss, PALETTE)
    values = []
    for one in (loss, plain):
        picture = dots.copy()
        search = searching(one, picture, PALETTE)
        assert isinstance(search, PrintedSearch if one is loss else Search)
        while search.sweep():
            pass
        values.append(plain.of(picture, PALETTE))
    assert values[0] == pytest.approx(values[1], rel=0.01)


def test_threads_change_no_bit():
    from fastgrad.threads import get_num_threads, set_num_threads

    loss = problem((150, 140), DotGain.round(0.9))
    found, threads = [], get_num_threads()
    for count in (1, 2):
        set_num_threads(min(count, threads))
        dots = diffused(loss, PALETTE)
        search = PrintedSearch(loss, dots, PALETTE)
        search.sweep()
        search.sweep()
        found.append((dots, search._field.copy()))
    set_num_threads(threads)
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
