"""Standard streams that are closed, full or narrow: one line, and an exit code as promised."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgrad

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
ROOT = Path(fastgrad.__file__).resolve().parent.parent
DITHER = "dither a.png --speed 9 -k 4"


@pytest.fixture
def folder(tmp_path):
    y, x = np.mgrid[:16, :24]
    values = np.stack([9 * x, 15 * y, 255 - 9 * x], axis=-1).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    return tmp_path


def shell(folder, text, **environment):
    """Run a shell command, in which FASTGRAD is this tree's; return code, output, errors."""
    line = text.replace("FASTGRAD", f"'{sys.executable}' -m fastgrad")
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **environment}
    found = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=settings, capture_output=True, timeout=300
    )
    errors = found.stderr.decode()
    assert "Traceback" not in errors
    assert "Exception" not in errors
    return found.returncode, found.stdout.decode(), errors


needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")


@needs_full
@pytest.mark.parametrize("command", [DITHER, f"{DITHER} -o -", "info", "--help", "--version"])
def test_a_full_device(folder, command):
    code, _, errors = shell(folder, f"FASTGRAD {command} > /dev/full")
    assert code in ((0, 2) if command[0] == "-" else (2,))  # argparse itself forgives
    assert errors.count("\n") <= 1 + ("-o" in command)  # what is at work
    if code == 2 and "-o" not in command:
        assert errors.endswith("cannot write standard output: No space left on device\n")


@needs_full
def test_errors_on_a_full_device(folder):
    assert shell(folder, "FASTGRAD dither none.png 2> /dev/full")[0] == 2
    assert shell(folder, f"FASTGRAD {DITHER} 2> /dev/full")[0] == 0
    assert (folder / "a-dithered.png").exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(folder, closed):
    code, _, errors = shell(folder, f"FASTGRAD {DITHER} {closed}")
    assert (code, errors) == (0, "")
    with Image.open(folder / "a-dithered.png") as image:
        assert image.size == (24, 16)
        image.load()


def test_streams_that_are_needed_are_closed(folder):
    for command, line in (
        (f"{DITHER} -o - >&-", "cannot write standard output: it is closed\n"),
        ("dither - -o new.png <&-", "cannot read standard input: it is closed\n"),
    ):
        code, _, errors = shell(folder, f"FASTGRAD {command}")
        assert code == 2
        assert errors == f"fastgrad dither: {line}"
    assert sorted(os.listdir(folder)) == ["a.png"]


def test_a_narrow_encoding(folder):
    (folder / "a.png").rename(folder / "é.png")
    command = "FASTGRAD dither é.png none-é.png --speed 9"
    code, output, errors = shell(folder, command, PYTHONIOENCODING="ascii")
    assert code == 2
    assert errors == "fastgrad dither: no such file: none-\\xe9.png\n"
    assert output.startswith("\\xe9.png: 24 x 16\nwrote \\xe9-dithered.png (")
    assert (folder / "é-dithered.png").exists()


@pytest.mark.parametrize("layer", ["safe", "nonsense"])
@pytest.mark.parametrize("command", [DITHER, "info"])
def test_a_threading_layer_that_is_not_there(folder, layer, command):
    code, _, errors = shell(folder, f"FASTGRAD {command}", NUMBA_THREADING_LAYER=layer)
    assert code in (0, 2)  # it may be there
    if layer == "nonsense" or code == 2:
        assert code == 2
        assert errors.count("\n") == 1
        assert f"NUMBA_THREADING_LAYER={layer}: " in errors
        assert r"\n" not in errors
