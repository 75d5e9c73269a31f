"""Spanning trees: Kruskal's race and relaxed trees, by definitions and differences."""

import itertools

import mpmath
import numpy as np
import pytest
from scipy import stats
from scipy.sparse import csgraph

import fastgrad as fg
from fastgrad.distributions.structured import kruskal, matrix_tree
from fastgrad.distributions.structured.spanning_tree import SpanningTree

COMPLETE = np.argwhere(np.triu(np.ones((4, 4)), 1))
EDGES = np.array([[0, 1], [1, 2], [2, 0], [2, 3], [4, 3], [1, 4], [4, 0]])  # of 5 nodes
LOGITS = np.array([0.3, -1.0, 0.8, 0.1, -0.4, 0.9, -0.2])
TREE = SpanningTree(LOGITS, EDGES)
H = 1e-6


def is_tree(edges, nodes):
    """Whether nodes - 1 edges join all nodes, by union of sets."""
    parts = [{i} for i in range(nodes)]
    for u, v in edges:
        a, b = (next(p for p in parts if i in p) for i in (u, v))
        if a is b:
            return False
        parts = [p for p in parts if p is not a and p is not b] + [a | b]
    return len(parts) == 1


def spanning_trees(edges, nodes):
    """All sets of edges that are trees."""
    sets = itertools.combinations(range(len(edges)), nodes - 1)
    return [s for s in sets if is_tree(edges[list(s)], nodes)]


def probability_by_loops(logits, edges, nodes, z):
    """Probability of edges in this order, from the definition."""
    part, p = list(range(nodes)), 1.0
    for e in z:
        left = [i for i, (u, v) in enumerate(edges) if part[u] != part[v]]
        p *= np.exp(logits[e]) / np.exp(logits[left]).sum()
        a, b = part[edges[e][0]], part[edges[e][1]]
        part = [a if x == b else x for x in part]
    return p


def test_outcomes_are_all_orders_of_all_trees():
    found = spanning_trees(EDGES, 5)
    orders = {order for s in found for order in itertools.permutations(s)}
    assert TREE.num_outcomes == len(found) * 24 == len(orders)
    assert {tuple(z) for z in TREE.table().tolist()} == orders
    for z in [*orders][:20]:
        expected = np.log(probability_by_loops(LOGITS, EDGES, 5, z))
        assert TREE.log_prob(np.array(z)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 7])
def test_cayley(n):
    edges = np.argwhere(np.triu(np.ones((n, n)), 1))
    d = SpanningTree(np.zeros(len(edges)), edges)
    assert d.num_outcomes == n ** (n - 2) * np.prod(range(1, n), dtype=int)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_are_the_largest_trees_of_perturbed_logits(dtype):
    """By SciPy's minimum spanning trees."""
    d = SpanningTree(np.stack([LOGITS, -LOGITS]).astype(dtype), EDGES)
    w, z = d.perturbed(50, fg.Key(4)), d.sample(num_samples=50, rng=4)
    np.testing.assert_array_equal(d.order(w), z)
    for weights, order in zip(w.reshape(-1, 7), z.reshape(-1, 4)):
        length = np.zeros((5, 5))
        length[tuple(EDGES.T)] = weights.max() + 1 - weights.astype(float)
        expected = csgraph.minimum_spanning_tree(length).nonzero()
        assert {tuple(e) for e in EDGES[order]} == set(zip(*(x.tolist() for x in expected)))
        assert (np.diff(weights[order]) <= 0).all()


# -- given the order -------------------------------------------------------------------------------


def test_given_the_order_the_race_is_run_again():
    z = TREE.sample(num_samples=500, rng=1)
    w = TREE.conditional(z, fg.Key(2))
    np.testing.assert_array_equal(TREE.order(w), z)  # the coupling, on every draw


def test_both_perturbed_logits_have_the_same_law():
    """Kolmogorov-Smirnov, for each edge: 4,000 draws with other noise against as many without."""
    w, other = TREE.perturbed(4000, fg.Key(6)), TREE.perturbed(4000, fg.Key(7))
    again = TREE.conditional(TREE.order(w), fg.Key(6))
    for i in range(7):
        assert stats.ks_2samp(again[:, i], other[:, i]).pvalue > 4e-8
        assert abs(np.corrcoef(again[:, i], w[:, i])[0, 1]) < 0.999  # not the same noise
    # The order of edges not taken is no part of the trace: pairs of them agree in law too.
    for i, j in ((0, 5), (2, 6)):
        joint = stats.ks_2samp(again[:, i] - again[:, j], other[:, i] - other[:, j])
        assert joint.pvalue > 4e-8


def test_products_with_the_jacobian_given_the_order():
    z, graph = TREE.sample(num_samples=20, rng=1), TREE.graph
    rng = np.random.default_rng(0)
    gumbel = rng.gumbel(size=(20, 7))

    def at(logits):
        return kruskal.arrivals(graph, np.tile(logits - LOGITS.max(), (20, 1)), z, gumbel)

    w = at(LOGITS)
    for _ in range(3):
        v, r = rng.normal(size=7), rng.normal(size=(20, 7))
        expected = (at(LOGITS + H * v) - at(LOGITS - H * v)) / (2 * H)
        found = TREE.conditional_jvp(z, w, np.tile(v, (20, 1)))
        np.testing.assert_allclose(found, expected, atol=1e-7)
        product = TREE.conditional_vjp(z, w, r)
        np.testing.assert_allclose((product * v).sum(1), (r * found).sum(1), rtol=1e-9)


# -- relaxed trees ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_relaxed_trees_are_means_over_all_trees(scale):
    w = np.random.default_rng(1).normal(size=(6, 7), scale=scale)
    trees = spanning_trees(EDGES, 5)
    for row, found in zip(w, TREE.soften(w, 0.5)):
        log_p = np.array([row[list(s)].sum() / 0.5 for s in trees])
        p = np.exp(log_p - log_p.max())
        expected = np.zeros(7)
        for s, weight in zip(trees, p / p.sum()):
            expected[list(s)] += weight
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
        assert found.sum() == pytest.approx(4, rel=1e-14)


def test_products_with_the_jacobian_of_relaxed_trees():
    rng = np.random.default_rng(2)
    w, temperature = rng.normal(size=(10, 7)), 0.4
    x = TREE.soften(w, temperature)
    v, r = rng.normal(size=w.shape), rng.normal(size=x.shape)
    up, down = (TREE.soften(w + s * H * v, temperature) for s in (1, -1))
    found = TREE.soften_jvp(w, x, temperature, v)
    np.testing.assert_allclose(found, (up - down) / (2 * H), atol=1e-7)
    product = TREE.soften_vjp(w, x, temperature, r)
    np.testing.assert_allclose((product * v).sum(1), (r * found).sum(1), rtol=1e-9)


def test_weights_may_be_any_number_of_magnitudes_apart():
    """Against determinants of 1,200 digits; the inverse of the Laplacian in float64 fails here."""
    phi = np.array([0.0, -300.0, 2.0, -900.0, 1.0, -900.5, -1200.0])
    with mpmath.workdps(1200):
        weight = [mpmath.exp(mpmath.mpf(float(x))) for x in phi]

        def total(without):
            m = mpmath.zeros(5)
            for e, (i, j) in enumerate(EDGES.tolist()):
                if e != without:
                    for a, b, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
                        m[a, b] += sign * weight[e]
            return mpmath.det(m[:4, :4])

        expected = [float(1 - total(e) / total(None)) for e in range(7)]
    found = matrix_tree.edge_marginals(TREE.graph, phi[None])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_at_a_low_temperature_they_are_the_sample():
    x = TREE.gumbel_softmax(temperature=1e-4, num_samples=100, rng=3)
    z = TREE.sample(num_samples=100, rng=3)
    np.testing.assert_allclose(x, TREE.features(z), atol=0.1)


def test_rebar_varies_less_than_the_score_with_a_baseline():
    """By a third and more, at equal samples and without having learned anything."""
    d = SpanningTree(np.array([0.3, -1.0, 0.8, 0.1, -0.4, 0.9]), COMPLETE)
    length = np.array([1.0, 0.2, -0.7, 0.4, 0.9, -1.1])

    def inside(x):
        return np.exp(x @ length / 2)

    f = fg.objective(inside, grad=lambda x: inside(x)[..., None] * length / 2)
    score = fg.moments("rloo", f, d, num_samples=2)
    rebar = fg.moments("rebar", f, d, num_samples=2, rng=0, draws=2000)
    assert rebar.variance.sum() < 0.66 * score.variance.sum()
    error = 5.5 * rebar.standard_error
    assert (abs(rebar.mean - fg.exact.grad(f, d)) < error).all()


# -- extremes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("coupled", [True, False])
def test_masks_and_large_logits(dtype, coupled):
    """Nothing overflows, and a masked edge has no gradient."""
    logits = np.array([0.0, -np.inf, 500.0, -400.0, 3.0, 1.0, 0.0], dtype)
    d = SpanningTree(logits, EDGES)
    f = fg.objectives.linear(np.arange(7, dtype=dtype))
    for name, options in {"rebar": {}, "relax": {"add_objective": True}}.items():
        grad = fg.estimator(name, coupled=coupled, **options)(f, d, num_samples=8, rng=0).grad
        assert np.isfinite(grad).all()
        assert grad[1] == 0
        assert grad.dtype == dtype
    assert np.isfinite(fg.estimator("gumbel_softmax")(f, d, num_samples=8, rng=0).grad).all()


def test_estimates_are_invariant_to_a_shift():
    f = fg.objectives.linear(np.arange(7.0))
    for name in ("rloo", "rebar", "gumbel_softmax"):
        found = [
            fg.estimator(name)(f, TREE.with_logits(LOGITS + s), num_samples=8, rng=0).grad
            for s in (0.0, 1e3)
        ]
        np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("logits", "edges", "message"),
    [
        (np.zeros(3), EDGES, r"edges must be integers of shape \(3, 2\), .* shape \(7, 2\)"),
        (np.zeros(1), [[0.0, 1.0]], "edges must be integers .*, got float64"),
        (np.zeros(2), [[0, 1], [1, 1]], r"edges must join two nodes, got \[1, 1\]"),
        (np.zeros(2), [[0, 1], [1, 0]], r"edges must join each two nodes once, got \[0, 1\] twice"),
        (np.zeros(2), [[0, 1], [2, 3]], "edges must join all 4 nodes, got 2 parts"),
        (np.zeros(2), [[0, 1], [-2, 1]], "edges must hold nodes from 0 to .*, got -2"),
        (np.array([0.0, -np.inf]), [[0, 1], [1, 2]], "no edge above -inf in row 0 joins"),
        (np.array([0.0, np.nan]), [[0, 1], [1, 2]], "logits must be .*, got nan"),
    ],
)
def test_what_is_no_such_distribution_is_refused(logits, edges, message):
    with pytest.raises(ValueError, match=message):
        SpanningTree(logits, edges)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ([0, 1, 2, 3], r"z must hold edges of which none closes a circle, got \[0, 1, 2, 3\]"),
        ([0, 1, 3, 7], "z must hold edges from 0 to 6, got 7"),
        ([0, 1, 3], r"z must have shape \(4,\) or"),
    ],
)
def test_what_is_no_tree_is_refused(z, message):
    with pytest.raises(ValueError, match=message):
        TREE.log_prob(np.array(z))
