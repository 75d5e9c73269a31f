"""Arithmetic on whole tiles and rows."""

from fastgrad.kernels.intrinsics import like, where
from fastgrad.kernels.jit import block, wide_vectors


@block
def copy(w, t):
    """w = t."""
    wide_vectors()
    flat_w, flat_t = w.reshape(w.size), t.reshape(t.size)
    for i in range(flat_w.size):
        flat_w[i] = flat_t[i]


@block
def subtract(out, x, constant):
    """out = x - constant, on flat arrays."""
    wide_vectors()
    for i in range(out.size):
        out[i] = x[i] - constant


@block
def shift(t, constant):
    """t -= constant."""
    wide_vectors()
    for i in range(t.shape[0]):
        for c in range(t.shape[1]):
            t[i, c] -= constant


@block
def difference(a, b):
    """a -= b, where -inf less -inf is 0."""
    wide_vectors()
    depth, columns = a.shape
    for i in range(depth):
        for c in range(columns):
            a[i, c] = where(a[i, c] == b[i, c], like(0, a), a[i, c] - b[i, c])


@block
def add(g, r):
    """g += r."""
    wide_vectors()
    flat_g, flat_r = g.reshape(g.size), r.reshape(r.size)
    for i in range(flat_g.size):
        flat_g[i] += flat_r[i]
