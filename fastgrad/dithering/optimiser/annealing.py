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

import time

import numpy as np

from fastgrad import random
from fastgrad.dithering.optimiser.palette import spacing
from fastgrad.kernels.dithering.optimiser import annealing as kernels
from fastgrad.kernels.dithering.optimiser import annealing_response

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
    palette : numpy.ndarray, shape (K, channels)
        The colours in the space of the loss; may be replaced at any time.
    rng : Key, int, SeedSequence or Generator
        Source of the initial disturbance and of `draw`.

    Attributes
    ----------
    target : numpy.ndarray, shape (channels, height, 4, columns)
        The target t of each pixel; its column x is in list x % 4 at x // 4, see `gather`.
    """

    def __init__(self, loss, palette, *, rng):
        key = random.as_key(rng)
        self.loss, self.palette, self._key = loss, palette, key.fold_in(1)
        self.image, self.weights = self.spread(loss.planes), self.spread(loss.weights[None])[0]
        self.target = random.normal(self.image.shape, rng=key.fold_in(0), dtype=loss.dtype)
        self.target *= loss.dtype(NOISE)
        self.target += self.image
        radius = loss.radius
        channels, height, lists, columns = self.image.shape
        self._error = np.zeros((channels, height + 2 * radius, lists, columns), loss.dtype)
        # A shift of all pixels of a list is answered by each for all those that it blurs.
        gain = np.abs(loss.table[radius, radius % lists :: lists]).sum() + loss.nu
        self._rate = loss.dtype(min(1.0, RATE * loss.own / gain))
        self._steps, self._precision = 0, loss.dtype(1)

    def spread(self, planes):
        """Return planes, shape (n, height, width), as lists of columns (n, height, 4, columns)."""
        n, height, width = planes.shape
        lists, lanes = annealing_response.PHASES, annealing_response.LANES
        columns = lanes * -(-width // (lists * lanes))
        out = np.zeros((n, height, lists, columns), planes.dtype)
        for i in range(min(lists, width)):
            part = planes[:, :, i::lists]
            out[:, :, i, : part.shape[2]] = part
        return out

    def gather(self, lists):
        """Return lists of columns as planes: the reverse of `spread`."""
        n, height = lists.shape[:2]
        planes = lists.transpose(0, 1, 3, 2).reshape(n, height, -1)
        return np.ascontiguousarray(planes[:, :, : self.loss.shape[1]])

    def step(self, precision, *, rate=None):
        """Update every pixel once.

        Parameters
        ----------
        precision : float
            The factor ``own / T``: a colour at distance d from the target has logit
            ``-precision d^2``.
        rate : float, optional
            The step, between 0 and 1; by default one that is stable.

        Returns
        -------
        float
            The expected loss, as the pixels were met.
        """
        loss, energies = self.loss, np.empty(self.loss.shape[0])
        self._precision = loss.dtype(precision)
        for turn in range(2):
            kernels.sweep(
                (self.target, self._error),
                (self.image, self.weights),
                self._colours(),
                (loss.terms, loss.nu, loss.own),
                self._precision,
                self._rate if rate is None else loss.dtype(rate),
                energies,
                max(BAND, loss.radius),
                turn,
            )
        self._steps += 1
        return float(energies.sum()) / loss.pixels

    def mean(self):
        """Return the mean colour of each pixel, shape (channels, height, width)."""
        radius = self.loss.radius
        error = self._error[:, radius : radius + self.loss.shape[0]]
        weights = np.where(self.weights > 0, self.weights, self.loss.dtype(1))
        return self.gather(self.image + error / weights)

    def draw(self, sample=None):
        """Draw a picture from the present probabilities.

        Parameters
        ----------
        sample : Sample, optional
            The tiles wanted; by default the whole picture.

        Returns
        -------
        numpy.ndarray of uint8, shape (height, width) or (tiles, rows, columns)
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
        annealing_response.draw(labels, target, self._colours(), self._precision, chance)
        return labels

    def _colours(self):
        """Return the palette with the squares of each colour, summed, in a last column."""
        squares = np.square(self.palette).sum(axis=1, keepdims=True)
        return np.ascontiguousarray(np.hstack([self.palette, squares]), self.loss.dtype)


def schedule(steps, deadline=None):
    """Yield the progress of an annealing, from 0 to 1, and the number of steps in all.

    Parameters
    ----------
    steps : int
        The number of steps.
    deadline : float, optional
        The value of `time.perf_counter` at which to end; then the number of steps depends on
        the time that they take, and is at least 2.

    Yields
    ------
    progress : float
        From 0 to 1.
    steps : int
        The number of steps in all, as far as it is known.
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


def anneal(state, plan, *, fit=None, learn=LEARN_EVERY):
    """Cool a state down, step by step.

    Parameters
    ----------
    state : Annealing
        The state.
    plan : iterable of tuple
        A `schedule`.
    fit : Fit, optional
        How its palette is learned on the way; by default it stays.
    learn : int, optional
        Steps between two fits.

    Yields
    ------
    loss : float
        The expected loss at each step.
    steps : int
        The number of steps in all.
    """
    scale = spacing(state.palette)
    for i, (progress, steps) in enumerate(plan):
        temperature = scale * HOT * (COLD / HOT) ** progress
        value = state.step(1 / temperature)
        if fit is not None and progress >= LEARN_FROM and (i + 1) % learn == 0:
            state.palette = fit(state.draw(fit.sample), state.palette)
        yield value, steps
