"""A temperature for each row: bit for bit the rows of calls with one number; what is refused."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import bernoulli, permutation, sparse, subset
from fastgrad.kernels.distributions import concrete_by_ratios, concrete_vjp_by_ratios

KEY = fg.Key(7)


def logits(shape, dtype, seed=0):
    x = np.random.default_rng(seed).normal(size=shape)
    return (3 * x).astype(dtype)


def temperatures(shape, seed=1):
    return np.exp(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(70, 3), (3, 700)])
@pytest.mark.parametrize("log", [False, True])
def test_each_row_is_that_of_a_call_with_its_own_temperature(dtype, shape, log):
    x, t = logits(shape, dtype), temperatures(shape[:1])
    t[:2] = 1, 0.5  # whose relaxations are made in another way
    x[0, 1] = -np.inf
    r = logits((2, *shape), dtype, 2)
    call = {"num_samples": 2, "rng": KEY, "log": log, "row_offset": 5}
    back = {"rng": KEY, "log": log, "row_offset": 5}
    soft, pair = fg.gumbel_softmax(x, temperature=t, **call), fg.relax(x, temperature=t, **call)
    g = fg.gumbel_softmax_vjp(x, r, temperature=t, **back)
    h = fg.relax_vjp(x, r, r, temperature=t, **back)
    for i in (0, 1, shape[0] - 1):
        call["row_offset"] = back["row_offset"] = 5 + i
        own = {"temperature": t[i]}
        row = x[i : i + 1]
        cotangent = r[:, i : i + 1]
        np.testing.assert_array_equal(soft[:, i : i + 1], fg.gumbel_softmax(row, **own, **call))
        for a, b in zip(pair, fg.relax(row, **own, **call), strict=True):
            np.testing.assert_array_equal(a[:, i : i + 1], b)
        one = fg.gumbel_softmax_vjp(row, cotangent, **own, **back)
        np.testing.assert_array_equal(g[i : i + 1], one)
        for a, b in zip(h, fg.relax_vjp(row, cotangent, cotangent, **own, **back), strict=True):
            np.testing.assert_array_equal(a[i : i + 1], b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("log", [False, True])
def test_each_site_is_that_of_a_call_with_its_own_temperature(dtype, log):
    x, t, r = logits(300, dtype), temperatures(300), logits((2, 300), dtype, 2)
    call = {"num_samples": 2, "rng": KEY, "log": log}
    back = {"rng": KEY, "log": log}
    soft = bernoulli.gumbel_softmax(x, temperature=t, **call)
    pair = bernoulli.relax(x, temperature=t, **call)
    g = bernoulli.gumbel_softmax_vjp(x, r, temperature=t, **back)
    h = bernoulli.relax_vjp(x, r, r, temperature=t, **back)
    for i in (0, 17, 299):
        own = {"temperature": float(t[i])}
        whole = bernoulli.gumbel_softmax(x, **own, **call)
        np.testing.assert_array_equal(soft[:, i], whole[:, i])
        for a, b in zip(pair, bernoulli.relax(x, **own, **call), strict=True):
            np.testing.assert_array_equal(a[:, i], b[:, i])
        np.testing.assert_array_equal(g[i], bernoulli.gumbel_softmax_vjp(x, r, **own, **back)[i])
        for a, b in zip(h, bernoulli.relax_vjp(x, r, r, **own, **back), strict=True):
            np.testing.assert_array_equal(a[i], b[i])


def test_rows_of_two_kinds_need_no_machine_code_of_their_own():
    """Rows whose relaxations are made by ratios take what calls with one temperature take."""
    x, t = logits((4, 3), np.float32), [1, 0.5, 0.7, 1]
    fg.gumbel_softmax(x, temperature=t, rng=KEY)
    fg.gumbel_softmax_vjp(x, x, temperature=t, rng=KEY)
    fg.relax_vjp(x, *fg.relax(x, temperature=t, rng=KEY)[1:3], temperature=t, rng=KEY)
    for kernel in (
        concrete_by_ratios.gumbel_softmax,
        concrete_by_ratios.relax,
        concrete_vjp_by_ratios.gumbel_softmax_vjp,
        concrete_vjp_by_ratios.relax_vjp,
    ):
        types = [str(args) for args in kernel.dispatcher.signatures]
        assert types
        assert not [args for args in types if "Array(float32, 1, 'C', False" in args]


def test_temperatures_broadcast_to_the_batch():
    x, t = logits((4, 5, 3), np.float32), temperatures((4, 1)).astype(np.float32)
    whole = fg.gumbel_softmax(x, temperature=t, rng=KEY)
    np.testing.assert_array_equal(
        whole, fg.gumbel_softmax(x, temperature=np.broadcast_to(t, (4, 5)), rng=KEY)
    )
    sites = bernoulli.gumbel_softmax(x, temperature=t[..., None], rng=KEY)
    full = np.broadcast_to(t[..., None], x.shape).tolist()
    np.testing.assert_array_equal(sites, bernoulli.gumbel_softmax(x, temperature=full, rng=KEY))
    one = fg.gumbel_softmax(x, temperature=0.5, rng=KEY)
    for same in (np.array(0.5), np.float32(0.5), np.full(1, 0.5), np.full((1, 1), 0.5)):
        np.testing.assert_array_equal(one, fg.gumbel_softmax(x, temperature=same, rng=KEY))


def test_straight_through_samples_do_not_depend_on_temperatures_but_their_gradient_does():
    x, t = logits((6, 4), np.float64), temperatures(6)
    hard = fg.gumbel_softmax(x, temperature=t, rng=KEY, hard=True)
    np.testing.assert_array_equal(hard, fg.gumbel_softmax(x, temperature=1.0, rng=KEY, hard=True))
    y, r = fg.gumbel_softmax(x, temperature=t, rng=KEY), logits((6, 4), np.float64, 3)
    right = y * (r - (y * r).sum(-1, keepdims=True)) / t[:, None]
    got = fg.gumbel_softmax_vjp(x, r, temperature=t, rng=KEY)
    np.testing.assert_allclose(got, right, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(70, 5), (3, 700)])
def test_each_relaxed_choice_is_that_of_a_call_with_its_own_temperature(dtype, shape):
    x, t, r = logits(shape, dtype), temperatures(shape[:1]), logits((2, *shape), dtype, 2)
    call = {"num_samples": 2, "rng": KEY}
    soft = subset.relaxed_top_k(x, 2, temperature=t, row_offset=5, **call)
    g = subset.relaxed_top_k_vjp(x, r, 2, temperature=t, rng=KEY, row_offset=5)
    for i in (0, 1, shape[0] - 1):
        row, own = slice(i, i + 1), {"temperature": np.array(t[i]), "row_offset": 5 + i}
        np.testing.assert_array_equal(soft[:, row], subset.relaxed_top_k(x[row], 2, **own, **call))
        one = subset.relaxed_top_k_vjp(x[row], r[:, row], 2, rng=KEY, **own)
        np.testing.assert_array_equal(g[row], one)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 3, 5, 3)])
def test_each_scaled_matrix_is_that_of_a_call_with_its_own_temperature(dtype, shape):
    x, t, r = logits(shape, dtype), temperatures((3,)), logits(shape, dtype, 2)
    solved, g = (
        permutation.sinkhorn(x, temperature=t),
        permutation.sinkhorn_vjp(x, r, temperature=t),
    )
    noisy = permutation.gumbel_sinkhorn(x, temperature=t, rng=KEY)
    h = permutation.gumbel_sinkhorn_vjp(x, r, temperature=t, rng=KEY)
    for place in np.ndindex(2, 3):
        own, y = {"temperature": t[place[1]]}, x[place]
        for found, one in zip(solved, permutation.sinkhorn(y, **own), strict=True):
            np.testing.assert_array_equal(found[place], one)
        np.testing.assert_array_equal(g[place], permutation.sinkhorn_vjp(y, r[place], **own))
        own |= {"rng": KEY, "problem_offset": 3 * place[0] + place[1]}
        for found, one in zip(noisy, permutation.gumbel_sinkhorn(y, **own), strict=True):
            np.testing.assert_array_equal(found[place], one)
        np.testing.assert_array_equal(h[place], permutation.gumbel_sinkhorn_vjp(y, r[place], **own))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(70, 3), (3, 700)])
@pytest.mark.parametrize("alpha", [1.0, 1.4, 1.5, 2.0])
def test_each_sparse_row_is_that_of_a_call_with_its_own_temperature(dtype, shape, alpha):
    x, t, r = logits(shape, dtype), temperatures(shape[:1]), logits((2, *shape), dtype, 2)
    x[0, 1] = -np.inf
    call, back = {"num_samples": 2, "alpha": alpha, "rng": KEY}, {"alpha": alpha, "rng": KEY}
    p = sparse.gumbel_entmax(x, temperature=t, row_offset=5, **call)
    g = sparse.gumbel_entmax_vjp(x, r, temperature=t, row_offset=5, **back)
    for i in (0, 1, shape[0] - 1):
        row, own = slice(i, i + 1), {"temperature": np.array(t[i]), "row_offset": 5 + i}
        np.testing.assert_array_equal(p[:, row], sparse.gumbel_entmax(x[row], **own, **call))
        one = sparse.gumbel_entmax_vjp(x[row], r[:, row], **own, **back)
        np.testing.assert_array_equal(g[row], one)


def test_temperatures_of_sparsemax_broadcast_to_the_batch():
    x, t = logits((4, 5, 3), np.float32), temperatures((4, 1)).astype(np.float32)
    full, options = np.broadcast_to(t, (4, 5)), {"rng": KEY}
    p = sparse.gumbel_sparsemax(x, temperature=t, **options)
    np.testing.assert_array_equal(p, sparse.gumbel_sparsemax(x, temperature=full, **options))
    g = sparse.gumbel_sparsemax_vjp(x, x, temperature=t, **options)
    same = sparse.gumbel_sparsemax_vjp(x, x, temperature=full.tolist(), **options)
    np.testing.assert_array_equal(g, same)


def sparse_samples(x, **options):
    return sparse.gumbel_entmax(x, alpha=1.5, **options)


def choices(x, **options):
    return subset.relaxed_top_k(x, 2, **options)


def scaled(x, **options):
    return permutation.gumbel_sinkhorn(np.zeros((len(x), 3, 3)), **options)


@pytest.mark.parametrize("call", [fg.gumbel_softmax, fg.relax, choices, scaled, sparse_samples])
def test_what_is_no_temperature_is_refused(call):
    x = np.zeros((2, 3))
    for t, words in (
        (np.ones(3), r"temperature must broadcast to shape \(2,\), got shape \(3,\)"),
        (np.ones((4, 2)), r"temperature must broadcast to shape \(2,\), got shape \(4, 2\)"),
        ([1, 0], r"from 2\*\*-60 to 2\*\*60, got 0.0 at index \(1,\)"),
        ([np.nan, 1], r"from 2\*\*-60 to 2\*\*60, got nan at index \(0,\)"),
        ([[1], [1, 2]], "temperature must be an array: its rows differ in length"),
    ):
        with pytest.raises(ValueError, match=words):
            call(x, temperature=t, rng=0)
    with pytest.raises(TypeError, match="temperature must not be a NumPy masked array"):
        call(x, temperature=np.ma.masked_array([1.0, 2], mask=[0, 1]), rng=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_densities_take_a_temperature_for_each_row(dtype):
    x, t = logits((6, 4), dtype), temperatures(6)
    log = {"num_samples": 2, "rng": KEY, "log": True}
    y, z = (
        fg.gumbel_softmax(x, temperature=t, **log),
        bernoulli.gumbel_softmax(x, temperature=1, **log),
    )
    whole = fg.exp_concrete_log_prob(x, y, temperature=t)
    plain = fg.concrete_log_prob(x, np.exp(y), temperature=t)
    sites = bernoulli.exp_concrete_log_prob(x, z, temperature=t[:, None])
    for i in range(6):
        own = {"temperature": float(t[i])}
        row, points = x[i : i + 1], y[:, i : i + 1]
        np.testing.assert_array_equal(
            whole[:, i : i + 1], fg.exp_concrete_log_prob(row, points, **own)
        )
        np.testing.assert_array_equal(
            plain[:, i : i + 1], fg.concrete_log_prob(row, np.exp(points), **own)
        )
        np.testing.assert_array_equal(
            sites[:, i], bernoulli.exp_concrete_log_prob(x, z, **own)[:, i]
        )
    with pytest.raises(ValueError, match=r"temperature must broadcast to shape \(6,\)"):
        fg.concrete_log_prob(x, np.exp(y), temperature=np.ones(4))
