"""Where fastgrad cannot be imported: an error for programs, one line for the command."""

import os
import subprocess
import sys

import pytest
from strategies import ROOT

from fastgrad import _failed_imports

COMMAND = ["-m", "fastgrad"]


def run(args, **variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, *args]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.parametrize("args", [["info"], ["dither", "photo.jpg"], ["--version"]])
def test_the_command_says_in_one_line_that_compiled_code_is_needed(args):
    result = run([*COMMAND, *args], NUMBA_DISABLE_JIT="1")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("fastgrad: fastgrad's kernels exist only as compiled code")
    assert "unset NUMBA_DISABLE_JIT" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_package_is_named(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('no\\nnumba \\u00e9')")
    result = run([*COMMAND, "info"], PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert (result.returncode, result.stderr) == (2, "fastgrad: no numba é\n")


def test_a_program_gets_the_error():
    result = run(["-c", "import fastgrad"], NUMBA_DISABLE_JIT="1")
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: fastgrad's kernels exist only as compiled code: unset")
    assert sys.excepthook is not _failed_imports.complain


def test_other_errors_are_left_to_python(capsys):
    _failed_imports.complain(KeyError, KeyError("x"), None)
    assert "KeyError: 'x'" in capsys.readouterr().err
