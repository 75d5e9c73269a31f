"""Ctrl-C and SIGTERM while the command works: never lost, and never in the middle of a file.

A handler of Python's may run wherever the interpreter is: inside a callback of LLVM or a finaliser,
where an exception is printed and forgotten, or while a file is being written. So the handler here
notes the signal, and raises `KeyboardInterrupt` only where it is safe: where `allowed` says that
work may be cut short, and not below a compiler or an import. Otherwise it tries again a little
later; `check` raises at the latest.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from _thread import interrupt_main, start_new_thread
from collections.abc import Iterator
from types import FrameType

from fastgrad._signals import SIGNALS, leave

WAIT = 0.05  # seconds until a signal that came at a bad time is tried again
UNSAFE = {"numba", "llvmlite", "ctypes", "importlib", "weakref", "_weakrefset"}
COMPILERS = {"numba", "llvmlite"}


class _State:
    """What has come, and whether it may be raised."""

    def __init__(self) -> None:
        self.signum: int | None = None  # the first that came
        self.pending = False  # until someone has taken it
        self.retrying = False
        self.allowed = False


_state = _State()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Receive signals, and begin with none; afterwards they are received by whoever did before."""
    global _state
    _state, before = _State(), {}
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            if signal.getsignal(signum) not in (signal.SIG_IGN, None):  # nohup, background jobs
                before[signum] = signal.signal(signum, _receive)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def allowed(yes: bool = True) -> Iterator[None]:
    """Let signals be raised inside, as they are not by default; with False, not even there."""
    before, _state.allowed = _state.allowed, yes
    try:
        if yes:
            check()
        yield
    finally:
        _state.allowed = before


def check() -> None:
    """Raise KeyboardInterrupt if a signal has come that nobody has taken."""
    if _state.pending:
        raise KeyboardInterrupt


def pending() -> bool:
    """Return whether a signal has come that nobody has taken."""
    return _state.pending


def taken() -> None:
    """Say that a KeyboardInterrupt has been caught and is dealt with."""
    _state.pending = False


def exit_code() -> int:
    """Return what the process ends with: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (_state.signum or signal.SIGINT)


def _receive(signum: int, frame: FrameType | None) -> None:
    retrying, _state.retrying = _state.retrying, False
    again = _state.pending and not retrying
    _state.signum, _state.pending = _state.signum or signum, True
    if not _state.allowed:
        return  # whoever forbade it will check
    below = {name.partition(".")[0] for name in _modules(frame)}
    if not below & UNSAFE:
        raise KeyboardInterrupt
    if again and below & COMPILERS:  # a kernel may take half a minute: whoever asks twice means it
        leave(signum)
    start_new_thread(_later, (signum,))


def _modules(frame: FrameType | None) -> Iterator[str]:
    """Yield the names of the modules at work; a finaliser counts as one of weakref."""
    while frame is not None:
        yield frame.f_globals.get("__name__") or ""
        if frame.f_code.co_name == "__del__":
            yield "weakref"
        frame = frame.f_back


def _later(signum: int) -> None:
    time.sleep(WAIT)
    if _state.pending and _state.allowed:
        _state.retrying = True
        interrupt_main(signal.Signals(signum))
