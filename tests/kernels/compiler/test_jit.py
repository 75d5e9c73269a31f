"""How kernels run: chunks, threads, forks, processes. No call may end the process."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba import types
from numba.extending import intrinsic
from strategies import ROOT, run

import fastgrad as fg
from fastgrad.kernels.compiler import jit
from fastgrad.kernels.random import streams as random_kernels
from fastgrad.kernels.tiles import check

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# Work above the threshold of parallel work; prints the digest of its bits.
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


def work():
    namespace = {}
    exec(WORK, namespace)
    return namespace["work"]()


@pytest.fixture(scope="module")
def digest():
    return work()


# -- chunks -------------------------------------------------------------------------------------


def test_small_work_is_serial_and_large_work_is_cut():
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert jit.plan(0) == jit.plan(1) == jit.plan(jit.PARALLEL_WORK - 1) == 1
    if numba.get_num_threads() > 1:
        assert jit.plan(1 << 24) > 1
    numba.set_num_threads(1)
    assert jit.plan(1 << 24) == 1


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chunks_give_the_same_bits_in_turn_and_in_parallel(kind, dtype):
    key, fill = fg.Key(5).kernel_words, random_kernels.FILL[kind]
    results = []
    for parallel, chunks in ((False, 1), (False, 3), (True, 1), (True, 2), (True, 7)):
        out = np.zeros(20_011, dtype)
        args = out, key, 0, 12_345
        if parallel:
            fill.run(chunks, *args)
        else:
            for chunk in reversed(range(chunks)):
                fill.dispatcher(chunk, chunks, *args)
        results.append(out)
    for result in results[1:]:
        assert np.array_equal(result, results[0])


def test_bounds_of_chunks_cover_all_once():
    @jit.standalone
    def cover(chunks, seen):
        n = seen.shape[1]
        for chunk in range(chunks):
            first, last = jit.chunk_bounds(n, chunk, chunks)
            for i in range(first, last):
                seen[0, i] += 1
            for i in jit.chunk_range(n, chunk, chunks):
                seen[1, i] += 1

    for n in (0, 1, 5, 64):
        for chunks in (1, 2, 7, 100):
            seen = np.zeros((2, n), np.int64)
            cover(chunks, seen)
            assert (seen == 1).all()


def fails(chunk, chunks, x):
    """A kernel that fails in one chunk, as where memory runs out."""
    if chunk == 2:
        raise MemoryError
    x[chunk] = chunks


def test_a_failure_in_a_chunk_is_raised():
    kernel = jit.Kernel(fails, lambda x: x.size)
    with pytest.raises(MemoryError):
        kernel.dispatcher(2, 4, np.zeros(4))
    for _ in range(3):
        x = np.zeros(4)
        with pytest.raises(MemoryError, match="scratch memory"):
            kernel.run(4, x)
        assert x.tolist() == [4, 4, 0, 4]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arguments_of_any_type_reach_the_chunks(dtype):
    """Arrays of any layout, read-only ones, scalars, and tuples in tuples."""

    def add(chunk, chunks, out, x, scale, flag, pair):
        first, last = jit.chunk_bounds(out.size, chunk, chunks)
        for i in range(first, last):
            out[i] = x[0, i] * scale + pair[0][1] * flag + pair[1][i % 2]

    out, x = np.zeros(1001, dtype), np.arange(4004, dtype=dtype).reshape(2, 2002)[:, ::2]
    x.flags.writeable = False
    pair = ((np.uint32(1), np.uint32(7)), np.array([5, 6], dtype))
    jit.Kernel(add, lambda x: x.size).run(5, out, x, dtype(2), True, pair)
    assert np.array_equal(out, 2 * x[0] + 7 + np.array([5, 6])[np.arange(1001) % 2])


@intrinsic
def counter(typingctx, array):
    """Return where Numba counts the users of an array's memory, 0 if nowhere."""

    def codegen(context, builder, signature, values):
        meminfo = context.make_array(array)(context, builder, values[0]).meminfo
        return builder.ptrtoint(meminfo, context.get_value_type(types.intp))

    return types.intp(array), codegen


class Pair(NamedTuple):
    """Two arrays."""

    x: np.ndarray
    y: np.ndarray


class Couple(NamedTuple):
    """The same in another order."""

    y: np.ndarray
    x: np.ndarray


@pytest.mark.parametrize("kind", ["array", "tuple", "nested", "named", "named in a tuple"])
def test_threads_do_not_count_the_users_of_arrays(kind):
    @jit.kernel(cost=lambda out: out.size)
    def count(chunk, chunks, x, out):
        out[chunk] = counter(x[chunk])

    @jit.kernel(cost=lambda out: out.size)
    def count_in_tuple(chunk, chunks, x, out):
        out[chunk] = counter(x[0][chunk]) + counter(x[1][chunk])

    @jit.kernel(cost=lambda out: out.size)
    def count_deeper(chunk, chunks, x, out):
        out[chunk] = counter(x[1][0][chunk]) + counter(x[1][1][chunk])

    x, y, out = np.ones((8, 3)), np.ones((8, 2), np.float32), np.full(8, -1)
    kernel, given = {
        "array": (count, x),
        "tuple": (count_in_tuple, (x, y)),
        "nested": (count_deeper, (3, (x, y))),
        "named": (count_in_tuple, Pair(x, y)),
        "named in a tuple": (count_deeper, (3, Pair(x, y))),
    }[kind]
    kernel(given, out)  # in turn they may: a count that no other thread touches costs little
    assert out[0] > 0
    users = sys.getrefcount(x), sys.getrefcount(y)
    kernel.run(8, given, out)
    assert not out.any()
    assert (sys.getrefcount(x), sys.getrefcount(y)) == users


def test_named_tuples_of_other_kinds_have_machine_code_of_their_own():
    """What is compiled for one is not called with another, whose fields stand elsewhere."""

    @jit.kernel(cost=lambda out: out.size)
    def subtract(chunk, chunks, pair, out):
        out[chunk] = pair.x[chunk] - pair.y[chunk]

    x, y = np.arange(8.0), np.arange(8.0) ** 2
    for pair in (Pair(x, y), Couple(y, x), Pair(y, x), Couple(x, y)):
        out = np.zeros(8)
        subtract.run(8, pair, out)
        assert np.array_equal(out, pair.x - pair.y)
    assert len(subtract.dispatcher.overloads) == 2


# -- costs -------------------------------------------------------------------------------------


def test_a_call_costs_what_its_kernel_says(monkeypatch):
    """The cost is a function of the arguments that it names, in any order."""
    seen = []
    monkeypatch.setattr(jit, "plan", lambda work: seen.append(work) or 1)

    @jit.kernel(cost=lambda count, x: count * x.size)
    def fill(chunk, chunks, x, value, count):
        x[:] = value + count

    @jit.kernel(cost=lambda x: x.size)
    def clear(chunk, chunks, x):
        x[:] = 0

    x = np.zeros(5)
    fill(x, 2.0, 7)
    assert seen == [35]
    assert (x == 9).all()
    clear(x)
    assert seen == [35, 5]
    assert not x.any()


def test_a_cost_names_arguments_of_its_kernel():
    with pytest.raises(ValueError, match="not in tuple"):
        jit.kernel(cost=lambda chunk: chunk)(lambda chunk, chunks, x: None)


def test_a_kernel_is_compiled_when_first_needed():
    kernel = jit.Kernel(lambda chunk, chunks, x: None, lambda x: x.size)
    assert kernel._dispatcher is None
    kernel(np.zeros(1))
    assert len(kernel.dispatcher.signatures) == 1
    kernel.run(2, np.zeros(1))
    assert len(kernel.dispatcher.signatures) == 1


def test_threads_that_meet_an_uncompiled_kernel_share_one_dispatcher():
    kernel = jit.Kernel(lambda chunk, chunks, x: None, lambda x: x.size)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: kernel.dispatcher, range(64)))
    assert len(set(map(id, found))) == 1


def test_importing_compiles_nothing_and_starts_no_threads():
    code = """
import os, fastgrad, sys
from fastgrad import *
from fastgrad.kernels.compiler import jit
import threading
assert jit._layer is None
modules = [m for name, m in list(sys.modules.items()) if name.startswith("fastgrad.kernels")]
kernels = [k for m in modules for k in vars(m).values() if isinstance(k, jit.Compiled)]
assert len(kernels) > 5
built = [k for k in kernels if k._dispatcher is not None]
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
from fastgrad.kernels.compiler import jit
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
from fastgrad.kernels.compiler import jit
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
    main = main.replace("Pool(2)", "Pool(1)")  # each child imports all: one is enough
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + WORK + main)
    command = [sys.executable, str(script)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.stdout.strip(), result.returncode) == (digest, 0), result.stderr


def test_kernels_keep_their_names_and_documentation():
    assert check.scan.__name__ == "scan"
    assert check.scan.__doc__
