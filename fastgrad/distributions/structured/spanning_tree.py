"""Spanning trees of a graph, grown from perturbed logits of its edges, for estimators."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions.structured import graphs as _graphs
from fastgrad.distributions.structured import kruskal as _kruskal
from fastgrad.distributions.structured import matrix_tree as _matrix_tree
from fastgrad.distributions.structured import wilson as _wilson
from fastgrad.distributions.structured.base import NO_DIFFERENCE
from fastgrad.distributions.structured.graphs import Graph
from fastgrad.distributions.structured.traced_trees import TracedTrees

__all__ = ["SpanningTree"]


@dataclasses.dataclass(frozen=True, eq=False)
class SpanningTree(TracedTrees):
    """Independent spanning trees: Kruskal's algorithm on logits of edges plus Gumbel noise.

    Edge after edge is drawn with odds exp(logit) among those that close no circle, until all nodes
    are joined. Samples are the edges in the order in which they were taken, (S, *batch, N - 1):
    the tree alone has a probability that no one can sum, its order has one. Features, which f sees,
    are 1 at the edges of the tree and 0 elsewhere, (S, *batch, E).

    Estimators ask it for the score (`reinforce`, `rloo`, `vimco`), for all outcomes (`enumerate`,
    `unordered_set` and its kind), for relaxed samples (`gumbel_softmax`), and for these given the
    order (`rebar`, `relax`). A relaxed sample holds the probability of each edge in a tree that is
    drawn with probability proportional to the product of ``exp(w / temperature)`` over its edges,
    where w are the perturbed logits; as the temperature goes to 0 it becomes the sample.

    Parameters
    ----------
    logits : array, shape (*batch, E)
        Unnormalised log odds of the edges, float32 or float64; an edge of -inf is never drawn.
    edges : array of int, shape (E, 2)
        The nodes that each edge joins, from 0. The number of nodes N is one more than the largest.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first row in a larger batch, of which samples are then a part.

    Attributes
    ----------
    logits : array, shape (*batch, E)
        Read-only.
    edges : array of int, shape (E, 2)
        Read-only.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf; if an edge joins a node to itself, or two edges the same
        nodes; if the edges of a row with logits above -inf do not join all nodes.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> edges = np.argwhere(np.triu(np.ones((4, 4)), 1))  # of the complete graph
    >>> d = fg.trees.SpanningTree(np.zeros(6), edges)
    >>> length = np.arange(6.0)
    >>> grad = lambda x: 2 * (x @ length)[:, None] * length
    >>> f = fg.objective(lambda x: (x @ length) ** 2, grad=grad)
    >>> float(fg.exact.value(f, d).round(3))
    60.722
    >>> fg.estimator("rebar")(f, d, num_samples=8, rng=0).grad.shape
    (6,)

    References
    ----------
    Struminsky, Gadetsky, Rakitin, Karpushkin and Vetrov, "Leveraging recursive Gumbel-max trick for
    approximate inference in combinatorial spaces", NeurIPS 2021 (the trace, and what is drawn given
    it).
    Paulus, Choi, Tarlow, Krause and Maddison, "Gradient estimation with stochastic softmax tricks",
    NeurIPS 2020 (the relaxation).
    """

    logits: FloatArray
    edges: ArrayLike
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    algorithm: ClassVar[ModuleType] = _kruskal
    gibbs: ClassVar[ModuleType] = _matrix_tree
    taken: ClassVar[str] = "of which none closes a circle"
    lacks: ClassVar[Mapping[str, str]] = {
        **TracedTrees.lacks,
        "mean": "the mean of trees that are grown edge by edge has no closed form",
        "weak_derivative": NO_DIFFERENCE,
    }

    def __post_init__(self, copy: bool) -> None:
        rows, batch = _validate.rows(self.logits)
        graph = _graphs.graph(self.edges, rows)
        object.__setattr__(self, "edges", graph.edges)
        self._keep(rows.reshape(*batch, rows.shape[1]), copy)

    @property
    def graph(self) -> Graph:
        """The graph: its edges and the number of its nodes."""
        return _graphs.known(np.asarray(self.edges).tobytes())

    @property
    def num_outcomes(self) -> int:
        """Number of orders in which edges can make a tree, those of probability zero included."""
        graph = self.graph
        lists = _wilson.places(graph.edges.tobytes(), graph.nodes, False)
        return _wilson.number_of_trees(lists, 0) * math.factorial(graph.nodes - 1)

    def table(self) -> IntArray:
        """Return all orders of the edges of all trees, shape (num_outcomes, N - 1)."""
        self._require_few()
        return _traces(self.graph.edges.tobytes())

    def features(self, z: Any) -> FloatArray:
        """Return which edges the trees z have, shape (S, *batch, E)."""
        z = _validate.whole_numbers(z, self.logits.shape[-1])
        x = np.zeros((*z.shape[:-1], self.logits.shape[-1]), self.logits.dtype)
        np.put_along_axis(x, z, 1, axis=-1)
        return x


@functools.lru_cache(maxsize=8)
def _traces(edges: bytes) -> IntArray:
    return _validate.frozen(_kruskal.traces(_graphs.known(edges)))
