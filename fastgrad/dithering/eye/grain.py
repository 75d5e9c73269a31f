"""How much grain the eye sees in a tone that is mixed of a palette's colours."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.dithering.eye.colour import SPACES, to_linear

__all__ = ["grain", "shares"]

SIGMA = 1.4  # pixels of the eye's blur, at some 67 pixels per degree
SMALL = 0.1  # share of a step in light that is tried for its slope in lightness
MOST = 16  # colours; of more, any tone has some that are near
NEAR = 1e-3  # of shares and linear light: mixtures that miss a tone by less make it


def grain(tones: FloatArray, palette: ArrayLike) -> FloatArray:
    """Return the mean squares in Oklab of the grain that is seen of mixed tones.

    A search lays the dots of a colour evenly, about as a triangular lattice. Of a share p of the
    pixels, that has its first six frequencies at 2 p / sqrt(3), squared, in cycles per pixel, each
    of amplitude p, and the eye's blur leaves little of them where p is large.

    Parameters
    ----------
    tones : array, shape (N, 3)
        Colours in linear light that the palette reaches.
    palette : array_like of uint8, shape (K, 3)
        The colours in sRGB.

    Returns
    -------
    array of float64, shape (N,)
        The expected squares, which are 0 for colours of the palette.

    Examples
    --------
    >>> import numpy as np
    >>> tones = np.array([[0.0] * 3, [0.02] * 3, [0.5] * 3])
    >>> grain(tones, np.uint8([[0] * 3, [255] * 3])).round(3).tolist()
    [0.0, 0.008, 0.0]
    """
    inks = to_linear(np.asarray(palette, np.uint8)).astype(np.float64)
    if len(inks) > MOST:
        return np.zeros(len(tones))
    share, oklab = shares(tones, inks), SPACES["oklab"]
    np.put_along_axis(share, share.argmax(axis=1)[:, None], 0, axis=1)  # the others lie amid it
    left = share * np.exp(-((2 * np.pi * SIGMA) ** 2) * share / 3**0.5)
    step = SMALL * left[..., None] * (inks - tones[:, None])
    slope = (oklab.into(tones[:, None] + step) - oklab.into(tones)[:, None]) / SMALL
    return 6 * np.square(slope).sum(axis=(1, 2))


def shares(tones: FloatArray, inks: FloatArray) -> FloatArray:
    """Return the shares of colours in the mixtures that make tones with the least variance.

    Parameters
    ----------
    tones, inks : array, shape (N, 3) and (K, 3)
        Colours in linear light.

    Returns
    -------
    array, shape (N, K)
        Shares, no more than four of which are above 0; of a tone that none makes, that of the
        nearest colour is 1.

    Examples
    --------
    >>> import numpy as np
    >>> greys = np.array([[0.0] * 3, [0.5] * 3, [1.0] * 3])
    >>> shares(np.array([[0.25] * 3]), greys).round(3).tolist()
    [[0.5, 0.5, 0.0]]
    """
    apart = np.square(tones[:, None] - inks).sum(axis=2)  # which a mixture adds up to its variance
    found, least = np.zeros(apart.shape), np.full(len(tones), np.inf)
    found[np.arange(len(tones)), apart.argmin(axis=1)] = 1
    grey = bool((inks == inks[:, :1]).all())
    count = 2 if grey else min(4, len(inks))
    chosen = np.array(list(combinations(range(len(inks)), count)))
    ones = np.ones((len(chosen), 1, count))
    mixing = np.linalg.pinv(np.concatenate([inks[chosen].swapaxes(1, 2), ones], axis=1))
    wanted = np.column_stack([tones, np.ones(len(tones))])
    for members, inverse in zip(chosen, mixing):
        share = wanted @ inverse.T
        off = np.abs(share @ inks[members] - tones).max(axis=1)
        spread = (share * apart[:, members]).sum(axis=1)
        better = (share.min(axis=1) >= -NEAR) & (off <= NEAR) & (spread < least)
        least[better] = spread[better]
        found[better] = 0
        found[np.ix_(better, members)] = np.maximum(share[better], 0)
    return found
