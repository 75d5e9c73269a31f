"""What discrete distributions share: the base class of `Categorical`, `Bernoulli` and all others.

These two are exponential families. A sample has features x, shape (S, *logits.shape): the one-hot
vector of a category, or the 0 or 1 itself where a variable has a single logit. The score of a
sample is x - E[x], and the Jacobian of p = E[x] by the logits is diag(p) - p p^T of each variable,
which for a single feature is p (1 - p).
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.random import RNG, Key

LARGE = 1 << 10  # logits from which on it takes less to keep a softmax than to find it again
D = TypeVar("D", bound="Discrete")
Softmax: TypeAlias = tuple[FloatArray, IntArray, FloatArray]


class Discrete:
    """Independent discrete variables whose distribution is given by logits.

    A subclass is a frozen dataclass with the field `logits`. It says what a sample is
    (`batch_shape`, `num_outcomes`, `features`), draws samples and knows their probability; where
    it has relaxed samples, it draws these too. What an estimator needs beyond that follows here.

    An estimator asks a distribution for capabilities (`Estimator.asks`), and the distribution says
    which of them it `lacks`:

    - "one_hot": its variables are rows of logits with one-hot features, or sites with one logit;
    - "score": `score`, the gradient of the log probability;
    - "outcomes": `outcomes` and `log_probabilities`, which list all that can happen;
    - "mean": `mean` of the features and `mean_vjp`, its product;
    - "relaxation": `gumbel_softmax` and `gumbel_softmax_vjp`;
    - "conditional": relaxed samples given the sample, as `fastgrad.relax` makes them;
    - "weak_derivative": the derivative as a difference of two distributions;
    - "second_order": one-hot features, or `second_order_slope` of single counts;
    - "score_jvp": the derivative of the score.

    Attributes
    ----------
    logits : array
        float32 or float64, read-only: one row for each variable, or one number for each variable
        where `single_logit` is true.
    single_logit : bool
        Whether a variable has one logit, the log odds of outcome 1 against 0, rather than one for
        each of its features. Kernels come in these two kinds.
    row_offset : int
        Index of the first variable in a larger batch: samples are then those of that batch.
    lacks : mapping of str to str
        Capabilities that it does not have, each with the reason, a clause that ends a sentence.
    """

    logits: FloatArray
    row_offset: int = 0
    # The softmax, (N, K), the likeliest outcomes, (N,), and 1 less their softmax: see `keeping`.
    kept_softmax: ClassVar[Softmax | None] = None
    draws_by_softmax: ClassVar[bool] = False  # whether `drawn` may find it
    single_logit: ClassVar[bool] = False
    lacks: ClassVar[Mapping[str, str]] = {
        "weak_derivative": "local_expectation is that estimator of variables with categories"
    }

    def _keep(self, logits: FloatArray, copy: bool) -> None:
        """Set checked logits, in memory of their own if `copy` is true."""
        object.__setattr__(self, "logits", _validate.frozen(logits.copy() if copy else logits))
        if self.row_offset or type(self.row_offset) is not int:
            first = _validate.integer(self.row_offset, "row_offset", 0, 2**40)
            object.__setattr__(self, "row_offset", first)

    def _placed(self, options: dict[str, Any], name: str) -> dict[str, Any]:
        """Return the options of a function that draws, its offset counted from the first row."""
        if not self.row_offset:
            return options
        offset = _validate.integer(options.get(name, 0), name, 0)
        return options | {name: self.row_offset + offset}

    # -- what a subclass says -------------------------------------------------------------------

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        raise self._lacks("batch_shape")

    @property
    def num_outcomes(self) -> int:
        """Number of outcomes that each variable has."""
        raise self._lacks("num_outcomes")

    def features(self, z: Any) -> FloatArray:
        """Return the features of samples z, shape (S, *batch): an array (S, *logits.shape)."""
        raise self._lacks("features")

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> Any:
        """Draw samples, shape (S, *batch), or (*batch) without num_samples."""
        raise self._lacks("sample")

    def log_prob(self, z: ArrayLike, /) -> FloatArray:
        """Return the log probability of samples z of each variable, the shape of z."""
        raise self._lacks("log_prob")

    def score(self, z: ArrayLike, /) -> FloatArray:
        """Return the gradient of the log probability of samples z, shape (S, *logits.shape)."""
        raise self._lacks("score")

    def _lacks(self, name: str) -> NotImplementedError:
        """Return the error of a kind of variables for which a method is not defined."""
        return NotImplementedError(f"{type(self).__name__} has no {name}")

    def score_jvp(self, z: Any, tangent: FloatArray) -> FloatArray:
        """Return the derivative of the score of samples z along a tangent, (S, *logits.shape)."""
        _, product = self.mean_and_product(tangent)
        return np.broadcast_to(-product, (len(z), *self.logits.shape))

    def entropy(self) -> FloatArray:
        """Return the entropy in nats of each variable, shape (*batch)."""
        raise self._lacks("entropy")

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed features, shape (S, *logits.shape), or logits.shape without num_samples."""
        raise self._lacks("gumbel_softmax")

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Return the product of a cotangent with the Jacobian of `gumbel_softmax`."""
        raise self._lacks("gumbel_softmax_vjp")

    def relax(self, *, temperature: float, rng: RNG, **options: Any) -> Any:
        """Draw samples with their relaxations and their conditional relaxations."""
        raise self._lacks("relax")

    def relax_vjp(self, *cotangents: ArrayLike | None, **options: Any) -> Any:
        """Return the products of cotangents with the Jacobians of `relax`."""
        raise self._lacks("relax_vjp")

    def outcomes(self, index: IntArray) -> Any:
        """Return the samples with these numbers, (T, *batch), of all that `log_probabilities` has.

        A category is its own number.
        """
        return index

    # -- what follows ---------------------------------------------------------------------------

    def drawn(self, num_samples: int, key: Key, sample_offset: int) -> Any:
        """Return samples number `sample_offset` and on: `sample` as estimators call it."""
        return self.sample(num_samples=num_samples, rng=key, sample_offset=sample_offset)

    def keeping(self: D) -> D:
        """Return the variables for one call, which keep the softmax if `drawn` finds it.

        Where they are few, that does not pay.
        """
        if not self.draws_by_softmax or self.logits.size < LARGE:
            return self
        own = object.__new__(type(self))
        vars(own).update(vars(self), kept_softmax=None)
        return own

    def shown(self, z: Any) -> FloatArray:
        """Return the features of samples that were drawn: `features` as estimators call it."""
        return self.features(z)

    @property
    def one_hot(self) -> bool:
        """Whether kernels that are made for rows of categories, or for sites, apply."""
        return "one_hot" not in self.lacks

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the features of one sample."""
        return self.logits.shape

    @property
    def num_features(self) -> int:
        """Number of features, and of logits, that each variable has: 1 with a single logit."""
        return 1 if self.single_logit else self.logits.shape[-1]

    @property
    def num_variables(self) -> int:
        """Number N of variables, over all axes of the batch."""
        return math.prod(self.batch_shape)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of the logits as kernels take them: (N, K), or (N,) with a single logit."""
        return (self.logits.size,) if self.single_logit else self.matrix_shape

    @property
    def rows(self) -> FloatArray:
        """The logits as kernels take them: (N, K), or (N,) with a single logit."""
        return self.logits.reshape(self.row_shape)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Shape of the logits as a matrix: (N, num_features), with a single logit (N, 1)."""
        return self.logits.size // self.num_features, self.num_features

    @property
    def matrix(self) -> FloatArray:
        """The logits as a matrix: (N, num_features), with a single logit (N, 1)."""
        x = self.logits
        return x if x.ndim == 2 and not self.single_logit else x.reshape(self.matrix_shape)

    def with_logits(self: D, logits: ArrayLike) -> D:
        """Return a distribution of the same kind with these logits, which are not copied."""
        return dataclasses.replace(self, logits=logits, copy=False)  # pyright: ignore

    def from_row(self: D, row_offset: int) -> D:
        """Return the same variables as those of a batch in which so many others come before."""
        row_offset = _validate.integer(row_offset, "row_offset", 0, 2**40)
        if not row_offset:
            return self
        moved = copy.copy(self)
        object.__setattr__(moved, "row_offset", self.row_offset + row_offset)
        return moved

    def place(self, key: Key, sample: int) -> tuple[Any, int, int]:
        """Return where noise begins, as kernels take it: words of the key, sample and row."""
        return key.kernel_words, sample, self.row_offset

    def log_probabilities(self) -> FloatArray:
        """Return the log probability of each outcome of each variable, (num_outcomes, *batch)."""
        k, batch = self.num_outcomes, self.batch_shape
        each = np.arange(k, dtype=np.int32).reshape(k, *(1 for _ in batch))
        return self.log_prob(np.broadcast_to(each, (k, *batch)))

    def mean_and_product(self, weights: FloatArray) -> tuple[Any, FloatArray]:
        """Return the mean of sum(weights x), x the features, and its gradient by the logits.

        `weights` and the gradient have the shape of the logits.
        """
        p = np.exp(self.log_probabilities())
        p = np.moveaxis(p[-self.num_features :], 0, -1)  # of two outcomes, 1 is the feature
        w = weights.reshape(p.shape)
        mean = (p * w).sum(axis=-1, keepdims=True)
        return mean.sum(), (p * (w - mean)).reshape(weights.shape)
