"""Optimisers of arrays, and of dictionaries of arrays: pure functions of all that they change.

An optimiser is a value that holds its options; what it remembers goes from step to step as
`state`, plain arrays. For a learning rate that changes, take ``dataclasses.replace``.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import answered, foreign, ndarray
from fastgrad._typing import Array, ArrayLike
from fastgrad.kernels import optim as _kernels
from fastgrad.kernels.tiles import check as _check

__all__ = ["SGD", "Adam"]

Params = TypeVar("Params", Array, "dict[str, Array]")
State = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGD:
    """Gradient descent, optionally with momentum.

    The velocity is ``momentum * velocity + gradient``, at first the gradient itself, and the step
    is ``-learning_rate * velocity``.

    Parameters
    ----------
    learning_rate : float
        Factor of the step, above 0.
    momentum : float
        Weight of the earlier velocity, from 0 to below 1.

    Raises
    ------
    ValueError
        If an option is out of its range.

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

    def __post_init__(self) -> None:
        _validate.positive(self.learning_rate, "learning_rate")
        _validate.fraction(self.momentum, "momentum")

    def update(
        self,
        params: Params,
        grads: ArrayLike | dict[str, ArrayLike],
        state: State | None = None,
    ) -> tuple[Params, State]:
        """Take a step down the gradient.

        Parameters
        ----------
        params : array, or dict of arrays
            Parameters, float32 or float64. Infinite ones, as masked logits are, stay as they are.
        grads : array, or dict of arrays
            Gradients of the same names and shapes, finite.
        state : dict, optional
            State that the last update returned: the velocity of each parameter. None begins anew.

        Returns
        -------
        params : array, or dict of arrays
            New parameters of the same shapes, dtypes and kinds; those given are left as they are.
        state : dict
            State to pass to the next update.

        Raises
        ------
        ValueError
            If gradients are not finite, or so large that what the state has of them overflows its
            dtype; if shapes or names differ; if the learning rate is out of the dtype's range.

        Examples
        --------
        >>> import numpy as np, fastgrad as fg
        >>> x, state = fg.optim.SGD(learning_rate=0.5).update(np.ones(2), np.array([1.0, 0.0]))
        >>> x
        array([0.5, 1. ])
        """

        def step(p, g, velocity):
            real, new = p.dtype.type, [np.empty_like(p) for _ in range(2)]
            rates = real(self.momentum), _rate(self.learning_rate, p.dtype)
            _kernels.sgd(p, g, velocity, *rates, *new)
            return new

        return _update(params, grads, state, ("velocity",), step)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam: the step of each element is its mean gradient over the root of its mean square.

    Parameters
    ----------
    learning_rate : float
        Factor of the step, above 0.
    beta1, beta2 : float
        Weights of the past in the running means of gradients and of their squares, from 0 to
        below 1.
    epsilon : float
        Term added to the root of the mean square. Above 0, and at least the root of the smallest
        normal number of the parameters' dtype: 1.1e-19 in float32, 1.5e-154 in float64.

    Raises
    ------
    ValueError
        If an option is out of its range.

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

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epsilon"):
            _validate.positive(getattr(self, name), name)
        for name in ("beta1", "beta2"):
            _validate.fraction(getattr(self, name), name)

    def update(
        self,
        params: Params,
        grads: ArrayLike | dict[str, ArrayLike],
        state: State | None = None,
    ) -> tuple[Params, State]:
        """Take a step down the gradient.

        Parameters
        ----------
        params : array, or dict of arrays
            Parameters, float32 or float64. Infinite ones, as masked logits are, stay as they are.
        grads : array, or dict of arrays
            Gradients of the same names and shapes, finite. Their squares must be finite too: in
            float32, gradients are below 1.8e19.
        state : dict, optional
            State that the last update returned: the number of steps and the running means of each
            parameter's gradients and squares. None begins anew.

        Returns
        -------
        params : array, or dict of arrays
            New parameters of the same shapes, dtypes and kinds; those given are left as they are.
        state : dict
            State to pass to the next update.

        Raises
        ------
        ValueError
            If gradients are not finite, or so large that their squares overflow; if shapes or names
            differ; if epsilon or the learning rate is out of the range of the dtype.

        Examples
        --------
        >>> import numpy as np, fastgrad as fg
        >>> x, state = fg.optim.Adam(learning_rate=0.1).update(np.ones(2), np.array([3.0, 0.0]))
        >>> x
        array([0.9, 1. ])
        """
        past = 0 if state is None else np.asarray(_entry(state, "step")).tolist()
        count = _validate.integer(past, "state's step", 0, 2**53) + 1
        rate = self.learning_rate / (1 - self.beta1**count)
        scale = (1 - self.beta2**count) ** -0.5

        def step(p, g, mean, square):
            real, new = p.dtype.type, [np.empty_like(p) for _ in range(3)]
            least = np.sqrt(np.finfo(p.dtype).tiny)
            if self.epsilon < least:  # squares below it are 0: a step would know no bounds
                raise ValueError(
                    f"epsilon must be at least {least:.2g} in {p.dtype}, got {self.epsilon!r}"
                )
            keep, keep_square = ((real(b), real(1 - b)) for b in (self.beta1, self.beta2))
            how = keep, keep_square, _rate(rate, p.dtype), real(scale), real(self.epsilon)
            _kernels.adam(p, g, mean, square, how, *new)
            return new

        params, new = _update(params, grads, state, ("mean", "square"), step)
        return params, {"step": np.array(count), **new}


def _update(params, grads, state, names, step) -> Any:
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
        if state is None:
            old = [_validate.real_array(np.zeros_like(p), name) for name in names]
        else:
            old = [
                _validate.like(_entry(past, key), p.shape, p.dtype, f"state's {name}{where}")
                for past, name in zip(pasts, names)
            ]
        made = step(*(a.reshape(-1) for a in (p, g, *old)))
        # Whatever is wrong with a gradient shows in the last thing that is remembered of it.
        if _check.worst(made[-1]) != _check.FINE:
            for past, name in zip(old, names):
                _validate.finite(past, f"state's {name}{where}")
            _refuse(g, made[-1].reshape(p.shape), names[-1], where)
        for result, array in zip(results, made):
            result[key] = array.reshape(p.shape)
        if type(value) is not ndarray and foreign(value):
            results[0][key] = answered(results[0][key], value)
    return results[0], dict(zip(names, results[1:]))


def _refuse(g, made, name, where):
    """Say which gradient is not finite, or too large."""
    finite = np.isfinite(g)
    if not finite.all():
        place = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(f"grads{where} must be finite, got {g[place]} at index {place}")
    place = tuple(np.argwhere(~np.isfinite(made))[0].tolist())
    raise ValueError(
        f"grads{where} must be smaller in {g.dtype}: the {name} overflows, "
        f"got {g[place]} at index {place}"
    )


def _rate(value, dtype):
    """Return a learning rate in the type of the parameters, in whose range it must be."""
    if value > float(np.finfo(dtype).max):
        raise ValueError(f"learning_rate must be smaller for {dtype}, got {value!r} in this step")
    return dtype.type(value)


def _entry(state, name):
    """Return what a state holds under a name."""
    if not isinstance(state, dict) or name not in state:
        raise ValueError(f"state must be that of the last update: it has no {name!r}")
    return state[name]
