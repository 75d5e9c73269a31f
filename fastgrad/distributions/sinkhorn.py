"""Sinkhorn scaling of matrices, and of matrices perturbed by Gumbel noise: relaxed permutations.

Of all matrices P whose rows and columns sum to 1, the scaled one maximises
``<P, log_alpha> + temperature * entropy(P)``. Where there are more columns than rows, columns sum
to at most 1, and likewise rows where there are more rows.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray, IntArray
from fastgrad.distributions.assignment import (
    address,
    canonical,
    in_range,
    require_matching,
    restored,
)
from fastgrad.kernels.distributions import sinkhorn_batch as _kernels
from fastgrad.random import RNG, Key, replayed_key

__all__ = ["Sinkhorn", "gumbel_sinkhorn", "gumbel_sinkhorn_vjp", "sinkhorn", "sinkhorn_vjp"]

_NO_KEY = Key(0)  # where no noise is drawn
TOLD_4, TOLD_8 = 23, 52  # powers of 2 beyond which numbers of a type do not tell differences of 1


class Sinkhorn(NamedTuple):
    """Scaled matrices and how exact they are.

    Attributes
    ----------
    matrix : array, shape (S, *batch, N, M)
        Scaled matrices, in the dtype of log_alpha.
    error : array of float64, shape (S, *batch)
        Largest amount by which a row or column sum misses its bound: above the tolerance where
        max_iterations did not suffice, as when the entries above -inf admit no matching.
    iterations : array of int32, shape (S, *batch)
        Number of Sinkhorn iterations and Newton steps.
    """

    matrix: FloatArray
    error: FloatArray
    iterations: IntArray


def sinkhorn(
    log_alpha: ArrayLike,
    *,
    temperature: ArrayLike = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    newton: bool = True,
) -> Sinkhorn:
    """Scale the rows and columns of exp(log_alpha / temperature) until they sum to 1.

    Each iteration normalises the rows, then the columns. Low temperatures would need thousands of
    iterations: after 50 of them (or M, if that is more) Newton's method takes over, which needs
    about 15 steps at any temperature.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        Score of each pair, float32 or float64; -inf is a pair that is never matched.
    temperature : float or array
        Divisor of the scores, from 2**-60 to 2**60: one for all problems, or an array of them that
        broadcasts to the batch shape, whose problems are those of calls with one number.
    tolerance : float
        Largest error of a row or column sum at which the iterations end. 0 goes on until
        max_iterations, or until another iteration would change nothing.
    max_iterations : int
        Largest number of iterations and steps together, at least 1.
    newton : bool
        Whether Newton's method takes over; False makes Sinkhorn's iterations only.

    Returns
    -------
    Sinkhorn
        Named tuple of `matrix`, `error` and `iterations`, without the axis S.

    Raises
    ------
    ValueError
        If log_alpha holds NaN or +inf, or a row or column that must sum to 1 has only -inf; if a
        temperature is out of its range, or temperatures do not broadcast to the batch shape; if
        scores are above 2**52 temperatures in size (2**23 for float32 without Newton's method):
        rounding them is all that the matrix would show.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> result = fg.permutation.sinkhorn(np.array([[1.0, 0.0], [0.0, 1.0]]), temperature=0.5)
    >>> result.matrix.round(3)
    array([[0.881, 0.119],
           [0.119, 0.881]])

    References
    ----------
    Cuturi, "Sinkhorn distances", NeurIPS 2013. Mena et al., "Learning latent permutations with
    Gumbel-Sinkhorn networks", ICLR 2018. Brauer et al., "A Sinkhorn-Newton method for entropic
    optimal transport", 2017.
    """
    if type(log_alpha) is not ndarray and foreign(log_alpha):
        return in_kind(sinkhorn, log_alpha, locals())
    return _solve(
        log_alpha, temperature, 0.0, None, _NO_KEY, tolerance, max_iterations, newton, 0, 0
    )


def sinkhorn_vjp(
    log_alpha: ArrayLike,
    cotangent: ArrayLike,
    *,
    temperature: ArrayLike = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    newton: bool = True,
    method: Literal["implicit", "unrolled"] = "implicit",
) -> FloatArray:
    """Multiply a cotangent with the Jacobian of `sinkhorn`.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        Score of each pair, as in the forward call.
    cotangent : array, shape (*batch, N, M)
        Derivative of a loss with respect to the matrix.
    temperature, tolerance, max_iterations, newton
        As in the forward call.
    method : {"implicit", "unrolled"}
        "implicit" differentiates the equations that the converged matrix satisfies, by one linear
        system; "unrolled" goes back through the iterations made, and needs newton=False.

    Returns
    -------
    array, shape (*batch, N, M)
        Gradient with respect to log_alpha, in its dtype.

    Raises
    ------
    ValueError
        If log_alpha holds NaN or +inf, or its entries above -inf admit no matching: no scaling has
        sums of 1 then, and there is nothing to differentiate.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> log_alpha = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> fg.permutation.sinkhorn_vjp(log_alpha, np.array([[1.0, 0.0], [0.0, 0.0]])).round(3)
    array([[ 0.098, -0.098],
           [-0.098,  0.098]])

    References
    ----------
    Luise et al., "Differential properties of Sinkhorn approximation", NeurIPS 2018 (implicit).
    Adams and Zemel, "Ranking via Sinkhorn propagation", 2011 (unrolled).
    """
    if type(log_alpha) is not ndarray and foreign(log_alpha):
        return in_kind(sinkhorn_vjp, log_alpha, locals())
    options = (tolerance, max_iterations, newton, method)
    return _product(log_alpha, cotangent, temperature, 0.0, _NO_KEY, *options, 0, 0)


def gumbel_sinkhorn(
    log_alpha: ArrayLike,
    *,
    temperature: ArrayLike,
    num_samples: int | None = None,
    rng: RNG,
    noise_scale: float = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    newton: bool = True,
    problem_offset: int = 0,
    sample_offset: int = 0,
) -> Sinkhorn:
    """Draw relaxed permutations: `sinkhorn` of log_alpha plus Gumbel noise.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        Score of each pair, float32 or float64; -inf is a pair that is never matched.
    temperature : float or array
        Divisor of the perturbed scores, as in `sinkhorn`.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness; the same seed or key gives the same samples.
    noise_scale : float
        Factor of the noise; 0 leaves log_alpha as it is.
    tolerance, max_iterations, newton
        As in `sinkhorn`.
    problem_offset, sample_offset : int
        Index of the first problem and of the first sample in a larger batch: chunked calls with the
        right offsets equal one call.

    Returns
    -------
    Sinkhorn
        Named tuple of `matrix`, `error` and `iterations`, each with the axis S first if num_samples
        is given.

    Raises
    ------
    ValueError
        As in `sinkhorn`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> log_alpha = np.zeros((3, 3))
    >>> r = fg.permutation.gumbel_sinkhorn(log_alpha, temperature=0.01, num_samples=4, rng=0)
    >>> z = fg.permutation.gumbel_matching(log_alpha, num_samples=4, rng=0)
    >>> bool((r.matrix.argmax(axis=-1) == z).all()), bool((r.error <= 1e-4).all())
    (True, True)

    References
    ----------
    Mena et al., "Learning latent permutations with Gumbel-Sinkhorn networks", ICLR 2018.
    """
    if type(log_alpha) is not ndarray and foreign(log_alpha):
        return in_kind(gumbel_sinkhorn, log_alpha, locals())
    options = (tolerance, max_iterations, newton, problem_offset, sample_offset)
    return _solve(log_alpha, temperature, noise_scale, num_samples, rng, *options)


def gumbel_sinkhorn_vjp(
    log_alpha: ArrayLike,
    cotangent: ArrayLike,
    *,
    temperature: ArrayLike,
    rng: RNG,
    noise_scale: float = 1.0,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    newton: bool = True,
    method: Literal["implicit", "unrolled"] = "implicit",
    problem_offset: int = 0,
    sample_offset: int = 0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `gumbel_sinkhorn`, and sum over samples.

    The noise is drawn again from the key, never stored.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        Score of each pair, as in the forward call.
    cotangent : array, shape (S, *batch, N, M) or (*batch, N, M)
        Derivative of a loss with respect to each sample's matrix.
    temperature, noise_scale, tolerance, max_iterations, newton, problem_offset, sample_offset
        As in the forward call.
    rng : int, SeedSequence or Key
        The seed or key of the forward call. A Generator is refused: its state has moved on.
    method : {"implicit", "unrolled"}
        As in `sinkhorn_vjp`.

    Returns
    -------
    array, shape (*batch, N, M)
        Gradient with respect to log_alpha, in its dtype.

    Raises
    ------
    ValueError
        As in `sinkhorn_vjp`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x, key, r = np.zeros((3, 3)), fg.Key(0), np.eye(3)
    >>> fg.permutation.gumbel_sinkhorn_vjp(x, r, temperature=1.0, rng=key).shape
    (3, 3)
    """
    if type(log_alpha) is not ndarray and foreign(log_alpha):
        return in_kind(gumbel_sinkhorn_vjp, log_alpha, locals())
    key = replayed_key(rng)
    options = (tolerance, max_iterations, newton, method, problem_offset, sample_offset)
    return _product(log_alpha, cotangent, temperature, noise_scale, key, *options)


def told_apart(x: FloatArray, scales: FloatArray, newton: bool) -> None:
    """Refuse scores (B, n, m) so large that the potentials of a solution can not be told."""
    single = x.dtype == np.float32 and not newton  # Newton's method computes in float64
    in_range(x, scales, TOLD_4 if single else TOLD_8, "log_alpha")


def _limits(problem, temperature, tolerance, max_iterations, newton):
    """Return what bounds the iterations, as kernels take it."""
    scale = _validate.row_scales(problem.logits.dtype, temperature, problem.batch)
    told_apart(problem.logits, scale, newton)
    tolerance = _validate.not_negative(tolerance, "tolerance")
    return scale, tolerance, _validate.integer(max_iterations, "max_iterations", 1), bool(newton)


def _solve(log_alpha, temperature, noise_scale, num_samples, rng, *options):
    tolerance, max_iterations, newton, problem_offset, sample_offset = options
    problem = canonical(log_alpha)
    count, lead = _validate.samples(num_samples)
    where = address(problem, noise_scale, rng, problem_offset, sample_offset, count)
    limits = _limits(problem, temperature, tolerance, max_iterations, newton)
    out = np.empty((count, *problem.logits.shape), problem.logits.dtype)
    errors, counts = np.empty(out.shape[:2]), np.empty(out.shape[:2], np.int32)
    _kernels.solve(problem.logits, *where, limits, out, errors, counts)
    shape = (*lead, *problem.batch)
    return Sinkhorn(restored(out, problem, lead), errors.reshape(shape), counts.reshape(shape))


def _product(log_alpha, cotangent, temperature, noise_scale, key, *options):
    tolerance, max_iterations, newton, method, problem_offset, sample_offset = options
    _validate.choice(method, "method", ("implicit", "unrolled"))
    if newton and method == "unrolled":
        raise ValueError(
            "method='unrolled' goes through Sinkhorn's iterations: give it newton=False, "
            "as in the forward call"
        )
    problem = canonical(log_alpha)
    require_matching(problem)
    full, dtype = (*problem.batch, *problem.shape), problem.logits.dtype
    count, (w,) = _validate.cotangents({"cotangent": cotangent}, full, dtype)
    w = w.reshape(count, math.prod(problem.batch), *problem.shape)
    w = _validate.frozen(np.ascontiguousarray(w.swapaxes(-1, -2) if problem.transposed else w))
    where = address(problem, noise_scale, key, problem_offset, sample_offset, count)
    limits = _limits(problem, temperature, tolerance, max_iterations, newton)
    out = np.empty(w.shape, dtype)
    _kernels.vjp(problem.logits, w, *where, limits, method == "implicit", out)
    return restored(out.sum(axis=0, keepdims=True), problem, ())
