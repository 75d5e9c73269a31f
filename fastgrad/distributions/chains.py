"""Chains of states, of which each depends on the one before: linear-chain random fields.

`LinearChain` is the distribution for estimators; `log_normaliser` is the logarithm of the sum over
all chains of the product of exp(logit) over their steps, and `pair_marginals` are the exact means.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.structured.linear_chain import LinearChain

__all__ = ["LinearChain", "log_normaliser", "pair_marginals", "pair_marginals_vjp"]


def log_normaliser(logits: ArrayLike) -> FloatArray:
    """Compute log sum over chains of the product of exp(logit) over their steps.

    Parameters
    ----------
    logits : array, shape (*batch, L, K, K)
        Log weight of each step from a state, the last axis but one, to the next: float32 or
        float64; a step of -inf is never taken.

    Returns
    -------
    array, shape (*batch)
        In the dtype of the logits, computed in float64. Its gradient is `pair_marginals`.

    Raises
    ------
    ValueError
        As `LinearChain` does.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(np.exp(fg.chains.log_normaliser(np.zeros((4, 3, 3)))).round(9))  # 3**5
    243.0
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(log_normaliser, logits, locals())
    chain = LinearChain(logits, copy=False)  # pyright: ignore[reportArgumentType]
    return chain.log_normaliser()


def pair_marginals(logits: ArrayLike) -> FloatArray:
    """Compute the probability of each pair of consecutive states.

    Parameters
    ----------
    logits
        As in `log_normaliser`.

    Returns
    -------
    array, shape (*batch, L, K, K)
        In the dtype of the logits; the sum of each step is 1.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.chains.pair_marginals(np.log([[[1.0, 2.0], [3.0, 4.0]]]))
    array([[[0.1, 0.2],
            [0.3, 0.4]]])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(pair_marginals, logits, locals())
    return np.array(LinearChain(logits, copy=False).mean())  # pyright: ignore[reportArgumentType]


def pair_marginals_vjp(logits: ArrayLike, cotangent: ArrayLike) -> FloatArray:
    """Multiply cotangents with the Jacobian of `pair_marginals`, and sum over samples.

    Parameters
    ----------
    logits
        As in `log_normaliser`.
    cotangent : array, shape (S, *batch, L, K, K) or (*batch, L, K, K)
        Derivative of a loss with respect to the probabilities, or to each of S samples.

    Returns
    -------
    array, shape (*batch, L, K, K)
        Gradient with respect to the logits, in their dtype; 0 for a step of -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> r = np.array([[[1.0, 0.0], [0.0, 0.0]]])
    >>> fg.chains.pair_marginals_vjp(np.log([[[1.0, 2.0], [3.0, 4.0]]]), r)
    array([[[ 0.09, -0.02],
            [-0.03, -0.04]]])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(pair_marginals_vjp, logits, locals())
    chain = LinearChain(logits, copy=False)  # pyright: ignore[reportArgumentType]
    return chain.mean_vjp(_validate.array(cotangent, "cotangent"))
