"""Dithering: the choice of a palette and of one of its colours for each pixel, as an optimisation.

`dither` does it all. The parts: `problem` (the arguments), `colour` (spaces), `blur` (the eye),
`loss` (the objective and its gradient), `palette`, `annealing`, `start` and `search` (the
optimiser); `files` and `quality` serve the command line.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastgrad import random
from fastgrad.dithering.annealing import Annealing, anneal, schedule
from fastgrad.dithering.loss import BlurredError, Gradient
from fastgrad.dithering.palette import Fit, Sample, spacing
from fastgrad.dithering.problem import Problem, amount, count
from fastgrad.dithering.refinement import refine
from fastgrad.dithering.search import Search
from fastgrad.dithering.start import choose_palette
from fastgrad.dithering.structure import cssim
from fastgrad.objectives import Objective

__all__ = ["BlurredError", "Dithering", "Gradient", "Progress", "dither"]

ROUNDS = 3  # of fit and descent, after the annealing
LAST_SAMPLE = 1 << 20  # pixels that the fits of these rounds see


@dataclass(frozen=True)
class Dithering:
    """A dithered picture.

    Attributes
    ----------
    indices : numpy.ndarray of uint8, shape (height, width)
        The palette index of each pixel.
    palette : numpy.ndarray of uint8, shape (K, 3)
        The colours in sRGB.
    loss : tuple of float
        The loss after each step, of the expected and at last of the actual picture.
    metrics : dict of str to float
        ``"psnr"`` and ``"blurred_psnr"`` (decibels, in the space that was dithered in, for a peak
        of 1; the blur is that of the loss), ``"colors"`` (the number that the picture has).
    seconds : float
        Time taken.
    """

    indices: np.ndarray
    palette: np.ndarray
    loss: tuple
    metrics: dict
    seconds: float

    @property
    def image(self):
        """The picture in sRGB, uint8 of shape (height, width, 3)."""
        return self.palette[self.indices]


@dataclass(frozen=True)
class Progress:
    """How far `dither` has come.

    Attributes
    ----------
    step, steps : int
        Steps done, and to be done in all, as far as that is known.
    loss : float
        The present loss.
    snapshot : callable
        ``snapshot()`` returns the `Dithering` that would result if the work ended here.
    """

    step: int
    steps: int
    loss: float
    snapshot: Callable[[], Dithering] = field(repr=False)


def dither(
    image,
    *,
    colors=16,
    palette=None,
    lock_colors=False,
    space="linear",
    sigma=1.0,
    ppd=None,
    nu=0.05,
    mask=None,
    previous=None,
    flicker=0.1,
    structure=0.0,
    objective=None,
    estimator=None,
    steps=12,
    time_budget=None,
    rng=0,
    callback=None,
):
    """Dither a picture: choose the colours of a palette, and one of them for each pixel.

    Minimises the squared error in linear light under a Gaussian blur, plus ``nu`` times the plain
    squared error, over one categorical distribution per pixel and over the palette; the
    distributions are annealed to certainty. The same arguments give the same picture, on any number
    of threads.

    Parameters
    ----------
    image : array_like, shape (height, width, 3) or (height, width)
        sRGB or grey values, uint8 or float in [0, 1].
    colors : int, optional
        Size K of the palette, 2 to 256.
    palette : array_like of uint8, shape (K, 3), optional
        A fixed palette in sRGB. By default the palette is learned.
    lock_colors : bool, optional
        Whether more colours are learned, up to ``colors``, after those of ``palette``.
    space : {"linear", "srgb", "oklab", "opponent"}, optional
        In which space errors are measured and blurred: linear light, sRGB values, Oklab, or
        luminance and two differences of linear light that weigh half.
    sigma : float, optional
        Standard deviation of the blur in pixels, 0 to 8.
    ppd : float, optional
        Pixels per degree of the visual field, 1 to 200: the blur is not Gaussian but Nasanen's
        model of the eye at this distance.
    nu : float, optional
        Weight of the plain squared error: larger is less grainy, and tones are less true.
    mask : array_like of bool, shape (height, width), optional
        The pixels that count, by default all. The others, transparent ones, get some index.
    previous : Dithering or array_like of uint8, shape (height, width), optional
        The frame before, or its indices, with the same palette.
    flicker : float, optional
        How much nearer than it is the previous colour of a pixel is taken to be, in squared
        distance, as a share of the mean one between neighbouring colours.
    structure : float, optional
        Weight of 1 - CSSIM, or of ``objective``, which a second annealing and descent then lower
        too, with the palette as it is: 0.01 to 0.1 for colour pictures, up to 0.3 for two colours.
    objective : Objective or callable, optional
        What ``structure`` weighs: an objective of the public kind over the pixels' colours, or a
        function that makes one of the palette, uint8 of shape (K, 3).
    estimator : str or Estimator, optional
        Of the gradient of its mean, see `fastgrad.dithering.refinement.refine`.
    steps : int, optional
        Steps of annealing: more are slower and better.
    time_budget : float, optional
        Seconds, by which the number of steps is chosen, instead of ``steps``. The result then
        depends on the machine.
    rng : int, Key, SeedSequence or Generator, optional
        Source of randomness.
    callback : callable, optional
        Called with a `Progress` after each step.

    Returns
    -------
    Dithering
        The picture, its palette, the history of the loss, and the time taken.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.dithering import dither
    >>> ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (16, 1))
    >>> result = dither(ramp, colors=2)
    >>> result.image.shape
    (16, 64, 3)
    >>> bool(result.indices[:, :8].mean() == result.indices[:, -8:].mean())
    False
    """
    began = time.perf_counter()
    problem = Problem(
        image,
        colors=colors,
        palette=palette,
        lock_colors=lock_colors,
        space=space,
        mask=mask,
        previous=previous,
    )
    steps, flicker = count("steps", steps, 1, None), amount("flicker", flicker, 0, 1e9)
    structure = amount("structure", structure, 0, 1e9)
    deadlines = [None] * 3  # of the palette, the annealing and the descent
    if time_budget is not None:
        budget = amount("time_budget", time_budget, 0, 1e9)
        deadlines = [began + share * budget for share in (0.2, 0.75, 0.95)]
    key, history = random.as_key(rng), []
    linear, chosen = problem.linear, problem.space
    options = {"sigma": sigma, "nu": nu, "ppd": ppd}
    loss = BlurredError(chosen.into(linear), mask=problem.mask, **options)
    fit = None
    if problem.fixed is not None:
        start = problem.colours(problem.fixed)
    else:
        start = choose_palette(
            linear,
            problem.colors,
            rng=key.fold_in(0),
            space=chosen,
            locked=problem.locked,
            mask=problem.mask,
            deadline=deadlines[0],
            **options,
        )
        fit = Fit(Sample(loss), chosen, len(problem.locked))
    del linear
    problem.linear = None
    before = {"previous": problem.previous, "gap": flicker * spacing(start)}
    state = Annealing(loss, start, rng=key.fold_in(1), **before)

    def result(indices, colours, *, sweep=True):
        rounded = problem.fixed if fit is None else problem.rounded(colours)
        indices = indices.copy()
        search = Search(loss, indices, problem.colours(rounded), **before)
        if sweep:
            search.sweep()
        value, plain = search.errors()
        metrics = {
            "psnr": _decibels(plain / len(loss.planes)),
            "blurred_psnr": _decibels((value - float(loss.nu) * plain) / len(loss.planes)),
            "colors": int(np.count_nonzero(np.bincount(indices.ravel()))),
        }
        seconds = time.perf_counter() - began
        return Dithering(indices, np.array(rounded), (*history, value), metrics, seconds)

    def report(value, steps, indices=None):
        history.append(value)
        if callback is not None:
            callback(Progress(len(history), steps + ROUNDS, value, lambda: snapshot(indices)))

    def snapshot(indices):
        if indices is None:
            return result(state.argmax(), state.palette)
        return result(indices, colours)

    for value, total in anneal(state, schedule(steps, deadlines[1]), fit=fit):
        report(value, total)
    indices, colours = state.argmax(), state.palette
    state = None
    if fit is not None:
        fit = fit._replace(sample=Sample(loss, LAST_SAMPLE))
    for _ in range(ROUNDS):
        if fit is not None:
            colours = fit(fit.sample.cut(indices[None])[:, 0], colours)
        search = Search(loss, indices, colours, **before)
        search.sweep()
        report(search.errors()[0], total, indices)
        if deadlines[2] is not None and time.perf_counter() > deadlines[2]:
            break
    if not structure:
        return result(indices, colours)
    rounded = problem.fixed if fit is None else problem.rounded(colours)
    if objective is None:
        rgb = np.asarray(image)
        rgb = rgb if rgb.ndim == 3 else np.repeat(rgb[..., None], 3, axis=2)
        # Tones must be the same for both terms.
        objective = cssim(rgb, rounded, space="srgb" if space == "srgb" else "linear")
    elif not isinstance(objective, Objective):
        objective = objective(rounded)
    options = {"objective": objective, "weight": structure, "estimator": estimator}
    indices = refine(indices, loss, problem.colours(rounded), rng=key.fold_in(2), **options)
    return result(indices, colours, sweep=False)


def _decibels(mean):
    """Return the peak signal-to-noise ratio of a mean squared error."""
    return -10 * float(np.log10(mean)) if mean > 0 else float("inf")
