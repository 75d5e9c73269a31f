"""Trees by their weights: what is theirs alone, beside `test_structured` and `test_wilson`."""

import numpy as np
import pytest

import fastgrad as fg

EDGES = np.array([[0, 1], [1, 2], [2, 0], [2, 3], [3, 0]])
ARCS = np.array([[1, 0], [1, 2], [0, 2], [2, 0], [2, 3], [3, 2], [0, 3]])  # none to node 1
LOGITS = np.random.default_rng(0).normal(size=7)


@pytest.mark.parametrize("nodes", [3, 4, 5])
def test_all_trees_of_complete_graphs_are_as_many_as_cayley_says(nodes):
    edges = np.argwhere(np.triu(np.ones((nodes, nodes)), 1))
    arcs = np.argwhere(~np.eye(nodes, dtype=bool))
    arcs = arcs[arcs[:, 1] != 1]
    for d in (
        fg.trees.WeightedTree(np.zeros(len(edges)), edges),
        fg.trees.WeightedTree(np.zeros(len(arcs)), arcs, 1),
    ):
        assert d.num_outcomes == len(np.unique(d.table(), axis=0)) == nodes ** (nodes - 2)


def test_samples_and_sums_are_those_of_the_functions():
    drawn = {"num_samples": 5, "rng": 3}
    d, own = fg.trees.WeightedTree(LOGITS, ARCS, 1), (LOGITS, ARCS, 1)
    np.testing.assert_array_equal(d.sample(**drawn), fg.trees.arborescence_sample(*own, **drawn))
    np.testing.assert_allclose(d.mean(), fg.trees.arborescence_marginals(*own), rtol=1e-12)
    expected = d.table() @ LOGITS - fg.trees.arborescence_log_normaliser(*own)
    np.testing.assert_allclose(d.log_prob(d.table()), expected, rtol=1e-12)
    d = fg.trees.WeightedTree(LOGITS[:5], EDGES)
    np.testing.assert_array_equal(d.sample(**drawn), fg.trees.sample(LOGITS[:5], EDGES, **drawn))


def test_edges_that_are_masked_are_in_no_tree():
    masked = np.where(np.arange(7) == 4, -np.inf, LOGITS)
    d = fg.trees.WeightedTree(masked, ARCS, 1)
    assert d.mean()[4] == d.sample(num_samples=50, rng=0)[:, 4].max() == 0
    grad = fg.exact.grad(lambda x: np.exp(x[:, 0] + x[:, 5]), d)
    assert grad[4] == 0
    assert np.isfinite(grad).all()
    assert np.isneginf(d.log_probabilities()[d.table()[:, 4] == 1]).all()


@pytest.mark.parametrize(
    ("x", "root"),
    [
        ([1, 1, 1, 0, 0], None),  # a circle, and a node left out
        ([1, 1, 0, 0, 0], None),
        ([1, 1, 0.5, 0, 0], None),
        ([0, 1, 1, 0, 0], 0),  # two edges lead to node 2, none to node 1
    ],
)
def test_what_is_no_tree_is_refused(x, root):
    edges = EDGES if root is None else np.array([[0, 1], [0, 2], [1, 2], [2, 1], [2, 3]])
    d = fg.trees.WeightedTree(np.zeros(5), edges, root)
    with pytest.raises(ValueError, match="x must be 1 at the edges of a tree and 0 elsewhere, got"):
        d.log_prob(np.array(x))
    with pytest.raises(
        ValueError, match=r"x must have shape \(5,\) or \(S, \*\(5,\)\), got \(4,\)"
    ):
        d.log_prob(np.zeros(4))
