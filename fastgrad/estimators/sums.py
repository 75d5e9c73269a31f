"""Sums over samples that come out the same, bit for bit, whatever blocks the samples come in."""

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.kernels import estimators as _kernels


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
        _kernels.accumulate(flat.size, flat, self.first, self.total)

    @property
    def deviation(self):
        """The mean less the first sample, flat."""
        return self.total / self.count

    @property
    def result(self):
        """The mean, of the shape of one sample."""
        return (self.first + self.deviation).reshape(self.shape)[()]


class CentredScores:
    """The sum over samples of (signal - its mean) score, in one pass and O(logits) of memory.

    Since the weights sum to zero, the softmax in score = one-hot - softmax cancels: what is left is
    a sum of the signal for each category, and how often that was drawn.
    """

    def __init__(self, distribution):
        self.distribution = distribution
        logits, columns = distribution.logits, discrete.num_features(distribution)
        self.sums = np.zeros((logits.size // columns, columns), logits.dtype)
        self.counts = np.zeros(self.sums.shape, np.int32)
        self.mean = Mean()

    def add(self, z, signal):
        """Take outcomes (S, *batch) and their signal, whose shape is a leading part of theirs."""
        d = self.distribution
        z, _ = _validate.categories(z, d.batch_shape, discrete.num_outcomes(d))
        self.mean.add(signal)
        x = _validate.real_array(signal, "signal").reshape(len(signal), -1)
        _kernels.scatter(z.size, z, x, self.mean.first, self.sums, self.counts)

    @property
    def total(self):
        """The sum, of the shape of the logits."""
        total = np.empty_like(self.sums)
        _kernels.centre(total.size, self.sums, self.counts, self.mean.deviation, total)
        return total.reshape(self.distribution.logits.shape)


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
        self.kernel = _kernels.sigmoid_products if single else _kernels.softmax_products

    def add(self, x, gradient, scale):
        """Take samples x and the gradients of f there, both (S, *logits.shape)."""
        shape, dtype = (len(x), *self.total.shape), self.total.dtype
        arrays = [
            _validate.like(a, shape, dtype, name).reshape(len(x), *self.rows)
            for a, name in ((x, "x"), (gradient, "gradient"))
        ]
        self.kernel(x.size, *arrays, dtype.type(scale), self.total.reshape(self.rows))
