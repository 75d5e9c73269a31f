"""Image files, through Pillow, which is imported only inside functions."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.pictures import compositing, frames, png_chunks
from fastgrad.dithering.pictures.file_errors import FileError, TooManyPixels
from fastgrad.dithering.pictures.frames import Frame

MAX_PIXELS = 1 << 25  # of a picture that is dithered, which then takes some 3 GB
MAX_DECODED = 1 << 27  # of a file that is made smaller first
MAX_LARGE = 1 << 28  # of a file that is dithered in strips, unless another limit is asked for
# Pixels, or bytes, that a byte of a file makes at most: a block of 64 pixels of a JPEG needs a bit.
OF_A_JPEG, DEFLATED = 512, 1032
MAX_ANIMATED = 1 << 28  # of all frames of an animation
MAX_FRAMES = 10_000  # each of which costs a search, however small it is
ANIMATED = {"GIF", "PNG", "WEBP", "AVIF"}  # other formats hold pages or previews: the first counts
# Pillow's raster formats that cameras and programs write. Others are left out: some start programs
# (EPS starts Ghostscript), the rest are data of sciences and games.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "PPM", "JPEG2000", "TGA")
FORMATS += ("PCX", "PSD", "SGI", "QOI", "ICO", "ICNS", "DDS", "XBM", "XPM", "IM", "MSP")
ENDINGS = (".png", ".apng", ".jpg", ".jpeg", ".jfif", ".gif", ".webp", ".avif", ".tif", ".tiff")
ENDINGS += (".bmp", ".ppm", ".pgm", ".pbm", ".jp2", ".tga", ".qoi")
DRAWINGS = {b"%PDF-": "a PDF", b"%!PS": "PostScript", b"<svg": "an SVG"}
STANDARD_INPUT = "standard input"


class Picture:
    """A picture file. Its pixels are decoded while `frames` is iterated over.

    Parameters
    ----------
    source : pathlib.Path or bytes
        The file, or what was read from standard input.
    largest : int, optional
        The number of pixels that a frame may have: up to `MAX_DECODED` for a picture that is going
        to be made smaller.

    Attributes
    ----------
    name : str
        The file's name.
    width, height : int
        The size in pixels, after the picture has been turned upright.
    count : int
        The number of frames.
    pages : int
        The number of pages of a TIFF, of which the first counts; 1 for others.
    plays : int
        How often an animation is played; 0 for ever.
    format : str
        Pillow's name of the format, one of `FORMATS`.
    entries : tuple of array of uint8, shapes (N, 3) and (N,), or None
        The colours and their opacity, if the file has a palette.
    metadata : tuple of (type, data)
        Chunks that a PNG of this picture should have: its density, and its texts if it is a PNG.

    Raises
    ------
    FileError
        If there is no such file, Pillow is missing or cannot read it, or it has more than
        ``largest`` pixels in a frame, `MAX_ANIMATED` in all of them, or `MAX_FRAMES` frames.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (4, 3), "teal").save(file, "PNG")
    >>> picture = Picture(file.getvalue())
    >>> picture.width, picture.height, picture.count, picture.format
    (4, 3, 1, 'PNG')
    """

    name: str
    width: int
    height: int
    count: int
    pages: int
    plays: int
    format: str
    entries: tuple[ByteArray, ByteArray] | None
    metadata: tuple[png_chunks.Chunk, ...]

    def __init__(self, source: Path | bytes, *, largest: int = MAX_PIXELS) -> None:
        self.source: Path | bytes = source
        self.largest: int = largest
        self.name = STANDARD_INPUT if isinstance(source, bytes) else str(source)
        if isinstance(source, Path):
            if not os.path.lexists(source):
                raise FileError("no such file:", source)
            if not os.path.isfile(source):
                raise FileError("not a file:", source)
        with self.opened() as image:
            self.metadata = png_chunks.kept(image)
            self.entries = _entries(image)
            self.format = str(image.format)
            self._first = int(getattr(image, "default_image", False))  # no part of the animation
            frames = getattr(image, "n_frames", 1) if self.format in ANIMATED else 1
            self.count = max(frames - self._first, 1)
            self.pages = _pages(image) if self.format == "TIFF" else 1
            self.plays = _plays(image)
            self.width, self.height = image.size
            # Stored lying on its side.
            self._turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            if self._turned:
                self.width, self.height = self.height, self.width
                self.metadata = png_chunks.turned(self.metadata)
            if self.count > MAX_FRAMES:
                raise FileError(f"more than {MAX_FRAMES} frames:", self.name)
            most = max(MAX_ANIMATED, largest) if self.count == 1 else MAX_ANIMATED
            if self.width * self.height * self.count > most:
                raise FileError(f"more than {most} pixels in all frames:", self.name)

    def frames(self, size: tuple[int, int] | None = None) -> Iterator[Frame]:
        """Decode the frames, one after the other.

        Parameters
        ----------
        size : tuple of int, optional
            The width and height that the picture is going to be scaled to. A picture of more than
            `MAX_PIXELS` is then decoded smaller than it is, by a whole factor, and not below twice
            this size: the rest is the caller's.

        Yields
        ------
        Frame
            The next frame.

        Raises
        ------
        FileError
            If the data are damaged.
        """
        factor = 1
        if size is not None and self.width * self.height > MAX_PIXELS:
            factor = max(1, min(self.width // (2 * size[0]), self.height // (2 * size[1])))
        with self.opened() as image:
            profile = frames.color_profile(image)
            for shown in self._shown(image):
                smaller = _smaller(shown, factor) if factor > 1 else shown
                yield frames.from_pil(smaller, profile, file=shown)

    def _shown(self, image: Any) -> Iterator[Any]:
        """Yield the frames as images of Pillow's."""
        several = self.count > 1 or self._first > 0
        if self.format in compositing.PARTS and (several or self.format == "GIF"):
            data = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
            if several or not compositing.covers(data, image.size):
                parts = compositing.frames(data, self.format, image.size, self.count)
                for values, duration in parts:
                    yield _canvas(image, values, duration)
                return
        for i in range(self.count):
            if self.count > 1:
                image.seek(i + self._first)
            yield image

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        """Open the image, and say in one line what goes wrong with it.

        Yields
        ------
        PIL.Image.Image
            The image; its pixels have not been loaded yet.

        Raises
        ------
        FileError
            If it cannot be opened, or whatever is done with it meanwhile fails.
        """
        try:
            from PIL import Image
        except ImportError:
            raise FileError("Pillow is needed: pip install fastgrad[dither]") from None
        file = io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source
        limit = Image.MAX_IMAGE_PIXELS
        try:
            if self.largest > MAX_DECODED:  # as was asked for
                Image.MAX_IMAGE_PIXELS = None
            Image.init()
            formats = [name for name in FORMATS if name in Image.OPEN]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of many pixels: fewer are allowed here
                with Image.open(file, formats=formats) as image:
                    if image.width * image.height > self.largest:
                        raise Image.DecompressionBombError
                    self._check_size(image)
                    yield image
        except FileError:
            raise
        except Image.DecompressionBombError:
            raise TooManyPixels(f"more than {self.largest} pixels:", self.name) from None
        except Image.UnidentifiedImageError:
            what = "not an image that Pillow can read:"
            raise FileError(what, self.name, self._drawing()) from None
        except Exception as error:  # decoders meet bad data in many ways
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            reason = reason or type(error).__name__
            raise FileError("cannot read", self.name, reason) from None
        finally:
            Image.MAX_IMAGE_PIXELS = limit

    def _check_size(self, image: Any) -> None:
        """Refuse a large picture if the file cannot hold so many pixels as it says it has."""
        pixels, kind = image.width * image.height, image.format
        if pixels <= MAX_PIXELS:
            return
        data = self.source
        size = len(data) if isinstance(data, bytes) else os.path.getsize(data)
        if kind == "JPEG":
            most = size * OF_A_JPEG
        elif kind in ("PNG", "TIFF"):
            bits = 24 if image.mode.startswith("RGB") and kind == "PNG" else 1
            most = size * 8 * DEFLATED // bits
        elif pixels > MAX_DECODED:  # nothing is known of other formats
            raise TooManyPixels(f"more than {MAX_DECODED} pixels:", self.name)
        else:
            return
        if pixels > most:
            reason = f"{size} bytes cannot hold {image.width} x {image.height} pixels"
            raise FileError("cannot read", self.name, reason)

    def _drawing(self) -> str | None:
        """Return a hint, if the file is a drawing, of which a program must first make pixels."""
        start = self.source[:1024] if isinstance(self.source, bytes) else b""
        if isinstance(self.source, Path):
            with open(self.source, "rb") as file:
                start = file.read(1024)
        kind = next((kind for sign, kind in DRAWINGS.items() if sign in start), None)
        return None if kind is None else f"it is {kind}: export it as a PNG"


def _entries(image: Any) -> tuple[ByteArray, ByteArray] | None:
    """Return the palette of an image, if it has one, and the opacity of its entries."""
    if image.mode != "P":
        return None
    colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    opacity, clear = np.full(len(colors), 255, np.uint8), image.info.get("transparency")
    if isinstance(clear, int) and clear < len(colors):
        opacity[clear] = 0
    elif isinstance(clear, bytes):
        given = np.frombuffer(clear, np.uint8)[: len(colors)]
        opacity[: len(given)] = given
    return colors, opacity


def _canvas(image: Any, values: Array, duration: float) -> Any:
    """Return a frame as an image, with what the file says of all its frames."""
    from PIL import Image

    canvas = Image.fromarray(values)
    if image.mode in ("L", "LA", "1"):  # as a profile of greys takes it
        canvas = canvas.convert("LA" if values[..., 3].min() < 255 else "L")
    canvas.info = {name: value for name, value in image.info.items() if name != "transparency"}
    canvas.info["duration"] = duration
    exif = image.getexif()
    if 0x0112 in exif:
        canvas.getexif()[0x0112] = exif[0x0112]
    return canvas


def _smaller(image: Any, factor: int) -> Any:
    """Decode an image reduced by a whole factor, which saves memory, and for a JPEG time too."""
    width, height = image.size
    image.draft(None, (width // factor, height // factor))  # a JPEG's decoder divides by 2, 4 or 8
    rest = min(image.width * factor // width, image.height * factor // height)
    if rest < 2:
        return image
    png_chunks.load(image)
    info, exif = image.info, image.getexif()
    if image.mode.startswith("I"):
        image = image.convert("I")
    elif image.mode == "LA":
        image = image.convert("La")  # what is transparent adds no colour
    elif image.mode in ("RGBA", "PA") or "transparency" in info:
        image = image.convert("RGBA").convert("RGBa")
    elif image.mode in ("P", "1"):  # averages of indices mean nothing
        image = image.convert("RGB" if image.mode == "P" else "L")
    small = image.reduce(rest)
    small.info = {name: value for name, value in info.items() if name != "transparency"}
    if 0x0112 in exif:
        small.getexif()[0x0112] = exif[0x0112]
    return small


def _pages(image: Any) -> int:
    """Return how many pages there are, as far as the file can tell."""
    with contextlib.suppress(Exception):  # of later pages, which are not read
        return int(image.n_frames)
    return 1


def _plays(image: Any) -> int:
    """Return how often an animation is played, 0 for ever; a GIF says how often again."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop and loop + 1
    return loop or 0
