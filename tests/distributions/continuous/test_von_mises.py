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
    low, high = (of(k)._mean_deviation() for k in (50.0, np.nextafter(50, 60)))
    np.testing.assert_allclose(low, high, rtol=1e-13)


@pytest.mark.parametrize("k", [0, 1e-6, 0.1, 7.0, 49.9, 50.1, 60.0, 999.0, 1e5, 1e10, 1e15])
def test_entropy_and_density_against_mpmath(k):
    mp = pytest.importorskip("mpmath")
    with np.errstate(divide="ignore"):
        log_k = np.log(k)
    d = C.VonMises(0.5, log_k)
    with mp.workdps(40):
        k = mp.exp(mp.mpf(log_k)) if k else mp.mpf(0)
        normaliser = mp.log(2 * mp.pi * mp.besseli(0, k)) - k if k < 1e4 else None
        if normaliser is None:  # Hankel's expansion
            normaliser = mp.log(2 * mp.pi / k) / 2
            normaliser += mp.log(1 + 1 / (8 * k) + 9 / (128 * k**2) + 225 / (3072 * k**3))
        mean = mp.besseli(1, k) / mp.besseli(0, k) if k < 1e4 else None
        deviation = 1 - mean if k < 1e4 else 1 / (2 * k) + 1 / (8 * k**2) + 1 / (8 * k**3)
        assert abs(float(d.entropy() - normaliser - k * deviation)) < 2e-14
        for x in 0.5 + np.array([-3.0, -1e-4, 0.0, 1e-8, 1.0]):
            fall = k * (1 - mp.cos(mp.mpf(x) - 0.5))
            slack = 1e-14 * float(1 + fall + k * abs(mp.sin(mp.mpf(x) - 0.5)) / 10)
            assert abs(float(d.log_prob(x) + fall + normaliser)) < slack
            score = d.score(x)
            assert abs(float(score["log_concentration"] - k * deviation + fall)) < slack
            assert abs(float(score["loc"] - k * mp.sin(mp.mpf(x) - 0.5))) < 1e-14 + float(k) * 2e-16


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_concentration_zero_is_the_uniform_law(dtype):
    d = C.VonMises(np.full(3, 1, dtype), np.array([-np.inf, 0, -np.inf], dtype))
    noise = d.noise(20_000, rng=0)
    x = d.transform(noise)
    assert x.dtype == dtype
    for i in (0, 2):
        law = stats.uniform(1 - np.pi, 2 * np.pi)
        assert stats.kstest(x[:, i].astype(float), law.cdf).pvalue > FALSE_ALARM
    np.testing.assert_allclose(d.entropy()[::2], np.log(2 * np.pi), rtol=1e-6)
    np.testing.assert_allclose(d.log_prob(x[:5])[:, ::2], -np.log(2 * np.pi), rtol=1e-6)
    for slopes in (d.score(x), d.transform_score(noise), d.transform_vjp(noise, np.ones_like(x))):
        assert all(np.isfinite(s).all() for s in slopes.values())
        assert not slopes["log_concentration"][:, ::2].any()
        assert slopes["log_concentration"][:, 1].any()
    f = fg.objective(np.cos, grad=lambda x: -np.sin(x))
    for name in ("pathwise", "score_function"):
        grad = fg.estimator(name)(f, d, num_samples=100, rng=0).grad
        assert all(np.isfinite(g).all() for g in grad.values())


def test_errors():
    with pytest.raises(
        ValueError, match=r"log_concentration must be finite, got nan at index \(\)"
    ):
        C.VonMises(0.0, np.nan)
    with pytest.raises(ValueError, match="log_concentration must be finite, got inf"):
        C.VonMises(0.0, np.inf)
    with pytest.raises(ValueError, match="loc must be finite, got -inf"):
        C.VonMises(-np.inf, -np.inf)
    with pytest.raises(ValueError, match="log_concentration must be from -708"):
        C.VonMises(0.0, -800.0)


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
    from fastgrad.kernels.compiler.jit import standalone
    from fastgrad.kernels.distributions.continuous import von_mises as kernels

    k, words = 2.0, fg.Key(0).kernel_words
    tau = 1 + np.hypot(1, 2 * k)
    rho = (tau - np.sqrt(2 * tau)) / (2 * k)
    constants = (1 - rho) / (1 + rho), k * (1 + rho) ** 2 / (2 * rho), 2 * rho / (1 - rho) ** 2
    one_draw = standalone(lambda *args: kernels.one_draw(*args))
    single = [one_draw(*constants, np.uint64(e), words) for e in range(3000)]
    np.testing.assert_allclose(of(k).noise(3000, rng=0), single, rtol=1e-12)
