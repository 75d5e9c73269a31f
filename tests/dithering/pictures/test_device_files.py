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


def is_imagemagick(name):
    """Return whether a command is there and is ImageMagick's: others bear its names, too."""
    told = shutil.which(name) and subprocess.run([name, "-version"], capture_output=True, text=True)
    return bool(told) and told.stdout.startswith("Version: ImageMagick")


IMAGEMAGICK = next(
    filter(is_imagemagick, ("magick", "convert-im7", "convert-im6", "convert")), None
)
needs_imagemagick = pytest.mark.skipif(IMAGEMAGICK is None, reason="ImageMagick is not installed")
needs_pngcheck = pytest.mark.skipif(not shutil.which("pngcheck"), reason="no pngcheck installed")
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
SIZES = [(1, 1), (5, 13), (8, 16)]


def picture(colors, size=(5, 13)):
    return rng.integers(0, colors, size).astype(np.uint8)


def greys(bits):
    levels = np.linspace(0, 255, 1 << bits).round().astype(np.uint8)
    return np.repeat(levels[:, None], 3, axis=1)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("size", SIZES)
def test_grey_png(bits, size):
    indices, palette = picture(1 << bits, size), greys(bits)
    data = encode(indices, palette, f"grey{bits}")
    assert data[24:26] == bytes([bits, 0])  # bits and colour type
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), palette[indices])


@needs_pngcheck
def test_pngcheck_finds_no_fault(tmp_path):
    paths = [tmp_path / f"{bits}-{size[0]}.png" for bits in (1, 2, 4, 8) for size in SIZES]
    for path in paths:
        bits, size = int(path.stem[0]), next(s for s in SIZES if path.stem[2:] == str(s[0]))
        path.write_bytes(encode(picture(1 << bits, size), greys(bits), f"grey{bits}"))
    made = subprocess.run(["pngcheck", *paths], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout
    assert made.stdout.count("OK: ") == len(paths)


@needs_imagemagick
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "colors"),
    [("grey1", 2), ("grey2", 4), ("grey4", 16), ("grey8", 256)]
    + [("bmp", colors) for colors in (2, 4, 16, 17, 256)],
)
def test_imagemagick_reads_the_same(name, colors, size, tmp_path):
    indices, palette = picture(colors, size), rng.integers(0, 256, (colors, 3)).astype(np.uint8)
    if name != "bmp":
        palette = greys(int(name[4:]))
    path = tmp_path / f"a{ENDINGS[name][0]}"
    path.write_bytes(encode(indices, palette, name))
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


# What these drivers send, from one number a pixel in their order of colours: see waveshareteam/
# e-Paper, epd7in3e.py and epd7in3f.py (4 bits), epd3in0g.py (2 bits), epd2in13b_V4.py (planes).
SPECTRA_6 = {"000000": 0, "ffffff": 1, "ffff00": 2, "ff0000": 3, "0000ff": 5, "00ff00": 6}
ACEP = {"000000": 0, "ffffff": 1, "00ff00": 2, "0000ff": 3, "ff0000": 4, "ffff00": 5, "ff8c00": 6}


@pytest.mark.parametrize(("name", "driver"), [("spectra6", SPECTRA_6), ("acep7", ACEP)])
def test_four_bits_as_the_drivers_of_colour_panels_pack_them(name, driver):
    preset = PRESETS[name]
    indices = picture(len(driver), (4, 10))
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
def test_planes_as_gxepd2_draws_them(size):
    """GxEPD2_3C.h, drawPixel, with rows of (w + 7) / 8 bytes as its writeImage reads them."""
    preset, indices = PRESETS["bwr"], picture(3, size)
    found = planes(indices, preset.device)
    assert list(found) == ["black", "red"]
    across = (size[1] + 7) // 8
    black, color = (bytearray([0xFF] * (across * size[0])) for _ in range(2))
    for y in range(size[0]):
        for x in range(size[1]):
            i = x // 8 + y * across
            ink = bytes(preset.device[indices[y, x]]).hex()
            if ink == "000000":
                black[i] = black[i] & (0xFF ^ (1 << (7 - x % 8)))
            elif ink == "ff0000":
                color[i] = color[i] & (0xFF ^ (1 << (7 - x % 8)))
    assert found == {"black": bytes(black), "red": bytes(color)}
    assert encode(indices, preset.device, "planes") == bytes(black + color)


def test_planes_as_waveshares_driver_sends_them():
    """epd2in13b_V4.py, getbuffer: two pictures of one bit, black where the ink is."""
    preset, indices = PRESETS["bwr"], picture(3, (6, 24))
    found = planes(indices, preset.device)
    for ink, plane in zip((0, 2), found.values()):
        image = Image.fromarray(np.where(indices == ink, 0, 255).astype(np.uint8))
        assert plane == bytearray(image.convert("1").tobytes("raw"))


def test_drivers_that_want_ones_where_the_colour_is_take_its_plane_inverted():
    """Waveshare's epd7in5b_V2.py, getbuffer and display; Pimoroni's inky.py, show."""
    preset, indices = PRESETS["bwr"], picture(3, (6, 24))
    black, red = planes(indices, preset.device).values()
    inverted = bytes(0xFF ^ byte for byte in red)
    images = [Image.fromarray(np.where(indices == i, 0, 255).astype(np.uint8)) for i in (0, 2)]
    buffers = [bytearray(image.convert("1").tobytes("raw")) for image in images]
    for buffer in buffers:
        for i in range(len(buffer)):
            buffer[i] ^= 0xFF
    for i in range(len(buffers[0])):
        buffers[0][i] ^= 0xFF  # display turns this one back
    assert (black, inverted) == tuple(map(bytes, buffers))
    region = np.array([1, 0, 2])[indices]  # its numbers of black, white and red
    assert black == np.packbits(np.where(region == 1, 0, 1)).tobytes()
    assert inverted == np.packbits(np.where(region == 2, 1, 0)).tobytes()


@needs_compiler
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


@needs_compiler
def test_a_program_that_draws_as_the_driver_does_finds_the_same_planes(tmp_path):
    """GxEPD2_3C.h, drawPixel, compiled with the arrays included."""
    preset, indices = PRESETS["bwr"], picture(3, (6, 21))
    (tmp_path / "a.h").write_bytes(encode(indices, preset.device, "c-planes", stem="a"))
    (tmp_path / "main.c").write_text(DRAWN % ",".join(map(str, indices.ravel())))
    command = ["gcc", "-Wall", "-Werror", "-std=c99", "main.c", "-o", "main"]
    subprocess.run(command, check=True, cwd=tmp_path)
    subprocess.run([tmp_path / "main"], check=True)


DRAWN = """
#include <stdint.h>
#include <string.h>
#include "a.h"
enum { SIZE = (A_WIDTH + 7) / 8 * A_HEIGHT };
static const uint8_t inks[] = {%s};  /* black, white, red */
static uint8_t black[SIZE], color[SIZE];
int main(void) {
  for (int y = 0; y < A_HEIGHT; y++)
    for (int x = 0; x < A_WIDTH + (8 - A_WIDTH %% 8) %% 8; x++) {
      int ink = x < A_WIDTH ? inks[y * A_WIDTH + x] : 1;
      uint32_t i = x / 8 + (uint32_t)y * ((A_WIDTH + 7) / 8);
      black[i] = (black[i] | (1 << (7 - x %% 8)));
      color[i] = (color[i] | (1 << (7 - x %% 8)));
      if (ink == 0) black[i] = (black[i] & (0xFF ^ (1 << (7 - x %% 8))));
      else if (ink == 2) color[i] = (color[i] & (0xFF ^ (1 << (7 - x %% 8))));
    }
  return sizeof a_black != SIZE || sizeof a_red != SIZE || memcmp(black, a_black, SIZE) ||
         memcmp(color, a_red, SIZE);
}
"""


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
    with pytest.raises(FileError, match="1 bit does not hold 4 greys"):
        encode(picture(4), greys(2), "grey1")
    result = fg.dither(np.zeros((4, 4), np.uint8), preset="bw")
    with pytest.raises(ValueError, match="format must be one of"):
        result.save(tmp_path / "a.bin", format="raws")
    assert not list(tmp_path.iterdir())
