"""Where the rows of a large picture come from: an array, or a file that Pillow decodes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from fastgrad._typing import Array
from fastgrad.dithering.pictures import frames, images, inputs, png_chunks, sixteen_bits
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.inputs import Pixels

__all__ = [
    "ArraySource",
    "Box",
    "Changed",
    "PartSource",
    "PillowSource",
    "Source",
    "Stamp",
    "stored_box",
    "upright",
]

ROWS = 256  # that are read together
TURNS = (5, 6, 7, 8)  # orientations in which rows are stored as columns


T = TypeVar("T")
Box: TypeAlias = tuple[int, int, int, int]  # first row, one after the last; the same of columns


class Changed(FileError):
    """A file that is no longer what it was."""


class Source:
    """A picture whose rows are read when they are needed, any of them, and as often as needed.

    Attributes
    ----------
    name : str
        What it is called in messages.
    shape : tuple of int
        Height and width.
    opaque : bool
        Whether it has no opacity.
    eight_bits : bool
        Whether its values are bytes, and not floating-point numbers.
    columns : int or None
        How many columns are read together for what each pixel tells by itself; None for all.
    """

    name: str
    shape: tuple[int, int]
    opaque: bool
    eight_bits: bool
    columns: int | None = None

    def read(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> Pixels:
        """Return the pixels of some rows, and of some columns of them.

        Parameters
        ----------
        top, bottom, left, right : int
            The first row and the one after the last, and the same of columns; by default all.

        Returns
        -------
        Pixels
            sRGB or grey values, uint8 or float in [0, 1], and the opacity: None if all is opaque.
        """
        raise NotImplementedError

    def each(
        self, function: Callable[[Pixels, tuple[int, int]], T], boxes: Sequence[Box]
    ) -> Iterator[T]:
        """Call a function with parts of the picture, and the place of the first pixel of each.

        Parameters
        ----------
        function : callable
            ``function(pixels, (top, left))``.
        boxes : sequence of tuple of int
            The first row and the one after the last, and the same of columns, of each call.

        Yields
        ------
        object
            What the function returned. It is not called before that is wanted.
        """
        for box in boxes:
            yield function(self.read(*box), (box[0], box[2]))


class ArraySource(Source):
    """An array of any size, or what is sliced like one: a memory map, an array of Zarr's or Dask's.

    Parameters
    ----------
    array : array_like
        sRGB or grey values, as `fastgrad.dither` takes them.
    name : str, optional
        What it is called in messages.

    Examples
    --------
    >>> source = ArraySource(np.arange(12, dtype=np.uint8).reshape(3, 4))
    >>> source.shape, source.read(1, 2, 2).values.tolist()
    ((3, 4), [[6, 7]])
    """

    name: str
    shape: tuple[int, int]
    opaque: bool
    eight_bits: bool
    dtype: np.dtype[Any]
    array: Any

    def __init__(self, array: Any, name: str = "image") -> None:
        shape, self.name = tuple(array.shape), name
        layers = shape[2] if len(shape) == 3 else 1
        if len(shape) not in (2, 3) or not 1 <= layers <= 4 or 0 in shape:
            wanted = "(height, width), (height, width, 3), or one layer more with opacity"
            raise ValueError(f"{name} must have shape {wanted}, got {shape}")
        self.dtype = np.dtype(array.dtype)
        if self.dtype.kind not in "biuf":
            raise TypeError(f"{name} must hold numbers, got dtype {self.dtype}")
        self.array, self.shape, self.opaque = array, (shape[0], shape[1]), layers in (1, 3)
        self.eight_bits = self.dtype.kind in "biu" and self.dtype != np.uint16

    def read(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> Pixels:
        """Return the pixels of some rows, and of some columns of them."""
        block = np.asarray(self.array[top:bottom, left:right])
        if block.dtype == np.uint16:  # whatever the values are, they are as deep in every part
            block = block / np.float32(65535)
        return inputs.pixels_of(block)


class PartSource(ArraySource):
    """Some part of an array that is here, while what is around it is elsewhere.

    Parameters
    ----------
    array : array_like
        The part, as `ArraySource` takes it.
    corner : tuple of int
        Its first row, and its first column.
    shape : tuple of int
        Height and width of the picture.

    Examples
    --------
    >>> source = PartSource(np.arange(12, dtype=np.uint8).reshape(3, 4), (100, 0), (1000, 4))
    >>> source.shape, source.read(101, 102).values.tolist()
    ((1000, 4), [[4, 5, 6, 7]])
    """

    shape: tuple[int, int]

    def __init__(
        self, array: Any, corner: tuple[int, int], shape: tuple[int, int], name: str = "image"
    ) -> None:
        super().__init__(array, name)
        self._top, self._left = corner
        self.shape = shape

    def read(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> Pixels:
        """Return the pixels of some rows, and of some columns of them."""
        right = (self.shape[1] if right is None else right) - self._left
        return super().read(top - self._top, bottom - self._top, left - self._left, right)


class Stamp(NamedTuple):
    """The size and the time of a file, by which it is seen whether it is still the same."""

    size: int
    time: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Return the stamp of a file, or that of the description of a directory of Zarr's."""
        for name in ("zarr.json", ".zarray", ".zgroup"):
            if os.path.isfile(path / name):
                path = path / name
        found = os.stat(path)
        return cls(found.st_size, found.st_mtime_ns)

    def check(self, path: Path) -> None:
        """Raise an error if the file is not what it was.

        Raises
        ------
        Changed
            If it is something else.
        FileError
            If it is no longer there.
        """
        try:
            same = Stamp.of(path) == self
        except OSError as error:
            raise FileError("cannot read", path, error.strerror) from None
        if not same:
            raise Changed(f"{path} has changed while it was read")


class PillowSource(Source):
    """A picture file that Pillow decodes, all of it at once: four bytes for a pixel of colours.

    It is converted to sRGB, and turned upright, as far as it is read.

    Parameters
    ----------
    picture : images.Picture
        The file, of a single frame.
    image : PIL.Image.Image
        The image that has just been opened from it.
    """

    name: str
    shape: tuple[int, int]
    opaque: bool
    eight_bits: bool

    def __init__(self, picture: images.Picture, image: Any) -> None:
        from PIL import ImageOps

        self.name = picture.name
        self._profile = frames.color_profile(image)
        self._deep = sixteen_bits.channels(image)
        png_chunks.load(image)
        self._orientation = image.getexif().get(0x0112, 1)
        self._image: Any = image
        width, height = image.size
        self.shape = (width, height) if self._orientation in TURNS else (height, width)
        if self.shape != (picture.height, picture.width):
            raise Changed(f"{self.name} has changed while it was read")
        self._hidden = image.info.get("transparency")
        self.opaque = self._hidden is None and image.mode not in ("RGBA", "RGBa", "LA", "La", "PA")
        if image.mode == "F":
            raise FileError("cannot read", self.name, "floating-point values")
        if image.mode.startswith("I"):
            upright = np.asarray(ImageOps.exif_transpose(image))
            self._deep = sixteen_bits.greys(image, upright)[..., None]
        if self._deep is not None:
            self._image = None
        self.eight_bits = self._deep is None

    def read(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> Pixels:
        """Return the pixels of some rows, and of some columns of them."""
        right = self.shape[1] if right is None else right
        if self._deep is not None:
            values, alpha = frames.of_16_bits(
                self._deep[top:bottom, left:right], self._hidden, self._profile
            )
        else:
            box = stored_box(self._orientation, self.shape, (top, bottom, left, right))
            part = self._image.crop((box[2], box[0], box[3], box[1]))
            frame = frames.from_pil(part, self._profile)
            values, alpha = frame.values, frame.alpha
        if not self.eight_bits and values.dtype == np.uint8:
            values = values / np.float32(255)
        if alpha is not None and alpha.min() == 255:
            alpha = None
        return Pixels(values, alpha)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, picture: images.Picture) -> Iterator[PillowSource]:
        """Decode a file for as long as its rows are needed.

        Raises
        ------
        FileError
            If it is damaged or cut short, has changed, or says that it has more pixels than its
            data can make.
        """
        path = picture.source if isinstance(picture.source, Path) else None
        stamp = None if path is None else Stamp.of(path)
        with picture.opened() as image:
            source = cls(picture, image)
        if stamp is not None and path is not None:
            stamp.check(path)
        yield source


def stored_box(
    orientation: int, shape: tuple[int, int], box: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """Return where a part of an upright picture is stored.

    Parameters
    ----------
    orientation : int
        From 1 to 8, as EXIF and TIFF count them.
    shape : tuple of int
        Height and width of the upright picture.
    box : tuple of int
        The first row and the one after the last, the first column and the one after the last.

    Returns
    -------
    tuple of int
        The same of the picture as it is stored.

    Examples
    --------
    >>> stored_box(6, (30, 20), (0, 1, 0, 20))  # its first row is stored as the first column
    (0, 20, 0, 1)
    """
    (height, width), (top, bottom, left, right) = shape, box
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    return (left, right, top, bottom) if orientation in TURNS else (top, bottom, left, right)


def upright(stored: Array, orientation: int) -> Array:
    """Turn a stored part of a picture upright.

    Parameters
    ----------
    stored : array, shape (rows, columns, ...)
        The part.
    orientation : int
        As in `stored_box`.

    Returns
    -------
    array
        A view of it.

    Examples
    --------
    >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    if orientation in TURNS:
        stored = stored.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    return stored
