"""Expectations of functions of tensors: one backward pass for the logits and f's own parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import distributions as td

from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators import Estimate, Estimator, registry
from fastgrad.objectives import Objective
from fastgrad.random import as_key
from fastgrad.torch.distributions import variables_of
from fastgrad.torch.evaluations import Evaluations
from fastgrad.torch.joined import joined
from fastgrad.torch.tensors import TorchRNG, key_of, on_cpu, typed, widened, words
from fastgrad.torch.transforms import UNMAPPED, Mapped, active, array_of, tensor_of

__all__ = ["expectation", "expectation_and_state"]

BY_WEIGHTS = "order_statistic", "weighted"  # reductions whose estimates tell the weights of f


def expectation(
    f: Callable[[Tensor], Any],
    distribution: Tensor | td.Distribution,
    *,
    estimator: str | Estimator = "rebar",
    num_samples: int = 8,
    rng: TorchRNG,
    index: bool = False,
    family: Callable[..., Discrete] | None = None,
    **options: Any,
) -> Tensor:
    """Estimate E[f] with a gradient for the logits, and one for the parameters of f.

    Parameters
    ----------
    f : callable
        A function, in torch, of samples x of shape (S, *batch, K), one-hot or relaxed; (S, *batch)
        for Bernoulli variables. Returns values whose shape is a leading part of (S, *batch): shape
        (S,) is one number for the whole sample, (S, B) one for each example of a minibatch. It may
        return a pair ``(value, credit)``: see `fastgrad.objective`. Parameters that it closes over
        get the gradient of the mean of its values at the samples.
    distribution : Tensor, or torch.distributions.Categorical, OneHotCategorical or Bernoulli
        A tensor is the logits of categorical variables, shape (*batch, K), on the CPU. float16 and
        bfloat16 are computed in float32. `torch.distributions.Independent` around one of these is
        looked through: f says which variables make an example. Probabilities, if a distribution was
        given these, get their gradient, and 0 is never drawn.
    estimator : str or Estimator
        One of `fastgrad.list_estimators`, or an object. Those that need the gradient of f at
        relaxed samples get it from torch.
    num_samples : int
        Number S of samples.
    rng : int, Key, torch.Generator, or what the NumPy API takes
        The same key gives the estimate of the NumPy API.
    index : bool
        Whether f takes category indices, int64 of shape (S, *batch), instead of one-hot vectors:
        for estimators that evaluate f at outcomes only.
    family : callable, optional
        What logits that are a tensor mean: it makes a distribution of an array of them, as
        ``functools.partial(fastgrad.subset.KSubset, k=2)`` does. It may be any of
        `fastgrad.subset`, `permutation`, `trees`, `chains`, `counts` and `bernoulli`; f is then
        given the features of such samples.
    **options
        The options of an estimator given by name.

    Returns
    -------
    Tensor
        The shape of f's values without the axis of samples, in the type of the logits. Its backward
        pass gives the logits the estimate of their gradient, and f's parameters that of the mean of
        f at the samples (for `vimco`, of the bound; for `gumbel_softmax`, at the relaxed samples).
        There are no second derivatives by the logits.

    Raises
    ------
    TypeError
        If f is not callable or returns no tensor; if the estimator or distribution is of another
        kind, or f lacks what the estimator needs.
    ValueError
        If f returns values of a wrong shape or not finite, or has no gradient by the samples where
        the estimator needs it; as the estimator itself. What f raises comes through.

    Notes
    -----
    Under `torch.func.vmap` over the logits all rows are one call: the estimate of row r is that of
    example r where f returns values of shape (S, B), whose gradients do not mix. `torch.compile`
    breaks the graph here, as the estimator runs in NumPy; what comes before and after is compiled.

    See Also
    --------
    expectation_and_state : for estimators that learn from call to call.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> logits = torch.zeros(5, 3, requires_grad=True)
    >>> weights = torch.ones(3, requires_grad=True)
    >>> loss = fgt.expectation(lambda x: (x @ weights).square().sum(dim=-1), logits, rng=0)
    >>> loss.backward()
    >>> loss.item(), logits.grad.shape, weights.grad.sum()
    (5.0, torch.Size([5, 3]), tensor(10.))
    """
    found, _ = expectation_and_state(
        f,
        distribution,
        estimator=estimator,
        num_samples=num_samples,
        rng=rng,
        index=index,
        family=family,
        **options,
    )
    return found


def expectation_and_state(
    f: Callable[[Tensor], Any],
    distribution: Tensor | td.Distribution,
    *,
    estimator: str | Estimator = "rebar",
    num_samples: int = 8,
    rng: TorchRNG,
    state: dict[str, Any] | None = None,
    index: bool = False,
    family: Callable[..., Discrete] | None = None,
    **options: Any,
) -> tuple[Tensor, dict[str, Any] | None]:
    """Estimate E[f] as `expectation` does, and return what the estimator has learned as well.

    Parameters
    ----------
    f, distribution, estimator, num_samples, rng, index, family, **options
        As in `expectation`.
    state : dict of tensors, optional
        The state that the last call returned; arrays are taken as well.

    Returns
    -------
    value : Tensor
        As `expectation` returns it.
    state : dict of tensors, or None
        To be passed to the next call: moving baselines, the scale of REBAR, the network of RELAX.
        It can go into a checkpoint: `torch.load` takes it back.

    Raises
    ------
    TypeError, ValueError
        As in `expectation`.

    Examples
    --------
    >>> import torch, fastgrad as fg, fastgrad.torch as fgt
    >>> logits, state = torch.zeros(3, requires_grad=True), None
    >>> for step, key in enumerate(fg.Key(0).split(2)):
    ...     value, state = fgt.expectation_and_state(
    ...         lambda x: (x - 0.45).square().sum(dim=-1), logits, rng=key, state=state
    ...     )
    ...     value.backward()
    >>> sorted(state)
    ['products', 'scale', 'temperature']
    """
    run = _outside_graphs if torch.compiler.is_compiling() else _estimated
    return run(f, distribution, estimator, num_samples, rng, state, index, family, options)


def _estimated(
    f: Any,
    distribution: Any,
    estimator: Any,
    num_samples: int,
    rng: TorchRNG,
    state: Any,
    index: bool,
    family: Any,
    options: dict[str, Any],
) -> tuple[Tensor, dict[str, Any] | None]:
    if not callable(f) or isinstance(f, Objective):
        raise TypeError(f"f must be a function of tensors, got {f!r}")
    if not isinstance(estimator, Estimator):
        run: Estimator = registry.estimator(estimator, **options)  # pyright: ignore
    elif not options:
        run = estimator
    else:
        raise TypeError(f"options go with an estimator's name, got {', '.join(options)}")
    logits, d, levels = variables_of(distribution, family, check=not run.draws_first)
    run.check(d)
    run = run.for_distribution(d)
    rng = as_key(key_of(*words(rng)) if isinstance(rng, torch.Generator) else rng)
    given = Evaluations(f, d, logits.dtype, index=index, estimator=run, levels=levels)
    weighted = run.reduction in BY_WEIGHTS
    known = _arrays_of(state)
    estimate = run(
        given.objective, d, num_samples=num_samples, rng=rng, state=known, return_samples=weighted
    )
    learned = estimate.state and {name: _kept(x) for name, x in estimate.state.items()}
    value = typed(_tensor(estimate.value, levels), logits.dtype)
    grad = typed(_tensor(estimate.grad, levels), logits.dtype)
    mean = None
    if torch.is_grad_enabled() and (active() or given.differentiable):
        mean = typed(_mean(run, num_samples, given, estimate, levels), logits.dtype)
    # A state, or an estimator of somebody else, may hold the memory of the gradient.
    own = estimate.state is None and type(run).__module__.startswith("fastgrad.")
    return joined(logits, mean, value, grad, own), learned


_outside_graphs: Any = torch.compiler.disable(_estimated)  # it takes microseconds to call


def _tensor(x: Any, levels: Mapped) -> Tensor:
    """Return an array or number of an estimate as a tensor."""
    if type(x) is not np.ndarray or not x.flags.writeable:
        x = np.array(x)
    x = tensor_of(x)
    return levels.wrap(x, 0) if levels.levels else x


def _kept(x: Any) -> Any:
    """Return an array of a state as a tensor; what else somebody's own estimator keeps as it is."""
    return _tensor(x, UNMAPPED) if isinstance(x, (np.ndarray, np.generic)) else x


def _arrays_of(state: Any) -> Any:
    """Return a state whose tensors are arrays; what else it must be, others see to."""
    if not isinstance(state, Mapping):
        return state
    return {
        name: _array(x, f"state[{name!r}]") if isinstance(x, Tensor) else x
        for name, x in state.items()
    }


def _array(x: Any, name: str) -> Any:
    return array_of(widened(on_cpu(x, name)))


def _mean(
    estimator: Estimator, num_samples: int, given: Evaluations, found: Estimate, levels: Mapped
) -> Tensor:
    """Return the mean of f as the estimator takes it, as a function of f's values with graphs."""
    values = given.samples[estimator.probes :]
    if estimator.reduction in BY_WEIGHTS:
        weights = levels.wrap(tensor_of(found.weights), 1).to(values.dtype)
        return (weights * values[: len(weights)]).sum(dim=0)
    values = values[:num_samples]  # what else is evaluated, such as neighbours, comes after them
    if estimator.reduction == "log_mean_exp":
        size = estimator.group(num_samples)
        return (values.unflatten(0, (-1, size)).logsumexp(dim=1) - math.log(size)).mean(dim=0)
    return values.mean(dim=0)
