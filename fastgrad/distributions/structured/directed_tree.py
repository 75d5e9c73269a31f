"""Arborescences with probability proportional to the product of their weights: which edges.

The sum over all arborescences of a root is the determinant of Tutte's directed matrix-tree theorem.
As in `matrix_tree` it is found by taking out one node after the other, all but the root: a node k
to which edges of weights w_ik lead, whose sum is d, leaves the factor d and weights

    w_ij + w_ik w_kj / d

from i to j. The logarithm of the sum is that of all d, and its gradient by the logs of weights is
the probability of each edge; the same steps backwards give it. With tau_ij the part of the new
weight that came through k, and P' the probabilities without k,

    V = P' tau,   P_ij = P'_ij - V_ij,   P_kj = sum_i V_ij,   P_ik = q_i (1 - sum V) + sum_j V_ij,

where q_i = w_ik / d. No weight is ever subtracted, and they go as logarithms: the normaliser keeps
every digit. Probabilities are, so they are exact to rounding of 1, not of themselves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad._typing import Array, FloatArray
from fastgrad.distributions.structured.digraphs import Digraph

__all__ = ["edge_marginals", "edge_marginals_jvp", "log_normaliser"]


class _Step(NamedTuple):
    """A node taken out: q, (R, n), tau, (R, n, n), and the log of d, (R,)."""

    q: FloatArray
    tau: FloatArray
    log_sum: FloatArray


def log_normaliser(graph: Digraph, phi: FloatArray) -> FloatArray:
    """Return the log of the sum over all arborescences of the product of their weights, (R,)."""
    taken = _eliminated(_matrix(graph, phi, -np.inf), graph.nodes)
    return np.sum([step.log_sum for step in taken], axis=0)


def edge_marginals(graph: Digraph, phi: FloatArray) -> FloatArray:
    """Return the probability of each edge, (R, E), its log weights being phi, (R, E)."""
    taken = _eliminated(_matrix(graph, phi, -np.inf), graph.nodes)
    p = _alone(phi)
    for q, tau, _ in reversed(taken):
        p = _put_back(p, p * tau, q)
    return np.clip(_edges(graph, p), 0, 1)


def edge_marginals_jvp(graph: Digraph, phi: FloatArray, tangent: FloatArray) -> FloatArray:
    """Multiply the Jacobian of `edge_marginals` by phi, which is symmetric, with tangents, (R, E).

    So it is the product with cotangents as well.
    """
    taken = _eliminated(_matrix(graph, phi, -np.inf), graph.nodes)
    dw = _matrix(graph, tangent, 0.0)
    changes = []
    for k, (q, tau, _) in enumerate(taken):
        into, out, rest = dw[:, k + 1 :, k], dw[:, k, k + 1 :], dw[:, k + 1 :, k + 1 :]
        dd = (q * into).sum(axis=1, keepdims=True)
        more = into[:, :, None] + out[:, None, :] - dd[:, :, None] - rest
        changes.append((q * (into - dd), (1 - tau) * tau * more))
        rest += tau * more
    p, dp = _alone(phi), _alone(phi)
    for (q, tau, _), (dq, dtau) in zip(reversed(taken), reversed(changes)):
        through, change = p * tau, dp * tau + p * dtau
        pairs, dpairs = (x.sum(axis=(1, 2))[:, None] for x in (through, change))
        into = dq * (1 - pairs) - q * dpairs + change.sum(axis=2)
        dp = _bordered(dp - change, into, change.sum(axis=1))
        p = _put_back(p, through, q)
    return _edges(graph, dp)


def _places(graph: Digraph) -> tuple[Array, Array]:
    """Return the row and the column of each edge in matrices whose last line is the root's."""
    place = np.empty(graph.nodes, np.intp)
    place[np.delete(np.arange(graph.nodes), graph.root)] = np.arange(graph.nodes - 1)
    place[graph.root] = graph.nodes - 1
    return place[graph.edges[:, 0]], place[graph.edges[:, 1]]


def _matrix(graph: Digraph, x: FloatArray, empty: float) -> FloatArray:
    """Return numbers of edges, (R, E), as matrices (R, N, N), empty elsewhere."""
    m = np.full((len(x), graph.nodes, graph.nodes), empty)
    u, v = _places(graph)
    m[:, u, v] = x
    return m


def _edges(graph: Digraph, m: FloatArray) -> FloatArray:
    """Return the entries of matrices that belong to edges, (R, E)."""
    u, v = _places(graph)
    return m[:, u, v]


def _alone(phi: FloatArray) -> FloatArray:
    """Return the probabilities of no edges, among the last node alone: (R, 1, 1)."""
    return np.zeros((len(phi), 1, 1))


def _put_back(p: FloatArray, through: FloatArray, q: FloatArray) -> FloatArray:
    """Return probabilities with a node put back, over which `through` of those without it led."""
    into = q * (1 - through.sum(axis=(1, 2)))[:, None] + through.sum(axis=2)
    return _bordered(p - through, into, through.sum(axis=1))


def _bordered(inner: FloatArray, into: FloatArray, out: FloatArray) -> FloatArray:
    """Return matrices with a node more, before the others, to and from which edges lead."""
    rows, n = into.shape
    m = np.zeros((rows, n + 1, n + 1))
    m[:, 1:, 1:] = inner
    m[:, 1:, 0], m[:, 0, 1:] = into, out
    return m


def _eliminated(w: FloatArray, nodes: int) -> list[_Step]:
    """Take all nodes but the last out of log weights w, (R, N, N), which are overwritten."""
    taken = []
    for k in range(nodes - 1):
        into, out, rest = w[:, k + 1 :, k], w[:, k, k + 1 :], w[:, k + 1 :, k + 1 :]
        top = into.max(axis=1, keepdims=True)
        d = top + np.log(np.exp(into - top).sum(axis=1, keepdims=True))
        through = into[:, :, None] + out[:, None, :] - d[:, :, None]
        n = rest.shape[1]
        through[:, np.arange(n), np.arange(n)] = -np.inf
        new = np.logaddexp(rest, through)
        tau = np.exp(through - np.where(np.isneginf(new), 0, new))
        rest[...] = new
        taken.append(_Step(np.exp(into - d), tau, d[:, 0]))
    return taken
