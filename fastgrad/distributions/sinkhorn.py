"""Sinkhorn scaling of matrices, and of matrices perturbed by Gumbel noise: relaxed permutations.

Of all matrices with rows and columns of sum 1, it finds that which maximises
``<P, log_alpha> + temperature * entropy(P)``. Where there are more columns than rows they sum to at
most 1, and likewise rows where there are more of these.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.distributions.assignment import address, canonical, require_matching, restored
from fastgrad.kernels.distributions import sinkhorn_batch as _kernels
from fastgrad.random import Key, replayed_key

__all__ = ["Sinkhorn", "gumbel_sinkhorn", "gumbel_sinkhorn_vjp", "sinkhorn", "sinkhorn_vjp"]

_NO_KEY = Key(0)  # where no noise is drawn


class Sinkhorn(NamedTuple):
    """Scaled matrices and how exact they are.

    Attributes
    ----------
    matrix : array, shape (S, *batch, N, M)
    error : array of float64, shape (S, *batch)
        By how much the worst row or column sum misses its bound: above the tolerance where
        max_iterations did not suffice, as when the pairs left by -inf admit no matching.
    iterations : array of int32, shape (S, *batch)
        Sinkhorn's iterations and Newton's steps.
    """

    matrix: np.ndarray
    error: np.ndarray
    iterations: np.ndarray


def sinkhorn(log_alpha, *, temperature=1.0, tolerance=1e-4, max_iterations=1000, newton=True):
    """Scale the rows and columns of exp(log_alpha / temperature) until they sum to 1.

    Each iteration normalises the rows, then the columns. At low temperatures it takes thousands:
    from the 50th on (or the M-th, if that is later) Newton's method takes over, which needs some 15
    steps at any temperature.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        float32 or float64; -inf is a pair that is never matched.
    temperature : float
        Above 0.
    tolerance : float
        Largest error of a row or column sum; 0 for as many iterations as max_iterations, or until
        another would change nothing.
    max_iterations : int
    newton : bool
        Whether Newton's method takes over; False for Sinkhorn's iterations and nothing else.

    Returns
    -------
    Sinkhorn
        Of arrays without the axis S.

    Raises
    ------
    ValueError
        If log_alpha holds NaN or +inf, or a row or column that must sum to 1 has only -inf.

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
    return _solve(
        log_alpha, temperature, 0.0, None, _NO_KEY, tolerance, max_iterations, newton, 0, 0
    )


def sinkhorn_vjp(
    log_alpha,
    cotangent,
    *,
    temperature=1.0,
    tolerance=1e-4,
    max_iterations=1000,
    newton=True,
    method="implicit",
):
    """Product of a cotangent with the Jacobian of `sinkhorn`.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
    cotangent : array, shape (*batch, N, M)
        Derivative of a loss with respect to the matrix.
    temperature, tolerance, max_iterations, newton
        As in the forward call.
    method : {"implicit", "unrolled"}
        "implicit" differentiates the equations that the limit satisfies, by one linear system;
        "unrolled" goes back through the iterations made, and needs newton=False.

    Returns
    -------
    array, shape (*batch, N, M)

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
    options = (tolerance, max_iterations, newton, method)
    return _product(log_alpha, cotangent, temperature, 0.0, _NO_KEY, *options, 0, 0)


def gumbel_sinkhorn(
    log_alpha,
    *,
    temperature,
    num_samples=None,
    rng,
    noise_scale=1.0,
    tolerance=1e-4,
    max_iterations=1000,
    newton=True,
    problem_offset=0,
    sample_offset=0,
):
    """Draw relaxed permutations: `sinkhorn` of log_alpha plus Gumbel noise.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
    temperature : float
    num_samples : int, optional
        S; None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
    noise_scale : float
        Factor of the noise; 0 leaves log_alpha as it is.
    tolerance, max_iterations, newton
        As in `sinkhorn`.
    problem_offset, sample_offset : int
        Where problems and samples stand in the whole: chunks join to what one call would give.

    Returns
    -------
    Sinkhorn

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
    options = (tolerance, max_iterations, newton, problem_offset, sample_offset)
    return _solve(log_alpha, temperature, noise_scale, num_samples, rng, *options)


def gumbel_sinkhorn_vjp(
    log_alpha,
    cotangent,
    *,
    temperature,
    rng,
    noise_scale=1.0,
    tolerance=1e-4,
    max_iterations=1000,
    newton=True,
    method="implicit",
    problem_offset=0,
    sample_offset=0,
):
    """Product of a cotangent with the Jacobian of `gumbel_sinkhorn`, summed over samples.

    The noise is drawn again from the key, never stored.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
    cotangent : array, shape (S, *batch, N, M) or (*batch, N, M)
    temperature, noise_scale, tolerance, max_iterations, newton, problem_offset, sample_offset
        As in the forward call.
    rng : int, SeedSequence or Key
        What the forward call was given; not a Generator, whose state has moved on.
    method : {"implicit", "unrolled"}
        As in `sinkhorn_vjp`.

    Returns
    -------
    array, shape (*batch, N, M)
    """
    key = replayed_key(rng)
    options = (tolerance, max_iterations, newton, method, problem_offset, sample_offset)
    return _product(log_alpha, cotangent, temperature, noise_scale, key, *options)


def _limits(problem, temperature, tolerance, max_iterations, newton):
    """Return what bounds the iterations, as kernels take it."""
    scale = _validate.scale(problem.logits.dtype, temperature)
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
    w = w.reshape(count, -1, *problem.shape)
    w = _validate.frozen(np.ascontiguousarray(w.swapaxes(-1, -2) if problem.transposed else w))
    where = address(problem, noise_scale, key, problem_offset, sample_offset, count)
    limits = _limits(problem, temperature, tolerance, max_iterations, newton)
    out = np.empty(w.shape, dtype)
    _kernels.vjp(problem.logits, w, *where, limits, method == "implicit", out)
    return restored(out.sum(axis=0, keepdims=True), problem, ())
