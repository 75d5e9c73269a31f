"""Files for devices, read back by others: Pillow, pngcheck, ImageMagick, a C compiler, drivers."""

import io
import shutil
import subprocess

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.pictures.device_files import ENDINGS, FORMATS, encode, planes
from fastgrad.dithering.pictures.images import FileError
from fastgrad.dithering.pictures.presets import PRESETS

Image = pytest.importorskip("PIL.Image")
rng = np.random.default_rng(5)
GREYS = {1: PRESETS["bw"], 2: PRESETS["grey4"], 4: PRESETS["grey16"]}
IMAGEMAGICK = next(filter(shutil.which, ("magick", "convert-im7", "convert-im6")), None)
SIZES = [(1, 1), (5, 13), (8, 16)]


def picture(colors, size=(5, 13)):
    return rng.integers(0, colors, size).astype(np.uint8)


def greys(bits):
    levels = np.linspace(0, 255, 1 << bits).round().astype(np.uint8)
    return np.repeat(levels[:, None], 3, axis=1)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("size", SIZES)
def test_grey_png(bits, size, tmp_path):
    indices, palette = picture(1 << bits, size), greys(bits)
    data = encode(indices, palette, f"grey{bits}")
    assert data[24:26] == bytes([bits, 0])  # bits and colour type
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), palette[indices])
    path = tmp_path / "a.png"
    path.write_bytes(data)
    if shutil.which("pngcheck"):
        subprocess.run(["pngcheck", "-q", path], check=True)
    if IMAGEMAGICK:
        command = [IMAGEMAGICK, path, "-depth", "8", "rgb:-"]
        raw = subprocess.run(command, check=True, capture_output=True).stdout
        np.testing.assert_array_equal(np.frombuffer(raw, np.uint8), palette[indices].ravel())


@pytest.mark.parametrize("colors", [2, 4, 16, 17, 256])
@pytest.mark.parametrize("size", SIZES)
def test_bmp(colors, size, tmp_path):
    indices, palette = picture(colors, size), rng.integers(0, 256, (colors, 3)).astype(np.uint8)
    path = tmp_path / "a.bmp"
    path.write_bytes(encode(indices, palette, "bmp"))
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), palette[indices])
    if IMAGEMAGICK:
        command = [IMAGEMAGICK, path, "-depth", "8", "rgb:-"]
        raw = subprocess.run(command, check=True, capture_output=True).stdout
        np.testing.assert_array_equal(np.frombuffer(raw, np.uint8), palette[indices].ravel())


# What these drivers send, from one number a pixel in their order of colours: see waveshareteam/
# e-Paper, epd7in3e.py (4 bits, orange left out), epd3in0g.py (2 bits), epd2in13b_V4.py (planes).
def test_four_bits_as_the_driver_of_spectra_6_packs_them():
    preset = PRESETS["spectra6"]
    driver = {"000000": 0, "ffffff": 1, "ffff00": 2, "ff0000": 3, "0000ff": 5, "00ff00": 6}
    indices = picture(6, (4, 10))
    codes = [driver[bytes(c).hex()] for c in preset.device[indices].reshape(-1, 3)]
    expected = bytes((codes[i] << 4) + codes[i + 1] for i in range(0, len(codes), 2))
    assert encode(indices, preset.device, "raw", codes=preset.codes) == expected


def test_two_bits_as_the_driver_of_four_inks_packs_them():
    preset = PRESETS["bwry"]
    driver = {"000000": 0, "ffffff": 1, "ffff00": 2, "ff0000": 3}
    indices = picture(4, (4, 12))
    codes = [driver[bytes(c).hex()] for c in preset.device[indices].reshape(-1, 3)]
    expected = bytes(
        (a << 6) + (b << 4) + (c << 2) + d
        for a, b, c, d in zip(codes[::4], codes[1::4], codes[2::4], codes[3::4])
    )
    assert encode(indices, preset.device, "raw", codes=preset.codes) == expected


@pytest.mark.parametrize("size", [(5, 16), (5, 13)])
def test_planes_as_drivers_take_them(size):
    preset, indices = PRESETS["bwr"], picture(3, size)
    found = planes(indices, preset.device)
    assert list(found) == ["black", "red"]
    width = size[1]
    for ink, plane in zip((0, 2), found.values()):
        expected = bytearray([0xFF] * (-(-width // 8) * size[0]))
        for y, x in zip(*np.nonzero(indices == ink)):
            expected[x // 8 + y * -(-width // 8)] &= ~(0x80 >> (x % 8)) & 0xFF
        assert plane == bytes(expected)
    assert encode(indices, preset.device, "planes") == b"".join(found.values())


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
@pytest.mark.parametrize("name", ["c", "c-planes"])
def test_a_program_that_includes_the_array(name, tmp_path):
    preset, indices = PRESETS["bwr"], picture(3, (6, 21))
    (tmp_path / "picture.h").write_bytes(encode(indices, preset.device, name, stem="My-photo 1"))
    arrays = ["my_photo_1"] if name == "c" else ["my_photo_1_black", "my_photo_1_red"]
    body = "".join(f"fwrite({a}, 1, sizeof {a}, stdout);" for a in arrays)
    source = '#include <stdio.h>\n#include "picture.h"\nint main(void) {' + body
    source += "return MY_PHOTO_1_WIDTH != 21 || MY_PHOTO_1_HEIGHT != 6;}"
    (tmp_path / "main.c").write_text(source)
    command = ["gcc", "-Wall", "-Werror", "-std=c99", "main.c", "-o", "main"]
    subprocess.run(command, check=True, cwd=tmp_path)
    shown = subprocess.run([tmp_path / "main"], check=True, capture_output=True).stdout
    other = {"c": "raw", "c-planes": "planes"}[name]
    assert shown == encode(indices, preset.device, other)


def test_names_in_c_are_names():
    for stem in ("7 days", "été", "__", ""):
        text = encode(np.zeros((1, 1), np.uint8), greys(1), "c", stem=stem).decode("ascii")
        name = text.splitlines()[-3].split("[")[0].split()[-1]
        assert name.isidentifier()


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "grey1"])
def test_a_result_is_saved_in_every_format(name, tmp_path):
    preset = PRESETS["grey4"]
    result = fg.dither(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4, preset="grey4")
    path = tmp_path / f"a{ENDINGS[name][0]}"
    result.save(path, format=name)
    assert path.read_bytes() == encode(result.indices, preset.device, name, stem="a")


def test_what_is_refused(tmp_path):
    indices = picture(6)
    with pytest.raises(FileError, match="needs a palette of greys"):
        encode(indices, PRESETS["spectra6"].device, "grey4")
    with pytest.raises(FileError, match="1 bits do not hold 4 greys"):
        encode(picture(4), greys(2), "grey1")
    result = fg.dither(np.zeros((4, 4), np.uint8), preset="bw")
    with pytest.raises(ValueError, match="format must be one of"):
        result.save(tmp_path / "a.bin", format="raws")
    assert not list(tmp_path.iterdir())
