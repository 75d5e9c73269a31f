"""Gumbel-Rao: straight-through estimators averaged over Gumbel noise drawn given the outcome.

The noise is drawn while the products are summed, and never stored: memory does not grow with
`inner_samples`. It is held constant in the derivative: d(perturbed logits) = d(logits).
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.relaxations import jacobians
from fastgrad.estimators.relaxations.jacobians import Jacobian
from fastgrad.estimators.relaxations.straight_through import AtOutcomes
from fastgrad.kernels.estimators.relaxations import gumbel_rao as _kernels
from fastgrad.objectives import Objective
from fastgrad.random import Key

__all__ = ["GumbelRao", "ReinMaxRao"]


class Draws(NamedTuple):
    """Outcomes z, shape (S, *batch), and the key and offset of the noise given them."""

    z: IntArray
    key: Key
    offset: int  # number of the first sample


class Rao(Jacobian):
    """Mean of J(softmax(z / temperature)) / temperature over perturbed logits z given the outcome.

    With rarity 2, the logits of (softmax(logits) + D) / 2 are perturbed instead.
    """

    inner_samples: int
    numbers: tuple[Any, Any, Any]

    def __init__(
        self,
        distribution: Discrete,
        temperature: float,
        inner_samples: int,
        rarity: float = 1,
        factor: float = 1,
    ) -> None:
        super().__init__(distribution, temperature)
        real, self.inner_samples = self.sum.dtype.type, inner_samples
        self.numbers = self.scale, real(rarity), real(factor / inner_samples)

    def add(self, draws: Draws, w: FloatArray) -> None:
        """Take the next block."""
        z, w = self.flat(draws.z, w)
        kernel = _kernels.site_products if self.single else _kernels.products
        noise = self.inner_samples, self.distribution.place(draws.key, draws.offset)
        kernel(self.rows, z, w, *self.numbers, *noise, self.sum)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GumbelRao(AtOutcomes):
    """Gumbel-Rao: straight-through Gumbel-softmax, Rao-Blackwellised.

    The estimate is the mean of J(y) w / temperature over ``y = softmax((logits + G) /
    temperature)``, with w the gradient of f at the outcome D, and the Gumbel noise G drawn
    `inner_samples` times given D. The mean is that of `st_gumbel`; the more inner samples, the less
    variance is left of that due to the noise.

    Parameters
    ----------
    temperature : float
        Temperature of the softmax, above 0.
    inner_samples : int
        Number of draws of the noise for each sample, at least 1. f is evaluated once for all.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> gumbel_rao = fg.estimator("gumbel_rao", temperature=0.5, inner_samples=10)
    >>> gumbel_rao(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    inner_samples: int = 10

    name = "gumbel_rao"
    paper = "Paulus, Maddison and Krause, 'Rao-Blackwellizing the ST Gumbel-softmax', 2021"

    def __post_init__(self) -> None:
        super().__post_init__()
        _validate.integer(self.inner_samples, "inner_samples", 1)

    def samples(self, distribution: Discrete, draws: Draws) -> FloatArray:
        """Return the features of the outcomes."""
        return distribution.features(draws.z)

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return None: the noise given the outcomes cannot be enumerated."""
        return None

    def check_noise(self, samples: int) -> None:
        """Refuse more draws of noise than there are addresses for."""
        last = samples * self.inner_samples
        if last > 2**32:
            raise ValueError(
                f"num_samples times inner_samples must be at most 2**32, got {last} of them"
            )

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Draws:
        """Draw outcomes; the noise given them is drawn when products are summed."""
        self.check_noise(offset + num_samples)
        z = super().draw(distribution, num_samples, key, offset=offset, state=state)
        return Draws(z, key, offset)

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f and its gradient at the outcomes' features."""
        return super().ask(objective, distribution, draws.z, offset=offset)

    def terms(self, distribution: Discrete) -> list[Jacobian]:
        """Return the one sum."""
        return [Rao(distribution, self.temperature, self.inner_samples)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinMaxRao(GumbelRao):
    """ReinMax, Rao-Blackwellised: the Jacobian of its first term is smoothed by noise.

    In ReinMax the first term has the Jacobian at p' = (softmax(logits) + D) / 2, with D the
    outcome. Here it is at ``y = softmax((log p' + G) / temperature)``, with G Gumbel noise given
    that D wins. The estimate is ``2 E[J(y)] w / temperature - J(softmax(logits)) w / 2``, where the
    mean is over `inner_samples` draws of the noise.

    Parameters
    ----------
    temperature : float
        Temperature of the softmax, above 0.
    inner_samples : int
        Number of draws of the noise for each sample, at least 1. f is evaluated once for all.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> fg.estimator("reinmax_rao")(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    name = "reinmax_rao"
    paper = "Wang and Bui, 'Beyond ReinMax: low-variance gradient estimators', 2026"

    def terms(self, distribution: Discrete) -> list[Jacobian]:
        """Return the sums of both terms."""
        options = self.temperature, self.inner_samples
        return [
            Rao(distribution, *options, rarity=2, factor=2),
            jacobians.Straight(distribution, 1.0, factor=-0.5),
        ]
