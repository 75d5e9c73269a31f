"""Relaxations of Bernoulli sites: forward values, laws, coupling, Jacobians, unbiasedness."""

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
from fastgrad.kernels.compiler.jit import standalone
from fastgrad.kernels.random import noise as kernel_noise

ALARM = 1e-6  # false alarms of each statistical test
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_log = pytest.mark.parametrize("log", [False, True])
each_coupled = pytest.mark.parametrize("coupled", [False, True])


def uniforms(n, samples, key, width, purpose, site_offset=0, sample_offset=0):
    """Return (-log(1 - u), -log u) of sites and samples, (S, N), from their bits."""
    where = reference.flat_address(np.arange(site_offset, site_offset + n))
    sample = np.arange(sample_offset, sample_offset + samples)[:, None]
    k = reference.random_bits(key.words, where, sample, purpose, width)
    complement = np.uint64(2**width - 1) - k
    return reference.minus_log1m(k, width), reference.minus_log1m(complement, width)


def conditional_logit(logits, x, log_v, log_rest):
    """z~ given x and log v, log(1 - v), branch by branch (Tucker et al., with log1p)."""
    one = np.logaddexp(0, logits + log_v) - log_rest
    zero = log_v - np.logaddexp(0, -logits + log_rest)
    return np.where(x == 1, one, zero)


@pytest.fixture(scope="module", params=DTYPES)
def drawn(request):
    """Some logits, what `relax` makes of them (log odds), and what it should."""
    dtype, key, offsets = request.param, fg.Key(3), (70, 5)
    logits = np.random.default_rng(0).normal(0, 4, 3000).astype(dtype)
    logits[:6] = [-1e4, -90, -65, 65, 90, 1e4]
    where = {"site_offset": 70, "sample_offset": 5}
    result = bernoulli.relax(logits, temperature=1.0, num_samples=4, rng=key, log=True, **where)
    a, b = uniforms(3000, 4, key, WIDTH[dtype], reference.NOISE, *offsets)
    z = logits.astype(np.longdouble) + a - b
    a, b = uniforms(3000, 4, key, WIDTH[dtype], reference.CONDITIONAL, *offsets)
    one = result.sample == 1
    log_v, log_rest = np.where(one, -b, -a), np.where(one, -a, -b)
    again = conditional_logit(logits.astype(np.longdouble), result.sample, log_v, log_rest)
    return logits, result, z, again, log_v


# -- forward values ----------------------------------------------------------------------------


def test_relaxed_is_the_perturbed_logit(drawn):
    logits, result, z, _, _ = drawn
    eps = np.finfo(logits.dtype).eps
    np.testing.assert_allclose(result.relaxed, z.astype(np.float64), rtol=4 * eps, atol=20 * eps)
    np.testing.assert_array_equal(result.sample == 1, result.relaxed > 0)


def test_conditional_is_the_formula(drawn):
    """Its magnitude keeps its relative precision, for logits of any size."""
    logits, result, _, again, _ = drawn
    eps = np.finfo(logits.dtype).eps
    scale = 1 + np.minimum(abs(logits), 100)  # the rounding of exp(-|logit|)
    error = abs(result.conditional - again) / abs(again)
    assert (error < 8 * eps * scale).all()


def test_score_of_the_samples(drawn):
    logits, result, _, _, _ = drawn
    np.testing.assert_allclose(
        result.score, bernoulli.score(logits, result.sample), rtol=1e-6, atol=1e-37
    )


@each_dtype
@pytest.mark.parametrize("temperature", [0.01, 0.5, 1, 100])
def test_sigmoid_of_log_odds(dtype, temperature):
    options = {"temperature": temperature, "num_samples": 3, "rng": 1}
    logits = np.random.default_rng(1).normal(0, 3, 2000).astype(dtype)
    soft, hard = bernoulli.relax(logits, **options), bernoulli.relax(logits, log=True, **options)
    eps = np.finfo(dtype).eps
    for a, b in ((soft.relaxed, hard.relaxed), (soft.conditional, hard.conditional)):
        expected = sp.expit(b.astype(np.float64))
        tolerance = 8 * eps * (1 + abs(b)) * expected + np.finfo(dtype).tiny
        assert (abs(a - expected) <= tolerance).all()
    unit = bernoulli.relax(logits, log=True, **{**options, "temperature": 1.0})
    np.testing.assert_allclose(hard.relaxed * dtype(temperature), unit.relaxed, rtol=4 * eps)


@each_dtype
def test_all_functions_share_their_noise(dtype):
    logits = np.random.default_rng(2).normal(0, 2, (40, 70)).astype(dtype)
    options = {"num_samples": 3, "rng": fg.Key(8)}
    r = bernoulli.relax(logits, temperature=0.7, **options)
    np.testing.assert_array_equal(r.sample, bernoulli.sample(logits, **options))
    soft = bernoulli.gumbel_softmax(logits, temperature=0.7, **options)
    np.testing.assert_array_equal(r.relaxed, soft)
    hard = bernoulli.gumbel_softmax(logits, temperature=0.7, hard=True, **options)
    assert hard.dtype == dtype
    np.testing.assert_array_equal(r.sample, hard)
    log = bernoulli.relax(logits, temperature=0.7, log=True, **options)
    soft = bernoulli.gumbel_softmax(logits, temperature=0.7, log=True, **options)
    np.testing.assert_array_equal(log.relaxed, soft)


@each_dtype
@each_log
def test_coupled_gives_back_the_relaxed(dtype, log):
    options = {"temperature": 0.3, "num_samples": 2, "rng": 1, "log": log}
    logits = np.random.default_rng(3).normal(0, 3, 500).astype(dtype)
    r, other = (bernoulli.relax(logits, coupled=c, **options) for c in (True, False))
    np.testing.assert_array_equal(r.conditional, r.relaxed)
    np.testing.assert_array_equal(r.relaxed, other.relaxed)
    np.testing.assert_array_equal(r.sample, other.sample)
    assert (r.conditional != other.conditional).mean() > 0.9


@each_dtype
@each_log
@pytest.mark.parametrize("temperature", [2.0**-60, 1e-3, 1, 1e6, 2.0**60])
def test_the_sign_shows_at_any_temperature(dtype, log, temperature):
    logits = np.random.default_rng(4).normal(0, 3, 20_000).astype(dtype)
    logits[:4] = [-np.inf, np.inf, -500, 500]
    r = bernoulli.relax(logits, temperature=temperature, num_samples=5, rng=0, log=log)
    middle = 0 if log else 0.5
    for y in (r.relaxed, r.conditional):
        np.testing.assert_array_equal(y > middle, r.sample == 1)
        np.testing.assert_array_equal(y < middle, r.sample == 0)
        assert log or ((y >= 0) & (y <= 1)).all()


@each_dtype
def test_certain_sites(dtype):
    logits = np.array([-np.inf, np.inf], dtype)
    for coupled in (False, True):
        options = {"temperature": 0.5, "num_samples": 100, "rng": 0, "coupled": coupled}
        r = bernoulli.relax(logits, **options)
        for y in (r.sample, r.relaxed, r.conditional):
            np.testing.assert_array_equal(y, np.broadcast_to([0, 1], y.shape))
        assert (r.score == 0).all()
        r = bernoulli.relax(logits, log=True, **options)
        np.testing.assert_array_equal(r.relaxed, np.broadcast_to(logits, (100, 2)))
        np.testing.assert_array_equal(r.conditional, np.broadcast_to(logits, (100, 2)))


def test_dtypes_agree():
    logits = np.random.default_rng(5).normal(0, 3, 50_000).astype(np.float32)
    options = {"temperature": 1.0, "rng": 1, "log": True}
    single = bernoulli.relax(logits, **options)
    double = bernoulli.relax(logits.astype(np.float64), **options)
    same = single.sample == double.sample
    assert same.mean() > 0.9999
    for a, b in zip(single[1:], double[1:], strict=True):
        np.testing.assert_allclose(a[same], b[same], rtol=1e-4, atol=1e-5)


@standalone
def odds_of(bits, out):
    for i in range(out.size):
        out[i] = kernel_noise.odds(bits[0, i], bits[-1, i], out)


@each_dtype
def test_odds_reach_both_tails(dtype):
    width, top = WIDTH[dtype], 2**32 - 1
    word = np.array([0, 1, 2**31 - 1, 2**31, top - 1, top], np.uint32)
    bits = np.stack([word, word][: width // 32])
    k = [sum(int(w) << (32 * i) for i, w in enumerate(column)) for column in bits.T]
    out = np.empty(6, dtype)
    odds_of(bits, out)
    expected = [(2 * i + 1) / (2 ** (width + 1) - 2 * i - 1) for i in k]
    np.testing.assert_allclose(out, expected, rtol=2 * np.finfo(dtype).eps)
    assert out[0] == 2.0 ** -(width + 1)
    assert out[-1] == 2.0 ** (width + 1)


# -- laws --------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("logit", [-3.0, 0.0, 0.7, 5.0])
def test_conditional_has_the_law_of_rejection_sampling(dtype, logit):
    n = 200_000
    r = bernoulli.relax(np.full(n, logit, dtype), temperature=1.0, rng=11, log=True)
    z = logit + fg.random.logistic(n, rng=12, dtype=np.float64)
    for x in (0, 1):
        got, expected = r.conditional[r.sample == x], z[(z > 0) == x]
        assert min(got.size, expected.size) > 1000
        assert scipy.stats.ks_2samp(got, expected).pvalue > ALARM
        # Independent of the forward noise, given x.
        order = scipy.stats.spearmanr(got, r.relaxed[r.sample == x]).pvalue
        assert order > ALARM


@each_dtype
@pytest.mark.parametrize("logit", [-2.0, 0.0, 4.0])
def test_marginal_law(dtype, logit):
    """Whatever x, both z and z~ are logistic about the logit."""
    r = bernoulli.relax(np.full(300_000, logit, dtype), temperature=1.0, rng=13, log=True)
    for z in (r.relaxed, r.conditional):
        assert scipy.stats.kstest(z, scipy.stats.logistic(logit).cdf).pvalue > ALARM


# -- derivatives -------------------------------------------------------------------------------

LOGITS = np.array([-90.0, -5.0, 0.0, 3.0, 90.0, -np.inf, np.inf])


@each_log
@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0, 10.0, 100.0])
def test_jacobians_against_finite_differences(temperature, log):
    """The same key draws the same noise: the results are differentiable functions of the logits."""
    logits = np.repeat(LOGITS, 30)
    options = {"temperature": temperature, "num_samples": 8, "rng": fg.Key(2), "log": log}
    h = 1e-4 * min(temperature, 1)
    centre, up, down = (bernoulli.relax(logits + s, **options) for s in (0, h, -h))
    smooth = (up.sample == centre.sample) & (down.sample == centre.sample)
    assert smooth.mean() > 0.99
    finite = np.isfinite(logits)
    vjp = {k: options[k] for k in ("temperature", "rng", "log")}
    for i in range(8):
        for name, which in (("relaxed", 0), ("conditional", 1)):
            a, b = (getattr(r, name)[i] for r in (up, down))
            expected = np.subtract(a, b, where=finite, out=np.zeros(a.shape)) / (2 * h)
            cotangents = [None, None]
            cotangents[which] = np.ones((1, logits.size))
            got = bernoulli.relax_vjp(logits, *cotangents, sample_offset=i, **vjp)
            assert got[1 - which] is None
            keep = smooth[i]
            np.testing.assert_allclose(
                got[which][keep], expected[keep], rtol=1e-6, atol=1e-6 / temperature
            )
            assert (got[which][~finite] == 0).all()


@each_log
@pytest.mark.parametrize("temperature", [0.01, 1.0, 100.0])
def test_coupled_jacobian_holds_the_recovered_noise(temperature, log):
    """z~ with v recovered from u, then held while the logit moves."""
    logits = np.repeat([-5.0, -1.0, 0.0, 3.0, 12.0], 40)
    key = fg.Key(4)
    options = {"temperature": temperature, "rng": key, "log": log, "coupled": True}
    x = bernoulli.sample(logits, rng=key)
    a, _ = uniforms(logits.size, 1, key, 64, reference.NOISE)
    rest_u = np.exp(-a[0])  # 1 - u, in longdouble
    p = 1 / (1 + np.exp(-logits.astype(np.longdouble)))
    rest_v = np.where(x == 1, rest_u / p, 1 - (1 - rest_u) / (1 - p))
    v = np.where(x == 1, 1 - rest_v, (1 - rest_u) / (1 - p))

    def value(shift):
        moved = logits.astype(np.longdouble) + shift
        z = conditional_logit(moved, x, np.log(v), np.log(rest_v)) / temperature
        return z if log else 1 / (1 + np.exp(-z))

    got = bernoulli.relax(logits, **options)
    np.testing.assert_allclose(got.conditional, value(0).astype(float), rtol=1e-9, atol=1e-12)
    h = 1e-5 * min(temperature, 1)
    expected = ((value(h) - value(-h)) / (2 * h)).astype(float)
    cotangent = np.random.default_rng(0).normal(size=logits.size)
    _, grad = bernoulli.relax_vjp(logits, None, cotangent, **options)
    np.testing.assert_allclose(grad, cotangent * expected, rtol=1e-6, atol=1e-7 / temperature)


@each_log
def test_conditional_derivative_is_the_published_one(drawn, log):
    """d z~ / d logit = sigmoid(logit + log v) or sigmoid(-logit + log(1 - v))."""
    logits, result, _, again, log_v = drawn
    exact = logits.astype(np.float64)
    log_rest = np.log1p(-np.exp(log_v))
    dz = np.where(result.sample == 1, sp.expit(exact + log_v), sp.expit(-exact + log_rest))
    options = {"rng": fg.Key(3), "site_offset": 70, "sample_offset": 5, "log": log}
    ones = np.ones(result.sample.shape, logits.dtype)
    _, grad = bernoulli.relax_vjp(logits, None, ones, temperature=2.0, **options)
    y = sp.expit(again.astype(np.float64) / 2)
    slope = 0.5 if log else 0.5 * y * (1 - y)
    tolerance = 1e-5 if logits.dtype == np.float32 else 1e-11
    np.testing.assert_allclose(grad, (slope * dz).sum(axis=0), rtol=tolerance, atol=tolerance)


@each_dtype
@each_log
@each_coupled
def test_products_sum_over_samples(dtype, log, coupled):
    rng = np.random.default_rng(6)
    logits, key = rng.normal(size=(7, 100)).astype(dtype), fg.Key(5)
    r, s = rng.normal(size=(2, 4, 7, 100)).astype(dtype)
    options = {"temperature": 0.8, "rng": key, "log": log, "coupled": coupled}
    both = bernoulli.relax_vjp(logits, r, s, **options)
    one, two = (bernoulli.relax_vjp(logits, *pair, **options) for pair in ((r, None), (None, s)))
    np.testing.assert_array_equal(both[0], one[0])
    np.testing.assert_array_equal(both[1], two[1])
    each = [bernoulli.relax_vjp(logits, r[i], s[i], sample_offset=i, **options) for i in range(4)]
    for total, parts in zip(both, zip(*each, strict=True), strict=True):
        assert total.dtype == dtype
        np.testing.assert_allclose(total, sum(parts), rtol=1e-4, atol=1e-5)
    del options["coupled"]
    np.testing.assert_array_equal(bernoulli.gumbel_softmax_vjp(logits, r, **options), both[0])


def test_products_at_certain_sites_are_zero():
    logits = np.array([-np.inf, np.inf, 0.0])
    r = np.full((5, 3), 1e30)
    for log in (False, True):
        for coupled in (False, True):
            options = {"temperature": 0.1, "rng": 0, "log": log, "coupled": coupled}
            for grad in bernoulli.relax_vjp(logits, r, r, **options):
                assert (grad[:2] == 0).all()
                assert np.isfinite(grad[2])


# -- REBAR's toy -------------------------------------------------------------------------------

# Variance of REBAR with scale 1 at logit 0, f = (x - target)^2, by quadrature.
VARIANCES = {
    (0.45, 0.5, False): 2.265312e-2,
    (0.45, 0.5, True): 2.406711e-2,
    (0.45, 1.0, False): 1.848909e-2,
    (0.45, 1.0, True): 1.791667e-2,
    (0.499, 0.1, False): 8.370220e-2,
    (0.499, 0.1, True): 8.659328e-2,
}


def rebar(logit, target, temperature, coupled, log, n=1_000_000):
    """Return n single-sample estimates of d/d logit E[(x - target)^2], one a site."""
    logits = np.full(n, logit)
    options = {"temperature": temperature, "rng": fg.Key(21), "coupled": coupled, "log": log}
    r = bernoulli.relax(logits, **options)

    def value_and_slope(y):
        y, inner = (sp.expit(y), sp.expit(y) * sp.expit(-y)) if log else (y, 1)
        return (y - target) ** 2, 2 * (y - target) * inner

    _, slope = value_and_slope(r.relaxed)
    value, conditional_slope = value_and_slope(r.conditional)
    g, h = bernoulli.relax_vjp(logits, slope, conditional_slope, **options)
    return ((r.sample - target) ** 2 - value) * r.score + g - h


@each_coupled
@each_log
@pytest.mark.parametrize(
    ("logit", "target", "temperature"),
    [(0.0, 0.45, 1.0), (0.0, 0.499, 1.0), (1.5, 0.45, 0.5), (-3.0, 0.45, 0.2)],
)
def test_rebar_is_unbiased(logit, target, temperature, coupled, log):
    estimates = rebar(logit, target, temperature, coupled, log)
    p = sp.expit(logit)
    exact = ((1 - target) ** 2 - target**2) * p * (1 - p)
    error = estimates.std() / estimates.size**0.5
    assert abs(estimates.mean() - exact) < 5 * error
    assert error < 5e-4  # small enough to see a bias of a few per cent


@pytest.mark.parametrize(("target", "temperature", "coupled"), VARIANCES)
def test_rebar_has_its_exact_variance(target, temperature, coupled):
    estimates = rebar(0.0, target, temperature, coupled, False)
    squares = (estimates - estimates.mean()) ** 2
    error = squares.std() / squares.size**0.5
    assert abs(squares.mean() - VARIANCES[target, temperature, coupled]) < 5 * error


# -- how the work is cut -----------------------------------------------------------------------


@each_dtype
@each_log
def test_chunks_join(dtype, log):
    n, key = 5000, fg.Key(9)
    rng = np.random.default_rng(7)
    logits = rng.normal(size=n).astype(dtype)
    cotangents = rng.normal(size=(2, 3, n)).astype(dtype)
    options = {"temperature": 0.5, "rng": key, "log": log}
    whole = bernoulli.relax(logits, num_samples=5, **options)
    products = bernoulli.relax_vjp(logits, *cotangents, sample_offset=2, **options)
    edges = [0, 1, 63, 64, 1000, 2049, 4096, n]
    for a, b in itertools.pairwise(edges):
        where = {"site_offset": a, "sample_offset": 2, **options}
        part = bernoulli.relax(logits[a:b], num_samples=3, **where)
        for x, y in zip(part, whole, strict=True):
            np.testing.assert_array_equal(x, y[2:, a:b])
        soft = bernoulli.gumbel_softmax(logits[a:b], num_samples=3, **where)
        np.testing.assert_array_equal(soft, whole.relaxed[2:, a:b])
        for x, y in zip(
            bernoulli.relax_vjp(logits[a:b], *cotangents[..., a:b], **where), products, strict=True
        ):
            np.testing.assert_array_equal(x, y[a:b])


@each_coupled
def test_threads_do_not_matter(coupled):
    logits = np.random.default_rng(8).normal(size=70_001).astype(np.float32)
    options = {"temperature": 0.5, "rng": 0, "coupled": coupled}

    def results():
        r = bernoulli.relax(logits, num_samples=2, **options)
        return [*r, *bernoulli.relax_vjp(logits, r.relaxed, r.conditional, **options)]

    parallel = results()
    numba.set_num_threads(1)
    for serial, expected in zip(results(), parallel, strict=True):
        np.testing.assert_array_equal(serial, expected)


def test_far_offsets_have_their_own_noise():
    logits = np.zeros(64)
    where = [(0, 0), (2**35, 0), (2**40, 0), (0, 2**32 - 1)]
    streams = [
        bernoulli.gumbel_softmax(logits, temperature=1.0, rng=0, site_offset=a, sample_offset=b)
        for a, b in where
    ]
    for i, x in enumerate(streams):
        assert all((x != y).all() for y in streams[:i])


def test_out_and_shapes():
    logits = np.zeros((3, 4), np.float32)
    options = {"temperature": 1.0, "rng": 0}
    shape = (2, 3, 4)
    out = fg.Relaxation(np.empty(shape, np.int32), *(np.empty(shape, np.float32) for _ in "abc"))
    result = bernoulli.relax(logits, num_samples=2, out=out, **options)
    assert all(a is b for a, b in zip(result, out, strict=True))
    y = np.empty(shape, np.float32)
    assert bernoulli.gumbel_softmax(logits, num_samples=2, out=y, **options) is y
    np.testing.assert_array_equal(y, out.relaxed)
    assert bernoulli.relax(0.5, **options).relaxed.shape == ()
    assert bernoulli.relax_vjp(0.5, np.ones(3), 1 * np.ones(3), **options)[1].shape == ()
    empty = bernoulli.relax(np.zeros((0, 3)), num_samples=2, **options)
    assert empty.conditional.shape == (2, 0, 3)
    grads = bernoulli.relax_vjp(np.zeros((0, 3)), empty.relaxed, empty.relaxed, **options)
    assert [g.shape for g in grads] == [(0, 3), (0, 3)]
    none = bernoulli.gumbel_softmax_vjp(logits, np.zeros((0, 3, 4)), **options)
    np.testing.assert_array_equal(none, np.zeros((3, 4)))


@given(
    hnp.arrays(
        st.sampled_from(DTYPES),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=7),
        elements=st.floats(width=32, allow_nan=False),
    ),
    st.sampled_from(WAYS),
    st.floats(1e-3, 1e3),
    st.booleans(),
    st.booleans(),
)
def test_any_logits(logits, way, temperature, coupled, log):
    logits = restride(logits, way) if logits.size else logits
    options = {"temperature": temperature, "rng": 0, "coupled": coupled, "log": log}
    r = bernoulli.relax(logits, num_samples=3, **options)
    plain = bernoulli.relax(np.array(logits, order="C"), num_samples=3, **options)
    for a, b in zip(r, plain, strict=True):
        np.testing.assert_array_equal(a, b)
    middle = 0 if log else 0.5
    for y in r[1:3]:
        np.testing.assert_array_equal(y > middle, r.sample == 1)
        np.testing.assert_array_equal(y < middle, r.sample == 0)
    assert (abs(r.score) <= 1).all()
    for grad in bernoulli.relax_vjp(logits, r.score, r.score, **options):
        assert np.isfinite(grad).all()


# -- what is refused ---------------------------------------------------------------------------

TWO, T = np.zeros(2), {"temperature": 1.0}
R = {"rng": 0, **T}
REFUSED = [
    (lambda: bernoulli.gumbel_softmax([np.nan], **R), r"logits .*NaN.*index \(0,\)"),
    (lambda: bernoulli.relax([0, np.nan], **R), r"logits .*NaN.*index \(1,\)"),
    (lambda: bernoulli.relax_vjp([0, np.nan], TWO, **R), r"logits .*NaN.*index \(1,\)"),
    (lambda: bernoulli.gumbel_softmax(TWO, temperature=0, rng=0), "temperature .*got 0"),
    (lambda: bernoulli.relax(TWO, temperature=-1.0, rng=0), "temperature .*-1"),
    (lambda: bernoulli.relax(TWO, temperature=np.inf, rng=0), "temperature .*inf"),
    (lambda: bernoulli.relax_vjp(TWO, TWO, temperature=np.nan, rng=0), "temperature .*nan"),
    (lambda: bernoulli.gumbel_softmax(TWO, hard=True, log=True, **R), "log=True .*hard=True"),
    (lambda: bernoulli.relax(TWO, num_samples=0, **R), "num_samples .*0"),
    (lambda: bernoulli.relax(TWO, site_offset=-1, **R), "site_offset .*-1"),
    (lambda: bernoulli.relax(TWO, sample_offset=2**32, **R), "sample_offset .*4294967296"),
    (lambda: bernoulli.gumbel_softmax(TWO, out=TWO[:1], **R), r"out .*\(2,\).*\(1,\)"),
    (
        lambda: bernoulli.relax(TWO, out=(np.zeros(2, np.int32), TWO, TWO[:1], TWO), **R),
        "out.conditional",
    ),
    (lambda: bernoulli.relax_vjp(TWO, **R), "relaxed_cotangent and conditional_cotangent must be"),
    (lambda: bernoulli.relax_vjp(TWO, TWO, np.zeros((3, 2)), **R), r"agree .*\(2,\), \(3, 2\)"),
    (lambda: bernoulli.relax_vjp(TWO, np.zeros(3), **R), r"relaxed_cotangent .*\(2,\).*\(3,\)"),
    (lambda: bernoulli.gumbel_softmax_vjp(TWO, np.zeros((1, 1, 2)), **R), r"cotangent .*\(2,\)"),
    (lambda: bernoulli.gumbel_softmax_vjp(TWO, None, **R), "cotangent must be given"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_values_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bernoulli.relax(TWO, rng=None, **T), "rng .*None"),
        (lambda: bernoulli.relax_vjp(TWO, TWO, rng=np.random.default_rng(0), **T), "rng .*key"),
        (lambda: bernoulli.gumbel_softmax_vjp(TWO, TWO * 1j, **R), "cotangent must be real"),
        (lambda: bernoulli.relax("a", **R), "logits must be float32 or float64"),
    ],
)
def test_types_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()
