"""Relaxed categorical samples that are sparse: alpha-entmax of logits with Gumbel noise.

They are to `gumbel_softmax` what `entmax` is to the softmax: under the same key they have the same
noise, and so the same largest category.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.kernels.sparse import entmax as _kernels
from fastgrad.random import RNG, as_key, replayed_key
from fastgrad.sparse.entmax import curve

__all__ = ["gumbel_entmax", "gumbel_entmax_vjp", "gumbel_sparsemax", "gumbel_sparsemax_vjp"]


def gumbel_entmax(
    logits: ArrayLike,
    *,
    alpha: float,
    temperature: ArrayLike,
    num_samples: int | None = None,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw entmax((logits + Gumbel noise) / temperature): relaxed samples with exact zeros.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; -inf gives a relaxed value of 0.
    alpha : float
        From 1, which is `gumbel_softmax`, to 2, which is `gumbel_sparsemax`.
    temperature : float or array
        Divisor of the perturbed logits, from 2**-60 to 2**60: one for all rows, or an array of them
        that broadcasts to the batch shape, whose rows are those of calls with one number. Below the
        gap between the two largest perturbed logits, times alpha - 1, a sample is exactly one-hot.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness; the same seed or key gives the same samples.
    row_offset, sample_offset : int
        Index of the first row and of the first sample in a larger batch: chunked calls with the
        right offsets equal one call.
    out : array, optional
        Array to write the samples in, C-contiguous and of the result's shape and dtype.

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples
        Points of the simplex, in the dtype of the logits. The largest entry is that of
        ``fg.sample(..., method="gumbel")`` under the same key.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf; if alpha is not from 1 to 2;
        if a temperature is out of its range, or temperatures do not broadcast to the batch shape.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = fg.sparse.gumbel_entmax(np.zeros((4, 9)), alpha=1.5, temperature=0.5, rng=0)
    >>> x.shape, bool(np.allclose(x.sum(-1), 1)), bool((x == 0).any())
    ((4, 9), True, True)

    References
    ----------
    Peters, Niculae and Martins, "Sparse sequence-to-sequence models", ACL 2019.
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(gumbel_entmax, logits, locals())
    mode, a = curve(alpha)
    rows, batch = _validate.rows(logits)
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    noise = as_key(rng).kernel_words, sample, first
    scale = _validate.row_scales(rows.dtype, temperature, batch)
    out = _outputs.output(out, (*lead, *batch, rows.shape[1]), rows.dtype, rows)
    none = _validate.frozen(np.empty((0, *rows.shape), rows.dtype))
    _kernels.entmax(rows, noise, True, scale, mode, a, none, out.reshape(count, *rows.shape))
    return out


def gumbel_entmax_vjp(
    logits: ArrayLike,
    cotangent: ArrayLike,
    *,
    alpha: float,
    temperature: ArrayLike,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `gumbel_entmax`, and sum over samples.

    The noise is drawn again from the key, never stored.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, as in the forward call.
    cotangent : array, shape (S, *batch, K) or (*batch, K)
        Derivative of a loss with respect to the relaxed samples.
    alpha, temperature, row_offset, sample_offset
        As in the forward call.
    rng : int, SeedSequence or Key
        The seed or key of the forward call. A Generator is refused: its state has moved on.

    Returns
    -------
    array, shape (*batch, K)
        Gradient with respect to the logits, in their dtype; 0 for a category with logit -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, options = np.zeros((4, 3)), {"alpha": 1.5, "temperature": 0.5, "rng": fg.Key(0)}
    >>> x = fg.sparse.gumbel_entmax(logits, **options)
    >>> fg.sparse.gumbel_entmax_vjp(logits, 2 * x, **options).shape
    (4, 3)
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(gumbel_entmax_vjp, logits, locals())
    key = replayed_key(rng).kernel_words
    mode, a = curve(alpha)
    rows, batch = _validate.rows(logits)
    full = (*batch, rows.shape[1])
    count, (r,) = _validate.cotangents({"cotangent": cotangent}, full, rows.dtype, rows.shape)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    grad = np.zeros(full, rows.dtype)
    if len(r):
        where = key, sample, first
        scale = _validate.row_scales(rows.dtype, temperature, batch)
        _kernels.entmax(rows, where, True, scale, mode, a, r, grad.reshape(1, *rows.shape))
    return grad


def gumbel_sparsemax(
    logits: ArrayLike,
    *,
    temperature: ArrayLike,
    num_samples: int | None = None,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw sparsemax((logits + Gumbel noise) / temperature): `gumbel_entmax` with alpha = 2.

    Parameters and results are those of `gumbel_entmax`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.sparse.gumbel_sparsemax(np.zeros((4, 9)), temperature=0.5, num_samples=3, rng=0).shape
    (3, 4, 9)
    """
    return gumbel_entmax(
        logits,
        alpha=2.0,
        temperature=temperature,
        num_samples=num_samples,
        rng=rng,
        row_offset=row_offset,
        sample_offset=sample_offset,
        out=out,
    )


def gumbel_sparsemax_vjp(
    logits: ArrayLike,
    cotangent: ArrayLike,
    *,
    temperature: ArrayLike,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `gumbel_sparsemax`: see `gumbel_entmax_vjp`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, r = np.zeros((4, 3)), np.ones((4, 3))
    >>> bool((fg.sparse.gumbel_sparsemax_vjp(logits, r, temperature=0.5, rng=0) == 0).all())
    True
    """
    return gumbel_entmax_vjp(
        logits,
        cotangent,
        alpha=2.0,
        temperature=temperature,
        rng=rng,
        row_offset=row_offset,
        sample_offset=sample_offset,
    )
