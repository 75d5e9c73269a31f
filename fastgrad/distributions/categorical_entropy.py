"""Entropy and Kullback-Leibler divergence of categorical distributions, with their gradients."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from fastgrad import _marks, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions import broadcasting
from fastgrad.kernels.distributions import categorical_entropy as _kernels
from fastgrad.kernels.distributions import categorical_entropy_relative as _relative

__all__ = ["entropy", "entropy_vjp", "kl_divergence", "kl_divergence_vjp"]

PAIR = ("p_logits", "q_logits")


def entropy(logits: ArrayLike) -> FloatArray:
    """Compute the entropy of each row, ``-sum(p * log(p))``, in nats.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64. A logit of -inf is a category of
        probability zero, which adds nothing.

    Returns
    -------
    array, shape (*batch)
        From 0 to log K, in the dtype of the logits. A nearly certain row keeps all the digits of
        its small entropy.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.entropy(np.zeros((2, 4)))
    array([1.38629436, 1.38629436])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(entropy, logits, locals())
    rows, batch = _validate.rows(logits, check=False)
    out = np.empty(batch, rows.dtype)
    _marks.checking(_kernels.entropy, rows, (*batch, rows.shape[1]), out.reshape(-1))
    return out


def entropy_vjp(logits: ArrayLike, cotangent: ArrayLike) -> FloatArray:
    """Multiply a cotangent with the gradient of `entropy` with respect to the logits.

    The gradient of a row is ``-p * (log(p) + entropy)``. For an entropy bonus of weight w, add the
    product with the cotangent ``np.full(batch, w)`` to the gradient of the reward.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64.
    cotangent : array, shape (*batch)
        Derivative of a loss with respect to each entropy.

    Returns
    -------
    array, shape (*batch, K)
        In the dtype of the logits; 0 for a category with logit -inf.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.entropy_vjp(np.log([0.25, 0.75]), np.array(1.0)).round(3)
    array([ 0.206, -0.206])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(entropy_vjp, logits, locals())
    rows, batch = _validate.rows(logits, check=False)
    weight = _validate.like(cotangent, batch, rows.dtype, "cotangent", rows.shape[:1])
    grad = np.empty((*batch, rows.shape[1]), rows.dtype)
    _marks.checking(_kernels.entropy_vjp, rows, grad.shape, weight, grad.reshape(rows.shape))
    return grad


def kl_divergence(p_logits: ArrayLike, q_logits: ArrayLike) -> FloatArray:
    """Compute the Kullback-Leibler divergence ``sum(p * (log(p) - log(q)))`` of each row, in nats.

    Parameters
    ----------
    p_logits, q_logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; -inf is a category of probability zero.
        Both have the same K; their batches broadcast.

    Returns
    -------
    array, shape (*batch)
        Never negative, and exact in its leading digits also where p and q are nearly equal; inf
        where p allows a category that q masks. float64 if one of the arguments is.

    Raises
    ------
    ValueError
        If logits hold NaN or +inf, or a row of nothing but -inf, or the shapes do not broadcast.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.kl_divergence(np.log([0.5, 0.5]), np.log([0.25, 0.75])).round(4))
    0.1438
    """
    if type(p_logits) is not ndarray and foreign(p_logits):
        return in_kind(kl_divergence, p_logits, locals())
    p, q, given = _pair(p_logits, q_logits)
    out, bad = np.empty(p.shape[:-1], p.dtype), _marks.marks()
    flat = (x.reshape(-1, p.shape[-1]) for x in (p, q))
    _relative.kl_divergence(*flat, out.reshape(-1), bad)
    if bad.any() or not out.size:
        _check(given)
    return out


def kl_divergence_vjp(
    p_logits: ArrayLike, q_logits: ArrayLike, cotangent: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Multiply a cotangent with the gradients of `kl_divergence` by both its arguments.

    The gradients of a row are ``p * (log(p) - log(q) - divergence)`` by the logits of p, and
    ``q - p`` by those of q.

    Parameters
    ----------
    p_logits, q_logits : array, shape (*batch, K)
        Unnormalised log probabilities, as in `kl_divergence`.
    cotangent : array, shape (*batch)
        Derivative of a loss with respect to each divergence, in the broadcast shape. 0 leaves a row
        out, even one whose divergence is infinite.

    Returns
    -------
    p_grad, q_grad : array
        Of the shape and dtype of p_logits and of q_logits: summed over the axes along which one was
        broadcast, and 0 for a category with logit -inf.

    Raises
    ------
    ValueError
        If q masks a category that p allows, where the cotangent is not 0: the divergence is then
        infinite and has no gradient. Also for logits that `kl_divergence` refuses.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> p, q = np.log([0.5, 0.5]), np.log([0.25, 0.75])
    >>> p_grad, q_grad = fg.kl_divergence_vjp(p, q, np.array(1.0))
    >>> p_grad.round(3), q_grad.round(3)
    (array([ 0.275, -0.275]), array([-0.25,  0.25]))
    """
    if type(p_logits) is not ndarray and foreign(p_logits):
        return in_kind(kl_divergence_vjp, p_logits, locals())
    p, q, given = _pair(p_logits, q_logits)
    shape, batch = p.shape, p.shape[:-1]
    p_rows, q_rows = p.reshape(-1, shape[-1]), q.reshape(-1, shape[-1])
    weight = _validate.like(cotangent, batch, p.dtype, "cotangent", p_rows.shape[:1])
    grads, bad = [np.empty(shape, p.dtype) for _ in range(2)], _marks.marks()
    flat = (g.reshape(p_rows.shape) for g in grads)
    _relative.kl_divergence_vjp(p_rows, q_rows, weight, *flat, bad)
    if bad.any() or not weight.size:
        _check(given)
    if bad.any():
        infinite = np.isinf(kl_divergence(p, q)) & (weight.reshape(batch) != 0)
        refuse_infinite(infinite, "masks a category")
    p_grad, q_grad = (broadcasting.sum_to(g, x) for g, x in zip(grads, given))
    return p_grad, q_grad


def _check(given):
    """Refuse invalid logits, which kernels see by their sums."""
    for x, name in zip(given, PAIR):
        _validate.check_logits(x.reshape(-1, x.shape[-1]), name, x.shape)


def _pair(p_logits, q_logits):
    """Return p and q in one type and shape, and both as they were given; see `_check`."""
    given = []
    for logits, name in zip((p_logits, q_logits), PAIR):
        rows, batch = _validate.rows(logits, name, check=False)
        given.append(rows.reshape(*batch, rows.shape[1]))
    p, q = given
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(
            f"q_logits must have as many categories as p_logits, {p.shape[-1]}, got {q.shape[-1]}"
        )
    return *broadcasting.pair(p, q, PAIR), given


def refuse_infinite(bad: Array, what: str) -> NoReturn:
    """Say in which row, of those marked as bad, q excludes what p allows."""
    row = tuple(np.argwhere(bad)[0].tolist())
    raise ValueError(
        f"q_logits {what} that p_logits allows in row {row}: "
        "the divergence is infinite and has no gradient"
    )
