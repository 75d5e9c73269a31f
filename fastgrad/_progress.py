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
        self.seconds: float = 0.0
        self.say: Callable[[str], object] = say
        self._kernels, self._depth, self._began = 0, 0, 0.0

    def on_start(self, event: Any) -> None:
        """Begin to count, and say so at the second kernel: a single one takes but a moment."""
        if not self._depth:  # kernels compile others that they call
            self._kernels, self._began = self._kernels + 1, time.perf_counter()
            if self._kernels == 2 and sys.stderr.isatty():
                self.say(FIRST)
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """Count."""
        self._depth -= 1
        if not self._depth:
            self.seconds += time.perf_counter() - self._began


@contextlib.contextmanager
def progress_bar(
    unit: str, *, quiet: bool = False
) -> Iterator[tuple[Callable[[int, int, str], None], Compiling]]:
    """Show a bar on a terminal, if tqdm is installed.

    Parameters
    ----------
    unit : str
        What is counted.
    quiet : bool, optional
        Whether nothing is shown, and only the compiler's time is taken.

    Yields
    ------
    show : callable
        To be called with what is done, what there is in all, and a note.
    compiling : Compiling
        The time that the compiler takes meanwhile.
    """
    try:
        if quiet:
            raise ImportError
        from tqdm import tqdm
    except ImportError:
        compiling = Compiling(_nothing if quiet else lambda text: print(text, file=sys.stderr))
        with event.install_listener("numba:compile", compiling):
            yield _nothing, compiling
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


def _nothing(*shown: object) -> None:
    """Show nothing."""
