"""Arborescences: Edmonds' race and relaxed ones, by definitions, enumeration and differences."""

import itertools

import mpmath
import numpy as np
import pytest
from scipy import stats

import fastgrad as fg
from fastgrad.distributions.structured import digraphs, directed_tree, edmonds
from fastgrad.distributions.structured.arborescence import Arborescence

PAIRS = np.argwhere(~np.eye(4, dtype=bool))
EDGES = PAIRS[PAIRS[:, 1] != 2]  # of the complete graph, none to node 2, the root
LOGITS = np.array([0.3, -1.0, 0.8, 0.1, -0.4, 0.9, -0.2, 0.5, -0.7])
TREE = Arborescence(LOGITS, EDGES, 2)
H = 1e-6


def arborescences(edges, nodes, root):
    """All choices of one edge to each node by which each is reached from the root."""
    into = [[e for e, (_, v) in enumerate(edges) if v == node] for node in range(nodes)]
    into[root], found = [-1], []
    for chosen in itertools.product(*into):
        for node in range(nodes):
            at, steps = node, 0
            while at != root and steps <= nodes:
                at, steps = edges[chosen[at]][0], steps + 1
            if at != root:
                break
        else:
            found.append([e for e in chosen if e >= 0])
    return found


ALL = np.zeros((16, 9))  # Cayley: 4**2
for tree, each in zip(ALL, arborescences(EDGES, 4, 2)):
    tree[each] = 1


def probability_by_sets(logits, edges, nodes, root, z):
    """Probability of a trace, from the definition: with sets of nodes in place of labels."""
    parts = [frozenset([i]) for i in range(nodes)]
    source, p, turn = {}, 1.0, [i for i in range(nodes) if i != root]
    now, z = frozenset([turn.pop(0)]), list(z)
    while now:
        open_ = [e for e, (u, v) in enumerate(edges) if v in now and u not in now]
        e = z.pop(0)
        p *= np.exp(logits[e]) / np.exp(logits[open_]).sum()
        source[now] = edges[e][0]
        ring, at = [], now
        while at in source and at not in ring:
            ring.append(at)
            at = next(part for part in parts if source[at] in part)
        if at in ring:
            now = frozenset().union(*ring)
            parts = [part for part in parts if not part <= now] + [now]
        else:
            now = frozenset([turn.pop(0)]) if turn else None
    assert all(e == -1 for e in z)
    return p


def test_traces_have_the_probability_of_the_definition():
    z, log_p = TREE.table(), TREE.log_prob(TREE.table())
    assert len({tuple(row) for row in z.tolist()}) == len(z) == TREE.num_outcomes
    assert np.exp(log_p).sum() == pytest.approx(1, rel=1e-12)
    for row, found in list(zip(z, log_p))[::17]:
        p = probability_by_sets(LOGITS, EDGES, 4, 2, row)
        assert found == pytest.approx(np.log(p), rel=1e-12)


def test_of_two_nodes_the_tree_has_a_closed_form():
    a, b, c, d = w = np.array([0.7, 1.3, 2.1, 0.4])
    tree = Arborescence(np.log(w), [[0, 1], [0, 2], [1, 2], [2, 1]])
    x, p = tree.features(tree.table()), np.exp(tree.log_prob(tree.table()))
    both = (a + d) * (b + c)
    assert p[(x == [1, 1, 0, 0]).all(1)].sum() == pytest.approx(a * b / both)
    circle = c * d / both  # broken by a or by b
    expected = a * c / both + circle * a / (a + b)
    assert p[(x == [1, 0, 1, 0]).all(1)].sum() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_are_the_arborescences_of_the_least_cost(dtype):
    """Of all of them."""
    d = TREE.with_logits(np.stack([LOGITS, -2 * LOGITS]).astype(dtype))
    w, z = d.perturbed(200, fg.Key(4)), d.sample(num_samples=200, rng=4)
    np.testing.assert_array_equal(d.order(w), z)
    cost = np.exp(-w.astype(float)) @ ALL.T
    np.testing.assert_array_equal(d.features(z), ALL[cost.argmin(axis=-1)])
    assert (np.sort(z, axis=-1)[..., 0] == -1).any()  # some close no circle


def test_circles_within_circles():
    """Where all nodes attract each other, and only the root does not: against all trees."""
    edges = np.array([[0, 1], [1, 2], [2, 1], [2, 3], [3, 2], [3, 4], [4, 3], [4, 1], [0, 4]])
    trees = arborescences(edges, 5, 0)
    d = Arborescence(np.array([-4.0, 3, 3, 2, 3, 1, 2, 1, -4.0]), edges)
    w, z = d.perturbed(300, fg.Key(1)), d.sample(num_samples=300, rng=1)
    assert (z >= 0).sum(axis=-1).max() == 7  # 4 nodes, and 3 circles
    cost = np.array([np.exp(-w)[:, tree].sum(axis=1) for tree in trees])
    for x, best in zip(d.features(z), cost.argmin(axis=0)):
        assert np.flatnonzero(x).tolist() == sorted(trees[best])


# -- given the trace -------------------------------------------------------------------------------


def test_given_the_trace_the_race_is_run_again():
    z = TREE.sample(num_samples=500, rng=1)
    w = TREE.conditional(z, fg.Key(2))
    np.testing.assert_array_equal(TREE.order(w), z)  # the coupling, on every draw


def test_both_perturbed_logits_have_the_same_law():
    """Kolmogorov-Smirnov, for each edge: 4,000 draws with other noise against as many without."""
    w, other = TREE.perturbed(4000, fg.Key(6)), TREE.perturbed(4000, fg.Key(7))
    again = TREE.conditional(TREE.order(w), fg.Key(6))
    for i in range(9):
        assert stats.ks_2samp(again[:, i], other[:, i]).pvalue > 4e-8
        assert abs(np.corrcoef(again[:, i], w[:, i])[0, 1]) < 0.999  # not the same noise
    for i, j in ((0, 5), (2, 6), (3, 8)):
        joint = stats.ks_2samp(again[:, i] - again[:, j], other[:, i] - other[:, j])
        assert joint.pvalue > 4e-8


def test_products_with_the_jacobian_given_the_trace():
    z, graph = TREE.sample(num_samples=40, rng=1), TREE.graph
    rng = np.random.default_rng(0)
    gumbel = rng.gumbel(size=(40, 9))

    def at(logits):
        return edmonds.arrivals(graph, np.tile(logits - LOGITS.max(), (40, 1)), z, gumbel)

    w = at(LOGITS)
    for _ in range(3):
        v, r = rng.normal(size=9), rng.normal(size=(40, 9))
        expected = (at(LOGITS + H * v) - at(LOGITS - H * v)) / (2 * H)
        found = TREE.conditional_jvp(z, w, np.tile(v, (40, 1)))
        np.testing.assert_allclose(found, expected, atol=1e-7)
        product = TREE.conditional_vjp(z, w, r)
        np.testing.assert_allclose((product * v).sum(1), (r * found).sum(1), rtol=1e-9)


# -- relaxed arborescences -------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_relaxed_ones_are_means_over_all(scale):
    w = np.random.default_rng(1).normal(size=(6, 9), scale=scale)
    for row, found in zip(w, TREE.soften(w, 0.5)):
        log_p = ALL @ row / 0.5
        p = np.exp(log_p - log_p.max())
        np.testing.assert_allclose(found, p / p.sum() @ ALL, rtol=1e-12, atol=1e-14)
        assert found.sum() == pytest.approx(3, rel=1e-14)


def test_products_with_the_jacobian_of_relaxed_ones():
    rng = np.random.default_rng(2)
    w, temperature = rng.normal(size=(10, 9)), 0.4
    x = TREE.soften(w, temperature)
    v, r = rng.normal(size=w.shape), rng.normal(size=x.shape)
    up, down = (TREE.soften(w + s * H * v, temperature) for s in (1, -1))
    found = TREE.soften_jvp(w, x, temperature, v)
    np.testing.assert_allclose(found, (up - down) / (2 * H), atol=1e-7)
    product = TREE.soften_vjp(w, x, temperature, r)
    np.testing.assert_allclose((product * v).sum(1), (r * found).sum(1), rtol=1e-9)


def test_weights_may_be_any_number_of_magnitudes_apart():
    """Against sums over all of 1,200 digits: the probabilities are exact to rounding of 1."""
    phi = np.array([0.0, -300.0, 2.0, -900.0, 1.0, -900.5, -700.0, 3.0, -1.0])
    with mpmath.workdps(1200):
        weight = [mpmath.exp(mpmath.mpf(float(row @ phi))) for row in ALL]
        total = mpmath.fsum(weight)
        expected = [
            float(mpmath.fsum(p for p, has in zip(weight, column) if has) / total)
            for column in ALL.T
        ]
    found = directed_tree.edge_marginals(TREE.graph, phi[None])[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    found = directed_tree.log_normaliser(TREE.graph, phi[None])[0]
    assert found == pytest.approx(float(mpmath.log(total)), rel=1e-14)
    assert (directed_tree.edge_marginals(TREE.graph, phi[None]) >= 0).all()


def test_at_a_low_temperature_they_have_the_largest_sum():
    x = TREE.gumbel_softmax(temperature=1e-4, num_samples=100, rng=3)
    w, z = TREE.perturbed(100, fg.Key(3)), TREE.sample(num_samples=100, rng=3)
    np.testing.assert_allclose(x, ALL[(w @ ALL.T).argmax(axis=1)], atol=0.1)
    plain = z[:, 3] == -1  # no circle was closed
    assert 10 < plain.sum() < 90
    np.testing.assert_allclose(x[plain], TREE.features(z[plain]), atol=0.1)
    assert (abs(x - TREE.features(z)).max(axis=1) < 0.1).mean() > 0.9


def test_rebar_varies_less_than_the_score_with_a_baseline():
    """By a third and more, at equal samples and without having learned anything."""
    length = np.array([1.0, 0.2, -0.7, 0.4, 0.9, -1.1, 0.3, -0.5, 0.6])

    def inside(x):
        return np.exp(x @ length / 2)

    f = fg.objective(inside, grad=lambda x: inside(x)[..., None] * length / 2)
    score = fg.moments("rloo", f, TREE, num_samples=2, rng=1, draws=1000)
    rebar = fg.moments("rebar", f, TREE, num_samples=2, rng=0, draws=1000)
    assert rebar.variance.sum() < 0.66 * score.variance.sum()
    error = 5.5 * rebar.standard_error
    assert (abs(rebar.mean - fg.exact.grad(f, TREE)) < error).all()


# -- extremes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("coupled", [True, False])
def test_masks_and_large_logits(dtype, coupled):
    """Nothing overflows, and a masked edge has no gradient."""
    logits = np.array([0.0, -np.inf, 500.0, -400.0, 3.0, 1.0, 0.0, -450.0, 2.0], dtype)
    d = Arborescence(logits, EDGES, 2)
    f = fg.objectives.linear(np.arange(9, dtype=dtype))
    for name, options in {"rebar": {}, "relax": {"add_objective": True}}.items():
        grad = fg.estimator(name, coupled=coupled, **options)(f, d, num_samples=8, rng=0).grad
        assert np.isfinite(grad).all()
        assert grad[1] == 0
        assert grad.dtype == dtype
    assert np.isfinite(fg.estimator("gumbel_softmax")(f, d, num_samples=8, rng=0).grad).all()
    assert (d.features(d.sample(num_samples=50, rng=0))[:, 1] == 0).all()


def test_estimates_are_invariant_to_a_shift():
    f = fg.objectives.linear(np.arange(9.0))
    for name in ("rloo", "rebar", "gumbel_softmax"):
        found = [
            fg.estimator(name)(f, TREE.with_logits(LOGITS + s), num_samples=8, rng=0).grad
            for s in (0.0, 1e3)
        ]
        np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-11)


def test_of_many_nodes_too_many_traces_are_refused():
    pairs = np.argwhere(~np.eye(9, dtype=bool))
    edges = pairs[pairs[:, 1] != 0]
    d = Arborescence(np.zeros(len(edges)), edges)
    assert d.features(d.sample(num_samples=3, rng=0)).sum(axis=-1).tolist() == [8, 8, 8]
    assert d.num_outcomes == 8**8
    with pytest.raises(ValueError, match="Arborescence has too many outcomes to list"):
        d.table()
    found = edmonds.traces(TREE.graph, 30)  # more than 3**3 of the nodes alone: counted up to there
    assert 30 < found <= TREE.num_outcomes


@pytest.mark.parametrize(
    ("logits", "edges", "root", "message"),
    [
        (np.zeros(3), EDGES, 2, r"edges must be integers of shape \(3, 2\), .* shape \(9, 2\)"),
        (np.zeros(1), [[0.0, 1.0]], 0, "edges must be integers .*, got float64"),
        (np.zeros(2), [[0, 1], [1, 1]], 0, r"edges must join two nodes, got \[1, 1\]"),
        (np.zeros(2), [[0, 1], [1, 0]], 0, r"edges must not lead to the root, got \[1, 0\]"),
        (np.zeros(2), [[0, 1], [0, 1]], 0, r"edges must join .*, got \[0, 1\] twice"),
        (np.zeros(1), [[0, 1]], 2, "root must be one of the nodes 0 to 1, got 2"),
        (np.zeros(2), [[0, 1], [3, 2]], 0, "no edges that lead to node 2"),
        (np.zeros(2), [[0, 1], [-2, 1]], 0, "edges must hold nodes from 0 to .*, got -2"),
        (np.array([0.0, -np.inf]), [[0, 1], [1, 2]], 0, "no edges above -inf in row 0 that lead"),
        (np.array([0.0, np.nan]), [[0, 1], [1, 2]], 0, "logits must be .*, got nan"),
    ],
)
def test_what_is_no_such_distribution_is_refused(logits, edges, root, message):
    with pytest.raises(ValueError, match=message):
        Arborescence(logits, edges, root)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ([0, 0, 0, 0, 0], r"z must hold edges that are taken in turn, got \[0, 0, 0, 0, 0\]"),
        ([2, 4, -1, -1, -1], "z must hold edges that are taken in turn"),
        ([0, 1, 3, 9, 0], "z must hold edges from -1 to 8, got 9"),
        ([0, 1, 3], r"z must have shape \(5,\) or"),
    ],
)
def test_what_is_no_trace_is_refused(z, message):
    with pytest.raises(ValueError, match=message):
        TREE.log_prob(np.array(z))


class Contractions:
    """Graphs of R rows whose circles are contracted, and whose turn it is in each.

    Nodes take their edges in the order of their numbers, a contracted one at once. In a row where
    all have done so, edges -1 are taken by nobody.
    """

    def __init__(self, graph, rows):
        n = graph.nodes
        self.tail, self.head = graph.edges[:, 0], graph.edges[:, 1]
        self.row = np.arange(rows)
        # Labels are those of nodes, then of contracted ones; the last one, -1, is nobody's.
        self.label = np.tile(np.arange(n), (rows, 1))
        self.source = np.full((rows, 2 * n - 1), -1)  # where the edge that a label took leads from
        self.order = np.append(np.delete(np.arange(n), graph.root), -1)
        self.turn, self.made = np.zeros(rows, np.intp), np.full(rows, n)
        self.now = np.full(rows, self.order[0])

    def inside(self):
        """Return which nodes belong to the one whose turn it is, (R, N)."""
        return self.label == self.now[:, None]

    def open(self):
        """Return which edges lead to the one whose turn it is from outside, (R, E)."""
        inside = self.inside()
        return inside[:, self.head] & ~inside[:, self.tail]

    def take(self, edge):
        """Let the one whose turn it is take an edge, (R,), in each row."""
        self.source[self.row, self.now] = self.tail[edge]
        at, on = self.now, np.zeros(self.source.shape, bool)
        walking, closed = self.now >= 0, np.zeros(len(at), bool)
        while walking.any():  # backwards, to the root or to one that has taken nothing yet
            on[self.row, at] |= walking
            before = self.source[self.row, at]
            walking = walking & (before >= 0)
            at = np.where(walking, self.label[self.row, before], at)
            closed |= walking & (at == self.now)
            walking &= ~closed
        circle = closed[:, None] & on[self.row[:, None], self.label]
        self.label = np.where(circle, self.made[:, None], self.label)
        self.turn = np.minimum(self.turn + ~closed, len(self.order) - 1)
        self.now = np.where(closed, self.made, self.order[self.turn])
        self.made = self.made + closed


def test_turns_are_those_of_rules():
    """Random graphs of many nodes, random edges: whole traces, in one chunk and in several."""
    rng = np.random.default_rng(8)
    for nodes, rows, density in ((2, 3, 1.0), (5, 40, 0.7), (12, 300, 0.5)):
        pairs = np.argwhere((rng.random((nodes, nodes)) < density) & ~np.eye(nodes, dtype=bool))
        path = np.stack([np.arange(nodes - 1), np.arange(1, nodes)], axis=1)
        edges = np.unique(np.concatenate([pairs, path]), axis=0)
        edges = edges[edges[:, 1] != 0]
        graph = digraphs.known(np.ascontiguousarray(edges, np.int64).tobytes(), 0)
        ours, rules = edmonds.Contraction(graph, rows), Contractions(graph, rows)
        for _ in range(edmonds.length(graph)):
            free = rules.open()
            np.testing.assert_array_equal(ours.open, free)
            for row, listed in zip(free, ours.listed, strict=True):
                expected = np.flatnonzero(row)
                np.testing.assert_array_equal(listed[: len(expected)], expected)
                assert (listed[len(expected) :] == len(row)).all()
            np.testing.assert_array_equal(ours.inside(), rules.inside())
            np.testing.assert_array_equal(ours.now, rules.now)
            edge = np.where(free, rng.random(free.shape), -1).argmax(axis=1)
            edge = np.where(rules.now >= 0, edge, -1)
            ours.take(edge)
            rules.take(edge)
        assert (rules.now < 0).all()
