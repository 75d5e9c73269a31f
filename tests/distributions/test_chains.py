"""Chains against enumeration of them all."""

import itertools

import numpy as np
import pytest
from scipy import stats

import fastgrad as fg

LOGITS = np.random.default_rng(0).normal(size=(2, 3, 3, 3))
CHAINS = np.array(list(itertools.product(range(3), repeat=4)))


def features(z, states):
    """Pairs of states, by loops."""
    x = np.zeros((len(z), z.shape[1] - 1, states, states))
    for i, chain in enumerate(z):
        for t, (a, b) in enumerate(itertools.pairwise(chain)):
            x[i, t, a, b] = 1
    return x


def law(logits):
    """Log of the sum, and probabilities, of all chains of one batch."""
    x = features(CHAINS, 3)
    with np.errstate(invalid="ignore"):
        weight = np.where(x > 0, logits, 0).sum(axis=(1, 2, 3))
    top = weight.max()
    return top + np.log(np.exp(weight - top).sum()), np.exp(weight - top) / np.exp(
        weight - top
    ).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_sums_over_all_chains(spread, dtype):
    logits = spread * LOGITS
    logits[0, 1, 0, 2] = logits[1, 0, 1] = -np.inf
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    given, x = logits.astype(dtype), features(CHAINS, 3)
    r = np.random.default_rng(1).normal(size=LOGITS.shape).astype(dtype)
    log_sum, p = fg.chains.log_normaliser(given), fg.chains.pair_marginals(given)
    grad = fg.chains.pair_marginals_vjp(given, r)
    assert log_sum.dtype == p.dtype == grad.dtype == dtype
    for i in range(2):
        expected, weight = law(given[i].astype(np.float64))
        mean = np.tensordot(weight, x, 1)
        np.testing.assert_allclose(log_sum[i], expected, rtol=rtol)
        np.testing.assert_allclose(p[i], mean, rtol=rtol, atol=rtol)
        inner = ((x - mean) * r[i]).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(grad[i], np.tensordot(weight * inner, x - mean, 1), atol=rtol)
    assert grad[0, 1, 0, 2] == 0
    assert p[0, 1, 0, 2] == 0


def test_the_distribution_is_that_of_its_chains():
    d = fg.chains.LinearChain(LOGITS)
    assert d.num_outcomes == 81
    np.testing.assert_array_equal(d.table(), CHAINS)
    np.testing.assert_array_equal(d.features(CHAINS[:, None])[:, 0], features(CHAINS, 3))
    found = d.log_probabilities()
    for i in range(2):
        np.testing.assert_allclose(np.exp(found[:, i]), law(LOGITS[i])[1], rtol=1e-12)


def test_samples_have_their_law():
    logits = LOGITS.copy()
    logits[0, 1, 0, 2] = -np.inf
    d, n = fg.chains.LinearChain(logits), 10_000
    z = d.sample(num_samples=n, rng=3)
    code = 3 ** np.arange(4)
    for i in range(2):
        _, p = law(logits[i])
        counts = np.bincount(z[:, i] @ code, minlength=81)[CHAINS @ code]
        assert (counts[p == 0] == 0).all()
        often = n * p > 5
        observed = [*counts[often], counts[~often].sum()]
        expected = [*(n * p[often]), n * p[~often].sum() + 1e-9]
        assert stats.chisquare(observed, expected, sum_check=False).pvalue > 1e-6


def test_of_one_state_depends_no_other_it_is_a_row_of_categoricals():
    """Logits that do not depend on the state before."""
    own = np.random.default_rng(2).normal(size=(4, 3))
    p = fg.chains.pair_marginals(np.repeat(own[:, None], 3, axis=1))
    np.testing.assert_allclose(p.sum(axis=1), np.exp(fg.log_softmax(own)), rtol=1e-12)


def test_at_a_low_temperature_they_are_the_best_chain():
    d = fg.chains.LinearChain(LOGITS[0])
    w, x = d.perturbed(30, fg.Key(5)), features(CHAINS, 3)
    best = np.tensordot(w, x, ((1, 2, 3), (1, 2, 3))).argmax(axis=1)
    found = d.gumbel_softmax(temperature=1e-3, num_samples=30, rng=5)
    assert (abs(found - x[best]).max(axis=(1, 2, 3)) < 0.1).sum() >= 29


def test_long_chains_do_not_underflow():
    logits = 30 * np.random.default_rng(3).normal(size=(1000, 4, 4))
    p = fg.chains.pair_marginals(logits)
    np.testing.assert_allclose(p.sum(axis=(1, 2)), 1, rtol=1e-10)
    np.testing.assert_allclose(p[:-1].sum(axis=1), p[1:].sum(axis=2), atol=1e-10)
    assert np.isfinite(fg.chains.log_normaliser(logits))


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((3, 3)), r"logits must have shape \(\*batch, L, K, K\) .*, got \(3, 3\)"),
        (np.zeros((2, 3, 4)), r"logits must have shape .*, got \(2, 3, 4\)"),
        (np.full((1, 2, 2), np.nan), "logits must be below infinity, got nan"),
        (np.full((2, 1, 2, 2), -np.inf), "logits allow no chain: too many are -inf in number 0"),
    ],
)
def test_what_is_no_chain_is_refused(logits, message):
    with pytest.raises(ValueError, match=message):
        fg.chains.LinearChain(logits)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ([0, 1, 3, 0], "z must hold states 0 to 2, got 3"),
        ([0, 1], r"z must have shape \(4,\) or"),
    ],
)
def test_what_are_no_states_is_refused(z, message):
    with pytest.raises(ValueError, match=message):
        fg.chains.LinearChain(LOGITS[0]).log_prob(np.array(z))
