"""Sums of scores of structures: credit, blocks of any size, and baselines by their formulae."""

import functools

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.estimators.score_sums import StructuredScores, score_sums
from fastgrad.estimators.sums import CentredScores, Mean

D = fg.subset.KSubset(np.array([[0.3, -1.0, 0.8, 0.1], [0.0, 0.5, -0.5, 1.0]]), 2)
F = np.random.default_rng(1).normal(size=(6, 2))


@functools.cache  # where tests are collected, nothing should have to be compiled
def drawn():
    return D.sample(num_samples=6, rng=0)


def filled(sizes=(6,)):
    sums, begin = StructuredScores(D), 0
    for size in sizes:
        sums.add(drawn()[begin : begin + size], F[begin : begin + size])
        begin += size
    return sums


def test_the_kind_of_sums_follows_the_distribution():
    assert isinstance(score_sums(D), StructuredScores)
    assert isinstance(score_sums(fg.Categorical(D.logits)), CentredScores)


def test_sums_are_their_formulae():
    score, f = D.score(drawn()), F[..., None]
    sums = filled()
    np.testing.assert_allclose(
        sums.total(5), ((f - f.mean(axis=0)) * score).sum(axis=0) / 5, atol=1e-15
    )
    baseline = np.array([0.5, -1.0])
    expected = ((f - baseline[:, None]) * score).mean(axis=0)
    np.testing.assert_allclose(sums.about(baseline, 6), expected, atol=1e-15)
    for pooled in (False, True):
        w = (score**2).sum(axis=2, keepdims=True) if pooled else score**2
        best = [
            np.delete(f * w, s, axis=0).sum(axis=0) / np.delete(w, s, axis=0).sum(axis=0)
            for s in range(6)
        ]
        expected = ((f - best) * score).mean(axis=0)
        np.testing.assert_allclose(sums.optimum(pooled=pooled), expected, atol=1e-14)


@pytest.mark.parametrize("sizes", [(3, 3), (1, 5), (2, 2, 2)])
def test_they_do_not_depend_on_blocks(sizes):
    whole, blocks = filled(), filled(sizes)
    np.testing.assert_array_equal(whole.total(5), blocks.total(5))
    np.testing.assert_array_equal(whole.about(0.3, 6), blocks.about(0.3, 6))
    np.testing.assert_array_equal(whole.optimum(), blocks.optimum())


def test_where_other_scores_are_zero_the_baseline_is_no_sample():
    """A count equal to its mean has the score 0: the baseline must not become a sample's own f."""
    d = fg.counts.Poisson(0.0)
    found = fg.moments(fg.estimator("reinforce", baseline="optimal"), np.exp, d, num_samples=2)
    assert found.exact
    np.testing.assert_allclose(found.mean, fg.exact.grad(np.exp, d), rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"baseline": "optimal"}, {"baseline": "optimal_pooled"}])
def test_credit_is_unbiased(options):
    """Of a sum of terms each variable has its own, and the same mean with less variance."""
    w = np.random.default_rng(2).normal(size=(2, 4))

    def terms(x):
        return np.exp((x * w).sum(axis=-1))

    def credited(x):
        return terms(x).sum(axis=-1), terms(x)

    run = fg.estimator("reinforce", **options) if options else fg.estimator("rloo")
    plain = fg.moments(run, lambda x: terms(x).sum(axis=-1), D, num_samples=2)
    own = fg.moments(run, credited, D, num_samples=2)
    np.testing.assert_allclose(own.mean, plain.mean, rtol=1e-9)
    np.testing.assert_allclose(own.mean, fg.exact.grad(credited, D), rtol=1e-9)
    assert own.variance.sum() < plain.variance.sum()


@pytest.mark.parametrize("shape", [(), (2,)])
@pytest.mark.parametrize("count", [1, 6])
def test_a_mean_is_rounded_as_its_result_is(shape, count):
    mean = Mean()
    mean.add(np.full((count, *shape), 0.1) + np.arange(count).reshape(-1, *(1 for _ in shape)))
    rounded = mean.rounded(np.dtype(np.float32))
    assert rounded.dtype == np.float32
    assert type(rounded) is (np.ndarray if shape else np.float32)
    np.testing.assert_array_equal(rounded, np.float32(mean.result))
