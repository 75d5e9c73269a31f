"""The distribution over sets of k of K items, for estimators."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions import k_hot, subset_top_k
from fastgrad.distributions.plackett_luce import size
from fastgrad.distributions.structured.base import NO_DIFFERENCE, Structured, having
from fastgrad.random import RNG

__all__ = ["KSubset"]


@dataclasses.dataclass(frozen=True, eq=False)
class KSubset(Structured):
    """Independent sets of k of K items, with probability proportional to the product of exp(logit).

    Samples are k-hot, 1 at the items of the set and 0 elsewhere, and so are their features.
    Estimators ask it for the score (`reinforce`, `rloo`, `vimco`), for all outcomes (`enumerate`,
    `unordered_set` and its kind), for the exact marginals (`straight_through`, which here is the
    estimator SIMPLE), and for relaxed samples (`gumbel_softmax`).

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log weights of the items, float32 or float64; an item of -inf is never drawn.
    k : int
        Size of the set, at most the number of logits above -inf in every row.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first row in a larger batch, of which samples are then a part.

    Attributes
    ----------
    logits : array, shape (*batch, K)
        Read-only.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row has fewer than k logits above -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.subset.KSubset(np.zeros(6), 2)
    >>> f = lambda x: x[:, 0] * x[:, 1]  # whether both of these are in the set
    >>> float(fg.exact.value(f, d).round(6))  # 1 of 15 pairs
    0.066667
    >>> fg.estimator("rloo")(f, d, num_samples=100, rng=0).grad.shape
    (6,)

    SIMPLE, which is exact where f is linear:

    >>> f = fg.objective(lambda x: x[:, 0], grad=lambda x: np.eye(6)[:1] + 0 * x)
    >>> simple = fg.estimator("straight_through")(f, d, num_samples=1, rng=0)
    >>> bool(np.allclose(simple.grad, fg.exact.grad(f, d)))
    True

    References
    ----------
    Ahmed, Zeng, Niepert and Van den Broeck, "SIMPLE: a gradient estimator for k-subset sampling",
    ICLR 2023.
    """

    logits: FloatArray
    k: int
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    lacks: ClassVar[Mapping[str, str]] = {
        **having(Structured.lacks, "score_jvp"),
        "conditional": "no Gumbel noise decides its sets, so none can be drawn given a set",
        "weak_derivative": NO_DIFFERENCE,
    }

    def __post_init__(self, copy: bool) -> None:
        rows, batch = _validate.rows(self.logits)
        k = size(rows, self.k, (*batch, rows.shape[1]))
        object.__setattr__(self, "k", k)
        self._keep(rows.reshape(*batch, rows.shape[1]), copy)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is a set."""
        return self.logits.shape[:-1]

    @property
    def num_outcomes(self) -> int:
        """Number of sets of k of K items, those of probability zero included."""
        return math.comb(self.logits.shape[-1], self.k)

    def table(self) -> FloatArray:
        """Return all sets of k of K items, k-hot, shape (num_outcomes, K)."""
        self._require_few()
        return _sets(self.logits.shape[-1], self.k).astype(self.logits.dtype)

    def features(self, z: Any) -> FloatArray:
        """Return samples z, which are their own features."""
        return z.astype(self.logits.dtype, copy=False)

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> FloatArray:
        """Draw sets, k-hot: see `fastgrad.subset.k_hot`."""
        options = self._placed(options, "row_offset")
        return k_hot.k_hot(self.logits, self.k, num_samples=num_samples, rng=rng, **options)

    def log_prob(self, x: ArrayLike) -> FloatArray:
        """Log probability of sets: see `fastgrad.subset.k_hot_log_prob`."""
        return k_hot.k_hot_log_prob(self.logits, self._checked(x))

    def score(self, x: ArrayLike) -> FloatArray:
        """Gradient of the log probability by the logits: ``x - mean()``, of the shape of x."""
        return self._checked(x) - self.mean()

    def _checked(self, x: ArrayLike) -> Array:
        """Return sets x if they have k items."""
        x = _validate.array(x, "x")
        sizes = x.sum(axis=-1)
        if (bad := sizes != self.k).any():
            raise ValueError(f"x must hold sets of {self.k} items, got {sizes[bad].flat[0]:g}")
        return x

    def mean(self) -> FloatArray:
        """Probability of each item to be in the set: see `fastgrad.subset.marginals`."""
        return self._marginals

    @functools.cached_property
    def _marginals(self) -> FloatArray:
        return _validate.frozen(k_hot.marginals(self.logits, self.k))

    def mean_vjp(self, cotangent: ArrayLike) -> FloatArray:
        """Vector-Jacobian product of the mean: see `fastgrad.subset.marginals_vjp`."""
        return k_hot.marginals_vjp(self.logits, cotangent, self.k)

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed choices: see `fastgrad.subset.relaxed_top_k`.

        At low temperatures they become the sets that `fastgrad.subset.gumbel_top_k` chooses one by
        one, whose probabilities are near those of `sample`, and equal to them for k = 1.
        """
        options = self._placed(options, "row_offset") | {"temperature": temperature}
        return subset_top_k.relaxed_top_k(self.logits, self.k, rng=rng, **options)

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Vector-Jacobian product: see `fastgrad.subset.relaxed_top_k_vjp`."""
        options = self._placed(options, "row_offset")
        return subset_top_k.relaxed_top_k_vjp(self.logits, cotangent, self.k, **options)


@functools.lru_cache(maxsize=8)
def _sets(items: int, k: int) -> Array:
    """Return all sets of k items, (number, items), of 0 and 1."""
    chosen = np.array(list(itertools.combinations(range(items), k)), np.intp)
    x = np.zeros((len(chosen), items), np.int8)
    np.put_along_axis(x, chosen, 1, axis=1)
    return _validate.frozen(x)
