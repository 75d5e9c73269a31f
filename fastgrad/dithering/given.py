"""What `fastgrad.dither` is given, made plain for the optimiser; and its result, dressed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, ByteArray
from fastgrad.dithering.eye.colour import SPACES
from fastgrad.dithering.optimiser import tones
from fastgrad.dithering.optimiser.solid import Labels, Mode, lettered, settled, shown
from fastgrad.dithering.optimiser.tones import Fit, ToneMap
from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.pictures.inputs import (
    Colors,
    Pixels,
    Swatches,
    colors_of,
    pixels_of,
    swatches_of,
)
from fastgrad.dithering.pictures.presets import Preset
from fastgrad.dithering.pictures.transparent_entry import Entries, KeyColor, key_of
from fastgrad.dithering.result import Dithering, Progress
from fastgrad.dithering.soft_edges import is_soft

__all__ = ["Given"]

COLORS, MOST = 16, 256  # of a palette: by default, and at most
HIDDEN = 8  # one in so many entries is for hidden colours, if they are kept


class Given:
    """A picture and a palette of any kind, as plain arrays without opacity.

    Parameters
    ----------
    image, colors, palette, preset, lock_colors, alpha, hidden, weights, previous, structure, fit,
    solid, regions
        Options of `fastgrad.dither`.

    Attributes
    ----------
    values : array, shape (height, width, 3) or (height, width)
        sRGB or grey values, uint8 or float in [0, 1].
    colors : int or None
        Number of colours to learn, less one where a transparent entry needs room.
    entries : int
        Number of entries of a palette that is learned, transparent ones among them.
    palette : array of uint8, shape (K, 3), or None
        The given colours.
    weights : array, shape (height, width), or None
        The weights, 0 where nothing is seen.
    previous : array or None
        The indices of the previous frame.
    swatches : Swatches or None
        The given colours, those of the device, and the options that suit them.
    mode : {"keep", "key", "blend"}
        What becomes of opacity.
    key : KeyColor or None
        The colour that stands for transparent pixels.
    fit : str or ToneMap
        How the values were brought into the range of the palette.
    solid : bool or array of uint8, shape (N, 3)
        The colours that stay solid.
    settled : array of int16, shape (height, width), or None
        The indices that are settled beforehand, -1 elsewhere.
    soft : array of uint8, shape (height, width), or None
        Opacity, if a palette can be learned with it.
    counted : bool
        Whether the number of colours is given.

    Raises
    ------
    TypeError, ValueError
        If an option has the wrong type or contradicts another.
    """

    values: Array
    colors: int | None
    entries: int
    palette: ByteArray | None
    weights: ArrayLike | None
    previous: ArrayLike | None
    swatches: Swatches | None
    mode: transparency.Mode
    key: KeyColor | None
    fit: Fit | ToneMap
    solid: bool | ByteArray
    settled: Labels | None
    soft: ByteArray | None
    counted: bool

    def __init__(
        self,
        image: object,
        *,
        colors: int | None = None,
        palette: Colors | Swatches | None = None,
        preset: str | Preset | None = None,
        lock_colors: bool = False,
        alpha: str | None = None,
        hidden: bool = False,
        weights: ArrayLike | None = None,
        previous: Dithering | ArrayLike | None = None,
        structure: float = 0.0,
        fit: Fit | ToneMap | None = None,
        solid: bool | Colors | None = None,
        regions: Mapping[Mode, ArrayLike] | None = None,
    ) -> None:
        lock = _validate.choice(lock_colors, "lock_colors", (False, True))
        mode, self.key = key_of(alpha)
        self.mode = mode or ("keep" if preset is None else "blend")
        self.swatches = swatches_of(palette, preset)
        if self.key is not None:
            for name, other in {"previous": previous, "hidden": hidden or None}.items():
                if other is not None:
                    raise ValueError(f"{name} must be left out with a colour as alpha")
            self.key, self.swatches = self.key.without(self.swatches)
        self.palette = None if self.swatches is None else self.swatches.colors
        if self.palette is not None and colors is not None and not lock:
            given = "palette" if preset is None else "preset"
            raise ValueError(
                f"colors must be None with a {given} unless lock_colors is True, got {colors}"
            )
        if lock and self.palette is None:
            raise ValueError("palette must be given with lock_colors, got None")
        if self.palette is not None and not lock and len(self.palette) < 2:
            raise ValueError(f"palette must have shape (2 to 256, 3), got {self.palette.shape}")
        count = COLORS if colors is None else _validate.integer(colors, "colors", 2, MOST)
        if lock and self.palette is not None and count <= len(self.palette):
            raise ValueError(
                f"colors must be more than the {len(self.palette)} of palette, got {count}"
            )
        self.colors, self.entries, self.weights = colors, count, weights
        keeps = _validate.choice(hidden, "hidden", (False, True))
        room = count if self.palette is None else MOST
        self._hidden = max(1, room // HIDDEN) if keeps else 0  # entries, at most
        self.fit = self._fit(fit, lock)
        self.counted = colors is not None or self.palette is not None
        self.values, self._alpha = _without_opacity(pixels_of(image), self.mode)
        self.soft = None
        if self._alpha is not None:
            self.entries = max(2, count - max(0, self._hidden - 1))
            plain = self.palette is None and weights is None and previous is None and not structure
            if plain and is_soft(self._alpha, count) and self._alpha.any():
                self.soft = self._alpha
            self._make_room(lock)
        elif lock and self.key is not None:
            self.colors = count - 1  # it has its entry, though no pixel has it
        self.previous = _opaque(previous) if isinstance(previous, Dithering) else previous
        self.solid = self._solid(solid, regions, lock)
        self.settled = self._settled(regions)
        if self.fit != "none":
            self.values = self._mapped(self.values)
        if self.settled is not None:
            assert self.palette is not None
            self.values = shown(self.values, self.settled, self.palette)

    @property
    def room_for_hidden(self) -> int:
        """How many entries there may be for hidden colours, as far as is known beforehand."""
        colors = (self.colors or COLORS) if self.palette is None else len(self.palette)
        return max(1, min(self._hidden, MOST - colors))

    def options(self, **given: Any) -> dict[str, Any]:
        """Return options that are not None, or what suits the preset in their places.

        Parameters
        ----------
        **given
            Options of `fastgrad.dither` that `Viewing` has, None for the default.

        Returns
        -------
        dict
            Options for `Viewing`.

        Raises
        ------
        ValueError
            If there is both ``sigma`` and ``ppd``, or no such space.
        """
        if given.get("space") is not None:
            given["space"] = _validate.named(given["space"], "space", SPACES)
        if given.get("ppd") is not None and given.get("sigma") is not None:
            raise ValueError(f"sigma must be None with ppd, got {given['sigma']!r}")
        suited = {} if self.swatches is None else dict(self.swatches.options)
        if given.get("ppd") is not None or given.get("sigma") is not None:
            suited = {name: x for name, x in suited.items() if name not in ("ppd", "sigma")}
        suited = {name: x for name, x in suited.items() if name in given}
        return {**suited, **{name: x for name, x in given.items() if x is not None}}

    def dressed(self, result: Dithering) -> Dithering:
        """Return a result with the opacity that is left and the colours of a device."""
        if self.soft is None:
            result = self._with_opacity(result)
        if self._hidden and result.opacity is not None:
            values = self.values if self.values.ndim == 3 else np.dstack([self.values] * 3)
            most = max(1, min(self._hidden, MOST - np.count_nonzero(result.opacity)))
            entries = result.indices, result.palette, result.opacity
            indices, palette, opacity = transparency.with_hidden(*entries, values, most)
            device = None
            if result.device is not None:
                seen = result.device[result.opacity > 0]
                device = np.concatenate([seen, palette[len(seen) :]])
            result = replace(
                result, indices=indices, palette=palette, opacity=opacity, device=device
            )
        return result if self.key is None else self._keyed(self.key, result)

    def _keyed(self, key: KeyColor, result: Dithering) -> Dithering:
        """Return a result whose transparent pixels have a colour."""
        made = key.laid(Entries(result.indices, result.palette, result.opacity))
        device = result.device
        if device is not None:
            device = key.laid(Entries(result.indices, device, result.opacity)).palette
        return replace(
            result, indices=made.indices, palette=made.palette, opacity=None, device=device
        )

    def _with_opacity(self, result: Dithering) -> Dithering:
        """Return a result with opacity that was not learned, and the colours of a device."""
        device = opacity = None
        swatches = self.swatches
        if swatches is not None and not np.array_equal(swatches.device, swatches.colors):
            device = np.concatenate([swatches.device, result.palette[len(swatches.device) :]])
        indices, palette = result.indices, result.palette
        if self._alpha is not None:
            indices, palette, opacity = transparency.entries(
                indices, palette, self._alpha, learned=self.palette is None
            )
            if device is not None:
                _, device, _ = transparency.entries(result.indices, device, self._alpha)
        return replace(result, indices=indices, palette=palette, device=device, opacity=opacity)

    def watched(self, callback: Callable[[Progress], object]) -> Callable[[Progress], object]:
        """Return a callback whose snapshots are `dressed` for another."""

        def call(progress: Progress) -> object:
            plain = progress.snapshot
            return callback(replace(progress, snapshot=lambda: self.dressed(plain())))

        return call

    def _fit(self, fit: Fit | ToneMap | None, lock: bool) -> Fit | ToneMap:
        """Check how the picture is brought into the palette's range."""
        if isinstance(fit, ToneMap):
            chosen = fit
        elif fit is None:
            suited = {} if self.swatches is None or lock else self.swatches.options
            return suited.get("fit", "none")
        else:
            chosen = _validate.named(fit, "fit", tones.FITS)
        if chosen != "none" and (self.palette is None or lock):
            raise ValueError(f"fit must be 'none' where colours are learned, got {fit!r}")
        return chosen

    def _mapped(self, values: Array) -> Array:
        """Return the picture within the range of the palette."""
        assert self.palette is not None
        fit = self.fit
        if not isinstance(fit, ToneMap):
            seen = None if self.weights is None else np.asarray(self.weights)
            fit = tones.fit_tones(values, self.palette, fit, seen=seen)
        made = fit(values)
        if self._alpha is not None:  # what is hidden is no matter of the palette's range
            hidden = self._alpha == 0
            made[hidden] = values[hidden]
        return made

    def _solid(self, solid: Any, regions: Any, lock: bool) -> bool | ByteArray:
        """Check which colours stay solid."""
        free = self.palette is None or lock
        if free and (regions or not (solid is None or solid is False)):
            name = "regions" if regions else "solid"
            raise ValueError(f"{name} must be left out where colours are learned")
        if solid is None:
            suited = {} if self.swatches is None or free else self.swatches.options
            return suited.get("solid", False)
        return solid if isinstance(solid, bool) else colors_of(solid, "solid")

    def _settled(self, regions: Mapping[Mode, ArrayLike] | None) -> Labels | None:
        """Return the indices that are settled before the work begins."""
        if self.palette is None or (self.solid is False and not regions):
            return None
        assert self.swatches is not None
        how: dict[str, Any] = {"device": self.swatches.device, "solid": self.solid}
        how["regions"] = regions
        labels = settled(self.values, self.palette, **how)
        labels, self.values = lettered(self.values, labels, self.palette, **how)
        return labels

    def _make_room(self, lock: bool) -> None:
        """Leave an entry of the palette for what is transparent, which has no weight."""
        assert self._alpha is not None
        fixed = None if lock else self.palette
        if fixed is not None and len(fixed) == MOST:
            raise ValueError(
                f"palette must have at most {MOST - 1} colours beside a transparent one, "
                f"got {MOST}: use alpha='blend'"
            )
        if fixed is None:
            given = 0 if self.palette is None else len(self.palette)
            self.colors = max(2, given, self.entries - 1)
        seen = self._alpha > 0
        if not seen.all():
            if self.weights is None:
                self.weights = seen
            else:
                weights = _validate.array(self.weights, "weights")
                if weights.shape != seen.shape:
                    raise ValueError(f"weights must have shape {seen.shape}, got {weights.shape}")
                self.weights = np.where(seen, weights, weights.dtype.type(0))


def _without_opacity(pixels: Pixels, mode: transparency.Mode) -> Pixels:
    """Return what is to be dithered, and the opacity that is left."""
    if pixels.alpha is None:
        return pixels
    values = pixels.values
    values = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    values, _, alpha = transparency.to_dither(values, pixels.alpha, mode)
    return Pixels(values, alpha)


def _opaque(result: Dithering) -> ByteArray:
    """Return the indices of the colours of a result, without entries for degrees of opacity."""
    if result.opacity is None:
        return result.indices
    table = np.arange(len(result.palette), dtype=np.uint8)
    count = int(np.argmax(result.opacity < 255))  # opaque colours come first
    for i in range(count, len(table)):
        same = (result.palette[:count] == result.palette[i]).all(axis=1)
        table[i] = np.argmax(same)  # what is transparent has no weight: any colour will do
    return table[result.indices]
