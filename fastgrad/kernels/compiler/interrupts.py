"""Ctrl-C while machine code is made: held back, and delivered afterwards."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def held():
    """Hold SIGINT back during the block, then raise it.

    LLVM calls back into Python whenever it has made or loaded code. An exception raised there is
    printed and dropped, since there is C++ below it: an interrupt would be lost.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not _raises(before):
        yield
        return
    arrived = []
    before = signal.signal(signal.SIGINT, lambda *_: arrived.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if arrived:
            signal.raise_signal(signal.SIGINT)


def _raises(handler):
    """Whether it is a function, and none of this package's.

    The outermost block holds for those within, and the command's own handler waits for compilers
    by itself, but not when it is asked twice.
    """
    package = str(getattr(handler, "__module__", None)).partition(".")[0]
    return callable(handler) and package != __name__.partition(".")[0]
