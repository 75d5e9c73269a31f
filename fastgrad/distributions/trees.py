"""Spanning trees of a graph whose edges have logits, and arborescences, which have a root.

Two distributions for estimators grow trees from perturbed logits: `SpanningTree` by Kruskal's
algorithm and, of a directed graph, `Arborescence` by that of Chu, Liu and Edmonds. `WeightedTree`
has trees with probability proportional to the product of exp(logit) over their edges instead.

The functions are of these weights: `sample` draws trees, exactly and without perturbation,
`edge_marginals` are the exact means, and `log_normaliser` is the logarithm of the sum over all
trees; so are `arborescence_sample`, `arborescence_marginals` and `arborescence_log_normaliser`, of
arborescences. Sums are exact by the matrix-tree theorem.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.structured import digraphs as _digraphs
from fastgrad.distributions.structured import directed_tree as _directed_tree
from fastgrad.distributions.structured import graphs as _graphs
from fastgrad.distributions.structured import matrix_tree as _matrix_tree
from fastgrad.distributions.structured import wilson as _wilson
from fastgrad.distributions.structured.arborescence import Arborescence
from fastgrad.distributions.structured.spanning_tree import SpanningTree
from fastgrad.distributions.structured.weighted_tree import WeightedTree
from fastgrad.random import RNG, as_key

__all__ = [
    "Arborescence",
    "SpanningTree",
    "WeightedTree",
    "arborescence_log_normaliser",
    "arborescence_marginals",
    "arborescence_marginals_vjp",
    "arborescence_sample",
    "edge_marginals",
    "edge_marginals_vjp",
    "log_normaliser",
    "sample",
]


def log_normaliser(logits: ArrayLike, edges: ArrayLike) -> FloatArray:
    """Compute log sum over spanning trees of the product of exp(logit) over their edges.

    Parameters
    ----------
    logits : array, shape (*batch, E)
        Log weights of the edges, float32 or float64; an edge of -inf is in no tree.
    edges : array of int, shape (E, 2)
        The nodes that each edge joins, from 0. The number of nodes N is one more than the largest.

    Returns
    -------
    array, shape (*batch)
        In the dtype of the logits, computed in float64: Kirchhoff's determinant, without its
        cancellation. Time is of order N**3 for each row.

    Raises
    ------
    ValueError
        As `SpanningTree` does.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> edges = np.argwhere(np.triu(np.ones((5, 5)), 1))
    >>> float(np.exp(fg.trees.log_normaliser(np.zeros(10), edges)).round(9))  # Cayley: 5**3
    125.0
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(log_normaliser, logits, locals())
    rows, batch = _validate.rows(logits)
    found = _matrix_tree.log_normaliser(_graphs.graph(edges, rows), rows.astype(np.float64))
    return found.astype(rows.dtype).reshape(batch)


def edge_marginals(logits: ArrayLike, edges: ArrayLike) -> FloatArray:
    """Compute the probability of each edge to be in the tree: the gradient of `log_normaliser`.

    Parameters
    ----------
    logits, edges
        As in `log_normaliser`.

    Returns
    -------
    array, shape (*batch, E)
        From 0 to 1, of sum N - 1, in the dtype of the logits.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.trees.edge_marginals(np.log([1.0, 1.0, 2.0]), [[0, 1], [1, 2], [2, 0]])
    array([0.6, 0.6, 0.8])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(edge_marginals, logits, locals())
    rows, batch = _validate.rows(logits)
    found = _matrix_tree.edge_marginals(_graphs.graph(edges, rows), rows.astype(np.float64))
    return found.astype(rows.dtype).reshape(*batch, rows.shape[1])


def edge_marginals_vjp(logits: ArrayLike, cotangent: ArrayLike, edges: ArrayLike) -> FloatArray:
    """Multiply cotangents with the Jacobian of `edge_marginals`, which is symmetric.

    Parameters
    ----------
    logits, edges
        As in `log_normaliser`.
    cotangent : array, shape (*batch, E)
        Derivative of a loss with respect to the probabilities.

    Returns
    -------
    array, shape (*batch, E)
        Gradient with respect to the logits, in their dtype; 0 for an edge of -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> triangle, r = [[0, 1], [1, 2], [2, 0]], np.array([1.0, 0.0, 0.0])
    >>> fg.trees.edge_marginals_vjp(np.zeros(3), r, triangle).round(4)
    array([ 0.2222, -0.1111, -0.1111])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(edge_marginals_vjp, logits, locals())
    rows, batch = _validate.rows(logits)
    graph = _graphs.graph(edges, rows)
    full = (*batch, rows.shape[1])
    r = _validate.like(cotangent, full, np.dtype(np.float64), "cotangent", rows.shape)
    found = _matrix_tree.edge_marginals_jvp(graph, rows.astype(np.float64), r)
    return found.astype(rows.dtype).reshape(full)


def sample(
    logits: ArrayLike,
    edges: ArrayLike,
    *,
    num_samples: int | None = None,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> FloatArray:
    """Draw spanning trees with probability proportional to the product of exp(logit), exactly.

    Parameters
    ----------
    logits, edges
        As in `log_normaliser`.
    num_samples, rng, row_offset, sample_offset
        As in `fastgrad.sample`.

    Returns
    -------
    array, shape (S, *batch, E), or (*batch, E) without num_samples
        1 at the edges of the tree and 0 elsewhere, in the dtype of the logits. Their mean is
        `edge_marginals`. Time is that of a random walk until it has been everywhere: long where
        parts of the graph hang together by weights much smaller than those inside.

    Raises
    ------
    ValueError
        As `SpanningTree` does; also if weights lie so far apart that a walk takes 2**23 steps.

    References
    ----------
    Wilson, "Generating random spanning trees more quickly than the cover time", STOC 1996.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = fg.trees.sample(np.zeros(3), [[0, 1], [1, 2], [2, 0]], num_samples=3000, rng=0)
    >>> x.sum(axis=1).min(), bool((abs(x.mean(axis=0) - 2 / 3) < 0.05).all())
    (np.float64(2.0), True)
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(sample, logits, locals())
    rows, batch = _validate.rows(logits)
    graph = _graphs.graph(edges, rows)
    lists = _wilson.places(graph.edges.tobytes(), graph.nodes, False)
    return _drawn(lists, 0, rows, batch, num_samples, rng, row_offset, sample_offset)


def _drawn(lists, root, rows, batch, num_samples, rng, row_offset, sample_offset):
    """Draw trees, 1 at their edges."""
    count, lead = _validate.samples(num_samples)
    row, first = _validate.offsets(row_offset, sample_offset, count)
    noise = as_key(rng).kernel_words, first, row
    x = _wilson.trees(lists, root, rows, count, noise)
    return x.astype(rows.dtype).reshape(*lead, *batch, rows.shape[1])


def arborescence_log_normaliser(logits: ArrayLike, edges: ArrayLike, root: int = 0) -> FloatArray:
    """Compute log sum over arborescences of the product of exp(logit) over their edges.

    Parameters
    ----------
    logits : array, shape (*batch, E)
        Log weights of the edges, float32 or float64; an edge of -inf is in no arborescence.
    edges : array of int, shape (E, 2)
        The nodes that each edge leads from and to. The number of nodes N is one more than the
        largest. No edge leads to the root.
    root : int
        The node from which all others are reached.

    Returns
    -------
    array, shape (*batch)
        In the dtype of the logits, computed in float64: Tutte's determinant, without its
        cancellation. Time is of order N**3 for each row.

    Raises
    ------
    ValueError
        As `Arborescence` does.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> edges = np.argwhere(~np.eye(5, dtype=bool))
    >>> edges = edges[edges[:, 1] != 0]
    >>> float(np.exp(fg.trees.arborescence_log_normaliser(np.zeros(16), edges)).round(9))  # 5**3
    125.0

    References
    ----------
    Koo, Globerson, Carreras and Collins, "Structured prediction models via the matrix-tree
    theorem", EMNLP 2007.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(arborescence_log_normaliser, logits, locals())
    rows, batch = _validate.rows(logits)
    graph = _digraphs.digraph(edges, root, rows)
    found = _directed_tree.log_normaliser(graph, rows.astype(np.float64))
    return found.astype(rows.dtype).reshape(batch)


def arborescence_marginals(logits: ArrayLike, edges: ArrayLike, root: int = 0) -> FloatArray:
    """Compute the probability of each edge: the gradient of `arborescence_log_normaliser`.

    Parameters
    ----------
    logits, edges, root
        As in `arborescence_log_normaliser`.

    Returns
    -------
    array, shape (*batch, E)
        From 0 to 1, of sum N - 1, in the dtype of the logits: of all edges that lead to a node, one
        is in the tree.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> edges = [[0, 1], [0, 2], [1, 2], [2, 1]]
    >>> fg.trees.arborescence_marginals(np.log([1.0, 1.0, 2.0, 1.0]), edges)
    array([0.75, 0.5 , 0.5 , 0.25])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(arborescence_marginals, logits, locals())
    rows, batch = _validate.rows(logits)
    graph = _digraphs.digraph(edges, root, rows)
    found = _directed_tree.edge_marginals(graph, rows.astype(np.float64))
    return found.astype(rows.dtype).reshape(*batch, rows.shape[1])


def arborescence_marginals_vjp(
    logits: ArrayLike, cotangent: ArrayLike, edges: ArrayLike, root: int = 0
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `arborescence_marginals`, which is symmetric.

    Parameters
    ----------
    logits, edges, root
        As in `arborescence_log_normaliser`.
    cotangent : array, shape (*batch, E)
        Derivative of a loss with respect to the probabilities.

    Returns
    -------
    array, shape (*batch, E)
        Gradient with respect to the logits, in their dtype; 0 for an edge of -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> edges, r = [[0, 1], [0, 2], [1, 2], [2, 1]], np.array([1.0, 0.0, 0.0, 0.0])
    >>> fg.trees.arborescence_marginals_vjp(np.zeros(4), r, edges).round(4)
    array([ 0.2222, -0.1111,  0.1111, -0.2222])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(arborescence_marginals_vjp, logits, locals())
    rows, batch = _validate.rows(logits)
    graph, full = _digraphs.digraph(edges, root, rows), (*batch, rows.shape[1])
    r = _validate.like(cotangent, full, np.dtype(np.float64), "cotangent", rows.shape)
    found = _directed_tree.edge_marginals_jvp(graph, rows.astype(np.float64), r)
    return found.astype(rows.dtype).reshape(full)


def arborescence_sample(
    logits: ArrayLike,
    edges: ArrayLike,
    root: int = 0,
    *,
    num_samples: int | None = None,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
) -> FloatArray:
    """Draw arborescences with probability proportional to the product of exp(logit), exactly.

    Parameters
    ----------
    logits, edges, root
        As in `arborescence_log_normaliser`.
    num_samples, rng, row_offset, sample_offset
        As in `fastgrad.sample`.

    Returns
    -------
    array, shape (S, *batch, E), or (*batch, E) without num_samples
        As of `sample`. Their mean is `arborescence_marginals`.

    Raises
    ------
    ValueError
        As `Arborescence` does, and as in `sample`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> edges = [[0, 1], [0, 2], [1, 2], [2, 1]]
    >>> x = fg.trees.arborescence_sample(np.zeros(4), edges, num_samples=1000, rng=0)
    >>> (x[:, 0] + x[:, 3]).max(), bool(abs(x[:, 0].mean() - 2 / 3) < 0.05)
    (np.float64(1.0), True)
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(arborescence_sample, logits, locals())
    rows, batch = _validate.rows(logits)
    graph = _digraphs.digraph(edges, root, rows)
    lists = _wilson.places(graph.edges.tobytes(), graph.nodes, True)
    return _drawn(lists, graph.root, rows, batch, num_samples, rng, row_offset, sample_offset)
