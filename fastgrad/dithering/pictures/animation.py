"""Animations: one palette for all frames, and each frame started from the one before."""

import io

import numpy as np

from fastgrad import dithering

SHEET = 16  # frames at most from which the palette is learned
SHEET_PIXELS = 1 << 21  # of them together
FORMATS = {".png": "PNG", ".gif": "GIF"}


def contact_sheet(frames, count):
    """Lay some frames side by side, so that a palette for all can be learned from them.

    Parameters
    ----------
    frames : iterable of (values, mask)
        All frames: numpy.ndarray of shape (height, width, 3), and of bool, shape (height, width),
        or None.
    count : int
        How many there are.

    Returns
    -------
    values : numpy.ndarray, shape (rows * height, columns * width, 3)
        Evenly chosen frames.
    mask : numpy.ndarray of bool, shape (rows * height, columns * width)
        True where there is a pixel that is seen.
    """
    sheet = None
    for i, (values, mask) in enumerate(frames):
        height, width = values.shape[:2]
        if sheet is None:
            chosen = max(1, min(count, SHEET, SHEET_PIXELS // (height * width)))
            columns = int(np.ceil(np.sqrt(chosen)))
            shape = (-(-chosen // columns) * height, columns * width)
            sheet, seen, done = np.zeros((*shape, 3), values.dtype), np.zeros(shape, bool), 0
        if done < chosen and i >= done * count // chosen:
            row, column = divmod(done, columns)
            place = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
            sheet[place], seen[place] = values, True if mask is None else mask
            done += 1
    return sheet, seen


def dither_frames(frames, *, palette, **options):
    """Dither frames with a palette, each started from the one before, so that still parts stay.

    Parameters
    ----------
    frames : iterable of (values, mask)
        As of `contact_sheet`.
    palette : numpy.ndarray of uint8, shape (K, 3)
        The colours in sRGB.
    **options
        Of `dither`.

    Yields
    ------
    Dithering or None
        The frames; None where nothing is seen.
    """
    previous = None
    for values, mask in frames:
        if mask is not None and not mask.any():
            yield None
            continue
        own = {"weights": mask, "previous": previous}
        own = {name: value for name, value in own.items() if value is not None}
        previous = dithering.dither(values, palette=palette, **own, **options)
        yield previous


def encode(frames, palette, opacity=None, *, ending=".png", durations=(), plays=1):
    """Write indexed pictures as a PNG of as few bits as the palette needs, or as a GIF.

    Parameters
    ----------
    frames : sequence of numpy.ndarray of uint8, shape (height, width)
        Palette indices. Several make an animation; equal ones in a row are merged.
    palette : numpy.ndarray of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : numpy.ndarray of uint8, shape (K,), optional
        Opacity of the colours; a GIF has one transparent colour at most, and none in between.
    ending : str, optional
        One of `FORMATS`.
    durations : sequence of float, optional
        How long each frame is shown, in milliseconds.
    plays : int, optional
        How often an animation is played; 0 for ever.

    Returns
    -------
    bytes
        What the file is to contain.
    """
    from PIL import Image

    options, images = {}, []
    if ending == ".png":
        options["bits"] = next(bits for bits in (1, 2, 4, 8) if len(palette) <= 1 << bits)
    if opacity is not None:
        key = int(np.argmin(opacity))
        options["transparency"] = key if ending == ".gif" else opacity.tobytes()
    for indices in frames:
        image = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
        image.putpalette(palette.tobytes())
        image.info.update({k: v for k, v in options.items() if k == "transparency"})
        images.append(image)
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:], "duration": list(durations)}
        if ending == ".png":
            options["loop"] = plays
        else:  # a GIF says how often it is played again, or nothing
            options |= {} if plays == 1 else {"loop": plays and plays - 1}
            options["disposal"] = 1 if opacity is None else 2
    file = io.BytesIO()
    images[0].save(file, FORMATS[ending], **options)
    return file.getvalue()
