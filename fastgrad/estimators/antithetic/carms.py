"""CARMS and DisARM-IW: categorical samples coupled by stick breaking, reweighted pair by pair.

A sample goes through the categories, the rarest first, and takes each with a Bernoulli draw, until
one is taken. These draws are antithetic among the samples of a group. A pair of samples (z, z') is
weighted by q(z) q(z') / P(z, z'), with q the distribution of one sample and P that of the pair;
there is no limit on how rare a category may be, and no epsilon.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.antithetic import coupled
from fastgrad.estimators.antithetic import joint_distributions as joint
from fastgrad.kernels.estimators.antithetic import carms as _kernels
from fastgrad.kernels.estimators.antithetic import carms_sums as _sums
from fastgrad.kernels.estimators.antithetic import coupled_sticks as _sticks
from fastgrad.random import Key

__all__ = ["CARMS", "DisARMIW"]


class StickBreaking(coupled.Coupled):
    """Base class: knows the joint distribution of the samples of a group."""

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return all tuples of categories which groups may have, and their probabilities."""
        size = self.group(num_samples)
        logits, order = coupled.ascending(distribution)
        law = joint.stick_law(np.take_along_axis(logits, order, axis=1).astype(float), size)
        found = law and joint.side_by_side(law[1], num_samples // size, size)
        if law is None or found is None:
            return None
        choice, weights = found
        return joint.outcomes_of(choice, order[:, law[0]], distribution.batch_shape), weights

    def sums(self, distribution: Discrete, size: int) -> PairScores:
        """Return the sums of differences within groups, empty so far."""
        return PairScores(distribution, size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DisARMIW(StickBreaking):
    """DisARM-IW: DisARM for categorical variables, with importance weights.

    The estimate is the mean over antithetic pairs of
    ``w (f(z) - f(z')) (score(z) - score(z')) / 2``. The importance weight w is each variable's own,
    and at most 1.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> disarm_iw = fg.estimator("disarm_iw")
    >>> f = lambda x: x[..., 0].sum(axis=-1)
    >>> disarm_iw(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)

    References
    ----------
    Dong, Mnih and Tucker, "Coupled gradient estimators for discrete latent variables", NeurIPS
    2021.
    """

    name = "disarm_iw"
    paper = (
        "Dong, Mnih and Tucker, 'Coupled gradient estimators for discrete latent variables', 2021"
    )

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
        logits, order = coupled.ascending(distribution)
        rest, reach = np.empty(logits.shape), np.empty(logits.shape)
        _sticks.pair_tables(logits, order, rest, reach)
        z = np.empty((num_samples, *distribution.batch_shape), np.int32)
        flat, tables = z.reshape(num_samples, len(logits)), (rest, reach, order)
        words = logits.itemsize // 4
        _kernels.sample_pairs(words, *tables, distribution.place(key, offset // 2), flat)
        return _validate.frozen(z)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CARMS(StickBreaking):
    """CARMS: ARMS for categorical variables, which is RLOO on n coupled samples with weights.

    The estimate is the mean over pairs of a group of
    ``w (f(z) - f(z')) (score(z) - score(z')) / 2``. The Bernoulli draws of the stick breaking are
    coupled as in `arms`. For n = 2 this is `disarm_iw`, for K = 2 it is `arms`.

    Parameters
    ----------
    group_size : int, optional
        Number n of samples in a group. By default all samples are one group, and f is evaluated at
        all of them at once, whatever the block size.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> carms = fg.estimator("carms", group_size=4)
    >>> carms(lambda x: x[..., 0].sum(axis=-1), np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)

    References
    ----------
    Dimitriev and Zhou, "CARMS: categorical-antithetic-REINFORCE multi-sample gradient estimator",
    NeurIPS 2021.
    """

    group_size: int | None = None

    name = "carms"
    paper = "Dimitriev and Zhou, 'CARMS: categorical-antithetic-REINFORCE multi-sample', 2021"

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> IntArray:
        """Draw groups of coupled outcomes, shape (S, *batch)."""
        (logits, order), size = coupled.ascending(distribution), self.group(num_samples)
        threshold = np.empty(logits.shape, logits.dtype)
        _sticks.thresholds(logits, order, size, threshold)
        z = np.empty((num_samples, *distribution.batch_shape), np.int32)
        flat, tables = z.reshape(num_samples, len(logits)), (threshold, order)
        _kernels.sample_groups(*tables, size, distribution.place(key, offset), flat)
        return _validate.frozen(z)


class PairScores:
    """Sums over the pairs of a group, each pair with its weight."""

    logits: FloatArray
    order: IntArray

    def __init__(self, distribution: Discrete, size: int) -> None:
        self.distribution: Discrete = distribution
        self.size: int = size
        self.logits, self.order = coupled.ascending(distribution)
        self.ratios: FloatArray = np.empty(self.logits.shape)
        self.sum: FloatArray = np.zeros(self.logits.shape)
        _sticks.pair_ratios(self.logits, self.order, size, self.ratios)

    def add(self, z: IntArray, x: FloatArray) -> None:
        """Take outcomes (S, *batch) and their signal (S, M)."""
        z = _validate.like(z, z.shape, np.int32, "z").reshape(len(z), len(self.sum))
        if self.size == 2:
            _sums.pair_scores(self.logits, self.ratios, z, x, self.sum)
        else:
            _sums.group_scores(self.order, self.ratios, z, x, self.size, self.sum)

    def gradient(self, over: int) -> FloatArray:
        """Return the sum, with the columns of the logits, divided by `over`."""
        total = self.sum[:, -self.distribution.num_features :] / over
        return total.astype(self.distribution.logits.dtype)
