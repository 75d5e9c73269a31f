"""The binary Concrete distribution: relaxations of Bernoulli sites, one logit each.

With logistic noise L, ``x = [logits + L > 0]`` is a Bernoulli sample and ``sigmoid((logits + L) /
temperature)`` its relaxation. These are functions of `fastgrad.bernoulli`, which see for infinite
logits.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad.distributions.concrete import empty_relaxation
from fastgrad.kernels.distributions import binary_concrete as _kernels
from fastgrad.random import as_key, replayed_key

__all__ = [
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
    site_offset=0,
    sample_offset=0,
    out=None,
):
    """Draw from the binary Concrete distribution: sigmoid((logits + logistic noise) / temperature).

    Parameters
    ----------
    logits, num_samples, rng, site_offset, sample_offset, out
        As for `sample`.
    temperature : float
        Above 0. Near 0 samples round to 0 or 1: `log` keeps them exact.
    hard : bool
        Return `sample` as numbers of the logits' dtype instead (straight-through:
        `gumbel_softmax_vjp` is its gradient).
    log : bool
        Return the log odds of the relaxed sample, (logits + noise) / temperature.

    Returns
    -------
    array, shape (S, *batch), or (*batch) without num_samples
        Strictly above 1/2 (for `log`, above 0) where `sample` of the same key is 1, else below.

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
    if hard and log:
        raise ValueError(
            "log=True does not go with hard=True: a sample of 0 or 1 has no finite log odds"
        )
    sites, batch = _validate.sites(logits)
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(site_offset, sample_offset, count, "site_offset")
    where = (as_key(rng).kernel_words, sample, first), _validate.scale(sites.dtype, temperature)
    out = _validate.output(out, (*lead, *batch), sites.dtype)
    mode = _kernels.HARD if hard else _kernels.LOG if log else _kernels.SOFT
    _kernels.gumbel_softmax(sites, *where, mode, out.reshape(count, sites.size))
    return out


def gumbel_softmax_vjp(
    logits, cotangent, *, temperature, rng, log=False, site_offset=0, sample_offset=0
):
    """Product of a cotangent with the Jacobian of `gumbel_softmax`, summed over samples.

    Parameters
    ----------
    logits : array, shape (*batch)
    cotangent : array, shape (S, *batch) or (*batch)
        Derivative of a loss with respect to the relaxed (for `log`, log odds) or hard samples.
    temperature, rng, log, site_offset, sample_offset
        As in the forward call; rng not a Generator, whose state has moved on.

    Returns
    -------
    array, shape (*batch)

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> y = fg.bernoulli.gumbel_softmax(np.zeros(4), temperature=2.0, rng=0)
    >>> g = fg.bernoulli.gumbel_softmax_vjp(np.zeros(4), np.ones(4), temperature=2.0, rng=0)
    >>> bool(np.allclose(g, y * (1 - y) / 2))
    True
    """
    given = {"cotangent": cotangent}
    return _products(logits, given, temperature, rng, False, log, site_offset, sample_offset)[0]


def relax(
    logits,
    *,
    temperature,
    num_samples=None,
    rng,
    coupled=False,
    log=False,
    site_offset=0,
    sample_offset=0,
    out=None,
):
    """Draw samples x with their relaxation, conditional relaxation and score, in one pass.

    Given x, the noise is drawn again: ``z~ = log1p(v / (1 - v) / (1 - p))`` for x = 1 and
    ``z~ = -log1p(v / (1 - v) / p)`` for x = 0, with v uniform and p = sigmoid(logits).

    Parameters
    ----------
    logits, temperature, num_samples, rng, site_offset, sample_offset
        As for `gumbel_softmax`.
    coupled : bool
        Recover the conditional noise from the forward noise instead of drawing it: `conditional`
        then equals `relaxed`, and only its derivative (`relax_vjp`) differs.
    log : bool
        Return the log odds of the two relaxations: exact at temperatures near 0.
    out : Relaxation, optional
        Arrays to write in.

    Returns
    -------
    Relaxation
        Each of shape (S, *batch), or (*batch) without num_samples. Both relaxations are strictly
        above 1/2 (for `log`, above 0) where x is 1, below where it is 0.

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
    sites, batch = _validate.sites(logits)
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(site_offset, sample_offset, count, "site_offset")
    where = (as_key(rng).kernel_words, sample, first), _validate.scale(sites.dtype, temperature)
    shape = (*lead, *batch)
    result = empty_relaxation(out, shape, shape, sites.dtype)
    x, *others = (a.reshape(count, sites.size) for a in result)
    _kernels.relax(sites, *where, bool(coupled), bool(log), x, tuple(others))
    return result


def relax_vjp(
    logits,
    relaxed_cotangent=None,
    conditional_cotangent=None,
    *,
    temperature,
    rng,
    coupled=False,
    log=False,
    site_offset=0,
    sample_offset=0,
):
    """Products of cotangents with the Jacobians of both relaxations, summed over samples.

    The noise is drawn again from the key and held constant: ``d z~ / d logits`` is
    ``sigmoid(logits) (1 - exp(-z~))`` for x = 1, ``sigmoid(-logits) (1 - exp(z~))`` for x = 0.

    Parameters
    ----------
    logits : array, shape (*batch)
    relaxed_cotangent, conditional_cotangent : array, shape (S, *batch) or (*batch), or None
        Derivatives of a loss with respect to `relaxed` and `conditional`.
    temperature, rng, coupled, log, site_offset, sample_offset
        As in the forward call; rng not a Generator, whose state has moved on.

    Returns
    -------
    grad_through_relaxed, grad_through_conditional : array, shape (*batch), or None
        None where no cotangent was given.

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
    given = {"relaxed_cotangent": relaxed_cotangent, "conditional_cotangent": conditional_cotangent}
    return _products(logits, given, temperature, rng, coupled, log, site_offset, sample_offset)


def _products(logits, given, temperature, rng, coupled, log, site_offset, sample_offset):
    """Return the product of each cotangent, or None: of `relaxed`, then of `conditional`."""
    key = replayed_key(rng).kernel_words
    sites, batch = _validate.sites(logits)
    count, cotangents = _validate.cotangents(given, batch, sites.dtype)
    first, sample = _validate.offsets(site_offset, sample_offset, count, "site_offset")
    where = (key, sample, first), _validate.scale(sites.dtype, temperature)
    given = [*given.values(), None][:2]
    cotangents += [cotangents[0][:0]] * (2 - len(cotangents))
    grads = tuple(np.zeros(0 if r is None else sites.size, sites.dtype) for r in given)
    _kernels.relax_vjp(sites, tuple(cotangents), *where, bool(coupled), bool(log), grads)
    return tuple(None if r is None else g.reshape(batch) for r, g in zip(given, grads))
