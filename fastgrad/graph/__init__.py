"""Gradients of E[f] where f depends on several random variables: stochastic computation graphs.

A graph has nodes, each of them a distribution or a function that makes one of earlier samples, and
costs, functions of samples and of parameters. Each of S joint samples is drawn node by node, f is
evaluated there once, and nodes are then visited from the last to the first. What a node's estimator
sees as f is the sum of the costs downstream of it, with all else that was sampled held fixed:

- its values are the signal of score functions;
- its gradient is the derivative of those costs by the node's sample, directly, and through the
  parameters of nodes made of it.

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
from collections.abc import Callable

from fastgrad.estimators import Estimate
from fastgrad.graph._passes import Graph
from fastgrad.objectives import as_objective
from fastgrad.random import as_key

__all__ = ["Conditional", "Cost", "expectation_grad"]


@dataclasses.dataclass(frozen=True)
class Conditional:
    """A node whose distribution is made of earlier samples, of parameters, or of both.

    Parameters
    ----------
    inputs : str or tuple of str
        Names of earlier nodes and of parameters.
    distribution : callable
        Takes them by name; samples are (S, *batch_shape, *event_shape), those of discrete nodes
        their features, (S, *logits.shape). Returns a distribution of batch shape (S, ...): one for
        each sample.
    vjp : callable, optional
        Takes the gradient by the parameters of that distribution, an array of the shape of its
        logits or a dict of arrays by the names of its parameters, and then the inputs by name;
        returns a dict of gradients by the inputs, of their shapes; an input that it leaves out has
        none. Not needed where all inputs are samples whose estimators use no gradient.

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

    inputs: tuple[str, ...]
    distribution: Callable
    vjp: Callable | None = None

    def __post_init__(self):
        object.__setattr__(self, "inputs", names_of(self.inputs))


@dataclasses.dataclass(frozen=True)
class Cost:
    """A term of f that knows what it depends on: nodes which it does not see leave it out.

    Parameters
    ----------
    inputs : str or tuple of str
        Names of nodes and parameters.
    f : callable
        Takes them by name; returns values, (S, ...), whose shape is a leading part of that of each
        node's variables, with the samples first.
    grad : callable, optional
        Takes them by name; returns a dict of derivatives of the sum of the values by the inputs, of
        their shapes; an input that it leaves out has none.
    """

    inputs: tuple[str, ...]
    f: Callable
    grad: Callable | None = None

    def __post_init__(self):
        object.__setattr__(self, "inputs", names_of(self.inputs))


def expectation_grad(
    f, nodes, *, parameters=None, estimator=None, num_samples, rng, state=None
) -> Estimate:
    """Estimate E[f] and its gradient by the parameters of all distributions, and of f itself.

    Parameters
    ----------
    f : callable, Objective, or list of Cost
        A function of all samples and parameters by name: `Cost` says of what. An objective has its
        function and, of the same arguments, its gradient.
    nodes : dict of distribution, array of logits, or Conditional
        By name, each after those it is made of.
    parameters : dict of arrays, optional
        What f or conditional nodes depend on besides samples.
    estimator : str, Estimator, or dict of them by node, optional
        By default "pathwise" for continuous nodes where f has a gradient, else "score_function",
        and "rloo" for discrete ones. Those that draw samples in groups, or need more of f than
        values and gradients, do not apply; those that evaluate f away from the sample (such as
        "rebar" and "measure_valued") only to nodes of which no other is made.
    num_samples : int
        S.
    rng : int, SeedSequence, Generator or Key
    state : dict, optional
        That of the last estimate.

    Returns
    -------
    Estimate
        Its grad is a dict: for each parameter an array; for each node that is not conditional what
        its estimator returns, an array of the shape of its logits or a dict by the names of its
        parameters.

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
    if not isinstance(f, list | tuple):
        objective = as_objective(f)
        objective.require("expectation_grad", ("f",))
        f = [Cost((*nodes, *(parameters or {})), objective.f, objective.grad)]
    graph = Graph(f, nodes, parameters or {}, num_samples)
    return graph.estimate(estimator, as_key(rng), state or {})


def names_of(inputs):
    """Return names as a tuple: a single one may stand by itself."""
    return (inputs,) if isinstance(inputs, str) else tuple(inputs)
