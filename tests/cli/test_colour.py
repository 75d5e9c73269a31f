"""Colours from file to file: what the command writes is read back by Pillow."""

import os
import struct

import numpy as np
import pytest
from png_files import P3, cicp, flat, gama, icc, iccp, png

from fastgrad import cli

Image = pytest.importorskip("PIL.Image")
ImageCms = pytest.importorskip("PIL.ImageCms")
GREY, RED = flat((128, 128, 128)), flat((200, 60, 60))
LINEAR = ("Linear sRGB (D50 adapted)", b"RGB "), ("Linear Gray", b"GRAY")
DENSE = b"pHYs", struct.pack(">IIB", 11811, 11811, 1)


def dithered(folder, data, *options):
    """The colours left and right of what the command makes of a picture of two colours."""
    (folder / "a.png").write_bytes(data)
    before = os.getcwd()
    os.chdir(folder)
    try:
        command = ["dither", "a.png", "-o", "b.png", "-k", "2", "--speed", "10", *options]
        assert cli.main(command) == 0
    finally:
        os.chdir(before)
    with Image.open(folder / "b.png") as image:
        shown = np.asarray(image.convert("RGBA")).astype(int)[..., :3]
        return shown[16, 8].tolist(), shown[16, -8].tolist(), image.info


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(GREY, [gama(1.0)]), ((188,) * 3, (137,) * 3)),
        (png(RED, [gama(0.45455), P3]), ((219, 37, 49), (109, 13, 19))),
        (png(RED, [cicp(12, 13)]), ((217, 42, 52), (109, 22, 27))),
        (png(GREY, [cicp(1, 8)]), ((188,) * 3, (137,) * 3)),
        (png(GREY, [iccp(icc(*LINEAR[0]))]), ((188,) * 3, (137,) * 3)),
        (png(flat((128, 255)), [iccp(icc(*LINEAR[1]))], color_type=4), ((188,) * 3, None)),
        (
            png(flat((32896,), np.uint16), [iccp(icc(*LINEAR[1]))], color_type=0),
            ((188,) * 3, (137,) * 3),
        ),
    ],
)
def test_colours_as_a_file_describes_them(tmp_path, data, expected):
    for found, right in zip(dithered(tmp_path, data), expected):
        if right is not None:
            assert np.abs(np.subtract(found, right)).max() <= 1


def test_metadata_reaches_the_output(tmp_path):
    left, right, info = dithered(tmp_path, png(RED, [DENSE, (b"tEXt", b"Title\0red")]))
    assert (left, right) == ([200, 60, 60], [100, 30, 30])
    assert info["dpi"] == pytest.approx((300, 300), abs=0.01)
    assert info["Title"] == "red"
    assert "gamma" not in info
    assert "icc_profile" not in info


def test_8_and_16_bits_give_the_same_file(tmp_path):
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (20, 1))[..., None]
    written = []
    for values in (ramp, ramp.astype(np.uint16) * 257):
        dithered(tmp_path, png(values, color_type=0), "-k", "4")
        written.append((tmp_path / "b.png").read_bytes())
    assert written[0] == written[1]
