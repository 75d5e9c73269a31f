"""How kernels run: twins, cache, threads, forks, processes. No call may end the process."""

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from strategies import ROOT, run

import fastgrad as fg
from fastgrad.kernels import check, jit
from fastgrad.kernels import random as random_kernels

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# Work above the threshold of the parallel twin; prints the digest of its bits.
WORK = """
import hashlib, numpy as np, fastgrad as fg
def work():
    x = fg.random.normal((5000, 16), rng=1)
    z = fg.sample(x, num_samples=2, rng=2)
    return hashlib.sha256(x.tobytes() + z.tobytes() + fg.log_softmax(x).tobytes()).hexdigest()
"""
THREADS = """
import threading
results = []
threads = [threading.Thread(target=lambda: results.append({work()} | {work()})) for _ in range(8)]
for t in threads: t.start()
main = work()
for t in threads: t.join()
assert len(results) == 8 and all(r == {main} for r in results), results
print(main)
"""
# Runs the smallest kernel and tells whether its code came from the cache.
SMALLEST = """
import numpy as np
from fastgrad.kernels import check
check.scan(1, np.zeros(8, np.float32), np.zeros(1, np.uint8))
stats = check.scan.serial.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def work():
    namespace = {}
    exec(WORK, namespace)
    return namespace["work"]()


@pytest.fixture(scope="module")
def digest():
    return work()


# -- twins -------------------------------------------------------------------------------------


def test_small_work_is_serial_and_large_work_is_cut():
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert jit.plan(0) == jit.plan(1) == jit.plan(jit.PARALLEL_WORK - 1) == 1
    if numba.get_num_threads() > 1:
        assert jit.plan(1 << 24) > 1
    numba.set_num_threads(1)
    assert jit.plan(1 << 24) == 1


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_twins_and_chunks_give_the_same_bits(kind, dtype):
    key = fg.Key(5).kernel_words
    results = []
    for twin, chunks in (
        ("serial", 1),
        ("serial", 3),
        ("parallel", 1),
        ("parallel", 2),
        ("parallel", 7),
    ):
        out = np.zeros(20_011, dtype)
        getattr(random_kernels.fill, twin)(chunks, out, kind, key, 0, 12_345)
        results.append(out)
    for result in results[1:]:
        assert np.array_equal(result, results[0])


def test_a_twin_is_compiled_when_first_needed():
    kernel = jit.Kernel(lambda chunks, x: None)
    assert not {"serial", "parallel"} & set(vars(kernel))
    kernel(1, np.zeros(1))
    assert "serial" in vars(kernel)
    assert "parallel" not in vars(kernel)


def test_importing_compiles_nothing_and_starts_no_threads():
    code = """
import os, fastgrad, sys
from fastgrad import kernels
from fastgrad.kernels import jit
import threading
assert jit._layer is None
modules = [m for name, m in list(sys.modules.items()) if name.startswith("fastgrad.kernels")]
kernels = [k for m in modules for k in vars(m).values() if isinstance(k, jit.Kernel)]
assert len(kernels) > 5
built = [k for k in kernels if {"serial", "parallel"} & set(vars(k))]
print(len(built), threading.active_count())
"""
    assert run(code) == "0 1"


# -- threads -----------------------------------------------------------------------------------


def test_eight_threads_at_once(digest):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: work(), range(24)))
    assert set(results) == {digest}


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_eight_threads_from_the_first_call_on(layer, digest):
    """In a new process: compilation, cache and thread pool are all met by eight threads at once."""
    assert run(WORK + THREADS, NUMBA_THREADING_LAYER=layer) == digest


def test_workqueue_is_parallel_in_the_main_thread_only():
    code = """
import threading
from fastgrad.kernels import jit
big = 1 << 24
here = jit.plan(big)
there = []
t = threading.Thread(target=lambda: there.append(jit.plan(big))); t.start(); t.join()
print(jit.threading_layer(), here > 1, there == [1])
"""
    two = {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"}
    assert run(code, **two) == "workqueue True True"


# -- processes ---------------------------------------------------------------------------------

FORK = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: fork with threads
from fastgrad.kernels import jit
before = work()
child = os.fork()
if child == 0:
    ok = work() == before and jit.plan(1 << 24) == 1
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(0 if work() == before else 3)
    _, status = os.waitpid(grandchild, 0)
    os._exit(0 if ok and os.waitstatus_to_exitcode(status) == 0 else 2)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert work() == before
print(before)
"""
POOL = """
import multiprocessing, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
def in_pool(_):
    return work()
if __name__ == "__main__":
    before = work()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert set(pool.map_async(in_pool, range(4)).get(120)) == {before}
    print(before)
"""


@needs_fork
@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_a_forked_child_works_after_a_parallel_call(layer, digest):
    two = {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    assert run(WORK + FORK, **two) == digest


@needs_fork
def test_a_forked_pool_works_after_a_parallel_call(digest):
    assert run(WORK + POOL, NUMBA_NUM_THREADS="2") == digest


def test_a_spawned_process_gives_the_same_bits(digest, tmp_path):
    script = tmp_path / "spawned.py"
    main = POOL.replace('get_context("fork")', 'get_context("spawn")')
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + WORK + main)
    command = [sys.executable, str(script)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.stdout.strip(), result.returncode) == (digest, 0), result.stderr


# -- cache -------------------------------------------------------------------------------------


def test_a_second_process_compiles_nothing(tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert run(SMALLEST, **cache) == "0 1"
    assert run(SMALLEST, **cache) == "1 0"


def test_twins_do_not_share_cache_entries(tmp_path):
    """Numba's own key is the same for both: the parallel twin would load the serial code."""
    both = """
import numpy as np
from fastgrad.kernels import check
args = (np.zeros(8, np.float32), np.zeros(1, np.uint8))
for name in {twins}:
    twin = getattr(check.scan, name)
    twin(1, *args)
    print(name, sum(twin.stats.cache_hits.values()), sum(twin.stats.cache_misses.values()), end=" ")
"""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert run(both.format(twins=["serial"]), **cache) == "serial 0 1"
    assert run(both.format(twins=["parallel"]), **cache) == "parallel 0 1"
    assert run(both.format(twins=["parallel", "serial"]), **cache) == "parallel 1 0 serial 1 0"


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
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(SMALLEST, root=root, **cache) == "0 1"
    assert run(SMALLEST, root=root, **cache) == "1 0"
    with open(root / "fastgrad" / "kernels" / "intrinsics.py", "a", encoding="utf-8") as file:
        file.write("\n# edited\n")
    assert run(SMALLEST, root=root, **cache) == "0 1"


def test_the_digest_covers_what_a_kernel_module_imports(tmp_path, monkeypatch):
    root = copy_of_the_package(tmp_path) / "fastgrad" / "kernels"
    monkeypatch.setattr(jit, "__file__", str(root / "jit.py"))
    digest, path = jit.source_digest.__wrapped__, root / "concrete.py"
    covered = {p.name for p in jit.sources(path)}
    assert {"concrete.py", "jit.py", "tile.py", "transpose.py", "formats.py"} <= covered
    assert not {"bernoulli.py", "products.py"} & covered
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
    code = SMALLEST + "from fastgrad.kernels import jit; print(jit.cache_directory())"
    assert run(code, root=root, PYTHONDONTWRITEBYTECODE="1", **nowhere) == "0 1\nNone"


@pytest.mark.slow
def test_a_cache_that_fails_later_is_only_a_miss(tmp_path):
    """The place vanishes after the import, or holds rubbish."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    vanish = """
import os, shutil
import fastgrad.kernels.check as c
c.scan.serial
shutil.rmtree(os.environ["NUMBA_CACHE_DIR"]); open(os.environ["NUMBA_CACHE_DIR"], "w").close()
"""
    assert run(vanish + SMALLEST, **cache).split()[0] == "0"
    os.remove(tmp_path / "cache")
    assert run(SMALLEST, **cache) == "0 1"
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert any(p.suffix == ".nbc" for p in files)
    for suffix in (".nbc", ".nbi"):
        for path in files:
            if path.suffix == suffix:
                path.write_bytes(b"rubbish")
        assert run(SMALLEST, **cache).split()[0] == "0"


def test_the_cache_can_be_turned_off(tmp_path):
    options = {"NUMBA_CACHE_DIR": str(tmp_path), "FASTGRAD_CACHE": "0"}
    assert run(SMALLEST, **options) == "0 1"
    assert run(SMALLEST, **options) == "0 1"
    assert not list(tmp_path.rglob("*.nb?"))


def test_cache_directory_is_a_place():
    assert jit.cache_directory() is None or os.path.isabs(jit.cache_directory())


EVERY_TWIN = """
import numpy as np
from fastgrad.kernels import check
for x in (np.zeros(9000, np.float32), np.zeros(9000)):
    x[-1] = np.nan
    for twin in (check.scan.serial, check.scan.parallel):
        found = np.zeros(3, np.uint8)
        twin(2, x, found)
        assert list(found) == [0, 0, 2], found
print("fine")
"""


@pytest.mark.slow
def test_processes_may_fill_the_cache_at_once(tmp_path):
    """Six cold processes at a time write two types of both twins into one place."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    for _ in range(2):
        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(lambda _: run(EVERY_TWIN, **cache), range(6)))
        assert set(results) == {"fine"}


def test_kernels_keep_their_names_and_documentation():
    assert check.scan.__name__ == "scan"
    assert check.scan.__doc__
    assert hashlib.sha256().digest_size * 2 == len(jit.source_digest(jit.__file__))
