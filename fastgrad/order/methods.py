"""The methods that relax order statistics, and how a function of this room runs one.

Each takes O(n log n) for a row of n values, of which the logarithm is that of sorting.

- "quadratic": the projection onto a permutahedron, the polytope of all permutations of given
  weights, with a quadratic regularisation (Blondel et al. 2020). Piecewise linear; exact where the
  temperature is small, but not 0.
- "entropic": the same with an entropic regularisation. Smooth between changes of the order.
- "laplace": LapSum (Struski et al. 2025), sums of Laplace distribution functions. Smooth everywhere
  but at ties.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.kernels.order import sorting as _sorting
from fastgrad.kernels.order import sorting_isotonic as _isotonic
from fastgrad.kernels.order import sorting_lapsum as _lapsum
from fastgrad.kernels.order.sorting import RANK, SORT, TOP_K

__all__ = ["METHODS", "RANK", "SORT", "TOP_K", "Method", "Task", "product", "relaxed", "task"]

Method: TypeAlias = Literal["quadratic", "entropic", "laplace"]
METHODS = ("quadratic", "entropic", "laplace")
LARGEST = 2.0**900  # of values in float64: their differences over any temperature stay finite


class Task(NamedTuple):
    """What is asked, of which rows, and how: all of it checked.

    Attributes
    ----------
    rows : array, shape (N, n)
        The values.
    batch : tuple of int
        The shape of what N counts.
    kind : int
        RANK, TOP_K or SORT.
    k : int
        Of TOP_K: how many.
    descending : bool
        Of RANK and SORT: from the largest down.
    method : str
        One of METHODS.
    scale : float
        The inverse of the temperature.
    """

    rows: FloatArray
    batch: tuple[int, ...]
    kind: int
    k: int
    descending: bool
    method: Method
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values as they were given."""
        return (*self.batch, self.rows.shape[1])


def task(
    values: ArrayLike,
    kind: int,
    method: str,
    temperature: float,
    *,
    k: int = 1,
    descending: bool = False,
) -> Task:
    """Check what a function was given, and return it as a Task."""
    known = _validate.named(method, "method", METHODS)
    scale = 1.0 / _validate.temperature(temperature)
    rows, batch = _validate.rows(values, "values")
    if rows.dtype == np.float64 and rows.size:
        low = rows.min(where=rows > -np.inf, initial=0)
        if max(rows.max(), -low) > LARGEST:
            raise ValueError("values must be from -2**900 to 2**900, or -inf")
    return Task(rows, batch, kind, k, bool(descending), known, scale)


def relaxed(given: Task, hard: bool) -> FloatArray:
    """Return the relaxed or hard order statistics of a task."""
    out = np.empty(given.shape, given.rows.dtype)
    flat = out.reshape(given.rows.shape)
    if hard:
        sign = 1.0 if given.descending or given.kind == TOP_K else -1.0
        _sorting.hard(given.rows, given.kind, sign, given.k, flat)
    elif given.method == "laplace":
        _lapsum.lapsum(given.rows, *_where(given), flat)
    else:
        entropic = given.method == "entropic"
        _isotonic.isotonic(given.rows, *_where(given), entropic, flat)
    return out


def product(given: Task, cotangent: ArrayLike) -> FloatArray:
    """Return the product of cotangents with the Jacobian of the relaxed order statistics."""
    rows = given.rows
    r = _validate.like(cotangent, given.shape, rows.dtype, "cotangent", rows.shape)
    grad = np.empty(given.shape, rows.dtype)
    flat = grad.reshape(rows.shape)
    if given.method == "laplace":
        _lapsum.lapsum_vjp(rows, r, *_where(given), flat)
    else:
        entropic = given.method == "entropic"
        _isotonic.isotonic_vjp(rows, r, *_where(given), entropic, flat)
    return grad


def _where(given):
    """Return what kernels take: task, sign, k and scale.

    They work from the largest down: ranks that descend and sorts that ascend are those of -values.
    """
    falls = given.descending if given.kind == RANK else not given.descending
    sign = -1.0 if falls and given.kind != TOP_K else 1.0
    return given.kind, sign, given.k, given.scale
