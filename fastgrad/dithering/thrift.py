"""A run of `fastgrad.dither` that is also charged for the bytes of its file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ByteArray, FloatArray
from fastgrad.dithering.given import Given
from fastgrad.dithering.optimiser.palette import Fit, Sample
from fastgrad.dithering.optimiser.rate import RatedSearch
from fastgrad.dithering.pictures.animation import FORMATS, arranged, encode
from fastgrad.dithering.rates import FIRST, MOST_RATE, NEAR, Rates, SizeError, between
from fastgrad.dithering.result import Dithering
from fastgrad.dithering.run import Run

__all__ = ["Thrift", "ThriftyRun", "rated", "thrifty"]

ROUNDS = 10  # of search with a rate; the prices are renewed between them
LAST = 1 << 20  # pixels, at most, to which the palette is fitted
RISE, LAST_ROUNDS = 1.6, 3  # the rate rises, and stays in the last rounds
ENTRY = 32  # bits that an entry of the palette takes in a file
TRIES = 8  # entries at most that are merged with others at a time
FEWEST, MOST = 2, 256  # colours that a size may lead to
AT_32, DOUBLED = 1.8, 1.2  # bits a pixel at the first rate: of 32 colours, and what doubling adds
SLACK = 1.1  # a number of colours is kept if it misses the size by no more at the first rate
State: TypeAlias = "tuple[ByteArray, FloatArray]"  # indices and palette


@dataclass(frozen=True)
class Thrift:
    """What is asked for of the size of a file: these are options of `fastgrad.dither`.

    Parameters
    ----------
    rate, max_bytes, ending
        Options of `fastgrad.dither`.

    Raises
    ------
    TypeError, ValueError
        If an option has the wrong type or is out of range, or both are given.
    """

    rate: float | None = None
    max_bytes: int | None = None
    ending: str = ".png"

    def __post_init__(self) -> None:
        """Refuse what is out of range or contradictory."""
        if self.rate is not None:
            _validate.number(self.rate, "rate", 0, MOST_RATE)
        _validate.named(self.ending, "ending", tuple(FORMATS))
        if self.max_bytes is not None:
            _validate.integer(self.max_bytes, "max_bytes", 1)
            if self.rate is not None:
                raise ValueError(f"rate must be None with max_bytes, got {self.rate!r}")

    @property
    def asked(self) -> bool:
        """Whether size matters at all."""
        return bool(self.rate) or self.max_bytes is not None

    def alone(self, **others: object) -> None:
        """Refuse options that do not go with a rate or a size, unless they are None or 0."""
        for name, value in others.items():
            if self.asked and value is not None and value != 0:
                asked = "rate" if self.max_bytes is None else "max_bytes"
                raise ValueError(f"{name} must be left out with {asked}, got {value!r}")


def thrifty(thrift: Thrift, given: Given, begin: Callable[[int | None], ThriftyRun]) -> Dithering:
    """Dither with an eye on the size of the file.

    Parameters
    ----------
    thrift : Thrift
        What is asked for.
    given : Given
        The picture and what is known of the palette. A size chooses the number of colours, if it is
        not given: as many as fit at a moderate rate.
    begin : callable
        Makes a run for a number of colours, and takes it through `Run.search`.

    Returns
    -------
    Dithering
        The picture, with the colours that are used, in the order of their luminance if they are
        learned. Its metrics tell the bytes of its file.

    Raises
    ------
    ValueError
        If there is no picture within so many bytes.
    """

    def finished(result: Dithering) -> Dithering:
        result = given.dressed(result)
        return _compact(result) if given.palette is None else result

    def size_of(result: Dithering) -> int:
        return len(_encoded(finished(result), thrift.ending))

    most = thrift.max_bytes
    if most is None:
        run = begin(given.colors)
        run.thin(float(thrift.rate or 0))
    else:
        run = _within(given, begin, most, size_of)
    result = finished(run.result())
    result.metrics["bytes"] = len(_encoded(result, thrift.ending))
    return result


def rated(thrift: Thrift, dithered: Callable[[float], Dithering]) -> Dithering:
    """Dither with an eye on the size of the file, anew for each rate.

    Parameters
    ----------
    thrift : Thrift
        What is asked for.
    dithered : callable
        Returns the picture at a rate.

    Returns
    -------
    Dithering
        The picture. If size matters, its metrics tell the bytes of its file.

    Raises
    ------
    ValueError
        If there is no picture within so many bytes.
    """
    result, most = dithered(float(thrift.rate or 0)), thrift.max_bytes
    if not thrift.asked:
        return result
    size = least = len(_encoded(result, thrift.ending))
    if most is not None and size > most:
        rates, best, over = Rates(most), None, False
        while not over:
            result = dithered(rates.rate)
            size = len(_encoded(result, thrift.ending))
            least, over = min(size, least), rates.told(size)
            best = (result, size) if size <= most else best
        if best is None:
            raise SizeError(least, most)
        result, size = best
    result.metrics["bytes"] = size
    return result


def _within(
    given: Given,
    begin: Callable[[int | None], ThriftyRun],
    most: int,
    size_of: Callable[[Dithering], int],
) -> ThriftyRun:
    """Return a run whose file has no more bytes than there may be.

    It has as many colours as fit at the first rate, or about, unless their number is given.
    """
    if given.counted:
        run = begin(given.colors)
        size = run.fit_into(most, size_of)
        if size > most:
            raise SizeError(size, most)
        return run
    pixels = given.values.shape[0] * given.values.shape[1]
    doublings = round(math.log(max(8 * most / pixels, 1e-3) / AT_32, DOUBLED))
    colors = 2 ** min(max(5 + doublings, 1), 8)
    taken = 0 if given.colors is None else given.entries - given.colors  # by a transparent one
    tried: dict[int, tuple[float, ThriftyRun]] = {}
    while colors not in tried:
        run = begin(max(colors - taken, FEWEST))
        size = size_of(run.at(FIRST))
        tried[colors] = abs(math.log(size / most)), run
        if size > SLACK * most:
            colors = max(colors // 2, FEWEST)
        elif size * SLACK < most and not run.exact:
            colors = min(2 * colors, MOST)
    colors = min(tried, key=lambda one: tried[one][0])
    while True:
        run = tried[colors][1] if colors in tried else begin(max(colors - taken, FEWEST))
        size = run.fit_into(most, size_of)
        if size <= most:
            return run
        if colors == FEWEST:
            raise SizeError(size, most)
        colors //= 2


def _compact(result: Dithering) -> Dithering:
    """Return a result without entries that no pixel has, in the order of their luminance."""
    used, places = np.unique(result.indices, return_inverse=True)
    indices = places.reshape(result.indices.shape).astype(np.uint8)
    opacity = None if result.opacity is None else result.opacity[used]
    (indices,), palette, opacity = arranged([indices], result.palette[used], opacity)
    return replace(result, indices=indices, palette=palette, opacity=opacity)


def _encoded(result: Dithering, ending: str) -> bytes:
    """Return the file of a result."""
    palette = result.palette if result.device is None else result.device
    return encode([result.indices], palette, result.opacity, ending=ending)


class ThriftyRun(Run):
    """A `Run` whose picture can be made smaller: `thin` or `fit_into` after `search`."""

    indices: ByteArray
    colors: FloatArray

    def thin(self, rate: float) -> None:
        """Lower ``loss + rate * bits per pixel``.

        Parameters
        ----------
        rate : float
            What a bit per pixel costs, as a loss.
        """
        self._take(self._thinned(rate, self._whole_picture(), self.colors))

    @property
    def exact(self) -> bool:
        """Whether every pixel has the one colour that it is to have."""
        return self.problem.pins is not None and self.problem.pins.whole

    def at(self, rate: float) -> Dithering:
        """Return the result that `thin` leads to, and leave the run as it is."""
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
        state = self._whole_picture(), self.colors
        size, rates = size_of(self.result()), Rates(max_bytes)
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
        indices, fit = indices.copy(), self._whole_fit()
        search = self._rated(indices, colors, rate)
        rising = ROUNDS - LAST_ROUNDS
        if since > 0:
            rising = min(rising, max(0, math.ceil(math.log(rate / since) / math.log(RISE)) - 1))
        for i in range(-rising, LAST_ROUNDS):
            search.renew(rate * RISE ** min(i, 0))
            self._sweep(search, self._snapshot)
            if fit is not None and i < LAST_ROUNDS - 1:
                colors = fit(fit.sample.cut(indices[None])[:, 0], colors)
                if i == LAST_ROUNDS - 2:
                    colors = self.problem.from_srgb(self._rounded(colors))
                search.recolor(colors)
        self._merge(search)
        return indices, colors

    def _rated(self, indices, colors, rate):
        """Return the search that changes a picture in place."""
        previous = self.problem.previous
        return RatedSearch(self.loss, indices, colors, rate, previous=previous, gap=self._gap)

    def _whole_fit(self) -> Fit | None:
        """Return how to fit the palette; None where it is given, or has pinned colours."""
        if self._fit is None or self.problem.pins is not None:
            return None
        return self._fit._replace(sample=Sample(self.loss, LAST))

    def _merge(self, search: RatedSearch) -> None:
        """Do without those learned entries that do not pay for their place in the file."""
        if self.problem.fixed is not None:
            return
        search.renew()
        room = search.rate * ENTRY
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
