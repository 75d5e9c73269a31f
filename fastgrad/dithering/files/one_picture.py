"""The work on one picture file: all of its frames, with progress, up to the file's new content."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastgrad import _interrupts as interrupts
from fastgrad import dithering
from fastgrad._progress import progress_bar
from fastgrad._typing import Array
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.files.outcome import Outcome, Settings
from fastgrad.dithering.files.prepared import Prepared, prepared, size_of
from fastgrad.dithering.files.quick import Quick, quickly
from fastgrad.dithering.metrics.psnr_and_ssim import flicker
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.optimiser.lzw import in_strings
from fastgrad.dithering.optimiser.tones import ToneMap, fit_tones
from fastgrad.dithering.pictures import animation, images, own_palettes, transparency
from fastgrad.dithering.pictures.inputs import Swatches
from fastgrad.dithering.soft_edges import dither_soft, is_soft, opacity_limit

CHOOSING = {"max_bytes", "quality"}  # options that choose the number of colours
QUICK = 1.0  # seconds of work after which an interrupt leaves a quick picture, if no better one


def run(
    picture: images.Picture, settings: Settings, *, quiet: bool = False, judged: bool = False
) -> Outcome:
    """Dither all frames of a picture; an interrupt ends the work with what there is.

    Parameters
    ----------
    picture : images.Picture
        The file.
    settings : Settings
        What is asked for.
    quiet : bool, optional
        Whether nothing is shown meanwhile.
    judged : bool, optional
        Whether each frame has a score by SSIMULACRA2.

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
    with progress_bar("step", quiet=quiet) as (display, compiling):
        work = _Work(picture, settings, display, judged=judged)
        try:
            with interrupts.allowed():
                work.all()
        except KeyboardInterrupt:
            interrupts.taken()
            work.outcome.complete = False
            if not work.outcome.frames:
                raise
        work.finish()
    work.outcome.compiling = compiling.seconds
    work.outcome.seconds = time.perf_counter() - began - compiling.seconds
    return work.outcome


class _Work:
    """The work on one picture, and how far it has come."""

    def __init__(
        self,
        picture: images.Picture,
        settings: Settings,
        display: Callable[[int, int, str], None],
        *,
        judged: bool,
    ) -> None:
        nothing = np.zeros((0, 3), np.uint8)
        self.picture, self.settings, self.display = picture, settings, display
        self.judged = judged
        self.outcome, self.began = Outcome(nothing, nothing, nothing), time.perf_counter()
        size = size_of(picture, settings)
        self.given = None if settings.lock else settings.palette
        self.colors = settings.colors if self.given is None else len(self.given)
        settings.check_masks(picture.name, size)
        self.runs = picture.count  # of the optimiser; one more if the palette is learned apart
        self.runs += picture.count > 1 and self.given is None
        self.options = {**settings.options, "callback": self.show}
        self.tiled = self.options.get("tiles") is not None
        if self.tiled and picture.count > 1:
            reason = "an animation has one palette, and not some for tiles"
            raise images.FileError(f"{picture.name}: {reason}")
        if self.options.get("dot_gain") is not None and picture.count > 1:
            raise images.FileError(f"{picture.name}: an animation is not printed: no dot gain")
        if "time_budget" in self.options:
            self.options["time_budget"] /= self.runs
        self.done = self.before = 0  # steps, and those of earlier runs
        self.apart = False  # whether the palette of an animation is being learned
        self.now: Prepared | None = None  # the frame at work
        self.last: Prepared | None = None  # the one before
        self.latest: dithering.Progress | None = None  # progress of the frame at work

    def show(self, progress: dithering.Progress) -> None:
        """Show progress, and keep it."""
        if progress.step == 1:
            self.before, self.runs = self.done, max(self.runs - 1, 0)
        self.latest, self.done = progress, self.before + progress.step
        interrupts.check()
        total = self.before + progress.steps * (1 + self.runs)
        self.display(self.done, total, f"{self.colors} colours, loss {progress.loss:.3e}")

    def all(self) -> None:
        """Dither all frames."""
        try:
            palette, opacity, hidden = self.given, None, self.options.get("hidden")
            if hidden and self.picture.count > 1:
                reason = "hidden colours are kept of a single picture, not of an animation"
                raise images.FileError(f"{self.picture.name}: {reason}")
            if self.settings.apart:
                self.each_with_its_own()
                return
            if palette is None and self.picture.count > 1:
                self.apart = True
                palette, opacity = self.common_entries()
                self.latest, self.apart = None, False
            if palette is None or hidden:
                for frame in self.prepared():
                    self.take(self.alone(frame))
            elif opacity is not None:
                for result in self.soft_frames(palette, opacity):
                    self.take(result)
            else:
                if self.given is not None and self.picture.count > 1:
                    self.options["fit"] = self.common_tones()
                pairs = (frame[:2] for frame in self.prepared())
                own = {"palette": self.swatches(palette), "lasting": self.lifetimes()}
                for result in animation.dither_frames(pairs, **own, **self.options):
                    self.take(result)
        except KeyboardInterrupt:
            interrupts.taken()
            self.rescue()
            raise

    def rescue(self) -> None:
        """Make the best of an interrupt: finish the frame at work, or make a quick one."""
        if self.latest is not None and not self.apart:
            if not self.settings.apart:  # what is kept would be lost
                self.take(self.latest.snapshot())
        elif self.outcome.frames or self.tiled:  # other tools know no palettes of tiles
            return
        elif time.perf_counter() - self.began > QUICK:
            self.take(self.quick(next(self.prepared())))

    def quick(self, frame: Prepared) -> Quick:
        """Let Pillow dither a frame, which takes no more than a moment."""
        count = self.learning(frame.alpha is not None).get("colors", self.colors)
        return quickly(frame.values, count, self.given, locked=self.settings.palette)

    def prepared(self) -> Iterator[Prepared]:
        """Yield each frame as it is to be dithered."""
        for frame in prepared(self.picture, self.settings):
            self.now = frame
            yield frame

    def learning(self, transparent: bool) -> dict[str, Any]:
        """Return the arguments of a palette to learn; a transparent entry is one of its colours."""
        given, key = self.settings.palette, self.settings.key
        transparent |= key is not None and key.place is not None
        if not (transparent or self.settings.counted) and CHOOSING & self.options.keys():
            return {}
        colors = max(2, 0 if given is None else len(given), self.colors - transparent)
        if not self.settings.lock:
            return {"colors": colors}
        return {"colors": colors, "palette": self.settings.palette, "lock_colors": True}

    def swatches(self, palette: Array) -> Any:
        """Return a palette together with the colours of its device, if they are given."""
        device = self.settings.device
        if self.given is None or device is None:
            return palette
        return Swatches(palette, device, {})

    def common_tones(self) -> ToneMap | str:
        """Fit one map of tones to all frames of an animation: tones that change would flicker."""
        fit = self.options.get("fit") or "none"
        if isinstance(fit, ToneMap) or fit == "none" or self.given is None:
            return fit
        pairs = (frame[:2] for frame in self.prepared())
        values, mask = animation.contact_sheet(pairs, self.picture.count)
        return fit_tones(values, self.given, fit, seen=mask)

    def common_entries(self) -> tuple[Array, Array | None]:
        """Learn the palette of an animation from some of its frames, and opacity if it is soft."""
        transparent = soft = False

        def pairs() -> Iterator[tuple[Array, Array | None]]:
            nonlocal transparent, soft
            for frame in self.prepared():
                transparent |= frame.alpha is not None
                soft |= self.settings.palette is None and is_soft(frame.alpha, self.colors)
                yield _with_opacity(frame), frame.mask

        sheet, mask = animation.contact_sheet(pairs(), self.picture.count)
        if not mask.any():  # nothing is seen in those chosen: any palette will do
            sheet, mask = np.full((1, 1, 4), 255, np.uint8), np.ones((1, 1), bool)
        if soft:
            found = dithering.dither(sheet, colors=self.colors, **self.options)
            if found.opacity is not None:
                return found.palette, found.opacity
        own: dict[str, Any] = {} if mask.all() else {"weights": mask}
        own |= self.learning(transparent) | self.options
        if in_strings(own.get("ending"), self.colors, own.get("nu")):
            own.pop("rate", None)  # an entry costs nothing there, and may serve a frame
        return dithering.dither(np.ascontiguousarray(sheet[..., :3]), **own).palette, None

    def each_with_its_own(self) -> None:
        """Dither the frames of an opaque animation, each in a palette of its own."""
        self.runs -= 1
        pairs = (frame[:2] for frame in self.prepared())
        for found in own_palettes.dither_frames(
            pairs, colors=self.colors, lasting=self.lifetimes(), **self.options
        ):
            frame, outcome = self.now, self.outcome
            assert frame is not None
            if outcome.own:
                outcome.still += int(found.kept.sum())
            else:
                outcome.original, outcome.palette = frame.original, found.palette
            outcome.own.append(found)
            outcome.frames.append(found.indices)
            outcome.alphas.append(None)
            outcome.durations.append(frame.duration)
            outcome.loss.append(found.loss)
            if self.judged:
                outcome.scores.append(Ssimulacra2(frame.original).score(found.shown))
            self.latest = None

    def lifetimes(self) -> Iterator[Array] | None:
        """Return how long pixels stay, where bytes count: see `animation.lifetimes`."""
        if not self.options.get("rate") or self.picture.count == 1:
            return None
        frames = prepared(self.picture, self.settings)
        return animation.lifetimes(frame[:2] for frame in frames)

    def soft_frames(self, palette: Array, opacity: Array) -> Iterator[dithering.Dithering]:
        """Dither frames in entries with opacity, each started from the one before."""
        options: dict[str, Any] = {"flicker": animation.FLICKER} | self.options
        asked = {name: options[name] for name in Viewing.__dataclass_fields__ if name in options}
        viewing = Viewing(**asked)
        previous, before, entries = None, np.empty(0), (palette, opacity)
        most = max(opacity_limit(f.values, f.alpha, entries) for f in self.prepared())
        for frame in self.prepared():
            values = _with_opacity(frame)
            still = 0 if previous is None else (values == before).all(axis=-1)
            result = dither_soft(
                frame.values,
                np.full(values.shape[:2], 255, np.uint8) if frame.alpha is None else frame.alpha,
                len(palette),
                entries=entries,
                most=most,
                previous=previous,
                flicker=options["flicker"] * still,
                viewing=viewing,
                rate=options.get("rate") or 0.0,
                callback=self.show,
            )
            previous, before = result.indices, values
            yield result

    def alone(self, frame: Prepared) -> dithering.Dithering | None:
        """Dither the only frame; None if nothing of it is seen, and none of it kept."""
        if frame.mask is not None and not frame.mask.any() and not self.options.get("hidden"):
            return None
        alpha, own = frame.alpha, dict[str, Any]()
        if self.tiled:
            return dithering.dither(frame.values, **self.options)
        fixed = None if self.given is None else {"palette": self.swatches(self.given)}
        soft = self.settings.palette is None and is_soft(alpha, self.colors)
        if soft or (self.options.get("hidden") and alpha is not None):
            own = fixed or self.learning(False)
            return dithering.dither(_with_opacity(frame), **own, **self.options)
        own = {} if frame.mask is None else {"weights": frame.mask}
        own |= fixed or self.learning(alpha is not None)
        return dithering.dither(frame.values, **own, **self.options)

    def take(self, result: dithering.Dithering | Quick | None) -> None:
        """Add a dithered frame, None if nothing of it is seen, to the outcome."""
        frame, outcome = self.now, self.outcome
        assert frame is not None
        if isinstance(result, dithering.Dithering) and result.opacity is not None:
            frame = frame._replace(mask=None, alpha=result.opacity[result.indices])
        if result is None:
            given = self.settings.palette
            palette = np.zeros((1, 3), np.uint8) if given is None else given
            indices, loss = np.zeros(frame.values.shape[:2], np.uint8), 0.0
        else:
            palette, indices, loss = result.palette, result.indices, float(result.loss[-1])
            if frame.mask is not None:  # what nobody sees needs no colour of its own
                indices = np.where(frame.mask, indices, indices[frame.mask][0])
        if outcome.frames and self.last is not None:
            changed, still = flicker(indices, frame.values, outcome.frames[-1], self.last.values)
            outcome.changed, outcome.still = outcome.changed + changed, outcome.still + still
        else:
            outcome.original = frame.original
        if len(outcome.palette) < len(palette):
            outcome.palette = palette
        outcome.frames.append(indices)
        outcome.alphas.append(frame.alpha)
        outcome.durations.append(frame.duration)
        outcome.loss.append(loss)
        if self.judged:
            shown = transparency.on_white(palette[indices], frame.alpha)
            outcome.scores.append(Ssimulacra2(frame.original).score(shown))
        self.last, self.latest = frame, None

    def finish(self) -> None:
        """Settle the palette: no learned colour that is not used, and what a device expects."""
        outcome, settings, palette = self.outcome, self.settings, self.outcome.palette
        outcome.learned = not settings.ordered
        if outcome.learned and not outcome.own:
            used = np.zeros(len(palette), bool)
            for indices in outcome.frames:
                used |= np.bincount(indices.ravel(), minlength=len(palette)) > 0
            kept, places = np.unique(palette[used], axis=0, return_inverse=True)
            table = np.zeros(len(palette), np.uint8)
            table[used] = places.reshape(-1)
            frames = [table[indices] for indices in outcome.frames]
            outcome.frames, palette, _ = animation.arranged(frames, kept)
        outcome.palette, outcome.device = palette, palette
        if settings.device is not None:
            rest = palette[len(settings.device) :]
            outcome.device = np.concatenate([settings.device, rest])


def _with_opacity(frame: Prepared) -> Array:
    """Return a frame's values and opacity in one array, shape (height, width, 4)."""
    most = 255 if frame.values.dtype == np.uint8 else 1
    opacity = most if frame.alpha is None else frame.alpha if most == 255 else frame.alpha / 255
    opacity = np.broadcast_to(opacity, frame.values.shape[:2])
    return np.dstack([frame.values, opacity.astype(frame.values.dtype)])
