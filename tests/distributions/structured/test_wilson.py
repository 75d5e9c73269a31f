"""Trees by their weights: every tree as often as enumeration says, and the exact marginals.

Statistics: counts of independent samples within 5.5 standard errors.
"""

import itertools

import numpy as np
import pytest

import fastgrad as fg

EDGES = np.array([[0, 1], [1, 2], [2, 0], [2, 3], [3, 0], [3, 1]])
LOGITS = np.array([0.3, -1.0, 0.8, 0.1, -1.4, 0.9])
ARCS = np.array([[1, 0], [1, 2], [0, 2], [2, 0], [2, 3], [3, 2], [0, 3]])  # none to node 1
DRAWS = 8000


def connected(edges, root, directed):
    """Whether edges reach all four nodes from the root."""
    reached, grows = {root}, True
    while grows:
        more = {v for u, v in edges if u in reached}
        if not directed:
            more |= {u for u, v in edges if v in reached}
        grows = not more <= reached
        reached |= more
    return len(reached) == 4


def law(edges, logits, root, directed):
    """All trees, (T, E), and their probabilities."""
    chosen = [c for c in itertools.combinations(range(len(edges)), 3)]
    chosen = [list(c) for c in chosen if connected(edges[list(c)].tolist(), root, directed)]
    x = np.zeros((len(chosen), len(edges)))
    np.put_along_axis(x, np.array(chosen), 1, axis=1)
    p = np.exp(x @ logits)
    return x, p / p.sum()


@pytest.mark.parametrize("directed", [False, True])
def test_trees_come_as_often_as_their_weights_say(directed):
    edges, root = (ARCS, 1) if directed else (EDGES, 0)
    logits = LOGITS if not directed else np.append(LOGITS, 0.4)
    every, p = law(edges, logits, root, directed)
    if directed:
        x = fg.trees.arborescence_sample(logits, edges, root, num_samples=DRAWS, rng=3)
        np.testing.assert_allclose(p @ every, fg.trees.arborescence_marginals(logits, edges, root))
    else:
        x = fg.trees.sample(logits, edges, num_samples=DRAWS, rng=3)
        np.testing.assert_allclose(p @ every, fg.trees.edge_marginals(logits, edges))
    shares = np.array([(x == tree).all(axis=1).mean() for tree in every])
    assert shares.sum() == pytest.approx(1)  # nothing but trees
    assert (abs(shares - p) < 5.5 * np.sqrt(p * (1 - p) / DRAWS)).all()


def test_samples_are_those_of_the_whole():
    logits = np.stack([LOGITS, -LOGITS]).astype(np.float32)
    whole = fg.trees.sample(logits, EDGES, num_samples=6, rng=1)
    assert whole.dtype == np.float32
    later = fg.trees.sample(logits[1:], EDGES, num_samples=2, rng=1, row_offset=1, sample_offset=4)
    np.testing.assert_array_equal(later, whole[4:, 1:])
    assert fg.trees.sample(logits, EDGES, rng=1).shape == (2, 6)


def test_masked_edges_are_never_taken():
    logits = np.where(np.arange(6) == 1, -np.inf, LOGITS)
    assert not fg.trees.sample(logits, EDGES, num_samples=500, rng=0)[:, 1].any()


def test_walks_without_an_end_are_refused():
    edges = [[0, 1], [1, 2], [2, 3]]
    logits = np.array([0.0, -2000.0, 0.0])
    with pytest.raises(ValueError, match="logits must lie less far apart: a walk of"):
        fg.trees.sample(logits, edges, rng=0)
