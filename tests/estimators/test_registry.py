"""Building estimators by name, and adding one's own."""

import dataclasses
import sys
import typing

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.comparison import Auto
from fastgrad.estimators import registry
from fastgrad.estimators.base import by_options
from fastgrad.estimators.continuous.pathwise import Pathwise
from fastgrad.estimators.score_functions.reinforce import RLOO

TABLES = ("ESTIMATORS", "CONTINUOUS", "UNLISTED")


@pytest.fixture
def _own_tables(monkeypatch):
    for name in TABLES:
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))


def own(base=RLOO, **attributes):
    """Build a class of estimators with these attributes."""
    cls = type("Own", (base,), attributes)
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("RLOO", "rloo"),
        ("gumbel-softmax", "gumbel_softmax"),
        ("Gumbel-Softmax", "gumbel_softmax"),
        ("ST Gumbel", "st_gumbel"),
        ("Pathwise", "pathwise"),
        ("AUTO", "auto"),
    ],
)
def test_case_and_hyphens_do_not_matter(name, same):
    assert fg.estimator(name) == fg.estimator(same)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("relo", "rloo"), ("gumble_softmax", "gumbel_softmax"), ("DISARMS", "disarm")],
)
def test_a_slip_is_answered_with_the_nearest_name(name, meant):
    message = rf"name must be one of 'rloo', .*, 'auto', got '{name}': did you mean '{meant}'\?$"
    with pytest.raises(ValueError, match=message):
        fg.estimator(name)


@pytest.mark.parametrize("name", ["", "backpropagation through time", 3, None])
def test_where_nothing_is_near_nothing_is_proposed(name):
    with pytest.raises(ValueError, match=rf"name must be one of 'rloo', .*, got {name!r}$"):
        fg.estimator(name)


def test_auto_is_registered_by_the_package_but_not_listed():
    assert type(fg.estimator("auto")) is Auto
    assert "auto" not in [*fg.list_estimators(), *fg.list_estimators(continuous=True)]


# -- what a type checker sees ----------------------------------------------------------------------


def test_names_are_those_of_the_types():
    assert [*typing.get_args(registry.EstimatorName)] == fg.list_estimators()
    assert [*typing.get_args(registry.ContinuousName)] == fg.list_estimators(continuous=True)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="typing.get_overloads is of 3.11")
def test_overloads_have_the_options_of_the_classes():
    found = {}
    for overload in typing.get_overloads(registry.estimator):
        hints = typing.get_type_hints(overload)
        options = {name for name in hints if name not in ("name", "return")}
        for name in typing.get_args(hints["name"]):
            found.setdefault(name, (options, hints["return"]))  # the first one that fits
    listed = [*fg.list_estimators(), *fg.list_estimators(continuous=True), "auto"]
    assert set(found) == set(listed)
    for name in listed:
        options, result = found[name]
        built = fg.estimator(name)
        assert options == {field.name for field in dataclasses.fields(built)}, name
        assert isinstance(built, result)


# -- facts that depend on options ------------------------------------------------------------------


def test_facts_depend_on_options():
    estimator = fg.estimator
    assert estimator("importance_weighted").unbiased
    assert not estimator("importance_weighted", normalized=True).unbiased
    assert estimator("unordered_set").min_samples == 2
    assert estimator("unordered_set", baseline=False).min_samples == 1
    assert estimator("reinforce").min_samples == 1
    assert estimator("reinforce", baseline="optimal").min_samples == 2
    assert estimator("relax").needs == ()
    assert estimator("relax", add_objective=True).needs == ("f", "grad")


def test_a_class_has_the_facts_of_its_default_options():
    for name, cls in registry.ESTIMATORS.items():
        for fact in ("unbiased", "needs", "min_samples"):
            assert getattr(cls, fact) == getattr(fg.estimator(name), fact), (name, fact)


def test_a_fact_is_found_once_for_an_estimator():
    asked = []
    cls = own(name="own", min_samples=by_options(lambda run: asked.append(run) or len(asked)))
    first, second = cls(), cls()
    found = [run.min_samples for run in (first, first, second, first)]
    assert found == [1, 1, 2, 1]
    assert first == second


def test_facts_are_not_in_the_way_of_options():
    cls = own(name="own", unbiased=by_options(lambda run: run.name == "own"))
    assert cls.unbiased is cls().unbiased is True
    assert cls() == cls()
    assert dataclasses.fields(cls) == ()


# -- one's own -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_own_tables")
def test_an_estimator_of_ones_own_is_built_by_name():
    cls = fg.register_estimator(own(name="own"))
    assert fg.list_estimators()[-1] == "own"
    assert type(fg.estimator("Own")) is cls
    f = fg.objectives.separable(np.full((2, 3), 0.4))
    table = fg.compare(f, np.zeros((2, 3)), estimators=["own", "rloo"], repeats=5, rng=0)
    assert {row.label for row in table.rows} == {"own", "rloo"}


@pytest.mark.usefixtures("_own_tables")
def test_register_is_a_decorator_with_and_without_options():
    plain = fg.register_estimator(own(name="plain_one"))
    quiet = fg.register_estimator(listed=False)(own(name="quiet_one"))
    smooth = fg.register_estimator(own(Pathwise, name="smooth_one"))
    for cls in (plain, quiet, smooth):
        assert type(fg.estimator(cls.name)) is cls
    assert "plain_one" in fg.list_estimators()
    assert "quiet_one" not in fg.list_estimators()
    assert "smooth_one" in fg.list_estimators(continuous=True)


@pytest.mark.usefixtures("_own_tables")
def test_names_that_cannot_be_registered():
    with pytest.raises(ValueError, match="name must be new, got 'rebar', which is that of REBAR"):
        fg.register_estimator(own(name="rebar"))
    for name in ("Own", "two words", "", None):
        with pytest.raises(ValueError, match="name must be in lower case with underscores, got"):
            fg.register_estimator(own(name=name))
    for bad in (3, RLOO(), dict):
        with pytest.raises(TypeError, match="cls must be a subclass of Estimator, got"):
            fg.register_estimator(bad)
    assert type(fg.estimator("rebar")).__name__ == "REBAR"


@pytest.mark.usefixtures("_own_tables")
def test_a_class_that_is_defined_again_replaces_itself():
    first, second = own(name="own"), own(name="own")
    fg.register_estimator(first)
    fg.register_estimator(second)  # as where a cell of a notebook runs twice
    assert type(fg.estimator("own")) is second


@pytest.mark.parametrize(
    ("d", "binary"),
    [
        (fg.Categorical(np.zeros((2, 3))), []),
        (fg.Categorical(np.zeros((2, 1))), []),
        (fg.Categorical(np.zeros((2, 2))), ["arm", "arms", "disarm"]),
        (fg.Bernoulli(np.zeros(2)), ["arm", "arms", "disarm"]),
        (fg.Categorical, ["arm", "arms", "disarm"]),
    ],
)
def test_of_a_distribution_those_are_listed_that_work_with_it(d, binary):
    listed = fg.list_estimators(distribution=d)
    assert [name for name in listed if name in ("arm", "arms", "disarm")] == binary
    if isinstance(d, type):
        return
    f = fg.objectives.separable(np.full(d.logits.shape, 0.3))
    for name in listed:
        estimator, samples = fg.estimator(name), 2 if d.num_outcomes > 1 else 1
        if estimator.min_samples <= samples:
            assert np.isfinite(estimator(f, d, num_samples=samples, rng=0).grad).all()
