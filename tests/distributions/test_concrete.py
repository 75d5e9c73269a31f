"""Relaxations against the oracle: values, laws, couplings, Jacobians."""

import numba
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import DTYPES, WAYS, WIDTH, logits, restride, some_logits

import fastgrad as fg

TEMPERATURES = (0.01, 0.1, 0.5, 1.0, 3.0, 100.0)
SIZES = (1, 2, 3, 4, 5, 15, 16, 64, 100, 511, 512, 513, 1000, 4097)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_temperature = pytest.mark.parametrize("temperature", TEMPERATURES)
by_coupled = pytest.mark.parametrize("coupled", [False, True])
by_log = pytest.mark.parametrize("log", [False, True])
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
INF = np.inf

HARD_ROWS = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [1.0, -2.0, 0.5, 3.0],
        [0.0, -90.0, 1.0, -90.0],
        [-INF, 2.0, 1.0, -1.0],
        [5.0, -INF, -INF, -90.0],
        [-INF, -INF, -7.0, -INF],
        [1e4, 1e4, 0.0, -1e4],
        [-1e4, -1e4, -1e4, -INF],
        [30.0, 0.0, -30.0, 29.0],
    ]
)


# -- values ------------------------------------------------------------------------------------


@by_dtype
@by_coupled
@by_log
@pytest.mark.parametrize("k", SIZES)
def test_relax_equals_the_oracle(k, log, coupled, dtype):
    key, n, samples = fg.Key(1), (9 if k > 600 else 29), 3
    temperature = {0: 0.6, 1: 1, 2: 0.5}[k % 3]
    x = some_logits(n, k, dtype)
    options = {"coupled": coupled, "log": log, "row_offset": 7, "sample_offset": 4}
    got = fg.relax(x, temperature=temperature, num_samples=samples, rng=key, **options)
    z, *arrays, margin = reference.relax(
        x.astype(np.float64), temperature, samples, key.words, WIDTH[dtype], **options
    )
    sure = margin > 1e3 * np.finfo(dtype).eps
    assert np.array_equal(got.sample[sure], z[sure])
    assert sure.mean() > 0.9
    span = np.nanmax(np.where(np.isfinite(x), x - x.max(axis=-1, keepdims=True), 0) * -1) + 20
    eps = np.finfo(dtype).eps * span
    for name, value, expected in zip(got._fields[1:], got[1:], arrays, strict=True):
        assert value.dtype == dtype
        assert value.shape == (samples, n, k)
        close = {"rtol": 20 * eps / temperature, "atol": eps if name == "score" else 1e-37}
        if log and name != "score":
            close = {"rtol": 4 * eps, "atol": 4 * eps / temperature}
        kept = np.broadcast_to(sure[..., None], value.shape)
        expected = expected.astype(np.float64)
        np.testing.assert_allclose(value[kept], expected[kept], err_msg=name, **close)


@by_dtype
@by_log
@pytest.mark.parametrize("k", [2, 5, 600])
@pytest.mark.parametrize("temperature", [0.3, 0.5, 1])
def test_gumbel_softmax_is_the_relaxed_part_of_relax(temperature, k, log, dtype):
    x = some_logits(13, k, dtype)
    options = {"temperature": temperature, "num_samples": 4, "rng": fg.Key(2), "log": log}
    both = fg.relax(x, **options)
    assert np.array_equal(fg.gumbel_softmax(x, **options), both.relaxed)


@by_dtype
@by_temperature
@by_coupled
@by_log
def test_the_sample_is_strictly_the_largest_entry(temperature, coupled, log, dtype):
    """On every draw: in storchastic's binary REBAR a quarter of the draws broke this."""
    x = np.concatenate([HARD_ROWS, some_logits(120, 4, np.float64)]).astype(dtype)
    r = fg.relax(x, temperature=temperature, num_samples=200, rng=3, coupled=coupled, log=log)
    for soft in (r.relaxed, r.conditional):
        assert np.array_equal(soft.argmax(-1), r.sample)
        ordered = np.sort(soft, axis=-1)
        assert (ordered[..., -1] > ordered[..., -2]).all()
        total = np.exp(soft.astype(np.float64)).sum(-1) if log else soft.sum(-1)
        np.testing.assert_allclose(total, 1, rtol=0, atol=10 * np.finfo(dtype).eps)
    assert np.array_equal(r.sample, fg.sample(x, num_samples=200, rng=3, method="gumbel"))


@by_dtype
@by_temperature
@by_log
def test_nothing_is_ever_nan(temperature, log, dtype):
    """Logits of +-1e4 and masks: finite everywhere, but for the logarithm of a masked category."""
    x = HARD_ROWS.astype(dtype)
    masked = np.broadcast_to(np.isneginf(x), (100, *x.shape))
    for coupled in (False, True):
        options = {"temperature": temperature, "rng": 4, "log": log}
        r = fg.relax(x, num_samples=100, coupled=coupled, **options)
        for soft in (r.relaxed, r.conditional):
            assert not np.isnan(soft).any()
            assert (soft[masked] == (-INF if log else 0)).all()
            assert np.isfinite(soft[~masked]).all()
        assert np.isfinite(r.score).all()
        ones = np.random.default_rng(0).normal(size=r.relaxed.shape).astype(dtype)
        for g in fg.relax_vjp(x, ones, ones, coupled=coupled, **options):
            assert np.isfinite(g).all()
            assert (g[masked[0]] == 0).all()
        g = fg.gumbel_softmax_vjp(x, ones, **options)
        assert np.isfinite(g).all()
        assert (g[masked[0]] == 0).all()


@by_dtype
def test_hard_samples_are_one_hot(dtype):
    x = HARD_ROWS.astype(dtype)
    hard = fg.gumbel_softmax(x, temperature=0.5, num_samples=50, rng=5, hard=True)
    assert set(np.unique(hard)) == {0.0, 1.0}
    assert (hard.sum(-1) == 1).all()


@by_dtype
def test_score_is_that_of_the_sample(dtype):
    x = some_logits(17, 6, dtype)
    r = fg.relax(x, temperature=1, num_samples=3, rng=6)
    np.testing.assert_allclose(r.score, fg.score(x, r.sample), rtol=0, atol=4 * np.finfo(dtype).eps)


@by_dtype
def test_coupled_noise_is_the_forward_noise(dtype):
    x = some_logits(40, 7, dtype)
    r = fg.relax(x, temperature=0.8, num_samples=5, rng=7, coupled=True)
    np.testing.assert_allclose(r.conditional, r.relaxed, rtol=1e3 * np.finfo(dtype).eps)


def test_the_recovered_noise_gives_back_z():
    """The inverse behind `coupled`, in the oracle: z~ = z, and the noise is exponential."""
    x = some_logits(2000, 5, np.float64)
    x = np.clip(x, -8, None)  # nothing masked
    noise = reference.exponential_noise((1, *x.shape), (1, 2), 64, reference.NOISE)
    z = reference.perturbed(x, noise).argmax(-1)
    time, rest = reference.recovered_noise(x, z, noise)
    assert (rest > -1e-15).all()
    again = reference.conditional(x, z, time, np.maximum(rest, 1e-300))
    np.testing.assert_allclose(again, reference.perturbed(x, noise), rtol=1e-9, atol=1e-9)
    assert stats.kstest(np.float64(time.ravel()), stats.expon.cdf).pvalue > FALSE_ALARM
    losers = np.float64(rest[reference.one_hot(z, 5) == 0])
    assert stats.kstest(losers, stats.expon.cdf).pvalue > FALSE_ALARM


# -- laws --------------------------------------------------------------------------------------


def log_relaxed_to_z(log_relaxed, temperature):
    """Perturbed logits up to a constant: differences from category 0."""
    x = log_relaxed.astype(np.float64) * temperature
    return x - x[..., :1]


@by_dtype
@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [1.0, -1.5, 0.3], [-4.0, 2.0, 1.9]])
def test_law_given_the_sample_equals_rejection_sampling(row, dtype):
    """z~ given z = b, against perturbed logits of NumPy's noise kept where their argmax is b."""
    n = 150_000
    x = np.array([row], dtype)
    r = fg.relax(x, temperature=1.0, num_samples=n, rng=8, log=True)
    ours = log_relaxed_to_z(r.conditional[:, 0], 1.0)
    rng = np.random.default_rng(8)
    free = np.array(row) + rng.gumbel(size=(n, 3))
    winner, differences = free.argmax(axis=1), free - free[:, :1]
    for b in range(3):
        a, c = ours[r.sample[:, 0] == b], differences[winner == b]
        assert abs(len(a) - len(c)) < 6 * np.sqrt(n)
        for i in (1, 2):
            assert stats.ks_2samp(a[:, i], c[:, i]).pvalue > FALSE_ALARM
        assert stats.ks_2samp(a[:, 2] - a[:, 1], c[:, 2] - c[:, 1]).pvalue > FALSE_ALARM


@by_dtype
@by_coupled
def test_marginal_law_of_the_conditional_is_that_of_the_relaxed(coupled, dtype):
    n = 200_000
    x = np.array([[0.7, -1.0, 0.2, -3.0]], dtype)
    r = fg.relax(x, temperature=0.5, num_samples=n, rng=9, coupled=coupled, log=True)
    exact = np.array(x[0], np.float64) + np.random.default_rng(0).gumbel(size=(n, 4))
    exact = reference.log_softmax(exact / 0.5)
    for i in range(4):
        for soft in (r.relaxed, r.conditional):
            p = stats.ks_2samp(soft[:, 0, i], exact[:, i]).pvalue
            assert p > FALSE_ALARM


def test_conditional_noise_is_fresh():
    """Given z, the two relaxations are independent: their correlation within 6 sigma, 2e-9 each."""
    n = 200_000
    x = np.array([[0.4, -0.4, 0.0]])
    r = fg.relax(x, temperature=1.0, num_samples=n, rng=10, log=True)
    for b in range(3):
        a, c = (s[r.sample[:, 0] == b, 0] for s in (r.relaxed, r.conditional))
        for i in range(3):
            first, second = (stats.rankdata(s[:, i]) for s in (a, c))
            assert abs(np.corrcoef(first, second)[0, 1]) < 6 / np.sqrt(len(first))


# -- Jacobians ---------------------------------------------------------------------------------


def oracle_gradients(x, cotangents, temperature, key, width, coupled, log):
    """Differences of the oracle, whose noise stays as drawn at x."""
    samples = cotangents.shape[0]
    shape = (samples, *x.shape)
    x = x.astype(np.longdouble)
    noise = reference.exponential_noise(shape, key.words, width, reference.NOISE)
    z = reference.perturbed(x, noise).argmax(-1)
    if coupled:
        time, rest = reference.recovered_noise(x, z, noise)
    else:
        fresh = reference.exponential_noise(shape, key.words, width, reference.CONDITIONAL)
        time, rest = reference.independent_noise(z, fresh)

    def value(make):
        def loss(y):
            soft = reference.relaxed(make(y), temperature, log)
            kept = np.broadcast_to(np.isfinite(y), soft.shape)
            return np.sum(np.where(kept, soft, 0) * cotangents)

        return loss

    return (
        reference.gradient(value(lambda y: reference.perturbed(y, noise)), x),
        reference.gradient(value(lambda y: reference.conditional(y, z, time, rest)), x),
    )


def check_products(x, temperature, coupled, log, dtype, tolerance, samples=2):
    x = x.astype(dtype)
    key = fg.Key(20)
    cotangents = np.random.default_rng(1).normal(size=(samples, *x.shape)).astype(dtype)
    options = {"temperature": temperature, "rng": key, "log": log}
    got = fg.relax_vjp(x, cotangents, cotangents, coupled=coupled, **options)
    with np.errstate(invalid="ignore"):
        expected = oracle_gradients(x, cotangents, temperature, key, WIDTH[dtype], coupled, log)
    for g, want in zip(got, expected, strict=True):
        assert g.dtype == dtype
        # Where a gradient cancels, what it cancels from: cotangents times the slope of a softmax.
        atol = tolerance * 1e-3 * np.abs(cotangents).sum() / temperature
        np.testing.assert_allclose(g, want.astype(np.float64), rtol=tolerance, atol=atol)
    alone = fg.gumbel_softmax_vjp(x, cotangents, **options)
    np.testing.assert_allclose(alone, got[0], rtol=4 * np.finfo(dtype).eps, atol=1e-30)


@by_temperature
@by_coupled
@by_log
def test_products_equal_differences(temperature, coupled, log):
    """1e-6 in float64, logits of -90 and masks included, temperature 0.01 to 100."""
    for row in HARD_ROWS:
        if np.abs(row[np.isfinite(row)]).max() < 1e3:  # differences of 1e-7 need room
            check_products(row[None], temperature, coupled, log, np.float64, 1e-6)


@by_coupled
@by_log
@pytest.mark.parametrize("k", [1, 2, 3, 5, 16, 33])
def test_products_of_any_size(k, coupled, log):
    x = np.random.default_rng(k).normal(0, 2, (3, k))
    check_products(x, 0.5, coupled, log, np.float64, 1e-7)


@by_coupled
@by_log
def test_products_of_a_wide_row(coupled, log):
    """A folded row: only the first entries are differenced."""
    k, kept = 600, 6
    x = np.full((1, k), -INF)
    x[0, :: k // kept] = np.random.default_rng(2).normal(size=kept)
    x[0, 599] = 0.5
    x[0, 500:] = np.where(np.isfinite(x[0, 500:]), x[0, 500:], -INF)
    check_products(x, 0.7, coupled, log, np.float64, 1e-7, samples=1)


@by_coupled
@by_log
@pytest.mark.parametrize("temperature", [0.1, 0.5, 10.0])
def test_products_in_float32(temperature, coupled, log):
    x = np.random.default_rng(3).normal(0, 2, (4, 5))
    check_products(x, temperature, coupled, log, np.float32, 2e-5)


@by_dtype
def test_products_sum_over_samples(dtype):
    x = some_logits(6, 5, dtype)
    cotangents = np.random.default_rng(4).normal(size=(4, 6, 5)).astype(dtype)
    options = {"temperature": 0.5, "rng": fg.Key(21)}
    whole = fg.relax_vjp(x, cotangents, cotangents, **options)
    parts = [fg.relax_vjp(x, c, c, sample_offset=i, **options) for i, c in enumerate(cotangents)]
    for i in (0, 1):
        np.testing.assert_allclose(
            whole[i], sum(p[i] for p in parts), rtol=0, atol=100 * np.finfo(dtype).eps
        )


def test_one_cotangent_may_be_left_out():
    x = some_logits(6, 5, np.float64)
    c = np.random.default_rng(5).normal(size=(3, 6, 5))
    options = {"temperature": 0.5, "rng": 22}
    both = fg.relax_vjp(x, c, c, **options)
    first, none = fg.relax_vjp(x, c, **options)
    assert none is None
    assert np.array_equal(first, both[0])
    none, second = fg.relax_vjp(x, None, c, **options)
    assert none is None
    assert np.array_equal(second, both[1])


def test_products_are_linear_and_ignore_constants():
    """Softmax does not see a shift of all its logits: each row of a gradient sums to zero."""
    x = some_logits(50, 6, np.float64)
    a, b = np.random.default_rng(6).normal(size=(2, 3, 50, 6))
    options = {"temperature": 0.4, "rng": 23}
    for i in (0, 1):
        ga, gb, gab = (fg.relax_vjp(x, c, c, **options)[i] for c in (a, b, a - 2 * b))
        np.testing.assert_allclose(gab, ga - 2 * gb, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ga.sum(-1), 0, atol=1e-12)


# -- the same bits, however cut ----------------------------------------------------------------


@given(
    st.sampled_from(DTYPES),
    st.booleans(),
    st.booleans(),
    st.sampled_from((1, 3, 16, 513)),
    st.lists(st.integers(0, 30), min_size=1, max_size=4),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(0, 2**30),
)
def test_chunks_of_rows_and_samples_join(dtype, coupled, log, k, rows, samples, start):
    n, s = sum(rows), sum(samples)
    x = some_logits(max(n, 1), k, dtype)[:n]
    cotangent = np.ones((s, n, k), dtype) * np.arange(k, dtype=dtype)
    options = {"temperature": 0.5, "rng": fg.Key(30), "coupled": coupled, "log": log}
    whole = fg.relax(x, num_samples=s, row_offset=start, sample_offset=start, **options)
    gradients = fg.relax_vjp(
        x, cotangent, cotangent, row_offset=start, sample_offset=start, **options
    )
    row = 0
    for dr in rows:
        here = slice(row, row + dr)
        at = {"row_offset": start + row, "sample_offset": start, **options}
        for g, part in zip(
            gradients,
            fg.relax_vjp(x[here], cotangent[:, here], cotangent[:, here], **at),
            strict=True,
        ):
            assert np.array_equal(g[here], part)
        sample = 0
        for ds in samples:
            at["sample_offset"] = start + sample
            part = fg.relax(x[here], num_samples=ds, **at)
            for a, b in zip(whole, part, strict=True):
                assert np.array_equal(a[sample : sample + ds, here], b)
            sample += ds
        row += dr


@by_dtype
@by_coupled
@pytest.mark.parametrize("k", [3, 16, 700])
def test_threads_give_the_same_bits(k, coupled, dtype):
    x = some_logits(60_000 // k, k, dtype)
    results = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        options = {"temperature": 0.5, "rng": fg.Key(31)}
        r = fg.relax(x, num_samples=2, coupled=coupled, **options)
        g = fg.relax_vjp(x, r.relaxed, r.conditional, coupled=coupled, **options)
        h = fg.gumbel_softmax_vjp(x, r.relaxed, **options)
        results.append([*r, *g, h, fg.gumbel_softmax(x, num_samples=2, **options)])
    for one, many in zip(*results, strict=True):
        assert np.array_equal(one, many)


@given(logits(), st.sampled_from(TEMPERATURES), st.booleans(), st.booleans())
def test_any_logits(x, temperature, coupled, log):
    """Strides, byte orders, masks, batch shapes."""
    options = {"temperature": temperature, "rng": 32, "coupled": coupled, "log": log}
    r = fg.relax(x, num_samples=2, **options)
    plain = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
    for a, b in zip(r, fg.relax(plain, num_samples=2, **options), strict=True):
        assert np.array_equal(a, b)
        assert not np.isnan(a).any()
    assert np.array_equal(r.conditional.argmax(-1), r.sample)
    assert np.array_equal(r.relaxed.argmax(-1), r.sample)
    for g in fg.relax_vjp(x, r.score, r.score, **options):
        assert g.shape == x.shape
        assert np.isfinite(g).all()


@pytest.mark.parametrize("way", WAYS)
def test_strides_of_cotangents_do_not_matter(way):
    x = some_logits(6, 5, np.float32)
    c = np.random.default_rng(7).normal(size=(3, 6, 5)).astype(np.float32)
    options = {"temperature": 0.5, "rng": 33}
    expected = fg.relax_vjp(x, c, c, **options)
    got = fg.relax_vjp(restride(x, way), restride(c, way), restride(c, way), **options)
    for a, b in zip(got, expected, strict=True):
        assert np.array_equal(a, b)


@by_dtype
@pytest.mark.parametrize("shape", [(0, 3), (0, 600), (2, 0, 3)])
def test_empty_batches(shape, dtype):
    x = np.zeros(shape, dtype)
    r = fg.relax(x, temperature=1, num_samples=3, rng=0)
    assert r.sample.shape == (3, *shape[:-1])
    assert r.relaxed.shape == r.conditional.shape == r.score.shape == (3, *shape)
    assert fg.gumbel_softmax(x, temperature=1, rng=0).shape == shape
    assert fg.gumbel_softmax_vjp(x, r.relaxed, temperature=1, rng=0).shape == shape
    for g in fg.relax_vjp(x, r.relaxed, r.relaxed, temperature=1, rng=0):
        assert g.shape == shape
    assert fg.concrete_log_prob(x, x, temperature=1).shape == shape[:-1]


@by_dtype
def test_out(dtype):
    x = some_logits(6, 5, dtype)
    options = {"temperature": 0.5, "num_samples": 3, "rng": 34}
    expected = fg.relax(x, **options)
    out = fg.Relaxation(*(np.zeros_like(a) for a in expected))
    result = fg.relax(x, out=out, **options)
    for a, b, c in zip(result, out, expected, strict=True):
        assert a is b
        assert np.array_equal(a, c)
    soft = np.zeros((3, 6, 5), dtype)
    assert fg.gumbel_softmax(x, out=soft, **options) is soft
    assert np.array_equal(soft, expected.relaxed)


@by_dtype
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 513])
def test_nothing_is_written_outside_out(k, dtype):
    """Moves of four categories at a time end inside the array whatever the number of rows."""
    for n in (*range(1, 40), 511, 512, 513, 2049):
        x = some_logits(n, k, dtype)
        buffer = np.full(n * k + 256, 7, dtype)
        out = buffer[128:-128].reshape(n, k)
        for offset in (0, 1, 3):
            fg.gumbel_softmax(x, temperature=1, rng=0, row_offset=offset, out=out)
            fg.log_softmax(x, out=out)
            assert (buffer[:128] == 7).all()
            assert (buffer[-128:] == 7).all()


@pytest.mark.parametrize("k", [3, 600])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_saturated_rows_keep_their_digits(dtype, k):
    """1 - p is the sum of the other probabilities: a difference would have no digit left."""
    gap = 20.0 if dtype == np.float32 else 42.0
    logits = np.zeros((1, k), dtype)
    logits[0, k // 2] = gap
    others = (k - 1) * np.exp(-gap) / (1 + (k - 1) * np.exp(-gap))
    relaxation = fg.relax(logits, temperature=0.5, num_samples=3, rng=0)
    assert (relaxation.sample == k // 2).all()
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(relaxation.score[..., k // 2], others, rtol=64 * eps)
    np.testing.assert_allclose(relaxation.score.sum(-1), 0, atol=64 * eps * others)


def test_relaxations_of_a_million_categories_sum_to_one():
    """Terms of 1e-7 are lost one by one in a sum that has reached 1, but not in one of parts."""
    x = np.full((1, 10**6), -16, np.float32)
    x[0, 0] = 0
    y = fg.gumbel_softmax(x, temperature=1.0, rng=0)
    assert abs(y.sum(dtype=np.float64) - 1) < 1e-5
    pair = fg.relax(x, temperature=1.0, rng=1)
    for y in pair[1:3]:
        assert abs(y.sum(dtype=np.float64) - 1) < 1e-5
