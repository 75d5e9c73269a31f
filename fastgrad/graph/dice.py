"""Second derivatives of E[f] over graphs: products of the Hessian with a vector, by DiCE.

Foerster et al. write a surrogate whose derivatives of any order have the right means: each cost is
multiplied with ``exp(log_p - stop(log_p))``, where log_p is the log probability of all samples that
the cost depends on. The derivatives of that factor are the score s at first order, and ``s s^T``
plus the derivative of s at second. They have mean zero, whatever the order: so a cost may lose any
baseline that does not depend on its own sample, here the mean over the other samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.categorical import as_distribution
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.sums import last_joined
from fastgrad.graph._passes import Graph, is_conditional
from fastgrad.random import RNG, Key, as_key

__all__ = ["HessianProduct", "expectation_hvp"]

AFFINE = 1e-3  # by which gradients carried back may differ, relative to their largest


class HessianProduct(NamedTuple):
    """An estimate of E[f], its gradient, and the product of its Hessian with a vector.

    Attributes
    ----------
    value : array
        Estimate of E[f]: the shape of f's values without the axis of samples.
    grad, product : dict of arrays
        The gradient, and the Hessian times the vector, by the logits of each node that is not
        conditional, and by each parameter. Where f has a value for each example, those of the sum.
    evaluations : int
        Number of joint samples at which f was evaluated.
    """

    value: FloatArray
    grad: dict[str, FloatArray]
    product: dict[str, FloatArray]
    evaluations: int


class Node(NamedTuple):
    """What is known of a node's samples, each by its own logits: (S, *logits.shape)."""

    conditional: bool
    distribution: Discrete
    score: FloatArray
    slope: FloatArray  # derivative of the score along the vector
    tangent: FloatArray  # of its logits


def expectation_hvp(
    f: Callable[..., Any] | Sequence[Any],
    nodes: dict[str, Any],
    vector: dict[str, ArrayLike],
    *,
    parameters: dict[str, ArrayLike] | None = None,
    num_samples: int,
    rng: RNG,
) -> HessianProduct:
    """Estimate E[f], its gradient, and the product of its Hessian with a vector.

    All nodes are discrete, and all estimates are of the score function with leave-one-out
    baselines: they are unbiased, and f is never differentiated.

    Parameters
    ----------
    f : callable, or list of Cost
        As for `expectation_grad`: of samples and parameters by name.
    nodes : dict of distribution, array of logits, or Conditional
        As for `expectation_grad`. The logits of a conditional node must be affine in parameters,
        as entries of a table or a linear model are; its `vjp` must give their gradients.
    vector : dict of arrays
        The vector, by node and parameter; what is left out is 0.
    parameters : dict of arrays, optional
        Parameters on which conditional nodes depend. On others f alone may depend: they are
        constants then.
    num_samples : int
        Number S of joint samples, at least 2.
    rng : int, SeedSequence, Generator or Key
        The same key gives the same estimate, bit for bit.

    Returns
    -------
    HessianProduct

    Raises
    ------
    TypeError
        If a node is continuous, or the derivative of its score is not known.
    ValueError
        If names, shapes or values do not fit; if f and a conditional node depend on one parameter;
        if the logits of a conditional node are not affine in the parameters.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, v = np.log([0.2, 0.8]), np.array([1.0, 0.0])
    >>> found = fg.graph.expectation_hvp(
    ...     lambda z: z[:, 0], {"z": logits}, {"z": v}, num_samples=100_000, rng=0
    ... )
    >>> found.product["z"].round(2)  # p (1 - p) (1 - 2 p), and minus that
    array([ 0.1, -0.1])

    References
    ----------
    Foerster, Farquhar, Al-Shedivat, Rocktaeschel, Xing and Whiteson, "DiCE: the infinitely
    differentiable Monte Carlo estimator", ICML 2018.
    Mao, Foerster, Rocktaeschel, Al-Shedivat, Farquhar and Whiteson, "A baseline for any order
    gradient estimation in stochastic computation graphs", ICML 2019.
    """
    _validate.integer(num_samples, "num_samples", 2)
    names, given = (*nodes, *(parameters or {})), cast(Any, f)
    costs = given if isinstance(given, list | tuple) else [_Whole(given, names)]
    graph = Graph(costs, nodes, parameters or {}, num_samples)
    return Surrogate(graph, vector).estimate(as_key(rng))


class _Whole(NamedTuple):
    """A function of everything, as a cost."""

    f: Callable[..., Any]
    inputs: tuple[str, ...]
    grad: None = None


class Surrogate:
    """The pass over a graph that collects scores, and the sums over samples."""

    graph: Graph
    size: int
    vector: dict[str, Any]

    def __init__(self, graph: Graph, vector: dict[str, Any]) -> None:
        self.graph, self.size = graph, graph.size
        self.vector, self.values = vector, dict(graph.parameters)
        graph.values = self.values  # which its checks read
        own = [n for n, node in graph.nodes.items() if not is_conditional(node)]
        used = {n for node in graph.nodes.values() if is_conditional(node) for n in node.inputs}
        for name in vector:
            if name not in own and name not in graph.parameters:
                have = ", ".join(map(repr, (*own, *graph.parameters)))
                raise ValueError(f"vector must have names among {have}, got {name!r}")
        for cost in graph.costs:
            for name in cost.inputs:
                if name in graph.parameters and (name in vector or name in used):
                    raise ValueError(
                        f"f must not depend on the parameter {name!r}, by which it would have "
                        "to be differentiated: give Cost, whose inputs leave it out"
                    )
        self.moving = {n: p for n, p in graph.parameters.items() if n in used}
        self.along = {n: self.direction(n, p) for n, p in self.moving.items()}

    def direction(self, name: str, x: Array) -> FloatArray:
        """Return the part of the vector that belongs to an array."""
        given = self.vector.get(name)
        if given is None:
            return np.zeros_like(x)
        return _validate.finite(
            _validate.like(given, x.shape, x.dtype, f"vector[{name!r}]"), f"vector[{name!r}]"
        )

    def estimate(self, key: Key) -> HessianProduct:
        """Draw all nodes, evaluate the costs, and add up."""
        graph, drawn = self.graph, {}
        for i, (name, node) in enumerate(graph.nodes.items()):
            drawn[name] = self.draw(name, node, key.fold_in(i))
        answers = [graph.value(cost, self.values) for cost in graph.costs]
        shapes = [answer.shape for answer in answers]
        if shapes != shapes[:1] * len(shapes):
            raise ValueError(f"all costs must return values of one shape, got {shapes}")
        value = np.asarray(sum(answers)).mean(axis=0)
        signals = [self.centred(answer) for answer in answers]
        cells = signals[0].shape[1]
        along = {
            n: last_joined(d.score * d.tangent, self.size, cells).sum(axis=-1)
            for n, d in drawn.items()
        }
        grad, product = ({n: np.zeros_like(p) for n, p in self.moving.items()} for _ in range(2))
        for name, node in drawn.items():
            first, second = np.zeros((2, self.size, cells))
            for cost, signal in zip(graph.costs, signals):
                behind = [n for n in drawn if graph.below[n] & set(cost.inputs)]
                if name in behind:
                    first = first + signal
                    second = second + signal * sum(along[n] for n in behind)
            shape = node.score.shape
            score, slope = (last_joined(x, self.size, cells) for x in (node.score, node.slope))
            one = (first[..., None] * score).reshape(shape)
            two = (second[..., None] * score + first[..., None] * slope).reshape(shape)
            self.collect(name, node, one, grad)
            self.collect(name, node, two, product)
        order = [*(n for n, d in drawn.items() if not d.conditional), *self.moving]
        results: list[dict[str, Any]] = [
            {n: np.asarray(found[n] / self.size, self.dtype(n, drawn)) for n in order}
            for found in (grad, product)
        ]
        return HessianProduct(value, results[0], results[1], self.size)

    def dtype(self, name: str, drawn: dict[str, Node]) -> Any:
        """Return the type of a result."""
        return drawn[name].distribution.logits.dtype if name in drawn else self.moving[name].dtype

    def centred(self, answer: FloatArray) -> FloatArray:
        """Return the values of a cost less the mean of the others, float64, (S, M)."""
        y = np.asarray(answer, np.float64).reshape(self.size, -1)
        return (y - y.mean(axis=0)) * (self.size / (self.size - 1))

    # -- forward ---------------------------------------------------------------------------------

    def draw(self, name: str, node: Any, key: Key) -> Node:
        """Draw a node's samples, with their scores and the derivatives of these."""
        conditional, who = is_conditional(node), f"node {name!r}"
        made = node.distribution(**self.inputs(node)) if conditional else node
        distribution: Any = as_distribution(made)
        if not isinstance(distribution, Discrete):
            raise TypeError(f"{who} must be discrete, got {type(distribution).__name__}")
        for capability in ("score", "score_jvp"):
            if reason := distribution.lacks.get(capability):
                kind = type(distribution).__name__
                raise TypeError(f"{who}: expectation_hvp does not work with {kind}: {reason}")
        if conditional and distribution.batch_shape[:1] != (self.size,):
            raise ValueError(
                f"the distribution of {who} must have batch shape ({self.size}, ...), one for each "
                f"sample, got {distribution.batch_shape}"
            )
        z = distribution.sample(num_samples=1 if conditional else self.size, rng=key)
        z = _validate.frozen(z)
        x = distribution.features(z)
        self.values[name] = _validate.frozen(x[0] if conditional else x)
        tangent = self.tangent(name, node, distribution)
        parts = (distribution.score(z), distribution.score_jvp(z, tangent))
        score, slope = (np.asarray(a[0] if conditional else a, np.float64) for a in parts)
        return Node(conditional, distribution, score, slope, tangent)

    def inputs(self, node: Any, step: float = 0.0) -> dict[str, Any]:
        """Return the inputs of a conditional node, parameters moved along the vector."""
        found = {n: self.values[n] for n in node.inputs}
        if step:
            found |= {n: found[n] + step * v for n, v in self.along.items() if n in found}
        return found

    def tangent(self, name: str, node: Any, distribution: Any) -> FloatArray:
        """Return the derivative of a node's logits along the vector."""
        logits = distribution.logits
        if not is_conditional(node):
            return self.direction(name, logits)
        if not any(self.along[n].any() for n in node.inputs if n in self.along):
            return np.zeros_like(logits)
        there: Any = as_distribution(node.distribution(**self.inputs(node, 1.0)))
        return _validate.frozen(there.logits - logits)

    # -- backward --------------------------------------------------------------------------------

    def collect(self, name: str, node: Node, by_logits: FloatArray, found: dict[str, Any]) -> None:
        """Add gradients by each sample's logits to those by a node's own, or by parameters."""
        if not node.conditional:
            found[name] = by_logits.sum(axis=0)
            return
        made = self.graph.nodes[name]
        wanted = [n for n in made.inputs if n in self.moving]
        if not wanted:
            return
        if made.vjp is None:
            raise TypeError(f"node {name!r} needs a vjp, for the gradient by {wanted[0]!r}")
        carried = by_logits.astype(node.distribution.logits.dtype)
        here, there = (made.vjp(carried, **self.inputs(made, step)) for step in (0.0, 1.0))
        who = f"the vjp of node {name!r}"
        for to in wanted:
            one, two = (self.graph.derivative(x, to, made.inputs, who) for x in (here, there))
            if np.abs(two - one).max(initial=0) > AFFINE * np.abs(one).max(initial=0):
                raise ValueError(f"the logits of node {name!r} must be affine in {to!r}")
            found[to] = found[to] + one
