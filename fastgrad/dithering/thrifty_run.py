"""A run of `fastgrad.dither` whose picture can be made smaller, as much as is asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fastgrad._typing import ByteArray, FloatArray
from fastgrad.dithering.eye.viewing import NU
from fastgrad.dithering.optimiser.learning import fitted
from fastgrad.dithering.optimiser.lzw import StringSearch, in_strings
from fastgrad.dithering.optimiser.palette import Fit, Sample
from fastgrad.dithering.optimiser.rate import RatedSearch
from fastgrad.dithering.rates import NEAR, Rates, ScoreRates, between, first_rate
from fastgrad.dithering.result import Dithering
from fastgrad.dithering.run import SEEN, TILE
from fastgrad.dithering.timed_run import TimedRun

__all__ = ["ThriftyRun"]

ROUNDS = 7  # of search with a rate; the prices are renewed between them
RISE, LAST_ROUNDS = 2.0, 3  # the rate rises, and stays in the last rounds
SWAPPED = 2  # of the last rounds, in which neighbours swap indices, too
FITS = 2  # the palette is fitted after every second round, the last but one among them
PASSES = 2  # through the strings of a GIF; the palette is fitted after the first
ENTRY = 32  # bits that an entry of the palette takes in a file
PAGE = 2  # colours of a page
TRIES = 8  # entries at most that are merged with others at a time
State: TypeAlias = "tuple[ByteArray, FloatArray]"  # indices and palette


class ThriftyRun(TimedRun):
    """A run whose picture can be made smaller after `search`: `thin`, `fit_into`, `lower_to`.

    Attributes
    ----------
    ending : str
        The ending of the file's name: rows of a PNG may be filtered, a GIF is written in strings.
    """

    indices: ByteArray
    colors: FloatArray
    ending: str = ".png"

    @property
    def strings(self) -> bool:
        """Whether strings are chosen instead of single indices."""
        return in_strings(self.ending, len(self.colors), float(self.full_loss.nu))

    @property
    def first(self) -> float:
        """A moderate rate: the more an error of one pixel weighs, the higher it is."""
        own = self.loss.own - self.loss.nu
        return first_rate(strings=self.strings) * float((own + self.loss.nu) / (own + NU))

    def thin(self, rate: float) -> None:
        """Lower ``loss + rate * bits per pixel``.

        Parameters
        ----------
        rate : float
            What a bit per pixel costs, as a loss.
        """
        if rate:
            self._release()
        self._take(self._thinned(rate, self._whole_picture(), self.colors))

    @property
    def exact(self) -> bool:
        """Whether every pixel has the one colour that it is to have: a page of two colours."""
        pins = self.problem.pins
        return pins is not None and pins.whole and len(pins.palette) == PAGE

    def at(self, rate: float) -> Dithering:
        """Return the result that `thin` leads to, and leave the run as it is."""
        self._release()
        before = self.indices, self.colors
        self.thin(rate)
        found = self.result()
        self._take(before)
        return found

    def fit_into(self, max_bytes: int, size_of: Callable[[Dithering], int]) -> int:
        """Find the least rate at which the file is small enough, and take that picture.

        Parameters
        ----------
        max_bytes : int
            Bytes that the file may have.
        size_of : callable
            Returns the bytes of the file of a result.

        Returns
        -------
        int
            Bytes of the file; above ``max_bytes`` if no rate makes it small enough.
        """
        self._release()
        state = self._whole_picture(), self.colors
        size, rates = size_of(self.result()), Rates(max_bytes, self.first)
        above, best, least = state, None, size  # pictures that are too large, and that are not
        over = size <= max_bytes
        while not over:
            state = self._thinned(rates.rate, *above, since=rates.above)
            self._take(state)
            size = size_of(self.result())
            over = rates.told(size)
            if size > max_bytes:
                above, least = state, min(size, least)
            elif best is None or size > best[1]:
                best = state, size
        if best is None:
            return least if least > max_bytes else size
        if best[1] < NEAR * max_bytes and rates.above:
            colors = best[0][1]

            def taken(picture: ByteArray) -> int:
                self._take((picture, colors))
                return size_of(self.result())

            mixed, size = between(best[0][0], above[0], max_bytes, taken)
            best = ((mixed, colors), size) if size > best[1] else best
        self._take(best[0])
        return best[1]

    def lower_to(self, quality: float, score_of: Callable[[Dithering], float]) -> float:
        """Find the largest rate at which the score is high enough, and take that picture.

        Parameters
        ----------
        quality : float
            The score that it must have.
        score_of : callable
            Returns the score of a result.

        Returns
        -------
        float
            The score; below ``quality`` if it is even with no rate, and the run stays as it is.
        """
        held = score_of(self.result())
        if held < quality or self.exact:
            return held
        self._release()
        best, rates, over = (
            (self._whole_picture(), self.colors),
            ScoreRates(quality, self.first),
            False,
        )
        while not over:
            state = self._thinned(rates.rate, *best, since=rates.within)
            self._take(state)
            score = score_of(self.result())
            if score >= quality:
                best, held = state, score
            over = rates.told(score)
        self._take(best)
        return held

    def _release(self) -> None:
        """Let pixels of a smooth picture, pinned as they are next to their colours, have others."""
        pins = self.problem.pins
        if pins is not None and pins.whole and not self.exact:
            self.indices = self._picture = self._whole_picture()
            self.problem.pins, self.loss = None, self.full_loss
            self._value = self.loss.of(self.indices, self.colors)

    def _whole_picture(self) -> ByteArray:
        """Return a copy of the picture with the pinned pixels in their places."""
        return np.array(self.problem.pinned(self.indices))

    def _take(self, state: tuple[ByteArray, FloatArray]) -> None:
        """Go on with another picture and palette."""
        self.indices, self.colors = state
        self._picture = self.indices
        self._value = self.loss.of(self.indices, self.colors)

    def _thinned(
        self, rate: float, indices: ByteArray, colors: FloatArray, *, since: float = 0.0
    ) -> State:
        """Return a picture with fewer bits, and its palette, rounded; `since` is its rate so far.

        The rate rises slowly: what is merged in haste is seldom parted again.
        """
        indices, fit = indices.copy(), self._present_fit()
        if self.strings:
            return indices, self._in_strings(rate, indices, colors, fit)
        search = self._rated(indices, colors, rate)
        rising = ROUNDS - LAST_ROUNDS
        if since > 0:
            rising = min(rising, max(0, math.ceil(math.log(rate / since) / math.log(RISE)) - 1))
        for i in range(-rising, LAST_ROUNDS):
            left = LAST_ROUNDS - 1 - i
            search.renew(rate * RISE ** min(i, 0))
            search.swapping = left < SWAPPED
            self._sweep(search, self._snapshot)
            if fit is not None and left and (left - 1) % FITS == 0:
                colors = fitted(search, fit, colors, self.history[-1])
                if left == 1:
                    colors = self.problem.from_srgb(self._rounded(colors))
                    search.recolor(colors)
        self._merge(search)
        return indices, colors

    def _in_strings(self, rate, indices, colors, fit):
        """Change a picture in place to one that LZW writes in fewer codes, and return its palette.

        Each pass goes back and forth: what was merged is parted again where the rate is lower.
        """
        search = StringSearch(self.loss, indices, colors, rate, **self._kept)
        for left in reversed(range(PASSES)):
            self._sweep(search, self._snapshot)
            if fit is not None and left:
                colors = fitted(search, fit, colors, self.history[-1])
                colors = self.problem.from_srgb(self._rounded(colors))
                search.recolor(colors)
        return colors

    def _rated(self, indices, colors, rate):
        """Return the search that changes a picture in place."""
        weights = self.problem.weights
        hidden = None if weights is None else weights == 0
        own = {**self._kept, "hidden": hidden, "filters": self.ending == ".png"}
        return RatedSearch(self.loss, indices, colors, rate, **own)

    def _present_fit(self) -> Fit | None:
        """Return how to fit the palette; None where it is given, or has pinned colours."""
        if self._fit is None or self.problem.pins is not None:
            return None
        return self._fit._replace(sample=Sample(self.loss, SEEN, TILE))

    def _merge(self, search: RatedSearch) -> None:
        """Do without those learned entries that do not pay for their place in the file."""
        if self.problem.fixed is not None:
            return
        search.renew()
        search.swapping, room = False, search.rate * ENTRY
        regrets = search.regrets()
        uses = np.bincount(search.indices.ravel(), minlength=len(regrets))
        learned = np.arange(len(regrets)) >= len(self.problem.locked)
        for k in np.argsort(regrets, kind="stable")[:TRIES]:
            if not (learned[k] and uses[k]) or regrets[k] > room:
                continue
            before, kept = search.objective(), search.indices.copy()
            search.drop(int(k))
            after = search.objective() - room / self.loss.pixels
            if (search.indices == k).any() or after > before:
                search.indices[:] = kept
                search.recolor(self.colors)
