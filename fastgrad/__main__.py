"""``python -m fastgrad``: the command line."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import NoReturn

from fastgrad.cli import main


def run() -> NoReturn:
    """Run the command, and end the process with its exit code."""
    code = main()
    for signum in (signal.SIGINT, signal.SIGTERM):  # all is written: nothing is cut short any more
        signal.signal(signum, signal.SIG_IGN)
    if code in (130, 143):  # threads and compilers may be half way: end without taking them down
        sys.stderr.flush()
        os._exit(code)
    gc.freeze()  # to look for garbage in all that was imported takes a fifth of a short command
    sys.exit(code)


if __name__ == "__main__":
    run()
