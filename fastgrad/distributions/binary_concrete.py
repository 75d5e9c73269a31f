"""The binary Concrete distribution: relaxations of Bernoulli variables, one logit each.

With logistic noise L, ``x = [logits + L > 0]`` is a Bernoulli sample and ``sigmoid((logits + L) /
temperature)`` its relaxation. These are functions of `fastgrad.bernoulli`, whose head says what
infinite logits mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad import _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.concrete import Relaxation, empty_relaxation
from fastgrad.kernels.distributions import binary_concrete as _kernels
from fastgrad.random import RNG, as_key, replayed_key

__all__ = [
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
    site_offset: int = 0,
    sample_offset: int = 0,
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw from the binary Concrete distribution: sigmoid((logits + logistic noise) / temperature).

    Parameters
    ----------
    logits, num_samples, rng, site_offset, sample_offset, out
        As in `sample`; out has the dtype of the logits.
    temperature : float or array
        Divisor of the perturbed logits, from 2**-60 to 2**60: one for all variables, or an array of
        them that broadcasts to the shape of the logits. Near 0 the samples round to 0 or 1: their
        log odds (`log`) remain exact.
    hard : bool
        Return the samples of `sample` instead, in the dtype of the logits. Their straight-through
        gradient is `gumbel_softmax_vjp`.
    log : bool
        Return the log odds of the relaxed samples, (logits + noise) / temperature.

    Returns
    -------
    array, shape (S, *batch), or (*batch) without num_samples
        Strictly above 1/2 (for `log`, above 0) where `sample` under the same key is 1, else below.

    Raises
    ------
    ValueError
        If the logits hold NaN, a temperature is out of its range, or temperatures do not broadcast
        to the shape of the logits.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> y = fg.bernoulli.gumbel_softmax(np.zeros(4), temperature=0.5, num_samples=10, rng=0)
    >>> bool(((y > 0.5) == fg.bernoulli.sample(np.zeros(4), num_samples=10, rng=0)).all())
    True

    References
    ----------
    Maddison, Mnih and Teh, "The Concrete distribution", ICLR 2017, appendix B.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(gumbel_softmax, logits, locals())
    if hard and log:
        raise ValueError(
            "log=True does not go with hard=True: a sample of 0 or 1 has no finite log odds"
        )
    sites, batch = _validate.sites(logits)
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(site_offset, sample_offset, count, "site_offset")
    scale = _validate.scales(sites.dtype, temperature, batch)
    where = (as_key(rng).kernel_words, sample, first), scale
    out = _outputs.output(out, (*lead, *batch), sites.dtype, sites)
    mode = _kernels.HARD if hard else _kernels.LOG if log else _kernels.SOFT
    _kernels.gumbel_softmax(sites, *where, mode, out.reshape(count, sites.size))
    return out


def gumbel_softmax_vjp(
    logits: ArrayLike,
    cotangent: ArrayLike,
    *,
    temperature: ArrayLike,
    rng: RNG,
    log: bool = False,
    site_offset: int = 0,
    sample_offset: int = 0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `gumbel_softmax`, and sum over samples.

    The noise is drawn again from the key, never stored.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of the outcome 1, as in the forward call.
    cotangent : array, shape (S, *batch) or (*batch)
        Derivative of a loss with respect to the relaxed samples (to their log odds for `log`), or
        with respect to hard samples, for the straight-through estimate.
    temperature, rng, log, site_offset, sample_offset
        As in the forward call. A Generator is refused as rng: its state has moved on.

    Returns
    -------
    array, shape (*batch)
        Gradient with respect to the logits, in their dtype; 0 where a logit is infinite.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> y = fg.bernoulli.gumbel_softmax(np.zeros(4), temperature=2.0, rng=0)
    >>> g = fg.bernoulli.gumbel_softmax_vjp(np.zeros(4), np.ones(4), temperature=2.0, rng=0)
    >>> bool(np.allclose(g, y * (1 - y) / 2))
    True
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(gumbel_softmax_vjp, logits, locals())
    given = {"cotangent": cotangent}
    return _products(logits, given, temperature, rng, False, log, site_offset, sample_offset)[0]


def relax(
    logits: ArrayLike,
    *,
    temperature: ArrayLike,
    num_samples: int | None = None,
    rng: RNG,
    coupled: bool = False,
    log: bool = False,
    site_offset: int = 0,
    sample_offset: int = 0,
    out: Relaxation | None = None,
) -> Relaxation:
    """Draw samples x with their relaxation, conditional relaxation and score, in one pass.

    Given x, the perturbed logits z~ are drawn again: ``z~ = log1p(v / (1 - v) / (1 - p))`` for
    x = 1 and ``z~ = -log1p(v / (1 - v) / p)`` for x = 0, with v uniform and p = sigmoid(logits).

    Parameters
    ----------
    logits, temperature, num_samples, rng, site_offset, sample_offset
        As in `gumbel_softmax`.
    coupled : bool
        Recover the conditional noise from the forward noise instead of drawing it: `conditional`
        then equals `relaxed`, and only its derivative (`relax_vjp`) differs.
    log : bool
        Return the log odds of both relaxations, which remain exact at temperatures near 0.
    out : Relaxation, optional
        Arrays to write in.

    Returns
    -------
    Relaxation
        Named tuple of `sample`, `relaxed`, `conditional` and `score`, each of shape (S, *batch), or
        (*batch) without num_samples. Both relaxations are strictly above 1/2 (for `log`, above 0)
        where x is 1, and below where it is 0.

    Raises
    ------
    ValueError
        If the logits hold NaN, a temperature is out of its range, or temperatures do not broadcast
        to the shape of the logits.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> r = fg.bernoulli.relax(np.zeros(4), temperature=0.5, num_samples=10, rng=0)
    >>> bool(((r.conditional > 0.5) == r.sample).all())
    True

    References
    ----------
    Tucker et al., "REBAR", NeurIPS 2017, appendix. Grathwohl et al., "Backpropagation through the
    void", ICLR 2018, appendix B.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(relax, logits, locals())
    sites, batch = _validate.sites(logits)
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(site_offset, sample_offset, count, "site_offset")
    scale = _validate.scales(sites.dtype, temperature, batch)
    where = (as_key(rng).kernel_words, sample, first), scale
    shape = (*lead, *batch)
    result = empty_relaxation(out, shape, shape, sites)
    x, *others = (a.reshape(count, sites.size) for a in result)
    _kernels.relax(sites, *where, bool(coupled), bool(log), x, tuple(others))
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
    site_offset: int = 0,
    sample_offset: int = 0,
) -> tuple[FloatArray | None, FloatArray | None]:
    """Multiply cotangents with the Jacobians of both relaxations of `relax`, and sum over samples.

    The noise is drawn again from the key and held constant. The derivative of the perturbed logits
    z~ given x is ``sigmoid(logits) (1 - exp(-z~))`` for x = 1, and for x = 0 it is
    ``sigmoid(-logits) (1 - exp(z~))``.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of the outcome 1, as in the forward call.
    relaxed_cotangent, conditional_cotangent : array, shape (S, *batch) or (*batch), or None
        Derivatives of a loss with respect to `relaxed` and `conditional`.
    temperature, rng, coupled, log, site_offset, sample_offset
        As in the forward call. A Generator is refused as rng: its state has moved on.

    Returns
    -------
    grad_through_relaxed, grad_through_conditional : array, shape (*batch), or None
        Gradients with respect to the logits, in their dtype; None where no cotangent was given.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, key = np.zeros(4), fg.Key(0)
    >>> r = fg.bernoulli.relax(logits, temperature=0.5, rng=key)
    >>> g, h = fg.bernoulli.relax_vjp(
    ...     logits, r.relaxed, r.conditional, temperature=0.5, rng=key
    ... )
    >>> g.shape, h.shape
    ((4,), (4,))
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(relax_vjp, logits, locals())
    given = {"relaxed_cotangent": relaxed_cotangent, "conditional_cotangent": conditional_cotangent}
    return _products(logits, given, temperature, rng, coupled, log, site_offset, sample_offset)


def _products(
    logits, given, temperature, rng, coupled, log, site_offset, sample_offset
) -> tuple[Any, ...]:
    """Return the product of each cotangent, or None: of `relaxed`, then of `conditional`."""
    key = replayed_key(rng).kernel_words
    sites, batch = _validate.sites(logits)
    count, cotangents = _validate.cotangents(given, batch, sites.dtype)
    first, sample = _validate.offsets(site_offset, sample_offset, count, "site_offset")
    where = (key, sample, first), _validate.scales(sites.dtype, temperature, batch)
    given = [*given.values(), None][:2]
    cotangents += [cotangents[0][:0]] * (2 - len(cotangents))
    grads = tuple(np.zeros(0 if r is None else sites.size, sites.dtype) for r in given)
    _kernels.relax_vjp(sites, tuple(cotangents), *where, bool(coupled), bool(log), grads)
    return tuple(None if r is None else g.reshape(batch) for r, g in zip(given, grads))
