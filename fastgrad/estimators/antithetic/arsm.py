"""Estimators that compare f at outcomes whose categories have swapped their noise: ARSM."""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.antithetic import coupled
from fastgrad.estimators.antithetic import joint_distributions as joint
from fastgrad.estimators.antithetic.arm import intervals
from fastgrad.estimators.base import Estimate, Estimator, read_only
from fastgrad.estimators.sums import Mean
from fastgrad.kernels.estimators.antithetic import arsm as _kernels

__all__ = ["ARSM"]


class Races(NamedTuple):
    """Shares, (S, *batch, K), of which each category of weight above 0 has some; winners z."""

    z: np.ndarray
    shares: np.ndarray


class Swaps(NamedTuple):
    """Mean of f over all swaps (S, *cells); its signal (S, M, pairs) less that of no swap; cost."""

    value: np.ndarray
    signal: np.ndarray
    evaluations: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ARSM(Estimator):
    """Augment-REINFORCE-swap-merge.

    A sample is the winner of a race: the category of the least ``share / p``, where shares are
    uniform on the simplex. f is asked what it would be if two categories c and j had swapped their
    shares, in all variables at once: ``f_cj``, for all pairs. The gradient by the logit of c is the
    mean over samples of ``sum_j (f_cj - mean_m f_mj) (1 / K - share_j)``.

    A sample costs one evaluation of f, and one more for each of the K (K - 1) / 2 swaps that
    changes an outcome. A variable which masks a category leaves it out of its swaps.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> arsm = fg.estimator("arsm")
    >>> estimate = arsm(lambda x: x[..., 0].sum(axis=-1), np.zeros((5, 3)), num_samples=2, rng=0)
    >>> estimate.grad.shape, estimate.evaluations
    ((5, 3), 8)

    References
    ----------
    Yin, Yue and Zhou, "ARSM: augment-REINFORCE-swap-merge estimator for gradient backpropagation
    through categorical variables", ICML 2019.
    """

    name = "arsm"
    unbiased = True
    evaluations = "S to S (1 + K (K - 1) / 2)"
    paper = "Yin, Yue and Zhou, 'ARSM: augment-REINFORCE-swap-merge estimator', 2019"

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw shares and the winners."""
        w = _weights(distribution)
        z = np.empty((num_samples, *distribution.batch_shape), np.int32)
        shares = np.empty((num_samples, *w.shape), w.dtype)
        winners = z.reshape(num_samples, len(w))
        _kernels.race(w, key.kernel_words, offset, shares, winners)
        return Races(read_only(z), read_only(shares.reshape(*z.shape, w.shape[1])))

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f at the outcomes, and where a swap changes them; points count as asked."""
        z, w = draws.z, _weights(distribution)
        count, (n, k) = len(z), w.shape
        plain = objective.outcomes(distribution, z, offset=offset)
        origin = coupled.cells(plain.signal)
        pairs = list(itertools.combinations(range(k), 2))
        signal = np.zeros((*origin.shape, len(pairs)))
        change, asked = np.zeros(plain.value.shape), count
        shares, winners = draws.shares.reshape(count, n, k), z.reshape(count, n)
        for pair, (a, b) in enumerate(pairs):
            swapped = np.empty(winners.shape, np.int32)
            _kernels.swap(w, shares, winners, a, b, swapped)
            moved = (swapped != winners).any(axis=1)
            if moved.any():
                points = read_only(swapped[moved].reshape(-1, *z.shape[1:]))
                answer = objective.outcomes(distribution, points, offset=offset + asked)
                change[moved] += answer.value - plain.value[moved]
                signal[moved, :, pair] = coupled.cells(answer.signal) - origin[moved]
                asked += len(points)
        return Swaps(plain.value + change / (len(pairs) + 1), signal, asked)

    def nodes(self, distribution, num_samples):
        """Return Gauss-Legendre nodes where no variable has more than two possible categories."""
        log_p = discrete.log_probabilities(distribution).astype(np.float64)
        log_p = log_p.reshape(len(log_p), -1).T
        n, k = log_p.shape
        if ((log_p > -np.inf).sum(axis=1) > 2).any():
            return None
        row, order = np.arange(n), np.argsort(log_p, axis=1)[:, ::-1]
        first, second = order[:, 0], order[:, min(1, k - 1)]
        noise, law, pairs = intervals(log_p[row, first] - log_p[row, second])
        found = joint.side_by_side(law, num_samples, k + 1)
        if found is None:
            return None
        choice, weights = found
        u = 0.5 - noise[row, choice]  # the first wins for a small share
        shares = np.zeros((*u.shape, k))
        shares[..., row, second], shares[..., row, first] = 1 - u, u
        z = np.where(pairs[row, choice, 0] > 0, first, second).astype(np.int32)
        shares[np.broadcast_to(log_p == -np.inf, shares.shape)] = 0
        batch = distribution.batch_shape
        shares = shares.reshape(num_samples, -1, *batch, k).astype(distribution.logits.dtype)
        return Races(read_only(z.reshape(num_samples, -1, *batch)), read_only(shares)), weights

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (`Races`, `Swaps`)."""
        value, evaluations, total = Mean(), 0, np.zeros(_weights(distribution).shape)
        for draws, answer in blocks:
            value.add(answer.value)
            evaluations += answer.evaluations
            shares = _validate.real_array(draws.shares, "shares")
            shares = shares.reshape(len(shares), *total.shape)
            _kernels.swap_products(shares, answer.signal, total)
        dtype, shape = distribution.logits.dtype, distribution.logits.shape
        total = total[:, -discrete.num_features(distribution) :] / value.count
        grad = total.astype(dtype).reshape(shape)
        return Estimate(value.result.astype(dtype), grad, state, evaluations)


def _weights(distribution):
    """Return probabilities relative to the likeliest of each variable, (N, K)."""
    rows = coupled.rows(distribution)
    return read_only(np.exp(rows - rows.max(axis=1, keepdims=True)))
