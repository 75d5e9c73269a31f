"""The work on a picture file of any size: strip by strip, through a side file, to a file."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fastgrad import _interrupts as interrupts
from fastgrad._progress import progress_bar
from fastgrad._typing import ByteArray
from fastgrad._version import __version__
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.files.outcome import Settings
from fastgrad.dithering.files.side_file import SideFile
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures import animation, images
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.inputs import Swatches
from fastgrad.dithering.pictures.large import LargePicture
from fastgrad.dithering.pictures.png_rows import png_rows
from fastgrad.dithering.pictures.row_files import write_rows
from fastgrad.dithering.pictures.sources import Changed, Source, Stamp
from fastgrad.dithering.result import Progress
from fastgrad.dithering.strips.learned import Learned
from fastgrad.dithering.strips.learning import learn
from fastgrad.dithering.strips.strips import figures, settled

__all__ = ["Made", "run"]

ANNEALED = "all pixels are annealed together, and each depends on others far away"
LISTED = "the size of the file is known only when all is dithered"
NOT_IN_STRIPS = {  # options, and why they need a whole picture in memory
    **dict.fromkeys(("structure", "estimator", "objective"), ANNEALED),
    "time_budget": "rows that are finished would have had another budget than those that follow",
    **dict.fromkeys(("rate", "max_bytes"), LISTED),
    "quality": "the score is known only when all is dithered",
    "tiles": "the palettes of a console are shared out among all tiles",
    "pattern": "strips are searched, and have no thresholds",
    "dot_gain": "strips are searched by pixels, each of which is its own dot",
}


class Made(NamedTuple):
    """What came of a large picture.

    Attributes
    ----------
    palette, device : array of uint8, shape (K, 3)
        The colours as they are seen, and as they are written, without a transparent entry.
    loss : float
        The loss.
    metrics : dict of str to float
        See `Dithering.metrics`.
    seconds, compiling : float
        Time taken, and that of the compiler, which is not in it.
    """

    palette: ByteArray
    device: ByteArray
    loss: float
    metrics: dict[str, float]
    seconds: float
    compiling: float


def run(
    picture: LargePicture,
    target: Path | None,
    settings: Settings,
    *,
    stream: BinaryIO | None = None,
    quiet: bool = False,
) -> Made:
    """Dither a large picture, and write it.

    Parameters
    ----------
    picture : LargePicture
        The file that is read.
    target : pathlib.Path or None
        The file that is written; None for a PNG to a stream.
    settings : Settings
        What is asked for; whether to go on from a side file, too.
    stream : binary file, optional
        The stream.
    quiet : bool, optional
        Whether nothing is shown meanwhile.

    Returns
    -------
    Made
        What was made.

    Raises
    ------
    FileError
        If a file cannot be read or written, or something is asked that strips do not know.
    KeyboardInterrupt
        After an interrupt. Its text says what is kept, and how to go on.
    """
    for name, why in NOT_IN_STRIPS.items():
        if settings.options.get(name):
            raise _unknown(picture, name.replace("_", " "), why)
    if settings.choose is not None:
        why = "each set of colours is tried on all pixels together"
        raise _unknown(picture, "choose", why)
    if settings.key is not None or settings.transparent_index is not None:
        why = "the entry that is transparent stands where it is"
        raise _unknown(picture, "a key colour or a transparent index", why)
    if "text" in (settings.options.get("regions") or {}):
        why = "its words are told from paper by all of the region at once"
        raise _unknown(picture, "a region of text", why)
    settings.check_masks(picture.name, (picture.width, picture.height))
    if settings.size is not None or settings.turn:
        raise _unknown(picture, "another size")
    if settings.format is not None:
        raise _unknown(picture, "the format of a device")
    began = time.perf_counter()
    with progress_bar("pixel", quiet=quiet) as (display, compiling):
        work = _Work(picture, target, settings, display)
        try:
            with interrupts.allowed():
                made = work.all(stream)
        except KeyboardInterrupt:
            interrupts.taken()
            raise KeyboardInterrupt(*work.left("interrupted")) from None
        except Changed:
            work.done = True  # what is finished is of no use
            raise
        except FileError as error:
            raise FileError(*(work.left(str(error)) or [str(error)])) from None
        finally:
            work.end()
    seconds = time.perf_counter() - began - compiling.seconds
    return made._replace(seconds=seconds, compiling=compiling.seconds)


def _unknown(picture: LargePicture, what: str, why: str = "") -> FileError:
    """Return an error that says what strips do not know, and why."""
    most = images.MAX_PIXELS
    line = f"{picture.name}: {what} goes with pictures of no more than {most} pixels"
    return FileError(f"{line}: {why}" if why else line)


class _Work:
    """The work on one picture, and how far it has come."""

    def __init__(
        self, picture: LargePicture, target: Path | None, settings: Settings, display: Any
    ) -> None:
        self.picture, self.target, self.settings, self.display = picture, target, settings, display
        self.pixels = picture.width * picture.height
        self.side: SideFile | None = None
        self.done = False

    def all(self, stream: BinaryIO | None) -> Made:
        """Dither it, and write it."""
        picture, shape = self.picture, (self.picture.height, self.picture.width)
        said = _said(picture, self.settings)
        with interrupts.allowed(False):
            side = SideFile(self.target, shape, said, resume=self.settings.resume)
            self.side = side
        regions = self.settings.options.get("regions")
        stamp = Stamp.of(picture.source) if isinstance(picture.source, Path) else None
        if side.rows < picture.height:
            with picture.rows() as source:
                learned = side.learned or self.learn(source)
                with interrupts.allowed(False):
                    side.begin(learned)
                self.show(learned)
                for strip in settled(source, learned, first=side.rows, regions=regions):
                    with interrupts.allowed(False):  # a record is written whole
                        side.append(strip)
                    interrupts.check()
                    self.show(learned)
        if stamp is not None and isinstance(picture.source, Path):
            stamp.check(picture.source)
        assert side.learned is not None
        made = self.write(side, side.learned, stream)
        self.done = True
        return made

    def learn(self, source: Source) -> Learned:
        """Learn what the strips have in common."""
        settings, options = self.settings, self.settings.options
        fixed = settings.palette is not None and not settings.lock
        palette = settings.palette
        if palette is not None:
            device = palette if settings.device is None else settings.device
            palette = Swatches(palette, device, {})
        names = (*Viewing.__dataclass_fields__, "rng", "fit", "solid", "regions", "hidden")

        def watched(progress: Progress, learned: object) -> None:
            interrupts.check()
            self.display(0, self.pixels, f"{progress.stage}, loss {progress.loss:.3e}")

        try:
            return learn(
                source,
                palette=palette,
                colors=None if fixed else settings.colors,
                lock_colors=settings.lock,
                alpha=settings.alpha,
                pace=Pace(options.get("speed")),
                callback=watched,
                **{name: options[name] for name in names if name in options},
            )
        except FileError:
            raise
        except ValueError as error:
            raise FileError(f"{self.picture.name}: {error}") from None

    def show(self, learned: Learned) -> None:
        """Show how many pixels are finished."""
        assert self.side is not None
        done = self.side.rows * self.picture.width
        self.display(done, self.pixels, f"{len(learned.palette)} colours")

    def write(self, side: SideFile, learned: Learned, stream: BinaryIO | None) -> Made:
        """Write the picture from the side file."""
        table, palette, device, opacity = _arranged(learned, side.used, self.settings)
        strips: Iterator[ByteArray] = (table[indices] for indices in side.strips())
        shape, chunks = (self.picture.height, self.picture.width), self.picture.metadata
        if self.target is not None:
            write_rows(self.target, strips, shape, device, opacity, chunks=chunks)
        else:
            assert stream is not None
            for data in png_rows(strips, shape, device, opacity, chunks=chunks):
                stream.write(data)
            stream.flush()
        loss, measured = figures(side.sums, learned)
        seen = slice(None) if opacity is None else opacity > 0
        measured["colors"] = int(np.count_nonzero(side.used[: len(learned.palette)]))
        return Made(palette[seen], device[seen], loss, measured, 0.0, 0.0)

    def left(self, what: str) -> list[str]:
        """Return a line that says what is kept of unfinished work; nothing if nothing is."""
        side = self.side
        if side is None or side.path is None or not side.rows or self.done:
            return []
        share = f"{side.rows * self.picture.width} of {self.pixels} pixels"
        return [f"{what}: {share} are in {side.path}, --resume goes on from there"]

    def end(self) -> None:
        """Leave the side file if there is something in it that is still needed."""
        if self.side is not None:
            if self.done or not self.side.rows:
                self.side.remove()
            else:
                self.side.close()


def _said(picture: LargePicture, settings: Settings) -> dict[str, Any]:
    """Return all that finished strips depend on, as JSON has it."""
    source = picture.source
    stamp = list(Stamp.of(source)) if isinstance(source, Path) else [len(source), 0]
    options = {**asdict(settings), "resume": None}
    for name in ("palette", "device"):
        colors = options[name]
        options[name] = None if colors is None else np.asarray(colors).tolist()
    options["options"] = {name: repr(x) for name, x in sorted(settings.options.items())}
    for name, mask in (settings.options.get("regions") or {}).items():
        options["options"][f"region {name}"] = str(zlib.crc32(np.packbits(mask).tobytes()))
    size = [picture.height, picture.width]
    return {"fastgrad": __version__, "picture": [size, stamp], "options": options}


def _arranged(
    learned: Learned, used: Any, settings: Settings
) -> tuple[ByteArray, ByteArray, ByteArray, ByteArray | None]:
    """Return the new index of each entry, the entries as seen and as written, and their opacity.

    A learned palette keeps no entry that no pixel has, and is sorted as that of other pictures is.
    """
    palette, opacity = learned.entries
    device = np.concatenate([learned.device, palette[len(learned.device) :]])
    table = np.arange(256, dtype=np.uint8)
    if settings.palette is not None:
        return table, palette, device, opacity
    alpha = np.full(len(palette), 255, np.uint8) if opacity is None else opacity
    entries = np.column_stack([palette, alpha])
    found = used[: len(palette)].copy()
    found[0] |= not found.any()
    kept, places = np.unique(entries[found], axis=0, return_inverse=True)
    (order,), palette, opacity = animation.arranged(
        [places.reshape(1, -1).astype(np.uint8)],
        np.ascontiguousarray(kept[:, :3]),
        None if opacity is None else np.ascontiguousarray(kept[:, 3]),
    )
    table[np.flatnonzero(found)] = order[0]
    return table, palette, palette, opacity
