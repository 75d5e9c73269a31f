"""What categorical and Bernoulli variables share."""

import numpy as np
import pytest

from fastgrad.distributions import bernoulli, concrete, discrete
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical

RNG = np.random.default_rng(8)
LOGITS = RNG.normal(size=(2, 3, 4)).astype(np.float32)
KINDS = pytest.mark.parametrize("kind", [Categorical, Bernoulli])


def test_an_array_means_categoricals():
    assert isinstance(discrete.as_distribution(LOGITS), Categorical)
    for d in (Categorical(LOGITS), Bernoulli(LOGITS)):
        assert discrete.as_distribution(d) is d


def test_outcomes_and_features():
    assert discrete.num_outcomes(Categorical(LOGITS)) == 4
    assert discrete.num_features(Categorical(LOGITS)) == 4
    assert discrete.num_outcomes(Bernoulli(LOGITS)) == 2
    assert discrete.num_features(Bernoulli(LOGITS)) == 1


@KINDS
def test_features_less_their_mean_are_the_score(kind):
    d = kind(LOGITS.astype(np.float64))
    z = RNG.integers(0, discrete.num_outcomes(d), (5, *d.batch_shape)).astype(np.int32)
    x = discrete.features(d, z)
    assert x.shape == (5, *d.logits.shape)
    assert set(np.unique(x)) == {0.0, 1.0}
    for i in np.ndindex(2, 3, 4):
        weights = np.zeros((2, 3, 4))
        weights[i] = 1
        mean, _ = discrete.mean_and_product(d, weights)
        np.testing.assert_allclose(d.score(z)[(slice(None), *i)], x[(slice(None), *i)] - mean)


@KINDS
def test_features_have_the_dtype_of_the_logits(kind):
    d = kind(LOGITS)
    assert discrete.features(d, np.zeros((1, *d.batch_shape), np.int32)).dtype == np.float32


@KINDS
def test_probabilities_sum_to_one(kind):
    d = kind(LOGITS)
    table = discrete.log_probabilities(d)
    assert table.shape == (discrete.num_outcomes(d), *d.batch_shape)
    np.testing.assert_allclose(np.exp(table).sum(axis=0), 1, rtol=1e-6)


@KINDS
def test_the_product_is_the_slope_of_the_mean(kind):
    logits, weights, h = LOGITS.astype(np.float64), RNG.normal(size=(2, 3, 4)), 1e-5
    _, grad = discrete.mean_and_product(kind(logits), weights)
    for i in np.ndindex(2, 3, 4):
        step = np.zeros((2, 3, 4))
        step[i] = h
        up, down = (discrete.mean_and_product(kind(logits + s), weights)[0] for s in (step, -step))
        assert grad[i] == pytest.approx((up - down) / (2 * h), abs=1e-9)


def test_relaxations_are_of_the_right_kind():
    assert discrete.relaxations(Categorical(LOGITS)) is concrete
    assert discrete.relaxations(Bernoulli(LOGITS)) is bernoulli
    for module in (concrete, bernoulli):
        for name in ("gumbel_softmax", "gumbel_softmax_vjp", "relax", "relax_vjp"):
            assert callable(getattr(module, name))
