"""Kernels that a wheel ships: which are taken, when they are not, and how they come there."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numba
import numpy as np
import pytest
from strategies import ROOT, run

from fastgrad.kernels.compiler import cache, prebuilt

FLOATS = (numba.types.Array(numba.float32, 1, "C"),)
V3, V4 = (",".join(f"+{name}" for name in prebuilt.LEVELS[f"x86-64-v{i}"]) for i in (3, 4))
MINE = [level for level in prebuilt.LEVELS if not prebuilt.lacking(level)]
needs_a_level = pytest.mark.skipif(not MINE, reason="this processor is of no level that is shipped")


def total(x):
    result = x[0] - x[0]
    for i in range(x.size):
        result += x[i]
    return result


@pytest.mark.parametrize(
    ("features", "shipped", "taken"),
    [
        (f"{V4},+sha,-rtm", "43", "43"),
        (f"{V4},+sha,-rtm", "3", "3"),
        (f"{V3},-avx512f", "43", "3"),
        (V4.replace("+avx512dq", "-avx512dq"), "43", "3"),
        (V3.replace("+fma,", ""), "43", ""),
        ("", "43", ""),
        (V4, "", ""),
    ],
)
def test_the_best_level_that_the_processor_has(features, shipped, taken, tmp_path, monkeypatch):
    for number in shipped:
        (tmp_path / f"x86-64-v{number}").mkdir()
    assert prebuilt.levels(features, tmp_path) == [f"x86-64-v{number}" for number in taken]
    assert prebuilt.levels(features, tmp_path / "nothing") == []
    monkeypatch.setenv("FASTGRAD_PREBUILT", "0")
    assert prebuilt.levels(features, tmp_path) == []


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A dispatcher of `total`, and the folder into which it was compiled for this machine."""
    dispatcher, place = numba.njit(total), tmp_path / "_prebuilt"
    dispatcher.compile(FLOATS)
    monkeypatch.setenv(prebuilt.INTO, str(place / MINE[0]))
    prebuilt.Prebuilt(total, "sources").save(dispatcher.overloads[FLOATS])
    monkeypatch.delenv(prebuilt.INTO)
    return dispatcher, place


@needs_a_level
def test_what_was_saved_is_found_and_computes_the_same(shipped):
    dispatcher, place = shipped
    (path,) = place.rglob("*.nbc")
    assert "test_prebuilt.total" in path.name
    found = prebuilt.Prebuilt(total, "sources", place).load(FLOATS, dispatcher.targetctx)
    assert found.signature.args == FLOATS
    x = np.linspace(0, 1, 1000, dtype=np.float32) ** 3
    assert found.entry_point(x) == dispatcher(x)


@needs_a_level
def test_other_sources_types_and_processors_find_nothing(shipped):
    dispatcher, place = shipped
    context = dispatcher.targetctx
    mine = prebuilt.Prebuilt(total, "sources", place)
    assert mine.is_filled(context)
    assert mine.load((numba.types.Array(numba.float64, 1, "C"),), context) is None
    other = prebuilt.Prebuilt(total, "sources that were edited", place)
    assert other.load(FLOATS, context) is None
    assert not other.is_filled(context)
    (place / MINE[0]).rename(place / "x86-64-v9")
    assert mine.load(FLOATS, context) is None
    assert not mine.is_filled(context)


def adding(number):
    def add(x):
        return x[0] + number

    return add


@needs_a_level
def test_what_a_function_closes_over_is_in_no_source(tmp_path, monkeypatch):
    """Numbers are part of the key; what has no certain name is not shipped."""
    monkeypatch.setenv(prebuilt.INTO, str(tmp_path / MINE[0]))
    found = {}
    for number in (1, 2):
        dispatcher = numba.njit(adding(number))
        dispatcher.compile(FLOATS)
        prebuilt.Prebuilt(dispatcher.py_func, "sources").save(dispatcher.overloads[FLOATS])
    for number in (1, 2, 3):
        entry = prebuilt.Prebuilt(adding(number), "sources", tmp_path)
        found[number] = entry.load(FLOATS, dispatcher.targetctx)
    x = np.float32([0.5])
    assert [found[i] and found[i].entry_point(x) for i in (1, 2, 3)] == [1.5, 2.5, None]
    assert not prebuilt.Prebuilt(adding(np.ones(1)), "sources", tmp_path)._shippable


@needs_a_level
def test_a_damaged_file_is_a_miss(shipped, monkeypatch):
    dispatcher, place = shipped
    monkeypatch.setattr(prebuilt, "PLACE", place)
    monkeypatch.setattr(cache, "source_digest", lambda _: "sources")
    context = dispatcher.targetctx
    assert cache._Shipped(dispatcher).load_overload(FLOATS, context) is not None
    (path,) = place.rglob("*.nbc")
    for rubbish in (b"rubbish", b"", path.read_bytes()[:300]):
        path.write_bytes(rubbish)
        assert cache._Shipped(dispatcher).load_overload(FLOATS, context) is None


@needs_a_level
@pytest.mark.parametrize("writable", [True, False])
def test_it_is_looked_at_after_the_own_cache_and_where_there_is_none(
    shipped, writable, tmp_path, monkeypatch
):
    _, place = shipped
    monkeypatch.setattr(prebuilt, "PLACE", place)
    monkeypatch.setattr(cache, "source_digest", lambda _: "sources")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "own"))
    if not writable:

        def nowhere(*args):
            raise RuntimeError("no locator available")

        monkeypatch.setattr(cache, "_Cache", nowhere)
    dispatcher = cache.cached(numba.njit(total))
    assert cache.is_filled(dispatcher)
    dispatcher.compile(FLOATS)
    assert sum(dispatcher.stats.cache_hits.values()) == 1
    assert not list(tmp_path.glob("own/**/*.nbc"))
    (level,) = place.iterdir()
    level.rename(place / "gone")
    dispatcher = cache.cached(numba.njit(total))
    assert not cache.is_filled(dispatcher)
    dispatcher.compile(FLOATS)
    assert sum(dispatcher.stats.cache_misses.values()) == 1
    assert len(list(tmp_path.glob("own/**/*.nbc"))) == writable


# Runs a small kernel on chunks in parallel, and counts what the runner, which is shipped, compiles.
COLD = """
import numpy as np
from numba.core import event
from fastgrad.kernels.compiler import jit
with event.install_recorder("numba:compile") as compiled:
    jit._runner.address(0, 0, 0)
print(len(compiled.buffer), sum(jit._runner.dispatcher.stats.cache_hits.values()), end=" ")
from fastgrad.kernels.tiles import check
x, found = np.zeros(9000, np.float32), np.zeros(3, np.uint8)
x[-1] = np.nan
check.scan.run(2, x, found)
print(*found)
"""


@pytest.mark.slow
@needs_a_level
def test_a_wheel_with_kernels_compiles_nothing(tmp_path):
    pytest.importorskip("hatchling")
    options = {"FASTGRAD_PREBUILD": MINE[-1], "FASTGRAD_PREBUILD_GROUPS": "threads"}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, **options, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = tmp_path.glob("*.whl")
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert f"-{tag}-{tag}" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    with zipfile.ZipFile(wheel) as file:
        names = [Path(name) for name in file.namelist() if name.startswith("fastgrad/_prebuilt")]
        assert {path.parent.name for path in names} == {MINE[-1]}
        file.extractall(tmp_path / "site")
    place = {"root": tmp_path / "site", "NUMBA_CACHE_DIR": str(tmp_path / "cold")}
    assert run(COLD, **place) == "0 1 0 0 2"
    assert run(COLD, **place, FASTGRAD_PREBUILT="0").split()[1:] == ["0", "0", "0", "2"]
