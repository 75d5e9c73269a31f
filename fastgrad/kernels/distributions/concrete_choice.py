"""Which kernels draw relaxations of some temperatures: those of `concrete`, or by ratios.

The functions do what the kernels of their names do, each row by those that its temperature takes:
scale holds the inverses of temperatures, one for each row, or one for all; bad is marked where
logits are invalid.
Compiled code, which knows temperatures only when it runs, asks `factors.power` for the same.

Oracle: tests/distributions/test_concrete_ratios.py, tests/distributions/test_temperatures.py.
"""

import numpy as np

from fastgrad.kernels.distributions import (
    concrete,
    concrete_by_ratios,
    concrete_score,
    concrete_vjp,
    concrete_vjp_by_ratios,
)


def by_ratios(scale, log):
    """Return whether one factor of all rows is 1 or 2, and no logarithms are asked for."""
    return not log and len(scale) == 1 and scale.item() in (1.0, 2.0)


def drawing(scale, *, hard=False, log=False):
    """Return the module that has `gumbel_softmax` and `relax` for what all rows have in common."""
    return concrete_by_ratios if hard or by_ratios(scale, log) else concrete


def gumbel_softmax(logits, noise, scale, mode, out, bad):
    """Fill out, (S, N, K), with relaxed samples, their logarithms, or one-hot ones."""
    kernels = drawing(scale, hard=mode == concrete.HARD, log=mode == concrete.LOG)
    kernels.gumbel_softmax(logits, noise, scale, mode, out, bad)
    for own, power in _rows_by_ratios(scale, mode != concrete.SOFT):
        whole = np.empty_like(out)
        concrete_by_ratios.gumbel_softmax(logits, noise, power, mode, whole, bad)
        out[:, own] = whole[:, own]


def relax(logits, noise, scale, coupled, log, z, others, bad):
    """Draw z, shape (S, N), and the others: relaxed, conditional and score, each (S, N, K).

    Of temperatures that are one for all rows, the score may be empty: see `relax_score`.
    """
    drawing(scale, log=log).relax(logits, noise, scale, coupled, log, z, others, bad)
    for own, power in _rows_by_ratios(scale, log):
        whole = tuple(map(np.empty_like, others))
        concrete_by_ratios.relax(logits, noise, power, coupled, log, z, whole, bad)
        for result, found in zip(others, whole, strict=True):
            result[:, own] = found[:, own]


def relax_score(logits, z, scale, log, out):
    """out = the score, (S, N, K), that `relax` gives samples z, (S, N): of one scale for all."""
    concrete_score.score(logits, z, by_ratios(scale, log), out)


def gumbel_softmax_vjp(logits, cotangent, noise, scale, log, grad, bad):
    """grad = sum over samples of cotangent (S, N, K) times the Jacobian, noise drawn again."""
    products = concrete_vjp_by_ratios if by_ratios(scale, log) else concrete_vjp
    products.gumbel_softmax_vjp(logits, cotangent, noise, scale, log, grad, bad)
    for own, power in _rows_by_ratios(scale, log):
        whole = np.empty_like(grad)
        concrete_vjp_by_ratios.gumbel_softmax_vjp(logits, cotangent, noise, power, log, whole, bad)
        grad[own] = whole[own]


def relax_vjp(logits, cotangents, noise, scale, coupled, log, grads, bad):
    """grads = products of both cotangents, (S, N, K) or empty, summed over samples."""
    products = concrete_vjp_by_ratios if by_ratios(scale, log) else concrete_vjp
    products.relax_vjp(logits, cotangents, noise, scale, coupled, log, grads, bad)
    for own, power in _rows_by_ratios(scale, log):
        whole = tuple(map(np.empty_like, grads))
        how = noise, power, coupled, log
        concrete_vjp_by_ratios.relax_vjp(logits, cotangents, *how, whole, bad)
        for grad, found, r in zip(grads, whole, cotangents, strict=True):
            if r.size:
                grad[own] = found[own]


def _rows_by_ratios(scale, otherwise):
    """Yield which of several rows have factor 1, or 2, and that factor, as a scale of all rows.

    There are none where the result is made otherwise than by ratios.
    """
    if otherwise or len(scale) == 1:
        return
    for power in (1, 2):
        own = scale == power
        if own.any():
            one = scale[own][:1]
            one.setflags(write=False)  # as scales of all rows are: the same machine code
            yield own, one
