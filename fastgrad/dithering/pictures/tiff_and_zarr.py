"""Large pictures in files whose parts are read one by one: TIFF through tifffile, and Zarr."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastgrad._typing import Array
from fastgrad.dithering.pictures import frames
from fastgrad.dithering.pictures.colour_profiles import to_srgb
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import (
    TURNS,
    ArraySource,
    Source,
    Stamp,
    stored_box,
    upright,
)

__all__ = ["TiffSource", "is_zarr", "opened_tiff", "opened_zarr"]

ICC, ORIENTATION = 34675, 274  # tags
CONTIGUOUS = 1  # of planes: all samples of a pixel stand together
PREMULTIPLIED = 1  # of extra samples: opacity that colours are multiplied by
GREYS = {"MINISBLACK", "MINISWHITE"}
COLOURS = {"RGB", "YCBCR", "PALETTE"}
UNIT = 1 << 28  # bytes of a part of a file, at most: all of it is decoded at once


class TiffSource(Source):
    """A TIFF or BigTIFF, in tiles or in strips, of 8 or 16 bits.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    page : tifffile.TiffPage
        The page that holds the picture.
    """

    name: str
    shape: tuple[int, int]
    opaque: bool
    eight_bits: bool
    path: Path

    def __init__(self, path: Path, page: Any) -> None:
        self.path, self.name, self._page = path, str(path), page
        self._stamp = Stamp.of(path)
        tag = page.tags.get(ICC)
        self._profile = bytes(tag.value) if tag is not None else b""
        tag = page.tags.get(ORIENTATION)
        self._orientation = int(tag.value) if tag is not None else 1
        height, width = page.imagelength, page.imagewidth
        self._samples, self._kind = page.samplesperpixel, page.photometric.name
        self.shape = (width, height) if self._orientation in TURNS else (height, width)
        colours = 1 if self._kind in GREYS or self._kind == "PALETTE" else 3
        self.opaque = self._samples == colours
        self._premultiplied = any(int(x) == PREMULTIPLIED for x in page.extrasamples)
        depth = page.dtype
        self.eight_bits = depth in (np.uint8, np.bool_) and self._kind != "PALETTE"
        if self._kind not in GREYS | COLOURS or self._samples not in (colours, colours + 1):
            raise FileError("cannot read", self.name, f"its colours are {self._kind}")
        bits = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16, np.dtype(np.bool_): 1}.get(depth)
        if bits != page.bitspersample:
            reason = f"its values are {page.bitspersample} bits of {depth}"
            raise FileError("cannot read", self.name, reason)
        if int(page.planarconfig) != CONTIGUOUS and self._samples > 1:
            raise FileError("cannot read", self.name, "a plane for each colour")
        if self._kind == "PALETTE":
            table = np.asarray(page.colormap).T
            self._colours = np.ascontiguousarray(table)
            self.eight_bits = not (table % 257).any()
        tile = page.tile[-2:] if page.is_tiled else (min(page.rowsperstrip, height), width)
        self._tile: tuple[int, int] = tile
        self._across = -(-width // tile[1])
        if tile[0] * tile[1] * self._samples * depth.itemsize > UNIT:
            raise FileError("cannot read", self.name, f"a part of {tile[1]} x {tile[0]} pixels")
        self._decoded: dict[int, Array] = {}

    def read(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> Pixels:
        """Return the pixels of some rows, and of some columns of them."""
        self._stamp.check(self.path)
        right = self.shape[1] if right is None else right
        box = stored_box(self._orientation, self.shape, (top, bottom, left, right))
        block = upright(self._stored(*box), self._orientation)
        return self._pixels(np.ascontiguousarray(block))

    def _stored(self, top, bottom, left, right):
        """Return a part of the picture as it is stored."""
        rows, columns = self._tile
        out = np.zeros((bottom - top, right - left, self._samples), self._page.dtype)
        needed = [
            (i, j)
            for i in range(top // rows, -(-bottom // rows))
            for j in range(left // columns, -(-right // columns))
        ]
        kept = {i * self._across + j for i, j in needed}
        # The next rows need those tiles that these rows have needed, and hardly any others.
        self._decoded = {k: tile for k, tile in self._decoded.items() if k in kept}
        for i, j in needed:
            tile = self._segment(i * self._across + j)
            if tile is None:  # it was never written: all is 0
                continue
            y, x = i * rows, j * columns
            a, b = max(top, y), min(bottom, y + tile.shape[0])
            c, d = max(left, x), min(right, x + tile.shape[1])
            out[a - top : b - top, c - left : d - left] = tile[a - y : b - y, c - x : d - x]
        return out

    def _segment(self, index):
        """Return a decoded tile or strip."""
        if index in self._decoded:
            return self._decoded[index]
        page = self._page
        offset, size = page.dataoffsets[index], page.databytecounts[index]
        if not size:
            return None
        file = page.parent.filehandle
        file.seek(offset)
        data = file.read(size)
        if len(data) != size:
            raise FileError("cannot read", self.name, "it is cut short")
        tables = {"jpegtables": page.jpegtables} if page.jpegtables is not None else {}
        try:
            found, *_ = page.decode(data, index, **tables)
        except Exception as error:  # decoders meet bad data in many ways
            reason = " ".join(str(error).split()) or type(error).__name__
            raise FileError("cannot read", self.name, reason) from None
        tile = None if found is None else found[0]
        if tile is not None:
            self._decoded[index] = tile
        return tile

    def _pixels(self, block):
        """Convert a part to sRGB."""
        from PIL import Image

        if self._kind == "PALETTE":
            block = self._colours[block[..., 0]]
            if self.eight_bits:
                block = (block // 257).astype(np.uint8)
        elif block.dtype == np.bool_:
            block = block.astype(np.uint8) * np.uint8(255)
        if self._kind == "MINISWHITE":
            block = np.iinfo(block.dtype).max - block
        if self._premultiplied and not self.opaque:
            most = np.iinfo(block.dtype).max
            opacity = block[..., -1:].astype(np.float64)
            full = np.rint(block[..., :-1] * (most / np.maximum(opacity, 1)))
            block[..., :-1] = np.minimum(full, most).astype(block.dtype)
        if block.dtype == np.uint16:
            values, alpha = frames.of_16_bits(block, None, self._profile)
            if values.dtype == np.uint8:
                values = values / np.float32(255)
        else:
            colours = block if self.opaque else block[..., :-1]
            alpha = None if self.opaque else np.ascontiguousarray(block[..., -1])
            colours = colours[..., 0] if colours.shape[2] == 1 else colours
            image = Image.fromarray(np.ascontiguousarray(colours))
            values = np.asarray(to_srgb(image, self._profile))
        if alpha is not None and alpha.min() == 255:
            alpha = None
        return Pixels(values, alpha)


@contextlib.contextmanager
def opened_tiff(path: Path) -> Iterator[TiffSource]:
    """Open a TIFF for as long as its rows are needed.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Yields
    ------
    TiffSource
        The picture: the first of the pages.

    Raises
    ------
    FileError
        If tifffile is not installed, or the file is damaged or of a kind that cannot be read.
    """
    try:
        import tifffile
    except ImportError:
        raise FileError("tifffile is needed: pip install fastgrad[large]") from None
    try:
        file = tifffile.TiffFile(path)
    except OSError as error:
        raise FileError("cannot read", path, error.strerror or error) from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError("cannot read", path, reason) from None
    with file:
        try:
            page = file.pages[0].aspage()
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise FileError("cannot read", path, reason) from None
        yield TiffSource(path, page)


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Return whether a name is that of a Zarr array, which is a directory.

    Examples
    --------
    >>> is_zarr("picture.zarr"), is_zarr("picture.png")
    (True, False)
    """
    return os.fspath(path).rstrip("/").lower().endswith(".zarr")


class _ZarrSource(ArraySource):
    """An array of Zarr's, whose chunks are files."""

    def __init__(self, path: Path, array: Any) -> None:
        try:
            super().__init__(array, str(path))
        except (TypeError, ValueError) as error:
            raise FileError("cannot read", path, error) from None
        self._path, self._stamp = path, Stamp.of(path)
        chunks = getattr(array, "shards", None) or array.chunks
        self._rows: int = chunks[0]  # of a chunk: all of it is decoded at once
        self._whole, self._blocks = array, dict[int, Array]()

    def read(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> Pixels:
        """Return the pixels of some rows, and of some columns of them."""
        self._stamp.check(self._path)
        size = self._rows
        needed = range(top // size, -(-bottom // size))
        try:
            # The next rows need those chunks that these rows have needed, and hardly any others.
            self._blocks = {i: block for i, block in self._blocks.items() if i in needed}
            for i in needed:
                if i not in self._blocks:
                    self._blocks[i] = np.asarray(self._whole[i * size : (i + 1) * size])
            parts = [
                self._blocks[i][max(top - i * size, 0) : bottom - i * size, left:right]
                for i in needed
            ]
            self.array = np.concatenate(parts)
            return super().read(0, bottom - top)
        except Exception as error:  # of a chunk that is damaged, or of a value out of range
            reason = " ".join(str(error).split()) or type(error).__name__
            raise FileError("cannot read", self.name, reason) from None


@contextlib.contextmanager
def opened_zarr(path: Path) -> Iterator[Source]:
    """Open a Zarr array, or the first one of a group, as of OME-Zarr.

    Parameters
    ----------
    path : pathlib.Path
        The directory.

    Yields
    ------
    Source
        The picture, of shape (height, width) or (height, width, layers).

    Raises
    ------
    FileError
        If zarr is not installed, or this is no such array.
    """
    try:
        import zarr
    except ImportError:
        raise FileError("zarr is needed: pip install fastgrad[large]") from None
    try:
        found: Any = zarr.open(os.fspath(path), mode="r")
        if not hasattr(found, "shape"):  # a group, whose first array is the largest
            found = found["0"]
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError("cannot read", path, reason) from None
    yield _ZarrSource(path, found)
