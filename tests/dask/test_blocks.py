"""Places of blocks in the whole, and the threads that they are computed with."""

import concurrent.futures
import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgrad as fg

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
import fastgrad.dask as fgd  # noqa: E402
from fastgrad.dask import blocks  # noqa: E402

pytestmark = pytest.mark.optional


@st.composite
def places(draw):
    shape = tuple(draw(st.lists(st.integers(1, 5), max_size=4)))
    ends = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    return shape, tuple(slice(*pair) for pair in ends)


@given(places())
def test_runs_are_the_numbers_of_a_block(problem):
    shape, place = problem
    whole = np.arange(math.prod(shape)).reshape(shape)
    numbers = [i for first, n in blocks.runs(shape, place) for i in range(first, first + n)]
    assert numbers == whole[place].reshape(-1).tolist()


def test_rows_that_follow_each_other_are_one_run():
    assert blocks.runs((6, 5, 4), (slice(1, 3), slice(0, 5), slice(0, 4))) == [(20, 40)]
    assert blocks.runs((6, 5, 4), (slice(2, 3), slice(1, 4), slice(0, 4))) == [(44, 12)]
    assert blocks.runs((6, 5), (slice(1, 3), slice(1, 4))) == [(6, 3), (11, 3)]


def test_a_task_has_one_thread_unless_more_are_asked_for():
    before, most = numba.get_num_threads(), fg.get_num_threads()
    with blocks.computing_with(1):
        assert fg.get_num_threads() == 1
        with blocks.computing_with(10**6):
            assert fg.get_num_threads() == most
        assert fg.get_num_threads() == 1
    assert numba.get_num_threads() == before
    assert blocks.number_of_threads() == 1
    with dask.config.set({"fastgrad.threads": 2}):
        assert blocks.number_of_threads() == 2
    with (
        dask.config.set({"fastgrad.threads": 0}),
        pytest.raises(ValueError, match="threads must be"),
    ):
        fgd.random.normal(3, rng=0)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one processor")
def test_the_thread_of_a_task_computes_alone(monkeypatch, request):
    """What a kernel is cut into says how many threads work on it."""
    from fastgrad.kernels.compiler import jit

    fg.set_num_threads(2)  # the default may be remembered from another test for a second
    request.addfinalizer(lambda: fg.set_num_threads(None))
    planned, plan = [], jit.plan

    def noted(work):
        planned.append(plan(work))
        return planned[-1]

    monkeypatch.setattr(jit, "plan", noted)
    x = da.zeros((4_000, 64), chunks=(2_000, 64))
    fgd.gumbel_softmax(x, temperature=0.5, rng=0).compute(scheduler="threads", num_workers=2)
    assert set(planned) == {1}
    with dask.config.set({"fastgrad.threads": 2}):
        lazy = fgd.gumbel_softmax(x, temperature=0.5, rng=0)
    lazy.compute(scheduler="threads", num_workers=2)
    assert max(planned) > 1 or jit.threading_layer() == "workqueue"


def test_the_number_of_threads_is_left_as_it_was():
    def task():
        numba.set_num_threads(1)
        fgd.random.normal(10, rng=0).compute(scheduler="sync")
        return numba.get_num_threads()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(task).result() == 1
