"""Ctrl-C and SIGTERM while the command works: never lost, and never in the middle of a file.

A handler of Python's may run wherever the interpreter is: inside a callback of LLVM or a finaliser,
where an exception is printed and forgotten, or while a file is being written. So the handler here
notes the signal, and raises `KeyboardInterrupt` only where it is safe: where `allowed` says that
work may be cut short, and not below a compiler or an import. Otherwise it tries again a little
later; `check` raises at the latest.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
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
        self.waiting = False  # to raise it again
        self.retries = 0  # how often that was done
        self.allowed = False
        self.over = threading.Event()  # nobody listens any more
        self.watch: threading.Thread | None = None  # holds nothing while no signal comes


_state = _State()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Receive signals, and begin with none; afterwards they are received by whoever did before."""
    global _state
    _state, before = _State(), {}
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                if signal.getsignal(signum) not in (signal.SIG_IGN, None):  # nohup, background jobs
                    before[signum] = signal.signal(signum, _receive)
            stack.enter_context(_counted(_state))
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


def is_watch(thread: threading.Thread) -> bool:
    """Return whether a thread does nothing but wait for signals."""
    return thread is _state.watch


def exit_code() -> int:
    """Return what the process ends with: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (_state.signum or signal.SIGINT)


def _receive(signum: int, frame: FrameType | None) -> None:
    _state.signum, _state.pending = _state.signum or signum, True
    if not _state.allowed:
        return  # whoever forbade it will check
    if not _packages(frame) & UNSAFE:
        raise KeyboardInterrupt
    if not _state.waiting:
        _state.waiting = True
        start_new_thread(_later, (_state, signum))


def _packages(frame: FrameType | None) -> set[str]:
    """Return the names of the packages at work; a finaliser counts as one of weakref."""
    found = set()
    while frame is not None:
        found.add((frame.f_globals.get("__name__") or "").partition(".")[0])
        if frame.f_code.co_name == "__del__":
            found.add("weakref")
        frame = frame.f_back
    return found


def _later(state: _State, signum: int) -> None:
    time.sleep(WAIT)
    state.waiting = False
    if state.pending and state.allowed:
        state.retries += 1
        interrupt_main(signal.Signals(signum))


@contextlib.contextmanager
def _counted(state: _State) -> Iterator[None]:
    """Count signals during the block, also those that come while LLVM lets no handler run."""
    reader, writer = os.pipe()
    if hasattr(os, "set_blocking"):
        os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    given = reader, state, threading.get_ident()
    watch = state.watch = threading.Thread(target=_impatient, args=given, daemon=True)
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        state.over.set()
        os.close(writer)
        watch.join()
        os.close(reader)


def _impatient(reader: int, state: _State, thread: int) -> None:
    """End the process if a second signal comes, when the thread compiles or as soon as it does.

    That may take half a minute: whoever asks twice does not want to wait for it, nor for a best
    picture that needs it. Files are whole, since none is written below a compiler.
    """
    come = bytearray()
    while len(come) - state.retries < 2:
        new = os.read(reader, 64)
        if not new:
            return
        come += bytes(signum for signum in new if signum in SIGNALS)
    while not state.over.is_set():
        if _packages(sys._current_frames().get(thread)) & COMPILERS:
            leave(come[0])
            break
        state.over.wait(WAIT)
