"""Weights of least squares for terms of mean zero, learned from the products of past calls."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastgrad._typing import Array, FloatArray
from fastgrad.estimators.relaxed_controls.adaptation import recall
from fastgrad.estimators.sums import learnable
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels

MEMORY = 0.9  # decay of the mean gradient, which products are taken about
SURE = 1.25  # standard errors: of one call that decides alone, a difference is one of its own
RECENT = 3.0  # the larger, the sooner losses are forgotten of calls that had learned less


class Choices(NamedTuple):
    """Weights among which there is a choice: all learned, those of a part learned, or all given.

    Attributes
    ----------
    fixed : array, shape (M, C)
        Weights of each choice, of what is not learned.
    learned : array of bool, shape (M, C)
        Which weights are learned instead.
    """

    fixed: FloatArray
    learned: Array


def choices(own: FloatArray, whose: Array) -> Choices:
    """Return the choices: all learned, none, and each part at its own weights, or learned.

    Parameters
    ----------
    own : array, shape (P, C)
        Weights that make each part's own estimator.
    whose : array of int, shape (C,)
        Which part a term belongs to.

    Returns
    -------
    Choices
        The first call takes the second one.
    """
    parts, terms = own.shape
    mine = whose == np.arange(parts)[:, None]
    none, given = np.zeros((2, terms)), np.zeros((parts + 1, terms), bool)
    learned = np.concatenate([np.ones((1, terms), bool), given, mine])
    return Choices(np.concatenate([none, own, own]), learned)


def regress(
    rows: FloatArray,
    shape: tuple[int, ...],
    cells: tuple[int, ...],
    state: dict[str, Any] | None,
    decay: float,
    among: Choices,
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Add terms of mean zero to a target with the weights of least squares over past calls.

    Learned weights are noisy, and the more so the more there are. So that choice is taken whose
    weights, as they were at each call, have so far made the estimates nearest to their mean: that
    part's which is best, and all together only if they are surely better than it.

    Parameters
    ----------
    rows : array, shape (C + 1, n)
        The terms and the target; what they hold afterwards is not specified.
    shape : tuple of int
        Shape of the target.
    cells : tuple of int
        Shape of the groups of consecutive entries that have weights of their own.
    state : dict of arrays, or None
    decay : float
    among : Choices

    Returns
    -------
    array, shape (n,)
        The target with its terms: with those weights that past calls alone decide.
    dict of arrays
        The next state.
    """
    square = (*cells, len(rows), len(rows))
    past, calls = recall(state, "products", square, 0.0), recall(state, "weight", (), 0.0)
    losses = recall(state, "losses", (*cells, len(among.fixed)), 0.0)
    squares = recall(state, "squares", losses.shape, 0.0)
    mean, mean_weight = recall(state, "mean", shape, 0.0), recall(state, "mean_weight", (), 0.0)
    weights = candidates(past, float(calls), among)
    grad, change = rows[-1].copy(), leading(weights, losses, squares, float(calls))
    count = math.prod(cells)
    groups = rows.reshape(len(rows), count, grad.size // max(count, 1))
    if cells:
        by_cell = change.reshape(-1, len(rows) - 1).astype(rows.dtype)
        grad += np.einsum("ck,kcn->cn", by_cell, groups[:-1]).reshape(-1)
    else:
        _kernels.blend(rows[:-1], change, grad)
    if mean_weight:  # the first call tells the mean
        rows[-1] -= mean.reshape(-1)
        if cells:
            products = np.einsum("icn,jcn->cij", groups, groups, dtype=np.float64)
        else:
            parts = np.empty((-(-grad.size // _kernels.BLOCK), len(rows), len(rows)))
            _kernels.gram(rows, parts)
            products = parts.sum(axis=0)
        products = learnable(products.reshape(square), (-2, -1))
        whole = np.concatenate([weights, np.ones((*weights.shape[:-1], 1))], axis=-1)
        loss = np.einsum("...mi,...ij,...mj->...m", whole, products, whole)
        kept = calls / (calls + RECENT)
        losses = kept * losses + loss
        squares = kept**2 * squares + (loss[..., :1] - loss) ** 2
        past, calls = decay * past + products, decay * calls + 1.0
    mean_weight = MEMORY * mean_weight + 1.0
    new = {
        "products": np.array(past),
        "weight": calls,
        "losses": np.array(losses),
        "squares": np.array(squares),
        "mean": mean + (grad.reshape(shape) - mean) / mean_weight,
        "mean_weight": mean_weight,
    }
    return grad, {name: np.asarray(array) for name, array in new.items()}


def leading(
    weights: FloatArray, losses: FloatArray, squares: FloatArray, calls: float
) -> FloatArray:
    """Return the weights that lead, (*cells, C), of those of all choices, (*cells, M, C).

    Parameters
    ----------
    weights : array, shape (*cells, M, C)
        The first choice is that of all weights learned, the second that of the first call.
    losses : array, shape (*cells, M)
        Sums of losses.
    squares : array, shape (*cells, M)
        Sums of the squares of how far each loss was from that of the first choice.
    calls : float
    """
    if not calls:
        return np.ascontiguousarray(weights[..., 1, :])
    best = losses[..., 1:].argmin(axis=-1)[..., None] + 1
    gain = np.take_along_axis(losses, best, axis=-1) - losses[..., :1]
    sure = gain > SURE * np.sqrt(np.take_along_axis(squares, best, axis=-1))
    best = np.where(sure, 0, best)[..., None]
    return np.ascontiguousarray(np.take_along_axis(weights, best, axis=-2)[..., 0, :])


def candidates(products: FloatArray, calls: float, among: Choices) -> FloatArray:
    """Return the weights of all choices, (*cells, M, C), given products (*cells, C + 1, C + 1)."""
    fixed, learned = among
    if not calls:
        return np.broadcast_to(fixed, (*products.shape[:-2], *fixed.shape))
    fixed = np.where(learned, 0.0, fixed)
    size = np.sqrt(np.diagonal(products, axis1=-2, axis2=-1)[..., :-1])
    unit = np.where(size > 0, size, 1.0)
    correlations = products[..., :-1, :-1] / unit[..., :, None] / unit[..., None, :]
    target = (products[..., None, :-1, -1] + fixed @ products[..., :-1, :-1]) / unit[..., None, :]
    ridge = np.maximum((learned.sum(axis=1) / calls) ** 4, 1e-12)
    both = learned[:, :, None] & learned[:, None, :]
    matrix = np.where(both, correlations[..., None, :, :], 0.0)
    matrix += np.where(learned, ridge[:, None], 1.0)[:, :, None] * np.eye(fixed.shape[1])
    found = np.linalg.solve(matrix, -np.where(learned, target, 0.0)[..., None])[..., 0]
    return fixed + found / unit[..., None, :]
