"""What is asked for of pictures, and what came of one, up to the content of its file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.metrics.ssimulacra2 import of_frames
from fastgrad.dithering.pictures import (
    animation,
    device_files,
    images,
    indexed,
    own_palettes,
    placement,
    png,
    png_chunks,
    transparency,
)
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.transparent_entry import Entries, KeyColor, moved

__all__ = ["Outcome", "Settings", "failure", "larger"]


@dataclass(frozen=True)
class Settings:
    """What is asked for, the same for all pictures.

    Attributes
    ----------
    palette, device : numpy.ndarray of uint8, shape (K, 3), or None
        Given colours, and those that are written in their places.
    lock : bool
        Whether more are learned.
    colors : int
        Colours of a learned palette.
    alpha : str
        One of `transparency.MODES`.
    size : tuple or None
        The width and height asked for.
    options : dict
        Of `dithering.dither`.
    format : str or None
        One of `device_files.FORMATS`, in place of what the ending of a file says.
    codes : tuple of int or None
        The driver's numbers of the given colours.
    placement, turn
        Options of `placement.placed`.
    resume : bool
        Whether to go on with large pictures from what is finished of them.
    counted : bool
        Whether the number of colours is given: if not, a size chooses it.
    choose : int or None
        How many of the given colours are taken; None for all.
    apart : bool
        Whether each frame of an animation has a palette of its own.
    key : KeyColor or None
        The colour that stands for transparent pixels; it is not among the given ones.
    transparent_index : int or None
        Where the transparent entry stands.
    masks : dict
        What named the mask of each region, such as "--mask m.png".
    """

    palette: Array | None
    device: Array | None
    lock: bool
    colors: int
    alpha: transparency.Mode
    size: tuple[int | None, int | None] | None
    options: dict[str, Any]
    format: device_files.FormatName | None = None
    codes: tuple[int, ...] | None = None
    placement: placement.Placement = "stretch"
    turn: int = 0
    resume: bool = False
    counted: bool = True
    choose: int | None = None
    apart: bool = False
    key: KeyColor | None = None
    transparent_index: int | None = None
    masks: dict[str, str] = field(default_factory=dict)

    def check_masks(self, picture: str, size: tuple[int, int]) -> None:
        """Refuse masks of regions that are not of a picture's width and height."""
        for name, mask in (self.options.get("regions") or {}).items():
            if np.ndim(mask) and np.shape(mask) != size[::-1]:
                asked = self.masks.get(name, f"the mask for {name}")
                here, wanted = np.shape(mask)[::-1], " x ".join(map(str, size))
                reason = f"{asked} is of {' x '.join(map(str, here))} pixels, not of {wanted}"
                raise FileError(f"{picture}: {reason}")

    @property
    def ordered(self) -> bool:
        """Whether entries stand where they must: given ones, or those of palettes of tiles."""
        return self.palette is not None or self.options.get("tiles") is not None

    def within(self, share: int | None) -> Settings:
        """Return the same with a share of the bytes of all pictures, if there is one."""
        if share is None:
            return self
        return replace(self, options={**self.options, "max_bytes": share})


@dataclass
class Outcome:
    """A dithered picture file.

    Attributes
    ----------
    frames : list of numpy.ndarray of uint8, shape (height, width)
        Palette indices.
    own : list of own_palettes.OwnFrame
        The same, if each of them has a palette of its own; ``palette`` is that of the first.
    alphas : list of numpy.ndarray of uint8 or None
        The opacity that is left of each.
    durations : list of float
        How long each is shown, in milliseconds.
    palette, device : numpy.ndarray of uint8, shape (K, 3)
        The colours as they are seen, and as they are written.
    original : numpy.ndarray, shape (height, width, 3)
        The first frame in sRGB, on white.
    loss : list of float
        The last loss of each frame.
    scores : list of float
        SSIMULACRA2 of each frame on white, if it was asked for.
    changed, still : int
        See `fastgrad.dithering.metrics.psnr_and_ssim.flicker`.
    learned : bool
        Whether no colour of the palette was given: then entries that no pixel has are left out.
    complete : bool
        Whether it was not cut short by an interrupt.
    seconds : float
        Time taken, without that of the compiler.
    compiling : float
        Time that the compiler took, in seconds: only kernels that are not in the cache need it.
    packed : png.Packed or None
        An opaque picture as it was encoded last, without what else its file holds.
    """

    palette: Array
    device: Array
    original: Array
    frames: list[Array] = field(default_factory=list)
    own: list[own_palettes.OwnFrame] = field(default_factory=list)
    alphas: list[Array | None] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    changed: int = 0
    still: int = 0
    learned: bool = False
    complete: bool = True
    seconds: float = 0
    compiling: float = 0
    packed: png.Packed | None = None

    @property
    def score(self) -> float:
        """The score of all frames together."""
        return of_frames(self.scores)

    @property
    def first(self) -> Outcome:
        """The same with the first of the frames alone."""
        lists = ("frames", "own", "alphas", "durations")
        return replace(self, **{name: getattr(self, name)[:1] for name in lists})

    def encode(
        self, ending: str, picture: images.Picture, settings: Settings
    ) -> tuple[bytes, list[ByteArray]]:
        """Return the content of a file with this ending, and the frames that it holds.

        Parameters
        ----------
        ending : str
            One of `fastgrad.dithering.pictures.indexed.ENDINGS`.
        picture : images.Picture
            The file that was read, which says how often it is played, and what else is kept.
        settings : Settings
            What was asked for. The order of a given palette is kept; that of a learned one is the
            original's, if it has no other colours.

        Returns
        -------
        data : bytes
            The content.
        frames : list of array of uint8, shape (height, width)
            The indices, those of entries for degrees of opacity among them.
        """
        if self.own:
            return own_palettes.encode(self.own, self.durations, picture.plays), self.frames
        frames, palette, opacity = self.frames, self.device, None
        if any(alpha is not None for alpha in self.alphas):
            opaque = np.full(frames[0].shape, 255, np.uint8)
            alpha = np.stack([opaque if alpha is None else alpha for alpha in self.alphas])
            if ending == ".gif":  # which knows no opacity in between
                alpha = np.where(alpha < 128, 0, 255).astype(np.uint8)
            frames, palette, opacity = transparency.entries(
                np.stack(frames),
                palette,
                alpha,
                learned=self.learned,
                hidden=bool(settings.options.get("hidden")),
            )
        frames = list(frames)
        if settings.format is not None:
            return self._for_device(picture, settings), frames
        if not settings.ordered:
            order = None
            if picture.entries is not None and len(picture.entries[0]) <= settings.colors:
                opaque = np.full(len(palette), 255, np.uint8)
                seen = opaque if opacity is None else opacity
                order = transparency.in_order(np.stack(frames), palette, seen, *picture.entries)
            if order is None:
                frames, palette, opacity = animation.arranged(frames, palette, opacity)
            else:
                frames, palette, opacity = list(order[0]), *order[1:]
        entries = self._placed(Entries(np.stack(frames), palette, opacity), picture, settings)
        frames, palette, opacity = list(entries.indices), *entries[1:]
        data = indexed.encode(
            frames, palette, opacity, ending=ending, durations=self.durations, plays=picture.plays
        )
        if ending == ".png":
            if len(frames) == 1 and opacity is None:
                self.packed = png.Packed(frames[0], palette, data)
            data = png_chunks.insert(data, picture.metadata)
        return data, frames

    def _placed(self, entries: Entries, picture: images.Picture, settings: Settings) -> Entries:
        """Return a picture whose transparent entry has the place, or the colour, asked for."""
        try:
            if settings.key is not None:
                return settings.key.laid(entries, settings.transparent_index)
            if settings.transparent_index is not None:
                return moved(entries, settings.transparent_index)
        except ValueError as error:
            raise FileError(f"{picture.name}: {error}") from None
        return entries

    def swatches(self, settings: Settings) -> ByteArray:
        """Return the colours as they are seen, with the one that stands for transparent pixels."""
        if settings.key is None:
            return self.palette
        clear = int(any(alpha is not None and not alpha.all() for alpha in self.alphas))
        palette = np.concatenate([self.palette, np.zeros((clear, 3), np.uint8)])
        opacity = np.full(len(palette), 255, np.uint8)
        opacity[len(self.palette) :] = 0
        none = np.empty(0, np.uint8)
        return settings.key.laid(
            Entries(none, palette, opacity), settings.transparent_index
        ).palette

    def _for_device(self, picture: images.Picture, settings: Settings) -> bytes:
        """Return the content of a file for a device."""
        assert settings.format is not None
        if len(self.frames) > 1:
            raise FileError(f"{picture.name}: --format {settings.format} holds no animation")
        return device_files.encode(
            self.frames[0],
            self.device,
            settings.format,
            codes=settings.codes,
            stem=Path(picture.name).stem,
        )

    @property
    def shown(self) -> Array:
        """The first frame in sRGB, on white, with the colours as they are seen."""
        return transparency.on_white(self.palette[self.frames[0]], self.alphas[0])


def larger(picture: images.Picture, data: bytes) -> str | None:
    """Say that a file would be larger than the one that was read, if so.

    Parameters
    ----------
    picture : images.Picture
        The file that was read.
    data : bytes
        What would be written.

    Returns
    -------
    str or None
        A reason not to write it.
    """
    source = picture.source
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if len(data) <= size:
        return None
    return f"its {len(data)} bytes are more than the {size} of {picture.name}"


def failure(error: Exception, name: str) -> str:
    """Say in one line what went wrong with a picture.

    Parameters
    ----------
    error : Exception
        What was raised.
    name : str
        The picture's name.

    Returns
    -------
    str
        The line.

    Examples
    --------
    >>> failure(MemoryError(), "a.png")
    'not enough memory for a.png'
    >>> failure(KeyError(3), "a.png")
    'unexpected error with a.png: KeyError: 3'
    """
    if isinstance(error, FileError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory for {name}"
    if isinstance(error, ChildProcessError):
        return f"{name}: {error}"
    kind, said = type(error).__name__, " ".join(str(error).split())
    return f"unexpected error with {name}: {kind}{said and f': {said}'}"
