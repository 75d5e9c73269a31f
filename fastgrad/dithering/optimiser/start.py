"""Where to start: local optima differ above all in the palette, so several are tried out."""

from __future__ import annotations

import time
from functools import cached_property
from typing import NamedTuple

import numpy as np

from fastgrad import random
from fastgrad._typing import FloatArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.optimiser.annealing import Annealing, anneal, schedule
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.greys import levels_of, mixing_greys
from fastgrad.dithering.optimiser.learning import fitted
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import Fit, Sample, initial
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.search import Search
from fastgrad.dithering.optimiser.selection import nearest
from fastgrad.random import RNG

__all__ = ["Trial", "Trials", "box_means", "clustered", "differing", "of_levels"]

CLUSTERINGS = 5, 8  # rounds of k-means of few and many colours: more is left to the annealing
FEW = 16  # colours
ROUNDS = 2  # of descent and fit after that
SEEDS, LONG = 3, 16  # of the clusterings of edges, and their rounds
ALIKE = 4 / 255  # of each channel, at most, between palettes of which one is enough
PIXELS = 1 << 14  # of the small copy of the picture on which the trials are run


class Trial(NamedTuple):
    """What a trial took.

    Attributes
    ----------
    pixels : int
        Pixels of the small copy of the picture.
    seconds : float
        Seconds in all,
    search : float
        and for all that follows the annealing, without palette fits.
    """

    pixels: int
    seconds: float
    search: float


class Trials:
    """Palettes to start from, and a small copy of the picture on which they are tried out.

    Parameters
    ----------
    problem : Problem
        The picture and its viewing conditions.
    trials : int
        Number of palettes.
    steps : int
        Steps of annealing of each; with none the palettes stay as they are.
    rng : Key, int, SeedSequence or Generator
        Source of randomness.
    pixels : int, optional
        Pixels of the small copy, about.
    kept : int, optional
        How many of them are annealed: those with which diffused errors are best. By default all.

    Attributes
    ----------
    last : Trial
        What the last trial took; there is none before `best`.
    """

    last: Trial

    def __init__(
        self,
        problem: Problem,
        trials: int,
        *,
        steps: int,
        rng: RNG,
        pixels: int = PIXELS,
        kept: int | None = None,
    ) -> None:
        self._kept = trials if kept is None or not steps else min(kept, trials)
        key = random.as_key(rng)
        small, weights = box_means(problem.linear, pixels), problem.weights
        if weights is not None:
            share = box_means(weights[..., None], pixels)
            small = box_means(problem.linear * weights[..., None], pixels)
            small /= np.maximum(share, 1e-9)
            weights = np.where(share >= share.mean() / 2, share, 0)[..., 0]
        self._space, self._keys, self._steps = problem.space, key.split(trials), steps
        encoded = counting = colour.encode(small)
        self._small = problem, small, encoded, weights
        if weights is not None and weights.any():
            counting = encoded[weights > 0][None]
        locked = colour.encode(problem.locked)
        rounds = CLUSTERINGS[problem.colors > FEW]  # there are fewer steps for many
        options = {"trials": trials, "locked": locked, "iterations": rounds}
        self._encoded = initial(counting, problem.colors, rng=key.fold_in(0), **options)

    @cached_property
    def _loss(self) -> BlurredError:
        """The loss of the small copy, which is not needed where all palettes are alike."""
        problem, small, _, weights = self._small
        return problem.loss_of(small, weights)

    @cached_property
    def _seen(self) -> BlurredError:
        """The same for its sRGB values."""
        problem, _, encoded, _ = self._small
        return BlurredError(encoded, weights=self._loss.weights, **problem.viewing.blur)

    @cached_property
    def _fit(self) -> Fit:
        problem = self._small[0]
        return Fit(Sample(self._loss), problem.space, len(problem.locked))

    def palette(self, trial: int) -> FloatArray:
        """Return the palette with which a trial starts, in the space of the loss."""
        return self._space.into(colour.decode(self._encoded[trial]))

    def best(self, deadline: float | None = None) -> FloatArray:
        """Dither the small copy from each palette, and return the best palette that was learned.

        Parameters
        ----------
        deadline : float, optional
            The value of `time.perf_counter` after which no further trial is begun.

        Returns
        -------
        array of float32, shape (K, channels)
            The palette in the space of the loss.
        """
        best, least = self.palette(0), np.inf
        order = differing(self._encoded)
        if len(order) == 1 and not self._steps:
            return best
        if self._kept < len(order):
            order.sort(key=lambda trial: self._diffused(self.palette(trial)))
        for trial in order[: self._kept]:
            palette, value = self._learned(trial)
            if value < least:
                best, least = palette, value
            if deadline is not None and time.perf_counter() > deadline:
                break
        return best

    def _learned(self, trial):
        """Return the palette that a trial learns, and how good it is: low is good."""
        began = time.perf_counter()
        if not self._steps:
            palette = self.palette(trial)
            return palette, self._diffused(palette)
        state = Annealing(self._loss, self.palette(trial), rng=self._keys[trial])
        for _ in anneal(state, schedule(self._steps), fit=self._fit):
            pass
        palette, annealed, fits = state.palette, time.perf_counter(), 0.0
        indices = diffuse(self._loss, palette)
        search = Search(self._loss, indices, palette)
        for _ in range(ROUNDS):
            search.sweep()
            fits -= time.perf_counter()
            palette = fitted(search, self._fit, palette)
            fits += time.perf_counter()
        badness = self._badness(indices, palette, search.errors()[0])
        now, pixels = time.perf_counter(), self._loss.planes[0].size
        self.last = Trial(pixels, now - began, now - annealed - fits)
        return palette, badness

    def _diffused(self, palette):
        """Return how bad the small copy is by error diffusion."""
        indices = diffuse(self._loss, palette)
        return self._badness(indices, palette, self._loss.of(indices, palette))

    def _badness(self, indices, palette, error):
        """Return how bad a picture is whose error in the space of the loss is known."""
        # Tones near black hardly count in linear light, but the eye tells them apart: the palette
        # to take is good for the sRGB values too. Both are squares, for a palette that is near in
        # the mean may lack a tone altogether, and structure with it.
        values = colour.encode(np.clip(self._space.back(palette), 0, 1))
        return error * self._seen.of(indices, values)


def clustered(problem: Problem, *, rng: RNG, pixels: int = PIXELS) -> FloatArray:
    """Return a palette of the colours that pixels which are not pinned have, as they are.

    Edges of fields and of text hardly mix in the eye, and there are none in a small copy.

    Parameters
    ----------
    problem : Problem
        A drawn picture.
    rng : Key, int, SeedSequence or Generator
        Source of randomness.
    pixels : int, optional
        Pixels that are clustered, about.

    Returns
    -------
    array of float32, shape (K, channels)
        The palette in the space of the loss, which begins with the locked colours.
    """
    assert problem.pins is not None
    free = problem.pins.free
    if problem.weights is not None:
        free = free & (problem.weights > 0)
    some = np.flatnonzero(free if free.any() else ~free)
    linear = problem.linear.reshape(free.size, -1)[some[:: 1 + len(some) // pixels]]
    encoded, locked = colour.encode(linear), colour.encode(problem.locked)
    options = {"trials": SEEDS, "locked": locked, "iterations": LONG}
    palettes = initial(encoded[None], problem.colors, rng=rng, **options)
    levels = np.rint(255 * encoded).astype(np.uint8)
    errors = [nearest(levels, np.rint(255 * x).astype(np.uint8))[1].sum() for x in palettes]
    return problem.space.into(colour.decode(palettes[int(np.argmin(errors))]))


def of_levels(problem: Problem) -> FloatArray:
    """Return the greys of which the levels of a picture in grey are mixed best.

    Parameters
    ----------
    problem : Problem
        A picture in grey, all of whose colours are learned.

    Returns
    -------
    array of float32, shape (K, channels)
        The palette in the space of the loss.
    """
    image = problem.image if problem.image.ndim == 2 else problem.image[..., 0]
    counts = levels_of(image, problem.weights)
    greys = mixing_greys(counts, problem.colors, nu=problem.viewing.blur["nu"])
    return problem.from_srgb(greys[:, None].repeat(3, axis=1))


def differing(palettes: FloatArray) -> list[int]:
    """Return which of some palettes are not like one before, whatever the order of the colours.

    Parameters
    ----------
    palettes : array of float, shape (N, K, channels)
        The palettes, of sRGB values.

    Returns
    -------
    list of int
        Their places. Those of few colours are often all alike.

    Examples
    --------
    >>> differing(np.array([[[0.0], [1.0]], [[0.99], [0.01]], [[0.0], [0.5]]]))
    [0, 2]
    """
    found: list[int] = []
    lightness = palettes.sum(axis=2).argsort(axis=1, kind="stable")
    ordered = np.take_along_axis(palettes, lightness[..., None], axis=1)
    for i, palette in enumerate(ordered):
        if not found or abs(ordered[found] - palette).max(axis=(1, 2)).min() > ALIKE:
            found.append(i)
    return found


def box_means(image: FloatArray, pixels: int) -> FloatArray:
    """Average an image over square boxes of equal size.

    Parameters
    ----------
    image : array of float, shape (height, width, channels)
        The image.
    pixels : int
        Approximate number of boxes. An image with no more pixels does not change.

    Returns
    -------
    array, shape (smaller height, smaller width, channels)
        The means. Rows and columns at the end that do not fill a box are left out.

    Examples
    --------
    >>> import numpy as np
    >>> box_means(np.arange(8.0).reshape(2, 4, 1), 2)[..., 0]
    array([[2.5, 4.5]])
    """
    height, width, channels = image.shape
    side = int(np.ceil(np.sqrt(height * width / pixels)))
    down, across = min(side, height), min(side, width)
    rows, columns = height // down, width // across
    lines = image[: rows * down].reshape(rows, down, width * channels).sum(axis=1)
    boxes = lines[:, : columns * across * channels].reshape(rows, columns, across, channels)
    sums = boxes[:, :, 0].copy()
    for i in range(1, across):  # sooner than sums of so few numbers each
        sums += boxes[:, :, i]
    return sums / image.dtype.type(down * across)
