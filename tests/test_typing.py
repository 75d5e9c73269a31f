"""Types of the public API, by pyright: nearly all known, no error, and a strict user is served."""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import user_script

pytest.importorskip("pyright", reason="pyright is not installed")
pytestmark = [pytest.mark.optional, pytest.mark.slow]
ROOT = Path(__file__).resolve().parent.parent
SCRIPT = Path(user_script.__file__).resolve()
KNOWN = 0.99  # of the public symbols, the share whose types are known; kernels are not public


@functools.cache  # one run reads the package, and the script by stricter rules: see pyproject.toml
def pyright(*arguments):
    """Run pyright; return what it reports."""
    command = [sys.executable, "-m", "pyright", "--outputjson", *arguments]
    # Most of what it makes is soon garbage: with more room for that, a tenth less time.
    environment = {"NODE_OPTIONS": "--max-semi-space-size=64", **os.environ}
    options = {"capture_output": True, "text": True, "env": environment, "timeout": 1200}
    result = subprocess.run(command, cwd=ROOT, **options)
    assert result.stdout.startswith("{"), result.stdout + result.stderr
    return json.loads(result.stdout)


def errors(report, *, of_script):
    """List the errors in the user's script, or those everywhere else."""
    return [
        f"{e['file']}:{e['range']['start']['line'] + 1} {e['message']}"
        for e in report["generalDiagnostics"]
        if e["severity"] == "error" and (Path(e["file"]) == SCRIPT) == of_script
    ]


def test_the_package_has_no_error():
    assert errors(pyright(), of_script=False) == []


def test_public_types_are_known():
    report = pyright("--verifytypes", "fastgrad", "--ignoreexternal")["typeCompleteness"]
    public = [
        symbol
        for symbol in report["symbols"]
        if symbol["isExported"] and not symbol["name"].startswith("fastgrad.kernels")
    ]
    unknown = [s["name"] for s in public if not s["isTypeKnown"] or s["isTypeAmbiguous"]]
    assert len(public) > 300
    assert len(unknown) <= (1 - KNOWN) * len(public), "\n".join(unknown)


def test_a_strict_users_script():
    settings, name = (ROOT / "pyproject.toml").read_text(), SCRIPT.relative_to(ROOT).as_posix()
    for setting in ("include", "strict"):
        assert re.search(rf'^{setting} = \[.*"{name}"', settings, re.MULTILINE)
    assert errors(pyright(), of_script=True) == []


def test_that_script_runs(capsys):
    user_script.main()
    assert "(20, 4)" in capsys.readouterr().out
