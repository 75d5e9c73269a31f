"""The state of estimators that learn from call to call: arrays with one entry for each cell.

A cell is the group of variables that one value of f concerns. The arrays have the axes of the
values of f, and an axis of length 1 for each axis of variables that a value concerns, so that they
broadcast against the logits. So the state of one problem also serves copies of it side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray
from fastgrad.estimators.draws import last_state, remembered
from fastgrad.kernels import optim

MOMENTS, DECAYS = ("first_moment", "second_moment"), (0.9, 0.999)  # of Adam
ONE: FloatArray = np.ones(1)
# In place of its epsilon, and the largest gradient. Below the one squares underflow, and steps must
# not grow; above the other they overflow.
LIMITS: dict[np.dtype[Any], tuple[float, float]] = {
    np.dtype(np.float64): (1e-154, 1e154),
    np.dtype(np.float32): (1e-21, 1e19),
}


def cell_shape(value: Array, batch: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an array with one entry for each cell, for values (S, *examples)."""
    return value.shape[1:] + (1,) * (len(batch) + 1 - value.ndim)


def expand(signal: Array, batch: tuple[int, ...]) -> FloatArray:
    """Return a float64 copy of values (S, *examples) with as many axes as (S, *batch) has."""
    return np.array(signal, np.float64).reshape(len(signal), *cell_shape(signal, batch))


def recall(state: dict[str, Any] | None, name: str, shape: tuple[int, ...], initial: Any) -> Any:
    """Return an array of the state, or of the initial value if it is None, broadcast to a shape."""
    if state is None:
        return np.broadcast_to(initial, shape)
    if name not in last_state(state):
        raise ValueError(f"state must be that of this estimator: it has no {name!r}")
    kept = remembered(state, name)
    try:
        # Broadcasting to the shape that an array has takes as long as a small kernel.
        return kept if kept.shape == shape else np.broadcast_to(kept, shape)
    except ValueError:
        wrong = f"state[{name!r}] must fit the shape {shape}, got {kept.shape}"
        raise ValueError(wrong) from None


def adam_step(
    x: FloatArray,
    slopes: FloatArray,
    state: dict[str, Any] | None,
    learning_rate: float,
    unit: FloatArray = ONE,
) -> tuple[FloatArray, dict[str, Any]]:
    """Take a step of Adam; return x and the state: both moments and the number of steps.

    The gradient is the sum of slopes, (C, *x.shape), times the unit, (M,), of each of the M cells
    of which x consists, one after the other. There is no epsilon: the step does not depend on the
    unit of the gradient, and is 0 where all gradients have been 0. x and both moments are of the
    type of the slopes.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """
    past, real = (recall(state, name, x.shape, 0.0) for name in MOMENTS), slopes.dtype
    steps = recall(state, "steps", (), 0) + 1
    arrays = (_validate.real_array(np.asarray(a, real), "x") for a in (x, *past))
    flat, *moments = (a.reshape(-1) for a in arrays)
    new = [np.empty(x.size, real) for _ in range(3)]
    g = _validate.real_array(slopes, "slopes").reshape(len(slopes), x.size)
    (decay, slow), (least, most) = DECAYS, LIMITS[real]
    rate, scale = learning_rate / (1 - decay**steps), (1 - slow**steps) ** -0.5
    mixes = ((real.type(a), real.type(1 - a)) for a in (decay, slow))
    how = *mixes, *map(real.type, (rate, scale, least))
    optim.adam_of_cells(flat, g, _validate.frozen(unit), most, *moments, how, *new)
    x, *moments = (a.reshape(x.shape) for a in new)
    return x, dict(zip(MOMENTS, moments)) | {"steps": steps}
