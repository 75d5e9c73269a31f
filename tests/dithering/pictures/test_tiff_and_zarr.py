"""TIFF and Zarr, as tifffile and zarr write them."""

import numpy as np
import pytest

from fastgrad.dithering.pictures.images import FileError
from fastgrad.dithering.pictures.tiff_and_zarr import opened_tiff, opened_zarr

RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 256, (300, 200, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (300, 200, 3), np.uint16)
BOXES = ((0, 300, 0, None), (100, 299, 0, None), (17, 33, 40, 61), (299, 300, 0, 1))


def check(source, values, alpha=None):
    assert source.shape == values.shape[:2]
    for box in BOXES:
        part = source.read(*box)
        here = slice(*box[:2]), slice(*box[2:])
        np.testing.assert_array_equal(part.values, values[here])
        assert (part.alpha is None) == (alpha is None)
        if alpha is not None:
            np.testing.assert_array_equal(part.alpha, alpha[here])


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("layout", [{"tile": (64, 48)}, {"rowsperstrip": 7}, {}])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiffs(tmp_path, bigtiff, layout, compression):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    options = {"compression": compression, **layout}
    tifffile.imwrite(path, VALUES, photometric="rgb", bigtiff=bigtiff, **options)
    with opened_tiff(path) as source:
        assert source.eight_bits
        check(source, VALUES)
    tifffile.imwrite(path, DEEP, photometric="rgb", bigtiff=bigtiff, **options)
    with opened_tiff(path) as source:
        assert not source.eight_bits
        check(source, (DEEP / 65535).astype(np.float32))


def test_kinds_of_tiff(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path, grey, alpha = tmp_path / "a.tif", VALUES[..., 0], VALUES[..., 1]
    tifffile.imwrite(path, grey, photometric="minisblack", tile=(64, 48))
    with opened_tiff(path) as source:
        check(source, grey)
    tifffile.imwrite(path, grey, photometric="miniswhite", rowsperstrip=9)
    with opened_tiff(path) as source:
        check(source, 255 - grey)
    table = RNG.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(path, grey, photometric="palette", colormap=table)
    with opened_tiff(path) as source:
        check(source, (table.T[grey] // 257).astype(np.uint8))
    four = np.dstack([VALUES, alpha])
    tifffile.imwrite(path, four, photometric="rgb", extrasamples=["unassalpha"], tile=(32, 32))
    with opened_tiff(path) as source:
        assert not source.opaque
        check(source, VALUES, alpha)
    turned = [(274, "H", 1, 6, False)]
    tifffile.imwrite(path, VALUES, photometric="rgb", extratags=turned, rowsperstrip=16)
    with opened_tiff(path) as source:
        upright = np.rot90(VALUES, -1)
        assert source.shape == (200, 300)
        np.testing.assert_array_equal(source.read(5, 150).values, upright[5:150])
    tifffile.imwrite(path, VALUES.astype(np.float32), photometric="rgb")
    with pytest.raises(FileError, match="its values are 32 bits of float32"), opened_tiff(path):
        pass


def test_damaged_tiffs(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    with pytest.raises(FileError, match="No such file"), opened_tiff(path):
        pass
    path.write_bytes(b"II*")
    with pytest.raises(FileError, match="cannot read"), opened_tiff(path):
        pass
    tifffile.imwrite(path, VALUES, photometric="rgb", rowsperstrip=16, compression="zlib")
    data = path.read_bytes()
    path.write_bytes(data[:-2000])
    with opened_tiff(path) as source, pytest.raises(FileError, match="cut short"):
        source.read(0, 300)
    path.write_bytes(data[:5000] + bytes(100) + data[5100:])
    with opened_tiff(path) as source, pytest.raises(FileError, match="cannot read"):
        source.read(0, 300)
    with opened_tiff(path) as source:
        path.write_bytes(data + b"more")
        with pytest.raises(FileError, match="has changed"):
            source.read(0, 10)


@pytest.mark.optional
def test_zarrs(tmp_path):
    zarr = pytest.importorskip("zarr")
    for values in (VALUES, VALUES[..., 0], DEEP / np.float32(65535)):
        path = tmp_path / "a.zarr"
        chunks = (64, 48, 3)[: values.ndim]
        zarr.create_array(str(path), data=np.asarray(values), chunks=chunks, overwrite=True)
        with opened_zarr(path) as source:
            check(source, values)
    group = zarr.create_group(str(tmp_path / "b.zarr"))
    group.create_array("0", data=VALUES)
    with opened_zarr(tmp_path / "b.zarr") as source:
        check(source, VALUES)
    chunk = next(p for p in (tmp_path / "a.zarr").rglob("c/*/*/*") if p.is_file())
    chunk.write_bytes(b"nonsense")
    with opened_zarr(tmp_path / "a.zarr") as source, pytest.raises(FileError, match="cannot read"):
        source.read(0, 300)
    with pytest.raises(FileError, match="cannot read"), opened_zarr(tmp_path / "c.zarr"):
        pass
