"""What categorical and Bernoulli variables share: the base class `Discrete`."""

import dataclasses

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.distributions import bernoulli, concrete
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical, as_distribution
from fastgrad.distributions.discrete import Discrete

RNG = np.random.default_rng(8)
LOGITS = RNG.normal(size=(2, 3, 4)).astype(np.float32)
KINDS = pytest.mark.parametrize("kind", [Categorical, Bernoulli])


def test_an_array_means_categoricals():
    assert isinstance(as_distribution(LOGITS), Categorical)
    for d in (Categorical(LOGITS), Bernoulli(LOGITS)):
        assert as_distribution(d) is d
        assert isinstance(d, Discrete)


def test_shapes():
    d = Categorical(LOGITS)
    assert (d.batch_shape, d.num_variables, d.num_outcomes, d.num_features) == ((2, 3), 6, 4, 4)
    assert not d.single_logit
    assert d.row_shape == d.rows.shape == d.matrix_shape == d.matrix.shape == (6, 4)
    d = Bernoulli(LOGITS)
    assert (d.batch_shape, d.num_variables, d.num_outcomes, d.num_features) == ((2, 3, 4), 24, 2, 1)
    assert d.single_logit
    assert d.row_shape == d.rows.shape == (24,)
    assert d.matrix_shape == d.matrix.shape == (24, 1)


@KINDS
def test_rows_are_the_logits(kind):
    for rows in (kind(LOGITS).rows, kind(LOGITS).matrix):
        np.testing.assert_array_equal(rows.reshape(LOGITS.shape), LOGITS)


@KINDS
def test_features_less_their_mean_are_the_score(kind):
    d = kind(LOGITS.astype(np.float64))
    z = RNG.integers(0, d.num_outcomes, (5, *d.batch_shape)).astype(np.int32)
    x = d.features(z)
    assert x.shape == (5, *d.logits.shape)
    assert set(np.unique(x)) == {0.0, 1.0}
    for i in np.ndindex(2, 3, 4):
        weights = np.zeros((2, 3, 4))
        weights[i] = 1
        mean, _ = d.mean_and_product(weights)
        np.testing.assert_allclose(d.score(z)[(slice(None), *i)], x[(slice(None), *i)] - mean)


@KINDS
def test_features_have_the_dtype_of_the_logits(kind):
    d = kind(LOGITS)
    assert d.features(np.zeros((1, *d.batch_shape), np.int32)).dtype == np.float32


@KINDS
def test_probabilities_sum_to_one(kind):
    d = kind(LOGITS)
    table = d.log_probabilities()
    assert table.shape == (d.num_outcomes, *d.batch_shape)
    np.testing.assert_allclose(np.exp(table).sum(axis=0), 1, rtol=1e-6)


@KINDS
def test_the_product_is_the_slope_of_the_mean(kind):
    logits, weights, h = LOGITS.astype(np.float64), RNG.normal(size=(2, 3, 4)), 1e-5
    _, grad = kind(logits).mean_and_product(weights)
    for i in np.ndindex(2, 3, 4):
        step = np.zeros((2, 3, 4))
        step[i] = h
        up, down = (kind(logits + s).mean_and_product(weights)[0] for s in (step, -step))
        assert grad[i] == pytest.approx((up - down) / (2 * h), abs=1e-9)


@pytest.mark.parametrize(("kind", "module"), [(Categorical, concrete), (Bernoulli, bernoulli)])
def test_relaxations_are_those_of_the_functions(kind, module):
    d, few = kind(LOGITS), {"temperature": 0.5, "num_samples": 3, "rng": 4}
    np.testing.assert_array_equal(d.gumbel_softmax(**few), module.gumbel_softmax(LOGITS, **few))
    for mine, theirs in zip(d.relax(**few), module.relax(LOGITS, **few), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    c, same = RNG.normal(size=(3, *LOGITS.shape)).astype(np.float32), {"temperature": 0.5, "rng": 4}
    np.testing.assert_array_equal(
        d.gumbel_softmax_vjp(c, **same), module.gumbel_softmax_vjp(LOGITS, c, **same)
    )
    for mine, theirs in zip(d.relax_vjp(c, c, **same), module.relax_vjp(LOGITS, c, c, **same)):
        np.testing.assert_array_equal(mine, theirs)


# -- whose memory it is ----------------------------------------------------------------------------


@KINDS
def test_a_distribution_owns_its_logits(kind):
    """The update of the README, in place: what was built before keeps the logits of then."""
    logits = np.zeros((1, 3))
    old = kind(logits)
    logits -= np.array([[1.0, 0.0, -1.0]])
    np.testing.assert_array_equal(old.logits, np.zeros((1, 3)))
    np.testing.assert_array_equal(old.entropy(), kind(np.zeros((1, 3))).entropy())
    view = logits.view()
    view.flags.writeable = False
    old = kind(view)  # read-only here, but not to the caller
    logits += 1
    assert (old.logits != logits).all()
    with pytest.raises(ValueError, match="read-only"):
        old.logits[0] = 1


@KINDS
def test_memory_is_shared_where_nothing_outlives_the_call(kind):
    assert np.shares_memory(as_distribution(LOGITS).logits, LOGITS)
    assert np.shares_memory(kind(LOGITS, copy=False).logits, LOGITS)
    other = LOGITS + 1
    moved = kind(LOGITS).with_logits(other)
    assert type(moved) is kind
    assert np.shares_memory(moved.logits, other)
    assert not np.shares_memory(dataclasses.replace(moved).logits, other)
    assert LOGITS.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        kind(LOGITS, copy=False).logits[0] = 1


@KINDS
def test_an_estimate_of_an_array_is_that_of_the_distribution(kind):
    if kind is Bernoulli:
        return
    f = fg.objectives.separable(np.full(LOGITS.shape, 0.4))
    a, b = (fg.estimator("rloo")(f, d, num_samples=4, rng=1) for d in (LOGITS, kind(LOGITS)))
    np.testing.assert_array_equal(a.grad, b.grad)


@pytest.mark.parametrize(
    "d", [fg.subset.KSubset(np.zeros(3), 2), fg.permutation.PlackettLuce([0.0])]
)
def test_what_is_not_defined_says_so(d):
    with pytest.raises(NotImplementedError, match=f"^{type(d).__name__} has no entropy$"):
        d.entropy()
