"""Sums over samples that come out the same, bit for bit, whatever blocks the samples come in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.kernels.estimators import sums_by_outcome as _outcomes
from fastgrad.kernels.estimators import sums_of_scores as _scores
from fastgrad.kernels.tiles import features as _features
from fastgrad.kernels.tiles import sums as _sums

NO_BASELINE: FloatArray = np.empty(0)
ZERO: FloatArray = np.zeros(1)
NO_SOFTMAX = {
    dtype: (np.empty((0, 0), dtype), np.empty(0, np.int32), np.empty(0, dtype))
    for dtype in _validate.REALS
}
NO_SUMS = {dtype: np.empty((0, 4), dtype) for dtype in _validate.REALS}
NO_ORIGIN: FloatArray = np.empty((2, 0))
INDEX = np.dtype(np.int32)


def last_joined(x: Array, *lead: int) -> Array:
    """Return x with axes of these sizes and one more, whatever is left: nothing, if one is 0."""
    return x.reshape(*lead, x.size // max(math.prod(lead), 1))


def learnable(products: FloatArray, axes: tuple[int, ...]) -> FloatArray:
    """Return products of which a state learns; zeros in a cell where any along axes overflows."""
    fine = np.isfinite(products)
    if np.logical_and.reduce(fine, None):
        return products
    return np.where(fine.all(axis=axes, keepdims=True), products, 0.0)


class Mean:
    """The mean over samples of arrays (S, *shape), in float64, whatever blocks they come in.

    Deviations from the first sample are summed in order: those of a constant are exactly zero.
    """

    shape: tuple[int, ...]
    first: FloatArray
    count: int = 0
    total: FloatArray | None = None  # of deviations; none yet
    held: FloatArray | None = None

    def add(self, x: Array) -> None:
        """Take the next block, shape (S, *shape)."""
        flat = _validate.real_array(x, "x").reshape(len(x), -1)
        self.hold(flat, x.shape[1:])
        self.settle()
        if self.count == len(flat):  # what the first block was may be written to
            self.first = _validate.frozen(self.first.copy())

    def hold(self, x: FloatArray, shape: tuple[int, ...]) -> None:
        """Do as `add`, but when it is needed: x, (S, M), is read-only and stays as it is."""
        if self.held is not None:
            self.settle()
        if not self.count:
            self.shape, self.first = shape, x[0]
        self.count, self.held = self.count + len(x), x

    def settle(self) -> None:
        """Take into the total what is held."""
        if self.held is not None:
            total = np.zeros(self.first.size) if self.total is None else self.total.copy()
            _sums.accumulate(self.held, self.first, total)
            self.total, self.held = total, None

    @property
    def deviation(self) -> FloatArray:
        """The mean minus the first sample, flat."""
        self.settle()
        assert self.total is not None, "there is a sample"
        return self.total / self.count

    @property
    def flat(self) -> FloatArray:
        """The mean, flat."""
        return self.first + (ZERO if self.count == 1 else self.deviation)

    @property
    def result(self) -> Any:
        """The mean, of the shape of one sample; a number where that is ()."""
        return self.flat.reshape(self.shape) if self.shape else self.flat[0]

    def rounded(self, dtype: Any) -> Any:
        """Return the result in a dtype: an array is rounded in a third of a number's time."""
        flat = self.flat.astype(dtype)
        return flat.reshape(self.shape) if self.shape else flat[0]


class CentredScores:
    """Sums over samples of (signal - baseline) score, in one pass and O(logits) of memory.

    The signal of a variable is the value of f that concerns it, or its credit. With the mean
    signal as the baseline, the weights sum to zero and the softmax in score = one-hot - softmax
    cancels. What is left is the sum of the signal for each category, and how often that category
    was drawn; so other baselines, too, may wait until the last sample has been seen.

    The last block waits, as a kernel may take it in while it finishes the sum.
    """

    distribution: Discrete
    logits: FloatArray
    sums: FloatArray
    mean: Mean
    last: tuple[IntArray, FloatArray, FloatArray] | None = None
    value: FloatArray | None = None

    def __init__(self, distribution: Discrete) -> None:
        self.distribution, self.mean = distribution, Mean()
        self.logits = logits = distribution.matrix
        self.sums = NO_SUMS[logits.dtype]

    def add(self, z: IntArray, signal: Array) -> None:
        """Take outcomes (S, *batch) and their signal, whose shape is a leading part of theirs."""
        self.lend(z, signal.copy())  # f may return the same array again

    def lend(self, z: IntArray, x: Array) -> None:
        """Do as `add` with a signal x that stays as it is."""
        flat = _validate.real_array(x, "signal")
        self.hold(z, flat if x.ndim == 2 else flat.reshape(len(x), -1), x.shape[1:])

    def hold(self, z: IntArray, x: FloatArray, shape: tuple[int, ...]) -> None:
        """Do as `add` with a signal x, (S, M), that is read-only and stays as it is."""
        z, origin = outcomes(self.distribution, z), NO_ORIGIN
        if self.last is not None:
            self.settle()
            origin = self.last[2]
        self.mean.hold(x, shape)
        self.last = z, x, origin

    def settle(self) -> None:
        """Take the last block into the sums, which pays where more than one result is wanted."""
        n, k = self.logits.shape
        if not len(self.sums):
            self.sums = np.zeros((n, 2 * _outcomes.width.py_func(k)), self.logits.dtype)
        z, x, _ = self._last_block()
        self.mean.settle()
        origin = np.array([self.mean.first, self.mean.total])
        _outcomes.scatter(k, z, x, origin[0], self.sums)
        self.last = z[:0], x[:0], origin

    @property
    def result(self) -> Any:
        """The mean signal in the dtype of the logits: at no cost, once a sum has been asked for."""
        mean = self.mean
        if self.value is None:
            return mean.result.astype(self.logits.dtype)
        return self.value.reshape(mean.shape) if mean.shape else self.value[0]

    def total(self, over: int) -> FloatArray:
        """Return the sum about the mean, divided by `over`, of the shape of the logits."""
        out = self._room()
        _scores.centre(self.sums, self._last_block(), self.mean.count, over, self.value, out)
        return self._shaped(out)

    def about(self, baseline: Any, over: int) -> FloatArray:
        """Return the sum about a baseline, divided by `over`.

        The baseline is one number, or one for each example: of the shape of the mean.
        """
        if type(baseline) is float and baseline == 0.0:
            return self._about(over, ZERO)
        return self._about(over, np.array(baseline, np.float64).reshape(-1))

    def optimum(self) -> FloatArray:
        """Return the mean about the optimal baseline, made of the other samples of each.

        It is sum(signal score**2) / sum(score**2) over these.
        """
        return self._about(self.mean.count, NO_BASELINE, optimal=True)

    def _about(self, over: int, baseline: Any, *, optimal: bool = False) -> FloatArray:
        d, logits, out = self.distribution, self.logits, self._room()
        softmax = d.kept_softmax or NO_SOFTMAX[logits.dtype]
        how, of = (baseline, optimal), (logits, d.single_logit, softmax)
        given = self.sums, self._last_block(), self.mean.count, over
        _scores.about(*given, how, of, self.value, out)
        return self._shaped(out)

    def _room(self) -> FloatArray:
        """Return room for a sum, and make that for the mean."""
        logits = self.logits
        self.value = np.empty(self.mean.first.size, logits.dtype)
        return np.empty(logits.shape, logits.dtype)

    def _shaped(self, out: FloatArray) -> FloatArray:
        shape = self.distribution.logits.shape
        return out if out.shape == shape else out.reshape(shape)

    def _last_block(self) -> tuple[IntArray, FloatArray, FloatArray]:
        assert self.last is not None, "samples come before their sum"
        return self.last


def outcomes(distribution: Discrete, z: IntArray) -> IntArray:
    """Return outcomes (S, *batch) as kernels take them, (S, N): of a single feature, its value."""
    single = distribution.num_outcomes == 1
    if single or not z.flags.c_contiguous or z.dtype != INDEX:
        z = np.ones(z.shape, INDEX) if single else _indices(z, distribution.num_outcomes)
    z = z if z.ndim == 2 else z.reshape(len(z), distribution.matrix_shape[0])
    return _validate.frozen(z)


def _indices(z: Array, below: int) -> IntArray:
    """Return outcomes of another dtype or layout as indices, which kernels trust, in C order."""
    with np.errstate(invalid="ignore"):  # NaN is no outcome
        return _validate.whole_numbers(np.array(z, INDEX, order="C"), below)


def mean_features(distribution: Discrete) -> FloatArray:
    """Return the mean of the features, (N, num_features): softmax or sigmoid of the logits.

    If that has been kept, it is not found again.
    """
    if distribution.kept_softmax is not None:
        return distribution.kept_softmax[0]
    p = np.empty_like(distribution.matrix)
    kernel = _features.sigmoids if distribution.single_logit else _features.softmax
    kernel(distribution.matrix, p)
    return p


def exclusive_sums(x: FloatArray) -> FloatArray:
    """Return, along the first axis, the sums of all entries except each itself.

    They are sums of what comes before and what comes after: nothing is subtracted, which would
    lose the rest where one entry dominates.
    """
    out = np.zeros_like(x)
    np.cumsum(x[:-1], axis=0, out=out[1:])
    out[:-1] += np.cumsum(x[:0:-1], axis=0)[::-1]
    return out


class SoftmaxProducts:
    """The sum over samples of the products of gradients with the Jacobians of softmaxes x.

    The Jacobian of x = softmax((logits + noise) / temperature) is a function of x alone, so the
    noise is not needed again. Where a variable has a single logit, the softmax is a sigmoid.
    """

    total: FloatArray
    rows: tuple[int, ...]
    kernel: Callable[..., Any]

    def __init__(self, distribution: Discrete) -> None:
        self.total = np.zeros(distribution.logits.shape, distribution.logits.dtype)
        self.rows = distribution.row_shape
        single = distribution.single_logit
        self.kernel = _features.sigmoid_products if single else _features.softmax_products

    def add(self, x: FloatArray, gradient: FloatArray, scale: float) -> None:
        """Take samples x and the gradients of f there, both (S, *logits.shape)."""
        shape, dtype = (len(x), *self.total.shape), self.total.dtype
        arrays = [
            _validate.like(a, shape, dtype, name).reshape(len(x), *self.rows)
            for a, name in ((x, "x"), (gradient, "gradient"))
        ]
        self.kernel(*arrays, dtype.type(scale), self.total.reshape(self.rows))
