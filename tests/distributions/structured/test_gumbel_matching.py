"""Matchings as a distribution: what it has, and what it has not."""

import numpy as np
import pytest

import fastgrad as fg

LOGITS = np.random.default_rng(0).normal(size=(3, 3))


def test_features_are_the_matrices_of_the_matching():
    d = fg.permutation.GumbelMatching(np.zeros((4, 2)))
    z = d.sample(num_samples=6, rng=0)
    np.testing.assert_array_equal(z, fg.permutation.gumbel_matching(d.logits, num_samples=6, rng=0))
    x = d.features(z)
    assert x.shape == (6, 4, 2)
    np.testing.assert_array_equal(x.sum(axis=1), 1)
    np.testing.assert_array_equal(x.sum(axis=2), z >= 0)
    assert d.num_outcomes == 12


def test_at_a_low_temperature_relaxed_samples_are_the_sample():
    d = fg.permutation.GumbelMatching(LOGITS)
    x = d.gumbel_softmax(temperature=0.01, num_samples=20, rng=1)
    np.testing.assert_array_equal(x.argmax(axis=-1), d.sample(num_samples=20, rng=1))


def test_exact_and_compare_say_why_they_refuse():
    d, f = fg.permutation.GumbelMatching(LOGITS), fg.objectives.linear(LOGITS)
    message = "GumbelMatching: the probability of a matching of perturbed scores has no closed form"
    with pytest.raises(TypeError, match=message):
        fg.exact.value(f, d)
    with pytest.raises(TypeError, match=message):
        fg.compare(f, d, rng=0, repeats=2)
    assert fg.list_estimators(distribution=d) == ["gumbel_softmax"]


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros(3), r"logits must have shape \(\*batch, N, M\) with N, M >= 1, got \(3,\)"),
        (np.array([[0.0, np.nan]]), "logits must be .*, got nan"),
        (np.array([[0.0, -np.inf], [0.0, -np.inf]]), "only -inf in column 1"),
    ],
)
def test_what_is_no_such_distribution_is_refused(logits, message):
    with pytest.raises(ValueError, match=message):
        fg.permutation.GumbelMatching(logits)
