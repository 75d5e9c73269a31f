"""Figures side by side."""

import io

import numpy as np
from PIL import Image

from fastgrad.dithering.metrics import psnr_and_ssim, s_cielab_and_flip
from fastgrad.dithering.pictures import report

LOW = "FLIP, mean, of sRGB values at 67 pixels per degree, low is good"


def figures(low, high, seconds):
    return {LOW: low, "SSIM, sRGB values": high, "seconds": seconds}


def test_the_best_of_each_line_is_marked():
    text = report.table({"ours": figures(0.1, 0.5, 2.0), "theirs": figures(0.2, 0.7, 1.0)})
    lines = {line.split("  ")[1] if line[0] == " " else line: line for line in text.splitlines()}
    assert lines[LOW].split()[-3:] == ["0.100", "*", "0.200"]
    assert lines["SSIM, sRGB values"].split()[-3:] == ["0.500", "0.700", "*"]
    assert lines["seconds"].split()[-3:] == ["2.000", "1.000", "*"]
    assert text.splitlines()[-1] == "* the best of its line"


def test_lines_are_in_groups():
    text = report.table({"a": figures(0.1, 0.5, 2.0), "b": figures(0.1, 0.5, 1.0)})
    heads = [line for line in text.splitlines() if line[0] != " "]
    assert heads == ["as seen from afar", "pixel by pixel", "cost", "* the best of its line"]
    assert text.count("0.100 *") == 2  # who is equal is as good


def test_one_alone_is_not_the_best_of_anything():
    assert "*" not in report.table({"a": figures(0.1, 0.5, 2.0)})


def pictures(count):
    """Return a picture, and others of eight colours that are more or less alike."""
    rng = np.random.default_rng(0)
    original = np.add.outer(np.arange(40), 3 * np.arange(50))[..., None] + rng.integers(0, 90, 3)
    noisy = [original + rng.integers(-40, 40, original.shape) for _ in range(count)]
    few = [np.uint8(np.where(np.clip(x, 0, 255) > 127, 200, 60)) for x in noisy]
    return np.uint8(np.clip(original, 0, 255)), few


def test_all_that_judges_say_of_a_picture_is_what_each_says():
    original, (picture, other) = pictures(2)
    assert list(report.metrics(picture, original, ppd=30).values()) == [
        s_cielab_and_flip.s_cielab(picture, original, ppd=30),
        s_cielab_and_flip.flip(picture, original, ppd=30),
        psnr_and_ssim.psnr(picture, original, sigma=1.5),
        psnr_and_ssim.psnr(picture, original, sigma=1.5, linear=False),
        psnr_and_ssim.psnr(picture, original, linear=False),
        psnr_and_ssim.ssim(picture, original),
        psnr_and_ssim.ms_ssim(picture, original),
        psnr_and_ssim.cssim(picture, original),
    ]
    assert report.metrics(picture, original) != report.metrics(other, original)


def test_several_pictures_are_measured_as_one_is_and_the_original_is_looked_at_once(monkeypatch):
    original, (ours, theirs) = pictures(2)
    expected = [report.metrics(picture, original, ppd=30) for picture in (ours, theirs)]
    looked, once = [], s_cielab_and_flip._seen
    monkeypatch.setattr(report, "RIVALS", {"other": lambda *_: theirs})
    monkeypatch.setattr(
        s_cielab_and_flip, "_seen", lambda image, ppd: looked.append(image) or once(image, ppd)
    )
    made = report.against_others(ours, original, colors=8, ppd=30, seconds=2.0)
    assert len(looked) == 3
    assert list(made.figures) == list(made.files) == ["fastgrad", "other"]
    for name, one, picture in zip(made.figures, expected, (ours, theirs)):
        cost = {report.BYTES: len(made.files[name]), report.SECONDS: made.figures[name]["seconds"]}
        assert list(made.figures[name].items()) == list({**one, **cost}.items())
        with Image.open(io.BytesIO(made.files[name])) as image:
            np.testing.assert_array_equal(image.convert("RGB"), picture)
    assert made.figures["fastgrad"]["seconds"] == 2


def test_what_has_more_colours_than_a_palette_has_no_size(monkeypatch):
    original, _ = pictures(0)
    assert len(np.unique(original.reshape(-1, 3), axis=0)) < 256
    many = np.dstack([original[..., :2], np.arange(original[..., 0].size).reshape(40, 50) % 251])
    monkeypatch.setattr(report, "RIVALS", {"other": lambda *_: np.uint8(many)})
    made = report.against_others(original, original, colors=8)
    assert list(made.files) == ["fastgrad"]
    assert np.isnan(made.figures["other"][report.BYTES])


def test_what_has_been_written_is_encoded_again_only_if_it_differs(monkeypatch):
    _, (picture, other) = pictures(2)
    file, encode, calls = report.encoded(picture), report.png.encode, []
    monkeypatch.setattr(report.png, "encode", lambda *a: calls.append(a) or encode(*a))
    report.encoded(picture)
    ((indices,), palette), *_ = calls
    packed = report.png.Packed(indices, palette, b"the file")
    assert report.encoded(picture, packed) == b"the file"
    assert len(calls) == 1
    assert report.encoded(other, packed) == report.encoded(other)
    for changed in (packed._replace(palette=255 - palette), packed._replace(indices=indices[1:])):
        assert report.encoded(picture, changed) == file
