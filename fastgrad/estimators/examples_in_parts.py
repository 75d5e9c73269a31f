"""Estimates with a compiled objective, some examples after the other: memory stays small.

As f has a value for each example, and its compiled function can begin at any of them, a minibatch
is estimated in parts that fit in the cache. Their results join to those of one call, bit for bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import Any

import numpy as np

from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.objectives import Objective
from fastgrad.objectives.compiled import Compiled
from fastgrad.random import Key

NUMBERS = 1 << 18  # in all samples of a part together


def plain(objective: Objective) -> Compiled | None:
    """Return what is compiled of an objective that has no other parts."""
    compiled = objective.compiled
    if compiled is None or objective.expectation is not None:
        return None
    own = objective.index in (None, compiled.at_outcomes)
    both = objective.value_and_grad in (None, compiled.at_features)
    return compiled if own and both else None


def in_parts(
    run: Any,
    objective: Objective,
    distribution: Any,
    num_samples: int,
    key: Key,
    state: dict[str, Any] | None,
    block_size: int | None,
) -> Any:
    """Return the estimate made in parts, or None where it is to be made in one call.

    Where it is refused, as where f is not finite, it is made again in one call: the error then says
    at which of all examples. So it is where it learns, and where it is small.
    """
    compiled, d = plain(objective), distribution
    if compiled is None or not isinstance(d, (Categorical, Bernoulli)):
        return None
    shape, event = compiled.shape(d.batch_shape)
    count, each = math.prod(shape), math.prod(event)
    options: dict[str, Any] = {"num_samples": num_samples, "rng": key, "state": state}
    size = block_size or max(1, NUMBERS // max(each * d.num_outcomes, 1))
    size = options["block_size"] = min(size, num_samples)
    parts = min(count // 2, count * size * each * d.num_outcomes // NUMBERS)
    if parts > 1 and state is None and not run.pools:
        with contextlib.suppress(_Whole):
            return _joined(run, objective, compiled, d, parts, shape, options)
    whole = max(1, NUMBERS // max(d.num_variables * d.num_outcomes, 1))
    if block_size is None and whole < num_samples:
        return run(objective, d, **options | {"block_size": whole})
    return None


class _Whole(Exception):
    """The estimate is to be made of all examples together."""


def _joined(
    run: Any,
    objective: Objective,
    compiled: Compiled,
    d: Any,
    parts: int,
    shape: tuple[int, ...],
    options: dict[str, Any],
) -> Any:
    """Return the estimates of so many parts, of two examples or more, joined."""
    count, found = math.prod(shape), None
    logits = d.logits.reshape(count, *d.logits.shape[len(shape) :])
    value, grad, evaluations = np.empty(count, logits.dtype), np.empty_like(logits), 0
    for i in range(parts):
        # NumPy adds up the samples of a single example in another order.
        first, last = i * count // parts, (i + 1) * count // parts
        part, fresh = slice(first, last), dict.fromkeys(("f", "grad", "index", "value_and_grad"))
        own = dataclasses.replace(objective, **fresh, compiled=compiled.from_example(first))
        variables = d.with_logits(logits[part]).from_row(first * (d.num_variables // count))
        try:
            found = run(own, variables, **options)
        except ValueError:
            raise _Whole from None
        if found.state is not None:
            raise _Whole
        value[part], grad[part] = found.value, found.grad
        evaluations = max(evaluations, found.evaluations)
    assert found is not None, "there are parts"
    return found._replace(
        value=value.reshape(shape), grad=grad.reshape(d.logits.shape), evaluations=evaluations
    )
