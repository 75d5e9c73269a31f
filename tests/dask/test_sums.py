"""Sums whose order depends on the number of examples alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
import fastgrad.dask as fgd  # noqa: E402

pytestmark = pytest.mark.optional


def recursive(x):
    """The sum by its definition: halves at the power of two below the number."""
    if len(x) == 1:
        return x[0]
    half = 2 ** math.ceil(math.log2(len(x)) - 1)
    return recursive(x[:half]) + recursive(x[half:])


def cut(n, places):
    places = sorted(p % (n + 1) for p in places)
    return tuple(b - a for a, b in zip([0, *places], [*places, n], strict=True))


@given(
    st.integers(1, 70),
    st.lists(st.integers(0, 1000), max_size=12),
    st.sampled_from([np.float32, np.float64, np.int16]),
    st.sampled_from(["sync", "threads"]),
)
@settings(max_examples=30)
def test_the_order_is_that_of_the_definition(n, places, dtype, scheduler):
    rng = np.random.default_rng(n)
    x = (rng.normal(size=(n, 3)) * 10.0 ** rng.integers(0, 4, (n, 1))).astype(dtype)
    wide = np.float64 if x.dtype.kind == "f" else np.int64
    expected = recursive(x.astype(wide)).astype(dtype if x.dtype.kind == "f" else wide)
    lazy = fgd.tree_sum(da.from_array(x, chunks=(cut(n, places), (1, 2))))
    assert lazy.dtype == expected.dtype
    assert lazy.shape == (3,)
    assert lazy.compute(scheduler=scheduler).tobytes() == expected.tobytes()


def test_dasks_own_sum_depends_on_chunks():
    """What this is for: if Dask's sum did not, there would be no need of another."""
    x = np.random.default_rng(0).normal(size=10_000)
    arrays = [da.from_array(x, chunks=c) for c in (137, 1000, 1111, 10_000)]
    sums = {float(a.sum().compute()) for a in arrays}
    own = {float(fgd.tree_sum(a).compute()) for a in arrays}
    assert len(sums) > 1
    assert len(own) == 1
    assert own.pop() == pytest.approx(math.fsum(x), rel=1e-14)


def test_of_none_and_of_one():
    assert fgd.tree_sum(da.zeros((0, 2))).compute().tolist() == [0, 0]
    one = fgd.tree_sum(da.ones((1, 2), dtype=np.float32)).compute()
    assert one.tolist() == [1, 1]
    assert one.dtype == np.float32
    total = fgd.tree_sum(da.ones(10, dtype=bool, chunks=3)).compute()
    assert total == 10
    assert total.shape == ()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="x must have an axis"):
        fgd.tree_sum(da.zeros(()))
    with pytest.raises(TypeError, match="x must hold real numbers"):
        fgd.tree_sum(da.zeros(3, dtype=complex))
    with pytest.raises(TypeError, match="x must be a Dask array"):
        fgd.tree_sum(np.zeros(3))
