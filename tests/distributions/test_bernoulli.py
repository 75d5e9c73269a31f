"""Bernoulli sites: samples, log probability, score, entropy, divergence, and the type over them."""

import itertools

import numba
import numpy as np
import pytest
import reference
import scipy.special as sp
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import DTYPES, WAYS, WIDTH, restride

import fastgrad as fg
from fastgrad.distributions import bernoulli
from fastgrad.distributions.bernoulli import Bernoulli

ALARM = 1e-6  # false alarms of each statistical test
SPECIAL = np.array([-np.inf, -1e4, -90, -5, -1e-3, 0, 3, 17, 90, 1e4, np.inf])
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def noise(n, samples, key, width, purpose, site_offset=0, sample_offset=0):
    """Return log(u / (1 - u)) of sites and samples, (S, N), from their bits."""
    where = reference.flat_address(np.arange(site_offset, site_offset + n))
    sample = np.arange(sample_offset, sample_offset + samples)[:, None]
    k = reference.random_bits(key.words, where, sample, purpose, width)
    return reference.variates("logistic", k, width).astype(np.float64)


# -- samples -----------------------------------------------------------------------------------


@each_dtype
def test_sample_is_the_sign_of_the_perturbed_logit(dtype):
    key, n = fg.Key(3), 3000
    logits = np.random.default_rng(0).normal(0, 4, n).astype(dtype)
    z = logits + noise(n, 4, key, WIDTH[dtype], reference.NOISE, 70, 5)
    x = bernoulli.sample(logits, num_samples=4, rng=key, site_offset=70, sample_offset=5)
    assert x.dtype == np.int32
    sure = abs(z) > 1e-5
    assert sure.mean() > 0.999
    np.testing.assert_array_equal(x[sure], (z > 0)[sure])


def test_uniform_form():
    """x = 1 where a uniform is below sigmoid(logit): that of the complementary bits."""
    key, n = fg.Key(3), 5000
    logits = np.random.default_rng(1).normal(0, 2, n)
    u = 1 - fg.random.uniform(n, rng=key, dtype=np.float64)
    np.testing.assert_array_equal(bernoulli.sample(logits, rng=key), u < sp.expit(logits))


@each_dtype
@pytest.mark.parametrize("logit", [-14, -3, 0, 0.5, 12])
def test_frequency(dtype, logit):
    n = 1 << 20
    x = bernoulli.sample(np.full(n, logit, dtype), num_samples=4, rng=5)
    test = scipy.stats.binomtest(int(x.sum()), x.size, float(sp.expit(logit)))
    assert test.pvalue > ALARM


@each_dtype
def test_samples_and_sites_are_independent(dtype):
    x = 2 * bernoulli.sample(np.zeros(256, dtype), num_samples=256, rng=6) - 1
    for pair in (x[1:] * x[:-1], x[:, 1:] * x[:, :-1], x[:, 64:] * x[:, :-64]):
        assert scipy.stats.binomtest(int((pair > 0).sum()), pair.size).pvalue > ALARM


@each_dtype
def test_certain_outcomes(dtype):
    x = bernoulli.sample(np.array([-np.inf, np.inf], dtype), num_samples=100_000, rng=0)
    assert not x[:, 0].any()
    assert x[:, 1].all()


def test_dtypes_agree():
    logits = np.random.default_rng(2).normal(0, 3, 50_000).astype(np.float32)
    single = bernoulli.sample(logits, rng=1)
    double = bernoulli.sample(logits.astype(np.float64), rng=1)
    assert (single != double).mean() < 1e-4


@each_dtype
def test_chunks_join(dtype):
    n, key = 5000, fg.Key(9)
    logits = np.random.default_rng(3).normal(size=n).astype(dtype)
    whole = bernoulli.sample(logits, num_samples=5, rng=key)
    edges = [0, 1, 63, 64, 1000, 2049, 4096, n]
    for first, last in ((0, 2), (2, 5)):
        parts = [
            bernoulli.sample(
                logits[a:b], num_samples=last - first, rng=key, site_offset=a, sample_offset=first
            )
            for a, b in itertools.pairwise(edges)
        ]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole[first:last])


def test_threads_do_not_matter():
    logits = np.random.default_rng(4).normal(size=70_001).astype(np.float32)
    parallel = bernoulli.sample(logits, num_samples=2, rng=0)
    numba.set_num_threads(1)
    np.testing.assert_array_equal(bernoulli.sample(logits, num_samples=2, rng=0), parallel)


def test_out_and_shapes():
    logits = np.zeros((3, 4), np.float32)
    out = np.empty((2, 3, 4), np.int32)
    assert bernoulli.sample(logits, num_samples=2, rng=0, out=out) is out
    assert bernoulli.sample(logits, rng=0).shape == (3, 4)
    assert bernoulli.sample(0.5, rng=0).shape == ()
    assert bernoulli.sample(np.zeros((0, 3)), num_samples=2, rng=0).shape == (2, 0, 3)
    np.testing.assert_array_equal(out[0], bernoulli.sample([[0] * 4] * 3, rng=0))


# -- functions of logits and samples -----------------------------------------------------------


@each_dtype
def test_log_prob_and_score(dtype):
    logits = SPECIAL.astype(dtype)
    both = np.broadcast_to(np.array([[0], [1]]), (2, logits.size))
    tolerance = {"rtol": 8 * np.finfo(dtype).eps, "atol": np.finfo(dtype).tiny}
    exact = logits.astype(np.float64)
    log_prob, score = bernoulli.log_prob(logits, both), bernoulli.score(logits, both)
    assert log_prob.dtype == score.dtype == dtype
    np.testing.assert_allclose(log_prob, [sp.log_expit(-exact), sp.log_expit(exact)], **tolerance)
    np.testing.assert_allclose(score, [-sp.expit(exact), sp.expit(-exact)], **tolerance)
    assert log_prob[1, 0] == log_prob[0, -1] == -np.inf
    assert score[0, 0] == score[1, -1] == 0


def test_score_is_the_gradient_of_log_prob():
    logits, h = np.array([-4.0, -0.3, 0, 2.5]), 1e-5
    for x in (np.zeros(4, int), np.ones(4, int)):
        up, down = (bernoulli.log_prob(logits + s, x) for s in (h, -h))
        np.testing.assert_allclose(bernoulli.score(logits, x), (up - down) / (2 * h), atol=1e-9)


@each_dtype
def test_entropy(dtype):
    logits = SPECIAL.astype(dtype)
    a = abs(logits.astype(np.float64))
    rest = np.multiply(a, sp.expit(-a), where=np.isfinite(a), out=np.zeros(a.shape))
    expected = np.log1p(np.exp(-a)) + rest
    result = bernoulli.entropy(logits)
    assert result.dtype == dtype
    np.testing.assert_allclose(
        result, expected, rtol=20 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny
    )
    assert result[0] == result[-1] == 0


@each_dtype
def test_kl_divergence(dtype):
    a, b = (x.reshape(-1) for x in np.meshgrid(SPECIAL, SPECIAL))
    x, y = a.astype(dtype).astype(np.float64), b.astype(dtype).astype(np.float64)
    expected = np.zeros(x.shape)
    for s in (1, -1):
        p, q = sp.expit(s * x), sp.log_expit(s * y)
        with np.errstate(invalid="ignore"):
            term = np.where(np.isneginf(q), np.inf, p * (sp.log_expit(s * x) - q))
        expected += np.where(np.isneginf(s * x), 0, term)
    result = bernoulli.kl_divergence(a.astype(dtype), b.astype(dtype))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=100 * np.finfo(dtype).eps)
    assert (result[a == b] == 0).all()
    assert (result[np.isinf(b) & (a != b)] == np.inf).all()


def test_agrees_with_two_categories():
    rng = np.random.default_rng(5)
    logits, other = rng.normal(0, 4, (2, 50))
    two, two_other = (np.stack([np.zeros(50), t], axis=-1) for t in (logits, other))
    x = bernoulli.sample(logits, num_samples=3, rng=0)
    np.testing.assert_allclose(bernoulli.log_prob(logits, x), fg.log_prob(two, x), atol=1e-13)
    np.testing.assert_allclose(bernoulli.score(logits, x), fg.score(two, x)[..., 1], atol=1e-15)
    np.testing.assert_allclose(bernoulli.entropy(logits), fg.entropy(two), atol=1e-14)
    np.testing.assert_allclose(
        bernoulli.kl_divergence(logits, other), fg.kl_divergence(two, two_other), atol=1e-13
    )


def test_threads_do_not_matter_here_either():
    logits = np.random.default_rng(4).normal(size=(2, 40_001)).astype(np.float32)
    x = bernoulli.sample(logits, rng=0)

    def results():
        yield from (bernoulli.log_prob(logits, x), bernoulli.score(logits, x))
        yield from (bernoulli.entropy(logits), bernoulli.kl_divergence(logits, logits[::-1]))

    parallel = list(results())
    numba.set_num_threads(1)
    for serial, expected in zip(results(), parallel, strict=True):
        np.testing.assert_array_equal(serial, expected)


@given(
    hnp.arrays(
        st.sampled_from(DTYPES),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=7),
        elements=st.floats(width=32, allow_nan=False),
    ),
    st.sampled_from(WAYS),
)
def test_any_logits(logits, way):
    given_logits = restride(logits, way) if logits.size else logits
    x = bernoulli.sample(given_logits, num_samples=3, rng=0)
    plain = np.array(given_logits, order="C")
    np.testing.assert_array_equal(x, bernoulli.sample(plain, num_samples=3, rng=0))
    assert np.isfinite(bernoulli.log_prob(given_logits, x)).all()
    score = bernoulli.score(given_logits, x)
    assert ((score >= 0) == (x == 1))[score != 0].all()
    assert (abs(score) <= 1).all()
    entropy = bernoulli.entropy(given_logits)
    assert ((entropy >= 0) & (entropy < 0.6932)).all()
    assert (bernoulli.kl_divergence(given_logits, given_logits) == 0).all()


# -- the type ----------------------------------------------------------------------------------


def test_type():
    logits = np.random.default_rng(6).normal(size=(2, 3)).astype(np.float32)
    d = Bernoulli(logits)
    assert d.batch_shape == (2, 3)
    assert Bernoulli(0.0).batch_shape == ()
    x = d.sample(num_samples=4, rng=0)
    np.testing.assert_array_equal(x, bernoulli.sample(logits, num_samples=4, rng=0))
    np.testing.assert_array_equal(d.log_prob(x), bernoulli.log_prob(logits, x))
    np.testing.assert_array_equal(d.score(x), bernoulli.score(logits, x))
    np.testing.assert_array_equal(d.entropy(), bernoulli.entropy(logits))
    with pytest.raises(AttributeError):
        d.logits = logits
    with pytest.raises(ValueError, match="read-only"):
        d.logits[0] = 1


# -- what is refused ---------------------------------------------------------------------------

TWO = np.zeros(2)
REFUSED = [
    (lambda: bernoulli.sample([[0, 1], [np.nan, 2]], rng=0), r"logits .*NaN.*index \(1, 0\)"),
    (lambda: bernoulli.sample(np.nan, rng=0), r"logits .*NaN.*index \(\)"),
    (lambda: Bernoulli([np.nan]), r"logits .*NaN.*index \(0,\)"),
    (lambda: bernoulli.entropy(np.array([1, np.nan])), r"logits .*index \(1,\)"),
    (lambda: bernoulli.kl_divergence([np.nan], [0.0]), r"p_logits .*index \(0,\)"),
    (lambda: bernoulli.kl_divergence([0.0], [np.nan]), r"q_logits .*index \(0,\)"),
    (lambda: bernoulli.kl_divergence(TWO, np.zeros(3)), r"q_logits .*\(2,\).*\(3,\)"),
    (lambda: bernoulli.kl_divergence(np.zeros((3, 2)), np.zeros((2, 1))), "q_logits .*broadcasts"),
    (lambda: bernoulli.sample(TWO, num_samples=0, rng=0), "num_samples .*0"),
    (lambda: bernoulli.sample(TWO, rng=0, site_offset=-1), "site_offset .*-1"),
    (lambda: bernoulli.sample(TWO, rng=0, sample_offset=2**32), "sample_offset .*4294967296"),
    (lambda: bernoulli.sample(TWO, rng=0, out=np.empty(2)), "out .*int32.*float64"),
    (lambda: bernoulli.log_prob(TWO, np.array([0, 2])), "x must be from 0 to 1, got 2"),
    (lambda: bernoulli.score(TWO, np.array([0, -1])), "x must be from 0 to 1, got -1"),
    (lambda: bernoulli.score(TWO, np.zeros(3, int)), r"x must have shape \(2,\)"),
    (lambda: bernoulli.score(TWO, np.zeros(2, int), out=np.empty(3)), r"out .*\(2,\).*\(3,\)"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_values_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bernoulli.sample(np.zeros(2, complex), rng=0), "logits .*complex"),
        (lambda: bernoulli.sample(TWO, rng=None), "rng .*None"),
        (lambda: bernoulli.sample(TWO, rng=0, num_samples=1.5), "num_samples .*1.5"),
        (lambda: bernoulli.log_prob(TWO, TWO), "x must hold integers, got dtype float64"),
    ],
)
def test_types_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()
