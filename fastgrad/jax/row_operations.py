"""The operations of order statistics, sparse maps and gates, which fill the table of `operations`.

Values and logits come as rows. The temperature of an order statistic comes as three float32, whose
sum in float64 it is, so that kernels get what the NumPy API hands them.
"""

from __future__ import annotations

import numpy as np

from fastgrad import _validate, order, sparse
from fastgrad.distributions import hard_concrete as gates
from fastgrad.jax.operations import (
    OPERATIONS,
    Operation,
    for_each_sample,
    like_logits,
    noise_of,
    place,
    scales_of,
)
from fastgrad.kernels.sparse import entmax as _entmax_kernels
from fastgrad.order import methods
from fastgrad.order.top_k import selection
from fastgrad.sparse.entmax import curve


def _task(values, temperature, kind, k, descending, method):
    heat = float(temperature.astype(np.float64).sum())
    if kind == methods.TOP_K:
        return selection(values, k, method, heat)
    return methods.task(values, kind, method, heat, descending=descending)


def _relaxed(values, temperature, **options):
    return (methods.relaxed(_task(values, temperature, **options), False),)


def _hard(values, temperature, **options):
    return (methods.relaxed(_task(values, temperature, **options), True),)


def _order_vjp(values, temperature, cotangent, **options):
    return (methods.product(_task(values, temperature, **options), cotangent),)


def _quantile(values, temperature, *, q, method, hard):
    heat = float(temperature.astype(np.float64).sum())
    found = order.soft_quantile(values, q, method=method, temperature=heat, hard=hard)
    return (found,)


def _quantile_vjp(values, temperature, cotangent, *, q, method):
    heat = float(temperature.astype(np.float64).sum())
    return (order.soft_quantile_vjp(values, cotangent, q, method=method, temperature=heat),)


def _map(rows, address, scale, samples, alpha, noisy):
    """Return what the kernel of sparse maps takes beside arrays to read and to write."""
    return noise_of(address, samples), noisy, scales_of(rows, scale), *curve(alpha)


def _entmax(logits, address, scale, *, samples, alpha, noisy):
    rows, _ = _validate.rows(logits)
    out, none = np.empty((samples, *rows.shape), rows.dtype), np.empty((0, *rows.shape), rows.dtype)
    how = _map(rows, address, scale, samples, alpha, noisy)
    _entmax_kernels.entmax(rows, *how, _validate.frozen(none), out)
    return (out,)


def _entmax_vjp(logits, address, scale, cotangent, *, alpha, noisy):
    rows, _ = _validate.rows(logits)
    r, grad = _validate.real_array(cotangent, "cotangent"), np.empty((1, *rows.shape), rows.dtype)
    how = _map(rows, address, scale, len(r), alpha, noisy)
    _entmax_kernels.entmax(rows, *how, r, grad)
    return (grad[0],)


def _entmax_loss(logits, target, *, alpha):
    return (sparse.entmax_loss(logits, target, alpha=alpha),)


def _placed_gates(address, **options):
    key, site, sample = place(address)
    return {"rng": key, "site_offset": site, "sample_offset": sample, **options}


def _hard_concrete(logits, address, *, samples, **options):
    return (gates.hard_concrete(logits, num_samples=samples, **_placed_gates(address, **options)),)


def _hard_concrete_vjp(logits, address, cotangent, **options):
    return (gates.hard_concrete_vjp(logits, cotangent, **_placed_gates(address, **options)),)


def _hard_concrete_active(logits, **options):
    return (gates.hard_concrete_active(logits, **options),)


def _hard_concrete_active_vjp(logits, cotangent, **options):
    return (gates.hard_concrete_active_vjp(logits, cotangent, **options),)


def _of_quantiles(values, *others, q, **options):
    return (((len(q), len(values)), values.dtype),)


def _of_losses(logits, target, **options):
    return ((logits.shape[:1], logits.dtype),)


OPERATIONS |= {
    "hard_order": Operation(_hard, (2, 1), like_logits),
    "isotonic_order": Operation(_relaxed, (2, 1), like_logits),
    "isotonic_order_vjp": Operation(_order_vjp, (2, 1, 2), like_logits),
    "laplace_order": Operation(_relaxed, (2, 1), like_logits),
    "laplace_order_vjp": Operation(_order_vjp, (2, 1, 2), like_logits),
    "quantile": Operation(_quantile, (2, 1), _of_quantiles),
    "quantile_vjp": Operation(_quantile_vjp, (2, 1, 2), like_logits),
    "entmax": Operation(_entmax, (2, 1, 0), for_each_sample),
    "entmax_vjp": Operation(_entmax_vjp, (2, 1, 0, 3), like_logits),
    "entmax_loss": Operation(_entmax_loss, (2, 1), _of_losses),
    "hard_concrete": Operation(_hard_concrete, (1, 1), for_each_sample),
    "hard_concrete_vjp": Operation(_hard_concrete_vjp, (1, 1, 2), like_logits),
    "hard_concrete_active": Operation(_hard_concrete_active, (1,), like_logits),
    "hard_concrete_active_vjp": Operation(_hard_concrete_active_vjp, (1, 1), like_logits),
    "entmax_loss_of_probabilities": Operation(_entmax_loss, (2, 2), _of_losses),
}
