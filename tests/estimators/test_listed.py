"""Estimators of categoricals on listed outcomes, where they take gradients of f."""

import numpy as np
import pytest
from structures import STRUCTURES, objective_of

import fastgrad as fg

RNG = np.random.default_rng(61)
CONTROLS = ("leave_one_out", "double_cv", "stein", "taylor")
SMALL = ("KSubset", "PlackettLuce", "GumbelMatching", "Binomial", "SpanningTree", "CopulaBernoulli")


@pytest.mark.parametrize("structure", [s for s in SMALL if "score" not in STRUCTURES[s].lacks])
def test_pools_of_fixed_weights_are_unbiased(structure):
    """By all draws: any weights of any controls."""
    d, f = STRUCTURES[structure], objective_of(STRUCTURES[structure])
    run = fg.estimator("pooled", controls=CONTROLS, weights=(1.0, 0.5, 0.3, 0.7))
    found = fg.moments(run, f, d, num_samples=2)
    assert found.exact
    np.testing.assert_allclose(found.mean, fg.exact.grad(f, d), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("structure", ["KSubset", "Binomial", "CopulaBernoulli"])
def test_where_f_is_linear_nothing_varies(structure):
    """Both forms: linear terms by the mean, and those of the listed outcomes."""
    d = STRUCTURES[structure]
    w = np.random.default_rng(0).normal(size=d.feature_shape)
    axes = tuple(range(1, 1 + w.ndim))
    f = fg.objective(lambda x: (x * w).sum(axis=axes), grad=lambda x: w + 0 * x)
    truth = fg.exact.grad(f, d)
    pool = fg.estimator("pooled", controls=("leave_one_out", "double_cv"), weights=(1.0, 1.0))
    for run in (fg.estimator("double_cv"), fg.estimator("muprop"), pool):
        found = run(f, d, num_samples=3, rng=0)
        np.testing.assert_allclose(found.grad, truth, rtol=1e-9, atol=1e-12)


def test_double_cv_is_its_listed_form():
    """The categorical over the sets, with the gradient of f by their weights."""
    d = STRUCTURES["KSubset"]
    f, table = objective_of(d), d.features(d.table())
    listed = fg.objective(lambda x: f.f(x @ table), grad=lambda x: f.grad(x @ table) @ table.T)
    z = d.listed.sample(num_samples=4, rng=3)
    found = []
    for run, over, draws, g in (
        (fg.estimator("double_cv", scale=0.8), d, d.outcomes(z), f),
        (fg.estimator("double_cv", scale=0.8), d.listed, z, listed),
    ):
        answer = run.ask(fg.objective(g.f, grad=g.grad), over, draws)
        found.append(run.combine(over, [(draws, answer)]).grad)
    np.testing.assert_allclose(found[0], d.listed_vjp(found[1]), rtol=1e-10, atol=1e-13)


@pytest.mark.slow
def test_pools_learn_on_structures():
    """After some calls the variance is below that of rloo."""
    d = STRUCTURES["KSubset"]
    f, state = objective_of(d), None
    run = fg.estimator("pooled", controls=("leave_one_out", "double_cv"))
    for step in range(100):
        state = run(f, d, num_samples=4, rng=step, state=state).state
    learned = fg.moments(run, f, d, num_samples=4, rng=0, draws=300, state=state)
    assert learned.variance.sum() < 0.7 * fg.moments("rloo", f, d, num_samples=4).variance.sum()


def test_too_many_outcomes_are_refused():
    d = fg.subset.KSubset(np.zeros(60), 20)
    f = fg.objective(lambda x: x[:, 0], grad=lambda x: np.ones_like(x))
    with pytest.raises(ValueError, match="KSubset has too many outcomes to list"):
        fg.estimator("rodeo")(f, d, num_samples=2, rng=0)
    assert fg.estimator("double_cv")(f, d, num_samples=2, rng=0).grad.shape == (60,)
