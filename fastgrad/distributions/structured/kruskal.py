"""Kruskal's algorithm on perturbed logits, and the exponential race that it is, by rules.

Edges arrive at times t of rate exp(phi), and w = -log t are their perturbed logits. The algorithm
takes the edges in the order of arrival, but for those that close a circle: such an edge has left
the race. So given the edges that it took, in their order z, the next is drawn with odds exp(phi)
among the open edges, those between two trees of the forest grown so far, and the time to it is
exponential, whose rate R_j is the sum of exp(phi) over them:

    t_j = t_(j-1) + E_j / R_j,        t_e = t_m + E_e / exp(phi_e) for edges that were not taken,

where m is the last step at which e was open (Struminsky et al. 2021: a recursive Gumbel-max trace).
w is a function of phi and of the noise E, the order being fixed. Its derivatives need the times
alone: with r_j = t_(j-1) / t_j and pi_je = exp(phi_e) / R_j of open edges,

    dw_j = r_j dw_(j-1) + (1 - r_j) sum_e pi_je dphi_e,
    dw_e = (t_m / t_e) dw_m + (1 - t_m / t_e) dphi_e.

All factors lie in [0, 1]: nothing overflows, whatever the logits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgrad._typing import Array, FloatArray, IntArray
from fastgrad.distributions.structured.graphs import Graph

__all__ = ["Forest", "Race", "arrivals", "race", "score", "trace", "traces"]


class Forest:
    """Forests of R rows, grown by an edge each at a time, from single nodes to a tree."""

    u: Array
    v: Array
    trees: Array

    def __init__(self, graph: Graph, rows: int) -> None:
        self.u, self.v = graph.edges[:, 0], graph.edges[:, 1]
        self.trees = np.tile(np.arange(graph.nodes), (rows, 1))

    def open(self) -> Any:
        """Return which edges are between two trees, (R, E)."""
        return self.trees[:, self.u] != self.trees[:, self.v]

    def join(self, edge: IntArray) -> None:
        """Join the two trees that an edge of each row, (R,), lies between."""
        row = np.arange(len(edge))
        into, gone = self.trees[row, self.u[edge]], self.trees[row, self.v[edge]]
        self.trees = np.where(self.trees == gone[:, None], into[:, None], self.trees)


class Race(NamedTuple):
    """What the derivatives are made of, in float64, for R rows.

    Attributes
    ----------
    graph : Graph
    phi : array, shape (R, E)
        Logits less their row's largest.
    z : array of int, shape (R, N - 1)
        The edges taken, in their order.
    before : array, shape (R, N - 1)
        r_j, the time before divided by the time of each arrival; 0 for the first.
    last : array of int, shape (R, E)
        m, the last step at which an edge was open.
    beyond : array, shape (R, E)
        t_m / t_e of edges that were not taken, 0 of others.
    """

    graph: Graph
    phi: FloatArray
    z: IntArray
    before: FloatArray
    last: Array
    beyond: FloatArray

    def vjp(self, cotangent: FloatArray) -> FloatArray:
        """Multiply cotangents of w, (R, E), with its Jacobian by phi, row by row."""
        a = cotangent.astype(np.float64)
        at = np.take_along_axis(a, self.z, axis=1)
        np.put_along_axis(a, self.z, 0, axis=1)
        row = np.broadcast_to(np.arange(len(a))[:, None], a.shape)
        np.add.at(at, (row, self.last), self.beyond * a)
        for j in range(at.shape[1] - 2, -1, -1):
            at[:, j] += self.before[:, j + 1] * at[:, j + 1]
        at *= 1 - self.before
        grad = (1 - self.beyond) * a
        for j, (_, shares, _) in enumerate(steps(self.graph, self.phi, self.z)):
            grad += at[:, j, None] * shares
        return grad

    def jvp(self, tangent: FloatArray) -> FloatArray:
        """Multiply the Jacobian of w by phi with tangents (R, E), row by row."""
        v = tangent.astype(np.float64)
        at, before = np.zeros(self.z.shape), 0.0
        for j, (_, shares, _) in enumerate(steps(self.graph, self.phi, self.z)):
            r = self.before[:, j]
            at[:, j] = before = r * before + (1 - r) * (shares * v).sum(axis=1)
        at_last = np.take_along_axis(at, self.last, axis=1)
        out = self.beyond * at_last + (1 - self.beyond) * v
        np.put_along_axis(out, self.z, at, axis=1)
        return out


def length(graph: Graph) -> int:
    """Return the number of edges of a tree."""
    return graph.nodes - 1


def trace(graph: Graph, w: FloatArray) -> IntArray:
    """Return the edges that Kruskal's algorithm takes by weights w, (R, E): an array (R, N - 1).

    The tree has the largest sum of weights. Of equal ones the first is taken first.
    """
    forest, z = Forest(graph, len(w)), np.empty((len(w), graph.nodes - 1), np.int32)
    for j in range(z.shape[1]):
        z[:, j] = np.where(forest.open(), w, -np.inf).argmax(axis=1)
        forest.join(z[:, j])
    return z


def traces(graph: Graph) -> IntArray:
    """Return all orders in which edges can make a tree, (number, N - 1)."""
    z = np.zeros((1, 0), np.int32)
    for _ in range(graph.nodes - 1):
        forest = Forest(graph, len(z))
        for edge in z.T:
            forest.join(edge)
        row, edge = np.nonzero(forest.open())
        z = np.concatenate([z[row], edge[:, None].astype(np.int32)], axis=1)
    return z


def steps(
    graph: Graph, phi: FloatArray, z: IntArray
) -> Iterator[tuple[Any, FloatArray, FloatArray]]:
    """Yield for each step which edges are open, their shares pi_j, (R, E), and log R_j, (R,)."""
    forest = Forest(graph, len(phi))
    for edge in z.T:
        free = forest.open()
        left = np.where(free, phi, -np.inf)
        top = left.max(axis=1, keepdims=True)
        shares = np.exp(left - top)
        total = shares.sum(axis=1, keepdims=True)
        yield free, shares / total, (top + np.log(total))[:, 0]
        forest.join(edge)


def log_prob(graph: Graph, phi: FloatArray, z: IntArray) -> FloatArray:
    """Return the log probability of edges z, (R, N - 1), being taken in this order: (R,)."""
    total = np.zeros(len(phi))
    for j, (_, _, log_rate) in enumerate(steps(graph, phi, z)):
        total += np.take_along_axis(phi, z[:, j : j + 1], axis=1)[:, 0] - log_rate
    return total


def score(graph: Graph, phi: FloatArray, z: IntArray) -> FloatArray:
    """Return the gradient of `log_prob` by phi, (R, E)."""
    grad = np.zeros(phi.shape)
    np.put_along_axis(grad, z, 1, axis=1)
    for _, shares, _ in steps(graph, phi, z):
        grad -= shares
    return grad


def taken_in_turn(graph: Graph, z: IntArray) -> Array:
    """Return whether each row of z, (R, N - 1), joins two trees at every step: (R,)."""
    forest, fine = Forest(graph, len(z)), np.ones(len(z), bool)
    for edge in z.T:
        fine &= np.take_along_axis(forest.open(), edge[:, None], axis=1)[:, 0]
        forest.join(edge)
    return fine


def race(graph: Graph, phi: FloatArray, z: IntArray, w: FloatArray) -> Race:
    """Return the race of rows phi, (R, E), in which z were taken, with perturbed logits w."""
    last = np.zeros(phi.shape, np.intp)
    for j, (free, _, _) in enumerate(steps(graph, phi, z)):
        last[free] = j
    at = np.take_along_axis(w, z, axis=1)
    before = np.zeros(at.shape)
    before[:, 1:] = np.exp(np.minimum(at[:, 1:] - at[:, :-1], 0))
    beyond = np.exp(np.minimum(w - np.take_along_axis(at, last, axis=1), 0))
    np.put_along_axis(beyond, z, 0, axis=1)
    return Race(graph, phi, z, before, last, beyond)


def arrivals(graph: Graph, phi: FloatArray, z: IntArray, gumbel: FloatArray) -> FloatArray:
    """Return perturbed logits w given that z were taken, with noise E = exp(-gumbel): (R, E)."""
    log_time, own = np.full(len(phi), -np.inf), np.empty(z.shape)
    last = np.empty(phi.shape)
    noise = -np.take_along_axis(gumbel, z, axis=1)
    for j, (free, _, log_rate) in enumerate(steps(graph, phi, z)):
        own[:, j] = np.logaddexp(log_time, noise[:, j] - log_rate, out=log_time)
        np.copyto(last, log_time[:, None], where=free)
    w = -np.logaddexp(last, -gumbel - phi)
    np.put_along_axis(w, z, -own, axis=1)
    return w
