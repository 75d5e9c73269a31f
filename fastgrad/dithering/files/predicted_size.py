"""Bytes of PNG files that are predicted, without Deflate."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.optimiser.rate import RowModel
from fastgrad.dithering.pictures.animation import arranged
from fastgrad.dithering.pictures.png import pack
from fastgrad.dithering.pictures.png_filters import each_alone, mixed

__all__ = ["corrected", "predicted_size"]

FRAME = 69  # bytes of a PNG beside its palette and its pixels
FEWER = 4  # colours up to which no filters are tried


def predicted_size(indices: ByteArray, palette: ByteArray) -> float:
    """Return the bytes of a PNG, as they are predicted.

    Rows take what the model of a rate says, `RowModel`, those without filters and filtered ones.
    Where these hardly repeat, they take what a Huffman code of their bytes does. A file has the
    shortest ones.

    Parameters
    ----------
    indices : array of uint8, shape (height, width)
        The picture.
    palette : array of uint8, shape (K, 3)
        Its colours.

    Returns
    -------
    float
        The bytes.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    >>> greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    >>> round(predicted_size(noise, greys) / (69 + 768 + 64 * 65), 2)
    0.99
    """
    used, places = np.unique(indices, return_inverse=True)
    picture = places.reshape(indices.shape).astype(np.uint8)
    (picture,), colors, _ = arranged([picture], palette[used], None)
    bits = _bits(picture)
    if len(colors) > FEWER:
        height = len(picture)
        rows = np.frombuffer(mixed(each_alone(pack(picture, 8), height), height), np.uint8)
        bits = min(bits, _huffman_bits(np.bincount(rows)), _bits(rows.reshape(height, -1)))
    return bits / 8 + 3 * len(colors) + FRAME


def corrected(predicted: Sequence[float], first: float, last: float) -> FloatArray:
    """Bring predictions into line with files that were written of the first and the last picture.

    How far a model is off depends on the picture, and little on the rate: so it is known of those
    in between.

    Parameters
    ----------
    predicted : sequence of float
        Bytes that were predicted of a run's pictures, by their rates.
    first, last : float
        Bytes that the files of the first and the last one have.

    Returns
    -------
    array of float64
        The bytes of all.

    Examples
    --------
    >>> corrected([100, 50, 25], 110, 25).round(1).tolist()
    [110.0, 52.4, 25.0]
    """
    logs = np.log(np.asarray(predicted, np.float64))
    ends, off = logs[[0, -1]], np.log([first, last]) - logs[[0, -1]]
    share = np.clip((logs - ends[0]) / (np.diff(ends) or 1), 0, 1)
    share[-1] = 1
    return np.exp(logs + off[0] + share * (off[1] - off[0]))


def _bits(picture: ByteArray) -> float:
    """Return the bits that values take by the model of a rate."""
    used, places = np.unique(picture, return_inverse=True)
    model = RowModel(max(len(used), 2))
    return model.bits(model.counts(places.reshape(picture.shape)))


def _huffman_bits(counts: Array) -> int:
    """Return the bits of symbols with these counts in a Huffman code."""
    trees, bits = [count for count in counts.tolist() if count], 0
    heapq.heapify(trees)
    while len(trees) > 1:
        both = heapq.heappop(trees) + heapq.heappop(trees)
        heapq.heappush(trees, both)
        bits += both
    return bits
