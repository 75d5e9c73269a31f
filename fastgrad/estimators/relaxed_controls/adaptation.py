"""What estimators that learn as they go remember: arrays with an entry for each cell.

A cell is what one value of f covers. Its entry stands where the value does, with an axis of length
1 for each axis of variables that the value covers, so that it broadcasts against the logits: the
state of one problem serves copies of it, side by side, too.
"""

import numpy as np

from fastgrad import _validate
from fastgrad.kernels import optim

MOMENTS, DECAYS = ("first_moment", "second_moment"), (0.9, 0.999)  # of Adam
TINY = 1e-154  # in place of its epsilon: below it, squares underflow and steps must not grow


def cell_shape(value, batch):
    """Return the shape of one entry for each cell, for values (S, *examples)."""
    return value.shape[1:] + (1,) * (len(batch) + 1 - value.ndim)


def expand(signal, batch):
    """Return values (S, *examples) as float64 with an axis for each of the batch, never a view."""
    return np.array(signal, np.float64).reshape(len(signal), *cell_shape(signal, batch))


def recall(state, name, shape, initial):
    """Return what the state holds by this name, or the initial value, broadcast to a shape."""
    if state is None:
        return np.broadcast_to(initial, shape)
    try:
        kept = state[name]
        # Broadcasting to the shape that an array has takes as long as a small kernel.
        return kept if np.shape(kept) == shape else np.broadcast_to(kept, shape)
    except KeyError:
        raise ValueError(f"state must be that of this estimator: it has no {name!r}") from None
    except ValueError:
        raise ValueError(
            f"state[{name!r}] must fit the shape {shape}, got {np.shape(state[name])}"
        ) from None


def descend(x, gradient, state, learning_rate):
    """Take a step of Adam; return x and the state: both moments and the number of steps.

    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, but with no epsilon: the
    step is the same in any unit, and 0 where all gradients have been.
    """
    past = (recall(state, name, x.shape, 0.0) for name in MOMENTS)
    steps = recall(state, "steps", (), 0) + 1
    arrays = [_validate.real_array(np.asarray(a, np.float64), "x") for a in (x, gradient, *past)]
    flat, new = [a.reshape(-1) for a in arrays], [np.empty(x.size) for _ in range(3)]
    decay, slow = DECAYS
    rate, scale = learning_rate / (1 - decay**steps), (1 - slow**steps) ** -0.5
    keep = (decay, 1 - decay), (slow, 1 - slow)
    optim.adam(*flat, *keep, float(rate), float(scale), TINY, *new)
    x, *moments = (a.reshape(x.shape) for a in new)
    return x, dict(zip(MOMENTS, moments)) | {"steps": steps}
