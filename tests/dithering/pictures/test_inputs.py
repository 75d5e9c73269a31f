"""What users pass as pictures and palettes."""

from pathlib import Path

import numpy as np
import pytest

from fastgrad.dithering.pictures import inputs

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64, np.uint32, np.uint64])
def test_integers_of_any_type_are_bytes(dtype):
    small = PICTURE // 2
    values, alpha = inputs.pixels_of(small.astype(dtype))
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, small)
    assert alpha is None
    np.testing.assert_array_equal(inputs.pixels_of(small.tolist()).values, small)


def test_sixteen_bits():
    wide = PICTURE.astype(np.uint16) * 257  # 8 bits that were widened
    np.testing.assert_array_equal(inputs.pixels_of(wide).values, PICTURE)
    wide[0, 0, 0] += 1
    values = inputs.pixels_of(wide).values
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, wide / 65535, rtol=1e-6)


def test_booleans_are_black_and_white():
    mask = PICTURE[..., 0] > 99
    np.testing.assert_array_equal(inputs.pixels_of(mask).values, np.where(mask, 255, 0))


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_layers(layers, dtype):
    values = RNG.integers(0, 256, (4, 6, layers)).astype(np.uint8)
    given = {np.uint8: values, np.uint16: values * np.uint16(257), np.float64: values / 255}[dtype]
    found, alpha = inputs.pixels_of(given)
    colours = values if layers % 2 else values[..., :-1]
    colours = colours if layers > 2 else colours[..., 0]
    assert found.shape == colours.shape
    peak = 255 if dtype == np.float64 else 1
    np.testing.assert_allclose(peak * found, colours, atol=1e-9)
    if layers % 2:
        assert alpha is None
    else:
        np.testing.assert_array_equal(alpha, values[..., -1])
        assert alpha.dtype == np.uint8


MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
MODES += ("LAB", "I;16", "I")


@pytest.mark.parametrize("mode", MODES)
def test_pillow_images_of_every_mode(mode):
    Image = pytest.importorskip("PIL.Image")
    smooth = np.repeat(np.linspace(64, 192, 64).astype(np.uint8)[None], 16, axis=0)
    rgb = Image.fromarray(np.stack([smooth, smooth // 2, 255 - smooth], axis=-1))
    if mode in ("I;16", "I"):
        image = Image.fromarray(smooth.astype(np.uint16) * 257)
        image = image if mode == "I;16" else image.convert("I")
        expected = np.asarray(Image.fromarray(smooth).convert("RGB"))
    elif mode == "LAB":
        ImageCms = pytest.importorskip("PIL.ImageCms")
        profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
        image = ImageCms.applyTransform(rgb, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
        expected = np.asarray(rgb)
    else:
        steps = {"La": ["LA"], "RGBa": ["RGBA"], "PA": ["P"], "1": ["L"], "LA": ["L"]}.get(mode, [])
        image = rgb
        for step in [*steps, mode]:
            image = image.convert(step)
        straight = image.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, mode))
        expected = np.asarray(straight.convert("RGB"))
    values, alpha = inputs.pixels_of(image)
    values = values if values.dtype == np.uint8 else np.rint(255 * values)
    assert np.abs(values.astype(int) - expected).max() <= (3 if mode == "LAB" else 0)
    assert alpha is None


def test_opacity_of_pillow_images():
    Image = pytest.importorskip("PIL.Image")
    rgba = np.dstack([PICTURE, RNG.integers(0, 256, (5, 7)).astype(np.uint8)])
    values, alpha = inputs.pixels_of(Image.fromarray(rgba, "RGBA"))
    np.testing.assert_array_equal(values, PICTURE)
    np.testing.assert_array_equal(alpha, rgba[..., 3])
    indexed = Image.new("P", (2, 1))
    indexed.putpalette([9, 8, 7, 6, 5, 4])
    indexed.putdata([0, 1])
    indexed.info["transparency"] = 1
    values, alpha = inputs.pixels_of(indexed)
    assert values[0, 0].tolist() == [9, 8, 7]
    assert alpha.tolist() == [[255, 0]]


def test_pillow_images_are_turned_upright():
    Image = pytest.importorskip("PIL.Image")
    image = Image.fromarray(PICTURE)
    image.getexif()[0x0112] = 6
    np.testing.assert_array_equal(inputs.pixels_of(image).values, np.rot90(PICTURE, -1))


def test_whole_numbers_of_an_image_of_8_bits():
    """Pillow's own conversion to mode "I" keeps the values: 255 is white."""
    image = pytest.importorskip("PIL.Image").fromarray(PICTURE).convert("L")
    grey = np.repeat(np.asarray(image)[..., None], 3, axis=-1)
    np.testing.assert_array_equal(inputs.pixels_of(image.convert("I")).values, grey)


def test_names_of_files_are_refused():
    for name in ("a.png", b"a.png", Path("a.png")):
        with pytest.raises(TypeError, match=r"image must be .*, got .*a.png.*: use .*dither_files"):
            inputs.pixels_of(name)


def test_bad_pictures_are_refused():
    Image = pytest.importorskip("PIL.Image")
    for bad, message in [
        (Image.new("F", (3, 3)), "image must be sRGB, grey or CMYK, got mode F"),
        (Image.new("RGB", (0, 3)), "image must have pixels, got 0 x 3"),
        (np.zeros((2, 2, 5)), "image must have shape"),
        (np.zeros(3), "image must have shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            inputs.pixels_of(bad)


@pytest.mark.parametrize(
    "palette",
    [
        [(0, 0, 0), (255, 128, 0)],
        ["#000000", "#ff8000"],
        ["000", (255, 128, 0)],
        np.array(["#000000", "#FF8000"]),
        np.array([[0, 0, 0], [255, 128, 0]], np.uint64),
    ],
)
def test_palettes_of_every_kind(palette):
    found = inputs.colors_of(palette)
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 0, 0], [255, 128, 0]]
