"""The search for a rate: the least of a file that is small enough, the largest of a quality."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastgrad._typing import ByteArray

__all__ = [
    "FIRST",
    "MOST_RATE",
    "NEAR",
    "QualityError",
    "Rates",
    "ScoreRates",
    "SizeError",
    "between",
    "first_rate",
]

MOST_RATE = 1e3
FIRST, GROWTH = 3e-4, 8.0  # the first rate that is tried, and how much the next may differ
IN_STRINGS = 1 / 8  # of that where whole strings are chosen, which is worth more bits
NEAR, GOAL = 0.98, 0.99  # shares of the bytes: what must be used, and what is aimed at
SLOPE, STEEPEST, FLATTEST = -0.12, -1.0, -0.02  # of the logarithm of a size over that of the rate
EVALUATIONS = 12  # files at most that are made
LEAST_RATE = 1e-6  # which changes next to nothing
CLOSE, CENTRE = 0.3, 0.1  # how much a score may be above what is asked, and is aimed above it
FALL, FASTEST, SLOWEST = 4.0, 40.0, 0.5  # of a score, while the rate grows e-fold
NARROW = 0.02  # of the logarithm of a rate: scores of such neighbours tell little but chance
MARGIN = 0.1  # share of a bracket, at its ends, in which no rate is tried
SCORES = 10  # pictures at most that are judged


class SizeError(ValueError):
    """No picture has so few bytes.

    Parameters
    ----------
    least : int
        The bytes of the smallest that was found.
    most : int
        Those that there might be.
    """

    least: int

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        super().__init__(f"max_bytes must be at least {least} for this picture, got {most}")


class QualityError(ValueError):
    """No picture has so high a score.

    Parameters
    ----------
    highest : float
        The highest that was found.
    asked : float
        What it must be.
    """

    highest: float

    def __init__(self, highest: float, asked: float) -> None:
        self.highest = highest
        most = math.floor(10 * highest) / 10
        super().__init__(f"quality must be at most {most} for this picture, got {asked}")


class Rates:
    """Rates to try one after the other: the secant of the logarithms, inside a bracket.

    Parameters
    ----------
    most : int
        Bytes that the file may have.
    first : float, optional
        The rate to begin with.

    Attributes
    ----------
    rate : float
        The rate to try.
    above, below : float or None
        The largest rate whose file is too large, 0 if there is none; and the last one whose file is
        small enough.

    Examples
    --------
    >>> rates, size = Rates(50_000), 0
    >>> while not rates.told(size := round(30_000 * rates.rate**-0.1)):
    ...     pass
    >>> 49_000 <= size <= 50_000
    True
    """

    most: int
    rate: float
    above: float
    below: float | None

    def __init__(self, most: int, first: float = FIRST) -> None:
        self.most, self.rate, self.above, self.below = most, first, 0.0, None
        self._last: tuple[float, int] | None = None
        self._slope, self._left = SLOPE, EVALUATIONS

    def told(self, size: int) -> bool:
        """Take note of the bytes of a file at `rate`, and go on to the next one.

        Parameters
        ----------
        size : int
            The bytes.

        Returns
        -------
        bool
            Whether the search is over: the file has nearly as many bytes as there may be, or no
            rate is left to try.
        """
        rate, most = self.rate, self.most
        if size > most:
            self.above = rate
        else:
            self.below = rate
        self._left -= 1
        if NEAR * most <= size <= most or not self._left:
            return True
        if self.below is None and rate >= MOST_RATE:
            return True
        if self._last is not None and self._last[0] != rate:
            slope = math.log(size / self._last[1]) / math.log(rate / self._last[0])
            self._slope = min(max(slope, STEEPEST), FLATTEST)
        self._last = rate, size
        steps = math.log(GOAL * most / size) / self._slope
        self.rate = inside(math.log(rate) + steps, self.above, self.below)
        return False


class ScoreRates:
    """Rates to try one after the other, for the largest at which a score is high enough.

    Steps grow until there is a rate on either side. Between these the score is taken for a line
    over the logarithm of the rate; where one side stays twice, the middle is next. The search ends
    when the sides are nearly the same rate.

    Parameters
    ----------
    least : float
        The score that a picture must have.
    first : float, optional
        The rate to begin with.

    Attributes
    ----------
    rate : float
        The rate to try.
    within, beyond : float or None
        The largest rate whose score is high enough, 0 if there is none; and the least one whose
        score is not.

    Examples
    --------
    >>> rates, score = ScoreRates(70), 0
    >>> while not rates.told(score := 40 - 5 * math.log(rates.rate)):
    ...     pass
    >>> 70 <= score <= 70.3
    True
    """

    least: float
    rate: float
    within: float
    beyond: float | None

    def __init__(self, least: float, first: float = FIRST) -> None:
        self.least, self.rate, self.within, self.beyond = least, first, 0.0, None
        self._last: tuple[float, float] | None = None
        self._scores = [0.0, 0.0]  # scores at `within` and at `beyond`
        self._fall, self._step, self._left = FALL, 0.0, SCORES
        self._turns = 0  # scores in a row that were high enough; if negative, too low

    def told(self, score: float) -> bool:
        """Take note of the score of a picture at `rate`, and go on to the next one.

        Parameters
        ----------
        score : float
            The score.

        Returns
        -------
        bool
            Whether the search is over: the score is hardly higher than it must be, or no rate is
            left to try.
        """
        rate, above = self.rate, score - self.least
        if above >= 0:
            self.within, self._scores[0] = rate, score
        else:
            self.beyond, self._scores[1] = rate, score
        side = 1 if above >= 0 else -1
        self._turns = self._turns + side if self._turns * side > 0 else side
        self._left -= 1
        if 0 <= above <= CLOSE or not self._left:
            return True
        known = self.within and self.beyond is not None
        if not known and (rate >= MOST_RATE if side > 0 else rate <= LEAST_RATE):
            return True
        if self._last is not None:
            fall = (self._last[1] - score) / math.log(rate / self._last[0])
            self._fall = min(max(fall, SLOWEST), FASTEST)
        self._last = rate, score
        steps = (above - CENTRE) / self._fall
        if known:
            return self._between(math.log(rate) + steps)
        self._step = min(max(abs(steps), 2 * self._step, NARROW), math.log(GROWTH))
        self.rate = min(max(rate * math.exp(side * self._step), LEAST_RATE), MOST_RATE)
        return False

    def _between(self, aim: float) -> bool:
        """Go on between two rates, near a logarithm; return whether they are too much alike."""
        low, high = math.log(self.within), math.log(self.beyond or self.within)
        if (width := high - low) <= NARROW:
            return True
        share, (best, worst) = (aim - low) / width, self._scores
        if abs(self._turns) > 1:
            share = 0.5
        elif not 0 < share < 1:
            share = (best - self.least - CENTRE) / (best - worst)
        margin = min(max(MARGIN, NARROW / 2 / width), 0.5)
        self.rate = math.exp(low + width * min(max(share, margin), 1 - margin))
        return False


def first_rate(*, strings: bool = False) -> float:
    """Return a moderate rate, of a search among strings or not.

    Examples
    --------
    >>> first_rate() > first_rate(strings=True)
    True
    """
    return FIRST * IN_STRINGS if strings else FIRST


def inside(logarithm: float, low: float, high: float | None) -> float:
    """Return a rate of this logarithm if it is between two, or one that is; of high, None is yet.

    It is no more than `GROWTH` away from what is known.

    Examples
    --------
    >>> inside(math.log(3.0), 1.0, 4.0), inside(math.log(9.0), 1.0, 4.0)
    (3.0000000000000004, 2.0)
    """
    if high is None:
        return min(math.exp(min(logarithm, math.log(low * GROWTH))), MOST_RATE)
    low = max(low, high / GROWTH)
    if math.log(low) < logarithm < math.log(high):
        return math.exp(logarithm)
    return math.sqrt(low * high)


def between(
    small: ByteArray, large: ByteArray, most: int, size_of: Callable[[ByteArray], int]
) -> tuple[ByteArray, int]:
    """Return a picture between one that is small enough and one that is not, and its bytes.

    Sizes may jump from one rate to nearly the same: then the last rows are those of the larger
    picture, as many as it may have.

    Parameters
    ----------
    small, large : array of uint8, shape (height, width)
        The two pictures.
    most : int
        Bytes that the file may have.
    size_of : callable
        Returns the bytes of a picture.

    Returns
    -------
    picture : array of uint8, shape (height, width)
        The one of the most bytes that was found; the small one, with 0 bytes, if there is none.
    size : int
        Its bytes.

    Examples
    --------
    >>> small, large = np.zeros((8, 1), np.uint8), np.ones((8, 1), np.uint8)
    >>> picture, size = between(small, large, 5, lambda picture: int(picture.sum()))
    >>> picture.ravel().tolist(), size
    ([0, 0, 0, 1, 1, 1, 1, 1], 5)
    """
    best, held, low, high = small, 0, 0, len(small)
    while high - low > 1 and held < NEAR * most:
        rows = (low + high) // 2
        mixed = np.concatenate([small[:-rows], large[-rows:]])
        size = size_of(mixed)
        if size > most:
            high = rows
            continue
        low = rows
        if size > held:
            best, held = mixed, size
    return best, held
