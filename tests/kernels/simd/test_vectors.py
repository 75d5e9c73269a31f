"""Vectors in compiled code: operators, masks, memory and functions, against NumPy and numbers."""

import numpy as np
import pytest
from strategies import DTYPES

from fastgrad.kernels.compiler import jit
from fastgrad.kernels.simd import intrinsics, special
from fastgrad.kernels.simd.lanes import entry, first_of, least_of, sum_of
from fastgrad.kernels.simd.vectors import LANES, filled, load, store

N = 8 * LANES
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


def numbers(dtype, seed=0):
    """Numbers of all sizes, zeros, infinities and NaN among them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N) * 10.0 ** rng.integers(-3, 4, N)
    x[rng.choice(N, 12, replace=False)] = [0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, 3, 4, 5, 6]
    return x.astype(dtype)


@jit.standalone
def operate(a, b, two, out):
    for i in range(0, a.size, LANES):
        x, y = load(a, i), load(b, i)
        store(out, (0, i), x + y)
        store(out, (1, i), x - two)
        store(out, (2, i), two * y)
        store(out, (3, i), x / y)
        store(out, (4, i), -x)
        store(out, (5, i), abs(x))
        store(out, (6, i), filled(two))
        store(out, (7, i), intrinsics.sqrt(abs(x)))


@by_dtype
def test_arithmetic(dtype):
    a, b, two = numbers(dtype), numbers(dtype, 1), dtype(2)
    out = np.empty((8, N), dtype)
    operate(a, b, two, out)
    with np.errstate(all="ignore"):
        expected = [a + b, a - 2, 2 * b, a / b, -a, abs(a), np.full(N, 2), np.sqrt(abs(a))]
    assert np.array_equal(out, np.array(expected, dtype), equal_nan=True)
    assert np.array_equal(np.signbit(out[4]), ~np.signbit(a))


@jit.standalone
def compare(a, b, out):
    one, zero = np.int32(1), np.int32(0)
    for i in range(0, a.size, LANES):
        x, y = load(a, i), load(b, i)
        store(out, (0, i), intrinsics.where(x < y, one, zero))
        store(out, (1, i), intrinsics.where(x <= y, one, zero))
        store(out, (2, i), intrinsics.where(x == y, one, zero))
        store(out, (3, i), intrinsics.where(x != y, one, zero))
        store(out, (4, i), intrinsics.where(x > y, one, zero))
        store(out, (5, i), intrinsics.where(x >= y, one, zero))
        store(out, (6, i), intrinsics.where((x < y) | (x == y), one, zero))
        store(out, (7, i), intrinsics.where(~(x < y) & (y > x), one, zero))


@by_dtype
def test_comparisons_are_those_of_ieee_754(dtype):
    a = numbers(dtype)
    b = np.where(np.arange(N) % 3 == 0, a, numbers(dtype, 1))
    out = np.empty((8, N), np.int32)
    compare(a, b, out)
    expected = [a < b, a <= b, a == b, a != b, a > b, a >= b, a <= b, np.zeros(N)]
    assert np.array_equal(out, np.array(expected, np.int32))


@jit.standalone
def integers(a, b, shift, out):
    for i in range(0, a.size, LANES):
        x, y = load(a, i), load(b, i)
        store(out, (0, i), x + y)
        store(out, (1, i), x * y)
        store(out, (2, i), x << shift)
        store(out, (3, i), x >> shift)
        store(out, (4, i), x & y)
        store(out, (5, i), x | y)
        store(out, (6, i), ~x)
        store(out, (7, i), intrinsics.where(x > y, x, y))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.uint64])
def test_integers_wrap_around_and_keep_their_sign(dtype):
    info, rng = np.iinfo(dtype), np.random.default_rng(0)
    a, b = rng.integers(info.min, info.max, (2, N), dtype, endpoint=True)
    out = np.empty((8, N), dtype)
    integers(a, b, dtype(3), out)
    expected = [a + b, a * b, a << dtype(3), a >> dtype(3), a & b, a | b, ~a, np.maximum(a, b)]
    assert np.array_equal(out, np.array(expected))


@jit.standalone
def convert(a, words, wide, real, integral, back):
    for i in range(0, a.size, LANES):
        x = load(a, i)
        store(wide, i, intrinsics.to_float64(x))
        store(back, i, intrinsics.to_float32(intrinsics.to_float64(x)))
        store(real, i, intrinsics.to_float32(load(words, i)))
        store(integral, i, intrinsics.to_uint64(load(words, i)))


def test_conversions():
    a, words = numbers(np.float32), np.random.default_rng(0).integers(0, 2**32, N, np.uint32)
    wide, real, back = np.empty(N), np.empty(N, np.float32), np.empty(N, np.float32)
    integral = np.empty(N, np.uint64)
    convert(a, words, wide, real, integral, back)
    assert np.array_equal(wide, a.astype(np.float64), equal_nan=True)
    assert np.array_equal(back, a, equal_nan=True)
    assert np.array_equal(real, words.astype(np.float32))
    assert np.array_equal(integral, words)


@jit.standalone
def least(x):
    v = load(x, 0)
    low = least_of(v)
    i = first_of(v == filled(low))
    return low, i, entry(v, i), first_of(v < filled(low))


@by_dtype
def test_the_least_entry_and_the_first_place_of_it(dtype):
    rng = np.random.default_rng(2)
    for _ in range(200):
        x = rng.integers(-3, 30, LANES).astype(dtype)
        low, i, at_i, nowhere = least(x)
        assert (low, i, at_i, nowhere) == (x.min(), x.argmin(), x.min(), LANES)
    low, i, _, _ = least(np.full(LANES, np.inf, dtype))
    assert (low, i) == (np.inf, 0)


@jit.standalone
def summed(x):
    return sum_of(load(x, 0))


@by_dtype
def test_the_sum_of_a_vector_is_added_pairwise(dtype):
    x = np.random.default_rng(4).normal(size=LANES).astype(dtype)
    expected = x
    while expected.size > 1:
        expected = expected[: expected.size // 2] + expected[expected.size // 2 :]
    assert summed(x) == expected[0]


@jit.standalone
def in_kind(counts, x, out):
    store(out, 0, intrinsics.like(load(counts, 0), x))


@by_dtype
def test_vectors_in_the_type_of_others(dtype):
    counts, out = np.arange(LANES, dtype=np.int32) - 3, np.empty(LANES, dtype)
    in_kind(counts, out, out)
    assert np.array_equal(out, counts)
    in_kind(out[::-1].copy(), out, out)
    assert np.array_equal(out, counts[::-1])


@jit.standalone
def move(x, out, row, column):
    store(out, (row, column), load(x, column))


@by_dtype
def test_memory_need_not_be_aligned(dtype):
    x = np.arange(3 * LANES, dtype=dtype)
    for column in (0, 1, 5, 2 * LANES):
        out = np.full((3, 3 * LANES), -1, dtype)
        move(x, out, 1, column)
        assert np.array_equal(out[1, column : column + LANES], x[column : column + LANES])
        assert (out == -1).sum() == out.size - LANES


UNARY = ("log", "log_normal", "log1p", "exp", "exp_normal", "expm1", "sigmoid", "softplus")
UNARY += ("previous", "cos_2pi")


def both_ways(function):
    """Compile loops over numbers and over vectors."""

    @jit.standalone
    def one_by_one(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    @jit.standalone
    def by_vectors(x, out):
        for i in range(0, x.size, LANES):
            store(out, i, function(load(x, i)))

    return one_by_one, by_vectors


@by_dtype
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_vectors_are_those_of_numbers(name, dtype):
    """Bit for bit: subnormals, infinities and NaN included."""
    x = np.concatenate([numbers(dtype), np.geomspace(np.finfo(dtype).smallest_subnormal, 1e30, N)])
    x = np.concatenate([x, -x]).astype(dtype)
    if name in ("log_normal", "exp_normal", "cos_2pi", "previous"):
        low, high = {"log_normal": (1e-30, 1e30), "exp_normal": (-200, 80)}.get(name, (0, 1))
        x = np.random.default_rng(1).uniform(low, high, N).astype(dtype)
    numbers_out, vectors_out = np.empty_like(x), np.empty_like(x)
    for loop, out in zip(both_ways(getattr(special, name)), (numbers_out, vectors_out)):
        loop(x, out)
    assert np.array_equal(vectors_out, numbers_out, equal_nan=True)
    assert np.array_equal(np.signbit(vectors_out), np.signbit(numbers_out))
