"""Arithmetic on whole tiles and rows."""

from fastgrad.kernels.compiler.jit import block, wide_vectors
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.vectors import LANES, load, store
from fastgrad.kernels.tiles.memory import flattened


@block
def copy(w, t):
    """w = t, for tiles."""
    wide_vectors()
    flat_w, flat_t = flattened(w), flattened(t)
    for i in range(0, flat_w.size, LANES):
        store(flat_w, i, load(flat_t, i))


@block
def assign(out, x):
    """out = x, on flat arrays of one size: slices would bring code for errors of broadcasting."""
    for i in range(out.size):
        out[i] = x[i]


@block
def fill(out, value):
    """out = value, on a flat array."""
    one = like(value, out)
    for i in range(out.size):
        out[i] = one


@block
def sum_of(x):
    """Return the sum of a flat array, from its first entry to its last."""
    found = like(0, x)
    for i in range(x.size):
        found += x[i]
    return found


@block
def subtract(out, x, constant):
    """out = x - constant, on flat arrays."""
    wide_vectors()
    for i in range(out.size):
        out[i] = x[i] - constant


@block
def shift(t, constant):
    """t -= constant, for tiles."""
    wide_vectors()
    flat = flattened(t)
    for i in range(0, flat.size, LANES):
        store(flat, i, load(flat, i) - constant)


@block
def difference(a, b):
    """a -= b, where -inf less -inf is 0, for tiles."""
    wide_vectors()
    flat_a, flat_b = flattened(a), flattened(b)
    for i in range(0, flat_a.size, LANES):
        x, y = load(flat_a, i), load(flat_b, i)
        store(flat_a, i, where(x == y, like(0, a), x - y))


@block
def add_multiple(out, weight, x):
    """out += weight x, in the type of out: flat arrays."""
    wide_vectors()
    for i in range(out.size):
        out[i] += weight * like(x[i], out)


@block
def power(out, x, n):
    """out = x**n, by squares, which are left in x: flat arrays."""
    wide_vectors()
    for i in range(out.size):
        out[i] = like(1, out)
    while n:
        if n & 1:
            for i in range(out.size):
                out[i] *= x[i]
        for i in range(out.size):
            x[i] *= x[i]
        n >>= 1


@block
def add(g, r):
    """g += r."""
    wide_vectors()
    flat_g, flat_r = flattened(g), flattened(r)
    for i in range(flat_g.size):
        flat_g[i] += flat_r[i]
