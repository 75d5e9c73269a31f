"""What is seen of a pixel beside the dots around it, against closed forms."""

import numpy as np
import pytest

from fastgrad.dithering import DotGain

PATTERNS = np.arange(512)
NORTH, WEST, OWN, EAST, SOUTH = (1 << bit for bit in (1, 3, 4, 5, 7))
CORNERS = [(1 << bit, beside) for bit, beside in ((0, NORTH | WEST), (2, NORTH | EAST))]
CORNERS += [(1 << bit, beside) for bit, beside in ((6, SOUTH | WEST), (8, SOUTH | EAST))]


def has(bit):
    return (PATTERNS & bit > 0).astype(int)


def lonely_corners():
    """How many dots at corners have none beside them at the edges."""
    return sum(has(corner) * (PATTERNS & beside == 0) for corner, beside in CORNERS)


@pytest.mark.parametrize("radius", [2**-0.5, 0.8, 0.884, 1.0])
def test_round_dots_are_those_of_pappas_and_neuhoff(radius):
    rho = 2**0.5 * radius
    root, angle = (2 * rho**2 - 1) ** 0.5, np.arcsin(1 / (2**0.5 * rho))
    alpha = root / 4 + rho**2 / 2 * angle - 1 / 2
    beta = np.pi * rho**2 / 8 - rho**2 / 2 * angle - root / 4 + 1 / 4
    rest = max(rho**2 - 1, 0)
    gamma = rho**2 / 2 * np.arcsin((rest / rho**2) ** 0.5) - rest**0.5 / 2 - beta
    edges = has(NORTH) + has(SOUTH) + has(WEST) + has(EAST)
    pairs = (has(NORTH) + has(SOUTH)) * (has(WEST) + has(EAST))
    expected = edges * alpha + lonely_corners() * beta - pairs * gamma
    expected = np.where(PATTERNS & OWN, 1, expected)
    np.testing.assert_allclose(DotGain.round(radius).table, expected, atol=4e-4)


@pytest.mark.parametrize("percent", [0, 5, 20, 50])
def test_grown_dots_have_edges_and_round_corners(percent):
    edge = (1 - (1 - percent / 50) ** 0.5) / 2
    left = (1 - edge * (has(WEST) + has(EAST))) * (1 - edge * (has(NORTH) + has(SOUTH)))
    expected = 1 - left + lonely_corners() * np.pi * edge**2 / 4
    expected = np.where(PATTERNS & OWN, 1, expected)
    table = DotGain.grown(percent).table
    np.testing.assert_allclose(table, expected, atol=2e-3)  # edges fall between points of a grid
    assert abs(table[NORTH | SOUTH | WEST | EAST] + 1 - 2 * (0.5 + percent / 100)) < 4e-3


def test_codes_are_the_dots_around():
    dots = np.random.default_rng(0).random((5, 7)) < 0.5
    codes, wide = DotGain.codes(dots), np.pad(dots, 1)
    for y in range(5):
        for x in range(7):
            around = wide[y : y + 3, x : x + 3].ravel()
            assert codes[y, x] == sum(1 << bit for bit in np.flatnonzero(around))
    table = np.random.default_rng(1).random(512)
    np.testing.assert_array_equal(DotGain(table).cover(dots), table[codes])


def test_a_turned_picture_is_seen_turned():
    dots = np.random.default_rng(2).random((9, 9)) < 0.4
    for gain in (DotGain.grown(17), DotGain.round(0.93)):
        np.testing.assert_array_equal(gain.cover(dots).T, gain.cover(dots.T))
        np.testing.assert_array_equal(gain.cover(dots)[::-1], gain.cover(dots[::-1]))


def test_tones_rise_from_paper_to_ink():
    for gain in (DotGain.grown(0), DotGain.grown(30), DotGain.round(0.8)):
        covers, densities = gain.tones
        assert (np.diff(covers) >= 0).all()
        assert covers[0] == 0
        assert covers[-1] == 1
        np.testing.assert_allclose(densities[16], 0.5)
    assert DotGain.grown(30).tones[0][16] > 0.7
    np.testing.assert_allclose(*DotGain.grown(0).tones, atol=0.02)


def test_the_ink_is_the_darker_or_the_lighter_colour():
    palette = np.uint8([[255, 255, 255], [200, 0, 0]])
    assert DotGain.grown(10).ink(palette) == 1
    assert DotGain.grown(10, "light").ink(palette) == 0


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"table must have shape \(512,\), got \(9,\)"):
        DotGain(np.zeros(9))
    with pytest.raises(ValueError, match=r"table must be from 0 to 1, got 1\.5"):
        DotGain(np.full(512, 1.5))
    with pytest.raises(ValueError, match="table must be from 0 to 1, got nan"):
        DotGain(np.full(512, np.nan))
    with pytest.raises(ValueError, match="dots must be one of 'dark', 'light', got 'red'"):
        DotGain(np.zeros(512), "red")
    with pytest.raises(ValueError, match="percent must be from 0 to 50, got 60"):
        DotGain.grown(60)
    with pytest.raises(ValueError, match=r"radius must be from 0\.5 to 1\.5, got 2"):
        DotGain.round(2)
