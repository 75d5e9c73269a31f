"""Gradients of expectations over graphs against their exact values."""

import numpy as np
import pytest
from scipy import special, stats

import fastgrad as fg
from fastgrad.graph import Conditional, Cost

C = fg.continuous
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
HERMITE, HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
HERMITE_WEIGHTS = HERMITE_WEIGHTS / HERMITE_WEIGHTS.sum()


def slopes(mean, point, h=1e-4):
    """Central differences of a function of a flat point."""
    eye = h * np.eye(len(point))
    return np.array([(mean(point + e) - mean(point - e)) / (2 * h) for e in eye])


def assert_unbiased(run, expected, *, replicas=60):
    """Independent estimates, flat, have this mean: Student's t for each number."""
    estimates = np.array([run(seed) for seed in range(replicas)])
    gap = np.abs(estimates.mean(axis=0) - expected)
    error = estimates.std(axis=0, ddof=1) / np.sqrt(replicas)
    assert gap.shape == np.shape(expected)
    assert (gap <= 1e-7 + stats.t.isf(FALSE_ALARM / 2, replicas - 1) * error).all()


# -- a chain of all kinds ----------------------------------------------------------------------
#
# z ~ Categorical(l), x ~ Normal(z . w, s), b ~ Bernoulli(2 x - z_0), y ~ Normal(c + x b, 0.1 z_1),
# and f = y^2 + x sin(y) + z_2 x b + u x, all of whose parameters have gradients.

LOGITS, WEIGHTS = np.array([0.2, -0.4, 0.7]), np.array([-0.6, 0.3, 0.8])
LOG_S, SHIFT, SLOPE = -0.5, 0.4, 1.3
POINT = np.concatenate([LOGITS, WEIGHTS, [LOG_S, SHIFT, SLOPE]])


def chain_cost(z, x, b, y, u):
    return y**2 + x * np.sin(y) + z[:, 2] * x * b + u * x


def chain_slopes(z, x, b, y, u):
    return {
        "z": np.stack([0 * x, 0 * x, x * b], axis=-1),
        "x": np.sin(y) + z[:, 2] * b + u,
        "b": z[:, 2] * x,
        "y": 2 * y + x * np.cos(y),
        "u": x.sum(),
    }


def chain_mean(point):
    logits, w, (log_s, c, u) = point[:3], point[3:6], point[6:]
    total = 0.0
    for k, p in enumerate(special.softmax(logits)):
        z = np.eye(3)[[k]]
        x = w[k] + np.exp(log_s) * HERMITE
        for b in (0, 1):
            q = special.expit((2 * b - 1) * (2 * x - z[0, 0]))
            y = c + x * b + np.exp(0.1 * z[0, 1]) * HERMITE[:, None]
            f = chain_cost(z, x, b, y, u)
            total += p * (HERMITE_WEIGHTS @ (q * (HERMITE_WEIGHTS @ f)))
    return total


CHAIN = {
    "z": fg.Categorical(LOGITS),
    "x": Conditional(
        ("z", "w", "log_s"),
        lambda z, w, log_s: C.Normal(z @ w, np.full(len(z), log_s)),
        lambda grad, z, w, log_s: {
            "z": grad["loc"][:, None] * w,
            "w": grad["loc"] @ z,
            "log_s": grad["log_scale"].sum(),
        },
    ),
    "b": Conditional(
        ("x", "z"),
        lambda x, z: fg.Bernoulli(2 * x - z[:, 0]),
        lambda grad, x, z: {"x": 2 * grad, "z": -grad[:, None] * [1.0, 0, 0]},
    ),
    "y": Conditional(
        ("x", "b", "z", "c"),
        lambda x, b, z, c: C.Normal(c + x * b, 0.1 * z[:, 1]),
        lambda grad, x, b, z, c: {
            "x": grad["loc"] * b,
            "b": grad["loc"] * x,
            "z": 0.1 * grad["log_scale"][:, None] * [0, 1.0, 0],
            "c": grad["loc"].sum(),
        },
    ),
}
PARAMETERS = {"w": WEIGHTS, "log_s": LOG_S, "c": SHIFT, "u": SLOPE}


def run_chain(estimator, num_samples=400, nodes=CHAIN):
    f = fg.objective(chain_cost, grad=chain_slopes)
    f = [
        Cost(("z", "x", "b", "y", "u"), f.f, f.grad),
        Cost("z", lambda z: 0 * z[:, 0], lambda z: {}),
    ]

    def run(seed):
        estimate = fg.expectation_grad(
            f,
            nodes,
            parameters=PARAMETERS,
            estimator=estimator,
            num_samples=num_samples,
            rng=seed,
        )
        g = estimate.grad
        return [estimate.value, *g["z"], *g["w"], g["log_s"], g["c"], g["u"]]

    return run


@pytest.mark.parametrize(
    "estimator",
    [
        None,
        {"x": "score_function"},
        {"x": "score_function", "y": "score_function"},
        {"y": "score_function", "z": "reinforce", "b": "reinforce"},
        {"y": "measure_valued"},
        {"y": fg.estimator("pathwise", control="linear")},
    ],
)
def test_chains_are_unbiased(estimator):
    assert_unbiased(run_chain(estimator), [chain_mean(POINT), *slopes(chain_mean, POINT)])


def test_biased_estimators_work_and_are_close():
    """With the linear dependence on the outcome of z alone, straight-through is exact."""
    w = np.array([0.3, -1.0, 2.0])
    nodes = {"z": fg.Categorical(LOGITS), "x": Conditional(
        "z", lambda z: C.Normal(z @ w, 0 * z[:, 0]), lambda grad, z: {"z": grad["loc"][:, None] * w}
    )}  # fmt: skip
    f = fg.objective(
        lambda z, x: 2 * x + z[:, 0], grad=lambda z, x: {"x": 2 + 0 * x, "z": 0 * z + [1, 0, 0]}
    )
    p = special.softmax(LOGITS)
    v = 2 * w + [1, 0, 0]
    for name in ("straight_through", "rloo"):
        options = {"estimator": {"z": name}, "num_samples": 50}

        def run(seed, options=options):
            return fg.expectation_grad(f, nodes, rng=seed, **options).grad["z"]

        assert_unbiased(run, p * (v - p @ v))
    for name in ("gumbel_softmax", "st_gumbel"):
        chosen = {"z": fg.estimator(name, temperature=0.5)}
        grad = fg.expectation_grad(f, nodes, estimator=chosen, num_samples=4000, rng=0).grad["z"]
        assert np.abs(grad - p * (v - p @ v)).max() < 0.3


# -- independent nodes -------------------------------------------------------------------------


def product(z, x):
    return (z[:, 0] * x - z[:, 1]) ** 2 + x


def product_slopes(z, x):
    gap = 2 * (z[:, 0] * x - z[:, 1])
    return {"x": gap * z[:, 0] + 1, "z": np.stack([gap * x, -gap, 0 * gap], axis=-1)}


def product_mean(point):
    p, x = special.softmax(point[:3]), point[3] + np.exp(point[4]) * HERMITE
    return sum(
        p[k] * (HERMITE_WEIGHTS @ product(np.tile(np.eye(3)[k], (60, 1)), x)) for k in range(3)
    )


@pytest.mark.parametrize(
    ("z", "x"),
    [
        ("rloo", "pathwise"),
        ("reinforce", "score_function"),
        ("rebar", "measure_valued"),
        ("relax", "pathwise"),
    ],
)
def test_independent_nodes_are_unbiased_with_estimators_of_all_kinds(z, x):
    point = np.array([0.2, -0.4, 0.7, 0.5, -0.3])
    nodes = {"z": point[:3], "x": C.Normal(point[3], point[4])}
    f = fg.objective(product, grad=product_slopes)

    def run(seed):
        g = fg.expectation_grad(f, nodes, estimator={"z": z, "x": x}, num_samples=200, rng=seed)
        return [*g.grad["z"], g.grad["x"]["loc"], g.grad["x"]["log_scale"]]

    assert_unbiased(run, slopes(product_mean, point))


def test_one_node_is_its_estimator():
    """The graph adds nothing: the same bits as the estimator by itself."""
    logits = np.random.default_rng(0).normal(size=(4, 3))
    f = lambda z: z[..., 0].sum(axis=-1) ** 2  # noqa: E731
    alone = fg.estimator("rloo")(f, logits, num_samples=9, rng=fg.Key(3).fold_in(0))
    graph = fg.expectation_grad(f, {"z": logits}, num_samples=9, rng=3)
    assert np.array_equal(graph.grad["z"], alone.grad)
    assert graph.evaluations == alone.evaluations == 9
    d = C.Gamma(np.zeros(5), np.ones(5))
    alone = fg.estimator("score_function")(
        lambda x: x.sum(-1), d, num_samples=9, rng=fg.Key(3).fold_in(0)
    )
    graph = fg.expectation_grad(lambda x: x.sum(-1), {"x": d}, num_samples=9, rng=3)
    assert all(np.array_equal(graph.grad["x"][n], alone.grad[n]) for n in alone.grad)
    assert graph.value == pytest.approx(alone.value)


def test_easy_mode():
    """Where only f depends on a parameter, its gradient is the mean of that of f."""
    f = fg.objective(lambda x, w: (x @ w) ** 2, grad=lambda x, w: {"w": 2 * (x @ w) @ x})
    d = C.MultivariateNormal(np.zeros(2), np.array([[1.0, 0.0], [0.5, 2.0]]))
    w = np.array([0.4, -0.3])

    def run(seed):
        estimate = fg.expectation_grad(
            f,
            {"x": d},
            parameters={"w": w},
            estimator="score_function",
            num_samples=100,
            rng=seed,
        )
        return estimate.grad["w"]

    covariance = d.scale_tril @ d.scale_tril.T
    assert_unbiased(run, 2 * covariance @ w)


def test_costs_are_only_heard_by_what_is_upstream_of_them():
    """A cost of another node is left out of the signal: exact here, where it has no variance."""
    nodes = {"z": np.zeros(2), "other": np.zeros((50, 2))}
    of_z = Cost("z", lambda z: np.ones(len(z)))
    of_other = Cost("other", lambda other: other[..., 0].sum(axis=-1))
    apart = fg.expectation_grad([of_z, of_other], nodes, num_samples=10, rng=0)
    assert not apart.grad["z"].any()
    together = fg.expectation_grad(
        lambda z, other: 1 + other[..., 0].sum(axis=-1), nodes, num_samples=10, rng=0
    )
    assert together.grad["z"].any()
    assert np.array_equal(apart.grad["other"], together.grad["other"])
    assert apart.value == pytest.approx(together.value)


@pytest.mark.parametrize("x", ["score_function", "pathwise"])
def test_a_cost_of_what_is_made_of_a_node_is_its_cost(x):
    """With two samples, so that a wrong baseline would show; 30,000 examples stand for replicas."""
    loc, n = np.array([0.5, -1.0]), 30_000
    p = special.softmax([0.3, 0.0])
    nodes = {
        "z": np.tile([0.3, 0.0], (n, 1)),
        "x": Conditional(
            ("z", "loc"),
            lambda z, loc: C.Normal(z @ loc, 0 * z[..., 0]),
            lambda grad, z, loc: {"loc": np.einsum("sb,sbk->k", grad["loc"], z)},
        ),
    }
    cost = Cost("x", lambda x: x**2, lambda x: {"x": 2 * x})
    estimate = fg.expectation_grad(
        [cost], nodes, parameters={"loc": loc}, estimator={"x": x}, num_samples=2, rng=0
    )
    v = loc**2 + 1
    for g, slope in zip(estimate.grad["z"].T, p * (v - p @ v)):
        error = g.std(ddof=1) / np.sqrt(n)
        assert abs(g.mean() - slope) < stats.norm.isf(FALSE_ALARM / 2) * error
    gap = np.abs(estimate.grad["loc"] / n - 2 * p * loc)
    assert (gap < stats.norm.isf(FALSE_ALARM / 2) * 4 / np.sqrt(n)).all()  # 4: above its deviation


def test_a_minibatch_has_examples():
    """Values (S, B) concern examples, in all nodes, and these do not mix."""
    rng = np.random.default_rng(0)
    logits, loc = rng.normal(size=(3, 2)), rng.normal(size=3)
    f = fg.objective(
        lambda z, x: (x - z[..., 0]) ** 2,
        grad=lambda z, x: {"x": 2 * (x - z[..., 0]), "z": 0 * z},
    )

    def run(change):
        nodes = {
            "z": logits + np.array([[0, 0], [0, change], [0, 0]]),
            "x": Conditional(
                "z",
                lambda z: C.Normal(loc + z[..., 1], 0 * z[..., 0]),
                lambda grad, z: {"z": np.stack([0 * grad["loc"], grad["loc"]], axis=-1)},
            ),
        }
        return fg.expectation_grad(f, nodes, num_samples=20, rng=0)

    first, other = run(0.0), run(1.5)
    assert first.value.shape == (3,)
    for i in (0, 2):
        assert np.array_equal(first.grad["z"][i], other.grad["z"][i])
    assert not np.array_equal(first.grad["z"][1], other.grad["z"][1])


def test_single_precision_and_state():
    nodes = {"z": np.zeros(3, np.float32), "x": C.Normal(np.float32(0), np.float32(0))}
    chosen = {"z": fg.estimator("reinforce", baseline="moving_average")}
    state = None
    for seed in range(3):
        estimate = fg.expectation_grad(
            lambda z, x: 3 + z[:, 0] * x,
            nodes,
            estimator=chosen,
            num_samples=50,
            rng=seed,
            state=state,
        )
        state = estimate.state
    assert list(state) == ["z"]
    assert abs(state["z"]["mean"] - 3) < 1.5
    assert estimate.grad["z"].dtype == estimate.grad["x"]["loc"].dtype == np.float32
    again = fg.expectation_grad(
        lambda z, x: 3 + z[:, 0] * x, nodes, estimator=chosen, num_samples=50, rng=seed
    )
    assert np.array_equal(again.grad["x"]["loc"], estimate.grad["x"]["loc"])


# -- errors ------------------------------------------------------------------------------------

NODES = {"z": np.zeros(3), "x": C.Normal(0.0, 0.0)}


def call(f=product, nodes=NODES, **options):
    return fg.expectation_grad(f, nodes, **{"num_samples": 10, "rng": 0, **options})


def test_names_must_fit():
    with pytest.raises(ValueError, match="'x' must name a node or a parameter, not both"):
        call(parameters={"x": np.zeros(2)})
    late = {"x": Conditional("z", lambda z: C.Normal(z[:, 0], z[:, 0])), "z": np.zeros(2)}
    with pytest.raises(ValueError, match="node 'x' has no input 'z': at that place there are none"):
        call(nodes=late)
    with pytest.raises(ValueError, match="a cost has no input 'y'"):
        call([Cost("y", lambda y: y)])
    with pytest.raises(ValueError, match="estimator is given for 'y', which is no node"):
        call(estimator={"y": "rloo"})
    with pytest.raises(
        ValueError, match="the gradient of f has a derivative by 'y', but its inputs"
    ):
        call(fg.objective(product, grad=lambda z, x: {"y": x}), estimator={"x": "pathwise"})


def test_estimators_must_fit():
    with pytest.raises(TypeError, match="node 'z': pathwise does not apply to a Categorical"):
        call(estimator="pathwise")
    with pytest.raises(TypeError, match="node 'x': rloo does not apply to a Normal"):
        call(estimator="rloo")
    with pytest.raises(TypeError, match="node 'x': pathwise needs the gradient of f by 'x'"):
        call(estimator={"x": "pathwise"})
    with pytest.raises(TypeError, match="parameter 'w' needs the gradient of f by 'w'"):
        call(lambda z, x, w: product(z, x), parameters={"w": 1.0})
    with pytest.raises(ValueError, match="node 'z': rloo needs at least 2 samples, and has 1"):
        call(num_samples=1, estimator={"x": fg.estimator("score_function", baseline=None)})
    with pytest.raises(ValueError, match="node 'z': disarm draws samples in groups"):
        call(nodes={"z": fg.Bernoulli(0.0), "x": NODES["x"]}, estimator={"z": "disarm"})
    with pytest.raises(TypeError, match="estimator of node 'z' must be one or a name, got 3"):
        call(estimator={"z": 3})
    chosen = {"x": fg.estimator("pathwise", control="linear")}
    with pytest.raises(ValueError, match="pathwise asks for f away from its samples, at 1 points"):
        call(fg.objective(product, grad=product_slopes), estimator=chosen)


def test_only_the_sample_counts_where_other_nodes_are_made_of_it():
    nodes = {
        "x": C.Normal(0.0, 0.0),
        "y": Conditional("x", lambda x: C.Normal(x, 0 * x), lambda grad, x: {"x": grad["loc"]}),
    }
    with pytest.raises(
        ValueError, match="'x': measure_valued asks for f away from its samples, of"
    ):
        call(lambda x, y: x * y, nodes, estimator={"x": "measure_valued", "y": "score_function"})


def test_shapes_must_fit():
    nodes = {"x": C.Normal(0.0, 0.0), "y": Conditional("x", lambda x: C.Normal(x[:3], x[:3]))}
    with pytest.raises(
        ValueError, match=r"node 'y' must have batch shape \(10, ...\), one for each"
    ):
        call(lambda x, y: x, nodes)
    nodes["y"] = Conditional("x", lambda x: C.Normal(x, x))
    f = fg.objective(lambda x, y: y, grad=lambda x, y: {"y": 0 * y + 1})
    with pytest.raises(TypeError, match="node 'y' needs a vjp, for the gradient by 'x'"):
        call(f, nodes)
    nodes["y"] = Conditional("x", lambda x: C.Normal(x, x), lambda grad, x: {"x": np.zeros(3)})
    with pytest.raises(ValueError, match=r"the vjp of node 'y', by 'x', must have shape \(10,\)"):
        call(f, nodes)
    with pytest.raises(ValueError, match=r"f must return values of shape \(10, ...\), got \(\)"):
        call(lambda z, x: 1.0)
    with pytest.raises(ValueError, match="f must be finite, got nan at index"):
        call(lambda z, x: x * np.nan)
    one = {"z": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match=r"f in float32 must be finite, got inf at index \(0,\)"):
        call(lambda z: np.full(len(z), 1e300), one)
    with pytest.raises(TypeError, match="auto tries estimators on f before it draws"):
        call(lambda z: z[:, 0], one, estimator="auto")
    with pytest.raises(ValueError, match="all costs must return values of one shape"):
        call([Cost("x", lambda x: x), Cost("x", lambda x: x[:, None])])


def test_samples_come_with_the_estimate_on_request():
    w = np.array([-1.0, 1.0])
    nodes = {
        "z": fg.Categorical(np.zeros(2)),
        "x": Conditional("z", lambda z: C.Normal(z @ w, np.zeros(len(z)))),
    }
    found = call(lambda z, x: x + z[:, 0], nodes, return_samples=True)
    assert found.samples["z"].shape == (10, 2)
    assert found.samples["x"].shape == (10,)
    mean = (found.weights * (found.samples["x"] + found.samples["z"][:, 0])).sum()
    assert found.value == pytest.approx(mean, rel=1e-12)
    assert call(lambda z, x: x, nodes).samples is None
