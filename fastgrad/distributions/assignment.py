"""Assignments: which row goes to which column, at the largest sum of entries."""

from __future__ import annotations

import concurrent.futures
import itertools
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import Array, ArrayLike, FloatArray, IntArray
from fastgrad.kernels.distributions import sinkhorn_batch as _kernels
from fastgrad.random import RNG, as_key
from fastgrad.threads import get_num_threads

__all__ = ["gumbel_matching", "matching"]

SERIAL = 1 << 14  # entries below which handing out work costs more than it saves


class Problem(NamedTuple):
    """Checked problems with no more rows than columns: logits (B, n, m), n <= m.

    `batch` and `shape` are those of the user's array, whose problems were transposed or not.
    """

    logits: np.ndarray
    batch: tuple[int, ...]
    shape: tuple[int, int]
    transposed: bool


def canonical(log_alpha: ArrayLike) -> Problem:
    """Return the checked problems of a user's (*batch, N, M) array."""
    x = _validate.real_array(log_alpha, "log_alpha")
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"log_alpha must have shape (*batch, N, M) with N, M >= 1, got {x.shape}")
    batch, shape = x.shape[:-2], x.shape[-2:]
    logits, transposed = x.reshape(-1, *shape), shape[0] > shape[1]
    _validate.check_logits(logits.reshape(-1), "log_alpha", x.shape)
    for axis, lines in ((2, "row"), (1, "column")):
        if shape[2 - axis] <= shape[axis - 1]:  # these are all to be matched
            empty = np.argwhere(np.isneginf(logits.max(axis=axis)))
            if len(empty):
                problem, line = empty[0].tolist()
                raise ValueError(f"log_alpha has only -inf in {lines} {line} of problem {problem}")
    if transposed:
        logits = _validate.frozen(np.ascontiguousarray(logits.swapaxes(1, 2)))
    return Problem(logits, batch, shape, transposed)


def in_range(x: Any, scales: Any, power: int, name: str) -> None:
    """Refuse scores (B, n, m) that, divided by temperatures, are above 2**power in size."""
    if x.size and max(-float(x.min()), float(x.max())) <= 2.0**power / float(scales.max()):
        return  # nearly always, and told in a fraction of the time
    low = x.min(axis=(1, 2), where=x > -np.inf, initial=0)
    most = np.maximum(x.max(axis=(1, 2)), -low).astype(np.float64)
    beyond = np.flatnonzero(most > 2.0**power / scales.astype(np.float64))
    if beyond.size:
        worst, which = float(most[beyond[0]]), int(beyond[0])
        heat = 1 / float(np.broadcast_to(scales, len(x))[which])
        raise ValueError(
            f"{name} / temperature must be from -2**{power} to 2**{power}, or -inf, "
            f"got {worst:g} / {heat:g} in size in problem {which}"
        )


def restored(x: Array, problem: Problem, lead: tuple[int, ...]) -> Array:
    """Return results (S, B, n, m) in the user's shape, with the leading axes `lead`."""
    x = np.ascontiguousarray(x.swapaxes(-1, -2)) if problem.transposed else x
    return x.reshape(*lead, *problem.batch, *problem.shape)


def address(
    problem: Problem,
    noise_scale: float,
    rng: RNG,
    problem_offset: int,
    sample_offset: int,
    count: int,
) -> tuple[Any, Any]:
    """Return how and where to draw noise, as kernels take it."""
    dtype, scale = problem.logits.dtype, _validate.not_negative(noise_scale, "noise_scale")
    scale = dtype.type(_validate.held(scale, "noise_scale", dtype))
    offsets = _validate.offsets(problem_offset, sample_offset, count, "problem_offset")
    first, sample = offsets
    return (as_key(rng).kernel_words, sample, first), scale


def matching(log_alpha: ArrayLike) -> IntArray:
    """Find the permutations with the largest sums of entries.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        Score of each pair of a row and a column, float32 or float64; -inf is a pair that is never
        matched.

    Returns
    -------
    array of int32, shape (*batch, N)
        Column of each row; -1 for a row without one, of which there are N - M where N > M.

    Raises
    ------
    ValueError
        If log_alpha holds NaN or +inf, or its entries above -inf admit no matching; the message
        names the problem.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.permutation.matching(np.array([[5.0, 4.0], [4.0, 0.0]]))
    array([1, 0], dtype=int32)

    References
    ----------
    Crouse, "On implementing 2D rectangular assignment algorithms", 2016 (SciPy's solver, here on
    as many threads as kernels use).
    """
    if type(log_alpha) is not ndarray and foreign(log_alpha):
        return in_kind(matching, log_alpha, locals())
    problem = canonical(log_alpha)
    return best_assignments(problem.logits[None], problem)[0]


def gumbel_matching(
    log_alpha: ArrayLike,
    *,
    num_samples: int | None = None,
    rng: RNG,
    noise_scale: float = 1.0,
    problem_offset: int = 0,
    sample_offset: int = 0,
) -> IntArray:
    """Draw permutations: `matching` of log_alpha plus Gumbel noise.

    Under the same key it has the noise of `gumbel_sinkhorn`, and is its limit at temperature 0.

    Parameters
    ----------
    log_alpha : array, shape (*batch, N, M)
        Score of each pair, float32 or float64; -inf is a pair that is never matched.
    num_samples, rng, noise_scale, problem_offset, sample_offset
        As in `gumbel_sinkhorn`.

    Returns
    -------
    array of int32, shape (S, *batch, N), or (*batch, N) without num_samples
        Column of each row, as in `matching`.

    Raises
    ------
    ValueError
        As in `matching`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.permutation.gumbel_matching(np.eye(3) * 50, num_samples=2, rng=0)
    array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    if type(log_alpha) is not ndarray and foreign(log_alpha):
        return in_kind(gumbel_matching, log_alpha, locals())
    problem = canonical(log_alpha)
    count, lead = _validate.samples(num_samples)
    where = address(problem, noise_scale, rng, problem_offset, sample_offset, count)
    noisy = np.empty((count, *problem.logits.shape), problem.logits.dtype)
    _kernels.perturb(problem.logits, *where, noisy)
    z = best_assignments(noisy, problem)
    return z if lead else z[0]


def best_assignments(x: FloatArray, problem: Problem) -> IntArray:
    """Return the column of each row, (S, *batch, N), for problems x, (S, B, n, m)."""
    flat = x.reshape(-1, *x.shape[2:])
    parts = 1 if flat.size < SERIAL else min(get_num_threads(), len(flat))
    found = np.empty((len(flat), flat.shape[1]), np.int32)
    bounds = [i * len(flat) // parts for i in range(parts + 1)]
    if parts == 1:
        _solve(flat, found, len(problem.logits), 0, len(flat))
    else:
        with concurrent.futures.ThreadPoolExecutor(parts) as pool:
            work = [
                pool.submit(_solve, flat, found, len(problem.logits), begin, end)
                for begin, end in itertools.pairwise(bounds)
            ]
            for part in work:
                part.result()
    if problem.transposed:
        rows = np.full((len(flat), problem.shape[0]), -1, np.int32)
        np.put_along_axis(rows, found, np.arange(found.shape[1], dtype=np.int32)[None], axis=1)
        found = rows
    return found.reshape(x.shape[0], *problem.batch, problem.shape[0])


def require_matching(problem: Problem) -> None:
    """Refuse problems whose masks admit no matching: no scaling of them has sums of 1."""
    masked = np.isneginf(problem.logits)
    if masked.any():
        pairs = np.where(masked, problem.logits, problem.logits.dtype.type(0))
        best_assignments(pairs[None], problem)


def _solve(flat, found, batch, begin, end):
    """Assign problems begin to end."""
    from scipy.optimize import linear_sum_assignment  # takes longer to import than all the rest

    for i in range(begin, end):
        try:
            found[i] = linear_sum_assignment(flat[i], maximize=True)[1]
        except ValueError:
            raise ValueError(
                f"log_alpha admits no matching in problem {i % batch}: "
                "too many of its entries are -inf"
            ) from None
