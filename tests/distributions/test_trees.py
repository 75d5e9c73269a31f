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


# -- arborescences ---------------------------------------------------------------------------------

# To node 1: from the root 3, 0 or 2; to 0: from 3 or 1; to 2: from 1 or 3. Without circles by hand.
ARCS = np.array([[3, 1], [0, 1], [2, 1], [3, 0], [1, 0], [1, 2], [3, 2]])
ARBORESCENCES = [
    (into_one, into_zero, into_two)
    for into_one in (0, 1, 2)
    for into_zero in (3, 4)
    for into_two in (5, 6)
    if (into_one, into_zero) != (1, 4) and (into_one, into_two) != (2, 5)
]
OF_ARCS = np.random.default_rng(3).normal(size=(2, 3, 7), scale=2)


def log_sum_of_arcs(logits):
    """The definition."""
    return np.logaddexp.reduce([logits[..., list(s)].sum(axis=-1) for s in ARBORESCENCES])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sum_is_over_all_arborescences(dtype):
    found = fg.trees.arborescence_log_normaliser(OF_ARCS.astype(dtype), ARCS, root=3)
    assert found.dtype == dtype
    rtol = 1e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found, log_sum_of_arcs(OF_ARCS), rtol=rtol, atol=rtol)


def test_marginals_of_arborescences_are_its_gradient_and_have_a_product():
    h, v, r = 1e-6, *np.random.default_rng(1).normal(size=(2, 2, 3, 7))
    p = fg.trees.arborescence_marginals(OF_ARCS, ARCS, 3)
    for edges in ((0, 1, 2), (3, 4), (5, 6)):  # to one node
        np.testing.assert_allclose(p[..., edges].sum(axis=-1), 1, rtol=1e-13)
    slope = (log_sum_of_arcs(OF_ARCS + h * v) - log_sum_of_arcs(OF_ARCS - h * v)) / (2 * h)
    np.testing.assert_allclose((p * v).sum(axis=-1), slope, atol=1e-8)
    up, down = (fg.trees.arborescence_marginals(OF_ARCS + s * h * v, ARCS, 3) for s in (1, -1))
    product = fg.trees.arborescence_marginals_vjp(OF_ARCS, r, ARCS, 3)
    np.testing.assert_allclose((product * v).sum(), (r * (up - down)).sum() / (2 * h), atol=1e-8)


def test_a_masked_edge_is_in_no_arborescence():
    logits = OF_ARCS[0, 0].copy()
    logits[0] = -np.inf
    p = fg.trees.arborescence_marginals(logits, ARCS, 3)
    assert p[0] == 0
    assert fg.trees.arborescence_marginals_vjp(logits, np.arange(7.0), ARCS, 3)[0] == 0
    logits[[1, 2]] = -np.inf
    with pytest.raises(ValueError, match="no edges above -inf in row 0 that lead to node 1"):
        fg.trees.arborescence_log_normaliser(logits, ARCS, 3)
