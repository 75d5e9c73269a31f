"""The straight-through estimator of least variance: its mean and its optimality, by enumeration."""

import numpy as np
import pytest
import reference

import fastgrad as fg

RNG = np.random.default_rng(41)
COUNTS = {
    "Binomial": fg.counts.Binomial(np.array(0.4), 5),
    "Binomial of one": fg.counts.Binomial(np.array(-0.8), 1),
    "Poisson": fg.counts.Poisson(np.array(0.6)),
    "Geometric": fg.counts.Geometric(np.array(0.9)),
    "NegativeBinomial": fg.counts.NegativeBinomial(np.array(-0.7), 3.5),
}
each_count = pytest.mark.parametrize("kind", COUNTS)
RUN = fg.estimator("optimal_st")


def matrices(logits):
    """A(D) for each outcome D, (K, K, K), by asking for the product with each unit vector."""
    d, k = fg.Categorical(logits), len(logits)
    found = np.zeros((k, k, k))
    for outcome, unit in np.ndindex(k, k):
        w = np.eye(k)[None, unit]
        answer = np.zeros(1), w
        found[outcome, :, unit] = RUN.combine(d, [(np.array([outcome], np.int32), answer)]).grad
    return found


def by_least_squares(logits):
    """A(D), one logit at a time: the least squares subject to both conditions, solved directly.

    Unknowns are A(D)_k times the root of p_D; the conditions are those of linear f, and those of
    quadratic f = x_m x_n for all m and n, with gradients of x_m x_n at the outcomes.
    """
    p, k = reference.softmax(logits), len(logits)
    j, r = np.diag(p) - np.outer(p, p), np.sqrt(p)
    rows = [np.einsum("d,k->dk", r, np.eye(k)[m]).ravel() for m in range(k)]
    for m in range(k):
        for n in range(m, k):
            quadratic = np.zeros((k, k))
            quadratic[m, n] += 1
            quadratic[n, m] += 1  # f = x^T M x / 2, with the gradient M D at D
            rows.append((r[:, None] * quadratic[:, :].T).ravel())
    found = np.zeros((k, k, k))
    for i in range(k):
        right = [j[i, m] for m in range(k)]
        right += [j[i, m] if m == n else 0.0 for m in range(k) for n in range(m, k)]
        solution, *_ = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)
        np.testing.assert_allclose(np.array(rows) @ solution, right, atol=1e-12)
        found[:, i] = solution.reshape(k, k) / r[:, None]
    return found


@pytest.mark.parametrize("k", [2, 3, 5])
def test_it_is_the_least_of_squares_under_its_conditions(k):
    logits = 1.5 * RNG.normal(size=k)
    np.testing.assert_allclose(matrices(logits), by_least_squares(logits), atol=1e-11)


@pytest.mark.parametrize("shape", [(2, 3), (3,), (2, 2)])
def test_it_is_exact_for_quadratics(shape):
    size = int(np.prod(shape))
    m = RNG.normal(size=(size, size))
    m, b = m + m.T, RNG.normal(size=size)

    def flat(x):
        return x.reshape(len(x), -1)

    f = fg.objective(
        lambda x: np.einsum("si,ij,sj->s", flat(x), m, flat(x)) / 2 + flat(x) @ b,
        grad=lambda x: (flat(x) @ m + b).reshape(x.shape),
    )
    logits = 1.5 * RNG.normal(size=shape)
    found = fg.moments("optimal_st", f, logits, num_samples=1)
    assert found.exact
    np.testing.assert_allclose(found.mean, fg.exact.grad(f, logits), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("k", [3, 6])
def test_it_has_the_mean_of_its_formula_and_less_variance_than_reinmax(k):
    """Of an f that is not quadratic; and where its gradient is noise, the sum of squares."""
    logits = 1.5 * RNG.normal(size=k)
    p, a = reference.softmax(logits), matrices(logits)
    w = RNG.normal(size=k)
    f = fg.objective(lambda x: (x @ w) ** 3, grad=lambda x: 3 * ((x @ w) ** 2)[:, None] * w)
    expected = sum(p[d] * 3 * w[d] ** 2 * a[d] @ w for d in range(k))
    found = fg.moments("optimal_st", f, logits, num_samples=1)
    np.testing.assert_allclose(found.mean, expected, rtol=1e-9, atol=1e-12)
    j = np.diag(p) - np.outer(p, p)
    heun = [(j + np.outer(np.eye(k)[d] - p, np.eye(k)[d] - p)) / 2 for d in range(k)]
    own, others = (sum(p[d] * (x[d] ** 2).sum() for d in range(k)) for x in (a, heun))
    assert (j**2).sum() < own < 0.999 * others


def test_it_is_reinmax_where_nothing_is_left_to_choose():
    w = RNG.normal(size=(6, 4, 2))
    for d, gradient in (
        (fg.Categorical(RNG.normal(size=(4, 2))), w),
        (fg.Bernoulli(RNG.normal(size=4)), w[..., 0]),
        (fg.Categorical(np.zeros((4, 5))), RNG.normal(size=(6, 4, 5))),
    ):
        z = d.sample(num_samples=6, rng=0)
        answer = np.zeros(6), gradient
        one, two = (
            fg.estimator(name).combine(d, [(z, answer)]).grad for name in ("optimal_st", "reinmax")
        )
        np.testing.assert_allclose(one, two, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neither_blocks_nor_row_chunks_change_a_bit(dtype, monkeypatch):
    logits = RNG.normal(size=(3, 20, 7)).astype(dtype)
    logits[0, ::3, 2] = -np.inf
    f = fg.objective(
        lambda x: x.reshape(*x.shape[:2], -1).sum(axis=2), grad=lambda x: np.cos(3 * x)
    )
    whole = RUN(f, logits, num_samples=9, rng=4)
    assert whole.grad.dtype == dtype
    assert not whole.grad[np.isinf(logits)].any()
    monkeypatch.setattr("fastgrad.kernels.compiler.jit.PARALLEL_WORK", 8)
    for block_size in (1, 4, 9):
        again = RUN(f, logits, num_samples=9, rng=4, block_size=block_size)
        np.testing.assert_array_equal(again.grad, whole.grad)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("large", [30.0, 1e4, 1e30])
def test_extreme_logits(large, dtype):
    """Certain outcomes get zero; nothing overflows."""
    logits = np.array([[large, 0.0, -large, -np.inf], [0.0, 0.0, -large, 0.0]], dtype)
    f = fg.objective(lambda x: x[..., 0].sum(axis=1), grad=lambda x: x + np.arange(4, dtype=dtype))
    grad = RUN(f, logits, num_samples=16, rng=0).grad
    assert np.isfinite(grad).all()
    assert grad[0, 3] == 0
    np.testing.assert_allclose(grad[0], 0, atol=1e-10)
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-6)
    assert abs(grad[1]).max() > 0.01


# -- counts ----------------------------------------------------------------------------------------


@each_count
def test_counts_are_exact_for_quadratics_with_least_mean_square(kind):
    """Least squares over any function of the count, under both conditions."""
    d = COUNTS[kind]
    f = fg.objective(lambda z: 3 * z**2 - 2 * z, grad=lambda z: 6 * z - 2)
    found = fg.moments("optimal_st", f, d, num_samples=1)
    np.testing.assert_allclose(found.mean, fg.exact.grad(f, d), rtol=1e-9)
    z = d.table()
    p = np.exp(d.log_prob(z))
    z, p = z[p > 1e-14], p[p > 1e-14]
    r = np.sqrt(p)
    growth = fg.exact.grad(lambda x: x, d), fg.exact.grad(lambda x: x**2 / 2, d)
    best, *_ = np.linalg.lstsq(np.stack([r, r * z]), np.array(growth), rcond=None)
    often = p > 1e-6
    np.testing.assert_allclose(d.second_order_slope(z)[often], (best / r)[often], rtol=1e-6)


@each_count
def test_counts_have_the_mean_of_their_formula(kind):
    d = COUNTS[kind]
    f = fg.objective(lambda z: np.sin(z), grad=lambda z: np.cos(z))
    p, z = np.exp(d.log_prob(d.table())), d.table()
    found = fg.moments("optimal_st", f, d, num_samples=1)
    expected = (p * d.second_order_slope(z) * np.cos(z)).sum()
    np.testing.assert_allclose(found.mean, expected, rtol=1e-9)


def test_the_slope_of_poisson_is_the_mean_of_count_and_rate():
    d = fg.counts.Poisson(np.log([0.5, 4.0]))
    z = np.array([[0, 3], [2, 9]], np.int32)
    np.testing.assert_allclose(d.second_order_slope(z), (z + np.array([0.5, 4.0])) / 2)


def test_sets_are_refused():
    with pytest.raises(TypeError, match="optimal_st does not work with KSubset: it is derived for"):
        RUN(lambda x: x[:, 0], fg.subset.KSubset(np.zeros(3), 2), num_samples=2, rng=0)
