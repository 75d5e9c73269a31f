"""Pictures whose tiles have a palette each: search, and fits of all palettes.

The palettes stand in one after the other, so that the index of a pixel also says the palette of its
tile. The label of a tile is a second categorical beside those of its pixels, and both are moved by
the same exact search.
"""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import Space, to_linear
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import Fit, Sample
from fastgrad.dithering.optimiser.search import Search, outwards
from fastgrad.dithering.optimiser.tile_limits import Tiles
from fastgrad.kernels.dithering.optimiser import tile_palettes as kernels

__all__ = ["TileSearch", "allowed", "diffused", "fitted", "refilled"]

ROUNDS = 8  # over all colours, of a fit to those that can be shown


class TileSearch(Search):
    """Direct binary search for tiles of a palette each: of pixels, and of the tiles' palettes.

    Parameters
    ----------
    loss, indices
        As in `Search`. The pixels of a tile have indices of one palette.
    palette : array_like, shape (tiles.entries, channels)
        The colours of all palettes in the space of the loss.
    tiles : Tiles
        The limits.

    Examples
    --------
    >>> import numpy as np
    >>> loss = BlurredError(np.float32([[[0.1]] * 8 + [[0.8]] * 8] * 8))
    >>> picture, tiles = np.zeros((8, 16), np.uint8), Tiles((8, 8), palettes=2, colors=2)
    >>> search = TileSearch(loss, picture, [[0.0], [0.2], [0.7], [0.9]], tiles)
    >>> search.exchange(), np.unique(picture[:, 8:]).tolist()
    (1, [2, 3])
    """

    def __init__(
        self, loss: BlurredError, indices: ByteArray, palette: ArrayLike, tiles: Tiles
    ) -> None:
        self._limits = tiles
        super().__init__(loss, indices, palette)
        self._sides = tiles.size[::-1]  # rows and columns of a tile, and of blocks of whole ones
        self._blocks = tuple(side * -(-self._size // side) for side in self._sides)

    def recolor(self, palette: ArrayLike, *, wake: bool = True) -> tuple[float, float]:
        """Take other palettes for the same picture, as `Search.recolor`."""
        found = super().recolor(palette, wake=wake)
        colors, count = self._limits.colors, self._limits.palettes
        planes = np.asarray(palette, self.loss.dtype).reshape(count, colors, -1)
        others, order, bounds = zip(*map(outwards, planes))
        first = np.arange(0, count * colors, colors).repeat(colors)[:, None]
        indices = (np.concatenate(order) + first).astype(np.uint8)
        self._near = np.concatenate(others), indices, np.concatenate(bounds)
        return found

    def sweep(self) -> int:
        """Move pixels within their palettes as `Search.sweep`; return the number of moves."""
        blurred, colours = (self._field, self._table, self.loss.nu), (self._palette, self._near)
        moves = np.zeros([-(-n // b) for n, b in zip(self.loss.shape, self._blocks)], np.int64)
        for phase in range(4):
            work = self.indices, self._awake, self.loss.weights, blurred, colours
            kernels.descend(moves, *work, self._limits.colors, self._blocks, phase)
        made = int(moves.sum())
        if made == 0:
            self._awake[:] = 1
        return made

    def exchange(self) -> int:
        """Try each tile with each other palette, and take what lowers the loss most.

        The pixels of a tile are moved under the palette that is tried, with all around it as it is,
        and the change of the loss by that is exact.

        Returns
        -------
        int
            Number of tiles that have another palette now.
        """
        blurred, limits = (self._field, self._table, self.loss.nu), self._limits
        moves = np.zeros([-(-n // b) for n, b in zip(self.loss.shape, self._blocks)], np.int64)
        for phase in range(4):
            work = self.indices, self._awake, self.loss.weights, blurred, self._palette
            sizes = limits.colors, limits.palettes, self._blocks, self._sides
            kernels.exchange(moves, *work, *sizes, phase)
        return int(moves.sum())

    def goals(self) -> tuple[FloatArray, FloatArray]:
        """Return the colour that each pixel would best have, and how much of the loss that is.

        Returns
        -------
        goals : array, shape (channels, height, width)
            The colours in the space of the loss: nothing is known where the weight is 0.
        gains : array, shape (height, width)
            The squared distance from the pixel's own colour, times its squared weight.
        """
        loss, margin = self.loss, self._margin
        height, width = loss.shape
        field = self._field[:, margin : margin + height, margin : margin + width]
        shift = field / (loss.own * np.maximum(loss.weights, np.finfo(loss.dtype).tiny))
        shift[:, loss.weights == 0] = 0
        gains = np.square(shift * loss.weights).sum(axis=0)
        return self._planar[:, self.indices] - shift, gains


def diffused(loss: BlurredError, labels: Array, palette: FloatArray, tiles: Tiles) -> ByteArray:
    """Dither by error diffusion, with no errors from one palette's tiles to another's.

    Parameters
    ----------
    loss : BlurredError
        The loss, which holds the image.
    labels : array of int64, shape (rows, columns)
        The palette of each tile.
    palette : array, shape (tiles.entries, channels)
        The colours in the space of the loss.
    tiles : Tiles
        The limits.

    Returns
    -------
    array of uint8, shape (height, width)
        The indices, each of the palette of its tile.
    """
    across, down = tiles.size
    height, width = loss.shape
    of_pixels = labels.repeat(down, axis=0).repeat(across, axis=1)[:height, :width]
    indices = np.empty(loss.shape, np.uint8)
    for p, colors in enumerate(palette.reshape(tiles.palettes, tiles.colors, -1)):
        chosen = of_pixels == p
        if chosen.any():
            found = diffuse(loss.within(chosen), colors)[chosen]
            indices[chosen] = found.astype(np.int64) + p * tiles.colors
    return indices


def fitted(fit: Fit, indices: ByteArray, palette: FloatArray, tiles: Tiles) -> FloatArray:
    """Improve all palettes for a picture by least squares, the shared colour as one unknown.

    Parameters
    ----------
    fit : Fit
        The way to learn a palette, whose sample is the whole picture or a part.
    indices : array of uint8, shape (height, width)
        The picture.
    palette : array, shape (tiles.entries, channels)
        The colours to start from, in the space of the loss.
    tiles : Tiles
        The limits.

    Returns
    -------
    array, shape (tiles.entries, channels)
        The new colours.
    """
    variables = tiles.variables
    numbers, labels = _unknowns(fit.sample, indices, variables)
    return fit(labels, palette[numbers])[variables]


def allowed(
    sample: Sample, space: Space, indices: ByteArray, palette: FloatArray, tiles: Tiles
) -> ByteArray:
    """Round palettes to colours that can be shown, each to the best beside the others.

    The loss is quadratic in the palette: with all other colours as they are, it grows with the
    squared distance from one point, and so the nearest colour to that is the best one.

    Parameters
    ----------
    sample : Sample
        The part of the picture to which colours are fitted.
    space : Space
        The space of the loss.
    indices : array of uint8, shape (height, width)
        The picture.
    palette : array, shape (tiles.entries, channels)
        The colours to start from.
    tiles : Tiles
        The limits.

    Returns
    -------
    array of uint8, shape (tiles.entries, 3)
        The colours in sRGB.
    """
    variables = tiles.variables
    numbers, labels = _unknowns(sample, indices, variables)
    colors = np.array(palette[numbers], np.float64)
    gram, right = sample.normal_equations(labels, len(colors))
    rgb = np.array([tiles.nearest(c, space) for c in colors])
    locked = len(tiles.fixed)
    rgb[:locked] = tiles.fixed
    for _ in range(ROUNDS):
        before = rgb.copy()
        for k in range(locked, len(colors)):
            if gram[k, k] > 0:
                best = colors[k] + (right[k] - gram[k] @ colors) / gram[k, k]
                rgb[k] = tiles.nearest(best, space)
                colors[k] = _into(space, rgb[[k]])[0]
        if np.array_equal(rgb, before):
            break
    return rgb[variables]


def refilled(search: TileSearch, rgb: ByteArray, tiles: Tiles, space: Space) -> ByteArray:
    """Give entries that no pixel has, or that are there twice, to colours that are missing.

    Parameters
    ----------
    search : TileSearch
        The picture as it is.
    rgb : array of uint8, shape (tiles.entries, 3)
        The palettes in sRGB.
    tiles : Tiles
        The limits.
    space : Space
        The space of the loss.

    Returns
    -------
    array of uint8, shape (tiles.entries, 3)
        The new palettes. In each, one entry at most is another one than before.
    """
    goals, gains = search.goals()
    uses = np.bincount(search.indices.ravel(), minlength=tiles.entries)
    made, first = rgb.copy(), 0 if tiles.shared_color is False else 1
    for start in range(0, tiles.entries, tiles.colors):
        own = slice(start, start + tiles.colors)
        idle = uses[own] == 0
        for m in range(tiles.colors):
            idle[m] |= (rgb[start : start + m] == rgb[start + m]).all(axis=1).any()
        idle[:first] = False
        if not idle.any():
            continue
        inside = (search.indices // tiles.colors) == start // tiles.colors
        chosen = gains * inside if inside.any() else gains
        y, c = np.unravel_index(int(chosen.argmax()), chosen.shape)
        color = tiles.nearest(goals[:, y, c], space)
        if not (rgb[own] == color).all(axis=1).any():
            made[start + int(np.argmax(idle))] = color
    return made


def _unknowns(sample: Sample, indices: ByteArray, variables: Array) -> tuple[Array, ByteArray]:
    """Return the first entry of each different colour, and the numbers of the sample's pixels."""
    numbers = np.unique(variables, return_index=True)[1]
    return numbers, variables.astype(np.uint8)[sample.cut(indices[None])[:, 0]]


def _into(space: Space, rgb: ByteArray) -> FloatArray:
    """Return colours in the space of a loss."""
    return np.asarray(space.into(to_linear(rgb)), np.float64)
