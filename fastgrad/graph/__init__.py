"""Gradients of E[f] where f depends on several random variables: stochastic computation graphs.

A graph has nodes, each of them a distribution or a function that makes one of earlier samples, and
costs, functions of samples and of parameters. Each of S joint samples is drawn node by node, f is
evaluated there once, and nodes are then visited from the last to the first. What a node's estimator
sees as f is the sum of the costs downstream of it, with all else that was sampled held fixed:

- its values are the signal of score-function estimators;
- its gradient is the derivative of those costs by the node's sample, directly, and through the
  parameters of nodes that depend on it.

The estimator turns these into a gradient by the node's parameters. They are the user's own, or made
of earlier samples: then there is one distribution for each joint sample, the estimator sees S
examples of one sample each, and its gradients go back, through the user's vector-Jacobian product,
to where the parameters came from.

By induction from the last node this is the gradient of E[f] whenever each estimator is unbiased:
given what came before, a node's estimator is so for its own parameters, and through an earlier
sample the derivative is only taken where that sample is itself a differentiable function.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastgrad._typing import ArrayLike
from fastgrad.estimators import ContinuousName, Estimate, Estimator, EstimatorName
from fastgrad.estimators.draws import last_state
from fastgrad.graph._passes import Graph
from fastgrad.graph.dice import HessianProduct, expectation_hvp
from fastgrad.objectives import Objective, as_objective
from fastgrad.random import RNG, as_key

__all__ = ["Conditional", "Cost", "HessianProduct", "expectation_grad", "expectation_hvp"]


@dataclasses.dataclass(frozen=True)
class Conditional:
    """A node whose distribution depends on earlier samples, on parameters, or on both.

    Parameters
    ----------
    inputs : str or tuple of str
        Names of earlier nodes and of parameters.
    distribution : callable
        Takes the inputs by name. A continuous sample has the shape (S, *batch_shape, *event_shape);
        a discrete one is its features, of shape (S, *logits.shape). Returns a distribution whose
        batch shape begins with S: one for each joint sample.
    vjp : callable, optional
        The vector-Jacobian product of `distribution`. Takes the gradient by the parameters of the
        distribution, which is an array of the shape of its logits, or a dict of arrays by the names
        of its parameters; then the inputs by name. Returns a dict of gradients by the inputs, of
        their shapes; an input that is left out has none. Not needed where all inputs are samples
        of nodes whose estimators use no gradient of f.

    Raises
    ------
    ValueError
        By `expectation_grad`, if an input does not exist or comes later.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> weights = np.array([-1.0, 1.0])
    >>> node = fg.graph.Conditional(
    ...     ("z", "w"),
    ...     lambda z, w: fg.continuous.Normal(z @ w, np.zeros(len(z))),
    ...     lambda grad, z, w: {"z": grad["loc"][:, None] * w, "w": grad["loc"] @ z},
    ... )
    >>> f = fg.objective(lambda z, x, w: x**2, grad=lambda z, x, w: {"x": 2 * x})
    >>> estimate = fg.expectation_grad(
    ...     f,
    ...     {"z": fg.Categorical(np.zeros(2)), "x": node},
    ...     parameters={"w": weights},
    ...     num_samples=4000,
    ...     rng=0,
    ... )
    >>> estimate.grad["w"].round()
    array([-1.,  1.])
    """

    inputs: str | tuple[str, ...]
    distribution: Callable[..., Any]
    vjp: Callable[..., dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", names_of(self.inputs))


@dataclasses.dataclass(frozen=True)
class Cost:
    """A term of f with the names of its inputs.

    A node that comes after all inputs of a term, or has no influence on them, leaves this term out
    of its signal, which lowers the variance.

    Parameters
    ----------
    inputs : str or tuple of str
        Names of nodes and of parameters.
    f : callable
        Takes the inputs by name. Returns values whose shape begins with S and is a leading part of
        (S, *batch_shape) of each node.
    grad : callable, optional
        Takes the inputs by name. Returns a dict of the derivatives of the sum of the values by the
        inputs, of their shapes; an input that is left out has none.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> costs = [fg.graph.Cost("a", lambda a: a[:, 0]), fg.graph.Cost("b", lambda b: b[:, 1])]
    >>> nodes = {"a": np.log([0.2, 0.8]), "b": np.log([0.2, 0.8])}
    >>> estimate = fg.expectation_grad(costs, nodes, num_samples=10_000, rng=0)
    >>> estimate.grad["a"].round(1), estimate.grad["b"].round(1)
    (array([ 0.2, -0.2]), array([-0.2,  0.2]))
    """

    inputs: str | tuple[str, ...]
    f: Callable[..., Any]
    grad: Callable[..., dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", names_of(self.inputs))


def expectation_grad(
    f: Callable[..., Any] | Objective | Sequence[Cost],
    nodes: dict[str, Any],
    *,
    parameters: dict[str, ArrayLike] | None = None,
    estimator: EstimatorName
    | ContinuousName
    | Estimator
    | dict[str, EstimatorName | ContinuousName | Estimator]
    | None = None,
    num_samples: int,
    rng: RNG,
    state: dict[str, Any] | None = None,
    return_samples: bool = False,
) -> Estimate:
    """Estimate E[f] and its gradient by the parameters of all distributions, and of f itself.

    Parameters
    ----------
    f : callable, Objective, or list of Cost
        A function that takes the samples of all nodes and all parameters by name, and returns
        values whose shape begins with S. The gradient of an objective takes the same arguments, and
        returns a dict of derivatives by name. A list is the terms of a sum.
    nodes : dict of distribution, array of logits, or Conditional
        Distributions by name. A conditional node comes after the nodes that are its inputs.
    parameters : dict of arrays, optional
        Parameters by name, on which f or conditional nodes depend besides samples.
    estimator : str, Estimator, or dict of them by node, optional
        The estimator of each node. By default "rloo" for discrete nodes, and for continuous nodes
        "pathwise" if f has a gradient, otherwise "score_function". Estimators that draw samples in
        groups, or that need more than values and gradients of f, are refused. Estimators that
        evaluate f away from the sample, such as "rebar" and "measure_valued", are for nodes that
        are not inputs of others.
    num_samples : int
        Number S of joint samples.
    rng : int, SeedSequence, Generator or Key
        The same key gives the same estimate, bit for bit.
    state : dict, optional
        The state of the last estimate.
    return_samples : bool
        Whether the estimate has the joint samples, a dict of arrays by node, and their weights.

    Returns
    -------
    Estimate
        Its `grad` is a dict. For each parameter it has an array. For each node that is not
        conditional it has the gradient by its parameters: an array of the shape of its logits, or a
        dict of arrays by the names of its parameters.

    Raises
    ------
    TypeError
        If an estimator does not fit its node, or lacks a gradient that it needs.
    ValueError
        If names, shapes or values do not fit.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objective(
    ...     lambda z, x: (z[:, 0] * x - 1) ** 2,
    ...     grad=lambda z, x: {"x": 2 * z[:, 0] * (z[:, 0] * x - 1)},
    ... )
    >>> nodes = {"z": fg.Categorical(np.zeros(2)), "x": fg.continuous.Normal(0.0, 0.0)}
    >>> estimate = fg.expectation_grad(f, nodes, num_samples=100, rng=0)
    >>> estimate.grad["z"].shape, sorted(estimate.grad["x"])
    ((2,), ['loc', 'log_scale'])

    References
    ----------
    Schulman, Heess, Weber and Abbeel, "Gradient estimation using stochastic computation graphs",
    NeurIPS 2015.
    """
    if not isinstance(nodes, dict) or not nodes:
        raise TypeError(f"nodes must be a dict of distributions by name, got {nodes!r}")
    if not isinstance(f, list | tuple):
        objective = as_objective(f)
        objective.require("expectation_grad", ("f",))
        f = [Cost((*nodes, *(parameters or {})), objective.part("f"), objective.grad)]
    graph = Graph(f, nodes, parameters or {}, num_samples)
    known = last_state(state) or {}
    found = graph.estimate(estimator, as_key(rng), known)
    return graph.with_samples(found) if return_samples else found


def names_of(inputs: str | Iterable[str]) -> tuple[str, ...]:
    """Return names as a tuple: a single one may stand by itself."""
    return (inputs,) if isinstance(inputs, str) else tuple(inputs)
