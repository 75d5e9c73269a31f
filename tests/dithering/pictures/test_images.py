"""Picture files: their frames, colour spaces and opacity; writing all or nothing."""

import io
import os
from pathlib import Path

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


def test_replace_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    images.replace(b"first", path)
    images.replace(b"second", path)
    assert path.read_bytes() == b"second"

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(images.FileError, match=r"cannot write .*a\.png: No space left"):
        images.replace(b"third", path)
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.png"]


def test_targets_are_checked(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    (tmp_path / "b.png").mkdir()
    images.check_targets([path, tmp_path / "new.png"])
    for target, source, message in (
        (path, path, "would replace the input"),
        (tmp_path / "b.png", None, "is a directory"),
        (tmp_path / "none" / "a.png", None, "no such directory"),
        (tmp_path / "a.jpg", None, r"must end in \.png: "),
    ):
        with pytest.raises(images.FileError, match=message):
            images.check_targets([target], source)
    with pytest.raises(images.FileError, match=r"must end in \.png, \.gif or \.x: "):
        images.check_targets([Path("a.y")], endings=(".png", ".gif", ".x"))


def test_write_makes_a_png(tmp_path):
    images.write(Image.fromarray(VALUES), tmp_path / "a.png")
    np.testing.assert_array_equal(only(tmp_path / "a.png").values, VALUES)
