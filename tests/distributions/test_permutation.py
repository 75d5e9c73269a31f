"""The public face of permutations, and gradients through Plackett-Luce without bias."""

import itertools

import numpy as np
import pytest
from scipy import stats

import fastgrad as fg
from fastgrad.distributions import assignment, plackett_luce, sinkhorn

FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed


def test_it_gathers_what_permutations_need():
    for module, names in (
        (sinkhorn, sinkhorn.__all__),
        (assignment, assignment.__all__),
        (plackett_luce, ["log_prob", "score"]),
    ):
        for name in names:
            assert getattr(fg.permutation, name) is getattr(module, name)
    assert set(fg.permutation.__all__) <= set(dir(fg.permutation))
    assert all(getattr(fg.permutation, name).__doc__ for name in fg.permutation.__all__)


def test_samples_are_permutations_of_their_law():
    logits, n = np.array([1.0, 0.0, -0.5, 0.3]), 100_000
    z = fg.permutation.sample(logits, num_samples=n, rng=0)
    assert (np.sort(z, axis=1) == np.arange(4)).all()
    orders = np.array(list(itertools.permutations(range(4))))
    p = np.exp(fg.permutation.log_prob(logits, orders))
    assert p.sum() == pytest.approx(1, abs=1e-12)
    code = 4 ** np.arange(4)
    counts = np.bincount(z @ code, minlength=256)[orders @ code]
    assert stats.chisquare(counts, n * p).pvalue > FALSE_ALARM


def test_the_score_function_has_no_bias():
    """The mean of f score over samples, each component within 6 standard errors of the gradient."""
    logits, n = np.array([1.0, 0.0, -0.5, 0.3]), 50_000
    orders = np.array(list(itertools.permutations(range(4))))
    cost = np.random.default_rng(1).normal(size=(4, 4))

    def f(z):
        return cost[np.arange(4), z].sum(axis=-1)

    def expectation(x):
        return np.exp(fg.permutation.log_prob(x, orders)) @ f(orders)

    exact = [(expectation(logits + e) - expectation(logits - e)) / 2e-5 for e in 1e-5 * np.eye(4)]
    z = fg.permutation.sample(logits, num_samples=n, rng=2)
    each = f(z)[:, None] * fg.permutation.score(logits, z)
    error = each.std(axis=0) / np.sqrt(n)
    assert (abs(each.mean(axis=0) - exact) < 6 * error).all()


def test_sample_is_top_k_of_all():
    logits = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32)
    options = {"num_samples": 3, "rng": 4, "row_offset": 9, "sample_offset": 2}
    z = fg.permutation.sample(logits, **options)
    assert np.array_equal(z, fg.subset.gumbel_top_k(logits, 7, **options))
    assert fg.permutation.sample(logits, rng=4).shape == (5, 7)


def test_sample_refuses_masks():
    with pytest.raises(ValueError, match="k must be at most the number of logits above -inf"):
        fg.permutation.sample(np.array([0.0, -np.inf]), rng=0)
    with pytest.raises(ValueError, match="logits must have shape"):
        fg.permutation.sample(np.array(0.0), rng=0)
