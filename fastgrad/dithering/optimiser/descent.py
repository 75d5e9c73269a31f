"""Descent on a picture itself: moves that lower its blurred error plus weight times a metric.

All differences are exact. When a pixel changes, a mean similarity changes only in the few windows
that touch it, and a kernel keeps those up to date. Any other objective is asked for the local
differences of the whole picture, and then pixels change together that are far enough apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.categorical import Categorical
from fastgrad.dithering.metrics.structure import Structural
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.kernels.dithering.optimiser import descent as kernels
from fastgrad.objectives import Objective

__all__ = ["descend", "total"]

SETTLED = 1e-3  # share of pixels: when fewer move in a sweep over tiles, descent ends
TILE = 32  # least side, of tiles that are worked on at the same time


def total(
    indices: Array, loss: BlurredError, palette: FloatArray, objective: Objective, weight: float
) -> float:
    """Return the blurred error of a picture plus weight times an objective.

    Parameters
    ----------
    indices : array of integers, shape (height, width)
        The palette index of each pixel.
    loss : BlurredError
        The blurred error.
    palette : array, shape (K, channels)
        The colours in the space of the loss.
    objective : Objective
        An objective with one value for the picture.
    weight : float
        The weight of the objective.

    Returns
    -------
    float
        The sum.
    """
    variables = Categorical(np.broadcast_to(loss.dtype(0), (*indices.shape, len(palette))))
    z = np.ascontiguousarray(indices, np.int32)[None]
    value = objective.outcomes(variables, z).value[0]
    return float(loss.of(indices, palette) + weight * value)


def descend(
    indices: Array,
    loss: BlurredError,
    palette: ArrayLike,
    objective: Objective,
    weight: float,
    *,
    sweeps: int = 20,
) -> int:
    """Lower `total` by changing indices and swapping neighbouring ones, in place.

    For a mean similarity (`ssim`, `cssim`) the picture is worked on in tiles more than two radii
    apart, so that the result is the same for any number of threads. For any other objective with
    local differences, an index changes if no change near it lowers the total more, and as far from
    other changes as is necessary for the total to fall. Without local differences nothing is done.
    Pixels that do not count in the loss do not change.

    Parameters
    ----------
    indices : array of integers, shape (height, width)
        The palette index of each pixel, changed in place.
    loss, palette, objective, weight
        As in `total`.
    sweeps : int
        Greatest number of rounds over the picture.

    Returns
    -------
    int
        Number of moves.

    References
    ----------
    M. Analoui and J. P. Allebach, "Model-based halftoning using direct binary search", Proc. SPIE
    1666, 1992.
    """
    palette = np.ascontiguousarray(palette, loss.dtype)
    if isinstance(objective, Structural) and len(objective.similarity.scales) == 1:
        sweep, least = _tiles(indices, loss, palette, objective, weight), SETTLED * indices.size
    elif objective.local is not None:
        sweep, least = _far_apart(indices, loss, palette, objective, weight), 0
    else:
        return 0
    made = 0
    for moves, _ in zip(sweep, range(sweeps)):
        made += moves
        if moves <= least:
            break
    return made


def _tiles(
    indices: Array, loss: BlurredError, palette: Array, objective: Structural, weight: float
) -> Iterator[int]:
    """Sweep over tiles, and yield the moves made."""
    scale, dtype = objective.similarity.scales[0], loss.dtype
    fixed, taps = scale.fixed.astype(dtype), scale.taps.astype(dtype)
    fixed[2] *= dtype(weight * loss.pixels)
    table = np.zeros((2 * kernels.ROWS + 2, kernels.COLUMNS + 2), dtype)
    first = 1 + kernels.ROWS // 2 - scale.radius
    table[first : first + taps.size, first : first + taps.size] = np.outer(taps, taps)
    radius = loss.radius
    margin = ((0, 0), (radius, radius), (radius, radius))
    planar = np.ascontiguousarray(palette.T)
    blur, size = loss.table, max(TILE, 2 * radius)
    reference, values = scale.reference.astype(dtype), objective.values.astype(dtype)
    moves = np.zeros([-(-n // size) for n in loss.shape], np.int64)
    labels = np.ascontiguousarray(indices, np.int32)
    while True:
        field = loss.field(np.pad(loss.error(labels, palette), margin))
        pictures = scale.of(objective.values[labels][None])
        similar = scale.fixed[2] - pictures.terms[0]
        maps = np.concatenate([pictures.moments[0], similar[None]]).astype(dtype)
        maps[3] *= dtype(weight * loss.pixels)
        blurred = field, planar, blur, loss.nu
        structure = maps, fixed, dtype(scale.c1), table, reference, values
        for phase in range(4):
            kernels.descend(moves, labels, loss.weights, blurred, structure, size, phase)
        indices[...] = labels
        yield int(moves.sum())


def _far_apart(
    indices: Array, loss: BlurredError, palette: Array, objective: Objective, weight: float
) -> Iterator[int]:
    """Change labels that are the best within reach, and yield how many: none where that is all.

    The reach grows when the total would rise, since changes were too near to each other.
    """
    from scipy import ndimage

    variables = Categorical(np.broadcast_to(loss.dtype(0), (*indices.shape, len(palette))))
    weights, reach = loss.weights, 1
    present = total(indices, loss, palette, objective, weight)
    while True:
        z = np.ascontiguousarray(indices, np.int32)[None]
        table = weight * objective.neighbours(variables, z)[0].astype(np.float64)
        own = np.take_along_axis(table, z[0, ..., None], axis=-1)
        change = palette - palette[indices][:, :, None]
        field = weights * loss.field(loss.error(indices, palette))
        error = 2 * np.einsum("hwkc,chw->hwk", change, field)
        error += loss.own * np.square(weights[..., None] * np.linalg.norm(change, axis=-1))
        table += error / loss.pixels - own
        best, gain = table.argmin(axis=-1), np.where(weights > 0, table.min(axis=-1), 0)
        while True:
            least = ndimage.minimum_filter(gain, 2 * reach + 1, mode="nearest")
            chosen = (gain < 0) & (gain == least)
            before, indices[chosen] = indices[chosen], best[chosen]
            after = total(indices, loss, palette, objective, weight)
            if after < present:
                break
            indices[chosen] = before
            if reach >= max(indices.shape):
                yield 0
            reach *= 2
        present = after
        yield len(before)
