"""SoftSort: soft permutation matrices of N numbers, and the products with their Jacobians.

Row i of the matrix is ``softmax_j(-|w_(i) - w_j| / temperature)``, where w_(i) is the i-th largest
of w. As the temperature goes to 0 it becomes the one-hot row of that item.
"""

from __future__ import annotations

import numpy as np

from fastgrad._typing import FloatArray, IntArray

__all__ = ["soft_sort", "soft_sort_jvp", "soft_sort_vjp"]


def soft_sort(w: FloatArray, z: IntArray, scale: FloatArray) -> FloatArray:
    """Return the first k rows of the soft permutations of w, (R, K): an array (R, k, K).

    z, (R, k), are the places of the k largest, and scale, (R), the inverse temperatures.
    """
    x = _distances(w, z)
    np.abs(x, out=x)
    x *= -scale[:, None, None]
    np.exp(x, out=x)  # the largest of each row is exp(0)
    x /= x.sum(axis=2, keepdims=True)
    return x


def soft_sort_vjp(
    w: FloatArray, z: IntArray, x: FloatArray, scale: FloatArray, r: FloatArray
) -> FloatArray:
    """Multiply cotangents r, (R, k, K), with the Jacobians by w of matrices x, row by row."""
    q = x * (r - (x * r).sum(axis=2, keepdims=True))
    q *= np.sign(_distances(w, z)) * scale[:, None, None]
    grad = q.sum(axis=1)
    own = np.take_along_axis(grad, z, axis=1) - q.sum(axis=2)
    np.put_along_axis(grad, z, own, axis=1)
    return grad


def soft_sort_jvp(
    w: FloatArray, z: IntArray, x: FloatArray, scale: FloatArray, v: FloatArray
) -> FloatArray:
    """Multiply the Jacobians by w of matrices x, (R, k, K), with tangents v, (R, K)."""
    a = np.sign(_distances(w, z)) * (v[:, None] - np.take_along_axis(v, z, axis=1)[:, :, None])
    a *= scale[:, None, None]
    return x * (a - (x * a).sum(axis=2, keepdims=True))


def _distances(w: FloatArray, z: IntArray) -> FloatArray:
    """Return w_(i) - w_j, shape (R, k, K)."""
    return np.take_along_axis(w, z, axis=1)[:, :, None] - w[:, None]
