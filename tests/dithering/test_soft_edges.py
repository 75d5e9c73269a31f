"""Opacity and colours of a palette, learned together; figures of pngquant where they are."""

import numpy as np
import pytest

from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.soft_edges import dither_soft, is_soft


def photo(side):
    Image, resources = pytest.importorskip("PIL.Image"), pytest.importorskip("importlib.resources")
    with resources.as_file(resources.files("fastgrad") / "data" / "astronaut.jpg") as path:
        return np.asarray(Image.open(path).convert("RGB").resize((side, side)))


@pytest.fixture
def vignette():
    """A photo whose edges fade, as in the report on which the bounds are set."""
    values = photo(256)
    y, x = np.mgrid[:256, :256]
    alpha = np.clip((128 - np.hypot(x - 128, y - 128)) / 64 * 255, 0, 255)
    return values, alpha.astype(np.uint8)


def errors(found, values, alpha):
    """Greatest error of opacity, and mean error of the worst premultiplied channel."""
    off = np.abs(found.opacity[found.indices].astype(int) - alpha).max()
    shown = found.palette[found.indices] * (found.opacity[found.indices, None] / 255)
    return off, np.abs(shown - values * (alpha[..., None] / 255)).max(axis=-1).mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("colors", "off", "mean"),
    [
        (256, 20, 4.5),
        (64, 57, 8.87),
        (16, 87, 16.25),
        (8, 119, 23.3),
        (4, 177, 35.52),
        (3, 172, 43.39),
        (2, 167, 52.25),
    ],
)
def test_a_vignette_is_better_than_pngquants(vignette, colors, off, mean):
    """The best of versions 2.17, 3.0.3 and imagequant 1.1.5 has 36 and 4.6 at 256 entries."""
    values, alpha = vignette
    found = dither_soft(values, alpha, colors)
    assert len(found.palette) == len(found.opacity) == colors
    most, average = errors(found, values, alpha)
    assert most <= off
    assert average <= mean
    assert (found.opacity[found.indices][alpha == 0] == 0).all()


@pytest.mark.parametrize(
    ("kind", "colors", "off", "mean", "opacity"),
    [
        ("fade", 4, 128, 28.26, 29.49),
        ("half", 3, 100, 38.32, 27.02),
        ("half", 4, 110, 34.48, 29.21),
        ("glow", 3, 81, 12.84, 13.10),
        ("glow", 4, 63, 9.17, 9.35),
        ("shadow", 4, 130, 19.63, 13.31),
    ],
)
def test_few_entries_are_as_good_as_pngquants(kind, colors, off, mean, opacity):
    """Beside the best that pngquant 2.17 and imagequant 1.1.5 have of each."""
    y, x = np.mgrid[:64, :64]
    far = np.hypot(x - 32, y - 32)
    values, alpha = photo(64), np.linspace(0, 255, 64)[None]
    if kind == "half":
        alpha = np.linspace(60, 255, 64)[:, None]
    elif kind == "glow":
        values, alpha = np.uint8([250, 180, 40]), np.rint(255 * np.exp(-((far / 12.5) ** 2)))
    elif kind == "shadow":
        values = np.where(far[..., None] < 20, values, 0).astype(np.uint8)
        alpha = np.where(far < 20, 255, np.clip((30 - far) * 15, 0, 255))
    values = np.broadcast_to(values, (64, 64, 3))
    alpha = np.broadcast_to(alpha, (64, 64)).astype(np.uint8)
    found = dither_soft(values, alpha, colors)
    most, average = errors(found, values, alpha)
    assert most <= off
    assert average <= mean
    assert np.abs(found.opacity[found.indices].astype(int) - alpha).mean() <= opacity


@pytest.mark.parametrize("colors", [2, 3, 16])
def test_no_more_entries_than_asked_for(colors):
    rng = np.random.default_rng(colors)
    values = rng.integers(0, 256, (24, 30, 3)).astype(np.uint8)
    alpha = np.clip(rng.integers(-80, 340, (24, 30)), 0, 255).astype(np.uint8)
    found = dither_soft(values, alpha, colors)
    assert len(found.palette) <= colors
    assert found.indices.max() < len(found.palette)
    assert (found.opacity[found.indices][alpha == 0] == 0).all()
    assert (found.palette[found.opacity == 0] == 0).all()
    assert colors == 2 or (found.opacity == 255).any()
    again = transparency.entries(
        found.indices, found.palette, found.opacity[found.indices], learned=True
    )
    assert len(again[1]) == len(found.palette)
    np.testing.assert_array_equal(again[2][again[0]], found.opacity[found.indices])


@pytest.mark.parametrize("colors", [2, 3, 5])
def test_a_solid_stays_solid(colors):
    y, x = np.mgrid[:40, :40] - 19.5
    alpha = np.rint(255 * np.clip(15 - np.hypot(x, y), 0, 1)).astype(np.uint8)
    values = np.zeros((40, 40, 3), np.uint8)
    values[:] = [200, 60, 30]
    found = dither_soft(values, alpha, colors)
    solid = np.hypot(x, y) < 12
    whole = np.column_stack([found.palette, found.opacity])[found.indices]
    assert (np.abs(whole[solid].astype(int) - [200, 60, 30, 255]).max(axis=0) <= [9, 9, 9, 0]).all()


def test_few_entries_are_exact():
    entries = np.uint8([[0, 0, 0, 0], [255, 0, 0, 51], [0, 255, 0, 102], [10, 20, 30, 255]])
    picture = entries[np.random.default_rng(0).integers(0, 4, (16, 16))]
    planar = np.asfortranarray(picture)  # as other libraries lay pictures out
    found = dither_soft(planar[..., :3], planar[..., 3], 8)
    whole = np.column_stack([found.palette, found.opacity])
    np.testing.assert_array_equal(whole[found.indices], picture)
    real = dither_soft(np.float32(picture[..., :3] / 255), picture[..., 3], 8)
    np.testing.assert_array_equal(real.palette[real.indices], picture[..., :3])


def test_as_many_degrees_as_entries_are_exact():
    """Also those that are nearly opaque, which would become opaque if they were learned."""
    degrees = np.arange(256, dtype=np.uint8).reshape(16, 16)
    values = np.full((16, 16, 3), [250, 180, 40], np.uint8)
    found = dither_soft(values, degrees, 256)
    np.testing.assert_array_equal(found.opacity[found.indices], degrees)
    np.testing.assert_array_equal(found.palette[found.indices][degrees > 0], values[degrees > 0])
    again = dither_soft(values, degrees, 256, entries=(found.palette, found.opacity))
    np.testing.assert_array_equal(again.opacity[again.indices], degrees)


@pytest.mark.parametrize("colors", [3, 4])
def test_opacity_at_an_edge_is_no_further_off_than_its_nearest_degree(colors):
    y, x = np.mgrid[:60, :60] - 29.5
    alpha = np.clip(64 * (1.5 * np.sin(x + y / 7) + 2), 0, 255).astype(np.uint8)
    found = dither_soft(np.full((60, 60, 3), 30, np.uint8), alpha, colors)
    degrees = found.opacity.astype(int)
    most = np.abs(alpha[..., None] - degrees).min(axis=-1).max()
    # Half the steps are small.
    assert np.abs(degrees[found.indices] - alpha).max() <= 1.25 * most + 1


def test_the_same_for_the_same_seed():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)
    alpha = rng.integers(0, 256, (20, 20)).astype(np.uint8)
    first, second = (dither_soft(values, alpha, 5, rng=3) for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.palette, second.palette)


def test_nothing_to_see():
    values, alpha = np.full((3, 4, 3), 9, np.uint8), np.zeros((3, 4), np.uint8)
    found = dither_soft(values, alpha, 4)
    assert found.opacity.tolist() == [0]
    assert not is_soft(alpha)
