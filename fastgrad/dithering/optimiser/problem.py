"""The problem to solve: a picture, its viewing conditions, and what is known of the palette."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.viewing import LIGHT, MANY, Viewing
from fastgrad.dithering.optimiser import dense, flat
from fastgrad.dithering.optimiser.dot_gain import DotGain
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import distinct
from fastgrad.dithering.optimiser.printed import PrintedError
from fastgrad.dithering.optimiser.solid import Labels
from fastgrad.dithering.optimiser.spare import refilled, spare, uses
from fastgrad.dithering.optimiser.weights import check_previous, check_weights

__all__ = ["Problem"]

COLORS, MOST = 16, 256  # of a palette: by default, and at most


class Problem:
    """A picture, the conditions under which it is viewed, and the palette as far as it is known.

    Parameters
    ----------
    image : array_like, shape (height, width, 3) or (height, width)
        sRGB or grey values, uint8 or float in [0, 1].
    viewing : Viewing
        The viewing conditions.
    colors, palette, lock_colors, weights, previous
        Options of `fastgrad.dither`.
    settled : array of int16, shape (height, width), optional
        Indices of pixels that have them already, of a fixed palette; -1 elsewhere.
    fitted : bool, optional
        Whether the picture has been brought into the range of a fixed palette.
    dot_gain : DotGain, optional
        What is seen of the dots of a printer, which has a fixed palette of two colours.

    Attributes
    ----------
    image : array, shape (height, width, 3) or (height, width)
        The picture as it was given.
    linear : array of float32, shape (height, width, channels)
        The picture in linear light, with one channel if the picture and all given colours are grey;
        there is none after `release`.
    viewing : Viewing
        The viewing conditions, without any that are left to their defaults.
    space : Space
        The colour space of the loss: of grey pictures linear light, not differences of it.
    colors : int
        Size K of the palette.
    fixed : array of uint8, shape (K, 3), or None
        The palette in sRGB, if it need not be learned.
    locked : array of float32, shape (L, channels)
        The colours in linear light with which a learned palette begins.
    fitted : bool
        Whether mixtures of the palette's colours have the colours of the picture.
    pins : flat.Pins or None
        The pixels whose index is settled before the work begins.
    drawn : bool
        Whether these are nearly all of a picture whose other colours are learned: of 16 or more,
        since of fewer grain makes the tones.
    greys : bool
        Whether all colours are greys, and learned: the picture's levels tell which are best.
    dense : array of uint8, shape (K, 3), or None
        Colours to be learned that are known, as they are so dense that a little grain will do.
    weights : array of float32, shape (height, width), or None
        The weights of the pixels.
    previous : array of uint8, shape (height, width), or None
        The indices of the previous frame.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range, or contradicts another.
    """

    image: Array
    linear: FloatArray
    viewing: Viewing
    space: colour.Space
    colors: int
    fixed: ByteArray | None
    locked: FloatArray
    weights: FloatArray | None
    previous: ByteArray | None
    fitted: bool
    pins: flat.Pins | None
    drawn: bool
    greys: bool
    dense: ByteArray | None

    def __init__(
        self,
        image: ArrayLike,
        viewing: Viewing,
        *,
        colors: int | None = None,
        palette: ArrayLike | None = None,
        lock_colors: bool = False,
        weights: ArrayLike | None = None,
        previous: object = None,
        settled: Labels | None = None,
        fitted: bool = False,
        dot_gain: DotGain | None = None,
    ) -> None:
        self.image = pixels = _picture(image)
        size = pixels.shape[:2]
        fixed, kept, self.colors = _palette(colors, palette, lock_colors)
        if dot_gain is not None and viewing.measured_in not in LIGHT:
            known = " or ".join(map(repr, LIGHT))
            raise ValueError(f"space must be {known} with dot_gain, got {viewing.space!r}")
        self._gain, self.fitted = dot_gain, fitted
        self.weights = None if weights is None else check_weights(weights, size).astype(np.float32)
        self.previous = None if previous is None else check_previous(previous, size, self.colors)

        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        given = kept if fixed is None else fixed
        grey = colour.is_grey(given) and colour.is_grey(pixels)
        self.pins, self.dense, self._settled, self._close = None, None, False, False
        self._own = False  # whether the palette has the colours of all pixels
        if pixels.dtype == np.uint8:
            rgb = np.broadcast_to(pixels, (*size, 3))
            if palette is None and weights is None:
                fixed = distinct(rgb, self.colors)
                self._own = fixed is not None
            if fixed is None or palette is not None:
                self.pins = self._flat(rgb, fixed, kept)
        if settled is not None and fixed is not None:
            self.pins = flat.joined(self.pins, settled, fixed)
        if self.pins is not None and self.pins.whole:
            fixed = self.pins.palette
        elif self.pins is not None:
            kept = self.pins.palette
        pins = self.pins if fixed is None and not self._settled else None
        self.drawn = pins is not None and pins.covering and self.colors >= MANY
        learned = fixed is None and pins is None
        self.dense = self.dense if learned else None
        self.greys = learned and grey and not len(kept)
        how = {"smooth": learned and self._close, "dense": self.dense is not None}
        self.viewing = viewing.settled(self.colors, learned=learned, drawn=self.drawn, **how)
        self.space = colour.space_of(self.viewing.measured_in, grey=grey)
        if grey and not self.space.mixed:
            pixels = pixels[..., :1]
        elif pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        self.linear = colour.to_linear(pixels)
        self.fixed = fixed
        self._channels, self._kept = slice(0, pixels.shape[2]), kept
        self.locked = colour.to_linear(kept[:, self._channels])

    @property
    def known(self) -> bool:
        """Whether colours that are learned are known to be good beforehand."""
        return self.greys or self.dense is not None

    def loss(self) -> BlurredError:
        """Return the loss of the picture, to which pinned pixels contribute too."""
        return self.loss_of(self.linear, self.weights)

    def unpinned(self, loss: BlurredError) -> BlurredError:
        """Return a loss to which only those pixels contribute that are not pinned."""
        return loss if self.pins is None else loss.within(self.pins.free)

    def pinned(self, indices: ByteArray) -> ByteArray:
        """Return a picture's indices with those of the pinned pixels in their places."""
        return indices if self.pins is None else self.pins.over(indices)

    def finished(self) -> ByteArray | None:
        """Return the indices of a picture that leaves no choice; None if some pixel has one.

        It leaves none where all pixels are pinned, or the palette has the colours of all of them,
        and there is no previous frame.
        """
        if self.fixed is None or self.weights is not None:
            return None
        if self.pins is not None:
            return None if self.pins.free.any() else self.pins.labels.astype(np.uint8)
        if not self._own or self.previous is not None:
            return None
        return flat.near(self.rgb(), self.fixed, 0).astype(np.uint8)

    def settle(self, indices: ByteArray, palette: ByteArray) -> ByteArray | None:
        """Give entries that no pixel needs to colours that do, and pin what is next to an entry.

        Parameters
        ----------
        indices : array of uint8, shape (height, width)
            The palette index of each pixel.
        palette : array of uint8, shape (K, 3)
            The colours, rounded.

        Returns
        -------
        array of uint8, shape (K, 3), or None
            The new palette; None if all entries are needed, and the pixels next to them pinned.
        """
        if self.image.dtype != np.uint8:
            return None
        image, seen = self.rgb(), None if self.weights is None else self.weights > 0
        drawn = self.pins is not None
        counted = indices if seen is None else indices[seen]
        counts = uses(counted, len(palette))
        most = flat.NEAR if drawn and not self._settled else 0
        places = spare(palette, counts, len(self._kept), most=most)
        if places.any():
            codes = flat.codes_of(image if seen is None else image[seen])
            found, counts = np.unique(codes, return_counts=True)
            new = refilled(palette, places, flat.rgb_of(found), counts)
            places = (new != palette).any(axis=1)
            palette = new
        if not places.any() and (self._settled or not drawn):
            return None
        self._settled = True
        if drawn:
            labels = flat.near(image, palette)
            labels[False if seen is None else ~seen] = flat.FREE
            self.pins = flat.Pins(palette, labels)
        return palette

    def release(self) -> None:
        """Let go of the picture in linear light: it is large, and the loss has its own copy."""
        del self.linear

    def among(self, image: Array, weights: ArrayLike | None) -> Problem:
        """Return the same problem for other pixels of the picture, as far as `Trials` needs it.

        Parameters
        ----------
        image : array, shape (height, width, 3) or (height, width)
            sRGB or grey values, uint8 or float in [0, 1].
        weights : array, shape (height, width), or None
            Their weights.

        Returns
        -------
        Problem
            Another problem, without pins.
        """
        other, pixels = copy.copy(self), image if image.ndim == 3 else image[..., None]
        channels = self._channels.stop
        pixels = pixels[..., :channels]
        if pixels.shape[2] < channels:
            pixels = np.repeat(pixels, channels, axis=2)
        other.image, other.pins, other.linear = image, None, colour.to_linear(pixels)
        other.weights = None if weights is None else np.asarray(weights, np.float32)
        return other

    def loss_of(self, linear: FloatArray, weights: Array | None) -> BlurredError:
        """Return the loss of another picture that is viewed under the same conditions.

        Parameters
        ----------
        linear : array, shape (height, width, channels)
            The picture in linear light.
        weights : array, shape (height, width), or None
            The weights of its pixels.

        Returns
        -------
        BlurredError
            The loss, in the space that `space` names.
        """
        weights = self.viewing.weighted(linear, weights)
        image, options = self.space.into(linear), dict[str, Any](self.viewing.blur)
        if self._gain is None or self.fixed is None:
            return BlurredError(image, weights=weights, **options)
        options |= {"gain": self._gain, "ink": self._gain.ink(self.fixed)}
        return PrintedError(image, weights=weights, **options)

    def _flat(self, rgb, fixed, kept):
        """Return the pixels to pin."""
        seen = None if self.weights is None else self.weights > 0
        if fixed is not None:
            pins = dense.near_greys(rgb, fixed) if seen is None and self.previous is None else None
            return pins or flat.fields(rgb, seen, self.colors, kept=fixed, fixed=True)
        pins = None
        if self.colors == 2 and seen is None and not len(kept):
            pins = flat.page(rgb)
        if pins is None and not len(kept):
            cover = dense.covering(rgb, seen, self.colors)
            if cover is not None:
                pins, self._close, self.dense = cover
                self._settled = pins is not None  # all colours are known
        return pins or flat.fields(rgb, seen, self.colors, kept=kept)

    def from_srgb(self, palette: ByteArray) -> FloatArray:
        """Convert colours from sRGB, (K, 3), to the space of the loss, (K, channels)."""
        linear = colour.to_linear(palette[:, self._channels])
        return np.ascontiguousarray(self.space.into(linear), np.float32)

    def to_srgb(self, colors: FloatArray) -> ByteArray:
        """Convert colours from the space of the loss, (K, channels), to sRGB, (K, 3)."""
        rgb = colour.to_srgb(self.space.back(np.asarray(colors, np.float64)))
        rgb = np.array(np.broadcast_to(rgb, (len(rgb), 3)))
        rgb[: len(self._kept)] = self._kept
        return rgb

    def rgb(self) -> Array:
        """Return the picture's sRGB values as they were given, with three channels."""
        image = self.image
        return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _picture(image):
    """Check the shape of a picture; `colour.to_linear` checks its values."""
    image = _validate.array(image, "image")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or not image.size:
        wanted = "(height, width) or (height, width, 3)"
        raise ValueError(f"image must have shape {wanted}, got {image.shape}")
    return image


def _palette(colors, palette, lock_colors):
    """Return the palette if it is fixed, else None; the locked colours; and how many there are."""
    lock = _validate.choice(lock_colors, "lock_colors", (False, True))
    count = COLORS if colors is None else _validate.integer(colors, "colors", 2, MOST)
    if palette is None:
        if lock:
            raise ValueError("palette must be given with lock_colors, got None")
        return None, np.empty((0, 3), np.uint8), count
    palette = _validate.array(palette, "palette")
    least = 1 if lock else 2
    if palette.dtype != np.uint8:
        raise TypeError(f"palette must be uint8, got dtype {palette.dtype}")
    if palette.ndim != 2 or palette.shape[1] != 3 or not least <= len(palette) <= MOST:
        wanted = f"({least} to {MOST}, 3)"
        raise ValueError(f"palette must have shape {wanted}, got {palette.shape}")
    if not lock:
        if colors is not None:
            raise ValueError(
                f"colors must be None with a palette unless lock_colors is True, got {colors}"
            )
        return palette, np.empty((0, 3), np.uint8), len(palette)
    if len(palette) > count:
        raise ValueError(f"colors must be at least the {len(palette)} of palette, got {count}")
    return None, palette, count
