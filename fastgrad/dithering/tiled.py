"""Pictures for consoles: palettes, the palette of each tile, and the dither, learned together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastgrad import random
from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.given import Given
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import Fit, Sample
from fastgrad.dithering.optimiser.tile_clusters import clustered
from fastgrad.dithering.optimiser.tile_limits import Tiles
from fastgrad.dithering.optimiser.tile_palettes import (
    TileSearch,
    allowed,
    diffused,
    fitted,
    refilled,
)
from fastgrad.dithering.optimiser.weights import check_weights
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.consoles import Console, limits_of
from fastgrad.dithering.result import Dithering, Progress, metrics
from fastgrad.random import RNG

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SUITED", "dither_console", "dither_tiles"]

Callback: TypeAlias = "Callable[[Progress], object]"
# Few colours in a tile need less grain. How errors are best measured is the picture's own: mostly
# colours count as much as tones; where it is grey, more tones are worth some colour in the grain;
# where it is dark, all grain is seen, and the steps between colours are large.
SUITED: tuple[dict[str, Any], ...] = (
    {"space": "linear", "nu": 0.15},
    {"space": "opponent", "nu": 0.15},
    {"space": "srgb", "nu": 0.5},
)
EARLY = 2  # rounds of search and fit in which a clustering is tried out
SAMPLE = 1 << 17  # pixels to which palettes are fitted
JUDGED = 1 << 10  # rows and columns at most of the part by which pictures are judged


def dither_console(
    image: ArrayLike | Image,
    tiles: Tiles | Console,
    *,
    weights: ArrayLike | None = None,
    local_weights: bool | None = None,
    pace: Pace | None = None,
    rng: RNG = 0,
    callback: Callback | None = None,
    **eye: Any,
) -> Dithering:
    """Dither a picture for a console: arguments are options of `fastgrad.dither`.

    Examples
    --------
    >>> dither_console(np.zeros((8, 8), np.uint8), "gbc").palette.shape
    (32, 3)
    """
    limits, given = limits_of(tiles), Given(image, alpha="blend")
    asked: dict[str, Any] = given.options(**eye) | {"local_weights": local_weights}
    viewings = [Viewing(**{**suited, **asked}) for suited in SUITED]  # which may be the same
    how: dict[str, Any] = {"pace": pace, "rng": rng, "callback": callback}
    viewings = viewings[:1] if "space" in asked else list(dict.fromkeys(viewings))
    return dither_tiles(given.values, limits, viewings=viewings, weights=weights, **how)


def dither_tiles(
    values: Array,
    tiles: Tiles,
    *,
    viewings: Sequence[Viewing] = (),
    weights: ArrayLike | None = None,
    pace: Pace | None = None,
    rng: RNG = 0,
    callback: Callback | None = None,
) -> Dithering:
    """Dither a picture each of whose tiles has one of a few palettes.

    Tiles are clustered by their colours. Then the search of `fastgrad.dither` moves pixels within
    the palettes of their tiles, tiles from one palette to another, and all palettes by least
    squares, in turns, and each of these moves lowers the loss. Colours are rounded to what the
    device can show one at a time, each to the best beside the others, and the search goes on. All
    of it is done under each of some viewing conditions: the best by SSIMULACRA2 is the result.

    Parameters
    ----------
    values : array, shape (height, width, 3) or (height, width)
        sRGB values, uint8 or float in [0, 1].
    tiles : Tiles
        The limits.
    viewings : sequence of Viewing, optional
        The viewing conditions to choose from; by default those of `SUITED`.
    weights : array_like, shape (height, width), optional
        Weights of the pixels' errors.
    pace : Pace, optional
        How long to work.
    rng : int, Key, SeedSequence or Generator, optional
        Source of randomness.
    callback : callable, optional
        Called with a `Progress` after each round.

    Returns
    -------
    Dithering
        The picture. Of the index of a pixel, ``index // tiles.colors`` is the palette of its tile.

    References
    ----------
    J. Puzicha, M. Held, J. Ketterer, J. M. Buhmann and D. W. Fellner, "On spatial quantization of
    color images", IEEE Transactions on Image Processing 9(4), 2000: palette and dither in turns.

    Examples
    --------
    >>> ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (16, 1))
    >>> found = dither_tiles(ramp, Tiles((8, 8), palettes=2, colors=2, channel_bits=3))
    >>> found.palette.shape, np.unique(found.indices[:8, :8] // 2).size
    ((4, 3), 1)
    """
    viewings, pace = viewings or [Viewing(**suited) for suited in SUITED], pace or Pace()
    judged = _judged(values, weights) if len(viewings) > 1 else None
    best, most, done = None, -np.inf, 0
    for i, viewing in enumerate(viewings):
        call = None if callback is None else _counted(callback, done, len(viewings) - i)
        share = pace.one_of(len(viewings), i)
        work = _Work(values, tiles, viewing, weights, share, rng, call)
        work.start()
        work.learn()
        work.finish()
        found, done = work.result(), done + work.reports
        score = 0.0 if judged is None else judged(found.image)
        if best is None or score > most:
            best, most = found, score
    assert best is not None
    return replace(best, seconds=time.perf_counter() - pace.began)


def _judged(values: Array, weights: ArrayLike | None) -> Callable[[ByteArray], float]:
    """Return what scores pictures, by what counts of their middle."""
    values = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    shape = values.shape[:2]
    middle = tuple(slice(max(0, (n - JUDGED) // 2), (n + JUDGED) // 2) for n in shape)
    original = colour.to_srgb(colour.to_linear(values[middle]))
    judge, hidden = Ssimulacra2(values[middle]), None
    if weights is not None:
        hidden = check_weights(weights, shape)[middle][..., None] == 0

    def score(image: ByteArray) -> float:
        part = image[middle]
        return judge.score(part if hidden is None else np.where(hidden, original, part))

    return score


def _counted(callback: Callback, done: int, runs: int) -> Callback:
    """Return a callback of one run of several, for that of them all."""

    def call(progress: Progress) -> object:
        steps = done + runs * progress.steps
        return callback(replace(progress, step=done + progress.step, steps=steps))

    return call


class _Work:
    """A picture on its way."""

    def __init__(
        self,
        values: Array,
        tiles: Tiles,
        viewing: Viewing,
        weights: ArrayLike | None,
        pace: Pace,
        rng: RNG,
        callback: Callback | None,
    ) -> None:
        self.tiles, self.pace, self.callback = tiles, pace, callback
        values = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
        self.linear = colour.to_linear(values)
        self.space = colour.SPACES[viewing.measured_in]
        settled = viewing.settled(tiles.colors, learned=False)
        self.heavy = None
        if weights is not None:
            self.heavy = check_weights(weights, values.shape[:2]).astype(np.float32)
        weighted = settled.weighted(self.linear, self.heavy)
        self.loss = BlurredError(self.space.into(self.linear), weights=weighted, **settled.blur)
        self.key, self.history, self.taken = random.as_key(rng), [], 0.0
        plan = pace.plan  # of which all is done in the whole picture
        self.rounds, self.sweeps = plan.rounds + plan.whole, plan.whole + plan.sweeps
        self.steps, self.reports = 1 + self.rounds + self.sweeps, 0
        self.fit = Fit(Sample(self.loss, SAMPLE), self.space, len(tiles.fixed))
        self.palette: FloatArray = np.empty((0, 3), np.float32)
        self.rgb: ByteArray = np.empty((0, 3), np.uint8)
        self.indices: ByteArray = np.empty((0, 0), np.uint8)
        self.value = np.inf

    def start(self) -> None:
        """Try several clusterings out: the best is the one with the least loss once it is shown."""
        encoded, tiles = colour.encode(self.linear), self.tiles
        weights = self.loss.weights if self.heavy is None else self.heavy
        locked, least = tiles.fixed.astype(np.float32) / 255, np.inf
        for trial in range(self.pace.plan.trials):
            key = self.key.fold_in(trial)
            labels, palette = clustered(encoded, weights, tiles, locked, key=key)[:2]
            palette = self.space.into(colour.decode(palette)).astype(np.float32)
            indices = diffused(self.loss, labels, palette, tiles)
            if not trial:
                self.indices, self.palette = indices, palette
                if self.callback is not None:  # else its loss is of no interest
                    self._report(indices, self.loss.of(indices, palette))
            value, indices, palette = self._tried(indices, palette)
            if value < least:
                least, self.indices, self.palette = value, indices, palette
            if self.pace.late("palette"):
                break

    def _tried(
        self, indices: ByteArray, palette: FloatArray
    ) -> tuple[float, ByteArray, FloatArray]:
        """Return the loss once colours can be shown, and what is learned in a few rounds."""
        search = TileSearch(self.loss, indices, palette, self.tiles)
        for _ in range(EARLY):
            _moved(search)
            palette = fitted(self.fit, indices, palette, self.tiles)
            search.recolor(palette)
        learned = indices.copy()
        rgb = allowed(self.fit.sample, self.space, indices, palette, self.tiles)
        search.recolor(self._into(rgb))
        return _moved(search), learned, palette

    def learn(self) -> None:
        """Search pixels and tiles, and fit the palettes, in turns."""
        search = TileSearch(self.loss, self.indices, self.palette, self.tiles)
        for _ in range(self.rounds):
            if self.pace.late("rounds", self.taken):
                break
            self._round(search)
            self.palette = fitted(self.fit, self.indices, self.palette, self.tiles)
            search.recolor(self.palette)

    def finish(self) -> None:
        """Round the palettes and go on, with entries that are of no use in other places."""
        sample, space, tiles = self.fit.sample, self.space, self.tiles
        rgb = allowed(sample, space, self.indices, self.palette, tiles)
        palette, indices = self._into(rgb), self.indices.copy()
        search = TileSearch(self.loss, indices, palette, tiles)
        for i in range(self.sweeps):
            if i and self.pace.late("search", 2 * self.taken):
                break
            search.recolor(palette)
            value = self._round(search)
            if value < self.value:
                self.value, self.rgb, self.indices = value, rgb, indices.copy()
            rgb = allowed(sample, space, indices, palette, tiles)
            palette = self._into(rgb)
            search.recolor(palette)
            rgb = refilled(search, rgb, tiles, space)
            palette = self._into(rgb)
        self.palette = self._into(self.rgb)
        search = TileSearch(self.loss, self.indices, self.palette, tiles)
        search.sweep()
        self.value = search.errors()[0]

    def result(self) -> Dithering:
        """Return the picture as it is now."""
        return self._result(self.indices, self.rgb, self.value)

    def _round(self, search: TileSearch) -> float:
        """Search, report the loss, and return it."""
        began, value = time.perf_counter(), _moved(search)
        self.taken = max(self.taken, time.perf_counter() - began)
        self.history.append(value)
        self._report(search.indices, value)
        return value

    def _report(self, indices: ByteArray, value: float) -> None:
        """Call back."""
        self.reports += 1
        if self.callback is not None:
            palette, stage = self.palette, "palette" if self.reports == 1 else "search"
            snapshot = partial(self._snapshot, indices, palette)
            self.callback(Progress(self.reports, self.steps, value, snapshot, stage))

    def _snapshot(self, indices: ByteArray, palette: FloatArray) -> Dithering:
        """Return the result of a picture in colours that can be shown."""
        if self.rgb.size:
            return self.result()
        indices = indices.copy()
        rgb = allowed(self.fit.sample, self.space, indices, palette, self.tiles)
        search = TileSearch(self.loss, indices, self._into(rgb), self.tiles)
        search.sweep()
        return self._result(indices, rgb, search.errors()[0])

    def _result(self, indices: ByteArray, rgb: ByteArray, value: float) -> Dithering:
        measured = metrics(self.loss, indices, self._into(rgb))
        seconds = time.perf_counter() - self.pace.began
        return Dithering(indices, rgb, (*self.history, value), measured, seconds)

    def _into(self, rgb: ByteArray) -> FloatArray:
        """Return colours in the space of the loss."""
        return np.ascontiguousarray(self.space.into(colour.to_linear(rgb)), np.float32)


def _moved(search: TileSearch) -> float:
    """Search pixels, tiles, and pixels again; return the loss."""
    search.sweep()
    if search.exchange():
        search.sweep()
    return search.errors()[0]
