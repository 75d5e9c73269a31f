"""What estimators that learn as they go remember: arrays with an entry for each cell.

A cell is what one value of f covers. Its entry stands where the value does, with an axis of length
1 for each axis of variables that the value covers, so that it broadcasts against the logits: the
state of one problem serves copies of it, side by side, too.
"""

import numpy as np

DECAYS = 0.9, 0.999  # of Adam's two moments


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
        return np.broadcast_to(state[name], shape)
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
    one = recall(state, "first_moment", x.shape, 0.0)
    two = recall(state, "second_moment", x.shape, 0.0)
    steps = recall(state, "steps", (), 0) + 1
    decay, slow = DECAYS
    one = decay * one + (1 - decay) * gradient
    two = slow * two + (1 - slow) * gradient**2
    root = np.sqrt(two / (1 - slow**steps))
    step = np.divide(one / (1 - decay**steps), root, out=np.zeros(x.shape), where=root > 0)
    moments = {"first_moment": one, "second_moment": two, "steps": steps}
    return x - learning_rate * step, moments
