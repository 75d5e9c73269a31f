"""Pictures with soft edges: a palette of colours and degrees of opacity, learned together.

Values are premultiplied, as in libimagequant: the less is seen of a colour, the less it counts, and
all that is transparent is one colour. Opacity weighs more than a channel of colour, since an edge
is seen before any background.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import Sample, initial, spacing
from fastgrad.dithering.optimiser.rate import RatedSearch
from fastgrad.dithering.optimiser.search import Search
from fastgrad.dithering.optimiser.spare import spare
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.result import Dithering, Progress, metrics
from fastgrad.random import RNG

__all__ = [
    "SWEEPS",
    "dither_soft",
    "is_soft",
    "premultiplied",
    "premultiplied_entries",
    "viewed",
]

OPACITY = np.float32(1.5)  # weight of opacity, beside 1 of a channel
OPAQUE = 250 / 255  # opacity of an entry from which on it is opaque
LEARNED_FROM = 1 << 16  # pixels, approximately
ITERATIONS = 20  # of k-means
TRIALS = 3
ROUNDS = 4  # of search and fit
SWEEPS = ROUNDS + 1  # in all, the last one in the rounded palette
RISING = (0.1, 0.25, 0.5, 1.0, 1.0)  # shares of a rate, of one search after the other
NU = 0.3  # an edge bears less grain than a photograph


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
    clear = np.zeros((1 if (alpha == 0).any() else 0, 4), np.float32)
    loss = BlurredError(image, weights=alpha > 0, **viewed(viewing or Viewing()).blur)

    def finished() -> Dithering:
        rgb, opacity, rounded = _entries(palette)
        if entries is not None:
            rgb, opacity = entries
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
        _near(image, picture, rounded)
        losses = *history, loss.of(picture, rounded)
        measured = metrics(loss, picture, rounded)
        if entries is None:
            picture, rgb, opacity = _used(picture, rgb, opacity)
        seconds = time.perf_counter() - pace.began
        return Dithering(picture, rgb, losses, measured, seconds, opacity=opacity)

    if entries is None:
        palette = _learned(image[alpha > 0], colors, clear, rng)
    else:
        palette = premultiplied_entries(*entries)
    frame: dict[str, Any] = {"previous": previous, "gap": np.multiply(flicker, spacing(palette))}
    indices, sample, taken = _nearest(image, palette), Sample(loss), 0.0
    history: list[float] = []
    for i in range(ROUNDS):
        began, search = time.perf_counter(), Search(loss, indices, palette, **frame)
        search.sweep()
        history.append(search.errors()[0])
        if callback is not None:
            callback(Progress(i + 1, ROUNDS, history[-1], finished, "search"))
        taken = max(taken, time.perf_counter() - began)
        if i == ROUNDS - 1 or entries is not None or pace.late("search", 2 * taken):
            break
        tiles = sample.cut(indices[None])[:, 0]
        palette = sample.fit(tiles, palette, locked=len(clear), bounds=(0.0, float(OPACITY)))
        palette = _entries(_firm(palette, indices, image))[2]
    return finished()


def viewed(viewing: Viewing) -> Viewing:
    """Return the conditions under which premultiplied values are seen.

    Examples
    --------
    >>> viewed(Viewing(sigma=2)).blur["nu"]
    0.3
    """
    nu = NU if viewing.nu is None else viewing.nu
    return replace(viewing, nu=nu, local_weights=False)


def premultiplied(values: Array, alpha: ByteArray) -> FloatArray:
    """Return a picture in the space of the loss.

    Parameters
    ----------
    values : array, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    alpha : array of uint8, shape (height, width)
        Opacity, 255 for opaque.

    Returns
    -------
    array of float32, shape (height, width, 4)
        The values times the opacity, and the opacity times its weight.

    Examples
    --------
    >>> image = premultiplied(np.uint8([[[255, 0, 0]]]), np.uint8([[51]]))
    >>> np.rint(100 * image).tolist()
    [[[20.0, 0.0, 0.0, 30.0]]]
    """
    image = np.empty((*alpha.shape, 4), np.float32)
    seen = alpha.astype(np.float32) / 255
    scale = 255 if values.dtype == np.uint8 else 1
    image[..., :3] = values.astype(np.float32) / scale * seen[..., None]
    image[..., 3] = OPACITY * seen
    return image


def premultiplied_entries(rgb: ByteArray, opacity: ByteArray) -> FloatArray:
    """Return the entries of a palette in the space of the loss, shape (K, 4).

    Examples
    --------
    >>> entry = premultiplied_entries(np.uint8([[255, 0, 0]]), np.uint8([51]))
    >>> np.rint(100 * entry).tolist()
    [[20.0, 0.0, 0.0, 30.0]]
    """
    seen = opacity[:, None] / 255
    return np.hstack([rgb / 255 * seen, OPACITY * seen]).astype(np.float32)


def _learned(pixels: FloatArray, colors: int, clear: FloatArray, rng: RNG) -> FloatArray:
    """Return the best of some palettes by k-means, of different entries once they are rounded."""
    few = pixels[:: 1 + len(pixels) // LEARNED_FROM][None]
    if not few.size:
        return np.zeros((colors, 4), np.float32)
    palettes = initial(few, colors, rng=rng, trials=TRIALS, locked=clear, iterations=ITERATIONS)
    errors = [np.square(few - p[_nearest(few, p)]).sum() for p in palettes]
    palette = _entries(palettes[int(np.argmin(errors))])[2]
    for _ in range(TRIALS):  # what is alike, or unused, goes where the error is largest
        indices = _nearest(few, palette)
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
    """Make entries opaque where most of their pixels are: nothing may shine through a solid."""
    uses = np.bincount(indices.ravel(), minlength=len(palette))
    solid = np.bincount(indices[image[..., 3] >= OPACITY], minlength=len(palette))
    full = np.where((2 * solid >= uses) & (uses > 0), OPACITY / np.maximum(palette[:, 3], 0.1), 1)
    return (palette * full[:, None]).astype(np.float32)


def _nearest(image: FloatArray, palette: FloatArray) -> ByteArray:
    """Return the nearest entry of each pixel."""
    pixels = image.reshape(-1, 4)
    indices = np.empty(len(pixels), np.uint8)
    squares = np.square(palette).sum(axis=1)
    for first in range(0, len(pixels), 1 << 14):
        part = pixels[first : first + (1 << 14)]
        indices[first : first + len(part)] = (squares - 2 * part @ palette.T).argmin(axis=1)
    return indices.reshape(image.shape[:2])


def _entries(palette: FloatArray) -> tuple[ByteArray, ByteArray, FloatArray]:
    """Return entries in sRGB, their opacity, and again as they are, but rounded."""
    seen = np.clip(palette[:, 3:] / OPACITY, 0, 1)
    seen = np.rint(255 * np.where(seen >= OPAQUE, 1, seen))
    rgb = np.rint(255 * np.clip(palette[:, :3] * 255 / np.maximum(seen, 1), 0, 1)) * (seen > 0)
    rgb, opacity = rgb.astype(np.uint8), seen[:, 0].astype(np.uint8)
    return rgb, opacity, premultiplied_entries(rgb, opacity)


def _near(image: FloatArray, indices: ByteArray, palette: FloatArray) -> None:
    """Let no pixel's opacity be far off, in place: by one of sqrt(K) even degrees, at most.

    A blurred error does not mind a single pixel that is, but at an edge it is seen.
    """
    most = OPACITY / np.float32(len(palette) ** 0.5)
    far = np.abs(image[..., 3] - palette[indices, 3]) > most
    pixels = image[far]
    beyond = np.maximum(np.abs(pixels[:, 3:] - palette[:, 3]) - most, 0)  # by as little, else
    squares = np.square(pixels[:, None] - palette).sum(axis=2)
    indices[far] = np.argmin(squares + np.float32(1e6) * beyond, axis=1)


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
