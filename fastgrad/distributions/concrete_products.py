"""Products with the Jacobians of relaxations that are at hand: their noise is not drawn again.

They are the products of `concrete`, for those who keep what the forward call returned: fronts of
frameworks, whose users mostly keep it anyway. Nothing is checked but shapes and types, as the
forward call has done the rest.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.kernels.distributions import concrete_products as _kernels

__all__ = ["gumbel_softmax_product", "relax_product"]


def gumbel_softmax_product(
    logits: FloatArray, relaxed: FloatArray, cotangent: FloatArray, *, temperature: float
) -> FloatArray:
    """Do what `gumbel_softmax_vjp` does, given the relaxed samples: neither hard nor logarithms.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        As in the forward call.
    relaxed, cotangent : array, shape (S, *batch, K) or (*batch, K)
        What the forward call returned, and the derivative of a loss with respect to it.
    temperature : float
        As in the forward call.

    Returns
    -------
    array, shape (*batch, K)
        The gradient of `gumbel_softmax_vjp`, but for rounding.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from fastgrad.distributions.concrete_products import gumbel_softmax_product
    >>> logits, w, options = np.zeros((4, 3)), np.eye(4, 3), {"temperature": 0.5}
    >>> x = fg.gumbel_softmax(logits, rng=0, **options)
    >>> g = fg.gumbel_softmax_vjp(logits, w, rng=0, **options)
    >>> bool(np.allclose(gumbel_softmax_product(logits, x, w, **options), g))
    True
    """
    x, r = _samples_of(logits, relaxed, cotangent)
    grad = np.empty(logits.shape, logits.dtype)
    scale = _validate.scale(logits.dtype, temperature)
    _kernels.gumbel_softmax(x, r, scale, grad.reshape(x.shape[1:]))
    return grad


def relax_product(
    logits: FloatArray,
    z: IntArray,
    relaxed: FloatArray,
    conditional: FloatArray,
    relaxed_cotangent: FloatArray,
    conditional_cotangent: FloatArray,
    *,
    temperature: float,
) -> FloatArray:
    """Do what `relax_vjp` does, given both relaxations (no logarithms), and add both gradients.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        As in the forward call.
    z : array of int32, shape (S, *batch) or (*batch)
        The samples that the forward call returned.
    relaxed, conditional : array, shape (S, *batch, K) or (*batch, K)
        The relaxations that it returned, of noise that is coupled or not.
    relaxed_cotangent, conditional_cotangent : array of that shape
        Derivatives of a loss with respect to them.
    temperature : float
        As in the forward call.

    Returns
    -------
    array, shape (*batch, K)
        The sum of the gradients of `relax_vjp`, but for rounding.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from fastgrad.distributions.concrete_products import relax_product
    >>> logits, w, options = np.zeros((4, 3)), np.eye(4, 3), {"temperature": 0.5}
    >>> r = fg.relax(logits, rng=0, **options)
    >>> g, h = fg.relax_vjp(logits, w, -w, rng=0, **options)
    >>> bool(np.allclose(relax_product(logits, *r[:3], w, -w, **options), g + h))
    True
    """
    cotangents = relaxed_cotangent, conditional_cotangent
    x, y, r, q = _samples_of(logits, relaxed, conditional, *cotangents)
    rows = _validate.real_array(logits, "logits").reshape(x.shape[1:])
    z = _validate.frozen(np.ascontiguousarray(z, np.int32).reshape(x.shape[:2]))
    grad, heat = np.empty(logits.shape, logits.dtype), logits.dtype.type(temperature)
    numbers = _validate.scale(logits.dtype, temperature), heat
    _kernels.relax(rows, z, (x, y), (r, q), *numbers, grad.reshape(rows.shape))
    return grad


def _samples_of(logits: FloatArray, *arrays: FloatArray) -> list[FloatArray]:
    """Return arrays of one shape, (S, *batch, K) or (*batch, K), as (S, N, K)."""
    shape = arrays[0].shape
    if any([x.shape != shape for x in arrays]):
        raise ValueError(f"arrays must agree in shape, got {[x.shape for x in arrays]}")
    count, k = shape[0] if len(shape) > logits.ndim else 1, logits.shape[-1]
    full = count, logits.size // k, k
    return [_validate.real_array(x, "an array").reshape(full) for x in arrays]
