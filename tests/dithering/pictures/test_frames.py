"""Frames from images of every mode; colours as files describe them."""

import io
import struct

import numpy as np
import pytest
from png_files import P3, SRGB, chrm, cicp, flat, gama, icc, iccp, png

from fastgrad.dithering.pictures import frames, images

Image = pytest.importorskip("PIL.Image")
ImageCms = pytest.importorskip("PIL.ImageCms")
VALUES = np.random.default_rng(0).integers(0, 256, (12, 17, 3)).astype(np.uint8)
GREY, RED = (128, 128, 128), (200, 60, 60)
LINEAR, LINEAR_GREY = icc("Linear sRGB (D50 adapted)"), icc("Linear Gray", b"GRAY")
CHRM_SRGB = chrm(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


def halves(source):
    """The colours left and right, of a file and of an opened image alike."""
    (frame,) = images.Picture(source).frames()
    again = frames.from_pil(Image.open(io.BytesIO(source)))
    np.testing.assert_array_equal(again.values, frame.values)
    values = frame.values
    if values.dtype != np.uint8:
        values = np.rint(255 * values).astype(np.uint8)
    return values[0, 0].tolist(), values[0, -1].tolist()


LIGHT = ([188] * 3, [137] * 3)  # of linear 128 and 64
SAME = (list(GREY), [64] * 3)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([gama(1.0)], LIGHT),
        ([iccp(LINEAR)], LIGHT),
        ([cicp(1, 8)], LIGHT),
        ([gama(0.45455)], SAME),
        ([gama(0.45455), CHRM_SRGB], SAME),
        ([SRGB], SAME),
        # In the order of the specification: cICP, iCCP, sRGB, gAMA and cHRM.
        ([gama(1.0), cicp(1, 13)], SAME),
        ([iccp(LINEAR), cicp(1, 13)], SAME),
        ([cicp(1, 8), SRGB], LIGHT),
        ([iccp(LINEAR), SRGB, gama(0.45455)], LIGHT),
        ([SRGB, gama(1.0)], SAME),
        # What is unknown, or broken, counts for nothing.
        ([cicp(2, 2), gama(1.0)], LIGHT),
        ([(b"cICP", bytes([1, 13, 5, 1])), gama(1.0)], LIGHT),
        ([(b"cICP", b"\1"), gama(1.0)], LIGHT),
        ([chrm(*[0] * 8)], SAME),
    ],
)
def test_colours_of_a_png(chunks, expected):
    assert halves(png(flat(GREY), chunks)) == expected
    if not any(kind == b"iCCP" for kind, _ in chunks):
        assert halves(png(flat(GREY[:1]), chunks, color_type=0)) == expected
        deep = png(flat((128 * 257,), np.uint16), chunks, color_type=0)
        assert halves(deep)[0] == expected[0]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [([gama(0.45455), P3], (219, 37, 49)), ([cicp(12, 13)], (217, 42, 52)), ([P3], (217, 42, 52))],
)
def test_primaries_of_a_png(chunks, expected):
    """By hand, with the matrix from P3 to sRGB: of a pure power, and of sRGB's curve."""
    left, _ = halves(png(flat(RED), chunks))
    assert np.abs(np.subtract(left, expected)).max() <= 1


@pytest.mark.parametrize(
    ("values", "dtype", "color_type"),
    [
        ((128,), np.uint8, 0),
        ((128, 255), np.uint8, 4),
        ((32896,), np.uint16, 0),
        ((32896, 65535), np.uint16, 4),
    ],
)
def test_profiles_of_grey(values, dtype, color_type):
    source = png(flat(values, dtype), [iccp(LINEAR_GREY)], color_type=color_type)
    left, right = halves(source)
    assert left == [188] * 3
    assert right == [137] * 3


def test_16_bits_are_converted_with_all_their_digits():
    old = int(pytest.importorskip("PIL").__version__.split(".")[0]) < 11  # converts 8 of them
    grey = np.arange(400, 65536, 977, dtype=np.uint16)[None, :, None]
    for chunks in ([iccp(LINEAR_GREY)], [gama(1.0)]):
        (frame,) = images.Picture(png(grey, chunks, color_type=0)).frames()
        linear = grey[..., 0] / 65535
        expected = 1.055 * linear ** (1 / 2.4) - 0.055
        np.testing.assert_allclose(frame.values[..., 1], expected, atol=0.003 if old else 1e-4)


@pytest.mark.parametrize("profile", [None, LINEAR_GREY])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_the_same_values_in_8_and_16_bits(form, profile):
    ramp = np.tile(np.arange(0, 256, 3, dtype=np.uint8), (5, 1))
    found = []
    for grey in (ramp, ramp.astype(np.uint16) * 257):
        file = io.BytesIO()
        Image.fromarray(grey).save(file, form, icc_profile=profile)
        found += images.Picture(file.getvalue()).frames()
    assert found[0].values.dtype == found[1].values.dtype == np.uint8
    np.testing.assert_array_equal(found[0].values, found[1].values)


def test_the_same_colours_in_8_and_16_bits():
    for color_type, channels in ((2, VALUES), (6, np.dstack([VALUES, VALUES[..., :1]]))):
        sources = [channels, channels.astype(np.uint16) * 257]
        eight, sixteen = (
            next(images.Picture(png(a, [gama(1.0)], color_type=color_type)).frames())
            for a in sources
        )
        np.testing.assert_array_equal(eight.values, sixteen.values)
        if color_type == 6:
            np.testing.assert_array_equal(eight.alpha, sixteen.alpha)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_profiles_in_files(form, mode):
    if (form, mode) in {("JPEG", "RGBA"), ("JPEG", "P"), ("WEBP", "P"), ("TIFF", "P")}:
        pytest.skip("there are no such files with a profile")
    image, file = Image.fromarray(flat(GREY)), io.BytesIO()
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    options = {"lossless": True} if form == "WEBP" else {}
    image.save(file, form, icc_profile=LINEAR, **options)
    left, right = halves(file.getvalue())
    assert np.abs(np.subtract(left + right, LIGHT[0] + LIGHT[1])).max() <= (form == "JPEG")


def test_a_palette_and_a_hidden_colour_are_converted():
    image = Image.new("P", (2, 1))
    image.putpalette([128, 128, 128, 64, 64, 64])
    image.putpixel((1, 0), 1)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=1, icc_profile=LINEAR)
    (frame,) = images.Picture(file.getvalue()).frames()
    assert frame.alpha.tolist() == [[255, 0]]
    assert frame.values.tolist() == [[[188] * 3, [137] * 3]]


@pytest.mark.parametrize(
    "mode",
    [
        "1",
        "L",
        "LA",
        "La",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBa",
        "RGBX",
        "CMYK",
        "YCbCr",
        "HSV",
        "I",
        "I;16",
        "I;16B",
    ],
)
def test_images_in_memory(mode):
    rgb = Image.fromarray(VALUES)
    source = rgb.convert("L") if mode[0] in "1LI" else rgb
    source = source.convert("RGB" if mode in ("PA", "RGBa") else source.mode)
    if mode == "La":
        image = source.convert("LA").convert("La")
    elif mode == "RGBa":
        image = source.convert("RGBA").convert("RGBa")
    elif mode == "PA":
        image = source.convert("P").convert("PA")
    elif mode == "I;16B":
        image = Image.fromarray(np.asarray(source).astype(">u2"))
        assert image.mode == mode
    else:
        image = source.convert(mode)
    frame = frames.from_pil(image)
    assert frame.alpha is None
    assert frame.duration == 0
    if mode[0] == "I":
        small = np.repeat(np.asarray(source)[..., None], 3, axis=2)
        np.testing.assert_array_equal(frame.values, small)  # Pillow's own keep their values
        larger = Image.fromarray(np.asarray(image) * np.asarray(image).dtype.type(200))
        found = frames.from_pil(larger).values
        np.testing.assert_allclose(found, small * (200 / 65535), atol=1e-7)
        return
    assert frame.values.dtype == np.uint8
    if mode == "1":
        assert set(np.unique(frame.values)) == {0, 255}
    elif mode not in ("P", "PA"):
        expected = np.asarray(source.convert("RGB")).astype(float)
        assert np.abs(frame.values - expected).mean() < 4
    else:
        np.testing.assert_array_equal(frame.values, np.asarray(image.convert("RGB")))


def test_what_is_refused():
    with pytest.raises(ValueError, match="floating-point values, whose white is not known"):
        frames.from_pil(Image.fromarray(np.zeros((2, 2), np.float32)))
    for value in (-1, 65536):
        with pytest.raises(ValueError, match="grey values of more than 16 bits"):
            frames.from_pil(Image.fromarray(np.full((2, 2), value, np.int32)))


def test_a_large_picture_keeps_its_colours(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    for chunks, values, kind in (
        ([cicp(1, 8)], GREY, 2),
        ([iccp(LINEAR_GREY)], (128, 255), 4),
        ([iccp(LINEAR_GREY)], (32896,), 0),
        ([gama(1.0)], (128,), 0),
    ):
        source = png(
            flat(values, np.uint16 if values[0] > 255 else np.uint8), chunks, color_type=kind
        )
        (frame,) = images.Picture(source).frames((8, 4))
        assert frame.values.shape == (8, 16, 3)
        found = frame.values if frame.values.dtype == np.uint8 else 255 * frame.values
        np.testing.assert_allclose(found[0, 0], 188, atol=0.6)


def test_a_profile_is_found_before_and_after_loading():
    image = Image.open(io.BytesIO(png(flat(GREY), [cicp(1, 8)])))
    profile = frames.color_profile(image)
    assert profile
    assert image.load()[0, 0] == GREY
    assert frames.color_profile(image) == b""
    assert frames.from_pil(image, profile).values[0, 0].tolist() == [188] * 3
    assert struct.unpack(">I", profile[:4])[0] == len(profile)
