"""The bits that a picture's indices take in a file, as one more term of what a search lowers.

Deflate and LZW see a string: of the neighbours of a pixel they know those before it in its row. So
the bits of an index are modelled by the indices before it, and those of a file by the lengths of
two adaptive codes, of which one looks back further than the other, and by the number of changes
along rows. Adaptive counts charge what the model itself costs: a colour that is seldom used, or a
context that occurs once, is dear. Rows of a PNG of greys may be filtered: then the bytes that
filters leave are what is priced.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.optimiser.adaptive_codes import PRIOR, FilterModel, code_length, price
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.search import Search
from fastgrad.kernels.dithering.optimiser import rate as kernels
from fastgrad.kernels.dithering.optimiser.search import NEIGHBOURS

__all__ = ["PRIOR", "RatedSearch", "RowModel", "frugal"]

FEW = 32  # colours up to which contexts of two indices occur often enough to be counted
OF_TWO, OF_ONE = (0.85, 0.27), (0.70, 0.03)  # shares of both codes in a file, by its context
TURN = 0.42  # of the bits of an index: what a change takes besides, where colours are many
ROWS = 1 << 20  # pixels that are counted at once
RAMP = 16  # greys from which on a PNG's rows may be filtered
FRUGAL = 1e-4  # rate, of what an error weighs, at which hardly anything is lost
RISES, RISE = (1, 1, 2, 4, 6, 8), 1.05  # by which it rises, as long as the loss rises by no more
SWEEPS, SPARSE = 3, 0.15  # between them; and share of pixels, at edges: ramps have more
BEYOND = 4  # columns to the right of a picture, where nothing is paid


class RowModel(NamedTuple):
    """How many bits the symbols of a picture take, given those before them in their rows.

    Symbols are its indices; or indices and one more, for pixels that keep the index of the frame
    before, or are not seen: both are transparent in a file.

    The model is the sum of the lengths of two adaptive codes, with the shares that they have in
    PNG files compressed by Deflate: one with a context of ``order`` symbols, one with a context of
    one less. With M symbols, one that has been seen n times in a context that was seen N
    times is expected there with a probability of ``(n + a) / (N + M a)``, a = 0.06. So the length
    of a code depends on the final counts alone. Where colours are many, a symbol that is not the
    one before it takes `turn` bits besides: Deflate writes a run at once, and begins anew after it.

    Attributes
    ----------
    colors : int
        Number of colours K.
    keeping : bool
        Whether there is a frame before, or something that is not seen.

    References
    ----------
    J. Rissanen, "Universal coding, information, prediction, and estimation", IEEE Transactions on
    Information Theory 30(4), 1984.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.integers(0, 16, (100, 100)).astype(np.uint8)
    >>> stripes = np.tile(np.arange(100, dtype=np.uint8) % 16, (100, 1))
    >>> model = RowModel(16)
    >>> [round(model.bits(model.counts(x)) / x.size, 1) for x in (noise, stripes)]
    [5.3, 0.1]
    """

    colors: int
    keeping: bool = False

    @property
    def symbols(self) -> int:
        """The number of symbols M."""
        return self.colors + self.keeping

    @property
    def order(self) -> int:
        """The number of symbols in a context."""
        return 2 if self.colors <= FEW else 1

    @property
    def shares(self) -> tuple[float, float]:
        """The shares of both codes, the one with the longer context first."""
        return OF_TWO if self.order == 2 else OF_ONE

    @property
    def turn(self) -> float:
        """The bits that a symbol takes besides where it is not the one before it."""
        return 0.0 if self.order == 2 else TURN * math.log2(self.colors)

    def counts(self, symbols: Array) -> Array:
        """Count the symbols of a picture by their contexts.

        Parameters
        ----------
        symbols : array of integers, shape (height, width)
            The picture; to the left of it, symbols are 0.

        Returns
        -------
        array of int64, shape (M,) * (order + 1)
            How often each symbol, the last axis, follows those before it.
        """
        shape = (self.symbols,) * (self.order + 1)
        counts = np.zeros(math.prod(shape), np.int64)
        for _, codes in self._codes(symbols):
            counts += np.bincount(codes.ravel(), minlength=counts.size)
        return counts.reshape(shape)

    def bits(self, counts: Array) -> float:
        """Return the bits that symbols with these counts take in a file."""
        codes = sum(
            share * code_length(part.reshape(-1, self.symbols))
            for share, part in zip(self.shares, (counts, counts.sum(axis=0)))
        )
        return codes + self.turn * float(counts.sum() - counts.trace(axis1=-2, axis2=-1).sum())

    def prices(self, counts: Array) -> FloatArray:
        """Return the bits of one more symbol, by its context, in the shape of the counts."""
        parts = [share * price(part) for share, part in zip(self.shares, (counts, counts.sum(0)))]
        return parts[0] + parts[1] + self.turn * (1 - np.eye(self.symbols))

    def tables(self, counts: Array) -> list[FloatArray]:
        """Return the prices of symbols in the three tables that kernels take, by their contexts."""
        prices = self.prices(counts)
        turned = [prices, prices.swapaxes(-1, -2), np.moveaxis(prices, 0, -1)]
        if self.order == 1:
            turned[2] = np.zeros_like(prices)
        return [table.reshape(-1, self.symbols) for table in turned]

    def bill(self, prices: Array, symbols: Array, out: FloatArray) -> None:
        """Write the price of each symbol of a picture, by its context, to the left of ``out``."""
        for rows, codes in self._codes(symbols):
            out[rows, : symbols.shape[1]] = prices.ravel()[codes]

    def _codes(self, symbols: Array) -> Iterator[tuple[slice, Array]]:
        """Yield rows, and the places of their symbols in an array of counts, as if it was flat."""
        number, order = self.symbols, self.order
        height, width = symbols.shape
        step = max(1, ROWS // width)
        for top in range(0, height, step):
            rows = slice(top, min(top + step, height))
            wide = np.zeros((rows.stop - top, width + order), np.int64)
            wide[:, order:] = symbols[rows]
            codes = wide[:, :width]
            for i in range(1, order + 1):
                codes = codes * number + wide[:, i : i + width]
            yield rows, codes


class RatedSearch(Search):
    """A search that lowers ``loss + rate * bits per pixel``.

    Parameters
    ----------
    loss, indices, palette, previous, gap
        As in `Search`. All pixels have their indices, also those of weight 0: they cost bits, and
        are the contexts of others. With a previous frame, those that keep its index have a symbol
        of their own.
    rate : float
        What a bit per pixel costs, as a loss.
    hidden : array of bool, shape (height, width), optional
        Pixels that are not seen: they have a symbol of their own, whatever their indices are.
    filters : bool, optional
        Whether rows may be filtered: greys that ascend are then priced by the shortest of models.

    Attributes
    ----------
    swapping : bool
        Whether pixels swap indices with their neighbours, too, as at first. That takes most of the
        time of a sweep, and serves only where there is little left for single pixels to gain.
    """

    rate: float
    swapping: bool
    model: RowModel | FilterModel
    counts: Array

    def __init__(
        self,
        loss: BlurredError,
        indices: ByteArray,
        palette: ArrayLike,
        rate: float,
        *,
        previous: ByteArray | None = None,
        gap: ArrayLike = 0.0,
        hidden: Array | None = None,
        filters: bool = False,
    ) -> None:
        super().__init__(loss, indices, palette, previous=previous, gap=gap)
        self.swapping = True
        colors, keeping = len(np.asarray(palette)), self._previous.size > 0
        self._hidden = hidden if hidden is not None and hidden.any() else None
        self.model = RowModel(colors, keeping or self._hidden is not None)
        self._models: list[RowModel | FilterModel] = [self.model]
        ramp = filters and len(self._planar) == 1 and (np.diff(self._planar[0]) > 0).all()
        if ramp and colors >= RAMP and not self.model.keeping:
            self._models += [FilterModel(colors, order) for order in (1, kernels.MEAN, kernels.UP)]
        self.renew(rate)

    def symbols(self) -> Array:
        """Return what the file is written of: the indices, or that they are kept."""
        symbols = self.indices.astype(np.int16)
        if self._previous.size:
            symbols[self.indices == self._previous] = self.model.colors
        if self._hidden is not None:
            symbols[self._hidden] = self.model.colors
        return symbols

    def renew(self, rate: float | None = None) -> None:
        """Count the picture's symbols anew, and so change their prices; visit all pixels again.

        Parameters
        ----------
        rate : float, optional
            A new rate.
        """
        self.rate = self.rate if rate is None else rate
        self._symbols = self.symbols()
        self.model, self.counts, _ = self._shortest(self._symbols)
        model, (height, across) = self.model, self._symbols.shape
        tables = [self.rate * table for table in model.tables(self.counts)]
        self._bills = np.zeros((height, across + BEYOND), self.loss.dtype)
        if isinstance(model, RowModel):
            model.bill(tables[0], self._symbols, self._bills)
        width, rows = max(self._palette.shape[1], model.symbols), max(map(len, tables))
        self._prices = tuple(np.zeros((rows + 1, width), self.loss.dtype) for _ in range(3))
        for prices, table in zip(self._prices, tables):
            prices[: len(table), : model.symbols] = table
        self._awake[:] = 1

    def sweep(self) -> int:
        """Visit the pixels around which something has changed, and make moves that lower the sum.

        Returns
        -------
        int
            Number of moves.
        """
        loss = self.loss
        moves = np.zeros([-(-n // self._size) for n in loss.shape], np.int64)
        kept, blurred = (self._previous, self._gaps), (self._field, self._table, loss.nu)
        seen = self.indices, (self._symbols, self._bills), self._awake, loss.weights
        billed = self.swapping and isinstance(self.model, RowModel)
        swaps = len(NEIGHBOURS) if billed else 0
        for phase in range(4):
            work = *seen, kept, blurred, self._rated()
            kernels.descend(moves, *work, self._size, phase, swaps)
        return int(moves.sum())

    def drop(self, color: int) -> None:
        """Give the pixels of a colour the nearest of the others in use, and sweep once.

        Parameters
        ----------
        color : int
            Its index. Pixels of weight 0 keep it.
        """
        palette = self._planar.T.astype(np.float64)
        distance = np.square(palette - palette[color]).sum(axis=1)
        uses = np.bincount(self.indices.ravel(), minlength=len(palette))
        distance[(uses == 0) | (np.arange(len(palette)) == color)] = np.inf
        there = (self.indices == color) & (self.loss.weights > 0)
        self.indices[there] = distance.argmin()
        self.recolor(palette)
        self.renew()
        self.sweep()

    def bits(self) -> float:
        """Return the bits that the picture takes in a file, by the model."""
        return self._shortest(self.symbols())[2]

    def _shortest(self, symbols: Array) -> tuple[RowModel | FilterModel, Array, float]:
        """Return the model by which a picture takes the fewest bits, its counts, and the bits."""
        counted = [(model, model.counts(symbols)) for model in self._models]
        every = [(model, counts, model.bits(counts)) for model, counts in counted]
        return min(every, key=lambda one: one[2])

    def objective(self) -> float:
        """Return the loss plus the rate times the bits per pixel."""
        return self.errors()[0] + self.rate * self.bits() / self.loss.pixels

    def regrets(self) -> FloatArray:
        """Return what it would cost to do without each colour, as a sum over pixels.

        Returns
        -------
        array of float64, shape (K,)
            By how much loss and price would rise if each pixel of that colour took the best other
            one, which is not that of the previous frame, and no other pixel changed.
        """
        sums = np.empty((self.loss.shape[0], self.model.colors))
        seen = self.indices, self._symbols, self.loss.weights
        kernels.regrets(sums, *seen, self._field, self._table, self.loss.nu, *self._rated())
        return sums.sum(axis=0)

    def _rated(self):
        """Return what kernels take of colours and prices."""
        model = self.model
        channels = (0,) * len(self._planar)
        palette = self._palette, model.colors, model.symbols, channels
        return palette, self._prices, model.order


def frugal(loss: BlurredError, indices: ByteArray, colors: FloatArray) -> ByteArray:
    """Return a picture that is hardly worse, and takes fewer bits: pixels have frequent indices.

    Where nothing has grain, as on edges of what is drawn, two colours are often as good, the more
    so the larger the loss is: there the rate rises while the loss hardly does.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture; pixels of weight 0 stay.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    colors : array, shape (K, channels)
        The palette, in the space of the loss.

    Returns
    -------
    array of uint8, shape (height, width)
        The new indices.

    Examples
    --------
    >>> loss, colors = BlurredError(np.full((9, 40, 1), 0.5)), np.array([[0.5], [0.501]])
    >>> lines = np.uint8(np.indices((9, 40))[1] % 7 == 3)
    >>> int(lines.sum()), int(frugal(loss, lines, colors).sum())
    (54, 1)
    """
    if not loss.weights.any():
        return indices
    search, found, most = RatedSearch(loss, indices.copy(), colors, 0.0), indices, math.inf
    for rise in RISES[: None if np.mean(loss.weights > 0) < SPARSE else 2]:
        search.renew(rise * FRUGAL * loss.own)
        for _ in range(SWEEPS):
            search.sweep()
        if (value := search.errors()[0]) > most:
            break
        found = search.indices.copy()
        most = RISE * value if rise == 1 else most
    return found
