"""Estimators from categorical samples coupled by stick breaking, reweighted pair by pair.

Each category, the rarest first, is taken by a Bernoulli draw if none before it was, and these draws
are antithetic. A pair of samples then counts q(z) q(z') / P(z, z'), q being the law of one sample
and P that of the pair: without a limit on how rare a category may be, and with no epsilon.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.antithetic import coupled
from fastgrad.estimators.antithetic import joint_distributions as joint
from fastgrad.estimators.base import read_only
from fastgrad.kernels.estimators.antithetic import carms as _kernels
from fastgrad.kernels.estimators.antithetic import carms_sums as _sums
from fastgrad.kernels.estimators.antithetic import coupled_sticks as _sticks

__all__ = ["CARMS", "DisARMIW"]


class StickBreaking(coupled.Coupled):
    """Draws groups and knows their law: half of both estimators."""

    def nodes(self, distribution, num_samples):
        """Return all tuples of categories which groups may have, and their probabilities."""
        size = self.group(num_samples)
        logits, order = coupled.ascending(distribution)
        law = joint.stick_law(np.take_along_axis(logits, order, axis=1).astype(float), size)
        found = law and joint.side_by_side(law[1], num_samples // size, size)
        if found is None:
            return None
        choice, weights = found
        return joint.outcomes_of(choice, order[:, law[0]], distribution.batch_shape), weights

    def sums(self, distribution, size):
        """Return what adds up differences within groups."""
        return _PairScores(distribution, size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DisARMIW(StickBreaking):
    """DisARM for categorical variables, with importance weights.

    The mean over pairs of ``w (f(z) - f(z')) (score(z) - score(z')) / 2``. The weights w, of each
    variable its own, are at most 1.

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

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw antithetic pairs, shape (S, *batch)."""
        logits, order = coupled.ascending(distribution)
        rest, reach = np.empty(logits.shape), np.empty(logits.shape)
        _sticks.pair_tables(logits, order, rest, reach)
        z = np.empty((num_samples, *distribution.batch_shape), np.int32)
        flat, tables = z.reshape(num_samples, len(logits)), (rest, reach, order)
        words = logits.itemsize // 4
        _kernels.sample_pairs(words, *tables, key.kernel_words, offset // 2, flat)
        return read_only(z)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CARMS(StickBreaking):
    """ARMS for categorical variables: leave-one-out REINFORCE on n samples, reweighted by pairs.

    The mean over pairs of a group of ``w (f(z) - f(z')) (score(z) - score(z')) / 2``, where each
    break of the stick is coupled as in `arms`. For n = 2 it is `disarm_iw`, for K = 2 `arms`.

    Parameters
    ----------
    group_size : int, optional
        n; by default all samples are one group, which f is then handed in one block.

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

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw groups of coupled outcomes, shape (S, *batch)."""
        (logits, order), size = coupled.ascending(distribution), self.group(num_samples)
        threshold = np.empty(logits.shape, logits.dtype)
        _sticks.thresholds(logits, order, size, threshold)
        z = np.empty((num_samples, *distribution.batch_shape), np.int32)
        flat, tables = z.reshape(num_samples, len(logits)), (threshold, order)
        _kernels.sample_groups(*tables, size, key.kernel_words, offset, flat)
        return read_only(z)


class _PairScores:
    """Sums over pairs of a group, each with its ratio, which come to what leave-one-out does."""

    def __init__(self, distribution, size):
        self.distribution, self.size = distribution, size
        self.logits, self.order = coupled.ascending(distribution)
        self.ratios, self.sum = np.empty(self.logits.shape), np.zeros(self.logits.shape)
        _sticks.pair_ratios(self.logits, self.order, size, self.ratios)

    def add(self, z, x):
        """Take outcomes (S, *batch) and their signal (S, M)."""
        z = _validate.like(z, z.shape, np.int32, "z").reshape(len(z), len(self.sum))
        if self.size == 2:
            _sums.pair_scores(self.logits, self.ratios, z, x, self.sum)
        else:
            _sums.group_scores(self.order, self.ratios, z, x, self.size, self.sum)

    def gradient(self, over):
        """Return the sum, with the columns of the logits, divided by `over`."""
        total = self.sum[:, -discrete.num_features(self.distribution) :] / over
        return total.astype(self.distribution.logits.dtype)
