"""Pictures whose files are to be small: at a rate, within a size, or of a quality."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array
from fastgrad.dithering.choices import Choice, Trade, climb, scores, ways
from fastgrad.dithering.eye.colour import SpaceName
from fastgrad.dithering.given import Given
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.pictures.animation import FORMATS, arranged, encode
from fastgrad.dithering.rates import MOST_RATE, NEAR, QualityError, Rates, ScoreRates, SizeError
from fastgrad.dithering.result import Dithering
from fastgrad.dithering.thrifty_run import ThriftyRun

__all__ = ["Begin", "Thrift", "rated", "thrifty"]

OCTAVE = 2  # places by which a number of colours is doubled
COUNTS = tuple(round(2 ** (1 + i / OCTAVE)) for i in range(7 * OCTAVE + 1))  # that are tried
AT_32, DOUBLED = 1.8, 1.2  # bits a pixel at the first rate: of 32 colours, and what doubling adds
LITTLE = 1  # the place of little grain, with which trials begin


class Begin(Protocol):
    """Makes a run for a number of colours, and takes it through `Run.search`.

    Further options are those of `Viewing`, and the palette, that are not as asked for.
    """

    def __call__(self, count: int | None, *, quick: bool = False, **eye: Any) -> ThriftyRun:
        """Return the run, a quick one if it only is to tell what others will be like."""
        ...


@dataclass(frozen=True)
class Thrift:
    """What is asked for of the size of a file: these are options of `fastgrad.dither`.

    Parameters
    ----------
    rate, max_bytes, quality, ending
        Options of `fastgrad.dither`.

    Raises
    ------
    TypeError, ValueError
        If an option has the wrong type or is out of range, or several are given.
    """

    rate: float | None = None
    max_bytes: int | None = None
    quality: float | None = None
    ending: str = ".png"

    def __post_init__(self) -> None:
        """Refuse what is out of range or contradictory."""
        if self.rate is not None:
            _validate.number(self.rate, "rate", 0, MOST_RATE)
        _validate.named(self.ending, "ending", tuple(FORMATS))
        if self.max_bytes is not None:
            _validate.integer(self.max_bytes, "max_bytes", 1)
        if self.quality is not None:
            _validate.number(self.quality, "quality", 0, 100)
        names = ("rate", "max_bytes", "quality")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            first, last = given[0], given[-1]
            raise ValueError(f"{first} must be None with {last}, got {getattr(self, first)!r}")

    @property
    def asked(self) -> str | None:
        """The name of the option that is given, if size matters at all."""
        if self.max_bytes is not None:
            return "max_bytes"
        if self.quality is not None:
            return "quality"
        return "rate" if self.rate else None

    def alone(self, **others: object) -> None:
        """Refuse options that do not go with a rate, a size or a quality, unless None or 0."""
        for name, value in others.items():
            if self.asked and value is not None and value != 0:
                raise ValueError(f"{name} must be left out with {self.asked}, got {value!r}")


def thrifty(
    thrift: Thrift,
    given: Given,
    begin: Begin,
    *,
    nu: float | None = None,
    space: SpaceName | None = None,
) -> Dithering:
    """Dither with an eye on the size of the file.

    Parameters
    ----------
    thrift : Thrift
        What is asked for.
    given : Given
        The picture and what is known of the palette.
    begin : callable
        Makes a run.
    nu, space : optional
        Options of `fastgrad.dither`. A size or a quality chooses the strength of dithering of a
        learned palette, if nu is not given, with a space that suits it, if that is not; and the
        number of colours, if that is not.

    Returns
    -------
    Dithering
        The picture, with the colours that are used, in the order of their luminance if they are
        learned. Its metrics tell the bytes of its file, and with a quality its score.

    Raises
    ------
    ValueError
        If there is no picture within so many bytes, or of that quality.
    """

    def finished(result: Dithering) -> Dithering:
        result = given.dressed(result)
        return _compact(result) if given.palette is None else result

    def size_of(result: Dithering) -> int:
        return len(_encoded(finished(result), thrift.ending))

    if thrift.asked == "rate":
        run = begin(given.colors)
        run.thin(float(thrift.rate or 0))
    else:
        score_of = _score_of(given)
        free = given.palette is None and nu is None
        strengths = ways(given.values, space) if free else [{}]
        work = _Trials(given, begin, size_of, score_of, strengths)
        if thrift.max_bytes is not None:
            run = work.within(thrift.max_bytes)
        else:
            run = work.of_quality(float(thrift.quality or 0))
    found = run.result()
    result = finished(found)
    result.metrics["bytes"] = len(_encoded(result, thrift.ending))
    if thrift.quality is not None:
        result.metrics["ssimulacra2"] = _score_of(given)(found)
    return result


def rated(
    thrift: Thrift, dithered: Callable[[float], Dithering], values: Array, alpha: Array
) -> Dithering:
    """Dither with an eye on the size of the file, anew for each rate.

    Parameters
    ----------
    thrift : Thrift
        What is asked for.
    dithered : callable
        Returns the picture at a rate.
    values, alpha : array
        The original and its opacity: pictures are judged on white.

    Returns
    -------
    Dithering
        The picture. If size matters, its metrics tell the bytes of its file.

    Raises
    ------
    ValueError
        If there is no picture within so many bytes, or of that quality.
    """
    result, most, asked = dithered(float(thrift.rate or 0)), thrift.max_bytes, thrift.quality
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
    if asked is not None:
        judge = Ssimulacra2(transparency.on_white(values, alpha))

        def judged(result: Dithering) -> Dithering:
            shown = result.image
            if result.opacity is not None:
                shown = transparency.on_white(shown[..., :3], shown[..., 3])
            result.metrics["ssimulacra2"] = judge.score(shown)
            return result

        if judged(result).metrics["ssimulacra2"] < asked:
            raise QualityError(result.metrics["ssimulacra2"], asked)
        levels, over = ScoreRates(asked), False
        while not over:
            made = judged(dithered(levels.rate))
            over = levels.told(made.metrics["ssimulacra2"])
            result = made if made.metrics["ssimulacra2"] >= asked else result
        size = len(_encoded(result, thrift.ending))
    result.metrics["bytes"] = size
    return result


class _Trials:
    """Runs that are tried: of which number of colours and strength a picture is made.

    Parameters
    ----------
    given, begin
        As for `thrifty`.
    size_of, score_of : callable
        Return the bytes and the score of a result.
    strengths : sequence of dict
        What may be chosen, as `ways` returns it.
    """

    def __init__(
        self,
        given: Given,
        begin: Begin,
        size_of: Callable[[Dithering], int],
        score_of: Callable[[Dithering], float],
        strengths: Sequence[dict[str, Any]],
    ) -> None:
        self._given, self._begin, self._strengths = given, begin, strengths
        self._size_of, self._score_of = size_of, score_of

    def within(self, most: int) -> ThriftyRun:
        """Return the run of the best picture that was found within so many bytes."""
        given = self._given
        if given.counted:
            run = self._begin(given.colors)
            if (size := run.fit_into(most, self._size_of)) > most:
                raise SizeError(size, most)
            return run
        pixels = given.values.shape[0] * given.values.shape[1]
        doublings = round(math.log(max(8 * most / pixels, 1e-3) / AT_32, DOUBLED))
        choice = self._climb(4 + doublings, lambda trade: trade.score_at(most))
        best, highest, step = None, -math.inf, OCTAVE
        while True:
            run = self._run(choice)
            if (size := run.fit_into(most, self._size_of)) > most:
                if best is not None:
                    return best
                if choice.colors == 0:
                    raise SizeError(size, most)
                step = -OCTAVE
            else:
                score = self._score_of(run.result())
                if best is not None and score <= highest:
                    return best
                full = step < 0 or run.exact or size >= NEAR * most
                if full or choice.colors == len(COUNTS) - 1:
                    return run
                best, highest = run, score  # bytes are left: more colours may serve
            choice = self._moved(choice, step)

    def of_quality(self, quality: float) -> ThriftyRun:
        """Return the run of the smallest file that was found with such a score."""
        place = int(np.searchsorted(scores(self._given.values), quality)) + 1
        choice, highest = self._climb(place, lambda trade: trade.smallness(quality)), -math.inf
        while True:
            for quick in (False, True):  # a quick one told that it may be reached
                run = self._run(choice, quick=quick)
                highest = max(highest, run.lower_to(quality, self._score_of))
                if highest >= quality:
                    return run
            if choice.colors == self._places[-1]:
                raise QualityError(highest, quality)
            choice = self._moved(choice, OCTAVE)

    def _moved(self, choice: Choice, step: int) -> Choice:
        """Return a choice of more colours, or of fewer, as far as there are any."""
        places = self._places
        return choice._replace(colors=min(max(choice.colors + step, places[0]), places[-1]))

    @property
    def _places(self) -> range:
        """The places of the numbers of colours that there are."""
        return range(1 if self._given.counted else len(COUNTS))

    def _climb(self, place: int, merit: Callable[[Trade], float]) -> Choice:
        """Return the choice of most merit, by quick runs."""

        def tried(choice: Choice) -> float:
            run = self._run(choice, quick=True)
            plain = run.result()
            points = [(self._size_of(plain), self._score_of(plain))]
            if not run.exact:
                rated = run.at(run.first)
                points.append((self._size_of(rated), self._score_of(rated)))
            return merit(Trade(points[0], points[-1]))

        first = min(max(OCTAVE * place, 0), self._places[-1])
        weaker = range(len(self._strengths))
        start = Choice(first, min(LITTLE, weaker[-1]))
        return climb(tried, start, self._places, weaker, (OCTAVE, 1))

    def _run(self, choice: Choice, *, quick: bool = False) -> ThriftyRun:
        """Begin a run."""
        given, eye = self._given, self._strengths[choice.strength]
        count = given.colors
        if not given.counted:
            taken = 0 if count is None else given.entries - count  # a transparent one
            count = max(COUNTS[choice.colors] - taken, COUNTS[0])
        if "palette" in eye:
            count, eye = None, {**eye, "palette": eye["palette"](count)}
        return self._begin(count, quick=quick, **eye)


def _score_of(given: Given) -> Callable[[Dithering], float]:
    """Return what judges results before they are dressed; pixels of weight 0 do not count."""
    values = given.values if given.values.ndim == 3 else np.dstack([given.values] * 3)
    if values.dtype == np.uint8:
        values = values / 255
    judge = Ssimulacra2(values)
    seen = None if given.weights is None else np.asarray(given.weights) > 0

    def score(result: Dithering) -> float:
        picture = result.palette[result.indices] / 255
        return judge.score(picture if seen is None else np.where(seen[..., None], picture, values))

    return score


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
