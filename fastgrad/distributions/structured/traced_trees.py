"""Trees that an algorithm grows edge by edge from perturbed logits: what they share."""

from __future__ import annotations

from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions.structured.perturbed_logits import PerturbedLogits
from fastgrad.random import RNG, Key, as_key


class TracedTrees(PerturbedLogits):
    """Independent trees of a graph, each known by its trace: the edges in the order of taking them.

    A subclass has a graph, and names two modules. One is the algorithm: what it takes (`trace`),
    of what length, with what probability, and given what noise. The other is of the Gibbs
    distribution over trees, whose marginals are relaxed samples.
    """

    algorithm: ClassVar[ModuleType]
    gibbs: ClassVar[ModuleType]
    least: ClassVar[int] = 0  # the least entry of a trace
    taken: ClassVar[str] = "that are taken in turn"

    @property
    def graph(self) -> Any:
        """The graph: its edges and the number of its nodes."""
        raise NotImplementedError

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is a tree."""
        return self.logits.shape[:-1]

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> IntArray:
        """Draw trees: their edges in the order in which they are taken, (S, *batch, length).

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
        """Log probability that edges are taken in the order z, (S, *batch, length)."""
        phi, z, lead = self._checked(z)
        found = self.algorithm.log_prob(self.graph, phi, z)
        return found.astype(self.logits.dtype).reshape(lead)

    def score(self, z: ArrayLike) -> FloatArray:
        """Gradient of the log probability by the logits, (S, *batch, E)."""
        phi, z, lead = self._checked(z)
        found = self.algorithm.score(self.graph, phi, z)
        return found.astype(self.logits.dtype).reshape(*lead, self.logits.shape[-1])

    def _checked(self, z: ArrayLike) -> tuple[FloatArray, IntArray, tuple[int, ...]]:
        """Return logits (R, E) and traces (R, length), and the shape of what R counts."""
        full = *self.batch_shape, self.algorithm.length(self.graph)
        given, edges = _validate.array(z, "z"), len(self.graph.edges)
        if given.dtype.kind not in "iu":
            raise TypeError(f"z must hold integers, got dtype {given.dtype}")
        if given.shape[-len(full) :] != full or given.ndim - len(full) not in (0, 1):
            raise ValueError(f"z must have shape {full} or (S, *{full}), got {given.shape}")
        flat = given.reshape(-1, full[-1])
        bad = (flat < self.least) | (flat >= edges)
        if bad.any():
            least, most = self.least, edges - 1
            raise ValueError(f"z must hold edges from {least} to {most}, got {flat[bad][0]}")
        fine = self.algorithm.taken_in_turn(self.graph, flat)
        if not fine.all():
            row = flat[~fine][0].tolist()
            raise ValueError(f"z must hold edges {self.taken}, got {row}")
        samples = len(given) if given.ndim > len(full) else 1
        return self.relative(samples), flat, given.shape[:-1]

    # -- perturbed logits ---------------------------------------------------------------------

    def order(self, w: FloatArray) -> IntArray:
        """Return the traces of the algorithm on perturbed logits w: (S, *batch, length)."""
        z = self.algorithm.trace(self.graph, w.reshape(-1, w.shape[-1]))
        return _validate.frozen(z.reshape(*w.shape[:-1], z.shape[-1]))

    def conditional(self, z: IntArray, key: Key, offset: int = 0) -> FloatArray:
        """Draw perturbed logits given the trace z, with other noise than that of the key alone."""
        noise, flat = self.other_noise(len(z), key, offset), z.reshape(-1, z.shape[-1])
        w = self.algorithm.arrivals(self.graph, self.relative(len(z)), flat, noise)
        return _validate.frozen(w.astype(noise.dtype).reshape(len(z), *self.logits.shape))

    def conditional_vjp(self, z: IntArray, w: FloatArray, cotangent: FloatArray) -> FloatArray:
        """Multiply cotangents with the Jacobian of w given z by the logits, sample by sample."""
        return self._race(z, w).vjp(cotangent.reshape(-1, w.shape[-1])).reshape(w.shape)

    def conditional_jvp(self, z: IntArray, w: FloatArray, tangent: FloatArray) -> FloatArray:
        """Multiply the Jacobian of w given z by the logits with tangents, sample by sample."""
        return self._race(z, w).jvp(tangent.reshape(-1, w.shape[-1])).reshape(w.shape)

    def _race(self, z: IntArray, w: FloatArray) -> Any:
        phi, flat = self.relative(len(z)), z.reshape(-1, z.shape[-1])
        return self.algorithm.race(self.graph, phi, flat, w.reshape(phi.shape).astype(np.float64))

    def soften(self, w: FloatArray, temperature: Any) -> FloatArray:
        """Return the probability of each edge given perturbed logits w: shape (S, *batch, E).

        The temperature is a number, or has the shape of the batch.
        """
        x = self.gibbs.edge_marginals(self.graph, _scaled(w, temperature))
        return _validate.frozen(x.astype(w.dtype).reshape(w.shape))

    def soften_vjp(
        self, w: FloatArray, x: FloatArray, temperature: Any, cotangent: FloatArray
    ) -> FloatArray:
        """Multiply cotangents with the Jacobian of `soften` by w: it is symmetric."""
        phi = _scaled(w, temperature)
        moved = _scaled(np.broadcast_to(cotangent, w.shape), temperature)
        return self.gibbs.edge_marginals_jvp(self.graph, phi, moved).reshape(w.shape)

    def soften_jvp(
        self, w: FloatArray, x: FloatArray, temperature: Any, tangent: FloatArray
    ) -> FloatArray:
        """Multiply the Jacobian of `soften` by w with tangents."""
        return self.soften_vjp(w, x, temperature, tangent)


def _scaled(x: FloatArray, temperature: Any) -> FloatArray:
    """Return x, (S, *batch, E), divided by temperatures, float64, as rows (R, E)."""
    by = np.broadcast_to(np.asarray(temperature, np.float64), x.shape[:-1])[..., None]
    return (x.astype(np.float64) / by).reshape(-1, x.shape[-1])
