"""Pairs of pixels of a large picture, to which its tones are fitted."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastgrad._typing import Array
from fastgrad.dithering.optimiser.tones import APART, places_of_pairs
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import Source
from fastgrad.dithering.pictures.transparency import Mode, to_dither
from fastgrad.dithering.strips.sample import boxes, inside_of

__all__ = ["pairs"]


def pairs(source: Source, mode: Mode, weights: Source | None = None) -> Array:
    """Return the pairs of pixels to which tones are fitted: those of the whole picture.

    Parameters
    ----------
    source : Source
        The picture.
    mode : {"keep", "key", "blend"}
        What becomes of opacity.
    weights : Source, optional
        The weights of the pixels: those of weight 0 are left out.

    Returns
    -------
    array, shape (N, 2, 3) or (N, 2)
        What `fastgrad.dithering.optimiser.tones.fit_pairs` takes.

    Examples
    --------
    >>> from fastgrad.dithering.pictures.sources import ArraySource
    >>> pairs(ArraySource(np.zeros((300, 50), np.uint8)), "keep").shape
    (3000, 2)
    """
    which, values = _located(source, mode)
    if weights is None:
        return values
    counting = np.all(_located(weights, "keep")[1] > 0, axis=1)
    return values[counting[which]]


def _located(source: Source, mode: Mode) -> tuple[Array, Array]:
    """Return which pairs are seen, and their values."""
    found = places_of_pairs(source.shape)
    found = found[np.argsort(found[:, 0, 0], kind="stable")]
    parts = [
        box
        for box in boxes(source, (APART[-1], APART[-1]))
        if inside_of(found[:, 0], (box[0], box[2]), source.columns).size
    ]
    cut = partial(_pairs, found=found, mode=mode, columns=source.columns)
    which, taken = zip(*source.each(cut, parts))
    wide = max(values.ndim for values in taken)
    whole = [v if v.ndim == wide else np.repeat(v[..., None], 3, axis=2) for v in taken]
    order = np.argsort(np.concatenate(which))
    return np.concatenate(which)[order], np.concatenate(whole)[order]


def _pairs(
    pixels: Pixels,
    corner: tuple[int, int],
    *,
    found: Array,
    mode: Mode,
    columns: int | None,
) -> tuple[Array, Array]:
    """Return which pairs begin in a part, and their values."""
    which = inside_of(found[:, 0], corner, columns)
    own: Any = found[which] - corner
    place = own[..., 0], own[..., 1]
    values = pixels.values[place]
    if pixels.alpha is None:
        return which, values
    alpha = pixels.alpha[place]
    values = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    values, seen, _ = to_dither(values, alpha, mode)
    if seen is None:
        return which, values
    return which[seen.all(axis=1)], values[seen.all(axis=1)]
