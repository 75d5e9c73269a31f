"""Compiled kernels on disk: what is found again, what has changed, and what may go wrong."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from strategies import ROOT, run

from fastgrad.kernels.compiler import cache

# Runs the smallest kernel and tells whether its code came from the cache.
SMALLEST = """
import numpy as np
from fastgrad.kernels.tiles import check
check.scan(1, np.zeros(8, np.float32), np.zeros(1, np.uint8))
stats = check.scan.dispatcher.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert run(SMALLEST, **place) == "0 1"
    assert run(SMALLEST, **place) == "1 0"


def test_serial_and_parallel_calls_share_machine_code(tmp_path):
    both = """
import numpy as np
from fastgrad.kernels.compiler import jit
from fastgrad.kernels.tiles import check
args = np.zeros(8, np.float32), np.zeros(1, np.uint8)
for call in {calls}:
    call(1, *args)
for code in check.scan, jit._launcher, jit._runner:
    stats = code.dispatcher.stats
    print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), end=" ")
"""
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert run(both.format(calls="(check.scan,)"), **place) == "0 1 0 0 0 0"
    assert run(both.format(calls="(check.scan.run, check.scan)"), **place) == "1 0 0 1 0 1"
    assert run(both.format(calls="(check.scan, check.scan.run)"), **place) == "1 0 1 0 1 0"


def copy_of_the_package(tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(
        ROOT / "fastgrad", root / "fastgrad", ignore=shutil.ignore_patterns("__pycache__", "data")
    )
    return root


@pytest.mark.slow
def test_an_edit_in_another_file_is_seen(tmp_path):
    """Numba's key knows the kernel's own file only."""
    root = copy_of_the_package(tmp_path)
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(SMALLEST, root=root, **place) == "0 1"
    assert run(SMALLEST, root=root, **place) == "1 0"
    with open(
        root / "fastgrad" / "kernels" / "simd" / "intrinsics.py", "a", encoding="utf-8"
    ) as file:
        file.write("\n# edited\n")
    assert run(SMALLEST, root=root, **place) == "0 1"


def test_the_digest_covers_what_a_kernel_module_imports(tmp_path, monkeypatch):
    root = copy_of_the_package(tmp_path) / "fastgrad" / "kernels"
    monkeypatch.setattr(cache, "ROOT", root)
    digest, path = cache.source_digest.__wrapped__, root / "distributions" / "concrete.py"
    covered = {p.name for p in cache.sources(path)}
    assert {"concrete.py", "jit.py", "tile.py", "transpose.py", "formats.py"} <= covered
    assert not {"bernoulli.py", "concrete_vjp.py"} & covered
    before = digest(path)
    for other in sorted(root.rglob("*.py")):
        other.write_text(other.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
        after = digest(path)
        assert (after != before) == (other.name in covered), other
        before = after


def test_no_writable_place_means_no_cache(tmp_path):
    """Every place that Numba would try lies below a regular file: true even for the superuser."""
    root = copy_of_the_package(tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    for folder in (root / "fastgrad").rglob("*"):
        if folder.is_dir():
            (folder / "__pycache__").write_text("")
    (root / "fastgrad" / "__pycache__").write_text("")
    below = str(blocked / "cache")
    nowhere = {"NUMBA_CACHE_DIR": below, "HOME": below, "XDG_CACHE_HOME": below}
    code = SMALLEST + "from fastgrad.kernels.compiler import cache; print(cache.cache_directory())"
    assert run(code, root=root, PYTHONDONTWRITEBYTECODE="1", **nowhere) == "0 1\nNone"


@pytest.mark.slow
def test_a_cache_that_fails_later_is_only_a_miss(tmp_path):
    """The place vanishes after the import, or holds rubbish."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    vanish = """
import os, shutil
import fastgrad.kernels.tiles.check as c
c.scan.dispatcher
shutil.rmtree(os.environ["NUMBA_CACHE_DIR"]); open(os.environ["NUMBA_CACHE_DIR"], "w").close()
"""
    assert run(vanish + SMALLEST, **place).split()[0] == "0"
    os.remove(tmp_path / "cache")
    assert run(SMALLEST, **place) == "0 1"
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert any(p.suffix == ".nbc" for p in files)
    for suffix in (".nbc", ".nbi"):
        for path in files:
            if path.suffix == suffix:
                path.write_bytes(b"rubbish")
        assert run(SMALLEST, **place).split()[0] == "0"


def test_the_cache_can_be_turned_off(tmp_path):
    options = {"NUMBA_CACHE_DIR": str(tmp_path), "FASTGRAD_CACHE": "0"}
    assert run(SMALLEST, **options) == "0 1"
    assert run(SMALLEST, **options) == "0 1"
    assert not list(tmp_path.rglob("*.nb?"))


def test_cache_directory_is_a_place():
    assert cache.cache_directory() is None or os.path.isabs(cache.cache_directory())


BOTH_WAYS = """
import numpy as np
from fastgrad.kernels.tiles import check
for x in (np.zeros(9000, np.float32), np.zeros(9000)):
    x[-1] = np.nan
    for call in (check.scan, check.scan.run):
        found = np.zeros(3, np.uint8)
        call(2, x, found)
        assert list(found) == [0, 0, 2], found
print("fine")
"""


@pytest.mark.slow
def test_processes_may_fill_the_cache_at_once(tmp_path):
    """Six cold processes at a time write into one place: two types, and what runs them."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    for _ in range(2):
        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(lambda _: run(BOTH_WAYS, **place), range(6)))
        assert set(results) == {"fine"}
