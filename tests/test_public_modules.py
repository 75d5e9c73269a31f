"""Modules that the documentation names are found under these names."""

import importlib
import inspect
import subprocess
import sys

import pytest

import fastgrad as fg

MODULES = [name for name in fg.__all__ if inspect.ismodule(getattr(fg, name))]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_can_be_imported_by_its_public_name(name):
    assert importlib.import_module(f"fastgrad.{name}") is getattr(fg, name)


def test_in_a_fresh_process():
    code = "import fastgrad.presets; from fastgrad.bernoulli import entropy; "
    code += "from fastgrad.palettes import read; print(fastgrad.presets.__name__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "fastgrad.dithering.pictures.presets", run.stderr
