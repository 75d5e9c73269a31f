"""Fenchel-Young losses of alpha-entmax: what the cross-entropy is to the softmax.

The loss of logits z for a target y of the simplex is ``max over p of (<p, z> + H(p))`` less
``<y, z> + H(y)``, with Tsallis' entropy H. It is convex in z, at least 0, and 0 exactly where
entmax(z) = y, which for alpha above 1 finite logits reach: a margin. Its gradient is entmax(z) - y.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.kernels.sparse import losses as _kernels
from fastgrad.sparse.entmax import curve, entmax

__all__ = [
    "entmax15_loss",
    "entmax15_loss_vjp",
    "entmax_loss",
    "entmax_loss_vjp",
    "sparsemax_loss",
    "sparsemax_loss_vjp",
]

TOLERANCE = 1e-3  # by which a target's probabilities may miss the sum 1


def entmax_loss(logits: ArrayLike, target: ArrayLike, *, alpha: float) -> FloatArray:
    """Compute the Fenchel-Young loss of alpha-entmax for each row.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Logits, float32 or float64; -inf is a category of probability 0.
    target : array of int, shape (*batch), or of float, shape (*batch, K)
        Categories, or probabilities, from 0 and of sum 1.
    alpha : float
        From 1, the cross-entropy less the entropy of the target, to 2, the loss of `sparsemax`.

    Returns
    -------
    array, shape (*batch)
        Losses, at least 0, in the dtype of the logits; inf where the target has a masked category.
        They are sums of terms that are none negative, and so keep their digits near 0.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf; if alpha is not from 1 to 2;
        if the target is of another shape, out of range, or not of sum 1.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits = np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> fg.sparse.entmax_loss(logits, np.array([0, 0]), alpha=1.5).round(4)
    array([0.    , 0.5635])

    References
    ----------
    Blondel, Martins and Niculae, "Learning with Fenchel-Young losses", JMLR 2020, section 4.3.
    Peters, Niculae and Martins, "Sparse sequence-to-sequence models", ACL 2019.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(entmax_loss, logits, locals())
    mode, a = curve(alpha)
    rows, batch = _validate.rows(logits)
    z, y = _target(target, rows, batch)
    out = np.empty(batch, rows.dtype)
    _kernels.losses(rows, z, y, mode, a, out.reshape(-1))
    return out


def entmax_loss_vjp(
    logits: ArrayLike, target: ArrayLike, cotangent: ArrayLike, *, alpha: float
) -> FloatArray:
    """Multiply cotangents with the gradients of `entmax_loss`, which are entmax(logits) - target.

    Parameters
    ----------
    logits, target, alpha
        As in the forward call.
    cotangent : array, shape (*batch)
        Derivative with respect to each loss.

    Returns
    -------
    array, shape (*batch, K)
        Gradient with respect to the logits, in their dtype.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.entmax_loss_vjp(np.zeros(2), np.array(0), np.array(1.0), alpha=1.5)
    array([-0.5,  0.5])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(entmax_loss_vjp, logits, locals())
    curve(alpha)
    rows, batch = _validate.rows(logits)
    z, y = _target(target, rows, batch)
    weight = _validate.like(cotangent, batch, rows.dtype, "cotangent", rows.shape[:1])
    grad = entmax(rows, alpha=alpha)
    if len(y):
        grad -= y
    else:
        grad[np.arange(len(rows)), z] -= 1
    grad *= weight[:, None]
    return grad.reshape(*batch, rows.shape[1])


def sparsemax_loss(logits: ArrayLike, target: ArrayLike) -> FloatArray:
    """Compute the loss of `sparsemax` for each row: `entmax_loss` with alpha = 2.

    For a category as the target it is 0 once its logit is above all others by 1.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.sparsemax_loss(np.array([[2.0, 1.0], [0.0, 0.0]]), np.array([0, 0]))
    array([0.  , 0.25])

    References
    ----------
    Martins and Astudillo, "From softmax to sparsemax", ICML 2016, equation 14.
    """
    return entmax_loss(logits, target, alpha=2.0)


def sparsemax_loss_vjp(logits: ArrayLike, target: ArrayLike, cotangent: ArrayLike) -> FloatArray:
    """Multiply cotangents with the gradients of `sparsemax_loss`: see `entmax_loss_vjp`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.sparsemax_loss_vjp(np.zeros(2), np.array(0), np.array(1.0))
    array([-0.5,  0.5])
    """
    return entmax_loss_vjp(logits, target, cotangent, alpha=2.0)


def entmax15_loss(logits: ArrayLike, target: ArrayLike) -> FloatArray:
    """Compute the loss of `entmax15` for each row: `entmax_loss` with alpha = 1.5.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.entmax15_loss(np.zeros((1, 2)), np.array([0])).round(4)
    array([0.3905])
    """
    return entmax_loss(logits, target, alpha=1.5)


def entmax15_loss_vjp(logits: ArrayLike, target: ArrayLike, cotangent: ArrayLike) -> FloatArray:
    """Multiply cotangents with the gradients of `entmax15_loss`: see `entmax_loss_vjp`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.entmax15_loss_vjp(np.zeros(2), np.array(0), np.array(1.0))
    array([-0.5,  0.5])
    """
    return entmax_loss_vjp(logits, target, cotangent, alpha=1.5)


def _target(target, rows, batch):
    """Return categories (N,) or probabilities (N, K): the other is empty."""
    y = _validate.array(target, "target")
    n, k = rows.shape
    if y.dtype.kind in "iu":
        z, shape = _validate.categories(y, batch, k, "target")
        if shape == batch:
            return z[0], _validate.frozen(np.empty((0, k), rows.dtype))
    full = (*batch, k)
    if y.shape != full:
        raise ValueError(f"target must have shape {batch} (integers) or {full}, got {y.shape}")
    y = _validate.finite(_validate.like(y, full, rows.dtype, "target", (n, k)), "target")
    if y.size and y.min() < 0:
        raise ValueError(f"target must hold probabilities, at least 0, got {y.min()}")
    off = abs(y.sum(axis=1, dtype=np.float64) - 1)
    if y.size and off.max() > TOLERANCE:
        total = y[off.argmax()].sum(dtype=np.float64)
        raise ValueError(f"target must have rows of sum 1, got one of sum {total:.6g}")
    return _validate.frozen(np.empty(0, np.int32)), y
