"""Colours that are so dense that no grain is needed, or a little is enough."""

import itertools

import numpy as np

from fastgrad.dithering import Viewing, dither
from fastgrad.dithering.metrics.s_cielab_and_flip import s_cielab
from fastgrad.dithering.optimiser import dense
from fastgrad.dithering.optimiser.dense import covering
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.selection import nearest
from fastgrad.dithering.pictures import png


def sky(height=300, width=400):
    """A gradient in two directions."""
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    planes = [20 + 200 * y + 20 * x, 60 + 150 * y + 10 * x, 160 + 60 * y + 0 * x]
    return np.rint(np.stack(planes, -1)).astype(np.uint8)


def test_a_sky_in_dense_colours_has_little_grain():
    image = sky()
    result = dither(image, colors=64)
    off = result.image.astype(int) - image
    assert 10 * np.log10(255**2 / np.square(off).mean()) > 43.5  # pngquant 2.17: 42.1
    bytes_of = len(png.encode([result.indices], result.palette))
    assert bytes_of < 0.97 * 14442  # pngquant 2.17, by libdeflate; ours .81, .95 by zlib
    assert s_cielab(result.image, image) < 0.45  # pngquant: 0.46; clusters without grain: 0.69


def test_how_dense_colours_must_be():
    image = sky(120, 160)
    covers = [covering(image, None, colors) for colors in (40, 96, 256)]
    assert [(cover.unseen, cover.close) for cover in covers] == [
        (False, False),
        (False, True),
        (True, True),
    ]
    nus = [Problem(image, Viewing(), colors=colors).viewing.nu for colors in (40, 96)]
    assert nus == [0.055, 0.35]
    assert Problem(image, Viewing(nu=0.1), colors=96).viewing.nu == 0.1
    assert Viewing("srgb").settled(64, smooth=True).space == "srgb"


def test_greys_with_texture_are_not_smooth():
    ramp = np.linspace(0, 255, 160)[None] * np.ones((120, 1))
    texture = np.clip(ramp + np.random.default_rng(0).normal(0, 5, ramp.shape), 0, 255)
    smooth, rough = (
        np.repeat(np.rint(x).astype(np.uint8)[..., None], 3, axis=2) for x in (ramp, texture)
    )
    found = [covering(image, None, 70) for image in (smooth, rough)]
    assert [(cover.unseen, cover.close) for cover in found] == [(False, True), (False, False)]
    assert Problem(rough, Viewing(), colors=70).viewing.nu == 0.055


def test_greys_whose_levels_no_entry_reaches_are_not_close():
    rows = np.repeat(np.arange(100, 103, dtype=np.uint8)[:, None], 100, axis=1)
    for last, close in ((1, True), (5, False)):  # of a hundred columns
        values = rows.copy()
        values[:, 60:] = 180
        values[:, 100 - last :] = [[30], [60], [240]]
        cover = covering(np.repeat(values[..., None], 3, axis=2), None, 2)
        assert cover.close == close
        seen = values == 180  # and only these count
        assert covering(np.repeat(values[..., None], 3, axis=2), seen, 2).close


def test_greys_that_cannot_cover_a_picture_are_not_looked_for(monkeypatch):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (90, 120), np.uint8)
    texture = np.repeat(image[..., None], 3, axis=2)
    calls, plain = [], dense._palettes
    monkeypatch.setattr(dense, "_palettes", lambda *args: calls.append(args) or plain(*args))
    for colors in (70, 256):
        assert covering(texture, None, colors) == (None, False, None)
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (40, 1, 3))
    for colors, looked in ((50, False), (52, True)):  # 51 entries have 255 levels near them
        covering(ramp, None, colors)
        assert bool(calls) == looked
    for reach, colors in ((3, 2), (5, 3), (4, 70)):
        levels = np.sort(rng.choice(40, 12, replace=False))
        counts = rng.integers(1, 9, 12)
        most = max(
            counts[np.isin(levels, np.add.outer(begins, np.arange(reach)))].sum()
            for begins in itertools.combinations(range(-reach, 40), min(colors, 3))
        )
        found = dense._reached(levels[:, None].astype(np.uint8), counts, colors, reach)
        assert found == (most if colors < 10 else counts.sum())


def test_dense_colours_with_texture_are_known_and_mixed():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:120, :160]
    light = np.clip(
        0.5 + 0.3 * np.sin(x / 40) * np.cos(y / 30) + 0.08 * rng.normal(size=x.shape), 0, 1
    )
    image = np.rint(255 * np.stack([light**0.8, light, light**1.2], axis=-1)).astype(np.uint8)
    cover = covering(image, None, 100)
    assert cover[:2] == (None, False)
    problem = Problem(image, Viewing(), colors=100)
    assert problem.known
    assert problem.pins is None
    assert (problem.viewing.nu, problem.viewing.space) == (0.35, "opponent")
    locked = {"palette": image[0, :1], "lock_colors": True}
    assert not Problem(image, Viewing(), colors=100, **locked).known
    result = dither(image, colors=100)
    np.testing.assert_array_equal(result.palette, cover.palette)
    seen = [s_cielab(picture, image) for picture in (result.image, pinned(image, cover.palette))]
    assert seen[0] < 0.65 * seen[1]  # though each pixel alone is further off


def pinned(image, palette):
    """Return a picture in which each pixel has the nearest colour."""
    return palette[nearest(image.reshape(-1, 3), palette)[0]].reshape(image.shape)


def test_greys_with_texture_are_mixed_however_dense_they_are():
    rng = np.random.default_rng(3)
    image = np.clip(rng.normal(128, 45, (120, 160)), 0, 255).astype(np.uint8)
    result = dither(image, colors=128)
    color = np.repeat(image[..., None], 3, axis=2)
    assert Problem(image, Viewing(), colors=128).greys
    assert s_cielab(result.image, color) < 0.5 * s_cielab(pinned(color, result.palette), color)


def test_noise_is_not_smooth():
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    assert covering(noise, None, 256) is None
    assert covering(noise, np.zeros((100, 100), bool), 256) is None


def heat_map():
    """A smooth map of few colours on flat ground."""
    y, x = np.mgrid[:120, :160] / 120
    heat = (2 + np.sin(6 * x) + np.cos(5 * y)) / 4
    ends = np.array([[68, 1, 84], [33, 145, 140], [253, 231, 37]])
    image = np.stack([np.interp(heat, [0, 0.5, 1], channel) for channel in ends.T], axis=2)
    image[:, :50] = 255
    image[:10] = 20
    return np.rint(image).astype(np.uint8)


def test_what_is_drawn_with_shading_has_dense_colours():
    image, seen = heat_map(), []
    problem = Problem(image, Viewing(), colors=64)
    assert problem.known
    assert (problem.viewing.nu, problem.viewing.space) == (0.35, "oklab")
    free = problem.pins.free
    assert not free[:9].any()  # flat ground
    assert 0.2 < free.mean() < 0.5
    shown = problem.pins.palette[problem.pins.labels[~free]].astype(int)
    off = shown - image[~free]
    assert abs(off).max() == 1
    assert abs(off @ dense.LUMA).max() <= 0.35  # no step of green alone
    result = dither(image, colors=64, callback=lambda progress: seen.append(progress.stage))
    assert set(seen) == {"palette", "search"}
    np.testing.assert_array_equal(result.palette, problem.dense)
    assert s_cielab(result.image, image) < 0.15  # with entries for flat steps first: 0.17


def test_pixels_of_shading_that_nobody_sees_are_not_pinned():
    image, seen = heat_map(), np.ones((120, 160), bool)
    seen[5:60, 3:90] = False
    pins = covering(image, seen, 64).pins
    assert pins.free[~seen].all()
    assert not pins.free[seen].all()


def test_few_pixels_at_edges_are_no_shading():
    image = np.full((120, 160, 3), 250, np.uint8)
    image[20:100:4] = np.random.default_rng(4).integers(90, 200, (160, 1))  # a line each
    image[20:100:4, 20:] = 40
    cover = covering(image, None, 16)
    assert cover.pins is None or cover.unseen
    assert not Problem(image, Viewing(), colors=16).known


def screen(seed=3, height=160, width=240):
    """Text with soft edges in several inks on two grounds."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), [24, 26, 33], float)
    image[:, : width // 3] = [240, 240, 235]
    inks = rng.integers(60, 256, (9, 3))
    for y in range(4, height - 6, 10):
        for x in range(4, width - 8, 8):
            cover = rng.integers(0, 12, (6, 5, 1)) / 11
            ink, part = inks[rng.integers(9)], image[y : y + 6, x : x + 5]
            image[y : y + 6, x : x + 5] = part * (1 - cover) + ink * cover
    return np.rint(image).astype(np.uint8)


def test_what_is_drawn_crisply_needs_no_search():
    image = screen()
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 128
    problem = Problem(image, Viewing(), colors=150)
    assert problem.finished() is not None  # each pixel has the entry of its colour
    result = dither(image, colors=150)
    table = {}
    for colour, index in zip(image.reshape(-1, 3).tolist(), result.indices.ravel().tolist()):
        assert table.setdefault(tuple(colour), index) == index
    assert (result.image[:3] == image[:3]).all()  # grounds are as they were


def test_shading_beside_what_is_crisp_has_grain():
    image = screen()
    y, x = np.mgrid[:60, :160]
    image[50:110, 80:] = np.stack([60 + x, 90 + y + x // 2, 200 - x], axis=-1)
    assert Problem(image, Viewing(), colors=150).finished() is None
