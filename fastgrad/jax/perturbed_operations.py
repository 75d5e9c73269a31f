"""The operations of perturbed solvers: see `operations`, whose table this fills.

Problems come in one axis, and options say their shape.
"""

from __future__ import annotations

import math

from fastgrad import perturbed
from fastgrad.jax.operations import OPERATIONS, Operation, for_each_sample, like_logits
from fastgrad.random import Key


def _solve(theta, words, *, solver, shape, samples, **options):
    key = Key._from_words(words)
    y = perturbed.solve(solver, theta.reshape(shape), num_samples=samples, rng=key, **options)
    return (y.reshape(samples, theta.size),)


def _solve_vjp(theta, words, solutions, cotangent, *, solver, shape, **options):
    count, key = len(solutions), Key._from_words(words)
    grad = perturbed.solve_vjp(
        solver,
        theta.reshape(shape),
        cotangent.reshape(shape),
        num_samples=count,
        rng=key,
        solutions=solutions.reshape(count, *shape),
        **options,
    )
    return (grad.reshape(theta.shape),)


def _loss(function, solver, shape, operands, **options):
    """Return the losses of problems, and their gradient, in one axis each."""
    loss, grad = function(solver, *(x.reshape(shape) for x in operands), **options)
    return loss.reshape(-1), grad.reshape(-1)


def _fenchel_young(theta, target, words, *, solver, shape, samples, **options):
    options |= {"num_samples": samples, "rng": Key._from_words(words)}
    return _loss(perturbed.fenchel_young, solver, shape, (theta, target), **options)


def _spo_plus(theta, true_theta, *, solver, shape, **options):
    return _loss(perturbed.spo_plus, solver, shape, (theta, true_theta), **options)


def _of_losses(theta, *others, shape, problem_ndim, **options):
    problems = math.prod(shape[: len(shape) - problem_ndim])
    return ((problems,), theta.dtype), (theta.shape, theta.dtype)


OPERATIONS |= {
    "solve": Operation(_solve, (1, 1), for_each_sample),
    "solve_vjp": Operation(_solve_vjp, (1, 1, 2, 1), like_logits),
    "fenchel_young": Operation(_fenchel_young, (1, 1, 1), _of_losses),
    "spo_plus": Operation(_spo_plus, (1, 1), _of_losses),
}
