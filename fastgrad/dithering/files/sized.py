"""The work on a picture file whose bytes count: a still picture, or all frames of an animation."""

from __future__ import annotations

from dataclasses import replace

from fastgrad.dithering.files import one_picture
from fastgrad.dithering.files.outcome import Outcome, Settings
from fastgrad.dithering.pictures import images
from fastgrad.dithering.rates import Rates, SizeError

__all__ = ["run"]


def run(
    picture: images.Picture, ending: str, settings: Settings, *, quiet: bool = False
) -> Outcome:
    """Dither all frames of a picture, within the bytes that its file may have, if that is asked.

    A still picture is fitted by `fastgrad.dither`. Of an animation, and where there is more in the
    file than `fastgrad.dither` knows of, the rate is searched for all frames together.

    Parameters
    ----------
    picture : images.Picture
        The picture.
    ending : str
        The ending of the file that is to be written.
    settings : Settings
        What is asked for.
    quiet : bool, optional
        Whether nothing is shown meanwhile.

    Returns
    -------
    Outcome
        What is to be written.

    Raises
    ------
    FileError
        If the file is damaged, has no room for what is asked, or cannot be so small.
    KeyboardInterrupt
        If there was nothing yet when it came.
    """
    options = dict(settings.options)
    if not (options.get("rate") or options.get("max_bytes")):
        return one_picture.run(picture, settings, quiet=quiet)
    options["ending"] = ending
    most = options.pop("max_bytes", None)
    if most is None:
        return one_picture.run(picture, replace(settings, options=options), quiet=quiet)
    more = 0
    if ending == ".png":
        more = sum(12 + len(data) for _, data in picture.metadata)
    if picture.count == 1 and most > more:
        inner = replace(settings, options={**options, "max_bytes": most - more})
        try:
            outcome = one_picture.run(picture, inner, quiet=quiet)
        except SizeError as error:
            raise images.FileError(_impossible(picture.name, error.least + more, most)) from None
        if not outcome.complete or len(outcome.encode(ending, picture, settings)[0]) <= most:
            return outcome
    outcome = one_picture.run(picture, replace(settings, options=options), quiet=quiet)
    least = len(outcome.encode(ending, picture, settings)[0])
    rates, best, over = Rates(most), outcome, least <= most or not outcome.complete
    held = 0  # bytes of the best that is small enough
    while not over:
        now = replace(settings, options={**options, "rate": rates.rate})
        outcome = one_picture.run(picture, now, quiet=quiet)
        size = len(outcome.encode(ending, picture, settings)[0])
        least = min(size, least)
        over = rates.told(size) or not outcome.complete
        if held < size <= most or not outcome.complete:
            best, held = outcome, size
    if best.complete and least > most:
        raise images.FileError(_impossible(picture.name, least, most))
    return best


def _impossible(name: str, least: int, most: int) -> str:
    """Say that there is no such file."""
    return f"{name}: no file of {most} bytes was found, the smallest has {least}"
