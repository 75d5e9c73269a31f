"""Expectations of functions that JAX traces, with gradients by any of the estimators.

One callback draws the points at which the estimator asks, JAX evaluates f there, and another makes
the estimate of the answers: see `fastgrad.interop.replay`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fastgrad import _validate
from fastgrad.estimators.base import Estimate, Estimator
from fastgrad.estimators.draws import last_state, remembered
from fastgrad.estimators.registry import EstimatorName, estimator
from fastgrad.interop.families import Family, built, named
from fastgrad.interop.replay import Answers, Points, record, rehearse, replay
from fastgrad.jax.calls import first_order, from_python, varying
from fastgrad.jax.keys import JaxKey, words
from fastgrad.jax.operands import JaxArray, answers, real
from fastgrad.random import Key

__all__ = ["Expectation", "expectation", "initial_state"]

PARAMETERS = 1  # folded into the key for samples that only the parameters of f see


class Expectation(NamedTuple):
    """An estimate of E[f] whose gradient is that of the estimator.

    Attributes
    ----------
    value : jax.Array
        The shape of f's values without the axis of samples, in the dtype of the logits.
    state : dict of arrays, or None
        What the estimator has learned, to be passed to the next call.
    """

    value: jax.Array
    state: dict[str, jax.Array] | None


def expectation(
    f: Callable[[jax.Array], Any],
    logits: JaxArray,
    key: JaxKey,
    *,
    estimator: EstimatorName | str | Estimator = "rebar",
    num_samples: int = 8,
    state: dict[str, Any] | None = None,
    distribution: Family = "categorical",
    **options: Any,
) -> Expectation:
    """Estimate E[f(x)] as a value that JAX can differentiate.

    Its gradient by the logits is that of the estimator. Parameters that f closes over get the
    gradient of the mean of f over samples. Gradients of f that the estimator needs are JAX's own.

    Parameters
    ----------
    f : callable
        A function of samples that JAX can trace: of x, shape (P, *batch, K), one-hot or relaxed, or
        (P, *batch) for Bernoulli variables, or the features of structures. It returns values
        (P, *examples), or values and credit, as in `fastgrad.objective`, and treats each of the P
        points by itself. These are floats; for estimators that take no gradient of f, also counts.
    logits : array, shape (*batch, K), or (*batch) for Bernoulli variables
        float16 and bfloat16 are computed in float32.
    key : jax.random.key, int or fastgrad.Key
        Names the noise: see `to_key`. Under vmap, elements that share a key share its noise.
    estimator : str or Estimator
        One of `fastgrad.list_estimators`.
    num_samples : int
        Number S of samples.
    state : dict of arrays, optional
        The state of the last call, for estimators that learn from call to call. In `jax.lax.scan`,
        where its structure must not change, begin with `initial_state`.
    distribution : {"categorical", "bernoulli"} or callable
        What the logits mean. A function makes a distribution of an array of them, as
        ``functools.partial(fastgrad.subset.KSubset, k=2)`` does: any of `fastgrad.subset`,
        `permutation`, `trees`, `chains`, `counts` and `bernoulli`.
    **options
        Options of the estimator, such as its temperature.

    Returns
    -------
    Expectation
        Named tuple of `value` and `state`. No gradient flows through the state.

    Raises
    ------
    TypeError, ValueError
        When it is traced, for a wrong option, or an f whose values have a wrong shape or type.
    jax.errors.JaxRuntimeError
        When it runs, if the logits or the values of f are not finite.

    Notes
    -----
    Distributions are made anew of the logits of each call, and first of zeros, when the program is
    traced. An estimator that lists the outcomes of counts, of which there are more the larger they
    are, may then have more than those of zeros: that is an error when it runs.

    The parameters of f see the samples that the estimator draws: for the relaxations these are
    relaxed. For `enumerate` and for estimators that draw without replacement they are S independent
    samples of another key. For `vimco` f is a log weight, and both gradients are those of the log
    of the mean weight.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> @jax.jit
    ... def loss(logits, weights, key):
    ...     def f(x):
    ...         return ((x * weights).sum(axis=-1) ** 2).sum(axis=-1)
    ...     return fastgrad.jax.expectation(f, logits, key, estimator="rebar").value
    >>> arguments = jnp.zeros((5, 3)), jnp.arange(3.0), jax.random.key(0)
    >>> by_logits, by_weights = jax.grad(loss, (0, 1))(*arguments)
    >>> by_logits.shape, by_weights.shape
    ((5, 3), (3,))
    """
    x, own = real(logits, "logits")
    plan = _plan(f, x, estimator, num_samples, distribution, options)
    names, leaves = _state_leaves(plan, state)
    most = plan.most
    asked = [most.plain.shape, most.sloped.shape, (num_samples, *plan.features)]
    functions, constants = zip(*(_closed(plan, kind) for kind in _kinds(x, asked)))

    @jax.custom_vjp
    def mean(x, words, leaves, constants):
        return forward(x, words, leaves, constants)[0]

    def forward(x, words, leaves, constants):
        plain, sloped, order, at = _draw(plan, names, x, words, leaves)
        answer, slope = functions[0](plain, *constants[0]), jnp.zeros_like(sloped)
        relaxed = functions[1](sloped, *constants[1])
        if len(most.sloped):
            slope = jax.grad(lambda p: _value(functions[1](p, *constants[1])).sum())(sloped)
        answers = Answers(answer, relaxed, slope)
        value, grad, *new = _combine(plan, names, x, words, leaves, (plain, sloped, order), answers)
        return (value, new), (grad, at, leaves, constants)

    def backward(residuals, cotangents):
        grad, at, leaves, constants = residuals
        weight, _ = cotangents
        wide = weight.reshape((*weight.shape, *(1,) * (grad.ndim - weight.ndim)))
        _, pull = jax.vjp(lambda *c: _mean(plan, functions[2](at, *c)), *constants[2])
        none = [[jnp.zeros_like(c) for c in part] for part in constants[:2]]
        still = [jnp.zeros_like(leaf) for leaf in leaves]
        weight = weight.astype(_value(plan.answer).dtype)
        return grad * wide, None, still, [*none, list(pull(weight))]

    mean.defvjp(forward, backward)
    value, new = mean(x, words(key), leaves, list(map(list, constants)))
    return Expectation(value.astype(own), dict(zip(plan.state, new)) if plan.state else None)


def initial_state(
    f: Callable[[jax.Array], Any],
    logits: JaxArray,
    *,
    estimator: EstimatorName | str | Estimator = "rebar",
    num_samples: int = 8,
    distribution: Family = "categorical",
    **options: Any,
) -> dict[str, jax.Array] | None:
    """Return the state of `expectation` after a call with f = 0, of the structure that it keeps.

    Parameters
    ----------
    f, logits, estimator, num_samples, distribution, **options
        As in `expectation`; only shapes and dtypes count.

    Returns
    -------
    dict of arrays, or None
        None for an estimator that does not learn.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> state = fastgrad.jax.initial_state(lambda x: x[:, 0], jnp.zeros(3), estimator="rebar")
    >>> sorted(state)[:2]
    ['products', 'scale']
    """
    x, _ = real(logits, "logits")
    plan = _plan(f, x, estimator, num_samples, distribution, options)
    return {k: jnp.asarray(v) for k, v in plan.state.items()} if plan.state else None


# -- what is known when the program is traced --------------------------------------------------


class _Plan(NamedTuple):
    """All that is fixed: how to draw, at how many points at most, and the shapes of results."""

    f: Callable[..., Any]  # of floats
    estimator: Estimator
    kind: Any  # makes a distribution of logits
    features: tuple[int, ...]  # shape of those of one sample
    num_samples: int
    examples: tuple[int, ...]
    answer: Any  # what f returns at the samples
    most: Points
    state: dict[str, Any] | None  # after a call with f = 0

    def distribution(self, logits: Any) -> Any:
        return self.kind(np.asarray(logits))

    def call(self, words: Any, names: list[str], leaves: Any) -> dict[str, Any]:
        """Return the arguments of the NumPy call; NumPy's own types of the state are restored."""
        known = self.state or {}
        state = {n: np.asarray(leaf).astype(known[n].dtype) for n, leaf in zip(names, leaves)}
        key = Key._from_words(np.asarray(words))
        return {"num_samples": self.num_samples, "rng": key, "state": state or None}


def _plan(f, x, chosen, num_samples, distribution, options):
    build: Any = estimator
    made = build(chosen, **options) if isinstance(chosen, str) else chosen
    if not isinstance(made, Estimator) or (made is chosen and options):
        raise TypeError(
            f"estimator must be a name with options, or an Estimator without, got {chosen!r}"
        )
    num_samples = _validate.integer(num_samples, "num_samples", 1, 2**24)
    kind = named(distribution, "distribution")
    zeros = built(kind, np.zeros(x.shape, x.dtype), "distribution")
    made.check(zeros)
    made, features = made.for_distribution(zeros), zeros.feature_shape
    f, shape = answers(f, x.dtype, made), (num_samples, *zeros.batch_shape)
    answer = jax.eval_shape(f, jax.ShapeDtypeStruct((num_samples, *features), x.dtype))
    value = _value(answer)
    if value.ndim == 0 or value.shape != shape[: value.ndim]:
        raise ValueError(
            f"f must return values whose shape is a leading part of (S, *batch) = {shape}, "
            f"got {value.shape}"
        )
    examples = value.shape[1:]
    most, state = rehearse(made, zeros, num_samples=num_samples, examples=examples)
    state = {k: np.asarray(v) for k, v in state.items()} if state else None
    return _Plan(f, made, kind, features, num_samples, examples, answer, most, state)


def _state_leaves(plan, state):
    """Return the names of a state's arrays, and these in that order."""
    if last_state(state) is None:
        return [], []
    known: dict[str, Any] = plan.state or {}
    if set(state) != set(known):
        raise ValueError(f"state must have the arrays {sorted(known)}, got {sorted(state)}")
    for name, like in known.items():
        if not isinstance(state[name], jax.Array):
            remembered(state, name)
        if (shape := np.shape(state[name])) != like.shape:
            raise ValueError(f"state[{name!r}] must have shape {like.shape}, got {shape}")
    return list(known), [jax.lax.stop_gradient(jnp.asarray(state[name])) for name in known]


def _kinds(x, shapes):
    """Return what arrays of these shapes are to a tracer, on the devices of x."""
    return jax.eval_shape(lambda x: varying(tuple(jnp.zeros(s, x.dtype) for s in shapes), (x,)), x)


def _closed(plan, x):
    """Return f for points of that shape as a function of its parameters too, and these."""
    if x.shape[0]:
        return jax.closure_convert(plan.f, x)
    none = jax.tree.map(lambda a: jnp.zeros((0, *a.shape[1:]), a.dtype), plan.answer)
    return lambda x: none, []


def _value(answer):
    return answer[0] if isinstance(answer, tuple) else answer


def _mean(plan, answer):
    """Return the estimate of E[f], given f at the samples; for VIMCO of the log mean weight."""
    value = _value(answer)
    if plan.estimator.reduction == "log_mean_exp":
        size = plan.estimator.group(plan.num_samples)
        value = value.reshape(-1, size, *value.shape[1:])
        value = jax.nn.logsumexp(value, axis=1) - math.log(size)
    elif plan.estimator.reduction == "order_statistic":
        weights = plan.estimator.rank_weights(plan.num_samples).astype(value.dtype)
        return jnp.tensordot(weights, jnp.sort(value, axis=0), 1)
    return value.mean(axis=0)


# -- the two callbacks -------------------------------------------------------------------------


def _shapes(arrays):
    """Return the shapes of NumPy arrays, in JAX's types."""
    return [jax.ShapeDtypeStruct(a.shape, jax.dtypes.canonicalize_dtype(a.dtype)) for a in arrays]


def _as(arrays, shapes):
    return [np.asarray(a).astype(s.dtype).reshape(s.shape) for a, s in zip(arrays, shapes)]


def _draw(plan, names, x, words, leaves):
    """Return the points at which the estimator asks, padded, and the samples of the parameters."""
    shapes = _shapes([*plan.most, np.empty((plan.num_samples, *plan.features), x.dtype)])

    def draw(x, words, leaves):
        d, call = plan.distribution(x), plan.call(words, names, leaves)
        points = record(plan.estimator, d, examples=plan.examples, **call).padded(plan.most)
        return tuple(_as([*points, _samples(plan, d, call)], shapes))

    return _called(draw, shapes, x, words, leaves)


def _samples(plan, distribution, call):
    """Return the samples that the parameters of f see."""
    count, key = plan.num_samples, call["rng"]
    if plan.estimator.reduction == "weighted":
        z = distribution.sample(num_samples=count, rng=key.fold_in(PARAMETERS))
        return distribution.features(z)
    draws = plan.estimator.draw(distribution, count, key, state=call["state"])
    return plan.estimator.samples(distribution, draws)


def _combine(plan, names, x, words, leaves, points, answers):
    """Return the estimate of f's answers: its value, its gradient, and the new state."""
    value = np.empty(plan.examples, x.dtype)
    shapes = _shapes([value, np.empty(x.shape, x.dtype), *(plan.state or {}).values()])

    def combine(x, words, leaves, points, answers):
        d, call = plan.distribution(x), plan.call(words, names, leaves)
        points, answers = jax_free(points), jax_free(answers)
        found: Estimate = replay(plan.estimator, d, Points(*points), Answers(*answers), **call)
        new = [(found.state or {})[name] for name in plan.state or {}]
        return tuple(_as([found.value, found.grad, *new], shapes))

    return _called(combine, shapes, x, words, leaves, points, tuple(answers))


def _called(function, shapes, *operands):
    """Call NumPy from a program; under vmap, once for each element."""
    operands = first_order("expectation", operands)
    found = from_python(function, shapes, *operands, vmap_method="sequential")
    return varying(found, jax.tree.leaves(operands))


def jax_free(tree: Any) -> Any:
    """Return nested tuples of arrays as NumPy's."""
    return tuple(map(jax_free, tree)) if isinstance(tree, tuple) else np.asarray(tree)
