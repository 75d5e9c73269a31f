"""Weights of least squares for terms of mean zero, learned from the products of past calls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastgrad._typing import FloatArray
from fastgrad.estimators.relaxed_controls.adaptation import recall
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels

MEMORY = 0.9  # decay of the mean gradient, which products are taken about


def regress(
    rows: FloatArray,
    shape: tuple[int, ...],
    cells: tuple[int, ...],
    state: dict[str, Any] | None,
    decay: float,
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Add terms of mean zero to a target with the weights of least squares over past calls.

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

    Returns
    -------
    array, shape (n,)
        The target with its terms: with those weights that past calls alone decide.
    dict of arrays
        The next state.
    """
    square = (*cells, len(rows), len(rows))
    past, weight = recall(state, "products", square, 0.0), recall(state, "weight", (), 0.0)
    mean, mean_weight = recall(state, "mean", shape, 0.0), recall(state, "mean_weight", (), 0.0)
    grad, change = rows[-1].copy(), least_squares(past, float(weight))
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
        past, weight = decay * past + products.reshape(square), decay * weight + 1.0
    mean_weight = MEMORY * mean_weight + 1.0
    new = {
        "products": np.array(past),
        "weight": weight,
        "mean": mean + (grad.reshape(shape) - mean) / mean_weight,
        "mean_weight": mean_weight,
    }
    return grad, {name: np.asarray(array) for name, array in new.items()}


def least_squares(products: FloatArray, calls: float) -> FloatArray:
    """Return the weights of least variance, (*cells, C), given products (*cells, C + 1, C + 1)."""
    columns = products.shape[-1] - 1
    if not calls:
        return np.zeros((*products.shape[:-2], columns))
    size = np.sqrt(np.diagonal(products, axis1=-2, axis2=-1)[..., :-1])
    unit = np.where(size > 0, size, 1.0)
    correlations = products[..., :-1, :-1] / unit[..., :, None] / unit[..., None, :]
    ridge = max((columns / calls) ** 4, 1e-12)
    target = products[..., :-1, -1:] / unit[..., None]
    found = np.linalg.solve(correlations + ridge * np.eye(columns), -target)
    return found[..., 0] / unit
