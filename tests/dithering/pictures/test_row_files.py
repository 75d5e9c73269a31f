"""Indexed files that are written strip by strip."""

import errno

import numpy as np
import pytest

from fastgrad.dithering.pictures import row_files
from fastgrad.dithering.pictures.images import FileError

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
INDICES = RNG.integers(0, 5, (600, 31), np.uint8)
PALETTE = RNG.integers(0, 256, (5, 3), np.uint8)


def strips(rows=100):
    return (INDICES[top : top + rows] for top in range(0, 600, rows))


def test_png(tmp_path):
    path = tmp_path / "a.png"
    row_files.write_rows(path, strips(), (600, 31), PALETTE)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), PALETTE[INDICES])


@pytest.mark.parametrize("rows", [1, 100, 256, 600])
def test_tiff(tmp_path, rows):
    pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    row_files.write_rows(path, strips(rows), (600, 31), PALETTE)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), PALETTE[INDICES])
    clear = np.uint8([255, 255, 255, 255, 0])
    with pytest.raises(FileError, match="no opacity"):
        row_files.write_rows(path, strips(), (600, 31), PALETTE, clear)


@pytest.mark.optional
def test_zarr(tmp_path):
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    row_files.write_rows(path, strips(), (600, 31), PALETTE)
    found = zarr.open_array(str(path), mode="r")
    np.testing.assert_array_equal(found[:], INDICES)
    assert found.attrs["palette"] == PALETTE.tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("ending", [".png", ".tif", ".zarr"])
def test_nothing_is_left_of_what_could_not_be_written(tmp_path, ending):
    pytest.importorskip({".tif": "tifffile", ".zarr": "zarr"}.get(ending, "numpy"))

    def full():
        yield INDICES[:300]
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / f"a{ending}"
    with pytest.raises(FileError, match=r"cannot write .*: No space left on device"):
        row_files.write_rows(path, full(), (600, 31), PALETTE)
    assert not list(tmp_path.iterdir())
