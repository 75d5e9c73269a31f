"""Bernoulli sites, one logit each: samples in {0, 1}, and their relaxations in (0, 1).

With logistic noise L, ``z = logits + L`` gives the sample ``x = [z > 0]``, of probability
``sigmoid(logits)``, and its relaxation ``sigmoid(z / temperature)``. All functions here share that
noise: under one key their samples agree. A logit of -inf means x = 0 surely, of inf x = 1 surely;
gradients are 0 there.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from fastgrad import _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions.bernoulli_entropy import (
    entropy,
    entropy_vjp,
    kl_divergence,
    kl_divergence_vjp,
)
from fastgrad.distributions.binary_concrete import (
    gumbel_softmax,
    gumbel_softmax_vjp,
    relax,
    relax_vjp,
)
from fastgrad.distributions.binary_density import concrete_log_prob, exp_concrete_log_prob
from fastgrad.distributions.concrete import Relaxation
from fastgrad.distributions.discrete import Discrete
from fastgrad.distributions.hard_concrete import (
    hard_concrete,
    hard_concrete_active,
    hard_concrete_active_vjp,
    hard_concrete_vjp,
)
from fastgrad.distributions.structured.copula_bernoulli import CopulaBernoulli
from fastgrad.kernels.distributions import bernoulli as _kernels
from fastgrad.random import RNG, as_key

__all__ = [
    "Bernoulli",
    "CopulaBernoulli",
    "concrete_log_prob",
    "entropy",
    "entropy_vjp",
    "exp_concrete_log_prob",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "hard_concrete",
    "hard_concrete_active",
    "hard_concrete_active_vjp",
    "hard_concrete_vjp",
    "kl_divergence",
    "kl_divergence_vjp",
    "log_prob",
    "relax",
    "relax_vjp",
    "sample",
    "score",
]


def sample(
    logits: ArrayLike,
    *,
    num_samples: int | None = None,
    rng: RNG,
    site_offset: int = 0,
    sample_offset: int = 0,
    out: IntArray | None = None,
) -> IntArray:
    """Draw samples: 1 with probability sigmoid(logits), else 0.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of the outcome 1, float32 or float64; infinite where the outcome is certain. The
        probabilities are exact to 2**-33 (float32) or 2**-65 (float64) and the rounding of the
        logits.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness; the same seed or key gives the same samples.
    site_offset, sample_offset : int
        Index of the first variable (of the flattened batch) and of the first sample in a larger
        batch: chunked calls with the right offsets equal one call.
    out : array of int32, optional
        Array to write the samples in, C-contiguous and of the result's shape.

    Returns
    -------
    array of int32, shape (S, *batch), or (*batch) without num_samples

    Raises
    ------
    ValueError
        If the logits hold NaN.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = fg.bernoulli.sample(np.array([0.0, 2.2, np.inf]), num_samples=1000, rng=0)
    >>> x.shape, x.mean(axis=0).round(1)
    ((1000, 3), array([0.5, 0.9, 1. ]))
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(sample, logits, locals())
    sites, batch = _validate.sites(logits)
    count, lead = _validate.samples(num_samples)
    site_offset, sample_offset = _validate.offsets(site_offset, sample_offset, count, "site_offset")
    out = _outputs.output(out, (*lead, *batch), np.dtype(np.int32), sites)
    key = as_key(rng).kernel_words
    flat = out.reshape(count, sites.size)
    _kernels.sample(sites, (key, sample_offset, site_offset), flat)
    return out


def log_prob(logits: ArrayLike, x: ArrayLike) -> FloatArray:
    """Compute the log probability of samples.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of the outcome 1, float32 or float64.
    x : array of int, shape (*batch) or (S, *batch)
        Outcomes, each 0 or 1.

    Returns
    -------
    array, the shape of x
        In the dtype of the logits; -inf for an outcome that an infinite logit excludes.

    Raises
    ------
    ValueError
        If the logits hold NaN, or x holds other numbers than 0 and 1 or has another shape.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.bernoulli.log_prob(np.log(3.0), np.array([0, 1]))
    array([-1.38629436, -0.28768207])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(log_prob, logits, locals())
    return _of_samples(_kernels.log_prob, logits, x, None)


def score(logits: ArrayLike, x: ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
    """Compute the gradient of the log probability by the logits: x - sigmoid(logits).

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of the outcome 1, float32 or float64.
    x : array of int, shape (*batch) or (S, *batch)
        Outcomes, each 0 or 1.
    out : array, optional
        Array to write the scores in, of the shape of x and the dtype of the logits.

    Returns
    -------
    array, the shape of x

    Raises
    ------
    ValueError
        If the logits hold NaN, or x holds other numbers than 0 and 1 or has another shape.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.bernoulli.score(np.log(3.0), np.array([0, 1]))
    array([-0.75,  0.25])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(score, logits, locals())
    return _of_samples(_kernels.score, logits, x, out)


@dataclasses.dataclass(frozen=True, eq=False)
class Bernoulli(Discrete):
    """Independent Bernoulli variables, given by their logits.

    Its methods are the functions of `fastgrad.bernoulli` with these logits. Samples are 0 or 1,
    shape (S, *batch); their features are the same numbers in the dtype of the logits.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of 1 against 0, float32 or float64; infinite where the outcome is certain.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first variable in a larger batch, of which samples are then a part.

    Attributes
    ----------
    logits : array, shape (*batch)
        Read-only.

    Raises
    ------
    ValueError
        If logits hold NaN.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.Bernoulli(np.zeros(3, np.float32))
    >>> d.batch_shape, d.sample(num_samples=5, rng=0).shape
    ((3,), (5, 3))
    """

    logits: FloatArray
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    single_logit = True

    def __post_init__(self, copy: bool) -> None:
        sites, batch = _validate.sites(self.logits)
        self._keep(sites.reshape(batch), copy)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of one sample: one bit for each variable."""
        return self.logits.shape

    @property
    def num_outcomes(self) -> int:
        """Number of outcomes of each variable: 2."""
        return 2

    def features(self, z: IntArray) -> FloatArray:
        """Return samples z, shape (S, *batch), as numbers of the dtype of the logits."""
        return z.astype(self.logits.dtype)

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> IntArray:
        """Draw samples: see `fastgrad.bernoulli.sample`."""
        options = self._placed(options, "site_offset")
        return sample(self.logits, num_samples=num_samples, rng=rng, **options)

    def log_prob(self, x: ArrayLike) -> FloatArray:
        """Log probability of samples: see `fastgrad.bernoulli.log_prob`."""
        return log_prob(self.logits, x)

    def score(self, x: ArrayLike) -> FloatArray:
        """Gradient of the log probability by the logits: see `fastgrad.bernoulli.score`."""
        return score(self.logits, x)

    def entropy(self) -> FloatArray:
        """Entropy in nats of each variable: see `fastgrad.bernoulli.entropy`."""
        return entropy(self.logits)

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed samples: see `fastgrad.bernoulli.gumbel_softmax`."""
        options = self._placed(options, "site_offset")
        return gumbel_softmax(self.logits, temperature=temperature, rng=rng, **options)

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Vector-Jacobian product: see `fastgrad.bernoulli.gumbel_softmax_vjp`."""
        options = self._placed(options, "site_offset")
        return gumbel_softmax_vjp(self.logits, cotangent, **options)

    def relax(self, *, temperature: float, rng: RNG, **options: Any) -> Relaxation:
        """Draw samples with their relaxations: see `fastgrad.bernoulli.relax`."""
        options = self._placed(options, "site_offset")
        return relax(self.logits, temperature=temperature, rng=rng, **options)

    def relax_vjp(self, *cotangents: ArrayLike | None, **options: Any) -> Any:
        """Vector-Jacobian products of both relaxations: see `fastgrad.bernoulli.relax_vjp`."""
        options = self._placed(options, "site_offset")
        return relax_vjp(self.logits, *cotangents, **options)


def _of_samples(kernel, logits, x, out):
    """Return what a kernel makes of logits and samples x, in the shape of x."""
    sites, batch = _validate.sites(logits)
    flat, shape = _validate.categories(x, batch, 2, "x")
    out = _outputs.output(out, shape, sites.dtype, sites, flat)
    kernel(sites, flat, out.reshape(flat.shape))
    return out
