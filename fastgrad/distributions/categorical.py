"""Batched categorical distributions, given by unnormalised log probabilities."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from fastgrad import _marks, _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions import concrete
from fastgrad.distributions.categorical_entropy import (
    entropy,
    entropy_vjp,
    kl_divergence,
    kl_divergence_vjp,
)
from fastgrad.distributions.categorical_inverse import draw, drawn
from fastgrad.distributions.concrete import Relaxation
from fastgrad.distributions.discrete import Discrete
from fastgrad.distributions.normalisation import normaliser, partials
from fastgrad.kernels.distributions import categorical as _kernels
from fastgrad.kernels.distributions import categorical_long as _segments
from fastgrad.kernels.tiles import features as _features
from fastgrad.random import RNG, Key, as_key

__all__ = ["Categorical", "entropy", "entropy_vjp", "kl_divergence", "kl_divergence_vjp"]
__all__ += ["log_prob", "log_softmax", "sample", "score"]


def log_softmax(logits: ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
    """Compute log probabilities of all categories, ``logits - logsumexp(logits)``.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64. A category with logit -inf has
        probability zero.
    out : array, optional
        Array to write the result in, C-contiguous and of its shape and dtype; the logits' own will
        do. The content of another is undefined if the logits are refused.

    Returns
    -------
    array, shape (*batch, K)
        In the dtype of the logits. A nearly certain category keeps the digits of its small negative
        log probability, at any shift of a row.

    Raises
    ------
    ValueError
        If logits hold NaN or +inf, or a row of nothing but -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> np.exp(fg.log_softmax(np.array([0.0, 0.0, -np.inf])))
    array([0.5, 0.5, 0. ])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(log_softmax, logits, locals())
    rows, batch = _validate.rows(logits, check=False)
    given, out = out, _outputs.output(out, (*batch, rows.shape[1]), rows.dtype, rows)
    flat = out.reshape(rows.shape)
    if rows.shape[1] > _segments.SEGMENT:
        _segments.subtract(rows, *normaliser(rows, out.shape), flat)
    else:
        _marks.checking(_kernels.log_softmax, rows, out.shape, flat, out=given)
    return out


def sample(
    logits: ArrayLike,
    *,
    num_samples: int | None = None,
    rng: RNG,
    method: Literal["inverse", "gumbel"] = "inverse",
    row_offset: int = 0,
    sample_offset: int = 0,
    out: IntArray | None = None,
) -> IntArray:
    """Draw categories.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; -inf is never drawn.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness; the same seed or key gives the same samples.
    method : {"inverse", "gumbel"}
        "inverse" inverts the cumulative distribution with one uniform number a row, of 64 bits (32
        for float32 up to K = 512), so that the rarest category keeps its probability. "gumbel"
        takes the argmax of perturbed logits, with the noise of `relax` and `gumbel_softmax`: under
        the same key it draws their samples.
    row_offset, sample_offset : int
        Index of the first row (of the batch flattened in C order) and of the first sample in a
        larger batch: chunked calls with the right offsets equal one call.
    out : array of int32, optional
        Array to write the samples in. Its content is undefined if the logits are refused.

    Returns
    -------
    array of int32, shape (S, *batch), or (*batch) without num_samples
        Categories from 0 to K - 1.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits = np.array([[-1.0, 1.0], [0.0, -np.inf]])
    >>> z = fg.sample(logits, num_samples=1000, rng=0)
    >>> z.shape, z.mean(axis=0).round(1)
    ((1000, 2), array([0.9, 0. ]))

    References
    ----------
    Gumbel-max: Maddison, Tarlow and Minka, "A* sampling", NeurIPS 2014.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(sample, logits, locals())
    _validate.choice(method, "method", ("inverse", "gumbel"))
    rows, batch = _validate.rows(logits, check=False)
    count, lead = _validate.samples(num_samples)
    first, sample_offset = _validate.offsets(row_offset, sample_offset, count)
    out = _outputs.output(out, (*lead, *batch), np.dtype(np.int32), rows)
    z = out.reshape(count, -1)
    noise = (as_key(rng).kernel_words, sample_offset, first)
    if method == "inverse":
        draw(rows, noise, z, (*batch, rows.shape[1]))
    elif rows.shape[1] <= _segments.SEGMENT:
        _marks.checking(_kernels.sample_gumbel, rows, (*batch, rows.shape[1]), noise, z)
    else:
        _validate.rows(logits)
        maximum, _ = partials(rows)
        best = np.empty((count, *maximum.shape), rows.dtype)
        arg = np.empty(best.shape, np.int32)
        _segments.sample_gumbel(rows, maximum.max(axis=1), noise, best, arg)
        z[:] = np.take_along_axis(arg, best.argmax(axis=2)[..., None], axis=2)[..., 0]
    return out


def log_prob(logits: ArrayLike, z: ArrayLike) -> FloatArray:
    """Compute the log probability of categories.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; -inf masks a category.
    z : array of int, shape (*batch) or (S, *batch)
        Categories from 0 to K - 1.

    Returns
    -------
    array, the shape of z
        In the dtype of the logits; -inf for a masked category. A nearly certain category keeps the
        digits of its small negative log probability, at any shift of a row.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf; if z is out of range or has
        another shape.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.log_prob(np.log([0.25, 0.75]), np.array([0, 1, 1]))
    array([-1.38629436, -0.28768207, -0.28768207])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(log_prob, logits, locals())
    rows, batch = _validate.rows(logits, check=False)
    flat, shape = _validate.categories(z, batch, rows.shape[1])
    out, two = np.empty(shape, rows.dtype), normaliser(rows, (*batch, rows.shape[1]))
    _kernels.log_prob(rows, *two, flat, out.reshape(flat.shape))
    return out


def score(logits: ArrayLike, z: ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
    """Compute the gradient of the log probability by the logits: one-hot(z) - softmax(logits).

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; -inf masks a category.
    z : array of int, shape (*batch) or (S, *batch)
        Categories from 0 to K - 1.
    out : array, optional
        Array to write the scores in, C-contiguous and of the result's shape and dtype. Its content
        is undefined if the logits are refused.

    Returns
    -------
    array, shape (*batch, K) or (S, *batch, K)
        In the dtype of the logits. 1 less the probability of a nearly certain category keeps its
        digits.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, or a row of nothing but -inf; if z is out of range or has
        another shape.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.score(np.log([0.25, 0.75]), np.array(1))
    array([-0.25,  0.25])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(score, logits, locals())
    rows, batch = _validate.rows(logits, check=False)
    flat, shape = _validate.categories(z, batch, rows.shape[1])
    given, out = out, _outputs.output(out, (*shape, rows.shape[1]), rows.dtype, rows, flat)
    view = out.reshape(*flat.shape, rows.shape[1])
    _marks.checking(_kernels.score, rows, (*batch, rows.shape[1]), flat, view, out=given)
    return out


@dataclasses.dataclass(frozen=True, eq=False)
class Categorical(Discrete):
    """Independent categorical variables, given by their logits.

    Its methods are the functions of the top level with these logits. Samples are category indices,
    shape (S, *batch); their features are one-hot vectors, shape (S, *batch, K).

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64. A category with logit -inf has
        probability zero.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first variable in a larger batch, of which samples are then a part.

    Attributes
    ----------
    logits : array, shape (*batch, K)
        Read-only.

    Raises
    ------
    ValueError
        If logits hold NaN or +inf, or a row of nothing but -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.Categorical(np.zeros((3, 2), np.float32))
    >>> d.batch_shape, d.num_categories, d.sample(num_samples=5, rng=0).shape
    ((3,), 2, (5, 3))
    """

    logits: FloatArray
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)
    draws_by_softmax = True

    def __post_init__(self, copy: bool) -> None:
        rows, batch = _validate.rows(self.logits)
        self._keep(rows.reshape(*batch, rows.shape[1]), copy)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of one sample: one index for each variable."""
        return self.logits.shape[:-1]

    @property
    def num_categories(self) -> int:
        """Number K of categories of each variable."""
        return self.logits.shape[-1]

    @property
    def num_outcomes(self) -> int:
        """Number of outcomes of each variable: K."""
        return self.logits.shape[-1]

    def features(self, z: IntArray) -> FloatArray:
        """Return the one-hot vectors of samples z, shape (S, *batch, K)."""
        return self.shown(_validate.whole_numbers(z, self.num_categories))

    def shown(self, z: IntArray) -> FloatArray:
        """Return what `features` does, of samples that need no look."""
        x = np.empty((*z.shape, self.num_categories), self.logits.dtype)
        _features.one_hot(_validate.frozen(z.reshape(-1)), x.reshape(z.size, x.shape[-1]))
        return x

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> IntArray:
        """Draw categories: see `fastgrad.sample`."""
        options = self._placed(options, "row_offset")
        return sample(self.logits, num_samples=num_samples, rng=rng, **options)

    def drawn(self, num_samples: int, key: Key, sample_offset: int) -> IntArray:
        """Return what `sample` does, of arguments that need no look."""
        return drawn(self, num_samples, self.place(key, sample_offset))

    def log_prob(self, z: ArrayLike) -> FloatArray:
        """Log probability of categories: see `fastgrad.log_prob`."""
        return log_prob(self.logits, z)

    def score(self, z: ArrayLike) -> FloatArray:
        """Gradient of the log probability by the logits: see `fastgrad.score`."""
        return score(self.logits, z)

    def entropy(self) -> FloatArray:
        """Entropy in nats of each variable: see `fastgrad.entropy`."""
        return entropy(self.logits)

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed samples: see `fastgrad.gumbel_softmax`."""
        options = self._placed(options, "row_offset")
        return concrete.gumbel_softmax(self.logits, temperature=temperature, rng=rng, **options)

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Vector-Jacobian product: see `fastgrad.gumbel_softmax_vjp`."""
        options = self._placed(options, "row_offset")
        return concrete.gumbel_softmax_vjp(self.logits, cotangent, **options)

    def relax(self, *, temperature: float, rng: RNG, **options: Any) -> Relaxation:
        """Draw samples with their relaxations: see `fastgrad.relax`."""
        options = self._placed(options, "row_offset")
        return concrete.relax(self.logits, temperature=temperature, rng=rng, **options)

    def relax_vjp(self, *cotangents: ArrayLike | None, **options: Any) -> Any:
        """Vector-Jacobian products of both relaxations: see `fastgrad.relax_vjp`."""
        options = self._placed(options, "row_offset")
        return concrete.relax_vjp(self.logits, *cotangents, **options)


def as_distribution(distribution: Any, *, check: bool = True) -> Any:
    """Return the distribution that a user means: itself, or categoricals of an array of logits.

    The array is not copied: it is for one call. Without `check`, `drawn` looks at its numbers.
    """
    if type(distribution) is not ndarray and hasattr(distribution, "batch_shape"):
        return distribution
    rows, batch = _validate.rows(distribution, check=check)
    made = object.__new__(Categorical)  # not checked; the first row is 0 by default
    vars(made)["logits"] = rows if len(batch) == 1 else rows.reshape(*batch, rows.shape[1])
    return made
