"""Bernoulli sites, one logit each: samples in {0, 1}, and their relaxations in (0, 1).

With logistic noise L, ``z = logits + L`` gives the sample ``x = [z > 0]``, of probability
``sigmoid(logits)``, and its relaxation ``sigmoid(z / temperature)``. All functions here share that
noise: under one key their samples agree. A logit of -inf means x = 0 surely, of inf x = 1 surely;
gradients are 0 there.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate
from fastgrad.distributions.binary_concrete import (
    gumbel_softmax,
    gumbel_softmax_vjp,
    relax,
    relax_vjp,
)
from fastgrad.distributions.binary_density import concrete_log_prob, exp_concrete_log_prob
from fastgrad.kernels.distributions import bernoulli as _kernels
from fastgrad.random import as_key

__all__ = [
    "Bernoulli",
    "concrete_log_prob",
    "entropy",
    "exp_concrete_log_prob",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "kl_divergence",
    "log_prob",
    "relax",
    "relax_vjp",
    "sample",
    "score",
]


def sample(logits, *, num_samples=None, rng, site_offset=0, sample_offset=0, out=None):
    """Draw samples: 1 with probability sigmoid(logits), else 0.

    Parameters
    ----------
    logits : array, shape (*batch)
        float32 or float64; infinite where the outcome is certain. Probabilities are exact to 2**-33
        (float32) or 2**-65 (float64), and the rounding of the logits.
    num_samples : int, optional
        S; None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
    site_offset, sample_offset : int
        Where sites (of the flattened batch) and samples stand in the whole: chunks join to what one
        call would give.
    out : array of int32, optional

    Returns
    -------
    array of int32, shape (S, *batch), or (*batch) without num_samples

    Raises
    ------
    ValueError
        If logits hold NaN.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = fg.bernoulli.sample(np.array([0.0, 2.2, np.inf]), num_samples=1000, rng=0)
    >>> x.shape, x.mean(axis=0).round(1)
    ((1000, 3), array([0.5, 0.9, 1. ]))
    """
    sites, batch = _validate.sites(logits)
    count, lead = _validate.samples(num_samples)
    site_offset = _validate.integer(site_offset, "site_offset", 0, 2**40)
    sample_offset = _validate.integer(sample_offset, "sample_offset", 0, 2**32 - count)
    out = _validate.output(out, (*lead, *batch), np.dtype(np.int32))
    key = as_key(rng).kernel_words
    flat = out.reshape(count, sites.size)
    _kernels.sample(sites, (key, sample_offset, site_offset), flat)
    return out


def log_prob(logits, x):
    """Log probability of samples.

    Parameters
    ----------
    logits : array, shape (*batch)
    x : array of int, shape (*batch) or (S, *batch)

    Returns
    -------
    array, the shape of x
        -inf for what an infinite logit excludes.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.bernoulli.log_prob(np.log(3.0), np.array([0, 1]))
    array([-1.38629436, -0.28768207])
    """
    return _of_samples(_kernels.log_prob, logits, x, None)


def score(logits, x, *, out=None):
    """Gradient of the log probability with respect to logits: x - sigmoid(logits).

    Parameters
    ----------
    logits : array, shape (*batch)
    x : array of int, shape (*batch) or (S, *batch)
    out : array, optional

    Returns
    -------
    array, the shape of x

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.bernoulli.score(np.log(3.0), np.array([0, 1]))
    array([-0.75,  0.25])
    """
    return _of_samples(_kernels.score, logits, x, out)


def entropy(logits):
    """Entropy in nats of each site.

    Parameters
    ----------
    logits : array, shape (*batch)

    Returns
    -------
    array, shape (*batch)

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.bernoulli.entropy(np.array([0.0, np.inf]))
    array([0.69314718, 0. ])
    """
    sites, batch = _validate.sites(logits)
    out = np.empty(batch, sites.dtype)
    _kernels.entropy(sites, out.reshape(-1))
    return out


def kl_divergence(p_logits, q_logits):
    """Kullback-Leibler divergence in nats of each site, sum p (log p - log q).

    Parameters
    ----------
    p_logits, q_logits : array, shape (*batch)
        Of one shape and dtype.

    Returns
    -------
    array, shape (*batch)
        inf where p allows an outcome that an infinite logit of q excludes.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.bernoulli.kl_divergence(np.array(0.0), np.log(3.0)).round(4))
    0.1438
    """
    p, batch = _validate.sites(p_logits, "p_logits")
    q, q_batch = _validate.sites(q_logits, "q_logits")
    if (batch, p.dtype) != (q_batch, q.dtype):
        raise ValueError(
            f"q_logits must have the shape and dtype of p_logits, {batch} {p.dtype}, "
            f"got {q_batch} {q.dtype}"
        )
    out = np.empty(batch, p.dtype)
    _kernels.kl_divergence(p, q, out.reshape(-1))
    return out


@dataclasses.dataclass(frozen=True, eq=False)
class Bernoulli:
    """Independent Bernoulli sites, the functions of this module bound to their logits.

    Parameters
    ----------
    logits : array, shape (*batch)

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.Bernoulli(np.zeros(3, np.float32))
    >>> d.batch_shape, d.sample(num_samples=5, rng=0).shape
    ((3,), (5, 3))
    """

    logits: np.ndarray

    def __post_init__(self):
        sites, batch = _validate.sites(self.logits)
        object.__setattr__(self, "logits", sites.reshape(batch))

    @property
    def batch_shape(self):
        """Shape of a sample."""
        return self.logits.shape

    def sample(self, *, num_samples=None, rng, **options):
        """Draw samples: see `fastgrad.bernoulli.sample`."""
        return sample(self.logits, num_samples=num_samples, rng=rng, **options)

    def log_prob(self, x):
        """Log probability of samples: see `fastgrad.bernoulli.log_prob`."""
        return log_prob(self.logits, x)

    def score(self, x):
        """Gradient of the log probability: see `fastgrad.bernoulli.score`."""
        return score(self.logits, x)

    def entropy(self):
        """Entropy in nats: see `fastgrad.bernoulli.entropy`."""
        return entropy(self.logits)


def _of_samples(kernel, logits, x, out):
    """Return what a kernel makes of logits and samples x, in the shape of x."""
    sites, batch = _validate.sites(logits)
    flat, shape = _validate.categories(x, batch, 2, "x")
    out = _validate.output(out, shape, sites.dtype)
    kernel(sites, flat, out.reshape(flat.shape))
    return out
