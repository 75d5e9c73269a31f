"""What is twice in a picture looks the same twice."""

import zlib

import numpy as np
import pytest

from fastgrad.dithering import Viewing, dither
from fastgrad.dithering.optimiser import repeats
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.repeats import AROUND, PERIOD, periodic, repeated
from fastgrad.dithering.pictures import png

RNG = np.random.default_rng(0)


def letters():
    """The same soft shapes of many colours again and again on paper, and where they are."""
    from scipy import ndimage

    shapes = ndimage.gaussian_filter(RNG.normal(0, 600, (5, 14, 10, 3)), (0, 1, 1, 0))
    image = np.full((200, 300, 3), 246, np.uint8)
    places = [(8 + 19 * i, 8 + 17 * j + 3 * (i % 3)) for i in range(9) for j in range(16)]
    for n, (y, x) in enumerate(places):
        image[y : y + 14, x : x + 10] = np.clip(120 + shapes[n % 5], 0, 240)
    return image, places


def test_against_a_loop():
    image = np.kron(RNG.integers(0, 2, (20, 30, 1)), np.ones((1, 1, 3))).astype(np.uint8)
    image[:, 15:] = image[:, :15]
    indices = RNG.integers(0, 3, (20, 30)).astype(np.uint8)
    free = RNG.random((20, 30)) < 0.9
    wide = np.pad(image[..., 0], AROUND, mode="edge")
    size = 2 * AROUND + 1
    keys = {
        (y, x): wide[y : y + size, x : x + size].tobytes() for y, x in np.argwhere(free).tolist()
    }
    wanted = indices.copy()
    beside = ((0, 1), (1, 0), (0, -1), (-1, 0))
    alone = {
        at: key
        for at, key in keys.items()
        if all(keys.get((at[0] + dy, at[1] + dx)) != key for dy, dx in beside)
    }
    for key in set(alone.values()):
        group = tuple(np.array([at for at, other in alone.items() if other == key]).T)
        wanted[group] = np.bincount(indices[group]).argmax()
    found = repeated(image, indices, free)
    np.testing.assert_array_equal(found, wanted)
    assert (found != indices).any()
    np.testing.assert_array_equal(repeated(image, indices, np.zeros_like(free)), indices)


def test_ramps_keep_their_grain():
    image = np.repeat(np.arange(40, dtype=np.uint8)[:, None, None], 50, axis=1).repeat(3, axis=2)
    indices = RNG.integers(0, 2, (40, 50)).astype(np.uint8)
    found = repeated(image, indices, np.ones((40, 50), bool))
    np.testing.assert_array_equal(found, indices)


def test_letters_are_drawn_alike():
    image, places = letters()
    result = dither(image, colors=16)
    drawn = {result.indices[y : y + 14, x : x + 10].tobytes() for y, x in places}
    assert len(drawn) == 5  # without: 7


@pytest.mark.parametrize("colors", [24, 32])
def test_what_is_drawn_takes_few_bytes(monkeypatch, colors):
    """Pixels of edges take frequent colours where these are nearly as good."""
    Image, ImageDraw = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageDraw")
    load = pytest.importorskip("PIL.ImageFont").load_default
    page = Image.new("RGB", (330, 240), (250, 250, 252))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 330, 40), fill=(98, 0, 238))
    for i, ink in enumerate(((255, 255, 255), (33, 33, 33), (200, 30, 60), (0, 110, 90))):
        words = f"Option number {i}, and what it does"
        draw.text((16, 10 + 50 * i), words, fill=ink, font=load(16 - i))
        draw.ellipse((280, 50 + 40 * i, 310, 80 + 40 * i), fill=(120, 60 * i, 200))
    image = np.asarray(page)
    assert Problem(image, Viewing(), colors=colors).drawn
    made = {}
    for frugal in (True, False):
        if not frugal:
            monkeypatch.setattr(repeats, "frugal", lambda loss, indices, colors: indices)
        result = dither(image, colors=colors)
        off = np.square(result.image.astype(float) - image).mean()
        made[frugal] = len(zlib.compress(png.pack(result.indices, 8), 9)), 10 * np.log10(off)
    assert made[True][0] < 0.99 * made[False][0]
    assert made[True][1] < made[False][1] + 1.5


def test_text_on_black_spends_little_on_what_is_nearly_black():
    """Its soft edges are veiled there; without flare they have entries of their own."""
    Image, ImageDraw = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageDraw")
    load = pytest.importorskip("PIL.ImageFont").load_default
    page = Image.new("RGB", (400, 240))
    draw = ImageDraw.Draw(page)
    inks = ((0, 205, 0), (229, 229, 229), (0, 0, 238), (205, 205, 0), (205, 0, 0))
    for i in range(15):
        for j in range(4):
            ink = inks[(2 * i + 3 * j) % 5]
            draw.text((4 + 98 * j, 2 + 16 * i), f"ls -l file{i * j}", fill=ink, font=load(12))
    image = np.asarray(page)
    assert Problem(image, Viewing(), colors=16).viewing.space == "screen"
    sizes = []
    for space in ("screen", "oklab"):
        result = dither(image, colors=16, space=space)
        sizes.append(len(png.encode([result.indices], result.palette)))
    assert sizes[0] < 0.97 * sizes[1]


def sky(axis, size=240):
    """A gradient along one axis."""
    share = np.linspace(0, 1, 200)[:, None, None]
    lines = np.rint([30, 80, 170] + share * [180, 150, 80]).astype(np.uint8)
    image = np.repeat(lines, size, axis=1)
    return image if axis == 0 else np.ascontiguousarray(image.swapaxes(0, 1))


@pytest.mark.parametrize(("axis", "colors"), [(0, 16), (1, 16), (1, 40)])
def test_a_gradient_in_one_direction_repeats_its_grain(axis, colors, monkeypatch):
    image = sky(axis)
    result = dither(image, colors=colors)
    lines = result.indices if axis else result.indices.T
    np.testing.assert_array_equal(lines[PERIOD:], lines[:-PERIOD])
    assert len({line.tobytes() for line in lines}) > 1  # there is grain
    monkeypatch.setattr(repeats, "PERIOD", 1 << 20)  # more than there are
    before = dither(image, colors=colors)
    small, large = (len(png.encode([x.indices], x.palette)) for x in (result, before))
    assert small < 0.25 * large
    loss, losses = Problem(image, Viewing(), colors=colors), []
    for x in (result, before):
        losses.append(loss.loss_of(loss.linear, None).of(x.indices, loss.from_srgb(x.palette)))
    assert losses[0] < 1.01 * losses[1]  # without weights, which the search had


@pytest.mark.parametrize("axis", [0, 1])
def test_lines_are_repeated_only_where_all_are_alike_and_none_is_worse(axis):
    image = sky(axis)[..., :1] / 255.0
    colors = np.array([[0.0], [1.0]])
    noisy = np.uint8(RNG.random(image.shape[:2]) < image[..., 0])
    found = periodic(BlurredError(image), noisy, colors)
    assert found is not noisy
    assert BlurredError(image).of(found, colors) < BlurredError(image).of(noisy, colors)
    image[70, 70] += 0.01
    assert periodic(BlurredError(image), noisy, colors) is noisy
    short = np.ascontiguousarray(noisy[:20, :20])
    assert periodic(BlurredError(np.zeros((20, 20, 1))), short, colors) is short


def test_a_frame_after_another_keeps_what_is_there():
    image = sky(0)
    first = dither(image, colors=16)
    second = dither(image, colors=16, previous=np.zeros_like(first.indices))
    assert (second.indices[:, 16:] != second.indices[:, :-16]).any()
