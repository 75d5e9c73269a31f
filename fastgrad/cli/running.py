"""The work on one picture file of ``fastgrad dither``: all frames, with progress."""

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fastgrad import dithering
from fastgrad.cli.progress import progress_bar
from fastgrad.dithering.metrics.psnr_and_ssim import flicker
from fastgrad.dithering.pictures import animation, images, transparency


@dataclass(frozen=True)
class Settings:
    """What the command line asks for, the same for all pictures.

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
    """

    palette: np.ndarray | None
    device: np.ndarray | None
    lock: bool
    colors: int
    alpha: str
    size: tuple | None
    options: dict


@dataclass
class Outcome:
    """A dithered picture file.

    Attributes
    ----------
    frames : list of numpy.ndarray of uint8, shape (height, width)
        Palette indices.
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
    changed, still : int
        See `fastgrad.dithering.metrics.psnr_and_ssim.flicker`.
    complete : bool
        Whether it was not cut short by an interrupt.
    seconds : float
        Time taken.
    """

    frames: list = field(default_factory=list)
    alphas: list = field(default_factory=list)
    durations: list = field(default_factory=list)
    palette: np.ndarray = None
    device: np.ndarray = None
    original: np.ndarray = None
    loss: list = field(default_factory=list)
    changed: int = 0
    still: int = 0
    complete: bool = True
    seconds: float = 0

    @property
    def shown(self):
        """The first frame in sRGB, on white, with the colours as they are seen."""
        return transparency.on_white(self.palette[self.frames[0]], self.alphas[0])


class Prepared(NamedTuple):
    """A frame as it is dithered: sRGB values and the pixels that are seen, None for all.

    Further the opacity that is left, the original on white, and the milliseconds it is shown.
    """

    values: np.ndarray
    mask: np.ndarray | None
    alpha: np.ndarray | None
    original: np.ndarray
    duration: float


def run(picture, settings):
    """Dither all frames of a picture; an interrupt ends the work with what there is.

    Parameters
    ----------
    picture : files.Picture
        The file.
    settings : Settings
        What is asked for.

    Returns
    -------
    Outcome
        What is to be written.

    Raises
    ------
    FileError
        If the file is damaged, or has no room for what is asked.
    KeyboardInterrupt
        If there was nothing yet when it came.
    """
    began = time.perf_counter()
    with progress_bar("step") as bar:
        work = _Work(picture, settings, bar)
        try:
            work.all()
        except KeyboardInterrupt:
            work.outcome.complete = False
            if not work.outcome.frames:
                raise
    work.finish()
    work.outcome.seconds = time.perf_counter() - began
    return work.outcome


class _Work:
    """The work on one picture, and how far it has come."""

    def __init__(self, picture, settings, bar):
        self.picture, self.settings, self.bar, self.outcome = picture, settings, bar, Outcome()
        self.size = target_size(settings.size, picture.width, picture.height)
        most = images.MAX_PIXELS if picture.count == 1 else images.MAX_ANIMATED
        if self.size[0] * self.size[1] * picture.count > most:
            raise images.FileError(f"too many pixels after --resize: {picture.name}")
        self.fixed = settings.palette is not None and not settings.lock
        self.colors = len(settings.palette) if self.fixed else settings.colors
        self.runs = picture.count  # of the optimiser; one more if the palette is learned apart
        self.runs += picture.count > 1 and not self.fixed
        self.options = {**settings.options, "callback": self.show}
        if "time_budget" in self.options:
            self.options["time_budget"] /= self.runs
        self.before = 0  # steps of earlier runs
        self.now = None  # the frame at work
        self.last = None  # the one before
        self.latest = None  # progress of the frame at work

    def show(self, progress):
        """Show progress, and keep it."""
        if progress.step == 1:
            self.before, self.runs = self.bar.n, max(self.runs - 1, 0)
        self.latest = progress
        self.bar.total = self.before + progress.steps * (1 + self.runs)
        note = f"{self.colors} colours, loss {progress.loss:.3e}"
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(self.before + progress.step - self.bar.n)

    def all(self):
        """Dither all frames."""
        palette = self.settings.palette if self.fixed else None
        if palette is None and self.picture.count > 1:
            palette = self.common_palette()
        self.latest = None
        try:
            if palette is None:
                for frame in self.prepared():
                    hidden = frame.mask is not None and not frame.mask.any()
                    own = {} if frame.mask is None else {"weights": frame.mask}
                    own |= self.learning(frame.alpha is not None) | self.options
                    self.take(None if hidden else dithering.dither(frame.values, **own))
            else:
                pairs = (frame[:2] for frame in self.prepared())
                for result in animation.dither_frames(pairs, palette=palette, **self.options):
                    self.take(result)
        except KeyboardInterrupt:
            if self.latest is not None:
                self.take(self.latest.snapshot())
            raise

    def prepared(self):
        """Yield each frame as it is to be dithered."""
        palette, name = self.settings.palette, self.picture.name
        for frame in self.picture.frames():
            values, alpha = frame.values, frame.alpha
            if self.size != (values.shape[1], values.shape[0]):
                values, alpha = transparency.resize(values, alpha, self.size)
            original = transparency.on_white(values, alpha)
            parts = transparency.to_dither(values, alpha, self.settings.alpha)
            if parts[2] is not None and palette is not None and len(palette) == 256:
                reason = "a palette of 256 colours has no room for a transparent one"
                raise images.FileError(f"{name}: {reason}: use --alpha blend")
            self.now = Prepared(*parts, original, frame.duration)
            yield self.now

    def learning(self, transparent):
        """Return the arguments of a palette to learn; a transparent entry needs room in it."""
        colors = min(self.colors, 255) if transparent else self.colors
        if not self.settings.lock:
            return {"colors": colors}
        return {"colors": colors, "palette": self.settings.palette, "lock_colors": True}

    def common_palette(self):
        """Learn the palette of an animation from some of its frames."""
        transparent = False

        def pairs():
            nonlocal transparent
            for frame in self.prepared():
                transparent |= frame.alpha is not None
                yield frame[:2]

        values, mask = animation.contact_sheet(pairs(), self.picture.count)
        if not mask.any():  # nothing is seen in those chosen: any palette will do
            values, mask = np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), bool)
        own = {} if mask.all() else {"weights": mask}
        own |= self.learning(transparent) | self.options
        return dithering.dither(values, **own).palette

    def take(self, result):
        """Add a dithered frame, None if nothing of it is seen, to the outcome."""
        frame, outcome = self.now, self.outcome
        if result is None:
            given = self.settings.palette
            palette = np.zeros((1, 3), np.uint8) if given is None else given
            indices, loss = np.zeros(frame.values.shape[:2], np.uint8), 0.0
        else:
            palette, indices, loss = result.palette, result.indices, float(result.loss[-1])
            if frame.mask is not None:  # what nobody sees needs no colour of its own
                indices = np.where(frame.mask, indices, indices[frame.mask][0])
        if outcome.frames:
            changed, still = flicker(indices, frame.values, outcome.frames[-1], self.last.values)
            outcome.changed, outcome.still = outcome.changed + changed, outcome.still + still
        else:
            outcome.original = frame.original
        if outcome.palette is None or len(outcome.palette) < len(palette):
            outcome.palette = palette
        outcome.frames.append(indices)
        outcome.alphas.append(frame.alpha)
        outcome.durations.append(frame.duration)
        outcome.loss.append(loss)
        self.last, self.latest = frame, None

    def finish(self):
        """Settle the palette: no learned colour that is not used, and what a device expects."""
        outcome, settings = self.outcome, self.settings
        palette = outcome.palette
        if settings.palette is None:
            used = np.zeros(len(palette), bool)
            for indices in outcome.frames:
                used |= np.bincount(indices.ravel(), minlength=len(palette)) > 0
            kept, places = np.unique(palette[used], axis=0, return_inverse=True)
            table = np.zeros(len(palette), np.uint8)
            table[used] = places.reshape(-1)
            outcome.frames, palette = [table[indices] for indices in outcome.frames], kept
        outcome.palette, outcome.device = palette, palette
        if settings.device is not None:
            rest = palette[len(settings.device) :]
            outcome.device = np.concatenate([settings.device, rest])


def target_size(size, width, height):
    """Return the size that is asked for, the proportions kept where one side is left open."""
    if size is None:
        return width, height
    new_width, new_height = (*size, None)[:2]
    if new_width is None:
        new_width = max(1, round(width * new_height / height))
    elif new_height is None:
        new_height = max(1, round(height * new_width / width))
    return new_width, new_height
