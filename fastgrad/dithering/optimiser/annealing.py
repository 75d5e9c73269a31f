"""Mean-field annealing by natural gradient.

With probabilities p = softmax(logits), colours c, means m, weights w and the field ``g = b * e +
nu e`` of ``e = w (m - x)``, the expected loss has the derivative ``dE/dp_ik = 2 <w_i g_i - own
w_i^2 m_i, c_k> + own w_i^2 |c_k|^2``. A natural gradient step on the free energy E - sum_i T_i H_i
(H the entropy, T_i the temperature T times w_i^2) moves the logits themselves by ``-rate (dE/dp_i /
T_i + logits)``. So logits which are quadratic in the colour, ``-(own / T) |c_k - t_i|^2``, stay so,
and the step is ``t_i += rate (m_i - g_i / (own w_i) - t_i)``: as many numbers a pixel as there are
channels, its target t, stand for its K logits. As T falls, p tends to a single colour. Pixels are
updated in turns, in place: each sees the news of those before it, and with rate 1 none overshoots.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from fastgrad import random
from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import Fit, Sample, spacing
from fastgrad.kernels.dithering.optimiser import annealing as kernels
from fastgrad.kernels.dithering.optimiser import annealing_response
from fastgrad.kernels.simd.vectors import LANES
from fastgrad.random import RNG

__all__ = ["Annealing", "anneal", "schedule"]

RATE = 0.65  # over the gain of a step
NOISE = 0.01  # breaks the tie between a pattern and its mirror images
HOT, COLD = 0.3, 0.02  # temperatures, over the squared distance between neighbouring colours
LEARN_EVERY = 2  # steps between two fits of the palette
LEARN_FROM = 0.6  # progress: a fit to hot pictures makes colours that a cold one does not need
BAND = 32  # rows that are updated one after the other, whatever the number of threads


class Annealing:
    """The state of mean-field annealing.

    Parameters
    ----------
    loss : BlurredError
        The loss, in float32.
    palette : array, shape (K, channels)
        The colours in the space of the loss; may be replaced at any time.
    rng : Key, int, SeedSequence or Generator
        Source of randomness: of the initial disturbance and of `draw`.

    Attributes
    ----------
    target : array, shape (channels, height, 4, columns)
        The target t of each pixel; the pixel of column x is in list x % 4 at x // 4, see `gather`.
    image, weights : array, shape (channels, height, 4, columns) and (height, 4, columns)
        The image and its weights in the same layout.
    """

    loss: BlurredError
    palette: FloatArray
    image: FloatArray
    weights: FloatArray
    target: FloatArray

    def __init__(self, loss: BlurredError, palette: FloatArray, *, rng: RNG) -> None:
        key = random.as_key(rng)
        self.loss, self.palette, self._key = loss, palette, key.fold_in(1)
        self.image, self.weights = self.scatter(loss.planes), self.scatter(loss.weights[None])[0]
        noise = random.normal(self.image.shape, rng=key.fold_in(0), dtype=loss.dtype)
        noise *= loss.dtype(NOISE)
        self.target = noise
        self.target += self.image
        radius = loss.radius
        channels, height, lists, columns = self.image.shape
        self._error = np.zeros((channels, height + 2 * radius, lists, columns), loss.dtype)
        # A shift of all pixels of a list is answered by each for all those that it blurs.
        gain = np.abs(loss.table[radius, radius % lists :: lists]).sum() + loss.nu
        self._rate = loss.dtype(min(1.0, RATE * loss.own / gain))
        self._steps, self._precision = 0, loss.dtype(1)

    def scatter(self, planes: Array) -> Array:
        """Return planes, (n, height, width), as four lists of columns, (n, height, 4, columns)."""
        n, height, width = planes.shape
        lists, lanes = annealing_response.PHASES, LANES
        columns = lanes * -(-width // (lists * lanes))
        out = np.zeros((n, height, lists, columns), planes.dtype)
        for i in range(min(lists, width)):
            part = planes[:, :, i::lists]
            out[:, :, i, : part.shape[2]] = part
        return out

    def gather(self, lists: Array) -> Array:
        """Return lists of columns as planes: the reverse of `scatter`."""
        n, height = lists.shape[:2]
        planes = lists.transpose(0, 1, 3, 2).reshape(n, height, -1)
        return np.ascontiguousarray(planes[:, :, : self.loss.shape[1]])

    def step(self, precision: float, *, rate: float | None = None) -> float:
        """Update every pixel once.

        Parameters
        ----------
        precision : float
            The factor ``own / T``: a colour at distance d from the target has logit
            ``-precision d^2``.
        rate : float, optional
            Size of the step, from 0 to 1; by default one that is stable.

        Returns
        -------
        float
            The expected loss: the sum of each pixel's share at the time it was updated.
        """
        loss, energies = self.loss, np.empty(self.loss.shape[0])
        self._precision, colours = loss.dtype(precision), self._with_squares()
        for turn in range(2):
            kernels.sweep(
                (self.target, self._error),
                (self.image, self.weights),
                colours,
                (loss.terms, loss.nu, loss.own),
                self._precision,
                self._rate if rate is None else loss.dtype(rate),
                energies,
                max(BAND, loss.radius),
                turn,
            )
        self._steps += 1
        return float(energies.sum()) / loss.pixels

    def mean(self) -> FloatArray:
        """Return the mean colour of each pixel, shape (channels, height, width)."""
        radius = self.loss.radius
        error = self._error[:, radius : radius + self.loss.shape[0]]
        weights = np.where(self.weights > 0, self.weights, self.loss.dtype(1))
        return self.gather(self.image + error / weights)

    def draw(self, sample: Sample | None = None) -> ByteArray:
        """Draw a picture from the present probabilities.

        Parameters
        ----------
        sample : Sample, optional
            The tiles to draw; by default the whole picture.

        Returns
        -------
        array of uint8, shape (height, width), or (tiles, rows, columns) with a sample
            Palette indices.
        """
        if sample is not None and len(sample.corners) > 1:
            return self._tiles(sample)
        labels = self.gather(self._draw(self.target)[None])
        return labels if sample is not None else labels[0]

    def _tiles(self, sample):
        """Draw the pixels of some tiles."""
        rows, columns = sample.shape
        lists = annealing_response.PHASES
        wide = -(-columns // lists) + 1  # columns of a list that a tile can touch
        parts = [
            (slice(y, y + rows), slice(x // lists, x // lists + wide)) for y, x in sample.corners
        ]

        target = np.zeros((len(self.target), len(parts) * rows, lists, wide), self.target.dtype)
        for i, (y, x) in enumerate(parts):
            part = self.target[:, y, :, x]
            target[:, i * rows : (i + 1) * rows, :, : part.shape[-1]] = part
        drawn = self._draw(target)
        planes = drawn.transpose(0, 2, 1).reshape(len(parts), rows, wide * lists)
        return np.stack(
            [p[:, x % lists : x % lists + columns] for p, (_, x) in zip(planes, sample.corners)]
        )

    def _draw(self, target):
        """Draw labels for some of the targets."""
        labels = np.empty(target.shape[1:], np.uint8)
        chance = random.uniform(labels.shape, rng=self._key.fold_in(self._steps))
        annealing_response.draw(labels, target, self._with_squares(), self._precision, chance)
        return labels

    def _with_squares(self):
        """Return the palette with each colour's sum of squares in a last column."""
        palette = self.palette
        colours = np.empty((len(palette), palette.shape[1] + 1), self.loss.dtype)
        colours[:, :-1], colours[:, -1] = palette, np.square(palette).sum(axis=1)
        return colours


def schedule(steps: int, deadline: float | None = None) -> Iterator[tuple[float, int]]:
    """Yield the progress of an annealing, from 0 to 1, and the number of steps in all.

    Parameters
    ----------
    steps : int
        Number of steps.
    deadline : float, optional
        Value of `time.perf_counter` at which to end. The number of steps then depends on the time
        that they take, and is at least 2.

    Yields
    ------
    progress : float
        Progress from 0 to 1.
    steps : int
        Number of steps in all, as far as it is known.
    """
    if deadline is None:
        for i in range(steps):
            yield i / max(steps - 1, 1), steps
        return
    began, done, progress, left = time.perf_counter(), 0, 0.0, 1
    while True:
        yield progress, done + left
        if progress >= 1:
            return
        now, done = time.perf_counter(), done + 1
        left = max(1, int((deadline - now) * done / (now - began)))
        progress = min(1.0, progress + (1 - progress) / left)


def anneal(
    state: Annealing,
    plan: Iterable[tuple[float, int]],
    *,
    fit: Fit | None = None,
    learn: int = LEARN_EVERY,
) -> Iterator[tuple[float, int]]:
    """Cool a state down, step by step.

    Parameters
    ----------
    state : Annealing
        The state, changed in place.
    plan : iterable of tuple
        A `schedule`.
    fit : Fit, optional
        The way to learn the state's palette; by default the palette does not change.
    learn : int, optional
        Number of steps between two fits, the last of which is in the last step.

    Yields
    ------
    loss : float
        The expected loss at each step.
    steps : int
        Number of steps in all, as far as it is known.
    """
    scale = spacing(state.palette)
    for i, (progress, steps) in enumerate(plan):
        temperature = scale * HOT * (COLD / HOT) ** progress
        value = state.step(1 / temperature)
        due = (steps - 1 - i) % learn == 0  # in the last step in any case
        if fit is not None and progress >= LEARN_FROM and due:
            state.palette = fit(state.draw(fit.sample), state.palette)
        yield value, steps
