"""Orders of items: SoftSort and the race given the order, by formulae and finite differences."""

import itertools

import numpy as np
import pytest
from scipy import stats

import fastgrad as fg
from fastgrad.distributions.structured import race as _race
from fastgrad.distributions.structured.plackett_luce import PlackettLuce

LOGITS = np.array([0.3, -1.0, 0.8, 0.1, -0.4])
WHOLE, TOP = PlackettLuce(LOGITS), PlackettLuce(LOGITS, 3)
by_order = pytest.mark.parametrize("d", [WHOLE, TOP, PlackettLuce(LOGITS, 1)])
H = 1e-6


def recursion(phi, z, noise):
    """Perturbed logits given the order z, by the times of the race one after the other."""
    left, time, times = list(range(len(phi))), 0.0, np.zeros(len(phi))
    for item in z:
        time += noise[item] / np.exp(phi[left]).sum()
        times[item] = time
        left.remove(item)
    for item in left:
        times[item] = time + noise[item] / np.exp(phi[item])
    return -np.log(times)


def mean_by_loops(f, logits, k):
    """E[f] of permutation matrices, from the definition."""
    total = 0.0
    for z in itertools.permutations(range(len(logits)), k):
        left, p = list(range(len(logits))), 1.0
        for item in z:
            p *= np.exp(logits[item]) / np.exp(logits[left]).sum()
            left.remove(item)
        total += p * f(np.eye(len(logits))[list(z)][None])[0]
    return total


@pytest.mark.parametrize("k", [1, 2, 4])
def test_exact_is_the_definition(k):
    cost, logits = np.arange(4.0 * k).reshape(k, 4) / 8, LOGITS[:4]

    def f(x):
        return np.exp((x * cost).sum(axis=(1, 2)))

    value, grad = fg.exact.value_and_grad(f, PlackettLuce(logits, k))
    np.testing.assert_allclose(value, mean_by_loops(f, logits, k), rtol=1e-12)
    for i in range(4):
        up, down = (mean_by_loops(f, logits + s * H * np.eye(4)[i], k) for s in (1, -1))
        np.testing.assert_allclose(grad[i], (up - down) / (2 * H), atol=1e-7)


# -- perturbed logits ------------------------------------------------------------------------------


@by_order
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_perturbed_logits_have_the_order_of_the_sample(d, dtype):
    d = d.with_logits(np.stack([LOGITS, -LOGITS]).astype(dtype))
    w, z = d.perturbed(200, fg.Key(4)), d.sample(num_samples=200, rng=4)
    np.testing.assert_array_equal(d.order(w), z)
    np.testing.assert_array_equal(d.perturbed(3, fg.Key(4), 7), w[7:10])
    last = d.with_logits(d.logits[1:]).from_row(1)
    np.testing.assert_array_equal(last.perturbed(5, fg.Key(4)), w[:5, 1:])


@by_order
def test_given_the_order_the_race_is_run_again(d):
    z = d.sample(num_samples=50, rng=1)
    w = d.conditional(z, fg.Key(2))
    np.testing.assert_array_equal(d.order(w), z)  # the coupling, on every draw
    gumbel = np.random.default_rng(0).gumbel(size=w.shape)
    phi = LOGITS - LOGITS.max()
    expected = [recursion(phi, order, np.exp(-g)) for order, g in zip(z, gumbel)]
    found = _race.arrivals(np.tile(phi, (50, 1)), z, gumbel)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@by_order
def test_both_perturbed_logits_have_the_same_law(d):
    """Kolmogorov-Smirnov, for each item: 4,000 draws with other noise against as many without."""
    w = d.perturbed(4000, fg.Key(6))
    again = d.conditional(d.order(w), fg.Key(6))
    other = d.perturbed(4000, fg.Key(7))
    for i in range(len(LOGITS)):
        assert stats.ks_2samp(again[:, i], other[:, i]).pvalue > 4e-8
        assert abs(np.corrcoef(again[:, i], w[:, i])[0, 1]) < 0.999  # not the same noise


@by_order
def test_products_with_the_jacobian_given_the_order(d):
    """Against differences of the race with fixed noise, and of one another."""
    z = d.sample(num_samples=20, rng=1)
    gumbel = np.random.default_rng(0).gumbel(size=(20, 5))

    def at(logits):
        return _race.arrivals(np.tile(logits - LOGITS.max(), (20, 1)), z, gumbel)

    w, rng = at(LOGITS), np.random.default_rng(3)
    for _ in range(3):
        v, r = rng.normal(size=5), rng.normal(size=(20, 5))
        expected = (at(LOGITS + H * v) - at(LOGITS - H * v)) / (2 * H)
        found = d.conditional_jvp(z, w, np.tile(v, (20, 1)))
        np.testing.assert_allclose(found, expected, atol=1e-7)
        product = d.conditional_vjp(z, w, r)
        np.testing.assert_allclose((product * v).sum(1), (r * found).sum(1), rtol=1e-9)


# -- SoftSort --------------------------------------------------------------------------------------


@by_order
def test_soft_permutations_are_their_formula(d):
    w = np.random.default_rng(1).normal(size=(10, 5))
    x = d.soften(w, 0.3)
    for row, matrix in zip(w, x):
        largest = np.sort(row)[::-1][: d.length]
        expected = np.exp(-abs(largest[:, None] - row) / 0.3)
        np.testing.assert_allclose(matrix, expected / expected.sum(axis=1, keepdims=True))


@by_order
def test_products_with_the_jacobian_of_soft_permutations(d):
    rng = np.random.default_rng(2)
    w, temperature = rng.normal(size=(10, 5)), 0.4
    x = d.soften(w, temperature)
    v, r = rng.normal(size=w.shape), rng.normal(size=x.shape)
    up, down = (d.soften(w + s * H * v, temperature) for s in (1, -1))
    found = d.soften_jvp(w, x, temperature, v)
    np.testing.assert_allclose(found, (up - down) / (2 * H), atol=1e-7)
    product = d.soften_vjp(w, x, temperature, r)
    np.testing.assert_allclose((product * v).sum(1), (r * found).sum((1, 2)), rtol=1e-9)


def test_at_a_low_temperature_they_are_the_sample():
    x = TOP.gumbel_softmax(temperature=1e-3, num_samples=100, rng=3)
    z = TOP.sample(num_samples=100, rng=3)
    np.testing.assert_allclose(x, TOP.features(z), atol=0.2)
    np.testing.assert_array_equal(x.argmax(axis=-1), z)


# -- extremes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("coupled", [True, False])
def test_masks_and_large_logits(dtype, coupled):
    """Nothing overflows, and a masked item has no gradient."""
    logits = np.array([0.0, -np.inf, 500.0, -400.0, 3.0], dtype)
    d = PlackettLuce(logits, 4)
    f = fg.objectives.linear(np.arange(20, dtype=dtype).reshape(4, 5))
    for name, options in {"rebar": {}, "relax": {"add_objective": True}}.items():
        run = fg.estimator(name, coupled=coupled, **options)
        grad = run(f, d, num_samples=8, rng=0).grad
        assert np.isfinite(grad).all()
        assert grad[1] == 0
        assert grad.dtype == dtype
    assert np.isfinite(fg.estimator("gumbel_softmax")(f, d, num_samples=8, rng=0).grad).all()


def test_estimates_are_invariant_to_a_shift():
    f = fg.objectives.linear(np.arange(15.0).reshape(3, 5))
    for name in ("rloo", "rebar", "gumbel_softmax"):
        found = [
            fg.estimator(name)(f, TOP.with_logits(LOGITS + shift), num_samples=8, rng=0).grad
            for shift in (0.0, 1e3)
        ]
        np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("logits", "k", "message"),
    [
        (LOGITS, 6, "k must be at most the number of logits, 5, got 6"),
        (np.array([0.0, -np.inf]), None, "k must be at most the number of logits above -inf, 1"),
        (np.array([0.0, np.nan]), 1, "logits must be .*, got nan"),
    ],
)
def test_what_is_no_such_distribution_is_refused(logits, k, message):
    with pytest.raises(ValueError, match=message):
        PlackettLuce(logits, k)
