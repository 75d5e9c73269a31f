"""Relaxed samples of Dask arrays of logits."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.dask.blocks import drawn
from fastgrad.dask.categorical import SampleChunks
from fastgrad.distributions import concrete as _arrays
from fastgrad.distributions.concrete import Relaxation
from fastgrad.random import RNG

__all__ = ["gumbel_softmax", "relax"]


def gumbel_softmax(
    logits: da.Array,
    *,
    temperature: float,
    num_samples: int | None = None,
    rng: RNG,
    hard: bool = False,
    log: bool = False,
    row_offset: int = 0,
    sample_offset: int = 0,
    sample_chunks: SampleChunks = None,
) -> da.Array:
    """Draw relaxed samples: see `fastgrad.gumbel_softmax`, whose bits these are.

    Parameters
    ----------
    logits, num_samples, rng, row_offset, sample_offset, sample_chunks
        As in `fastgrad.dask.sample`.
    temperature, hard, log
        As in `fastgrad.gumbel_softmax`.

    Returns
    -------
    dask array, shape (S, *batch, K), or (*batch, K) without num_samples
        In the type and the chunks of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.dask.sample`; if the temperature is not a finite number above 0.

    Examples
    --------
    >>> import dask.array as da, fastgrad.dask as fgd
    >>> x = fgd.gumbel_softmax(da.zeros((1000, 3), chunks=(300, 3)), temperature=0.5, rng=0)
    >>> float(x.sum().compute().round(6))
    1000.0
    """
    temperature = _validate.temperature(temperature)
    if hard and log:
        raise ValueError(
            "log=True does not go with hard=True: a one-hot sample has no finite logarithm"
        )
    (x,) = drawn(
        _arrays.gumbel_softmax,
        logits,
        [(True, None)],
        num_samples=num_samples,
        sample_chunks=sample_chunks,
        rng=rng,
        row_offset=row_offset,
        sample_offset=sample_offset,
        temperature=temperature,
        hard=hard,
        log=log,
    )
    return x


def relax(
    logits: da.Array,
    *,
    temperature: float,
    num_samples: int | None = None,
    rng: RNG,
    coupled: bool = False,
    log: bool = False,
    row_offset: int = 0,
    sample_offset: int = 0,
    sample_chunks: SampleChunks = None,
) -> Relaxation:
    """Draw categories with both relaxations and the score: see `fastgrad.relax`.

    One task draws all four of a block; compute those that you want in one ``dask.compute``.

    Parameters
    ----------
    logits, num_samples, rng, row_offset, sample_offset, sample_chunks
        As in `fastgrad.dask.sample`.
    temperature, coupled, log
        As in `fastgrad.relax`.

    Returns
    -------
    Relaxation
        Of dask arrays, in the chunks of the logits.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.dask.gumbel_softmax`.

    Examples
    --------
    >>> import dask, dask.array as da, fastgrad.dask as fgd
    >>> r = fgd.relax(da.zeros((1000, 3), chunks=(300, 3)), temperature=0.5, rng=0)
    >>> z, x = dask.compute(r.sample, r.relaxed)
    >>> bool((x.argmax(-1) == z).all())
    True
    """
    temperature = _validate.temperature(temperature)
    arrays: Any = drawn(
        apart,
        logits,
        [(False, np.int32), (True, None), (True, None), (True, None)],
        num_samples=num_samples,
        sample_chunks=sample_chunks,
        rng=rng,
        row_offset=row_offset,
        sample_offset=sample_offset,
        temperature=temperature,
        coupled=coupled,
        log=log,
    )
    return Relaxation(*arrays)


def apart(
    logits: FloatArray,
    *,
    num_samples: int | None = None,
    out: Relaxation | None = None,
    **options: Any,
) -> Relaxation:
    """Return `fastgrad.relax` in four arrays, of which one may be kept without the others."""
    if out is None:
        _, lead = _validate.samples(num_samples)
        dtype = _validate.real_array(logits[:0], "logits").dtype
        full = (*lead, *logits.shape)
        out = Relaxation(np.empty(full[:-1], np.int32), *(np.empty(full, dtype) for _ in range(3)))
    return _arrays.relax(logits, num_samples=num_samples, out=out, **options)
