"""Matchings against all permutations of small problems."""

import itertools

import numba
import numpy as np
import pytest
from scipy import stats
from strategies import DTYPES

import fastgrad as fg
from fastgrad.distributions.assignment import gumbel_matching, matching

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
INF = np.inf


def best_by_enumeration(x):
    """The largest sum of one problem, and the columns of its rows, -1 for none."""
    rows, columns = x.shape
    if rows > columns:
        value, of_columns = best_by_enumeration(x.T)
        z = np.full(rows, -1)
        z[of_columns] = np.arange(columns)
        return value, z
    choices = np.array(list(itertools.permutations(range(columns), rows)))
    sums = x[np.arange(rows), choices].sum(axis=1)
    return sums.max(), choices[sums.argmax()]


@by_dtype
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (5, 5), (3, 6), (6, 3), (1, 5), (5, 1)])
def test_matching_is_the_best_of_all(shape, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 20, *shape)).astype(dtype)
    x[(rng.random(x.shape) < 0.2) & ~np.eye(*shape, dtype=bool)] = -INF
    z = matching(x)
    assert z.dtype == np.int32
    assert z.shape == (2, 20, shape[0])
    for i in np.ndindex(2, 20):
        assert np.array_equal(z[i], best_by_enumeration(x[i])[1])


def test_a_large_batch_on_any_number_of_threads():
    x = np.random.default_rng(1).normal(size=(301, 10, 12))
    numba.set_num_threads(1)
    alone = matching(x)
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    assert np.array_equal(matching(x), alone)
    assert all(np.array_equal(matching(one), z) for one, z in zip(x[:20], alone))


def test_equal_sums_are_broken_the_same_way_every_time():
    first = matching(np.zeros((400, 9, 9)))
    assert (first == first[0]).all()
    assert np.array_equal(first, matching(np.zeros((400, 9, 9))))


@by_dtype
def test_gumbel_matching_of_one_row_is_a_categorical(dtype):
    x = np.array([[1.0, 0.0, -INF, -1.5]], dtype)
    n = 100_000
    z = gumbel_matching(x, num_samples=n, rng=2)
    p = np.exp(fg.log_softmax(x[0].astype(np.float64)))
    counts = np.bincount(z[:, 0], minlength=4)
    assert counts[2] == 0
    seen = p > 0
    assert stats.chisquare(counts[seen], n * p[seen] / p.sum()).pvalue > FALSE_ALARM


def test_gumbel_matching_of_two_by_two():
    """The identity wins by a difference of two logistic variates."""
    x, n = np.array([[0.5, 0.0], [0.0, 0.2]]), 100_000
    z = gumbel_matching(x, num_samples=n, rng=3)
    t = np.linspace(-60, 60, 200_001)
    p = np.sum(stats.logistic.pdf(t) * stats.logistic.cdf(0.7 - t)) * (t[1] - t[0])
    assert stats.binomtest(int((z[:, 0] == 0).sum()), n, p).pvalue > FALSE_ALARM
    assert (z[:, 0] + z[:, 1] == 1).all()


@by_dtype
@pytest.mark.parametrize("shape", [(8, 8), (5, 8), (8, 5)])
def test_it_is_the_limit_of_gumbel_sinkhorn(shape, dtype):
    x = np.random.default_rng(4).normal(size=(3, *shape)).astype(dtype)
    options = {"num_samples": 6, "rng": 5, "problem_offset": 7, "sample_offset": 2}
    z = gumbel_matching(x, noise_scale=0.5, **options)
    soft = fg.permutation.gumbel_sinkhorn(x, temperature=1e-3, noise_scale=0.5, **options)
    one_hot = np.zeros(soft.matrix.shape)
    for i in np.ndindex(z.shape):
        if z[i] >= 0:
            one_hot[(*i, z[i])] = 1
    assert abs(soft.matrix - one_hot).max() < 0.5  # only ties within 1e-3 would be closer
    assert np.array_equal(gumbel_matching(x, rng=5, noise_scale=0), matching(x))


def test_chunks_join():
    x = np.random.default_rng(6).normal(size=(10, 4, 4))
    whole = gumbel_matching(x, num_samples=4, rng=7)
    part = gumbel_matching(x[6:], num_samples=1, rng=7, problem_offset=6, sample_offset=3)
    assert np.array_equal(part, whole[3:, 6:])


def test_empty_batches():
    assert matching(np.zeros((0, 3, 3))).shape == (0, 3)
    assert gumbel_matching(np.zeros((0, 3, 2)), num_samples=2, rng=0).shape == (2, 0, 3)


def test_errors():
    x = np.zeros((2, 3, 3))
    x[1, :2, 1:] = -INF
    with pytest.raises(ValueError, match="log_alpha admits no matching in problem 1"):
        matching(x)
    with pytest.raises(ValueError, match="log_alpha admits no matching in problem 1"):
        gumbel_matching(x, num_samples=3, rng=0)
    many = np.zeros((400, 9, 9))
    many[333, :2, 1:] = -INF
    with pytest.raises(ValueError, match="problem 333"):
        matching(many)
    with pytest.raises(ValueError, match="must have shape"):
        matching(np.zeros(3))
    with pytest.raises(ValueError, match="num_samples must be at least 1"):
        gumbel_matching(x, num_samples=0, rng=0)
