"""The straight-through estimator of least variance among those that are exact for quadratics.

Straight-through estimators multiply the gradient w of f at the outcome with a matrix A(D) that
depends on the outcome D alone. For f of a one-hot x, such an estimator is exact for linear f where
``E[A(D)] = J(p)``, and for quadratic f where besides, for all symmetric M,
``E[A(D) M D] = J(p) diag(M) / 2``. With B_Dk = p_D A(D)_k for the row of one logit i, this says
that B_kD = -B_Dk for D other than k, and that B_kk = J_ik / 2, and the sum over D of B_Dk is J_ik.
So B is a flow between categories which takes J_ik / 2 out of each k. Its cost, E of the square of
A(D), is that of a current with resistance 1 / p_D + 1 / p_k between D and k. The least of it
is the current of a potential, the solution of one linear system of Laplacian form.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.relaxations.jacobians import Heun, Jacobian
from fastgrad.estimators.relaxations.straight_through import GradientAtOutcomes
from fastgrad.kernels.estimators.relaxations import jacobians as _kernels
from fastgrad.kernels.estimators.relaxations import optimal_st as _optimal

__all__ = ["OptimalST"]


class LeastVariance(Jacobian):
    """The matrices A(D) of least variance, for rows of categories."""

    p: FloatArray
    direct: FloatArray
    flow: FloatArray

    def __init__(self, distribution: Discrete) -> None:
        super().__init__(distribution, 1.0)
        wide = distribution.with_logits(distribution.logits.astype(np.float64))
        p = np.exp(wide.log_probabilities())
        p = np.ascontiguousarray(np.moveaxis(p, 0, -1))
        self.p = _validate.frozen(p.reshape(self.shape))
        self.direct = np.zeros(self.shape)  # sums of w at the outcomes
        self.flow = np.zeros(self.shape)  # of what the others draw from each category

    def add(self, draws: IntArray, w: FloatArray) -> None:
        """Take the next block, sample by sample, so that no sum depends on the blocks."""
        _optimal.add(self.p, *self.flat(draws, w), self.direct, self.flow)

    @property
    def total(self) -> FloatArray:
        """The sum, of the shape of the logits: J(p) (direct / p + potential) / 2.

        The potential is that of the flow, for conductances p_D p_k / (p_D + p_k). Scaled by the
        roots r of p, the Laplacian is well-conditioned. Its null space is r, along which p times
        the potential is a multiple of p, which J(p) does not see.
        """
        out = np.empty_like(self.sum)
        _optimal.product(self.p, *map(_validate.frozen, (self.direct, self.flow)), out)
        return out.reshape(self.distribution.logits.shape)


class CountSlopes(Jacobian):
    """For counts, the linear function of the count with the right first two moments."""

    sum: FloatArray

    def __init__(self, distribution: Discrete) -> None:
        self.distribution = distribution
        self.sum = np.zeros(distribution.logits.shape)

    def add(self, draws: IntArray, w: FloatArray) -> None:
        """Take the next block."""
        counts: Any = self.distribution
        w = _validate.like(w, draws.shape, counts.logits.dtype, "the gradient of f")
        products = _validate.frozen(counts.second_order_slope(draws) * w)
        _kernels.add(products.reshape(len(w), -1), self.sum.reshape(-1))

    @property
    def total(self) -> FloatArray:
        """The sum, of the shape of the logits."""
        return self.sum.astype(self.distribution.logits.dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimalST(GradientAtOutcomes):
    """The straight-through estimator of least variance that is exact where f is quadratic.

    The estimate is A(D) w with w the gradient of f at the outcome D. The matrix A(D) is the one
    of least ``E[sum of squares of A(D)]`` for which the mean is the gradient of E[f] for every f
    that is quadratic in each variable: so its variance is the least of all of them where the
    components of w are independent and alike. For variables of two outcomes, and for equally
    probable ones, it is `reinmax` at temperature 1; else it varies less. For counts (`Binomial`,
    `Poisson` and `NegativeBinomial`) A is a linear function of the count, such as the mean of
    count and rate, ``(z + rate) / 2``, for `Poisson`.

    It takes a linear system of as many unknowns as there are categories for each variable and
    call, whatever the number of samples.

    Notes
    -----
    "Generalized and optimal straight-through estimators" (AISTATS 2026) derives estimators of
    least variance from axioms for one-hot and for integer variables. Only its abstract was at hand:
    the axioms and the criterion are those said above, and the formulae, whose mean and optimality
    tests prove by enumeration, may differ from the paper's. Its family with other constraints on
    the bias is left out.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable([[0.2, 0.5, 0.9]])
    >>> logits = np.array([[1.0, 0.0, -1.0]])
    >>> optimal = fg.moments("optimal_st", f, logits, num_samples=1)
    >>> bool(np.allclose(optimal.mean, fg.exact.grad(f, logits)))
    True
    >>> fg.estimator("optimal_st")(f, logits, num_samples=8, rng=0).grad.shape
    (1, 3)
    """

    name = "optimal_st"
    asks: ClassVar[tuple[str, ...]] = ("second_order",)
    paper = "derived; after 'Generalized and optimal straight-through estimators', 2026"

    def terms(self, distribution: Discrete) -> list[Jacobian]:
        """Return the one sum."""
        if not distribution.one_hot:
            return [CountSlopes(distribution)]
        if distribution.num_outcomes == 2:  # two conditions leave no choice
            return [Heun(distribution, 1.0)]
        return [LeastVariance(distribution)]
