"""Gradients of the operations, from the products of the table."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fastgrad.jax.calls import call, first_order
from fastgrad.jax.keys import nowhere
from fastgrad.jax.shared import while_used
from fastgrad.kernels.distributions.concrete import LOG, SOFT

__all__ = ["differentiable", "scored"]


def differentiable(name: str, **options: Any) -> Callable[..., tuple[Any, ...]]:
    """Return an operation of the table as a function that JAX can differentiate."""
    return _with_gradient(name, tuple(sorted(options.items())))


@while_used
def _with_gradient(name, options):
    """Return an operation whose gradient by its first operands is its product of the table.

    Kept for it are the operands, and those results from which it follows: never the noise.
    """
    options = dict(options)
    product, reused = PRODUCTS[name], _reused(name, options)

    @jax.custom_vjp
    def function(*operands):
        return call(name, *operands, **options)

    def forward(*operands):
        results = function(*operands)
        return results, first_order(name, (operands, results[:reused]))

    def backward(kept, cotangents):
        operands, results = kept
        found = product((*operands, *results), cotangents, **options)
        grads = found if isinstance(found, tuple) else (found,)
        return (*grads, *(None for _ in operands[len(grads) :]))

    function.defvjp(forward, backward)
    return function


def _reused(name: str, options: dict[str, Any]) -> int:
    """Return how many results the product takes after the operands.

    Relaxations say what their product is, unless they are hard or logarithms.
    """
    if name == "gumbel_softmax" and options["mode"] == SOFT:
        return 1
    if name in ("fenchel_young", "spo_plus"):  # whose second result is their gradient
        return 2
    return 3 if name == "relax" and not options["log"] else 0


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def scored(log: bool, rows: jax.Array, z: jax.Array, scale: jax.Array) -> jax.Array:
    """Return the score of the samples of `relax`: a call of its own, whose gradient is its own.

    Where nothing depends on it, as is mostly so, XLA leaves out both.
    """
    return call("relax_score", rows, z, scale, log=log)[0]


def _scored(log, rows, z, scale):
    return scored(log, rows, z, scale), first_order("relax", rows)


def _score_product(log, rows, cotangent):
    p, total = jax.nn.softmax(rows, axis=-1), cotangent.sum(axis=0)
    return p * ((p * total).sum(axis=-1, keepdims=True) - total), None, None


scored.defvjp(_scored, _score_product)


def _gumbel_softmax_product(operands, cotangents, *, samples, mode):
    if mode == SOFT:
        _, _, scale, relaxed = operands
        return call("gumbel_softmax_product", relaxed, cotangents[0], scale)[0]
    return call("gumbel_softmax_vjp", *operands, cotangents[0], log=mode == LOG)[0]


def _relax_product(operands, cotangents, *, samples, coupled, log):
    _, *pair = cotangents
    if log:
        through, given = call("relax_vjp", *operands, *pair, coupled=coupled, log=log)
        return through + given
    rows, _, scale, *results = operands
    return call("relax_product", rows, *results, *pair, scale)[0]


def _log_prob_product(operands, cotangents):
    return (cotangents[0][..., None] * call("score", *operands)[0]).sum(axis=0)


def _kl_divergence_product(operands, cotangents):
    return call("kl_divergence_vjp", *operands, cotangents[0])


def _plain_product(name):
    def product(operands, cotangents, **options):
        options.pop("samples", None)
        return call(name, *operands, cotangents[0], **options)[0]

    return product


def _several_product(name):
    """Return the product of an operation whose operands all have a gradient."""

    def product(operands, cotangents, **options):
        return call(name, *operands, cotangents[0], **options)

    return product


def _k_hot_product(operands, cotangents, *, samples, k):
    total = cotangents[0].sum(axis=0)
    return call("marginals_vjp", operands[0], total, k=k)[0]


def _order_product(operands, cotangents, *, method, **options):
    name = "laplace_order_vjp" if method == "laplace" else "isotonic_order_vjp"
    return call(name, *operands, cotangents[0], method=method, **options)[0]


def _quantile_product(operands, cotangents, *, q, method, hard):
    return call("quantile_vjp", *operands, cotangents[0], q=q, method=method)[0]


def _entmax_loss_product(operands, cotangents, *, alpha):
    rows, target = operands
    as_it_is = nowhere(), jnp.ones((), rows.dtype)
    p = call("entmax", rows, *as_it_is, samples=1, alpha=alpha, noisy=False)[0][0]
    y = target if target.ndim == 2 else jax.nn.one_hot(target, rows.shape[1], dtype=rows.dtype)
    return (p - y) * cotangents[0][:, None]


def _loss_product(operands, cotangents, **options):
    """Return the gradient that came with the losses, of which a problem's entries follow."""
    gradient = operands[-1]
    per_problem = cotangents[0][:, None]
    return (per_problem * gradient.reshape(len(per_problem), -1)).reshape(gradient.shape)


PRODUCTS: dict[str, Callable[..., Any]] = {
    "gumbel_softmax": _gumbel_softmax_product,
    "relax": _relax_product,
    "log_prob": _log_prob_product,
    "kl_divergence": _kl_divergence_product,
    "entropy": _plain_product("entropy_vjp"),
    "k_hot": _k_hot_product,
    "marginals": _plain_product("marginals_vjp"),
    "relaxed_top_k": _plain_product("relaxed_top_k_vjp"),
    "sinkhorn": _plain_product("sinkhorn_vjp"),
    "soft_permute": _several_product("soft_permute_vjp"),
    "transport": _several_product("transport_vjp"),
    "hard_order": _order_product,
    "isotonic_order": _order_product,
    "laplace_order": _order_product,
    "quantile": _quantile_product,
    "entmax": _plain_product("entmax_vjp"),
    "hard_concrete": _plain_product("hard_concrete_vjp"),
    "hard_concrete_active": _plain_product("hard_concrete_active_vjp"),
    "fenchel_young": _loss_product,
    "spo_plus": _loss_product,
    "entmax_loss": _entmax_loss_product,
    "entmax_loss_of_probabilities": _entmax_loss_product,
}
