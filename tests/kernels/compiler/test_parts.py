"""Parts of kernels: compiled into what calls them, and callable from nowhere else."""

import pathlib

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from fastgrad.kernels.compiler import cache, jit, parts
from fastgrad.kernels.tiles.memory import flattened, zeros


@jit.inline
def _half(x):
    return 0.5 * x


@jit.block
def _halve(x):
    """Halve the numbers, or raise: exceptions must find their way out of parts."""
    if x.size == 3:
        raise ValueError("three")
    for i in range(x.size):
        x[i] = _half(x[i])


@jit.kernel(cost=lambda x: x.size)
def _halve_rows(chunk, chunks, x):
    for i in jit.chunk_range(len(x), chunk, chunks):
        _halve(x[i])


@jit.standalone
def _halve_alone(x):
    _halve(x)


def test_kernels_contain_their_parts():
    x = np.ones((2, 4))
    _halve_rows(x)
    assert (x == 0.5).all()
    _halve_rows.run(2, x)
    assert (x == 0.25).all()


def test_other_compiled_functions_may_call_parts():
    x = np.ones(4)
    _halve_alone(x)
    assert (x == 0.5).all()


@pytest.mark.parametrize("function", [_halve_rows, _halve_alone])
def test_exceptions_leave_parts(function):
    x = np.ones((1, 3)) if function is _halve_rows else np.ones(3)
    with pytest.raises(ValueError, match="three"):
        function(x)


def test_a_part_has_no_machine_code_of_its_own():
    x = np.ones(4)
    _halve_alone(x)
    assert [o.library.get_pointer_to_function("any") for o in _halve.overloads.values()] == [0]


def test_python_cannot_call_a_part():
    with pytest.raises(TypeError):
        _half(1.0)
    with pytest.raises(TypeError):
        _halve(np.ones(4))


@jit.block
def _without_last(n):
    """Make an array of which all but the last is returned."""
    x = zeros(n)
    return x[:-1]


@jit.block
def _count(x):
    """Count zeros, by views of x that nobody else has."""
    count = 0
    for i in range(x.size):
        y = flattened(x)[i:]
        count += y[0] == 0.0
    return count


@jit.inline
def _count_inside(x):
    return _count(x)


@jit.standalone
def _made_and_counted(n):
    return _count_inside(_without_last(n))


def code(part):
    """Return the only overload of a part, as LLVM has it."""
    (overload,) = part.overloads.values()
    return overload.library._final_module.get_function(overload.fndesc.llvm_func_name)


def test_blocks_stay_apart_where_what_calls_them_does_not():
    assert _made_and_counted(5) == 4
    assert b"alwaysinline" in set(code(_count_inside).attributes)
    assert b"alwaysinline" not in set(code(_count).attributes)


@pytest.fixture
def counted():
    """Let Numba count the arrays that are made and freed."""
    _nrt_python.memsys_enable_stats()
    yield rtsys.get_allocation_stats
    _nrt_python.memsys_disable_stats()


def test_parts_that_make_arrays_free_them_and_others_count_none(counted):
    assert _made_and_counted(5) == 4
    before = counted()
    assert _made_and_counted(5) == 4
    after = counted()
    assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free == 1
    assert "NRT_" not in str(code(_count))


# -- on disk -----------------------------------------------------------------------------------


def sum_of_halves(x):
    total = 0.0
    for i in range(x.size):
        total += _half(x[i])
    if total < 0:
        raise ValueError("below zero")
    return total


VECTOR = (numba.types.Array(numba.float64, 1, "C"),)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for what is kept of this file's parts, as if they were the package's."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "ROOT", pathlib.Path(__file__).parent / "kernels")
    monkeypatch.delenv("FASTGRAD_CACHE", raising=False)
    parts.symbol.cache_clear()
    yield tmp_path
    parts.symbol.cache_clear()


def made_or_loaded(function=sum_of_halves, signature=VECTOR):
    """Return a new part of a function, and whether it came from the disk."""
    part = jit.block(function)
    part.compile(signature)
    return part, sum(part.stats.cache_hits.values()) == 1


def files(folder):
    assert not list(folder.rglob("*.lock"))
    return sorted(folder.rglob("*.nbp"))


def test_a_part_is_loaded_and_works_as_it_did(folder):
    assert not made_or_loaded()[1]
    part, loaded = made_or_loaded()
    assert loaded
    assert part.nopython_signatures == [numba.float64(*VECTOR)]

    @jit.standalone
    def call(x):
        return part(x)

    assert call(np.array([1.0, 2.0])) == 1.5
    with pytest.raises(ValueError, match="below zero"):
        call(np.array([-1.0]))


def test_symbols_are_the_same_whatever_was_compiled_before(folder):
    first, second = jit.block(sum_of_halves), jit.block(sum_of_halves)
    symbols = set()
    for part in (first, second):
        part.compile(VECTOR)
        symbols |= {one.fndesc.llvm_func_name for one in part.overloads.values()}
    assert len(symbols) == 1


@pytest.mark.parametrize("content", [b"", b"rubbish", "the first half", "another part"])
def test_a_broken_file_is_a_miss_and_is_replaced(folder, content):
    made_or_loaded()
    (path,) = (path for path in files(folder) if "sum_of_halves" in path.name)
    whole = path.read_bytes()
    if content == "the first half":
        content = whole[: len(whole) // 2]
    elif content == "another part":
        made_or_loaded(signature=(numba.types.Array(numba.float32, 1, "C"),))
        (other,) = (one for one in files(folder) if "sum_of_halves" in one.name and one != path)
        content = other.read_bytes()
    path.write_bytes(content)
    assert not made_or_loaded()[1]
    assert made_or_loaded()[1]


def test_a_change_of_sources_is_a_miss_and_removes_what_was(folder, monkeypatch):
    made_or_loaded()
    before = files(folder)
    monkeypatch.setattr(cache, "source_digest", lambda path: "changed")
    parts.symbol.cache_clear()
    assert not made_or_loaded()[1]
    assert not {path for path in before if "sum_of_halves" in path.name} & set(files(folder))


def test_what_may_be_several_things_is_not_kept(folder):
    """A function as an argument, or an object in a closure, has no name for all processes."""
    anything = [1.0]

    def first(x):
        return anything[0] + x

    def apply(f, x):
        return f(x)

    assert parts.symbol(first) is None
    signature = numba.typeof(_half), numba.float64
    assert not made_or_loaded(apply, signature)[1]
    assert not made_or_loaded(apply, signature)[1]
    assert not any("apply" in path.name for path in files(folder))
