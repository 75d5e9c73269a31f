"""Flat colour is exact and has no grain; photographs stay as they were."""

import io

import numpy as np
import pytest

from fastgrad.dithering import dither
from fastgrad.dithering.eye.colour import encode, to_linear
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.optimiser import flat, repeats
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.spare import refilled, spare

NONE = np.empty((0, 3), np.uint8)
RNG = np.random.default_rng(0)


def grey(values):
    return np.repeat(np.clip(np.rint(values), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture
def flat20():
    colours = np.random.default_rng(3).integers(0, 256, (20, 3)).astype(np.uint8)
    return np.kron(colours.reshape(4, 5, 3), np.ones((40, 40, 1), np.uint8))


@pytest.fixture
def sky():
    y, x = np.linspace(0, 1, 300)[:, None], np.linspace(0, 1, 400)[None]
    planes = [100 + 80 * y + 10 * x, 150 + 70 * y + 0 * x, 230 - 10 * y + 0 * x]
    return np.rint(np.stack(planes, -1)).astype(np.uint8)


def text(paper, ink):
    """A page of text, grey values (200, 400)."""
    Image, ImageDraw = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageDraw")
    font = pytest.importorskip("PIL.ImageFont").load_default(15)
    page = Image.new("L", (400, 200), paper)
    draw = ImageDraw.Draw(page)
    for i in range(8):
        words = f"The quick brown fox jumps over it {i}"
        draw.text((14, 10 + 23 * i), words, fill=ink, font=font)
    return np.asarray(page).astype(float)


def exact_fields(found, image):
    """How many of the colours of fields of 40 x 40 pixels are exact everywhere."""
    same = (found == image).all(axis=-1)
    return int(same.reshape(4, 40, 5, 40).all(axis=(1, 3)).sum())


def amid(image):
    """Where a pixel and its eight neighbours have one colour."""
    inner, same = image[1:-1, 1:-1], True
    for i in range(3):
        for j in range(3):
            part = image[i : i + inner.shape[0], j : j + inner.shape[1]]
            same &= (part == inner).all(axis=-1)
    return same


def test_as_many_colours_as_fields(flat20):
    assert exact_fields(dither(flat20, colors=32).image, flat20) == 20


def test_fewer_colours_than_fields(flat20):
    result = dither(flat20, colors=16)
    assert exact_fields(result.image, flat20) >= 14
    assert len(np.unique(result.indices)) == 16


def test_fields_without_a_colour_of_their_own_keep_their_mean(flat20):
    found = to_linear(dither(flat20, colors=16).image).reshape(4, 40, 5, 40, 3)
    mean = 255 * encode(found[:, 4:36, :, 4:36].mean(axis=(1, 3)))  # not the edges
    np.testing.assert_allclose(mean, flat20[::40, ::40], atol=24)


def test_clean_text_is_black_and_white():
    page = grey(text(255, 0))
    result = dither(page, colors=2)
    assert sorted(result.palette.tolist()) == [[0] * 3, [255] * 3]
    np.testing.assert_array_equal(result.image[..., 0] == 255, page[..., 0] >= 128)


def test_scanned_text_is_ink_on_flat_paper():
    rng = np.random.default_rng(0)
    scan = text(244, 30) + rng.normal(0, 4, (200, 400)) + np.linspace(-12, 8, 400)
    result = dither(grey(scan), colors=2)
    ink, paper = sorted(result.palette[:, 0].tolist())
    assert 20 <= ink <= 40
    assert 234 <= paper <= 252
    np.testing.assert_array_equal(result.image[scan > 200][:, 0], paper)
    np.testing.assert_array_equal(result.image[scan < 80][:, 0], ink)


@pytest.mark.parametrize("step", range(8, 24))
def test_ruled_paper_is_a_page_whatever_its_lines_are_apart(step):
    paper = np.full((400, 480), 250.0)
    paper[:, ::step], paper[:, 1::step] = 140, 20  # a soft edge, and ink
    for image in (grey(paper), grey(paper.T)):
        light = 2 * image[..., 0].astype(int) > 270
        np.testing.assert_array_equal(flat.page(image).labels, light)


def test_stars_are_no_text():
    y, x = np.mgrid[:200, :300]
    sky = np.full((200, 300), 12.0)
    for at, size, light in zip(
        RNG.random((60, 2)), RNG.uniform(1, 4, 60), RNG.uniform(40, 500, 60)
    ):
        sky += light * np.exp(-np.hypot(y - 200 * at[0], x - 300 * at[1]) / size)
    image = grey(sky + RNG.normal(0, 3, sky.shape))
    dark, light = (image[..., 0] < 36).mean(), (image[..., 0] > 170).mean()
    assert dark > 0.8  # as a page has, which is as black
    assert light > 0.005
    assert flat.page(image) is None
    inverted = 255 - image
    assert flat.page(inverted) is None
    assert flat.page(grey(text(12, 220))) is not None


def test_a_smooth_picture_has_no_grain(sky):
    Image = pytest.importorskip("PIL.Image")
    result = dither(sky, colors=256)
    off = result.image.astype(int) - sky
    assert 10 * np.log10(255**2 / np.square(off).mean()) > 53.612  # pngquant 2.17
    assert np.abs(off).max() <= 2
    assert len(np.unique(result.palette[np.unique(result.indices)], axis=0)) == 256
    picture = Image.fromarray(result.indices, "P")
    picture.putpalette(result.palette.ravel().tolist())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    assert len(file.getvalue()) <= 1.3 * 6263  # pngquant 2.17


@pytest.mark.slow
def test_a_screen():
    Image, ImageDraw = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageDraw")
    font = pytest.importorskip("PIL.ImageFont").load_default(15)
    image = Image.new("RGB", (300, 160), (246, 247, 249))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 300, 40), fill=(33, 45, 62))
    draw.text((12, 10), "Dashboard  Reports  Team", fill=(235, 240, 250), font=font)
    draw.rectangle((0, 41, 100, 160), fill=(232, 236, 241))
    draw.ellipse((20, 72, 60, 112), fill=(234, 67, 53), outline=(90, 20, 10), width=2)
    for r in range(36):
        shade = tuple(int(a - (a - b) * r / 35) for a, b in zip((80, 140, 250), (40, 90, 200)))
        draw.line((130, 80 + r, 250, 80 + r), fill=shade)
    draw.text((150, 88), "Export", fill=(255, 255, 255), font=font)
    image = np.asarray(image)
    result = dither(image, colors=64)
    core = amid(image)
    np.testing.assert_array_equal(result.image[1:-1, 1:-1][core], image[1:-1, 1:-1][core])
    assert len(np.unique(result.palette[np.unique(result.indices)], axis=0)) == 64
    grey = image @ np.array([299, 587, 114])
    around = np.lib.stride_tricks.sliding_window_view(np.pad(grey, 1, mode="edge"), (3, 3))
    ends = (grey == around.min(axis=(2, 3))) | (grey == around.max(axis=(2, 3)))
    colours, places = np.unique(image.reshape(-1, 3), axis=0, return_inverse=True)
    counts = [np.bincount(places.ravel(), which.ravel()) for which in (ends, ends >= 0)]
    inks = np.flatnonzero((counts[0] >= 24) & (2 * counts[0] > counts[1]))
    drawn = np.isin(places.reshape(grey.shape), inks)  # every field, line and ink
    np.testing.assert_array_equal(result.image[drawn], image[drawn])
    assert [235, 240, 250] in colours[inks].tolist()
    for row in range(80, 116):  # each step of the ramp is a line of its own
        assert (result.image[row, 131:148] == image[row, 131:148]).all()


def test_inks_of_a_given_palette_stay_solid():
    inks = np.uint8([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255], [0, 0, 0]])
    image = np.full((40, 60, 3), 255, np.uint8)
    image[5:20, 5:25], image[5:20, 25:45] = inks[2], inks[3]
    image[25:38, 5:25] = [250, 130, 120]  # no ink: grain, which must not reach the others
    found = dither(image, palette=inks).image
    solid = np.ones((40, 60), bool)
    solid[25:38, 5:25] = False
    np.testing.assert_array_equal(found[solid], image[solid])


def test_locked_colours_come_first(flat20):
    locked = np.uint8([[1, 2, 3], flat20[0, 0]])
    pins = flat.fields(flat20, None, 16, kept=locked)
    assert len(pins.palette) == 2 + 13
    np.testing.assert_array_equal(pins.palette[:2], locked)
    assert len(np.unique(pins.palette, axis=0)) == 15
    assert pins.labels[0, 0] == 1


def test_inks_of_text_on_flat_ground_are_pinned():
    image = np.full((90, 160, 3), 250, np.uint8)
    image[:30] = [33, 45, 62]
    for i in range(20):  # strokes, and edges of which no two pixels are alike
        image[8 + i % 3 : 14 + i % 3, 5 + 7 * i] = [235, 240, 250]
        image[8 + i % 3 : 14 + i % 3, 6 + 7 * i] = 100 + np.arange(18).reshape(6, 3) + 7 * i
        image[40 : 45 + i % 2, 5 + 7 * i] = [70, 80, 96]
    y, x = np.mgrid[:30, :60]
    image[55:85, 20:80] = (np.stack([y, x, y + x], axis=-1) // 6 * 8).astype(np.uint8)  # smooth
    pins = flat.fields(image, None, 64, kept=NONE)
    assert pins.palette[:2].tolist() == [[250] * 3, [33, 45, 62]]
    assert pins.palette[-2:].tolist() == [[235, 240, 250], [70, 80, 96]]
    few = flat.fields(image, None, 5, kept=NONE)
    assert few.palette.tolist() == [[250] * 3, [33, 45, 62], [70, 80, 96]]


def test_the_ink_comes_before_what_is_between_it_and_the_paper():
    image = np.full((40, 130, 3), 250, np.uint8)
    for i in range(20):  # strokes with twice as many pixels at their edges
        image[10:16, 4 + 6 * i] = [120, 130, 145]
        image[10:16, [3 + 6 * i, 5 + 6 * i]] = [185, 190, 197]
    assert flat.fields(image, None, 4, kept=NONE).palette[1:].tolist() == [[120, 130, 145]]
    both = flat.fields(image, None, 6, kept=NONE).palette[1:].tolist()
    assert both == [[120, 130, 145], [185, 190, 197]]


def test_nothing_of_a_photograph_is_pinned():
    rng = np.random.default_rng(5)
    noisy = grey(128 + 60 * np.sin(np.arange(90) / 9) + rng.normal(0, 3, (90, 90)))
    noisy[:40, :40] = 255  # burnt out
    colours = rng.integers(0, 256, (90, 90, 3)).astype(np.uint8)
    for image in (noisy, colours):
        for colors in (2, 16):
            assert Problem(image, colors=colors, viewing=_viewing()).pins is None


def _viewing():
    from fastgrad.dithering.eye.viewing import Viewing

    return Viewing("opponent", 1.0, None, None, None)


def test_pixels_that_nobody_sees_are_not_pinned(flat20):
    seen = np.ones(flat20.shape[:2], bool)
    seen[:40] = False
    pins = flat.fields(flat20, seen, 20, kept=NONE)
    assert len(pins.palette) == 15
    assert pins.free[:40].all()
    assert not pins.free[40:].any()
    assert flat.fields(flat20, np.zeros_like(seen), 20, kept=NONE) is None


def test_pins_that_have_the_very_colours_add_nothing_to_the_loss():
    colors = np.float32([[0.1], [0.7]])
    labels = np.int16([[0, -1, 1]])
    pins = flat.Pins(np.uint8([[9, 9, 9], [8, 8, 8]]), labels)
    assert pins.exact(np.float32([[[0.1 + 1e-7, 0.4, 0.7]]]), colors)
    assert not pins.exact(np.float32([[[0.1, 0.4, 0.71]]]), colors)


def test_near_takes_the_nearest():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 4, (30, 30, 3)).astype(np.uint8)
    palette = rng.integers(0, 4, (9, 3)).astype(np.uint8)
    distance = image[..., None, :].astype(int) - palette
    squares = np.where(np.abs(distance).max(-1) <= 1, np.square(distance).sum(-1), 99)
    expected = np.where(squares.min(-1) == 99, -1, squares.argmin(-1))
    found = flat.near(image, palette)
    np.testing.assert_array_equal(found < 0, expected < 0)
    chosen = np.take_along_axis(squares, np.maximum(found, 0)[..., None], -1)[..., 0]
    np.testing.assert_array_equal(chosen[found >= 0], squares.min(-1)[found >= 0])


def test_spare_keeps_one_of_a_kind():
    palette = np.uint8([[9, 9, 9], [10, 9, 9], [50, 0, 0], [11, 9, 9], [50, 0, 0]])
    uses = np.array([1, 5, 0, 2, 7])
    assert spare(palette, uses).tolist() == [False, False, True, False, False]
    assert spare(palette, uses, most=1).tolist() == [True, False, True, True, False]
    assert spare(palette, uses, 1, most=1).tolist() == [False, True, True, False, False]


def test_refilled_takes_the_worst_errors():
    palette, places = np.uint8([[0, 0, 0], [7, 7, 7], [8, 8, 8]]), np.array([False, True, True])
    rgb = np.uint8([[0, 0, 0], [10, 0, 0], [11, 0, 0], [0, 200, 0]])
    found = refilled(palette, places, rgb, np.array([1000, 50, 10, 1]))
    assert found.tolist() == [[0, 0, 0], [0, 200, 0], [10, 0, 0]]
    same = refilled(palette, places, np.empty((0, 3), np.uint8), np.empty(0, int))
    np.testing.assert_array_equal(same, palette)


@pytest.mark.parametrize("shape", [(1, 1), (3, 30), (30, 3)])
def test_narrow_pictures(shape):
    image = np.zeros((*shape, 3), np.uint8)
    pins = flat.fields(image, None, 4, kept=NONE)
    assert pins is None or not pins.free.any()


@pytest.mark.parametrize("size", [500, 506, 510])
def test_entries_that_were_copies_leave_their_pixels_to_the_other(size):
    """Rounded colours may be alike; those that get another colour had pixels of the old one."""
    Image, resources = pytest.importorskip("PIL.Image"), pytest.importorskip("importlib.resources")
    with resources.as_file(resources.files("fastgrad") / "data" / "astronaut.jpg") as path:
        image = np.asarray(Image.open(path).convert("RGB").resize((size, size)))
    assert dither(image, colors=256, speed=10).metrics["blurred_psnr"] > 50


def drawing(blur=0.0):
    """A page of settings with text, lines and switches, (240, 330, 3)."""
    Image, ImageDraw = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageDraw")
    ImageFilter = pytest.importorskip("PIL.ImageFilter")
    load = pytest.importorskip("PIL.ImageFont").load_default
    image = Image.new("RGB", (330, 240), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 330, 40), fill=(98, 0, 238))
    draw.text((16, 8), "Application settings", fill=(255, 255, 255), font=load(20))
    for i in range(4):
        y = 50 + 46 * i
        draw.text((16, y), f"Option number {i}", fill=(33, 33, 33), font=load(17))
        words = "A longer description of what it does"
        draw.text((16, y + 22), words, fill=(117, 117, 117), font=load(12))
        switch = (3, 218, 198) if i % 2 else (200, 200, 200)
        draw.rounded_rectangle((270, y + 4, 310, y + 24), 10, fill=switch)
        draw.line((10, y + 42, 320, y + 42), fill=(224, 224, 224))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(blur)) if blur else image)


@pytest.mark.parametrize(("blur", "least"), [(0, 41.1), (0.5, 37), (1, 37.1)])
def test_no_entry_is_wasted_on_a_colour_like_another(blur, least):
    image = drawing(blur)
    pins = flat.fields(image, None, 16, kept=NONE)
    apart = np.abs(pins.palette[:, None].astype(int) - pins.palette).max(-1)
    assert (apart + 99 * np.eye(len(apart)) > 9).all()
    off = dither(image, colors=16).image.astype(int) - image
    assert 10 * np.log10(255**2 / np.square(off).mean()) > least  # pngquant 2.17
    assert np.abs(off).max() < 60  # dark ink, too, has an entry


def test_a_photograph_on_a_page_and_few_colours_have_grain():
    Image, resources = pytest.importorskip("PIL.Image"), pytest.importorskip("importlib.resources")
    with resources.as_file(resources.files("fastgrad") / "data" / "astronaut.jpg") as path:
        photograph = np.asarray(Image.open(path).convert("RGB").resize((150, 150)))
    page = drawing()
    assert Problem(page, Viewing(), colors=16).drawn
    assert not Problem(page, Viewing(), colors=15).drawn
    page = page.copy()
    page[60:210, 150:300] = photograph
    assert flat.fields(page, None, 16, kept=NONE) is not None
    assert not Problem(page, Viewing(), colors=16).drawn


def test_a_drawing_is_smaller_by_default_and_truer(monkeypatch):
    from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
    from fastgrad.dithering.pictures import png

    image = drawing()
    judge = Ssimulacra2(image / 255)
    now = dither(image, colors=16)
    monkeypatch.setattr(repeats, "repeated", lambda image, indices, free: indices)
    before = dither(image, colors=16, space="opponent", nu=0.15)
    scores = [judge.score(x.image / 255) for x in (now, before)]
    sizes = [len(png.encode([x.indices], x.palette)) for x in (now, before)]
    assert scores[0] > scores[1] - 0.5
    assert sizes[0] < 0.98 * sizes[1]


def test_a_steep_sky_has_no_grain():
    from fastgrad.dithering.pictures import png

    y, x = np.linspace(0, 1, 300)[:, None], np.linspace(0, 1, 400)[None]
    planes = [40 + 160 * y + 0 * x, 90 + 120 * y + 10 * x, 200 + 40 * y + 0 * x]
    image = np.rint(np.stack(planes, -1)).astype(np.uint8)
    result = dither(image, colors=256)
    off = result.image.astype(int) - image
    assert 10 * np.log10(255**2 / np.square(off).mean()) > 49.7  # pngquant 2.17
    assert np.abs(off).max() <= 4
    assert np.abs(off @ [0.299, 0.587, 0.114]).max() < 2.5
    assert len(png.encode([result.indices], result.palette)) < 4000  # pngquant 2.17: 12243


def test_inks_leave_entries_to_what_needs_them_more():
    image = np.full((120, 200, 3), 250, np.uint8)
    for i in range(12):  # greys of text, each like the next
        image[4:6, 4 + 16 * i : 18 + 16 * i] = 100 + i
    image[30:110, 40:160] = np.random.default_rng(0).integers(0, 250, (80, 120, 3))
    assert len(flat.fields(image, None, 40, kept=NONE).palette) < 4
