"""Directed graphs with a root from which every node is reached, and what is refused as one."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, cast

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.structured.graphs import MOST_NODES

__all__ = ["Digraph", "digraph", "known"]


class Digraph(NamedTuple):
    """A directed graph of N nodes and E edges, one node of which is the root.

    Attributes
    ----------
    edges : array of int, shape (E, 2)
        The nodes that each edge leads from and to.
    nodes : int
        Their number N.
    root : int
        The node to which no edge leads.
    """

    edges: Array
    nodes: int
    root: int


def digraph(edges: ArrayLike, root: int, rows: FloatArray) -> Digraph:
    """Return a graph whose edges have logits, (R, E); in each row those above -inf reach all."""
    given = _validate.array(edges, "edges")
    if given.shape != (rows.shape[1], 2) or given.dtype.kind not in "iu":
        raise ValueError(
            f"edges must be integers of shape ({rows.shape[1]}, 2), one pair of nodes for each "
            f"logit, got {given.dtype} of shape {given.shape}"
        )
    root = _validate.integer(root, "root", 0, MOST_NODES - 1)
    found = known(np.ascontiguousarray(given, np.int64).tobytes(), root)
    for row in np.flatnonzero(np.isneginf(rows).any(axis=1)):
        require_reached(found, rows[row] > -np.inf, f" above -inf in row {row}")
    return found


@functools.lru_cache(maxsize=8)
def known(edges: bytes, root: int) -> Digraph:
    """Return the graph of these edges, int64 in pairs, or refuse it."""
    pairs = np.frombuffer(edges, np.int64).reshape(-1, 2)
    if pairs.min() < 0 or pairs.max() >= MOST_NODES:
        bad = pairs.min() if pairs.min() < 0 else pairs.max()
        raise ValueError(f"edges must hold nodes from 0 to {MOST_NODES - 1}, got {bad}")
    if root > pairs.max():
        raise ValueError(f"root must be one of the nodes 0 to {pairs.max()}, got {root}")
    loops = pairs[:, 0] == pairs[:, 1]
    if loops.any():
        raise ValueError(f"edges must join two nodes, got {pairs[loops][0].tolist()}")
    into = pairs[:, 1] == root
    if into.any():
        raise ValueError(f"edges must not lead to the root, got {pairs[into][0].tolist()}")
    unique, counts = np.unique(pairs, axis=0, return_counts=True)
    if counts.max() > 1:
        twice = unique[counts > 1][0].tolist()
        raise ValueError(f"edges must join each two nodes once either way, got {twice} twice")
    graph = Digraph(pairs, int(pairs.max()) + 1, root)
    require_reached(graph, np.ones(len(pairs), bool), "")
    return graph


def require_reached(graph: Digraph, present: Any, which: str) -> None:
    """Raise ValueError unless the edges present lead from the root to all nodes."""
    from scipy import sparse  # late: it is slow to import

    u, v = graph.edges[present].T
    size = (graph.nodes, graph.nodes)
    compressed = cast("Any", sparse.csr_array)  # or its types are looked for in all of SciPy
    matrix = compressed((np.ones(len(u)), (u, v)), shape=size)
    reached = sparse.csgraph.breadth_first_order(matrix, graph.root, return_predecessors=False)
    if len(reached) < graph.nodes:
        missing = np.setdiff1d(np.arange(graph.nodes), reached)[0]
        raise ValueError(
            f"edges must lead from the root {graph.root} to all {graph.nodes} nodes, got no edges"
            f"{which} that lead to node {missing}"
        )
