"""The optimiser: mean-field annealing by natural gradient, then descent on the picture itself.

With probabilities p = softmax(logits), colours c, means m and the field
``g = b * (m - x) + nu (m - x)``, the expected loss has the derivative
``dE/dp_ik = 2 <g_i - own m_i, c_k> + own |c_k|^2``. A natural gradient step on the free energy
E - T H (H the entropy) moves the logits themselves by ``-rate (dE/dp / T + logits)``. So logits
which are quadratic in the colour, ``-(own / T) |c_k - t_i|^2``, stay so, and the step is
``t_i += rate (m_i - g_i / own - t_i)``: three numbers a pixel, its target t, stand for its K
logits. As T falls, p tends to a single colour.
"""

import numpy as np

from fastgrad import random
from fastgrad.dithering.palette import fit, spacing
from fastgrad.kernels.dithering import field as kernels
from fastgrad.kernels.dithering import labels

RATE = 0.65  # over the gain of a step; faster, and neighbours correct one error all at once
NOISE = 0.01  # breaks the tie between a pattern and its mirror images
HOT, COLD = 0.3, 0.02  # temperatures, over the squared distance between neighbouring colours
LEARN_EVERY = 5  # steps between two fits of the palette


class Annealing:
    """The state of mean-field annealing.

    Parameters
    ----------
    loss : BlurredError
        The loss, in float32.
    palette : numpy.ndarray, shape (K, 3)
        The colours in linear light; may be replaced at any time.
    rng : Key, int, SeedSequence or Generator
        Source of the initial disturbance and of `draw`.

    Attributes
    ----------
    target : numpy.ndarray, shape (3, height, width)
        The target t of each pixel.
    error : numpy.ndarray, shape (3, height, width)
        The mean colour of each pixel minus the image.
    """

    def __init__(self, loss, palette, *, rng):
        key = random.as_key(rng)
        self.loss, self.palette, self._key = loss, palette, key.fold_in(1)
        self.target = random.normal(loss.planes.shape, rng=key.fold_in(0), dtype=loss.dtype)
        self.target *= loss.dtype(NOISE)
        self.target += loss.planes
        self.error = np.zeros_like(loss.planes)
        self._spare = np.empty_like(loss.planes)
        self._variance = 0.0
        self._steps = 0
        self._precision = loss.dtype(1)

    def step(self, precision, *, rate=None):
        """Take one step.

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
            The expected loss before the step.
        """
        loss, energies = self.loss, np.empty((2, self.loss.shape[0]))
        self._precision = loss.dtype(precision)
        if rate is None:  # a shift of all pixels is answered by each for all those that it blurs
            rate = RATE * loss.own / (1 + loss.nu)
        kernels.step(
            loss.pixels * len(self.palette),
            self.target,
            self._spare,
            self.error,
            loss.planes,
            self.palette,
            loss.taps,
            loss.nu,
            loss.own,
            self._precision,
            loss.dtype(rate),
            energies,
        )
        self.error, self._spare = self._spare, self.error
        self._steps += 1
        value = energies[0].sum() / loss.pixels + self._variance
        self._variance = float(loss.own) * energies[1].sum() / loss.pixels
        return float(value)

    def draw(self):
        """Draw a picture from the present probabilities.

        Returns
        -------
        numpy.ndarray of uint8, shape (height, width)
            Palette indices.
        """
        key = self._key.fold_in(self._steps)
        return self._draw(self._precision, random.uniform(self.loss.shape, rng=key))

    def argmax(self):
        """Return the picture of the most probable colours.

        Returns
        -------
        numpy.ndarray of uint8, shape (height, width)
            Palette indices.
        """
        # So cold that only equal distances share the chance.
        return self._draw(1e30, np.full(self.loss.shape, 0.5, np.float32))

    def _draw(self, precision, chance):
        indices = np.empty(self.loss.shape, np.uint8)
        work = self.loss.pixels * len(self.palette)
        precision = self.loss.dtype(precision)
        kernels.draw(work, indices, self.target, self.palette, precision, chance)
        return indices


def anneal(state, steps, *, learn=LEARN_EVERY):
    """Cool a state down, step by step.

    Parameters
    ----------
    state : Annealing
        The state; its palette is learned on the way.
    steps : int
        The number of steps.
    learn : int, optional
        Steps between two fits of the palette; 0 leaves it as it is.

    Yields
    ------
    float
        The expected loss before each step.
    """
    scale = spacing(state.palette)
    for i in range(steps):
        temperature = scale * HOT * (COLD / HOT) ** (i / max(steps - 1, 1))
        value = state.step(1 / temperature)
        if learn and (i + 1) % learn == 0:
            state.palette = fit(state.loss, state.draw(), state.palette)
        yield value


def descend(loss, indices, palette, *, sweeps=1):
    """Lower the loss of a picture by changing labels and swapping those of neighbours, in place.

    Parameters
    ----------
    loss : BlurredError
        The loss.
    indices : numpy.ndarray of uint8, shape (height, width)
        The palette index of each pixel; changed in place.
    palette : numpy.ndarray, shape (K, 3)
        The colours in linear light.
    sweeps : int, optional
        At most so many rounds over the picture; fewer once nothing moves.

    Returns
    -------
    int
        The moves made in the last sweep.

    References
    ----------
    .. [1] M. Analoui and J. P. Allebach, "Model-based halftoning using direct binary search",
       Proc. SPIE 1666, 1992.
    """
    radius = loss.taps.size // 2
    planar = np.ascontiguousarray(palette.T, loss.dtype)
    error = np.pad(planar[:, indices] - loss.planes, ((0, 0), (radius, radius), (radius, radius)))
    field, table = loss.field(error), np.outer(loss.taps, loss.taps)
    size = max(32, 2 * radius)
    moves = np.zeros([-(-n // size) for n in loss.shape], np.int64)
    work = loss.pixels * (len(palette) + table.size)
    for _ in range(sweeps):
        for phase in range(4):
            labels.descend(work, moves, indices, field, planar, table, loss.nu, size, phase)
        if not moves.any():
            break
    return int(moves.sum())
