"""Every pair of an estimator and a structure that is offered; what is not is refused, with why."""

import numpy as np
import pytest
from structures import STRUCTURES, objective_of

import fastgrad as fg
from fastgrad.estimators import CONTINUOUS, ESTIMATORS

PAIRS = [
    (structure, name)
    for structure, d in STRUCTURES.items()
    for name in fg.list_estimators(distribution=d)
]
LISTED = [(s, name) for s, name in PAIRS if "outcomes" not in STRUCTURES[s].lacks]
# Pairs with so many draws that naming them takes long.
LONG = [
    (s, n)
    for s, n in LISTED
    if (n == "importance_weighted" and STRUCTURES[s].num_outcomes > 12)
    or (n, s) == ("rodeo", "two of Poisson")
]
by_nodes = pytest.mark.parametrize(
    ("structure", "name"),
    [
        (s, n)
        for s, n in LISTED
        if n in ESTIMATORS and ESTIMATORS[n].unbiased and (s, n) not in LONG
    ],
)
each_pair = pytest.mark.parametrize(("structure", "name"), PAIRS)
SAMPLED = ("rebar", "relax")  # whose noise has no quadrature
DISTINCT = ("unordered_set", "importance_weighted", "sum_and_sample")  # one variable at a time
OPTIONS = {
    "reinforce": [{}, {"baseline": 0.5}, {"baseline": "optimal"}, {"baseline": "optimal_pooled"}],
    "unordered_set": [{}, {"baseline": False}],
    "sum_and_sample": [{}, {"summed": 1, "baseline": None}],
}


@by_nodes
def test_unbiased_by_all_draws(structure, name):
    """No sampling, where the estimator can name all its draws."""
    d, f = STRUCTURES[structure], objective_of(STRUCTURES[structure])
    truth = fg.exact.grad(f, d)
    for options in OPTIONS.get(name, [{}]):
        run = fg.estimator(name, **options)
        samples = max(2, run.min_samples)
        if name == "importance_weighted":  # of finite variance from 4 samples on
            run, samples = fg.estimator(name, baseline=False), 2
        found = fg.moments(run, f, d, num_samples=samples, rng=0, draws=2)
        relaxed = name in SAMPLED or (name == "pooled" and "conditional" not in d.lacks)
        if relaxed or (d.batch_shape and name in DISTINCT):
            assert not found.exact
        else:
            assert found.exact
            np.testing.assert_allclose(found.mean, truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("structure", "name"),
    [
        (s, n)
        for s, n in LISTED
        if n in ("rebar", "relax", "measure_valued")
        or (n == "pooled" and "conditional" not in STRUCTURES[s].lacks)
        or (n in DISTINCT and STRUCTURES[s].batch_shape)
        or (s, n) in LONG
    ],
)
def test_unbiased_on_average(structure, name):
    """The mean of many estimates within 5.5 standard errors, where draws cannot all be named."""
    d, f = STRUCTURES[structure], objective_of(STRUCTURES[structure])
    run = fg.estimator(name)
    if name == "pooled":
        run = fg.estimator(name, controls=("leave_one_out", "rebar"), weights=(0.7, -0.4))
    samples = max(4, run.min_samples)
    found = fg.moments(run, f, d, num_samples=samples, rng=1, draws=1000)
    error = found.standard_error + 1e-10
    assert (abs(found.mean - fg.exact.grad(f, d)) < 5.5 * error).all()


@pytest.mark.parametrize("structure", [s for s, n in PAIRS if n == "straight_through"])
def test_straight_through_has_the_mean_of_its_formula(structure):
    d, f = STRUCTURES[structure], objective_of(STRUCTURES[structure])
    if "outcomes" in d.lacks or d.batch_shape:
        return
    p, w = np.exp(d.log_probabilities()), f.grad(d.features(d.everything()))
    expected = d.mean_vjp(np.tensordot(p, w, 1))
    found = fg.moments("straight_through", f, d, num_samples=1)
    assert found.exact
    np.testing.assert_allclose(found.mean, expected, rtol=1e-9)


@pytest.mark.parametrize("structure", [s for s, n in PAIRS if n == "gumbel_softmax"])
def test_relaxed_gradients_are_those_of_the_value(structure):
    """By finite differences with the same noise: the gradient of the mean over relaxed samples."""
    d, f = STRUCTURES[structure], objective_of(STRUCTURES[structure])
    run, h = fg.estimator("gumbel_softmax", temperature=0.7), 1e-6
    options = {"num_samples": 6, "rng": 3}
    whole = run(f, d, **options)
    direction = np.random.default_rng(6).normal(size=d.logits.shape)
    up, down = (
        run(f, d.with_logits(d.logits + s * h * direction), **options).value for s in (1, -1)
    )
    np.testing.assert_allclose((whole.grad * direction).sum(), (up - down) / (2 * h), rtol=1e-5)


@each_pair
def test_the_estimate_does_not_depend_on_blocks(structure, name):
    d, f = STRUCTURES[structure], objective_of(STRUCTURES[structure])
    options = {"group_size": 2} if name == "vimco" else {}
    run = fg.estimator(name, **options)
    whole = run(f, d, num_samples=4, rng=2, return_samples=True)
    blocks = run(f, d, num_samples=4, rng=2, block_size=2, return_samples=True)
    np.testing.assert_array_equal(whole.grad, blocks.grad)
    np.testing.assert_array_equal(whole.samples, blocks.samples)
    assert whole.grad.shape == d.logits.shape
    assert whole.samples.shape[1:] == d.feature_shape
    assert whole.weights.shape == (len(whole.samples), *np.shape(whole.value))


@each_pair
def test_examples_do_not_mix(structure, name):
    """Two examples side by side: each has the gradient that it has when the other is changed."""
    one = STRUCTURES[structure]
    if one.batch_shape:
        return
    f, run = objective_of(one), fg.estimator(name)
    both = one.with_logits(np.stack([one.logits, one.logits + 0.5 * np.sin(one.logits)]))
    changed = one.with_logits(np.stack([one.logits, -one.logits]))
    samples = 16 if name == "pooled" else 4
    found, again = (run(f, d, num_samples=samples, rng=3) for d in (both, changed))
    assert np.shape(found.value) == (2,)
    np.testing.assert_allclose(found.grad[0], again.grad[0], rtol=1e-12)
    assert not np.allclose(found.grad[1], again.grad[1])


@pytest.mark.parametrize(
    ("structure", "name"),
    [(s, n) for s, n in PAIRS if STRUCTURES[s].batch_shape == (2,)],
)
def test_parts_of_a_minibatch_join_to_the_whole(structure, name):
    d = STRUCTURES[structure]
    f = objective_of(d.with_logits(d.logits[0]))  # of each example
    run = fg.estimator(name)
    options = {"num_samples": 4, "rng": 3}
    whole = run(f, d, **options)
    parts = [run(f, d.with_logits(d.logits[i : i + 1]), row_offset=i, **options) for i in range(2)]
    listed = name == "enumerate" or structure == "two of Poisson"  # then lists differ in length
    same = np.testing.assert_allclose if listed else np.testing.assert_array_equal
    same(np.concatenate([part.grad for part in parts]), whole.grad)
    same(np.concatenate([part.value for part in parts]), whole.value)


@pytest.mark.parametrize("name", [n for s, n in PAIRS if s == "two of Poisson"])
def test_parts_of_counts_join_if_they_list_as_many(name):
    """Or do not list them: the notes of the counts without a largest one say so."""
    d, run, options = STRUCTURES["two of Poisson"], fg.estimator(name), {"num_samples": 4, "rng": 3}
    f = objective_of(d.with_logits(d.logits[0]))
    d = d.with_logits(np.log([3.0, 1.5, 0.9, 3.0, 0.9, 1.5]))
    whole = run(f, d, **options)
    parts = [run(f, d.with_logits(d.logits[i : i + 3]), row_offset=i, **options) for i in (0, 3)]
    np.testing.assert_array_equal(np.concatenate([part.grad for part in parts]), whole.grad)
    alone = run(f, d.with_logits(d.logits[5:]), row_offset=5, **options)
    if name == "gumbel_softmax":
        assert not np.allclose(alone.grad, whole.grad[5:])
    elif name not in DISTINCT:  # which may draw the same by chance
        np.testing.assert_allclose(alone.grad, whole.grad[5:], rtol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_what_is_not_offered_is_refused_in_one_sentence(structure):
    d, f = STRUCTURES[structure], objective_of(STRUCTURES[structure])
    offered = fg.list_estimators(distribution=d)
    assert offered == fg.list_estimators(distribution=type(d))
    kind = type(d).__name__
    for name, cls in (ESTIMATORS | CONTINUOUS).items():
        if name not in offered:
            run = fg.estimator(name)
            with pytest.raises(TypeError, match=f"{name} .*{kind}") as error:
                run(f, d, num_samples=max(4, cls.min_samples), rng=0)
            assert str(error.value) == cls.refusal(type(d))


@pytest.mark.parametrize("structure", {s: 0 for s, _ in LISTED})
def test_compare_ranks_what_is_offered(structure):
    d, f = STRUCTURES[structure], objective_of(STRUCTURES[structure])
    names = ["rloo", "enumerate", "arm"]
    table = fg.compare(f, d, estimators=names, rng=0, repeats=20)
    assert [row.label for row in table.rows] == ["enumerate", "rloo"]
    assert list(table.skipped) == ["arm"]


@pytest.mark.parametrize("structure", [s for s, n in PAIRS if n == "rloo"])
def test_they_are_nodes_of_graphs(structure):
    d = STRUCTURES[structure]
    f = objective_of(d)
    found = fg.expectation_grad(lambda z: f.f(z), {"z": d}, num_samples=4, rng=0)
    assert found.grad["z"].shape == d.logits.shape


def test_queries_of_categoricals_and_continuous_distributions():
    everything = [name for name in ESTIMATORS if name not in CONTINUOUS]
    assert fg.list_estimators(distribution=fg.Categorical(np.zeros(2))) == everything
    assert fg.list_estimators(distribution=fg.Bernoulli) == everything
    normal, gamma = fg.continuous.Normal, fg.continuous.Gamma
    assert fg.list_estimators(distribution=normal) == list(CONTINUOUS)
    assert fg.list_estimators(distribution=gamma) == ["pathwise", "score_function"]
    with pytest.raises(TypeError, match="distribution must be a distribution or its class, got 3"):
        fg.list_estimators(distribution=3)


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if s.startswith("two of")])
@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_no_variables(structure, batch):
    """An estimate of nothing is a gradient of nothing, for one value and for one an example."""
    d = STRUCTURES[structure]
    event = d.logits.shape[len(d.batch_shape) :]
    d = d.with_logits(np.zeros((*batch, *event)))
    for name in set(fg.list_estimators(distribution=d)) - set(DISTINCT):  # one outcome is too few
        for examples in ((), batch):

            def f(x, examples=examples):
                return np.full((len(x), *examples), 3.0)

            run, f = fg.estimator(name), fg.objective(f, grad=np.zeros_like)
            estimate = run(f, d, num_samples=max(4, run.min_samples), rng=0)
            assert estimate.value.shape == examples
            assert estimate.grad.shape == d.logits.shape
