"""The forward pass, which draws and evaluates, and the backward pass, which combines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.categorical import as_distribution
from fastgrad.distributions.continuous import Continuous
from fastgrad.estimators import Estimate, Estimator, estimator
from fastgrad.estimators.continuous.score_function import OfContinuous
from fastgrad.objectives import Objective
from fastgrad.random import Key

PARTS = {"f", "grad"}  # of the objective that a node's estimator is given

build: Any = estimator  # of a name known only at run time


class Drawn(NamedTuple):
    """What is known of a node after the forward pass."""

    estimator: Estimator
    distribution: Any
    draws: Any
    x: FloatArray  # samples, or features of outcomes, (S, ...): where the costs are evaluated
    conditional: bool  # one distribution for each sample
    state: Any


class Graph:
    """Nodes, costs and parameters, checked, and the passes over them."""

    def __init__(
        self,
        costs: Sequence[Any],
        nodes: dict[str, Any],
        parameters: dict[str, Any],
        num_samples: int,
    ) -> None:
        self.size = _validate.integer(num_samples, "num_samples", 1)
        self.costs, self.nodes = costs, nodes
        self.parameters = {n: _validate.real_array(p, n) for n, p in parameters.items()}
        self.below = {name: {name} for name in nodes}  # itself and what is made of it
        known = list(parameters)
        for name, node in nodes.items():
            if name in known:
                raise ValueError(f"{name!r} must name a node or a parameter, not both")
            if is_conditional(node):
                self.check_inputs(node, known, f"node {name!r}")
                for above in self.below.values():
                    if above & set(node.inputs):
                        above.add(name)
            known.append(name)
        for cost in costs:
            self.check_inputs(cost, known, "a cost")

    def check_inputs(self, part: Any, known: list[str], who: str) -> None:
        """Raise ValueError for an input that does not exist, or not yet."""
        for name in part.inputs:
            if name not in known:
                have = ", ".join(map(repr, known)) or "none"
                raise ValueError(f"{who} has no input {name!r}: at that place there are {have}")

    def estimate(self, estimators: Any, key: Key, state: dict[str, Any]) -> Estimate:
        """Draw all nodes, evaluate the costs, and go back from the last node to the first."""
        self.values, self.drawn, self.evaluations = dict(self.parameters), {}, self.size
        for i, (name, node) in enumerate(self.nodes.items()):
            chosen = of_node(estimators, name, self.nodes)
            self.drawn[name] = self.draw(name, node, chosen, key.fold_in(i), state.get(name))
            self.values[name] = self.drawn[name].x
        answers = [self.value(cost, self.values) for cost in self.costs]
        shapes = [answer.shape for answer in answers]
        if shapes != shapes[:1] * len(shapes):
            raise ValueError(f"all costs must return values of one shape, got {shapes}")
        # Derivatives of all costs, found so far, by samples and parameters.
        self.through = dict.fromkeys(self.values, 0.0)
        grad, learnt = {}, {}
        for name in reversed(self.nodes):
            estimate = self.combine(name, self.drawn[name], answers)
            learnt[name] = estimate.state
            if self.drawn[name].conditional:
                self.back(name, estimate.grad)
            else:
                grad[name] = estimate.grad
        for name, p in self.parameters.items():
            slope = self.through[name] + self.slope(name, self.values, f"parameter {name!r}")
            grad[name] = np.asarray(slope / self.size, p.dtype)
        learnt = {name: found for name, found in learnt.items() if found is not None}
        order = [name for name in (*self.nodes, *self.parameters) if name in grad]
        grad = {name: grad[name] for name in order}
        value = np.asarray(sum(answers)).mean(axis=0)
        return Estimate(value, grad, learnt or None, self.evaluations)

    def with_samples(self, found: Estimate) -> Estimate:
        """Return the estimate with the samples that it was made of, by node."""
        samples = {name: drawn.x for name, drawn in self.drawn.items()}
        weights = np.full((self.size, *np.shape(found.value)), 1 / self.size, found.value.dtype)
        return found._replace(samples=samples, weights=weights)

    # -- forward ---------------------------------------------------------------------------------

    def draw(self, name: str, node: Any, chosen: Any, key: Key, state: Any) -> Drawn:
        """Draw a node's samples."""
        conditional = is_conditional(node)
        if conditional:
            node = node.distribution(**{n: self.values[n] for n in node.inputs})
        distribution = as_distribution(node)
        if conditional and distribution.batch_shape[:1] != (self.size,):
            raise ValueError(
                f"the distribution of node {name!r} must have batch shape ({self.size}, ...), one "
                f"for each sample, got {distribution.batch_shape}"
            )
        count = 1 if conditional else self.size
        chosen = self.choose(name, chosen, distribution, conditional)
        draws = chosen.draw(distribution, count, key, state=state)
        x = chosen.samples(distribution, draws)
        x = _validate.frozen(x[0] if conditional else x)
        return Drawn(chosen, distribution, draws, x, conditional, state)

    def choose(self, name: str, chosen: Any, distribution: Any, conditional: bool) -> Estimator:
        """Return a node's estimator, checked."""
        continuous = isinstance(distribution, Continuous)
        if chosen is None:
            smooth = all(cost.grad for cost in self.costs if name in cost.inputs)
            chosen = ("pathwise" if smooth else "score_function") if continuous else "rloo"
        chosen = build(chosen) if isinstance(chosen, str) else chosen
        if not isinstance(chosen, Estimator):
            raise TypeError(f"estimator of node {name!r} must be one or a name, got {chosen!r}")
        who = f"node {name!r}: {chosen.name}"
        if isinstance(chosen, OfContinuous) != continuous:
            raise TypeError(f"{who} does not apply to a {type(distribution).__name__}")
        chosen.check(distribution)
        chosen = chosen.for_distribution(distribution)
        for part in chosen.needs:
            if part not in PARTS:
                raise TypeError(f"{who} needs more of f than its values and gradient: {part}")
        count = 1 if conditional else self.size
        if conditional:
            chosen = chosen.alone()
        if count < chosen.min_samples:
            has = "has one sample for each distribution" if conditional else f"has {count}"
            raise ValueError(f"{who} needs at least {chosen.min_samples} samples, and {has}")
        if chosen.group(count) != 1 and count > 1:
            raise ValueError(
                f"{who} draws samples in groups, for which f would have to be the same"
            )
        return chosen

    # -- backward --------------------------------------------------------------------------------

    def combine(self, name: str, node: Drawn, answers: list[Any]) -> Estimate:
        """Make the estimate of a node, as a problem of its own."""
        downstream = [c for c, cost in enumerate(self.costs) if self.below[name] & set(cost.inputs)]
        signal: Any = sum((answers[c] for c in downstream), np.zeros_like(answers[0]))
        others: Any = 0.0
        if node.conditional and self.size > 1:
            others = (signal.sum(axis=0) - signal) / (self.size - 1)
        who = f"node {name!r}: {node.estimator.name}"
        total = None

        def at(x: Any) -> dict[str, Any] | None:
            """Return the points x among the samples, or None where those are meant."""
            x = x[0] if node.conditional else x
            if np.array_equal(x, node.x):
                return None
            away = f"{who} asks for f away from its samples"
            if len(x) != self.size:
                raise ValueError(f"{away}, at {len(x)} points where there are {self.size} samples")
            if len(self.below[name]) > 1:
                raise ValueError(f"{away}, of which other nodes are made")
            return {**self.values, name: x}

        def f(x: Any) -> Any:
            values = at(x)
            if values is None:
                y = signal
            else:
                self.evaluations += self.size
                y = sum(self.value(self.costs[c], values) for c in downstream)
            y = np.asarray(y - others)
            return y[None] if node.conditional else y

        def grad(x: Any) -> Any:
            nonlocal total
            values = at(x)
            if values is not None:
                slope = self.slope(name, values, who)
            else:
                if total is None:
                    total = self.through[name] + self.slope(name, self.values, who)
                slope = total
            slope = np.broadcast_to(slope, node.x.shape)
            return slope[None] if node.conditional else slope

        answer = node.estimator.ask(Objective(f, grad), node.distribution, node.draws)
        return node.estimator.combine(node.distribution, [(node.draws, answer)], node.state)

    def back(self, name: str, grad: Any) -> None:
        """Carry the gradients by a conditional node's parameters on to its inputs."""
        node = self.nodes[name]
        wanted = [n for n in node.inputs if self.differentiable(n)]
        if not wanted:
            return
        if node.vjp is None:
            raise TypeError(f"node {name!r} needs a vjp, for the gradient by {wanted[0]!r}")
        found = node.vjp(grad, **{n: self.values[n] for n in node.inputs})
        for to in wanted:
            slope = self.derivative(found, to, node.inputs, f"the vjp of node {name!r}")
            self.through[to] = self.through[to] + slope

    def differentiable(self, name: str) -> bool:
        """Whether a derivative by a sample or parameter is of use."""
        return name in self.parameters or "grad" in self.drawn[name].estimator.needs

    def derivative(self, found: dict[str, Any], name: str, inputs: Any, who: str) -> Any:
        """Return the derivative by one input of those that the user's dict holds, or 0."""
        for key in found:
            if key not in inputs:
                have = ", ".join(map(repr, inputs))
                raise ValueError(f"{who} has a derivative by {key!r}, but its inputs are {have}")
        if name not in found:
            return 0.0
        x = self.values[name]
        return _validate.like(found[name], x.shape, x.dtype, f"{who}, by {name!r},")

    def value(self, cost: Any, values: dict[str, Any]) -> Any:
        """Evaluate a cost, checked."""
        y = _validate.real_array(cost.f(**{n: values[n] for n in cost.inputs}), "the value of f")
        if y.shape[:1] != (self.size,):
            raise ValueError(f"f must return values of shape ({self.size}, ...), got {y.shape}")
        real = np.result_type(*(x.dtype for x in values.values() if x.dtype.kind == "f"))
        _validate.finite(_validate.narrowed(y, real), "f" if y.dtype == real else f"f in {real}")
        return y

    def slope(self, name: str, values: dict[str, Any], who: str) -> Any:
        """Return the derivative of all costs, as they depend directly on an input, by it."""
        total = 0.0
        for cost in self.costs:
            if name in cost.inputs:
                if cost.grad is None:
                    raise TypeError(
                        f"{who} needs the gradient of f by {name!r}: fg.objective(f, grad=...), or "
                        "fg.graph.Cost with inputs that leave it out"
                    )
                found = cost.grad(**{n: values[n] for n in cost.inputs})
                total = total + self.derivative(found, name, cost.inputs, "the gradient of f")
        return total


def is_conditional(node: Any) -> bool:
    """Whether a node is made of others."""
    return hasattr(node, "vjp")


def of_node(estimators: Any, name: str, nodes: dict[str, Any]) -> Any:
    """Return what the user chose for a node, or None."""
    if not isinstance(estimators, dict):
        return estimators
    for given in estimators:
        if given not in nodes:
            raise ValueError(f"estimator is given for {given!r}, which is no node")
    return estimators.get(name)
