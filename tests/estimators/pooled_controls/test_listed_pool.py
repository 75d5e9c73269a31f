"""Pools of listed outcomes: their weights are those of the parameters' gradient."""

import numpy as np
import pytest
from structures import STRUCTURES, objective_of

import fastgrad as fg


def pooled(*controls, **options):
    return fg.estimator("pooled", controls=controls, **options)


def test_what_a_distribution_lacks_is_made_of_its_listed_outcomes():
    d = STRUCTURES["KSubset"]
    run, f = pooled("leave_one_out", "rebar"), objective_of(d)
    state = run(f, d, num_samples=4, rng=0).state
    assert state["products"].shape == (3, 3)
    assert state["mean"].shape == d.logits.shape  # of the parameters, not of the list
    large = fg.subset.KSubset(np.zeros(60), 20)
    with pytest.raises(ValueError, match="KSubset has too many outcomes to list"):
        run(fg.objectives.linear(np.ones(60)), large, num_samples=4, rng=0)


def test_terms_are_carried_back_before_they_are_weighted():
    """At fixed weights it is the same in either order: all is linear."""
    d = STRUCTURES["PlackettLuce"]
    run = pooled("leave_one_out", "double_cv", weights=(0.8, 0.6))
    form, f = run.for_distribution(d), objective_of(d)
    draws = form.draw(d, 4, fg.Key(0))
    answers = form.ask(f, d, draws)
    found = form.combine(d, [(draws, answers)])
    listed = run.combine(d.listed, [(draws, answers)])
    np.testing.assert_allclose(found.grad, d.listed_vjp(listed.grad), rtol=1e-12)


def test_alone_it_is_reinforce_where_nothing_else_is_left():
    d = STRUCTURES["PlackettLuce"]
    form = pooled("double_cv").for_distribution(d)
    assert form.alone() == fg.estimator("reinforce")
    kept = pooled("double_cv", "taylor").for_distribution(d).alone()
    assert kept == pooled("taylor").for_distribution(d)


def test_without_a_list_it_is_refused():
    with pytest.raises(TypeError, match="pooled does not work with GumbelMatching"):
        pooled("rebar")(lambda x: x[:, 0, 0], STRUCTURES["GumbelMatching"], num_samples=2, rng=0)
