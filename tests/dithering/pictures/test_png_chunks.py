"""Chunks of PNG files, which Pillow and pngcheck read back."""

import io
import shutil
import struct
import subprocess

import numpy as np
import pytest
from png_files import few_bits, flat, png

from fastgrad.dithering.pictures import frames, images, png_chunks, sources

Image = pytest.importorskip("PIL.Image")
RED = flat((200, 60, 60))
DENSE = b"pHYs", struct.pack(">IIB", 11811, 11811, 1)
TEXT = b"tEXt", b"Title\0A red field"
XMP = b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta/>"


def kept(source):
    return images.Picture(source).metadata


def stored(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_density_and_texts_are_kept(tmp_path):
    raw = b"zTXt", b"Raw profile type exif\0\0x"
    found = kept(png(RED, [DENSE, TEXT, XMP, raw, (b"gAMA", b"\0\0\0\1")]))
    assert found == (DENSE, TEXT)
    data = png_chunks.insert(stored(Image.fromarray(RED)), found)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert image.info["Title"] == "A red field"
        np.testing.assert_array_equal(np.asarray(image), RED)
    if shutil.which("pngcheck"):
        path = tmp_path / "a.png"
        path.write_bytes(data)
        assert subprocess.run(["pngcheck", "-q", path], check=False).returncode == 0


def test_texts_after_the_pixels_and_damaged_chunks():
    data = png(RED, [DENSE])
    end = png_chunks.insert(data[:33], [TEXT])[33:]
    assert kept(data[:-12] + end + data[-12:]) == (DENSE, TEXT)
    bad = png_chunks.insert(data, [(b"tEXt", b"Other\0text")]).replace(b"Other", b"other")
    assert list(png_chunks.read(io.BytesIO(bad), [b"pHYs", b"tEXt"])) == [DENSE]
    long = b"tEXt", b"Title\0" + b"x" * 70000
    assert kept(png(RED, [long])) == ()
    whole = png(RED, [DENSE, TEXT])
    for size in range(0, len(whole), 7):
        found = list(png_chunks.read(io.BytesIO(whole[:size]), [b"pHYs", b"tEXt"]))
        assert found == [DENSE, TEXT][: len(found)]
    assert list(png_chunks.read(io.BytesIO(b"GIF89a"), [b"pHYs"])) == []


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "BMP", "PNG"])
def test_density_of_all_formats(form):
    source = stored(Image.fromarray(RED), form, dpi=(300, 150))
    data = png_chunks.insert(stored(Image.fromarray(RED)), kept(source))
    assert Image.open(io.BytesIO(data)).info["dpi"] == pytest.approx((300, 150), abs=0.02)


def test_density_without_a_unit_and_of_a_turned_picture():
    shape = b"pHYs", struct.pack(">IIB", 2, 1, 0)
    data = png_chunks.insert(stored(Image.fromarray(RED)), kept(png(RED, [shape])))
    assert Image.open(io.BytesIO(data)).info["aspect"] == (2, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    source = stored(Image.fromarray(RED), dpi=(300, 150), exif=exif)
    (chunk,) = kept(source)
    assert struct.unpack(">IIB", chunk[1]) == (5906, 11811, 1)


@pytest.mark.parametrize(
    "dpi", [None, (0, 0), (-1, 72), (float("nan"),) * 2, (float("inf"),) * 2, 72, (1e12, 1), "ab"]
)
def test_densities_that_make_no_sense(dpi):
    assert png_chunks.density(dpi) == []


def test_chunks_of_images_that_are_no_longer_files():
    image = Image.open(io.BytesIO(png(RED, [DENSE])))
    assert png_chunks.of_image(image, [b"pHYs"]) == [DENSE]
    place = image.fp.tell()
    assert png_chunks.of_image(image, [b"pHYs"], until=b"IDAT") == [DENSE]
    assert image.fp.tell() == place
    image.load()
    assert png_chunks.of_image(image, [b"pHYs"]) == []
    assert png_chunks.of_image(Image.new("L", (2, 2)), [b"pHYs"]) == []


@pytest.mark.parametrize(("depth", "above"), [(1, 0), (2, 0), (4, 0), (2, 0xFF00), (4, 0xFF00)])
def test_a_transparent_grey_of_few_bits(depth, above, monkeypatch):
    step, top = 255 // (2**depth - 1), 2**depth - 1
    values = np.random.default_rng(0).integers(0, 2**depth, (60, 50)).astype(np.uint8)
    for clear in {0, 1, top - 1, top}:
        data = few_bits(values, depth, [(b"tRNS", struct.pack(">H", clear | above))])
        opacity = np.where(values == clear, 0, 255)
        picture = images.Picture(data)
        (frame,) = picture.frames()
        np.testing.assert_array_equal(frame.values[..., 0], values * step)
        np.testing.assert_array_equal(frame.alpha, opacity)
        given = Image.open(io.BytesIO(data))
        for _ in range(2):  # an image that has been used once is no longer a file
            np.testing.assert_array_equal(frames.from_pil(given).alpha, frame.alpha)
        with sources.PillowSource.opened(picture) as source:
            np.testing.assert_array_equal(source.read(3, 9, 5, 20).alpha, opacity[3:9, 5:20])
        with monkeypatch.context() as patch:
            patch.setattr(images, "MAX_PIXELS", 1000)
            (small,) = picture.frames((12, 15))
        mean = opacity.reshape(30, 2, 25, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(small.alpha, mean, atol=1)
