"""What a block is: its rows and samples in the whole, and the threads that it is computed with.

Rows are numbered in C order over all axes of the batch. So those of a block are one run of numbers
where only its first axis of more than one place is cut, and otherwise several runs, for each of
which the NumPy function is called with its offset.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import dask.array as da
import numba
import numpy as np
from dask import config
from dask.array.core import normalize_chunks
from dask.base import tokenize
from dask.layers import ArraySliceDep

from fastgrad import _validate
from fastgrad._typing import Array
from fastgrad.kernels.compiler import threads as _threads
from fastgrad.kernels.compiler.jit import threading_layer
from fastgrad.random import RNG, as_key

SAMPLES, CATEGORIES = "samples", "categories"  # names of axes, as `dask.array.blockwise` takes them
Place = tuple[slice, ...]

# -- what users pass ----------------------------------------------------------------------------


def known(x: Any, name: str) -> da.Array:
    """Return a Dask array of NumPy arrays with chunks of known sizes; refuse anything else."""
    if not isinstance(x, da.Array):
        kind = type(x).__name__
        raise TypeError(
            f"{name} must be a Dask array, got {kind}: functions of arrays are in fastgrad"
        )
    if not isinstance(x._meta, np.ndarray) or isinstance(x._meta, np.ma.MaskedArray):
        kind = type(x._meta).__name__
        raise TypeError(f"{name} must be a Dask array of plain NumPy arrays, got blocks of {kind}")
    if any(math.isnan(n) for n in x.shape):
        raise ValueError(
            f"{name} must have chunks of known sizes, got unknown ones: "
            "a row has a number, so call compute_chunk_sizes() first"
        )
    return x


def rows(logits: Any) -> da.Array:
    """Return logits (*batch, K) with the axis of categories in one chunk."""
    logits = known(logits, "logits")
    if not logits.ndim or not logits.shape[-1]:
        raise ValueError(f"logits must have shape (*batch, K) with K >= 1, got {logits.shape}")
    _validate.rows(np.empty((0, logits.shape[-1]), logits.dtype), check=False)
    if logits.numblocks[-1] != 1:
        raise ValueError(
            "logits must have the axis of categories in one chunk, got chunks "
            f"{logits.chunks[-1]}: use logits.rechunk({{-1: -1}})"
        )
    return logits


def batch_axes(n: int) -> tuple[str, ...]:
    """Return the names of n axes of a batch."""
    return tuple(f"batch {i}" for i in range(n))


def real(x: da.Array) -> np.dtype[Any]:
    """Return the type in which logits are computed."""
    return _validate.real_array(np.empty(0, x.dtype), "logits").dtype


def samples(num_samples: int | None, sample_chunks: Any) -> tuple[tuple[int, ...], ...]:
    """Return the chunks of the axis of samples, in a tuple that is empty without that axis."""
    count, lead = _validate.samples(num_samples)
    if not lead:
        if sample_chunks is not None:
            raise ValueError("sample_chunks must be None without num_samples, which has no axis")
        return ()
    wanted = count if sample_chunks is None else sample_chunks
    try:
        chunks = normalize_chunks(wanted, (count,))
    except (TypeError, ValueError):
        chunks = ((0,),)
    if 0 in chunks[0]:
        rule = f"an int or a tuple of positive ones with the sum {count}"
        raise ValueError(f"sample_chunks must be {rule}, got {sample_chunks!r}")
    return chunks


def number_of_threads() -> int:
    """Return with how many threads a task is to be computed."""
    return _validate.integer(config.get("fastgrad.threads", 1), "fastgrad.threads", 1)


# -- tasks --------------------------------------------------------------------------------------


@contextlib.contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Let Numba use so many threads, in this thread and for the time of the block."""
    threading_layer()  # else Numba would start its threads as it does
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, _threads.MOST))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def alone(block: Any) -> Any:
    """Return the block of an array that has one along each axis which the result lacks."""
    while isinstance(block, list):
        (block,) = block
    return block


def runs(shape: tuple[int, ...], place: Place) -> list[tuple[int, int]]:
    """Return (first, length) of the runs of numbers that are a block's places, in their order.

    Parameters
    ----------
    shape : tuple of int
        Shape of the whole.
    place : tuple of slices
        What part of it the block is.
    """
    size = [s.stop - s.start for s in place]
    if 0 in size:
        return []
    inner = len(shape)  # from this axis on, the block holds all there is
    while inner and size[inner - 1] == shape[inner - 1]:
        inner -= 1
    cut = max(inner - 1, 0)  # one run for each place along the axes before this one
    each = math.prod(size[cut:])
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    start = sum(s.start * stride for s, stride in zip(place, strides))
    steps = (range(0, n * stride, stride) for n, stride in zip(size[:cut], strides))
    first = [start]
    for step in steps:
        first = [a + b for a in first for b in step]
    return [(a, each) for a in first]


def at_runs(
    function: Callable[[slice, int, Any], Any], shape: tuple[int, ...], place: Place, lead: int
) -> Any:
    """Return ``function(rows, offset, None)`` for the rows of a block, which may be many runs.

    Results are an array or a tuple of arrays, each of shape (*batch, ...) after `lead` axes; rows
    are numbered in the block, the offset in the whole. Of several runs, the function is told to
    write in ``out``, its third argument, where the rows are next to each other in memory.
    """
    batch = tuple(s.stop - s.start for s in place)
    found, size = runs(shape, place), math.prod(batch)
    if len(found) < 2:
        return function(slice(0, size), found[0][0] if found else 0, None)
    first = function(slice(0, found[0][1]), found[0][0], None)
    parts = first if isinstance(first, tuple) else (first,)
    joined = [np.empty((*p.shape[:lead], size, *p.shape[lead + 1 :]), p.dtype) for p in parts]
    own = slice(0, 0)
    for i, (offset, length) in enumerate(found):
        own = slice(own.stop, own.stop + length)
        places = [whole[(slice(None),) * lead + (own,)] for whole in joined]
        if i and not lead:
            out = type(first)(*places) if isinstance(first, tuple) else places[0]
            function(own, offset, out)
            continue
        part = function(own, offset, None) if i else first
        for target, p in zip(places, part if isinstance(part, tuple) else (part,)):
            target[...] = p
    shaped = [x.reshape(x.shape[:lead] + batch + x.shape[lead + 1 :]) for x in joined]
    return type(first)(*shaped) if isinstance(first, tuple) else shaped[0]


def draw_block(
    block: Any,
    place: Place,
    share: Place,
    function: Callable[..., Any],
    shape: tuple[int, ...],
    threads: int,
    first: tuple[int, int],
    options: dict[str, Any],
) -> Any:
    """Return what a function draws for the rows and samples of one block: the task."""
    block, drawn = alone(block), {}
    if share:
        count = share[0].stop - share[0].start
        drawn = {"num_samples": count, "sample_offset": first[1] + share[0].start}
    elif first[1]:
        drawn = {"sample_offset": first[1]}
    flat, whole = None, block.shape[:-1]

    def draw(own: slice, offset: int, out: Any) -> Any:
        nonlocal flat
        logits = block
        if own != slice(0, math.prod(whole)):
            flat = block.reshape(-1, block.shape[-1]) if flat is None else flat
            logits = flat[own]
        return function(logits, row_offset=first[0] + offset, out=out, **drawn, **options)

    with computing_with(threads):
        return at_runs(draw, shape, place, len(share))


def drawn(
    function: Callable[..., Any],
    logits: Any,
    results: list[tuple[bool, Any]],
    *,
    num_samples: int | None,
    sample_chunks: Any,
    rng: RNG,
    row_offset: int,
    sample_offset: int,
    **options: Any,
) -> list[da.Array]:
    """Return the arrays that a function draws of logits, each block by one task.

    Parameters
    ----------
    function : callable
        Takes logits (*batch, K) and options as the functions of the top level do.
    logits : dask array
    results : list of pairs
        For each result, whether it has the axis of categories, and its dtype; None is that of the
        logits.
    num_samples, sample_chunks, rng, row_offset, sample_offset, **options
        As in the public functions.
    """
    logits, chunks = rows(logits), samples(num_samples, sample_chunks)
    count = sum(chunks[0]) if chunks else 1
    first = _validate.offsets(row_offset, sample_offset, count)
    batch, lead = batch_axes(logits.ndim - 1), (SAMPLES,) * len(chunks)
    options |= {"rng": as_key(rng)}
    name = f"fastgrad-{function.__name__}"
    token = tokenize(name, logits.name, chunks, first, options)
    # A tuple of results is a block too, of which each array takes its own.
    many = len(results) > 1
    axes = [(*lead, *batch, *((CATEGORIES,) if kept else ())) for kept, _ in results]
    types = [real(logits) if dtype is None else np.dtype(dtype) for _, dtype in results]
    index = (*lead, *batch, CATEGORIES) if many else axes[0]
    whole = da.blockwise(
        draw_block,
        index,
        logits,
        (*batch, CATEGORIES),
        ArraySliceDep(logits.chunks[:-1]),
        batch,
        ArraySliceDep(chunks) if chunks else (),
        lead if chunks else None,
        name=f"{name}-{token}",
        function=function,
        shape=logits.shape[:-1],
        threads=number_of_threads(),
        first=first,
        options=options,
        align_arrays=False,
        concatenate=False,
        dtype=types[0],
        meta=np.empty((0,) * len(index), types[0]),
    )
    if not many:
        return [whole]
    return [part(whole, index, i, own, t) for i, (own, t) in enumerate(zip(axes, types))]


def part(
    whole: da.Array,
    index: tuple[Any, ...],
    number: int,
    own: tuple[Any, ...],
    dtype: Any,
    **axes: Any,
) -> da.Array:
    """Return the array whose blocks are one part of an array's blocks, which are tuples.

    `axes` says how its axes differ, as for `dask.array.blockwise`.
    """
    return da.blockwise(
        part_of,
        own,
        whole,
        index,
        name=f"{whole.name}-{number}",
        number=number,
        align_arrays=False,
        concatenate=False,
        dtype=dtype,
        meta=np.empty((0,) * len(own), dtype),
        **axes,
    )


def part_of(block: Any, number: int) -> Array:
    """Return one part of a block that is a tuple."""
    return alone(block)[number]
