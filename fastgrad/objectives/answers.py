"""What f returned, checked before an estimate is made of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, Shape
from fastgrad.kernels.tiles import check as _check


class Values(NamedTuple):
    """Values of f, shape (S, *examples), and credit, shape (S, *batch), or None."""

    value: FloatArray
    credit: FloatArray | None

    @property
    def signal(self) -> FloatArray:
        """The part of f that concerns each variable: its credit where there is one, else f."""
        return self.value if self.credit is None else self.credit


def checked_values(
    answer: Any, shape: Shape, dtype: Any, offset: int, masked: bool = False
) -> Values:
    """Check what f returned for samples of this shape, (S, *batch), and estimates of a dtype."""
    value, credit = answer, None
    if isinstance(answer, tuple):
        if len(answer) != 2:
            raise ValueError(f"f must return values or (values, credit), got {len(answer)} results")
        value, credit = answer
    value = _validate.real_array(value, "the value of f")
    if value.ndim == 0 or value.shape != shape[: value.ndim]:
        raise ValueError(
            f"f must return values whose shape is a leading part of (S, *batch) = {shape}, "
            f"got {value.shape}"
        )
    finite(value, "f", dtype, offset, masked)
    if credit is not None:
        credit = _validate.real_array(credit, "credit")
        finite(_validate.like(credit, shape, credit.dtype, "credit"), "credit", dtype, offset)
    return tuple.__new__(Values, (value, credit))  # as Values(...), in one step


def finite(x: FloatArray, name: str, dtype: Any, offset: int, masked: bool = False) -> FloatArray:
    """Return x, (S, ...), if it is finite in a dtype (or, if masked, -inf); else say where not."""
    near = _validate.narrowed(x, dtype) if x.itemsize > dtype.itemsize else x
    worst = _check.worst(near if near.ndim == 1 else near.reshape(-1))
    if worst != _check.FINE and not (masked and worst == _check.MASKED):
        bad = ~(near < np.inf) if masked else ~np.isfinite(near)
        sample, *rest = (int(i) for i in np.argwhere(bad)[0])
        where = f" at {tuple(rest)}" if rest else ""
        value, rule = x[(sample, *rest)], "below infinity" if masked else "finite"
        rule += f" in {dtype}" if np.isfinite(value) else ""
        raise ValueError(f"{name} must be {rule}, got {value} for sample {sample + offset}{where}")
    return x
