"""Pooled control variates: their own estimators at weights of one, exact means, learned weights.

Statistics: the one test of learned weights has fixed seeds, and compares variances of estimates
made of the same draws; see there.
"""

import dataclasses

import numpy as np
import pytest
from score_family import PROBLEMS, assert_unbiased, moments, problem, smooth, variance
from structures import STRUCTURES, objective_of

import fastgrad as fg
from fastgrad.comparison.replicas import copied, replicated
from fastgrad.estimators.pooled_controls.least_squares import candidates, leading, regress
from fastgrad.estimators.pooled_controls.terms import TERMS
from fastgrad.objectives import as_objective
from fastgrad.random import as_key

ALL = tuple(TERMS)
ALL_BY_DEFAULT = ("leave_one_out", "double_cv", "taylor", "rebar")
FREE = ("leave_one_out", "double_cv", "stein", "taylor")  # of relaxations
RNG = np.random.default_rng(11)


def pooled(*controls, **options):
    return fg.estimator("pooled", controls=controls, **options)


def answered(run, f, d, num_samples, seed=0):
    """Draws of an estimator and the answers of f."""
    draws = run.draw(d, num_samples, as_key(seed))
    return draws, run.ask(as_objective(f), d, draws)


OWN = {
    "rloo": (("leave_one_out",), {}),
    "double_cv": (("leave_one_out", "double_cv"), {"scale": 1.0}),
    "rodeo": (("leave_one_out", "stein"), {"scale": 1.0}),
    "muprop": (("taylor",), {}),
}


def with_credit(f):
    """The same f, which also tells each variable its credit: here f itself, twice."""

    def both(x):
        value = f.f(x)
        each = value.reshape(value.shape + (1,) * (2 - value.ndim))
        return value, 2 * np.broadcast_to(each, x.shape[:2]).copy()

    return fg.objective(both, grad=lambda x: 2 * f.grad(x))


@pytest.mark.parametrize("credit", [False, True])
@pytest.mark.parametrize("kind", [fg.Categorical, fg.Bernoulli])
@pytest.mark.parametrize("name", OWN)
def test_ones_make_the_estimator_that_a_control_comes_from(name, kind, credit):
    controls, options = OWN[name]
    d = problem(kind, "three" if kind is fg.Bernoulli else "plain")
    f = with_credit(smooth(d)) if credit else smooth(d)
    run = pooled(*controls, weights=np.ones(len(controls)))
    draws, answers = answered(run, f, d, 5)
    own = fg.estimator(name, **options)
    expected = own.combine(d, [(draws.sample, own.ask(as_objective(f), d, draws.sample))])
    found = run.combine(d, [(draws, answers)])
    np.testing.assert_allclose(found.grad, expected.grad, rtol=0, atol=1e-12)
    assert found.value == expected.value
    assert found.evaluations == expected.evaluations


@pytest.mark.parametrize("kind", [fg.Categorical, fg.Bernoulli])
def test_one_makes_rebar_on_the_same_draws(kind):
    d = problem(kind, "three" if kind is fg.Bernoulli else "plain")
    call = {"num_samples": 6, "rng": 3}
    found = pooled("rebar", weights=[1.0], temperature=0.7)(smooth(d), d, **call)
    rebar = fg.estimator("rebar", temperature=0.7, adapt_scale=False)(smooth(d), d, **call)
    np.testing.assert_allclose(found.grad, rebar.grad, rtol=0, atol=1e-12)
    assert found.evaluations == rebar.evaluations == 12


@pytest.mark.parametrize(("kind", "case"), PROBLEMS)
def test_it_is_unbiased_at_any_fixed_weights(kind, case):
    d = problem(kind, case)
    for weights in (np.ones(4), [0.3, -1.2, 0.8, 2.0]):
        assert_unbiased(pooled(*FREE, weights=weights), smooth(d), d, 2)


@pytest.mark.parametrize("kind", [fg.Categorical, fg.Bernoulli])
def test_it_is_unbiased_with_relaxations(kind):
    """By quadrature over the noise of one variable of two outcomes."""
    d = kind(np.array([[0.3, -0.4]]) if kind is fg.Categorical else np.array([0.7]))
    for weights in ([1.0, 1.0], [-0.6, 1.7]):
        run = pooled("taylor", "rebar", weights=weights)
        mean = moments(run, smooth(d), d, 1)[0]
        np.testing.assert_allclose(mean, fg.exact.grad(smooth(d), d), rtol=0, atol=1e-9)


@pytest.mark.parametrize("per_cell", [False, True])
def test_it_is_unbiased_at_learned_weights(per_cell):
    """A state is made of other draws than the estimate; every call from it is unbiased."""
    d, state = problem(fg.Categorical, "plain"), None
    run = pooled(*FREE, per_cell=per_cell)
    for seed in range(5):
        state = run(smooth(d), d, num_samples=2, rng=seed, state=state).state
    assert_unbiased(run, smooth(d), d, 2, state)


def test_the_first_call_is_rloo():
    d = problem(fg.Categorical, "plain")
    run = pooled(*FREE)
    draws, answers = answered(run, smooth(d), d, 4)
    rloo = fg.estimator("rloo")
    expected = rloo.combine(d, [(draws.sample, answers.values)])
    np.testing.assert_array_equal(run.combine(d, [(draws, answers)]).grad, expected.grad)


def smooth_problem(seed):
    """A quadratic or a saturating f of a few variables, at random logits."""
    rng = np.random.default_rng(seed)
    n, k = rng.integers(2, 5, 2)
    logits, w = rng.normal(size=(2, n, k))
    a = rng.normal(size=(n * k, n * k)) / (n * k)

    def flat(x):
        return x.reshape(len(x), -1)

    if seed % 2:
        return logits, fg.objective(
            lambda x: np.einsum("si,ij,sj->s", flat(x), a, flat(x)),
            grad=lambda x: (flat(x) @ (a + a.T)).reshape(x.shape),
        )
    return logits, fg.objective(
        lambda x: np.tanh((x * w).sum((1, 2))),
        grad=lambda x: (1 - np.tanh((x * w).sum((1, 2))) ** 2)[:, None, None] * w,
    )


def learned(run, d, data):
    state = None
    for one in data:
        state = run.combine(d, [one], state).state
    return state


def spread(run, d, state, data):
    return np.var([run.combine(d, [one], state).grad for one in data], axis=0).sum()


CALLS, COPIES = 200, 1500


def variances(run, f, d, num_samples=4):
    """The variance of a pool after 200 calls, and of all that it has to choose among then.

    Terms of all draws are made side by side, the first of which are the calls it learns from. At
    fixed weights a variance is a quadratic form in the covariances of the terms: no estimate is
    made for it.
    """
    form, many = run.for_distribution(d), copied(d, CALLS + COPIES)
    pool = getattr(form, "inner", form)
    rows = form.terms(many, [answered(form, replicated(as_objective(f)), many, num_samples)]).rows
    rows = rows.reshape(len(rows), CALLS + COPIES, -1)
    among, state = pool._among, None
    for call in range(CALLS):
        args = rows[:, call].copy(), d.logits.shape, (), state, pool.decay, among
        _, state = regress(*args)
    rest = rows[:, CALLS:] - rows[:, CALLS:].mean(axis=1, keepdims=True)
    covariance = np.einsum("icn,jcn->ij", rest, rest) / COPIES
    weights = candidates(state["products"], float(state["weight"]), among)
    whole = np.append(weights, np.ones((len(weights), 1)), axis=1)
    of_each = np.einsum("mi,ij,mj->m", whole, covariance, whole)
    mine = np.append(leading(weights, state["losses"], state["squares"], 1.0), 1.0)
    return mine @ covariance @ mine, of_each


BITS = fg.Bernoulli(np.zeros(8))
STOCK = {
    "REBAR's toy": (fg.objectives.separable(np.full(8, 0.45)), BITS),
    "powers": (fg.objectives.separable(np.full(8, 0.45), power=3.0), BITS),
    "bernoulli3": (fg.objectives.bernoulli3(), fg.Categorical(0.2 * RNG.normal(size=8))),
    "linear": (fg.objectives.linear(RNG.normal(size=(3, 4))), fg.Categorical(np.zeros((3, 4)))),
    "ReinMax's": (
        fg.objectives.separable(np.full((4, 2), 0.45), weights=np.tile([1.0, 0.0], (4, 1))),
        fg.Categorical(RNG.normal(size=(4, 2))),
    ),
}
RANDOM = {f"random {seed}": smooth_problem(seed) for seed in range(20)}
RANDOM = {name: (f, fg.Categorical(logits)) for name, (logits, f) in RANDOM.items()}
WHOLE = {
    name: (objective_of(d), d)
    for name, d in STRUCTURES.items()
    if "score" not in d.lacks and not d.batch_shape
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*STOCK, *RANDOM, *WHOLE])
def test_it_is_as_good_as_the_best_of_its_parts(name):
    """After 200 calls within 5 % of each part, at its own weights or learned ones."""
    f, d = (STOCK | RANDOM | WHOLE)[name]
    mine, of_each = variances(fg.estimator("pooled"), f, d)
    parts = of_each[1:].min()
    assert mine < 1.05 * parts + 1e-4 * of_each[1], (mine, of_each)


def test_it_follows_the_better_part():
    """Leave-one-out is exact for terms of two outcomes without interactions, REBAR is not."""
    d, f = fg.Bernoulli(np.zeros(6)), fg.objectives.separable(np.full(6, 0.45))
    run = pooled("leave_one_out", "rebar")
    data = [answered(run, f, d, 4, s) for s in range(40)]
    parts = [pooled(name) for name in run.controls]
    one, other = (spread(part, d, learned(part, d, data), data) for part in parts)
    assert spread(run, d, learned(run, d, data), data) < 1.05 * min(one, other)
    assert min(one, other) < 0.5 * max(one, other)


def test_cells_have_weights_of_their_own():
    """One example is linear, where double_cv is exact at weight 1; in the other, f' is wrong."""
    logits, w = np.zeros((2, 3, 3)), RNG.normal(size=(2, 3, 3))
    f = fg.objective(
        lambda x: (x * w).sum((2, 3)), grad=lambda x: x * 0 + w * np.array([1, -3])[:, None, None]
    )
    run = pooled("leave_one_out", "double_cv", per_cell=True)
    d = fg.Categorical(logits)
    data = [answered(run, f, d, 4, s) for s in range(50)]
    state = learned(run, d, data)
    found = candidates(state["products"], float(state["weight"]), run._among)[..., 0, :]
    assert found.shape == (2, 1, 2)
    np.testing.assert_allclose(found[:, 0, 1], [1.0, -1 / 3], rtol=0.05)
    np.testing.assert_allclose(
        run.combine(d, [data[0]], state).grad, fg.exact.grad(f, d), rtol=0, atol=0.06
    )
    together = dataclasses.replace(run, per_cell=False)
    assert spread(together, d, learned(together, d, data), data) > 100 * spread(run, d, state, data)


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
@pytest.mark.parametrize("kind", [fg.Categorical, fg.Bernoulli])
def test_all_controls_work_together(kind, dtype):
    logits = RNG.normal(size=(7, 3, 2) if kind is fg.Categorical else (7, 3)).astype(dtype)
    axes = tuple(range(2, logits.ndim + 1))
    f = fg.objective(lambda x: np.sin(x).sum(axis=axes), grad=np.cos)
    state, run = None, pooled(*ALL)
    for seed in range(3):
        found = run(f, kind(logits), num_samples=4, rng=seed, state=state, return_samples=True)
        state = found.state
    assert found.grad.dtype == found.value.dtype == dtype
    assert found.grad.shape == found.samples.shape[1:] == logits.shape
    assert found.evaluations == 9
    assert state["products"].shape == (10, 10)
    assert np.isfinite(found.grad).all()


@pytest.mark.parametrize("name", WHOLE)
def test_of_structures_it_pools_what_they_have(name):
    """Of terms that the distribution itself has, and is unbiased at any weights of these."""
    f, d = WHOLE[name]
    form = fg.estimator("pooled").for_distribution(d)
    has = {"double_cv": "mean", "taylor": "mean", "rebar": "conditional"}
    expected = [n for n in ALL_BY_DEFAULT if has.get(n) not in d.lacks]
    assert list(form._names) == expected
    fixed = dataclasses.replace(form, weights=[0.7, -0.4, 1.3, 0.5][: len(expected)])
    if "rebar" in expected:
        return  # see test_distributions.py
    found = fg.moments(fixed, f, d, num_samples=2)
    assert found.exact
    np.testing.assert_allclose(found.mean, fg.exact.grad(f, d), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("structure", ["SpanningTree", "PlackettLuce of two"])
def test_ones_make_rebar_of_structures(structure):
    f, d = WHOLE[structure]
    call = {"num_samples": 6, "rng": 3}
    found = pooled("rebar", weights=[1.0], temperature=0.7)(f, d, **call)
    rebar = fg.estimator("rebar", temperature=0.7, adapt_scale=False)(f, d, **call)
    np.testing.assert_allclose(found.grad, rebar.grad, rtol=0, atol=1e-12)


def test_a_large_structure_is_not_listed():
    d, f = fg.subset.KSubset(np.zeros(60), 20), fg.objectives.linear(np.ones(60))
    assert fg.estimator("pooled")(f, d, num_samples=4, rng=0).grad.shape == (60,)


def test_facts_depend_on_the_controls():
    assert fg.estimator("pooled").needs == ("f", "grad")
    assert pooled("leave_one_out").needs == ()
    assert pooled("stein").needs == ("grad",)
    assert [pooled(name).min_samples for name in ALL] == [2, 2, 2, 1, 1]
    assert fg.estimator("pooled").pools
    assert not pooled("rebar", per_cell=True).pools
    assert not pooled("rebar", weights=[1.0]).pools
    assert pooled(*ALL, weights=range(5)).alone() == pooled("taylor", "rebar", weights=[3.0, 4.0])
    assert pooled("double_cv").alone() == fg.estimator("reinforce")
    assert pooled("rebar").alone() == pooled("rebar")


def test_a_lower_variance_than_that_of_each_part_is_exact():
    """Fixed weights of least squares beat one, by exact moments."""
    d = problem(fg.Categorical, "plain")
    alone = variance(pooled("leave_one_out", weights=[1.0]), smooth(d), d, 2)
    state, run = None, pooled(*FREE[:2])
    for seed in range(60):
        state = run(smooth(d), d, num_samples=2, rng=seed, state=state).state
    weights = candidates(state["products"], float(state["weight"]), run._among)[0] + [1.0, 0.0]
    fixed = pooled(*FREE[:2], weights=weights)
    assert variance(fixed, smooth(d), d, 2) < alone


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"controls": "rebar"}, TypeError, "controls must be a sequence of names, got 'rebar'"),
        ({"controls": ()}, TypeError, r"controls must be a sequence of names, got \(\)"),
        ({"controls": ("rebra",)}, ValueError, "controls must be one of .* got 'rebra'"),
        ({"controls": ("rebar",) * 2}, ValueError, "controls must be different"),
        ({"weights": [1.0]}, ValueError, "weights must be a finite number for each of leave_one"),
        ({"controls": ("rebar",), "weights": [np.nan]}, ValueError, "weights must be a finite"),
        ({"temperature": 0.0}, ValueError, "temperature must be"),
        ({"decay": 1.5}, ValueError, "decay must be"),
        ({"per_cell": 2}, ValueError, "per_cell must be"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        fg.estimator("pooled", **options)


def test_a_state_of_other_controls_is_refused():
    d = problem(fg.Categorical, "plain")
    state = pooled("leave_one_out")(smooth(d), d, num_samples=2, rng=0).state
    with pytest.raises(ValueError, match=r"state\['products'\] must fit the shape \(3, 3\)"):
        pooled("leave_one_out", "double_cv")(smooth(d), d, num_samples=2, rng=0, state=state)
