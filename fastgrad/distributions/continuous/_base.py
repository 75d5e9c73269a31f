"""The base class of continuous distributions: parameters, samples, densities and derivatives."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._parameters import Parameters
from fastgrad.random import RNG, Key, as_key

Noise: TypeAlias = Any  # an array, or a tuple of arrays, as `noise` returns it


@dataclasses.dataclass(frozen=True, eq=False)
class Continuous(Parameters):
    """A batch of independent continuous variables of one family.

    This is the base class of the families of `fastgrad.continuous`; use those. A distribution is
    immutable, and owns copies of its parameters. All of its parameters are unconstrained real
    numbers in one dtype, float32 or float64. Densities and scores are computed in float64 and
    returned in that dtype.

    A sample is made in two steps, so that it can be differentiated: `noise` draws from a
    distribution that is easy to draw from, and `transform` turns that noise into samples, by the
    parameters. `sample` does both. Given the same noise, `transform_vjp` differentiates the
    samples by the parameters, and `transform_score` differentiates the log density.

    Attributes
    ----------
    parameters : dict of arrays
        The parameters by name. Gradients are dicts with the same names and shapes.
    batch_shape : tuple of int
        The shape of the batch of variables.
    event_shape : tuple of int
        The shape of a sample of one variable: () unless the variable is a vector.
    dtype : dtype
        The type of the parameters, the samples and the gradients, float32 or float64.
    """

    def noise(self, num_samples: int, *, rng: RNG, sample_offset: int = 0) -> Noise:
        """Draw the noise that `transform` turns into samples.

        Parameters
        ----------
        num_samples : int
            The number S of samples, at least 1.
        rng : int, SeedSequence, Generator or Key
            The source of randomness.
        sample_offset : int
            Index of the first sample in a larger batch: chunked calls with the right offsets equal
            one call.

        Returns
        -------
        array, or tuple of arrays
            The noise, whose first axis counts the samples. Pass it on as it is.
        """
        count = _validate.integer(num_samples, "num_samples", 1, _validate.ADDRESSES)
        offset = _validate.integer(sample_offset, "sample_offset", 0, _validate.ADDRESSES - count)
        return self._noise(count, as_key(rng), offset)

    def sample(
        self,
        *,
        num_samples: int | None = None,
        rng: RNG,
        sample_offset: int = 0,
        **options: bool,
    ) -> FloatArray:
        """Draw samples.

        Parameters
        ----------
        num_samples : int, optional
            The number S of samples. By default one sample is drawn, without a leading axis.
        rng : int, SeedSequence, Generator or Key
            The source of randomness.
        sample_offset : int
            Index of the first sample in a larger batch: chunked calls with the right offsets equal
            one call.
        **options
            Options of the family's `transform`, such as ``log=True`` of `Gamma`, `Beta` and
            `Dirichlet` for the logarithms of the samples.

        Returns
        -------
        array, shape (S, *batch_shape, *event_shape)
            The samples, in the distribution's dtype; without the axis S if num_samples is None.

        Raises
        ------
        TypeError
            If rng is not a source of randomness.
        ValueError
            If num_samples is below 1, or sample_offset is negative.
        """
        count, lead = _validate.samples(num_samples)
        x = self.transform(self.noise(count, rng=rng, sample_offset=sample_offset), **options)
        return x.reshape(lead + x.shape[1:])

    def transform(self, noise: Noise) -> FloatArray:
        """Turn noise into samples.

        Parameters
        ----------
        noise : array, or tuple of arrays
            The noise that `noise` returned.

        Returns
        -------
        array, shape (S, *batch_shape, *event_shape)
            The samples, in the distribution's dtype.
        """
        raise NotImplementedError

    def transform_vjp(self, noise: Noise, cotangent: ArrayLike) -> dict[str, FloatArray]:
        """Multiply cotangents by the derivatives of the samples with respect to the parameters.

        Parameters
        ----------
        noise : array, or tuple of arrays
            The noise that `noise` returned.
        cotangent : array, shape (S, *batch_shape, *event_shape)
            The derivative of a scalar by each of the samples `transform(noise)`.

        Returns
        -------
        dict of arrays, shape (S, *shape of the parameter)
            For each sample, the derivative of the scalar by the parameters, by name.

        Raises
        ------
        ValueError
            If the cotangent has another shape than the samples.
        """
        shape = (len(np.atleast_1d(_validate.array(cotangent, "cotangent"))), *self._shape_of_x)
        c: Array = _validate.like(cotangent, shape, self.dtype, "cotangent")
        return self._cast(self._transform_vjp(noise, c))

    def transform_score(self, noise: Noise) -> dict[str, FloatArray]:
        """Differentiate the log density at the samples made of noise, by the parameters.

        This is the score of the exact sample, taken from the noise. It differs from
        ``score(transform(noise))`` wherever the sample must be rounded to its dtype: a Beta
        variable of small shapes is often closer to 1 than any float32 below 1, for example. The
        score of the rounded samples is biased; this one has mean zero.

        Parameters
        ----------
        noise : array, or tuple of arrays
            The noise that `noise` returned.

        Returns
        -------
        dict of arrays, shape (S, *shape of the parameter)
            For each sample, the derivative of the log density by the parameters, by name.

        Examples
        --------
        >>> import numpy as np, fastgrad as fg
        >>> d = fg.continuous.Beta(np.log(0.01), np.log(0.01))
        >>> noise = d.noise(10_000, rng=0)
        >>> scores = d.transform_score(noise)["log_alpha"]
        >>> bool(abs(scores.mean()) < 5 * scores.std() / 100)
        True
        """
        with np.errstate(all="ignore"):
            return self._cast(self._transform_score(noise))

    def log_prob(self, x: ArrayLike) -> FloatArray:
        """Evaluate the logarithm of the density.

        Parameters
        ----------
        x : array, shape (*batch_shape, *event_shape) or (S, *batch_shape, *event_shape)
            The points.

        Returns
        -------
        array, shape (*batch_shape) or (S, *batch_shape)
            The log density, in the distribution's dtype: -inf outside the support.

        Raises
        ------
        ValueError
            If x has another shape.
        """
        x = self._points(x)
        with np.errstate(all="ignore"):
            outside = self._outside(x)
            outside = outside.any(axis=-1) if self.event_rank else outside
            value = np.where(outside, -np.inf, self._log_density(x))
        return value.astype(self.dtype)[()]

    def score(self, x: ArrayLike) -> dict[str, FloatArray]:
        """Differentiate the log density at given points, by the parameters.

        Parameters
        ----------
        x : array, shape (*batch_shape, *event_shape) or (S, *batch_shape, *event_shape)
            The points. On the boundary of the support the result is the limit, which may be
            infinite; outside the support it is NaN.

        Returns
        -------
        dict of arrays, shape of the parameter, or (S, *shape of the parameter)
            The derivatives, by the parameters' names.

        Raises
        ------
        ValueError
            If x has another shape.

        See Also
        --------
        transform_score : the score of the distribution's own samples, free of their rounding.
        """
        x = self._points(x)
        with np.errstate(all="ignore"):
            return self._cast(self._score(np.where(self._outside(x), np.nan, x)))

    def entropy(self) -> FloatArray:
        """Differential entropy of each variable, in nats.

        Returns
        -------
        array, shape (*batch_shape)
        """
        return np.asarray(self._entropy(), self.dtype)[()]

    def mean(self) -> FloatArray:
        """Mean of each variable.

        Returns
        -------
        array, shape (*batch_shape, *event_shape)
        """
        return np.asarray(self._mean(), self.dtype)[()]

    def mean_vjp(self, cotangent: ArrayLike) -> dict[str, FloatArray]:
        """Multiply cotangents by the derivatives of the mean with respect to the parameters.

        Parameters
        ----------
        cotangent : array, shape (*batch_shape, *event_shape)
            The derivative of a scalar by the mean.

        Returns
        -------
        dict of arrays, shape of the parameter
            The derivative of the scalar by the parameters, by name.

        Raises
        ------
        ValueError
            If the cotangent has another shape than the mean.
        """
        c: Array = _validate.like(cotangent, self._shape_of_x, self.dtype, "cotangent")
        return self._cast(self._mean_vjp(c))

    # -- what a family gives, in float64 where it concerns the density -------------------------

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        raise NotImplementedError

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        raise NotImplementedError

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        return self._score(self.transform(noise).astype(np.float64))

    def _log_density(self, x: Array) -> Array:
        raise NotImplementedError

    def _score(self, x: Array) -> dict[str, Array]:
        raise NotImplementedError

    def _entropy(self) -> Array:
        raise NotImplementedError

    def _mean(self) -> Array:
        raise NotImplementedError

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        raise NotImplementedError

    # -- arrays --------------------------------------------------------------------------------

    def _points(self, x: ArrayLike) -> Array:
        """Return points, checked, in float64."""
        x, shape = _validate.array(x, "x"), self._shape_of_x
        if x.shape != shape and x.shape[1:] != shape:
            raise ValueError(f"x must have shape {shape} or (S, *{shape}), got {x.shape}")
        return _validate.like(x, x.shape, np.dtype(np.float64), "x")

    def _outside(self, x: Array) -> Array:
        """Whether numbers are outside the support."""
        low, high = self.support
        return (x < low) | (x > high)


def exp_within(x: Array, dtype: np.dtype[Any]) -> FloatArray:
    """Return exp(x) in a type, where it would be 0 or inf its smallest or largest normal number."""
    info = np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore"):
        return np.clip(np.exp(x), info.tiny, info.max).astype(dtype)
