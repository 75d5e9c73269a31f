"""Entropy and Kullback-Leibler divergence of Bernoulli variables, with their gradients."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions import broadcasting
from fastgrad.distributions.categorical_entropy import PAIR, refuse_infinite
from fastgrad.kernels.distributions import bernoulli_entropy as _kernels

__all__ = ["entropy", "entropy_vjp", "kl_divergence", "kl_divergence_vjp"]


def entropy(logits: ArrayLike) -> FloatArray:
    """Compute the entropy of each variable in nats.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of the outcome 1, float32 or float64.

    Returns
    -------
    array, shape (*batch)
        In the dtype of the logits; 0 where a logit is infinite.

    Raises
    ------
    ValueError
        If the logits hold NaN.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.bernoulli.entropy(np.array([0.0, np.inf]))
    array([0.69314718, 0. ])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(entropy, logits, locals())
    sites, batch = _validate.sites(logits)
    out = np.empty(batch, sites.dtype)
    _kernels.entropy(sites, out.reshape(-1))
    return out


def entropy_vjp(logits: ArrayLike, cotangent: ArrayLike) -> FloatArray:
    """Multiply a cotangent with the gradient of `entropy`, ``-logits * p * (1 - p)``.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of the outcome 1, float32 or float64.
    cotangent : array, shape (*batch)
        Derivative of a loss with respect to each entropy.

    Returns
    -------
    array, shape (*batch)
        In the dtype of the logits; 0 where a logit is infinite.

    Raises
    ------
    ValueError
        If the logits hold NaN.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.bernoulli.entropy_vjp(np.array([0.0, np.log(3.0)]), np.ones(2)).round(3)
    array([-0.   , -0.206])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(entropy_vjp, logits, locals())
    sites, batch = _validate.sites(logits)
    weight = _validate.like(cotangent, batch, sites.dtype, "cotangent", sites.shape)
    grad = np.empty(batch, sites.dtype)
    _kernels.entropy_vjp(sites, weight, grad.reshape(-1))
    return grad


def kl_divergence(p_logits: ArrayLike, q_logits: ArrayLike) -> FloatArray:
    """Compute the Kullback-Leibler divergence from p to q of each variable, in nats.

    Parameters
    ----------
    p_logits, q_logits : array, shape (*batch)
        Log odds of the outcome 1, float32 or float64; their shapes broadcast.

    Returns
    -------
    array, shape (*batch)
        Never negative, and exact in its leading digits also where p and q are nearly equal or
        nearly certain; inf where p allows an outcome that an infinite logit of q excludes. float64
        if one of the arguments is.

    Raises
    ------
    ValueError
        If logits hold NaN, or the shapes do not broadcast.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.bernoulli.kl_divergence(np.array(0.0), np.log(3.0)).round(4))
    0.1438
    """
    if type(p_logits) is not ndarray and foreign(p_logits):
        return in_kind(kl_divergence, p_logits, locals())
    p, q, _ = _pair(p_logits, q_logits)
    out = np.empty(p.shape, p.dtype)
    _kernels.kl_divergence(p.reshape(-1), q.reshape(-1), out.reshape(-1))
    return out


def kl_divergence_vjp(
    p_logits: ArrayLike, q_logits: ArrayLike, cotangent: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Multiply a cotangent with the gradients of `kl_divergence` by both its arguments.

    The gradients are ``p * (1 - p) * (p_logits - q_logits)`` and ``q - p``.

    Parameters
    ----------
    p_logits, q_logits : array, shape (*batch)
        Log odds of the outcome 1, as in `kl_divergence`.
    cotangent : array, shape (*batch)
        Derivative of a loss with respect to each divergence, in the broadcast shape. 0 leaves a
        variable out, even one whose divergence is infinite.

    Returns
    -------
    p_grad, q_grad : array
        Of the shape and dtype of p_logits and of q_logits: summed over the axes along which one was
        broadcast.

    Raises
    ------
    ValueError
        If q excludes an outcome that p allows, where the cotangent is not 0: the divergence is then
        infinite and has no gradient. Also if logits hold NaN, or the shapes do not broadcast.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> p_grad, q_grad = fg.bernoulli.kl_divergence_vjp(0.0, np.log(3.0), 1.0)
    >>> p_grad.round(3), q_grad.round(3)
    (np.float64(-0.275), np.float64(0.25))
    """
    if type(p_logits) is not ndarray and foreign(p_logits):
        return in_kind(kl_divergence_vjp, p_logits, locals())
    p, q, given = _pair(p_logits, q_logits)
    flat = [x.reshape(-1) for x in (p, q)]
    weight = _validate.like(cotangent, p.shape, p.dtype, "cotangent", (p.size,))
    bad = np.isinf(flat[1]) & (flat[0] != flat[1]) & (weight != 0)
    if bad.any():
        refuse_infinite(bad.reshape(p.shape), "excludes an outcome")
    grads = [np.empty(p.shape, p.dtype) for _ in range(2)]
    _kernels.kl_divergence_vjp(*flat, weight, *(g.reshape(-1) for g in grads))
    p_grad, q_grad = (broadcasting.sum_to(g, x) for g, x in zip(grads, given))
    return p_grad, q_grad


def _pair(p_logits, q_logits):
    """Return p and q, checked, in one type and shape, and both as they were given."""
    given = [_validate.sites(x, name) for x, name in zip((p_logits, q_logits), PAIR)]
    p, q = (flat.reshape(shape) for flat, shape in given)
    return *broadcasting.pair(p, q, PAIR), (p, q)
