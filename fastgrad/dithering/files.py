"""Image files, through Pillow, which is imported only here and only when needed."""

import os
import warnings

import numpy as np

MAX_PIXELS = 1 << 25  # at which dithering takes some 3 GB


class FileError(ValueError):
    """A file that cannot be read or written; the message says in one line which and why."""


def read(path):
    """Read a picture of any format and mode, turned upright, on white where it is transparent.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    values : numpy.ndarray, shape (height, width, 3) or (height, width)
        sRGB or grey values: uint8, or float in [0, 1] where the file has 16 bits.
    image : PIL.Image.Image
        The same in 8-bit RGB.

    Raises
    ------
    FileError
        If there is no such file, Pillow is missing or cannot read it, or it has too many pixels.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise FileError("Pillow is needed: pip install fastgrad[dither]") from None
    if not path.exists():
        raise FileError(f"no such file: {path}")
    if not path.is_file():
        raise FileError(f"not a file: {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels: fewer are allowed here
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                return _convert(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError:
        raise FileError(f"more than {MAX_PIXELS} pixels: {path}") from None
    except Image.UnidentifiedImageError:
        raise FileError(f"not an image that Pillow can read: {path}") from None
    except Exception as error:  # decoders meet bad data in many ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"cannot read {path}: {reason}") from None


def _convert(image):
    """Convert any mode to values and to RGB."""
    from PIL import Image

    if image.mode.startswith("I"):
        grey = np.asarray(image) / 65535
        if grey.min() < 0 or grey.max() > 1:
            raise ValueError("grey values of more than 16 bits")
        return grey, Image.fromarray(np.rint(255 * grey).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point values, whose white is not known")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    return np.asarray(image), image


def check_targets(targets, source):
    """Raise an error if files cannot be written, before any work is done for them.

    Parameters
    ----------
    targets : list of pathlib.Path
        The PNG files to be written.
    source : pathlib.Path
        The file that is read, which must not be among them.

    Raises
    ------
    FileError
        If a target is no PNG by its name, is a directory, is the source, or is in a directory that
        does not exist or cannot be written to.
    """
    for target in targets:
        if target.suffix.lower() != ".png":
            raise FileError(f"the output's name must end in .png: {target}")
        if not target.parent.is_dir():
            raise FileError(f"no such directory: {target.parent}")
        if not os.access(target.parent, os.W_OK):
            raise FileError(f"cannot write to the directory {target.parent}")
        if target.is_dir():
            raise FileError(f"the output is a directory: {target}")
        if target.exists() and source.exists() and target.samefile(source):
            raise FileError(f"the output would replace the input: {target}")


def write(image, path):
    """Write a PNG, of as few bits as its palette needs, all of it or nothing.

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
    options = {}
    if image.mode == "P":
        colors = len(image.getpalette()) // 3
        options["bits"] = next(bits for bits in (1, 2, 4, 8) if colors <= 1 << bits)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "xb") as file:
            image.save(file, format="PNG", **options)
        os.replace(part, path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def indexed(dithering):
    """Make a Pillow image with a palette.

    Parameters
    ----------
    dithering : Dithering
        The picture.

    Returns
    -------
    PIL.Image.Image
        Of mode P.
    """
    from PIL import Image

    height, width = dithering.indices.shape
    image = Image.frombytes("P", (width, height), dithering.indices.tobytes())
    image.putpalette(dithering.palette.tobytes())
    return image


def median_cut(image, colors):
    """Dither by Pillow's own means, median cut and Floyd-Steinberg, for comparison.

    Parameters
    ----------
    image : PIL.Image.Image
        The picture in RGB.
    colors : int
        The number of colours.

    Returns
    -------
    PIL.Image.Image
        Dithered, in RGB.
    """
    from PIL import Image

    palette = image.quantize(colors, method=Image.Quantize.MEDIANCUT)
    dithered = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return dithered.convert("RGB")


def side_by_side(panels):
    """Put pictures next to each other, each under its label.

    Parameters
    ----------
    panels : dict of str to PIL.Image.Image
        Labels and pictures.

    Returns
    -------
    PIL.Image.Image
        The sheet, in RGB.
    """
    from PIL import Image, ImageDraw

    gap = 6
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    boxes = [ruler.textbbox((0, 0), label) for label in panels]
    widths = [max(image.width, box[2]) for image, box in zip(panels.values(), boxes)]
    top = max(box[3] for box in boxes) + 2 * gap
    height = top + max(image.height for image in panels.values()) + gap
    sheet = Image.new("RGB", (sum(widths) + gap * (len(widths) + 1), height), "white")
    draw, left = ImageDraw.Draw(sheet), gap
    for (label, image), width in zip(panels.items(), widths):
        draw.text((left, gap), label, fill="black")
        sheet.paste(image, (left, top))
        left += width + gap
    return sheet
