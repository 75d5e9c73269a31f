"""What cannot be imported ends the command in one line: a package that is missing, or unusable.

In a process that is the command, and in no other: a program that imports fastgrad gets the error.
"""

import os
import sys
from types import TracebackType

from fastgrad._signals import is_command


def complain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End the process with exit code 2 for an ImportError; leave others to Python."""
    if not issubclass(kind, ImportError):
        sys.__excepthook__(kind, error, trace)
        return
    try:
        text = " ".join(str(error).split())
        os.write(2, f"fastgrad: {text}\n".encode(errors="backslashreplace"))
    finally:
        os._exit(2)


if is_command() and sys.excepthook is sys.__excepthook__:
    sys.excepthook = complain
