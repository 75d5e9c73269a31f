"""Frames of a picture file as they are to be dithered: sized, turned, and laid on white."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from fastgrad import _interrupts as interrupts
from fastgrad._typing import Array
from fastgrad.dithering.chosen import choose_colors
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.files.outcome import Settings
from fastgrad.dithering.pictures import animation, images, transparency
from fastgrad.dithering.pictures.placement import placed, target_size

__all__ = ["Prepared", "chosen", "prepared", "size_of"]


class Prepared(NamedTuple):
    """A frame as it is dithered: sRGB values and the pixels that are seen, None for all.

    Further the opacity that is left, the original on white, and the milliseconds it is shown.
    """

    values: Array
    mask: Array | None
    alpha: Array | None
    original: Array
    duration: float


def size_of(picture: images.Picture, settings: Settings) -> tuple[int, int]:
    """Return the width and height that a picture will have."""
    width, height = picture.width, picture.height
    if settings.turn % 180:
        width, height = height, width
    return target_size(settings.size, width, height)


def prepared(picture: images.Picture, settings: Settings) -> Iterator[Prepared]:
    """Yield each frame as it is to be dithered.

    Parameters
    ----------
    picture : images.Picture
        The file.
    settings : Settings
        What is asked for.

    Yields
    ------
    Prepared
        A frame.

    Raises
    ------
    FileError
        If the file is damaged, or its palette has no room for a transparent colour.
    """
    size, palette = size_of(picture, settings), settings.palette
    width, height = size
    for frame in picture.frames((height, width) if settings.turn % 180 else (width, height)):
        values, alpha = frame.values, frame.alpha
        values, alpha = placed(values, alpha, size, settings.placement, settings.turn)
        original = transparency.on_white(values, alpha)
        parts = transparency.to_dither(values, alpha, settings.alpha)
        if parts[2] is not None and palette is not None and len(palette) == 256:
            reason = "a palette of 256 colours has no room for a transparent one"
            raise images.FileError(f"{picture.name}: {reason}: use --alpha blend")
        yield Prepared(*parts, original, frame.duration)


def chosen(picture: images.Picture, settings: Settings) -> Settings:
    """Choose those of the given colours in which a picture dithers best, if it is asked for.

    Parameters
    ----------
    picture : images.Picture
        The file: of an animation, some frames decide.
    settings : Settings
        What is asked for.

    Returns
    -------
    Settings
        The same with a palette of ``choose`` colours.
    """
    palette, count = settings.palette, settings.choose
    if count is None or palette is None:
        return settings
    with interrupts.allowed():
        pairs = (frame[:2] for frame in prepared(picture, settings))
        values, mask = animation.contact_sheet(pairs, picture.count)
        names = (*Viewing.__dataclass_fields__, "rng")
        how = {name: settings.options[name] for name in names if name in settings.options}
        seen = None if mask.all() or not mask.any() else mask
        which = choose_colors(values, count, palette, weights=seen, **how)
    return replace(
        settings,
        palette=palette[which],
        device=None if settings.device is None else settings.device[which],
        colors=count,
        codes=None if settings.codes is None else tuple(settings.codes[i] for i in which),
        choose=None,
    )
