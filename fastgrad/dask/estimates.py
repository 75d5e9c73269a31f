"""Gradients of a minibatch whose examples are an array of many blocks."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.layers import ArraySliceDep

from fastgrad import _validate
from fastgrad._typing import Array
from fastgrad.dask.blocks import (
    CATEGORIES,
    Place,
    alone,
    batch_axes,
    computing_with,
    known,
    number_of_threads,
    part,
    real,
    rows,
)
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators.base import Estimate, Estimator
from fastgrad.estimators.registry import as_estimator
from fastgrad.objectives import Objective, as_objective
from fastgrad.random import RNG, as_key

__all__ = ["estimate"]


def estimate(
    estimator: str | Estimator,
    f: Callable[..., Any] | Objective,
    logits: da.Array,
    *data: Any,
    num_samples: int,
    rng: RNG,
    state: da.Array | None = None,
    block_size: int | None = None,
    examples: int = 1,
    single_logit: bool = False,
    row_offset: int = 0,
) -> Estimate:
    """Estimate E[f] and its gradient for each example of a minibatch, a block of examples a task.

    Parameters
    ----------
    estimator : str or Estimator
        The name of one, with its default options, or an object.
    f : callable or Objective
        A function of samples, and of the data of the same examples: ``f(x, *blocks)`` with x of
        shape (S, b, ..., K) and each block of shape (b, ...) returns values of shape (S, b), one
        for each example. So do the other parts of an `fastgrad.objective`.
    logits : dask array, shape (B, ..., K)
        Logits of B examples, cut into chunks along the first axis only.
    *data : array, or dask array, shape (B, ...)
        What f is to know of the examples, cut as the logits are.
    num_samples, rng, block_size, row_offset
        As of an estimator: see `fastgrad.Estimator`.
    state : dask array, optional
        That of the last estimate, for estimators that learn; examples must be cut as they were.
    examples : int
        The number of leading axes of the batch over which f has values: with 2, these are of shape
        (S, b, C), for logits of shape (B, C, ..., K).
    single_logit : bool
        Whether variables are Bernoulli variables with one logit each: logits of shape (B, ...).

    Returns
    -------
    Estimate
        Of dask arrays: `value`, shape (B,), and `grad`, of the shape of the logits; `state` has an
        entry for each block, and may be persisted; `evaluations` is their number in all blocks. One
        task makes all of a block, so ask for them in one ``dask.compute``.

    Raises
    ------
    TypeError
        If logits are not a Dask array of real numbers, or the objective lacks a part that the
        estimator needs.
    ValueError
        If the logits are cut along another axis than the first; if data has another number of
        examples; if a state is given to an estimator that `pools` what it learns, or one of other
        blocks. When tasks run: what an estimator raises, and if f has no value for each example.

    Notes
    -----
    Values, gradients and states are those of one call of the estimator, bit for bit, for any chunks
    and workers, as long as f gives an example the same bits whatever stands beside it. Functions of
    elements and sums along axes of an example do; a product of matrices ``x @ w`` may not, since
    BLAS takes its sums in an order that depends on the number of rows.

    For parameters that all examples share, repeat their logits,
    ``da.broadcast_to(logits, (B, *logits.shape), chunks=...)``, and add up the gradients by
    `tree_sum`, whose bits do not depend on the chunks either.

    On processes and clusters f must be picklable. Dask pickles functions by cloudpickle, so that
    those of a script or a notebook, and lambdas, are sent along. Data that f merely refers to goes
    along with every task: pass it as `data`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, fastgrad as fg, fastgrad.dask as fgd
    >>> rng = np.random.default_rng(0)
    >>> logits, target = rng.normal(size=(1000, 5, 3)), rng.normal(size=(1000, 5, 3))
    >>> f = lambda x, target: ((x - target) ** 2).sum(axis=(2, 3))
    >>> e = fgd.estimate(
    ...     "rloo", f, da.from_array(logits, chunks=(300, 5, 3)), target, num_samples=4, rng=0
    ... )
    >>> whole = fg.estimator("rloo")(lambda x: f(x, target), logits, num_samples=4, rng=0)
    >>> bool((e.grad.compute() == whole.grad).all())
    True
    >>> fgd.tree_sum(e.grad).compute().shape
    (5, 3)
    """
    run = as_estimator(estimator)
    objective, key = as_objective(f), as_key(rng)
    objective.require(run.name, run.needs)
    if objective.compiled is not None and data:
        raise TypeError(
            "data must be part of a compiled objective, fg.objective(compiled=..., data=...): it "
            "is found there by the index of an example among all"
        )
    logits = known(logits, "logits") if single_logit else rows(logits)
    batch = logits.ndim - (not single_logit)
    examples = _validate.integer(examples, "examples", 1, max(batch, 1))
    row_offset = _validate.offsets(row_offset, 0, 0)[0]
    if batch == 0 or any(n != 1 for n in logits.numblocks[1:]):
        raise ValueError(
            "logits must be cut along their first axis only, that of examples, got chunks "
            f"{logits.chunks}: use logits.rechunk({{axis: -1}})"
        )
    options = {
        "num_samples": _validate.integer(num_samples, "num_samples", run.min_samples, 2**24),
        "rng": key,
        "block_size": block_size,
    }
    cut, dtype = logits.chunks[0], real(logits)
    given = [_aligned(x, cut, f"data[{i}]") for i, x in enumerate(data)]
    index = (*batch_axes(batch), *(() if single_logit else (CATEGORIES,)))
    first = index[:1]
    pairs = [logits, index, ArraySliceDep((cut,)), first]
    pairs += [_checked(state, run, len(cut)), None if state is None else first]
    for i, x in enumerate(given):
        pairs += [x, (*first, *(f"data {i} {axis}" for axis in range(1, x.ndim)))]
    names = [logits.name, getattr(state, "name", None), *(x.name for x in given)]
    token = tokenize(names, run, objective, options, examples, single_logit, row_offset)
    whole = da.blockwise(
        estimate_block,
        first,
        *pairs,
        name=f"fastgrad-estimate-{token}",
        run=run,
        objective=objective,
        offset=(row_offset, math.prod(logits.shape[1:batch])),
        examples=examples,
        single_logit=single_logit,
        threads=number_of_threads(),
        options=options,
        align_arrays=False,
        concatenate=False,
        dtype=dtype,
        meta=np.empty(0, dtype),
    )
    sizes = {axis: n for axis, n in zip(index[1:], logits.shape[1:])}
    values = {axis: sizes[axis] for axis in index[1:examples]}
    each = {index[0]: (1,) * len(cut)}
    value = part(whole, first, 0, index[:examples], dtype, new_axes=values)
    grad = part(whole, first, 1, index, dtype, new_axes=sizes)
    learned = None if run.pools else part(whole, first, 2, first, object, adjust_chunks=each)
    evaluations: Any = part(whole, first, 3, first, np.int64, adjust_chunks=each).sum()
    return Estimate(value, grad, learned, evaluations)  # pyright: ignore[reportArgumentType]


def _aligned(x: Any, cut: tuple[int, ...], name: str) -> da.Array:
    """Return data cut along its first axis as the examples are."""
    x = known(x if isinstance(x, da.Array) else da.asarray(x), name)
    if x.ndim == 0 or x.shape[0] != sum(cut):
        raise ValueError(f"{name} must have {sum(cut)} examples, as the logits, got {x.shape}")
    return x.rechunk((cut, *((n,) for n in x.shape[1:])))


def _checked(state: Any, run: Estimator, blocks: int) -> Any:
    """Return a state that fits blocks of examples."""
    if state is None:
        return None
    if run.pools:
        raise ValueError(
            f"state must be None, as {run.name} learns one state from all examples of a call, "
            "and blocks would each learn their own"
        )
    if not isinstance(state, da.Array) or state.dtype != object or state.shape != (blocks,):
        got = f"{state.shape} {state.dtype}" if isinstance(state, da.Array) else repr(state)
        raise ValueError(
            f"state must be that of the last estimate, with examples in as many blocks, {blocks}, "
            f"got {got}"
        )
    return state


def estimate_block(
    block: Any,
    place: Place,
    state: Any,
    *data: Any,
    run: Estimator,
    objective: Objective,
    offset: tuple[int, int],
    examples: int,
    single_logit: bool,
    threads: int,
    options: dict[str, Any],
) -> tuple[Array, Array, Array, Array]:
    """Return value, gradient, state and evaluations of one block of examples: the task."""
    block, (own,) = alone(block), place
    distribution = (Bernoulli if single_logit else Categorical)(block, copy=False)
    row = offset[0] + own.start * offset[1]
    if objective.compiled is not None:
        first = own.start * math.prod(block.shape[1:examples])
        objective = objective.from_example(first, examples)
    with computing_with(threads):
        found = run(
            with_data(objective, [alone(x) for x in data]),
            distribution,
            state=None if state is None else state[0],
            row_offset=row,
            **options,
        )
    if found.value.shape != block.shape[:examples]:
        raise ValueError(
            f"f must have a value for each example, shape (S, {str(block.shape[:examples])[1:]}, "
            f"got {found.value.shape} after the axis of samples"
        )
    learned = np.empty(1, object)
    learned[0] = found.state
    return found.value, found.grad, learned, np.array([found.evaluations])


def with_data(objective: Objective, data: list[Any]) -> Objective:
    """Return an objective whose parts are also given data."""
    if not data:
        return objective
    parts = {field.name: getattr(objective, field.name) for field in dataclasses.fields(objective)}
    given: dict[str, Any] = {
        name: functools.partial(called_with, part, data) if callable(part) else part
        for name, part in parts.items()
    }
    return Objective(**given)


def called_with(function: Callable[..., Any], data: list[Any], x: Any) -> Any:
    """Return what a function makes of x and data."""
    return function(x, *data)
