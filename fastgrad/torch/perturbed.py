"""Perturbed optimisers as functions of tensors: any solver as a layer with a gradient."""

from __future__ import annotations

import threading
from collections import ChainMap
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from fastgrad import _validate
from fastgrad import perturbed as _arrays
from fastgrad.perturbed.solve import CONTROLS
from fastgrad.perturbed.solver import Noise, parameters, problem_axes
from fastgrad.torch.arguments import Operator
from fastgrad.torch.operators import KEPT, build
from fastgrad.torch.tensors import TorchRNG, real, typed, words

__all__ = ["solve"]

# -- solvers by number, as operators take no functions ---------------------------------------------

MOST = 1024  # of those that no graph has

_recent: dict[int, Callable[[Tensor], Any]] = KEPT.setdefault("solvers", {})
_in_graphs: dict[int, Callable[[Tensor], Any]] = KEPT.setdefault("solvers of graphs", {})
_known = ChainMap(_in_graphs, _recent)  # each is alive, so that its identity is its own
_lock = threading.Lock()


def _number(solver: Callable[[Tensor], Any]) -> int:
    """Return the number of a solver, which is known for many calls to come."""
    number = id(solver)
    with _lock:
        _recent.pop(number, None)
        _recent[number] = solver
        while len(_recent) > MOST:
            del _recent[next(iter(_recent))]
    return number


@torch.compiler.assume_constant_result
def _number_in_graph(solver: Callable[[Tensor], Any]) -> int:
    """Return the number of a solver, which is known for as long as graphs are: for ever."""
    _in_graphs[id(solver)] = solver
    return id(solver)


def _of_arrays(number: int) -> Callable[[Any], Any]:
    """Return the solver of that number as a function of arrays."""
    solver = _known.get(number)
    if solver is None:
        raise RuntimeError(
            f"solve must be differentiated before it is called with {MOST} other solvers: "
            "its own is kept no longer"
        )

    def call(theta: Any) -> Any:
        with torch.no_grad():
            y = solver(torch.from_numpy(theta if theta.flags.writeable else theta.copy()))
        return y.numpy(force=True) if isinstance(y, Tensor) else y

    return call


# -- the operators ---------------------------------------------------------------------------------


def _solutions(
    theta: Any, *, solver: int, num_samples: int, control: str, problem_ndim: int, **options: Any
) -> Any:
    """Draw solutions; what the derivative needs is checked as well, before any work."""
    least = 2 if _validate.choice(control, "control", CONTROLS) == CONTROLS[0] else 1
    _validate.integer(num_samples, "num_samples", least)
    _validate.positive(options["noise_scale"], "noise_scale")
    problem_axes(parameters(theta, options["noise"]), problem_ndim)
    return _arrays.solve(_of_arrays(solver), theta, num_samples=num_samples, **options)


def _mean(theta: Any, solutions: Any, **options: Any) -> Any:
    return solutions.mean(axis=0)


def _mean_vjp(theta: Any, solutions: Any, cotangent: Any, *, solver: int, **options: Any) -> Any:
    given = {"num_samples": len(solutions), "solutions": solutions}
    return _arrays.solve_vjp(_of_arrays(solver), theta, cotangent, **given, **options)


_OPTIONS = (
    "SymInt solver, SymInt key_0, SymInt key_1, str noise, float noise_scale, str control, "
    "SymInt problem_ndim, SymInt sample_offset"
)
_solve = build(
    Operator(
        name="perturbed_solutions",
        function=_solutions,
        arguments=f"Tensor theta, SymInt num_samples, {_OPTIONS}",
    )
)
# Two, since solutions are kept for the derivative of their mean: they are dear.
_mean_of = build(
    Operator(
        name="perturbed_mean",
        function=_mean,
        vjp=_mean_vjp,
        arguments=f"Tensor theta, Tensor solutions, {_OPTIONS}",
        operands=(0, 0),
        reduces=True,
    )
)


def solve(
    solver: Callable[[Tensor], Any],
    theta: Tensor,
    *,
    num_samples: int,
    rng: TorchRNG,
    noise: Noise = "gumbel",
    noise_scale: float = 1.0,
    control: Literal["leave-one-out", "unperturbed", "none"] = "leave-one-out",
    problem_ndim: int = 1,
    sample_offset: int = 0,
) -> Tensor:
    """Return the mean solution of perturbed problems, differentiably.

    Parameters
    ----------
    solver : callable
        Function that takes a tensor of parameters, shape (S, *theta.shape), and returns solutions
        of that shape: a tensor, or what NumPy makes an array of. It is not differentiated. Under
        `torch.compile` it stays outside of the graph, and may do what it likes; there it is no
        method of a module, which Dynamo cannot take for a constant, but a function.
    theta : Tensor, shape (*batch, ...)
        Parameters of the problems, on the CPU; -inf stays as it is. float16 and bfloat16 are
        computed in float32.
    num_samples : int
        Number of perturbed problems S, at least 2 for the control "leave-one-out".
    rng : int, Key, torch.Generator, or what the NumPy API takes
        The same key perturbs as `fastgrad.perturbed.solve` does.
    noise, noise_scale, sample_offset
        As in `fastgrad.perturbed.solve`; noise_scale is above 0.
    control, problem_ndim
        As in `fastgrad.perturbed.solve_vjp`.

    Returns
    -------
    Tensor, the shape of theta
        In the type of theta. The derivative is the estimate of `fastgrad.perturbed.solve_vjp` for
        the same key: unbiased, and noisy. The solutions are kept for it, so that no problem is
        solved again; "unperturbed" solves one more.

    Raises
    ------
    TypeError
        If the solver is not callable, or theta is no tensor of real numbers.
    ValueError
        If theta is not on the CPU, or holds NaN or +inf, or the solver returns another shape, or
        what is not finite. What the solver raises comes through.

    References
    ----------
    Berthet et al., "Learning with differentiable perturbed optimizers", NeurIPS 2020.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> def best(theta):
    ...     return torch.nn.functional.one_hot(theta.argmax(dim=-1), 3)
    >>> theta = torch.tensor([0.2, 0.3, 0.5]).log().requires_grad_()
    >>> y = fgt.perturbed.solve(best, theta, num_samples=1000, rng=0)
    >>> (y @ torch.tensor([0.0, 0.0, 1.0])).backward()
    >>> theta.grad[2] > 0, y.sum().item()
    (tensor(True), 1.0)
    """
    if not callable(solver):
        raise TypeError(f"solver must be a function of tensors, got {solver!r}")
    x = real(theta, "theta")
    number = _number_in_graph(solver) if torch.compiler.is_compiling() else _number(solver)
    options = (number, *words(rng), noise, noise_scale, control, problem_ndim, sample_offset)
    solutions = _solve(x.detach(), num_samples, *options)
    return typed(_mean_of(x, solutions, *options), theta.dtype)
