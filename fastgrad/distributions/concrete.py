"""The Concrete distribution: relaxations of categoricals, and of their noise given the sample.

With Gumbel noise G, ``z = argmax(logits + G)`` is a categorical sample and
``softmax((logits + G) / temperature)`` its relaxation (Gumbel-softmax). Control variates such as
REBAR's also need the perturbed logits drawn again from their distribution given z, whose softmax is
the conditional relaxation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad import _marks, _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions.concrete_density import concrete_log_prob, exp_concrete_log_prob
from fastgrad.kernels.distributions import concrete as _kernels
from fastgrad.kernels.distributions import concrete_choice as _choice
from fastgrad.random import RNG, as_key, replayed_key

__all__ = [
    "Relaxation",
    "concrete_log_prob",
    "exp_concrete_log_prob",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "relax",
    "relax_vjp",
]


def gumbel_softmax(
    logits: ArrayLike,
    *,
    temperature: ArrayLike,
    num_samples: int | None = None,
    rng: RNG,
    hard: bool = False,
    log: bool = False,
    row_offset: int = 0,
    sample_offset: int = 0,
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw from the Concrete distribution: softmax((logits + Gumbel noise) / temperature).

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; -inf gives a relaxed value of 0.
    temperature : float or array
        Divisor of the perturbed logits, from 2**-60 to 2**60: one for all rows, or an array of them
        that broadcasts to the batch shape, whose rows are those of calls with one number. Near 0
        the samples are nearly one-hot: their logarithms (`log`) remain exact.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness; the same seed or key gives the same samples.
    hard : bool
        Return the one-hot argmax of each relaxed sample instead. The straight-through gradient of
        such samples is `gumbel_softmax_vjp`.
    log : bool
        Return the logarithms of the relaxed samples (the ExpConcrete distribution).
    row_offset, sample_offset : int
        Index of the first row (of the batch flattened in C order) and of the first sample in a
        larger batch: chunked calls with the right offsets equal one call.
    out : array, optional
        Array to write the samples in, C-contiguous and of the result's shape and dtype. Its content
        is undefined if the logits are refused.

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples
        Points of the simplex (or their logarithms), in the dtype of the logits. The argmax equals
        ``fg.sample(..., method="gumbel")`` under the same key; ties cannot occur.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf; if a temperature is out
        of its range, or temperatures do not broadcast to the batch shape.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = fg.gumbel_softmax(np.zeros((4, 3)), temperature=0.5, num_samples=10, rng=0)
    >>> x.shape, bool(np.allclose(x.sum(-1), 1))
    ((10, 4, 3), True)

    References
    ----------
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017.
    Maddison, Mnih and Teh, "The Concrete distribution", ICLR 2017.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(gumbel_softmax, logits, locals())
    if hard and log:
        raise ValueError(
            "log=True does not go with hard=True: a one-hot sample has no finite logarithm"
        )
    rows, batch = _validate.rows(logits, check=False)
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    scale = _validate.scales(rows.dtype, temperature, batch)
    where, full = ((as_key(rng).kernel_words, sample, first), scale), (*batch, rows.shape[1])
    given, out = out, _outputs.output(out, (*lead, *full), rows.dtype, rows)
    mode = _kernels.HARD if hard else _kernels.LOG if log else _kernels.SOFT
    work = *where, mode, out.reshape(count, *rows.shape)
    _marks.checking(_choice.gumbel_softmax, rows, full, *work, out=given)
    return out


def gumbel_softmax_vjp(
    logits: ArrayLike,
    cotangent: ArrayLike,
    *,
    temperature: ArrayLike,
    rng: RNG,
    log: bool = False,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `gumbel_softmax`, and sum over samples.

    The noise is drawn again from the key, never stored.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, as in the forward call.
    cotangent : array, shape (S, *batch, K) or (*batch, K)
        Derivative of a loss with respect to the relaxed samples (to their logarithms for `log`). A
        derivative with respect to hard samples gives the straight-through estimate.
    temperature, log, row_offset, sample_offset
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
    >>> logits, key = np.zeros((4, 3)), fg.Key(0)
    >>> x = fg.gumbel_softmax(logits, temperature=0.5, rng=key)
    >>> fg.gumbel_softmax_vjp(logits, 2 * x, temperature=0.5, rng=key).shape
    (4, 3)
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(gumbel_softmax_vjp, logits, locals())
    given = {"cotangent": cotangent}
    rows, (r,), where = _replay(logits, given, temperature, rng, row_offset, sample_offset)
    grad = np.empty(np.shape(logits), rows.dtype)
    work = r, *where, bool(log), grad.reshape(rows.shape)
    _marks.checking(_choice.gumbel_softmax_vjp, rows, grad.shape, *work)
    return grad


class Relaxation(NamedTuple):
    """Discrete samples with their relaxations, conditional relaxations and scores.

    Attributes
    ----------
    sample : array of int32, shape (S, *batch)
        The categories z, argmax of the perturbed logits.
    relaxed : array, shape (S, *batch, K)
        Softmax of the perturbed logits over the temperature.
    conditional : array, shape (S, *batch, K)
        Softmax over the temperature of perturbed logits that are drawn again given z.
    score : array, shape (S, *batch, K)
        Gradient of the log probability of z by the logits: one-hot(z) - softmax(logits).
    """

    sample: IntArray
    relaxed: FloatArray
    conditional: FloatArray
    score: FloatArray


def relax(
    logits: ArrayLike,
    *,
    temperature: ArrayLike,
    num_samples: int | None = None,
    rng: RNG,
    coupled: bool = False,
    log: bool = False,
    row_offset: int = 0,
    sample_offset: int = 0,
    out: Relaxation | None = None,
) -> Relaxation:
    """Draw categories z with their relaxation, conditional relaxation and score, in one pass.

    REBAR and RELAX are made of these. Given z, the perturbed logits are drawn again: ``-log T`` for
    category z and ``log p_i - log(T p_i + E_i)`` for each other category i, where p is the softmax
    of the logits, and T and E_i are exponential noise.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; a category of -inf is never drawn and
        has relaxed values of 0.
    temperature : float or array
        Divisor of the perturbed logits, from 2**-60 to 2**60: one for all rows, or an array of them
        that broadcasts to the batch shape.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness; the same seed or key gives the same samples.
    coupled : bool
        Recover the conditional noise from the forward noise instead of drawing it: `conditional`
        then equals `relaxed`, and only its derivative (`relax_vjp`) differs.
    log : bool
        Return the logarithms of both relaxations, which remain exact at temperatures near 0.
    row_offset, sample_offset : int
        Index of the first row (of the batch flattened in C order) and of the first sample in a
        larger batch: chunked calls with the right offsets equal one call.
    out : Relaxation, optional
        Arrays to write in. Their content is undefined if the logits are refused.

    Returns
    -------
    Relaxation
        Named tuple of `sample`, `relaxed`, `conditional` and `score`. In both relaxations the entry
        of the sampled category is strictly the largest. Without `out` the last three arrays share
        one block of memory.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf; if a temperature is out
        of its range, or temperatures do not broadcast to the batch shape.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> r = fg.relax(np.zeros((4, 3)), temperature=0.5, num_samples=10, rng=0)
    >>> bool((r.conditional.argmax(-1) == r.sample).all())
    True

    References
    ----------
    Tucker et al., "REBAR", NeurIPS 2017. Grathwohl et al., "Backpropagation through the void",
    ICLR 2018, appendix B. Paulus, Maddison and Krause, "Rao-Blackwellizing the straight-through
    Gumbel-softmax gradient estimator", ICLR 2021 (the exponential form).
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(relax, logits, locals())
    rows, batch = _validate.rows(logits, check=False)
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    scale = _validate.scales(rows.dtype, temperature, batch)
    where = (as_key(rng).kernel_words, sample, first), scale
    shape, full = (*lead, *batch), (count, *rows.shape)
    result = z, x, y, score = empty_relaxation(out, shape, (*shape, rows.shape[1]), rows)
    others = x.reshape(full), y.reshape(full), score.reshape(full)
    work = *where, bool(coupled), bool(log), z.reshape(full[:2]), others
    _marks.checking(_choice.relax, rows, (*batch, rows.shape[1]), *work)
    return result


def empty_relaxation(
    out: Relaxation | None, shape: tuple[int, ...], full: tuple[int, ...], logits: FloatArray
) -> Relaxation:
    """Return the arrays to write in: those of `out` if given, with samples of `shape`."""
    if out is None:
        # One block: malloc keeps it between calls, where three would go back and fault in again.
        block = np.empty((3, *full), logits.dtype)
        return Relaxation(np.empty(shape, np.int32), block[0, ...], block[1, ...], block[2, ...])
    if not isinstance(out, tuple) or len(out) != 4:
        raise TypeError(f"out must be a Relaxation of arrays, got {out!r}")
    types = (np.dtype(np.int32), *3 * (logits.dtype,))
    fields = zip(out, (shape, full, full, full), types, Relaxation._fields, strict=True)
    result = Relaxation(*(_outputs.output(a, n, t, name=f"out.{f}") for a, n, t, f in fields))
    _outputs.apart(logits, *result)
    return result


def relax_vjp(
    logits: ArrayLike,
    relaxed_cotangent: ArrayLike | None = None,
    conditional_cotangent: ArrayLike | None = None,
    *,
    temperature: ArrayLike,
    rng: RNG,
    coupled: bool = False,
    log: bool = False,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> tuple[FloatArray | None, FloatArray | None]:
    """Multiply cotangents with the Jacobians of both relaxations of `relax`, and sum over samples.

    The noise is drawn again from the key and held constant. The perturbed logits given z depend on
    the logits through their formula only: the derivative by log p_i is ``E_i / (T p_i + E_i)`` for
    each other category, and 0 for z itself.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, as in the forward call.
    relaxed_cotangent, conditional_cotangent : array, shape (S, *batch, K) or (*batch, K), or None
        Derivatives of a loss with respect to `relaxed` and `conditional`.
    temperature, coupled, log, row_offset, sample_offset
        As in the forward call.
    rng : int, SeedSequence or Key
        The seed or key of the forward call. A Generator is refused: its state has moved on.

    Returns
    -------
    grad_through_relaxed, grad_through_conditional : array, shape (*batch, K), or None
        Gradients with respect to the logits, in their dtype; None where no cotangent was given.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, key = np.zeros((4, 3)), fg.Key(0)
    >>> r = fg.relax(logits, temperature=0.5, rng=key)
    >>> g, h = fg.relax_vjp(logits, r.relaxed, r.conditional, temperature=0.5, rng=key)
    >>> g.shape, h.shape
    ((4, 3), (4, 3))
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(relax_vjp, logits, locals())
    given = {"relaxed_cotangent": relaxed_cotangent, "conditional_cotangent": conditional_cotangent}
    rows, flat, where = _replay(logits, given, temperature, rng, row_offset, sample_offset)
    # Of no samples the kernel stores nothing.
    grads = tuple((np.empty if r.size else np.zeros)(rows.shape, rows.dtype) for r in flat)
    work, shape = (tuple(flat), *where, bool(coupled), bool(log), grads), np.shape(logits)
    _marks.checking(_choice.relax_vjp, rows, shape, *work)
    pairs = zip(given.values(), grads, strict=True)
    through, back = (None if r is None else g.reshape(shape) for r, g in pairs)
    return through, back


def _replay(logits, given, temperature, rng, row_offset, sample_offset):
    """Return rows, (S, N, K) cotangents, and where and how to draw the forward call's noise."""
    key = replayed_key(rng).kernel_words
    rows, batch = _validate.rows(logits, check=False)
    full = (*batch, rows.shape[1])
    count, cotangents = _validate.cotangents(given, full, rows.dtype, rows.shape)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    scale = _validate.scales(rows.dtype, temperature, batch)
    return rows, cotangents, ((key, sample, first), scale)
