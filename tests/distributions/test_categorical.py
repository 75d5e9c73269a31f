"""Categoricals against the oracle: samples exactly, the rest to rounding; laws, masks, chunks."""

import dataclasses
import functools

import numba
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import DTYPES, WAYS, WIDTH, logits, restride

import fastgrad as fg

SIZES = (1, 2, 3, 4, 5, 15, 16, 64, 100, 511, 512, 513, 1000, 4096, 4097, 10_000)
LARGEST = 131_072
METHODS = ("inverse", "gumbel")
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_method = pytest.mark.parametrize("method", METHODS)
by_size = pytest.mark.parametrize("k", [*SIZES, pytest.param(LARGEST, marks=pytest.mark.slow)])
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
INF = np.inf


def some_logits(n, k, dtype, seed=0, masked=True):
    """Rows of logits of several scales; every other row has masks, the last a single category."""
    rng = np.random.default_rng([seed, n, k])
    x = rng.normal(size=(n, k)) * rng.choice([0.1, 1, 4], size=(n, 1)) + rng.normal(0, 20, (n, 1))
    if masked and k > 1:
        x[::2][rng.random(x[::2].shape) < 0.3] = -INF
        x[np.isneginf(x).all(axis=1), rng.integers(k)] = 0
        x[-1] = -INF
        x[-1, k - 1] = 3
    return x.astype(dtype)


def uniform_width(dtype, k):
    """Bits of the uniform that draws one row by inverse CDF."""
    return 32 if dtype == np.float32 and k <= 512 else 64


def tolerance(dtype, k):
    """Rounding of a sum of k exponentials of logits."""
    return (8 + np.log2(k)) * np.finfo(dtype).eps


# -- samples -----------------------------------------------------------------------------------


@by_size
@by_dtype
@by_method
def test_sample_equals_the_oracle(method, dtype, k):
    """Every draw, except where the choice hangs on the last bits of a sum."""
    n, samples = (9, 3) if k > 4096 else (37, 11)
    key, offsets = fg.Key(1), {"row_offset": 5, "sample_offset": 2}
    x = some_logits(n, k, dtype)
    got = fg.sample(x, num_samples=samples, rng=key, method=method, **offsets)
    assert got.dtype == np.int32
    assert got.shape == (samples, n)
    exact = x.astype(np.float64)
    if method == "inverse":
        u = reference.row_uniforms(samples, n, key.words, uniform_width(dtype, k), **offsets)
        z, margin = reference.sample_inverse(exact, u)
        sure = margin > 4 * np.finfo(dtype).eps
    else:
        shape = (samples, n, k)
        noise = reference.exponential_noise(
            shape, key.words, WIDTH[dtype], reference.NOISE, **offsets
        )
        perturbed = reference.perturbed(exact, noise)
        z, margin = perturbed.argmax(axis=-1), reference.margin(perturbed)
        scale = np.abs(np.where(np.isfinite(x), x - x.max(axis=1, keepdims=True), 0)).max()
        sure = margin > (scale + 32) * 2 * np.finfo(dtype).eps
    assert np.array_equal(got[sure], z[sure])
    assert sure.mean() > 0.9
    assert np.isfinite(x[np.arange(n), got]).all()


@by_method
@by_dtype
@pytest.mark.parametrize("k", [2, 3, 16, 600])
def test_sample_law(method, dtype, k):
    """Chi-square of 200,000 draws, false alarm 1e-6."""
    n = 200_000
    x = some_logits(1, k, dtype, seed=3, masked=False)
    z = fg.sample(x, num_samples=n, rng=2, method=method)[:, 0]
    p = reference.softmax(x.astype(np.float64))[0]
    counts = np.bincount(z, minlength=k)
    often = p * n > 10
    observed, expected = counts[often], p[often] * n
    if not often.all():
        observed, expected = (
            np.append(a, b)
            for a, b in ((observed, counts[~often].sum()), (expected, p[~often].sum() * n))
        )
    assert stats.chisquare(observed, expected * (n / expected.sum())).pvalue > FALSE_ALARM


@by_method
@by_dtype
def test_rows_and_samples_are_independent(method, dtype):
    """Pairs of neighbours, over rows and over samples: chi-square of 4 x 4 tables, 1e-6 each."""
    z = fg.sample(np.zeros((300, 4), dtype), num_samples=1000, rng=3, method=method)
    for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1]), (z[:, 4:], z[:, :-4])):
        table = np.bincount((4 * a + b).ravel(), minlength=16)
        assert stats.chisquare(table).pvalue > FALSE_ALARM


@by_dtype
@by_method
def test_a_rare_category_is_drawn_as_often_as_it_should(method, dtype):
    """p = 1e-6 in 2^26 draws, at either end of the row; two-sided binomial bounds of 1e-6."""
    n, p = 1 << 26, 1e-6
    rows = 1 << 16
    for x in (np.log([p, 1 - p]), np.log([1 - p, p]), np.log([0.5, p, 0.5 - p])):
        x = np.broadcast_to(x.astype(dtype), (rows, x.size))
        rare = int(x[0].argmin())
        count = sum(
            int(
                (
                    fg.sample(x, num_samples=n // rows // 4, rng=4, method=method, sample_offset=s)
                    == rare
                ).sum()
            )
            for s in range(0, n // rows, n // rows // 4)
        )
        low, high = stats.binom(n, p).ppf(FALSE_ALARM / 2), stats.binom(n, p).isf(FALSE_ALARM / 2)
        assert low <= count <= high


@pytest.mark.slow
@by_dtype
@pytest.mark.parametrize("k", [5, 512, 4096, LARGEST])
def test_boundaries_of_the_inverse_cdf(dtype, k):
    """Rare categories among common ones get an interval of their own width: right to 1e-7.

    The oracle gives the interval of u that each category owns in exact arithmetic. Of 20,000 draws
    none lands farther than 1e-7 outside the interval of what was drawn.
    """
    x = some_logits(1, k, dtype, seed=6, masked=False)
    x[0, :: max(k // 7, 2)] -= 14  # the rare ones
    key, samples = fg.Key(6), 20_000
    z = fg.sample(x, num_samples=samples, rng=key)[:, 0]
    u = reference.row_uniforms(samples, 1, key.words, uniform_width(dtype, k))[:, 0]
    order = reference.cumulative_order(k)
    upper = np.cumsum(reference.softmax(x.astype(np.longdouble))[0, order])
    place = np.argsort(order)[z]
    lower = np.concatenate([[0], upper])[place]
    assert (u > lower - 1e-7).all()
    assert (u < upper[place] + 1e-7).all()


@by_dtype
@by_method
@by_size
def test_all_mass_in_one_place(method, dtype, k):
    """First, last or any other category: nothing else is ever drawn."""
    for place in {0, k - 1, k // 2}:
        x = np.full((5, k), -INF, dtype)
        x[:, place] = -3
        assert (fg.sample(x, num_samples=50, rng=7, method=method) == place).all()


@by_dtype
@by_method
@pytest.mark.parametrize("k", [7, 600, 9000])
def test_masked_categories_are_never_drawn(method, dtype, k):
    """Also where the mask starts or ends the row, or a whole segment of it."""
    x = np.zeros((6, k), dtype)
    x[0, k // 2 :] = x[1, : k // 2] = x[2, ::2] = x[3, 1::2] = -INF
    x[4, : -k // 3] = x[5, k // 3 :] = -INF
    z = fg.sample(x, num_samples=3000, rng=8, method=method)
    assert (x[np.arange(6), z] == 0).all()


@by_dtype
@by_method
def test_huge_logits(method, dtype):
    x = np.array([[1e4, -1e4, 0], [-1e30, -1e30, -2e30], [-1e38, 1e38, 0]], dtype)
    z = fg.sample(x, num_samples=100, rng=9, method=method)
    assert (z[:, 0] == 0).all()
    assert set(z[:, 1]) == {0, 1}
    assert (z[:, 2] == 1).all()


@by_dtype
@pytest.mark.parametrize("k", [3, 16, 512, 600, 5000])
def test_gumbel_samples_are_those_of_the_relaxations(dtype, k):
    x = some_logits(21, k, dtype)
    options = {"num_samples": 5, "rng": fg.Key(10), "row_offset": 3, "sample_offset": 1}
    z = fg.sample(x, method="gumbel", **options)
    relaxed = fg.gumbel_softmax(x, temperature=0.7, **options)
    hard = fg.gumbel_softmax(x, temperature=0.7, hard=True, **options)
    both = fg.relax(x, temperature=0.7, **options)
    assert np.array_equal(relaxed.argmax(-1), z)
    assert np.array_equal(hard.argmax(-1), z)
    assert np.array_equal(hard.sum(-1), np.ones(z.shape))
    assert np.array_equal(both.sample, z)
    assert np.array_equal(both.relaxed, relaxed)


# -- the same bits, however cut ----------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("k", [1, 3, 7, 16, 100])
@pytest.mark.parametrize("row", [1, 2, 3, 66, 131])
def test_a_long_chunk_may_start_at_any_row(dtype, k, row):
    x = some_logits(1500, k, dtype)
    for method in METHODS:
        whole = fg.sample(x, num_samples=2, rng=3, method=method)
        chunk = fg.sample(x[row:], num_samples=2, rng=3, method=method, row_offset=row)
        assert np.array_equal(chunk, whole[:, row:])
    options = {"temperature": 0.5, "rng": 3}
    whole, chunk = fg.relax(x, **options), fg.relax(x[row:], row_offset=row, **options)
    for a, b in zip(whole, chunk, strict=True):
        assert np.array_equal(a[row:], b)


@given(
    st.sampled_from(METHODS),
    st.sampled_from(DTYPES),
    st.sampled_from((1, 2, 5, 16, 512, 513, 4097)),
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(0, 2**30),
)
def test_chunks_of_rows_and_samples_join(method, dtype, k, rows, samples, start):
    n, s = sum(rows), sum(samples)
    x = some_logits(max(n, 1), k, dtype)[:n]

    def draw(r0, r1, s0, s1):
        return fg.sample(
            x[r0:r1],
            num_samples=s1 - s0,
            rng=11,
            method=method,
            row_offset=start + r0,
            sample_offset=start + s0,
        )

    row_ends, sample_ends = np.cumsum(rows), np.cumsum(samples)
    parts = [
        [
            draw(int(r - dr), int(r), int(e - de), int(e))
            for r, dr in zip(row_ends, rows, strict=True)
        ]
        for e, de in zip(sample_ends, samples, strict=True)
    ]
    assert np.array_equal(np.block(parts), draw(0, n, 0, s))


@by_dtype
@by_method
@pytest.mark.parametrize("k", [3, 16, 700, 20_000])
def test_threads_give_the_same_bits(method, dtype, k):
    x = some_logits(100_000 // k, k, dtype)
    results = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        z = fg.sample(x, num_samples=3, rng=12, method=method)
        others = [fg.log_softmax(x), fg.entropy(x), fg.score(x, z), fg.log_prob(x, z)]
        others.append(fg.kl_divergence(x, np.zeros_like(x)))
        results.append([z, *others])
    for one, many in zip(*results, strict=True):
        assert np.array_equal(one, many)


@by_method
def test_sample_alone_equals_sample_of_many(method):
    x = some_logits(10, 4, np.float32)
    assert np.array_equal(
        fg.sample(x, rng=13, method=method), fg.sample(x, num_samples=4, rng=13, method=method)[0]
    )


# -- functions of logits -----------------------------------------------------------------------


@by_size
@by_dtype
def test_functions_equal_the_oracle(dtype, k):
    x, y = some_logits(9, k, dtype), some_logits(9, k, dtype, seed=1)
    y = np.where(np.isneginf(y), dtype(-5), y)
    z = np.random.default_rng(0).integers(0, k, (4, 9))
    exact, other = x.astype(np.longdouble), y.astype(np.longdouble)
    eps = tolerance(dtype, k)
    logits_size = np.abs(np.where(np.isfinite(x), x, 0)).max() + 1
    close = np.testing.assert_allclose
    close(fg.log_softmax(x), reference.log_softmax(exact), rtol=eps, atol=eps * logits_size)
    close(fg.log_prob(x, z), reference.log_prob(exact, z), rtol=eps, atol=eps * logits_size)
    close(fg.score(x, z), reference.score(exact, z), rtol=0, atol=eps * 8)
    close(fg.entropy(x), reference.entropy(exact), rtol=4 * eps, atol=eps)
    expected = reference.kl_divergence(exact, other)
    close(fg.kl_divergence(x, y), expected, rtol=8 * eps, atol=8 * eps * logits_size)
    for result in (fg.log_softmax(x), fg.log_prob(x, z), fg.score(x, z), fg.entropy(x)):
        assert result.dtype == dtype
        assert not np.isnan(result).any()


@by_dtype
def test_masks_in_functions(dtype):
    x = np.array([[0, -INF, 0], [-INF, 5, -INF]], dtype)
    assert np.array_equal(np.isneginf(fg.log_softmax(x)), np.isneginf(x))
    assert np.array_equal(np.isneginf(fg.log_prob(x, np.array([1, 1]))), [True, False])
    scores = fg.score(x, np.array([0, 1]))
    assert np.array_equal(scores, np.array([[0.5, 0, -0.5], [0, 0, 0]], dtype))
    np.testing.assert_allclose(fg.entropy(x), [np.log(2), 0], rtol=1e-6)
    assert np.array_equal(fg.kl_divergence(x, x), [0, 0])
    q = np.array([[0, 0, -INF], [0, 0, 0]], dtype)
    got = fg.kl_divergence(x, q)
    assert got[0] == INF
    np.testing.assert_allclose(got[1], np.log(3), rtol=1e-6)


@by_dtype
@pytest.mark.parametrize("k", [2, 7, 512, 600, 5000])
def test_the_largest_may_be_several(dtype, k):
    """All but one of them count, and one that is nearly as large is none of them."""
    for ties in (1, 2, k - 1, k):
        x = np.full((70, k), -400, dtype)
        x[:, k - ties :] = 3
        x[1::2] = x[1::2, ::-1]
        near = x.copy()
        near[near == -400] = np.nextafter(dtype(3), dtype(0))
        close = functools.partial(np.testing.assert_allclose, rtol=tolerance(dtype, k))
        close(fg.log_softmax(x)[x == 3], -np.log(ties), atol=1e-150)
        close(fg.log_softmax(near), -np.log(k))
        close(fg.entropy(x), np.log(ties), atol=1e-150)
        close(fg.entropy(near), np.log(k))
        scores = fg.score(x, x.argmax(axis=1))
        close(scores[np.arange(70), x.argmax(axis=1)], 1 - 1 / ties, atol=1e-150)


@by_dtype
@pytest.mark.parametrize("shape", [(70, 1), (70, 3), (300, 16), (3, 700), (2, 5000)])
@pytest.mark.parametrize("row", [0, -1])
def test_invalid_logits_are_seen_wherever_they_are(row, shape, dtype):
    """Their sums are NaN: there is no pass over the logits that looks for them."""
    z, calls = np.zeros(shape[0], int), [fg.log_softmax, fg.entropy]
    calls += [lambda x: fg.score(x, z), lambda x: fg.log_prob(x, z)]
    calls += [lambda x: fg.entropy_vjp(x, np.zeros(shape[0]))]
    for value, words in ((np.nan, "nan"), (INF, "inf"), (-INF, "-inf")):
        for k in (0, shape[1] - 1, slice(None)):
            if value == -INF and k != slice(None):
                continue
            x = np.linspace(-3, 3, np.prod(shape), dtype=dtype).reshape(shape)
            x[row, k] = value
            for call in calls:
                with pytest.raises(ValueError, match=f"logits .*{words}"):
                    call(x)


@by_dtype
@pytest.mark.parametrize("k", [3, 600, 5000])
def test_logits_that_are_written_over_are_looked_at_before(dtype, k):
    x = np.zeros((4, k), dtype)
    x[2, 1] = np.nan
    given = x.copy()
    for call in (fg.log_softmax, functools.partial(fg.score, z=np.zeros(4, int))):
        with pytest.raises(ValueError, match=r"logits .*nan at index \(2, 1\)"):
            call(x, out=x)
        assert np.array_equal(x, given, equal_nan=True)


@by_dtype
def test_score_is_the_gradient_of_log_prob(dtype):
    x = some_logits(3, 5, np.float64)
    z = np.argmax(x, axis=1)
    expected = reference.gradient(lambda y: reference.log_prob(y, z).sum(), x)
    np.testing.assert_allclose(
        fg.score(x.astype(dtype), z), expected, atol=2e-9 if dtype == np.float64 else 2e-6
    )


@by_dtype
def test_score_has_mean_zero(dtype):
    """Over exact probabilities, by enumeration."""
    x = some_logits(4, 6, dtype, masked=False)
    z = np.broadcast_to(np.arange(6)[:, None], (6, 4))
    p = np.exp(fg.log_prob(x, z))
    mean = (p[..., None] * fg.score(x, z)).sum(axis=0)
    np.testing.assert_allclose(mean, 0, atol=10 * np.finfo(dtype).eps)


@given(logits(masks=True))
def test_any_logits(x):
    """Strides, byte orders, masks, batch shapes: the same as plain float64 rows."""
    exact = x.astype(np.float64)
    eps = 40 * np.finfo(x.dtype).eps
    z = fg.sample(x, num_samples=2, rng=14)
    assert z.shape == (2, *x.shape[:-1])
    assert np.isfinite(np.take_along_axis(x[None].repeat(2, 0), z[..., None], -1)).all()
    np.testing.assert_allclose(fg.log_softmax(x), reference.log_softmax(exact), rtol=eps, atol=eps)
    np.testing.assert_allclose(fg.entropy(x), reference.entropy(exact), rtol=eps, atol=eps)
    np.testing.assert_allclose(fg.log_prob(x, z), reference.log_prob(exact, z), rtol=eps, atol=eps)
    np.testing.assert_allclose(fg.score(x, z), reference.score(exact, z), rtol=eps, atol=eps)
    assert (fg.kl_divergence(x, x) == 0).all()
    assert fg.log_softmax(x).dtype == x.dtype.newbyteorder("=")


@pytest.mark.parametrize("way", WAYS)
@by_method
def test_strides_do_not_matter(way, method):
    x = some_logits(12, 5, np.float32).reshape(3, 4, 5)
    before = x.copy()
    z = fg.sample(restride(x, way), num_samples=3, rng=15, method=method)
    assert np.array_equal(z, fg.sample(x, num_samples=3, rng=15, method=method))
    for kind in (np.int8, np.uint16, np.int64, np.dtype(">i4")):
        other = restride(z.astype(kind), "fortran")
        assert np.array_equal(fg.score(restride(x, way), other), fg.score(x, z))
        assert np.array_equal(fg.log_prob(restride(x, way), other), fg.log_prob(x, z))
    assert np.array_equal(x, before)


@pytest.mark.parametrize("shape", [(0, 3), (0, 600), (0, 5000), (2, 0, 3)])
@by_dtype
def test_empty_batches(shape, dtype):
    x, batch, k = np.zeros(shape, dtype), shape[:-1], shape[-1]
    for method in METHODS:
        assert fg.sample(x, rng=0, method=method).shape == batch
        assert fg.sample(x, num_samples=3, rng=0, method=method).shape == (3, *batch)
    z = np.zeros(batch, np.int32)
    assert fg.log_softmax(x).shape == shape
    assert fg.entropy(x).shape == fg.kl_divergence(x, x).shape == fg.log_prob(x, z).shape == batch
    assert fg.score(x, z).shape == shape
    assert fg.score(x, np.zeros((4, *batch), int)).shape == (4, *batch, k)


def test_a_single_row_without_a_batch():
    x = np.log([0.25, 0.75])
    assert fg.sample(x, rng=0).shape == ()
    assert fg.sample(x, num_samples=4, rng=0).shape == (4,)
    assert fg.entropy(x).shape == ()
    assert fg.score(x, np.int64(1)).shape == (2,)
    assert fg.log_prob(x, 0) == pytest.approx(np.log(0.25))


@by_dtype
def test_out(dtype):
    x = some_logits(6, 5, dtype)
    z = np.full((3, 6), -1, np.int32)
    assert fg.sample(x, num_samples=3, rng=0, out=z) is z
    assert np.array_equal(z, fg.sample(x, num_samples=3, rng=0))
    table, scores = np.full((6, 5), np.nan, dtype), np.full((3, 6, 5), np.nan, dtype)
    assert fg.log_softmax(x, out=table) is table
    assert fg.score(x, z, out=scores) is scores
    assert np.array_equal(table, fg.log_softmax(x))
    assert np.array_equal(scores, fg.score(x, z))


@by_dtype
@pytest.mark.parametrize("k", [3, 600, 5000])
def test_log_softmax_in_place(dtype, k):
    x = some_logits(20, k, dtype)
    expected = fg.log_softmax(x)
    assert np.array_equal(fg.log_softmax(x, out=x), expected)


def test_the_type_has_the_functions_of_the_module():
    x = some_logits(6, 5, np.float32).reshape(2, 3, 5)
    d = fg.Categorical(x)
    assert (d.batch_shape, d.num_categories) == ((2, 3), 5)
    z = d.sample(num_samples=4, rng=0)
    assert np.array_equal(z, fg.sample(x, num_samples=4, rng=0))
    assert np.array_equal(d.log_prob(z), fg.log_prob(x, z))
    assert np.array_equal(d.score(z), fg.score(x, z))
    assert np.array_equal(d.entropy(), fg.entropy(x))
    with pytest.raises(dataclasses.FrozenInstanceError):
        d.logits = x
    with pytest.raises(ValueError, match="read-only"):
        d.logits[:] = 0
