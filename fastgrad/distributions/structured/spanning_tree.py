"""Spanning trees of a graph, grown from perturbed logits of its edges, for estimators."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions.structured import graphs as _graphs
from fastgrad.distributions.structured import kruskal as _kruskal
from fastgrad.distributions.structured import matrix_tree as _matrix_tree
from fastgrad.distributions.structured.base import NO_DIFFERENCE
from fastgrad.distributions.structured.graphs import Graph
from fastgrad.distributions.structured.perturbed_logits import PerturbedLogits
from fastgrad.random import RNG, Key, as_key

__all__ = ["SpanningTree"]


@dataclasses.dataclass(frozen=True, eq=False)
class SpanningTree(PerturbedLogits):
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

    lacks: ClassVar[Mapping[str, str]] = {
        **PerturbedLogits.lacks,
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
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is a tree."""
        return self.logits.shape[:-1]

    @property
    def num_outcomes(self) -> int:
        """Number of orders in which edges can make a tree, those of probability zero included."""
        return _graphs.number_of_trees(self.graph) * math.factorial(self.graph.nodes - 1)

    def table(self) -> IntArray:
        """Return all orders of the edges of all trees, shape (num_outcomes, N - 1)."""
        self._require_few()
        return _traces(self.graph.edges.tobytes())

    def features(self, z: Any) -> FloatArray:
        """Return which edges the trees z have, shape (S, *batch, E)."""
        x = np.zeros((*z.shape[:-1], self.logits.shape[-1]), self.logits.dtype)
        np.put_along_axis(x, z, 1, axis=-1)
        return x

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> IntArray:
        """Draw trees: the edges in the order in which they are taken, (S, *batch, N - 1).

        Options are `row_offset` and `sample_offset`, as of `fastgrad.sample`.
        """
        return self._drawn(num_samples, as_key(rng), **options)

    def _drawn(
        self, num_samples: int | None, key: Key, *, row_offset: int = 0, sample_offset: int = 0
    ) -> IntArray:
        count, lead = _validate.samples(num_samples)
        row, sample = _validate.offsets(row_offset, sample_offset, count)
        z = self.order(self.from_row(row).perturbed(count, key, sample))
        return z.reshape(*lead, *z.shape[1:])

    def log_prob(self, z: ArrayLike) -> FloatArray:
        """Log probability that edges are taken in the order z, (S, *batch, N - 1)."""
        phi, z, lead = self._checked(z)
        found = _kruskal.log_prob(self.graph, phi, z)
        return found.astype(self.logits.dtype).reshape(lead)

    def score(self, z: ArrayLike) -> FloatArray:
        """Gradient of the log probability by the logits, (S, *batch, E)."""
        phi, z, lead = self._checked(z)
        found = _kruskal.score(self.graph, phi, z)
        return found.astype(self.logits.dtype).reshape(*lead, self.logits.shape[-1])

    def _checked(self, z: ArrayLike) -> tuple[FloatArray, IntArray, tuple[int, ...]]:
        """Return logits (R, E) and orders (R, N - 1), and the shape of what R counts."""
        given, full = _validate.array(z, "z"), (*self.batch_shape, self.graph.nodes - 1)
        if given.dtype.kind not in "iu":
            raise TypeError(f"z must hold integers, got dtype {given.dtype}")
        if given.shape[-len(full) :] != full or given.ndim - len(full) not in (0, 1):
            raise ValueError(f"z must have shape {full} or (S, *{full}), got {given.shape}")
        flat = given.reshape(-1, full[-1])
        bad = (flat < 0) | (flat >= len(self.graph.edges))
        if bad.any():
            raise ValueError(
                f"z must hold edges from 0 to {len(self.graph.edges) - 1}, got {flat[bad][0]}"
            )
        fine = _kruskal.taken_in_turn(self.graph, flat)
        if not fine.all():
            row = flat[~fine][0].tolist()
            raise ValueError(f"z must hold edges of which none closes a circle, got {row}")
        samples = len(given) if given.ndim > len(full) else 1
        return self.relative(samples), flat, given.shape[:-1]

    # -- perturbed logits ---------------------------------------------------------------------

    def order(self, w: FloatArray) -> IntArray:
        """Return the edges of the largest trees in the order of w: (S, *batch, N - 1)."""
        z = _kruskal.tree(self.graph, w.reshape(-1, w.shape[-1]))
        return _validate.frozen(z.reshape(*w.shape[:-1], self.graph.nodes - 1))

    def conditional(self, z: IntArray, key: Key, offset: int = 0) -> FloatArray:
        """Draw perturbed logits given the order z, with other noise than that of the key alone."""
        noise, flat = self.other_noise(len(z), key, offset), z.reshape(-1, z.shape[-1])
        w = _kruskal.arrivals(self.graph, self.relative(len(z)), flat, noise)
        return _validate.frozen(w.astype(noise.dtype).reshape(len(z), *self.logits.shape))

    def conditional_vjp(self, z: IntArray, w: FloatArray, cotangent: FloatArray) -> FloatArray:
        """Multiply cotangents with the Jacobian of w given z by the logits, sample by sample."""
        return self._race(z, w).vjp(cotangent.reshape(-1, w.shape[-1])).reshape(w.shape)

    def conditional_jvp(self, z: IntArray, w: FloatArray, tangent: FloatArray) -> FloatArray:
        """Multiply the Jacobian of w given z by the logits with tangents, sample by sample."""
        return self._race(z, w).jvp(tangent.reshape(-1, w.shape[-1])).reshape(w.shape)

    def _race(self, z: IntArray, w: FloatArray) -> _kruskal.Race:
        phi, flat = self.relative(len(z)), z.reshape(-1, z.shape[-1])
        return _kruskal.race(self.graph, phi, flat, w.reshape(phi.shape).astype(np.float64))

    def soften(self, w: FloatArray, temperature: Any) -> FloatArray:
        """Return the probability of each edge given perturbed logits w: shape (S, *batch, E).

        The temperature is a number, or has the shape of the batch.
        """
        x = _matrix_tree.edge_marginals(self.graph, _scaled(w, temperature))
        return _validate.frozen(x.astype(w.dtype).reshape(w.shape))

    def soften_vjp(
        self, w: FloatArray, x: FloatArray, temperature: Any, cotangent: FloatArray
    ) -> FloatArray:
        """Multiply cotangents with the Jacobian of `soften` by w: it is symmetric."""
        phi = _scaled(w, temperature)
        moved = _scaled(np.broadcast_to(cotangent, w.shape), temperature)
        return _matrix_tree.edge_marginals_jvp(self.graph, phi, moved).reshape(w.shape)

    def soften_jvp(
        self, w: FloatArray, x: FloatArray, temperature: Any, tangent: FloatArray
    ) -> FloatArray:
        """Multiply the Jacobian of `soften` by w with tangents."""
        return self.soften_vjp(w, x, temperature, tangent)


def _scaled(x: FloatArray, temperature: Any) -> FloatArray:
    """Return x, (S, *batch, E), divided by temperatures, float64, as rows (R, E)."""
    by = np.broadcast_to(np.asarray(temperature, np.float64), x.shape[:-1])[..., None]
    return (x.astype(np.float64) / by).reshape(-1, x.shape[-1])


@functools.lru_cache(maxsize=8)
def _traces(edges: bytes) -> IntArray:
    return _validate.frozen(_kruskal.traces(_graphs.known(edges)))
