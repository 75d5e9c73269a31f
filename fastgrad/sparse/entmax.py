"""Sparse alternatives to the softmax: sparsemax, 1.5-entmax, and alpha-entmax in between.

alpha-entmax maps logits z to the p of the simplex that maximises ``<p, z> + H(p)``, where H is
Tsallis' entropy ``(1 - sum(p**alpha)) / (alpha (alpha - 1))``. alpha = 1 is the softmax, alpha = 2
the sparsemax; where alpha is above 1, categories far enough below the largest get exactly 0.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.kernels.sparse import entmax as _kernels
from fastgrad.kernels.sparse.entmax_threshold import ENTMAX15, NEAR, POWER, SPARSEMAX
from fastgrad.random import Key

__all__ = ["entmax", "entmax15", "entmax15_vjp", "entmax_vjp", "sparsemax", "sparsemax_vjp"]

_NO_NOISE = Key(0).kernel_words, 0, 0


def curve(alpha: float) -> tuple[int, float]:
    """Return how a kernel is to solve for alpha, and alpha - 1, which is not quite 0."""
    a = _validate.number(alpha, "alpha", 1, 2) - 1
    mode = SPARSEMAX if a == 1 else ENTMAX15 if a == 0.5 else NEAR if a < 0.25 else POWER
    return mode, max(a, 2.0**-60)


def sparsemax(logits: ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
    """Project each row of logits onto the simplex: the nearest probabilities, mostly zeros.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Logits, float32 or float64; -inf gives a probability of 0.
    out : array, optional
        Array to write in, C-contiguous and of the result's shape and dtype.

    Returns
    -------
    array, shape (*batch, K)
        Probabilities ``max(logits - tau, 0)``, in the dtype of the logits.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.sparsemax(np.array([1.0, 0.5, -1.0]))
    array([0.75, 0.25, 0.  ])

    References
    ----------
    Martins and Astudillo, "From softmax to sparsemax", ICML 2016.
    """
    return entmax(logits, alpha=2.0, out=out)


def sparsemax_vjp(logits: ArrayLike, cotangent: ArrayLike) -> FloatArray:
    """Multiply cotangents with the Jacobian of `sparsemax`: see `entmax_vjp`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.sparsemax_vjp(np.array([1.0, 0.5, -1.0]), np.array([1.0, 0.0, 0.0]))
    array([ 0.5, -0.5,  0. ])
    """
    return entmax_vjp(logits, cotangent, alpha=2.0)


def entmax15(logits: ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
    """Map each row of logits by 1.5-entmax: between softmax and sparsemax, sparse and smooth.

    Parameters
    ----------
    logits, out
        As for `sparsemax`.

    Returns
    -------
    array, shape (*batch, K)
        Probabilities ``max(logits / 2 - tau, 0)**2``, in the dtype of the logits.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.entmax15(np.array([1.0, 0.5, -1.0])).round(3)
    array([0.674, 0.326, 0.   ])

    References
    ----------
    Peters, Niculae and Martins, "Sparse sequence-to-sequence models", ACL 2019.
    """
    return entmax(logits, alpha=1.5, out=out)


def entmax15_vjp(logits: ArrayLike, cotangent: ArrayLike) -> FloatArray:
    """Multiply cotangents with the Jacobian of `entmax15`: see `entmax_vjp`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.entmax15_vjp(np.array([0.0, 0.0, -9.0]), np.array([1.0, 0.0, 0.0])).round(3)
    array([ 0.354, -0.354,  0.   ])
    """
    return entmax_vjp(logits, cotangent, alpha=1.5)


def entmax(logits: ArrayLike, *, alpha: float, out: FloatArray | None = None) -> FloatArray:
    """Map each row of logits to the simplex by alpha-entmax.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Logits, float32 or float64; -inf gives a probability of 0.
    alpha : float
        From 1, the softmax, to 2, the sparsemax: the larger, the sparser. One number for all rows.
    out : array, optional
        Array to write in, C-contiguous and of the result's shape and dtype.

    Returns
    -------
    array, shape (*batch, K)
        Probabilities ``max((alpha - 1) logits - tau, 0)**(1 / (alpha - 1))``, whose sum is 1, in
        the dtype of the logits. For alpha other than 1.5 and 2 they are computed in float64.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf; if alpha is not from 1 to 2.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.entmax(np.array([1.0, 0.5, -1.0]), alpha=1.25).round(3)
    array([0.631, 0.345, 0.023])

    References
    ----------
    Peters, Niculae and Martins, "Sparse sequence-to-sequence models", ACL 2019, equation 10.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(entmax, logits, locals())
    mode, a = curve(alpha)
    rows, batch = _validate.rows(logits)
    out = _outputs.output(out, (*batch, rows.shape[1]), rows.dtype, rows)
    none = _validate.frozen(np.empty((0, *rows.shape), rows.dtype))
    flat = out.reshape(1, *rows.shape)
    _kernels.entmax(rows, _NO_NOISE, False, _ones(rows), mode, a, none, flat)
    return out


def _ones(rows: FloatArray) -> FloatArray:
    """Return the factors of rows that are mapped as they are."""
    return _validate.frozen(np.ones(len(rows), rows.dtype))


def entmax_vjp(logits: ArrayLike, cotangent: ArrayLike, *, alpha: float) -> FloatArray:
    """Multiply cotangents with the Jacobian of `entmax`, and sum over samples if there are some.

    With ``s = p**(2 - alpha)`` where p is above 0, and 0 elsewhere, the product of a row is
    ``s * (cotangent - sum(s * cotangent) / sum(s))``. Where the support is about to change, that is
    the derivative with the support as it is.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Logits, as in the forward call.
    cotangent : array, shape (*batch, K) or (S, *batch, K)
        Derivative of a loss with respect to the probabilities.
    alpha : float
        As in the forward call.

    Returns
    -------
    array, shape (*batch, K)
        Gradient with respect to the logits, in their dtype; 0 for a category of probability 0.

    Raises
    ------
    ValueError
        For what `entmax` refuses, and cotangents of another shape.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.entmax_vjp(np.zeros(2), np.array([1.0, 0.0]), alpha=2.0)
    array([ 0.5, -0.5])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(entmax_vjp, logits, locals())
    mode, a = curve(alpha)
    rows, batch = _validate.rows(logits)
    full = (*batch, rows.shape[1])
    _, (r,) = _validate.cotangents({"cotangent": cotangent}, full, rows.dtype, rows.shape)
    if len(r) > 1:  # the Jacobian is the same for all samples
        r = _validate.frozen(r.sum(axis=0, keepdims=True))
    grad = np.empty(full, rows.dtype)
    flat = grad.reshape(1, *rows.shape)
    if not len(r):
        grad[...] = 0
        return grad
    _kernels.entmax(rows, _NO_NOISE, False, _ones(rows), mode, a, r, flat)
    return grad
