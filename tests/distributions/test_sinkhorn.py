"""Sinkhorn scaling against iterations on logarithms, optimality, and finite differences."""

import re

import numba
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from strategies import DTYPES, WAYS, restride

import fastgrad as fg
from fastgrad.distributions.sinkhorn import (
    gumbel_sinkhorn,
    gumbel_sinkhorn_vjp,
    sinkhorn,
    sinkhorn_vjp,
)

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
SHAPES = ((4, 6, 6), (2, 3, 1, 1), (3, 5, 8), (3, 8, 5), (2, 17, 17), (1, 1, 7), (2, 33, 64))
by_shape = pytest.mark.parametrize("shape", SHAPES)
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
PLAIN = {"newton": False, "tolerance": 0.0}
INF = np.inf


def problems(shape, dtype, seed=0, masks=True):
    """Random log_alpha with a matching: what is masked lies off the diagonal."""
    rng = np.random.default_rng([seed, *shape])
    x = rng.normal(size=shape)
    if masks and shape[-1] > 2 and shape[-2] > 2:
        x[(rng.random(shape) < 0.15) & ~np.eye(*shape[-2:], dtype=bool)] = -INF
    return x.astype(dtype)


def iterations(x, temperature, count):
    """Scale by `count` iterations on logarithms, with their potentials, in float64.

    There are fewer where one changes rounding errors only, as all after it would.
    """
    x = x.astype(np.float64) / temperature
    rows, columns = x.shape[-2:]
    if rows > columns:
        matrix, f, g = iterations(np.swapaxes(x, -1, -2), 1.0, count)
        return np.swapaxes(matrix, -1, -2), np.swapaxes(g, -1, -2), np.swapaxes(f, -1, -2)
    g = np.zeros((*x.shape[:-2], 1, columns))
    for _ in range(count):
        f, before = logsumexp(x - g, axis=-1, keepdims=True), g
        g = logsumexp(x - f, axis=-2, keepdims=True)
        g = np.maximum(g, 0) if rows < columns else g
        if np.allclose(g, before, rtol=1e-15, atol=1e-15):
            break
    return np.exp(x - f - g), f, g


def excess(matrix):
    """By how much the worst line of each matrix misses its bound."""
    rows, columns = matrix.shape[-2:]
    off_rows = matrix.sum(-1, dtype=np.float64) - 1
    off_columns = matrix.sum(-2, dtype=np.float64) - 1
    off_rows = np.abs(off_rows) if rows <= columns else off_rows
    off_columns = np.abs(off_columns) if columns <= rows else off_columns
    return np.maximum(off_rows.max(-1), off_columns.max(-1))


# -- values ------------------------------------------------------------------------------------


@by_dtype
@by_shape
@pytest.mark.parametrize("temperature", [0.05, 0.5, 3.0])
def test_plain_iterations_equal_the_oracle(shape, temperature, dtype):
    x = problems(shape, dtype)
    for count in (1, 2, 9, 60):
        got = sinkhorn(x, temperature=temperature, max_iterations=count, **PLAIN)
        expected, _, _ = iterations(x, temperature, count)
        reach = np.abs(x[np.isfinite(x)]).max() / temperature * np.finfo(dtype).eps
        np.testing.assert_allclose(got.matrix, expected, rtol=0, atol=40 * reach)
        assert got.matrix.dtype == dtype
        assert got.matrix.shape == shape
        done = got.iterations < count  # where another iteration would change nothing
        assert (got.error[done] <= 8 * np.finfo(dtype).eps).all()
        np.testing.assert_allclose(got.error, excess(got.matrix), rtol=0, atol=1e-12)


@by_dtype
@pytest.mark.parametrize("shape", [(6, 64, 64), (6, 44, 64), (6, 64, 44), (3, 15, 15)])
@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01, 0.001])
def test_marginals_are_within_the_tolerance_at_any_temperature(shape, temperature, dtype):
    x = problems(shape, dtype, masks=False)
    for tolerance in (1e-2, 1e-4) if dtype == np.float32 else (1e-4, 1e-8):
        result = sinkhorn(x, temperature=temperature, tolerance=tolerance)
        assert (result.error <= tolerance).all()
        assert (excess(result.matrix) <= tolerance + 1e-12).all()
        assert result.iterations.max() < 120  # plain iterations: thousands, and more
        assert result.matrix.min() >= 0


@by_shape
@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_newton_finds_what_many_iterations_find(shape, temperature):
    x = problems(shape, np.float64)
    got = sinkhorn(x, temperature=temperature, tolerance=1e-12)
    assert got.error.max() <= 1e-12
    expected, _, _ = iterations(x, temperature, 5000)
    np.testing.assert_allclose(got.matrix, expected, rtol=0, atol=1e-6)


@by_shape
@pytest.mark.parametrize("temperature", [0.02, 0.3, 2.0])
def test_the_result_is_optimal(shape, temperature):
    """P = exp(x - f - g) with g >= 0, and 0 where a column is slack: the conditions of optimality.

    For P of any such sums, <P, log_alpha> + temperature * entropy(P) is then no larger.
    """
    x = problems(shape, np.float64, masks=False)
    matrix = sinkhorn(x, temperature=temperature, tolerance=1e-12).matrix
    rest = x / temperature - np.log(matrix)  # f + g
    rows, columns = shape[-2:]
    if rows > columns:
        rest, matrix = np.swapaxes(rest, -1, -2), np.swapaxes(matrix, -1, -2)
    g = rest - rest[..., :1]
    np.testing.assert_allclose(g, np.broadcast_to(g[..., :1, :], g.shape), rtol=0, atol=1e-9)
    if rows != columns:
        g = g[..., 0, :] - g[..., 0, :].min(axis=-1, keepdims=True)
        assert g.min() == 0
        slack = matrix.sum(-2) < 1 - 1e-9
        assert slack.any(axis=-1).all()
        np.testing.assert_allclose(g[slack], 0, atol=1e-9)


def test_one_row_is_a_softmax():
    x = problems((5, 1, 7), np.float64)
    result = sinkhorn(x, temperature=0.7)
    y = np.exp(x / 0.7)
    np.testing.assert_allclose(result.matrix, y / y.sum(-1, keepdims=True), rtol=1e-12)
    assert result.error.max() < 1e-12


@by_dtype
def test_huge_differences_are_no_difficulty(dtype):
    rng = np.random.default_rng(1)
    x = (1e4 * rng.normal(size=(20, 12, 12))).astype(dtype)
    x[:, :6, 6:] = -INF
    result = sinkhorn(x, temperature=0.01)
    assert np.isfinite(result.matrix).all()
    assert result.error.max() <= 1e-4
    best = fg.permutation.matching(x)
    assert np.array_equal(result.matrix.argmax(-1), best)
    g = sinkhorn_vjp(x, np.ones_like(x), temperature=0.01)
    assert np.isfinite(g).all()


def test_a_mask_without_a_matching_is_reported_not_hidden():
    """Rows 0 and 1 have one column between them: no scaling exists, and nothing hangs."""
    x = np.zeros((2, 4, 4))
    x[0, :2, 1:] = -INF
    for newton in (True, False):
        result = sinkhorn(x, newton=newton, max_iterations=300)
        assert result.error[0] > 0.1
        assert result.error[1] <= 1e-4
        assert np.isfinite(result.matrix).all()
        assert result.iterations.max() <= 300
        with pytest.raises(ValueError, match="no matching in problem 0"):
            sinkhorn_vjp(x, np.ones_like(x), newton=newton, max_iterations=300)


def test_pairs_in_no_matching_vanish():
    """Of a triangular mask only the diagonal is left: a limit that no scaling attains."""
    x = np.where(np.tri(8, dtype=bool), 0.0, -INF)
    result = sinkhorn(x, tolerance=1e-6)
    assert result.error <= 1e-6
    np.testing.assert_allclose(result.matrix, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_layouts(way):
    x = problems((3, 6, 6), np.float64)
    y = restride(x, way)
    assert np.array_equal(sinkhorn(x).matrix, sinkhorn(y).matrix)
    w = np.random.default_rng(0).normal(size=x.shape)
    assert np.array_equal(sinkhorn_vjp(x, w), sinkhorn_vjp(y, restride(w, way)))


def test_batches_of_any_shape():
    x = problems((2, 3, 4, 4), np.float32)
    whole = sinkhorn(x)
    assert whole.error.shape == whole.iterations.shape == (2, 3)
    for i in np.ndindex(2, 3):
        one = sinkhorn(x[i])
        assert np.array_equal(one.matrix, whole.matrix[i])
        assert one.error == whole.error[i]
    assert sinkhorn(x[:0]).matrix.shape == (0, 3, 4, 4)
    assert sinkhorn_vjp(x[:0], x[:0]).shape == (0, 3, 4, 4)


# -- products ----------------------------------------------------------------------------------


def differences(f, x, h=1e-5):
    g = np.zeros_like(x)
    for i in np.argwhere(np.isfinite(x)):
        e = np.zeros_like(x)
        e[tuple(i)] = h
        g[tuple(i)] = (f(x + e) - f(x - e)) / (2 * h)
    return g


@pytest.mark.parametrize("shape", [(2, 5, 5), (2, 4, 6), (2, 6, 4), (1, 1, 3), (1, 2, 2)])
@pytest.mark.parametrize("temperature", [1.5, 0.3, 0.1])
@pytest.mark.parametrize("method", ["implicit", "unrolled", "unrolled, few"])
def test_products_equal_finite_differences(shape, temperature, method):
    x, samples = problems(shape, np.float64, seed=2), 2
    w = np.random.default_rng(3).normal(size=(samples, *shape))
    options = {"tolerance": 1e-13}
    if method != "implicit":
        options = {**PLAIN, "max_iterations": 3 if "few" in method else 70}
    options |= {"temperature": temperature, "rng": 4, "noise_scale": 0.8}

    def loss(y):
        return (gumbel_sinkhorn(y, num_samples=samples, **options).matrix * w).sum()

    got = gumbel_sinkhorn_vjp(x, w, method=method.split(",")[0], **options)
    np.testing.assert_allclose(got, differences(loss, x), rtol=1e-6, atol=2e-7)
    assert (got[np.isneginf(x)] == 0).all()


@by_shape
@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_implicit_is_the_limit_of_unrolled(shape, temperature):
    x = problems(shape, np.float64, seed=5)
    w = np.random.default_rng(6).normal(size=shape)
    implicit = sinkhorn_vjp(x, w, temperature=temperature, tolerance=1e-12)
    options = {**PLAIN, "max_iterations": 3000}
    unrolled = sinkhorn_vjp(x, w, temperature=temperature, method="unrolled", **options)
    np.testing.assert_allclose(implicit, unrolled, rtol=0, atol=1e-8)


@by_dtype
@pytest.mark.parametrize("method", ["implicit", "unrolled"])
def test_products_in_both_precisions(method, dtype):
    x = problems((3, 20, 20), dtype, seed=7)
    w = np.random.default_rng(8).normal(size=x.shape).astype(dtype)
    options = {"temperature": 0.5, "method": method, "newton": method == "implicit"}
    got = sinkhorn_vjp(x, w, **options)
    assert got.dtype == dtype
    expected = sinkhorn_vjp(x.astype(np.float64), w.astype(np.float64), **options)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("temperature", [0.1, 0.01, 0.001])
def test_implicit_products_keep_their_sums_near_permutations(temperature):
    """Nearly a permutation, the system is nearly singular; a sum by the gauge must still be 0."""
    x = problems((5, 40, 40), np.float64, seed=9)
    w = np.random.default_rng(10).normal(size=x.shape)
    g = sinkhorn_vjp(x, w, temperature=temperature, tolerance=1e-9) * temperature
    assert np.isfinite(g).all()
    np.testing.assert_allclose(g.sum(-1), 0, atol=1e-12)
    np.testing.assert_allclose(g.sum(-2), 0, atol=1e-12)


# -- samples -----------------------------------------------------------------------------------


@by_dtype
def test_the_noise_is_gumbel(dtype):
    """Scaling one row is a softmax: differences of its logarithms are those of perturbed logits."""
    n = 100_000
    x = np.array([[0.5, -1.0]], dtype)
    matrix = gumbel_sinkhorn(x, temperature=1.0, num_samples=n, rng=11).matrix
    logit = np.log(matrix[:, 0, 0].astype(np.float64)) - np.log(matrix[:, 0, 1].astype(np.float64))
    assert stats.kstest(logit, stats.logistic(1.5).cdf).pvalue > FALSE_ALARM


def test_entries_have_noise_of_their_own():
    n = 40_000
    matrix = gumbel_sinkhorn(np.zeros((2, 3, 3)), temperature=1.0, num_samples=n, rng=12).matrix
    y = stats.rankdata(matrix[:, :, :2, :2].reshape(n, -1), axis=0)
    r = np.corrcoef(y.T)
    assert abs(r[:4, 4:]).max() < 6 / np.sqrt(n)  # problems are independent: 6 sigma


def test_no_noise_is_sinkhorn():
    x = problems((3, 7, 7), np.float32)
    got = gumbel_sinkhorn(x, temperature=0.4, num_samples=2, rng=13, noise_scale=0)
    assert all(np.array_equal(m, sinkhorn(x, temperature=0.4).matrix) for m in got.matrix)


@by_dtype
@pytest.mark.parametrize("shape", [(40, 9, 9), (40, 6, 9), (40, 9, 6), (40, 7, 23)])
def test_bits_depend_neither_on_threads_nor_on_chunks(shape, dtype):
    x = problems(shape, dtype)
    w = np.ones((5, *shape), dtype)
    w *= np.random.default_rng(14).normal(size=w.shape).astype(dtype)
    options = {"temperature": 0.3, "rng": 14}
    unrolled = {"method": "unrolled", "newton": False, "max_iterations": 9}
    results = []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        r = gumbel_sinkhorn(x, num_samples=5, **options)
        products = (gumbel_sinkhorn_vjp(x, w, **options, **how) for how in ({}, unrolled))
        results.append([*r, *products])
    for a, b in zip(*results, strict=True):
        assert np.array_equal(a, b)
    matrix = results[0][0]
    part = gumbel_sinkhorn(
        x[30:], num_samples=2, problem_offset=30, sample_offset=3, **options
    ).matrix
    assert np.array_equal(part, matrix[3:, 30:])
    pieces = [
        gumbel_sinkhorn_vjp(x[i : i + 20], w[:, i : i + 20], problem_offset=i, **options)
        for i in (0, 20)
    ]
    assert np.array_equal(np.concatenate(pieces), results[0][3])


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), r"log_alpha must have shape \(\*batch, N, M\)"),
        (np.zeros((2, 0, 3)), "N, M >= 1"),
        (np.array([[0.0, np.nan], [0.0, 0.0]]), r"got nan at index \(0, 1\)"),
        (np.array([[0.0, INF], [0.0, 0.0]]), "below infinity"),
        (np.array([[[0.0, 0.0]] * 2, [[0.0, 0.0], [-INF, -INF]]]), "row 1 of problem 1"),
        (np.array([[0.0, -INF], [0.0, -INF]]), "column 1 of problem 0"),
        (np.array([[0.0, -INF, 0.0], [-INF, -INF, -INF]]), "row 1 of problem 0"),
    ],
)
def test_bad_problems(x, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn(x)


def test_a_column_that_need_not_be_matched_may_be_masked():
    x = np.array([[0.0, -INF, 0.0], [1.0, -INF, 0.0]])
    for y in (x, x.T):
        result = sinkhorn(y, temperature=0.1)
        assert result.error <= 1e-4
        assert result.matrix.sum() == pytest.approx(2, abs=1e-3)
        assert np.isfinite(sinkhorn_vjp(y, np.ones(y.shape), temperature=0.1)).all()


def test_scores_too_large_to_compute_with_are_refused():
    x = np.array([[[0.0, 1.0], [1.0, 0.0]], [[0.0, -1e308], [1e308, -INF]]])
    for call in (sinkhorn, lambda x, **options: sinkhorn_vjp(x, x, **options)):
        with pytest.raises(ValueError, match=r"log_alpha / temperature .* 1e\+308 / .* problem 1"):
            call(x, temperature=1e-3)  # which went on for ever
    with pytest.raises(ValueError, match=r"from -2\*\*52 to 2\*\*52"):  # ended in errors of 1
        sinkhorn(np.float32([[1e30, 0], [0, 0]]))
    with pytest.raises(ValueError, match=r"from -2\*\*23 to 2\*\*23"):  # ended in -inf
        sinkhorn(np.float32([[1e20, 0], [0, 0]]), newton=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature must be"),
        ({"tolerance": -1e-3}, "tolerance must be a finite number, at least 0"),
        ({"tolerance": np.nan}, "tolerance must be"),
        ({"max_iterations": 0}, "max_iterations must be at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn(np.zeros((2, 2)), **options)
    with pytest.raises(ValueError, match=message):
        sinkhorn_vjp(np.zeros((2, 2)), np.zeros((2, 2)), **options)


def test_bad_calls():
    x = np.zeros((2, 2))
    with pytest.raises(ValueError, match="newton=False"):
        sinkhorn_vjp(x, x, method="unrolled")
    with pytest.raises(ValueError, match="method must be one of"):
        sinkhorn_vjp(x, x, method="both")
    with pytest.raises(ValueError, match="cotangent must have shape"):
        sinkhorn_vjp(x, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="noise_scale must be"):
        gumbel_sinkhorn(x, temperature=1, rng=0, noise_scale=-1)
    with pytest.raises(TypeError, match="not a Generator"):
        gumbel_sinkhorn_vjp(x, x, temperature=1, rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match="float32 or float64"):
        sinkhorn(np.zeros((2, 2), complex))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mask_without_a_matching_has_no_products(dtype):
    """As `matching` says; the forward call has its error to say it. Both orientations, batches."""
    inf = np.inf
    bad = np.array([[0, -inf, -inf], [0, -inf, -inf], [0, 1, 2]], dtype)
    good = np.array([[0, -inf, 1], [0, 1, -inf], [0, 1, 2]], dtype)
    batch, r = np.stack([good, bad]), np.ones((2, 3, 3), dtype)
    for call in (
        lambda x, r: fg.permutation.sinkhorn_vjp(x, r),
        lambda x, r: fg.permutation.sinkhorn_vjp(x, r, newton=False, method="unrolled"),
        lambda x, r: fg.permutation.gumbel_sinkhorn_vjp(x, r, temperature=1.0, rng=0),
    ):
        with pytest.raises(ValueError, match="log_alpha admits no matching in problem 1"):
            call(batch, r)
        assert np.isfinite(call(good, r[0])).all()
    tall = np.array([[0, -inf], [0, -inf], [0, 1], [-inf, 1]], dtype)
    assert np.isfinite(fg.permutation.sinkhorn_vjp(tall, np.ones((4, 2)))).all()
    assert (fg.permutation.sinkhorn(bad).error > 1e-2).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_as_far_apart_as_is_allowed(dtype):
    far = 2.0**52
    x = np.diag(np.array([far, -far, 0.0], dtype))
    found = fg.permutation.sinkhorn(x)
    np.testing.assert_array_equal(found.matrix, np.eye(3)[[0, 2, 1]])
    grad = fg.permutation.sinkhorn_vjp(x, np.arange(9, dtype=dtype).reshape(3, 3))
    np.testing.assert_array_equal(grad, 0.0)


@pytest.mark.parametrize(
    ("scale", "way"), [(1e39, "smaller"), (1e37, "smaller"), (1e-50, "larger")]
)
def test_noise_that_the_type_does_not_hold_is_refused(scale, way):
    x, options = np.zeros((3, 3), np.float32), {"rng": 0, "noise_scale": scale}
    words = re.escape(f"noise_scale must be {way} for float32, got {scale}")
    with pytest.raises(ValueError, match=words):
        gumbel_sinkhorn(x, temperature=1, **options)
    with pytest.raises(ValueError, match=words):
        fg.permutation.gumbel_matching(x, **options)
