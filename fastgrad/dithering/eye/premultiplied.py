"""Colours with opacity, in a space whose squared distances are those on black and on white.

Values are premultiplied, as in libimagequant. With dp an error of a premultiplied channel and da
one of opacity, it is dp that is seen on black, and dp - da on white. The mean of their squares is
(dp - da / 2)^2 + da^2 / 4, which is a sum of squares again.
"""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, ByteArray, FloatArray

__all__ = ["MIDDLE", "OPACITY", "premultiplied", "premultiplied_entries"]

MIDDLE = np.float32(0.5)  # the grey between black and white
OPACITY = np.float32(0.75**0.5)  # scale of opacity: a quarter of its square, in three channels


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
        The values less a middle grey, times the opacity, and the opacity times its weight.

    Examples
    --------
    >>> image = premultiplied(np.uint8([[[255, 0, 0]]]), np.uint8([[51]]))
    >>> np.rint(100 * image).tolist()
    [[[10.0, -10.0, -10.0, 17.0]]]
    """
    image = np.empty((*alpha.shape, 4), np.float32)
    seen = alpha.astype(np.float32) / 255
    scale = 255 if values.dtype == np.uint8 else 1
    image[..., :3] = (values.astype(np.float32) / scale - MIDDLE) * seen[..., None]
    image[..., 3] = OPACITY * seen
    return image


def premultiplied_entries(rgb: ByteArray, opacity: ByteArray) -> FloatArray:
    """Return the entries of a palette in the space of the loss, shape (K, 4).

    Examples
    --------
    >>> entry = premultiplied_entries(np.uint8([[255, 0, 0]]), np.uint8([51]))
    >>> np.rint(100 * entry).tolist()
    [[10.0, -10.0, -10.0, 17.0]]
    """
    return premultiplied(rgb[None], opacity[None])[0]
