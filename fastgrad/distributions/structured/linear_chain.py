"""Linear chains, whose consecutive states depend on each other, for estimators."""

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
from fastgrad.distributions.structured import markov as _markov
from fastgrad.distributions.structured.base import NO_DIFFERENCE
from fastgrad.distributions.structured.perturbed_logits import PerturbedLogits
from fastgrad.kernels.distributions.structured import plackett_luce as _kernels
from fastgrad.random import RNG, Key, as_key

__all__ = ["LinearChain"]


@dataclasses.dataclass(frozen=True, eq=False)
class LinearChain(PerturbedLogits):
    """Independent chains, with probability proportional to the product of exp(logit) of each step.

    This is the distribution of a linear-chain conditional random field, and of the states of a
    hidden Markov model given what was observed: scores of single states are added to those of the
    steps to or from them.

    Samples are the states, (S, *batch, L + 1), each from 0 to K - 1; their features, which f sees,
    are 1 at the pair of states before and after each step and 0 elsewhere, (S, *batch, L, K, K).
    Sums of these over an axis of states are one-hot states: ``x.sum(axis=-1)`` has those before
    the steps, ``x.sum(axis=-2)`` those after.

    Estimators ask it for the score (`reinforce`, `rloo`, `vimco`), for all outcomes (`enumerate`,
    `unordered_set` and its kind), for the exact marginals (`straight_through`), and for relaxed
    samples (`gumbel_softmax`): the marginals of logits plus Gumbel noise, all divided by the
    temperature. As that goes to 0 they become the chain of the largest sum of perturbed logits,
    whose probability is near that of `sample`, and equal to it for chains of one step.

    Parameters
    ----------
    logits : array, shape (*batch, L, K, K)
        Log weight of each step from a state, the last axis but one, to the next: float32 or
        float64; a step of -inf is never taken.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first chain in a larger batch, of which samples are then a part.

    Attributes
    ----------
    logits : array, shape (*batch, L, K, K)
        Read-only.

    Raises
    ------
    ValueError
        If the logits have another shape, hold NaN or +inf, or allow no chain.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> stay = np.where(np.eye(2), 1.0, 0.0)  # e times as likely as to change
    >>> d = fg.chains.LinearChain(np.stack([stay] * 5))
    >>> f = lambda x: x[:, :, [0, 1], [1, 0]].sum(axis=(1, 2))  # how often the state changes
    >>> float(fg.exact.value(f, d).round(6))  # 5 / (1 + e)
    1.344707
    >>> fg.estimator("rloo")(f, d, num_samples=100, rng=0).grad.shape
    (5, 2, 2)

    References
    ----------
    Lafferty, McCallum and Pereira, "Conditional random fields", ICML 2001. Mensch and Blondel,
    "Differentiable dynamic programming for structured prediction and attention", ICML 2018.
    """

    logits: FloatArray
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    lacks: ClassVar[Mapping[str, str]] = {
        **PerturbedLogits.lacks,
        "conditional": "no Gumbel noise decides its chains, so none can be drawn given one",
        "weak_derivative": NO_DIFFERENCE,
    }

    def __post_init__(self, copy: bool) -> None:
        self._keep(step_logits(self.logits), copy)
        impossible = np.isneginf(self._chain.log_sum)
        if impossible.any():
            which = int(impossible.argmax())
            raise ValueError(f"logits allow no chain: too many are -inf in number {which}")

    @functools.cached_property
    def _chain(self) -> _markov.Backwards:
        return _markov.backwards(rows_of(self.logits))

    @property
    def steps(self) -> int:
        """Number L of steps."""
        return self.logits.shape[-3]

    @property
    def states(self) -> int:
        """Number K of states."""
        return self.logits.shape[-1]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is a chain."""
        return self.logits.shape[:-3]

    @property
    def num_outcomes(self) -> int:
        """Number of chains, those of probability zero included."""
        return self.states ** (self.steps + 1)

    def table(self) -> IntArray:
        """Return all chains, shape (num_outcomes, L + 1)."""
        self._require_few()
        return _chains(self.states, self.steps + 1)

    def features(self, z: Any) -> FloatArray:
        """Return the pairs of states of chains z, shape (S, *batch, L, K, K)."""
        k = self.states
        z = _validate.whole_numbers(z, k)
        pairs = z[..., :-1] * k + z[..., 1:]
        x = np.zeros((*pairs.shape, k * k), self.logits.dtype)
        np.put_along_axis(x, pairs[..., None], 1, axis=-1)
        return x.reshape(*pairs.shape, k, k)

    def tempered(self, temperature: float) -> LinearChain:
        """Return the distribution of logits / temperature."""
        if temperature == 1:
            return self
        return self.with_logits(self.logits / self.logits.dtype.type(temperature))

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> IntArray:
        """Draw chains of states, (S, *batch, L + 1).

        Options are `row_offset` and `sample_offset`, as of `fastgrad.sample`.
        """
        return self._drawn(num_samples, as_key(rng), **options)

    def _drawn(
        self, num_samples: int | None, key: Key, *, row_offset: int = 0, sample_offset: int = 0
    ) -> IntArray:
        count, lead = _validate.samples(num_samples)
        row, sample = _validate.offsets(row_offset, sample_offset, count)
        zeros = _validate.frozen(np.zeros((self.num_variables, self.steps + 1)))
        noise = self.from_row(row).noise(zeros, count, key, sample)
        z = _markov.draw(self._chain, np.exp(-np.exp(-noise)))
        return z.reshape(*lead, *self.batch_shape, self.steps + 1)

    def log_prob(self, z: ArrayLike) -> FloatArray:
        """Log probability of chains z, (S, *batch, L + 1)."""
        z = self._checked(z)
        x = rows_of(self.logits).reshape(*self.batch_shape, self.steps, self.states**2)
        pairs = z[..., :-1] * self.states + z[..., 1:]
        x = np.broadcast_to(x, (*pairs.shape, x.shape[-1]))
        weight = np.take_along_axis(x, pairs[..., None], axis=-1).sum(axis=(-1, -2))
        log_sum = self._chain.log_sum.reshape(self.batch_shape)
        return np.asarray(weight - log_sum).astype(self.logits.dtype)

    def score(self, z: ArrayLike) -> FloatArray:
        """Gradient of the log probability by the logits, (S, *batch, L, K, K)."""
        return self.features(self._checked(z)) - self.mean()

    def log_normaliser(self) -> FloatArray:
        """Log of the sum over chains: see `fastgrad.chains.log_normaliser`."""
        log_sum = self._chain.log_sum.reshape(self.batch_shape)
        return log_sum.astype(self.logits.dtype)

    def mean(self) -> FloatArray:
        """Probability of each pair of states: see `fastgrad.chains.pair_marginals`."""
        return self._marginals

    @functools.cached_property
    def _marginals(self) -> FloatArray:
        p = _markov.pair_marginals(self._chain)
        return _validate.frozen(p.astype(self.logits.dtype).reshape(self.logits.shape))

    def mean_vjp(self, cotangent: ArrayLike) -> FloatArray:
        """Vector-Jacobian product: see `fastgrad.chains.pair_marginals_vjp`."""
        shape, dtype = self.logits.shape, self.logits.dtype
        _, (r,) = _validate.cotangents({"cotangent": cotangent}, shape, dtype, shape)
        r = r.sum(axis=0, dtype=np.float64)
        found = _markov.pair_marginals_jvp(self._chain, rows_of(r))
        return found.astype(dtype).reshape(shape)

    def _checked(self, z: ArrayLike) -> IntArray:
        """Return checked chains, of the shape given."""
        given, full = _validate.array(z, "z"), (*self.batch_shape, self.steps + 1)
        if given.dtype.kind not in "iu":
            raise TypeError(f"z must hold integers, got dtype {given.dtype}")
        if given.shape[-len(full) :] != full or given.ndim - len(full) not in (0, 1):
            raise ValueError(f"z must have shape {full} or (S, *{full}), got {given.shape}")
        bad = (given < 0) | (given >= self.states)
        if bad.any():
            raise ValueError(f"z must hold states 0 to {self.states - 1}, got {given[bad][0]}")
        return given

    # -- relaxed samples ----------------------------------------------------------------------

    def noise(self, rows: FloatArray, num_samples: int, key: Key, offset: int) -> FloatArray:
        """Return rows, one for each chain, less their maxima, plus Gumbel noise: (S, N, numbers).

        That is other noise than what draws samples, where rows are of another length.
        """
        w = np.empty((num_samples, *rows.shape), rows.dtype)
        _kernels.perturbed(rows, self.place(key, offset), w)
        return w

    def perturbed(self, num_samples: int, key: Key, offset: int = 0) -> FloatArray:
        """Draw perturbed logits, (S, *batch, L, K, K)."""
        rows = self.logits.reshape(self.num_variables, math.prod(self.logits.shape[-3:]))
        w = self.noise(rows, num_samples, key, offset)
        return _validate.frozen(w.reshape(num_samples, *self.logits.shape))

    def soften(self, w: FloatArray, temperature: Any) -> FloatArray:
        """Return the probability of each pair of states given perturbed logits w: as w.

        The temperature is a number, or has the shape of the batch.
        """
        x = _markov.pair_marginals(_markov.backwards(self._scaled(w, temperature)))
        return _validate.frozen(x.astype(w.dtype).reshape(w.shape))

    def soften_vjp(
        self, w: FloatArray, x: FloatArray, temperature: Any, cotangent: FloatArray
    ) -> FloatArray:
        """Multiply cotangents with the Jacobian of `soften` by w: it is symmetric."""
        chain = _markov.backwards(self._scaled(w, temperature))
        moved = self._scaled(np.broadcast_to(cotangent, w.shape), temperature)
        return _markov.pair_marginals_jvp(chain, moved).reshape(w.shape)

    def soften_jvp(
        self, w: FloatArray, x: FloatArray, temperature: Any, tangent: FloatArray
    ) -> FloatArray:
        """Multiply the Jacobian of `soften` by w with tangents."""
        return self.soften_vjp(w, x, temperature, tangent)

    def _scaled(self, x: FloatArray, temperature: Any) -> FloatArray:
        """Return x divided by temperatures, float64, as rows (R, L, K, K)."""
        by = np.broadcast_to(np.asarray(temperature, np.float64), x.shape[:-3])
        return rows_of(x / by[..., None, None, None])


def step_logits(logits: ArrayLike) -> FloatArray:
    """Return checked logits, (*batch, L, K, K)."""
    x = _validate.real_array(logits, "logits")
    if x.ndim < 3 or 0 in x.shape[-3:] or x.shape[-1] != x.shape[-2]:
        rule = "logits must have shape (*batch, L, K, K) with L, K >= 1"
        raise ValueError(f"{rule}, got {x.shape}")
    _validate.check_logits(x.reshape(-1), "logits", x.shape)
    return x


def rows_of(x: FloatArray) -> FloatArray:
    """Return (*batch, L, K, K) in float64 as (R, L, K, K)."""
    return x.astype(np.float64).reshape(-1, *x.shape[-3:])


@functools.lru_cache(maxsize=8)
def _chains(states: int, length: int) -> Array:
    """Return all chains of this length, (number, length)."""
    z = np.array(list(itertools.product(range(states), repeat=length)), np.int32)
    return _validate.frozen(z)
