"""Trees weighted by products: sums over all of them, and the derivatives of these."""

import itertools

import numpy as np
import pytest

import fastgrad as fg

EDGES = np.array([[0, 1], [1, 2], [2, 0], [2, 3], [3, 0]])
LOGITS = np.random.default_rng(0).normal(size=(2, 3, 5), scale=2)
# All three edges of 4 nodes but those that are a circle, by hand: edges 0, 1, 2 and 2, 3, 4.
TREES = [s for s in itertools.combinations(range(5), 3) if s not in ((0, 1, 2), (2, 3, 4))]


def log_sum(logits):
    """The definition."""
    return np.logaddexp.reduce([logits[..., list(s)].sum(axis=-1) for s in TREES])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sum_is_over_all_trees(dtype):
    found = fg.trees.log_normaliser(LOGITS.astype(dtype), EDGES)
    assert found.dtype == dtype
    rtol = 1e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found, log_sum(LOGITS), rtol=rtol, atol=rtol)


def test_marginals_are_its_gradient_and_have_a_product():
    h, v, r = 1e-6, *np.random.default_rng(1).normal(size=(2, 2, 3, 5))
    p = fg.trees.edge_marginals(LOGITS, EDGES)
    np.testing.assert_allclose(p.sum(axis=-1), 3, rtol=1e-14)
    slope = (log_sum(LOGITS + h * v) - log_sum(LOGITS - h * v)) / (2 * h)
    np.testing.assert_allclose((p * v).sum(axis=-1), slope, atol=1e-8)
    up, down = (fg.trees.edge_marginals(LOGITS + s * h * v, EDGES) for s in (1, -1))
    product = fg.trees.edge_marginals_vjp(LOGITS, r, EDGES)
    np.testing.assert_allclose((product * v).sum(), (r * (up - down)).sum() / (2 * h), atol=1e-8)


def test_a_masked_edge_is_in_no_tree():
    logits = LOGITS[0, 0].copy()
    logits[2] = -np.inf
    p = fg.trees.edge_marginals(logits, EDGES)
    assert p[2] == 0
    assert fg.trees.edge_marginals_vjp(logits, np.arange(5.0), EDGES)[2] == 0
    np.testing.assert_allclose(p[[0, 1, 3, 4]].sum(), 3, rtol=1e-14)
    with pytest.raises(ValueError, match="edges must join all 4 nodes"):
        fg.trees.log_normaliser(np.zeros(2), EDGES[[0, 3]])
