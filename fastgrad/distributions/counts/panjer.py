"""What counts share: inversion with exact tails, scores, and their derivatives as differences."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray, IntArray
from fastgrad.distributions import concrete
from fastgrad.distributions.structured.base import Structured, having
from fastgrad.kernels.distributions.counts import panjer as _panjer
from fastgrad.kernels.distributions.structured import plackett_luce as _noise
from fastgrad.random import RNG, Key, as_key

C = TypeVar("C", bound="Counts")
LARGEST = 2.0**24  # mean, or total count: float32 counts no further
TAIL = 1e-19  # probability below which outcomes are not listed


class Alternatives(NamedTuple):
    """A derivative of E[f] as a sum over P alternatives of coefficients times f.

    Attributes
    ----------
    z : array of int32, shape (P, S, *batch, ...)
        Samples, of each variable by itself.
    coefficients : array, shape (P, *logits.shape)
        Their mean over samples of f is multiplied with these.
    """

    z: Any
    coefficients: FloatArray


class Counts(Structured):
    """Independent counts, each with one parameter: of Panjer's class.

    A subclass says its `law`, `log_prob`, `mean`, and how the mean grows with the parameter.
    """

    lacks: ClassVar[Mapping[str, str]] = {
        **having(Structured.lacks, "second_order", "score_jvp"),
        "conditional": "no Gumbel noise decides its counts, so none can be drawn given a count",
    }

    parameter: ClassVar[str] = "logits"  # the field that holds it

    def _keep_parameter(self, copy: bool) -> None:
        """Set the checked parameter, and refuse means that float32 could not count."""
        name = self.parameter
        x = _validate.finite(_validate.real_array(getattr(self, name), name), name)
        object.__setattr__(self, name, x)
        self._keep(x, copy)
        object.__setattr__(self, name, self.logits)
        with np.errstate(over="ignore"):
            mean = self.mean()
        if mean.size and not mean.max() <= LARGEST:
            kind = type(self).__name__
            raise ValueError(f"the mean of {kind} must be at most 2**24, got {mean.max():.3g}")

    def with_logits(self: C, logits: ArrayLike) -> C:
        """Return a distribution of the same kind with this parameter, which is not copied."""
        changed: Any = {self.parameter: logits, "copy": False}
        return dataclasses.replace(self, **changed)  # pyright: ignore

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of one sample: one count for each variable."""
        return self.logits.shape

    def features(self, z: Any) -> FloatArray:
        """Return counts z as numbers of the dtype of the parameters."""
        return z.astype(self.logits.dtype)

    def tempered(self: C, temperature: float) -> C:
        """Return the distribution itself: counts have no temperature."""
        if temperature != 1:
            kind = type(self).__name__
            raise ValueError(f"temperature must be 1 for {kind}, got {temperature}")
        return self

    # -- what a subclass says -------------------------------------------------------------------

    def law(self) -> tuple[Any, Any, Any, Any]:
        """Return a and b of Panjer's class, the mode, and the largest possible count."""
        raise NotImplementedError

    def growth(self) -> FloatArray:
        """Return the derivative of the mean by the parameter, in float64."""
        raise NotImplementedError

    def curvature(self) -> Any:
        """Return half the derivative of the variance by the parameter, over the variance."""
        raise NotImplementedError

    def shifted(self) -> Any:
        """Return the distribution of Y with dE[f(X)] = growth E[f(Y + 1) - f(Y)]."""
        raise NotImplementedError

    # -- what follows ---------------------------------------------------------------------------

    def mean_vjp(self, cotangent: ArrayLike) -> FloatArray:
        """Return the product of a cotangent, of the shape of the parameter, with the growth."""
        r = _validate.like(cotangent, self.logits.shape, self.logits.dtype, "cotangent")
        return (r * self.growth()).astype(self.logits.dtype)

    def second_order_slope(self, z: IntArray) -> FloatArray:
        """Return the factors a(z) of the gradient of f at counts z, as `optimal_st` has them.

        E[a(z) f'(z)] is the derivative of E[f] by the parameter where f is quadratic, and no other
        function with that property has a smaller mean square: it is linear, and so is determined
        by its moments, E[a] and E[a z].
        """
        centred = z - self.with_logits(self.logits.astype(np.float64)).mean()
        return self.growth() + self.curvature() * centred

    def _tails(self, num_samples: int, key: Key, offset: int) -> tuple[FloatArray, FloatArray]:
        """Return uniform u and 1 - u, (S, N), each with all of its digits near 0."""
        flat = _validate.frozen(np.zeros((self.num_variables, 1)))
        w = np.empty((num_samples, *flat.shape))
        _noise.perturbed(flat, self.place(key, offset), w)
        e = np.exp(-w[..., 0])  # exponential
        return _validate.frozen(-np.expm1(-e)), _validate.frozen(np.exp(-e))

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> IntArray:
        """Draw counts by inversion, exact in both tails.

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
        array of int32, shape (S, *batch), or (*batch) without num_samples
        """
        return self._sample(num_samples, as_key(rng), **options)

    def _sample(self, num_samples: int | None, key: Key, *, sample_offset: int = 0) -> IntArray:
        count, lead = _validate.samples(num_samples)
        z = np.empty((count, self.num_variables), np.int32)
        self._invert(*self._tails(count, key, sample_offset), z)
        return z.reshape((*lead, *self.batch_shape))

    def _invert(self, left: FloatArray, right: FloatArray, z: IntArray) -> None:
        """Fill z with the counts of these tails."""
        a, b, mode, most = self.law()
        p = np.exp(self.with_logits(self.logits.astype(np.float64)).log_prob(mode.astype(np.int32)))
        laws = np.empty((*self.batch_shape, 5))
        for i, x in enumerate((a, b, mode, p, most)):
            laws[..., i] = x
        _panjer.invert(_validate.frozen(laws.reshape(-1, 5)), left, right, z)

    @property
    def num_outcomes(self) -> int:
        """Number of outcomes that are listed: the others have no probability in float64."""
        return self._last + 1

    @functools.cached_property
    def _last(self) -> int:
        """The largest count that is listed: of the variable that needs most."""
        if not self.num_variables:
            return 0
        tail = np.full((1, self.num_variables), TAIL)
        z = np.empty(tail.shape, np.int32)
        self._invert(_validate.frozen(1 - tail), _validate.frozen(tail), z)
        return int(z.max())

    def table(self) -> Array:
        """Return all counts that are listed."""
        return np.arange(self.num_outcomes, dtype=np.int32)

    def weak_derivative(self, num_samples: int, key: Key, offset: int = 0) -> Alternatives:
        """Draw Y, and return Y and Y + 1 with minus and plus the growth of the mean."""
        y = self.shifted().sample(num_samples=num_samples, rng=key, sample_offset=offset)
        growth = np.asarray(self.growth())
        return Alternatives(np.stack([y, y + 1]), np.stack([-growth, growth]))

    def one_more(self, z: Any) -> Alternatives:
        """Return z + 1, and weights of f(z + 1) - f(z) of mean the derivative: (1, S, *batch).

        They are the growth of the mean times the probability of z among Y, over its own.
        """
        z, other = np.asarray(z), self.shifted()
        most = other.law()[3]
        least = z if np.isinf(most) else np.minimum(z, int(most)).astype(z.dtype)
        ratio = np.exp(other.log_prob(least).astype(np.float64) - self.log_prob(least))
        ratio = np.where(z > least, 0.0, ratio)  # no Y is that large
        return Alternatives((least + 1)[None], (np.asarray(self.growth()) * ratio)[None])

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed counts: means of all listed counts, by relaxed categories.

        See `fastgrad.gumbel_softmax`, which relaxes the categories. At low temperatures these are
        samples.

        References
        ----------
        Joo, Kim, Shin and Moon, "Generalized Gumbel-softmax gradient estimator for generic discrete
        random variables", 2020, where the categories are truncated.
        """
        y = self.listed.gumbel_softmax(temperature=temperature, rng=rng, **options)
        return (y * self.table().astype(y.dtype)).sum(axis=-1)

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Multiply cotangents with the Jacobian of `gumbel_softmax`, and sum over samples."""
        dtype = self.logits.dtype
        count, (r,) = _validate.cotangents({"cotangent": cotangent}, self.batch_shape, dtype)
        r = r.reshape(count, *self.batch_shape, 1) * self.table().astype(dtype)
        options = self._placed(options, "row_offset")
        return self.listed_vjp(concrete.gumbel_softmax_vjp(self.listed.logits, r, **options))


def whole(z: ArrayLike, batch: tuple[int, ...]) -> Array:
    """Return counts z, (*batch) or (S, *batch), checked, as float64."""
    z = _validate.array(z, "z")
    if z.dtype.kind not in "iu":
        raise TypeError(f"z must hold integers, got dtype {z.dtype}")
    if z.shape != batch and z.shape[1:] != batch:
        raise ValueError(f"z must have shape {batch} or (S, *{batch}), got {z.shape}")
    if z.size and z.min() < 0:
        raise ValueError(f"z must be at least 0, got {z.min()}")
    return z.astype(np.float64)
