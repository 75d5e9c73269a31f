"""What all functions of the room share: symmetry, threads, strides, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import WAYS, logits, restride

import fastgrad as fg
from fastgrad import order
from fastgrad.order.methods import METHODS

CALLS = {
    "soft_sort": order.soft_sort,
    "soft_rank": order.soft_rank,
    "soft_top_k": lambda x, **options: order.soft_top_k(x, 1, **options),
    "soft_median": order.soft_median,
}
by_method = pytest.mark.parametrize("method", METHODS)


@settings(max_examples=80, deadline=None)
@given(logits(), st.sampled_from(METHODS), st.sampled_from([0.01, 1.0, 30.0]), st.data())
def test_properties(x, method, temperature, data):
    """Equivariance and monotony on any rows, masks and ties included."""
    n = x.shape[-1]
    shuffle = np.array(data.draw(st.permutations(range(n))))
    options = {"method": method, "temperature": temperature}
    ranks, ordered = order.soft_rank(x, **options), order.soft_sort(x, **options)
    marks = order.soft_top_k(x, 1, **options)
    live = np.isfinite(x)
    m = live.sum(axis=-1)
    small = 1e-4 if ranks.dtype == np.float32 else 1e-8
    np.testing.assert_allclose(ranks.sum(axis=-1), m * (m + 1) / 2, rtol=small)
    np.testing.assert_allclose(marks.sum(axis=-1), 1, rtol=small)
    assert (ranks[~live] == 0).all()
    assert (marks[~live] == 0).all()
    assert (np.isneginf(ordered).sum(axis=-1) == n - m).all()
    y = x[..., shuffle]
    scale = small * (1 + 30 / temperature)
    np.testing.assert_allclose(order.soft_rank(y, **options), ranks[..., shuffle], rtol=scale)
    np.testing.assert_allclose(order.soft_top_k(y, 1, **options), marks[..., shuffle], atol=scale)
    again = order.soft_sort(y, **options)
    np.testing.assert_allclose(again, ordered, rtol=small, atol=small * (30 + 30 * temperature))
    lower = x[..., :, None] < x[..., None, :]
    assert (ranks[..., :, None] <= ranks[..., None, :] + small * n)[lower].all()


@by_method
def test_the_number_of_threads_makes_no_difference(method):
    x = np.random.default_rng(0).normal(size=(40, 1000)).astype(np.float32)
    options, before = {"method": method, "temperature": 0.3}, fg.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            fg.set_num_threads(threads)
            r = [order.soft_rank(x, **options), order.soft_sort(x, **options)]
            r += [order.soft_rank_vjp(x, x, **options), order.soft_sort_vjp(x, x, **options)]
            results.append([*r, order.soft_rank(x, hard=True)])
    finally:
        fg.set_num_threads(before)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("way", WAYS)
def test_strides(way):
    x = np.random.default_rng(0).normal(size=(4, 9))
    for call in CALLS.values():
        np.testing.assert_array_equal(call(restride(x, way)), call(x))
    r = restride(np.ones((4, 9)) * np.arange(9), way)
    np.testing.assert_array_equal(
        order.soft_rank_vjp(restride(x, way), r), order.soft_rank_vjp(x, np.ascontiguousarray(r))
    )


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_errors(call):
    with pytest.raises(ValueError, match="values must be below infinity, got nan at index"):
        call(np.array([0, np.nan]))
    with pytest.raises(ValueError, match="values must be below infinity, got inf"):
        call(np.array([0, np.inf]))
    with pytest.raises(ValueError, match="values has only -inf in row"):
        call(np.array([-np.inf, -np.inf]))
    with pytest.raises(
        ValueError, match="method must be one of 'quadratic', 'entropic', 'laplace'"
    ):
        call(np.zeros(3), method="l2")
    with pytest.raises(ValueError, match="temperature must be a finite number above 0, got 0"):
        call(np.zeros(3), temperature=0)
    with pytest.raises(ValueError, match=r"values must be from -2\*\*900 to 2\*\*900, or -inf"):
        call(np.array([0, -1e300]))
    with pytest.raises(TypeError, match="values must not be a NumPy masked array"):
        call(np.ma.masked_array(np.zeros(3)))


def test_other_types_and_shapes():
    np.testing.assert_array_equal(order.soft_rank([3, 1, 2], hard=True), [3, 1, 2])
    assert order.soft_sort(np.zeros((0, 4), np.float32)).shape == (0, 4)
    with pytest.raises(ValueError, match="cotangent must have shape"):
        order.soft_sort_vjp(np.zeros(3), np.zeros(4))
