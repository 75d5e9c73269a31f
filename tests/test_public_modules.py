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
    code = """
import sys, fastgrad.presets
from fastgrad.bernoulli import entropy
from fastgrad.palettes import read
assert fastgrad.presets is fastgrad.dithering.pictures.presets
print(fastgrad.presets.__name__, fastgrad.presets.__spec__.name)
print([name for name in ("fastgrad.estimators.registry", "fastgrad.trees") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    name = "fastgrad.dithering.pictures.presets"
    assert run.stdout == f"{name} {name}\n[]\n", run.stderr


def test_names_that_are_not_there_are_refused():
    with pytest.raises(AttributeError, match="module 'fastgrad' has no attribute 'rebarr'"):
        fg.rebarr  # noqa: B018
    with pytest.raises(ImportError):
        importlib.import_module("fastgrad.rebarr")
    assert dir(fg) == sorted(fg.__all__)
