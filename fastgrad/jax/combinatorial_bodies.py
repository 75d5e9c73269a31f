"""What handlers do for subsets and permutations: see `bodies`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fastgrad.distributions.sinkhorn import TOLD_4, TOLD_8
from fastgrad.jax.bodies import (
    ALONE,
    BAD,
    BAD_PAIR,
    MEMORY,
    PROBLEM,
    ROUNDED,
    ROW,
    SIZE,
    TEMPERATURE,
    UNMATCHED,
    body,
    checking,
    fits,
    place,
    rows_of,
)
from fastgrad.jax.chunks import running
from fastgrad.jax.frames import DTYPES, array, compiled, dtype_of, groups, read_only, sizes
from fastgrad.kernels.distributions import sinkhorn_batch as _sinkhorns
from fastgrad.kernels.distributions import subset_sums as _sums
from fastgrad.kernels.distributions import subset_top_k as _top_k
from fastgrad.kernels.tiles.memory import empty, flattened, reshaped

DOUBLE = DTYPES["float64"]

# Loops over numbers, since Numba takes seconds to compile assignments of arrays.


@compiled
def copy(out, x):
    """Copy x to out, of two axes, in another type."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j]


@compiled
def add_up(out, x):
    """Sum x over its first axis, in order, into out."""
    for j in range(x.shape[1]):
        out[j] = x[0, j]
    for i in range(1, x.shape[0]):
        for j in range(x.shape[1]):
            out[j] += x[i, j]


@compiled
def repeated(number, count, real):
    """Return an array of one number, as kernels take the temperatures of rows."""
    out = empty(count, real)
    for i in range(count):
        out[i] = number
    return read_only(out)


# -- subsets -----------------------------------------------------------------------------------


@functools.cache
def _checking() -> Any:
    check = checking()

    @compiled
    def check_sets(rows, k):
        """Return what is wrong with logits, of which every row must have k above -inf."""
        wrong = check(rows)
        for i in range(rows.shape[0] if not wrong else 0):
            support = 0
            for j in range(rows.shape[1]):
                support += rows[i, j] > -np.inf
            if support < k:
                return SIZE
        return wrong

    return check_sets


@body("marginals", 1, 1)
def _marginals(real):
    reduce, check = running(_sums.marginals), _checking()

    @compiled
    def run(ins, outs, options):
        shape, k = rows_of(ins), options[1]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            wrong = check(rows, k)
            if wrong:
                return wrong
            out, log_sum = array(outs[0], g, shape, real), empty(shape[0], real)
            if reduce(2 * rows.size * k, (rows, k, out, log_sum)):
                return MEMORY
        return 0

    return run


@body("marginals_vjp", 2, 1)
def _marginals_vjp(real):
    multiply = running(_sums.marginals_vjp)

    @compiled
    def run(ins, outs, options):
        shape, k = rows_of(ins), options[1]
        for g in range(groups(ins[0], 2)):  # what was wrong has ended the forward call
            rows = read_only(array(ins[0], g, shape, real))
            r = empty(shape)
            copy(r, array(ins[1], g, shape, real))
            out = array(outs[0], g, shape, real)
            if multiply(4 * rows.size * k, (rows, read_only(r), k, out)):
                return MEMORY
        return 0

    return run


@body("k_hot", 3, 1)
def _k_hot(real):
    draw, check = running(_sums.sample), _checking()

    @compiled
    def run(ins, outs, options):
        shape, samples, k = rows_of(ins), sizes(outs[0])[-3], options[1]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            noise, misplaced = place(ins, g, samples)
            wrong = misplaced or check(rows, k)
            if wrong:
                return wrong
            out = array(outs[0], g, (samples, shape[0], shape[1]), real)
            if draw(8 * (out.size + rows.size * k), (rows, k, noise, out)):
                return MEMORY
        return 0

    return run


@body("relaxed_top_k", 4, 1)
def _relaxed_top_k(real):
    draw, check = running(_top_k.relaxed_top_k), _checking()

    @compiled
    def run(ins, outs, options):
        shape, samples, k = rows_of(ins), sizes(outs[0])[-3], options[1]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            noise, misplaced = place(ins, g, samples)
            scale = array(ins[2], g, (1,), real)[0]
            wrong = misplaced or check(rows, k)
            if wrong or not fits(scale):
                return wrong or TEMPERATURE
            out = array(outs[0], g, (samples, shape[0], shape[1]), real)
            if draw(out.size * k, (rows, k, noise, repeated(scale, shape[0], real), out)):
                return MEMORY
        return 0

    return run


@body("relaxed_top_k_vjp", 5, 1)
def _relaxed_top_k_vjp(real):
    multiply = running(_top_k.relaxed_top_k_vjp)

    @compiled
    def run(ins, outs, options):
        shape, samples, k = rows_of(ins), sizes(ins[3])[-3], options[1]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            noise, wrong = place(ins, g, samples)
            scale = array(ins[2], g, (1,), real)[0]
            if wrong or not fits(scale):
                return wrong or TEMPERATURE
            r = read_only(array(ins[3], g, (samples, shape[0], shape[1]), real))
            grad = array(outs[0], g, shape, real)
            scales = repeated(scale, shape[0], real)
            if multiply(r.size * k, (rows, r, k, noise, scales, grad)):
                return MEMORY
        return 0

    return run


# -- permutations ------------------------------------------------------------------------------


@compiled
def matches(pairs):
    """Return whether every row of one problem, (n, m), has a column of its own above -inf.

    Rows are matched one after the other: by a shortest path that takes columns from others.
    """
    n, m = pairs.shape
    masked = False
    for i in range(n):
        for j in range(m):
            masked = masked or pairs[i, j] == -np.inf
    if not masked:
        return True
    owner, via, seen = empty(m, np.int64), empty(m, np.int64), empty(m, np.int64)
    column, queue = empty(n, np.int64), empty(n, np.int64)
    for j in range(m):
        owner[j], seen[j] = -1, -1
    for start in range(n):
        end, head, tail = -1, 0, 1
        queue[0], column[start] = start, -1
        while head < tail and end < 0:
            row = queue[head]
            head += 1
            for j in range(m):
                if seen[j] == start or pairs[row, j] == -np.inf:
                    continue
                seen[j], via[j] = start, row
                if owner[j] < 0:
                    end = j
                    break
                queue[tail] = owner[j]
                tail += 1
        if end < 0:
            return False
        while end >= 0:
            row = via[end]
            before = column[row]
            owner[end], column[row], end = row, end, before
    return True


@functools.cache
def _checking_pairs() -> Any:
    check = checking()

    @compiled
    def check_pairs(problems):
        """Return what is wrong with scores of pairs (B, n, m), n <= m."""
        batch, n, m = problems.shape
        wrong = check(reshaped(problems, (batch * n, m)))
        if wrong:
            return BAD_PAIR if wrong == BAD else (MEMORY if wrong == MEMORY else ALONE)
        for b in range(batch if n == m else 0):
            for j in range(m):
                alone = True
                for i in range(n):
                    alone = alone and problems[b, i, j] == -np.inf
                if alone:
                    return ALONE
        return 0

    return check_pairs


@compiled
def _told_apart(problems, scale, newton):
    """Return whether scores are as `told_apart` of `distributions/sinkhorn.py` wants them."""
    bound = np.float64(2.0 ** (TOLD_8 if newton or problems.itemsize == 8 else TOLD_4)) / scale
    beyond = 0
    for x in problems.flat:
        beyond += np.inf > abs(np.float64(x)) > bound
    return beyond == 0


@compiled
def _problem_operands(ins, g, shape, samples, options, real):
    """Return the problems of a group, how they are perturbed and solved, and what is wrong."""
    problems = read_only(array(ins[0], g, shape, real))
    noise, wrong = place(ins, g, samples)
    scale, noise_scale = array(ins[2], g, (1,), real)[0], array(ins[3], g, (1,), real)[0]
    if wrong == ROW:
        wrong = PROBLEM
    elif not fits(scale):
        wrong = TEMPERATURE
    elif not wrong and not _told_apart(problems, scale, options[3] != 0):
        wrong = ROUNDED
    scales = repeated(scale, shape[0], real)
    limits = scales, options[4:5].view(np.float64)[0], options[2], options[3] != 0
    return problems, noise, noise_scale, limits, wrong


@body("sinkhorn", 5, 3)
def _sinkhorn(real):
    solve, check = running(_sinkhorns.solve), _checking_pairs()

    @compiled
    def run(ins, outs, options):
        axes, samples = sizes(ins[0])[-3:], sizes(outs[0])[-4]
        shape = axes[0], axes[1], axes[2]
        few = samples, shape[0]
        for g in range(groups(ins[0], 3)):
            found = _problem_operands(ins, g, shape, samples, options, real)
            problems, noise, noise_scale, limits, wrong = found
            wrong = wrong or check(problems)
            if wrong:
                return wrong
            out = array(outs[0], g, (samples, shape[0], shape[1], shape[2]), real)
            errors, counts = empty(few), array(outs[2], g, few, np.int32)
            if solve(8 * out.size, (problems, noise, noise_scale, limits, out, errors, counts)):
                return MEMORY
            if dtype_of(outs[1]) == DOUBLE:
                copy(array(outs[1], g, few, np.float64), errors)
            else:
                copy(array(outs[1], g, few, np.float32), errors)
        return 0

    return run


@body("sinkhorn_vjp", 6, 1)
def _sinkhorn_vjp(real):
    multiply = running(_sinkhorns.vjp)

    @compiled
    def run(ins, outs, options):
        axes, samples = sizes(ins[0])[-3:], sizes(ins[4])[-4]
        shape = axes[0], axes[1], axes[2]
        full = samples, shape[0], shape[1], shape[2]
        for g in range(groups(ins[0], 3)):
            found = _problem_operands(ins, g, shape, samples, options, real)
            problems, noise, noise_scale, limits, wrong = found
            if wrong:
                return wrong
            for b in range(shape[0]):
                if not matches(problems[b]):
                    return UNMATCHED
            w, implicit = read_only(array(ins[4], g, full, real)), samples >= 0
            grad = array(outs[0], g, shape, real)
            each = empty(full, real)
            args = (problems, w, noise, noise_scale, limits, implicit, each)
            if multiply(8 * each.size, args):
                return MEMORY
            add_up(flattened(grad), reshaped(each, (samples, grad.size)))
        return 0

    return run
