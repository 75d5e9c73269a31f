"""The Plackett-Luce distribution: k of K items chosen one by one, without replacement, in order.

Each item is chosen with odds exp(logit) among those left. Gumbel noise decides it all at once: the
k largest perturbed logits, in their order, are such a sample.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.kernels.distributions import plackett_luce as _kernels
from fastgrad.kernels.distributions import plackett_luce_entropy as _entropy
from fastgrad.random import RNG, as_key

__all__ = ["entropy", "gumbel_top_k", "log_prob", "score"]

EXACT = 16  # items up to which the entropy is summed over all sets


def gumbel_top_k(
    logits: ArrayLike,
    k: int,
    *,
    num_samples: int | None = None,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
    out: IntArray | None = None,
) -> IntArray:
    """Draw k different items in the order of choice: the k largest perturbed logits.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log odds of the items, float32 or float64; -inf is never drawn.
    k : int
        Number of items to draw, at most the number of logits above -inf in every row.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness. Under the same key, the first item equals what `fastgrad.sample`
        draws with method="gumbel".
    row_offset, sample_offset : int
        Index of the first row (of the batch flattened in C order) and of the first sample in a
        larger batch: chunked calls with the right offsets equal one call.
    out : array of int32, optional
        Array to write the items in, C-contiguous and of the result's shape.

    Returns
    -------
    array of int32, shape (S, *batch, k), or (*batch, k) without num_samples
        Indices of the items. Of two equal perturbed logits the lower index comes first.

    Raises
    ------
    ValueError
        If a row has fewer than k logits above -inf, or logits that differ by more than their type
        holds.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.subset.gumbel_top_k(np.array([0.0, -np.inf, 9.0, 50.0]), 2, rng=0)
    array([3, 2], dtype=int32)

    References
    ----------
    Kool, van Hoof and Welling, "Stochastic beams and where to find them", ICML 2019.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(gumbel_top_k, logits, locals())
    rows, batch = _validate.rows(logits)
    check_differences(rows)
    k = size(rows, k, np.shape(logits))
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    out = _outputs.output(out, (*lead, *batch, k), np.dtype(np.int32), rows)
    key, z = as_key(rng).kernel_words, out.reshape(count, len(rows), k)
    _kernels.gumbel_top_k(rows, (key, sample, first), z)
    return out


def log_prob(logits: ArrayLike, z: ArrayLike) -> FloatArray:
    """Compute the log probability of choosing items z in this order.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log odds of the items, float32 or float64.
    z : array of int, shape (*batch, k) or (S, *batch, k)
        Indices of k different items; k = K for whole permutations.

    Returns
    -------
    array, the shape of z without k
        In the dtype of the logits; -inf where an item of z is masked.

    Raises
    ------
    ValueError
        If an item is chosen twice or out of range, or shapes do not fit.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> z = np.array([1, 0])
    >>> float(np.exp(fg.subset.log_prob(np.log([0.5, 0.25, 0.25]), z)).round(9))  # 1/4 * 2/3
    0.166666667
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(log_prob, logits, locals())
    rows, z, shape = _choices(logits, z)
    out = np.empty(shape[:-1], rows.dtype)
    _kernels.log_prob(rows, z, out.reshape(-1))
    return out


def score(logits: ArrayLike, z: ArrayLike) -> FloatArray:
    """Compute the gradient of `log_prob` with respect to the logits.

    For samples z, ``f(z) * score(logits, z)`` is an unbiased estimate of the gradient of E[f(z)].

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log odds of the items, float32 or float64.
    z : array of int, shape (*batch, k) or (S, *batch, k)
        Indices of k different items in the order of choice.

    Returns
    -------
    array, shape (*batch, K) or (S, *batch, K)
        In the dtype of the logits.

    Raises
    ------
    ValueError
        If an item is chosen twice or out of range, or shapes do not fit.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.subset.score(np.log([0.5, 0.25, 0.25]), np.array([1, 0])).round(3)
    array([-0.167,  0.75 , -0.583])

    References
    ----------
    Kool, van Hoof and Welling, "Estimating gradients for discrete random variables by sampling
    without replacement", ICLR 2020.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(score, logits, locals())
    rows, z, shape = _choices(logits, z)
    out = np.empty((*shape[:-1], rows.shape[1]), rows.dtype)
    _kernels.score(rows, z, out.reshape(-1, rows.shape[1]))
    return out


def entropy(
    logits: ArrayLike,
    k: int | None = None,
    *,
    num_samples: int | None = None,
    rng: RNG | None = None,
) -> FloatArray:
    """Compute the entropy of k choices in order, in nats.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log odds of the items, float32 or float64.
    k : int, optional
        Number of choices; by default K, for whole permutations.
    num_samples : int, optional
        None sums over all sets of items, exactly, for K <= 16. A number gives an unbiased estimate
        from as many samples: the mean of the entropy of each choice given those before it.
    rng : int, SeedSequence, Generator or Key, optional
        Source of the randomness; required with num_samples.

    Returns
    -------
    array, shape (*batch)
        In the dtype of the logits.

    Raises
    ------
    ValueError
        If K > 16 without num_samples, or a row has fewer than k logits above -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(np.exp(fg.subset.entropy(np.zeros(4), 2)).round(9))  # 4 * 3 orders, equally likely
    12.0
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(entropy, logits, locals())
    rows, batch = _validate.rows(logits)
    k = size(rows, rows.shape[1] if k is None else k, np.shape(logits))
    if num_samples is None:
        if rows.shape[1] > EXACT:
            raise ValueError(
                f"entropy needs num_samples and rng for more than {EXACT} items, "
                f"got {rows.shape[1]}"
            )
        out = np.empty(batch, rows.dtype)
        _entropy.entropy(rows, k, out.reshape(-1))
        return out
    if rng is None:
        raise TypeError("rng must be given with num_samples, got None")
    z = gumbel_top_k(logits, k, num_samples=num_samples, rng=rng)
    given = np.empty(z.shape[:-1], rows.dtype)
    z = _validate.frozen(z.reshape(len(z), len(rows), k))
    _entropy.entropy_given(rows, z, given.reshape(-1))
    return given.mean(axis=0)


def check_differences(rows: FloatArray) -> None:
    """Refuse rows whose logits differ by more than their type holds: only masks are -inf apart."""
    half = np.finfo(rows.dtype).max / 2
    far = (np.abs(rows) > half) & (rows > -np.inf)
    if not far.any():
        return
    with np.errstate(over="ignore"):
        least = np.where(rows > -np.inf, rows, np.inf).min(axis=1)
        differences = rows.max(axis=1) - least
    if np.isposinf(differences).any():
        bad = rows[np.isposinf(differences)][0]
        lowest = bad[bad > -np.inf].min()
        raise ValueError(
            f"logits of a row must differ by at most {np.finfo(rows.dtype).max:.3g}, "
            f"got {bad.max():.3g} and {lowest:.3g}"
        )


def size(rows: FloatArray, k: int, shape: tuple[int, ...]) -> int:
    """Return k, checked to be from 1 to the number of logits above -inf in every row."""
    k = _validate.integer(k, "k", 1)
    if k > rows.shape[1]:
        raise ValueError(f"k must be at most the number of logits, {rows.shape[1]}, got {k}")
    support = rows.shape[1] - np.isneginf(rows).sum(axis=1)
    if rows.size and support.min() < k:
        index = np.unravel_index(support.argmin(), shape[:-1]) if shape[:-1] else ()
        raise ValueError(
            f"k must be at most the number of logits above -inf, {support.min()} in row "
            f"{tuple(int(i) for i in index)}, got {k}"
        )
    return k


def _choices(logits, z):
    """Return checked rows (N, K), choices (S, N, k) and the shape of the latter as given."""
    rows, batch = _validate.rows(logits)
    check_differences(rows)
    z = _validate.array(z, "z")
    if z.dtype.kind not in "iu":
        raise TypeError(f"z must hold integers, got dtype {z.dtype}")
    if z.ndim == 0 or not (z.shape[:-1] == batch or (z.shape[1:-1] == batch and z.ndim > 1)):
        raise ValueError(f"z must have shape (*{batch}, k) or (S, *{batch}, k), got {z.shape}")
    count = 1 if z.shape[:-1] == batch else z.shape[0]
    k = z.shape[-1]
    if not 1 <= k <= rows.shape[1]:
        raise ValueError(f"z must choose from 1 to {rows.shape[1]} items, got {k}")
    z = _validate.whole_numbers(z, rows.shape[1])
    flat = np.ascontiguousarray(z, np.int32).reshape(count, len(rows), k)
    ordered = np.sort(flat, axis=2)
    if (ordered[..., 1:] == ordered[..., :-1]).any():
        raise ValueError("z must choose different items: one of them is chosen twice")
    return rows, _validate.frozen(flat), z.shape
