"""Types of the public API, by pyright: nearly all known, no error, and a strict user is served."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import user_script

pytest.importorskip("pyright", reason="pyright is not installed")
pytestmark = pytest.mark.optional
ROOT = Path(__file__).resolve().parent.parent
KNOWN = 0.99  # of the public symbols, the share whose types are known; kernels are not public


def pyright(*arguments, cwd=ROOT):
    """Run pyright; return what it reports."""
    command = [sys.executable, "-m", "pyright", "--outputjson", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600)
    assert result.stdout.startswith("{"), result.stdout + result.stderr
    return json.loads(result.stdout)


def errors(report):
    found = [each for each in report["generalDiagnostics"] if each["severity"] == "error"]
    return [f"{e['file']}:{e['range']['start']['line'] + 1} {e['message']}" for e in found]


def test_the_package_has_no_error():
    assert errors(pyright()) == []


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


def test_a_strict_users_script(tmp_path):
    settings = {"include": [user_script.__file__], "typeCheckingMode": "strict"}
    settings["extraPaths"] = [str(ROOT)]
    settings["reportMissingTypeStubs"] = False
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    assert errors(pyright("--project", tmp_path)) == []


def test_that_script_runs(capsys):
    user_script.main()
    assert "(20, 4)" in capsys.readouterr().out
