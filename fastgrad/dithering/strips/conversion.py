"""Rows of a picture as a search takes them: in the space of the loss, weighted and pinned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.lightness import REACH, sensitivity
from fastgrad.dithering.given import shown
from fastgrad.dithering.optimiser import flat, solid
from fastgrad.dithering.optimiser.search import in_vectors
from fastgrad.dithering.optimiser.solid import Labels
from fastgrad.dithering.optimiser.wavefront import Part
from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.pictures.sources import Source
from fastgrad.dithering.strips.learning import Learned
from fastgrad.kernels.dithering.optimiser import diffusion

__all__ = ["Conversion", "Regions"]

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
    """

    def __init__(self, source: Source, learned: Learned, regions: Regions | None = None) -> None:
        self._source, self._learned, self._regions = source, learned, regions or {}
        self._space = learned.space
        self._near: npt.NDArray[np.int16] | None = None
        if learned.pinning in ("exact", "near"):
            most = 0 if learned.pinning == "exact" else flat.NEAR
            self._near = flat.nearby(learned.palette, most)

    def rows(self, top: int, bottom: int) -> Part:
        """Return some rows.

        Parameters
        ----------
        top, bottom : int
            The first row, and the one after the last.

        Returns
        -------
        Part
            The rows. Pixels that are transparent are pinned to the entry after the last colour.
        """
        learned, height = self._learned, self._source.shape[0]
        above = max(0, top - REACH)
        values, alpha = self._source.read(above, min(height, bottom + REACH))
        own = slice(top - above, bottom - above)
        if alpha is not None:
            if values.ndim == 2:
                values = np.repeat(values[..., None], 3, axis=2)
            values, _, alpha = transparency.to_dither(values, alpha, learned.alpha)
        values, settled = self._mapped(values, alpha, above)
        values = values if values.ndim == 3 else values[..., None]
        if learned.grey:
            values = values[..., :1]
        elif values.shape[2] == 1:
            values = np.repeat(values, 3, axis=2)
        linear = colour.to_linear(values)
        seen = None if alpha is None else alpha > 0
        if learned.adapted is not None:
            weights = sensitivity(linear, seen, adapted=learned.adapted)[own]
        elif seen is not None:
            weights = seen[own].astype(np.float32)
        else:
            weights = np.ones((bottom - top, linear.shape[1]), np.float32)
        planes = np.ascontiguousarray(self._space.into(linear[own]).transpose(2, 0, 1))
        seen = None if seen is None else seen[own]
        if seen is not None:
            planes = np.where(seen, planes, np.float32(0))
        settled = None if settled is None else settled[own]
        labels = self._labels(values[own], seen, settled)
        return Part(planes, np.ascontiguousarray(weights), labels)

    def _mapped(
        self, values: Array, alpha: ByteArray | None, top: int
    ) -> tuple[Array, Labels | None]:
        """Return rows in the range of the palette, and the indices that are settled beforehand."""
        learned, labels = self._learned, None
        if learned.solid is not False or self._regions:
            here = slice(top, top + len(values))
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

    def _labels(self, values: Array, seen: Array | None, settled: Labels | None) -> Labels | None:
        """Return the labels of pinned pixels, -1 of others."""
        labels = None
        if self._learned.pinning == "all":
            labels = self._nearest(values)
        elif self._near is not None and values.dtype == np.uint8:
            labels = self._near[flat.codes_of(np.broadcast_to(values, (*values.shape[:2], 3)))]
        if settled is not None:
            rest = np.int16(flat.FREE) if labels is None else labels
            labels = np.where(settled == flat.FREE, rest, settled).astype(np.int16)
        if seen is not None:
            if labels is None:
                labels = np.full(seen.shape, flat.FREE, np.int16)
            labels[~seen] = len(self._learned.palette)
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
        diffusion.diffuse(labels, planes, nothing, in_vectors(colors), limits)
        return labels.astype(np.int16)
