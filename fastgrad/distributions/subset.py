"""Subsets of k items: in the order of choice, relaxed, and all alike.

In order: Plackett-Luce's `gumbel_top_k`, `log_prob`, `score` and `entropy`. `relaxed_top_k` makes
that choice continuous. Of the distribution in which a subset's probability is proportional to the
product of its exp(logit), `k_hot` draws exact samples, whose exact means are `marginals`.

The estimator SIMPLE is a line of these: with x the k-hot samples and r the derivative of a loss by
them, ``marginals_vjp(logits, r, k)`` is the estimate of its gradient by the logits.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad.distributions.plackett_luce import entropy, gumbel_top_k, log_prob, score, size
from fastgrad.kernels.distributions import subset_sums as _k_subset
from fastgrad.kernels.distributions import subset_top_k as _kernels
from fastgrad.random import as_key, replayed_key

__all__ = [
    "entropy",
    "gumbel_top_k",
    "k_hot",
    "log_normaliser",
    "log_prob",
    "marginals",
    "marginals_vjp",
    "relaxed_top_k",
    "relaxed_top_k_vjp",
    "score",
]


def relaxed_top_k(
    logits,
    k,
    *,
    temperature,
    num_samples=None,
    rng,
    row_offset=0,
    sample_offset=0,
    out=None,
):
    """Draw relaxed choices of k items: k successive softmaxes of the perturbed logits.

    Each softmax makes an item that the last one chose less likely, by its probability of not having
    been chosen. Near temperature 0 the result is one at the items of `gumbel_top_k` of the same
    key, and zero elsewhere.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        float32 or float64, unnormalised; -inf gives a relaxed value of zero.
    k : int
        At most the number of logits above -inf in every row.
    temperature : float
        Above 0.
    num_samples : int, optional
        S; None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
    row_offset, sample_offset : int
        Where rows and samples stand in the whole: chunks join to what one call would give.
    out : array, optional

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples
        Of sum k; an entry may exceed 1 where the temperature is high.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = fg.subset.relaxed_top_k(np.zeros((4, 6)), 2, temperature=0.5, rng=0)
    >>> x.shape, bool(np.allclose(x.sum(-1), 2))
    ((4, 6), True)

    References
    ----------
    Xie and Ermon, "Reparameterizable subset sampling via continuous relaxations", IJCAI 2019.
    """
    rows, batch = _validate.rows(logits)
    k = size(rows, k, np.shape(logits))
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    scale, key = _validate.scale(rows.dtype, temperature), as_key(rng).kernel_words
    out = _validate.output(out, (*lead, *batch, rows.shape[1]), rows.dtype)
    flat = out.reshape(count, *rows.shape)
    _kernels.relaxed_top_k(rows, k, (key, sample, first), scale, flat)
    return out


def relaxed_top_k_vjp(logits, cotangent, k, *, temperature, rng, row_offset=0, sample_offset=0):
    """Product of a cotangent with the Jacobian of `relaxed_top_k`, summed over samples.

    The noise is drawn again from the key, never stored.

    Parameters
    ----------
    logits : array, shape (*batch, K)
    cotangent : array, shape (S, *batch, K) or (*batch, K)
        Derivative of a loss with respect to the relaxed choices.
    k, temperature, row_offset, sample_offset
        As in the forward call.
    rng : int, SeedSequence or Key
        What the forward call was given; not a Generator, whose state has moved on.

    Returns
    -------
    array, shape (*batch, K)
    """
    key = replayed_key(rng).kernel_words
    rows, batch = _validate.rows(logits)
    k = size(rows, k, np.shape(logits))
    full = (*batch, rows.shape[1])
    count, (r,) = _validate.cotangents({"cotangent": cotangent}, full, rows.dtype)
    r = r.reshape(count, *rows.shape)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    scale = _validate.scale(rows.dtype, temperature)
    grad = np.empty(full, rows.dtype)
    flat = grad.reshape(rows.shape)
    _kernels.relaxed_top_k_vjp(rows, r, k, (key, sample, first), scale, flat)
    return grad


def k_hot(logits, k, *, num_samples=None, rng, row_offset=0, sample_offset=0, out=None):
    """Draw subsets of k items with probability proportional to the product of their exp(logit).

    Parameters
    ----------
    logits : array, shape (*batch, K)
        float32 or float64; -inf is never drawn.
    k : int
        At most the number of logits above -inf in every row.
    num_samples : int, optional
        S; None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
    row_offset, sample_offset : int
        Where rows and samples stand in the whole: chunks join to what one call would give.
    out : array, optional

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples
        Ones at the k items, zeros elsewhere. The log probability of such an x is
        ``(x * logits).sum(-1) - log_normaliser(logits, k)``, and its score is
        ``x - marginals(logits, k)``.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits = np.array([0.0, 1.0, 2.0, 3.0])
    >>> x = fg.subset.k_hot(logits, 2, num_samples=10_000, rng=0)
    >>> bool(abs(x.mean(axis=0) - fg.subset.marginals(logits, 2)).max() < 0.02)
    True

    References
    ----------
    Ahmed, Zeng, Niepert and Van den Broeck, "SIMPLE: a gradient estimator for k-subset sampling",
    ICLR 2023.
    """
    rows, batch = _validate.rows(logits)
    k = size(rows, k, np.shape(logits))
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    out = _validate.output(out, (*lead, *batch, rows.shape[1]), rows.dtype)
    flat, key = out.reshape(count, *rows.shape), as_key(rng).kernel_words
    _k_subset.sample(rows, k, (key, sample, first), flat)
    return out


def marginals(logits, k):
    """Probabilities that each item is among the k of `k_hot`, exactly.

    Parameters
    ----------
    logits : array, shape (*batch, K)
    k : int

    Returns
    -------
    array, shape (*batch, K)
        Of sum k. The time is that of K k products.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.subset.marginals(np.log([1.0, 1.0, 2.0]), 2)  # of weights 1, 2 and 2
    array([0.6, 0.6, 0.8])

    References
    ----------
    Chen, Dempster and Liu, "Weighted finite population sampling to maximize entropy", Biometrika
    1994. Ahmed et al., "SIMPLE", ICLR 2023.
    """
    return _sums(logits, k)[0]


def log_normaliser(logits, k):
    """Log of the sum, over all subsets of k items, of the product of their exp(logit).

    Parameters
    ----------
    logits : array, shape (*batch, K)
    k : int

    Returns
    -------
    array, shape (*batch)
        Its gradient by the logits is `marginals`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(np.exp(fg.subset.log_normaliser(np.zeros(5), 2)).round(9))
    10.0
    """
    return _sums(logits, k)[1]


def marginals_vjp(logits, cotangent, k):
    """Product of a cotangent with the Jacobian of `marginals`, summed over samples.

    With the derivative of a loss by `k_hot` samples as the cotangent, it is the SIMPLE estimate of
    the gradient of its expectation: without bias where the loss is linear.

    Parameters
    ----------
    logits : array, shape (*batch, K)
    cotangent : array, shape (S, *batch, K) or (*batch, K)
    k : int

    Returns
    -------
    array, shape (*batch, K)

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.subset.marginals_vjp(np.zeros(3), np.array([1.0, 0.0, 0.0]), 2).round(3)
    array([ 0.222, -0.111, -0.111])
    """
    rows, batch = _validate.rows(logits)
    k = size(rows, k, np.shape(logits))
    full = (*batch, rows.shape[1])
    _, (r,) = _validate.cotangents({"cotangent": cotangent}, full, rows.dtype)
    r = _validate.frozen(r.reshape(-1, *rows.shape).sum(axis=0, dtype=np.float64))
    grad = np.empty(full, rows.dtype)
    _k_subset.marginals_vjp(rows, r, k, grad.reshape(rows.shape))
    return grad


def _sums(logits, k):
    """Return the marginals and the log of the sum over subsets."""
    rows, batch = _validate.rows(logits)
    k = size(rows, k, np.shape(logits))
    out, log_sum = np.empty((*batch, rows.shape[1]), rows.dtype), np.empty(batch, rows.dtype)
    flat = out.reshape(rows.shape)
    _k_subset.marginals(rows, k, flat, log_sum.reshape(-1))
    return out, log_sum
