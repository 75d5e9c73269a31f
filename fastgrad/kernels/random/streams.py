"""Flat arrays of noise: element e of a stream stands in a wide tile of one endless row.

Oracle: tests/support/reference.py, `random` and `fold_in`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import (
    block,
    cached,
    chunk_range,
    inline,
    kernel,
    standalone,
    wide_vectors,
)
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.random.noise import (
    exponential_at,
    fill_exponential,
    odds,
    strip_ahead,
    uniform,
)
from fastgrad.kernels.random.philox import ANGLE, KEYS, NOISE, philox
from fastgrad.kernels.simd.intrinsics import sqrt
from fastgrad.kernels.simd.special import cos_2pi, log_normal
from fastgrad.kernels.simd.vectors import LANES, load, store
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import empty, reshaped

UNIFORM, EXPONENTIAL, GUMBEL, LOGISTIC, NORMAL = range(5)
DEPTH = tile.TILE // tile.FOLD


@cached
@standalone
def derive(key, data):
    """Return the two words of a key folded with data."""
    words = philox(
        np.uint32(data), np.uint32(data >> tile.WORD), np.uint32(0), KEYS, key[0], key[1]
    )
    return words[0], words[1]


@inline
def fill_flat_bits(bits, block_index, sample, purpose, key):
    """Fill the bits of the elements from block_index * tile.TILE on."""
    start = block_index * (tile.TILE // 4)
    fill_bits(bits, start, 1, tile.FOLD // 4, np.uint32(sample), purpose, key)


@block
def to_uniform(out, bits):
    """Turn bits, (planes, n), into uniform noise."""
    wide_vectors()
    high, low = bits[0], bits[-1]
    for i in range(0, out.size, LANES):
        store(out, i, uniform(load(high, i), load(low, i), out))


@block
def to_logistic(out, bits):
    """Turn bits into logistic noise."""
    wide_vectors()
    high, low = bits[0], bits[-1]
    for i in range(0, out.size, LANES):
        store(out, i, log_normal(odds(load(high, i), load(low, i), out)))


@block
def to_gumbel(out, bits):
    """Turn bits into Gumbel noise."""
    wide_vectors()
    high, low = bits[0], bits[-1]
    strip_ahead(out, high, low, 0, out.size, LANES)
    for i in range(0, out.size, LANES):
        store(out, i, -log_normal(exponential_at(out, high, low, i)))


@block
def to_radius(out, bits):
    """Turn bits into sqrt(2 E) for exponential noise E."""
    wide_vectors()
    fill_exponential(out, bits)
    for i in range(0, out.size, LANES):
        e = load(out, i)
        store(out, i, sqrt(e + e))


@block
def turn(out, bits):
    """Multiply each radius in out by the cosine of a random angle."""
    wide_vectors()
    high, low = bits[0], bits[-1]
    for i in range(0, out.size, LANES):
        angle = uniform(load(high, i), load(low, i), out)
        store(out, i, load(out, i) * cos_2pi(angle))


def filler(kind):
    """Make the kernel of one kind of noise: each is compiled when it is first needed."""

    @kernel(cost=lambda out: out.size)
    def fill(chunk, chunks, out, key, sample, offset):
        """Fill flat out with the elements of a stream from `offset` on."""
        first = offset // tile.TILE
        blocks = (offset + out.size + tile.TILE - 1) // tile.TILE - first
        noise = empty(tile.TILE, out.dtype)
        bits = empty((out.itemsize // 4, DEPTH, tile.FOLD), np.uint32)
        flat_bits = reshaped(bits, (out.itemsize // 4, tile.TILE))
        for b in chunk_range(blocks, chunk, chunks):
            begin = (first + b) * tile.TILE - offset
            head, tail = max(begin, 0), min(begin + tile.TILE, out.size)
            target = out[head:tail] if tail - head == tile.TILE else noise
            fill_flat_bits(bits, first + b, sample, NOISE, key)
            if kind == UNIFORM:
                to_uniform(target, flat_bits)
            elif kind == EXPONENTIAL:
                fill_exponential(target, flat_bits)
            elif kind == GUMBEL:
                to_gumbel(target, flat_bits)
            elif kind == LOGISTIC:
                to_logistic(target, flat_bits)
            else:
                to_radius(target, flat_bits)
                fill_flat_bits(bits, first + b, sample, ANGLE, key)
                turn(target, flat_bits)
            if tail - head < tile.TILE:
                assign(out[head:tail], noise[head - begin : tail - begin])

    return fill


FILL = tuple(filler(kind) for kind in (UNIFORM, EXPONENTIAL, GUMBEL, LOGISTIC, NORMAL))
