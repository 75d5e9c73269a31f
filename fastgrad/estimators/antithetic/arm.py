"""ARM: f is multiplied by the uniform noise from which binary outcomes are made."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.antithetic import coupled
from fastgrad.estimators.antithetic import joint_distributions as joint
from fastgrad.estimators.antithetic.disarm import draw_pairs, pairs_in_one_pass
from fastgrad.estimators.base import Estimate
from fastgrad.kernels.estimators.antithetic import disarm as _kernels
from fastgrad.objectives import Objective
from fastgrad.objectives.compiled import Compiled
from fastgrad.random import Key

__all__ = ["ARM"]


class Pairs(NamedTuple):
    """Antithetic outcomes z, (S, *batch), and the noise u - 1/2 of each pair, (S / 2, *batch)."""

    z: IntArray
    noise: FloatArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class ARM(coupled.Coupled):
    """ARM (augment-REINFORCE-merge), for binary variables.

    With p the probability of outcome 1, a uniform number u makes a pair of antithetic outcomes of
    each variable, ``b = [u > 1 - p]`` and ``b' = [u < p]``. The estimate is the mean over pairs of
    ``(f(b) - f(b')) (u - 1/2)``. The number of samples must be even.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> arm = fg.estimator("arm")
    >>> estimate = arm(lambda x: x.sum(axis=-1), fg.Bernoulli(np.zeros(5)), num_samples=8, rng=0)
    >>> estimate.grad.shape, estimate.evaluations
    ((5,), 8)

    References
    ----------
    Yin and Zhou, "ARM: augment-REINFORCE-merge gradient for stochastic binary networks", ICLR 2019.
    """

    name = "arm"
    binary = True
    paper = "Yin and Zhou, 'ARM: augment-REINFORCE-merge gradient', 2019"

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Pairs:
        """Draw antithetic pairs and their noise."""
        return Pairs(*draw_pairs(distribution, self.name, num_samples, key, offset, noise=True))

    def samples(self, distribution: Discrete, draws: Pairs) -> FloatArray:
        """Return the features of the outcomes."""
        return distribution.features(draws.z)

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f at the outcomes."""
        return objective.outcomes(distribution, draws.z, offset=offset)

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return two Gauss-Legendre nodes in each interval of u: exact mean and covariance."""
        t, batch = coupled.binary_logits(distribution, self.name), distribution.batch_shape
        noise, law, pairs = intervals(t.astype(np.float64))
        found = joint.side_by_side(law, num_samples // 2, 3)
        if found is None:
            return None
        choice, weights = found
        noise = noise[np.arange(len(t)), choice].astype(t.dtype)
        noise = noise.reshape(*choice.shape[:2], *batch)
        return Pairs(joint.outcomes_of(choice, pairs, batch), _validate.frozen(noise)), weights

    def in_one_pass(
        self,
        compiled: Compiled,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        state: dict[str, Any] | None,
    ) -> Estimate | None:
        """Draw, ask and combine at once."""
        return pairs_in_one_pass(self, compiled, distribution, num_samples, key, noise=True)

    def sums(self, distribution: Discrete, size: int) -> _PairProducts:
        """Return the sums of signals times noise, empty so far."""
        return _PairProducts(distribution, self.name)


def intervals(t: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return nodes u - 1/2, their weights, both (N, 6), and the pairs of outcomes, (N, 6, 2).

    Outcomes of logits t (N,) change at p and 1 - p only. Two nodes in each interval integrate
    polynomials in u up to the third degree exactly.
    """
    rare = np.exp(-np.logaddexp(0, abs(t)))
    length = np.stack([rare, np.tanh(abs(t) / 2), rare], axis=1)
    middle = np.stack([(rare - 1) / 2, np.zeros_like(t), (1 - rare) / 2], axis=1)
    step = length / np.sqrt(12)
    noise = np.stack([middle - step, middle + step], axis=2).reshape(len(t), 6)
    low, high = [[0, 1], [0, 0], [1, 0]], [[0, 1], [1, 1], [1, 0]]
    pairs = np.where(t[:, None, None] > 0, high, low)
    return noise, np.repeat(length / 2, 2, axis=1), np.repeat(pairs, 2, axis=1)


class _PairProducts(coupled.BinarySums):
    """Sums over pairs of (signal - signal of the antithetic partner) (u - 1/2)."""

    def add(self, draws: Pairs, x: FloatArray) -> None:
        """Take draws and the signal (S, M)."""
        noise = _validate.real_array(draws.noise, "noise").reshape(len(x) // 2, self.sum.size)
        _kernels.pair_products(x, noise, self.sum)
