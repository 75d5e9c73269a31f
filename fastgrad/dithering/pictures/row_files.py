"""Indexed pictures as files that are written strip by strip: PNG, TIFF and Zarr."""

from __future__ import annotations

import contextlib
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastgrad._typing import ByteArray
from fastgrad.dithering.pictures import output_files, png_chunks
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.png_rows import png_rows
from fastgrad.dithering.pictures.sources import ROWS

__all__ = ["new_zarr", "write_rows"]

BIG = 1 << 31  # pixels of a TIFF whose places need more than 32 bits


def write_rows(
    path: Path,
    strips: Iterable[ByteArray],
    shape: tuple[int, int],
    palette: ByteArray,
    opacity: ByteArray | None = None,
    *,
    chunks: Iterable[png_chunks.Chunk] = (),
) -> None:
    """Write an indexed picture while its rows come, all of it or nothing.

    Parameters
    ----------
    path : pathlib.Path
        The file, whose ending says the format: ``.png``, ``.tif``, or ``.zarr``, an array of the
        indices with the attributes "palette" and "opacity".
    strips : iterable of array of uint8, shape (rows, width)
        Palette indices, from top to bottom.
    shape : tuple of int
        Height and width of all of it.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque. A TIFF cannot say it.
    chunks : iterable of (type, data), optional
        Chunks for a PNG.

    Raises
    ------
    FileError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.png")
    ...     write_rows(path, [np.zeros((2, 3), np.uint8)], (2, 3), np.zeros((2, 3), np.uint8))
    ...     path.read_bytes()[1:4]
    b'PNG'
    """
    ending = path.suffix.lower()
    if ending == ".zarr":
        _write_zarr(path, strips, shape, palette, opacity)
    elif ending == ".png":
        with output_files.replacing(path) as file:
            for data in png_rows(strips, shape, palette, opacity, chunks=chunks):
                file.write(data)
    else:
        _write_tiff(path, strips, shape, palette, opacity)


def _write_tiff(path, strips, shape, palette, opacity):
    """Write a TIFF of indices, in strips."""
    try:
        import tifffile
    except ImportError:
        raise FileError("tifffile is needed: pip install fastgrad[large]") from None
    if opacity is not None and opacity.min() < 255:
        raise FileError("cannot write", path, "its palette has no opacity: use --alpha blend")
    table = np.zeros((3, 256), np.uint16)
    table[:, : len(palette)] = palette.T.astype(np.uint16) * 257
    big = shape[0] * shape[1] >= BIG
    with (
        output_files.replacing(path) as file,
        tifffile.TiffWriter(file, bigtiff=big) as writer,
    ):
        writer.write(
            (zlib.compress(strip.tobytes(), 6) for strip in _cut(strips, ROWS)),
            shape=shape,
            dtype=np.uint8,
            photometric="palette",
            colormap=table,
            rowsperstrip=ROWS,
            compression="zlib",
            metadata=None,
        )


def _write_zarr(path, strips, shape, palette, opacity):
    """Write a Zarr array, strip by strip."""
    with new_zarr(path, shape, (ROWS, shape[1]), palette, opacity) as array:
        top = 0
        for strip in _cut(strips, ROWS):
            array[top : top + len(strip)] = strip
            top += len(strip)


@contextlib.contextmanager
def new_zarr(
    path: Path,
    shape: tuple[int, int],
    chunks: tuple[int, int],
    palette: ByteArray,
    opacity: ByteArray | None = None,
) -> Iterator[Any]:
    """Create a Zarr array of indices in a directory that gets its name when the array is whole.

    Parameters
    ----------
    path : pathlib.Path
        The directory, which must not exist.
    shape : tuple of int
        Height and width.
    chunks : tuple of int
        Rows and columns of a chunk.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB: the attribute "palette".
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque: the attribute "opacity".

    Yields
    ------
    zarr.Array
        The array, to be filled.

    Raises
    ------
    FileError
        If it cannot be written, or zarr is not installed.

    Examples
    --------
    >>> import importlib.util, tempfile
    >>> if importlib.util.find_spec("zarr"):
    ...     with tempfile.TemporaryDirectory() as folder:
    ...         path = Path(folder, "a.zarr")
    ...         with new_zarr(path, (2, 3), (2, 3), np.zeros((1, 3), np.uint8)) as array:
    ...             array[:] = 0
    ...         assert path.is_dir()
    """
    try:
        import zarr
    except ImportError:
        raise FileError("zarr is needed: pip install fastgrad[large]") from None
    if path.exists():
        raise FileError("cannot write", path, "it is there already")
    part = path.with_name(f".{path.name[:32]}.{os.getpid()}.part")
    said: dict[str, Any] = {"palette": palette.tolist()}
    if opacity is not None:
        said["opacity"] = opacity.tolist()
    try:
        array: Any = zarr.create_array(
            os.fspath(part),
            shape=shape,
            chunks=chunks,
            dtype=np.uint8,
            attributes=said,
        )
        yield array
        os.rename(part, path)
    except OSError as error:
        raise FileError("cannot write", path, error.strerror or error) from None
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(part)


def _cut(strips: Iterable[ByteArray], rows: int) -> Iterator[ByteArray]:
    """Yield the same rows in strips of one height, but for the last."""
    held: list[ByteArray] = []
    count = 0
    for strip in strips:
        held.append(strip)
        count += len(strip)
        if count >= rows:
            whole = np.concatenate(held)
            for top in range(0, count - count % rows, rows):
                yield whole[top : top + rows]
            held, count = [whole[count - count % rows :]], count % rows
    if count:
        yield np.concatenate(held)
