"""Colour profiles against formulas in double precision, and against LittleCMS."""

import io

import numpy as np
import pytest
from png_files import icc

from fastgrad.dithering.pictures import colour_profiles, frames

Image = pytest.importorskip("PIL.Image")
ImageCms = pytest.importorskip("PIL.ImageCms")
VALUES = np.random.default_rng(0).integers(0, 256, (20, 31, 3)).astype(np.uint8)
GREYS = np.arange(256, dtype=np.uint8)[None]
# Lindbloom's and the specifications' matrices from linear values to linear sRGB.
FROM_P3 = [[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]]
FROM_2020 = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]


def encoded(linear):
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def decoded(values):
    x = values / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def convert(values, profile):
    return np.asarray(colour_profiles.to_srgb(Image.fromarray(values), profile)).astype(float)


@pytest.mark.parametrize(("primaries", "matrix"), [(1, np.eye(3)), (12, FROM_P3), (9, FROM_2020)])
def test_primaries_of_code_points(primaries, matrix):
    found = convert(VALUES, colour_profiles.from_code_points(primaries, 13))
    expected = encoded(decoded(VALUES) @ np.transpose(matrix))
    np.testing.assert_allclose(found, expected, atol=2 if primaries == 1 else 1.5)


@pytest.mark.parametrize(
    ("transfer", "light"),
    [
        (1, lambda x: np.where(x < 0.081, x / 4.5, ((x + 0.099) / 1.099) ** (1 / 0.45))),
        (4, lambda x: x**2.2),
        (5, lambda x: x**2.8),
        (8, lambda x: x),
        (13, lambda x: decoded(255 * x)),
        (17, lambda x: 52.37 / 48 * x**2.6),
    ],
)
@pytest.mark.parametrize("full_range", [True, False])
def test_curves_of_code_points(transfer, light, full_range):
    profile = colour_profiles.from_code_points(1, transfer, full_range, grey=True)
    signal = GREYS / 255 if full_range else np.clip((GREYS - 16.0) / 219, 0, 1)
    np.testing.assert_allclose(convert(GREYS, profile), encoded(light(signal)), atol=1)


def test_curves_of_high_dynamic_range():
    """Values of ITU-R BT.2408: a white page is 58 % of PQ and 75 % of HLG, and 203 cd/m2."""
    for transfer, page in ((16, 0.58), (18, 0.75)):
        profile = colour_profiles.from_code_points(9, transfer, grey=True)
        found = convert(np.uint16([[round(65535 * page)]]), profile) / 65535
        np.testing.assert_allclose(found, 1, atol=0.01)
    found = convert(GREYS, colour_profiles.from_code_points(9, 16, grey=True))
    assert found[0, [0, -1]].tolist() == [0, 255]
    assert np.all(np.diff(found[0]) >= 0)
    dim = np.uint16([[round(65535 * 0.508)]])  # 100 cd/m2 in PQ, SMPTE ST 2084
    found = convert(dim, colour_profiles.from_code_points(9, 16, grey=True)) / 257
    np.testing.assert_allclose(found, encoded(np.array(100 / 203)), atol=0.5)


@pytest.mark.parametrize("numbers", [(2, 13), (1, 2), (0, 8), (255, 255), (3, 3)])
def test_unknown_code_points(numbers):
    assert colour_profiles.from_code_points(*numbers) == b""


@pytest.mark.parametrize("gamma", [1.0, 0.55, 1 / 1.8, 0.4])
def test_gamma(gamma):
    for grey, values in ((True, GREYS), (False, VALUES)):
        profile = colour_profiles.from_gamma(gamma, None, grey=grey)
        found = convert(values, profile)
        np.testing.assert_allclose(found, encoded((values / 255) ** (1 / gamma)), atol=1)


def test_the_gamma_of_srgb():
    srgb = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
    for points in (None, srgb):
        for gamma in (0.45455, None):
            profile = colour_profiles.from_gamma(gamma, points)
            np.testing.assert_array_equal(convert(VALUES, profile), VALUES)
    p3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    found = convert(VALUES, colour_profiles.from_gamma(0.45455, p3))
    expected = encoded((VALUES / 255) ** 2.2 @ np.transpose(FROM_P3))
    np.testing.assert_allclose(found, expected, atol=1.5)


@pytest.mark.parametrize(
    "points",
    [
        (0,) * 8,
        (0.3, 0.3, 0.6, 0.3, 0.6, 0.3, 0.6, 0.3),
        (float("nan"),) * 8,
        (0.3127, 0, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),
    ],
)
def test_chromaticities_that_enclose_nothing(points):
    assert colour_profiles.from_gamma(None, points) == b""
    assert colour_profiles.from_gamma(0.0, None) == b""


def test_profiles_are_compared_by_what_they_do():
    """Whatever its name is: sRGB, other colours under its name, and its colours under another."""
    image = Image.fromarray(VALUES)
    linear = icc("sRGB IEC61966-2.1 linear")
    srgb = ImageCms.createProfile("sRGB")
    expected = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(linear)), srgb, outputMode="RGB"
    )
    np.testing.assert_allclose(convert(VALUES, linear), np.asarray(expected), atol=0)
    np.testing.assert_allclose(convert(VALUES, linear), encoded(VALUES / 255), atol=1.01)
    same = ImageCms.ImageCmsProfile(srgb).tobytes().replace(b"s\0R\0G\0B", b"n\0o\0n\0e")
    assert colour_profiles.to_srgb(image, same) is image
    assert colour_profiles.to_srgb(image, colour_profiles.build(colour_profiles.SRGB)) is image
    wide = icc("sRGB", gamma=2.2)  # which is darker near black by 6 steps
    assert np.abs(convert(GREYS, wide).max(axis=-1) - GREYS).max() > 4


def test_profiles_of_other_channels_are_not_applied():
    grey, colour = icc("x", b"GRAY"), icc("x")
    cmyk = Image.fromarray(VALUES).convert("CMYK")
    for image, profile in (
        (Image.fromarray(VALUES), grey),
        (cmyk, grey),
        (cmyk, colour),
        (Image.fromarray(VALUES), colour[:200]),
        (Image.fromarray(VALUES), b"no profile"),
        (Image.fromarray(GREYS.astype(np.uint16)), colour),
    ):
        expected = image.convert("RGB") if image.mode == "CMYK" else image
        found = colour_profiles.to_srgb(image, profile)
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    found = convert(GREYS, colour)  # a grey picture with a profile of colours
    np.testing.assert_allclose(found, np.repeat(encoded(GREYS / 255)[..., None], 3, -1), atol=1)


def test_lab():
    lab = Image.frombytes("LAB", (3, 1), bytes([255, 0, 0, 0, 0, 0, 138, 81, 70]))
    found = np.asarray(colour_profiles.to_srgb(lab, b""))[0].astype(int)
    assert np.abs(found - [[255, 255, 255], [0, 0, 0], [255, 0, 0]]).max() <= 6


def test_adobe_rgb_of_a_camera():
    """The file has no profile, but says by DCF 2.0 how it is to be read."""
    image = Image.new("RGB", (8, 8), (200, 60, 60))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 65535  # uncalibrated
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, quality=100, subsampling=0)
    red = frames.from_pil(Image.open(file)).values[0, 0]
    to_linear_srgb = [[1.3984, -0.3984, 0], [0, 1, 0], [0, -0.0429, 1.0429]]  # Lindbloom's matrices
    linear = np.array(to_linear_srgb) @ (np.array([200, 60, 60]) / 255) ** (563 / 256)
    np.testing.assert_allclose(red, encoded(linear), atol=2)
