"""Estimates with a compiled objective, some examples after the other: memory stays small.

As f has a value for each example, and its compiled function can begin at any of them, a minibatch
is estimated in parts that fit in the cache. Their results join to those of one call, bit for bit.

An estimator whose kernel does all of that in one pass says so by a method of its own,
``in_one_pass(compiled, distribution, num_samples, key, state)``, which returns the estimate, or
None where it is for no such case. It is not inherited, since a subclass may draw or combine in
another way.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from fastgrad._typing import FloatArray
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.kernels.tiles import check as _check
from fastgrad.objectives import Objective
from fastgrad.objectives.compiled import Compiled, call
from fastgrad.random import Key

NUMBERS = 1 << 19  # in all samples of a part together
ONE_PASS = 1 << 18  # numbers beyond which a kernel of its own is worth its compilation
BAND = 5 << 16  # bytes that a kernel uses at a time, which stay in the cache


def plain(objective: Objective) -> Compiled | None:
    """Return what is compiled of an objective that has no other parts."""
    compiled = objective.compiled
    if compiled is None or objective.expectation is not None:
        return None
    own = objective.index in (None, compiled.at_outcomes)
    both = objective.value_and_grad in (None, compiled.at_features)
    return compiled if own and both else None


def mean_in_one_pass(
    kernel: Any,
    compiled: Compiled,
    distribution: Any,
    logits: FloatArray,
    noise: Any,
    num_samples: int,
    options: Any,
    out: FloatArray,
    *,
    relaxed: bool = False,
    double: bool = False,
) -> Any:
    """Return the mean of f, shape (*examples), filling out by a kernel, or None.

    f is evaluated at outcomes, or at relaxed features. Its mean has the dtype of the logits or, if
    `double` is true, is float64. None says that there is no such f, that it
    is not finite, or that an example needs too much memory.
    """
    d = distribution
    shape, event = compiled.shape(d.batch_shape)
    count, each = math.prod(shape), math.prod(event)
    if relaxed:
        bytes_each = num_samples * (2 * each * d.num_features * logits.itemsize + 8)
    else:
        bytes_each = num_samples * (4 * each + 8)
    if bytes_each > 8 * BAND or (compiled.function is None and not relaxed):
        return None
    width = max(1, min(BAND // max(bytes_each, 1), count // 16))  # bands for many threads
    width = width // 64 * 64 or width
    value = np.empty(count, np.float64 if double else logits.dtype)
    parts = event if not relaxed else d.logits.shape[len(shape) :]
    found = compiled.features(parts, logits.dtype) if relaxed else compiled.outcomes(parts)
    with found as where:
        given = logits, noise, num_samples, width, options
        call(kernel, where, compiled.first, *given, value, out)
    return value.reshape(shape)[()] if _check.worst(value) == _check.FINE else None


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
    one_pass = vars(type(run)).get("in_one_pass")
    if one_pass is not None and num_samples * count * each * d.num_outcomes > ONE_PASS:
        found = one_pass(run, compiled, d, num_samples, key, state)
        if found is not None:
            return found
    options: dict[str, Any] = {"num_samples": num_samples, "rng": key, "state": state}
    # Of outcomes a few numbers are held: themselves, f, and what is made of it.
    features = "grad" in run.needs or compiled.function is None
    each = each * d.num_outcomes if features else 4 * each
    size = block_size or max(1, NUMBERS // max(each, 1))
    size = options["block_size"] = min(size, num_samples)
    parts = min(count // 2, count * size * each // NUMBERS)
    if parts > 1 and state is None and not run.pools:
        with contextlib.suppress(_Whole):
            return joined(run, objective, d, parts, shape, options)
    whole = max(1, NUMBERS // max(count * each, 1))
    if block_size is None and whole < num_samples:
        return run(objective, d, **options | {"block_size": whole})
    return None


class _Whole(Exception):
    """The estimate is to be made of all examples together."""


def joined(
    run: Any,
    objective: Objective,
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
        part, own = slice(first, last), objective.from_example(first, 1)
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
