"""Direct binary search on a picture whose rows come one after the other, as if it had them all.

A sweep of `Search` works on every second row of tiles, then on the rows of tiles between. What it
does in one row of tiles depends on its two neighbours alone, since a move changes errors no further
away than that. So a row of tiles can be swept again as soon as its neighbours have been swept as
often: all sweeps go over the picture at once, each two rows of tiles behind the one before. Every
number is added in the order in which a search of the whole picture adds it, and the result is the
same, bit for bit. What must be held in memory is two rows of tiles for each sweep.

The last sweeps may aim at what the first have left missing, too: see `compensation`.

Across, too, what is missing beside some columns reaches only so far. So wide pictures can be
searched in parts of some columns each, with more on both sides, and memory is bounded by the part.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from fastgrad._typing import ArrayLike
from fastgrad.dithering.optimiser import compensation, diffusion
from fastgrad.dithering.optimiser.diffusion import limits_of
from fastgrad.dithering.optimiser.held_rows import BlurredRows, HeldRows, Part, Settled
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.nearness import brought_near
from fastgrad.dithering.optimiser.row_sums import row_sums
from fastgrad.dithering.optimiser.search import (
    NO_PREVIOUS,
    outwards,
    swaps,
    table_of,
    with_neighbours,
)
from fastgrad.kernels.dithering.optimiser import loss_rows
from fastgrad.kernels.dithering.optimiser import search as kernels
from fastgrad.kernels.dithering.optimiser.diffusion import BAND

__all__ = ["BAND", "Wavefront"]


class Wavefront:
    """Error diffusion and direct binary search of rows that are given from top to bottom.

    Parameters
    ----------
    loss : BlurredError
        Any loss in float32 whose blur and whose ``nu`` are those of the picture.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.
    shape : tuple of int
        Height and width of the picture.
    sweeps : int
        Number of sweeps; with none, errors are diffused and that is all.
    first : int, optional
        The first row that is wanted. `begin` says from which row on they must be given for that.
    columns : tuple of int, optional
        The first column that is wanted, and the one after the last; by default all of them. In a
        picture of more than `WIDE` columns, sums are those of spans of so many, added from left to
        right.
    diffused : bool, optional
        Whether errors are diffused first; else each pixel begins with the nearest colour.
    compensated : int, optional
        How many of the sweeps, the last ones but fewer than all, aim at what is `compensated`.
    limit : float, optional
        How far the last channel of a pixel may be off in the end, see `nearness.brought_near`.
    fitted : bool, optional
        Whether the picture has been brought into the palette's range, as for `diffusion.diffuse`.

    Attributes
    ----------
    begin : int
        The row with which to begin: 0, or a multiple of `BAND` so far above the first row that is
        wanted that what is missing above it changes nothing there.
    left, right : int
        The first column that must be given, and the one after the last: those of the picture, or
        multiples of `SPAN` that are as far away from the columns that are wanted.

    Examples
    --------
    >>> loss = BlurredError(np.full((300, 40, 1), 0.3, np.float32))
    >>> front = Wavefront(loss, [[0.0], [1.0]], loss.shape, 3)
    >>> front.add(Part(loss.planes[:, :256], loss.weights[:256]))
    >>> above = front.take()
    >>> front.add(Part(loss.planes[:, 256:], loss.weights[256:]))
    >>> below = front.take()
    >>> above.top, len(above.indices) == below.top, below.top + len(below.indices)
    (0, True, 300)
    """

    begin: int
    left: int
    right: int

    def __init__(
        self,
        loss: BlurredError,
        palette: ArrayLike,
        shape: tuple[int, int],
        sweeps: int,
        *,
        first: int = 0,
        columns: tuple[int, int] | None = None,
        diffused: bool = True,
        compensated: int = 0,
        limit: float | None = None,
        fitted: bool = False,
    ) -> None:
        self._limit, self._palette = limit, np.asarray(palette, loss.dtype)
        self._loss, self._sweeps, self._diffused = loss, sweeps, diffused
        self._plain = sweeps - compensated
        self._height, self._across = shape
        self._table, self._size = table_of(loss)
        self._radius = len(self._table) // 2
        self._kept = NO_PREVIOUS, np.empty((0, 0), loss.dtype)
        colors = self._palette
        self._limits = limits_of(colors, fitted=fitted)
        self._planar = np.zeros((colors.shape[1], 256), loss.dtype)  # pins may have any label
        self._planar[:, : len(colors)] = colors.T
        self._colours = with_neighbours(colors), outwards(colors), (0,) * colors.shape[1]
        self.begin = self._beginning(first)
        self._wanted = (0, self._across) if columns is None else columns
        self.left, self.right = self._beside(*self._wanted)
        self._width = self.right - self.left
        self._tiles = -(-self._height // self._size)  # rows of them
        begin, top = self.begin, self.begin // self._size
        # Rows of tiles that come next. A later sweep begins below what lacks something from above.
        below = [2 * (sweep + 1) if begin else 0 for sweep in range(sweeps)]
        self._evens, self._odds = [top + n for n in below], [top + 1 + n for n in below]
        # Ends of the rows that have come, are within the limit, and gone.
        self._given, self._near, self._taken = begin, max(begin, first - self._radius), first
        channels, width, radius = len(loss.planes), self._width, self._radius
        how = channels, width, loss.dtype
        self._fields = BlurredRows(loss.field, radius, *how, begin, self._height)
        # Rows whose first sweeps are right, and so their errors.
        how += min(begin + 2 * self._plain * self._size, self._height) if begin else 0, self._height
        blurred = partial(compensation.blurred, colors=len(colors))
        self._shared = BlurredRows(blurred, compensation.RADIUS, *how)
        self._aimed = BlurredRows(loss.field, radius, *how)
        self._planes = HeldRows(channels, width, loss.dtype, begin)
        self._weights = HeldRows(1, width, loss.dtype, begin)
        self._moving = HeldRows(1, width, loss.dtype, begin)  # weights of what is not pinned
        self._labels = HeldRows(1, width, np.uint8, begin)
        wide = width + radius + self._table.shape[1]
        self._field = HeldRows(channels, wide, loss.dtype, begin, margin=radius)
        around = kernels.AROUND
        self._awake = HeldRows(1, width + 2 * around, np.uint8, begin, margin=around, fill=1)
        self._held = self._planes, self._weights, self._moving, self._labels
        self._held += self._field, self._awake

    def add(self, part: Part) -> None:
        """Take the next rows: a multiple of `BAND`, unless they are the last ones."""
        top, rows = self._given, part.planes.shape[1]
        next_tiles = min([*self._evens, *self._odds, self._tiles])
        keep = min(self._size * next_tiles, self._fields.end, self._taken - self._radius)
        if self._plain < self._sweeps:
            keep = min(keep, self._aimed.end)
        for held in self._held:
            held.extend(top + rows, keep)
        labels, moving, planes = self._cut(top, top + rows)
        planes[:, :rows], pinned = part.planes, part.labels
        self._weights.at(top)[0][:rows] = moving[:] = part.weights
        if pinned is not None:
            moving[pinned >= 0] = 0
        colours = self._colours[0], self._limits
        handed_on = moving if self._diffused else np.zeros_like(moving)
        diffusion.diffuse_rows(labels, planes, handed_on, colours, self._across)
        if pinned is not None:
            np.copyto(labels, pinned.astype(np.uint8), where=pinned >= 0)
        self._given = top + rows
        self._lay(self._fields, labels, moving, planes)
        self._advance()

    def ending(self, bottom: int) -> int:
        """Return up to which row they must be given for those before another row to settle.

        Parameters
        ----------
        bottom : int
            The row after the last that is wanted.

        Returns
        -------
        int
            The height of the picture, or a multiple of `BAND`.

        Examples
        --------
        >>> loss = BlurredError(np.zeros((9999, 9, 1), np.float32))
        >>> Wavefront(loss, [[0.0], [1.0]], loss.shape, 3).ending(1000)
        1280
        """
        end = bottom + 2 * self._radius
        if self._sweeps:
            last = -(-(bottom + self._radius) // self._size) - 1  # row of tiles
            # Before it in the last sweep comes one further down in the last but one, and so on.
            last += last % 2 + 2 * (self._sweeps - 1)
            end = (last + 1) * self._size + 2 * self._radius
        return min(-(-end // BAND) * BAND, self._height)

    def take(self) -> Settled:
        """Return the rows that have settled since they were last asked for; there may be none."""
        done = self._left_by(self._sweeps)
        if self._limit is not None and done > self._near:
            labels, moving, planes = self._cut(self._near, done)
            planes = planes[:, : len(labels)]
            brought_near(labels, planes, self._palette, self._limit, moving > 0)
            self._near = done
        end = done if done == self._height else done - self._radius
        top = self._taken
        left, right = (column - self.left for column in self._wanted)
        if end <= top:
            return Settled(top, np.empty((0, right - left), np.uint8), np.empty((0, 4)))
        self._taken = end
        indices = self._labels.at(top)[0][: end - top, left:right].copy()
        return Settled(top, indices, self._sums(top, end, done))

    def _left_by(self, sweeps):
        """Return the end of the rows that the first so many sweeps do not change any more."""
        if not sweeps:
            return self._fields.end
        last = sweeps - 1
        return min(self._size * min(self._evens[last], self._odds[last]), self._height)

    def _beginning(self, first):
        """Return a row from which on sweeps give the right rows from `first` on."""
        step = math.lcm(BAND, 2 * self._size)
        # What is missing above reaches two rows of tiles further down with each sweep.
        top = first - self._radius - 2 * self._sweeps * self._size
        return max(0, top // step * step)

    def _beside(self, left, right):
        """Return columns so far to both sides that what is missing beyond changes nothing here."""
        step = math.lcm(diffusion.SPAN, 2 * self._size)
        # It begins with the first column of tiles. A sweep takes four turns, every second column of
        # every second row at a time, and in each what is wrong reaches the next column.
        far = self._radius + 4 * self._sweeps * self._size
        end = right + far + self._size  # the last tile there may be smaller than others
        end = -(-end // diffusion.SPAN) * diffusion.SPAN
        return max(0, (left - far) // step * step), min(end, self._across)

    def _advance(self):
        """Make all moves that can be made before more rows come."""
        for sweep in range(self._sweeps):
            if sweep == self._plain:
                self._aim()
            while self._evenly(sweep) or self._oddly(sweep):
                pass

    def _evenly(self, sweep):
        """Sweep the next even row of tiles, if the odd ones around it have been swept as often."""
        row = self._evens[sweep]
        if row >= self._tiles:
            return False
        if sweep in (0, self._plain):
            ready = self._has_field(row, sweep)
        else:
            odd = row + 1 if row + 1 < self._tiles else row - 1
            ready = self._evens[sweep - 1] > row and self._odds[sweep - 1] > odd
        if ready:
            self._descend(row, sweep)
            self._evens[sweep] += 2
        return ready

    def _oddly(self, sweep):
        """Sweep the next odd row of tiles, if the even ones around it have been swept."""
        row = self._odds[sweep]
        if row >= self._tiles:
            return False
        even = row + 1 if row + 1 < self._tiles else row - 1
        ready = self._evens[sweep] > even and self._has_field(row, sweep)
        if ready:
            self._descend(row, sweep)
            self._odds[sweep] += 2
        return ready

    def _has_field(self, row, sweep):
        """Return whether a row of tiles, and what its moves reach below it, has a field."""
        known = self._fields if sweep < self._plain else self._aimed
        return known.end >= min((row + 1) * self._size + self._radius, self._height)

    def _lay(self, fields, labels, weights, planes):
        """Lay down the field of the next rows, as far as it is known."""
        top, radius = fields.end, self._radius
        fresh = fields.add(self._error(labels, weights, planes))
        inside = slice(radius, radius + fresh.shape[1]), slice(radius, radius + self._width)
        self._field.at(top)[:, inside[0], inside[1]] = fresh

    def _aim(self):
        """Lay the field of rows that the first sweeps have left anew: the others aim at more."""
        top, end = self._shared.given, self._left_by(self._plain)
        if top == end:
            return
        labels, moving, planes = self._cut(top, end)
        top, counted = self._shared.end, (moving > 0).astype(planes.dtype)
        shared = self._shared.add(self._error(labels, counted, planes))
        labels, moving, planes = self._cut(top, self._shared.end)
        target = compensation.aimed(planes[:, : len(labels)], moving > 0, shared)
        self._awake.at(top)[0][kernels.AROUND :][: len(labels)] = 1
        self._lay(self._aimed, labels, moving, target)

    def _cut(self, top, end):
        """Return the labels and weights of some rows, and planes that begin with them."""
        rows = slice(end - top)
        return self._labels.at(top)[0][rows], self._moving.at(top)[0][rows], self._planes.at(top)

    def _error(self, labels, weights, planes):
        """Return the weighted error of some rows."""
        error = np.empty((len(planes), *labels.shape), planes.dtype)
        loss_rows.errors(error, labels, weights, planes, self._planar)
        return error

    def _descend(self, row, sweep):
        """Sweep one row of tiles."""
        top = row * self._size
        labels = self._labels.at(top)[0][: min(self._size, self._height - top)]
        blurred = self._field.at(top), self._table, self._loss.nu
        moves = np.zeros((1, -(-self._width // self._size)), np.int64)
        work = labels, self._awake.at(top)[0], self._moving.at(top)[0], self._kept, blurred
        tried = swaps(len(self._colours[1][1]), first=sweep in (0, self._plain))
        for turn in range(2):
            kernels.descend(moves, *work, self._colours, self._size, 0, turn, tried)

    def _sums(self, top, end, done):
        """Return the sums of some rows."""
        first = max(top - self._radius, self.begin)
        labels = self._labels.at(first)[0][: done - first]
        weights = self._weights.at(first)[0][: done - first]
        what = labels, weights, self._planes.at(first), self._planar
        columns = self._wanted[0] - self.left, self._wanted[1] - self.left
        return row_sums(self._loss, *what, own=slice(top - first, end - first), columns=columns)
