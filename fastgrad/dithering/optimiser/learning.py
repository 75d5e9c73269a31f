"""The palette of a picture under search: a step by its least squares, and no longer than pays."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import FloatArray
from fastgrad.dithering.optimiser.palette import Fit
from fastgrad.dithering.optimiser.search import Search

__all__ = ["fitted"]

FULL = 0.8  # share of the best step from which on a step to a fitted palette is not corrected


def fitted(
    search: Search,
    fit: Fit,
    colors: FloatArray,
    before: float | None = None,
    *,
    wake: bool = True,
) -> FloatArray:
    """Fit a palette to the picture of a search, which then goes on with it.

    The loss is quadratic in the palette. How it depends on each colour is known; a sample only says
    how the colours depend on each other, so the step is not longer than the loss falls for.

    Parameters
    ----------
    search : Search
        The search.
    fit : Fit
        The way to learn a palette.
    colors : array, shape (K, channels)
        The present palette.
    before : float, optional
        The loss that `Search.errors` has told, if it is known.
    wake : bool, optional
        Option of `Search.recolor`.

    Returns
    -------
    array, shape (K, channels)
        The new palette.
    """
    before, slopes = search.errors()[0] if before is None else before, search.slopes()
    new = fit(fit.sample.cut(search.indices[None])[:, 0], colors, slopes)
    after = search.recolor(new, wake=wake)[0]
    slope = 2 * float(np.vdot(slopes[:, :-1], new - colors)) / search.loss.pixels
    curvature = after - before - slope
    if slope < 0 and curvature > -slope / (2 * FULL):
        new = colors + search.loss.dtype(-slope / (2 * curvature)) * (new - colors)
        search.recolor(new, wake=wake)
    return new
