"""Ctrl-C while the command is still being imported: an exit code, and no traceback.

`fastgrad` is imported before its command line can be: in a process that is the command, and in no
other, this module, the first of all, ends the process at a signal. There is nothing to be lost yet.
`fastgrad._interrupts` takes over when there is.
"""

import os
import signal
import sys
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def is_command() -> bool:
    """Return whether this process was started as the command, not by a program that imports us."""
    given = getattr(sys, "orig_argv", [])
    if "-m" in given[1:-1]:
        return given[given.index("-m", 1) + 1] == "fastgrad"
    script = (getattr(sys, "argv", None) or [""])[0]
    return os.path.basename(script) in ("fastgrad", "fastgrad.exe", "fastgrad-script.py")


def leave(signum: int, frame: FrameType | None = None) -> None:
    """End the process at once: even where an exception would be swallowed."""
    try:
        os.write(2, b"fastgrad: interrupted\n")
    finally:
        os._exit(128 + signum)


if is_command():
    for signum in SIGNALS:
        if signal.getsignal(signum) in (signal.default_int_handler, signal.SIG_DFL):
            try:
                signal.signal(signum, leave)
            except ValueError:  # not in the main thread
                break
