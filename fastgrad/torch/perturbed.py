"""Perturbed optimisers as functions of tensors: any solver as a layer with a gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor

from fastgrad import _validate
from fastgrad import perturbed as _arrays
from fastgrad.perturbed.solve import CONTROLS
from fastgrad.perturbed.solver import Noise, parameters, problem_axes
from fastgrad.torch.arguments import Operator
from fastgrad.torch.operators import build
from fastgrad.torch.solvers import numbered, of_arrays
from fastgrad.torch.tensors import TorchRNG, real, typed, words

__all__ = ["fenchel_young", "solve", "spo_plus"]

# -- the operators ---------------------------------------------------------------------------------


def _solutions(
    theta: Any, *, solver: int, num_samples: int, control: str, problem_ndim: int, **options: Any
) -> Any:
    """Draw solutions; what the derivative needs is checked as well, before any work."""
    least = 2 if _validate.choice(control, "control", CONTROLS) == CONTROLS[0] else 1
    _validate.integer(num_samples, "num_samples", least)
    _validate.positive(options["noise_scale"], "noise_scale")
    solve = of_arrays(solver)
    problem_axes(parameters(solve, theta, options["noise"]), problem_ndim)
    return _arrays.solve(solve, theta, num_samples=num_samples, **options)


def _mean(theta: Any, solutions: Any, **options: Any) -> Any:
    return solutions.mean(axis=0)


def _mean_vjp(theta: Any, solutions: Any, cotangent: Any, *, solver: int, **options: Any) -> Any:
    given = {"num_samples": len(solutions), "solutions": solutions}
    return _arrays.solve_vjp(of_arrays(solver), theta, cotangent, **given, **options)


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


# -- losses: results of an operator are the losses and their gradient, and what it is given has one
# axis for each problem, as axes are counted from the last


def _of_problems(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loss as a function of problems that are rows."""

    def call(theta: Any, given: Any, *, solver: int, problem: Any, **options: Any) -> Any:
        whole = (*theta.shape[:-1], *problem)
        arrays = (x.reshape(whole) for x in (theta, given))
        found, grad = loss(of_arrays(solver), *arrays, problem_ndim=len(problem), **options)
        return found, grad.reshape(theta.shape)

    return call


def _loss_vjp(theta: Any, given: Any, grad: Any, cotangent: Any) -> Any:
    return grad * cotangent[..., None]


_LOSS: Any = {
    "vjp": _loss_vjp,
    "operands": (0, 0),
    "results": ((-1, None), (0, None)),
    "reduces": True,
    "reuses": (1,),
}
_fenchel_young = build(
    Operator(
        name="perturbed_fenchel_young",
        function=_of_problems(_arrays.fenchel_young),
        arguments="Tensor theta, Tensor target, SymInt solver, SymInt[] problem, SymInt key_0, "
        "SymInt key_1, SymInt num_samples, str noise, float noise_scale, SymInt sample_offset",
        **_LOSS,
    )
)
_spo_plus = build(
    Operator(
        name="perturbed_spo_plus",
        function=_of_problems(_arrays.spo_plus),
        arguments="Tensor theta, Tensor true_theta, SymInt solver, SymInt[] problem",
        **_LOSS,
    )
)


# -- the functions ---------------------------------------------------------------------------------


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
    x = real(theta, "theta")
    options = (
        numbered(solver),
        *words(rng),
        noise,
        noise_scale,
        control,
        problem_ndim,
        sample_offset,
    )
    solutions = _solve(x.detach(), num_samples, *options)
    return typed(_mean_of(x, solutions, *options), theta.dtype)


def fenchel_young(
    solver: Callable[[Tensor], Any],
    theta: Tensor,
    target: Tensor,
    *,
    num_samples: int,
    rng: TorchRNG,
    noise: Noise = "gumbel",
    noise_scale: float = 1.0,
    problem_ndim: int = 1,
    sample_offset: int = 0,
) -> Tensor:
    """Compute the Fenchel-Young loss of a perturbed solver, differentiably.

    Parameters
    ----------
    solver, theta, rng
        As in `solve`.
    target : Tensor, the shape of theta
        The solutions observed, or their mean. It has no gradient: detach it.
    num_samples, noise, noise_scale, problem_ndim, sample_offset
        As in `fastgrad.perturbed.fenchel_young`.

    Returns
    -------
    Tensor, shape (*batch)
        One loss for each problem, in the type of theta. The derivative is that of
        `fastgrad.perturbed.fenchel_young`, the mean solution less the target: it is known with the
        loss, and no problem is solved for it.

    Raises
    ------
    TypeError, ValueError
        As in `solve` and `fastgrad.perturbed.fenchel_young`; if the target requires grad.

    References
    ----------
    Blondel, Martins and Niculae, "Learning with Fenchel-Young losses", JMLR 2020.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> def best(theta):
    ...     return torch.nn.functional.one_hot(theta.argmax(dim=-1), 3)
    >>> theta, target = torch.zeros(3, requires_grad=True), torch.tensor([0.0, 0.0, 1.0])
    >>> fgt.perturbed.fenchel_young(best, theta, target, num_samples=1000, rng=0).backward()
    >>> theta.grad.sign()
    tensor([ 1.,  1., -1.])
    """
    x, y, problem = _rows(theta, target, "target", problem_ndim)
    options = (*words(rng), num_samples, noise, noise_scale, sample_offset)
    loss, _ = _fenchel_young(x, y, numbered(solver), problem, *options)
    return typed(loss, theta.dtype)


def spo_plus(
    solver: Callable[[Tensor], Any], theta: Tensor, true_theta: Tensor, *, problem_ndim: int = 1
) -> Tensor:
    """Compute the SPO+ loss of predicted parameters, differentiably.

    Parameters
    ----------
    solver : callable
        As in `solve`.
    theta : Tensor, shape (*batch, ...)
        Predicted parameters, finite, on the CPU.
    true_theta : Tensor, the shape of theta
        The parameters that turned out to be right. They have no gradient: detach them.
    problem_ndim : int
        As in `fastgrad.perturbed.spo_plus`.

    Returns
    -------
    Tensor, shape (*batch)
        One loss for each problem, in the type of theta. The derivative is the subgradient of
        `fastgrad.perturbed.spo_plus`.

    Raises
    ------
    TypeError, ValueError
        As in `solve` and `fastgrad.perturbed.spo_plus`; if true_theta requires grad.

    References
    ----------
    Elmachtoub and Grigas, "Smart 'predict, then optimize'", Management Science, 2022.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> def best(theta):
    ...     return torch.nn.functional.one_hot(theta.argmax(dim=-1), 3)
    >>> theta = torch.tensor([3.0, 0.0, 0.0], requires_grad=True)
    >>> fgt.perturbed.spo_plus(best, theta, torch.tensor([1.0, 2.0, 3.0])).backward()
    >>> theta.grad
    tensor([ 2.,  0., -2.])
    """
    x, y, problem = _rows(theta, true_theta, "true_theta", problem_ndim)
    loss, _ = _spo_plus(x, y, numbered(solver), problem)
    return typed(loss, theta.dtype)


def _rows(theta: Tensor, given: Tensor, name: str, problem_ndim: int) -> Any:
    """Return both with one axis for the problem, and the shape of that."""
    x, y = real(theta, "theta"), real(given, name)
    if y.requires_grad:
        raise ValueError(f"{name} must not require grad, as it is given none: detach it")
    if y.shape != x.shape:
        raise ValueError(f"{name} must have shape {tuple(x.shape)}, got {tuple(y.shape)}")
    begin = x.ndim - _validate.integer(problem_ndim, "problem_ndim", 0, x.ndim)
    rows = (*x.shape[:begin], math.prod(x.shape[begin:]))
    return x.reshape(rows), y.to(x.dtype).reshape(rows), list(x.shape[begin:])
