"""Progress on a terminal: a bar of tqdm's, and what the compiler takes of the time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from numba.core import event

FIRST = "first run: kernels are compiled, and kept for the next one"


class Compiling(event.Listener):
    """How long kernels are compiled: what is found in the cache does not count.

    Attributes
    ----------
    seconds : float
        The time taken so far.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self.seconds, self.say = 0.0, say
        self._depth, self._began, self._said = 0, 0.0, False

    def on_start(self, event: Any) -> None:
        """Begin to count; kernels compile others that they call."""
        if not self._depth:
            self._began = time.perf_counter()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """Count, and say so once, after the first kernel that took a while."""
        self._depth -= 1
        if self._depth:
            return
        self.seconds += time.perf_counter() - self._began
        if self.seconds > 0.5 and not self._said and sys.stderr.isatty():
            self._said = True
            self.say(FIRST)


@contextlib.contextmanager
def progress_bar(unit: str) -> Iterator[tuple[Callable[[int, int, str], None], Compiling]]:
    """Show a bar on a terminal, if tqdm is installed.

    Parameters
    ----------
    unit : str
        What is counted.

    Yields
    ------
    show : callable
        To be called with what is done, what there is in all, and a note.
    compiling : Compiling
        The time that the compiler takes meanwhile.
    """
    try:
        from tqdm import tqdm
    except ImportError:
        compiling = Compiling(lambda text: print(text, file=sys.stderr))
        with event.install_listener("numba:compile", compiling):
            yield lambda done, total, note: None, compiling
        return
    compiling = Compiling(lambda text: tqdm.write(text, file=sys.stderr))
    with (
        event.install_listener("numba:compile", compiling),
        tqdm(unit=unit, disable=None, dynamic_ncols=True) as bar,
    ):

        def show(done: int, total: int, note: str) -> None:
            bar.total = total
            bar.set_postfix_str(note, refresh=False)
            bar.update(done - bar.n)

        yield show, compiling
