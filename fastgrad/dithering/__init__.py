"""Dithering: the choice of a palette and of one of its colours for each pixel, as an optimisation.

`dither` does it all. The parts: `problem` (the arguments), `colour` (spaces), `blur` and
`lightness` (the eye), `loss` (the objective and its gradient); `start`, `annealing` and `palette`
choose the colours, `diffusion` and `search` place them; `files` and `quality` serve the command.
"""

import time
from functools import partial

import numpy as np

from fastgrad import random
from fastgrad.dithering.metrics.structure import cssim
from fastgrad.dithering.optimiser.annealing import Annealing, anneal, schedule
from fastgrad.dithering.optimiser.diffusion import begin
from fastgrad.dithering.optimiser.loss import BlurredError, Gradient
from fastgrad.dithering.optimiser.palette import Fit, Sample, spacing
from fastgrad.dithering.optimiser.refinement import refine
from fastgrad.dithering.optimiser.search import Search
from fastgrad.dithering.optimiser.start import choose_palette
from fastgrad.dithering.problem import Problem, amount, count
from fastgrad.dithering.result import Dithering, Progress, metrics
from fastgrad.objectives import Objective

__all__ = ["BlurredError", "Dithering", "Gradient", "Progress", "dither"]

ROUNDS = 10  # of descent and fit, after the annealing
SETTLED = 2e-4  # share of pixels that move in a round after which there is none
LAST_SAMPLE = 1 << 20  # pixels that the fits of these rounds see


def dither(
    image,
    *,
    colors=16,
    palette=None,
    lock_colors=False,
    space="opponent",
    sigma=1.0,
    ppd=None,
    nu=None,
    weights=None,
    local_weights=None,
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

    Minimises the squared error of luminance and, with less weight, of two differences of colours
    under a Gaussian blur, plus ``nu`` times the plain squared error; all in linear light, and with
    more weight where it is dark. The palette is learned while one categorical distribution per
    pixel is annealed by the gradient of the expected error. Then error diffusion and an exact
    search, in turns with the best palette for what they found, choose for each pixel. The same
    arguments give the same picture, on any number of threads.

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
    space : {"opponent", "linear", "srgb", "oklab"}, optional
        In which space errors are measured and blurred: luminance and two differences of linear
        light that weigh half, linear light itself, sRGB values, or Oklab.
    sigma : float, optional
        Standard deviation of the blur in pixels, 0 to 8.
    ppd : float, optional
        Pixels per degree of the visual field, 1 to 200: the blur is not Gaussian but Nasanen's
        model of the eye at this distance.
    nu : float, optional
        Weight of the plain squared error: larger is less grainy, and tones are less true. By
        default 0.05, and less for fewer colours than 16.
    weights : array_like, shape (height, width), optional
        How important pixels are, 0 to 1e6: errors are multiplied by it, or by a thousandth of the
        largest if that is more. Pixels of weight 0, or False, do not count, like transparent ones;
        they get some index.
    local_weights : bool, optional
        Whether errors are also multiplied by the local slope of lightness, see
        `fastgrad.dithering.lightness.slopes`; by default in the spaces of light, linear and
        opponent.
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
        sigma=sigma,
        ppd=ppd,
        nu=nu,
        weights=weights,
        local_weights=local_weights,
        previous=previous,
    )
    steps, flicker = count("steps", steps, 1, None), amount("flicker", flicker, 0, 1e9)
    structure = amount("structure", structure, 0, 1e9)
    deadlines = [None] * 3  # of the palette, the annealing and the descent
    if time_budget is not None:
        budget = amount("time_budget", time_budget, 0, 1e9)
        deadlines = [began + share * budget for share in (0.2, 0.6, 0.95)]
    key, history = random.as_key(rng), []
    loss, fit = problem.loss(), None
    if problem.fixed is not None:
        start = problem.colours(problem.fixed)
    else:
        start = choose_palette(problem, rng=key.fold_in(0), deadline=deadlines[0])
        fit = Fit(Sample(loss), problem.space, len(problem.locked))
    problem.linear = None  # it is large, and the loss has it in its own space
    before = {"previous": problem.previous, "gap": flicker * spacing(start)}
    colours, total = start, 0

    def result(indices, colours, *, sweep=True):
        rounded = problem.fixed if fit is None else problem.rounded(colours)
        indices = indices.copy()
        colours = problem.colours(rounded)
        search = Search(loss, indices, colours, **before)
        if sweep:
            search.sweep()
        value, _ = search.errors()
        del search  # before there is another: each holds a picture
        measured, losses = metrics(loss, indices, colours), (*history, value)
        seconds = time.perf_counter() - began
        return Dithering(indices, np.array(rounded), losses, measured, seconds)

    def report(value, total, snapshot):
        history.append(value)
        if callback is not None:
            callback(Progress(len(history), total + ROUNDS, value, snapshot))

    def drawn(colours):
        return result(begin(loss, colours, **before), colours)

    if fit is not None:
        state = Annealing(loss, start, rng=key.fold_in(1))
        for value, total in anneal(state, schedule(steps, deadlines[1]), fit=fit):
            report(value, total, partial(drawn, state.palette))
        colours, state = state.palette, None
        fit = fit._replace(sample=Sample(loss, LAST_SAMPLE))
    # Diffused errors look finer than the annealed picture, and a search makes up for the rest.
    indices = begin(loss, colours, **before)
    search = Search(loss, indices, colours, **before)
    for _ in range(ROUNDS):
        moves = search.sweep()
        report(search.errors()[0], total, partial(result, indices, colours))
        late = deadlines[2] is not None and time.perf_counter() > deadlines[2]
        if late or moves <= SETTLED * indices.size:
            break
        if fit is not None:
            colours = fit(fit.sample.cut(indices[None])[:, 0], colours)
            search = Search(loss, indices, colours, **before)
    del search
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
