"""What is drawn twice looks the same twice: letters and icons, of which screens are full.

A search comes to a pixel of the second one when its neighbours are not as they were at the first.
Its few other choices are seen by nobody, but break the matches that Deflate finds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.optimiser.drawn import codes_of

__all__ = ["repeated"]

AROUND = 2  # rows and columns on each side of a pixel that must be the same
FACTOR = 0x9E3779B97F4A7C15  # odd: the hash of surroundings is a polynomial of it, modulo 2^64


def repeated(image: ByteArray, indices: ByteArray, free: npt.NDArray[np.bool_]) -> ByteArray:
    """Give pixels with the same surroundings the same index, the one that most of them have.

    Grain along lines and across ramps stays: there, pixels beside each other are alike.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    free : array of bool, shape (height, width)
        The pixels that take part.

    Returns
    -------
    array of uint8, shape (height, width)
        The new indices.

    Examples
    --------
    >>> image, indices = np.zeros((5, 30, 3), np.uint8), np.zeros((5, 30), np.uint8)
    >>> image[2, [5, 15, 25]], indices[2, [5, 15, 25]] = 7, (3, 2, 3)
    >>> repeated(image, indices, image[..., 0] == 7)[2, [5, 15, 25]].tolist()
    [3, 3, 3]
    """
    if not free.any():
        return indices
    hashes, alone = np.zeros(free.shape, np.uint64), free.copy()
    hashes[free] = _hashes(codes_of(image), np.flatnonzero(free))
    for one, two in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        other = hashes[one] != hashes[two]
        alone[one] &= other
        alone[two] &= other
    group = np.unique(hashes[alone], return_inverse=True)[1].astype(np.int64).reshape(-1)
    votes, counts = np.unique(group * 256 + indices[alone], return_counts=True)
    order = np.lexsort((-counts, votes >> 8))  # of those with as many votes, the first index
    first = np.unique((votes >> 8)[order], return_index=True)[1]
    out = indices.copy()
    out[alone] = (votes & 255)[order][first][group]
    return out


def _hashes(codes: Array, places: Array) -> npt.NDArray[np.uint64]:
    """Return a number for the surroundings of each of some pixels."""
    wide = np.pad(codes.astype(np.uint64), AROUND, mode="edge")
    across = wide.shape[1]
    row, column = np.divmod(places, codes.shape[1])
    corner, flat = row * across + column, wide.ravel()
    found = np.zeros(len(places), np.uint64)
    for down in range(2 * AROUND + 1):
        for right in range(2 * AROUND + 1):
            found *= np.uint64(FACTOR)
            found += flat[corner + (down * across + right)] + np.uint64(1)
    return found
