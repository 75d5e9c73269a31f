"""Copies of this process, which have all that it has imported, and so begin to work at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable

from fastgrad import _interrupts, _signals


def is_possible() -> bool:
    """Return whether a copy of this process would work as the process itself does.

    A copy has one thread, and what others hold stays held in it. Only Linux lets copies call all
    libraries of the system.
    """
    own = threading.current_thread()
    others = [t for t in threading.enumerate() if t is not own and not _interrupts.is_watch(t)]
    return sys.platform == "linux" and not others


class Fork:
    """A copy of this process that runs a function, says nothing and ends.

    Parameters
    ----------
    function : callable
        What it runs.
    arguments
        Those of the function.
    """

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        with warnings.catch_warnings():  # of threads of NumPy's BLAS, which starts them anew
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        self._ended = False
        if self.pid == 0:
            _run_and_end(function, *arguments)

    def kill(self) -> None:
        """End it at once."""
        if not self._ended:  # else its number may be another's
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Wait until it has ended."""
        with contextlib.suppress(ChildProcessError):  # who waits for any child may have had it
            os.waitpid(self.pid, 0)
        self._ended = True


def _run_and_end(function: Callable[..., object], *arguments: object) -> None:
    """Run a function in a copy, and end that without anything that ends the process copied."""
    code = 1
    try:
        told = signal.set_wakeup_fd(-1)
        if told >= 0:
            os.close(told)
        for signum in _signals.SIGNALS:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                signal.signal(signum, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        function(*arguments)
        code = 0
    finally:
        os._exit(code)
