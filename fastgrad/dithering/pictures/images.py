"""Image files, through Pillow, which is imported only inside functions."""

import contextlib
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAX_PIXELS = 1 << 25  # of a picture, at which dithering takes some 3 GB
MAX_ANIMATED = 1 << 28  # of all frames of an animation
ANIMATED = {"GIF", "PNG", "WEBP", "AVIF"}  # other formats hold pages or previews: the first counts
STANDARD_INPUT = "standard input"


class FileError(ValueError):
    """A file that cannot be read or written; the message says in one line which and why."""


@dataclass(frozen=True)
class Frame:
    """A picture, or one of an animation.

    Attributes
    ----------
    values : numpy.ndarray, shape (height, width, 3)
        sRGB values: uint8, or float32 in [0, 1] where the file has 16 bits.
    alpha : numpy.ndarray of uint8, shape (height, width), or None
        Opacity, 255 where nothing shines through; None if that is everywhere.
    duration : float
        How long it is shown, in milliseconds.
    """

    values: np.ndarray
    alpha: np.ndarray | None = None
    duration: float = 0


class Picture:
    """A picture file; its pixels are decoded as `frames` is iterated over.

    Parameters
    ----------
    source : pathlib.Path or bytes
        The file, or what was read from standard input.

    Attributes
    ----------
    name : str
        The file's name.
    width, height : int
        The size in pixels, turned upright.
    count : int
        The number of frames.
    plays : int
        How often an animation is played; 0 for ever.
    format : str
        Pillow's name of the format.

    Raises
    ------
    FileError
        If there is no such file, Pillow is missing or cannot read it, or it has too many pixels.
    """

    def __init__(self, source):
        self.source = source
        self.name = STANDARD_INPUT if isinstance(source, bytes) else str(source)
        if isinstance(source, Path):
            if not source.exists():
                raise FileError(f"no such file: {source}")
            if not source.is_file():
                raise FileError(f"not a file: {source}")
        with self._open() as image:
            self.format = image.format
            self._first = int(getattr(image, "default_image", False))  # no part of the animation
            frames = getattr(image, "n_frames", 1) if self.format in ANIMATED else 1
            self.count = max(frames - self._first, 1)
            self.plays = _plays(image)
            self.width, self.height = image.size
            if image.getexif().get(0x0112, 1) in (5, 6, 7, 8):  # stored lying on its side
                self.width, self.height = self.height, self.width
            if self.width * self.height * self.count > MAX_ANIMATED:
                raise FileError(f"more than {MAX_ANIMATED} pixels in all frames: {self.name}")

    def frames(self):
        """Decode the frames.

        Yields
        ------
        Frame
            One after the other.

        Raises
        ------
        FileError
            If the data are damaged.
        """
        with self._open() as image:
            for i in range(self.count):
                if self.count > 1:
                    image.seek(i + self._first)
                frame = _convert(image)
                yield frame

    @contextlib.contextmanager
    def _open(self):
        """Open the image, and say in one line what goes wrong with it."""
        try:
            from PIL import Image
        except ImportError:
            raise FileError("Pillow is needed: pip install fastgrad[dither]") from None
        file = io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of many pixels: fewer are allowed here
                with Image.open(file) as image:
                    if image.width * image.height > MAX_PIXELS:
                        raise Image.DecompressionBombError
                    yield image
        except FileError:
            raise
        except Image.DecompressionBombError:
            raise FileError(f"more than {MAX_PIXELS} pixels: {self.name}") from None
        except Image.UnidentifiedImageError:
            raise FileError(f"not an image that Pillow can read: {self.name}") from None
        except Exception as error:  # decoders meet bad data in many ways
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            reason = reason or type(error).__name__
            raise FileError(f"cannot read {self.name}: {reason}") from None


def _plays(image):
    """Return how often an animation is played, 0 for ever; a GIF says how often again."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop and loop + 1
    return loop or 0


def _convert(image):
    """Convert an image of any mode to a frame."""
    from PIL import ImageOps

    duration = float(image.info.get("duration") or 0)
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point values, whose white is not known")
    if image.mode.startswith("I"):
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError("grey values of more than 16 bits")
        hidden = image.info.get("transparency")
        alpha = None if hidden is None else np.where(grey == hidden, 0, 255).astype(np.uint8)
        grey = (grey / 65535).astype(np.float32)
        return Frame(np.repeat(grey[..., None], 3, axis=2), alpha, duration)
    alpha = None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = np.asarray(image)[..., 3]
        alpha = None if alpha.min() == 255 else alpha.copy()
    return Frame(np.asarray(_standard(image)), alpha, duration)


def _standard(image):
    """Convert an image to RGB, from the colour space of its profile where it has one."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    try:
        from PIL import ImageCms
    except ImportError:
        return image.convert("RGB")
    image = image if image.mode in ("L", "CMYK") else image.convert("RGB")
    with contextlib.suppress(ImageCms.PyCMSError, OSError):  # as without one, if it is broken
        profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" not in ImageCms.getProfileDescription(profile):
            srgb = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
    return image.convert("RGB")


def check_targets(targets, source=None, *, endings=(".png",)):
    """Raise an error if files cannot be written, before any work is done for them.

    Parameters
    ----------
    targets : list of pathlib.Path
        The files to be written.
    source : pathlib.Path, optional
        The file that is read, which must not be among them.
    endings : tuple of str, optional
        How their names may end.

    Raises
    ------
    FileError
        If a target's name ends otherwise, or it is a directory, is the source, may not be written,
        or is in a directory that does not exist or cannot be written to.
    """
    for target in targets:
        if target.suffix.lower() not in endings:
            wanted = " or ".join([", ".join(endings[:-1]), endings[-1]]).removeprefix(" or ")
            raise FileError(f"the output's name must end in {wanted}: {target}")
        if not target.parent.is_dir():
            raise FileError(f"no such directory: {target.parent}")
        if not os.access(target.parent, os.W_OK):
            raise FileError(f"cannot write to the directory {target.parent}")
        if target.is_dir():
            raise FileError(f"the output is a directory: {target}")
        if target.exists() and not os.access(target, os.W_OK):
            raise FileError(f"the output is read-only: {target}")
        exist = source is not None and source.exists() and target.exists()
        if exist and target.samefile(source):
            raise FileError(f"the output would replace the input: {target}")


def replace(data, path):
    """Write a file, all of it or nothing, under a temporary name that is then changed.

    Parameters
    ----------
    data : bytes
        What it is to contain.
    path : pathlib.Path
        The file, replaced if it exists.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write(image, path):
    """Write a PNG, all of it or nothing.

    Parameters
    ----------
    image : PIL.Image.Image
        The picture.
    path : pathlib.Path
        The file, replaced if it exists.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    data = io.BytesIO()
    image.save(data, "PNG")
    replace(data.getvalue(), path)
