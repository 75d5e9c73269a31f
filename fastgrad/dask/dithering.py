"""Pictures on Dask arrays: parts of them, each one task, with the bits of a search of the whole.

A part is searched with the pixels around it that its own depend on (see
`fastgrad.dithering.optimiser.wavefront`), so that no task waits for another.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import dask.array as da
import numpy as np
from dask.base import compute, tokenize
from dask.delayed import delayed

from fastgrad import _validate
from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dask.blocks import computing_with, number_of_threads
from fastgrad.dask.sources import Blocks, DaskSource
from fastgrad.dithering.eye.colour import SpaceName
from fastgrad.dithering.optimiser import diffusion
from fastgrad.dithering.optimiser.tones import Fit, ToneMap
from fastgrad.dithering.optimiser.wavefront import BAND
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.inputs import Colors
from fastgrad.dithering.pictures.presets import Preset
from fastgrad.dithering.pictures.row_files import new_zarr
from fastgrad.dithering.pictures.sources import Box, PartSource
from fastgrad.dithering.pictures.transparency import Mode
from fastgrad.dithering.result import Dithering
from fastgrad.dithering.strips.learned import Learned
from fastgrad.dithering.strips.learning import learn
from fastgrad.dithering.strips.strips import figures, finished, reach, settled
from fastgrad.random import RNG, as_key

__all__ = ["LazyDithering", "dither"]

ROWS = 2048  # of a part, by default
WRITTEN = 256  # rows of a chunk of Zarr's, at most


@dataclass(frozen=True)
class LazyDithering:
    """A picture that is dithered when its rows are asked for: the result of `fastgrad.dask.dither`.

    Attributes
    ----------
    indices : dask array of uint8, shape (height, width)
        The palette index of each pixel, a chunk for each part.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB, as they are seen. They are known from the beginning.
    device : array of uint8, shape (K, 3), or None
        The colours that a file gets in the places of `palette`, if they are others.
    opacity : array of uint8, shape (K,), or None
        The opacity of each colour, 255 for opaque; None if all are.
    sums : dask array of float64, shape (height, 4)
        The figures of each row: see `fastgrad.dithering.optimiser.wavefront.Settled`. The task that
        makes a part of `indices` makes its share of them too.
    """

    indices: da.Array
    palette: ByteArray
    device: ByteArray | None
    opacity: ByteArray | None
    sums: da.Array
    _learned: Learned = field(repr=False)

    @property
    def image(self) -> da.Array:
        """The picture in sRGB, shape (height, width, 3); (height, width, 4) with `opacity`."""
        table = self.palette
        if self.opacity is not None:
            table = np.concatenate([table, self.opacity[:, None]], axis=1)
        chunks: Any = (*self.indices.chunks, (table.shape[1],))
        options: dict[str, Any] = {"dtype": np.uint8, "chunks": chunks, "new_axis": 2}
        return da.map_blocks(colours_of, self.indices, table, **options)

    def compute(self, **options: Any) -> Dithering:
        """Dither it now, into memory.

        Parameters
        ----------
        **options
            Options of `dask.compute`, such as ``scheduler`` and ``num_workers``.

        Returns
        -------
        Dithering
            What `fastgrad.dither` returns of a large array, but for its history and the time.
        """
        indices, sums = cast("Any", compute)(self.indices, self.sums, **options)
        return finished(indices, sums, self._learned)

    def to_zarr(self, path: str | os.PathLike[str], **options: Any) -> dict[str, float]:
        """Dither it now, into a Zarr array: each task writes its own part, and none waits.

        The array holds the indices; its attributes "palette" and "opacity" tell their colours. It
        gets its name when it is whole.

        Parameters
        ----------
        path : str or path-like
            A directory that does not exist yet, where all workers can write.
        **options
            Options of `dask.compute`.

        Returns
        -------
        dict of str to float
            The loss, as "loss", and figures of the picture: "psnr" and "blurred_psnr", see
            `fastgrad.dithering.Dithering`.

        Raises
        ------
        FileError
            If the array cannot be written, or zarr is not installed.
        """
        indices = self.indices
        rows = math.gcd(indices.chunks[0][0], WRITTEN) if indices.numblocks[0] > 1 else WRITTEN
        chunks = rows, indices.chunks[1][0]
        written = self.palette if self.device is None else self.device
        shape: Any = indices.shape
        with new_zarr(Path(path), shape, chunks, written, self.opacity) as array:
            stored: Any = da.store(indices, array, lock=False, compute=False)
            _, sums = cast("Any", compute)(stored, self.sums, **options)
        loss, measured = figures(sums, self._learned)
        return {"loss": loss, **measured}


def dither(
    image: da.Array,
    *,
    colors: int | None = None,
    palette: Colors | None = None,
    preset: str | Preset | None = None,
    lock_colors: bool = False,
    alpha: Mode | None = None,
    hidden: bool = False,
    fit: Fit | ToneMap | None = None,
    solid: bool | Colors | None = None,
    space: SpaceName | None = None,
    sigma: float | None = None,
    ppd: float | None = None,
    nu: float | None = None,
    local_weights: bool | None = None,
    speed: int | None = None,
    rng: RNG = 0,
    rows: int | None = None,
) -> LazyDithering:
    """Dither a picture of any size: see `fastgrad.dither`, which does the same with large arrays.

    The palette, and whatever else concerns the whole of the picture, is learned now, on tiles of a
    million pixels and an overview of as many; for that the picture is read once, and a second time
    where its first rows do not tell that it has more than 256 colours. Everything else is lazy, one
    task for each part of some rows, and of 8192 columns if the picture has more. The result is the
    same, bit for bit, for any chunks, any height of the parts, any scheduler and any number of
    workers.

    Parameters
    ----------
    image : dask array, shape (height, width), or (height, width, N) with N from 1 to 4
        sRGB or grey values, with a last layer of opacity for an even N: floats in [0, 1], uint16 up
        to 65535, booleans, or other integers up to 255; in any chunks.
    colors, palette, preset, lock_colors, alpha, hidden, fit, solid, space, sigma, ppd, nu,
    local_weights, speed, rng
        As in `fastgrad.dither`. From a generator 64 bits are drawn now.
    rows : int, optional
        Rows of a part: a multiple of 128, by default 2048.

    Returns
    -------
    LazyDithering
        The palette, and the indices as a dask array.

    Raises
    ------
    TypeError, ValueError
        If the picture is no Dask array of numbers, sizes of its chunks are unknown, or an option is
        wrong; if degrees of opacity would have to be kept in a given palette. When tasks run: if a
        value is out of range.

    Notes
    -----
    The rows of a part depend on some above and below it, which its task searches too: 64 rows for
    each sweep of the search, of which there are 6 at the default speed, and up to 128 more; and
    where a picture has more than 8192 columns, on up to 1024 on both sides. That is the price of
    independent tasks; see the page about pipelines for what it is. A task holds the source of its
    part in its own type, and of the search a window of some 600 rows. So the memory of a worker is
    bounded, whatever the height and the width of the picture.

    Options that need a whole picture at once are not there: ``structure``, ``previous``, ``rate``,
    ``max_bytes``, ``quality``, and a ``time_budget``; nor are ``weights`` and ``regions``.

    Examples
    --------
    >>> import dask.array as da, numpy as np, fastgrad.dask as fgd
    >>> ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (600, 1))
    >>> lazy = fgd.dither(da.from_array(ramp, chunks=(100, 64)), colors=4, rows=256)
    >>> lazy.indices.chunks, lazy.palette.shape
    (((256, 256, 88), (64,)), (4, 3))
    >>> other = fgd.dither(da.from_array(ramp, chunks=(333, 9)), colors=4)
    >>> bool((lazy.compute().indices == other.compute().indices).all())
    True
    """
    source = DaskSource(image)
    height, width = source.shape
    if rows is None:
        rows = ROWS
    elif _validate.integer(rows, "rows", BAND) % BAND:
        raise ValueError(f"rows must be a multiple of {BAND}, got {rows}")
    learned = learn(
        source,
        colors=colors,
        palette=palette,
        preset=preset,
        lock_colors=lock_colors,
        alpha=alpha,
        hidden=hidden,
        fit=fit,
        solid=solid,
        space=space,
        sigma=sigma,
        ppd=ppd,
        nu=nu,
        local_weights=local_weights,
        pace=Pace(speed),
        rng=as_key(rng),
    )
    token = tokenize(source.image.name, learned.to_json())
    indices, sums = [], []
    for first in range(0, height, rows):
        last, total = min(first + rows, height), None
        beside = []
        for left in range(0, width, diffusion.WIDE):
            columns = left, min(left + diffusion.WIDE, width)
            box = reach(source.shape, learned, first, last, columns)
            part: Any = delayed(part_of, pure=True)(
                source.blocks(box),
                (box[0], box[2]),
                (first, last, *columns),
                source.shape,
                learned,
                number_of_threads(),
                dask_key_name=f"fastgrad-dither-{token}-{first}-{last}-{left}",
            )
            size = last - first, columns[1] - left
            beside.append(da.from_delayed(part[0], size, np.uint8))
            share = da.from_delayed(part[1], (last - first, 4), np.float64)
            total = share if total is None else total + share  # from left to right, as elsewhere
        indices.append(beside)
        sums.append(total)
    palette_of_all, opacity = learned.entries
    # Types of Dask's functions would have to be found through all of its code.
    whole, joined = cast("Any", da.block), cast("Any", da.concatenate)
    return LazyDithering(
        whole(indices),
        palette_of_all,
        learned.written,
        opacity,
        joined(sums),
        learned,
    )


def part_of(
    blocks: list[list[Array]],
    corner: tuple[int, int],
    wanted: Box,
    shape: tuple[int, int],
    learned: Learned,
    threads: int,
) -> tuple[ByteArray, FloatArray]:
    """Return the indices of a part, and the sums of its rows: the task."""
    first, last, *columns = wanted
    source = PartSource(Blocks(blocks), corner, shape)
    how: dict[str, Any] = {"columns": tuple(columns), "rows": BAND}
    with computing_with(threads):
        strips = list(settled(source, learned, first=first, last=last, **how))
    indices = np.concatenate([strip.indices for strip in strips])
    return indices, np.concatenate([strip.sums for strip in strips])


def colours_of(indices: ByteArray, table: ByteArray) -> ByteArray:
    """Return the colours of some pixels: the task."""
    return table[indices]
