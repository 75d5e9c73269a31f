"""Which kernels draw relaxations of some temperature: those of `concrete`, or by ratios.

Compiled code, which knows temperatures only when it runs, asks `factors.power` for the same.

Oracle: tests/distributions/test_concrete_ratios.py.
"""

import numpy as np

from fastgrad.kernels.distributions import (
    concrete,
    concrete_by_ratios,
    concrete_vjp,
    concrete_vjp_by_ratios,
)


def by_ratios(scale, log):
    """Return whether one factor of all rows is 1 or 2, and no logarithms are asked for."""
    return not log and scale.ndim == 0 and float(scale) in (1.0, 2.0)


def kernels(scale, *, hard=False, log=False):
    """Return the module that has `gumbel_softmax` and `relax` for a scale of NumPy's type."""
    return concrete_by_ratios if hard or by_ratios(scale, log) else concrete


def gumbel_softmax_vjp(logits, cotangent, noise, scale, log, grad):
    """Do what the kernels of this name do, each for the rows whose temperature is its own."""
    products = concrete_vjp_by_ratios if by_ratios(scale, log) else concrete_vjp
    products.gumbel_softmax_vjp(logits, cotangent, noise, scale, log, grad)
    for own, power in _rows_by_ratios(scale, log):
        whole = np.empty_like(grad)
        concrete_vjp_by_ratios.gumbel_softmax_vjp(logits, cotangent, noise, power, log, whole)
        grad[own] = whole[own]


def relax_vjp(logits, cotangents, noise, scale, coupled, log, grads):
    """Do what the kernels of this name do, each for the rows whose temperature is its own."""
    products = concrete_vjp_by_ratios if by_ratios(scale, log) else concrete_vjp
    products.relax_vjp(logits, cotangents, noise, scale, coupled, log, grads)
    for own, power in _rows_by_ratios(scale, log):
        whole = tuple(map(np.empty_like, grads))
        how = noise, power, coupled, log
        concrete_vjp_by_ratios.relax_vjp(logits, cotangents, *how, whole)
        for grad, found in zip(grads, whole, strict=True):
            if grad.size:
                grad[own] = found[own]


def _rows_by_ratios(scale, log):
    """Yield which rows of an array of factors have factor 1, or 2, and that factor."""
    if scale.ndim and not log:
        for power in (scale.dtype.type(1), scale.dtype.type(2)):
            own = scale == power
            if own.any():
                yield own, power
