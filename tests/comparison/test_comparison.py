"""Moments and comparisons, against exact enumeration, plain loops and estimators made for it.

Tests that draw have fixed seeds and bounds of 5.5 standard errors: a false-alarm rate of 4e-8 for
each number compared.
"""

import dataclasses
import json
import logging
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.comparison import Auto, pilot, replicas
from fastgrad.comparison.replicas import copied, replicated, sample_moments
from fastgrad.comparison.runs import most_samples
from fastgrad.estimators import ESTIMATORS, Estimate
from fastgrad.estimators.score_functions.reinforce import RLOO, ScoreFunction

RNG = np.random.default_rng(3)
SIGMAS = 5.5
BITS = np.array([0, 1, 1, 2, 1, 2, 2, 3])  # of the outcomes of `bernoulli3`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain(ScoreFunction):
    """REINFORCE without a baseline, plus what a test wants: no nodes, but draws."""

    shift: float = 0.0
    cost: int = 1  # evaluations a sample
    size: int = 1  # of a group of samples
    wait: float = 0.0
    most: int = 10**6

    name = "plain"
    unbiased = True
    paper = "Williams, 1992"

    def group(self, num_samples):
        return self.size

    def nodes(self, distribution, num_samples):
        return None

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        if num_samples > self.most:
            raise ValueError(f"num_samples must be at most {self.most}, got {num_samples}")
        time.sleep(self.wait)
        return super().draw(distribution, num_samples, key, offset=offset, state=state)

    def ask(self, objective, distribution, draws, *, offset=0):
        for _ in range(self.cost):
            answer = objective.outcomes(distribution, draws, offset=offset)
        return answer

    def combine(self, distribution, blocks, state=None):
        pairs = list(blocks)
        z = np.concatenate([z for z, _ in pairs])
        f = np.concatenate([answer.value for _, answer in pairs])
        score = distribution.score(z)
        weight = f.reshape(*f.shape, *(1 for _ in range(score.ndim - f.ndim)))
        grad = (weight * score).mean(axis=0) + self.shift
        return Estimate(f.mean(axis=0), grad, state, len(z) * self.cost)


class Biased(Plain):
    name = "biased"
    unbiased = False


class Learner(Plain):
    """Its gradient is the number of calls before, in the shape of the logits."""

    name = "learner"

    def combine(self, distribution, blocks, state=None):
        estimate = super().combine(distribution, blocks, state)
        calls = np.zeros(()) if state is None else state["calls"]
        grad = np.full(distribution.logits.shape, float(calls))
        return estimate._replace(grad=grad, state={"calls": calls + 1})


def table_of(table):
    return fg.objective(index=lambda z: table[tuple(np.moveaxis(z, -1, 0))])


TOY = fg.objectives.separable(np.array([[0.1, 0.9, 0.3], [0.5, 0.2, 0.7]]), weights=np.eye(2, 3))
LOGITS = np.array([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]])


# -- copies ---------------------------------------------------------------------------------------


def minibatch():
    """An objective with every part: 4 examples of 3 variables with 2 categories, no symmetry."""
    weights = RNG.normal(size=(4, 3, 2))

    def f(x):
        terms = (x * weights).sum(axis=-1)
        return terms.sum(axis=-1) ** 2, terms

    def index(z):
        return f(np.eye(2)[z])

    def local(z):
        return weights * np.cos(z)[..., None]

    def expectation(distribution):
        return distribution.logits.sum(axis=(1, 2)), weights * distribution.logits

    return fg.objective(
        f, grad=lambda x: x * weights, index=index, local=local, expectation=expectation
    )


def test_copies_are_put_to_f_as_samples_of_one_problem():
    f, copies = minibatch(), 5
    side_by_side = replicated(f)
    z = RNG.integers(0, 2, (6, copies, 4, 3))
    x = RNG.normal(size=(6, copies, 4, 3, 2))
    for part, argument in (("grad", x), ("local", z)):
        answer = getattr(side_by_side, part)(argument)
        each = [getattr(f, part)(argument[:, c]) for c in range(copies)]
        np.testing.assert_array_equal(answer, np.stack(each, axis=1))
    for part, argument in (("f", x), ("index", z)):
        answer = getattr(side_by_side, part)(argument)
        each = [getattr(f, part)(argument[:, c]) for c in range(copies)]
        assert isinstance(answer, tuple)
        for i in range(2):
            np.testing.assert_array_equal(answer[i], np.stack([e[i] for e in each], axis=1))
    d = fg.Categorical(RNG.normal(size=(copies, 4, 3, 2)))
    value, grad = side_by_side.expectation(d)
    assert value.shape == (copies, 4)
    np.testing.assert_array_equal(grad[2], f.expectation(fg.Categorical(d.logits[2]))[1])
    assert replicated(fg.objective(index=f.index)).f is None


def test_a_value_and_gradient_in_one_is_put_to_copies_too():
    """Here f takes one example of six features, and no number of copies."""
    weights = np.arange(1.0, 7)
    f = fg.objective(
        lambda x: x.reshape(len(x), 6) ** 2 @ weights,
        grad=lambda x: (2 * x.reshape(len(x), 6) * weights).reshape(x.shape),
    )
    both = fg.objective(value_and_grad=lambda x: (f.f(x), f.grad(x)))
    run, logits = fg.estimator("straight_through"), np.zeros((2, 3))
    found, expected = (fg.moments(run, each, logits, num_samples=1) for each in (both, f))
    np.testing.assert_array_equal(found.mean, expected.mean)


@pytest.mark.parametrize("d", [fg.Categorical(LOGITS), fg.Bernoulli(LOGITS[0])])
def test_copies_are_independent_estimates(d):
    """The rows of one call, drawn from one key, have the moments of separate calls."""
    weights = RNG.normal(size=d.logits.shape)
    f = fg.objective(lambda x: np.cos((x * weights).reshape(len(x), -1).sum(axis=1)))
    run, copies = fg.estimator("rloo"), 40_000
    grad = run(replicated(f), copied(d, copies), num_samples=2, rng=5).grad.reshape(copies, -1)
    exact = fg.moments(run, f, d, num_samples=2)
    assert exact.exact
    error = np.sqrt(exact.variance.reshape(-1) / copies)
    assert (np.abs(grad.mean(axis=0) - exact.mean.reshape(-1)) < SIGMAS * error).all()
    # Neighbours are uncorrelated: the mean product of n pairs has this standard error.
    deviation = grad - exact.mean.reshape(-1)
    product = (deviation[1:] * deviation[:-1]).mean(axis=0)
    assert (np.abs(product) < SIGMAS * exact.variance.reshape(-1) / np.sqrt(copies - 1)).all()


# -- moments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "variance"), [(2, 7.275e-3), (3, 3.2e-3), (4, 1.9875e-3)])
def test_moments_of_rloo_on_the_three_bit_toy(k, variance):
    found = fg.moments("rloo", fg.objectives.bernoulli3(), np.zeros(8), num_samples=k)
    assert found.exact
    assert found.mean @ BITS == pytest.approx(-0.045, abs=1e-12)
    assert BITS @ found.covariance @ BITS == pytest.approx(variance, rel=1e-9)
    np.testing.assert_allclose(np.diag(found.covariance), found.variance, rtol=1e-12)
    assert not found.standard_error.any()


@pytest.mark.parametrize(("t", "variance"), [(0.45, 6.25e-4), (0.499, 2.5e-7)])
def test_moments_of_rloo_on_the_one_bit_toy(t, variance):
    f = fg.objectives.separable(np.array([t]))
    for dtype in (np.float32, np.float64):
        found = fg.moments("rloo", f, fg.Bernoulli(np.zeros(1, dtype)), num_samples=2)
        assert found.mean.dtype == np.float64
        np.testing.assert_allclose(found.mean, (1 - 2 * t) / 4, rtol=1e-12)
        np.testing.assert_allclose(found.variance, variance, rtol=1e-9)


def test_moments_of_draws_are_those_of_the_rows():
    """Against NumPy on the very estimates, in one block and in many."""
    f, d, draws = minibatch(), fg.Categorical(RNG.normal(size=(4, 3, 2))), 100
    run = Plain()
    for numbers in (1 << 20, 24 * 5 * 7):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(replicas, "NUMBERS", numbers)
            found = fg.moments(run, f, d, num_samples=5, rng=2, draws=draws)
        size = min(draws, numbers // (24 * 5))
        rows = [
            run(
                replicated(f),
                copied(d, min(size, draws - begin)),
                num_samples=5,
                rng=fg.Key(2).fold_in(number),
            ).grad
            for number, begin in enumerate(range(0, draws, size))
        ]
        assert (len(rows) == 1) == (numbers == 1 << 20)
        rows = np.concatenate(rows).reshape(draws, -1)
        np.testing.assert_allclose(found.mean.reshape(-1), rows.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(found.covariance, np.cov(rows.T), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(found.variance.reshape(-1), np.var(rows, 0, ddof=1), rtol=1e-9)
        error = np.sqrt(np.var(rows, 0, ddof=1) / draws)
        np.testing.assert_allclose(found.standard_error.reshape(-1), error, rtol=1e-9)
        assert not found.exact
        assert found.mean.shape == found.variance.shape == d.logits.shape


@pytest.mark.parametrize("d", [fg.Categorical(LOGITS), fg.Bernoulli(LOGITS)])
def test_moments_of_draws_agree_with_exact_ones(d):
    exact = fg.moments("rloo", TOY, d, num_samples=2)
    drawn = sample_moments(RLOO(), TOY, d, 2, fg.Key(0), 50_000, None, None, covariance=True)
    assert exact.exact
    assert not drawn.exact
    assert (np.abs(drawn.mean - exact.mean) < SIGMAS * drawn.standard_error).all()
    # Fourth moments of these estimates are below 40 squared variances.
    np.testing.assert_allclose(drawn.variance, exact.variance, rtol=SIGMAS * np.sqrt(40 / 50_000))


def test_moments_are_the_same_for_a_key_and_need_one_where_they_are_drawn():
    a, b, c = (fg.moments(Plain(), TOY, LOGITS, num_samples=3, rng=r, draws=9) for r in (1, 1, 2))
    np.testing.assert_array_equal(a.mean, b.mean)
    assert (a.mean != c.mean).any()
    with pytest.raises(TypeError, match=r"rng must be an int, SeedSequence, .* got None"):
        fg.moments(Plain(), TOY, LOGITS, num_samples=3)


def test_moments_in_a_state():
    start = fg.moments(Learner(), TOY, LOGITS, num_samples=2, rng=0, draws=10)
    assert not start.mean.any()
    state = {"calls": np.array(7.0)}
    later = fg.moments(Learner(), TOY, LOGITS, num_samples=2, rng=0, draws=10, state=state)
    np.testing.assert_array_equal(later.mean, np.full((2, 3), 7.0))
    assert not later.variance.any()
    assert state == {"calls": 7.0}


def test_what_is_the_users_own_is_never_given_copies():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Own(Plain):
        baseline: object = None

        def combine(self, distribution, blocks, state=None):
            assert distribution.logits.shape == LOGITS.shape or self.baseline == Plain()
            return super().combine(distribution, blocks, state)

    for baseline in (lambda x: x, np.zeros(2), [1.0]):
        fg.moments(Own(baseline=baseline), TOY, LOGITS, num_samples=2, rng=0, draws=5)
    fg.moments(Own(baseline=Plain()), TOY, LOGITS, num_samples=2, rng=0, draws=5)
    with pytest.raises(AssertionError):
        fg.moments(Own(), TOY, LOGITS, num_samples=2, rng=0, draws=5)


def test_many_logits_have_no_covariance():
    f = fg.objectives.linear(np.ones(1100))
    found = fg.moments("rloo", f, np.zeros(1100), num_samples=2, rng=0, draws=3)
    assert found.covariance is None
    assert not found.exact


def test_a_block_bounds_what_f_is_handed():
    sizes = []

    def f(x):
        sizes.append(len(x))
        return x[:, 0, 0]

    for block in (1, 3, 4, 9, 100):
        sizes.clear()
        fg.moments(Plain(), f, LOGITS, num_samples=4, rng=0, draws=50, block_size=block)
        assert max(sizes) <= block
        sizes.clear()
        fg.compare(
            f,
            LOGITS,
            estimators=[Plain()],
            num_samples=4,
            repeats=50,
            rng=0,
            block_size=block,
            budget=1,
        )
        assert max(sizes) <= block


BAD_MOMENTS = {
    "no such name": (("rlo",), {}, ValueError, "estimator must be one of"),
    "not an estimator": ((3,), {}, TypeError, "estimator must be an Estimator or a name, got 3"),
    "one draw": ((Plain(),), {"draws": 1, "rng": 0}, ValueError, "draws must be at least 2, got 1"),
    "one sample": (("rloo",), {"num_samples": 1}, ValueError, "rloo needs at least 2 samples"),
    "no part": (
        ("gumbel_softmax",),
        {"f": lambda x: x[:, 0, 0], "rng": 0},
        TypeError,
        "gumbel_softmax needs the gradient of f",
    ),
    "wrong shape": (
        ("rloo",),
        {"f": lambda x: x},
        ValueError,
        r"leading part of \(S, \*batch\) = \(2, 2\), got \(2, 2, 3\)",
    ),
    "not per sample": (
        ("rloo",),
        {"f": lambda x: np.ones(2)},
        ValueError,
        r"values of its 162 samples, got shape \(2,\)",
    ),
}


@pytest.mark.parametrize("case", BAD_MOMENTS)
def test_bad_input_to_moments(case):
    (which,), options, kind, message = BAD_MOMENTS[case]
    options = {"f": TOY, "distribution": LOGITS, "num_samples": 2} | options
    with pytest.raises(kind, match=message):
        fg.moments(which, **options)


# -- compare: budgets, states, refusals ------------------------------------------------------------


def rows_of(comparison):
    return {row.label: row for row in comparison.rows}


@pytest.mark.parametrize(
    ("estimator", "budget", "samples", "evaluations"),
    [
        (Plain(), 8, 8, 8),
        (Plain(), 1, 1, 1),
        (Plain(cost=3), 8, 2, 6),
        (Plain(cost=3), 2, 1, 3),
        (Plain(cost=3), 100, 33, 99),
        (Plain(size=3), 8, 6, 6),
        (Plain(size=3), 2, 3, 3),
        (Plain(size=4, cost=2), 27, 12, 24),
        (Plain(most=5), 8, 5, 5),
        (RLOO(), 1, 2, 2),
        (RLOO(), 7, 7, 7),
    ],
)
def test_all_spend_the_same_number_of_evaluations(estimator, budget, samples, evaluations):
    found = fg.compare(TOY, LOGITS, estimators=[estimator], num_samples=budget, repeats=2, rng=0)
    assert (found.best.num_samples, found.best.evaluations) == (samples, evaluations)


def test_a_cost_that_is_not_proportional():
    class Extra(Plain):
        def combine(self, distribution, blocks, state=None):
            estimate = super().combine(distribution, blocks, state)
            return estimate._replace(evaluations=estimate.evaluations + 1)

    for budget, samples in ((1, 1), (2, 1), (8, 7), (100, 99)):
        found = fg.compare(TOY, LOGITS, estimators=[Extra()], num_samples=budget, repeats=2, rng=0)
        assert found.best.num_samples == samples


def test_most_samples():
    assert [most_samples(Plain(size=4), n) for n in (1, 4, 7, 8, 100)] == [4, 4, 4, 8, 100]

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Whole(Plain):
        min_samples = 3

        def group(self, num_samples):
            return num_samples

    assert [most_samples(Whole(), n) for n in (1, 3, 7)] == [3, 3, 7]


def test_evaluations_are_counted():
    spent = []

    def f(x):
        spent.append(len(x))
        return x[:, 0, 0]

    def local(z):
        spent.append(3 * z.size)
        return np.zeros((*z.shape, 3))

    class Local(Plain):
        needs = ("local",)

        def ask(self, objective, distribution, draws, *, offset=0):
            objective.neighbours(distribution, draws, offset=offset)
            return super().ask(objective, distribution, draws, offset=offset)

    f = fg.objective(f, local=local)
    found = fg.compare(f, LOGITS, estimators=["rloo", Plain(), Local()], repeats=10, rng=0)
    assert found.evaluations == sum(spent)


def test_what_would_take_too_long_is_skipped():
    rows = []

    def f(x):
        rows.append(len(x))
        return x[:, 0, 0]

    found = fg.compare(
        f, LOGITS, estimators=["rloo", Plain(cost=10**5)], num_samples=2, repeats=5, rng=0
    )
    assert found.skipped == {"plain(cost=100000)": "it would need too many evaluations of f"}
    assert sum(rows) < 6000
    found = fg.compare(f, LOGITS, estimators=[Plain(cost=3000)], num_samples=2, repeats=5, rng=0)
    assert found.best.evaluations == 3000


def test_states_are_carried_through_a_warm_up():
    found = fg.compare(TOY, LOGITS, estimators=[Learner(), Plain()], repeats=3, rng=0, warm_up=20)
    rows = rows_of(found)
    assert rows["learner"].state["calls"] == 20  # its gradient then is 20 everywhere
    assert rows["learner"].bias == pytest.approx(np.linalg.norm(20 - found.grad), rel=1e-12)
    assert rows["learner"].variance == 0
    assert rows["plain"].state is None
    assert "learner†" in str(found)
    assert "† with what it had learned in 20 estimates before" in str(found)
    assert [row["stateful"] for row in found.to_dict()["rows"]] == [
        row.label == "learner" for row in found.rows
    ]
    none = fg.compare(TOY, LOGITS, estimators=[Learner()], repeats=3, rng=0, warm_up=0)
    assert none.best.state is None


def test_what_refuses_is_skipped_with_its_reason():
    class Refuses(Plain):
        name = "refuses"

        def draw(self, distribution, num_samples, key, *, offset=0, state=None):
            raise ValueError("refuses works for Bernoulli variables only")

    class Bad(Plain):
        name = "bad"

        def combine(self, distribution, blocks, state=None):
            estimate = super().combine(distribution, blocks, state)
            return estimate._replace(grad=estimate.grad * np.nan)

    class Later(Plain):
        """Works on the problem itself, not on copies of it."""

        name = "later"

        def combine(self, distribution, blocks, state=None):
            if distribution.logits.ndim > 2:
                raise TypeError("later is confused")
            return super().combine(distribution, blocks, state)

    black_box = fg.objective(TOY.f)
    which = ["rloo", "gumbel_softmax", Refuses(), Bad(), Later()]
    found = fg.compare(black_box, LOGITS, estimators=which, repeats=5, rng=0)
    assert [row.label for row in found.rows] == ["rloo"]
    assert found.skipped == {
        "gumbel_softmax": "gumbel_softmax needs the gradient of f at relaxed points: "
        "fg.objective(f, grad=...)",
        "refuses": "refuses works for Bernoulli variables only",
        "bad": "its gradient is not finite",
        "later": "later is confused",
    }
    assert "skipped: bad: its gradient is not finite" in str(found)
    with pytest.raises(ValueError, match=r"none of the estimators works: refuses: .*; bad: "):
        fg.compare(TOY, LOGITS, estimators=[Refuses(), Bad()], repeats=5, rng=0)


def test_a_broken_f_is_told():
    def broken(x):
        return x @ np.ones(7)

    with pytest.raises(ValueError, match="none of the estimators works: rloo: matmul") as caught:
        fg.compare(broken, LOGITS, estimators=["rloo"], rng=0)
    assert caught.value.__cause__ is not None


def test_by_default_all_are_compared_or_skipped():
    f = fg.objective(lambda x: x[:, 0, 0] * x[:, 1, 1])
    found = fg.compare(f, LOGITS.astype(np.float32), num_samples=2, repeats=2, rng=0, warm_up=1)
    assert {row.label for row in found.rows} | set(found.skipped) == set(ESTIMATORS)
    assert "rloo" in rows_of(found)
    assert "gumbel_softmax" in found.skipped


def test_labels_tell_options_apart():
    which = ["rloo", Plain(), Plain(shift=0.5), Plain(cost=2), Plain(cost=2)]
    found = fg.compare(TOY, LOGITS, estimators=which, repeats=2, rng=0)
    labels = {"rloo", "plain", "plain(shift=0.5)", "plain(cost=2)", "plain(cost=2) no. 2"}
    assert set(rows_of(found)) == labels

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Own(Plain):
        weights: object

    found = fg.compare(TOY, LOGITS, estimators=[Own(weights=np.zeros(99))], repeats=2, rng=0)
    assert "\n" not in found.best.label
    assert len(found.best.label) < 150


# -- compare: what it finds ------------------------------------------------------------------------


def test_moments_in_a_comparison_are_exact_where_that_costs_no_more():
    found = fg.compare(TOY, LOGITS, estimators=["rloo"], num_samples=2, repeats=100, rng=0)
    exact = fg.moments("rloo", TOY, LOGITS, num_samples=2)
    assert found.best.exact
    assert found.best.variance == pytest.approx(exact.variance.sum(), rel=1e-12)
    assert found.best.bias < 1e-15
    assert found.best.bias_error == 0
    assert "rloo*" in str(found)
    found = fg.compare(TOY, LOGITS, estimators=["rloo"], num_samples=2, repeats=80, rng=0)
    assert not found.best.exact
    assert "*" not in str(found)


def test_bias_variance_and_error_against_the_exact_truth():
    repeats, shift = 20_000, 0.05
    which = [Plain(), Biased(shift=shift)]
    found = fg.compare(TOY, LOGITS, estimators=which, num_samples=4, repeats=repeats, rng=0)
    rows, truth = rows_of(found), fg.exact.grad(TOY, LOGITS)
    assert found.truth == "exact"
    np.testing.assert_allclose(found.grad, truth, rtol=1e-12)
    one = fg.moments(Plain(), TOY, LOGITS, num_samples=1, rng=9, draws=100_000)
    variance = one.variance.sum() / 4
    plain, biased = rows["plain"], rows["biased(shift=0.05)"]
    for row in (plain, biased):
        assert row.variance == pytest.approx(variance, rel=0.1)
        assert row.bias_error == pytest.approx(np.sqrt(variance / repeats), rel=0.1)
        assert row.variance_seconds == row.variance * row.seconds
        assert row.error_seconds == row.error * row.seconds
    assert plain.bias < SIGMAS * plain.bias_error
    offset = shift * np.sqrt(6)
    assert abs(biased.bias - offset) < SIGMAS * biased.bias_error
    assert plain.error == pytest.approx(plain.variance, rel=0.01)
    assert biased.error == pytest.approx(biased.variance + offset**2, rel=0.1)


def test_the_pooled_truth():
    """With too many outcomes the truth is the mean of the unbiased, weighted by precision."""
    which = [Plain(), Plain(cost=2), RLOO(), Biased(shift=1.0)]
    found = fg.compare(TOY.f, LOGITS, estimators=which, repeats=200, rng=0, budget=5)
    assert found.truth == (
        "mean of the unbiased estimators, since 9 joint outcomes are more than budget=5"
    )
    rows = rows_of(found)
    spread = {label: row.variance / 200 for label, row in rows.items()}
    pool = [label for label in rows if not label.startswith("biased")]
    common = 1 / sum(1 / spread[label] for label in pool)
    for label, row in rows.items():
        sign = -1 if label in pool else 1
        assert row.bias_error == pytest.approx(np.sqrt(spread[label] + sign * common), rel=1e-6)
        assert row.error == pytest.approx(
            row.variance + max(0, row.bias**2 - row.bias_error**2), rel=1e-12
        )
    truth = fg.exact.grad(TOY, LOGITS)
    assert np.linalg.norm(found.grad - truth) < SIGMAS * np.sqrt(common)
    biased = next(row for label, row in rows.items() if label.startswith("biased"))
    assert abs(biased.bias - np.sqrt(6)) < SIGMAS * biased.bias_error


def test_a_truth_is_made_where_nothing_is_unbiased():
    found = fg.compare(TOY.f, LOGITS, estimators=[Biased(shift=1.0)], repeats=200, rng=0, budget=5)
    assert found.truth.startswith("mean of 200 estimates of rloo, since 9 joint outcomes")
    assert found.best.bias == pytest.approx(np.sqrt(6), rel=0.1)


def test_what_has_no_variance_is_the_truth():
    class Certain(Plain):
        name = "certain"

        def combine(self, distribution, blocks, state=None):
            estimate = super().combine(distribution, blocks, state)
            return estimate._replace(grad=np.ones(distribution.logits.shape))

    found = fg.compare(TOY.f, LOGITS, estimators=[Plain(), Certain()], repeats=9, rng=0, budget=5)
    np.testing.assert_array_equal(found.grad, np.ones((2, 3)))
    certain = rows_of(found)["certain"]
    assert certain.bias == certain.bias_error == certain.error == 0
    assert found.best is certain


def test_rows_are_sorted_by_error_per_second():
    which = [Plain(wait=0.02), Plain(), Biased(shift=3.0), "rloo"]
    found = fg.compare(TOY, LOGITS, estimators=which, repeats=50, rng=0)
    costs = [row.error_seconds for row in found.rows]
    assert costs == sorted(costs)
    order = [row.label for row in found.rows]
    assert order.index("plain") < order.index("plain(wait=0.02)")
    assert order.index("rloo") < order.index("biased(shift=3.0)")
    assert rows_of(found)["plain(wait=0.02)"].seconds >= 0.02
    assert found.best is found.rows[0]
    assert found.reason.startswith(f"{order[0]} has the smallest error per second, ")
    assert f"less than {order[1]}, of 4 compared" in found.reason


def test_exact_ones_are_sorted_by_time():
    """Beyond rounding there is no smaller error."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Noisy(Plain):
        noise: float = 0.0

        def combine(self, distribution, blocks, state=None):
            estimate = super().combine(distribution, blocks, state)
            return estimate._replace(
                grad=np.broadcast_to(truth, distribution.logits.shape) * (1 + self.noise)
            )

    truth = fg.exact.grad(TOY, LOGITS)
    which = [Noisy(noise=0.0, wait=0.01), Noisy(noise=1e-15)]
    found = fg.compare(TOY, LOGITS, estimators=which, repeats=4, rng=0)
    assert found.rows[0].estimator == which[1]
    assert found.rows[0].error > found.rows[1].error


def test_a_minibatch_with_credit_and_examples():
    f, d = minibatch(), fg.Categorical(RNG.normal(size=(4, 3, 2)))
    f = dataclasses.replace(f, expectation=None)
    found = fg.compare(f, d, estimators=["rloo", Plain()], repeats=2000, rng=1)
    assert found.truth == "exact"
    np.testing.assert_allclose(found.grad, fg.exact.grad(f, d), rtol=1e-12)
    assert found.grad.shape == d.logits.shape
    plain = rows_of(found)["plain"]
    assert plain.bias < SIGMAS * plain.bias_error


def test_all_but_seconds_is_decided_by_the_key():
    def facts(rng):
        found = fg.compare(TOY, LOGITS, estimators=["rloo", Learner(), Plain()], repeats=9, rng=rng)
        return {
            label: (row.bias, row.bias_error, row.variance, row.error, row.num_samples)
            for label, row in rows_of(found).items()
        }

    assert facts(4) == facts(fg.Key(4))
    assert facts(4)["plain"] != facts(5)["plain"]


def test_progress_is_told():
    told = []
    fg.compare(
        fg.objective(TOY.f),
        LOGITS,
        estimators=["rloo", "gumbel_softmax", Plain()],
        repeats=2,
        rng=0,
        callback=lambda *step: told.append(step),
    )
    assert [done for done, *_ in told] == list(range(1, 7))
    assert {total for _, total, _ in told} == {6}
    assert sorted(label for *_, label in told) == sorted(["rloo", "gumbel_softmax", "plain"] * 2)


BAD_COMPARISONS = {
    "one name": ({"estimators": "rloo"}, TypeError, "estimators must be a list .* got 'rloo'"),
    "no estimators": ({"estimators": []}, ValueError, "estimators must name at least one"),
    "no such name": ({"estimators": ["rlo"]}, ValueError, "each of estimators must be one of"),
    "not an estimator": ({"estimators": [3]}, TypeError, "must be an Estimator or a name, got 3"),
    "no samples": ({"num_samples": 0}, ValueError, "num_samples must be at least 1, got 0"),
    "one repeat": ({"repeats": 1}, ValueError, "repeats must be at least 2, got 1"),
    "warm-up": ({"warm_up": -1}, ValueError, "warm_up must be at least 0, got -1"),
    "budget": ({"budget": 0}, ValueError, "budget must be at least 1, got 0"),
    "no key": ({"rng": None}, TypeError, "rng must be"),
    "not a function": ({"f": 3}, TypeError, "f must be a function or an Objective, got 3"),
    "logits": ({"distribution": [np.nan, 0]}, ValueError, "logits must be below infinity"),
}


@pytest.mark.parametrize("case", BAD_COMPARISONS)
def test_bad_input_to_compare(case):
    options, kind, message = BAD_COMPARISONS[case]
    with pytest.raises(kind, match=message):
        fg.compare(**({"f": TOY, "distribution": LOGITS, "rng": 0} | options))


# -- the table ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found():
    return fg.compare(
        TOY,
        LOGITS,
        estimators=["rloo", "gumbel_softmax", Plain(), Biased(shift=1.0), Learner()],
        repeats=20,
        rng=0,
    )


def test_the_table_as_text(found):
    lines = str(found).splitlines()
    assert lines[0].split()[:4] == ["estimator", "unbiased", "samples", "evaluations"]
    assert lines[0].rstrip().endswith("error s")
    assert len({len(line) for line in lines[:6]}) == 1
    assert [line.split()[0].rstrip("*†") for line in lines[1:6]] == [r.label for r in found.rows]
    assert [line.split()[1] for line in lines[1:6]] == [
        "yes" if row.estimator.unbiased else "no" for row in found.rows
    ]
    assert f"{found.rows[0].error_seconds:.2e}" == lines[1].split()[-1]
    assert "truth: exact" in lines


def test_the_table_as_a_dictionary(found):
    data = json.loads(json.dumps(found.to_dict()))
    assert [row["label"] for row in data["rows"]] == [row.label for row in found.rows]
    for given, row in zip(data["rows"], found.rows):
        for name in ("bias", "variance", "error", "seconds", "variance_seconds", "error_seconds"):
            assert given[name] == getattr(row, name)
        assert given["unbiased"] is row.estimator.unbiased
    assert np.shape(data["grad"]) == (2, 3)
    assert data["evaluations"] == found.evaluations
    assert data["repeats"] == 20


def test_the_table_as_a_picture(found, tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = found.plot(tmp_path / "picture.png", title="a title")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    bars, points = figure.axes
    assert len(bars.patches) == 10
    labels = [label.get_text() for label in bars.get_yticklabels()]
    assert labels == [f"{row.label}  {i}" for i, row in enumerate(found.rows, 1)]
    error = [bar.get_x() + bar.get_width() for bar in bars.patches[:5]]
    np.testing.assert_allclose(error, [row.error_seconds for row in found.rows])
    at = points.collections[0].get_offsets()
    np.testing.assert_allclose(at[:, 0], [row.seconds for row in found.rows])
    shown = [row.variance > 0 for row in found.rows]
    np.testing.assert_allclose(at[shown, 1], [row.variance for row in found.rows if row.variance])
    assert points.get_xscale() == points.get_yscale() == bars.get_xscale() == "log"
    assert figure.get_suptitle() == "a title"
    whole = Figure()
    part = whole.subfigures(2, 1)[0]
    assert found.plot(figure=part) is part


def test_a_picture_of_nothing_but_certainty(tmp_path):
    pytest.importorskip("matplotlib")
    certain = fg.compare(lambda x: np.ones(len(x)), LOGITS, estimators=["rloo"], repeats=2, rng=0)
    assert certain.best.error == 0
    assert (
        certain.reason == "rloo has the smallest error per second: nothing else could be compared"
    )
    certain.plot(tmp_path / "certain.png")


def test_a_picture_without_matplotlib(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install fastgrad\[plot\]"):
        found.plot()


# -- auto -----------------------------------------------------------------------------------------


def test_auto_keeps_the_winner_and_says_why(caplog):
    spent = []

    def f(x):
        spent.append(len(x))
        return TOY.f(x)

    auto = fg.estimator("auto", estimators=[Plain(wait=0.01), "rloo", Biased(shift=9.0)])
    assert isinstance(auto, Auto)
    with caplog.at_level(logging.INFO, "fastgrad"):
        first = auto(f, LOGITS, num_samples=8, rng=0)
    assert first.state["auto_winner"] == "rloo"
    assert str(first.state["auto_reason"]).startswith("rloo has the smallest error per second, ")
    assert [r.message for r in caplog.records] == [f"auto: {first.state['auto_reason']}"]
    assert first.evaluations == sum(spent) > 3 * 32 * 8
    assert all(isinstance(value, np.ndarray) for value in first.state.values())
    spent.clear()
    second = auto(f, LOGITS, num_samples=8, rng=1, state=first.state)
    assert second.evaluations == sum(spent) == 8
    expected = fg.estimator("rloo")(TOY, LOGITS, num_samples=8, rng=1)
    np.testing.assert_array_equal(second.grad, expected.grad)
    assert second.value == expected.value
    assert second.state == first.state


def test_auto_carries_the_state_of_the_winner():
    auto = Auto(estimators=(Learner(),), repeats=5)
    estimate = auto(TOY, LOGITS, num_samples=8, rng=0)
    assert estimate.state["calls"] == 6  # the warm-up, and this one
    assert (estimate.grad == 5).all()
    estimate = auto(TOY, LOGITS, num_samples=8, rng=1, state=estimate.state)
    assert (estimate.grad == 6).all()
    assert set(estimate.state) == {
        "auto_winner",
        "auto_reason",
        "auto_samples",
        "auto_budget",
        "calls",
    }


def test_auto_spends_what_it_may():
    auto = Auto(estimators=(Plain(cost=3),), repeats=2)
    state = auto(TOY, LOGITS, num_samples=8, rng=0).state
    for budget, spent in ((8, 6), (16, 12), (4, 3), (1, 3)):
        estimate = auto(TOY, LOGITS, num_samples=budget, rng=1, state=state)
        assert estimate.evaluations == spent


def test_auto_passes_blocks_on():
    sizes = []

    def f(x):
        sizes.append(len(x))
        return TOY.f(x)

    auto = Auto(estimators=("rloo",), repeats=3)
    state = auto(f, LOGITS, num_samples=8, rng=0, block_size=3).state
    whole = auto(TOY, LOGITS, num_samples=8, rng=4, state=state)
    sizes.clear()
    blocks = auto(f, LOGITS, num_samples=8, rng=4, state=state, block_size=3)
    assert sizes == [3, 3, 2]
    np.testing.assert_array_equal(blocks.grad, whole.grad)


def test_auto_by_name():
    auto = fg.estimator("auto", repeats=5)
    assert auto == Auto(repeats=5)
    assert "auto" not in fg.list_estimators()
    assert type(auto) is Auto
    d = fg.Bernoulli(np.zeros(4, np.float32))
    f = fg.objectives.separable(np.full(4, 0.45, np.float32))
    estimate = auto(f, d, num_samples=4, rng=0)
    assert str(estimate.state["auto_winner"]) in pilot.OFTEN_BEST
    assert set(pilot.OFTEN_BEST) <= set(ESTIMATORS)
    assert estimate.grad.shape == (4,)
    assert estimate.grad.dtype == np.float32


def test_distributions_without_logits_are_refused():
    d = SimpleNamespace(batch_shape=(3,))
    for call in (
        lambda: fg.moments("rloo", TOY, d, num_samples=2),
        lambda: fg.compare(TOY, d, rng=0),
        lambda: fg.estimator("auto")(TOY, d, num_samples=2, rng=0),
    ):
        with pytest.raises(TypeError, match="Categorical, Bernoulli or logits, got SimpleName"):
            call()


def test_bad_input_to_auto():
    with pytest.raises(ValueError, match="repeats must be at least 2, got 1"):
        fg.estimator("auto", repeats=1)
    with pytest.raises(TypeError, match="auto has no option 'temperature'"):
        fg.estimator("auto", temperature=1.0)
    with pytest.raises(TypeError, match="estimators must be a sequence of estimators, got 'rloo'"):
        fg.estimator("auto", estimators="rloo")
    with pytest.raises(ValueError, match=r"each of estimators must be one of .* got 'rlo'"):
        fg.estimator("auto", estimators=["rlo"])
    state = Auto(estimators=(Plain(),), repeats=2)(TOY, LOGITS, num_samples=8, rng=0).state
    with pytest.raises(ValueError, match=r"state must come from this estimator, .* 'plain'"):
        Auto(estimators=("rloo",))(TOY, LOGITS, num_samples=8, rng=0, state=state)
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        Auto()(TOY, LOGITS, num_samples=0, rng=0)


def test_masked_values_of_copies_are_refused():
    """The estimate that checks what is asked sees few samples: f may mask others later."""

    def f(x):
        values = x[..., 0].sum(-1)
        return values if len(x) <= 4 else np.ma.masked_array(values, mask=values > 0)

    with pytest.raises(TypeError, match="what f returns must not be a NumPy masked array"):
        fg.moments("rloo", f, fg.Categorical(np.zeros((1, 3))), num_samples=4, rng=0, draws=50)


def test_moments_of_structures_list_no_more_than_memory_holds(monkeypatch):
    d, f = fg.subset.KSubset(np.arange(5.0) / 3, 2), fg.objectives.linear(np.arange(5.0))
    assert fg.moments("unordered_set", f, d, num_samples=3).exact
    count = len(fg.estimator("unordered_set").for_distribution(d).nodes(d, 3)[1])
    monkeypatch.setattr(replicas, "LISTED", count * 10 * 5 - 1)  # of 10 sets of 5 items
    found = fg.moments("unordered_set", f, d, num_samples=3, rng=0, draws=50)
    assert not found.exact


@pytest.mark.parametrize("draws", [None, 5])
def test_moments_of_no_variables(draws):
    d, f = fg.Categorical(np.zeros((0, 3))), fg.objective(lambda x: np.full(len(x), 3.0))
    options = {} if draws is None else {"draws": draws}
    found = fg.moments("rloo", f, d, num_samples=2, rng=0, **options)
    assert found.mean.shape == (0, 3)
