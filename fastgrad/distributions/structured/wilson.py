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

__all__ = ["places", "trees"]


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
    shares = _validate.frozen(_shares(lists, phi))
    _kernels.trees(lists, shares, noise, root, out, failed)
    if failed.any():
        raise ValueError(
            f"logits must lie less far apart: a walk of {2 * _kernels.STEPS} steps joined no tree"
        )
    return out
