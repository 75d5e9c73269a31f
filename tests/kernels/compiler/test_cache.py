"""Compiled kernels on disk: what is found again, what has changed, and what may go wrong."""

import contextlib
import gc
import mmap
import os
import pathlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cold_pairs
import numba
import pytest
from strategies import ROOT, run, run_copies

from fastgrad.kernels.compiler import cache

# Runs the smallest kernel and tells whether its code came from the cache.
IMPORTS = """
import numpy as np
from fastgrad.kernels.tiles import check
"""
SMALLEST = f"""
{IMPORTS}
check.scan(np.zeros(8, np.float32), np.zeros(1, np.uint8))
stats = check.scan.dispatcher.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


# Makes calls of it, serial ones and such as run its chunks, and tells of its code and the runner's.
CALLS = """
import numpy as np
from fastgrad.kernels.compiler import jit
from fastgrad.kernels.tiles import check
args = np.zeros(8, np.float32), np.zeros(1, np.uint8)
parallel = lambda *args: check.scan.run(1, *args)
for call in {calls}:
    call(*args)
for code in check.scan, jit._runner:
    stats = code.dispatcher.stats
    print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), end=" ")
"""


# Tells whether Numba has registered what it compiles by, after loading a kernel.
REGISTERED = """
import sys
print("numba.cpython.setobj" in sys.modules, "numba.np.arrayobj" in sys.modules)
"""
# After loading the smallest one, and compiling one.
LOADED = f"""
{SMALLEST}
{REGISTERED}
check.scan(np.zeros(8, np.float64), np.zeros(1, np.uint8))
{REGISTERED}
"""
# After loading, or compiling, the smallest of those that close over a number.
CLOSED_OVER = f"""
import fastgrad as fg
fg.random.uniform(8, rng=0)
{REGISTERED}
"""


# Forgets all kernels, compiles one again, and tells whether its part came from the cache.
AGAIN = f"""
import os, pathlib
for path in pathlib.Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbc"):
    path.unlink()
{SMALLEST}
from fastgrad.kernels.compiler import jit
print(*(sum(found.values()) for found in jit.chunk_range.stats[1:]))
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """The environment in which a first process has compiled the smallest kernel, and kept it.

    Then another one has done so with the part that the first has left.
    """
    place = {"NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}
    found = run_copies(IMPORTS, CALLS.format(calls="(check.scan,)"), AGAIN, **place)
    assert found == ["0 1 0 0", "0 1\n1 0"]
    return place


def test_a_second_process_compiles_nothing(filled):
    assert run(SMALLEST, **filled) == "1 0"


def test_what_is_loaded_needs_nothing_that_compiles(filled):
    assert run(LOADED, **filled).split() == ["1", "0", *2 * ["False"], *2 * ["True"]]
    found = [run(CLOSED_OVER, **filled).split() for _ in range(2)]
    assert found == [["True"] * 2, ["False"] * 2]


def test_serial_and_parallel_calls_share_machine_code(filled):
    codes = [CALLS.format(calls=c) for c in ("(parallel, check.scan)", "(check.scan, parallel)")]
    assert run_copies(IMPORTS, *codes, **filled) == ["1 0 0 1", "1 0 1 0"]


def test_the_cache_can_be_turned_off(filled):
    """Neither is what it holds loaded, nor is anything added."""
    before = sorted(pathlib.Path(filled["NUMBA_CACHE_DIR"]).rglob("*"))
    assert any(path.suffix == ".nbc" for path in before)
    assert run(SMALLEST, FASTGRAD_CACHE="0", **filled) == "0 1"
    assert sorted(pathlib.Path(filled["NUMBA_CACHE_DIR"]).rglob("*")) == before


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
    path = root / "distributions" / "concrete.py"

    def digest(path):
        cache.read.cache_clear()
        cache.imported.cache_clear()
        return cache.source_digest.__wrapped__(path)

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
    fill = """
import os, pathlib
files = [p for p in pathlib.Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*") if p.is_file()]
assert any(p.suffix == ".nbc" for p in files)
whole = files[0].read_bytes()
for path in files:
    path.write_bytes({rubbish})
"""
    codes = [SMALLEST]
    for rubbish in ('b"rubbish"', 'b""', "whole[:100]"):
        codes += [fill.format(rubbish=rubbish) + SMALLEST, SMALLEST]
    assert run_copies(IMPORTS, *codes, **place) == ["0 1", *3 * ["0 1", "1 0"]]


def test_cache_directory_is_a_place():
    assert cache.cache_directory() is None or os.path.isabs(cache.cache_directory())


BOTH_WAYS = """
import numpy as np
from fastgrad.kernels.tiles import check
for x in (np.zeros(9000, np.float32), np.zeros(9000)):
    x[-1] = np.nan
    for call in (check.scan, lambda *args: check.scan.run(2, *args)):
        found = np.zeros(3, np.uint8)
        call(x, found)
        assert list(found) == [0, 0, 2], found
print("fine")
"""


@pytest.mark.slow
def test_processes_may_fill_the_cache_at_once(tmp_path):
    """Six cold processes at a time write into one place: two types, and what runs them."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    for count in (6, 2):  # the second time each loads what others have written
        with ThreadPoolExecutor(count) as pool:
            results = list(pool.map(lambda _: run(BOTH_WAYS, **place), range(count)))
        assert set(results) == {"fine"}


# -- two overloads saved at once -----------------------------------------------------------------


def total(x):
    result = x[0] - x[0]
    for i in range(x.size):
        result += x[i]
    return result


SIGNATURES = [(numba.types.Array(kind, 1, "C"),) for kind in (numba.float32, numba.int32)]


@pytest.fixture(scope="module")
def overloads():
    """A dispatcher, and what it compiles for two types of one size: mixed up, nothing complains."""
    dispatcher = numba.njit(total)
    return dispatcher, [dispatcher.compile(s) and dispatcher.overloads[s] for s in SIGNATURES]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a function that opens the cache of a dispatcher in a folder."""

    def opened(dispatcher, folder="cache"):
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / folder))
        return cache._Cache(dispatcher)

    return opened


def loaded(files, dispatcher):
    """Return the signatures that are in the cache under each of the two."""
    with contextlib.closing(files):
        found = [files.load_overload(s, dispatcher.targetctx) for s in SIGNATURES]
    return [one and one.signature.args for one in found]


def test_two_overloads_saved_at_once_keep_their_files(overloads, place):
    """One saves all of its own in the middle of the other's saving, at every point of it."""
    dispatcher, (first, second) = overloads
    for step in ("_dump", "_open_for_write", "_data_path", "_remove_stale"):
        here, there = place(dispatcher, step), place(dispatcher, step)
        original, done = getattr(here._cache_file, step), []

        def meanwhile(*args, original=original, there=there, done=done):
            if not done:
                done.append(there.save_overload(SIGNATURES[1], second))
            return original(*args)

        setattr(here._cache_file, step, meanwhile)
        here.save_overload(SIGNATURES[0], first)
        assert done
        assert loaded(place(dispatcher, step), dispatcher) == SIGNATURES


def test_what_is_not_what_was_asked_for_is_a_miss_and_is_replaced(overloads, place):
    """As Numba's own cache was left by a race: the code of one type under the name of another."""
    dispatcher, compiled = overloads
    files = place(dispatcher)
    for signature, one in zip(SIGNATURES, compiled):
        files.save_overload(signature, one)
    key = files._index_key(SIGNATURES[0], dispatcher.targetctx.codegen())
    other = files._index_key(SIGNATURES[1], dispatcher.targetctx.codegen())
    path, wrong = (
        files._cache_file._data_path(files._cache_file.data_name(k)) for k in (key, other)
    )
    shutil.copy(wrong, path)
    assert loaded(place(dispatcher), dispatcher) == [None, SIGNATURES[1]]
    files.save_overload(SIGNATURES[0], compiled[0])
    assert loaded(place(dispatcher), dispatcher) == SIGNATURES
    files._cache_file.save(key, files._impl.reduce(compiled[1]))  # the key itself lies
    assert loaded(place(dispatcher), dispatcher) == [None, SIGNATURES[1]]


def test_files_of_other_sources_and_of_numba_s_own_index_are_removed(overloads, place):
    dispatcher, (first, second) = overloads
    files = place(dispatcher)
    folder, base = files._cache_path, files._impl.filename_base
    strangers = [f"{base[:-1]}.1.nbc", f"{base}x.1.nbc", f"{base}.1.txt"]
    for name in (f"{base}.nbi", f"{base}.1.nbc", f"{base}.{12 * 'a'}.{20 * 'b'}.nbc", *strangers):
        with open(os.path.join(folder, name), "w"):
            pass
    files.save_overload(SIGNATURES[0], first)
    files.save_overload(SIGNATURES[1], second)
    left = set(os.listdir(folder)) - set(strangers)
    assert len(left) == 2
    assert all(name.startswith(files._cache_file._prefix) for name in left)
    files.flush()
    assert set(os.listdir(folder)) == set(strangers)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 on: fork with threads
def test_200_pairs_of_processes_save_at_once(overloads, place):
    """Two processes meet 200 times, each time in front of an empty folder.

    Numba's own cache loses an entry of a third of such pairs, and mixes up those of a twentieth.
    """
    dispatcher, compiled = overloads
    rounds, met, children = 200, mmap.mmap(-1, 2 * 200), []
    for mine in range(2):
        child = os.fork()
        if child == 0:
            try:
                for i in range(rounds):
                    files = place(dispatcher, str(i))
                    met[2 * i + mine] = 1
                    while not met[2 * i + 1 - mine]:
                        os.sched_yield()
                    files.save_overload(SIGNATURES[mine], compiled[mine])
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    for i in range(rounds):
        assert loaded(place(dispatcher, str(i)), dispatcher) == SIGNATURES


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_pairs_of_cold_processes_leave_no_wrong_entry(tmp_path):
    """Each compiles, and saves when the other does; FASTGRAD_PAIRS=500 makes it thorough.

    Forty would miss what Numba's own cache does, which fails a third, once in ten million times.
    """
    pairs = os.environ.get("FASTGRAD_PAIRS", "40")
    script = [sys.executable, cold_pairs.__file__, str(tmp_path), pairs]
    settings = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}, "capture_output": True}
    result = subprocess.run(script, text=True, timeout=900, **settings)
    assert result.stdout == f"0 of {2 * int(pairs)}\n", result.stderr


def test_a_process_waits_for_what_another_compiles(tmp_path):
    """Both begin at once, each while the other has loaded nothing yet: one of them compiles."""
    both = """
import os, pathlib, time
from fastgrad.kernels.compiler import jit
here, other = (pathlib.Path({place!r}) / name for name in os.environ["PAIR"])
here.touch()
while not other.exists():
    time.sleep(0.001)
"""
    code = both.format(place=str(tmp_path)) + SMALLEST
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda pair: run(code, PAIR=pair, **place), ("ab", "ba")))
    assert sorted(found) == ["0 1", "1 0"]
    assert not list((tmp_path / "cache").rglob("*.lock"))


def test_a_lock_is_let_go_of_when_compiling_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    def wrong(x):
        return x.nothing

    dispatcher = cache.cached(numba.njit(wrong))
    with pytest.raises(numba.TypingError):
        dispatcher(1)
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize("before", [True, False])
def test_no_garbage_is_looked_for_meanwhile(before, monkeypatch):
    monkeypatch.setenv("FASTGRAD_CACHE", "0")
    dispatcher, seen = numba.njit(total), []

    def compile_(signature):
        seen.append(gc.isenabled())
        raise signature

    dispatcher.compile = compile_
    cache.cached(dispatcher)
    (gc.enable if before else gc.disable)()
    try:
        with pytest.raises(KeyError):
            dispatcher.compile(KeyError())
        assert gc.isenabled() == before
    finally:
        gc.enable()
    assert seen == [False]


def test_nobody_waits_for_ever(tmp_path, monkeypatch):
    path = str(tmp_path / "a.lock")
    first = cache._Lock(path)
    monkeypatch.setattr(cache._Lock, "PATIENCE", 0.05)
    second = cache._Lock(path)  # which returns, though the first still has it
    second.release()
    first.release()


MADE = """
from fastgrad.kernels.compiler.jit import kernel

def maker(k):
    @kernel(cost=lambda out: out.size)
    def fill(chunk, chunks, out):
        for i in range(out.size):
            out[i] = k
    return fill

FILLS = tuple(map(maker, (1, 2, 3)))
"""
FILL = """
import itertools, sys
import numpy as np
from numba.core.bytecode import FunctionIdentity
FunctionIdentity._unique_ids = itertools.count(10**6)
sys.path.insert(0, {folder!r})
import made
found = []
for which in {which}:
    out = np.zeros(3, np.float64)
    made.FILLS[which](out)
    found.append(int(out.sum()))
print(*found)
"""


def test_kernels_of_one_factory_do_not_run_each_other_s_code(tmp_path):
    """Numba names symbols by a counter of the process: those of two processes may be the same."""
    (tmp_path / "made.py").write_text(MADE, encoding="utf-8")
    codes = [FILL.format(folder=str(tmp_path), which=which) for which in ([0], [1], [2], [0, 1, 2])]
    found = run_copies(IMPORTS, *codes, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert found == ["3", "6", "9", "3 6 9"]
