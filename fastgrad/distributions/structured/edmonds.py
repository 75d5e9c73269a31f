"""Chu-Liu's and Edmonds' algorithm on arrival times, and the exponential race that it is, by rules.

Edge e costs its arrival time t of rate exp(phi), and w = -log t is its perturbed logit. Node after
node takes the edge that leads to it at the least cost, which is then subtracted from the cost of
all edges to it. Where the edges taken close a circle, its nodes are contracted to one, whose edges
are those that lead into the circle, and it takes one in its turn. In the end nobody is left: the
edges taken, without those in whose place a contracted node took another, are the arborescence of
the least total cost.

What is left of an exponential time when a smaller one is subtracted is exponential of the same
rate again. So a node or contracted node s takes an edge with odds exp(phi) among those that are
open, which lead into it from outside; the least cost M_s is exponential, whose rate R_s is the sum
of exp(phi) over them; and given all edges taken, their trace z,

    M_s = E_s / R_s,    t_e = sum of M_s over the s that e was open to,
                        and E_e / exp(phi_e) more if e was not taken

(Struminsky et al. 2021: a recursive Gumbel-max trace). w is a function of phi and of the noise E,
the trace being fixed. Its derivatives, with pi_s the odds above as probabilities, are

    dw_e = sum of (M_s / t_e) sum_i pi_si dphi_i over those s, and (1 - sum of M_s / t_e) dphi_e.

All factors lie in [0, 1]: nothing overflows, whatever the logits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray, IntArray
from fastgrad.distributions.structured.digraphs import Digraph
from fastgrad.kernels.distributions.structured import edmonds as _kernels

__all__ = ["Contraction", "Race", "arborescence", "arrivals", "race", "score", "trace", "traces"]


def length(graph: Digraph) -> int:
    """Return the largest number of edges taken: each but the root, and contracted ones."""
    return 2 * graph.nodes - 3


class Contraction:
    """Graphs of R rows whose circles are contracted, and whose turn it is in each.

    Nodes take their edges in the order of their numbers, a contracted one at once. In a row where
    all have done so, edges -1 are taken by nobody.

    Attributes
    ----------
    now : array of int, shape (R,)
        Whose turn it is: a node, a contracted one, or -1 for nobody.
    open : array of bool, shape (R, E)
        Edges that lead to that one from outside. The next turn overwrites it.
    listed : array of int, shape (R, M)
        The numbers of these edges, and then E. The next turn overwrites it.
    """

    now: IntArray
    open: Any
    listed: Any

    graph: tuple[Array, ...]
    label: Array
    row: Array
    state: tuple[Array, ...]
    found: tuple[Array, Array]

    def __init__(self, graph: Digraph, rows: int) -> None:
        n = graph.nodes
        order = np.append(np.delete(np.arange(n), graph.root), -1)
        columns = (np.ascontiguousarray(column) for column in graph.edges.T)
        self.graph = tuple(_validate.frozen(x) for x in (*columns, order))
        # Labels are those of nodes, then of contracted ones.
        self.label = np.tile(np.arange(n), (rows, 1))
        source = np.full((rows, 2 * n - 1), -1)  # where the edge that a label took leads from
        self.row, self.now = np.arange(rows), np.full(rows, order[0])
        self.state = self.label, source, np.zeros(rows, np.int64), np.full(rows, n), self.now
        self.open = np.empty((rows, len(graph.edges)), np.bool_)
        # One place more: the kernel writes each edge, and goes on where it was open.
        self.found = np.empty((rows, len(graph.edges) + 1), np.intp), np.empty(rows, np.int64)
        self.take(np.full(rows, -2, np.int32))

    def inside(self) -> Any:
        """Return which nodes belong to the one whose turn it is, (R, N)."""
        return self.label == self.now[:, None]

    def take(self, edge: IntArray) -> None:
        """Let the one whose turn it is take an edge, (R,), in each row."""
        edge = _validate.frozen(edge.astype(np.int32))
        _kernels.turn(self.graph, edge, self.state, self.open, *self.found)
        listed, count = self.found
        self.listed = listed[:, : max(count.max(initial=0), 1)]


class Race(NamedTuple):
    """What the derivatives are made of, in float64, for R rows.

    Attributes
    ----------
    graph : Digraph
    phi : array, shape (R, E)
        Logits less their row's largest.
    z : array of int, shape (R, T)
        The edges taken, in their order, and then -1.
    w : array, shape (R, E)
        Perturbed logits.
    log_least : array, shape (R, T)
        log M of the one that took each edge.
    own : array, shape (R, E)
        Share of E / exp(phi) in the time of an edge that was not taken, 0 of others.
    """

    graph: Digraph
    phi: FloatArray
    z: IntArray
    w: FloatArray
    log_least: FloatArray
    own: FloatArray

    def vjp(self, cotangent: FloatArray) -> FloatArray:
        """Multiply cotangents of w, (R, E), with its Jacobian by phi, row by row."""
        a = cotangent.astype(np.float64)
        grad = self.own * a
        for part, step in self._parts():
            grad += (part * a).sum(axis=1, keepdims=True) * step.shares
        return grad

    def jvp(self, tangent: FloatArray) -> FloatArray:
        """Multiply the Jacobian of w by phi with tangents (R, E), row by row."""
        v = tangent.astype(np.float64)
        out = self.own * v
        for part, step in self._parts():
            out += part * (step.shares * v).sum(axis=1, keepdims=True)
        return out

    def _parts(self) -> Iterator[tuple[FloatArray, Step]]:
        """Yield M / t of the edges open at each step, 0 of others, (R, E), with the step."""
        for j, step in enumerate(steps(self.graph, self.phi, self.z)):
            part = np.exp(np.minimum(self.log_least[:, j : j + 1] + self.w, 0))
            yield np.where(step.free, part, 0), step


class Step(NamedTuple):
    """A turn of each row: whose nodes it is, (R, N), and which edges are open, (R, E).

    shares are their probabilities, (R, E), and log_rate is the log of R, (R,), 0 where nobody's
    turn is left.
    """

    inside: Any
    free: Any
    shares: FloatArray
    log_rate: FloatArray


def steps(graph: Digraph, phi: FloatArray, z: IntArray) -> Iterator[Step]:
    """Yield the turns in which the edges z, (R, T), were taken."""
    graphs = Contraction(graph, len(phi))
    beyond = np.pad(phi, ((0, 0), (0, 1)), constant_values=-np.inf)  # where no more are listed
    for edge in z.T:
        listed = graphs.listed
        left = np.take_along_axis(beyond, listed, axis=1)
        top = left.max(axis=1, keepdims=True)
        top = np.where(np.isneginf(top), 0, top)
        shares = np.zeros(beyond.shape)
        np.put_along_axis(shares, listed, np.exp(left - top), axis=1)
        shares = shares[:, :-1]
        total = shares.sum(axis=1, keepdims=True)
        total = np.where(total > 0, total, 1)
        shares /= total
        yield Step(graphs.inside(), graphs.open, shares, (top + np.log(total))[:, 0])
        graphs.take(edge)


def trace(graph: Digraph, w: FloatArray) -> IntArray:
    """Return the edges that the algorithm takes by perturbed logits w, (R, E): an array (R, T)."""
    graphs, z = Contraction(graph, len(w)), np.empty((len(w), length(graph)), np.int32)
    # Logarithms of what is left of the times; and where no more edges are listed, no end.
    cost = np.pad(-w.astype(np.float64), ((0, 0), (0, 1)), constant_values=np.inf)
    for j in range(z.shape[1]):
        left = np.take_along_axis(cost, graphs.listed, axis=1)
        place = left.argmin(axis=1)
        z[:, j] = np.where(graphs.now >= 0, graphs.listed[graphs.row, place], -1)
        least = left[graphs.row, place][:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            rest = left + np.log1p(-np.exp(np.minimum(least - left, 0)))
        np.put_along_axis(cost, graphs.listed, np.where(left > least, rest, -np.inf), axis=1)
        cost[:, -1] = np.inf
        graphs.take(z[:, j])
    return z


def arborescence(graph: Digraph, z: IntArray) -> Any:
    """Return which edges the trees of traces z, (R, T), have: an array of bool, (R, E)."""
    graphs, insides = Contraction(graph, len(z)), []
    for edge in z.T:
        insides.append(graphs.inside())
        graphs.take(edge)
    head, row = graph.edges[:, 1], np.arange(len(z))
    entered, x = np.zeros((len(z), graph.nodes), bool), np.zeros((len(z), len(head)), bool)
    for edge, inside in zip(z.T[::-1], insides[::-1]):
        kept = (edge >= 0) & ~(inside & entered).any(axis=1)
        x[row[kept], edge[kept]] = True
        entered[row[kept], head[edge[kept]]] = True
    return x


def traces(graph: Digraph, most: int) -> IntArray | int:
    """Return all traces, (number, T); or how many there are at least, if that is above `most`."""
    into = np.bincount(graph.edges[:, 1], minlength=graph.nodes)
    least = math.prod(into[np.arange(graph.nodes) != graph.root].tolist())
    if least > most:  # what the nodes alone can take
        return least
    z = np.zeros((1, 0), np.int32)
    for _ in range(length(graph)):
        graphs = Contraction(graph, len(z))
        for edge in z.T:
            graphs.take(edge)
        free = np.concatenate([graphs.open, graphs.now[:, None] < 0], axis=1)
        row, edge = np.nonzero(free)
        if len(row) > most:  # each of which goes on
            return len(row)
        edge = np.where(edge < len(graph.edges), edge, -1)
        z = np.concatenate([z[row], edge[:, None].astype(np.int32)], axis=1)
    return z


def log_prob(graph: Digraph, phi: FloatArray, z: IntArray) -> FloatArray:
    """Return the log probability of traces z, (R, T): an array (R,)."""
    total = np.zeros(len(phi))
    for j, step in enumerate(steps(graph, phi, z)):
        own = np.take_along_axis(phi, z[:, j : j + 1], axis=1)[:, 0]
        total += np.where(z[:, j] >= 0, own - step.log_rate, 0)
    return total


def score(graph: Digraph, phi: FloatArray, z: IntArray) -> FloatArray:
    """Return the gradient of `log_prob` by phi, (R, E)."""
    grad = np.zeros(phi.shape)
    row, turn = np.nonzero(z >= 0)
    grad[row, z[row, turn]] = 1  # no edge is taken twice
    for step in steps(graph, phi, z):
        grad -= step.shares
    return grad


def taken_in_turn(graph: Digraph, z: IntArray) -> Array:
    """Return whether each row of z, (R, T), is a trace: (R,)."""
    graphs, fine = Contraction(graph, len(z)), np.ones(len(z), bool)
    for edge in z.T:
        free, done = graphs.open, graphs.now < 0
        own = np.take_along_axis(free, edge[:, None], axis=1)[:, 0] & (edge >= 0)
        right = np.where(done, edge == -1, own)
        graphs.take(np.where(right, edge, np.where(done, -1, free.argmax(axis=1))))
        fine &= right
    return fine


def race(graph: Digraph, phi: FloatArray, z: IntArray, w: FloatArray) -> Race:
    """Return the race of rows phi, (R, E), that left the traces z, with perturbed logits w."""
    row, head = np.arange(len(phi)), graph.edges[:, 1]
    reached = np.full((len(phi), graph.nodes), -np.inf)  # log of the sum of M around each node
    last, log_least = np.full(phi.shape, -np.inf), np.full(z.shape, -np.inf)
    for j, step in enumerate(steps(graph, phi, z)):
        edge = z[:, j]
        time = -w[row, edge]
        with np.errstate(divide="ignore"):
            gap = np.minimum(reached[row, head[edge]] - time, 0)
            least = time + np.log1p(-np.exp(gap))
        log_least[:, j] = np.where(edge >= 0, least, -np.inf)
        more = np.logaddexp(reached, log_least[:, j : j + 1])
        np.copyto(reached, more, where=step.inside)
        np.copyto(last, reached[:, head], where=step.free)
    own = -np.expm1(np.minimum(last + w, 0))
    taken = np.nonzero(z >= 0)
    own[taken[0], z[taken]] = 0
    return Race(graph, phi, z, w, log_least, own)


def arrivals(graph: Digraph, phi: FloatArray, z: IntArray, gumbel: FloatArray) -> FloatArray:
    """Return perturbed logits w given traces z, with noise E = exp(-gumbel): (R, E)."""
    row, head = np.arange(len(phi)), graph.edges[:, 1]
    reached = np.full((len(phi), graph.nodes), -np.inf)
    last, own = np.full(phi.shape, -np.inf), np.empty(z.shape)
    for j, step in enumerate(steps(graph, phi, z)):
        edge = z[:, j]
        least = np.where(edge >= 0, -gumbel[row, edge] - step.log_rate, -np.inf)
        np.copyto(reached, np.logaddexp(reached, least[:, None]), where=step.inside)
        own[:, j] = reached[row, head[edge]]
        np.copyto(last, reached[:, head], where=step.free)
    w = -np.logaddexp(last, -gumbel - phi)
    taken = np.nonzero(z >= 0)
    w[taken[0], z[taken]] = -own[taken]
    return w
