"""What strips of a picture have in common is learned on a sample of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad._typing import ArrayLike, ByteArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.lightness import REACH, Adaptation, adaptation
from fastgrad.dithering.eye.premultiplied import OPACITY, premultiplied
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.given import Given
from fastgrad.dithering.optimiser.nearness import limit
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.solid import Mode
from fastgrad.dithering.optimiser.tones import ToneMap, fit_pairs
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import Source
from fastgrad.dithering.pictures.transparency import MODES
from fastgrad.dithering.result import Dithering, Progress
from fastgrad.dithering.run import Run
from fastgrad.dithering.soft_edges import SWEEPS, dither_soft, viewed
from fastgrad.dithering.strips.hidden import hidden_colors
from fastgrad.dithering.strips.learned import Learned, Pinning
from fastgrad.dithering.strips.sample import TILE, Survey, apart, sample, survey
from fastgrad.dithering.strips.tone_pairs import pairs
from fastgrad.random import RNG

__all__ = ["learn"]

MOST_SWEEPS = 4, 4  # before and after compensation: others move little, and each needs memory


def learn(
    source: Source,
    *,
    space: colour.SpaceName | None = None,
    local_weights: bool | None = None,
    sigma: float | None = None,
    ppd: float | None = None,
    nu: float | None = None,
    pace: Pace | None = None,
    rng: RNG = 0,
    callback: Callable[[Progress, Callable[[], Learned]], object] | None = None,
    regions: Mapping[Mode, Any] | None = None,
    weights: Source | None = None,
    **given: Any,
) -> Learned:
    """Learn the palette of a picture, and what else its strips have in common, on a sample of it.

    Parameters
    ----------
    source : Source
        The picture.
    space, local_weights, sigma, ppd, nu, rng
        Options of `fastgrad.dither`.
    pace : Pace, optional
        How long to work.
    callback : callable, optional
        Called with the progress of the work on the sample, and with a function that returns what
        has been learned so far.
    regions : mapping of str to array_like of bool, shape (height, width), optional
        Pixels that have a mode of their own, which is checked here.
    weights : Source, optional
        The weights of the pixels: a `fastgrad.dithering.strips.weights.WeightSource`.
    **given
        Further options of `fastgrad.dither`: those of `fastgrad.dithering.given.Given`.

    Returns
    -------
    Learned
        What was learned.

    Raises
    ------
    TypeError, ValueError
        If an option is wrong, or degrees of opacity would have to be kept in a given palette.

    Examples
    --------
    >>> from fastgrad.dithering.pictures.sources import ArraySource
    >>> image = np.zeros((90, 90, 3), np.uint8)
    >>> image[50:] = 255, 0, 0
    >>> learn(ArraySource(image), colors=2).palette.tolist()
    [[0, 0, 0], [255, 0, 0]]
    """
    pace = Pace() if pace is None else pace
    # What is wrong is said before anything is read.
    modes: Any = {
        name: _checked(mask, name, source.shape) for name, mask in (regions or {}).items()
    }
    options = Given(np.zeros((1, 1, 3), np.uint8), **given, regions=modes)
    mode, fit = options.mode, options.fit
    if options.key is not None:
        said = given.get("alpha")
        raise ValueError(f"alpha must be one of {', '.join(MODES)} in strips, got {said!r}")
    if isinstance(fit, str) and fit != "none":
        assert options.palette is not None
        fit = fit_pairs(pairs(source, mode, weights), options.palette, fit)
    given["fit"] = fit
    below = 128 if mode == "key" else 1
    found = survey(source, 256, below=below)
    found = found if mode == "keep" else found._replace(partial=None)
    weighed = (None, None) if weights is None else (s.values for s in sample(weights, found))
    # The tiles, of which a palette is learned, and the overview, of which the first one is.
    picture, overview = (
        Given(_layers(pixels), weights=own, **given)
        for pixels, own in zip(sample(source, found), weighed)
    )
    if found.partial and picture.soft is None:
        why = "which entries its degrees need is known only when all pixels are dithered"
        raise ValueError(
            f"alpha must be 'key' or 'blend' for the opacity of a large picture in a given palette "
            f"or with weights, got {mode!r}: {why}"
        )
    clear = found.clear is not None and mode != "blend"
    hidden = None
    if clear and given.get("hidden"):
        hidden = hidden_colors(source, picture.room_for_hidden, below=below)
    viewing = Viewing(
        local_weights=local_weights,
        **picture.options(sigma=sigma, ppd=ppd, nu=nu, space=space),
    )
    if picture.soft is not None:
        none = np.empty((0, 3), np.uint8)
        plain = Learned(none, none, viewed(viewing), False, None, "none", mode, clear, SWEEPS)
        plain = replace(plain, hidden=hidden)
        return _soft(picture, plain, viewing, pace=pace, rng=rng, callback=callback)
    lock = bool(given.get("lock_colors"))
    palette = picture.palette
    if palette is None and weights is None and (mode != "blend" or source.opaque):
        palette = _few(found, picture.colors or 16)
    problem = Problem(
        picture.values,
        viewing,
        colors=picture.colors if palette is None or lock else None,
        palette=palette,
        lock_colors=lock,
        weights=picture.weights,
    )
    adapted = _adapted(problem, source) if problem.viewing.local_weights else None
    plain = Learned(
        np.empty((0, 3), np.uint8),
        np.empty((0, 3), np.uint8),
        problem.viewing,
        problem.linear.shape[2] == 1,
        adapted,
        "none",
        mode,
        clear,
        min(pace.plan.whole + pace.plan.sweeps, sum(MOST_SWEEPS)),
        fit if isinstance(fit, ToneMap) else None,
        picture.solid,
        hidden=hidden,
    )

    def learned(colors: ByteArray) -> Learned:
        first = colors[:0] if picture.swatches is None else picture.swatches.device
        device = np.concatenate([first, colors[len(first) :]])
        pinning = _pinning(problem, palette is not None and not lock)
        last = 0
        if problem.fixed is None and problem.pins is None:
            last = min(pace.plan.sweeps, MOST_SWEEPS[1])
        how = {"pinning": pinning, "compensated": last}
        return replace(plain, palette=colors, device=device, **how)

    if problem.fixed is not None:
        return learned(problem.fixed)

    def watched(progress: Progress) -> None:
        if callback is not None:
            callback(progress, lambda: learned(progress.snapshot().palette))

    run = Run(problem, pace, rng=rng, callback=watched)
    run.start(problem.among(overview.values, overview.weights))
    run.anneal()
    run.search()
    return learned(run.result().palette)


def _soft(
    picture: Given,
    plain: Learned,
    viewing: Viewing,
    *,
    callback: Callable[[Progress, Callable[[], Learned]], object] | None,
    **how: Any,
) -> Learned:
    """Return a palette that is learned together with its opacity."""

    def learned(result: Dithering) -> Learned:
        colors, opacity = result.palette, result.opacity
        found = replace(plain, palette=colors, device=colors, opacity=opacity)
        return replace(found, limit=limit(planes, found.colors, OPACITY))

    def watched(progress: Progress) -> None:
        if callback is not None:
            callback(progress, lambda: learned(progress.snapshot()))

    assert picture.soft is not None
    planes = premultiplied(picture.values, picture.soft).transpose(2, 0, 1)
    what = picture.values, picture.soft, picture.entries
    return learned(dither_soft(*what, viewing=viewing, callback=watched, **how))


def _checked(mask: Any, mode: str, shape: tuple[int, int]) -> bool:
    """Return True for a mask that may be one of a large picture."""
    if mode == "text":
        why = "its words are told from paper by all of the region at once"
        raise ValueError(f"regions must not have 'text' in a picture dithered in strips: {why}")
    if getattr(mask, "dtype", np.asarray(mask).dtype) != np.bool_:
        raise TypeError(f"regions[{mode!r}] must be boolean, got dtype {np.asarray(mask).dtype}")
    if np.ndim(mask) and tuple(mask.shape) != shape:
        raise ValueError(f"regions[{mode!r}] must have shape {shape}, got {tuple(mask.shape)}")
    return True


def _adapted(problem: Problem, source: Source) -> Adaptation:
    """Return what the eye is adapted to that looks at the tiles of a sample, each by itself."""
    tile = min(TILE, source.shape[0]), min(TILE, source.shape[1])
    linear, weights = problem.linear, problem.weights
    weights = np.ones(linear.shape[:2], linear.dtype) if weights is None else weights
    return adaptation(apart(linear, tile, REACH), apart(weights, tile, REACH))


def _layers(pixels: Pixels) -> ArrayLike:
    """Return a picture as one array, with a layer for its opacity."""
    values, alpha = pixels
    if alpha is None:
        return values
    if values.dtype != np.uint8:
        return np.dstack([values, (alpha / 255).astype(values.dtype)])
    return np.dstack([values, alpha])


def _few(found: Survey, colors: int) -> ByteArray | None:
    """Return the colours of a picture as a palette of so many, if they are no more."""
    few = found.few
    if few is None or len(few) > colors:
        return None
    return np.concatenate([few, np.repeat(few[:1], colors - len(few), axis=0)])


def _pinning(problem: Problem, given: bool) -> Pinning:
    """Return which pixels are pinned."""
    if problem.pins is None:
        return "none"
    if given:
        return "exact"
    return "all" if problem.pins.whole else "near"
