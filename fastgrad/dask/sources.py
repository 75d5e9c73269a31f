"""Pictures on Dask arrays as sources: parts of them are computed when they are needed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from dask.base import compute
from dask.delayed import delayed

from fastgrad._typing import Array
from fastgrad.dask.blocks import known
from fastgrad.dithering.optimiser import diffusion
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import ArraySource, Box, PartSource

__all__ = ["Blocks", "DaskSource"]

T = TypeVar("T")


class DaskSource(ArraySource):
    """A picture whose parts are computed when they are needed.

    Parameters
    ----------
    image : dask array
        The picture.
    """

    def __init__(self, image: Any) -> None:
        self.image: Any = known(image, "image")
        super().__init__(self.image)
        self.columns = diffusion.WIDE
        if self.image.ndim == 3:
            self.image = self.image.rechunk({2: -1})

    def read(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> Pixels:
        """Return the pixels of some rows, and of some columns of them."""
        return ArraySource(self.image[top:bottom, left:right].compute()).read(0, bottom - top)

    def each(
        self, function: Callable[[Pixels, tuple[int, int]], T], boxes: Sequence[Box]
    ) -> Iterator[T]:
        """Call a function with parts of the picture: one task for each, all at once."""
        task: Any = delayed(called, pure=True)
        calls = [task(function, self.blocks(box), box, self.shape) for box in boxes]
        yield from cast("Any", compute)(*calls)

    def blocks(self, box: Box) -> list[Any]:
        """Return the blocks of a part as tasks, in the form that `Blocks` takes."""
        top, bottom, left, right = box
        found = self.image[top:bottom, left:right].to_delayed(optimize_graph=False)
        return found.reshape(found.shape[:2]).tolist()


class Blocks:
    """The blocks of an array, sliced as one without being joined.

    Parameters
    ----------
    blocks : list of lists of array
        The blocks from top to bottom, and from left to right.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __init__(self, blocks: list[list[Array]]) -> None:
        self._blocks = blocks
        self._tops = [0, *itertools.accumulate(len(row[0]) for row in blocks)]
        self._lefts = [0, *itertools.accumulate(block.shape[1] for block in blocks[0])]
        self.dtype = blocks[0][0].dtype
        self.shape = (self._tops[-1], self._lefts[-1], *blocks[0][0].shape[2:])

    def __getitem__(self, place: tuple[slice, slice]) -> Array:
        """Return some rows and columns."""
        (top, bottom), (left, right) = (
            (s.start or 0, n if s.stop is None else s.stop) for s, n in zip(place, self.shape)
        )
        parts = [
            np.concatenate(
                [
                    block[max(top - y, 0) : bottom - y, max(left - x, 0) : right - x]
                    for x, block in zip(self._lefts, row)
                    if x < right and x + block.shape[1] > left
                ],
                axis=1,
            )
            for y, row in zip(self._tops, self._blocks)
            if y < bottom and y + len(row[0]) > top
        ]
        return np.concatenate(parts)


def called(
    function: Callable[[Pixels, tuple[int, int]], T],
    blocks: list[list[Array]],
    box: Box,
    shape: tuple[int, int],
) -> T:
    """Return what a function makes of a part: the task."""
    corner = box[0], box[2]
    return function(PartSource(Blocks(blocks), corner, shape).read(*box), corner)
