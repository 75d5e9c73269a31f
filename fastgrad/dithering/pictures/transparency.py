"""Pictures that are transparent in places: what is dithered, and how the file says the rest."""

import numpy as np

from fastgrad.dithering.eye.colour import encode, to_linear

MODES = ("keep", "key", "blend")
WHITE = 255  # that of the page below


def on_white(values, alpha):
    """Lay a picture on a white page, as browsers do: in sRGB values.

    Parameters
    ----------
    values : numpy.ndarray, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    alpha : numpy.ndarray of uint8, shape (height, width), or None
        Opacity; None is opaque.

    Returns
    -------
    numpy.ndarray, shape (height, width, 3)
        The picture, of the same dtype.

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


def to_dither(values, alpha, mode):
    """Return what is to be dithered of a picture.

    Parameters
    ----------
    values : numpy.ndarray, shape (height, width, 3)
        sRGB values.
    alpha : numpy.ndarray of uint8, shape (height, width), or None
        Opacity; None is opaque.
    mode : {"keep", "key", "blend"}
        Whether opacity stays, as far as the palette has room; turns into that or nothing, split in
        the middle; or the picture is laid on white.

    Returns
    -------
    values : numpy.ndarray, shape (height, width, 3)
        sRGB values.
    mask : numpy.ndarray of bool, shape (height, width), or None
        True where a pixel is seen; None if that is everywhere.
    alpha : numpy.ndarray of uint8, shape (height, width), or None
        The opacity that is left, for `entries`.
    """
    if alpha is None or mode == "blend":
        return on_white(values, alpha), None, None
    if mode == "key":
        alpha = np.where(alpha < 128, 0, 255).astype(np.uint8)
    mask = alpha > 0
    return values, None if mask.all() else mask, None if alpha.min() == 255 else alpha


def entries(indices, palette, alpha):
    """Give a palette the entries that opacity needs, after its colours.

    There is one for what is transparent, and one for each pair of a colour and a degree of
    opacity; of degrees there are as many as leave no more than 256 entries.

    Parameters
    ----------
    indices : numpy.ndarray of uint8, any shape
        The palette index of each pixel.
    palette : numpy.ndarray of uint8, shape (K, 3)
        The colours.
    alpha : numpy.ndarray of uint8, of the shape of the indices
        Opacity.

    Returns
    -------
    indices : numpy.ndarray of uint8, of the same shape
        The new indices.
    palette : numpy.ndarray of uint8, shape (N, 3)
        The new palette.
    opacity : numpy.ndarray of uint8, shape (N,)
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
    colors = len(palette)
    for between in (254, 126, 62, 30, 14, 6, 2, 1, 0):  # degrees between 0 and 255
        degree = np.rint(alpha * ((between + 1) / 255)).astype(np.int64)
        pairs = np.where(degree == 0, 0, degree * 256 + indices)
        partial = degree <= between
        new, inverse = np.unique(pairs[partial], return_inverse=True)
        if colors + len(new) <= 256:
            break
    else:
        raise ValueError("a palette of 256 colours has no room for a transparent one")
    result = indices.copy()
    result[partial] = colors + inverse.reshape(-1)
    opacity = np.rint(new // 256 * (255 / (between + 1))).astype(np.uint8)
    added = palette[new % 256] * (opacity > 0)[:, None]
    full = np.full(colors, 255, np.uint8)
    return result, np.concatenate([palette, added.astype(np.uint8)]), np.append(full, opacity)


def resize(values, alpha, size):
    """Change the size of a picture, in linear light.

    Parameters
    ----------
    values : numpy.ndarray, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    alpha : numpy.ndarray of uint8, shape (height, width), or None
        Opacity, by which colours are weighted.
    size : tuple of int
        The new width and height.

    Returns
    -------
    values : numpy.ndarray of float32, shape (new height, new width, 3)
        sRGB values in [0, 1].
    alpha : numpy.ndarray of uint8, shape (new height, new width), or None
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
