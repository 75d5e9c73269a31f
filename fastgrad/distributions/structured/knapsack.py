"""The distribution over sets of items that fit into a knapsack, for estimators."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions import bernoulli, knapsack
from fastgrad.distributions.structured.base import NO_DIFFERENCE, Structured
from fastgrad.random import RNG, replayed_key

__all__ = ["Knapsack"]


@dataclasses.dataclass(frozen=True, eq=False)
class Knapsack(Structured):
    """Independent sets within a budget, of probability proportional to the product of exp(logit).

    Items have costs, and a set is possible if these sum to at most the budget; the empty set always
    is. Samples are 1 at the items of the set and 0 elsewhere, and so are their features.

    Estimators ask it for the score (`reinforce`, `rloo`, `vimco`), for all outcomes (`enumerate`,
    `unordered_set` and its kind), for the exact marginals (`straight_through`), and for relaxed
    samples (`gumbel_softmax`). A relaxed sample holds the marginals of logits plus logistic noise,
    all divided by the temperature: where the budget suffices for all items, those of the binary
    Concrete distribution. As the temperature goes to 0 it becomes the set of the largest perturbed
    logits that fits, whose probability is near that of `sample`, and equal to it where the budget
    suffices for all items.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log odds of the items, float32 or float64; an item of -inf is never drawn.
    costs : array of int, shape (K,)
        What each item costs, at least 0.
    budget : int
        Largest cost of a set, at least 0.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first row in a larger batch, of which samples are then a part.

    Attributes
    ----------
    logits : array, shape (*batch, K)
        Read-only.
    costs : array of int, shape (K,)
        Read-only.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, a cost or the budget is negative, or the table of a row
        would have more than 2**26 numbers: see `fastgrad.subset.knapsack`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.subset.Knapsack(np.zeros(4), [2, 3, 4, 5], 7)
    >>> f = lambda x: x[:, 0] * x[:, 1]  # whether both of these are in the set
    >>> float(fg.exact.value(f, d).round(6))  # 1 of 9 sets
    0.111111
    >>> fg.estimator("rloo")(f, d, num_samples=100, rng=0).grad.shape
    (4,)

    References
    ----------
    Vivier-Ardisson, Sander, Parmentier and Blondel, "Differentiable knapsack and top-k operators
    via dynamic programming", 2026.
    """

    logits: FloatArray
    costs: ArrayLike
    budget: int
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    lacks: ClassVar[Mapping[str, str]] = {
        **Structured.lacks,
        "conditional": "no noise decides its sets, so none can be drawn given a set",
        "weak_derivative": NO_DIFFERENCE,
    }

    def __post_init__(self, copy: bool) -> None:
        rows, batch = knapsack.logits_of(self.logits)
        knapsack.sack(self.costs, self.budget, rows.shape[1])
        costs = np.array(self.costs, np.int64)
        object.__setattr__(self, "costs", _validate.frozen(costs))
        object.__setattr__(self, "budget", int(self.budget))
        self._keep(rows.reshape(*batch, rows.shape[1]), copy)

    @property
    def _sack(self) -> tuple[Any, int]:
        return self.costs, self.budget

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is a set."""
        return self.logits.shape[:-1]

    @property
    def num_outcomes(self) -> int:
        """Number of sets that fit, those of probability zero included, as float64 counts them."""
        given = knapsack.sack(self.costs, self.budget, self.logits.shape[-1])
        return _number(given.costs.tobytes(), given.budget)

    def table(self) -> FloatArray:
        """Return all sets that fit, shape (num_outcomes, K)."""
        self._require_few()
        given = knapsack.sack(self.costs, self.budget, self.logits.shape[-1])
        return _sets(given.costs.tobytes(), given.budget).astype(self.logits.dtype)

    def features(self, z: Any) -> FloatArray:
        """Return samples z, which are their own features."""
        return z.astype(self.logits.dtype, copy=False)

    def tempered(self, temperature: float) -> Knapsack:
        """Return the distribution of logits / temperature."""
        if temperature == 1:
            return self
        return self.with_logits(self.logits / self.logits.dtype.type(temperature))

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> FloatArray:
        """Draw sets: see `fastgrad.subset.knapsack`."""
        options = self._placed(options, "row_offset") | {"num_samples": num_samples}
        return knapsack.knapsack(self.logits, *self._sack, rng=rng, **options)

    def log_prob(self, x: ArrayLike) -> FloatArray:
        """Log probability of sets: see `fastgrad.subset.knapsack_log_prob`."""
        return knapsack.knapsack_log_prob(self.logits, x, *self._sack)

    def score(self, x: ArrayLike) -> FloatArray:
        """Gradient of the log probability by the logits: ``x - mean()``, of the shape of x."""
        return _validate.array(x, "x") - self.mean()

    def mean(self) -> FloatArray:
        """Probability of each item: see `fastgrad.subset.knapsack_marginals`."""
        return self._marginals

    @functools.cached_property
    def _marginals(self) -> FloatArray:
        return _validate.frozen(knapsack.knapsack_marginals(self.logits, *self._sack))

    def mean_vjp(self, cotangent: ArrayLike) -> FloatArray:
        """Vector-Jacobian product of the mean: see `fastgrad.subset.knapsack_marginals_vjp`."""
        return knapsack.knapsack_marginals_vjp(self.logits, cotangent, *self._sack)

    # -- relaxed samples ----------------------------------------------------------------------

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed sets, shape (S, *batch, K).

        Parameters
        ----------
        temperature : float
            Temperature of the relaxation, above 0.
        rng : int, SeedSequence, Generator or Key
            Source of the randomness; the same seed or key gives the same samples.
        **options
            `num_samples`: without it one sample is drawn, which has no leading axis.
            `sample_offset`: index of the first sample in a larger batch.
        """
        w = self._perturbed(temperature, rng, **options)
        return knapsack.knapsack_marginals(w, *self._sack)

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Multiply cotangents with the Jacobian of `gumbel_softmax`, and sum over samples.

        The options are those of the forward call. The noise is drawn again from the key.
        """
        return self._relaxed_vjp(cotangent, **options)

    def _relaxed_vjp(
        self, cotangent: ArrayLike, *, temperature: float, rng: RNG, sample_offset: int = 0
    ) -> FloatArray:
        key, (shape, dtype) = replayed_key(rng), (self.logits.shape, self.logits.dtype)
        count, (r,) = _validate.cotangents({"cotangent": cotangent}, shape, dtype)
        options: dict[str, Any] = {"num_samples": count, "sample_offset": sample_offset}
        w = self._perturbed(temperature, key, **options)
        grad = knapsack.knapsack_marginals_vjp(w, r.reshape(w.shape), *self._sack)
        total = grad.sum(axis=0, dtype=np.float64) / _validate.temperature(temperature)
        return total.astype(dtype)

    def _perturbed(self, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Return (logits + logistic noise) / temperature: log odds of relaxed Bernoulli sites."""
        if self.row_offset:
            options["site_offset"] = self.row_offset * self.logits.shape[-1]
        options |= {"temperature": _validate.temperature(temperature), "log": True}
        return bernoulli.gumbel_softmax(self.logits, rng=rng, **options)


@functools.lru_cache(maxsize=8)
def _number(costs: bytes, budget: int) -> int:
    """Return the number of sets that fit, in the precision of float64."""
    ways = np.zeros(budget + 1)  # of sets by their cost
    ways[0] = 1
    for cost in np.frombuffer(costs, np.int64).tolist():
        if cost <= budget:
            more = ways.copy()
            more[cost:] += ways[: budget + 1 - cost]
            ways = np.minimum(more, 1e300)
    return int(ways.sum())


@functools.lru_cache(maxsize=8)
def _sets(costs: bytes, budget: int) -> Any:
    """Return all sets that fit, (number, items), of 0 and 1."""
    x, room = np.zeros((1, 0), np.int8), np.array([budget])
    for cost in np.frombuffer(costs, np.int64):
        fits = room >= cost
        zeros, ones = np.zeros((len(x), 1), np.int8), np.ones((fits.sum(), 1), np.int8)
        taken = np.concatenate([x[fits], ones], axis=1)
        x = np.concatenate([np.concatenate([x, zeros], axis=1), taken])
        room = np.concatenate([room, room[fits] - cost])
    return _validate.frozen(x)
