"""ARSM: f is compared at outcomes whose categories have swapped their noise."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.antithetic import coupled
from fastgrad.estimators.antithetic import joint_distributions as joint
from fastgrad.estimators.antithetic.arm import intervals
from fastgrad.estimators.base import Estimate, Estimator, estimate
from fastgrad.estimators.sums import Mean
from fastgrad.kernels.estimators.antithetic import arsm as _kernels
from fastgrad.objectives import Objective
from fastgrad.random import Key

__all__ = ["ARSM"]


class Races(NamedTuple):
    """Winners z, (S, *batch), and shares (S, *batch, K): 0 for categories of probability 0."""

    z: IntArray
    shares: FloatArray


class Swaps(NamedTuple):
    """What f is at the outcomes and after swaps.

    Attributes
    ----------
    value : array, shape (S, *cells)
        Mean of f over all swaps.
    signal : array, shape (S, M, K (K - 1) / 2)
        Signal after the swap of each pair of categories, minus the signal without a swap.
    evaluations : int
    """

    value: FloatArray
    signal: FloatArray
    evaluations: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ARSM(Estimator):
    """ARSM (augment-REINFORCE-swap-merge), for categorical variables.

    The outcome of a variable is the category with the smallest ``share / p``, where the K shares
    are uniform on the simplex and p are the probabilities. Let f_cj be f after categories c and j
    have swapped their shares, in all variables at once. The gradient by the logit of c is the mean
    over samples of ``sum over j of (f_cj - mean over m of f_mj) (1 / K - share_j)``.

    A sample costs one evaluation of f, and one more for each of the K (K - 1) / 2 swaps that
    changes an outcome. Masked categories of a variable do not take part in its swaps.

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

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Races:
        """Draw the shares, and find the outcomes."""
        w = _weights(distribution)
        z = np.empty((num_samples, *distribution.batch_shape), np.int32)
        shares = np.empty((num_samples, *w.shape), w.dtype)
        winners = z.reshape(num_samples, len(w))
        _kernels.race(w, distribution.place(key, offset), shares, winners)
        return Races(_validate.frozen(z), _validate.frozen(shares.reshape(*z.shape, w.shape[1])))

    def samples(self, distribution: Discrete, draws: Races) -> FloatArray:
        """Return the features of the outcomes."""
        return distribution.features(draws.z)

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f at the outcomes, and where a swap changes them."""
        z, w = draws.z, _weights(distribution)
        count, (n, k) = len(z), w.shape
        plain = objective.outcomes(distribution, z, offset=offset)
        origin = coupled.cells(plain.signal)
        pairs = list(itertools.combinations(range(k), 2))
        signal = np.zeros((*origin.shape, len(pairs)))
        change, asked = np.zeros(plain.value.shape), count
        shares = _validate.frozen(draws.shares.reshape(count, n, k))
        winners = _validate.frozen(z.reshape(count, n))
        for pair, (a, b) in enumerate(pairs):
            swapped = np.empty(winners.shape, np.int32)
            _kernels.swap(w, shares, winners, a, b, swapped)
            moved = (swapped != winners).any(axis=1)
            if moved.any():
                points = _validate.frozen(swapped[moved].reshape(-1, *z.shape[1:]))
                answer = objective.outcomes(distribution, points, offset=offset + asked)
                change[moved] += answer.value - plain.value[moved]
                signal[moved, :, pair] = coupled.cells(answer.signal) - origin[moved]
                asked += len(points)
        return Swaps(plain.value + change / (len(pairs) + 1), signal, asked)

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return Gauss-Legendre nodes where no variable has more than two possible categories."""
        log_p = distribution.log_probabilities().astype(np.float64)
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
        return Races(
            _validate.frozen(z.reshape(num_samples, -1, *batch)), _validate.frozen(shares)
        ), weights

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (`Races`, `Swaps`)."""
        value, evaluations, total = Mean(), 0, np.zeros(_weights(distribution).shape)
        for draws, answer in blocks:
            value.add(answer.value)
            evaluations += answer.evaluations
            shares = _validate.real_array(draws.shares, "shares")
            shares = shares.reshape(len(shares), *total.shape)
            _kernels.swap_products(shares, answer.signal, total)
        dtype, shape = distribution.logits.dtype, distribution.logits.shape
        total = total[:, -distribution.num_features :] / value.count
        grad = total.astype(dtype).reshape(shape)
        return estimate(value.result, grad, state, evaluations)


def _weights(distribution: Discrete) -> FloatArray:
    """Return probabilities relative to the largest of each variable, (N, K)."""
    rows = coupled.rows(distribution)
    return _validate.frozen(np.exp(rows - rows.max(axis=1, keepdims=True)))
