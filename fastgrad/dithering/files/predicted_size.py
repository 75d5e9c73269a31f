"""Bytes of PNG files that are predicted, in less time than compressing them takes."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np

from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.pictures.animation import arranged
from fastgrad.dithering.pictures.png import RAMP, depths, pack
from fastgrad.dithering.pictures.png_filters import each_alone, mixed
from fastgrad.kernels.dithering.files import predicted_size as kernels

__all__ = ["corrected", "predicted_size"]

FRAME = 69  # bytes of a PNG beside its palette and its pixels
HEAD, LENGTH = 60, 4  # bits of a block, and of each symbol in it, that say how long codes are
SAVED = 0.25  # by which the best parse is shorter, as a logarithm, if there are only matches


def predicted_size(indices: ByteArray, palette: ByteArray) -> float:
    """Return the bytes of a PNG, as they are predicted.

    Rows are taken apart as a simple Deflate does it, into literals and matches with what came
    before, whose codes have the lengths of Huffman's. The best Deflate saves more, the more matches
    there are. A file has the shortest of rows: packed ones, those of a byte for each pixel, and
    filtered ones.

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

    References
    ----------
    P. Deutsch, "DEFLATE Compressed Data Format Specification version 1.3", RFC 1951, 1996.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    >>> greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    >>> round(predicted_size(noise, greys) / (69 + 768 + 64 * 65), 2)
    1.0
    """
    used, places = np.unique(indices, return_inverse=True)
    picture = places.reshape(indices.shape).astype(np.uint8)
    (picture,), colors, _ = arranged([picture], palette[used], None)
    tried = depths(len(colors))
    rows = [pack(picture, bits) for bits in tried]
    if tried[0] >= RAMP:
        height = len(picture)
        rows += [mixed(each_alone(some, height), height) for some in rows]
    return min(map(_bytes, rows)) + 3 * len(colors) + FRAME


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


def _bytes(rows: bytes) -> float:
    """Return the bytes that rows take, once they are compressed."""
    data = np.frombuffer(rows, np.uint8)
    counts = np.zeros((data.size // kernels.BLOCK + 1, kernels.SYMBOLS), np.int64)
    heads, links = np.full(kernels.HASHES, -1, np.int32), np.zeros(kernels.WINDOW, np.int32)
    tokens = kernels.parse(data, counts, heads, links)
    counts = counts[: -(-tokens // kernels.BLOCK)]
    extra, matches = _extra_bits(), counts[:, kernels.DISTANCES :].sum()
    bits = float((counts @ extra).sum())
    for block in counts:
        block[kernels.END] = 1
        literals, distances = np.split(block, [kernels.DISTANCES])
        bits += _huffman_bits(literals) + _huffman_bits(distances)
        bits += HEAD + LENGTH * np.count_nonzero(block)
    return min(bits / 8 * math.exp(-SAVED * float(matches) / tokens), data.size)


def _extra_bits() -> Array:
    """Return how many bits stand after each symbol of Deflate."""
    extra = np.zeros(kernels.SYMBOLS, np.int64)
    lengths, distances = np.arange(8, 28), np.arange(4, 30)
    extra[kernels.END + 1 + lengths] = lengths // 4 - 1
    extra[kernels.DISTANCES + distances] = distances // 2 - 1
    return extra


def _huffman_bits(counts: Array) -> int:
    """Return the bits of symbols with these counts in a Huffman code, no less than one for each."""
    trees, bits = [count for count in counts.tolist() if count], 0
    if len(trees) == 1:
        return int(trees[0])
    heapq.heapify(trees)
    while len(trees) > 1:
        both = heapq.heappop(trees) + heapq.heappop(trees)
        heapq.heappush(trees, both)
        bits += both
    return bits
