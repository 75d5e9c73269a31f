"""Pictures with soft edges: a palette of colours and degrees of opacity, learned together.

Errors are those that are seen on black and on white, see `fastgrad.dithering.eye.premultiplied`:
the less is seen of a colour, the less it counts, and all that is transparent is one colour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.premultiplied import (
    MIDDLE,
    OPACITY,
    premultiplied,
    premultiplied_entries,
)
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.nearness import SAMPLE, brought_near, limit, nearest, some
from fastgrad.dithering.optimiser.palette import Sample, initial, spacing
from fastgrad.dithering.optimiser.rate import RatedSearch
from fastgrad.dithering.optimiser.search import Search
from fastgrad.dithering.optimiser.spare import spare
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.result import Dithering, Progress, metrics
from fastgrad.random import RNG

__all__ = ["SWEEPS", "dither_soft", "is_soft", "opacity_limit", "viewed"]

OPAQUE = 250 / 255  # opacity of an entry from which on it is opaque
ITERATIONS = 20  # of k-means
TRIALS = 3
ROUNDS = 4  # of search and fit
SWEEPS = ROUNDS + 1  # in all, the last one in the rounded palette
RISING = (0.1, 0.25, 0.5, 1.0, 1.0)  # shares of a rate, of one search after the other
NU = 0.6  # an edge bears less grain than a photograph


def is_soft(alpha: ByteArray | None, colors: int = 256) -> bool:
    """Return whether a palette of so many entries is to be learned with its opacity.

    That is where some pixels are neither transparent nor opaque, or where one colour is all that
    is left beside the transparent entry.

    Examples
    --------
    >>> is_soft(np.uint8([0, 255])), is_soft(np.uint8([0, 9])), is_soft(None)
    (False, True, False)
    """
    return alpha is not None and (colors == 2 or bool(((alpha > 0) & (alpha < 255)).any()))


def dither_soft(
    values: Array,
    alpha: ByteArray,
    colors: int,
    *,
    entries: tuple[ByteArray, ByteArray] | None = None,
    previous: ByteArray | None = None,
    flicker: ArrayLike = 0.0,
    viewing: Viewing | None = None,
    pace: Pace | None = None,
    rate: float = 0.0,
    most: float | None = None,
    rng: RNG = 0,
    callback: Callable[[Progress], object] | None = None,
) -> Dithering:
    """Dither a picture with opacity: learn entries of colour and opacity, and choose one a pixel.

    Parameters
    ----------
    values : array, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    alpha : array of uint8, shape (height, width)
        Opacity, 255 for opaque.
    colors : int
        Number of entries K, 2 to 256; one of them is the transparent one if any pixel is.
    entries : tuple of array of uint8, shapes (K, 3) and (K,), optional
        The colours of a palette in sRGB and their opacity, if they need not be learned.
    previous : array of uint8, shape (height, width), optional
        The indices of an animation's previous frame, in the same entries.
    flicker : float or array_like, shape (height, width), optional
        Reward for keeping them, as in `fastgrad.dither`.
    viewing : Viewing, optional
        The viewing conditions, of which blur and nu are used.
    pace : Pace, optional
        How long to work.
    rate : float, optional
        What a bit per pixel of the file costs, as a loss.
    most : float, optional
        How far a pixel's opacity may be off; by default `opacity_limit` of this picture.
    rng : int, Key, SeedSequence or Generator, optional
        Source of randomness.
    callback : callable, optional
        Called with a `Progress` after each round.

    Returns
    -------
    Dithering
        The picture. Transparent pixels stay transparent, and there are as many entries as are used.
        Its losses and metrics are those of premultiplied sRGB values in [0, 1] and opacity.

    References
    ----------
    K. Lesinski, "libimagequant": premultiplied colours, and a palette of all four channels.

    Examples
    --------
    >>> values = np.full((8, 8, 3), 200, np.uint8)
    >>> alpha = np.repeat(np.uint8([0, 0, 80, 80, 160, 160, 255, 255]), 8).reshape(8, 8)
    >>> found = dither_soft(values, alpha, 4)
    >>> sorted(found.opacity.tolist())
    [0, 80, 160, 255]
    """
    pace = Pace() if pace is None else pace
    image = premultiplied(values, alpha)
    exact = None if entries is not None else _exact(values, alpha, colors)
    clear = np.zeros((1 if (alpha == 0).any() else 0, 4), np.float32)
    loss = BlurredError(image, weights=alpha > 0, **viewed(viewing or Viewing()).blur)

    def finished() -> Dithering:
        rgb, opacity, rounded = _entries(palette)
        if given is not None:
            (rgb, opacity), rounded = given, palette
        picture = indices.copy()
        search = Search(loss, picture, rounded, **frame)
        search.sweep()
        if len(clear):
            picture[alpha == 0] = np.argmin(opacity)
        if rate:
            search = RatedSearch(loss, picture, rounded, rate, **frame)
            for share in RISING:
                search.renew(rate * share)
                search.sweep()
        allowed = limit(loss.planes, rounded, OPACITY) if most is None else most
        brought_near(picture, loss.planes, rounded, allowed, alpha > 0)
        errors = loss.errors(picture, rounded)
        losses, measured = (*history, errors[0]), metrics(loss, picture, rounded, errors)
        if entries is None:
            picture, rgb, opacity = _used(picture, rgb, opacity)
        seconds = time.perf_counter() - pace.began
        return Dithering(picture, rgb, losses, measured, seconds, opacity=opacity)

    given = exact if entries is None else entries
    if given is None:
        palette = _learned(image[alpha > 0], colors, clear, rng)
    else:
        palette = premultiplied_entries(*given)
    frame: dict[str, Any] = {"previous": previous, "gap": np.multiply(flicker, spacing(palette))}
    indices, sample, taken = nearest(image, palette), Sample(loss), 0.0
    if previous is not None:  # what is still begins as it was
        indices = np.where(np.asarray(flicker) > 0, previous, indices)
    history: list[float] = []
    for i in range(ROUNDS):
        began, search = time.perf_counter(), Search(loss, indices, palette, **frame)
        search.sweep()
        history.append(search.errors()[0])
        if callback is not None:
            callback(Progress(i + 1, ROUNDS, history[-1], finished, "search"))
        taken = max(taken, time.perf_counter() - began)
        if i == ROUNDS - 1 or given is not None or pace.late("search", 2 * taken):
            break
        tiles = sample.cut(indices[None])[:, 0]
        palette = sample.fit(tiles, palette, locked=len(clear), bounds=(-float(MIDDLE), 1.0))
        palette = _entries(_firm(palette, indices, image))[2]
    return finished()


def opacity_limit(
    values: Array, alpha: ByteArray | None, entries: tuple[ByteArray, ByteArray]
) -> float:
    """Return how far a pixel's opacity may be off in given entries, in the space of the loss.

    Frames of an animation have the largest of theirs: what is still would else change with it.

    Examples
    --------
    >>> values, degrees = np.zeros((1, 3, 3), np.uint8), np.uint8([[0, 102, 255]])
    >>> limit = opacity_limit(values, degrees, (np.zeros((2, 3), np.uint8), np.uint8([0, 255])))
    >>> round(limit / float(OPACITY), 2)
    0.4
    """
    alpha = np.full(values.shape[:2], 255, np.uint8) if alpha is None else alpha
    planes = premultiplied(values, alpha).transpose(2, 0, 1)
    return limit(planes, premultiplied_entries(*entries), OPACITY)


def viewed(viewing: Viewing) -> Viewing:
    """Return the conditions under which premultiplied values are seen.

    Examples
    --------
    >>> viewed(Viewing(sigma=2)).blur["nu"]
    0.6
    """
    nu = NU if viewing.nu is None else viewing.nu
    return replace(viewing, space=viewing.measured_in, nu=nu, local_weights=False)


def _exact(values: Array, alpha: ByteArray, colors: int) -> tuple[ByteArray, ByteArray] | None:
    """Return all colours and degrees of opacity of a picture, if they are no more than so many."""
    if values.dtype != np.uint8:
        return None
    whole = np.dstack([np.where(alpha[..., None] > 0, values, 0), alpha])
    codes = whole.astype(np.uint8, order="C").view(np.uint32).ravel()
    if len(np.unique(codes[:: 1 + len(codes) // SAMPLE])) > colors:
        return None
    found = np.unique(codes)
    if len(found) > colors:
        return None
    entries = found.view(np.uint8).reshape(-1, 4)
    return entries[:, :3].copy(), entries[:, 3].copy()


def _learned(pixels: FloatArray, colors: int, clear: FloatArray, rng: RNG) -> FloatArray:
    """Return the best of some palettes by k-means, of different entries once they are rounded."""
    few = some(pixels)
    if not few.size:
        return np.zeros((colors, 4), np.float32)
    palettes = initial(few, colors, rng=rng, trials=TRIALS, locked=clear, iterations=ITERATIONS)
    errors = [np.square(few - p[nearest(few, p)]).sum() for p in palettes]
    palette = _entries(palettes[int(np.argmin(errors))])[2]
    for _ in range(TRIALS):  # what is alike, or unused, goes where the error is largest
        indices = nearest(few, palette)
        palette = _entries(_firm(palette, indices, few))[2]
        uses = np.bincount(indices.ravel(), minlength=colors)
        whole = np.column_stack(_entries(palette)[:2])
        places = np.flatnonzero(spare(whole, uses, len(clear)))
        if not places.size:
            break
        squares = np.square(few - palette[indices]).sum(axis=-1)[0]
        for place in places:
            worst = int(squares.argmax())
            palette[place] = few[0, worst]
            squares = np.minimum(squares, np.square(few[0] - palette[place]).sum(axis=-1))
        palette = _entries(palette)[2]
    return palette


def _firm(palette: FloatArray, indices: ByteArray, image: FloatArray) -> FloatArray:
    """Make entries opaque where most of their pixels are: nothing may shine through a solid.

    And the one that most opaque pixels have, where these are many for the number of entries.
    """
    colors = len(palette)
    uses = np.bincount(indices.ravel(), minlength=colors)
    solid = np.bincount(indices[image[..., 3] >= OPACITY], minlength=colors)
    firm = (2 * solid >= uses) & (uses > 0)
    many = 2 * colors * solid.sum() >= np.count_nonzero(image[..., 3])
    firm[solid.argmax()] |= many and colors > 2
    full = np.where(firm, OPACITY / np.maximum(palette[:, 3], 0.1), 1)
    return (palette * full[:, None]).astype(np.float32)


def _entries(palette: FloatArray) -> tuple[ByteArray, ByteArray, FloatArray]:
    """Return entries in sRGB, their opacity, and again as they are, but rounded."""
    seen = np.clip(palette[:, 3:] / OPACITY, 0, 1)
    seen = np.rint(255 * np.where(seen >= OPAQUE, 1, seen))
    straight = palette[:, :3] * 255 / np.maximum(seen, 1) + MIDDLE
    rgb = np.rint(255 * np.clip(straight, 0, 1)) * (seen > 0)
    rgb, opacity = rgb.astype(np.uint8), seen[:, 0].astype(np.uint8)
    return rgb, opacity, premultiplied_entries(rgb, opacity)


def _used(
    indices: ByteArray, rgb: ByteArray, opacity: ByteArray
) -> tuple[ByteArray, ByteArray, ByteArray]:
    """Return the picture with only those entries that are used, the opaque first."""
    whole = np.column_stack([255 - opacity, rgb])
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=len(rgb)))
    kept, places = np.unique(whole[used], axis=0, return_inverse=True)
    table = np.zeros(len(rgb), np.uint8)
    table[used] = places.reshape(-1)
    return table[indices], kept[:, 1:], 255 - kept[:, 0]
