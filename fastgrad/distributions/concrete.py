"""The Concrete distribution: relaxations of categoricals, and of their noise given the sample.

With Gumbel noise G, ``z = argmax(logits + G)`` is a categorical sample and
``softmax((logits + G) / temperature)`` its relaxation (Gumbel-softmax). Control variates such as
REBAR's also need fresh noise of the same law given z: the conditional relaxation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.distributions.concrete_density import concrete_log_prob, exp_concrete_log_prob
from fastgrad.kernels.compiler.jit import MAX_CHUNKS
from fastgrad.kernels.distributions import concrete as _kernels
from fastgrad.kernels.distributions import concrete_vjp as _products
from fastgrad.random import as_key, replayed_key

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
    logits,
    *,
    temperature,
    num_samples=None,
    rng,
    hard=False,
    log=False,
    row_offset=0,
    sample_offset=0,
    out=None,
):
    """Draw from the Concrete distribution: softmax((logits + Gumbel noise) / temperature).

    Parameters
    ----------
    logits : array, shape (*batch, K)
        float32 or float64, unnormalised; -inf gives a relaxed value of zero.
    temperature : float
        Above 0. Near 0 samples are nearly one-hot: `log` keeps them exact.
    num_samples : int, optional
        S; None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
    hard : bool
        Return the one-hot argmax instead (straight-through: `gumbel_softmax_vjp` is its gradient).
    log : bool
        Return the logarithm of the relaxed sample (ExpConcrete).
    row_offset, sample_offset : int
        Where rows and samples stand in the whole: chunks join to what one call would give.
    out : array, optional

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples
        On the simplex; its argmax is `sample` of the same key with method="gumbel", strictly.

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
    if hard and log:
        raise ValueError(
            "log=True does not go with hard=True: a one-hot sample has no finite logarithm"
        )
    rows, batch = _validate.rows(logits)
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    where = (as_key(rng).kernel_words, sample, first), _validate.scale(rows.dtype, temperature)
    out = _validate.output(out, (*lead, *batch, rows.shape[1]), rows.dtype)
    mode = _kernels.HARD if hard else _kernels.LOG if log else _kernels.SOFT
    _kernels.gumbel_softmax(rows, *where, mode, out.reshape(count, *rows.shape))
    return out


def gumbel_softmax_vjp(
    logits, cotangent, *, temperature, rng, log=False, row_offset=0, sample_offset=0
):
    """Product of a cotangent with the Jacobian of `gumbel_softmax`, summed over samples.

    The noise is drawn again from the key, never stored.

    Parameters
    ----------
    logits : array, shape (*batch, K)
    cotangent : array, shape (S, *batch, K) or (*batch, K)
        Derivative of a loss with respect to the relaxed samples (their logarithm for `log`). For
        hard samples, with respect to those: the straight-through estimate.
    temperature, log, row_offset, sample_offset
        As in the forward call.
    rng : int, SeedSequence or Key
        What the forward call was given; not a Generator, whose state has moved on.

    Returns
    -------
    array, shape (*batch, K)

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, key = np.zeros((4, 3)), fg.Key(0)
    >>> x = fg.gumbel_softmax(logits, temperature=0.5, rng=key)
    >>> fg.gumbel_softmax_vjp(logits, 2 * x, temperature=0.5, rng=key).shape
    (4, 3)
    """
    given = {"cotangent": cotangent}
    rows, (r,), where = _replay(logits, given, temperature, rng, row_offset, sample_offset)
    grad = np.empty(np.shape(logits), rows.dtype)
    _products.gumbel_softmax_vjp(rows, r, *where, bool(log), grad.reshape(rows.shape))
    return grad


class Relaxation(NamedTuple):
    """A discrete sample with its relaxation, the conditional relaxation and the score.

    Attributes
    ----------
    sample : array of int32, shape (S, *batch)
        z, the argmax of the perturbed logits.
    relaxed : array, shape (S, *batch, K)
        Softmax of the perturbed logits over the temperature.
    conditional : array, shape (S, *batch, K)
        The same of other noise, drawn given z.
    score : array, shape (S, *batch, K)
        one-hot(z) - softmax(logits).
    """

    sample: np.ndarray
    relaxed: np.ndarray
    conditional: np.ndarray
    score: np.ndarray


def relax(
    logits,
    *,
    temperature,
    num_samples=None,
    rng,
    coupled=False,
    log=False,
    row_offset=0,
    sample_offset=0,
    out=None,
):
    """Draw categories z with their relaxation, conditional relaxation and score, in one pass.

    What REBAR and RELAX need of the noise. Given z, the perturbed logits are drawn again:
    ``z~_z = -log T`` and ``z~_i = log p_i - log(T p_i + E_i)``, with T and E_i exponential.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        float32 or float64, unnormalised; -inf is never drawn and has relaxed values of zero.
    temperature : float
        Above 0.
    num_samples : int, optional
        S; None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
    coupled : bool
        Recover the conditional noise from the forward noise instead of drawing it: `conditional`
        then equals `relaxed`, and only its derivative (`relax_vjp`) differs.
    log : bool
        Return logarithms of the two relaxations: exact at temperatures near 0.
    row_offset, sample_offset : int
        Where rows and samples stand in the whole: chunks join to what one call would give.
    out : Relaxation, optional
        Arrays to write in; what they then hold is undefined if the logits are refused.

    Returns
    -------
    Relaxation
        In both relaxations the sample's entry is strictly the largest. Without `out` the last three
        arrays share one block of memory.

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
    rows, batch = _validate.rows(logits, check=False)
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    where = (as_key(rng).kernel_words, sample, first), _validate.scale(rows.dtype, temperature)
    shape = (*lead, *batch)
    result = empty_relaxation(out, shape, (*shape, rows.shape[1]), rows.dtype)
    others = tuple(a.reshape(count, *rows.shape) for a in result[1:])
    z, bad = result.sample.reshape(count, -1), np.zeros(MAX_CHUNKS, np.bool_)
    _kernels.relax(rows, *where, bool(coupled), bool(log), z, others, bad)
    if bad.any():
        _validate.check_logits(rows, "logits", np.shape(logits))
    return result


def empty_relaxation(out, shape, full, dtype):
    """Return the arrays to write in: those of `out` if given, with samples of `shape`."""
    if out is None:
        # One block: malloc keeps it between calls, where three would go back and fault in again.
        block = np.empty((3, *full), dtype)
        sample = np.empty(shape, np.int32)
        return Relaxation(sample, block[0, ...], block[1, ...], block[2, ...])
    if not isinstance(out, tuple) or len(out) != 4:
        raise TypeError(f"out must be a Relaxation of arrays, got {out!r}")
    fields = zip(out, (shape, full, full, full), Relaxation._fields, strict=True)
    types = (np.dtype(np.int32), *3 * (dtype,))
    return Relaxation(
        *(_validate.output(a, n, t, f"out.{f}") for (a, n, f), t in zip(fields, types, strict=True))
    )


def relax_vjp(
    logits,
    relaxed_cotangent=None,
    conditional_cotangent=None,
    *,
    temperature,
    rng,
    coupled=False,
    log=False,
    row_offset=0,
    sample_offset=0,
):
    """Products of cotangents with the Jacobians of both results of `relax`, summed over samples.

    The noise is drawn again from the key and held constant: z~ depends on the logits through its
    formula only, ``d z~_i / d log p_i = E_i / (T p_i + E_i)``, and 0 for the sample's own entry.

    Parameters
    ----------
    logits : array, shape (*batch, K)
    relaxed_cotangent, conditional_cotangent : array, shape (S, *batch, K) or (*batch, K), or None
        Derivatives of a loss with respect to `relaxed` and `conditional`.
    temperature, coupled, log, row_offset, sample_offset
        As in the forward call.
    rng : int, SeedSequence or Key
        What the forward call was given; not a Generator, whose state has moved on.

    Returns
    -------
    grad_through_relaxed, grad_through_conditional : array, shape (*batch, K), or None
        None where no cotangent was given.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, key = np.zeros((4, 3)), fg.Key(0)
    >>> r = fg.relax(logits, temperature=0.5, rng=key)
    >>> g, h = fg.relax_vjp(logits, r.relaxed, r.conditional, temperature=0.5, rng=key)
    >>> g.shape, h.shape
    ((4, 3), (4, 3))
    """
    given = {"relaxed_cotangent": relaxed_cotangent, "conditional_cotangent": conditional_cotangent}
    rows, flat, where = _replay(logits, given, temperature, rng, row_offset, sample_offset)
    # Where no cotangent is given, neither is there a gradient.
    grads = tuple(np.empty(rows.shape if r.size else (0, 0), rows.dtype) for r in flat)
    _products.relax_vjp(rows, tuple(flat), *where, bool(coupled), bool(log), grads)
    shape = np.shape(logits)
    return (
        None if relaxed_cotangent is None else grads[0].reshape(shape),
        None if conditional_cotangent is None else grads[1].reshape(shape),
    )


def _replay(logits, given, temperature, rng, row_offset, sample_offset):
    """Return rows, (S, N, K) cotangents, and where and how to draw the forward call's noise."""
    key = replayed_key(rng).kernel_words
    rows, batch = _validate.rows(logits)
    full = (*batch, rows.shape[1])
    count, cotangents = _validate.cotangents(given, full, rows.dtype, rows.shape)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    return rows, cotangents, ((key, sample, first), _validate.scale(rows.dtype, temperature))
