"""Sets of k of K items: exact samples, their probabilities, and their means by dynamic programming.

The probability of a set is proportional to the product of its exp(logit): `k_hot` draws exact
samples, `marginals` are their means, `k_hot_log_prob` their log probabilities.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.plackett_luce import size
from fastgrad.kernels.distributions import subset_sums as _kernels
from fastgrad.random import RNG, as_key

__all__ = ["k_hot", "k_hot_log_prob", "log_normaliser", "marginals", "marginals_vjp"]


def k_hot(
    logits: ArrayLike,
    k: int,
    *,
    num_samples: int | None = None,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw sets of k items, with probability proportional to the product of their exp(logit).

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log weights of the items, float32 or float64; an item of -inf is never drawn.
    k : int
        Size of the set, at most the number of logits above -inf in every row.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness; the same seed or key gives the same samples.
    row_offset, sample_offset : int
        Index of the first row (of the batch flattened in C order) and of the first sample in a
        larger batch: chunked calls with the right offsets equal one call.
    out : array, optional

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples
        1 at the k items of the set, 0 elsewhere, in the dtype of the logits. The log probability of
        such an x is ``k_hot_log_prob(logits, x)``, its gradient ``x - marginals(logits, k)``.

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
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(k_hot, logits, locals())
    rows, batch = _validate.rows(logits)
    k = size(rows, k, np.shape(logits))
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    out = _outputs.output(out, (*lead, *batch, rows.shape[1]), rows.dtype, rows)
    flat, key = out.reshape(count, *rows.shape), as_key(rng).kernel_words
    _kernels.sample(rows, k, (key, sample, first), flat)
    return out


def marginals(logits: ArrayLike, k: int) -> FloatArray:
    """Compute the probability that each item is in the set that `k_hot` draws, exactly.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log weights of the items, float32 or float64.
    k : int
        Size of the set, at most the number of logits above -inf in every row.

    Returns
    -------
    array, shape (*batch, K)
        Probabilities of sum k, in the dtype of the logits; the time grows with K k.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row has fewer than k logits above -inf.

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
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(marginals, logits, locals())
    return _sums(*_validate.rows(logits), k)[0]


def log_normaliser(logits: ArrayLike, k: int) -> FloatArray:
    """Compute the log of the sum, over all sets of k items, of the product of their exp(logit).

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log weights of the items, float32 or float64.
    k : int
        Size of the sets, at most the number of logits above -inf in every row.

    Returns
    -------
    array, shape (*batch)
        In the dtype of the logits. The gradient with respect to the logits is `marginals`.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row has fewer than k logits above -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(np.exp(fg.subset.log_normaliser(np.zeros(5), 2)).round(9))
    10.0
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(log_normaliser, logits, locals())
    return _sums(*_validate.rows(logits), k)[1]


def k_hot_log_prob(logits: ArrayLike, x: ArrayLike) -> FloatArray:
    """Compute the log probability of sets of k items, as `k_hot` draws them.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log weights of the items, float32 or float64; an item of -inf is never drawn.
    x : array, shape (*batch, K) or (S, *batch, K)
        1 at the items of a set, 0 elsewhere; all sets have the same size k.

    Returns
    -------
    array, the shape of x without K
        In the dtype of the logits; -inf for a set that holds an item of -inf. The gradient with
        respect to the logits is ``x - marginals(logits, k)``.

    Raises
    ------
    ValueError
        If x holds other numbers than 0 and 1, or sets of different sizes, or a row of logits has
        fewer than k above -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits = np.log([1.0, 1.0, 2.0])  # the sets have weights 1, 2 and 2
    >>> np.exp(fg.subset.k_hot_log_prob(logits, [[1, 1, 0], [1, 0, 1], [0, 1, 1]]))
    array([0.2, 0.4, 0.4])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(k_hot_log_prob, logits, locals())
    rows, batch = _validate.rows(logits)
    full = (*batch, rows.shape[1])
    x = _validate.real_array(x, "x")
    if x.shape != full and x.shape[1:] != full:
        raise ValueError(f"x must have shape {full} or (S, *{full}), got {x.shape}")
    chosen, sizes = x == 1, (x == 1).sum(axis=-1)
    if not (chosen | (x == 0)).all():
        place = tuple(np.argwhere(~(chosen | (x == 0)))[0].tolist())
        raise ValueError(f"x must hold 0 and 1, got {x[place]} at index {place}")
    if not sizes.size:
        return np.empty(sizes.shape, rows.dtype)
    k = int(sizes.flat[0])
    if (sizes != k).any():
        raise ValueError(f"x must hold sets of one size, got {sizes.min()} and {sizes.max()}")
    wide = rows.astype(np.float64)  # weights of many items are large beside what they differ by
    near = _validate.frozen(wide - wide.max(axis=1, keepdims=True))  # a shift changes nothing
    _, log_sum = _sums(near, batch, k)
    weight = np.where(chosen, near.reshape(full), 0).sum(axis=-1, dtype=np.float64)
    return (weight - log_sum).astype(rows.dtype)


def marginals_vjp(logits: ArrayLike, cotangent: ArrayLike, k: int) -> FloatArray:
    """Multiply cotangents with the Jacobian of `marginals`, and sum over samples.

    If the cotangent is the derivative of a loss with respect to `k_hot` samples, the result is the
    SIMPLE estimate of the gradient of the expected loss: unbiased where the loss is linear.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log weights of the items, float32 or float64.
    cotangent : array, shape (S, *batch, K) or (*batch, K)
        Derivative of a loss with respect to the marginals, or to each of S samples.
    k : int
        Size of the set, as in the forward call.

    Returns
    -------
    array, shape (*batch, K)
        In the dtype of the logits.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.subset.marginals_vjp(np.zeros(3), np.array([1.0, 0.0, 0.0]), 2).round(3)
    array([ 0.222, -0.111, -0.111])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(marginals_vjp, logits, locals())
    rows, batch = _validate.rows(logits)
    k = size(rows, k, np.shape(logits))
    full = (*batch, rows.shape[1])
    _, (r,) = _validate.cotangents({"cotangent": cotangent}, full, rows.dtype, rows.shape)
    r = _validate.frozen(r.sum(axis=0, dtype=np.float64))
    grad = np.empty(full, rows.dtype)
    _kernels.marginals_vjp(rows, r, k, grad.reshape(rows.shape))
    return grad


def _sums(rows, batch, k):
    """Return the marginals and the log of the sum over sets of k."""
    k = size(rows, k, (*batch, rows.shape[1]))
    out, log_sum = np.empty((*batch, rows.shape[1]), rows.dtype), np.empty(batch, rows.dtype)
    flat = out.reshape(rows.shape)
    _kernels.marginals(rows, k, flat, log_sum.reshape(-1))
    return out, log_sum
