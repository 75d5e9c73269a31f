"""Spanning trees with probability proportional to the product of their weights: which edges.

The sum over all trees is Kirchhoff's determinant. Here it is found by taking out one node after the
other: a node k with weights w_kj, whose sum is d, leaves the factor d and weights

    w_ij + w_ik w_kj / d

between its neighbours. The logarithm of the sum is that of all d, and its gradient by the logs of
weights is the probability of each edge to be in the tree; the same steps backwards give it. With
tau_ij the part of the new weight that came through k, and P' the probabilities without k,

    V = P' tau,    P_ij = P'_ij - V_ij,    P_kj = q_j (1 - sum of V over pairs) + sum_i V_ij,

where q_j = w_kj / d. No weight is ever subtracted, and all is done with logarithms: weights may lie
any number of magnitudes apart, where the inverse of the Laplacian loses every digit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad._typing import FloatArray
from fastgrad.distributions.structured.graphs import Graph

__all__ = ["edge_marginals", "edge_marginals_jvp", "log_normaliser"]


class _Step(NamedTuple):
    """A node taken out: q, (R, n), tau, (R, n, n), and the log of d, (R,)."""

    q: FloatArray
    tau: FloatArray
    log_sum: FloatArray


def log_normaliser(graph: Graph, phi: FloatArray) -> FloatArray:
    """Return the log of the sum over all trees of the product of their weights, (R,)."""
    taken = _eliminated(_matrix(graph, phi, -np.inf), graph.nodes)
    return np.sum([step.log_sum for step in taken], axis=0)


def edge_marginals(graph: Graph, phi: FloatArray) -> FloatArray:
    """Return the probability of each edge, (R, E), its log weights being phi, (R, E)."""
    taken = _eliminated(_matrix(graph, phi, -np.inf), graph.nodes)
    p = _alone(phi)
    for q, tau, _ in reversed(taken):
        p = _put_back(p, p * tau, q)
    u, v = graph.edges.T
    return p[:, u, v]


def edge_marginals_jvp(graph: Graph, phi: FloatArray, tangent: FloatArray) -> FloatArray:
    """Multiply the Jacobian of `edge_marginals` by phi, which is symmetric, with tangents, (R, E).

    So it is the product with cotangents as well.
    """
    nodes = graph.nodes
    taken = _eliminated(_matrix(graph, phi, -np.inf), nodes)
    dw = _matrix(graph, tangent, 0.0)
    changes = []
    for k, (q, tau, _) in enumerate(taken):
        row, rest = dw[:, k, k + 1 :], dw[:, k + 1 :, k + 1 :]
        dd = (q * row).sum(axis=1, keepdims=True)
        more = row[:, :, None] + row[:, None, :] - dd[:, :, None] - rest
        changes.append((q * (row - dd), (1 - tau) * tau * more))
        rest += tau * more
    p, dp = _alone(phi), _alone(phi)
    for (q, tau, _), (dq, dtau) in zip(reversed(taken), reversed(changes)):
        through, change = p * tau, dp * tau + p * dtau
        pairs, dpairs = (x.sum(axis=(1, 2))[:, None] / 2 for x in (through, change))
        dp = _bordered(dp - change, dq * (1 - pairs) - q * dpairs + change.sum(axis=1))
        p = _put_back(p, through, q)
    u, v = graph.edges.T
    return dp[:, u, v]


def _matrix(graph: Graph, x: FloatArray, empty: float) -> FloatArray:
    """Return numbers of edges, (R, E), as symmetric matrices (R, N, N), empty elsewhere."""
    m = np.full((len(x), graph.nodes, graph.nodes), empty)
    u, v = graph.edges.T
    m[:, u, v] = m[:, v, u] = x
    return m


def _alone(phi: FloatArray) -> FloatArray:
    """Return the probabilities of no edges, among the last node alone: (R, 1, 1)."""
    return np.zeros((len(phi), 1, 1))


def _put_back(p: FloatArray, through: FloatArray, q: FloatArray) -> FloatArray:
    """Return probabilities with a node put back, over which `through` of those without it led."""
    pairs = through.sum(axis=(1, 2))[:, None] / 2
    return _bordered(p - through, q * (1 - pairs) + through.sum(axis=1))


def _bordered(inner: FloatArray, border: FloatArray) -> FloatArray:
    """Return symmetric matrices with one row and column more, before the others; 0 between."""
    rows, n = border.shape
    m = np.zeros((rows, n + 1, n + 1))
    m[:, 1:, 1:] = inner
    m[:, 0, 1:] = m[:, 1:, 0] = border
    return m


def _eliminated(w: FloatArray, nodes: int) -> list[_Step]:
    """Take one node after the other out of log weights w, (R, N, N), which are overwritten."""
    taken = []
    for k in range(nodes - 1):
        row, rest = w[:, k, k + 1 :], w[:, k + 1 :, k + 1 :]
        top = row.max(axis=1, keepdims=True)
        d = top + np.log(np.exp(row - top).sum(axis=1, keepdims=True))
        through = row[:, :, None] + row[:, None, :] - d[:, :, None]
        n = rest.shape[1]
        through[:, np.arange(n), np.arange(n)] = -np.inf
        new = np.logaddexp(rest, through)
        tau = np.exp(through - np.where(np.isneginf(new), 0, new))
        rest[...] = new
        taken.append(_Step(np.exp(row - d), tau, d[:, 0]))
    return taken
