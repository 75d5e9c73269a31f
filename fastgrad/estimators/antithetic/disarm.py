"""DisARM and ARMS: RLOO on antithetic samples of binary variables, corrected for the coupling.

They take `Bernoulli` variables, or categorical ones with K = 2; p is the probability of outcome 1.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.antithetic import coupled
from fastgrad.estimators.antithetic import joint_distributions as joint
from fastgrad.estimators.base import Estimate
from fastgrad.estimators.examples_in_parts import mean_in_one_pass
from fastgrad.kernels.estimators.antithetic import coupled_log_odds as _log_odds
from fastgrad.kernels.estimators.antithetic import disarm as _kernels
from fastgrad.kernels.estimators.antithetic import disarm_compiled as _compiled
from fastgrad.objectives.compiled import Compiled
from fastgrad.random import Key

__all__ = ["ARMS", "DisARM"]


class Antithetic(coupled.Coupled):
    """Base class: sums deviations of f within groups times outcomes, corrected for the coupling."""

    binary = True

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return all tuples of outcomes which groups may have, and their probabilities."""
        size = self.group(num_samples)
        t = coupled.binary_logits(distribution, self.name).astype(np.float64)
        if size > 20:
            return None
        hit = np.array(list(itertools.product([0, 1], repeat=size)))
        law = joint.hits(np.exp(-np.logaddexp(0, abs(t))), size)[size, hit.sum(axis=1)].T
        found = joint.side_by_side(law, num_samples // size, size)
        if found is None:
            return None
        choice, weights = found
        tuples = np.where(t[:, None, None] > 0, 1 - hit, hit)
        return joint.outcomes_of(choice, tuples, distribution.batch_shape), weights

    def sums(self, distribution: Discrete, size: int) -> _Scores:
        """Return the sums of deviations of the signal times outcomes, empty so far."""
        return _Scores(distribution, size, self.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DisARM(Antithetic):
    """DisARM, also called U2G: ARM with its noise integrated out given the outcomes.

    A uniform number u makes a pair of antithetic outcomes of each variable, ``b = [u > 1 - p]`` and
    ``b' = [u < p]``. The estimate is the mean over pairs of
    ``(f(b) - f(b')) (b - b') max(p, 1 - p) / 2``. It costs as much as ARM, and its variance is
    never larger. The number of samples must be even.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> disarm = fg.estimator("disarm")
    >>> disarm(lambda x: x.sum(axis=-1), fg.Bernoulli(np.zeros(1)), num_samples=2, rng=0).grad
    array([0.25])

    References
    ----------
    Dong, Mnih and Tucker, "DisARM: an antithetic gradient estimator for binary latent variables",
    NeurIPS 2020. Yin, Ho, Yan, Qian and Zhou, "Probabilistic best subset selection via
    gradient-based optimization", 2020.
    """

    name = "disarm"
    paper = "Dong, Mnih and Tucker, 'DisARM', 2020; Yin et al., 2020 (U2G)"

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> IntArray:
        """Draw antithetic pairs, shape (S, *batch)."""
        return draw_pairs(distribution, self.name, num_samples, key, offset)[0]

    def in_one_pass(
        self,
        compiled: Compiled,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        state: dict[str, Any] | None,
    ) -> Estimate | None:
        """Draw, ask and combine at once."""
        return pairs_in_one_pass(self, compiled, distribution, num_samples, key, noise=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ARMS(Antithetic):
    """ARMS: RLOO on groups of n jointly antithetic samples.

    If d is uniform on the simplex with n entries, the numbers ``u_k = (1 - d_k)**(n - 1)`` are each
    uniform and repel each other. The outcomes are ``b_k = [u_k < p]`` for p up to 1/2, and
    ``b_k = [1 - u_k < p]`` above. The estimate is that of `rloo` on the group times
    ``p (1 - p) / (p - P(b_1 = b_2 = 1))``. For n = 2 it is DisARM.

    Parameters
    ----------
    group_size : int, optional
        Number n of samples in a group. By default all samples are one group, and f is evaluated at
        all of them at once, whatever the block size.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> arms = fg.estimator("arms", group_size=4)
    >>> arms(lambda x: x.sum(axis=-1), fg.Bernoulli(np.zeros(5)), num_samples=8, rng=0).grad.shape
    (5,)

    References
    ----------
    Dimitriev and Zhou, "ARMS: antithetic-REINFORCE-multi-sample gradient for binary variables",
    ICML 2021.
    """

    group_size: int | None = None

    name = "arms"
    paper = "Dimitriev and Zhou, 'ARMS: antithetic-REINFORCE-multi-sample gradient', 2021"

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> IntArray:
        """Draw groups of antithetic outcomes, shape (S, *batch)."""
        t, size = coupled.binary_logits(distribution, self.name), self.group(num_samples)
        threshold = np.empty_like(t)  # infinite where the rarer outcome never shows
        _log_odds.thresholds(t, size, threshold)
        z = np.empty((num_samples, *distribution.batch_shape), np.int32)
        flat = z.reshape(num_samples, t.size)
        _kernels.sample_groups(t, threshold, size, distribution.place(key, offset), flat)
        return _validate.frozen(z)


def draw_pairs(
    distribution: Discrete,
    name: str,
    num_samples: int,
    key: Key,
    offset: int,
    *,
    noise: bool = False,
) -> tuple[IntArray, FloatArray]:
    """Return pairs of outcomes, (S, *batch), and u - 1/2 of each pair, (S / 2, *batch).

    Unless `noise` is true, the second array is empty, (0, *batch).
    """
    t, batch = coupled.binary_logits(distribution, name), distribution.batch_shape
    pairs = num_samples // 2
    z, u = np.empty((num_samples, *batch), np.int32), np.empty((pairs * noise, *batch), t.dtype)
    flat = z.reshape(num_samples, t.size), u.reshape(len(u), t.size)
    _kernels.sample_pairs(t, distribution.place(key, offset // 2), *flat)
    return _validate.frozen(z), _validate.frozen(u)


def pairs_in_one_pass(
    run: coupled.Coupled,
    compiled: Compiled,
    distribution: Discrete,
    num_samples: int,
    key: Key,
    *,
    noise: bool,
) -> Estimate | None:
    """Return the estimate of f that is compiled, made in one pass, or None if there is none.

    Pairs are multiplied by their noise if `noise` is true, else by their outcomes.
    """
    d, grad = distribution, np.empty_like(distribution.matrix)
    given = compiled, d, coupled.binary_logits(d, run.name), d.place(key, 0), num_samples
    value = mean_in_one_pass(_compiled.pairs, *given, noise, grad)
    return (
        None if value is None else Estimate(value, grad.reshape(d.logits.shape), None, num_samples)
    )


class _Scores(coupled.BinarySums):
    """Sums over groups of (signal - its mean) outcome / (n - 1), corrected for the coupling."""

    def __init__(self, distribution: Discrete, size: int, name: str) -> None:
        super().__init__(distribution, name)
        self.size = size

    def add(self, z: IntArray, x: FloatArray) -> None:
        """Take outcomes (S, *batch) and their signal (S, M)."""
        z = _validate.like(z, z.shape, np.int32, "z").reshape(len(z), self.sum.size)
        _kernels.group_scores(z, x, self.size, self.sum)

    def gradient(self, over: int) -> FloatArray:
        """Correct the sums for the coupling, once; return them by all logits, divided by `over`."""
        _log_odds.correct(self.t, self.size, self.sum)
        return super().gradient(over)
