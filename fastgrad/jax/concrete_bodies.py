"""What handlers do for the Concrete distribution: relaxations and their products. See `bodies`."""

from __future__ import annotations

import numpy as np

from fastgrad.jax.bodies import (
    COUPLED,
    LOG,
    MEMORY,
    TEMPERATURE,
    body,
    checking,
    fits,
    largest,
    place,
    rows_of,
)
from fastgrad.jax.chunks import running
from fastgrad.jax.frames import array, compiled, groups, read_only, sizes
from fastgrad.kernels.compiler.jit import MAX_CHUNKS
from fastgrad.kernels.distributions import concrete as _concrete
from fastgrad.kernels.distributions import concrete_by_ratios as _by_ratios
from fastgrad.kernels.distributions import concrete_products as _at_hand
from fastgrad.kernels.distributions import concrete_score as _scores
from fastgrad.kernels.distributions import concrete_vjp as _products
from fastgrad.kernels.distributions import concrete_vjp_by_ratios as _products_by_ratios
from fastgrad.kernels.distributions.concrete import HARD, SOFT
from fastgrad.kernels.tiles.factors import power
from fastgrad.kernels.tiles.memory import zeros


@body("gumbel_softmax", 4, 1)
def _gumbel_softmax(real):
    draw, check = running(_concrete.gumbel_softmax), checking()
    draw_by_ratios = running(_by_ratios.gumbel_softmax)

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(outs[0])[-3]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            noise, wrong = place(ins, g, samples)
            scale = read_only(array(ins[2], g, (1,), real))
            if wrong or not fits(scale[0]):
                return wrong or TEMPERATURE
            out = array(outs[0], g, (samples, shape[0], shape[1]), real)
            mode, bad = options[0], zeros(MAX_CHUNKS, np.bool_)
            operands = rows, noise, scale, mode, out, bad
            if mode == HARD or (mode == SOFT and power(scale[0])):
                failed = draw_by_ratios(out.size, operands)
            else:
                failed = draw(out.size, operands)
            if failed:
                return MEMORY
            if largest(bad):
                return check(rows)
        return 0

    return run


@body("gumbel_softmax_vjp", 5, 1)
def _gumbel_softmax_vjp(real):
    multiply = running(_products.gumbel_softmax_vjp)
    multiply_by_ratios = running(_products_by_ratios.gumbel_softmax_vjp)

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(ins[3])[-3]
        for g in range(groups(ins[0], 2)):  # what was wrong has ended the forward call
            rows = read_only(array(ins[0], g, shape, real))
            noise, wrong = place(ins, g, samples)
            scale = read_only(array(ins[2], g, (1,), real))
            if wrong or not fits(scale[0]):
                return wrong or TEMPERATURE
            r = read_only(array(ins[3], g, (samples, shape[0], shape[1]), real))
            grad, log = array(outs[0], g, shape, real), options[0] & LOG != 0
            operands = rows, r, noise, scale, log, grad, zeros(MAX_CHUNKS, np.bool_)
            if power(scale[0]) and not log:
                failed = multiply_by_ratios(r.size, operands)
            else:
                failed = multiply(r.size, operands)
            if failed:
                return MEMORY
        return 0

    return run


@body("relax", 4, 3)
def _relax(real):
    draw, check = running(_concrete.relax), checking()
    draw_by_ratios = running(_by_ratios.relax)

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(outs[0])[-2]
        full = samples, shape[0], shape[1]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            noise, wrong = place(ins, g, samples)
            scale = read_only(array(ins[2], g, (1,), real))
            if wrong or not fits(scale[0]):
                return wrong or TEMPERATURE
            z = array(outs[0], g, (samples, shape[0]), np.int32)
            others = (
                array(outs[1], g, full, real),
                array(outs[2], g, full, real),
                array(outs[2], g, (samples, 0, 0), real),  # for the score: see `relax_score`
            )
            bad = zeros(MAX_CHUNKS, np.bool_)
            coupled, log = options[0] & COUPLED != 0, options[0] & LOG != 0
            operands = rows, noise, scale, coupled, log, z, others, bad
            if power(scale[0]) and not log:
                failed = draw_by_ratios(rows.size * samples, operands)
            else:
                failed = draw(rows.size * samples, operands)
            if failed:
                return MEMORY
            if largest(bad):
                return check(rows)
        return 0

    return run


@body("relax_score", 3, 1)
def _relax_score(real):
    take = running(_scores.score)

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(ins[1])[-2]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            z = read_only(array(ins[1], g, (samples, shape[0]), np.int32))
            by_ratios = power(array(ins[2], g, (1,), real)[0]) != 0 and options[0] & LOG == 0
            out = array(outs[0], g, (samples, shape[0], shape[1]), real)
            if take(out.size, (rows, z, by_ratios, out)):
                return MEMORY
        return 0

    return run


@body("relax_vjp", 6, 2)
def _relax_vjp(real):
    multiply = running(_products.relax_vjp)
    multiply_by_ratios = running(_products_by_ratios.relax_vjp)

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(ins[3])[-3]
        full = samples, shape[0], shape[1]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            noise, wrong = place(ins, g, samples)
            scale = read_only(array(ins[2], g, (1,), real))
            if wrong or not fits(scale[0]):
                return wrong or TEMPERATURE
            r = (
                read_only(array(ins[3], g, full, real)),
                read_only(array(ins[4], g, full, real)),
            )
            grads = array(outs[0], g, shape, real), array(outs[1], g, shape, real)
            coupled, log = options[0] & COUPLED != 0, options[0] & LOG != 0
            operands = rows, r, noise, scale, coupled, log, grads, zeros(MAX_CHUNKS, np.bool_)
            if power(scale[0]) and not log:
                failed = multiply_by_ratios(2 * r[0].size, operands)
            else:
                failed = multiply(2 * r[0].size, operands)
            if failed:
                return MEMORY
        return 0

    return run


# -- of relaxations that are at hand -----------------------------------------------------------


@body("gumbel_softmax_product", 3, 1)
def _gumbel_softmax_product(real):
    multiply = running(_at_hand.gumbel_softmax)

    @compiled
    def run(ins, outs, options):
        axes = sizes(ins[0])[-3:]
        full = axes[0], axes[1], axes[2]
        for g in range(groups(ins[0], 3)):
            x, r = read_only(array(ins[0], g, full, real)), read_only(array(ins[1], g, full, real))
            scale, grad = array(ins[2], g, (1,), real)[0], array(outs[0], g, full[1:], real)
            if multiply(x.size, (x, r, scale, grad)):
                return MEMORY
        return 0

    return run


@body("relax_product", 7, 1)
def _relax_product(real):
    multiply = running(_at_hand.relax)

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(ins[1])[-2]
        full = samples, shape[0], shape[1]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            z = read_only(array(ins[1], g, (samples, shape[0]), np.int32))
            pair = (
                read_only(array(ins[2], g, full, real)),
                read_only(array(ins[3], g, full, real)),
            )
            cotangents = (
                read_only(array(ins[4], g, full, real)),
                read_only(array(ins[5], g, full, real)),
            )
            scale, grad = array(ins[6], g, (1,), real)[0], array(outs[0], g, shape, real)
            heat = real(1) / scale
            if multiply(2 * pair[0].size, (rows, z, pair, cotangents, scale, heat, grad)):
                return MEMORY
        return 0

    return run
