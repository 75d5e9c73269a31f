"""Sets, orders, trees, chains and counts inside a JAX program, as functions of their logits.

A family makes a distribution of an array of logits: a class of `fastgrad.subset`, `permutation`,
`trees`, `chains`, `counts` or `bernoulli`, whose other arguments are bound by `functools.partial`.
The same object makes the same program. `expectation` takes families as its `distribution`, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fastgrad import _validate
from fastgrad.distributions.discrete import Discrete
from fastgrad.interop.families import Shapes, shapes_of
from fastgrad.jax import structured_operations as structured_operations  # fills the table
from fastgrad.jax.calls import call
from fastgrad.jax.keys import JaxKey, words
from fastgrad.jax.operands import JaxArray, known, real
from fastgrad.jax.shared import while_argument_lives, while_used

__all__ = ["features", "gumbel_softmax", "log_prob", "mean", "sample"]

#: What makes a distribution of an array of logits.
Family: TypeAlias = Callable[..., Discrete]


def sample(
    family: Family,
    logits: JaxArray,
    key: JaxKey,
    *,
    num_samples: int | None = None,
    sample_offset: int = 0,
) -> jax.Array:
    """Draw samples of a distribution of structures or counts.

    Parameters
    ----------
    family : callable
        Makes a distribution of an array of logits, as ``functools.partial(fastgrad.subset.KSubset,
        k=2)`` does. It is also given zeros, when the program is traced.
    logits : array
        Of the shape that the family wants. float16 and bfloat16 are computed in float32.
    key : jax.random.key, int or fastgrad.Key
        Names the noise, as in `fastgrad.jax.sample`. Under vmap, elements that share a key share
        its noise.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    sample_offset : int
        Index of the first sample in a larger batch, known when the program is traced.

    Returns
    -------
    array
        The samples of ``family(logits).sample``, bit for bit, without a gradient: `features` makes
        of them what f sees, and `log_prob` has the score as its gradient.

    Raises
    ------
    TypeError, ValueError
        When it is traced, for wrong shapes or options, or a family that makes something else.
    jax.errors.JaxRuntimeError
        When it runs, for logits that the distribution refuses.

    Examples
    --------
    >>> import functools, jax.numpy as jnp, fastgrad as fg, fastgrad.jax
    >>> pairs = functools.partial(fg.subset.KSubset, k=2)
    >>> fastgrad.jax.structured.sample(pairs, jnp.zeros(6), 0, num_samples=3).sum(axis=-1)
    Array([2., 2., 2.], dtype=float32)
    """
    x, _, shapes = _given(family, logits)
    drawn, lead = _drawn(num_samples, sample_offset)
    found = _function(family, "sample", x.shape, drawn)(
        jax.lax.stop_gradient(x.reshape(-1)), words(key)
    )
    return found.reshape((*lead, *shapes.sample))


def features(family: Family, logits: JaxArray, z: JaxArray) -> jax.Array:
    """Return the features of samples z, which is what f sees of them.

    Parameters
    ----------
    family, logits
        As in `sample`.
    z : array, shape (S, *batch, ...) or (*batch, ...)
        Samples.

    Returns
    -------
    array, shape (S, *feature_shape) or (*feature_shape)
        In the dtype of the logits.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad as fg, fastgrad.jax
    >>> orders, logits = fg.permutation.PlackettLuce, jnp.zeros(3)
    >>> z = fastgrad.jax.structured.sample(orders, logits, 0, num_samples=5)
    >>> fastgrad.jax.structured.features(orders, logits, z).shape
    (5, 3, 3)
    """
    x, own, shapes = _given(family, logits)
    many, lead = _samples_of(z, shapes)
    function = _function(family, "features", x.shape, (len(many),))
    found = function(jax.lax.stop_gradient(x.reshape(-1)), many)
    return found.reshape((*lead, *shapes.features)).astype(own)


def log_prob(family: Family, logits: JaxArray, z: JaxArray) -> jax.Array:
    """Compute the log probability of samples, with the score as its gradient.

    Parameters
    ----------
    family, logits
        As in `sample`.
    z : array, shape (S, *batch, ...) or (*batch, ...)
        Samples.

    Returns
    -------
    array, shape (S, *batch) or (*batch)
        In the dtype of the logits.

    Examples
    --------
    >>> import functools, jax, jax.numpy as jnp, numpy as np, fastgrad as fg, fastgrad.jax
    >>> tree = functools.partial(fg.trees.SpanningTree, edges=[[0, 1], [1, 2], [2, 0]])
    >>> f = lambda x: fastgrad.jax.structured.log_prob(tree, x, jnp.array([0, 1]))
    >>> np.asarray(jax.grad(f)(jnp.zeros(3))).round(3)
    array([ 0.667,  0.167, -0.833], dtype=float32)
    """
    x, own, shapes = _given(family, logits)
    many, lead = _samples_of(z, shapes)
    found = _function(family, "log_prob", x.shape, (len(many),))(x.reshape(-1), many)
    return found.reshape((*lead, *shapes.batch)).astype(own)


def mean(family: Family, logits: JaxArray) -> jax.Array:
    """Compute the exact mean of the features, differentiably.

    Parameters
    ----------
    family, logits
        As in `sample`.

    Returns
    -------
    array, shape (*feature_shape)
        In the dtype of the logits.

    Raises
    ------
    jax.errors.JaxRuntimeError
        When it runs, also if the distribution has no mean in closed form.

    Examples
    --------
    >>> import functools, jax.numpy as jnp, fastgrad as fg, fastgrad.jax
    >>> within = functools.partial(fg.subset.Knapsack, costs=[1, 2, 3], budget=3)
    >>> fastgrad.jax.structured.mean(within, jnp.zeros(3)).round(3)
    Array([0.4, 0.4, 0.2], dtype=float32)
    """
    x, own, shapes = _given(family, logits)
    return (
        _function(family, "mean", x.shape, ())(x.reshape(-1)).reshape(shapes.features).astype(own)
    )


def gumbel_softmax(
    family: Family,
    logits: JaxArray,
    key: JaxKey,
    *,
    temperature: float,
    num_samples: int | None = None,
    sample_offset: int = 0,
) -> jax.Array:
    """Draw relaxed features, differentiably: the gradient draws the noise again.

    Parameters
    ----------
    family, logits, key, num_samples, sample_offset
        As in `sample`.
    temperature : float
        Temperature of the relaxation, above 0, known when the program is traced.

    Returns
    -------
    array, shape (S, *feature_shape), or without S where num_samples is None
        In the dtype of the logits.

    Raises
    ------
    jax.errors.JaxRuntimeError
        When it runs, also if the distribution has no relaxation.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad as fg, fastgrad.jax
    >>> matching, scores = fg.permutation.GumbelMatching, jnp.zeros((3, 3))
    >>> fastgrad.jax.structured.gumbel_softmax(matching, scores, 0, temperature=0.5).shape
    (3, 3)
    """
    x, own, shapes = _given(family, logits)
    drawn, lead = _drawn(num_samples, sample_offset)
    heat = _validate.temperature(known(temperature, "temperature"))
    function = _function(family, "gumbel_softmax", x.shape, (*drawn, heat))
    return function(x.reshape(-1), words(key)).reshape((*lead, *shapes.features)).astype(own)


# -- what they share ---------------------------------------------------------------------------


def _given(family: Family, logits: JaxArray) -> tuple[jax.Array, Any, Shapes]:
    """Return logits and their own type, and the shapes that go with them."""
    if not callable(family):
        raise TypeError(f"family must make a distribution of an array of logits, got {family!r}")
    x, own = real(logits, "logits")
    return x, own, _shapes(family, x.shape, np.dtype(x.dtype))


@while_argument_lives
def _shapes(family: Family, shape: tuple[int, ...], dtype: Any) -> Shapes:
    return shapes_of(family, shape, dtype)


def _drawn(num_samples: int | None, sample_offset: int) -> tuple[tuple[int, int], Any]:
    count, lead = _validate.samples(num_samples)
    _, offset = _validate.offsets(0, known(sample_offset, "sample_offset"), count)
    return (count, offset), lead


def _samples_of(z: JaxArray, shapes: Shapes) -> tuple[jax.Array, tuple[int, ...]]:
    """Return samples with a leading axis, and the shape of that which they had."""
    z = jnp.asarray(z)
    lead = z.shape[: z.ndim - len(shapes.sample)]
    if (*lead, *shapes.sample) != z.shape or len(lead) > 1:
        raise ValueError(f"z must have shape {shapes.sample} with or without S, got {z.shape}")
    return jax.lax.stop_gradient(z.reshape(math.prod(lead), *shapes.sample)), lead


@while_used
def _function(family: Family, method: str, shape: Any, options: tuple[Any, ...]) -> Any:
    """Return a method of the distributions of a family as a function of flat logits."""
    how = {"family": family, "shape": shape, "method": method, "options": options}

    @jax.custom_vjp
    def function(logits, *others):
        return call("structured", logits, *others, **how)[0]

    def forward(logits, *others):
        return function(logits, *others), (logits, *others)

    def backward(operands, cotangent):
        (grad,) = call("structured_vjp", *operands, cotangent, **how)
        return grad, *(None for _ in operands[1:])

    function.defvjp(forward, backward)
    return function
