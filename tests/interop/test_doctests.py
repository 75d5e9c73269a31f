"""The examples in the docstrings of fronts, which are collected only where their frameworks are."""

import doctest
import importlib
import pathlib

import pytest

import fastgrad

ROOT = pathlib.Path(fastgrad.__file__).parent
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS  # those of pyproject.toml
MODULES = [
    f"fastgrad.{front}.{path.stem}"
    for front in ("torch", "jax", "dask")
    for path in sorted((ROOT / front).glob("[!_]*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.optional
@pytest.mark.parametrize("name", MODULES)
def test_examples(name, monkeypatch):
    front = name.split(".")[1]
    pytest.importorskip(front)
    if front == "jax":  # callbacks have the bits of handlers, which each process compiles anew
        frames = importlib.import_module("fastgrad.jax.frames")
        monkeypatch.setattr(frames, "version", lambda: None)
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert tried
    assert not failed  # what did is printed
