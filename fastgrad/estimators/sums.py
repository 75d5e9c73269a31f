"""Sums over samples that come out the same, bit for bit, whatever blocks the samples come in."""

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.kernels.estimators import sums_by_outcome as _outcomes
from fastgrad.kernels.estimators import sums_of_scores as _scores
from fastgrad.kernels.tiles import features as _features
from fastgrad.kernels.tiles import sums as _sums

NO_SHIFT = np.empty(0)


class Mean:
    """The mean over samples of arrays (S, *shape), in float64, whatever blocks they come in.

    Deviations from the first sample are summed in order: those of a constant are exactly zero.
    """

    def __init__(self):
        self.count = 0

    def add(self, x):
        """Take the next block."""
        flat = _validate.real_array(x, "x").reshape(len(x), -1)
        if not self.count:
            self.shape = x.shape[1:]
            self.first = flat[0].copy()
            self.first.flags.writeable = False
            self.total = np.zeros(flat.shape[1])
        self.count += len(flat)
        _sums.accumulate(flat, self.first, self.total)

    @property
    def deviation(self):
        """The mean less the first sample, flat."""
        return self.total / self.count

    @property
    def flat(self):
        """The mean, flat."""
        return self.first + self.deviation

    @property
    def result(self):
        """The mean, of the shape of one sample."""
        return self.flat.reshape(self.shape)[()]


class CentredScores:
    """Sums over samples of (signal - baseline) score, in one pass and O(logits) of memory.

    With their mean as the baseline, the weights sum to zero and the softmax in score = one-hot -
    softmax cancels: what is left is a sum of the signal for each category, and how often that was
    drawn. So other baselines, too, may wait until the last sample has been seen.
    """

    def __init__(self, distribution):
        self.distribution = distribution
        k = discrete.num_features(distribution)
        self.logits = distribution.logits.reshape(distribution.logits.size // k, k)
        self.layout = _outcomes.shape(*self.logits.shape)
        self.sums = np.empty((0, *self.layout[1:]), self.logits.dtype)
        self.mean = Mean()
        self.last = None

    def add(self, z, signal):
        """Take outcomes (S, *batch) and their signal, whose shape is a leading part of theirs."""
        z = outcomes(self.distribution, z)
        if self.last is not None:
            self.settle()
        self.mean.add(signal)
        # A copy: f may return the same array again.
        x = np.array(signal, order="C").reshape(len(signal), -1)
        self.last = z, x, self.mean.first

    def settle(self):
        """Take the last block into the sums, which pays where more than one result is wanted."""
        if not len(self.sums):
            self.sums = np.zeros(self.layout, self.logits.dtype)
        z, x, first = self.last
        _outcomes.scatter(self.logits.shape[1], z, x, first, self.sums)
        self.last = z[:0], x[:0], first

    def total(self, over):
        """Return the sum about the mean, divided by `over`, of the shape of the logits."""
        return self._finish(over)

    def about(self, baseline, over):
        """Return the sum about a baseline, divided by `over`.

        The baseline is one number, or one for each example: of the shape of the mean.
        """
        return self._finish(over, self.mean.flat - np.reshape(baseline, -1))

    def optimum(self):
        """Return the mean about sum(signal score**2) / sum(score**2) over the other samples."""
        return self._finish(self.mean.count, optimal=True)

    def _finish(self, over, shift=NO_SHIFT, *, optimal=False):
        out, single = np.empty_like(self.logits), discrete.single_logit(self.distribution)
        baseline = self.mean.deviation, shift, optimal
        seen = self.sums, self.last, self.mean.count
        _scores.centre(*seen, over, baseline, (self.logits, single), out)
        return out.reshape(self.distribution.logits.shape)


def outcomes(distribution, z):
    """Return outcomes (S, *batch) as kernels take them, (S, N): of a single feature, its value."""
    single = discrete.num_outcomes(distribution) == 1
    if single or not z.flags.c_contiguous or z.dtype != np.int32:
        z = np.ones(z.shape, np.int32) if single else np.array(z, np.int32, order="C")
        z.flags.writeable = False
    return z.reshape(len(z), distribution.logits.size // discrete.num_features(distribution))


def mean_features(distribution):
    """Return the mean of the features, (N, K): the softmax or sigmoid of the logits."""
    logits = distribution.logits
    rows = logits.reshape(-1, discrete.num_features(distribution))
    p = np.empty_like(rows)
    single = discrete.single_logit(distribution)
    (_features.sigmoids if single else _features.softmax)(rows, p)
    return p


class SoftmaxProducts:
    """The sum over samples of the products of gradients with the Jacobians of softmaxes x.

    The Jacobian of x = softmax((logits + noise) / temperature) is a function of x alone, so the
    noise is not needed again. Where a variable has a single feature, the softmax is a sigmoid.
    """

    def __init__(self, distribution):
        logits, k = distribution.logits, discrete.num_features(distribution)
        single = discrete.single_logit(distribution)
        self.total = np.zeros(logits.shape, logits.dtype)
        self.rows = (logits.size,) if single else (logits.size // k, k)
        self.kernel = _features.sigmoid_products if single else _features.softmax_products

    def add(self, x, gradient, scale):
        """Take samples x and the gradients of f there, both (S, *logits.shape)."""
        shape, dtype = (len(x), *self.total.shape), self.total.dtype
        arrays = [
            _validate.like(a, shape, dtype, name).reshape(len(x), *self.rows)
            for a, name in ((x, "x"), (gradient, "gradient"))
        ]
        self.kernel(*arrays, dtype.type(scale), self.total.reshape(self.rows))
