"""Processes that the package starts find this very package, wherever they are started."""

import subprocess

import numpy as np
from PIL import Image

import fastgrad as fg
from fastgrad import _processes, precompile


def in_a_folder_with_another(monkeypatch, tmp_path):
    """Go where Python would find another package of the name, as in a clone of the repository."""
    other = tmp_path / "fastgrad"
    other.mkdir()
    (other / "__init__.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)


def test_code_finds_this_package(monkeypatch, tmp_path):
    in_a_folder_with_another(monkeypatch, tmp_path)
    code = "import fastgrad\nprint(fastgrad.__file__, *sys.argv[1:])"
    found = subprocess.run(
        _processes.command(code, "a", "b"),
        env=_processes.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found.split() == [fg.__file__, "a", "b"]


def test_kernels_are_compiled_for_this_package(monkeypatch, tmp_path):
    in_a_folder_with_another(monkeypatch, tmp_path)
    process = precompile._start_process(["threads:0"], quiet=True)
    assert process.wait() == 0


def test_pictures_are_dithered_by_this_package(monkeypatch, tmp_path):
    in_a_folder_with_another(monkeypatch, tmp_path)
    names = ["a.png", "b.png"]
    for name in names:
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(name)
    done = fg.dither_files(names, output="out", colors=2, speed=10, jobs=2)
    assert [(file.error, file.complete) for file in done] == [(None, True)] * 2
