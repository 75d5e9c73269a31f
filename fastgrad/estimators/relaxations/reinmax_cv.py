"""ReinMax with a control variate: relaxations by the noise of the outcome, or gradients elsewhere.

At temperature 1 the Jacobian of ReinMax is ``R(D) = (J(p) + (D - p)(D - p)^T) / 2``, and its mean
over outcomes D is J(p).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, by_options, estimate
from fastgrad.estimators.relaxations.gumbel_rao import GumbelRao, Rao
from fastgrad.estimators.relaxations.jacobians import Heun, Jacobian, Straight
from fastgrad.estimators.relaxations.st_gumbel import STGumbel
from fastgrad.estimators.relaxations.straight_through import AtOutcomes
from fastgrad.estimators.sums import Mean, SoftmaxProducts, exclusive_sums
from fastgrad.random import Key

__all__ = ["ReinMaxCV"]

CONTROLS = ("gumbel", "leave_one_out")


class Draws(NamedTuple):
    """Outcomes z, what draws the noise given them again, and relaxations y by their own noise.

    Attributes
    ----------
    z : array of int32, shape (S, *batch)
    key, offset
        Of the noise given the outcomes: see `fastgrad.estimators.relaxations.gumbel_rao`.
    y : array, shape (S, *logits.shape)
        softmax((log((p + D) / 2) + G) / temperature), G the noise that D won with; (S, 0) where
        the control has no relaxations.
    """

    z: IntArray
    key: Key
    offset: int
    y: FloatArray


class Softened(Jacobian):
    """J(y) factor / temperature, y the relaxation by the noise of the outcome."""

    slope: float
    products: SoftmaxProducts

    def __init__(self, distribution: Discrete, temperature: float, factor: float) -> None:
        super().__init__(distribution, temperature)
        self.slope = factor / temperature
        self.products = SoftmaxProducts(distribution)

    def add(self, draws: Draws, w: FloatArray) -> None:
        """Take the next block."""
        self.products.add(draws.y, w, self.slope)

    @property
    def total(self) -> FloatArray:
        """The sum, of the shape of the logits."""
        return self.products.total


class HeunOf(Heun):
    """`Heun` of draws that hold more than outcomes."""

    def add(self, draws: Any, w: FloatArray) -> None:
        """Take the next block."""
        super().add(draws.z, w)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinMaxCV(GumbelRao):
    """ReinMax with a control variate.

    With ``control="gumbel"``, the estimator ReinMax-CV, the estimate is
    ``R(D) w + scale (E[J(y')] - J(y)) w / temperature`` with w the gradient of f at the outcome D,
    R(D) the Jacobian of `reinmax` at temperature 1, and p' = (softmax(logits) + D) / 2. Both
    relaxations are softmax((log p' + G) / temperature): y has the Gumbel noise G by which D won,
    y' has `inner_samples` draws of noise given that D wins with the logits log p'.

    With ``control="leave_one_out"`` it is ``R(D) w - scale (R(D) - J(p)) w'`` with w' the mean
    gradient at the other samples. That control has mean zero, so the mean is that of `reinmax`.

    Parameters
    ----------
    control : {"gumbel", "leave_one_out"}
        The control variate.
    scale : float
        Its weight.
    temperature : float
        Temperature of the relaxations of "gumbel", above 0.
    inner_samples : int
        Number of draws of the noise given the outcome for each sample, at least 1.

    Notes
    -----
    The preprint was at hand only in part. The formula is the one that independent programmes cite
    as its equation 18, with G the noise of the outcome, as its authors draw it (whose programme
    adds a relaxed sample in the place of G). The control has not quite mean zero, since y has the
    noise with which D won against p and y' that against p'. The mean of the estimate is therefore
    not that of `reinmax`: tests hold it to a quadrature of its own.

    The second control is derived here: ``E[R(D)] = J(p)``, and w' does not depend on D.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f, logits = fg.objectives.separable(np.full((5, 3), 0.45)), np.zeros((5, 3))
    >>> fg.estimator("reinmax_cv")(f, logits, num_samples=8, rng=0).grad.shape
    (5, 3)
    >>> f, logits = fg.objectives.linear([1.0, 2.0, 4.0]), np.zeros(3)
    >>> for run in (fg.estimator("reinmax"), fg.estimator("reinmax_cv", control="leave_one_out")):
    ...     found = fg.moments(run, f, logits, num_samples=2)
    ...     print(found.mean.round(3), found.variance.round(3))
    [-0.444 -0.111  0.556] [0.022 0.022 0.022]
    [-0.444 -0.111  0.556] [0. 0. 0.]
    """

    control: Literal["gumbel", "leave_one_out"] = "gumbel"
    scale: float = 1.0

    name = "reinmax_cv"
    draws_first = False  # but relaxations
    min_samples: ClassVar[int] = by_options(lambda run: 1 + run._leaves_out)
    paper = "Wang and Bui, 'Beyond ReinMax: low-variance gradient estimators', 2026"

    def __post_init__(self) -> None:
        super().__post_init__()
        _validate.choice(self.control, "control", CONTROLS)
        _validate.not_negative(self.scale, "scale")

    def check(self, distribution: Any) -> None:
        """Refuse a distribution that the estimator is not for, or whose type the scale leaves."""
        super().check(distribution)
        _validate.held(self.scale, "scale", distribution.logits.dtype)

    @property
    def _leaves_out(self) -> bool:
        return self.control == "leave_one_out"

    def group(self, num_samples: int) -> int:
        """Return 1, or where each control is made of all other samples, their number."""
        return num_samples if self._leaves_out else 1

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return all outcomes, where these are all that is drawn."""
        if not self._leaves_out:
            return None
        found = AtOutcomes().nodes(distribution, num_samples)
        return found and (_bare(found[0]), found[1])

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Any:
        """Draw outcomes, with their relaxations where the control has some."""
        if self._leaves_out:
            drawn: Any = super().draw(distribution, num_samples, key, offset=offset, state=state)
            return _bare(drawn.z)
        self.check_noise(offset + num_samples)
        run = STGumbel(temperature=self.temperature)
        x, y = run.draw(distribution, num_samples, key, offset=offset)
        z = np.asarray(x if distribution.single_logit else x.argmax(axis=-1), np.int32)
        y = half_way(distribution, z, x, y, self.temperature)
        return Draws(_validate.frozen(z), key, offset, _validate.frozen(y))

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (`Draws`, (values, gradients of f))."""
        if not self._leaves_out:
            return super().combine(distribution, blocks, state)
        ((draws, (f_z, gradient)),) = blocks
        value, count = Mean(), len(draws.z)
        value.add(f_z)
        others = exclusive_sums(np.asarray(gradient)) / (count - 1)
        scale = others.dtype.type(self.scale)
        heun, straight = Heun(distribution, 1.0), Straight(distribution, 1.0, self.scale)
        heun.add(draws.z, gradient - scale * others)
        straight.add(draws.z, others)
        grad = (heun.total + straight.total) / count
        return estimate(value.result, grad, state, count)

    def terms(self, distribution: Discrete) -> list[Jacobian]:
        """Return the sums of ReinMax and of both relaxations."""
        noise = self.temperature, self.inner_samples
        return [
            HeunOf(distribution, 1.0),
            Rao(distribution, *noise, rarity=2, factor=self.scale),
            Softened(distribution, self.temperature, -self.scale),
        ]


def _bare(z: IntArray) -> Draws:
    """Return draws of outcomes alone."""
    return Draws(z, Key(0), 0, np.empty((len(z), 0)))


def half_way(
    distribution: Discrete, z: IntArray, x: FloatArray, y: FloatArray, temperature: float
) -> FloatArray:
    """Return the relaxations with the logits log((p + D) / 2) and the noise of y.

    Against p, the outcome's weight rises by (1 + p_D) / p_D relative to all others, and in y by
    that to the power of 1 / temperature.
    """
    log_p = distribution.log_prob(z).astype(np.float64)
    with np.errstate(over="ignore"):
        others = np.exp((log_p - np.log1p(np.exp(log_p))) / temperature)  # by which these fall
    if distribution.single_logit:
        one, zero = y * np.where(x > 0, 1.0, others), (1 - y) * np.where(x > 0, others, 1.0)
        return (one / (one + zero)).astype(y.dtype)
    weights = y * np.where(x > 0, 1.0, others[..., None])
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(y.dtype)
