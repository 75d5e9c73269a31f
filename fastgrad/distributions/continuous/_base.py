"""What continuous distributions share: parameters, samples, densities and derivatives of both."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad.random import as_key


@dataclasses.dataclass(frozen=True, eq=False)
class Continuous:
    """A continuous distribution: frozen, with parameters of one shape and dtype.

    A family says how samples come from noise (`noise`, `transform`, `transform_vjp`), and what its
    density is (`_log_density`, `_score`), both of which work in float64.

    Attributes
    ----------
    parameters : dict of arrays
        By name; gradients have the same names and shapes.
    batch_shape : tuple of int
        Shape of the variables.
    event_shape : tuple of int
        Shape of a sample of one variable: () unless it is a vector.
    dtype : dtype
        Of the parameters, samples and gradients.
    """

    event_rank: ClassVar[int] = 0
    support: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def __post_init__(self):
        names = [field.name for field in dataclasses.fields(self)]
        arrays = {name: _validate.real_array(getattr(self, name), name) for name in names}
        dtype = np.result_type(*arrays.values())
        for name, array in arrays.items():
            array = _validate.finite(_validate.real_array(array.astype(dtype), name), name)
            if name.startswith("log_"):
                _validate.exponent(array, name)
            object.__setattr__(self, name, array)
        self._check()

    def _check(self):
        """Refuse parameters that do not go together."""
        first, *others = self.parameters.items()
        for name, array in others:
            if array.shape != first[1].shape:
                raise ValueError(
                    f"{name} must have the shape of {first[0]}, {first[1].shape}, got {array.shape}"
                )
        if first[1].ndim < self.event_rank:
            raise ValueError(f"{first[0]} must have at least one axis, got shape ()")

    @property
    def parameters(self):
        """The parameters by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def _first(self):
        return getattr(self, dataclasses.fields(self)[0].name)

    @property
    def batch_shape(self):
        """Shape of the variables."""
        return self._first.shape[: self._first.ndim - self.event_rank]

    @property
    def event_shape(self):
        """Shape of a sample of one variable."""
        return self._first.shape[self._first.ndim - self.event_rank :]

    @property
    def dtype(self):
        """Type of parameters, samples and gradients."""
        return self._first.dtype

    @property
    def logits(self):
        """What only discrete distributions have: a TypeError."""
        kind = type(self).__name__
        raise TypeError(f"{kind} has no logits: estimators for discrete variables do not apply")

    def _double(self, *names):
        """Return parameters in float64."""
        return [getattr(self, name).astype(np.float64) for name in names]

    def noise(self, num_samples, *, rng, sample_offset=0):
        """Draw what `transform` makes samples of.

        Parameters
        ----------
        num_samples : int
        rng : int, SeedSequence, Generator or Key
        sample_offset : int
            Where the first sample stands in the whole: chunks join to what one call would give.

        Returns
        -------
        array, or tuple of arrays, with the samples first
        """
        count = _validate.integer(num_samples, "num_samples", 1)
        offset = _validate.integer(sample_offset, "sample_offset", 0, 2**32 - count)
        return self._noise(count, as_key(rng), offset)

    def sample(self, *, num_samples=None, rng, sample_offset=0, **options):
        """Draw samples.

        Parameters
        ----------
        num_samples : int, optional
            S; None draws one sample, without a leading axis.
        rng : int, SeedSequence, Generator or Key
        sample_offset : int
            Where the first sample stands in the whole: chunks join to what one call would give.
        **options
            Those of `transform`.

        Returns
        -------
        array, shape (S, *batch_shape, *event_shape), without S where num_samples is None
        """
        count, lead = _validate.samples(num_samples)
        x = self.transform(self.noise(count, rng=rng, sample_offset=sample_offset), **options)
        return x.reshape(lead + x.shape[1:])

    def transform(self, noise):
        """Make samples of noise.

        Parameters
        ----------
        noise : as `noise` returns it

        Returns
        -------
        array, shape (S, *batch_shape, *event_shape)
        """
        raise NotImplementedError

    def transform_vjp(self, noise, cotangent):
        """Multiply cotangents by the derivatives of samples with respect to the parameters.

        Parameters
        ----------
        noise : as `noise` returned it
        cotangent : array, shape (S, *batch_shape, *event_shape)

        Returns
        -------
        dict of arrays, each of shape (S, *that of the parameter)
        """
        shape = (len(cotangent), *self.batch_shape, *self.event_shape)
        cotangent = _validate.like(cotangent, shape, self.dtype, "cotangent")
        return self._cast(self._transform_vjp(noise, cotangent))

    def log_prob(self, x):
        """Logarithm of the density: -inf outside the support.

        Parameters
        ----------
        x : array, shape (*batch_shape, *event_shape) or (S, *batch_shape, *event_shape)

        Returns
        -------
        array, shape (*batch_shape) or (S, *batch_shape)
        """
        x = self._points(x)
        low, high = self.support
        with np.errstate(all="ignore"):
            outside = (x < low) | (x > high)
            value = self._log_density(x)
        if self.event_rank:
            outside = outside.any(axis=-1)
        return np.where(outside, -np.inf, value).astype(self.dtype)[()]

    def score(self, x):
        """Gradient of the log density with respect to the parameters, at points of the support.

        Parameters
        ----------
        x : array, shape (*batch_shape, *event_shape) or (S, *batch_shape, *event_shape)

        Returns
        -------
        dict of arrays, each of the shape of the parameter, or (S, *that)
        """
        return self._cast(self._score(self._points(x)))

    def entropy(self):
        """Differential entropy in nats of each variable.

        Returns
        -------
        array, shape (*batch_shape)
        """
        return np.asarray(self._entropy(), self.dtype)[()]

    def mean(self):
        """Mean of each variable.

        Returns
        -------
        array, shape (*batch_shape, *event_shape)
        """
        return np.asarray(self._mean(), self.dtype)[()]

    def mean_vjp(self, cotangent):
        """Multiply cotangents by the derivatives of the mean with respect to the parameters.

        Parameters
        ----------
        cotangent : array, shape (*batch_shape, *event_shape)

        Returns
        -------
        dict of arrays, each of the shape of the parameter
        """
        shape = (*self.batch_shape, *self.event_shape)
        cotangent = _validate.like(cotangent, shape, self.dtype, "cotangent")
        return self._cast(self._mean_vjp(cotangent))

    def _points(self, x):
        """Return points, checked, in float64."""
        x = _validate.array(x, "x")
        shape = (*self.batch_shape, *self.event_shape)
        if x.shape != shape and x.shape[1:] != shape:
            raise ValueError(f"x must have shape {shape} or (S, *{shape}), got {x.shape}")
        return _validate.like(x, x.shape, np.dtype(np.float64), "x")

    def _cast(self, arrays):
        """Return a dict of arrays in the distribution's dtype."""
        return {name: np.asarray(array, self.dtype) for name, array in arrays.items()}


def exp_within(x, dtype):
    """Return exp(x) in a type, where it would be 0 or inf its smallest or largest normal number."""
    info = np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore"):
        return np.clip(np.exp(x), info.tiny, info.max).astype(dtype)
