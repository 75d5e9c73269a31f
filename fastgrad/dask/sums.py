"""Sums over examples whose order is given by the number of examples alone.

The order is a binary tree over the indices: the node (level, i) is the sum of the examples from
i 2**level on, before (i + 1) 2**level: that of its two halves, or of the first where there is no
second. A block knows the nodes that lie within it, and neighbours join as soon as both are there.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.layers import ArraySliceDep

from fastgrad._typing import Array
from fastgrad.dask.blocks import Place, known

__all__ = ["tree_sum"]


def tree_sum(x: da.Array) -> da.Array:
    """Sum over the first axis, with the same bits for any chunks and any order of tasks.

    Neighbours are added in pairs, pairs in pairs, and so on, in float64 (integers in int64). The
    result depends on the entries, their order and their number, and on nothing else: not on how the
    axis is cut, nor on workers. ``x.sum(axis=0)`` of Dask depends on the chunks.

    Parameters
    ----------
    x : dask array, shape (B, *rest)
        Of floats, integers or booleans, such as the gradients of `estimate`.

    Returns
    -------
    dask array, shape (*rest)
        In the type of x, rounded once; int64 for integers and booleans. Zeros where B is 0.

    Raises
    ------
    TypeError
        If x is not a Dask array of real numbers.
    ValueError
        If it has no axis, or sizes of its chunks are unknown.

    Notes
    -----
    The error grows with log2(B) and not with B.

    Examples
    --------
    >>> import dask.array as da, numpy as np, fastgrad.dask as fgd
    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> a = fgd.tree_sum(da.from_array(x, chunks=(300, 3)))
    >>> b = fgd.tree_sum(da.from_array(x, chunks=(7, 2)))
    >>> bool((a.compute() == b.compute()).all())
    True

    References
    ----------
    Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 1993.
    """
    x = known(x, "x")
    if not x.ndim:
        raise ValueError("x must have an axis to sum over, got shape ()")
    if x.dtype.kind not in "fiub":
        raise TypeError(f"x must hold real numbers, got dtype {x.dtype}")
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.int64)
    index = tuple(range(x.ndim))
    nodes = da.blockwise(
        nodes_of_block,
        index,
        x,
        index,
        ArraySliceDep(x.chunks[:1]),
        index[:1],
        name=f"fastgrad-tree-nodes-{tokenize(x.name)}",
        align_arrays=False,
        dtype=dtype,
        meta=np.empty((0,) * x.ndim, dtype),
    )
    # Types of Dask's own, which has none, would have to be found through all of its code.
    total: Any = cast("Any", da.reduction)(
        nodes,
        chunk=unchanged,
        combine=joined,
        aggregate=root,
        axis=0,
        concatenate=False,
        dtype=dtype,
        meta=np.empty((0,) * (x.ndim - 1), dtype),
        name="fastgrad-tree-sum",
    )
    return total


class Node(NamedTuple):
    """The sum of the examples from number 2**level on, before (number + 1) 2**level."""

    level: int
    number: int
    sum: Array


class Nodes(NamedTuple):
    """The largest nodes of a run of examples, in order, and the type of the result."""

    nodes: tuple[Node, ...]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def nodes_of_block(block: Array, place: Place) -> Nodes:
    """Return the nodes of a block of examples: the task."""
    (examples,) = place
    wide: np.dtype[Any] = np.dtype(np.float64 if block.dtype.kind == "f" else np.int64)
    found, start = [], examples.start
    while start < examples.stop:
        level = (examples.stop - start).bit_length() - 1
        if start:  # a node begins at a multiple of its size
            level = min(level, (start & -start).bit_length() - 1)
        first = start - examples.start
        x = block[first : first + 2**level]
        for _ in range(level):
            x = np.add(x[0::2], x[1::2], dtype=wide)
        found.append(Node(level, start >> level, x[0].astype(wide)))
        start += 2**level
    dtype = block.dtype if block.dtype.kind == "f" else wide
    return Nodes(tuple(found), dtype, block.shape[1:])


def unchanged(nodes: Any, **options: Any) -> Any:
    """Return nodes as they are."""
    return nodes


def joined(parts: Any, **options: Any) -> Nodes:
    """Return the nodes of neighbouring runs of examples, of which halves have become wholes."""
    parts = parts if isinstance(parts, list) else [parts]
    kept: list[Node] = []
    for node in (node for part in parts for node in part.nodes):
        while kept and kept[-1].level == node.level and node.number == kept[-1].number + 1:
            if node.number % 2 == 0:
                break
            node = Node(node.level + 1, node.number // 2, kept.pop().sum + node.sum)
        kept.append(node)
    return Nodes(tuple(kept), parts[0].dtype, parts[0].shape)


def root(parts: Any, **options: Any) -> Array:
    """Return the sum of all examples: what has no second half is that of its first."""
    nodes, dtype, shape = joined(parts)
    if not nodes:
        return np.zeros(shape, dtype)
    total = nodes[-1].sum
    for node in reversed(nodes[:-1]):
        total = node.sum + total
    return np.asarray(total.astype(dtype))
