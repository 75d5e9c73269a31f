"""Pictures that are transparent in places: what is dithered, and how a palette stores opacity."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import encode, to_linear
from fastgrad.dithering.optimiser.palette import initial

__all__ = ["MODES", "Mode", "entries", "in_order", "on_white", "resize", "to_dither", "with_hidden"]

Mode: TypeAlias = Literal["keep", "key", "blend"]
MODES: tuple[Mode, ...] = ("keep", "key", "blend")
WHITE = 255  # the value of the page below


def on_white(values: Array, alpha: ByteArray | None) -> Array:
    """Blend a picture with a white page in sRGB values, as browsers do.

    Parameters
    ----------
    values : array, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    alpha : array of uint8, shape (height, width), or None
        Opacity, 255 for opaque; None if all is opaque.

    Returns
    -------
    array, shape (height, width, 3)
        The blended picture, of the same dtype.

    Examples
    --------
    >>> import numpy as np
    >>> on_white(np.uint8([[[0, 100, 255]]]), np.uint8([[51]])).tolist()
    [[[204, 224, 255]]]
    """
    if alpha is None:
        return values
    opacity = alpha[..., None].astype(np.float32) / 255
    if values.dtype == np.uint8:
        return np.rint(values * opacity + WHITE * (1 - opacity)).astype(np.uint8)
    return np.clip(values * opacity + (1 - opacity), 0, 1).astype(values.dtype)


def to_dither(
    values: Array, alpha: ByteArray | None, mode: Mode
) -> tuple[Array, npt.NDArray[np.bool_] | None, ByteArray | None]:
    """Return the picture to dither, and the opacity that is left to store in its palette.

    Parameters
    ----------
    values : array, shape (height, width, 3)
        sRGB values.
    alpha : array of uint8, shape (height, width), or None
        Opacity, 255 for opaque; None if all is opaque.
    mode : {"keep", "key", "blend"}
        Keep opacity as far as the palette has room; make pixels transparent or opaque, whichever is
        nearer; or blend the picture with a white page.

    Returns
    -------
    values : array, shape (height, width, 3)
        sRGB values.
    mask : array of bool, shape (height, width), or None
        True where a pixel is seen; None if all are.
    alpha : array of uint8, shape (height, width), or None
        The remaining opacity, for `entries`.
    """
    if alpha is None or mode == "blend":
        return on_white(values, alpha), None, None
    if mode == "key":
        alpha = np.where(alpha < 128, 0, 255).astype(np.uint8)
    mask = alpha > 0
    return values, None if mask.all() else mask, None if alpha.min() == 255 else alpha


def entries(
    indices: ByteArray,
    palette: ByteArray,
    alpha: ByteArray,
    *,
    learned: bool = False,
    hidden: bool = False,
) -> tuple[ByteArray, ByteArray, ByteArray]:
    """Add entries to a palette for pixels that are not opaque.

    One entry is for transparent pixels, and one for each pair of a colour and a degree of opacity
    in the picture. There are as many degrees as possible with no more than 256 entries.

    Parameters
    ----------
    indices : array of uint8, any shape
        The palette index of each pixel.
    palette : array of uint8, shape (K, 3)
        The colours.
    alpha : array of uint8, of the shape of the indices
        Opacity, 255 for opaque.
    learned : bool, optional
        Leave out the opaque entries that no pixel has; by default all of the palette are kept.
    hidden : bool, optional
        Keep the colours of transparent pixels, in an entry for each; by default they have one
        entry, and it is black.

    Returns
    -------
    indices : array of uint8, of the same shape
        The new indices.
    palette : array of uint8, shape (N, 3)
        The new palette.
    opacity : array of uint8, shape (N,)
        The opacity of each entry.

    Raises
    ------
    ValueError
        If there are transparent pixels, and the palette already has 256 colours.

    Examples
    --------
    >>> import numpy as np
    >>> alpha = np.uint8([255, 128, 0])
    >>> entries(np.uint8([0, 1, 1]), np.uint8([[9, 9, 9], [80, 80, 80]]), alpha)[0].tolist()
    [0, 3, 2]
    """
    if learned:
        used = np.flatnonzero(np.bincount(indices[alpha == 255], minlength=len(palette)))
        every, opaque = palette, palette[used]
        places = np.zeros(len(palette), np.uint8)
        places[used] = np.arange(len(used))
    else:
        every, opaque, places = palette, palette, np.arange(len(palette), dtype=np.uint8)
    colors = len(opaque)
    for between in (254, 126, 62, 30, 14, 6, 2, 1, 0):  # degrees between 0 and 255
        degree = np.rint(alpha * ((between + 1) / 255)).astype(np.int64)
        pairs = degree * 256 + indices
        if not hidden:
            pairs[degree == 0] = 0
        partial = degree <= between
        new, inverse = np.unique(pairs[partial], return_inverse=True)
        if colors + len(new) <= 256:
            break
    else:
        raise ValueError("a palette of 256 colours has no room for a transparent one")
    result = places[indices]
    result[partial] = colors + inverse.reshape(-1)
    opacity = np.rint(new // 256 * (255 / (between + 1))).astype(np.uint8)
    added = every[new % 256] * ((opacity > 0) | hidden)[:, None]
    full = np.full(colors, 255, np.uint8)
    return result, np.concatenate([opaque, added.astype(np.uint8)]), np.append(full, opacity)


def with_hidden(
    indices: ByteArray, palette: ByteArray, opacity: ByteArray, values: Array, most: int
) -> tuple[ByteArray, ByteArray, ByteArray]:
    """Give transparent pixels entries of the colours that are hidden there.

    Parameters
    ----------
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    palette : array of uint8, shape (N, 3)
        The colours.
    opacity : array of uint8, shape (N,)
        The opacity of each entry, 255 for opaque.
    values : array, shape (height, width, 3)
        The picture's sRGB values.
    most : int
        The greatest number of transparent entries, at least 1.

    Returns
    -------
    indices, palette, opacity
        The same picture, in a palette that ends with the transparent entries: all hidden colours
        if they are so few, else the nearest of some that k-means finds.

    Examples
    --------
    >>> values = np.uint8([[[9, 9, 9], [255, 0, 255], [9, 9, 9]]])
    >>> palette, opacity = np.uint8([[9, 9, 9], [0, 0, 0]]), np.uint8([255, 0])
    >>> with_hidden(np.uint8([[0, 1, 1]]), palette, opacity, values, 4)[1].tolist()
    [[9, 9, 9], [9, 9, 9], [255, 0, 255]]
    """
    clear = opacity[indices] == 0
    pixels = values[clear]
    if not len(pixels):
        return indices, palette, opacity
    if pixels.dtype != np.uint8:
        pixels = np.rint(255 * pixels).astype(np.uint8)
    colors, places = np.unique(pixels, axis=0, return_inverse=True)
    if len(colors) > most:
        found = initial(pixels[None].astype(np.float32) / 255, most, rng=0)[0]
        colors = np.unique(np.rint(255 * found).astype(np.uint8), axis=0)
        squares = np.square(colors.astype(np.float32)).sum(axis=1)
        products = pixels.astype(np.float32) @ colors.T.astype(np.float32)
        places = (squares - 2 * products).argmin(axis=1)
    shown = np.flatnonzero(opacity)
    table = np.zeros(len(opacity), np.uint8)
    table[shown] = np.arange(len(shown))
    result = table[indices]
    result[clear] = len(shown) + places.reshape(-1)
    none = np.zeros(len(colors), np.uint8)
    return result, np.concatenate([palette[shown], colors]), np.append(opacity[shown], none)


def in_order(
    indices: ByteArray,
    palette: ByteArray,
    opacity: ByteArray,
    given: ByteArray,
    given_opacity: ByteArray,
) -> tuple[ByteArray, ByteArray, ByteArray] | None:
    """Put the entries of a palette where an indexed original has them.

    Parameters
    ----------
    indices : array of uint8, any shape
        The palette index of each pixel.
    palette : array of uint8, shape (N, 3)
        The colours.
    opacity : array of uint8, shape (N,)
        The opacity of each entry.
    given : array of uint8, shape (M, 3)
        The colours of the original.
    given_opacity : array of uint8, shape (M,)
        The opacity of its entries.

    Returns
    -------
    indices, palette, opacity
        The same picture in all entries of the original, in their order, and hidden colours with
        them. None if an entry is not one of the original's.

    Examples
    --------
    >>> palette, opacity = np.uint8([[0, 0, 0], [9, 9, 9]]), np.uint8([0, 255])
    >>> given, clear = np.uint8([[9, 9, 9], [255, 0, 255]]), np.uint8([255, 0])
    >>> in_order(np.uint8([0, 0, 1]), palette, opacity, given, clear)[0].tolist()
    [1, 1, 0]
    """

    def seen(colors: ByteArray, alpha: ByteArray) -> Array:
        return np.column_stack([colors * (alpha > 0)[:, None], alpha])

    mine, theirs = seen(palette, opacity), seen(given, given_opacity)
    same = (mine[:, None] == theirs).all(axis=-1)
    if not same.any(axis=1).all():
        return None
    return same.argmax(axis=1).astype(np.uint8)[indices], given.copy(), given_opacity.copy()


def resize(
    values: Array, alpha: ByteArray | None, size: tuple[int, int]
) -> tuple[FloatArray, ByteArray | None]:
    """Change the size of a picture, in linear light.

    Parameters
    ----------
    values : array, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    alpha : array of uint8, shape (height, width), or None
        Opacity, which weights the colours; None if all is opaque.
    size : tuple of int
        The new width and height in pixels.

    Returns
    -------
    values : array of float32, shape (new height, new width, 3)
        sRGB values in [0, 1].
    alpha : array of uint8, shape (new height, new width), or None
        Opacity.
    """
    from PIL import Image

    def scale(plane):
        plane = Image.fromarray(np.ascontiguousarray(plane, np.float32))
        return np.asarray(plane.resize(size, Image.Resampling.LANCZOS))

    planes = np.moveaxis(to_linear(values), -1, 0)
    if alpha is None:
        linear = np.stack([scale(plane) for plane in planes], axis=-1)
        return encode(linear).astype(np.float32), None
    opacity = alpha / np.float32(255)
    scaled = np.clip(scale(opacity), 0, 1)
    linear = np.stack([scale(plane * opacity) for plane in planes], axis=-1)
    linear /= np.maximum(scaled, 1 / 512)[..., None]
    return encode(linear).astype(np.float32), np.rint(255 * scaled).astype(np.uint8)
