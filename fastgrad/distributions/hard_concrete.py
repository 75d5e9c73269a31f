"""The Hard Concrete distribution: relaxed gates that are exactly 0, or exactly 1, with some chance.

A sample of the binary Concrete distribution is stretched to the interval (low, high), which holds
0 and 1, and clipped to [0, 1]. Gates that may be exactly 0 prune what they multiply, and the
probability that they are not is a smooth penalty on their number. These are functions of
`fastgrad.bernoulli`.
"""

from __future__ import annotations

import math

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.binary_concrete import gumbel_softmax, gumbel_softmax_vjp
from fastgrad.random import RNG, replayed_key

__all__ = [
    "hard_concrete",
    "hard_concrete_active",
    "hard_concrete_active_vjp",
    "hard_concrete_vjp",
]

STRETCH = (-0.1, 1.1)  # of Louizos et al. 2018
TEMPERATURE = 2 / 3  # likewise


def hard_concrete(
    logits: ArrayLike,
    *,
    temperature: ArrayLike = TEMPERATURE,
    stretch: tuple[float, float] = STRETCH,
    num_samples: int | None = None,
    rng: RNG,
    site_offset: int = 0,
    sample_offset: int = 0,
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw from the Hard Concrete distribution: a stretched binary Concrete sample, clipped.

    Parameters
    ----------
    logits, temperature, num_samples, rng, site_offset, sample_offset, out
        As in `gumbel_softmax`, whose samples y are stretched.
    stretch : (float, float)
        The interval (low, high) that (0, 1) is stretched to: low below 0 and high above 1, both
        finite. The sample is ``min(max(low + (high - low) y, 0), 1)``.

    Returns
    -------
    array, shape (S, *batch), or (*batch) without num_samples
        From 0 to 1, in the dtype of the logits. 0 has the probability 1 less
        `hard_concrete_active`.

    Raises
    ------
    ValueError
        If the stretch does not hold 0 and 1; for what `gumbel_softmax` refuses.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> z = fg.bernoulli.hard_concrete(np.zeros(1000), rng=0)
    >>> float((z == 0).mean().round(1)), float((z == 1).mean().round(1))
    (0.2, 0.2)

    References
    ----------
    Louizos, Welling and Kingma, "Learning sparse neural networks through L0 regularization", ICLR
    2018, equations 10 and 11.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(hard_concrete, logits, locals())
    low, high = interval(stretch)
    y = gumbel_softmax(
        logits,
        temperature=temperature,
        num_samples=num_samples,
        rng=rng,
        site_offset=site_offset,
        sample_offset=sample_offset,
        out=out,
    )
    y *= high - low
    y += low
    return np.clip(y, 0, 1, out=y)


def hard_concrete_vjp(
    logits: ArrayLike,
    cotangent: ArrayLike,
    *,
    temperature: ArrayLike = TEMPERATURE,
    stretch: tuple[float, float] = STRETCH,
    rng: RNG,
    site_offset: int = 0,
    sample_offset: int = 0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `hard_concrete`, and sum over samples.

    Samples that were clipped, to 0 or to 1, have the derivative 0. The noise is drawn again from
    the key, never stored.

    Parameters
    ----------
    logits, temperature, stretch, site_offset, sample_offset
        As in the forward call.
    cotangent : array, shape (S, *batch) or (*batch)
        Derivative of a loss with respect to the samples.
    rng : int, SeedSequence or Key
        The seed or key of the forward call. A Generator is refused: its state has moved on.

    Returns
    -------
    array, shape (*batch)
        Gradient with respect to the logits, in their dtype; 0 where a logit is infinite.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, options = np.zeros(4), {"temperature": 2.0, "rng": 0}
    >>> z = fg.bernoulli.hard_concrete(logits, **options)
    >>> y = fg.bernoulli.gumbel_softmax(logits, **options)
    >>> g = fg.bernoulli.hard_concrete_vjp(logits, np.ones(4), **options)
    >>> bool(np.allclose(g, 1.2 * ((z > 0) & (z < 1)) * y * (1 - y) / 2))
    True
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(hard_concrete_vjp, logits, locals())
    key = replayed_key(rng)
    low, high = interval(stretch)
    sites, batch = _validate.sites(logits)
    count, (r,) = _validate.cotangents({"cotangent": cotangent}, batch, sites.dtype)
    x = sites.reshape(batch)
    z = hard_concrete(
        x,
        temperature=temperature,
        stretch=(low, high),
        num_samples=count,
        rng=key,
        site_offset=site_offset,
        sample_offset=sample_offset,
    )
    factor = np.where((z > 0) & (z < 1), z.dtype.type(high - low), z.dtype.type(0))
    factor *= r.reshape(z.shape)
    return gumbel_softmax_vjp(
        x,
        factor,
        temperature=temperature,
        rng=key,
        site_offset=site_offset,
        sample_offset=sample_offset,
    )


def hard_concrete_active(
    logits: ArrayLike,
    *,
    temperature: ArrayLike = TEMPERATURE,
    stretch: tuple[float, float] = STRETCH,
) -> FloatArray:
    """Compute the probability that a gate is not 0: its share of the expected L0 norm.

    Parameters
    ----------
    logits, temperature, stretch
        As in `hard_concrete`.

    Returns
    -------
    array, shape (*batch)
        ``sigmoid(logits - temperature * log(-low / high))``, in the dtype of the logits.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.bernoulli.hard_concrete_active(np.array([-4.0, 0.0, 4.0])).round(3)
    array([0.083, 0.832, 0.996])

    References
    ----------
    Louizos, Welling and Kingma, "Learning sparse neural networks through L0 regularization", ICLR
    2018, equation 12.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(hard_concrete_active, logits, locals())
    shifted = _shifted(logits, temperature, stretch)
    # Both branches of the sigmoid keep their digits; the other one's exponential is not used.
    small = np.exp(-abs(shifted))
    return np.where(shifted < 0, small, 1) / (1 + small)


def hard_concrete_active_vjp(
    logits: ArrayLike,
    cotangent: ArrayLike,
    *,
    temperature: ArrayLike = TEMPERATURE,
    stretch: tuple[float, float] = STRETCH,
) -> FloatArray:
    """Multiply cotangents with the derivatives of `hard_concrete_active`.

    Parameters
    ----------
    logits, temperature, stretch
        As in the forward call.
    cotangent : array, shape (*batch)
        Derivative of a loss with respect to the probabilities.

    Returns
    -------
    array, shape (*batch)
        Gradient with respect to the logits, in their dtype.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.bernoulli.hard_concrete_active_vjp(np.zeros(1), np.ones(1)).round(4)
    array([0.1399])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(hard_concrete_active_vjp, logits, locals())
    shifted = _shifted(logits, temperature, stretch)
    r = _validate.like(cotangent, shifted.shape, shifted.dtype, "cotangent")
    small = np.exp(-abs(shifted))
    return r * (small / (1 + small) ** 2)


def interval(stretch: tuple[float, float]) -> tuple[float, float]:
    """Return low and high as floats, low below 0 and high above 1."""
    try:
        low, high = stretch
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        raise ValueError(f"stretch must be two numbers (low, high), got {stretch!r}") from None
    if not (-math.inf < low < 0 and 1 < high < math.inf):
        raise ValueError(f"stretch must be from below 0 to above 1, got {stretch!r}")
    return low, high


def _shifted(logits: ArrayLike, temperature: ArrayLike, stretch: tuple[float, float]) -> FloatArray:
    """Return the log odds that a gate is not 0."""
    low, high = interval(stretch)
    sites, batch = _validate.sites(logits)
    move = math.log(-low / high) * _validate.temperatures(temperature, batch)
    return (sites.reshape(batch) - move).astype(sites.dtype)
