"""Which options of `fastgrad.dither` do not go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastgrad import _validate
from fastgrad.dithering.eye.colour import SPACES
from fastgrad.dithering.eye.viewing import LIGHT
from fastgrad.dithering.optimiser.patterns import PATTERNS
from fastgrad.dithering.pictures.dot_gains import EXCLUDES
from fastgrad.dithering.pictures.transparent_entry import key_of

__all__ = ["EXCLUDED", "NOTHING", "SIZES", "check"]

NOTHING = (("alpha", "blend"), ("fit", "none"), ("structure", 0), ("rate", 0))
SIZES = ("rate", "max_bytes", "quality")
# What each leaves no room for: colours that are learned otherwise, another search, other frames.
EXCLUDED: Mapping[str, tuple[str, ...]] = {
    "tiles": (
        *("colors", "palette", "preset", "lock_colors", "alpha", "hidden", "fit", "solid"),
        *("regions", "previous", "choose", "pattern", "dot_gain", "structure", *SIZES),
    ),
    "pattern": ("structure", *SIZES),
    "dot_gain": EXCLUDES,
    "choose": ("lock_colors", "previous"),
}


def check(given: Mapping[str, Any]) -> None:
    """Refuse options that do not go together.

    Parameters
    ----------
    given : mapping
        Options of `fastgrad.dither` by their names; those left out are None.

    Raises
    ------
    ValueError
        If one excludes another.

    Examples
    --------
    >>> check({"tiles": "nes", "alpha": "blend", "rate": 0})
    >>> check({"pattern": "ordered", "quality": 50})
    Traceback (most recent call last):
    ValueError: quality must be left out with a pattern, got 50
    """
    for name, others in EXCLUDED.items():
        if given.get(name) is not None:
            said = "a pattern" if name == "pattern" else name
            _alone(said, {other: given.get(other) for other in others})
    alpha, space = given.get("alpha"), given.get("space")
    if given.get("pattern") is not None:
        _validate.named(given["pattern"], "pattern", PATTERNS)
        if alpha == "keep":
            raise ValueError("alpha must be 'key' or 'blend' with a pattern, got 'keep'")
    if given.get("choose") is not None and key_of(alpha)[1] is not None:
        _alone("choose", {"alpha": alpha})
    mode = alpha or ("keep" if given.get("preset") is None else "blend")
    if given.get("hidden") and mode == "blend":
        raise ValueError("alpha must be 'keep' or 'key' with hidden, got 'blend'")
    printed = given.get("dot_gain") is not None and space is not None
    if printed and _validate.named(space, "space", SPACES) not in LIGHT:
        known = " or ".join(map(repr, LIGHT))
        raise ValueError(f"space must be {known} with dot_gain, got {space!r}")


def _alone(said: str, others: Mapping[str, Any]) -> None:
    """Refuse all options but those that are None, False, or mean nothing."""
    for name, value in others.items():
        nothing = value is None or value is False or (name, value) in NOTHING
        if not nothing:
            raise ValueError(f"{name} must be left out with {said}, got {value!r}")
