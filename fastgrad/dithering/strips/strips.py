"""A picture of any size, from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad._typing import ByteArray, FloatArray
from fastgrad.dithering.metrics.psnr_and_ssim import decibels
from fastgrad.dithering.optimiser.held_rows import Settled
from fastgrad.dithering.optimiser.wavefront import Wavefront
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures import images
from fastgrad.dithering.pictures.sources import ROWS, ArraySource, Source
from fastgrad.dithering.result import Dithering, Progress
from fastgrad.dithering.strips.conversion import MARGIN, Conversion, Regions
from fastgrad.dithering.strips.learned import Learned
from fastgrad.dithering.strips.learning import learn
from fastgrad.dithering.strips.weights import WeightSource
from fastgrad.random import RNG

__all__ = ["dither_strips", "figures", "finished", "reach", "settled", "source_of"]


def settled(
    source: Source,
    learned: Learned,
    *,
    first: int = 0,
    last: int | None = None,
    rows: int = ROWS,
    columns: tuple[int, int] | None = None,
    regions: Regions | None = None,
    weights: Source | None = None,
) -> Iterator[Settled]:
    """Dither a picture from top to bottom.

    No more of it is in memory than a strip and, for each sweep of the search, two rows of its tiles
    of 32 pixels. What comes out does not depend on the height of the strips, nor on where the work
    begins.

    Parameters
    ----------
    source : Source
        The picture.
    learned : Learned
        What its strips have in common.
    first, last : int, optional
        The first row that is wanted, and the one after the last; by default all. `reach` says which
        rows of the source are read for them.
    rows : int, optional
        Height of the strips: a multiple of 128 rows, the band within which errors are diffused.
    columns : tuple of int, optional
        The first column that is wanted, and the one after the last; by default all.
    regions : mapping of str to array_like of bool, shape (height, width), optional
        Pixels that have a mode of their own, see `fastgrad.dither`; not "text".
    weights : Source, optional
        The weights of the pixels: a `fastgrad.dithering.strips.weights.WeightSource`.

    Yields
    ------
    Settled
        The next rows, as many as are finished.

    Examples
    --------
    >>> image = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (300, 1))
    >>> source = ArraySource(image)
    >>> learned = learn(source, colors=4)
    >>> whole = np.concatenate([strip.indices for strip in settled(source, learned)])
    >>> below = np.concatenate([strip.indices for strip in settled(source, learned, first=200)])
    >>> whole.shape, np.array_equal(whole[200:], below)
    ((300, 64), True)
    """
    last = source.shape[0] if last is None else last
    front = _front(source.shape, learned, first, columns)
    conversion, end = Conversion(source, learned, regions, weights), front.ending(last)
    for top in range(front.begin, end, rows):
        front.add(conversion.rows(top, min(top + rows, end), front.left, front.right))
        strip = front.take()
        more = max(0, last - strip.top)
        if len(strip.indices) and more:
            yield Settled(strip.top, strip.indices[:more], strip.sums[:more])


def reach(
    shape: tuple[int, int],
    learned: Learned,
    first: int,
    last: int,
    columns: tuple[int, int] | None = None,
) -> tuple[int, int, int, int]:
    """Return which part of a picture is read for some part of the result.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the picture.
    learned : Learned
        What its strips have in common.
    first, last : int
        The first row that is wanted, and the one after the last.
    columns : tuple of int, optional
        The same of columns; by default all.

    Returns
    -------
    tuple of int
        The first row that is read and the one after the last, and the same of columns.

    Examples
    --------
    >>> image = np.zeros((9000, 8), np.uint8)
    >>> reach(image.shape, learn(ArraySource(image), palette=["#000", "#fff"]), 4096, 8192)
    (3578, 8582, 0, 8)
    """
    front, (height, width) = _front(shape, learned, first, columns), shape
    rows = max(0, front.begin - MARGIN), min(front.ending(last) + MARGIN, height)
    return (*rows, max(0, front.left - MARGIN), min(front.right + MARGIN, width))


def _front(
    shape: tuple[int, int], learned: Learned, first: int, columns: tuple[int, int] | None
) -> Wavefront:
    """Return the search that settles the rows of a picture from a certain one on."""
    how: dict[str, Any] = {"first": first, "columns": columns}
    how |= {"diffused": learned.opacity is None, "compensated": learned.compensated}
    how |= {"limit": learned.limit, "fitted": learned.tones is not None}
    return Wavefront(learned.loss(), learned.colors, shape, learned.sweeps, **how)


def figures(sums: FloatArray, learned: Learned) -> tuple[float, dict[str, float]]:
    """Return the loss of a picture, and its `Dithering.metrics` but for the number of colours.

    Parameters
    ----------
    sums : array of float64, shape (height, 4)
        The sums of all rows, see `Settled`.
    learned : Learned
        What it was dithered with.

    Returns
    -------
    loss : float
        The loss.
    metrics : dict of str to float
        The figures by name.
    """
    channels, nu = learned.colors.shape[1], learned.viewing.blur["nu"]
    loss, whole, plain, pixels = (float(x) for x in np.sum(sums, axis=0))
    pixels = max(1.0, pixels)
    return loss / pixels, {
        "psnr": decibels(plain / pixels / channels),
        "blurred_psnr": decibels((whole - nu * plain) / pixels / channels),
    }


def source_of(image: Any, *, whole: bool = False) -> Source | None:
    """Return an array as a source, if it is so large that it is dithered in strips.

    Parameters
    ----------
    image : object
        A picture as `fastgrad.dither` takes it.
    whole : bool, optional
        Whether options are asked for that only whole pictures have.

    Returns
    -------
    Source or None
        None for what is no array of more than `fastgrad.dithering.pictures.images.MAX_PIXELS`.

    Examples
    --------
    >>> source_of(np.zeros((5, 5))) is None
    True
    """
    shape: Any = getattr(image, "shape", ())
    sliced = hasattr(image, "dtype") and hasattr(image, "__getitem__")
    if whole or not sliced or len(shape) not in (2, 3) or isinstance(image, np.ma.MaskedArray):
        return None
    return ArraySource(image) if shape[0] * shape[1] > images.MAX_PIXELS else None


def dither_strips(
    source: Source,
    *,
    pace: Pace | None = None,
    rng: RNG = 0,
    callback: Callable[[Progress], object] | None = None,
    regions: Regions | None = None,
    weights: Any = None,
    **options: Any,
) -> Dithering:
    """Dither a large picture in strips.

    Parameters
    ----------
    source : Source
        The picture.
    pace : Pace, optional
        How long to work.
    rng, callback, regions, weights
        Options of `fastgrad.dither`. Its progress counts pixels.
    **options
        Further options of `fastgrad.dithering.strips.learning.learn`.

    Returns
    -------
    Dithering
        The picture. Its history holds the steps of learning, on a sample, and the loss of all.

    Examples
    --------
    >>> image = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (300, 1))
    >>> dither_strips(ArraySource(image), colors=2).image.shape
    (300, 64, 3)
    """
    pace = Pace() if pace is None else pace
    parts: dict[str, Any] = {"regions": regions}
    parts["weights"] = None if weights is None else WeightSource(weights, source.shape)
    work = _Work(source, pace, callback, parts)
    learned = learn(source, pace=pace, rng=rng, callback=work.learning, **parts, **options)
    for strip in settled(source, learned, **parts):
        work.take(strip)
        work.report(learned)
    return work.result(learned)


class _Work:
    """A picture in memory, as far as it is finished."""

    def __init__(
        self,
        source: Source,
        pace: Pace,
        callback: Callable[[Progress], object] | None = None,
        parts: Mapping[str, Any] | None = None,
    ) -> None:
        self.source, self.pace, self.callback, self.parts = source, pace, callback, parts or {}
        self.indices = np.empty(source.shape, np.uint8)
        self.sums: list[FloatArray] = []
        self.history: list[float] = []
        self.rows = 0

    def learning(self, progress: Progress, learned: Callable[[], Learned]) -> None:
        """Report a step of learning; pixels are so many that the few steps pass for some."""
        self.history.append(progress.loss)
        if self.callback is not None:
            height, width = self.source.shape
            said = len(self.history), height * width, progress.loss
            self.callback(Progress(*said, lambda: self.snapshot(learned()), progress.stage))

    def take(self, strip: Settled) -> None:
        """Take some rows."""
        self.rows = strip.top + len(strip.indices)
        self.indices[strip.top : self.rows] = strip.indices
        self.sums.append(strip.sums)

    def report(self, learned: Learned) -> None:
        """Report the rows that are finished."""
        if self.callback is not None:
            height, width = self.source.shape
            loss, _ = figures(np.concatenate(self.sums), learned)
            done = self.rows * width, height * width
            self.callback(Progress(*done, loss, lambda: self.snapshot(learned), "search"))

    def snapshot(self, learned: Learned) -> Dithering:
        """Return the picture if the work ended now: errors are diffused in what is missing."""
        rest = _Work(self.source, self.pace)
        rest.indices[: self.rows] = self.indices[: self.rows]
        rest.sums, rest.history = list(self.sums), list(self.history)
        quick = replace(learned, sweeps=0, compensated=0)
        for strip in settled(self.source, quick, first=self.rows, **self.parts):
            rest.take(strip)
        return rest.result(learned)

    def result(self, learned: Learned) -> Dithering:
        """Return the picture."""
        seconds = time.perf_counter() - self.pace.began
        return finished(self.indices, np.concatenate(self.sums), learned, self.history, seconds)


def finished(
    indices: ByteArray,
    sums: FloatArray,
    learned: Learned,
    history: Sequence[float] = (),
    seconds: float = 0.0,
) -> Dithering:
    """Return the result whose rows have been settled.

    Parameters
    ----------
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    sums : array of float64, shape (height, 4)
        The sums of all rows, see `Settled`.
    learned : Learned
        What it was dithered with.
    history : sequence of float, optional
        The losses before.
    seconds : float, optional
        Time taken.

    Returns
    -------
    Dithering
        The picture.

    Examples
    --------
    >>> image = np.zeros((300, 8), np.uint8)
    >>> learned = learn(ArraySource(image), palette=["#000", "#fff"])
    >>> (strip,) = settled(ArraySource(image), learned, rows=512)
    >>> finished(strip.indices, strip.sums, learned).metrics["colors"]
    1
    """
    loss, measured = figures(sums, learned)
    palette, opacity = learned.entries
    used = np.zeros(256, bool)
    for top in range(0, len(indices), ROWS):
        used[indices[top : top + ROWS]] = True
    measured["colors"] = int(np.count_nonzero(used[: len(learned.palette)]))
    device = learned.written
    return Dithering(indices, palette, (*history, loss), measured, seconds, device, opacity)
