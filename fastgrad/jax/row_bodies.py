"""What handlers do for order statistics and sparse maps: see `bodies`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fastgrad.jax.bodies import (
    BAD,
    BAD_VALUE,
    DESCENDING,
    ENTROPIC,
    FEW,
    FLAT,
    LARGE,
    MEMORY,
    NOISY,
    NUMBER,
    TARGET,
    TARGETS,
    TEMPERATURE,
    body,
    checking,
    fits,
    place,
    rows_of,
)
from fastgrad.jax.chunks import running
from fastgrad.jax.combinatorial_bodies import repeated
from fastgrad.jax.frames import array, compiled, groups, read_only, sizes
from fastgrad.kernels.order import sorting as _sorting
from fastgrad.kernels.order import sorting_isotonic as _isotonic
from fastgrad.kernels.order import sorting_lapsum as _lapsum
from fastgrad.kernels.order.sorting import RANK, TOP_K
from fastgrad.kernels.sparse import entmax as _entmax_kernels
from fastgrad.kernels.sparse import losses as _losses
from fastgrad.kernels.tiles.memory import empty
from fastgrad.order.methods import LARGEST
from fastgrad.sparse.losses import TOLERANCE

# -- order statistics --------------------------------------------------------------------------


@functools.cache
def _checking_values() -> Any:
    check = checking()

    @compiled
    def check_values(rows, options):
        """Return what is wrong with values, of which a selection needs k in every row."""
        wrong = check(rows)
        if wrong:
            return BAD_VALUE if wrong == BAD else (MEMORY if wrong == MEMORY else FLAT)
        least = options[1] if options[0] & NUMBER == TOP_K else 1
        for i in range(rows.shape[0]):
            support = 0
            for j in range(rows.shape[1]):
                x = np.float64(rows[i, j])
                support += x > -np.inf
                if x > LARGEST or (x < -LARGEST and x > -np.inf):
                    return LARGE
            if support < least:
                return FEW
        return 0

    return check_values


@compiled
def _order_operands(ins, g, shape, options, real):
    """Return the values of a group, what is asked of them, and what is wrong."""
    values = read_only(array(ins[0], g, shape, real))
    parts = array(ins[1], g, (3,), np.float32)
    heat = np.float64(parts[0]) + np.float64(parts[1]) + np.float64(parts[2])
    kind, descending = options[0] & NUMBER, options[0] & DESCENDING != 0
    falls = descending if kind == RANK else not descending
    sign = -1.0 if falls and kind != TOP_K else 1.0
    return values, (kind, sign, options[1], 1.0 / heat), 0 if fits(heat) else TEMPERATURE


@body("hard_order", 2, 1)
def _hard_order(real):
    fill, check = running(_sorting.hard), _checking_values()

    @compiled
    def run(ins, outs, options):
        shape = rows_of(ins)
        for g in range(groups(ins[0], 2)):
            values, (kind, _, k, _), wrong = _order_operands(ins, g, shape, options, real)
            wrong = wrong or check(values, options)
            if wrong:
                return wrong
            rises = 1.0 if kind == TOP_K or options[0] & DESCENDING != 0 else -1.0
            if fill(4 * values.size, (values, kind, rises, k, array(outs[0], g, shape, real))):
                return MEMORY
        return 0

    return run


@body("isotonic_order", 2, 1)
def _isotonic_order(real):
    fill, check = running(_isotonic.isotonic), _checking_values()

    @compiled
    def run(ins, outs, options):
        shape, entropic = rows_of(ins), options[0] & ENTROPIC != 0
        for g in range(groups(ins[0], 2)):
            values, (kind, sign, k, scale), wrong = _order_operands(ins, g, shape, options, real)
            wrong = wrong or check(values, options)
            if wrong:
                return wrong
            args = (values, kind, sign, k, scale, entropic, array(outs[0], g, shape, real))
            if fill(4 * values.size, args):
                return MEMORY
        return 0

    return run


@body("isotonic_order_vjp", 3, 1)
def _isotonic_order_vjp(real):
    multiply = running(_isotonic.isotonic_vjp)

    @compiled
    def run(ins, outs, options):
        shape, entropic = rows_of(ins), options[0] & ENTROPIC != 0
        for g in range(groups(ins[0], 2)):  # what was wrong has ended the forward call
            values, (kind, sign, k, scale), wrong = _order_operands(ins, g, shape, options, real)
            if wrong:
                return wrong
            r, grad = read_only(array(ins[2], g, shape, real)), array(outs[0], g, shape, real)
            if multiply(4 * values.size, (values, r, kind, sign, k, scale, entropic, grad)):
                return MEMORY
        return 0

    return run


@body("laplace_order", 2, 1)
def _laplace_order(real):
    fill, check = running(_lapsum.lapsum), _checking_values()

    @compiled
    def run(ins, outs, options):
        shape = rows_of(ins)
        for g in range(groups(ins[0], 2)):
            values, (kind, sign, k, scale), wrong = _order_operands(ins, g, shape, options, real)
            wrong = wrong or check(values, options)
            if wrong:
                return wrong
            out = array(outs[0], g, shape, real)
            if fill(4 * values.size, (values, kind, sign, k, scale, out)):
                return MEMORY
        return 0

    return run


@body("laplace_order_vjp", 3, 1)
def _laplace_order_vjp(real):
    multiply = running(_lapsum.lapsum_vjp)

    @compiled
    def run(ins, outs, options):
        shape = rows_of(ins)
        for g in range(groups(ins[0], 2)):
            values, (kind, sign, k, scale), wrong = _order_operands(ins, g, shape, options, real)
            if wrong:
                return wrong
            r, grad = read_only(array(ins[2], g, shape, real)), array(outs[0], g, shape, real)
            if multiply(4 * values.size, (values, r, kind, sign, k, scale, grad)):
                return MEMORY
        return 0

    return run


# -- sparse maps -------------------------------------------------------------------------------


@compiled
def _map_of(options):
    """Return whether a map is of perturbed logits, how it is solved for, and alpha - 1."""
    a = options[4:5].view(np.float64)[0]
    return options[0] & NOISY != 0, options[0] & NUMBER, a


@body("entmax", 4, 1)
def _entmax(real):
    fill, check = running(_entmax_kernels.entmax), checking()

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(outs[0])[-3]
        noisy, mode, a = _map_of(options)
        none = read_only(empty((0, shape[0], shape[1]), real))
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            noise, misplaced = place(ins, g, samples)
            scale = array(ins[2], g, (1,), real)[0]
            wrong = misplaced or check(rows)
            if wrong or not fits(scale):
                return wrong or TEMPERATURE
            out = array(outs[0], g, (samples, shape[0], shape[1]), real)
            scales = repeated(scale, shape[0], real)
            if fill(out.size, (rows, noise, noisy, scales, mode, a, none, out)):
                return MEMORY
        return 0

    return run


@body("entmax_vjp", 5, 1)
def _entmax_vjp(real):
    multiply = running(_entmax_kernels.entmax)

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(ins[3])[-3]
        noisy, mode, a = _map_of(options)
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            noise, wrong = place(ins, g, samples)
            scale = array(ins[2], g, (1,), real)[0]
            if wrong or not fits(scale):
                return wrong or TEMPERATURE
            r = read_only(array(ins[3], g, (samples, shape[0], shape[1]), real))
            grad = array(outs[0], g, (1, shape[0], shape[1]), real)
            scales = repeated(scale, shape[0], real)
            if multiply(r.size, (rows, noise, noisy, scales, mode, a, r, grad)):
                return MEMORY
        return 0

    return run


@compiled
def _wrong_target(y):
    """Return what is wrong with probabilities, (N, K)."""
    for i in range(y.shape[0]):
        total = 0.0
        for j in range(y.shape[1]):
            x = np.float64(y[i, j])
            if not 0.0 <= x < np.inf:
                return TARGETS
            total += x
        if abs(total - 1.0) > TOLERANCE:
            return TARGETS
    return 0


@body("entmax_loss", 2, 1)
def _entmax_loss(real):
    fill, check = running(_losses.losses), checking()

    @compiled
    def run(ins, outs, options):
        shape = rows_of(ins)
        _, mode, a = _map_of(options)
        none = read_only(empty((0, shape[1]), real))
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            z = read_only(array(ins[1], g, (shape[0],), np.int32))
            wrong = check(rows)
            for index in z:
                if index < 0 or index >= shape[1]:
                    wrong = wrong or TARGET
            if wrong:
                return wrong
            if fill(rows.size, (rows, z, none, mode, a, array(outs[0], g, (shape[0],), real))):
                return MEMORY
        return 0

    return run


@body("entmax_loss_of_probabilities", 2, 1)
def _entmax_loss_of_probabilities(real):
    fill, check = running(_losses.losses), checking()

    @compiled
    def run(ins, outs, options):
        shape = rows_of(ins)
        _, mode, a = _map_of(options)
        none = read_only(empty(0, np.int32))
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            y = read_only(array(ins[1], g, shape, real))
            wrong = check(rows) or _wrong_target(y)
            if wrong:
                return wrong
            if fill(rows.size, (rows, none, y, mode, a, array(outs[0], g, (shape[0],), real))):
                return MEMORY
        return 0

    return run
