"""How many colours, and how strong a dithering: what serves a size or a quality best.

Grain costs bytes, and so do colours. Which of them a picture needs more is its own: so some are
tried, from where most pictures are, each time the neighbours of the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.eye.colour import SpaceName, is_grey

__all__ = [
    "MISSED",
    "SCORES",
    "STRENGTHS",
    "Choice",
    "Strength",
    "Trade",
    "climb",
    "levels",
    "scores",
    "ways",
]

TRIALS, FINER = 9, 2  # pictures at most that are tried, and more of them for each finer stride
FLATTEST, USUAL = 4.0, 30.0  # points for which bytes grow e-fold: at least, and beyond the known
BEND = 1.5  # exponent by which a score falls with the logarithm of bytes: the first cost little
LEFT = 0.15  # of the logarithm of bytes, beyond what is known: then a byte costs e times as much
GAIN = 0.002  # by which a merit must be better
SMALL = 8  # steps between greys that are whole numbers
MISSED = 1e9  # what a merit is less where a quality is out of reach
SCORES = (0, 15, 30, 45, 60, 72, 84)  # of 4, 8, ... 256 colours, about
GREYS = (70, 84, 92, 96, 97.5, 98.5, 99)  # the same of grey pictures


class Strength(NamedTuple):
    """A strength of dithering, and the space of its errors: options of `fastgrad.dither`.

    Where there is little grain to hide behind, errors count as they look pixel by pixel, which
    Oklab says better than light.
    """

    nu: float | None = None
    space: SpaceName | None = None

    def options(self, space: SpaceName | None = None) -> dict[str, Any]:
        """Return those that are not left to their defaults; a space that is given stays.

        Examples
        --------
        >>> Strength(0.3, "oklab").options("srgb"), Strength().options()
        ({'nu': 0.3}, {})
        """
        asked = {"nu": self.nu, "space": self.space if space is None else None}
        return {name: value for name, value in asked.items() if value is not None}


# Dithering in full, little grain, and hardly any; nearly black places need more bits in Oklab.
STRENGTHS = (
    Strength(),
    Strength(0.3, "oklab"),
    Strength(2.0, "oklab"),
    Strength(2.0, "srgb"),
)


def ways(values: Array, space: SpaceName | None = None) -> list[dict[str, Any]]:
    """Return the ways of dithering that a picture may choose from: options of `fastgrad.dither`.

    Parameters
    ----------
    values : array, shape (height, width) or (height, width, 3)
        The picture.
    space : str, optional
        A space that is given.

    Returns
    -------
    list of dict
        Options, with less and less grain, all of them different. Of a grey picture, the second has
        a "palette": a function of the number of colours.

    Examples
    --------
    >>> [sorted(way) for way in ways(np.zeros((2, 2), np.uint8))]
    [[], ['nu', 'palette', 'space'], ['nu', 'space'], ['nu', 'space']]
    """
    grey = values.ndim == 2 or is_grey(values)
    found = [strength.options(space) for strength in STRENGTHS[: -1 if grey else None]]
    if grey:
        even = Strength(0.3, "srgb").options(space)  # one channel is enough there
        found.insert(1, {**even, "palette": partial(levels, values)})
    return [way for i, way in enumerate(found) if way not in found[:i]]


def scores(values: Array) -> tuple[float, ...]:
    """Return what a picture of 4, 8, ... 256 colours scores, about.

    Examples
    --------
    >>> scores(np.zeros((2, 2), np.uint8))[0] > scores(np.uint8([[[0, 9, 0]]]))[0]
    True
    """
    return GREYS if values.ndim == 2 or is_grey(values) else SCORES


def levels(values: Array, count: int) -> ByteArray:
    """Return greys at equal distances, of which no file needs many bits.

    Greys that are learned are dense where there are many pixels, and so all are about as frequent:
    errors are least for their number, but not for their bits. Small distances are whole numbers:
    steps of 2 and 3 in turns have nearly the errors of 3, and nearly the bits of 2.

    Parameters
    ----------
    values : array
        sRGB values, uint8 or float in [0, 1].
    count : int
        Number of greys, from the least to the largest value. With small steps there may be fewer,
        and the ends are missed by half a step.

    Returns
    -------
    array of uint8, shape (count, 3)
        The greys.

    References
    ----------
    H. Gish and J. N. Pierce, "Asymptotically efficient quantizing", IEEE Transactions on
    Information Theory 14(5), 1968.

    Examples
    --------
    >>> levels(np.uint8([[10, 40]]), 3).tolist()
    [[10, 10, 10], [25, 25, 25], [40, 40, 40]]
    >>> levels(np.uint8([[10, 21]]), 5)[:, 0].tolist()
    [11, 14, 17, 20]
    """
    most = 1 if values.dtype == np.uint8 else 255
    low, high = float(values.min()) * most, float(values.max()) * most
    step = math.ceil((high - low + 1) / count)
    if step > SMALL:
        greys = np.linspace(low, high, count)
    else:
        number = max(2, math.ceil((high - low + 1) / step))
        greys = np.minimum(math.floor(low) + (step - 1) // 2 + step * np.arange(number), 255)
    return np.repeat(np.rint(greys).astype(np.uint8)[:, None], 3, axis=1)


class Choice(NamedTuple):
    """Numbers of colours and strengths, by their places in a list of each."""

    colors: int
    strength: int


class Trade(NamedTuple):
    """What a picture gives up for bytes: its bytes and scores without a rate, and with one.

    The first bytes that a rate saves cost least. Beyond the rate, each further byte costs more:
    what is left are the shapes of the picture.

    Examples
    --------
    >>> trade = Trade((10_000, 80.0), (8_000, 76.0))
    >>> trade.score_at(12_000), trade.score_at(8_000)
    (80.0, 76.0)
    >>> round(trade.bytes_at(78.0)), trade.bytes_at(81.0)
    (8689, inf)
    """

    plain: tuple[int, float]
    rated: tuple[int, float]

    @property
    def _ends(self) -> tuple[float, float, float, float]:
        """The logarithm of the bytes and the score at either end, of which less bytes are worse."""
        (size, score), (less, worse) = self
        if less >= size:
            return math.log(size), score, math.log(size), score
        log, least = math.log(size), math.log(less)
        return log, score, least, min(worse, score - FLATTEST * (log - least))

    def score_at(self, size: float) -> float:
        """Return the score that a file of so many bytes may have."""
        log, score, least, worse = self._ends
        now = math.log(size)
        if now >= log:
            return score
        if now >= least:
            return score - (score - worse) * ((log - now) / (log - least)) ** BEND
        return worse - self._steep * LEFT * math.expm1((least - now) / LEFT)

    def bytes_at(self, score: float) -> float:
        """Return the bytes of a file that has such a score; infinity if it is out of reach."""
        log, best, least, worse = self._ends
        if score > best:
            return math.inf
        if score >= worse:
            share = (best - score) / max(best - worse, 1e-9)
            return math.exp(log - (log - least) * share ** (1 / BEND))
        return math.exp(least - LEFT * math.log1p((worse - score) / (self._steep * LEFT)))

    def smallness(self, score: float) -> float:
        """Return how good a picture is that is to have such a score: the smaller, the better.

        Examples
        --------
        >>> trade = Trade((10_000, 80.0), (8_000, 76.0))
        >>> trade.smallness(70.0) > trade.smallness(75.0) > trade.smallness(81.0)
        True
        """
        size, best = self.bytes_at(score), self.plain[1]
        return -math.log(size) if size < math.inf else best - MISSED

    @property
    def _steep(self) -> float:
        """Points for which bytes grow e-fold where there are less than at the rate."""
        log, best, least, worse = self._ends
        return max(USUAL, (best - worse) / max(log - least, 1e-9)) if log > least else USUAL


def climb(
    merit: Callable[[Choice], float],
    start: Choice,
    colors: Sequence[int],
    strengths: Sequence[int],
    strides: Sequence[int] = (1,),
) -> Choice:
    """Return the choice of most merit, as far as it is found by going from neighbour to neighbour.

    Where a step was good, the same is tried next. Where the start cannot have the quality that is
    asked for, it has more colours until it can. Finer strides change numbers of colours only.

    Parameters
    ----------
    merit : callable
        Returns how good a choice is; it is asked for each of them once, and for 9 at most, and 2
        more with each finer stride.
    start : Choice
        Where to begin.
    colors, strengths : sequence of int
        The places that there are.
    strides : sequence of int, optional
        By how many places of colours neighbours differ, from coarse to fine.

    Returns
    -------
    Choice
        The best.

    Examples
    --------
    >>> climb(lambda c: -abs(c.colors - 5) - c.strength, Choice(3, 1), range(8), range(3))
    Choice(colors=5, strength=0)
    >>> at_least_4 = lambda c: -c.colors - c.strength - MISSED * (c.colors < 4)
    >>> climb(at_least_4, Choice(0, 1), range(8), range(3))
    Choice(colors=4, strength=0)
    """
    best, most = start, merit(start)
    tried, steps = {start}, STEPS
    while most < -MISSED / 2 and best.colors + strides[0] in colors:
        best = best._replace(colors=best.colors + strides[0])
        most = merit(best)
        tried.add(best)
    for place, stride in enumerate(strides):
        limit, moved = TRIALS + FINER * place, True
        steps = STEPS if place == 0 else FINE
        while moved:
            moved = False
            for more, weaker in steps:
                near = Choice(best.colors + stride * more, best.strength + weaker)
                if near in tried or near.colors not in colors or near.strength not in strengths:
                    continue
                if len(tried) == limit:
                    break
                tried.add(near)
                value = merit(near)
                if value > most + GAIN:
                    best, most, moved, steps = near, value, True, ((more, weaker), *steps)
                    break
    return best


# More colours and less grain cost about as many bytes as fewer and more: they come first.
STEPS = ((0, 1), (1, 0), (-1, 0), (0, -1), (1, 1), (-1, -1), (-1, 1), (1, -1))
FINE = ((1, 0), (-1, 0))
