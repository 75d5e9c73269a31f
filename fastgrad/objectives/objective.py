"""What an f is, and how it is evaluated.

An objective is evaluated at a batch of samples at once, with the samples along the first axis. It
sees the features x of the samples: one-hot vectors for categorical variables, 0 or 1 for Bernoulli
variables, so that x always has the shape (S, *logits.shape).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any, Literal, overload

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.objectives.answers import Values, checked_values, finite
from fastgrad.objectives.compiled import Compiled

__all__ = ["Objective", "objective"]

PARTS = {
    "f": "the function itself: fg.objective(f, ...)",
    "grad": "the gradient of f at relaxed points: fg.objective(f, grad=...)",
    "index": "f of indices: fg.objective(f, index=...)",
    "local": "f with one variable changed: fg.objective(f, local=...)",
}


@overload
def objective(
    f: Callable[[Array], Any] | None = None,
    *,
    grad: Callable[[Array], Any] | None = None,
    index: Callable[[IntArray], Any] | None = None,
    local: Callable[[IntArray], Any] | None = None,
    expectation: Callable[[Any], Any] | None = None,
    value_and_grad: Callable[[Array], tuple[Any, Any]] | None = None,
    writable: bool = False,
    compiled: Callable[..., Any] | None = None,
    compiled_value_and_grad: Callable[..., Any] | None = None,
    data: tuple[Any, ...] = (),
    examples: int = 1,
) -> Objective: ...
@overload
def objective(
    f: Callable[..., Any] | None = None, *, grad: Callable[..., Any] | None = None
) -> Objective: ...  # of several nodes of a graph
def objective(
    f: Callable[..., Any] | None = None,
    *,
    grad: Callable[..., Any] | None = None,
    index: Callable[..., Any] | None = None,
    local: Callable[..., Any] | None = None,
    expectation: Callable[..., Any] | None = None,
    value_and_grad: Callable[..., Any] | None = None,
    writable: bool = False,
    compiled: Callable[..., Any] | None = None,
    compiled_value_and_grad: Callable[..., Any] | None = None,
    data: tuple[Any, ...] = (),
    examples: int = 1,
) -> Objective:
    """Bundle a function f with optional parts, such as its gradient, that some estimators require.

    Plain functions work wherever an objective does, with the estimators that need no other part.

    Parameters
    ----------
    f : callable, optional
        Takes samples x of shape (S, *batch, K), one-hot or relaxed; (S, *batch) for Bernoulli
        variables; for others their features, (S, *feature_shape), such as matrices. Returns values
        whose shape is a leading part of (S, *batch): shape (S,) is one number for the whole sample;
        shape (S, B) one number for each example of a minibatch, whose gradients then do not mix. It
        may also return a pair ``(value, credit)``. Credit, shape (S, *batch), is for every variable
        the sum of those terms of f that depend on it; it replaces the value in that variable's
        gradient, which stays unbiased and has less variance.
    grad : callable, optional
        Takes x as f does. Returns the derivative of the sum of f's values with respect to x, an
        array of the shape of x.
    index : callable, optional
        f as a function of category indices, int32 of shape (S, *batch), which spares the one-hot
        array; of other distributions, a function of their samples. At least one of f, index and
        value_and_grad must be given.
    local : callable, optional
        Takes indices (S, *batch). Returns the value of f with variable i set to category k and the
        other variables left as they are, for all i and k: shape (S, *batch, K), or (S, *batch, 2)
        for Bernoulli variables.
    expectation : callable, optional
        Takes a distribution. Returns the exact mean of f and its gradient by the logits, or None
        where it knows them not.
    value_and_grad : callable, optional
        Takes x as f does. Returns a pair: what f returns, and what grad does. Estimators that want
        both at one point then call it once, instead of f and grad. It also stands in for f and for
        grad, where these are not given.
    writable : bool
        Whether the parts are given arrays of their own, to keep and to write to. By default x may
        be read-only, as the estimator uses it again; to keep it is fine, since it never changes.
        `torch.from_numpy` warns of read-only arrays. With True, relaxed samples and indices are
        copied; one-hot samples are made for f alone anyway.
    compiled : function compiled by `numba.njit`, optional
        f of one example: ``compiled(example, z, *data)`` returns a number. It is called from
        machine code, on all threads, where the samples are drawn: no array of all samples is made.
        `example` is the index of the example in the minibatch, in C order; z its outcome, an
        integer, or where an example has several variables an int32 array of their outcomes.
    compiled_value_and_grad : function compiled by `numba.njit`, optional
        ``compiled_value_and_grad(example, x, grad, *data)`` returns f at the features x of one
        example, one-hot or relaxed, and writes its gradient by x to grad, an array of the shape and
        dtype of x. These are x.shape[1 + examples:] of the x that f takes; (1,) for a Bernoulli
        variable alone. With a compiled function no other part but `expectation` may be given.
    data : tuple of arrays and numbers
        What compiled functions are given besides: C-contiguous arrays as they are, read-only, and
        numbers. An example finds its own by its index.
    examples : int
        Number of leading axes of the batch over which a compiled f has values: 1 by default, one
        for each entry of the first axis; with 0 all variables together are one example.

    Returns
    -------
    Objective

    Raises
    ------
    TypeError
        If a part is not callable, or none of f, index, value_and_grad, compiled and
        compiled_value_and_grad is given; if a compiled function is not one of `numba.njit`, or when
        it is first needed does not compile; then Numba's own words are shown.
    ValueError
        If compiled functions stand beside others, or run in parallel.

    Notes
    -----
    A compiled function is compiled for each type of logits and data with which it is called, in
    about a second. The estimate is that of the same f given as `index` or `value_and_grad`, bit for
    bit, if it adds up its numbers in the same order. Exceptions that a compiled function raises
    are passed on, the index of an array out of its bounds only with ``boundscheck=True``.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> target = np.array([0.2, 0.5, 0.3])
    >>> f = fg.objective(
    ...     lambda x: ((x - target) ** 2).sum(axis=-1),
    ...     grad=lambda x: 2 * (x - target),
    ... )
    >>> gumbel_softmax = fg.estimator("gumbel_softmax", temperature=0.5)
    >>> gumbel_softmax(f, np.zeros(3), num_samples=10, rng=0).grad.shape
    (3,)

    One pass for f and its gradient, as `jax.value_and_grad` or a backward pass of torch makes them:

    >>> def value_and_grad(x):
    ...     distance = x - target
    ...     return (distance**2).sum(axis=-1), 2 * distance
    >>> f = fg.objective(value_and_grad=value_and_grad)
    >>> gumbel_softmax(f, np.zeros(3), num_samples=10, rng=0).evaluations
    10

    The same f compiled, of a minibatch each of whose examples has a target of its own:

    >>> import numba
    >>> @numba.njit
    ... def squares(example, z, targets):
    ...     total = 0.0
    ...     for k in range(targets.shape[1]):
    ...         total += ((k == z) - targets[example, k]) ** 2
    ...     return total
    >>> f = fg.objective(compiled=squares, data=(np.tile(target, (1000, 1)),))
    >>> fg.estimator("rloo")(f, np.zeros((1000, 3)), num_samples=10, rng=0).value.shape
    (1000,)
    """
    made = None
    if compiled is not None or compiled_value_and_grad is not None:
        if any(part is not None for part in (f, grad, index, local, value_and_grad)):
            raise ValueError("compiled functions must stand alone: f or another part is given too")
        made = Compiled(compiled, compiled_value_and_grad, data, examples)
    return Objective(f, grad, index, local, expectation, value_and_grad, writable, made)


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """A function with optional parts that some estimators require: see `objective`."""

    f: Callable[..., Any] | None = None
    grad: Callable[..., Any] | None = None
    index: Callable[..., Any] | None = None
    local: Callable[..., Any] | None = None
    expectation: Callable[..., Any] | None = None
    value_and_grad: Callable[..., Any] | None = None
    writable: bool = False
    compiled: Compiled | None = None

    def __post_init__(self) -> None:
        for name in (*PARTS, "expectation", "value_and_grad"):
            part = getattr(self, name)
            if part is not None and not callable(part):
                raise TypeError(f"{name} must be callable, got {part!r}")
        _validate.choice(self.writable, "writable", (False, True))
        if self.compiled is not None:
            if self.index is None and self.compiled.function is not None:
                object.__setattr__(self, "index", self.compiled.at_outcomes)
            if self.value_and_grad is None and self.compiled.value_and_grad is not None:
                object.__setattr__(self, "value_and_grad", self.compiled.at_features)
        both = self.value_and_grad
        if both is not None:
            if self.f is None:
                object.__setattr__(self, "f", functools.partial(_result, both, 0))
            if self.grad is None:
                object.__setattr__(self, "grad", functools.partial(_result, both, 1))
        if self.f is None and self.index is None:
            raise TypeError("an objective must have f or index, got neither")

    def require(self, who: str, parts: Iterable[str]) -> None:
        """Raise TypeError, naming who needs what, unless the objective has all these parts."""
        for part in parts:
            if getattr(self, part) is None:
                how = PARTS[part]
                if self.compiled is not None and part in ("f", "grad"):
                    how = f"{how.partition(':')[0]}: fg.objective(compiled_value_and_grad=...)"
                raise TypeError(f"{who} needs {how}")

    def part(self, name: Literal["f", "grad", "index", "local", "expectation"]) -> Any:
        """Return a part that the objective is known to have."""
        return getattr(self, name)

    def from_example(self, first: int, examples: int) -> Objective:
        """Return a compiled objective of the examples from number `first` on: see `Compiled`."""
        assert self.compiled is not None, "it is compiled"
        parts = dict.fromkeys(("f", "grad", "index", "value_and_grad"))  # made anew
        compiled = self.compiled.from_example(first, examples)
        return dataclasses.replace(self, **parts, compiled=compiled)

    def outcomes(
        self, distribution: Discrete, z: IntArray, *, offset: int = 0, masked: bool = False
    ) -> Values:
        """Evaluate f at outcomes z (S, *batch), the first of which is sample number `offset`.

        Values must be finite; where `masked` is true they may be -inf, as log weights are.
        """
        if self.index:
            answer = self.index(self._handed(z))
        else:
            answer = self.part("f")(distribution.shown(z))
        shape = (len(z), *distribution.batch_shape)
        return checked_values(answer, shape, distribution.logits.dtype, offset, masked)

    def relaxed(self, distribution: Any, x: FloatArray, *, offset: int = 0) -> Values:
        """Evaluate f, checked, at features x, shape (S, *logits.shape)."""
        answer = self.part("f")(self._handed(x))
        return checked_values(answer, (len(x), *distribution.batch_shape), x.dtype, offset)

    def gradient(self, x: FloatArray, *, offset: int = 0) -> FloatArray:
        """Evaluate the gradient of f, checked, at features x: same shape and dtype."""
        return self.checked_gradient(self.part("grad")(self._handed(x)), x, offset)

    def relaxed_and_gradient(
        self, distribution: Any, x: FloatArray, *, offset: int = 0
    ) -> tuple[Values, FloatArray]:
        """Evaluate f and its gradient, checked, at features x: in one pass where there is one."""
        if self.value_and_grad is None:
            return self.relaxed(distribution, x, offset=offset), self.gradient(x, offset=offset)
        found = self.value_and_grad(self._handed(x))
        if not isinstance(found, tuple) or len(found) != 2:
            raise ValueError(
                "value_and_grad must return a pair, what f returns and the gradient of f, "
                f"got {type(found).__name__}"
            )
        values = checked_values(found[0], (len(x), *distribution.batch_shape), x.dtype, offset)
        return values, self.checked_gradient(found[1], x, offset)

    def checked_gradient(self, gradient: Any, x: FloatArray, offset: int) -> FloatArray:
        """Return what was given as the gradient at x, if it is as it must be."""
        g = _validate.like(gradient, x.shape, x.dtype, "the gradient of f")
        return finite(g, "the gradient of f", x.dtype, offset)

    def neighbours(self, distribution: Discrete, z: IntArray, *, offset: int = 0) -> FloatArray:
        """Evaluate f, checked, with each variable of z in turn set to each category."""
        shape = (*z.shape, distribution.num_outcomes)
        values = _validate.real_array(self.part("local")(self._handed(z)), "local")
        values = _validate.like(values, shape, values.dtype, "local")
        return finite(values, "local", distribution.logits.dtype, offset)

    def _handed(self, x: Array) -> Array:
        """Return what a part is given of an array that the estimator uses again."""
        return x.copy() if self.writable else x


def as_objective(f: Any) -> Objective:
    """Return the objective that a user's f means: itself, or a plain function."""
    if isinstance(f, Objective):
        return f
    if not callable(f):
        raise TypeError(f"f must be a function or an Objective, got {f!r}")
    return unchecked(f=f)


def unchecked(**parts: Any) -> Objective:
    """Return what Objective(...) makes of parts that are known to be such, in fewer steps."""
    vars(made := object.__new__(Objective)).update(parts)
    return made


def _result(both, which, x):
    """Return one of the two results of a function."""
    return both(x)[which]
