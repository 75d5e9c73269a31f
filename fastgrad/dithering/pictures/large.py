"""Picture files that are too large for memory: what they are, and their rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastgrad.dithering.pictures import images, png_chunks, tiff_and_zarr
from fastgrad.dithering.pictures.sources import Changed, PillowSource, Source

__all__ = ["ENDINGS", "LargePicture", "find"]

ENDINGS = (".png", ".tif", ".tiff", ".zarr")  # of what is written of them
TIFFS = (".tif", ".tiff")


@dataclass(frozen=True)
class LargePicture:
    """A picture file whose rows are read when they are needed.

    Attributes
    ----------
    source : pathlib.Path or bytes
        The file, or what was read from standard input.
    name : str
        The file's name.
    width, height : int
        The size in pixels, upright.
    format : str
        Pillow's name of the format, or "ZARR".
    metadata : tuple of (type, data)
        Chunks that a PNG of this picture should have.
    picture : images.Picture or None
        The file, if it is Pillow that reads it.
    count, pages, plays : int
        Always 1, for it is no animation, and of the pages of a TIFF the first counts.
    """

    source: Path | bytes
    name: str
    width: int
    height: int
    format: str
    metadata: tuple[png_chunks.Chunk, ...] = ()
    picture: images.Picture | None = field(default=None, repr=False)
    count: int = 1
    pages: int = 1
    plays: int = 1

    @contextlib.contextmanager
    def rows(self) -> Iterator[Source]:
        """Open the file for as long as its rows are needed.

        Yields
        ------
        Source
            Its rows.

        Raises
        ------
        FileError
            If it cannot be read.
        """
        if self.picture is not None:
            with PillowSource.opened(self.picture) as source:
                yield source
        else:
            assert isinstance(self.source, Path)
            with _opened(self.source) as source:
                if source.shape != (self.height, self.width):
                    raise Changed(f"{self.name} has changed while it was read")
                yield source


def find(source: Path | bytes, largest: int = images.MAX_LARGE) -> LargePicture:
    """Open a large picture, and see what it is.

    Parameters
    ----------
    source : pathlib.Path or bytes
        A Zarr array, a TIFF, or whatever Pillow reads.
    largest : int, optional
        The number of pixels that it may have.

    Returns
    -------
    LargePicture
        What it is.

    Raises
    ------
    FileError
        If it cannot be read, is an animation, has more pixels, or says that it has more than its
        data can hold.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (4, 3), "teal").save(file, "PNG")
    >>> find(file.getvalue()).width
    4
    """
    if isinstance(source, Path) and (_is_tiff(source) or tiff_and_zarr.is_zarr(source)):
        with _opened(source) as rows:
            height, width = rows.shape
            kind = "ZARR" if tiff_and_zarr.is_zarr(source) else "TIFF"
            made = LargePicture(source, str(source), width, height, kind)
    else:
        picture = images.Picture(source, largest=largest)
        if picture.count > 1:
            most = images.MAX_PIXELS
            raise images.TooManyPixels(f"more than {most} pixels in a frame:", picture.name)
        made = LargePicture(
            source,
            picture.name,
            picture.width,
            picture.height,
            picture.format,
            picture.metadata,
            picture,
        )
    if made.width * made.height > largest:
        raise images.TooManyPixels(f"more than {largest} pixels:", made.name)
    return made


def _is_tiff(path: Path) -> bool:
    """Return whether a TIFF can be read in parts; if not, Pillow decodes it."""
    if path.suffix.lower() not in TIFFS or not path.is_file():
        return False
    try:
        import tifffile
    except ImportError:
        return False
    return bool(tifffile.TiffFile)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Source]:
    """Open a file that is read in parts."""
    zarr = tiff_and_zarr.is_zarr(path)
    with (tiff_and_zarr.opened_zarr if zarr else tiff_and_zarr.opened_tiff)(path) as source:
        yield source
