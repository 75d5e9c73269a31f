"""How many colours, and how strong a dithering: what serves a size or a quality best.

Grain costs bytes, and so do colours. Which of them a picture needs more is its own: so some are
tried, from where most pictures are, each time the neighbours of the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastgrad.dithering.eye.colour import SpaceName

__all__ = ["STRENGTHS", "Choice", "Strength", "Trade", "climb"]

TRIALS = 9  # pictures at most that are tried
FLATTEST, USUAL = (
    4.0,
    20.0,
)  # points for which bytes grow e-fold: at least, and beyond what is known
GAIN = 0.002  # by which a merit must be better


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


# Dithering in full, little grain, and hardly any.
STRENGTHS = (Strength(), Strength(0.3, "oklab"), Strength(2.0, "oklab"))


class Choice(NamedTuple):
    """Numbers of colours and strengths, by their places in a list of each."""

    colors: int
    strength: int


class Trade(NamedTuple):
    """What a picture gives up for bytes: its bytes and scores without a rate, and with one.

    Examples
    --------
    >>> trade = Trade((10_000, 80.0), (8_000, 76.0))
    >>> trade.score_at(12_000), trade.score_at(8_000)
    (80.0, 76.0)
    >>> round(trade.bytes_at(78.0)), trade.bytes_at(81.0)
    (8944, inf)
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
            return score - (score - worse) * (log - now) / (log - least)
        return worse - self._steep * (least - now)

    def bytes_at(self, score: float) -> float:
        """Return the bytes of a file that has such a score; infinity if it is out of reach."""
        log, best, least, worse = self._ends
        if score > best:
            return math.inf
        if score >= worse:
            return math.exp(log - (log - least) * (best - score) / max(best - worse, 1e-9))
        return math.exp(least - (worse - score) / self._steep)

    @property
    def _steep(self) -> float:
        """Points for which bytes grow e-fold where there are less than at the rate."""
        log, best, least, worse = self._ends
        return max(USUAL, (best - worse) / max(log - least, 1e-9)) if log > least else USUAL


def climb(
    merit: Callable[[Choice], float], start: Choice, colors: Sequence[int], strengths: Sequence[int]
) -> Choice:
    """Return the choice of most merit, as far as it is found by going from neighbour to neighbour.

    Parameters
    ----------
    merit : callable
        Returns how good a choice is; it is asked for each of them once, and for 9 at most.
    start : Choice
        Where to begin.
    colors, strengths : sequence of int
        The places that there are.

    Returns
    -------
    Choice
        The best.

    Examples
    --------
    >>> climb(lambda c: -abs(c.colors - 5) - c.strength, Choice(3, 1), range(8), range(3))
    Choice(colors=5, strength=0)
    """
    best, most = start, merit(start)
    tried = {start}
    moved = True
    while moved:
        moved = False
        for more, weaker in STEPS:
            near = Choice(best.colors + more, best.strength + weaker)
            if near in tried or near.colors not in colors or near.strength not in strengths:
                continue
            if len(tried) == TRIALS:
                return best
            tried.add(near)
            value = merit(near)
            if value > most + GAIN:
                best, most, moved = near, value, True
                break
    return best


# More colours and less grain cost about as many bytes as fewer and more: they come first.
STEPS = ((0, 1), (1, 0), (-1, 0), (0, -1), (1, 1), (-1, -1))
