"""Colours that mixtures of inks reach: in the hull by another solver, and nearest by trial."""

import numpy as np
import pytest
from scipy.optimize import nnls

from fastgrad.dithering.eye.colour import SPACES, decode, to_linear
from fastgrad.dithering.eye.gamut import Gamut
from fastgrad.dithering.pictures.presets import PRESETS

rng = np.random.default_rng(7)
COLORS = decode(rng.random((60, 3)))
WIDE = rng.integers(0, 256, (256, 3)).astype(np.uint8)
PALETTES = {name: PRESETS[name].colors for name in ("bw", "bwr", "bwry", "spectra6", "acep7")}
PALETTES |= {"wide": WIDE, "twice": np.uint8([[0, 0, 0], [9, 9, 9], [0, 0, 0]])}
each_palette = pytest.mark.parametrize("name", PALETTES)


def off_the_hull(palette, colors):
    """Return how far colours are from all mixtures of a palette, by least squares."""
    rows = np.vstack([to_linear(palette).astype(float).T, np.full(len(palette), 10.0)])
    return np.array([nnls(rows, np.append(color, 10.0))[1] for color in colors])


@each_palette
def test_the_nearest_is_a_mixture(name):
    found = Gamut(PALETTES[name]).nearest(COLORS)
    assert off_the_hull(PALETTES[name], found).max() < 1e-3


@each_palette
def test_a_mixture_stays(name):
    palette = to_linear(PALETTES[name]).astype(float)
    mixtures = rng.dirichlet(np.full(len(palette), 0.5), 50) @ palette
    found = Gamut(PALETTES[name]).nearest(mixtures)
    into = SPACES["oklab"].into
    assert np.abs(into(found) - into(mixtures)).max() < 2e-3


@each_palette
def test_inside_is_what_other_solvers_find(name):
    gamut = Gamut(PALETTES[name])
    far = off_the_hull(PALETTES[name], COLORS)
    inside = gamut.inside(COLORS)
    if name in ("bw", "bwr", "twice"):  # no volume
        assert not inside.any()
    else:
        assert inside[far < 1e-9].mean() > 0.95  # a large palette's hull is a little smaller
        assert not inside[far > 1e-3].any()


@pytest.mark.parametrize("name", ["bwr", "spectra6", "acep7"])
def test_no_mixture_looks_more_alike(name):
    palette = to_linear(PALETTES[name]).astype(float)
    found = Gamut(PALETTES[name]).nearest(COLORS)
    into = SPACES["oklab"].into
    target, others = into(COLORS), into(rng.dirichlet(np.full(len(palette), 0.3), 20000) @ palette)
    chroma = np.hypot(*target[:, 1:].T)
    along = target[:, 1:] / chroma[:, None]
    hue = 0.5 + chroma / (chroma + 0.03)

    def difference(lab):
        off = lab - target[:, None]
        ab = np.einsum("nmc,nc->nm", off[..., 1:], along)
        turned = np.einsum("nmc,nc->nm", off[..., 1:], along[:, ::-1] * [-1, 1])
        return np.square(off[..., 0]) + np.square(0.5 * ab) + np.square(hue[:, None] * turned)

    ours = difference(into(found)[:, None])[:, 0]
    best = difference(np.broadcast_to(others, (len(target), *others.shape))).min(axis=1)
    assert (np.sqrt(ours) <= np.sqrt(best) + 0.005).all()


def test_greys_keep_their_lightness_on_grey_inks():
    into = SPACES["oklab"].into
    found = Gamut(PALETTES["bw"]).nearest(COLORS)
    np.testing.assert_allclose(into(found)[:, 0], into(COLORS)[:, 0], atol=2e-3)
    np.testing.assert_allclose(found, found[:, :1] * np.ones(3), atol=1e-9)


def test_blue_stays_blue_where_there_is_a_blue_ink():
    blue = decode(np.array([[0.0, 0.0, 1.0], [0.2, 0.3, 0.9]]))
    lab = SPACES["oklab"].into(Gamut(PALETTES["spectra6"]).nearest(blue))
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    wanted = SPACES["oklab"].into(blue)
    before = np.degrees(np.arctan2(wanted[:, 2], wanted[:, 1])) % 360
    assert np.abs(hue - before).max() < 10
