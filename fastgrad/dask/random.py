"""Noise as Dask arrays: the numbers of `fastgrad.random`, whatever the chunks.

`fastgrad.random.normal(shape, rng=0)` and the function here of that name give the same array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
from dask.array.core import normalize_chunks
from dask.base import tokenize
from dask.layers import ArraySliceDep
from numpy.typing import DTypeLike

from fastgrad import _validate
from fastgrad import random as _arrays
from fastgrad._typing import FloatArray
from fastgrad.dask.blocks import Place, at_runs, computing_with, number_of_threads
from fastgrad.random import RNG, Key, as_key

__all__ = ["exponential", "gumbel", "logistic", "normal", "uniform"]

Shape = int | tuple[int, ...]


def uniform(
    shape: Shape,
    *,
    rng: RNG,
    dtype: DTypeLike = np.float32,
    offset: int = 0,
    chunks: Any = "auto",
) -> da.Array:
    """Draw from the uniform distribution on (0, 1): see `fastgrad.random.uniform`.

    Parameters
    ----------
    shape : int or tuple of int
    rng, dtype, offset
        As in `fastgrad.random.uniform`.
    chunks : int, tuple or "auto"
        Chunks as `dask.array` takes them.

    Returns
    -------
    dask array of that shape and dtype

    Raises
    ------
    TypeError, ValueError
        If one of these is of another type or out of its range.

    Examples
    --------
    >>> import fastgrad as fg, fastgrad.dask as fgd
    >>> u = fgd.random.uniform((40, 30), rng=0, chunks=(7, 11))
    >>> bool((u.compute() == fg.random.uniform((40, 30), rng=0)).all())
    True
    """
    return _filled(_arrays.uniform, shape, rng, dtype, offset, chunks)


def exponential(
    shape: Shape,
    *,
    rng: RNG,
    dtype: DTypeLike = np.float32,
    offset: int = 0,
    chunks: Any = "auto",
) -> da.Array:
    """Draw from the exponential distribution of rate 1: see `fastgrad.random.exponential`.

    Parameters
    ----------
    shape, rng, dtype, offset, chunks
        As in `uniform`, whose errors are raised as well.

    Returns
    -------
    dask array of that shape and dtype

    Examples
    --------
    >>> import fastgrad.dask as fgd
    >>> fgd.random.exponential(1000, rng=0, chunks=300).chunks
    ((300, 300, 300, 100),)
    """
    return _filled(_arrays.exponential, shape, rng, dtype, offset, chunks)


def gumbel(
    shape: Shape,
    *,
    rng: RNG,
    dtype: DTypeLike = np.float32,
    offset: int = 0,
    chunks: Any = "auto",
) -> da.Array:
    """Draw from the standard Gumbel distribution: see `fastgrad.random.gumbel`.

    Parameters
    ----------
    shape, rng, dtype, offset, chunks
        As in `uniform`, whose errors are raised as well.

    Returns
    -------
    dask array of that shape and dtype

    Examples
    --------
    >>> import fastgrad.dask as fgd
    >>> fgd.random.gumbel(1000, rng=0, chunks=300).dtype
    dtype('float32')
    """
    return _filled(_arrays.gumbel, shape, rng, dtype, offset, chunks)


def logistic(
    shape: Shape,
    *,
    rng: RNG,
    dtype: DTypeLike = np.float32,
    offset: int = 0,
    chunks: Any = "auto",
) -> da.Array:
    """Draw from the standard logistic distribution: see `fastgrad.random.logistic`.

    Parameters
    ----------
    shape, rng, dtype, offset, chunks
        As in `uniform`, whose errors are raised as well.

    Returns
    -------
    dask array of that shape and dtype

    Examples
    --------
    >>> import fastgrad.dask as fgd
    >>> fgd.random.logistic(1000, rng=0, chunks=300).numblocks
    (4,)
    """
    return _filled(_arrays.logistic, shape, rng, dtype, offset, chunks)


def normal(
    shape: Shape,
    *,
    rng: RNG,
    dtype: DTypeLike = np.float32,
    offset: int = 0,
    chunks: Any = "auto",
) -> da.Array:
    """Draw from the standard normal distribution: see `fastgrad.random.normal`.

    Parameters
    ----------
    shape, rng, dtype, offset, chunks
        As in `uniform`, whose errors are raised as well.

    Returns
    -------
    dask array of that shape and dtype

    Examples
    --------
    >>> import numpy as np, fastgrad.dask as fgd
    >>> float(fgd.random.normal(10**6, rng=0, dtype=np.float64, chunks=10**5).std().round(2))
    1.0
    """
    return _filled(_arrays.normal, shape, rng, dtype, offset, chunks)


def _filled(
    function: Callable[..., FloatArray],
    shape: Shape,
    rng: RNG,
    dtype: DTypeLike,
    offset: int,
    chunks: Any,
) -> da.Array:
    """Return the array whose blocks a function fills."""
    shape = shape if isinstance(shape, tuple | list) else (shape,)
    shape = tuple(_validate.integer(n, "shape", 0) for n in shape)
    kind, key = _validate.real_dtype(dtype), as_key(rng)
    offset = _validate.integer(offset, "offset", 0, 2**62)
    cut = normalize_chunks(chunks, shape, dtype=kind)
    index = tuple(range(len(shape)))
    name = f"fastgrad-{function.__name__}"
    return da.blockwise(
        fill_block,
        index,
        ArraySliceDep(cut),
        index,
        name=f"{name}-{tokenize(name, cut, key, kind, offset)}",
        function=function,
        shape=shape,
        threads=number_of_threads(),
        key=key,
        offset=offset,
        kind=kind,
        align_arrays=False,
        dtype=kind,
        meta=np.empty((0,) * len(index), kind),
    )


def fill_block(
    place: Place,
    function: Callable[..., FloatArray],
    shape: tuple[int, ...],
    threads: int,
    key: Key,
    offset: int,
    kind: np.dtype[Any],
) -> FloatArray:
    """Return the numbers of one block: the task."""
    size = tuple(s.stop - s.start for s in place)

    def fill(own: slice, start: int, out: FloatArray | None) -> FloatArray:
        count = own.stop - own.start
        return function(count, rng=key, dtype=kind, offset=offset + start, out=out)

    with computing_with(threads):
        return at_runs(fill, shape, place, 0).reshape(size)
