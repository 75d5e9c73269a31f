"""Functions of Dask arrays of logits: samples, log probabilities, scores, entropies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import dask.array as da
import numpy as np
from dask.base import tokenize

from fastgrad import _validate
from fastgrad.dask.blocks import (
    CATEGORIES,
    SAMPLES,
    alone,
    batch_axes,
    computing_with,
    drawn,
    known,
    number_of_threads,
    real,
    rows,
)
from fastgrad.distributions import categorical as _arrays
from fastgrad.random import RNG

__all__ = ["entropy", "log_prob", "sample", "score"]

SampleChunks = int | tuple[int, ...] | None


def sample(
    logits: da.Array,
    *,
    num_samples: int | None = None,
    rng: RNG,
    method: Literal["inverse", "gumbel"] = "inverse",
    row_offset: int = 0,
    sample_offset: int = 0,
    sample_chunks: SampleChunks = None,
) -> da.Array:
    """Draw categories: see `fastgrad.sample`, whose bits these are.

    Parameters
    ----------
    logits : dask array, shape (*batch, K)
        Unnormalised log probabilities, in any chunks of the batch and one of the categories.
    num_samples, rng, method, row_offset, sample_offset
        As in `fastgrad.sample`. From a generator 64 bits are drawn now, not when tasks run.
    sample_chunks : int or tuple of int, optional
        Chunks of the axis of samples; by default one.

    Returns
    -------
    dask array of int32, shape (S, *batch), or (*batch) without num_samples
        Categories from 0 to K - 1, in the chunks of the logits.

    Raises
    ------
    TypeError
        If logits are not a Dask array of real numbers.
    ValueError
        If the axis of categories is in more than one chunk, or sizes of chunks are unknown. When
        tasks run: if logits hold NaN or +inf, or a row of nothing but -inf.

    Examples
    --------
    >>> import dask.array as da, numpy as np, fastgrad as fg, fastgrad.dask as fgd
    >>> logits = np.random.default_rng(0).normal(size=(1000, 3))
    >>> z = fgd.sample(da.from_array(logits, chunks=(300, 3)), rng=0)
    >>> z.chunks, bool((z.compute() == fg.sample(logits, rng=0)).all())
    (((300, 300, 300, 100),), True)
    """
    _validate.choice(method, "method", ("inverse", "gumbel"))
    (z,) = drawn(
        _arrays.sample,
        logits,
        [(False, np.int32)],
        num_samples=num_samples,
        sample_chunks=sample_chunks,
        rng=rng,
        row_offset=row_offset,
        sample_offset=sample_offset,
        method=method,
    )
    return z


def log_prob(logits: da.Array, z: da.Array) -> da.Array:
    """Compute the log probability of categories: see `fastgrad.log_prob`.

    Parameters
    ----------
    logits : dask array, shape (*batch, K)
        Unnormalised log probabilities, in any chunks of the batch and one of the categories.
    z : dask array of integers, shape (*batch) or (S, *batch)
        Categories from 0 to K - 1. Where its chunks are others than those of the logits, both are
        rechunked.

    Returns
    -------
    dask array, the shape of z
        In the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `sample`; if z has another shape, and, when tasks run, if it is out of range.

    Examples
    --------
    >>> import dask.array as da, numpy as np, fastgrad.dask as fgd
    >>> logits = da.zeros((1000, 4), chunks=(300, 4))
    >>> z = fgd.sample(logits, num_samples=2, rng=0)
    >>> float(fgd.log_prob(logits, z).mean().compute().round(4))
    -1.3863
    """
    return _of_categories(_arrays.log_prob, logits, z, kept=False)


def score(logits: da.Array, z: da.Array) -> da.Array:
    """Compute the gradient of the log probability by the logits: see `fastgrad.score`.

    Parameters
    ----------
    logits, z : dask array
        As in `log_prob`.

    Returns
    -------
    dask array, shape (*batch, K) or (S, *batch, K)
        In the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `log_prob`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, fastgrad.dask as fgd
    >>> logits = da.zeros((1000, 2), chunks=(300, 2))
    >>> fgd.score(logits, da.ones(1000, dtype=int, chunks=300))[0].compute()
    array([-0.5,  0.5])
    """
    return _of_categories(_arrays.score, logits, z, kept=True)


def entropy(logits: da.Array) -> da.Array:
    """Compute the entropy of each variable in nats: see `fastgrad.entropy`.

    Parameters
    ----------
    logits : dask array, shape (*batch, K)
        Unnormalised log probabilities, in any chunks of the batch and one of the categories.

    Returns
    -------
    dask array, shape (*batch)
        In the type of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `sample`.

    Examples
    --------
    >>> import dask.array as da, fastgrad.dask as fgd
    >>> float(fgd.entropy(da.zeros((1000, 4), chunks=(300, 4))).sum().compute().round(3))
    1386.294
    """
    logits = rows(logits)
    batch = batch_axes(logits.ndim - 1)
    return _blockwise(_arrays.entropy, batch, real(logits), logits, (*batch, CATEGORIES))


def _of_categories(
    function: Callable[..., Any], logits: da.Array, z: da.Array, *, kept: bool
) -> da.Array:
    """Return what a function makes of logits and categories; it keeps their axis or does not."""
    logits, z = rows(logits), known(z, "z")
    shape: Any = logits.shape[:-1]
    own_shape: Any = z.shape
    if z.shape != shape and z.shape[1:] != shape:
        expected = f"{shape} or (S, {', '.join(map(str, shape))})"
        raise ValueError(f"z must have the shape {expected}, got {z.shape}")
    _validate.categories(
        np.empty((0, *own_shape[1:]), z.dtype), own_shape[1:], int(logits.shape[-1])
    )
    batch = batch_axes(len(shape))
    own = (SAMPLES,) * (z.ndim - len(shape)) + batch
    index = (*own, *((CATEGORIES,) if kept else ()))
    return _blockwise(function, index, real(logits), logits, (*batch, CATEGORIES), z, own)


def _blockwise(
    function: Callable[..., Any], index: tuple[Any, ...], dtype: np.dtype[Any], *pairs: Any
) -> da.Array:
    """Return what a function makes of each block; rows are all alike, so no place matters."""
    name = f"fastgrad-{function.__name__}"
    arrays = [pair if i % 2 else pair.name for i, pair in enumerate(pairs)]
    return da.blockwise(
        of_block,
        index,
        *pairs,
        name=f"{name}-{tokenize(name, arrays)}",
        function=function,
        threads=number_of_threads(),
        concatenate=False,
        dtype=dtype,
        meta=np.empty((0,) * len(index), dtype),
    )


def of_block(*blocks: Any, function: Callable[..., Any], threads: int) -> Any:
    """Return what a function makes of blocks: the task."""
    with computing_with(threads):
        return function(*map(alone, blocks))
