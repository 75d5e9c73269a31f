"""Pictures whose files are to be small: at a rate, within a size, or of a quality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array
from fastgrad.dithering.choices import ways
from fastgrad.dithering.eye.colour import SpaceName
from fastgrad.dithering.given import Given
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.pictures.animation import FORMATS, arranged, encode
from fastgrad.dithering.rates import MOST_RATE, QualityError, Rates, ScoreRates, SizeError
from fastgrad.dithering.result import Dithering
from fastgrad.dithering.trials import Begin, Trials

__all__ = ["Thrift", "rated", "thrifty"]


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
        work = Trials(given, begin, size_of, score_of, strengths)
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
