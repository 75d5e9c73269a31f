"""Trees with probability proportional to the product of their weights, for estimators."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.distributions.structured import digraphs as _digraphs
from fastgrad.distributions.structured import directed_tree as _directed_tree
from fastgrad.distributions.structured import graphs as _graphs
from fastgrad.distributions.structured import matrix_tree as _matrix_tree
from fastgrad.distributions.structured import wilson as _wilson
from fastgrad.distributions.structured.arborescence import Arborescence
from fastgrad.distributions.structured.base import NO_DIFFERENCE, Structured, having
from fastgrad.distributions.structured.spanning_tree import SpanningTree
from fastgrad.random import RNG, as_key

__all__ = ["WeightedTree"]


@dataclasses.dataclass(frozen=True, eq=False)
class WeightedTree(Structured):
    """Independent trees of a graph, with probability proportional to the product of exp(logit).

    Without a root these are spanning trees of an undirected graph; with one, arborescences of a
    directed graph: trees in which every node but the root has one edge that leads to it. Samples
    are 1 at the edges of the tree and 0 elsewhere, and so are their features. They are drawn
    exactly, by Wilson's algorithm, and their mean is exact by the matrix-tree theorem.

    Estimators ask it for the score (`reinforce`, `rloo`, `vimco`), for all outcomes (`enumerate`,
    `unordered_set` and its kind), for the exact marginals (`straight_through`), and for relaxed
    samples (`gumbel_softmax`). These hold the marginals of perturbed logits divided by the
    temperature, and are those of `SpanningTree` and `Arborescence`: as the temperature goes to 0
    they become the tree of the largest sum of perturbed logits, whose probability is near that of
    `sample`, but not equal to it.

    Parameters
    ----------
    logits : array, shape (*batch, E)
        Log weights of the edges, float32 or float64; an edge of -inf is in no tree.
    edges : array of int, shape (E, 2)
        The nodes that each edge joins, from 0, or leads from and to. The number of nodes N is one
        more than the largest. No edge leads to the root.
    root : int, optional
        The node from which all others are reached, if edges have a direction.
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
        As `SpanningTree` does, and with a root as `Arborescence` does.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> triangle = [[0, 1], [1, 2], [2, 0]]
    >>> d = fg.trees.WeightedTree(np.log([1.0, 1.0, 2.0]), triangle)
    >>> d.mean()
    array([0.6, 0.6, 0.8])
    >>> f = lambda x: x[:, 0] * x[:, 1]  # whether both of these are in the tree
    >>> float(fg.exact.value(f, d).round(6))  # weight 1 of 1 + 2 + 2
    0.2
    >>> fg.estimator("rloo")(f, d, num_samples=100, rng=0).grad.shape
    (3,)

    References
    ----------
    Wilson, "Generating random spanning trees more quickly than the cover time", STOC 1996.
    Koo, Globerson, Carreras and Collins, "Structured prediction models via the matrix-tree
    theorem", EMNLP 2007.
    """

    logits: FloatArray
    edges: ArrayLike
    root: int | None = None
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    lacks: ClassVar[Mapping[str, str]] = {
        **having(Structured.lacks, "score_jvp"),
        "conditional": "no Gumbel noise decides its trees, so none can be drawn given a tree",
        "weak_derivative": NO_DIFFERENCE,
    }

    def __post_init__(self, copy: bool) -> None:
        rows, batch = _validate.rows(self.logits)
        if self.root is None:
            graph: Any = _graphs.graph(self.edges, rows)
        else:
            graph = _digraphs.digraph(self.edges, self.root, rows)
            object.__setattr__(self, "root", graph.root)
        object.__setattr__(self, "edges", graph.edges)
        self._keep(rows.reshape(*batch, rows.shape[1]), copy)

    @property
    def graph(self) -> Any:
        """The graph: its edges and the number of its nodes, and its root if it has one."""
        edges = np.asarray(self.edges).tobytes()
        return _graphs.known(edges) if self.root is None else _digraphs.known(edges, self.root)

    @property
    def _gibbs(self) -> Any:
        return _matrix_tree if self.root is None else _directed_tree

    @property
    def _places(self) -> Any:
        graph = self.graph
        return _wilson.places(graph.edges.tobytes(), graph.nodes, self.root is not None)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is a tree."""
        return self.logits.shape[:-1]

    @property
    def num_outcomes(self) -> int:
        """Number of trees, those of probability zero included."""
        return _wilson.number_of_trees(self._places, self.root or 0)

    def table(self) -> FloatArray:
        """Return all trees, 1 at their edges, shape (num_outcomes, E)."""
        self._require_few()
        edges = np.asarray(self.edges)
        return _trees(edges.tobytes(), self.root).astype(self.logits.dtype)

    def features(self, z: Any) -> FloatArray:
        """Return samples z, which are their own features."""
        return z.astype(self.logits.dtype, copy=False)

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> FloatArray:
        """Draw trees, 1 at their edges: shape (S, *batch, E).

        Options are `row_offset` and `sample_offset`, as of `fastgrad.sample`. For the same key
        these are the trees of `fastgrad.trees.sample` and `arborescence_sample`.
        """
        return self._drawn(num_samples, rng, **self._placed(options, "row_offset"))

    def _drawn(
        self, num_samples: int | None, rng: RNG, *, row_offset: int = 0, sample_offset: int = 0
    ) -> FloatArray:
        count, lead = _validate.samples(num_samples)
        row, first = _validate.offsets(row_offset, sample_offset, count)
        noise = as_key(rng).kernel_words, first, row
        x = _wilson.trees(self._places, self.root or 0, self.rows, count, noise)
        return x.astype(self.logits.dtype).reshape(*lead, *self.logits.shape)

    def log_prob(self, x: ArrayLike) -> FloatArray:
        """Log probability of trees x, (S, *batch, E): -inf if an edge of -inf is among theirs."""
        x, full = _validate.real_array(x, "x"), self.logits.shape
        if x.shape != full and x.shape[1:] != full:
            raise ValueError(f"x must have shape {full} or (S, *{full}), got {x.shape}")
        chosen = (x == 1).reshape(-1, full[-1])
        fine = ((x == 0) | (x == 1)).reshape(chosen.shape).all(axis=1)
        fine &= _wilson.are_trees(self.graph.edges, self.graph.nodes, self.root, chosen)
        if not fine.all():
            row = x.reshape(chosen.shape)[~fine][0]
            raise ValueError(f"x must be 1 at the edges of a tree and 0 elsewhere, got {row}")
        weight = np.where(x == 1, self._relative.reshape(full), 0).sum(axis=-1)
        return (weight - self._log_sum).astype(self.logits.dtype)

    def score(self, x: ArrayLike) -> FloatArray:
        """Gradient of the log probability by the logits: ``x - mean()``, of the shape of x."""
        return _validate.array(x, "x") - self.mean()

    def mean(self) -> FloatArray:
        """Probability of each edge to be in the tree: see `fastgrad.trees.edge_marginals`."""
        return self._marginals

    def mean_vjp(self, cotangent: ArrayLike) -> FloatArray:
        """Vector-Jacobian product of the mean: see `fastgrad.trees.edge_marginals_vjp`."""
        shape, double = self.logits.shape, np.dtype(np.float64)
        r = _validate.like(cotangent, shape, double, "cotangent", self._relative.shape)
        found = self._gibbs.edge_marginals_jvp(self.graph, self._relative, r)
        return found.astype(self.logits.dtype).reshape(shape)

    @property
    def _relative(self) -> FloatArray:
        """Log weights, float64, (R, E), less the largest of their row: a shift changes nothing."""
        rows = self.rows.astype(np.float64)
        return rows - rows.max(axis=1, keepdims=True)

    @functools.cached_property
    def _log_sum(self) -> FloatArray:
        return self._gibbs.log_normaliser(self.graph, self._relative).reshape(self.batch_shape)

    @functools.cached_property
    def _marginals(self) -> FloatArray:
        p = self._gibbs.edge_marginals(self.graph, self._relative)
        return _validate.frozen(p.astype(self.logits.dtype).reshape(self.logits.shape))

    # -- relaxed samples ----------------------------------------------------------------------

    @property
    def _grown(self) -> SpanningTree | Arborescence:
        """The trees of the same graph that an algorithm grows from perturbed logits."""
        kept: Any = {"copy": False, "row_offset": self.row_offset}
        if self.root is None:
            return SpanningTree(self.logits, self.edges, **kept)
        return Arborescence(self.logits, self.edges, self.root, **kept)

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed trees: see `SpanningTree.gumbel_softmax`."""
        return self._grown.gumbel_softmax(temperature=temperature, rng=rng, **options)

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Multiply cotangents with the Jacobian of `gumbel_softmax`, and sum over samples."""
        return self._grown.gumbel_softmax_vjp(cotangent, **options)


@functools.lru_cache(maxsize=8)
def _trees(edges: bytes, root: int | None) -> Any:
    graph: Any = _graphs.known(edges) if root is None else _digraphs.known(edges, root)
    lists = _wilson.places(edges, graph.nodes, root is not None)
    return _validate.frozen(_wilson.table(lists, root or 0, len(graph.edges)))
