"""How processes of the package's own are started, which find this very package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]  # of the package
# Python looks into the current folder first, even before PYTHONPATH. In a clone there is another
# package of the same name: what that compiles would be of no use here.
FIRST = """
import sys
if sys.path[:1] == [""]:
    del sys.path[0]
"""


def command(code: str, *arguments: str) -> list[str]:
    """Return the command that runs code in a process, given the `environment`."""
    return [sys.executable, "-c", FIRST + code, *arguments]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of such a process, with more variables."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, **variables, "PYTHONPATH": path}
