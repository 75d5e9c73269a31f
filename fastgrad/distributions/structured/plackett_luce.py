"""The Plackett-Luce distribution over orders of items, for estimators."""

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
from fastgrad.distributions import plackett_luce
from fastgrad.distributions.structured import race as _race
from fastgrad.distributions.structured import soft_sort as _soft
from fastgrad.distributions.structured.base import NO_DIFFERENCE, Structured, having
from fastgrad.distributions.structured.perturbed_logits import PerturbedLogits
from fastgrad.kernels.tiles import features as _features
from fastgrad.random import RNG, Key

__all__ = ["PlackettLuce"]


@dataclasses.dataclass(frozen=True, eq=False)
class PlackettLuce(PerturbedLogits):
    """Independent orders of items, chosen one by one with odds exp(logit) among those left.

    Samples are the items in the order of choice, (S, *batch, k); their features, which f sees, are
    permutation matrices (S, *batch, k, K), whose row i is the one-hot vector of the i-th item.
    Estimators ask it for the score (`reinforce`, `rloo`, `vimco`), for all outcomes (`enumerate`,
    `unordered_set` and its kind), for relaxed samples (`gumbel_softmax`), and for these given the
    order (`rebar`, `relax`). Relaxed samples are SoftSort matrices of the perturbed logits w,
    ``softmax_j(-abs(w_(i) - w_j) / temperature)``, with w_(i) the i-th largest.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log odds of the items, float32 or float64; an item of -inf is never drawn.
    k : int, optional
        Number of items to choose, at most the number of logits above -inf in every row; by default
        K, for whole permutations.
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
    >>> d = fg.permutation.PlackettLuce(np.zeros(4))
    >>> cost = np.arange(16.0).reshape(4, 4)
    >>> f = fg.objective(lambda x: (x * cost).sum(axis=(1, 2)), grad=lambda x: cost + 0 * x)
    >>> float(fg.exact.value(f, d).round(6))
    30.0
    >>> fg.estimator("rebar")(f, d, num_samples=8, rng=0).grad.shape
    (4,)

    References
    ----------
    Gadetsky, Struminsky, Robinson, Quadrianto and Vetrov, "Low-variance black-box gradient
    estimates for the Plackett-Luce distribution", AAAI 2020 (the relaxation given the order).
    Prillo and Eisenschlos, "SoftSort: a continuous relaxation for the argsort operator", ICML 2020.
    """

    logits: FloatArray
    k: int | None = None
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    lacks: ClassVar[Mapping[str, str]] = {
        **having(Structured.lacks, "score_jvp"),
        "mean": "the mean of its permutation matrices has no closed form",
        "weak_derivative": NO_DIFFERENCE,
    }

    def __post_init__(self, copy: bool) -> None:
        rows, batch = _validate.rows(self.logits)
        items = rows.shape[1]
        k = plackett_luce.size(rows, items if self.k is None else self.k, (*batch, items))
        object.__setattr__(self, "k", k)
        self._keep(rows.reshape(*batch, items), copy)

    @property
    def length(self) -> int:
        """Number k of items in an order."""
        assert self.k is not None, "it is set when the distribution is made"
        return self.k

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is an order."""
        return self.logits.shape[:-1]

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the permutation matrices, (*batch, k, K)."""
        return (*self.batch_shape, self.length, self.logits.shape[-1])

    @property
    def num_outcomes(self) -> int:
        """Number of orders of k of K items, those of probability zero included."""
        return math.perm(self.logits.shape[-1], self.length)

    def table(self) -> IntArray:
        """Return all orders, shape (num_outcomes, k)."""
        self._require_few()
        return _orders(self.logits.shape[-1], self.length)

    def features(self, z: Any) -> FloatArray:
        """Return the permutation matrices of orders z, shape (S, *batch, k, K)."""
        z = _validate.whole_numbers(z, self.logits.shape[-1])
        x = np.empty((*z.shape, self.logits.shape[-1]), self.logits.dtype)
        _features.one_hot(_validate.frozen(z.reshape(-1)), x.reshape(z.size, x.shape[-1]))
        return x

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> IntArray:
        """Draw orders: see `fastgrad.subset.gumbel_top_k`."""
        options = self._placed(options, "row_offset") | {"num_samples": num_samples}
        return plackett_luce.gumbel_top_k(self.logits, self.length, rng=rng, **options)

    def log_prob(self, z: ArrayLike) -> FloatArray:
        """Log probability of orders: see `fastgrad.permutation.log_prob`."""
        return plackett_luce.log_prob(self.logits, z)

    def score(self, z: ArrayLike) -> FloatArray:
        """Gradient of the log probability by the logits: see `fastgrad.permutation.score`."""
        return plackett_luce.score(self.logits, z)

    def score_jvp(self, z: ArrayLike, tangent: FloatArray) -> FloatArray:
        """Return the derivative of the score along a tangent: minus J of each choice, times it."""
        z = np.asarray(z)
        left = np.array(np.broadcast_to(self.logits, (len(z), *self.logits.shape)), np.float64)
        found = np.zeros(left.shape)
        for i in range(self.length):
            p = np.exp(left - left.max(axis=-1, keepdims=True))
            p /= p.sum(axis=-1, keepdims=True)
            found -= p * (tangent - (p * tangent).sum(axis=-1, keepdims=True))
            np.put_along_axis(left, z[..., i, None], -np.inf, axis=-1)
        return found.astype(self.logits.dtype)

    # -- relaxed samples ----------------------------------------------------------------------

    def order(self, w: FloatArray) -> IntArray:
        """Return the order of the k largest perturbed logits, (S, *batch, k)."""
        z = np.argsort(-w, axis=-1, kind="stable")[..., : self.length]
        return _validate.frozen(np.ascontiguousarray(z, np.int32))

    def conditional(self, z: IntArray, key: Key, offset: int = 0) -> FloatArray:
        """Draw perturbed logits given the order z, with other noise than that of the key alone."""
        noise = self.other_noise(len(z), key, offset)
        w = _race.arrivals(*self._flat(z), noise)
        return _validate.frozen(w.astype(noise.dtype).reshape(len(z), *self.logits.shape))

    def conditional_vjp(self, z: IntArray, w: FloatArray, cotangent: FloatArray) -> FloatArray:
        """Multiply cotangents with the Jacobian of w given z by the logits, sample by sample."""
        return self._race(z, w).vjp(cotangent.reshape(-1, w.shape[-1])).reshape(w.shape)

    def conditional_jvp(self, z: IntArray, w: FloatArray, tangent: FloatArray) -> FloatArray:
        """Multiply the Jacobian of w given z by the logits with tangents, sample by sample."""
        return self._race(z, w).jvp(tangent.reshape(-1, w.shape[-1])).reshape(w.shape)

    def _race(self, z: IntArray, w: FloatArray) -> _race.Race:
        phi, z = self._flat(z)
        return _race.race(phi, z, w.reshape(phi.shape).astype(np.float64))

    def _flat(self, z: IntArray) -> tuple[FloatArray, Any]:
        """Return logits of each order less their row's largest, (R, K), and orders (R, k)."""
        return self.relative(len(z)), z.reshape(-1, self.length)

    def soften(self, w: FloatArray, temperature: Any) -> FloatArray:
        """Return SoftSort matrices of perturbed logits w: shape (S, *feature_shape).

        The temperature is a number, or has the shape of the batch.
        """
        x = _soft.soft_sort(*self._sorted(w, temperature))
        return _validate.frozen(x.reshape(len(w), *self.feature_shape))

    def soften_vjp(
        self, w: FloatArray, x: FloatArray, temperature: Any, cotangent: FloatArray
    ) -> FloatArray:
        """Multiply cotangents with the Jacobian of `soften`, whose result is x, by w."""
        rows, z, scale = self._sorted(w, temperature)
        x, r = (a.reshape(len(rows), *self.feature_shape[-2:]) for a in (x, cotangent))
        return _soft.soft_sort_vjp(rows, z, x, scale, r).reshape(w.shape)

    def soften_jvp(
        self, w: FloatArray, x: FloatArray, temperature: Any, tangent: FloatArray
    ) -> FloatArray:
        """Multiply the Jacobian of `soften`, whose result is x, by w with tangents."""
        rows, z, scale = self._sorted(w, temperature)
        shape, x = x.shape, x.reshape(len(rows), *self.feature_shape[-2:])
        return _soft.soft_sort_jvp(rows, z, x, scale, tangent.reshape(rows.shape)).reshape(shape)

    def _sorted(self, w: FloatArray, temperature: Any) -> tuple[FloatArray, Any, FloatArray]:
        """Return w as rows (R, K), the places of the k largest, and inverse temperatures (R)."""
        rows = w.reshape(-1, w.shape[-1])
        scale = np.broadcast_to(1 / np.asarray(temperature, w.dtype), w.shape[:-1])
        return rows, self.order(w).reshape(-1, self.length), scale.reshape(-1)


@functools.lru_cache(maxsize=8)
def _orders(items: int, k: int) -> Array:
    """Return all orders of k items, (number, k)."""
    z = np.array(list(itertools.permutations(range(items), k)), np.int32)
    return _validate.frozen(z.reshape(-1, k))
