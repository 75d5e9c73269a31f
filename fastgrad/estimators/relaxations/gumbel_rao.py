"""Straight-through estimators averaged over Gumbel noise drawn given the outcome.

The noise is drawn while the products are summed and never stored, so memory does not grow with
`inner_samples`. It is held constant: perturbed logits move with the logits one for one.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.estimators.relaxations import jacobians
from fastgrad.estimators.relaxations.jacobians import Jacobian
from fastgrad.estimators.relaxations.straight_through import AtOutcomes
from fastgrad.kernels.estimators.relaxations import gumbel_rao as _kernels
from fastgrad.random import Key

__all__ = ["GumbelRao", "ReinMaxRao"]


class Draws(NamedTuple):
    """Outcomes z, shape (S, *batch), and whence the noise given them comes."""

    z: np.ndarray
    key: Key
    offset: int  # the first sample's number


class Rao(Jacobian):
    """Mean of J(softmax(z / temperature)) / temperature over perturbed logits z given the outcome.

    Rarity 2 perturbs the logits of (softmax(logits) + D) / 2 instead.
    """

    def __init__(self, distribution, temperature, inner_samples, rarity=1, factor=1):
        super().__init__(distribution, temperature)
        real, self.inner_samples = self.sum.dtype.type, inner_samples
        self.numbers = self.scale, real(rarity), real(factor / inner_samples)

    def add(self, draws, w):
        """Take the next block."""
        z, w = self.flat(draws.z, w)
        kernel = _kernels.site_products if self.single else _kernels.products
        noise = self.inner_samples, draws.key.kernel_words, draws.offset
        kernel(self.rows, z, w, *self.numbers, *noise, self.sum)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GumbelRao(AtOutcomes):
    """ST-Gumbel-softmax, Rao-Blackwellised: the mean of J(y) w / temperature over y given D.

    y = softmax((logits + G) / temperature), with the Gumbel noise G drawn `inner_samples` times
    given the outcome D. Whatever their number, the mean is that of `st_gumbel`; the variance is
    lower by as much of it as is due to the noise.

    Parameters
    ----------
    temperature : float
        Above 0.
    inner_samples : int
        At least 1.

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

    def __post_init__(self):
        super().__post_init__()
        _validate.integer(self.inner_samples, "inner_samples", 1)

    def nodes(self, distribution, num_samples):
        """Return None: the noise given the outcomes cannot be enumerated."""
        return None

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw outcomes; the noise given them has its own place in the key's stream."""
        last = (offset + num_samples) * self.inner_samples
        if last > 2**32:
            raise ValueError(
                f"num_samples times inner_samples must be at most 2**32, got {last} of them"
            )
        z = super().draw(distribution, num_samples, key, offset=offset, state=state)
        return Draws(z, key, offset)

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f and its gradient at the outcomes' features."""
        return super().ask(objective, distribution, draws.z, offset=offset)

    def terms(self, distribution):
        """Return the one sum."""
        return [Rao(distribution, self.temperature, self.inner_samples)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinMaxRao(GumbelRao):
    """ReinMax with the Jacobian of its first term smoothed by noise given the outcome.

    The first term's p' = (softmax(logits) + D) / 2 becomes y = softmax((log p' + G) / temperature),
    G Gumbel noise given that D wins: the estimate is 2 E[J(y)] w / temperature - J(softmax(logits))
    w / 2, with `inner_samples` draws for the mean.

    Parameters
    ----------
    temperature : float
        Above 0.
    inner_samples : int
        At least 1.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> fg.estimator("reinmax_rao")(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    name = "reinmax_rao"
    paper = "Wang and Bui, 'Beyond ReinMax: low-variance gradient estimators', 2026"

    def terms(self, distribution):
        """Return the sums of both terms."""
        options = self.temperature, self.inner_samples
        return [
            Rao(distribution, *options, rarity=2, factor=2),
            jacobians.Straight(distribution, 1.0, factor=-0.5),
        ]
