"""All that strips of a picture have in common: its palette, and what the eye is adapted to."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from fastgrad._typing import ByteArray, FloatArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.lightness import Adaptation
from fastgrad.dithering.eye.premultiplied import premultiplied_entries
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.tones import ToneMap

__all__ = ["Learned", "Pinning"]

Pinning: TypeAlias = Literal["none", "exact", "near", "all"]


@dataclass(frozen=True)
class Learned:
    """What every strip of a picture is dithered with.

    Attributes
    ----------
    palette : array of uint8, shape (K, 3)
        The colours in sRGB, without entries for what is transparent unless they have opacity.
    device : array of uint8, shape (K, 3)
        Those that a file gets in their places.
    viewing : Viewing
        The viewing conditions.
    grey : bool
        Whether one channel says it all.
    adapted : Adaptation or None
        What the eye is adapted to, if its sensitivity counts.
    pinning : {"none", "exact", "near", "all"}
        Which pixels are not searched: none; those that have exactly a colour of the palette, or
        nearly; or all of them, which have the nearest colour.
    alpha : {"keep", "key", "blend"}
        What becomes of opacity.
    clear : bool
        Whether there is an entry for what is transparent, which is the last one.
    sweeps, compensated : int
        Number of sweeps of the search, and how many of them, the last ones, aim at a compensated
        target, see `fastgrad.dithering.optimiser.compensation`.
    tones : ToneMap or None
        How the picture is brought into the range of the palette.
    solid : bool or array of uint8, shape (N, 3)
        The colours that stay solid.
    opacity : array of uint8, shape (K,), or None
        The opacity of each colour, if it was learned with them; opaque ones are the first. The loss
        is then that of premultiplied values, see `fastgrad.dithering.eye.premultiplied`.
    hidden : array of uint8, shape (N, 3), or None
        The colours of what is transparent, if they are kept.
    limit : float or None
        How far a pixel's opacity may be off, in the space of the loss, where it was learned.
    """

    palette: ByteArray
    device: ByteArray
    viewing: Viewing
    grey: bool
    adapted: Adaptation | None
    pinning: Pinning
    alpha: Literal["keep", "key", "blend"] = "keep"
    clear: bool = False
    sweeps: int = 0
    tones: ToneMap | None = None
    solid: bool | ByteArray = False
    opacity: ByteArray | None = None
    hidden: ByteArray | None = None
    compensated: int = 0
    limit: float | None = None

    @property
    def space(self) -> colour.Space:
        """The colour space of the loss."""
        return colour.space_of(self.viewing.measured_in, grey=self.grey)

    @property
    def colors(self) -> FloatArray:
        """The palette in the space of the loss, shape (K, channels)."""
        if self.opacity is not None:
            return premultiplied_entries(self.palette, self.opacity)
        linear = colour.to_linear(self.palette[:, : 1 if self.grey else 3])
        return np.ascontiguousarray(self.space.into(linear), np.float32)

    @property
    def entries(self) -> tuple[ByteArray, ByteArray | None]:
        """The colours, and their opacity: None if all are opaque, else the last ones are not."""
        opacity = (
            np.full(len(self.palette), 255, np.uint8) if self.opacity is None else self.opacity
        )
        if not self.clear:
            return self.palette, self.opacity
        seen = opacity > 0
        black = np.zeros((1, 3), np.uint8)
        hidden = black if self.hidden is None else self.hidden
        palette = np.concatenate([self.palette[seen], hidden])
        return palette, np.append(opacity[seen], np.zeros(len(hidden), np.uint8))

    @property
    def written(self) -> ByteArray | None:
        """The colours that a file gets in the places of `entries`, if they are others."""
        if np.array_equal(self.device, self.palette):
            return None
        return np.concatenate([self.device, self.entries[0][len(self.device) :]])

    def loss(self) -> BlurredError:
        """Return a loss of one pixel, under the same conditions."""
        image = np.zeros((1, 1, self.colors.shape[1]), np.float32)
        return BlurredError(image, **self.viewing.blur)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes: numbers, text and lists."""
        return {
            **asdict(self),
            "palette": self.palette.tolist(),
            "device": self.device.tolist(),
            "adapted": None if self.adapted is None else list(self.adapted),
            "tones": None if self.tones is None else _said(self.tones),
            "opacity": None if self.opacity is None else self.opacity.tolist(),
            "hidden": None if self.hidden is None else self.hidden.tolist(),
            "solid": self.solid if isinstance(self.solid, bool) else self.solid.tolist(),
        }

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Learned:
        """Return what `to_json` was called of.

        Raises
        ------
        TypeError, ValueError, KeyError
            If it is something else.
        """
        palette, device = (
            np.array(said[n], np.uint8).reshape(-1, 3) for n in ("palette", "device")
        )
        adapted = None if said["adapted"] is None else Adaptation(*said["adapted"])
        viewing = Viewing(**said["viewing"])
        tones, solid = said["tones"], said["solid"]
        more = {"palette": palette, "device": device, "viewing": viewing, "adapted": adapted}
        more["tones"] = None if tones is None else _heard(tones)
        more["solid"] = solid if isinstance(solid, bool) else np.array(solid, np.uint8)
        opacity, hidden = said["opacity"], said["hidden"]
        more["opacity"] = None if opacity is None else np.array(opacity, np.uint8)
        more["hidden"] = None if hidden is None else np.array(hidden, np.uint8).reshape(-1, 3)
        return cls(**{**said, **more})


def _said(tones: ToneMap) -> dict[str, Any]:
    """Return a map of tones as JSON has it."""
    table = base64.b64encode(tones.table.astype("<f4").tobytes()).decode()
    curve, chroma = tones.curve.tolist(), tones.chroma.tolist()
    return {"curve": curve, "chroma": chroma, "table": table, "grey": tones.grey}


def _heard(said: dict[str, Any]) -> ToneMap:
    """Return the map that `_said` was called of."""
    table = np.frombuffer(base64.b64decode(said["table"]), "<f4").astype(np.float32)
    nodes = round((table.size / 3) ** (1 / 3))
    curve, chroma = np.array(said["curve"]), np.array(said["chroma"])
    return ToneMap(curve, chroma, table.reshape(nodes, nodes, nodes, 3), bool(said["grey"]))
