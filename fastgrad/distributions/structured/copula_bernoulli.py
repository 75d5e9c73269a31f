"""Correlated Bernoulli sites: a Gaussian copula with one factor."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import scipy

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.structured import one_factor as _one_factor
from fastgrad.distributions.structured.base import NO_DIFFERENCE, Structured
from fastgrad.kernels.distributions.structured import plackett_luce as _noise
from fastgrad.random import RNG, Key, as_key, replayed_key

__all__ = ["CopulaBernoulli"]

LARGEST_LOADING = 0.995  # nearer to 1 the sites are all but copies of each other


@dataclasses.dataclass(frozen=True, eq=False)
class CopulaBernoulli(Structured):
    """Correlated bits: Bernoulli sites whose noise is joined by a Gaussian copula of one factor.

    A variable is a row of K sites. With standard normal numbers Z, one for the row, and E_i, site i
    has ``V_i = loading_i Z + sqrt(1 - loading_i**2) E_i``, so that sites i and j have the latent
    correlation ``loading_i loading_j``. The noise ``L_i = logit(Phi(V_i))`` is logistic, and the
    sample is ``x_i = [logit_i + L_i > 0]``: each site by itself is Bernoulli(logit_i), whatever the
    loadings, and with loadings of 0 they are independent. Samples are their own features, (S,
    *batch, K), 0 or 1.

    Estimators ask it for the score (`reinforce`, `rloo`, `vimco`), for all outcomes (`enumerate`,
    `unordered_set` and its kind, `rodeo`), for the mean (`straight_through`, `double_cv`) and for
    relaxed samples (`gumbel_softmax`), ``sigmoid((logit + L) / temperature)``.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log odds of each site, finite: float32 or float64.
    loadings : float or array, shape (K,)
        Weight of the common factor in each site, from -0.995 to 0.995. One number ``sqrt(r)`` gives
        all pairs the correlation r; loadings of different signs make correlations negative.
    copy : bool
        Whether the distribution keeps its own copy of the logits. Without a copy it may share the
        caller's memory, which must then not be written to while the distribution is in use.
    row_offset : int
        Index of the first row in a larger batch, of which samples are then a part.

    Attributes
    ----------
    logits : array, shape (*batch, K)
        Read-only.
    loadings : array, shape (K,)
        Read-only, float64.

    Raises
    ------
    ValueError
        If the logits are not finite, or loadings are of another shape or out of range.

    Notes
    -----
    Given Z the sites are independent, so the probability of a sample is an integral over Z. It is
    computed by the trapezoidal rule about the integrand's maximum, with as many points as make the
    relative error less than 1e-13. Correlation matrices of more factors have no such form.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.bernoulli.CopulaBernoulli(np.zeros(2), np.sqrt(0.5))
    >>> together = lambda x: x[:, 0] * x[:, 1]
    >>> float(fg.exact.value(together, d).round(9))  # 1/4 + asin(1/2) / (2 pi)
    0.333333333
    >>> fg.estimator("rloo")(together, d, num_samples=100, rng=0).grad.shape
    (2,)

    References
    ----------
    Lee, Imrie and van der Schaar, "Self-supervision enhanced feature selection with correlated
    gates", ICLR 2022 (the relaxation).
    Vasicek, "Probability of loss on loan portfolio", KMV, 1987 (one factor).
    """

    logits: FloatArray
    loadings: Any
    copy: dataclasses.InitVar[bool] = dataclasses.field(default=True, kw_only=True)
    row_offset: int = dataclasses.field(default=0, kw_only=True)

    lacks: ClassVar[Mapping[str, str]] = {
        **Structured.lacks,
        "conditional": "its noise given a sample is a truncated normal vector, which is not drawn",
        "weak_derivative": NO_DIFFERENCE,
    }

    def __post_init__(self, copy: bool) -> None:
        rows, batch = _validate.rows(self.logits)
        _validate.finite(rows, "logits")
        loadings = _validate.real_array(self.loadings, "loadings").astype(np.float64)
        if loadings.shape not in ((), rows.shape[1:]):
            shape = f"() or ({rows.shape[1]},)"
            raise ValueError(f"loadings must have shape {shape}, got {loadings.shape}")
        if not (abs(loadings) <= LARGEST_LOADING).all():
            worst = loadings.reshape(-1)[~(abs(loadings.reshape(-1)) <= LARGEST_LOADING)][0]
            raise ValueError(f"loadings must be from -0.995 to 0.995, got {worst}")
        own = np.broadcast_to(loadings, rows.shape[1:]).copy()
        object.__setattr__(self, "loadings", _validate.frozen(own))
        self._keep(rows.reshape(*batch, rows.shape[1]), copy)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the variables, each of which is a row of sites."""
        return self.logits.shape[:-1]

    @property
    def num_outcomes(self) -> int:
        """Number of rows of bits: 2**K."""
        return 2 ** self.logits.shape[-1]

    def table(self) -> Array:
        """Return all rows of bits, shape (num_outcomes, K)."""
        self._require_few()
        bits = np.arange(self.num_outcomes)[:, None] >> np.arange(self.logits.shape[-1])
        return (bits & 1).astype(self.logits.dtype)

    def features(self, z: Any) -> FloatArray:
        """Return samples z, which are their own features."""
        return z.astype(self.logits.dtype, copy=False)

    def tempered(self, temperature: float) -> CopulaBernoulli:
        """Return the distribution of logits / temperature."""
        if temperature == 1:
            return self
        return self.with_logits(self.logits / self.logits.dtype.type(temperature))

    # -- the law --------------------------------------------------------------------------------

    @functools.cached_property
    def _probabilities(self) -> tuple[FloatArray, FloatArray]:
        """Probabilities of 1 and of 0, in float64."""
        x = self.logits.astype(np.float64)
        return np.exp(-np.logaddexp(0, -x)), np.exp(-np.logaddexp(0, x))

    def mean(self) -> FloatArray:
        """Return the probability of 1 at each site: sigmoid of the logits."""
        return self._probabilities[0].astype(self.logits.dtype)

    def mean_vjp(self, cotangent: ArrayLike) -> FloatArray:
        """Return the product of a cotangent, (*batch, K), with the Jacobian of the mean."""
        dtype, (p, q) = self.logits.dtype, self._probabilities
        r = _validate.like(cotangent, self.logits.shape, dtype, "cotangent")
        return (r * p * q).astype(dtype)

    def log_prob(self, x: ArrayLike) -> FloatArray:
        """Return the log probability of samples, (*batch, K) or (S, *batch, K), of each variable.

        Its absolute error is below 1e-10 in float64.
        """
        bits, lead = self._checked(x)
        found, _ = _one_factor.integrate(self._flat(bits), bits, self.loadings, slopes=False)
        return found.reshape(lead).astype(self.logits.dtype)

    def score(self, x: ArrayLike) -> FloatArray:
        """Return the gradient of the log probability by the logits, of the shape of x."""
        bits, lead = self._checked(x)
        logits = self._flat(bits)
        _, slopes = _one_factor.integrate(logits, bits, self.loadings, slopes=True)
        return slopes.reshape(*lead, bits.shape[1]).astype(self.logits.dtype)

    def _flat(self, bits: FloatArray) -> FloatArray:
        """Return the logits of each of these rows, float64."""
        rows = self.rows.astype(np.float64)
        return np.tile(rows, (len(bits) // max(len(rows), 1), 1))

    def _checked(self, x: ArrayLike) -> tuple[FloatArray, tuple[int, ...]]:
        """Return samples as rows of 0 and 1, (R, K), and the shape of what R counts."""
        x, shape = _validate.real_array(x, "x"), self.logits.shape
        if x.shape != shape and x.shape[1:] != shape:
            raise ValueError(f"x must have shape {shape} or (S, *{shape}), got {x.shape}")
        bits = x.reshape(-1, shape[-1]).astype(np.float64)
        wrong = bits[(bits != 0) & (bits != 1)]
        if wrong.size:
            raise ValueError(f"x must hold 0 and 1, got {wrong[0]}")
        return bits, x.shape[:-1]

    # -- samples --------------------------------------------------------------------------------

    def _perturbed(self, num_samples: int, key: Key, offset: int) -> FloatArray:
        """Return logits + L, float64, (S, *batch, K)."""
        k = self.logits.shape[-1]
        flat = _validate.frozen(np.zeros((self.num_variables, k + 1)))
        gumbel = np.empty((num_samples, *flat.shape))
        _noise.perturbed(flat, self.place(key, offset), gumbel)
        normal = _normal_of(np.exp(-gumbel))
        own, common = normal[..., :k], normal[..., k:]
        v = self.loadings * common + np.sqrt(1 - self.loadings**2) * own
        noise = scipy.special.log_ndtr(v) - scipy.special.log_ndtr(-v)
        return self.logits + noise.reshape(num_samples, *self.logits.shape)

    def sample(self, *, num_samples: int | None = None, rng: RNG, **options: Any) -> FloatArray:
        """Draw samples of 0 and 1.

        Parameters
        ----------
        num_samples : int, optional
            Number of samples S. None draws one sample, without a leading axis.
        rng : int, SeedSequence, Generator or Key
            Source of the randomness; the same seed or key gives the same samples.
        **options
            `sample_offset`, the index of the first sample in a larger batch.

        Returns
        -------
        array, shape (S, *batch, K), or (*batch, K) without num_samples
            In the dtype of the logits.
        """
        return self._sample(num_samples, as_key(rng), **options)

    def _sample(self, num_samples: int | None, key: Key, *, sample_offset: int = 0) -> FloatArray:
        count, lead = _validate.samples(num_samples)
        x = self._perturbed(count, key, sample_offset) > 0
        return x.astype(self.logits.dtype).reshape(*lead, *self.logits.shape)

    def gumbel_softmax(self, *, temperature: float, rng: RNG, **options: Any) -> FloatArray:
        """Draw relaxed samples: ``sigmoid((logits + L) / temperature)``, shape (S, *batch, K).

        The same key gives the noise that `sample` has. Options are those of `sample`.
        """
        return self._relaxed(_validate.temperature(temperature), as_key(rng), **options)

    def _relaxed(
        self,
        temperature: float,
        key: Key,
        *,
        num_samples: int | None = None,
        sample_offset: int = 0,
    ) -> FloatArray:
        count, lead = _validate.samples(num_samples)
        z = self._perturbed(count, key, sample_offset) / temperature
        y = scipy.special.expit(z).astype(self.logits.dtype)
        return y.reshape(*lead, *self.logits.shape)

    def gumbel_softmax_vjp(self, cotangent: ArrayLike, **options: Any) -> FloatArray:
        """Multiply cotangents with the Jacobian of `gumbel_softmax`, and sum over samples.

        The options are those of the forward call. The noise is drawn again from the key.
        """
        return self._relaxed_vjp(cotangent, **options)

    def _relaxed_vjp(
        self, cotangent: ArrayLike, *, temperature: float, rng: RNG, sample_offset: int = 0
    ) -> FloatArray:
        key, temperature = replayed_key(rng), _validate.temperature(temperature)
        full, dtype = self.logits.shape, self.logits.dtype
        count, (r,) = _validate.cotangents({"cotangent": cotangent}, full, dtype)
        z = self._perturbed(count, key, sample_offset) / temperature
        slope = scipy.special.expit(z) * scipy.special.expit(-z) / temperature
        return (slope * r.reshape(z.shape)).sum(axis=0).astype(dtype)


def _normal_of(e: FloatArray) -> FloatArray:
    """Return standard normal numbers of exponential ones, with all digits in both tails.

    The number is the quantile of 1 - exp(-e), and the negative one of exp(-e).
    """
    upper = e > np.log(2)
    log_tail = np.where(upper, -e, np.log(-np.expm1(-e)))
    v = scipy.special.ndtri_exp(log_tail)
    return np.where(upper, -v, v)
