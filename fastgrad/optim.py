"""Optimisers of arrays, and of dictionaries of arrays: pure functions of all that they change.

An optimiser is a value that holds its options; what it remembers goes from step to step as
`state`, plain arrays. For a learning rate that changes, take ``dataclasses.replace``.
"""

from __future__ import annotations

import dataclasses
import numbers

import numpy as np

from fastgrad import _validate
from fastgrad.kernels import optim as _kernels
from fastgrad.kernels.tiles import check as _check

__all__ = ["SGD", "Adam"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGD:
    """Gradient descent, with momentum if wanted.

    The velocity is ``momentum * velocity + gradient``, at first the gradient, and the step
    ``-learning_rate * velocity``.

    Parameters
    ----------
    learning_rate : float
        Above 0.
    momentum : float
        From 0 to below 1.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> sgd, x, state = fg.optim.SGD(learning_rate=0.1), np.array([1.0, -2.0]), None
    >>> for _ in range(100):
    ...     x, state = sgd.update(x, 2 * x, state)  # of the sum of squares
    >>> np.abs(x).max() < 1e-9
    np.True_
    """

    learning_rate: float
    momentum: float = 0.0

    def __post_init__(self):
        _validate.positive(self.learning_rate, "learning_rate")
        _fraction(self.momentum, "momentum")

    def update(self, params, grads, state=None):
        """Take a step down the gradient.

        Parameters
        ----------
        params : array, or dict of arrays
            float32 or float64. Infinite ones, as masked logits are, stay as they are.
        grads : array, or dict of arrays
            Of the same shapes, finite.
        state : dict, optional
            That of the last step: the velocity, as the params.

        Returns
        -------
        params, state
            New ones, of the same shapes and dtypes.

        Raises
        ------
        ValueError
            If gradients are not finite, or shapes or names differ.
        """

        def step(p, g, velocity):
            real, new = p.dtype.type, [np.empty_like(p) for _ in range(2)]
            rates = real(self.momentum), real(self.learning_rate)
            _kernels.sgd(p, g, velocity, *rates, *new)
            return new

        return _update(params, grads, state, ("velocity",), step)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam: each element's step is its mean gradient over the root of its mean square.

    Parameters
    ----------
    learning_rate : float
        Above 0.
    beta1, beta2 : float
        Weights of the past in the running means of gradients and of their squares, from 0 to
        below 1.
    epsilon : float
        Above 0: added to the root of the mean square.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> adam, rloo = fg.optim.Adam(learning_rate=0.1), fg.estimator("rloo")
    >>> f = fg.objectives.separable([[0.45, 0.45]], weights=[[0.0, 1.0]])
    >>> logits, state = np.zeros((1, 2)), None
    >>> for i in range(200):
    ...     estimate = rloo(f, logits, num_samples=8, rng=i)
    ...     logits, state = adam.update(logits, estimate.grad, state)
    >>> logits.argmax()  # f is smaller at 0
    np.int64(0)

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self):
        for name in ("learning_rate", "epsilon"):
            _validate.positive(getattr(self, name), name)
        for name in ("beta1", "beta2"):
            _fraction(getattr(self, name), name)

    def update(self, params, grads, state=None):
        """Take a step: as in `SGD.update`; state holds the number of steps and the running means.

        Returns
        -------
        params, state
            New ones, of the same shapes and dtypes.
        """
        count = 1 if state is None else int(_entry(state, "step")) + 1
        rate = self.learning_rate / (1 - self.beta1**count)
        scale = (1 - self.beta2**count) ** -0.5

        def step(p, g, mean, square):
            real, new = p.dtype.type, [np.empty_like(p) for _ in range(3)]
            keep, keep_square = ((real(b), real(1 - b)) for b in (self.beta1, self.beta2))
            rates = real(rate), real(scale), real(self.epsilon)
            _kernels.adam(p, g, mean, square, keep, keep_square, *rates, *new)
            return new

        params, state = _update(params, grads, state, ("mean", "square"), step)
        return params, {"step": np.array(count), **state}


def _update(params, grads, state, names, step):
    """Put each array, its gradient and what the state has of it to a step; return what it makes."""
    if not isinstance(params, dict):
        old = None if state is None else {name: {"": _entry(state, name)} for name in names}
        params, new = _update({"": params}, {"": grads}, old, names, step)
        return params[""], {name: new[name][""] for name in names}
    if not isinstance(grads, dict) or grads.keys() != params.keys():
        given = sorted(grads) if isinstance(grads, dict) else grads
        raise ValueError(f"grads must have the names of params, {sorted(params)}, got {given}")
    pasts = [{} if state is None else _entry(state, name) for name in names]
    results = ({}, *({} for _ in names))
    for key, value in params.items():
        where = f"[{key!r}]" if key != "" else ""
        p = _validate.real_array(value, f"params{where}")
        g = _validate.like(grads[key], p.shape, p.dtype, f"grads{where}")
        if _check.worst(g.reshape(-1)) != _check.FINE:
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(g))[0])
            raise ValueError(f"grads{where} must be finite, got {g[place]} at index {place}")
        if state is None:
            old = [_validate.real_array(np.zeros_like(p), name) for name in names]
        else:
            old = [
                _validate.like(_entry(past, key), p.shape, p.dtype, f"state's {name}{where}")
                for past, name in zip(pasts, names)
            ]
        made = step(*(a.reshape(-1) for a in (p, g, *old)))
        for result, array in zip(results, made):
            result[key] = array.reshape(p.shape)
    return results[0], dict(zip(names, results[1:]))


def _entry(state, name):
    """Return what a state holds under a name."""
    if not isinstance(state, dict) or name not in state:
        raise ValueError(f"state must be that of the last update: it has no {name!r}")
    return state[name]


def _fraction(value, name):
    """Refuse what is not from 0 to below 1."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not 0 <= value < 1:
        raise ValueError(f"{name} must be from 0 to below 1, got {value!r}")
