"""Draws and states: their number and, of a user's own estimator, their values; all handed back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import ndarray
from fastgrad._typing import FloatArray
from fastgrad.estimators.lazy_check import lazily_checked


def last_state(state: Any) -> Any:
    """Return a state, if it is None or arrays by name (as an .npz file is, too)."""
    if state is not None and not isinstance(state, Mapping):
        raise TypeError(f"state must be the dict of the last estimate, got {state!r}")
    return state


def remembered(state: Any, name: str) -> FloatArray:
    """Return an array of a state, if it holds numbers that are finite."""
    label = f"state[{name!r}]"
    x = _validate.array(state[name], label)
    if x.dtype.kind not in "iufb":
        raise TypeError(f"{label} must hold numbers, got {state[name]!r}")
    return _validate.finite(x, label)


def checked(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method `draw` or `nodes` whose outcomes are known to be such before kernels run.

    Kernels use an outcome as an index, and trust it: what this package draws is in range.
    """

    @functools.wraps(draw)
    def checking(self: Any, distribution: Any, *args: Any, **options: Any) -> Any:
        found = draw(self, distribution, *args, **options)
        if getattr(distribution, "one_hot", False):
            draws = found[0] if draw.__name__ == "nodes" and found else found
            name = f"what {type(self).__name__}.{draw.__name__} returns"
            for z in (draws, *(getattr(draws, field, None) for field in ("z", "sample"))):
                if type(z) is ndarray and z.dtype.kind in "iu":
                    _validate.whole_numbers(z, distribution.num_outcomes, name)
        return found

    return checking


def in_groups(run: Any, num_samples: Any) -> tuple[int, int]:
    """Return the number of samples of an estimator, if it works with so many, and of a group."""
    num_samples = _validate.integer(num_samples, "num_samples", 1, 2**24)
    if num_samples < run.min_samples:
        least = f"{run.name} needs at least {run.min_samples} samples"
        raise ValueError(f"{least}, got num_samples={num_samples}")
    if num_samples % (group := run.group(num_samples)):
        rule = f"{run.name} draws its samples in groups: num_samples must be a multiple of"
        raise ValueError(f"{rule} {group}, got {num_samples}")
    return num_samples, group


def in_blocks(
    run: Any,
    objective: Any,
    distribution: Any,
    num_samples: int,
    key: Any,
    state: Any,
    size: int,
    return_samples: bool,
) -> Any:
    """Return the estimate of an estimator whose samples come in blocks of a size.

    It stands apart from the call of the estimator, as a function pays for what closes over it.
    """
    kept: list[tuple[FloatArray, FloatArray | None]] = []

    def estimate(objective: Any) -> Any:
        def block(offset: int) -> tuple[Any, Any]:
            n = min(size, num_samples - offset)
            draws = run.draw(distribution, n, key, offset=offset, state=state)
            answers = run.ask(objective, distribution, draws, offset=offset)
            if return_samples:
                kept.append(run.weighed(distribution, draws, answers))
            return draws, answers

        kept.clear()
        return run.combine(distribution, map(block, range(0, num_samples, size)), state)

    found = lazily_checked(estimate, objective) if "grad" in run.needs else estimate(objective)
    return with_samples(found, kept) if return_samples else found


def with_samples(found: Any, kept: list[tuple[FloatArray, FloatArray | None]]) -> Any:
    """Return the estimate with the samples of its blocks, and weights that sum to 1 over all."""
    total, shape = sum(len(x) for x, _ in kept), np.shape(found.value)
    parts = []
    for x, weights in kept:
        share = np.full((len(x), *shape), 1 / total, found.value.dtype)
        parts.append(share if weights is None else (weights * (len(x) / total)).astype(share.dtype))
    samples = np.concatenate([x for x, _ in kept])
    return found._replace(samples=samples, weights=np.concatenate(parts))
