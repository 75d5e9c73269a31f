"""The curve of lightness that a picture is given for a palette of less range."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import FloatArray

__all__ = ["FAINT", "KNOTS", "TRUE", "fit_curve"]

KNOTS = 12  # pieces of the curve
FAINT = 0.02  # contrast in Oklab: smaller ones count by their square, larger ones by themselves
TRUE = 1.0  # weight of a colour's own difference; that of a contrast is 1
SMOOTH = 0.02  # weight of the curve's bends
GENTLE = 0.25  # least slope of the curve where there is room for it, and no grain hides it
PASSES = 3  # over the curve: each knows what grain there is in the tones of the one before
CLOSED = 0.01  # what it costs, beside contrasts and grain, if shadows stay as dark as they are


def fit_curve(light: FloatArray, levels: FloatArray, grain: FloatArray) -> FloatArray:
    """Return the curve of lightness of a picture.

    Parameters
    ----------
    light : array, shape (N, 2)
        The lightness of pairs of pixels, in [0, 1].
    levels : array, shape (L,)
        Lightness of the palette's black, of its white, and between.
    grain : array, shape (L,)
        The mean square of what the eye sees of dots there: less contrast than that is hidden, and
        shadows need not be open for it.

    Returns
    -------
    array, shape (KNOTS + 1,)
        The lightness that is shown for each of evenly spaced ones.

    Examples
    --------
    >>> light = np.random.default_rng(0).random((1000, 2))
    >>> fit_curve(light, np.array([0.2, 0.9]), np.zeros(2)).round(1)[[0, -1]]
    array([0.2, 0.9])
    """
    black, white = levels[[0, -1]]
    gentle = GENTLE * (white - black) / KNOTS
    if white - black < FAINT / (1 - GENTLE):
        return np.linspace(black, white, KNOTS + 1)

    def pieces(x: FloatArray) -> FloatArray:
        """Return how much of each piece is below a lightness, (N, KNOTS)."""
        return np.clip(x[..., None] * KNOTS - np.arange(KNOTS), 0, 1)

    step = light[:, 0] - light[:, 1]
    weight = 1 / np.sqrt(np.abs(step) + FAINT)
    before, after = pieces(light[:, 0]), pieces(light[:, 1])
    contrast = (before - after) * weight[:, None]
    # Unknown are the height of the first knot, the rise of each piece, and what is left at the end,
    # all beyond their least values.
    true = TRUE**0.5 * np.column_stack([0 * step + 1, before, 0 * step])
    rows = [np.column_stack([0 * step, contrast, 0 * step]), true]
    bends = np.zeros((KNOTS - 1, KNOTS + 2))
    bends[np.arange(KNOTS - 1), np.arange(1, KNOTS)] = 1
    bends[np.arange(KNOTS - 1), np.arange(2, KNOTS + 1)] = -1
    rows.append((SMOOTH * len(light)) ** 0.5 * bends)
    whole = np.concatenate(rows)
    normal = whole.T @ whole + 1e-9 * len(light) * np.eye(KNOTS + 2)
    curve = np.linspace(black, white, KNOTS + 1)
    for _ in range(PASSES):
        hidden = np.interp((curve[1:] + curve[:-1]) / 2, levels, grain)
        least = gentle * gentle**2 / (gentle**2 + hidden)
        right = [step * weight - contrast @ least]
        right += [TRUE**0.5 * (light[:, 0] - black) - true[:, 1:-1] @ least]
        wanted = whole.T @ np.concatenate([*right, np.zeros(KNOTS - 1)])
        found = _shares(normal, wanted, white - black - least.sum())
        curve = black + found[0] + np.concatenate([[0], np.cumsum(found[1:-1] + least)])
    plain = np.linspace(0, 1, KNOTS + 1)
    cost, its = (_seen(light, c, levels, grain) for c in (curve, plain))
    return curve if cost < its + CLOSED else plain


def _seen(
    light: FloatArray, curve: FloatArray, levels: FloatArray, grain: FloatArray
) -> np.floating:
    """Return the mean cost of pairs of pixels, (N, 2), after a curve: of contrasts and of grain."""
    made = np.interp(light, np.linspace(0, 1, KNOTS + 1), curve)
    made = np.clip(made, levels[0], levels[-1])
    dots, off = np.interp(made, levels, grain), np.square(made[:, 0] - light[:, 0])
    step, other = light[:, 0] - light[:, 1], made[:, 0] - made[:, 1]
    apart = (np.square(other - step) + dots.sum(axis=1)) / (np.abs(step) + FAINT)
    return (apart + TRUE * (off + dots[:, 0])).mean()


def _shares(normal: FloatArray, right: FloatArray, room: float) -> FloatArray:
    """Minimise ``x @ normal @ x / 2 - right @ x`` for x of no negative number and a given sum.

    Numbers that come out negative are held at 0, and let go again where that lowers the sum of
    squares, until nothing changes (block principal pivoting).
    """
    count = len(right)
    free, least = np.ones(count, bool), 1e-9 * np.abs(right).max()
    found = np.full(count, room / count)
    for _ in range(3 * count):
        inside = np.flatnonzero(free)
        whole = np.ones((len(inside) + 1, len(inside) + 1))
        whole[:-1, :-1], whole[-1, -1] = normal[np.ix_(inside, inside)], 0
        solved = np.linalg.solve(whole, np.append(right[inside], room))
        found[:] = 0
        found[inside] = solved[:-1]
        slope = normal @ found - right + solved[-1]
        now = np.where(free, found > 0, slope < -least)
        if (now == free).all() or not now.any():
            break
        free[:] = now
    found = np.maximum(found, 0)
    return found * (room / found.sum())
