"""Relaxed permutations of N items by N scores, applied in time N log N: SoftSort without a matrix.

Row i of SoftSort's matrix is ``softmax_j(-|s_(i) - s_j| / temperature)``, with s_(i) the i-th
largest score. Over sorted scores its exponentials are the kernel of Laplace, K, so that sums over
all items that come before one obey

    L_i = exp(-(s_(i-1) - s_(i)) / temperature) L_(i-1) + x_i,

and likewise those over all that come after: two sweeps multiply K, of N x N entries, with columns.
The derivatives by the scores are such sums too.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.kernels.distributions.structured import plackett_luce as _kernels

__all__ = ["SoftPermuteGradient", "soft_permute", "soft_permute_vjp"]


class SoftPermuteGradient(NamedTuple):
    """Products of a cotangent with the Jacobians of `soft_permute`.

    Attributes
    ----------
    scores : array, shape (*batch, N)
    x : array, shape (*batch, N, D)
        In the dtypes of the arguments.
    """

    scores: FloatArray
    x: FloatArray


class Sorted(NamedTuple):
    """Checked problems in the order of their scores, the largest first.

    Attributes
    ----------
    order : array of int, shape (B, N)
    before, after : array, shape (B, N)
        Factors from each item to the next: exp of minus their distance, 0 at the ends.
    x : array, shape (B, D + 1, N)
        Columns of the items, and ones.
    """

    order: Array
    before: FloatArray
    after: FloatArray
    x: FloatArray


def soft_permute(scores: ArrayLike, x: ArrayLike, *, temperature: ArrayLike) -> FloatArray:
    """Put items in the order of their scores, softly: the largest score first.

    Each result is a mean of items with weights ``softmax_j(-|s_(i) - s_j| / temperature)``: near 1
    at the i-th largest score as the temperature goes to 0. So N scores are the parameters of a
    permutation of N items, on a line or, in rows, on a grid, where Sinkhorn scaling has N x N. Time
    is of order N (D + log N), and no matrix is made.

    Parameters
    ----------
    scores : array, shape (*batch, N)
        Float32 or float64, all finite. Of equal scores the first comes first.
    x : array, shape (*batch, N, D)
        The items, of D numbers each.
    temperature : float or array
        In the units of the scores, from 2**-60 to 2**60: one for all, or an array of them that
        broadcasts to the batch shape.

    Returns
    -------
    array, shape (*batch, N, D)
        In the dtype of x, computed in float64.

    Raises
    ------
    ValueError
        If scores or items are not finite, or their shapes do not agree.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = np.array([[10.0], [20.0], [30.0]])
    >>> fg.permutation.soft_permute([0.0, 2.0, 1.0], x, temperature=0.1).round(2).ravel()
    array([20., 30., 10.])

    With ones as a cotangent, the gradient by x is how much of each item is used: 1 where this is a
    permutation.

    >>> fg.permutation.soft_permute_vjp([0.0, 2.0, 1.0], x, 0 * x + 1, temperature=0.1).x.round(3)
    array([[1.],
           [1.],
           [1.]])

    References
    ----------
    Prillo and Eisenschlos, "SoftSort: a continuous relaxation for the argsort operator", ICML 2020.
    Barthel, Barthel and Eisert, "Permutation learning with only N parameters: from SoftSort to
    self-organizing Gaussians", EUSIPCO 2025.
    """
    if type(x) is not ndarray and foreign(x):
        return in_kind(soft_permute, x, locals())
    s, items, batch, scale = _checked(scores, x, temperature)
    found = _means(_sorted(s, items, scale))[0]
    out = np.swapaxes(found, 1, 2).astype(items.dtype, order="C")
    return out.reshape(*batch, *items.shape[1:])


def soft_permute_vjp(
    scores: ArrayLike, x: ArrayLike, cotangent: ArrayLike, *, temperature: ArrayLike
) -> SoftPermuteGradient:
    """Multiply a cotangent with the Jacobians of `soft_permute`.

    Parameters
    ----------
    scores, x, temperature
        As in the forward call.
    cotangent : array, shape (*batch, N, D)
        Derivative of a loss with respect to the result.

    Returns
    -------
    SoftPermuteGradient
        Named tuple of `scores` and `x`. Where scores are equal, the derivative is the one in the
        direction that keeps their order.

    Raises
    ------
    ValueError
        As in `soft_permute`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x, r = np.array([[10.0], [20.0]]), np.array([[1.0], [0.0]])
    >>> fg.permutation.soft_permute_vjp([0.0, 1.0], x, r, temperature=1.0).scores.round(4)
    array([-1.9661,  1.9661])
    """
    if type(x) is not ndarray and foreign(x):
        return in_kind(soft_permute_vjp, x, locals())
    s, items, batch, scale = _checked(scores, x, temperature)
    full = (*batch, *items.shape[1:])
    r = _validate.like(cotangent, full, np.dtype(np.float64), "cotangent", items.shape)
    problem = _sorted(s, items, scale)
    y, total = _means(problem)
    a = np.swapaxes(r, 1, 2) / total
    a = np.concatenate([a, (a * y).sum(axis=1, keepdims=True)], axis=1)  # A, and c as a column
    above, below = _sums(problem, a)
    by_x = (a + above + below)[:, :-1]
    # Of one more than another's score, the distance grows with the score; of one less, it falls.
    before, after = _sums(problem, problem.x)
    own, others = after - before, below - above
    slope = a[:, :-1] * own[:, :-1] + problem.x[:, :-1] * others[:, :-1]
    by_s = slope.sum(axis=1) - a[:, -1] * own[:, -1] - others[:, -1]
    grad_s, grad_x = np.empty_like(by_s), np.empty(items.shape)
    np.put_along_axis(grad_s, problem.order, -scale[:, None] * by_s, axis=1)
    np.put_along_axis(grad_x, problem.order[:, :, None], np.swapaxes(by_x, 1, 2), axis=1)
    return SoftPermuteGradient(
        grad_s.astype(s.dtype).reshape(full[:-1]), grad_x.astype(items.dtype).reshape(full)
    )


def _checked(
    scores: ArrayLike, x: ArrayLike, temperature: ArrayLike
) -> tuple[FloatArray, FloatArray, tuple[int, ...], FloatArray]:
    """Return scores (B, N), items (B, N, D), the batch shape and inverse temperatures (B,)."""
    items, s = _validate.real_array(x, "x"), _validate.real_array(scores, "scores")
    if items.ndim < 2 or 0 in items.shape[-2:]:
        raise ValueError(f"x must have shape (*batch, N, D) with N, D >= 1, got {items.shape}")
    if s.shape != items.shape[:-1]:
        raise ValueError(f"scores must have shape {items.shape[:-1]}, as x has, got {s.shape}")
    _validate.finite(s, "scores")
    _validate.finite(items, "x")
    batch = items.shape[:-2]
    scale = _validate.row_scales(np.dtype(np.float64), temperature, batch)
    count = math.prod(batch)
    shape = (count, *items.shape[-2:])
    return s.reshape(shape[:2]), items.reshape(shape), batch, scale


def _sorted(s: FloatArray, items: FloatArray, scale: FloatArray) -> Sorted:
    """Return problems in the order of their scores."""
    order = np.argsort(-s, axis=1, kind="stable")
    t = np.take_along_axis(s, order, axis=1).astype(np.float64)
    before, after = np.zeros(t.shape), np.zeros(t.shape)
    before[:, 1:] = np.exp((t[:, 1:] - t[:, :-1]) * scale[:, None])
    after[:, :-1] = before[:, 1:]
    x = np.empty((len(s), items.shape[2] + 1, s.shape[1]))
    x[:, :-1] = np.swapaxes(np.take_along_axis(items, order[:, :, None], axis=1), 1, 2)
    x[:, -1] = 1
    return Sorted(order, before, after, x)


def _sums(problem: Sorted, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sums of K times columns, (B, C, N), over the items before each, and over those after.

    The item itself is in neither.
    """
    found = []
    for factors, backward in ((problem.before, False), (problem.after, True)):
        ratio = np.broadcast_to(factors[:, None], columns.shape).reshape(-1, columns.shape[2])
        swept = columns.reshape(ratio.shape).copy()
        _kernels.sweep(_validate.frozen(np.ascontiguousarray(ratio)), backward, swept)
        other = np.zeros(swept.shape)
        if backward:
            other[:, :-1] = ratio[:, :-1] * swept[:, 1:]
        else:
            other[:, 1:] = ratio[:, 1:] * swept[:, :-1]
        found.append(other.reshape(columns.shape))
    return found[0], found[1]


def _means(problem: Sorted) -> tuple[FloatArray, FloatArray]:
    """Return the means of items at each place, (B, D, N), and the sums of weights, (B, 1, N)."""
    before, after = _sums(problem, problem.x)
    sums = problem.x + before + after
    return sums[:, :-1] / sums[:, -1:], sums[:, -1:]
