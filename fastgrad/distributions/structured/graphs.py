"""Undirected graphs, given by their edges: checked once."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray

__all__ = ["Graph", "graph", "known"]

MOST_NODES = 2**20


class Graph(NamedTuple):
    """An undirected graph of N nodes and E edges.

    Attributes
    ----------
    edges : array of int, shape (E, 2)
        The nodes that each edge joins.
    nodes : int
        Their number N.
    """

    edges: Array
    nodes: int


def graph(edges: ArrayLike, rows: FloatArray) -> Graph:
    """Return a graph whose edges have logits, (R, E); in each row those above -inf join all."""
    given = _validate.array(edges, "edges")
    if given.shape != (rows.shape[1], 2) or given.dtype.kind not in "iu":
        raise ValueError(
            f"edges must be integers of shape ({rows.shape[1]}, 2), one pair of nodes for each "
            f"logit, got {given.dtype} of shape {given.shape}"
        )
    found = known(np.ascontiguousarray(given, np.int64).tobytes())
    for row in np.flatnonzero(np.isneginf(rows).any(axis=1)):
        require_joined(found, rows[row] > -np.inf, f" above -inf in row {row}")
    return found


@functools.lru_cache(maxsize=8)
def known(edges: bytes) -> Graph:
    """Return the graph of these edges, int64 in pairs, or refuse it."""
    pairs = np.frombuffer(edges, np.int64).reshape(-1, 2)
    if pairs.min() < 0 or pairs.max() >= MOST_NODES:
        bad = pairs.min() if pairs.min() < 0 else pairs.max()
        raise ValueError(f"edges must hold nodes from 0 to {MOST_NODES - 1}, got {bad}")
    loops = pairs[:, 0] == pairs[:, 1]
    if loops.any():
        raise ValueError(f"edges must join two nodes, got {pairs[loops][0].tolist()}")
    ordered = np.sort(pairs, axis=1)
    unique, counts = np.unique(ordered, axis=0, return_counts=True)
    if counts.max() > 1:
        twice = unique[counts > 1][0].tolist()
        raise ValueError(f"edges must join each two nodes once, got {twice} twice")
    graph = Graph(pairs, int(pairs.max()) + 1)
    require_joined(graph, np.ones(len(pairs), bool), "")
    return graph


def require_joined(graph: Graph, present: Any, which: str) -> None:
    """Raise ValueError unless the edges present join all nodes."""
    from scipy import sparse  # late: it is slow to import

    u, v = graph.edges[present].T
    size = (graph.nodes, graph.nodes)
    parts, _ = sparse.csgraph.connected_components(
        sparse.coo_array((np.ones(len(u)), (u, v)), shape=size), directed=False
    )
    if parts > 1:
        raise ValueError(
            f"edges must join all {graph.nodes} nodes, got {parts} parts of the graph that "
            f"no edge{which} joins"
        )
