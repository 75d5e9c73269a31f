"""Permutations: Sinkhorn scaling, its Gumbel-perturbed samples, matchings, Plackett-Luce.

Relaxed permutations are `sinkhorn` and `gumbel_sinkhorn`, with their vector-Jacobian products; as
the temperature goes to 0 they become `matching` and `gumbel_matching`. `sample`, `log_prob` and
`score` belong to the Plackett-Luce distribution over orders of K items, for unbiased score-function
gradients. `PlackettLuce` and `GumbelMatching` are distributions for estimators.

`soft_permute` puts items in the order of scores, softly: a permutation with N parameters, in time
N log N, for more items than an N x N matrix can have.

A rectangular problem (N, M) matches as many as it can: rows or columns, whichever are fewer, sum to
1, the others to at most 1. An entry of -inf is a pair that is never matched.
"""

from __future__ import annotations

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, IntArray
from fastgrad.distributions.assignment import gumbel_matching, matching
from fastgrad.distributions.plackett_luce import gumbel_top_k, log_prob, score
from fastgrad.distributions.sinkhorn import (
    Sinkhorn,
    gumbel_sinkhorn,
    gumbel_sinkhorn_vjp,
    sinkhorn,
    sinkhorn_vjp,
)
from fastgrad.distributions.soft_sort import (
    SoftPermuteGradient,
    soft_permute,
    soft_permute_vjp,
)
from fastgrad.distributions.structured.gumbel_matching import GumbelMatching
from fastgrad.distributions.structured.plackett_luce import PlackettLuce
from fastgrad.random import RNG

__all__ = [
    "GumbelMatching",
    "PlackettLuce",
    "Sinkhorn",
    "SoftPermuteGradient",
    "gumbel_matching",
    "gumbel_sinkhorn",
    "gumbel_sinkhorn_vjp",
    "log_prob",
    "matching",
    "sample",
    "score",
    "sinkhorn",
    "sinkhorn_vjp",
    "soft_permute",
    "soft_permute_vjp",
]


def sample(
    logits: ArrayLike,
    *,
    num_samples: int | None = None,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> IntArray:
    """Draw permutations of the Plackett-Luce distribution: items one by one, without replacement.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log odds of the items, float32 or float64, none of them -inf.
    num_samples, rng, row_offset, sample_offset
        As in `fastgrad.subset.gumbel_top_k`, of which this is the case k = K.

    Returns
    -------
    array of int32, shape (S, *batch, K), or (*batch, K) without num_samples
        Indices of the items in the order of choice, as `log_prob` and `score` take them.

    Raises
    ------
    ValueError
        If the logits hold NaN or an infinity.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits = np.array([3.0, 0.0, -3.0])
    >>> z = fg.permutation.sample(logits, num_samples=1000, rng=0)
    >>> grad = (fg.permutation.score(logits, z) * (z[:, :1] == 0)).mean(axis=0)
    >>> grad.shape  # an unbiased gradient of P(the first is 0) by the logits
    (3,)
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(sample, logits, locals())
    logits = _validate.real_array(logits, "logits")
    k = logits.shape[-1] if logits.ndim else 1  # what has no axis is refused below
    return gumbel_top_k(
        logits,
        max(k, 1),
        num_samples=num_samples,
        rng=rng,
        row_offset=row_offset,
        sample_offset=sample_offset,
    )
