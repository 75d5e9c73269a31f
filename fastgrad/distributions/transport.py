"""Optimal transport with entropy: plans between masses that are given, or only aimed at.

`sinkhorn` computes plans, `sinkhorn_vjp` carries gradients back through them. Rows and columns of
no mass are left out of a problem, so that problems of different sizes share a batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import Array, ArrayLike, FloatArray, IntArray
from fastgrad.distributions.assignment import in_range
from fastgrad.kernels.distributions import transport as _kernels

#: Powers of 2 that bound scores over temperatures: beyond, sums and squares overflow.
MOST: dict[np.dtype[Any], int] = {np.dtype(np.float32): 96, np.dtype(np.float64): 768}

__all__ = ["Transport", "TransportGradient", "sinkhorn", "sinkhorn_vjp"]


class Transport(NamedTuple):
    """Plans of transport, their value, and how exact they are.

    Attributes
    ----------
    matrix : array, shape (*batch, N, M)
        Mass that each row sends to each column, in the dtype of the scores.
    value : array of float64, shape (*batch)
        The largest value of the objective, whose gradient with respect to the scores is `matrix`.
    row_potentials, column_potentials : array, shapes (*batch, N) and (*batch, M)
        f and g of ``matrix = exp((scores - f - g) / temperature)``; 0 where there is no mass. Those
        of columns are a warm start for a similar problem.
    error : array of float64, shape (*batch)
        Largest amount by which a row or column sum misses what it should be, as a part of the mean
        of these: above the tolerance where max_iterations did not suffice.
    iterations : array of int32, shape (*batch)
        Number of iterations.
    """

    matrix: FloatArray
    value: FloatArray
    row_potentials: FloatArray
    column_potentials: FloatArray
    error: FloatArray
    iterations: IntArray


class TransportGradient(NamedTuple):
    """Products of a cotangent with the Jacobians of a plan by what it was made of.

    Attributes
    ----------
    scores : array, shape (*batch, N, M)
    rows : array, shape (*batch, N)
    columns : array, shape (*batch, M)
        In the dtype of the scores. Where both masses are given, their sums must be the same, and
        the gradients by them are defined up to a constant, added to one and taken from the other.
    """

    scores: FloatArray
    rows: FloatArray
    columns: FloatArray


class Problem(NamedTuple):
    """Checked problems: scores (B, N, M), and what else kernels take."""

    scores: Any
    scales: Any
    masses: tuple[Any, Any]
    log_masses: tuple[Any, Any]
    rates: Any
    batch: tuple[int, ...]


def sinkhorn(
    scores: ArrayLike,
    rows: ArrayLike | None = None,
    columns: ArrayLike | None = None,
    *,
    temperature: ArrayLike = 1.0,
    row_penalty: float = np.inf,
    column_penalty: float = np.inf,
    start: ArrayLike | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
) -> Transport:
    """Find the plans of transport with the largest score, entropy included.

    Of all matrices P that are not negative, with row sums r and column sums c, a plan maximises

        <P, scores> + temperature H(P) - row_penalty KL(r, rows) - column_penalty KL(c, columns),

    where ``H(P) = -sum P (log P - 1)`` and ``KL(r, a) = sum r log(r / a) - r + a``. An infinite
    penalty holds the sums to the masses.

    Parameters
    ----------
    scores : array, shape (*batch, N, M)
        Score of each pair, minus its cost, float32 or float64; no mass is sent where it is -inf.
    rows, columns : array, shapes (*batch, N) and (*batch, M), optional
        Masses, or what they should be; they broadcast to these shapes. By default they are equal,
        of sum 1. Rows and columns of mass 0 are left out, whatever their scores: so smaller
        problems are padded to the size of a batch.
    temperature : float or array
        Weight of the entropy, from 2**-60 to 2**60: one for all problems, or an array that
        broadcasts to the batch shape.
    row_penalty, column_penalty : float
        Weights of the divergences, above 0.
    start : array, shape (*batch, M), optional
        Column potentials to start from: those of an earlier result, also at another temperature.
        By default 0.
    tolerance : float
        Largest error of a row or column sum, as a part of the mean of these, at which the
        iterations end.
    max_iterations : int
        Largest number of iterations, at least 1. Where temperatures are low beside the scores, and
        penalties high, thousands may be needed: fewer, where the potentials of a higher temperature
        are the start.

    Returns
    -------
    Transport
        Named tuple of `matrix`, `value`, `row_potentials`, `column_potentials`, `error` and
        `iterations`.

    Raises
    ------
    ValueError
        If the scores hold NaN or +inf; if a mass is negative or not finite, or all masses of a
        problem are 0; if both penalties are infinite, and the masses differ in sum; if a row or
        column with mass has only scores of -inf.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> scores = np.array([[0.0, -1.0], [-1.0, 0.0]])
    >>> fg.transport.sinkhorn(scores, [0.5, 0.5], [0.7, 0.3]).matrix.round(3)
    array([[0.443, 0.057],
           [0.257, 0.243]])

    A row that costs too much to reach is left out, for a penalty:

    >>> far = fg.transport.sinkhorn([[0.0], [-9.0]], row_penalty=1.0, column_penalty=1.0)
    >>> far.matrix.round(3)
    array([[0.791],
           [0.009]])

    References
    ----------
    Cuturi, "Sinkhorn distances", NeurIPS 2013. Chizat, Peyre, Schmitzer and Vialard, "Scaling
    algorithms for unbalanced optimal transport problems", Mathematics of Computation 2018.
    Sejourne, Vialard and Peyre, "Faster unbalanced optimal transport: translation invariant
    Sinkhorn and 1-D Frank-Wolfe", AISTATS 2022.
    """
    if type(scores) is not ndarray and foreign(scores):
        return in_kind(sinkhorn, scores, locals())
    problem = _problem(scores, rows, columns, temperature, row_penalty, column_penalty)
    return _solved(problem, start, tolerance, max_iterations)


def sinkhorn_vjp(
    scores: ArrayLike,
    cotangent: ArrayLike,
    rows: ArrayLike | None = None,
    columns: ArrayLike | None = None,
    *,
    temperature: ArrayLike = 1.0,
    row_penalty: float = np.inf,
    column_penalty: float = np.inf,
    start: ArrayLike | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
) -> TransportGradient:
    """Multiply a cotangent with the Jacobians of the plan of `sinkhorn`.

    They are those of the equations that the converged plan satisfies: one linear system, however
    many iterations were made. With the column potentials of the forward call as `start`, it makes
    one or two.

    Parameters
    ----------
    scores, rows, columns
        As in the forward call.
    cotangent : array, shape (*batch, N, M)
        Derivative of a loss with respect to the plan.
    temperature, row_penalty, column_penalty, start, tolerance, max_iterations
        As in the forward call.

    Returns
    -------
    TransportGradient
        Named tuple of `scores`, `rows` and `columns`: the gradients by each of them, 0 where there
        is no mass.

    Raises
    ------
    ValueError
        As in `sinkhorn`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> scores = np.array([[0.0, -1.0], [-1.0, 0.0]])
    >>> grad = fg.transport.sinkhorn_vjp(scores, np.array([[1.0, 0.0], [0.0, 0.0]]))
    >>> grad.scores.round(4)
    array([[ 0.0492, -0.0492],
           [-0.0492,  0.0492]])

    References
    ----------
    Luise et al., "Differential properties of Sinkhorn approximation", NeurIPS 2018.
    """
    if type(scores) is not ndarray and foreign(scores):
        return in_kind(sinkhorn_vjp, scores, locals())
    problem = _problem(scores, rows, columns, temperature, row_penalty, column_penalty)
    dtype, batch = problem.scores.dtype, problem.batch
    b, n, m = problem.scores.shape
    w = _validate.like(cotangent, (*batch, n, m), np.dtype(np.float64), "cotangent", (b, n, m))
    plan = _solved(problem, start, tolerance, max_iterations).matrix.reshape(b, n, m)
    plan, rates = _validate.frozen(plan.astype(np.float64)), problem.rates.astype(np.float64)
    grad, by_rows, by_columns = np.empty((b, n, m)), np.empty((b, n)), np.empty((b, m))
    _kernels.vjp(plan, w, _validate.frozen(rates), grad, by_rows, by_columns)
    grad *= problem.scales.astype(np.float64)[:, None, None]
    masses = (mass.astype(np.float64) for mass in problem.masses)
    by_rows, by_columns = (
        np.divide(x, mass, out=np.zeros(x.shape), where=mass > 0)
        for x, mass in zip((by_rows, by_columns), masses)
    )
    shapes = (*batch, n, m), (*batch, n), (*batch, m)
    parts = (grad, by_rows, by_columns)
    return TransportGradient(*(x.astype(dtype).reshape(s) for x, s in zip(parts, shapes)))


def _solved(problem: Problem, start: Any, tolerance: float, max_iterations: int) -> Transport:
    """Return the plans of checked problems."""
    (b, n, m), dtype, batch = problem.scores.shape, problem.scores.dtype, problem.batch
    if start is None:
        g = _validate.frozen(np.zeros((b, m), dtype))
    else:
        g = _validate.like(start, (*batch, m), dtype, "start", (b, m))
        _validate.finite(g, "start")
        in_range(g[:, None], problem.scales, MOST[dtype], "start")
    tolerance = _validate.not_negative(tolerance, "tolerance")
    limits = tolerance, _validate.integer(max_iterations, "max_iterations", 1)
    out, potentials = np.empty((b, n, m), dtype), (np.empty((b, n), dtype), np.empty((b, m), dtype))
    told = np.empty(b), np.empty(b, np.int32)
    given = problem.scores, problem.scales, problem.log_masses, g, problem.rates, limits
    _kernels.solve(*given, out, potentials, told)
    temperature = 1 / problem.scales.astype(np.float64)
    value = out.sum(axis=(1, 2), dtype=np.float64)
    for mass, potential, rate in zip(problem.masses, potentials, problem.rates.T):
        rate, f = rate.astype(np.float64)[:, None], potential.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            worth = np.where(rate > 0, np.expm1(rate * f) / rate, f)
        value += (mass * worth).sum(axis=1)
        potential *= temperature[:, None].astype(dtype)
    f, g = potentials
    return Transport(
        out.reshape(*batch, n, m),
        (value * temperature).reshape(batch),
        f.reshape(*batch, n),
        g.reshape(*batch, m),
        told[0].reshape(batch),
        told[1].reshape(batch),
    )


def _problem(
    scores: Any, rows: Any, columns: Any, temperature: Any, row_penalty: Any, column_penalty: Any
) -> Problem:
    """Return the checked problems of a user's arrays."""
    x = _validate.real_array(scores, "scores")
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"scores must have shape (*batch, N, M) with N, M >= 1, got {x.shape}")
    batch, dtype = x.shape[:-2], x.dtype
    flat = x.reshape(-1, *x.shape[-2:])
    _validate.check_logits(flat.reshape(-1), "scores", x.shape)
    penalties = [_penalty(row_penalty, "row_penalty"), _penalty(column_penalty, "column_penalty")]
    a = _masses(rows, "rows", batch, x.shape[-2], dtype)
    b = _masses(columns, "columns", batch, x.shape[-1], dtype)
    if max(1 / p for p in penalties) == 0 and flat.size:
        sums = [mass.sum(axis=1, dtype=np.float64) for mass in (a, b)]
        apart = abs(sums[0] - sums[1]) > 1e3 * np.finfo(dtype).eps * sums[0]
        if apart.any():
            which = int(apart.argmax())
            raise ValueError(
                "rows and columns must have the same sum, or a penalty, got "
                f"{sums[0][which]:g} and {sums[1][which]:g} in problem {which}"
            )
    if np.isneginf(flat).any():
        _require_reach(flat, a, b)
    scales = _validate.row_scales(dtype, temperature, batch)
    in_range(flat, scales, MOST[dtype], "scores")
    rates = _rates(penalties, scales)
    with np.errstate(divide="ignore"):
        logs = _validate.frozen(np.log(a)), _validate.frozen(np.log(b))
    return Problem(flat, scales, (a, b), logs, rates, batch)


def _penalty(value: Any, name: str) -> float:
    """Return a penalty as a float: above 0, and maybe infinite."""
    if type(value) is float and value == np.inf:
        return value
    return _validate.positive(value, name)


def _rates(penalties: list[float], scales: Array) -> Array:
    """Return temperatures over penalties, (B, 2)."""
    with np.errstate(over="ignore", divide="ignore"):
        rates = np.array([1 / (p * scales.astype(np.float64)) for p in penalties], scales.dtype)
    if not np.isfinite(rates).all():
        which = int(np.isinf(rates).any(axis=1).argmax())
        rule = f"{('row_penalty', 'column_penalty')[which]} must be larger beside the temperature"
        raise ValueError(f"{rule} for {scales.dtype}, got {penalties[which]:g}")
    return _validate.frozen(np.ascontiguousarray(rates.T.reshape(-1, 2)))


def _masses(given: Any, name: str, batch: tuple[int, ...], n: int, dtype: Any) -> Array:
    """Return checked masses, (B, n), by default of equal parts of 1."""
    if given is None:
        return np.full((int(np.prod(batch)), n), 1 / n, dtype)
    x = _validate.real_array(given, name)
    _validate.finite(x, name)
    _validate.held(float(x.max(initial=0)), name, dtype, max(1, n))
    try:
        full = np.broadcast_to(x, (*batch, n)).reshape(-1, n).astype(dtype, order="C")
    except ValueError:
        found = f"{(*batch, n)}, got shape {x.shape}"
        raise ValueError(f"{name} must broadcast to shape {found}") from None
    if (full < 0).any():
        raise ValueError(f"{name} must be at least 0, got {full.min()}")
    empty = ~full.any(axis=1)
    if empty.any():
        raise ValueError(f"{name} must not all be 0, got that in problem {int(empty.argmax())}")
    return full


def _require_reach(x: Any, a: Array, b: Array) -> None:
    """Refuse a row or column with mass of whose scores none is above -inf where there is mass."""
    fine = (x > -np.inf) & (a > 0)[:, :, None] & (b > 0)[:, None]
    for axis, mass, line in ((2, a, "row"), (1, b, "column")):
        alone = np.argwhere(~fine.any(axis=axis) & (mass > 0))
        if len(alone):
            problem, which = alone[0].tolist()
            raise ValueError(f"scores has only -inf in {line} {which} of problem {problem}")
