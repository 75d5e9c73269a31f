"""Minibatches in parts: estimates of the parts are those of one call, bit for bit."""

import itertools

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.estimators.score_functions.baselines import LeastSquares

BINARY = ("arm", "arms", "disarm")
OPTIONS = {
    "rebar": {"adapt_temperature": True},
    "relax": {"coupled": False, "add_objective": True},
    "arms": {"group_size": 4},
    "carms": {"group_size": 4},
    "vimco": {"group_size": 4},
    "double_cv": {"scale": 0.9},
    "rodeo": {"scale": 0.9},
    "pooled": {"per_cell": True},
    "enumerate": {"budget": 2**10},
    "sum_and_sample": {"summed": 2},
}
CALLS = [(name, OPTIONS.get(name, {})) for name in fg.list_estimators()] + [
    ("reinforce", {"baseline": "moving_average"}),
    ("reinforce", {"baseline": "optimal"}),
    ("reinforce", {"baseline": "optimal_pooled"}),
    ("rebar", {"coupled": False}),
    ("relax", {}),
    ("carms", {}),
    ("arms", {}),
    ("double_cv", {}),
    ("rodeo", {}),
    ("pooled", {}),
    ("sum_and_sample", {"summed": 0, "baseline": "independent"}),
]


def objective(shape):
    """Return f with one value for each example, and all its parts."""
    weights = np.random.default_rng(5).normal(size=shape)

    def f(x):
        return np.sin(x * weights).sum(axis=tuple(range(2, x.ndim)))

    def grad(x):
        return np.cos(x * weights) * weights

    def local(z):
        one_hot = np.eye(shape[-1]) if shape[-1] > 1 else np.arange(2.0)[:, None]
        x = one_hot[z]
        each = np.sin(x * weights).sum(axis=-1)
        other = np.sin(one_hot * weights[:, None, :] if weights.ndim == 2 else 0).sum(-1)
        return each.sum(axis=-1)[..., None, None] - each[..., None] + other

    return fg.objective(f, grad=grad, local=local)


def problem(name, dtype):
    """Return logits of 11 examples of three variables, and f."""
    k = 2 if name in BINARY else 3
    logits = np.random.default_rng(len(name)).normal(size=(11, 3, k)).astype(dtype)
    if name not in BINARY:
        logits[4, 1, 2] = -np.inf
    return logits, objective((3, k))


def parts(cuts, n):
    edges = [0, *cuts, n]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def joined(estimates):
    return (
        np.concatenate([e.value for e in estimates]),
        np.concatenate([e.grad for e in estimates]),
    )


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("cuts", [(0, 4), (1, 2, 7), (3, 8, 9)])
@pytest.mark.parametrize(("name", "options"), CALLS)
def test_parts_of_a_minibatch_give_one_calls_bits(name, options, cuts):
    """Twice, the second time from the state of the first, which must therefore be the same too."""
    estimator = fg.estimator(name, **options)
    logits, f = problem(name, np.float32)
    call = {"num_samples": 8}
    whole, pieces = None, [None] * (len(cuts) + 1)
    for step in range(1 if estimator.pools else 2):
        state = None if whole is None else whole.state
        whole = estimator(f, logits, rng=step, state=state, **call)
        pieces = [
            estimator(
                f,
                logits[part],
                rng=step,
                state=None if old is None else old.state,
                row_offset=3 * part.start,
                **call,
            )
            for part, old in zip(parts(cuts, len(logits)), pieces)
        ]
        value, grad = joined(pieces)
        assert same(value, whole.value)
        assert same(grad, whole.grad)


@pytest.mark.parametrize("name", fg.list_estimators())
def test_sites_in_parts_give_one_calls_bits(name):
    """Bernoulli variables, more than one line of 64 sites of the stream."""
    logits = np.random.default_rng(1).normal(size=(70, 2))
    weights = np.random.default_rng(2).normal(size=2)
    f = fg.objective(
        lambda x: (x * weights).sum(axis=2) ** 2,
        grad=lambda x: 2 * (x * weights).sum(axis=2, keepdims=True) * weights,
        local=lambda z: _flipped(z, weights),
    )
    estimator = fg.estimator(name, **OPTIONS.get(name, {}))
    samples = 4
    whole = estimator(f, fg.Bernoulli(logits), num_samples=samples, rng=3)
    pieces = [
        estimator(f, fg.Bernoulli(logits[p]), num_samples=samples, rng=3, row_offset=2 * p.start)
        for p in parts((1, 5, 37), 70)
    ]
    value, grad = joined(pieces)
    assert same(value, whole.value)
    assert same(grad, whole.grad)


def _flipped(z, weights):
    terms = z * weights
    rest = terms.sum(axis=2, keepdims=True) - terms
    return (rest[..., None] + np.arange(2) * weights[:, None]) ** 2


@pytest.mark.parametrize("name", ["rloo", "rebar", "gumbel_softmax", "unordered_set"])
def test_long_rows_in_parts_give_one_calls_bits(name):
    logits = np.random.default_rng(0).normal(size=(5, 1, 600))
    f = objective((1, 600))
    estimator = fg.estimator(name)
    whole = estimator(f, logits, num_samples=4, rng=1)
    pieces = [
        estimator(f, logits[p], num_samples=4, rng=1, row_offset=p.start) for p in parts((2, 3), 5)
    ]
    value, grad = joined(pieces)
    assert same(value, whole.value)
    assert same(grad, whole.grad)


def test_a_distribution_knows_where_it_stands():
    logits = np.random.default_rng(0).normal(size=(9, 4))
    d, key = fg.Categorical(logits), fg.Key(3)
    part = fg.Categorical(logits[4:], row_offset=4)
    options = {"num_samples": 5, "rng": key}
    assert same(part.sample(**options), np.ascontiguousarray(d.sample(**options)[:, 4:]))
    x = d.gumbel_softmax(temperature=0.5, **options)
    assert same(part.gumbel_softmax(temperature=0.5, **options), np.ascontiguousarray(x[:, 4:]))
    g = d.gumbel_softmax_vjp(x, temperature=0.5, rng=key)
    assert same(part.gumbel_softmax_vjp(x[:, 4:], temperature=0.5, rng=key), g[4:])
    r = d.relax(temperature=0.5, **options)
    assert same(part.relax(temperature=0.5, **options)[2], np.ascontiguousarray(r[2][:, 4:]))
    g, h = d.relax_vjp(x, x, temperature=0.5, rng=key)
    found = part.relax_vjp(x[:, 4:], x[:, 4:], temperature=0.5, rng=key)
    assert same(found[0], g[4:])
    assert same(found[1], h[4:])
    later = part.sample(num_samples=5, rng=key, row_offset=2)
    assert same(later, fg.sample(logits[4:], num_samples=5, rng=key, row_offset=6))
    assert part.with_logits(logits[5:]).row_offset == 4
    assert part.from_row(3).row_offset == 7


def test_sites_know_where_they_stand():
    logits = np.random.default_rng(0).normal(size=90)
    d, part, key = fg.Bernoulli(logits), fg.Bernoulli(logits[70:], row_offset=70), fg.Key(3)
    x = d.sample(num_samples=5, rng=key)
    assert same(part.sample(num_samples=5, rng=key), np.ascontiguousarray(x[:, 70:]))
    r = d.relax(temperature=0.5, rng=key, num_samples=5).conditional
    found = part.relax(temperature=0.5, rng=key, num_samples=5).conditional
    assert same(found, np.ascontiguousarray(r[:, 70:]))


def test_which_estimators_pool_what_they_learn():
    pooling = {name for name in fg.list_estimators() if fg.estimator(name).pools}
    assert pooling == {"double_cv", "rodeo", "pooled"}
    assert not fg.estimator("double_cv", scale=1.0).pools
    assert fg.estimator("auto").pools
    features = LeastSquares(features=np.zeros((11, 2)))
    assert fg.estimator("reinforce", baseline=features).pools
    assert not fg.estimator("reinforce", baseline="moving_average").pools


@pytest.mark.parametrize("bad", [-1, 1.5, "2", 2**41])
def test_row_offset_is_checked(bad):
    with pytest.raises((TypeError, ValueError), match="row_offset must be"):
        fg.estimator("rloo")(
            lambda x: x[..., 0, 0], np.zeros((2, 1, 3)), num_samples=2, rng=0, row_offset=bad
        )
    with pytest.raises((TypeError, ValueError), match="row_offset must be"):
        fg.Categorical(np.zeros((2, 3)), row_offset=bad)


def test_continuous_variables_have_none():
    with pytest.raises(TypeError, match="row_offset must be 0 for Normal, got 1"):
        fg.estimator("pathwise")(
            lambda x: x, fg.continuous.Normal(0.0, 0.0), num_samples=2, rng=0, row_offset=1
        )
