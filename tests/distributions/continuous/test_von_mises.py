"""Von Mises angles over all concentrations, and their derivative by it."""

import numba
import numpy as np
import pytest
from scipy import special, stats

import fastgrad as fg

C = fg.continuous
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
CONCENTRATIONS = [1e-300, 1e-6, 0.1, 1.0, 3.0, 50.0, 999.0, 1001.0, 1e5, 1e9]


def of(k, shape=()):
    return C.VonMises(np.zeros(shape), np.full(shape, np.log(k)))


@pytest.mark.parametrize("k", CONCENTRATIONS)
def test_angles_follow_the_law(k):
    x = of(k).sample(num_samples=100_000, rng=2)
    assert (np.abs(x) <= np.pi).all()
    law = stats.vonmises(k).cdf if k < 1e4 else stats.norm(0, k**-0.5).cdf
    assert stats.kstest(x, law).pvalue > FALSE_ALARM


@pytest.mark.parametrize("k", CONCENTRATIONS[:-1])
def test_slopes_against_mpmath(k):
    mp = pytest.importorskip("mpmath")
    scale = min(1, k**-0.5)
    angles = np.array([x for x in np.array([1e-3, 0.3, 0.7, 0.9, 1, 1.5, 3, 5]) * scale if x < 3.1])
    angles = np.append(angles, 3.1) if k < 100 else angles
    noise = np.tan(angles / 4)
    got = of(k).transform_vjp(noise, np.ones(len(angles)))["log_concentration"] / k
    with mp.workdps(30):
        mean = mp.besseli(1, k) / mp.besseli(0, k)
        for t, slope in zip(4 * np.arctan(noise), got):
            t = mp.mpf(float(t))
            integrand = lambda s: (mp.cos(s) - mean) * mp.exp(k * (mp.cos(s) - mp.cos(t)))  # noqa
            if t < mp.acos(mean):
                exact = -mp.quad(integrand, [0, t])
            else:
                cuts = [t + j * scale for j in (1, 2, 4, 8, 16) if t + j * scale < mp.pi]
                exact = mp.quad(integrand, [t, *cuts, mp.pi])
            assert abs(slope / float(exact) - 1) < 1e-10
    mirrored = of(k).transform_vjp(-noise, np.ones(len(angles)))["log_concentration"] / k
    assert np.array_equal(mirrored, -got)


@pytest.mark.parametrize("k", [1e-6, 0.5, 20.0, 1e4])
def test_gradient_of_the_mean_cosine(k):
    """E[cos x] = I1(k) / I0(k), whose derivative is 1 - that / k - its square."""
    f = fg.objective(np.cos, grad=lambda x: -np.sin(x))
    mean = special.i1e(k) / special.i0e(k)
    expected = k * (0.5 if k < 1e-3 else 1 - mean / k - mean**2)
    for name in ("pathwise", "score_function"):
        estimate = fg.estimator(name)(f, of(k, (200,)), num_samples=500, rng=1)
        g = estimate.grad["log_concentration"]
        gap = abs(g.mean() - expected) / (g.std(ddof=1) / np.sqrt(len(g)))
        assert gap < stats.t.isf(FALSE_ALARM / 2, len(g) - 1)


def test_mean_deviation_is_continuous_where_the_series_takes_over():
    low, high = (of(k)._mean_deviation() for k in (1000.0, np.nextafter(1000, 2000)))
    np.testing.assert_allclose(low, high, rtol=1e-11)


@pytest.mark.parametrize("count", [1, 256, 700])
def test_bits_depend_on_place_only(count):
    d = C.VonMises(np.zeros(3), np.log([0.1, 2.0, 500.0]))
    whole = d.noise(700, rng=1)
    assert np.array_equal(d.noise(count, rng=1), whole[:count])
    assert np.array_equal(d.noise(count, rng=1, sample_offset=700 - count), whole[700 - count :])
    numba.set_num_threads(1)
    assert np.array_equal(d.noise(700, rng=1), whole)


def test_first_attempts_and_single_draws_agree():
    """The vectorised first attempt and the serial loop are the same function of the counter."""
    from fastgrad.kernels.distributions.continuous import von_mises as kernels

    k, words = 2.0, fg.Key(0).kernel_words
    tau = 1 + np.hypot(1, 2 * k)
    rho = (tau - np.sqrt(2 * tau)) / (2 * k)
    constants = (1 - rho) / (1 + rho), k * (1 + rho) ** 2 / (2 * rho), 2 * rho / (1 - rho) ** 2
    single = [kernels.one_draw(*constants, np.uint64(e), words) for e in range(3000)]
    np.testing.assert_allclose(of(k).noise(3000, rng=0), single, rtol=1e-12)
