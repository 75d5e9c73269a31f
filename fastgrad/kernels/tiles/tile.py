"""Tiles: blocks of categoricals laid out so that one loop serves every K at full vector width.

A tile is an array of shape (depth, columns). Reductions over categories
run down the columns, all of them at once, so neither a small K nor an odd one slows them.

- narrow (K <= 512): a column is a row of the logits, depth = K. Row 4g + l of the block stands in
  column l * columns/4 + g, which makes the four words of a Philox call four contiguous stores.
- wide: the tile is one row, folded: category 64 i + c stands in column c. Places beyond K hold
  -inf, and statistics of the 64 columns are folded into one and spread again.

A kernel asks `layout` how rows are cut into tiles, `scratch` and `statistics` for room, and goes
over `rows`.
"""

from typing import NamedTuple

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_bounds, inline, shared, wide_vectors
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.transpose import (
    deinterleave,
    interleave,
    many_rows_to_tile,
    rows_to_tile,
    tile_to_many_long_rows,
    tile_to_many_rows,
    tile_to_rows,
)
from fastgrad.kernels.simd.vectors import filled
from fastgrad.kernels.simd.vectors import store as store_vector
from fastgrad.kernels.tiles.memory import (  # noqa: F401  (kernels ask this module for room)
    empty,
    flattened,
    reshaped,
    scratch,
    statistics,
)

WORD = np.uint64(32)

NARROW = 512  # largest K for which a column is a row
CROWDED = 512  # bytes of a row: 64 rows of more are in too few sets of the first cache
FOLD = 64  # columns of a wide tile: four words of 16 lanes
TILE = 2048  # elements that keep the handful of tiles a kernel needs inside L1


class Layout(NamedTuple):
    """How rows of k categories, the first of them row `offset` overall, are cut into tiles.

    fold says whether the tiles are wide, blocks how many they are.
    """

    k: int
    offset: int
    fold: bool
    columns: int
    depth: int
    blocks: int


@inline
def layout(n, k, offset=0, widest=TILE):
    """Return the `Layout`, of narrow tiles with at most `widest` columns, a multiple of FOLD."""
    if k > NARROW:
        return Layout(k, offset, True, FOLD, (k + FOLD - 1) // FOLD, n)
    columns = min(max(TILE // k // FOLD, 1) * FOLD, (n + 3 + FOLD - 1) // FOLD * FOLD)
    columns = min(columns, widest)
    return Layout(k, offset, False, columns, k, (n + offset % 4 + columns - 1) // columns)


@inline
def first_row(layout, block):
    """Return the row at which a tile starts, up to 3 before the first: groups of 4 align."""
    return block if layout.fold else block * layout.columns - layout.offset % 4


@inline
def rows(layout, chunk, chunks):
    """Return the range of first rows of those tiles that belong to a chunk."""
    begin, end = chunk_bounds(layout.blocks, chunk, chunks)
    step = 1 if layout.fold else layout.columns
    return range(first_row(layout, begin), first_row(layout, end), step)


@inline
def extent(out, row, layout):
    """Return those of the rows of out, flat, that a tile is going to be stored in."""
    n, k = out.shape
    first, last = max(row, 0), min(row + (1 if layout.fold else layout.columns), n)
    return flattened(out)[first * k : last * k]


@inline
def ahead(x, row, layout):
    """Return those of the rows of x, flat, that the next tile is going to be loaded from."""
    return extent(x, row + (1 if layout.fold else layout.columns), layout)


@inline
def following(x, i, row, layout):
    """Return x, (S, N, K), flat, from what is loaded after sample i of the rows of a tile."""
    samples, n, k = x.shape
    height = 1 if layout.fold else layout.columns
    i, row = (i + 1, row) if i + 1 < samples else (0, row + height)
    return flattened(x)[(i * n + max(row, 0)) * k :]


# -- moves -------------------------------------------------------------------------------------


@shared
def load_flat(tile, x, padding):
    """Fill a wide tile from the first entries of x, shape (K,), and padding where x ends."""
    wide_vectors()
    flat = flattened(tile)
    n = min(x.size, flat.size)
    for i in range(n):
        flat[i] = x[i]
    rest = flat[n:]
    for i in range(rest.size):
        rest[i] = padding


@shared
def load(tile, x, row, padding):
    """Fill a tile from rows of x, shape (N, K); places without an entry get `padding`."""
    wide_vectors()
    n, k = x.shape
    depth, columns = tile.shape
    if k > NARROW:
        load_flat(tile, x[row], padding)
        return
    lanes = reshaped(tile, (depth, 4, columns // 4))
    # For K < 4 a move of 4 categories reads beyond its own rows.
    end = min(n - 3 // k, row + columns)
    g, far = 0, k * x.itemsize <= CROWDED
    while g < columns // 4:
        first = row + 4 * g
        if far and first >= 0 and first + 64 <= end:
            for i in range(0, k, 4):
                many_rows_to_tile(x, first, max(min(i, k - 4), 0), lanes, g, None)
            g += 16
        elif first >= 0 and first + 16 <= end:
            for i in range(0, k, 4):
                rows_to_tile(x, first, max(min(i, k - 4), 0), lanes, g, None)
            g += 4
        elif first >= n:
            lanes[:, :, g:] = like(0, tile)
            return
        else:
            for j in range(16):
                r = first + j
                for i in range(k):
                    lanes[i, j % 4, g + j // 4] = x[r, i] if 0 <= r < n else like(0, tile)
            g += 4


@inline
def _by_number(x, factor, column):
    return x * factor[column]


@inline
def _less_two(x, factor, column):
    return (x - factor[0][column]) - factor[1][column]


@inline
def _by_nothing(x, factor, column):
    return x


def _storer(changed):
    """Build what writes a tile to its rows of out, changed(entry, factor, column)."""

    @shared
    def store(out, tile, row, factor):
        wide_vectors()
        n, k = out.shape
        depth, columns = tile.shape
        if k > NARROW:
            flat, target = flattened(tile), out[row]
            for i in range(k):
                target[i] = changed(flat[i], factor, 0)
            return
        lanes, quarter = reshaped(tile, (depth, 4, columns // 4)), columns // 4
        # As in load; what is written beyond must be this tile's own, as its next move repairs it.
        end = min(n, row + columns) - 3 // k
        g, far = 0, 4 <= k < CROWDED // out.itemsize
        long = k >= 8 and out.itemsize == 4  # two transposes of doubles do not fit in registers
        while g < quarter and row + 4 * g < n:
            first = row + 4 * g
            if far and long and first >= 0 and first + 64 <= end:
                for i in range(0, k, 8):
                    tile_to_many_long_rows(out, first, min(i, k - 8), lanes, g, factor)
                g += 16
            elif far and first >= 0 and first + 64 <= end:
                for i in range(0, k, 4):
                    tile_to_many_rows(out, first, max(min(i, k - 4), 0), lanes, g, factor)
                g += 16
            elif first >= 0 and first + 16 <= end:
                for i in range(0, k, 4):
                    tile_to_rows(out, first, max(min(i, k - 4), 0), lanes, g, factor)
                g += 4
            else:
                for j in range(16):
                    r, c = first + j, g + j // 4
                    if 0 <= r < n:
                        for i in range(k):
                            x = lanes[i, j % 4, c]
                            out[r, i] = changed(x, factor, j % 4 * quarter + c)
                g += 4

    return store


_store, _store_multiple = _storer(_by_nothing), _storer(_by_number)
_store_less = _storer(_less_two)


@inline
def store(out, tile, row):
    """Write a tile to its rows of out, shape (N, K)."""
    _store(out, tile, row, None)


@inline
def store_multiple(out, tile, factor, row):
    """`store` the tile with each column times its entry of factor."""
    _store_multiple(out, tile, row, factor)


@inline
def store_less(out, tile, first, second, row):
    """`store` the tile with each column less its entry of first, and then less that of second."""
    _store_less(out, tile, row, (first, second))


@block
def store_categories(z, arg, row, fold):
    """Write the winners of `columns.argmax` to their rows of z, shape (N,)."""
    columns = arg.size
    if fold:
        for c in range(columns):
            if arg[c] >= 0:
                z[row] = np.int32(arg[c] * columns + c)
    else:
        store_statistics(z, arg, row, fold)


@block
def load_categories(arg, z, row, fold):
    """Read categories in the form that `columns.argmax` leaves them."""
    if not fold:
        load_statistics(arg, z, row, np.int32(-1), fold)
        return
    for c in range(arg.size):
        arg[c] = np.int32(-1)
    arg[z[row] % arg.size] = np.int32(z[row] // arg.size)


@shared
def load_statistics(s, x, row, padding, fold):
    """Read a statistic of rows, x (N,), into the columns."""
    wide_vectors()
    if fold:
        s[:] = x[row]
        return
    lane = s.size // 4
    for g in range(0, lane, 16):
        first = row + 4 * g
        if first >= 0 and first + 64 <= x.size:
            deinterleave(s, g, lane, x, first)
        else:
            for i in range(4):
                store_vector(s, i * lane + g, filled(padding))
            for j in range(max(-first, 0), min(64, x.size - first)):
                s[j % 4 * lane + g + j // 4] = x[first + j]


@block
def load_many_categories(arg, z, row):
    """`load_categories` of each of z, (S, N), into a row of arg, of a narrow tile."""
    wide_vectors()
    n, columns = z.shape[1], arg.shape[1]
    if row < 0 or row + columns > n:
        for i in range(len(z)):
            load_statistics(arg[i], z[i], row, np.int32(-1), False)
        return
    for i in range(len(z)):
        for g in range(0, columns // 4, 16):
            deinterleave(arg, i * columns + g, columns // 4, z, i * n + row + 4 * g)


@shared
def store_statistics(out, s, row, fold):
    """Write a statistic of the columns to their rows of out, shape (N,)."""
    wide_vectors()
    if fold:
        out[row] = s[0]
        return
    columns = s.size
    lanes = reshaped(s, (4, columns // 4))
    for g in range(0, columns // 4, 16):
        first = row + 4 * g
        if first >= 0 and first + 64 <= out.size:
            interleave(out, first, lanes, g)
        else:
            for j in range(max(-first, 0), min(64, out.size - first)):
                out[first + j] = lanes[j % 4, g + j // 4]
