"""Colours of 16 bits, all of which are read."""

import io
import struct

import numpy as np
import pytest
from png_files import SRGB, chunk, cicp, gama, icc, iccp, png

from fastgrad.dithering.pictures import images, sixteen_bits

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("PIL.ImageCms")
VALUES = np.random.default_rng(0).integers(0, 65536, (6, 9, 4)).astype(np.uint16)


def tiff(values, order="<"):
    """A TIFF of 16 bits without compression."""
    height, width, count = values.shape
    at = 8 + 2 + 12 * 10 + 4
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, count, at), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 2), (273, 4, 1, at + 8), (277, 3, 1, count), (278, 3, 1, height)]
    tags += [(279, 4, 1, values.nbytes), (338, 3, 1, 2) if count == 4 else (339, 3, 1, 1)]
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    for tag, kind, n, value in tags:
        short = kind == 3 and n == 1
        data += struct.pack(
            f"{order}HHI" + ("HH" if short else "I"), tag, kind, n, value, *[0] * short
        )
    data += struct.pack(f"{order}I4H", 0, *[16] * 4)
    return data + values.astype(f"{order}u2").tobytes()


def frame_of(data):
    (frame,) = images.Picture(data).frames()
    return frame


SOURCES = [
    (3, png(VALUES[..., :3])),
    (4, png(VALUES, color_type=6)),
    (3, tiff(VALUES[..., :3])),
    (3, tiff(VALUES[..., :3], ">")),
    (4, tiff(VALUES)),
]


@pytest.mark.parametrize(("count", "data"), SOURCES)
def test_all_bits_of_colours(count, data):
    found = sixteen_bits.channels(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(found, VALUES[..., :count])
    frame = frame_of(data)
    np.testing.assert_allclose(frame.values, VALUES[..., :3] / 65535, atol=1e-7)
    if count == 4:
        np.testing.assert_array_equal(frame.alpha, np.rint(VALUES[..., 3] / 257))


def test_all_bits_of_grey_with_opacity():
    data = png(VALUES[..., :2], color_type=4)
    frame = frame_of(data)
    for channel in range(3):
        np.testing.assert_allclose(frame.values[..., channel], VALUES[..., 0] / 65535, atol=1e-7)
    np.testing.assert_array_equal(frame.alpha, np.rint(VALUES[..., 1] / 257))


def test_images_of_8_bits_or_without_a_file():
    data = png(VALUES.astype(np.uint8)[..., :3])
    assert sixteen_bits.channels(Image.open(io.BytesIO(data))) is None
    assert sixteen_bits.channels(Image.new("RGB", (2, 2))) is None
    assert sixteen_bits.channels(Image.fromarray(VALUES[..., 0])) is None
    image = Image.open(io.BytesIO(png(VALUES[..., :3])))
    image.load()
    assert sixteen_bits.channels(image) is None


@pytest.mark.parametrize("chunks", [[gama(1.0)], [cicp(1, 8)], [iccp(icc("Linear sRGB"))]])
def test_dark_linear_colours_keep_their_steps(chunks):
    """By the formula of sRGB, whose slope near black is 12.92; 8 bits would be 13 steps apart."""
    ramp = np.arange(0, 65536, 97, dtype=np.uint16)
    values = np.stack([ramp, ramp[::-1], ramp // 2], axis=-1)[None]
    linear = values / 65535
    expected = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )
    frame = frame_of(png(values, chunks))
    assert frame.values.dtype == np.float32
    np.testing.assert_allclose(frame.values, expected, atol=1.6 / 255)
    assert len(np.unique(frame.values[0, :, 0])) > 500


def test_a_turned_picture_and_a_transparent_colour():
    trns = b"tRNS", VALUES[2, 3, :3].astype(">u2").tobytes()
    frame = frame_of(png(VALUES[..., :3], [SRGB, trns]))
    hidden = np.argwhere(frame.alpha == 0)
    assert hidden.tolist() == [[2, 3]]
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = frame_of(png(VALUES[..., :3], [(b"eXIf", exif.tobytes()[6:])]))
    expected = (VALUES[..., :3] / 65535).swapaxes(0, 1)[:, ::-1]
    np.testing.assert_allclose(turned.values, expected, atol=1e-7)


def test_frames_of_an_animation_have_8_bits():
    control = b"acTL", struct.pack(">II", 2, 0)
    shown = b"fcTL", struct.pack(">IIIIIHHBB", 0, 9, 6, 0, 0, 1, 10, 0, 0)
    first = png(VALUES[..., :3], [control, shown])
    second = png(VALUES[..., 1:], [])
    at = second.index(b"IDAT")
    (length,) = struct.unpack(">I", second[at - 4 : at])
    again = b"fcTL", struct.pack(">IIIIIHHBB", 1, 9, 6, 0, 0, 1, 10, 0, 0)
    data = b"fdAT", struct.pack(">I", 2) + second[at + 4 : at + 4 + length]
    source = first[:-12] + chunk(*again) + chunk(*data) + first[-12:]
    found = list(images.Picture(source).frames())
    assert len(found) == 2
    for frame, values in zip(found, (VALUES[..., :3], VALUES[..., 1:])):
        np.testing.assert_array_equal(frame.values, values >> 8)


@pytest.mark.parametrize("cut", [60, 120, 200])
def test_damaged_files(cut):
    with pytest.raises(images.FileError, match="cannot read standard input"):
        frame_of(png(VALUES[..., :3])[:cut])


def test_grey():
    values = np.array([[0, 257, 40 * 257, 65535]], np.int64)
    assert sixteen_bits.convert_grey(values, b"").dtype == np.uint8
    assert sixteen_bits.convert_grey(values, b"").tolist() == [[0, 1, 40, 255]]
    values[0, 0] = 1
    np.testing.assert_allclose(sixteen_bits.convert_grey(values, b""), values / 65535, atol=1e-7)


def grey_tiff(values, bits, photometric):
    """A TIFF of greys without compression; `values` are the rows as bytes."""
    height, width = 2, 4
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 8 + 2 + 12 * 9 + 4), (277, 3, 1), (278, 3, height), (279, 4, len(values))]
    data = b"II*\0" + struct.pack("<IH", 8, len(tags))
    for tag, kind, value in tags:
        data += struct.pack("<HHII", tag, kind, 1, value)
    return data + struct.pack("<I", 0) + values


def test_greys_of_12_bits():
    values = np.array([[0, 4095, 2048, 1], [16, 256, 1000, 4000]])
    packed = bytes.fromhex("".join(f"{value:03x}" for value in values.ravel()))
    frame = frame_of(grey_tiff(packed, 12, 1))
    np.testing.assert_allclose(frame.values[..., 0], values / 4095, atol=2e-5)


def test_greys_of_16_bits_where_0_is_white():
    values = np.array([[0, 65535, 40000, 1], [16, 256, 1000, 4000]], "<u2")
    frame = frame_of(grey_tiff(values.tobytes(), 16, 0))
    np.testing.assert_allclose(frame.values[..., 0], 1 - values / 65535, atol=1e-6)
