"""Products of the Hessian of E[f] with vectors, against enumeration."""

import numpy as np
import pytest
from scipy import special, stats

import fastgrad as fg
from fastgrad.graph import Conditional, Cost, expectation_hvp

FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
RNG = np.random.default_rng(31)
EDGES = np.array([[0, 1], [1, 2], [2, 0]])


def hessian_product(grad, point, vector, h=1e-5):
    """Central differences of a gradient along a vector."""
    return (grad(point + h * vector) - grad(point - h * vector)) / (2 * h)


def second_differences(mean, point, vector, h=2e-3):
    """The Hessian of a function of a flat point times a vector, to about h**2."""
    eye = h * np.eye(len(point))

    def slope(p):
        return np.array([(mean(p + e) - mean(p - e)) / (2 * h) for e in eye])

    return (slope(point + h * vector) - slope(point - h * vector)) / (2 * h)


def assert_unbiased(run, expected, *, replicas=40, slack=1e-7):
    """Independent estimates, flat, have this mean: Student's t for each number."""
    estimates = np.array([run(seed) for seed in range(replicas)])
    gap = np.abs(estimates.mean(axis=0) - expected)
    error = estimates.std(axis=0, ddof=1) / np.sqrt(replicas)
    assert gap.shape == np.shape(expected)
    assert error.max() < 0.1 * np.abs(expected).max(), "it says something"
    assert (gap <= slack + stats.t.isf(FALSE_ALARM / 2, replicas - 1) * error).all()


# -- one node, of every kind that has the derivative of its score --------------------------------

NODES = {  # the derivatives of scores are held for each, and samples of most are slow
    "Categorical": fg.Categorical(RNG.normal(size=(2, 3))),
    "Bernoulli": fg.Bernoulli(RNG.normal(size=3)),
    "KSubset": fg.subset.KSubset(RNG.normal(size=4), 2),
    "PlackettLuce": fg.permutation.PlackettLuce(RNG.normal(size=3)),
    "Poisson": fg.counts.Poisson(np.log([0.7, 1.1])),
    "Binomial": fg.counts.Binomial(np.array([0.3, -0.4]), 3),
    "Geometric": fg.counts.Geometric(np.array([0.9])),
    "NegativeBinomial": fg.counts.NegativeBinomial(np.array([-1.1]), 2.5),
    "Multinomial": fg.counts.Multinomial(RNG.normal(size=3), 3),
}
each_node = pytest.mark.parametrize("kind", NODES)


@each_node
def test_derivatives_of_scores(kind):
    """By finite differences, sample by sample."""
    d = NODES[kind]
    z, v = d.sample(num_samples=5, rng=0), RNG.normal(size=d.logits.shape)
    expected = hessian_product(lambda logits: d.with_logits(logits).score(z), d.logits, v)
    np.testing.assert_allclose(d.score_jvp(z, v), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "kind",
    [
        k if k in ("Categorical", "Geometric") else pytest.param(k, marks=pytest.mark.slow)
        for k in NODES
    ],
)
def test_one_node_has_the_hessian_of_enumeration(kind):
    d = NODES[kind]
    shape = d.feature_shape
    w = RNG.normal(size=shape) / np.sqrt(np.prod(shape))
    axes = tuple(range(1, 1 + len(shape)))
    v = RNG.normal(size=d.logits.shape)

    def f(z):
        return np.cos((z * w).sum(axis=axes)) + (z * w).sum(axis=axes)

    expected = hessian_product(lambda logits: fg.exact.grad(f, d.with_logits(logits)), d.logits, v)

    def run(seed):
        return expectation_hvp(f, {"z": d}, {"z": v}, num_samples=4000, rng=seed).product["z"]

    assert_unbiased(run, expected)


def test_all_samples_make_the_hessian_exactly():
    """Each outcome once, of equal probabilities: no sampling."""
    f_of, v = np.array([0.3, -1.0, 2.0, 0.7]), RNG.normal(size=4)

    class Each(fg.Categorical):
        def sample(self, *, num_samples, rng, **options):
            return np.arange(num_samples, dtype=np.int32) % 4

    found = expectation_hvp(
        lambda z: z @ f_of, {"z": Each(np.zeros(4))}, {"z": v}, num_samples=4, rng=0
    )
    expected = hessian_product(lambda x: fg.exact.grad(lambda z: z @ f_of, x), np.zeros(4), v)
    # Leave-one-out baselines of samples that are not independent: 4/3 of what it is without them.
    np.testing.assert_allclose(found.product["z"], expected * 4 / 3, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.value, f_of.mean())
    truth = fg.exact.grad(lambda z: z @ f_of, np.zeros(4))
    np.testing.assert_allclose(found.grad["z"], truth * 4 / 3)


def test_the_gradient_is_that_of_rloo():
    f, d = (
        (lambda z: (z @ np.arange(3.0)).sum(axis=1) ** 2),
        fg.Categorical(RNG.normal(size=(2, 3))),
    )
    found = expectation_hvp(f, {"z": d}, {}, num_samples=9, rng=4)
    same = fg.expectation_grad(f, {"z": d}, num_samples=9, rng=4)
    np.testing.assert_allclose(found.grad["z"], same.grad["z"], rtol=1e-12)
    np.testing.assert_allclose(found.value, same.value)
    assert not found.product["z"].any()
    assert found.evaluations == 9


# -- graphs ----------------------------------------------------------------------------------------

LOGITS, TABLE = np.array([0.3, -0.5]), np.array([[0.2, -0.4, 0.6], [-0.3, 0.8, 0.1]])
POINT = np.concatenate([LOGITS, TABLE.ravel()])
VECTOR = RNG.normal(size=8)
CHAIN = {
    "s": fg.Categorical(LOGITS),
    "a": Conditional(
        ("s", "table"),
        lambda s, table: fg.Categorical(s @ table),
        lambda grad, s, table: {"table": s.T @ grad},
    ),
}
REWARD = RNG.normal(size=(2, 3))


def reward(s, a):
    return np.einsum("ni,nj,ij->n", s, a, REWARD) ** 2


def chain_mean(point):
    p, q = special.softmax(point[:2]), special.softmax(point[2:].reshape(2, 3), axis=1)
    return (p[:, None] * q * REWARD**2).sum() + p @ [0.5, -1.0]


@pytest.mark.parametrize("split", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_chain_has_the_hessian_of_enumeration(split):
    """States and actions: the policy is a table, and the costs are one or two."""
    own = Cost("s", lambda s: s @ [0.5, -1.0])
    both = Cost(("s", "a"), reward)
    f = [both, own] if split else (lambda s, a, table: reward(s, a) + s @ [0.5, -1.0])
    if not split:
        f = [Cost(("s", "a"), lambda s, a: reward(s, a) + s @ [0.5, -1.0])]
    vector = {"s": VECTOR[:2], "table": VECTOR[2:].reshape(2, 3)}

    def run(seed):
        options = {"parameters": {"table": TABLE}, "num_samples": 6000, "rng": seed}
        found = expectation_hvp(f, CHAIN, vector, **options)
        return np.concatenate([found.product["s"], found.product["table"].ravel()])

    assert_unbiased(run, second_differences(chain_mean, POINT, VECTOR), slack=1e-4)


def test_a_cost_upstream_has_no_product_downstream():
    """A cost of the first node leaves the table out, exactly."""
    found = expectation_hvp(
        [Cost("s", lambda s: s @ [0.5, -1.0]), Cost("s", lambda s: 0 * s[:, 0])],
        CHAIN,
        {"table": np.ones((2, 3))},
        parameters={"table": TABLE},
        num_samples=50,
        rng=0,
    )
    assert not found.product["table"].any()
    assert not found.product["s"].any()


def test_examples_do_not_mix():
    logits, v = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
    weights = np.ones((3, 1))

    def run():
        return expectation_hvp(
            lambda z: ((z * weights) ** 2 * [1, 2, 3, 4]).sum(axis=2),
            {"z": logits},
            {"z": v},
            num_samples=8,
            rng=3,
        )

    before = run()
    weights[1] = 5
    after = run()
    assert before.value.shape == (3,)
    for name in ("grad", "product"):
        a, b = getattr(before, name)["z"], getattr(after, name)["z"]
        np.testing.assert_array_equal(a[[0, 2]], b[[0, 2]])
        assert (a[1] != b[1]).any()


def test_what_is_refused():
    run, v = expectation_hvp, {"z": np.ones(3)}

    def f(z):
        return z[:, 0]

    for nodes in ({}, None, [np.zeros(3)]):
        with pytest.raises(TypeError, match="nodes must be a dict of distributions by name"):
            fg.expectation_grad(lambda z: z, nodes, num_samples=2, rng=0)
    with pytest.raises(TypeError, match="node 'z' must be discrete, got Normal"):
        run(f, {"z": fg.continuous.Normal(0.0, 0.0)}, {}, num_samples=4, rng=0)
    tree = fg.trees.SpanningTree(np.zeros(3), EDGES)
    with pytest.raises(TypeError, match="SpanningTree: the derivative of its score is not"):
        run(f, {"z": tree}, v, num_samples=4, rng=0)
    with pytest.raises(ValueError, match="vector must have names among 'z', got 'y'"):
        run(f, {"z": np.zeros(3)}, {"y": np.ones(3)}, num_samples=4, rng=0)
    with pytest.raises(ValueError, match=r"vector\['z'\] must have shape \(3,\)"):
        run(f, {"z": np.zeros(3)}, {"z": np.ones(4)}, num_samples=4, rng=0)
    with pytest.raises(ValueError, match="num_samples must be at least 2, got 1"):
        run(f, {"z": np.zeros(3)}, v, num_samples=1, rng=0)
    options = {"parameters": {"table": TABLE}, "num_samples": 8, "rng": 0}
    with pytest.raises(ValueError, match="f must not depend on the parameter 'table'"):
        run(lambda s, a, table: s[:, 0], CHAIN, {}, **options)
    bent = CHAIN | {"a": Conditional(
        ("s", "table"),
        lambda s, table: fg.Categorical(s @ table**2),
        lambda grad, s, table: {"table": s.T @ grad * 2 * table},
    )}  # fmt: skip
    costs = [Cost(("s", "a"), reward)]
    with pytest.raises(ValueError, match="logits of node 'a' must be affine in 'table'"):
        run(costs, bent, {"table": np.ones((2, 3))}, **options)
    bare = CHAIN | {"a": Conditional(("s", "table"), CHAIN["a"].distribution)}
    with pytest.raises(TypeError, match="node 'a' needs a vjp, for the gradient by 'table'"):
        run(costs, bare, {}, **options)
