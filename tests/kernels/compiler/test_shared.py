"""Parts that kernels share: machine code of their own, which a process has once."""

import os
import pathlib
import pickle
import subprocess
import sys

import numba
import numpy as np
import pytest
from numba.core.registry import cpu_target

from fastgrad.kernels.compiler import cache, jit, parts, shared

HALVES = pathlib.Path(__file__).with_name("halves.py")


@jit.shared
def _halve(x):
    jit.wide_vectors()
    for i in range(x.size):
        x[i] *= 0.5


@jit.shared
def _halve_checked(x):
    """Call another shared part, and raise: exceptions must find their way out."""
    _halve(x)
    if x.size == 3:
        raise ValueError("three")


@jit.kernel(cost=lambda x: x.size)
def _halve_rows(chunk, chunks, x):
    for i in jit.chunk_range(len(x), chunk, chunks):
        _halve_checked(x[i])


@jit.kernel(cost=lambda x: x.size)
def _halve_columns(chunk, chunks, x):
    for i in jit.chunk_range(x.shape[1], chunk, chunks):
        _halve(np.ascontiguousarray(x[:, i]))


@jit.standalone
def _halve_alone(x):
    _halve_checked(x)


def test_kernels_call_what_they_share():
    x = np.ones((2, 4))
    _halve_rows(x)
    assert (x == 0.5).all()
    _halve_rows.run(2, x)
    assert (x == 0.25).all()
    with pytest.raises(ValueError, match="three"):
        _halve_rows(np.ones((1, 3)))


def symbol_and_library(function, signature):
    overload = function.overloads[signature]
    return overload.fndesc.llvm_func_name, overload.library


def test_there_is_one_copy_of_what_is_shared():
    x = np.ones((2, 4))
    _halve_rows(x)
    _halve_columns(x)
    symbol, library = symbol_and_library(_halve, (numba.types.Array(numba.float64, 1, "C"),))
    assert library.get_pointer_to_function(symbol)
    for kernel in (_halve_rows, _halve_columns):
        (overload,) = kernel.dispatcher.overloads.values()
        defined = {f.name for f in overload.library.get_defined_functions()}
        assert symbol not in defined
    checked = symbol_and_library(_halve_checked, (numba.types.Array(numba.float64, 1, "C"),))
    assert symbol not in {f.name for f in checked[1].get_defined_functions()}


def test_python_cannot_call_what_is_shared():
    with pytest.raises(TypeError):
        _halve(np.ones(4))


def run_halves(folder):
    """Run a program with a cache; return what it prints: sums, hits and what was compiled."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, str(HALVES)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def test_a_kernel_brings_what_it_shares_from_the_cache(tmp_path):
    """In a process that compiles nothing, and where nothing else has loaded the code."""
    assert run_halves(tmp_path).stdout.split() == ["2.0", "three", "hits", "0", "compiled", "2"]
    assert run_halves(tmp_path).stdout.split() == ["2.0", "three", "hits", "1", "compiled", "0"]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An empty folder for parts of this file, as if they were the package's."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "ROOT", pathlib.Path(__file__).parent / "kernels")
    monkeypatch.delenv("FASTGRAD_CACHE", raising=False)
    parts.symbol.cache_clear()
    yield tmp_path
    parts.symbol.cache_clear()


def test_what_is_kept_of_a_part_says_what_it_calls(kept):
    """Also a part that is put into its callers must bring what it calls."""

    def twice(x):
        _halve(x)
        _halve(x)

    signature = (numba.types.Array(numba.float64, 1, "C"),)
    symbol, _ = symbol_and_library(_halve, signature)
    for hits in (0, 1):
        part = jit.block(twice)
        part.compile(signature)
        assert sum(part.stats.cache_hits.values()) == hits
        (overload,) = part.overloads.values()
        assert [code.symbol for code in overload.library._reload_init] == [symbol]
    call = numba.njit(lambda x: part(x))
    x = np.ones(2)
    call(x)
    assert (x == 0.25).all()


def test_what_a_process_has_may_be_compiled_again(kept):
    """As it is where kernels came with the package, and others are compiled here."""
    signature, kernels = (numba.types.Array(numba.float64, 1, "C"),), []

    def halve(x):
        for i in range(x.size):
            x[i] *= 0.5

    for _ in range(2):
        part = jit.shared(halve)
        part.compile(signature)
        assert not sum(part.stats.cache_hits.values())
        kernels.append(numba.njit(lambda x, part=part: part(x)))
        for path in kept.rglob("*.nbp"):
            path.unlink()
    x = np.ones(2)
    for kernel in kernels:
        kernel(x)
    assert (x == 0.25).all()


def test_machine_code_is_one_object_and_loaded_once(monkeypatch):
    _halve_alone(np.ones(2))
    signature = (numba.types.Array(numba.float64, 1, "C"),)
    _, library = symbol_and_library(_halve_checked, signature)
    (code,) = library._reload_init
    assert pickle.loads(pickle.dumps(code)) is code
    codegen = type(cpu_target.target_context.codegen())
    monkeypatch.setattr(codegen, "unserialize_library", None)
    code()
    monkeypatch.delitem(shared._loaded, code.symbol)
    with pytest.raises(TypeError):
        code()
