"""Arborescences of a directed graph, grown from perturbed logits of its edges, for estimators."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions.structured import digraphs as _digraphs
from fastgrad.distributions.structured import directed_tree as _directed_tree
from fastgrad.distributions.structured import edmonds as _edmonds
from fastgrad.distributions.structured.base import MOST, NO_DIFFERENCE
from fastgrad.distributions.structured.digraphs import Digraph
from fastgrad.distributions.structured.traced_trees import TracedTrees

__all__ = ["Arborescence"]


@dataclasses.dataclass(frozen=True, eq=False)
class Arborescence(TracedTrees):
    """Independent arborescences: Chu-Liu's and Edmonds' algorithm on exponential arrival times.

    An arborescence is a directed tree in which every node but the root has one edge that leads to
    it, and is reached from the root. Here an edge costs a time of rate exp(logit), which is
    ``exp(-w)`` of its perturbed logit ``w = logit + Gumbel noise``, and the tree is the one of the
    least total cost. The algorithm that finds it takes edges one by one, each with odds exp(logit)
    among those that are open: a node takes one of the edges that lead to it, and a circle that was
    so closed, contracted to one node, one of the edges that lead into it.

    Samples are the edges in the order in which they were taken, and -1 when no more are, shape
    (S, *batch, 2 N - 3): the tree alone has a probability that no one can sum, this trace has one.
    Features, which f sees, are 1 at the edges of the tree and 0 elsewhere, (S, *batch, E).

    Estimators ask it for the score (`reinforce`, `rloo`, `vimco`), for all outcomes (`enumerate`,
    `unordered_set` and its kind), for relaxed samples (`gumbel_softmax`), and for these given the
    trace (`rebar`, `relax`). A relaxed sample holds the probability of each edge in an arborescence
    that is drawn with probability proportional to the product of ``exp(w / temperature)`` over its
    edges. As the temperature goes to 0 it becomes the arborescence with the largest sum of
    perturbed logits, which is the sample where no circle was closed, and mostly where one was.

    Parameters
    ----------
    logits : array, shape (*batch, E)
        Unnormalised log odds of the edges, float32 or float64; an edge of -inf is never drawn.
    edges : array of int, shape (E, 2)
        The nodes that each edge leads from and to. The number of nodes N is one more than the
        largest. No edge leads to the root.
    root : int
        The node at which the trees are rooted.
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
        If the logits hold NaN or +inf; if an edge joins a node to itself or leads to the root, or
        two edges do the same; if the edges of a row with logits above -inf do not lead from the
        root to all nodes.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> edges = np.argwhere(~np.eye(4, dtype=bool))
    >>> edges = edges[edges[:, 1] != 0]  # of the complete graph, none to node 0
    >>> d = fg.trees.Arborescence(np.zeros(9), edges)
    >>> depth_one = edges[:, 0] == 0
    >>> f = fg.objectives.linear(depth_one.astype(float))  # how many nodes hang from the root
    >>> float(fg.exact.value(f, d).round(6))
    1.351852
    >>> fg.estimator("rebar")(f, d, num_samples=8, rng=0).grad.shape
    (9,)

    References
    ----------
    Struminsky, Gadetsky, Rakitin, Karpushkin and Vetrov, "Leveraging recursive Gumbel-max trick for
    approximate inference in combinatorial spaces", NeurIPS 2021 (the trace, and what is drawn given
    it).
    Koo, Globerson, Carreras and Collins, "Structured prediction models via the matrix-tree
    theorem", EMNLP 2007 (the relaxation).
    """

    logits: FloatArray
    edges: ArrayLike
    root: int = 0
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    algorithm: ClassVar[ModuleType] = _edmonds
    gibbs: ClassVar[ModuleType] = _directed_tree
    least: ClassVar[int] = -1
    lacks: ClassVar[Mapping[str, str]] = {
        **TracedTrees.lacks,
        "mean": "the mean of arborescences of the least cost has no closed form",
        "weak_derivative": NO_DIFFERENCE,
    }

    def __post_init__(self, copy: bool) -> None:
        rows, batch = _validate.rows(self.logits)
        graph = _digraphs.digraph(self.edges, self.root, rows)
        object.__setattr__(self, "edges", graph.edges)
        self._keep(rows.reshape(*batch, rows.shape[1]), copy)

    @property
    def graph(self) -> Digraph:
        """The graph: its edges, the number of its nodes, and its root."""
        return _digraphs.known(np.asarray(self.edges).tobytes(), self.root)

    @property
    def num_outcomes(self) -> int:
        """Number of traces, those of probability zero included.

        It is a lower bound where there are more than can be listed.
        """
        found = _traces(self.graph.edges.tobytes(), self.root)
        return found if isinstance(found, int) else len(found)

    def table(self) -> IntArray:
        """Return all traces, shape (num_outcomes, 2 N - 3)."""
        self._require_few()
        return _traces(self.graph.edges.tobytes(), self.root)

    def features(self, z: Any) -> FloatArray:
        """Return which edges the arborescences z have, shape (S, *batch, E)."""
        z = _validate.whole_numbers(z, self.logits.shape[-1], least=self.least)
        x = _edmonds.arborescence(self.graph, z.reshape(-1, z.shape[-1]))
        return x.astype(self.logits.dtype).reshape(*z.shape[:-1], self.logits.shape[-1])


@functools.lru_cache(maxsize=8)
def _traces(edges: bytes, root: int) -> Any:
    """Return all traces, (number, 2 N - 3), or how many there are at least."""
    found = _edmonds.traces(_digraphs.known(edges, root), MOST[0])
    return found if isinstance(found, int) else _validate.frozen(found)
