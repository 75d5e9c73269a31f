"""Multinomial variables."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray, IntArray
from fastgrad.distributions import categorical
from fastgrad.distributions.counts.panjer import LARGEST, Alternatives
from fastgrad.distributions.structured.base import Structured, having
from fastgrad.kernels.tiles import features as _features
from fastgrad.random import RNG, Key, as_key

__all__ = ["Multinomial"]


@dataclasses.dataclass(frozen=True, eq=False)
class Multinomial(Structured):
    """Independent multinomial variables: how often each of K categories comes up in n draws.

    Samples are counts of sum n, int32, shape (S, *batch, K); f sees them in the dtype of the
    logits. Each sample is made of n draws of `fastgrad.sample`, and takes as long as these.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64. A category with logit -inf has
        probability zero.
    total_count : int
        Number n of draws, at least 1.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first row in a larger batch, of which samples are then a part.

    Raises
    ------
    ValueError
        If logits hold NaN or +inf, or a row of nothing but -inf, or n is out of range.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.counts.Multinomial(np.zeros(3), 4)
    >>> f = lambda x: (x == 0).sum(axis=-1)  # how many categories never come up
    >>> float(fg.exact.value(f, d).round(6))
    0.592593
    >>> fg.estimator("rloo")(f, d, num_samples=100, rng=0).grad.shape
    (3,)
    """

    logits: FloatArray
    total_count: int
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    lacks: ClassVar[Mapping[str, str]] = {
        **having(Structured.lacks, "score_jvp"),
        "conditional": "its counts are sums of many draws, none of which the sum tells",
        "relaxation": "its counts are sums of many draws: relax these, as Categorical",
    }

    def __post_init__(self, copy: bool) -> None:
        rows, batch = _validate.rows(self.logits)
        _validate.integer(self.total_count, "total_count", 1, int(LARGEST))
        self._keep(rows.reshape(*batch, rows.shape[1]), copy)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is K counts."""
        return self.logits.shape[:-1]

    @property
    def num_outcomes(self) -> int:
        """Number of ways in which n draws fall into K categories."""
        k = self.logits.shape[-1]
        return math.comb(self.total_count + k - 1, k - 1)

    def table(self) -> Array:
        """Return all counts of sum n, shape (num_outcomes, K)."""
        self._require_few()
        return _compositions(self.total_count, self.logits.shape[-1])

    def features(self, z: Any) -> FloatArray:
        """Return counts z as numbers of the dtype of the logits."""
        return z.astype(self.logits.dtype)

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> IntArray:
        """Draw counts.

        Parameters
        ----------
        num_samples : int, optional
            Number of samples S. None draws one sample, without a leading axis.
        rng : int, SeedSequence, Generator or Key
            Source of the randomness; the same seed or key gives the same samples.
        **options
            `sample_offset`, the index of the first sample in a larger batch.

        Returns
        -------
        array of int32, shape (S, *batch, K), or (*batch, K) without num_samples
        """
        return self._sample(num_samples, as_key(rng), self.total_count, **options)

    def _sample(
        self, num_samples: int | None, key: Key, n: int, *, sample_offset: int = 0
    ) -> IntArray:
        count, lead = _validate.samples(num_samples)
        k, rows = self.logits.shape[-1], self.num_variables
        z = np.zeros((count, *self.logits.shape), np.int32)
        if n and z.size:
            options: dict[str, Any] = {"row_offset": self.row_offset, "rng": key}
            first = sample_offset * n
            drawn = categorical.sample(
                self.logits, num_samples=count * n, sample_offset=first, **options
            )
            places = np.arange(count * rows).reshape(count, 1, rows) * k
            flat = drawn.reshape(count, n, rows) + places
            z = np.bincount(flat.reshape(-1), minlength=z.size).astype(np.int32).reshape(z.shape)
        return z.reshape(*lead, *self.logits.shape)

    def log_prob(self, z: ArrayLike) -> FloatArray:
        """Return the log probability of counts z, shape (*batch) or (S, *batch)."""
        import scipy.special  # takes longer to import than all the rest

        x = self._checked(z)
        log_p = categorical.log_softmax(self.logits.astype(np.float64))
        terms = np.where(x > 0, x * np.where(np.isneginf(log_p), 0, log_p), 0)
        terms = np.where((x > 0) & np.isneginf(log_p), -np.inf, terms)
        ways = scipy.special.gammaln(self.total_count + 1) - scipy.special.gammaln(x + 1).sum(-1)
        return (ways + terms.sum(axis=-1)).astype(self.logits.dtype)

    def score(self, z: ArrayLike) -> FloatArray:
        """Return the gradient of the log probability by the logits: z - n p."""
        return (self._checked(z) - self.total_count * self._p).astype(self.logits.dtype)

    def _checked(self, z: ArrayLike) -> Array:
        """Return counts z as float64, if they are counts of sum n."""
        z, shape = _validate.array(z, "z"), self.logits.shape
        if z.dtype.kind not in "iu":
            raise TypeError(f"z must hold integers, got dtype {z.dtype}")
        if z.shape != shape and z.shape[1:] != shape:
            raise ValueError(f"z must have shape {shape} or (S, *{shape}), got {z.shape}")
        if z.size and (z.min() < 0 or (z.sum(axis=-1) != self.total_count).any()):
            raise ValueError(f"z must hold counts of sum {self.total_count}")
        return z.astype(np.float64)

    @functools.cached_property
    def _p(self) -> FloatArray:
        """Probabilities of the categories, in float64."""
        rows = self.rows.astype(np.float64)
        p = np.empty_like(rows)
        _features.softmax(_validate.frozen(rows), p)
        return _validate.frozen(p.reshape(self.logits.shape))

    def mean(self) -> FloatArray:
        """Return the mean of the counts: n p."""
        return (self.total_count * self._p).astype(self.logits.dtype)

    def mean_vjp(self, cotangent: ArrayLike) -> FloatArray:
        """Return the product of a cotangent, (*batch, K), with the Jacobian of the mean."""
        dtype, p = self.logits.dtype, self._p
        r = _validate.like(cotangent, self.logits.shape, dtype, "cotangent").astype(np.float64)
        centred = r - (p * r).sum(axis=-1, keepdims=True)
        return (self.total_count * p * centred).astype(dtype)

    def weak_derivative(self, num_samples: int, key: Key, offset: int = 0) -> Alternatives:
        """Draw counts Y of n - 1 draws, and return them with one more of each category.

        The derivative of E[f] by logit k is n p_k times E[f(Y + e_k)], less its mean over k.
        """
        y = self._sample(num_samples, key, self.total_count - 1, sample_offset=offset)
        p, k = self._p, self.logits.shape[-1]
        one = np.eye(k, dtype=np.int32).reshape(k, *(1,) * (y.ndim - 1), k)
        eye = np.eye(k).reshape(k, *(1,) * (p.ndim - 1), k)
        coefficients = self.total_count * p * (eye - np.moveaxis(p, -1, 0)[..., None])
        return Alternatives(y + one, coefficients)


@functools.lru_cache(maxsize=8)
def _compositions(n: int, k: int) -> Array:
    """Return all k counts of sum n, (number, k): where k - 1 bars stand among n stars."""
    bars = np.array(list(itertools.combinations(range(n + k - 1), k - 1)), np.int64)
    bars = bars.reshape(-1, k - 1)
    left, right = np.full((len(bars), 1), -1), np.full((len(bars), 1), n + k - 1)
    z = np.diff(np.concatenate([left, bars, right], axis=1), axis=1) - 1
    return _validate.frozen(z.astype(np.int32))
