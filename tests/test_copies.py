"""Scripts in copies of one process end as they would in processes of their own."""

import signal

import pytest
from copies import Copies

SCRIPTS = {  # what it prints, how it ends, and the last line of its errors
    "import os\nprint(__name__, os.getcwd() == os.path.dirname(__file__))": (
        "__main__ True",
        0,
        "",
    ),
    "import sys\nprint(*sys.argv[1:], len(sys.stdin.read()))\nsys.exit(3)": ("0", 3, ""),
    "json": ("", 1, "NameError: name 'json' is not defined. Did you forget to import 'json'?"),
    "import atexit\natexit.register(print, 1)\nimport beside": ("1", 1, "ValueError: here"),
}


@pytest.fixture(scope="module")
def copies():
    with Copies("import json") as copies:
        yield copies


@pytest.mark.parametrize("code", SCRIPTS)
def test_a_copy_ends_as_a_process_does(code, tmp_path, copies):
    script = tmp_path / "script.py"
    script.write_text(code)
    (tmp_path / "beside.py").write_text("raise ValueError('here')")
    found = copies.run(script, tmp_path, 60)
    printed, code, error = SCRIPTS[code]
    assert (found.stdout.strip(), found.returncode) == (printed, code)
    assert (found.stderr.splitlines() or [""])[-1].startswith(error.partition(".")[0])
    assert bool(found.stderr) == bool(error)


def test_what_takes_too_long_is_ended(tmp_path, copies):
    if not copies.server:
        pytest.skip("no copies on this system")
    script = tmp_path / "script.py"
    script.write_text("import time\nprint(1, flush=True)\ntime.sleep(100)")
    found = copies.run(script, tmp_path, 1)
    assert (found.stdout, found.returncode) == ("1\n", -signal.SIGALRM)
