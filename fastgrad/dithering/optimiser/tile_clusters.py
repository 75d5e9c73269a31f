"""Where palettes of tiles start: k-means of tiles by their palettes, and of pixels by colours."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, FloatArray
from fastgrad.dithering.optimiser.palette import initial
from fastgrad.dithering.optimiser.tile_limits import Tiles
from fastgrad.random import Key

__all__ = ["clustered"]

ITERATIONS = 12
PIXELS = 36  # of a tile that are looked at, about


def clustered(
    image: FloatArray, weights: Array, tiles: Tiles, locked: FloatArray, *, key: Key
) -> tuple[Array, FloatArray, float]:
    """Cluster tiles by their palettes and the pixels of each palette by colours: k-means of both.

    Parameters
    ----------
    image : array, shape (height, width, channels)
        The picture, in the space in which distances are to be measured.
    weights : array, shape (height, width)
        The weights of its pixels.
    tiles : Tiles
        The limits.
    locked : array, shape (L, channels)
        The shared colour if it is given, or nothing.
    key : Key
        Source of randomness.

    Returns
    -------
    labels : array of int64, shape (rows, columns)
        The palette of each tile.
    palettes : array, shape (tiles.entries, channels)
        The colours.
    value : float
        The sum of squared distances, times weights.
    """
    pixels, shares = _cut(image, weights, tiles)
    count, colors, channels = tiles.palettes, tiles.colors, image.shape[2]
    means = (pixels * shares[..., None]).sum(axis=1) / np.maximum(shares.sum(axis=1), 1e-9)[:, None]
    seen = shares.any(axis=1)
    centres = initial(means[seen][None] if seen.any() else means[None], count, rng=key)[0]
    labels = np.square(means[:, None] - centres).sum(axis=-1).argmin(axis=1)
    everything = _seen(pixels, shares)
    shared = locked
    if tiles.shared_color is True:  # to begin with, the colour that most tiles have some of
        found = initial(everything, colors, rng=key.fold_in(1))[0]
        nearest = np.square(pixels[:, :, None] - found).sum(axis=-1).argmin(axis=-1)
        spread = [(nearest == k).any(axis=1).sum() for k in range(colors)]
        shared = found[[int(np.argmax(spread))]]
    palettes = np.empty((count, colors, channels), image.dtype)
    for p in range(count):
        own = _seen(pixels[labels == p], shares[labels == p])
        own = own if own.size else everything
        palettes[p] = initial(own, colors, rng=key.fold_in(2 + p), locked=shared)[0]
    palettes = palettes.reshape(-1, channels)
    flat, heavy = pixels.reshape(-1, channels), shares.reshape(-1)
    variables, value = tiles.variables, np.inf
    for _ in range(ITERATIONS):
        squares = np.square(palettes).sum(axis=1)[:, None] - 2 * (palettes @ flat.T)
        squares = squares.reshape(count, colors, *shares.shape)
        costs = np.einsum("tn,ptn->pt", shares, squares.min(axis=1))
        labels = costs.argmin(axis=0)
        own = np.empty(shares.shape, np.int64)
        for p in range(count):
            own[labels == p] = squares[p][:, labels == p].argmin(axis=0)
        entries = variables[(labels[:, None] * colors + own).reshape(-1)]
        value = float(costs.min(axis=0).sum())
        sums = [
            np.bincount(entries, heavy * plane, minlength=count * colors)[variables]
            for plane in flat.T
        ]
        total = np.bincount(entries, heavy, minlength=count * colors)[variables]
        moved = (total > 0) & (variables >= len(locked))
        palettes[moved] = (np.stack(sums, axis=1)[moved] / total[moved, None]).astype(image.dtype)
    value += float(heavy @ np.square(flat).sum(axis=1))
    rows = -(-image.shape[0] // tiles.size[1])
    return labels.reshape(rows, -1), palettes, value


def _cut(image: FloatArray, weights: Array, tiles: Tiles) -> tuple[FloatArray, FloatArray]:
    """Return some pixels of each tile, (tiles, n, channels), and their weights, (tiles, n)."""
    across, down = tiles.size
    height, width, channels = image.shape
    rows, columns = -(-height // down), -(-width // across)
    room = (0, rows * down - height), (0, columns * across - width)
    full = np.pad(image, (*room, (0, 0)), mode="edge")
    heavy = np.pad(np.asarray(weights, image.dtype), room)
    shape = rows, down, columns, across
    full = full.reshape(*shape, channels).swapaxes(1, 2)
    heavy = heavy.reshape(shape).swapaxes(1, 2)
    step = max(1, int((down * across / PIXELS) ** 0.5))
    full, heavy = full[:, :, ::step, ::step], heavy[:, :, ::step, ::step]
    return full.reshape(rows * columns, -1, channels), heavy.reshape(rows * columns, -1)


def _seen(pixels: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the pixels that have weight as a picture of one row; all if none has."""
    found = pixels[shares > 0]
    return (found if found.size else pixels.reshape(-1, pixels.shape[-1]))[None]
