"""What distributions over structures share: a whole set or order is one outcome of a variable."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions.categorical import Categorical
from fastgrad.distributions.discrete import Discrete

MOST = 2**16, 2**24  # outcomes of a variable, and numbers in all features: no more are listed
S = TypeVar("S", bound="Structured")
ONE_HOT = "the estimator is for independent variables with one-hot features"
NO_DIFFERENCE = "its derivative is not known as a difference of two distributions"
NO_SECOND_ORDER = "it is derived for one-hot features and for single counts"
NO_SCORE_JVP = "the derivative of its score is not computed"


def having(lacks: Mapping[str, str], *capabilities: str) -> dict[str, str]:
    """Return what is lacking but for these."""
    return {name: reason for name, reason in lacks.items() if name not in capabilities}


class Structured(Discrete):
    """Independent variables each of which is a structure: a set, an order, a matching, a count.

    The parameters `logits` are (*batch, *event), whatever the structure; a sample is
    (S, *batch, ...), and its features, which f sees, are (S, *feature_shape). All of one variable's
    parameters count together in its score.
    """

    lacks: ClassVar[Mapping[str, str]] = {
        "one_hot": ONE_HOT,
        "second_order": NO_SECOND_ORDER,
        "score_jvp": NO_SCORE_JVP,
    }

    def mean(self) -> FloatArray:
        """Return the exact mean of the features, shape (*feature_shape)."""
        raise NotImplementedError

    def mean_vjp(self, cotangent: ArrayLike) -> FloatArray:
        """Return the product of a cotangent, (*feature_shape), with the Jacobian of `mean`."""
        raise NotImplementedError

    def score_jvp(self, z: Any, tangent: FloatArray) -> FloatArray:
        """Return the derivative of the score of samples z along a tangent, (S, *logits.shape).

        By default the one of an exponential family whose features have the shape of the logits,
        and whose score is x - E[x].
        """
        return np.broadcast_to(-self.mean_vjp(tangent), (len(z), *self.logits.shape))

    def tempered(self: S, temperature: float) -> S:
        """Return the distribution of logits / temperature."""
        if temperature == 1:
            return self
        logits = self.logits - self.logits.max(axis=-1, keepdims=True)
        with np.errstate(over="ignore"):
            return self.with_logits(logits / logits.dtype.type(temperature))

    def table(self) -> Any:
        """Return all outcomes of one variable as samples, (num_outcomes, ...)."""
        raise NotImplementedError

    def _require_few(self) -> None:
        """Raise ValueError if there are too many outcomes to list them."""
        outcomes = self.num_outcomes
        numbers = outcomes * math.prod(self.feature_shape)
        if outcomes > MOST[0] or numbers > MOST[1]:
            which = f"{outcomes:.3g} for each of {self.num_variables} variables"
            raise ValueError(f"{type(self).__name__} has too many outcomes to list, {which}")

    def outcomes(self, index: IntArray) -> Any:
        """Return the samples with these numbers, (T, *batch), in the order of the table."""
        return self.table()[index]

    def log_probabilities(self) -> FloatArray:
        """Return the log probability of each outcome of each variable, (num_outcomes, *batch)."""
        return self.log_prob(self.everything())

    def everything(self) -> Any:
        """Return all outcomes of each variable as samples, (num_outcomes, *batch, ...)."""
        self._require_few()
        table, batch = self.table(), self.batch_shape
        each = table.reshape(len(table), *(1 for _ in batch), *table.shape[1:])
        z = np.broadcast_to(each, (len(table), *batch, *table.shape[1:]))
        return _validate.frozen(np.ascontiguousarray(z))

    @functools.cached_property
    def listed(self) -> Categorical:
        """Categoricals over the numbers of all outcomes, shape (*batch, num_outcomes)."""
        logits = np.moveaxis(self.log_probabilities(), 0, -1)
        return Categorical(np.ascontiguousarray(logits), row_offset=self.row_offset, copy=False)

    def from_row(self: S, row_offset: int) -> S:
        """Return the same variables as those of a batch in which so many others come before."""
        moved = super().from_row(row_offset)
        if moved is not self:
            moved.__dict__.pop("listed", None)  # it draws too
        return moved

    def listed_vjp(self, cotangent: FloatArray) -> FloatArray:
        """Return the product of a cotangent, (*batch, num_outcomes), with that of `listed`."""
        r = np.moveaxis(cotangent, -1, 0).astype(np.float64)
        possible = np.moveaxis(self.listed.logits, -1, 0) > -np.inf
        score = self.score(self.everything())
        inner = (1,) * (score.ndim - r.ndim)
        r, possible = (a.reshape(*a.shape, *inner) for a in (r, possible))
        return (r * np.where(possible, score, 0)).sum(axis=0).astype(self.logits.dtype)
