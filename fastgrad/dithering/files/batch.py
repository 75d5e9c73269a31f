"""Many picture files at once: `fastgrad.dither_files`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fastgrad import _validate
from fastgrad._typing import ByteArray
from fastgrad.dithering.files import budget, large_picture, plan, prepared, sized
from fastgrad.dithering.files.asked import names_of, settings_of
from fastgrad.dithering.files.outcome import Settings, failure, larger
from fastgrad.dithering.pictures import images, output_files, transparency
from fastgrad.dithering.pictures.inputs import Colors
from fastgrad.dithering.pictures.large import LargePicture
from fastgrad.dithering.pictures.presets import Preset

__all__ = ["DitheredFile", "dither_files"]


@dataclass(frozen=True)
class DitheredFile:
    """What `fastgrad.dither_files` made of a picture.

    Attributes
    ----------
    source : pathlib.Path
        The file that was read.
    target : pathlib.Path or None
        The file that was written; None if none was.
    error : str or None
        What went wrong, in one line.
    skipped : str or None
        Why nothing was to be written.
    bytes : int
        Bytes of the file that was written.
    frames : int
        Number of frames.
    palette : array of uint8, shape (K, 3), or None
        The colours in sRGB, as they are seen; None if no picture was dithered.
    loss : tuple of float
        The loss of each frame.
    seconds, compiling : float
        Time taken, and that of the compiler, which is not in it.
    complete : bool
        Whether no interrupt cut the work short.
    """

    source: Path
    target: Path | None = None
    error: str | None = None
    skipped: str | None = None
    bytes: int = 0
    frames: int = 0
    palette: ByteArray | None = None
    loss: tuple[float, ...] = ()
    seconds: float = 0.0
    compiling: float = 0.0
    complete: bool = True


def dither_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    output: str | os.PathLike[str] | None = None,
    suffix: str = plan.SUFFIX,
    skip_existing: bool = False,
    skip_if_larger: bool = False,
    jobs: int = 1,
    progress: bool = False,
    resize: tuple[int | None, int | None] | None = None,
    max_pixels: int = images.MAX_LARGE,
    resume: bool = False,
    each: bool = False,
    colors: int | None = None,
    palette: Colors | None = None,
    preset: str | Preset | None = None,
    lock_colors: bool = False,
    alpha: transparency.Mode | str | None = None,
    transparent_index: int | None = None,
    **options: Any,
) -> list[DitheredFile]:
    """Dither picture files, animations among them, as the command ``fastgrad dither`` does.

    What is wrong with one picture stops no other: it is told in the result. All files are written
    whole or not at all.

    Parameters
    ----------
    paths : str, path-like, or iterable of them
        Pictures, patterns such as ``"*.jpg"``, and directories, which stand for the pictures in
        them but for those that were made here.
    output : str or path-like, optional
        A ``.png``, ``.gif`` or ``.webp`` for one picture; or a directory, which is made if its name
        ends in a slash or there are several pictures. By default the present directory.
    suffix : str, optional
        What is put behind the names of pictures in a directory; ``{ext}`` in it stands for the
        ending of the file that is read.
    skip_existing : bool, optional
        Leave pictures that are there already.
    skip_if_larger : bool, optional
        Write no picture that takes more bytes than the file that was read.
    jobs : int, optional
        Pictures at a time. If there are several, each is dithered in a process of its own, which
        has one thread.
    progress : bool, optional
        Show a bar for each picture, where there is one process, and standard error is a terminal.
    resize : tuple of int, optional
        A new width and height; None for what follows from the other.
    max_pixels : int, optional
        Pictures of more pixels are refused, counted after `resize`. One of more than 33,554,432 is
        dithered in strips, and written as a ``.png``, ``.tif`` or ``.zarr``.
    resume : bool, optional
        Go on from what an interrupt left of such a picture, in a file beside the output whose name
        ends in ``.unfinished``.
    each : bool, optional
        Whether ``max_bytes`` is for each picture. By default several pictures have so many in all,
        those that are there already among them, shared so that the sum of their errors is least.
    transparent_index : int, optional
        The index of the transparent entry of the palettes, or of a colour as ``alpha``, where there
        is one; the other entries keep their order.
    colors, palette, preset, lock_colors, alpha, **options
        Options of `fastgrad.dither`. All frames of an animation share a palette; but with
        ``quality``, those of a GIF may have their own, and the result has that of the first.

    Returns
    -------
    list of DitheredFile
        What was made of each picture, in their order.

    Raises
    ------
    TypeError, ValueError
        If an option is wrong or contradicts another, before any work.
    FileError
        If no picture can be written there: a `ValueError`.
    KeyboardInterrupt
        After an interrupt, when the best picture so far is written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import fastgrad as fg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (16, 1))
    ...     fg.dither(ramp, preset="grey16").save(pathlib.Path(folder, "ramp.png"))
    ...     (made,) = fg.dither_files(folder, output=folder, preset="bw")
    ...     made.target.name, made.frames, made.palette.tolist()
    ('ramp-dithered.png', 1, [[0, 0, 0], [255, 255, 255]])
    """
    out = None if output is None else os.fspath(output)
    asked = {"colors": colors, "palette": palette, "preset": preset, "alpha": alpha}
    asked |= {"lock_colors": lock_colors, "transparent_index": transparent_index}
    settings = settings_of({**asked, **options}, out, resize, resume)
    for name, value in (("skip_existing", skip_existing), ("skip_if_larger", skip_if_larger)):
        _validate.choice(value, name, (False, True))
    apart = bool(_validate.choice(each, "each", (False, True)))
    if apart and options.get("max_bytes") is None:
        raise ValueError("each must be False without max_bytes, got True")
    count = _validate.integer(jobs, "jobs", 1, 4096)
    quiet = not _validate.choice(progress, "progress", (False, True)) or count > 1
    names = names_of(paths)
    if "-" in [*names, out]:
        raise ValueError("paths must be those of files, got '-' for a standard stream")
    sources = plan.find(names, suffix) if names else []
    several = len(sources) > 1
    is_folder = out is not None and plan.is_folder(out, several)
    if several and out is not None and not is_folder:
        raise ValueError(f"output must be a directory for several pictures, got {out!r}")
    if out is not None and not is_folder and suffix != plan.SUFFIX:
        raise ValueError(f"suffix must be left out with a file as output, got {suffix!r}")
    naming = plan.Naming(
        out,
        plan.checked_suffix(suffix),
        skip_existing,
        settings.size,
        palette=os.fspath(palette) if isinstance(palette, os.PathLike) else None,
        largest=_validate.integer(max_pixels, "max_pixels", 1),
    )
    with plan.folder(Path(out) if out is not None and is_folder else None):
        planned = plan.plan(naming, sources)
        task = partial(_made, settings, skip_if_larger, quiet)
        made: dict[int, DitheredFile] = {}
        stopped, said = False, ""
        how = {"each": apart, "count": count, "quiet": quiet}
        for job, answer in budget.dithered(planned, settings, task, _size, **how):
            stopped |= answer.stopped
            if answer.stopped and answer.error is not None:
                said = said or str(answer.error)
            if answer.value is not None:
                made[id(job)] = answer.value
            elif not answer.stopped and id(job) not in made:
                made[id(job)] = _failed(job, answer.error)
    if stopped:
        raise KeyboardInterrupt(said)
    return [
        made[id(one)]
        if isinstance(one, plan.Job)
        else DitheredFile(Path(one["input"]), error=one.get("error"), skipped=one.get("skipped"))
        for one in planned.order
    ]


def _made(settings: Settings, skip_if_larger: bool, quiet: bool, job: plan.Job) -> DitheredFile:
    """Dither a picture and write it."""
    if isinstance(job.picture, LargePicture):
        return _in_strips(job, job.picture, settings, skip_if_larger, quiet)
    settings = prepared.chosen(job.picture, settings.within(job.share))
    outcome = sized.run(job.picture, job.ending, settings, quiet=quiet)
    data, frames = outcome.encode(job.ending, job.picture, settings)
    reason = larger(job.picture, data) if skip_if_larger else None
    assert job.target is not None
    if reason is None:
        output_files.replace(data, job.target)
    return DitheredFile(
        Path(job.picture.name),
        job.target if reason is None else None,
        skipped=reason,
        bytes=len(data) if reason is None else 0,
        frames=len(frames),
        palette=outcome.palette,
        loss=tuple(outcome.loss),
        seconds=outcome.seconds,
        compiling=outcome.compiling,
        complete=outcome.complete,
    )


def _in_strips(
    job: plan.Job, picture: LargePicture, settings: Settings, skip_if_larger: bool, quiet: bool
) -> DitheredFile:
    """Dither a large picture and write it."""
    if skip_if_larger:
        reason = f"skip_if_larger goes with pictures of no more than {images.MAX_PIXELS} pixels"
        raise images.FileError(f"{picture.name}: {reason}")
    made = large_picture.run(picture, job.target, settings, quiet=quiet)
    return DitheredFile(
        Path(picture.name),
        job.target,
        frames=1,
        palette=made.palette,
        loss=(made.loss,),
        seconds=made.seconds,
        compiling=made.compiling,
    )


def _failed(job: plan.Job, error: BaseException | None) -> DitheredFile:
    """Return what went wrong with a picture."""
    if not isinstance(error, Exception):
        raise error or AssertionError
    return DitheredFile(Path(job.picture.name), error=failure(error, job.picture.name))


def _size(made: DitheredFile) -> int | None:
    """Return the bytes of a file, if it was written."""
    return None if made.target is None else made.bytes
