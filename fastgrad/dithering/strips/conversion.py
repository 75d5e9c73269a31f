"""Rows of a picture as a search takes them: in the space of the loss, weighted and pinned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.lightness import REACH, sensitivity
from fastgrad.dithering.eye.premultiplied import premultiplied
from fastgrad.dithering.optimiser import diffusion, flat, solid
from fastgrad.dithering.optimiser.held_rows import Part
from fastgrad.dithering.optimiser.search import in_vectors
from fastgrad.dithering.optimiser.solid import Labels, shown
from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import Source
from fastgrad.dithering.strips.hidden import nearest
from fastgrad.dithering.strips.learned import Learned
from fastgrad.kernels.dithering.optimiser import diffusion as kernels

__all__ = ["MARGIN", "Conversion", "Regions"]

MARGIN = REACH + 1  # rows and columns that are read around others: colours that are alone count

Regions: TypeAlias = Mapping[solid.Mode, Any]


class Conversion:
    """The rows of a picture, converted when they are asked for; the same ones in any division.

    Parameters
    ----------
    source : Source
        The picture.
    learned : Learned
        What its strips have in common.
    regions : mapping of str to array_like of bool, optional
        Pixels that have a mode of their own.
    weights : Source, optional
        The weights of the pixels.
    """

    def __init__(
        self,
        source: Source,
        learned: Learned,
        regions: Regions | None = None,
        weights: Source | None = None,
    ) -> None:
        self._source, self._learned, self._regions = source, learned, regions or {}
        self._weights = weights
        self._space = learned.space
        self._near: npt.NDArray[np.int16] | None = None
        if learned.pinning in ("exact", "near"):
            most = 0 if learned.pinning == "exact" else flat.NEAR
            self._near = flat.nearby(learned.palette, most)

    def rows(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> Part:
        """Return some rows, or some columns of them.

        Parameters
        ----------
        top, bottom : int
            The first row, and the one after the last.
        left, right : int
            The same of columns; by default all. In a picture of more than 8192 columns they are
            multiples of 512, or the end: so many are converted at once, in any division.

        Returns
        -------
        Part
            The rows. Pixels that are transparent are pinned to the entries after the last colour.
        """
        height, width = self._source.shape
        right = width if right is None else right
        above, beside = max(0, top - MARGIN), max(0, left - MARGIN)
        box = above, min(height, bottom + MARGIN), beside, min(width, right + MARGIN)
        values, alpha = self._source.read(*box)
        weights = None if self._weights is None else self._weights.read(*box).values
        step = width if width <= diffusion.WIDE else diffusion.SPAN
        parts = []
        for start in range(left, right, step):
            end = min(start + step, right)
            begin = max(0, start - MARGIN)
            columns = slice(begin - beside, min(width, end + MARGIN) - beside)
            part = Pixels(values[:, columns], None if alpha is None else alpha[:, columns])
            own = slice(top - above, bottom - above), slice(start - begin, end - begin)
            share = None if weights is None else weights[:, columns]
            parts.append(self._converted(part, share, (above, begin), own))
        return _beside(parts)

    def _converted(
        self,
        pixels: Pixels,
        weights: Array | None,
        corner: tuple[int, int],
        own: tuple[slice, slice],
    ) -> Part:
        """Return some pixels of which others lie around them."""
        learned, (values, alpha) = self._learned, pixels
        if alpha is not None:
            if values.ndim == 2:
                values = np.repeat(values[..., None], 3, axis=2)
            values, _, alpha = transparency.to_dither(values, alpha, learned.alpha)
        hidden = None
        if alpha is not None and not alpha[own].all():
            hidden = self._hidden(values[own], alpha[own])
        if learned.opacity is not None:
            return self._soft(values[own], None if alpha is None else alpha[own], hidden)
        values, settled = self._mapped(values, alpha, corner)
        values = values if values.ndim == 3 else values[..., None]
        if learned.grey:
            values = values[..., :1]
        elif values.shape[2] == 1:
            values = np.repeat(values, 3, axis=2)
        linear = colour.to_linear(values)
        seen = None if alpha is None else alpha > 0
        if seen is not None:
            weights = seen.astype(np.float32) if weights is None else np.where(seen, weights, 0)
        if learned.adapted is not None:
            weights = sensitivity(linear, weights, adapted=learned.adapted)
        elif weights is None:
            weights = np.ones(linear.shape[:2], np.float32)
        planes = np.ascontiguousarray(self._space.into(linear[own]).transpose(2, 0, 1))
        if seen is not None:
            planes = np.where(seen[own], planes, np.float32(0))
        settled = None if settled is None else settled[own]
        labels = self._labels(values[own], hidden, settled)
        return Part(planes, np.ascontiguousarray(weights[own], np.float32), labels)

    def _soft(self, values: Array, alpha: ByteArray | None, hidden: Labels | None) -> Part:
        """Return pixels whose opacity is searched with their colour."""
        if alpha is None:
            alpha = np.full(values.shape[:2], 255, np.uint8)
        if values.ndim == 2:
            values = np.repeat(values[..., None], 3, axis=2)
        planes = premultiplied(values, alpha).transpose(2, 0, 1)
        return Part(np.ascontiguousarray(planes), (alpha > 0).astype(np.float32), hidden)

    def _hidden(self, values: Array, alpha: ByteArray) -> Labels:
        """Return the entries of transparent pixels, and `flat.FREE` for others."""
        learned, clear = self._learned, alpha == 0
        palette, opacity = learned.entries
        assert opacity is not None
        first = int(np.argmax(opacity == 0))
        labels = np.full(alpha.shape, flat.FREE, np.int16)
        labels[clear] = first + nearest(values[clear], palette[first:])
        return labels

    def _mapped(
        self, values: Array, alpha: ByteArray | None, corner: tuple[int, int]
    ) -> tuple[Array, Labels | None]:
        """Return pixels in the range of the palette, and indices that are settled beforehand."""
        learned, labels = self._learned, None
        if learned.solid is not False or self._regions:
            here = tuple(slice(at, at + n) for at, n in zip(corner, values.shape))
            regions = {n: m if np.ndim(m) == 0 else m[here] for n, m in self._regions.items()}
            how: dict[str, Any] = {"solid": learned.solid, "regions": regions}
            how["device"] = learned.device
            labels = solid.settled(values, learned.palette, **how)
        if learned.tones is not None:
            made = learned.tones(values)
            if alpha is not None:
                made[alpha == 0] = values[alpha == 0]
            values = made
        return (values if labels is None else shown(values, labels, learned.palette)), labels

    def _labels(
        self, values: Array, hidden: Labels | None, settled: Labels | None
    ) -> Labels | None:
        """Return the labels of pinned pixels, -1 of others."""
        labels = None
        if self._learned.pinning == "all":
            labels = self._nearest(values)
        elif self._near is not None and values.dtype == np.uint8:
            labels = self._near[flat.codes_of(np.broadcast_to(values, (*values.shape[:2], 3)))]
        for more in (settled, hidden):
            if more is not None:
                rest = np.int16(flat.FREE) if labels is None else labels
                labels = np.where(more == flat.FREE, rest, more).astype(np.int16)
        return labels

    def _nearest(self, values: Array) -> npt.NDArray[np.int16]:
        """Return the nearest colour of each pixel in sRGB."""
        channels = values.shape[2]
        scale = np.float32(1 if values.dtype == np.uint8 else 255)
        planes = np.ascontiguousarray(values.transpose(2, 0, 1), np.float32) * scale
        labels: ByteArray = np.empty(values.shape[:2], np.uint8)
        colors = self._learned.palette[:, :channels].astype(np.float32)
        nothing = np.zeros(values.shape[:2], np.float32)  # a weight of 0: no error is handed on
        limits = np.zeros(channels, np.float32)
        colours = in_vectors(colors), limits, (0,) * len(planes)
        kernels.diffuse(labels, planes, nothing, colours)
        return labels.astype(np.int16)


def _beside(parts: list[Part]) -> Part:
    """Return parts that lie side by side as one."""
    if len(parts) == 1:
        return parts[0]
    labels = None
    if any(part.labels is not None for part in parts):
        none = np.int16(flat.FREE)
        labels = np.concatenate(
            [np.full(p.weights.shape, none) if p.labels is None else p.labels for p in parts], 1
        )
    planes = np.concatenate([part.planes for part in parts], axis=2)
    return Part(planes, np.concatenate([part.weights for part in parts], axis=1), labels)
