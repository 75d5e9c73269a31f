"""Animations whose frames have palettes of their own, as a GIF may have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from fastgrad import dithering
from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import SPACES, to_linear
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.pictures import gif
from fastgrad.dithering.pictures.animation import Visible, counted

__all__ = ["MOST", "OwnFrame", "dither_frames", "encode"]

MOST = 255  # colours of a frame: one entry is for pixels that are kept
LATEST = 2e-3  # what a pixel that is kept adds to the loss at most, lest frames be lost


@dataclass(frozen=True)
class OwnFrame:
    """A frame with a palette of its own, for what it does not keep of the frame before.

    Attributes
    ----------
    indices : array of uint8, shape (height, width)
        Palette indices, of pixels that are kept 0.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB; none if all is kept.
    kept : array of bool, shape (height, width)
        Which pixels stay as they are.
    shown : array of uint8, shape (height, width, 3)
        What is seen, in sRGB.
    loss : float
        The loss of what is new.
    """

    indices: ByteArray
    palette: ByteArray
    kept: npt.NDArray[np.bool_]
    shown: ByteArray
    loss: float


def dither_frames(
    frames: Iterable[Visible],
    *,
    colors: int,
    lasting: Iterable[Array] | None = None,
    **options: Any,
) -> Iterator[OwnFrame]:
    """Dither frames, each in its own colours; pixels stay where the picture does.

    So a frame has all colours for what is new in it, and nothing that stays can flicker. With a
    rate, pixels also stay where the picture has hardly changed since they were drawn: where that
    error adds less to the loss than the rate asks for the bits of a pixel.

    Parameters
    ----------
    frames : iterable of (values, None)
        The frames, as in `animation.dither_frames`; all of each is seen.
    colors : int
        Colours of a frame at most.
    lasting : iterable of array, shape (height, width), optional
        As in `animation.dither_frames`.
    **options
        Options of `fastgrad.dither`.

    Yields
    ------
    OwnFrame
        A dithered frame.
    """
    options.pop("flicker", None)
    rate, asked = options.get("rate") or 0.0, Viewing.__dataclass_fields__
    viewing = Viewing(**{name: options[name] for name in asked if name in options}).settled(colors)
    before, shown, drawn = None, None, None  # `drawn` is what each pixel was drawn after
    bits = pixels = 0.0  # of what has been drawn
    for (values, _), times in zip(frames, repeat(None) if lasting is None else lasting):
        kept = np.zeros(values.shape[:2], bool)
        if before is not None and drawn is not None:
            kept = (values == before).all(axis=-1)
            if rate and not kept.all():
                late = _lateness(values, drawn, viewing) * (1 if times is None else counted(times))
                kept |= late < min(rate * bits / max(pixels, 1), LATEST)
        before, new = values, ~kept
        drawn = values.copy() if drawn is None else np.where(new[..., None], values, drawn)
        indices, palette = np.zeros(kept.shape, np.uint8), np.zeros((0, 3), np.uint8)
        loss = 0.0
        if new.any():
            weights: dict[str, Any] = {"weights": new} if kept.any() else {}
            if times is not None and times.max() > 1:
                weights = {"weights": np.sqrt(counted(times)) * new}
            found = dithering.dither(values, colors=colors, **weights, **options)
            used, places = np.unique(found.indices[new], return_inverse=True)
            indices[new], palette = places.reshape(-1), found.palette[used]
            loss = float(found.loss[-1])
            if rate:
                bits += 8 * len(gif.compress(np.where(kept, np.uint8(len(palette)), indices)))
                pixels += np.count_nonzero(new)
        shown = np.zeros_like(values, np.uint8) if shown is None else shown.copy()
        shown[new] = palette[indices[new]]
        yield OwnFrame(indices, palette, kept, shown, loss)


def _lateness(values: Array, drawn: Array, viewing: Viewing) -> FloatArray:
    """Return what each pixel adds to the sum of the loss if `drawn` is seen instead of `values`."""
    into, linear = SPACES[viewing.measured_in].into, to_linear(values)
    weights = viewing.weighted(linear, None)
    loss = BlurredError(into(linear), weights=weights, **viewing.blur)
    error = loss.weights * (into(to_linear(drawn)).transpose(2, 0, 1) - loss.planes)
    return (error * loss.field(error)).sum(axis=0)


def encode(frames: Sequence[OwnFrame], durations: Sequence[float], plays: int) -> bytes:
    """Encode frames with palettes of their own as a GIF.

    Parameters
    ----------
    frames : sequence of OwnFrame
        The frames.
    durations : sequence of float
        Time for which each is shown, in milliseconds; what is too long for a frame is divided.
    plays : int
        Number of times that the animation is played; 0 for endless repetition.

    Returns
    -------
    bytes
        The contents of the file.
    """
    parts: list[tuple[OwnFrame, float]] = []
    for frame, duration in zip(frames, durations):
        if parts and frame.kept.all():
            frame, duration = parts[-1][0], parts.pop()[1] + duration
        while duration > gif.LONGEST:
            parts.append((frame, gif.LONGEST))
            duration -= gif.LONGEST
        parts.append((frame, duration))
    made, times = zip(*parts)
    columns = zip(*((frame.indices, frame.palette, frame.kept) for frame in made))
    return gif.encode_apart(*columns, durations=times, plays=plays)
