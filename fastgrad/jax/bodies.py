"""What handlers do, operation by operation: what `operations` does in NumPy, in compiled code.

Here for categorical variables; `concrete_bodies` has their relaxations, `combinatorial_bodies` and
`row_bodies` the others. Shapes and types were checked when the program was traced; what only shows
when it runs is checked here.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fastgrad.jax.chunks import chunks_for, running
from fastgrad.jax.frames import array, common, compiled, groups, read_only, sizes
from fastgrad.kernels.compiler.jit import MAX_CHUNKS
from fastgrad.kernels.distributions import categorical as _categorical
from fastgrad.kernels.distributions import categorical_entropy as _entropies
from fastgrad.kernels.distributions import categorical_inverse as _inverse
from fastgrad.kernels.tiles import check as _check
from fastgrad.kernels.tiles.memory import empty, flattened, zeros

MESSAGES = (
    "logits must be below infinity, got nan or inf",
    "logits has only -inf in a row: no category is possible",
    "temperature must be from 2**-60 to 2**60",
    "row_offset must be from 0 to 2**40",
    "sample_offset must be from 0 to 2**32 less the number of samples",
    "z must be from 0 to the number of categories less 1",
    "a kernel could not allocate its scratch memory",
    "k must be at most the number of logits above -inf in every row",
    "log_alpha must be below infinity, got nan or inf",
    "log_alpha has only -inf in a row or a column that must be matched",
    "log_alpha admits no matching: too many of its entries are -inf",
    "problem_offset must be from 0 to 2**40",
    "values must be below infinity, got nan or inf",
    "values has only -inf in a row: no category is possible",
    "k must be at most the number of values above -inf in every row",
    "values must be from -2**900 to 2**900, or -inf",
    "target must be from 0 to the number of categories less 1",
    "target must hold probabilities, at least 0 and of sum 1 in every row",
    "log_alpha / temperature must be from -2**52 to 2**52 (2**23 for float32 without Newton's "
    "method), or -inf",
    "the operands of a fastgrad call are not those that it was compiled for",
)
BAD, EMPTY, TEMPERATURE, ROW, SAMPLE, CATEGORY, MEMORY = range(1, 8)
SIZE, BAD_PAIR, ALONE, UNMATCHED, PROBLEM = range(8, 13)
BAD_VALUE, FLAT, FEW, LARGE, TARGET, TARGETS, ROUNDED = range(13, 20)
COUPLED, LOG = 1, 2  # bits of the first option; LOG is also the mode of `gumbel_softmax`
# Of others, above the number of a task or mode.
NUMBER, DESCENDING, ENTROPIC, NOISY = 7, 8, 16, 32

TABLE: dict[str, tuple[int, int, Any]] = {}  # operands, results, what makes the body


def body(name: str, operands: int, results: int) -> Any:
    """Enter what makes the body of a handler, given the type of the logits, in the table."""

    def enter(make: Any) -> Any:
        TABLE[name] = operands, results, make
        return make

    return enter


# -- what bodies share -------------------------------------------------------------------------


@compiled
def largest(numbers):
    """Return the largest of some natural numbers, or 0: of flags, whether one is set.

    Numba takes a second, in every process, to compile its own `max` and `any` of arrays.
    """
    found = np.int64(0)
    for number in numbers:
        if number > found:
            found = np.int64(number)
    return found


@functools.cache
def checking() -> Any:
    """Return the function that checks logits."""
    scan = running(_check.scan)

    @common
    def check(rows):
        """Return BAD, EMPTY, or 0 for logits that are as they must be."""
        flat = flattened(rows)
        if chunks_for(flat.size) == 1:
            worst = _check.flags(flat)
        else:
            found = zeros((flat.size - 1) // _check.BLOCK + 1, np.uint8)
            if scan(flat.size, (flat, found)):
                return MEMORY
            worst = largest(found)
        if worst == _check.BAD:
            return BAD
        if worst == _check.MASKED and _check.first_empty(rows) >= 0:
            return EMPTY
        return 0

    return check


@compiled
def rows_of(ins):
    """Return the shape of the logits of one group: rows and categories."""
    axes = sizes(ins[0])[-2:]
    return axes[0], axes[1]


@common
def place(ins, g, samples):
    """Return where the noise of a call is, and what is wrong with it.

    The key is the second operand; the first row, in two words, and the complement of the first
    sample are the last. The least row of all says that the first sample is no word: see
    `keys.address`.
    """
    key, first = array(ins[1], g, (2,), np.uint32), array(ins[ins.size - 1], g, (3,), np.uint32)
    row, sample = np.int64(first[0]) << 32 | np.int64(first[1]), 2**32 - 1 - np.int64(first[2])
    wrong = 0
    if row < -(2**62):
        wrong = SAMPLE
    elif row < 0 or row > 2**40:
        wrong = ROW
    elif sample > 2**32 - samples:
        wrong = SAMPLE
    return ((key[0], key[1]), sample, row), wrong


@compiled
def fits(scale):
    """Return whether the inverse of a temperature is in range."""
    return 2.0**-60 <= scale <= 2.0**60


# -- the bodies --------------------------------------------------------------------------------


@body("sample", 3, 1)
def _sample(real):
    draw, check = running(_inverse.sample), checking()

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(outs[0])[-2]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            noise, wrong = place(ins, g, samples)
            if wrong:
                return wrong
            z = array(outs[0], g, (samples, shape[0]), np.int32)
            bad = zeros(MAX_CHUNKS, np.bool_)
            if draw(rows.size + z.size, (rows, noise, z, bad)):
                return MEMORY
            if largest(bad):
                return check(rows)
        return 0

    return run


@body("log_prob", 2, 1)
def _log_prob(real):
    reduce, take = running(_categorical.normaliser), running(_categorical.log_prob)
    check = checking()

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(ins[1])[-2]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            z = read_only(array(ins[1], g, (samples, shape[0]), np.int32))
            wrong = check(rows)
            for index in flattened(z):
                if index < 0 or index >= shape[1]:
                    wrong = wrong or CATEGORY
            if wrong:
                return wrong
            top, log_sum = empty(shape[0], real), empty(shape[0], real)
            out, bad = array(outs[0], g, (samples, shape[0]), real), zeros(MAX_CHUNKS, np.bool_)
            failed = reduce(rows.size, (rows, top, log_sum, bad))
            if failed or take(out.size, (rows, top, log_sum, z, out)):
                return MEMORY
        return 0

    return run


@body("score", 2, 1)
def _score(real):
    take = running(_categorical.score)

    @compiled
    def run(ins, outs, options):
        shape, samples = rows_of(ins), sizes(ins[1])[-2]
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            z = read_only(array(ins[1], g, (samples, shape[0]), np.int32))
            out = array(outs[0], g, (samples, shape[0], shape[1]), real)
            bad = zeros(MAX_CHUNKS, np.bool_)
            if take(out.size, (rows, z, out, bad)):
                return MEMORY
        return 0

    return run


@body("entropy", 1, 1)
def _entropy(real):
    reduce, check = running(_entropies.entropy), checking()

    @compiled
    def run(ins, outs, options):
        shape = rows_of(ins)
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            out, bad = array(outs[0], g, (shape[0],), real), zeros(MAX_CHUNKS, np.bool_)
            if reduce(rows.size, (rows, out, bad)):
                return MEMORY
            if largest(bad):
                return check(rows)
        return 0

    return run


@body("entropy_vjp", 2, 1)
def _entropy_vjp(real):
    multiply = running(_entropies.entropy_vjp)

    @compiled
    def run(ins, outs, options):
        shape = rows_of(ins)
        for g in range(groups(ins[0], 2)):
            rows = read_only(array(ins[0], g, shape, real))
            weight = read_only(array(ins[1], g, (shape[0],), real))
            out, bad = array(outs[0], g, shape, real), zeros(MAX_CHUNKS, np.bool_)
            if multiply(rows.size, (rows, weight, out, bad)):
                return MEMORY
        return 0

    return run
