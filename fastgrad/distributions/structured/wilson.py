"""Wilson's algorithm: trees with probability proportional to the product of their weights.

Every node but the root takes one of its edges with odds of their weights, again and again while
that closes a circle: a walk from a node to the tree so far, whose loops are erased, joins it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray, IntArray
from fastgrad.kernels.compiler.jit import MAX_CHUNKS
from fastgrad.kernels.distributions.structured import wilson as _kernels

__all__ = ["are_trees", "number_of_trees", "places", "table", "trees"]


@functools.lru_cache(maxsize=8)
def places(edges: bytes, nodes: int, directed: bool) -> tuple[IntArray, IntArray, IntArray]:
    """Return the edges that each node may take, by node.

    Returns
    -------
    first : array of int, shape (N + 1,)
        Where the edges of each node begin, and where the last ones end.
    edge, other : array of int
        The edges, and the nodes at their other end: those that lead to a node if `directed`.
    """
    u, v = np.frombuffer(edges, np.int64).reshape(-1, 2).T
    number = np.arange(len(u))
    node, other, edge = v, u, number
    if not directed:
        node, other = np.concatenate([v, u]), np.concatenate([u, v])
        edge = np.concatenate([number, number])
    order = np.argsort(node, kind="stable")
    first = np.searchsorted(node[order], np.arange(nodes + 1))
    found = (first, edge[order], other[order])
    lists: Any = tuple(_validate.frozen(np.ascontiguousarray(x, np.int64)) for x in found)
    return lists


def _shares(lists: tuple[Array, ...], phi: FloatArray) -> FloatArray:
    """Return the cumulative probabilities, (R, places), with which nodes take their edges."""
    first, edge, _ = lists
    x = phi[:, edge].astype(np.float64)
    for begin, end in zip(first[:-1].tolist(), first[1:].tolist()):
        if end > begin:
            part = x[:, begin:end]
            odds = np.cumsum(np.exp(part - part.max(axis=1, keepdims=True)), axis=1)
            x[:, begin:end] = odds / odds[:, -1:]
    return x


def trees(
    lists: tuple[Array, ...], root: int, phi: FloatArray, num_samples: int, noise: Any
) -> Any:
    """Draw trees by log weights phi, (R, E): an array of bool, (S, R, E).

    Raises
    ------
    ValueError
        If a walk does not end, as weights lie too far apart.
    """
    out = np.empty((num_samples, *phi.shape), np.bool_)
    failed = np.zeros(MAX_CHUNKS, np.bool_)
    shares = _validate.frozen(np.ascontiguousarray(_shares(lists, phi)))
    _kernels.trees(lists, shares, noise, root, out, failed)
    if failed.any():
        raise ValueError(
            f"logits must lie less far apart: a walk of {2 * _kernels.STEPS} steps joined no tree"
        )
    return out


# -- all trees -------------------------------------------------------------------------------------


def number_of_trees(lists: tuple[Array, ...], root: int) -> int:
    """Return the number of trees: the determinant of Kirchhoff and Tutte, by exact elimination."""
    first, _, others = (x.tolist() for x in lists)
    nodes = [node for node in range(len(first) - 1) if node != root]
    row = {node: i for i, node in enumerate(nodes)}
    n = len(nodes)
    a = [[0] * n for _ in range(n)]
    for node in nodes:
        i = row[node]
        for other in others[first[node] : first[node + 1]]:
            a[i][i] += 1
            if other != root:
                a[i][row[other]] -= 1
    last = 1
    for k in range(n - 1):  # Bareiss: all divisions leave no rest, and no pivot is 0
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                a[i][j] = (a[i][j] * a[k][k] - a[i][k] * a[k][j]) // last
        last = a[k][k]
    return a[-1][-1]


def table(lists: tuple[Array, ...], root: int, edges: int) -> Array:
    """Return all trees, an array of bool, (number, E).

    Node after node takes one of its edges, and what closes a circle is dropped.
    """
    first, edge, others = lists
    nodes = len(first) - 1
    x = np.zeros((1, edges), np.bool_)
    parent = np.full((1, nodes), -1)  # the node at the other end of what each took
    for node in [node for node in range(nodes) if node != root]:
        mine = slice(first[node], first[node + 1])
        count, rows = first[node + 1] - first[node], len(x)
        x, parent = (np.repeat(a, count, axis=0) for a in (x, parent))
        row = np.arange(len(x))
        x[row, np.tile(edge[mine], rows)] = True
        parent[:, node] = np.tile(others[mine], rows)
        at, open_ = parent[:, node], np.ones(len(x), np.bool_)
        for _ in range(nodes):
            open_ &= at != node
            at = np.where(at < 0, -1, parent[row, at])
        x, parent = x[open_], parent[open_]
    return x


def are_trees(edges: Array, nodes: int, root: int | None, x: Array) -> Array:
    """Return which rows of x, bool (R, E), are trees: N - 1 edges that reach all nodes, (R,)."""
    u, v = edges.T
    ends = np.eye(nodes)
    reached = np.zeros((len(x), nodes), np.bool_)
    reached[:, root or 0] = True
    for _ in range(nodes - 1):
        more = (x & reached[:, u]) @ ends[v]
        if root is None:
            more = more + (x & reached[:, v]) @ ends[u]
        reached |= more > 0
    return (x.sum(axis=1) == nodes - 1) & reached.all(axis=1)
