"""What `fastgrad.dither_files` is asked for, checked before any work."""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np

from fastgrad import _validate, dithering
from fastgrad.dithering.criterion import Criterion
from fastgrad.dithering.eye.viewing import MOST_WEIGHT, Viewing
from fastgrad.dithering.files.outcome import Settings
from fastgrad.dithering.given import COLORS, Given
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.consoles import limits_of
from fastgrad.dithering.pictures.dot_gains import dot_gain_for
from fastgrad.dithering.thrift import Thrift
from fastgrad.dithering.together import check
from fastgrad.random import as_key

__all__ = ["names_of", "settings_of"]

OF_GIVEN = ("colors", "palette", "preset", "lock_colors", "alpha", "hidden", "fit", "solid")
OF_FILES = ("transparent_index", "choose")  # what is settled for each file


def names_of(paths: Any) -> list[str]:
    """Return the names of files, of one path or of several.

    Examples
    --------
    >>> names_of("a.png"), names_of(["a.png", "b.gif"])
    (['a.png'], ['a.png', 'b.gif'])
    """
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    try:
        return [os.fspath(path) for path in paths]
    except TypeError:
        raise TypeError(f"paths must be a path, or several, got {paths!r}") from None


def settings_of(asked: dict[str, Any], output: str | None, resize: Any, resume: bool) -> Settings:
    """Check options, and say what is asked for.

    Parameters
    ----------
    asked : dict
        Options of `fastgrad.dither`, and "transparent_index"; None for what is left out.
    output : str or None
        The file or directory that is written.
    resize : tuple or None
        The new width and height.
    resume : bool
        Whether to go on with large pictures.

    Returns
    -------
    Settings
        The same for all pictures.

    Raises
    ------
    TypeError, ValueError
        If an option is wrong or contradicts another.
    """
    options = {name: value for name, value in asked.items() if name != "transparent_index"}
    inspect.signature(dithering.dither).bind_partial(**options)
    if any(np.ndim(mask) for mask in (options.get("regions") or {}).values()):
        raise TypeError("regions must be True where there are several pictures, got an array")
    for name in ("weights", "previous", "callback"):
        if options.get(name) is not None:
            raise TypeError(f"{name} must be left out, for it belongs to one picture")
    if options.get("ending") is not None:
        raise TypeError("ending must be left out, for the output says it")
    check(options)
    if options.get("tiles") is not None:
        options["tiles"] = limits_of(options["tiles"])
        options |= {"colors": options["tiles"].entries, "alpha": "blend"}
    whose = {name: options[name] for name in (*OF_GIVEN, "regions") if name in options}
    given = Given(np.zeros((1, 1, 3), np.uint8), **whose)
    eye = _eye(given, options)
    place = asked.get("transparent_index")
    if place is not None:
        place = _validate.integer(place, "transparent_index", 0, 255)
    keys = (*OF_GIVEN, *OF_FILES)
    own = {name: value for name, value in options.items() if name not in keys or name == "hidden"}
    rng = as_key(options.get("rng", 0))  # a generator would go on from one picture to the next
    gif = output is not None and output.lower().endswith(".gif")
    return Settings(
        given.palette,
        None if given.swatches is None else given.swatches.device,
        bool(options.get("lock_colors")),
        options.get("colors") or COLORS,
        "key" if (gif or options.get("pattern")) and given.mode == "keep" else given.mode,
        None if resize is None else _size(resize),
        {**own, **eye, "fit": given.fit, "solid": given.solid, "rng": rng},
        resume=bool(_validate.choice(resume, "resume", (False, True))),
        counted=given.counted,
        choose=_choose(given, options.get("choose")),
        key=given.key,
        transparent_index=place,
    )


def _eye(given: Given, options: dict[str, Any]) -> dict[str, Any]:
    """Check the options that need no picture; return those that say where errors are measured."""
    Pace(options.get("speed"), options.get("time_budget"))
    thrift = Thrift(options.get("rate"), options.get("max_bytes"), options.get("quality"))
    thrift.alone(structure=options.get("structure"), time_budget=options.get("time_budget"))
    if options.get("dot_gain") is not None:
        dot_gain_for(options["dot_gain"], given.swatches, None)
    if options.get("flicker") is not None:
        _validate.number(options["flicker"], "flicker", 0, MOST_WEIGHT)
    criterion = ("structure", "objective", "estimator")
    Criterion(**{name: options[name] for name in criterion if name in options})
    eye = given.options(**{name: options.get(name) for name in ("sigma", "ppd", "nu", "space")})
    Viewing(local_weights=options.get("local_weights"), **eye)
    return eye


def _size(resize: Any) -> tuple[int | None, int | None]:
    """Check a new width and height."""
    if not isinstance(resize, (tuple, list)) or len(resize) != 2 or resize[0] is resize[1] is None:
        wanted = "a width and a height, one of which may be None"
        raise TypeError(f"resize must be {wanted}, got {resize!r}")
    width, height = (None if x is None else _validate.integer(x, "resize", 1) for x in resize)
    return width, height


def _choose(given: Given, choose: Any) -> int | None:
    """Check how many of the given colours are taken."""
    if choose is None:
        return None
    if given.palette is None or given.counted is False or given.colors is not None:
        raise ValueError(f"palette or preset must be given alone with choose, got {choose!r}")
    return _validate.integer(choose, "choose", 2, len(given.palette))
