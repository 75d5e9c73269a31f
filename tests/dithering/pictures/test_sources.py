"""Rows of arrays and of files that Pillow decodes."""

import io
import os
from pathlib import Path

import numpy as np
import pytest

from fastgrad.dithering.pictures import sources
from fastgrad.dithering.pictures.images import FileError, Picture
from fastgrad.dithering.pictures.sources import ArraySource, PillowSource, Stamp

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 256, (30, 20, 3), np.uint8)


def check(source, values, alpha=None):
    """Any part of a source is that part of the whole."""
    assert source.shape == values.shape[:2]
    height = source.shape[0]
    for box in ((0, height, 0, None), (3, 9, 0, None), (2, 3, 4, 11), (height - 1, height, 1, 2)):
        part = source.read(*box)
        here = slice(*box[:2]), slice(*box[2:])
        expected = values[here]
        if part.values.ndim == 2:
            expected = expected[..., 0]
        np.testing.assert_array_equal(part.values, expected)
        if alpha is None:
            assert part.alpha is None
        elif part.alpha is not None:
            np.testing.assert_array_equal(part.alpha, alpha[here])
        else:
            assert (alpha[here] == 255).all()


def file_of(image, kind="PNG", **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def test_arrays():
    check(ArraySource(VALUES), VALUES)
    check(ArraySource(VALUES[..., :1]), VALUES)
    check(ArraySource(np.dstack([VALUES, VALUES[..., 0]])), VALUES, VALUES[..., 0])
    check(ArraySource(VALUES > 100), (VALUES > 100) * np.uint8(255))
    check(ArraySource(VALUES.astype(np.int64)), VALUES)
    deep = VALUES.astype(np.uint16) * 257
    source = ArraySource(deep)
    assert not source.eight_bits
    check(source, deep / np.float32(65535))


@pytest.mark.parametrize("shape", [(0, 3), (3,), (3, 3, 5), (3, 3, 3, 3)])
def test_shapes_that_are_no_picture(shape):
    with pytest.raises(ValueError, match="image must have shape"):
        ArraySource(np.zeros(shape))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_file_is_turned_upright_as_far_as_it_is_read(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Picture(file_of(Image.fromarray(VALUES), exif=exif))
    (whole,) = picture.frames()
    with PillowSource.opened(picture) as source:
        check(source, whole.values)
    stored = sources.stored_box(orientation, whole.values.shape[:2], (2, 9, 3, 5))
    part = VALUES[stored[0] : stored[1], stored[2] : stored[3]]
    np.testing.assert_array_equal(sources.upright(part, orientation), whole.values[2:9, 3:5])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_modes(mode):
    image = Image.fromarray(VALUES)
    if mode == "I;16":
        image = Image.fromarray(VALUES[..., 0].astype(np.uint16) * 250)
    elif mode in ("RGBA", "LA"):
        image = Image.fromarray(np.dstack([VALUES, VALUES[..., 1]])).convert(mode)
    else:
        image = image.convert(mode)
    picture = Picture(file_of(image, "TIFF" if mode == "CMYK" else "PNG"))
    (whole,) = picture.frames()
    with PillowSource.opened(picture) as source:
        assert source.eight_bits == (whole.values.dtype == np.uint8)
        assert source.opaque == (whole.alpha is None)
        check(source, whole.values, whole.alpha)


def test_a_file_that_is_cut_short_or_changes(tmp_path):
    path = tmp_path / "a.png"
    data = file_of(Image.fromarray(VALUES))
    path.write_bytes(data)
    picture = Picture(path)
    path.write_bytes(data[:900])
    with pytest.raises(FileError, match="cannot read"), PillowSource.opened(picture):
        pass
    path.write_bytes(file_of(Image.fromarray(VALUES[:20])))
    with pytest.raises(FileError, match="has changed"), PillowSource.opened(picture):
        pass
    stamp = Stamp.of(path)
    stamp.check(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(FileError, match="has changed"):
        stamp.check(path)
    with pytest.raises(FileError, match="No such file"):
        stamp.check(Path(tmp_path, "b.png"))
