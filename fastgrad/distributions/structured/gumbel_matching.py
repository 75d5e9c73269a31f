"""Matchings of perturbed scores as a distribution, for estimators."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions import assignment, sinkhorn
from fastgrad.distributions.structured.base import Structured
from fastgrad.random import RNG

__all__ = ["GumbelMatching"]

ACCURACY = (
    1e-9,
    1e-4,
)  # of relaxed rows and columns in float64, where derivatives see it, or float32
UNKNOWN = "the probability of a matching of perturbed scores has no closed form"


@dataclasses.dataclass(frozen=True, eq=False)
class GumbelMatching(Structured):
    """Independent matchings: permutations with the largest sum of logits plus Gumbel noise.

    Samples are the column of each row, (S, *batch, N); their features, which f sees, are
    permutation matrices (S, *batch, N, M). The probability of a matching is not known in closed
    form, and so there is no score: estimators can ask it for relaxed samples, those of
    Gumbel-Sinkhorn, only (`gumbel_softmax`). `fastgrad.perturbed.solve_vjp` has unbiased gradients,
    by the density of the noise.

    Parameters
    ----------
    logits : array, shape (*batch, N, M)
        Score of each pair of a row and a column, float32 or float64; -inf is a pair that is never
        matched.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first problem in a larger batch, of which samples are then a part.

    Attributes
    ----------
    logits : array, shape (*batch, N, M)
        Read-only.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or admit no matching.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.permutation.GumbelMatching(np.zeros((3, 3)))
    >>> f = fg.objectives.linear(np.arange(9.0).reshape(3, 3))
    >>> estimate = fg.estimator("gumbel_softmax", temperature=0.5)(f, d, num_samples=8, rng=0)
    >>> estimate.grad.shape
    (3, 3)

    References
    ----------
    Mena, Belanger, Linderman and Snoek, "Learning latent permutations with Gumbel-Sinkhorn
    networks", ICLR 2018.
    """

    logits: FloatArray
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    lacks: ClassVar[Mapping[str, str]] = {
        **Structured.lacks,
        "score": UNKNOWN,
        "outcomes": UNKNOWN,
        "mean": UNKNOWN,
        "conditional": UNKNOWN,
        "weak_derivative": UNKNOWN,
    }

    def __post_init__(self, copy: bool) -> None:
        logits = _validate.real_array(self.logits, "logits")
        if logits.ndim < 2 or 0 in logits.shape[-2:]:
            rule = "logits must have shape (*batch, N, M) with N, M >= 1"
            raise ValueError(f"{rule}, got {logits.shape}")
        _validate.check_logits(logits.reshape(-1), "logits", logits.shape)
        self._keep(logits, copy)
        assignment.require_matching(assignment.canonical(self.logits))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is a matching."""
        return self.logits.shape[:-2]

    @property
    def num_outcomes(self) -> int:
        """Number of matchings of as many rows and columns as there are."""
        few, many = sorted(self.logits.shape[-2:])
        return math.perm(many, few)

    def features(self, z: Any) -> FloatArray:
        """Return the permutation matrices of matchings z, shape (S, *batch, N, M).

        Where there are more rows than columns, -1 says that a row has none.
        """
        rows, columns = self.logits.shape[-2], np.arange(self.logits.shape[-1])
        z = _validate.whole_numbers(z, columns.size, least=-1 if rows > columns.size else 0)
        return (z[..., None] == columns).astype(self.logits.dtype)

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> IntArray:
        """Draw matchings: see `fastgrad.permutation.gumbel_matching`."""
        options = self._placed(options, "problem_offset") | {"num_samples": num_samples}
        return assignment.gumbel_matching(self.logits, rng=rng, **options)

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed permutation matrices: see `fastgrad.permutation.gumbel_sinkhorn`."""
        options = self._placed(options, "problem_offset") | {"temperature": temperature}
        options.setdefault("tolerance", self._tolerance)
        return sinkhorn.gumbel_sinkhorn(self.logits, rng=rng, **options).matrix

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Vector-Jacobian product: see `fastgrad.permutation.gumbel_sinkhorn_vjp`."""
        options = self._placed(options, "problem_offset")
        options.setdefault("tolerance", self._tolerance)
        return sinkhorn.gumbel_sinkhorn_vjp(self.logits, cotangent, **options)

    @property
    def _tolerance(self) -> float:
        return ACCURACY[self.logits.dtype != np.float64]
