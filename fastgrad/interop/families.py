"""Distributions that a front makes of arrays of logits, by a function that a user gives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.score_functions.gradient_controls import slopes
from fastgrad.estimators.score_sums import expand
from fastgrad.estimators.sums import mean_features

__all__ = ["Family", "Shapes", "apply", "built", "named", "product", "shapes_of"]

#: What logits mean: a name, or a function that makes a distribution of an array of them.
Family: TypeAlias = Literal["categorical", "bernoulli"] | Callable[..., Discrete]
NAMED: dict[str, Callable[..., Discrete]] = {
    "categorical": functools.partial(Categorical, copy=False),
    "bernoulli": functools.partial(Bernoulli, copy=False),
}


def named(family: Any, name: str) -> Any:
    """Return a family: the one of that name, unless it is one itself."""
    return family if callable(family) else NAMED[_validate.choice(family, name, tuple(NAMED))]


def built(family: Callable[..., Any], logits: FloatArray, name: str) -> Discrete:
    """Return the distribution that a family makes of logits.

    Parameters
    ----------
    family : callable
        Such as ``functools.partial(fastgrad.subset.KSubset, k=2)``.
    logits : array
    name : str
        Of the argument that the family was given as.

    Returns
    -------
    Discrete
        Whose logits are those, of the same shape.

    Raises
    ------
    TypeError
        If it makes anything else.
    """
    found = family(logits)
    if not isinstance(found, Discrete):
        got = type(found).__name__
        raise TypeError(f"{name} must make a distribution with logits of an array, got {got}")
    if found.logits.shape != logits.shape:
        shapes = f"{logits.shape}, got {found.logits.shape}"
        raise TypeError(f"{name} must make a distribution whose logits have the shape {shapes}")
    return found


# -- methods of a distribution as functions of logits ----------------------------------------

NEEDS = {"mean": "mean", "gumbel_softmax": "relaxation", "log_prob": "score"}


def apply(family: Any, method: str, logits: Any, *others: Any, **options: Any) -> Any:
    """Call a method of the distribution that a family makes of logits: the result is fresh."""
    d = built(family, logits, "family")
    lacking = d.lacks.get(NEEDS.get(method, ""))
    if lacking is not None:
        raise TypeError(f"{type(d).__name__} has no {method}: {lacking}")
    if method == "mean" and d.one_hot:
        return mean_features(d).reshape(d.feature_shape)
    return np.require(getattr(d, method)(*others, **options), requirements="W")


def product(family: Any, method: str, logits: Any, *others: Any, **options: Any) -> FloatArray:
    """Multiply a cotangent, the last of the others, with the Jacobian of `apply` by the logits."""
    d: Any = built(family, logits, "family")
    if method == "log_prob":
        z, r = others
        score = d.score(z)
        grad = score * expand(r, score)
        grad = grad.sum(axis=0) if grad.ndim > logits.ndim else grad
    elif method == "mean" and d.one_hot:
        grad = slopes(d, np.ascontiguousarray(others[0]), mean_features(d))[1]
    elif method == "mean":
        grad = d.mean_vjp(others[0])
    else:
        options.pop("num_samples", None)
        grad = d.gumbel_softmax_vjp(others[0], **options)
    return np.require(grad.astype(logits.dtype, copy=False), requirements="W")


class Shapes(NamedTuple):
    """What arrays a distribution goes with, for one sample: see `shapes_of`."""

    batch: tuple[int, ...]
    features: tuple[int, ...]
    sample: tuple[int, ...]
    kind: Any  # dtype of samples


def shapes_of(family: Any, shape: tuple[int, ...], dtype: Any) -> Shapes:
    """Return the shapes of what the distribution of logits of 0, of a shape, goes with."""
    d = built(family, np.zeros(shape, dtype), "family")
    z = d.sample(num_samples=1, rng=0)
    return Shapes(d.batch_shape, d.feature_shape, z.shape[1:], z.dtype)
