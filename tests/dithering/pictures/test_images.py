"""Picture files: their frames, colour spaces and opacity; writing all or nothing."""

import io
import struct
import zlib

import numpy as np
import pytest

from fastgrad.dithering.pictures import images

Image = pytest.importorskip("PIL.Image")
ImageCms = pytest.importorskip("PIL.ImageCms")
RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 256, (12, 17, 3)).astype(np.uint8)


def stored(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def only(source):
    (frame,) = images.Picture(source).frames()
    return frame


def test_a_file_and_its_bytes_are_read_alike(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(stored(Image.fromarray(VALUES)))
    for source in (path, path.read_bytes()):
        picture = images.Picture(source)
        assert (picture.width, picture.height, picture.count) == (17, 12, 1)
        assert picture.format == "PNG"
        (frame,) = picture.frames()
        np.testing.assert_array_equal(frame.values, VALUES)
        assert frame.values.dtype == np.uint8
        assert frame.alpha is None
        (again,) = picture.frames()
        np.testing.assert_array_equal(again.values, VALUES)
    assert picture.name == "standard input"


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_modes_are_those_of_pillow(mode):
    image = Image.fromarray(VALUES).convert(mode)
    data = stored(image, "TIFF")
    try:
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except OSError as error:
        pytest.skip(f"Pillow cannot read what it has written: {error}")
    np.testing.assert_allclose(only(data).values, expected, atol=1)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bits_are_kept(form):
    grey = RNG.integers(0, 65536, (9, 7)).astype(np.uint16)
    frame = only(stored(Image.fromarray(grey), form))
    assert frame.values.shape == (9, 7, 3)
    assert frame.values.dtype == np.float32
    for channel in range(3):
        np.testing.assert_allclose(frame.values[..., channel] * 65535, grey, atol=0.01)


def test_opacity_of_all_kinds():
    alpha = RNG.integers(0, 256, (12, 17)).astype(np.uint8)
    rgba = Image.fromarray(np.dstack([VALUES, alpha]))
    frame = only(stored(rgba))
    np.testing.assert_array_equal(frame.alpha, alpha)
    np.testing.assert_array_equal(frame.values, VALUES)
    grey = Image.fromarray(np.dstack([VALUES[..., 0], alpha]), "LA")
    np.testing.assert_array_equal(only(stored(grey)).alpha, alpha)
    opaque = Image.fromarray(np.dstack([VALUES, np.full_like(alpha, 255)]))
    assert only(stored(opaque)).alpha is None


def test_an_indexed_picture_with_a_transparent_colour():
    indices = RNG.integers(0, 4, (12, 17)).astype(np.uint8)
    image = Image.frombytes("P", (17, 12), indices.tobytes())
    image.putpalette(VALUES[0, :4].tobytes())
    for form, transparency, opacity in (
        ("PNG", 2, [255, 255, 0, 255]),
        ("GIF", 2, [255, 255, 0, 255]),
        ("PNG", bytes([9, 255, 0, 77]), [9, 255, 0, 77]),
    ):
        frame = only(stored(image, form, transparency=transparency))
        np.testing.assert_array_equal(frame.alpha, np.uint8(opacity)[indices])
        seen = frame.alpha > 0
        np.testing.assert_array_equal(frame.values[seen], VALUES[0, :4][indices][seen])


def test_a_transparent_grey_of_16_bits():
    grey = np.array([[0, 1000, 65535]], np.uint16)
    frame = only(stored(Image.fromarray(grey), transparency=1000))
    assert frame.alpha.tolist() == [[255, 0, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = stored(Image.fromarray(VALUES), exif=exif)
    picture = images.Picture(data)
    (frame,) = picture.frames()
    assert frame.values.shape == (picture.height, picture.width, 3)
    turns = {1: VALUES, 2: VALUES[:, ::-1], 3: VALUES[::-1, ::-1], 4: VALUES[::-1]}
    turns[5] = VALUES.swapaxes(0, 1)
    turns |= {6: turns[5][:, ::-1], 7: turns[5][::-1, ::-1], 8: turns[5][::-1]}
    np.testing.assert_array_equal(frame.values, turns[orientation])


def test_a_colour_profile_is_applied():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(VALUES)
    np.testing.assert_array_equal(only(stored(image, icc_profile=srgb)).values, VALUES)
    other = srgb.replace(b"sRGB", b"none").replace(
        "sRGB".encode("utf-16-be"), "none".encode("utf-16-be")
    )
    other = other.replace(b"rXYZ", b"TEMP").replace(b"gXYZ", b"rXYZ").replace(b"TEMP", b"gXYZ")
    assert len(other) == len(srgb)
    for mode in ("RGB", "RGBA", "P"):
        colour = Image.new("RGB", (4, 4), (250, 20, 90)).convert(mode)
        red, green, blue = np.asarray(colour.convert("RGB"))[0, 0]
        found = only(stored(colour, icc_profile=other)).values[0, 0]
        np.testing.assert_allclose(found, [green, red, blue], atol=2)  # it calls red green
    broken = only(stored(image, icc_profile=other[:200])).values
    np.testing.assert_array_equal(broken, VALUES)


def test_pages_are_no_animation():
    pages = [Image.fromarray(VALUES), Image.fromarray(255 - VALUES)]
    for form in ("TIFF", "MPO"):
        picture = images.Picture(stored(pages[0], form, save_all=True, append_images=pages[1:]))
        assert picture.count == 1
        assert picture.pages == {"TIFF": 2, "MPO": 1}[form]
        assert len(list(picture.frames())) == 1


def test_frames_of_an_animation():
    shown = [Image.fromarray(np.roll(VALUES, i, axis=1)) for i in range(3)]
    options = {"save_all": True, "append_images": shown[1:], "duration": [20, 40, 60]}
    for default in (False, True):
        data = stored(shown[0], default_image=default, loop=2, **options)
        picture = images.Picture(data)
        first = int(default)  # which is for programs that know no animations
        assert (picture.count, picture.plays) == (3 - first, 2)
        found = list(picture.frames())
        for frame, image in zip(found, shown[first:]):
            np.testing.assert_array_equal(frame.values, np.asarray(image))
        if not default:
            assert [frame.duration for frame in found] == [20, 40, 60]


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "AVIF"])
def test_every_animation_keeps_its_speed(form):
    Image.init()
    if form not in Image.SAVE_ALL:
        pytest.skip(f"Pillow was built without {form}")
    shown = [Image.fromarray(np.roll(VALUES, 3 * i, axis=1)) for i in range(3)]
    options = {"save_all": True, "append_images": shown[1:], "duration": 80}
    found = list(images.Picture(stored(shown[0], form, **options)).frames())
    assert [frame.duration for frame in found] == [80, 80, 80]


def damage(data):
    """What is said of damaged data; None if they are read all the same."""
    try:
        for frame in images.Picture(data).frames():
            assert frame.values.ndim == 3
    except images.FileError as error:
        return str(error)
    return None


@pytest.mark.parametrize("form", ["PNG", "GIF", "JPEG", "TIFF", "WEBP", "BMP"])
def test_any_damage_is_one_clear_line(form):
    data = bytearray(stored(Image.fromarray(np.tile(VALUES, (9, 9, 1))), form))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        bad = bytearray(data)
        if seed % 2:
            bad = bad[: rng.integers(0, len(bad))]
        else:
            for place in rng.integers(0, len(bad), 1 + seed % 7):
                bad[place] = rng.integers(0, 256)
        message = damage(bytes(bad))
        assert message is None or ("standard input" in message and "\n" not in message)


@pytest.mark.parametrize("form", ["EPS", "PDF", "text"])
def test_only_raster_formats_are_read(form):
    data = stored(Image.fromarray(VALUES), form) if form != "text" else b"GIMP Palette\n"
    with pytest.raises(images.FileError, match="not an image that Pillow can read"):
        images.Picture(data)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"%PDF-1.7\n", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
    ],
)
def test_drawings_get_a_sentence(start, kind, tmp_path):
    (tmp_path / "a.png").write_bytes(start)
    for source in (start, tmp_path / "a.png"):
        with pytest.raises(images.FileError, match=rf": it is {kind}: export it as a PNG$"):
            images.Picture(source)


def test_formats_are_those_of_pillow():
    Image.init()
    assert set(images.FORMATS) - {"AVIF"} <= set(Image.OPEN)
    assert not {"EPS", "WMF", "HDF5", "FITS"} & set(images.FORMATS)


def test_frames_are_limited(monkeypatch):
    monkeypatch.setattr(images, "MAX_FRAMES", 4)
    frames = [Image.new("L", (1, 1), 20 * i) for i in range(5)]
    for count in (4, 5):
        data = stored(frames[0], "GIF", save_all=True, append_images=frames[1:count], duration=20)
        if count == 4:
            assert images.Picture(data).count == 4
        else:
            with pytest.raises(images.FileError, match="more than 4 frames: standard input"):
                images.Picture(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_picture_is_decoded_smaller(form, orientation, monkeypatch):
    y, x = np.mgrid[:240, :320]
    values = np.stack([x // 2, y, 255 - x // 2], axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = stored(Image.fromarray(values), form, exif=exif)
    upright = values if orientation == 1 else values.swapaxes(0, 1)[:, ::-1]
    size = (40, 30) if orientation == 1 else (30, 40)
    (whole,) = images.Picture(data).frames(size)
    assert whole.values.shape == upright.shape
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    (frame,) = images.Picture(data).frames(size)
    assert frame.values.shape == (2 * size[1], 2 * size[0], 3)
    box = upright.reshape(2 * size[1], 4, 2 * size[0], 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(frame.values, box, atol=4)
    (frame,) = images.Picture(data).frames((300, 300))  # nothing to gain
    assert frame.values.shape == upright.shape


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_modes_of_a_large_picture(mode, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    grey = np.full((80, 80), 200, np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey if mode != "1" else grey + 55).convert(mode)
    (frame,) = images.Picture(stored(image, "TIFF" if mode == "CMYK" else "PNG")).frames((20, 20))
    assert frame.values.shape == (40, 40, 3)
    expected = 255 if mode == "1" else 200 if frame.values.dtype == np.uint8 else 200 / 255
    np.testing.assert_allclose(frame.values, expected, atol=1)


@pytest.mark.parametrize("photometric", [0, 1])
def test_dark_greys_of_a_large_picture(photometric, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 60 // 3)
    grey = np.full((40, 60), 200, np.uint16)  # of 65535
    shown = 65535 - grey if photometric == 0 else grey
    data = stored(Image.fromarray(shown), "TIFF", tiffinfo={262: photometric})
    (frame,) = images.Picture(data).frames((10, 7))
    assert frame.values.shape[0] < 40
    np.testing.assert_allclose(frame.values, 200 / 65535, atol=1e-5)


def test_what_is_transparent_adds_no_colour_to_a_large_picture(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    rgba = np.zeros((80, 80, 4), np.uint8)
    rgba[::2] = [200, 100, 50, 255]
    (frame,) = images.Picture(stored(Image.fromarray(rgba))).frames((20, 20))
    np.testing.assert_allclose(frame.alpha, 128, atol=1)
    np.testing.assert_allclose(frame.values, np.broadcast_to([200, 100, 50], (40, 40, 3)), atol=2)


def test_a_file_that_lies_about_its_size_is_refused_before_it_is_decoded(monkeypatch):
    data = bytearray(stored(Image.new("L", (64, 64)), "PNG"))
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(images.TooManyPixels):
        images.Picture(bytes(data))
    with pytest.raises(images.FileError, match="bytes cannot hold 20000 x 20000 pixels"):
        images.Picture(bytes(data), largest=1 << 29)
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    for mode in ("L", "1", "RGB", "RGBA", "P"):  # as empty as can be, but true
        assert images.Picture(stored(Image.new(mode, (2000, 2000)), "PNG")).width == 2000
    for options in ({"quality": 1}, {"quality": 1, "progressive": True}):
        assert (
            images.Picture(stored(Image.new("RGB", (2000, 2000)), "JPEG", **options)).width == 2000
        )
    monkeypatch.setattr(images, "MAX_DECODED", 200)
    with pytest.raises(images.TooManyPixels, match="more than 200 pixels"):
        images.Picture(stored(Image.new("L", (90, 90)), "BMP"), largest=10_000)
