"""A bar that shows how far `fastgrad.dither` has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastgrad import _validate
from fastgrad.dithering.result import Progress

__all__ = ["ProgressBar", "shown"]


class ProgressBar:
    """A bar of tqdm's, to be passed to `fastgrad.dither` as its ``callback``.

    One bar may watch several calls, one after the other: each begins a new bar.

    Parameters
    ----------
    **options
        Options of ``tqdm.tqdm``, as ``desc`` or ``file``.

    Raises
    ------
    ImportError
        If tqdm is not installed.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> import fastgrad as fg
    >>> file = io.StringIO()
    >>> bar = fg.dithering.ProgressBar(file=file)
    >>> result = fg.dither(np.zeros((8, 8), np.uint8), preset="bw", callback=bar)
    >>> bar.close()
    >>> "search" in file.getvalue()
    True
    """

    def __init__(self, **options: Any) -> None:
        try:
            from tqdm import tqdm
        except ImportError:
            raise ImportError("a progress bar needs tqdm: pip install tqdm") from None
        self._options: dict[str, Any] = {"unit": "step", "dynamic_ncols": True, **options}
        self._make: Callable[..., Any] = tqdm
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        """Show a step."""
        if progress.step == 1:
            self.close()
            self._bar = self._make(**self._options)
        self._bar.total = progress.steps
        self._bar.set_postfix_str(f"{progress.stage}, loss {progress.loss:.3e}", refresh=False)
        self._bar.update(progress.step - self._bar.n)

    def close(self) -> None:
        """End the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def shown(
    progress: bool, callback: Callable[[Progress], object] | None
) -> Iterator[Callable[[Progress], object] | None]:
    """Give the callback of a run, with a bar if one is asked for, and end the bar with the run.

    Parameters
    ----------
    progress, callback
        Options of `fastgrad.dither`.

    Yields
    ------
    callable or None
        What is called with each `Progress`.

    Raises
    ------
    ImportError
        If a bar is asked for, and tqdm is not installed.
    ValueError
        If ``progress`` is neither True nor False.
    """
    if not _validate.choice(progress, "progress", (False, True)):
        yield callback
        return
    bar = ProgressBar()

    def both(state: Progress) -> None:
        bar(state)
        if callback is not None:
            callback(state)

    try:
        yield both
    finally:
        bar.close()
