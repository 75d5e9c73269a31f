"""Relaxed choices of k items: successive softmaxes of perturbed logits, and their products."""

from __future__ import annotations

import numpy as np

from fastgrad import _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.plackett_luce import size
from fastgrad.kernels.distributions import subset_top_k as _kernels
from fastgrad.random import RNG, as_key, replayed_key

__all__ = ["relaxed_top_k", "relaxed_top_k_vjp"]


def relaxed_top_k(
    logits: ArrayLike,
    k: int,
    *,
    temperature: ArrayLike,
    num_samples: int | None = None,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw relaxed choices of k items: k successive softmaxes of the perturbed logits.

    After each softmax, an item is made less likely by the factor 1 less its share in that softmax,
    so that the next softmax chooses another. As the temperature goes to 0, the result becomes 1 at
    the items that `gumbel_top_k` chooses under the same key, and 0 elsewhere.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; -inf gives a relaxed value of 0.
    k : int
        Number of items, at most the number of logits above -inf in every row.
    temperature : float or array
        Temperature of the softmaxes, from 2**-60 to 2**60: one for all rows, or an array of them
        that broadcasts to the batch shape, whose rows are those of calls with one number.
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
        Entries from 0, of sum k. An entry may exceed 1: at high temperatures, and at any where two
        perturbed logits nearly tie (at 0.01 with k = 3 of 20 items, 5 % of samples have an entry
        above 1.05).

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
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(relaxed_top_k, logits, locals())
    rows, batch = _validate.rows(logits)
    k = size(rows, k, np.shape(logits))
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    scale, key = _validate.row_scales(rows.dtype, temperature, batch), as_key(rng).kernel_words
    out = _outputs.output(out, (*lead, *batch, rows.shape[1]), rows.dtype, rows)
    flat = out.reshape(count, *rows.shape)
    _kernels.relaxed_top_k(rows, k, (key, sample, first), scale, flat)
    return out


def relaxed_top_k_vjp(
    logits: ArrayLike,
    cotangent: ArrayLike,
    k: int,
    *,
    temperature: ArrayLike,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `relaxed_top_k`, and sum over samples.

    The noise is drawn again from the key, never stored.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, as in the forward call.
    cotangent : array, shape (S, *batch, K) or (*batch, K)
        Derivative of a loss with respect to the relaxed choices.
    k, temperature, row_offset, sample_offset
        As in the forward call.
    rng : int, SeedSequence or Key
        The seed or key of the forward call. A Generator is refused: its state has moved on.

    Returns
    -------
    array, shape (*batch, K)
        Gradient with respect to the logits, in their dtype.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, key = np.zeros((4, 6)), fg.Key(0)
    >>> x = fg.subset.relaxed_top_k(logits, 2, temperature=0.5, rng=key)
    >>> fg.subset.relaxed_top_k_vjp(logits, 2 * x, 2, temperature=0.5, rng=key).shape
    (4, 6)
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(relaxed_top_k_vjp, logits, locals())
    key = replayed_key(rng).kernel_words
    rows, batch = _validate.rows(logits)
    k = size(rows, k, np.shape(logits))
    full = (*batch, rows.shape[1])
    count, (r,) = _validate.cotangents({"cotangent": cotangent}, full, rows.dtype)
    r = r.reshape(count, *rows.shape)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    scale = _validate.row_scales(rows.dtype, temperature, batch)
    grad = np.empty(full, rows.dtype)
    flat = grad.reshape(rows.shape)
    _kernels.relaxed_top_k_vjp(rows, r, k, (key, sample, first), scale, flat)
    return grad
