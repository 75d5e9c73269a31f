"""Comparison sheets, previews, tables, and the other tools they show."""

import numpy as np
import pytest

from fastgrad.dithering.metrics.psnr_and_ssim import psnr
from fastgrad.dithering.pictures import other_tools, report, sheets

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


def gradient(height, width):
    y, x = np.mgrid[:height, :width]
    values = np.stack([255 * x / width, 255 * y / height, 128 + 0 * x], axis=-1)
    return values.astype(np.uint8)


def test_a_sheet_shows_the_whole_and_crops_pixel_for_pixel():
    first = gradient(300, 400)
    first[:128, 150:280] = RNG.integers(0, 256, (128, 130, 3))  # all the detail
    second = 255 - first
    sheet = np.asarray(sheets.comparison({"one": first, "two": second}))
    width = 128 * 4
    assert sheet.shape[1] == 2 * (width + 8) + 8
    bottom = sheet.shape[0] - 8
    for column, values in enumerate((first, second)):
        left = 8 + column * (width + 8)
        smooth, detail = (
            sheet[bottom - 512 : bottom, left : left + width],
            sheet[bottom - 2 * 512 - 8 : bottom - 512 - 8, left : left + width],
        )
        whole = sheet[bottom - 2 * 520 - 300 : bottom - 2 * 520, left : left + 400]
        np.testing.assert_array_equal(whole, values)
        for crop in (smooth, detail):
            small = crop[::4, ::4]
            np.testing.assert_array_equal(crop, small.repeat(4, axis=0).repeat(4, axis=1))
            windows = np.lib.stride_tricks.sliding_window_view(values, (128, 128), (0, 1))
            places = (windows[:, :, 0, 64, 64] == small[64, 64, 0]) & (
                windows[:, :, 1, 64, 64] == small[64, 64, 1]
            )
            found = [
                np.array_equal(values[y : y + 128, x : x + 128], small)
                for y, x in np.argwhere(places)
            ]
            assert any(found)
        assert psnr(detail[::4, ::4], values[:128, 136:264], linear=False) > 3
    assert np.ptp(np.diff(sheet[bottom - 512 : bottom, 8 : 8 + width, 0].astype(int))) <= 4


def test_a_large_picture_is_shrunk_in_linear_light():
    board = np.repeat((np.indices((1000, 2000)).sum(axis=0) % 2 * 255)[..., None], 3, axis=2)
    sheet = np.asarray(sheets.comparison({"board": board.astype(np.uint8)}))
    assert sheet.shape[1] == 512 + 16
    top = int(np.argmax((sheet[:, 20] < 255).any(axis=1)))
    np.testing.assert_allclose(sheet[top + 100 : top + 120, 100:120], 188, atol=12)


def test_a_small_picture_has_no_crops():
    sheet = sheets.comparison({"dot": gradient(1, 1), "other": gradient(1, 1)})
    assert sheet.height < 60


def test_half_blocks():
    values = np.uint8([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]], [[0, 0, 0], [9, 9, 9]]])
    assert sheets.half_blocks(values, 80, 24) == (
        "\x1b[38;2;1;2;3;48;2;7;8;9m▀\x1b[38;2;4;5;6;48;2;10;11;12m▀\x1b[0m\n"
        "\x1b[38;2;0;0;0m▀\x1b[38;2;9;9;9m▀\x1b[0m\n"
    )
    for columns, rows in ((20, 24), (80, 5), (1, 1)):
        lines = sheets.half_blocks(gradient(50, 300), columns, rows).splitlines()
        assert len(lines) <= rows
        assert max(line.count("▀") for line in lines) <= columns


def test_metrics_of_the_same_picture():
    figures = report.metrics(gradient(20, 30), gradient(20, 30))
    assert list(figures.values()) == pytest.approx([0, 0, *[np.inf] * 3, 1, 1, 1])
    assert all("sRGB" in n or "linear" in n or "CIE" in n for n in figures)
    text = report.table({"a": figures, "a longer name": figures})
    assert len({len(line) for line in text.splitlines() if line.endswith(" *")}) == 1
    assert "inf" in text


@pytest.mark.parametrize("colors", [2, 3, 16, 256])
def test_other_tools(colors):
    values = gradient(40, 50)
    for name, rival in other_tools.RIVALS.items():
        picture = rival(values, colors)
        if name == "imagequant" and picture is None:
            continue
        assert picture.shape == values.shape
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) <= colors
        assert psnr(picture, values, sigma=3, linear=False) > 14


def test_pillow_with_a_palette_uses_no_other_colour():
    palette = np.uint8([[255, 0, 0], [0, 255, 0], [255, 255, 255]])
    picture = other_tools.pillow(gradient(40, 50), 16, palette)
    assert {tuple(c) for c in picture.reshape(-1, 3)} <= {tuple(c) for c in palette}
    assert other_tools.imagequant(gradient(40, 50), 16, palette) is None
