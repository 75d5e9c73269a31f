"""Entropies, densities and scores from tiny to huge shapes, against mpmath to 60 digits."""

import itertools

import numpy as np
import pytest

import fastgrad as fg

mp = pytest.importorskip("mpmath")
C = fg.continuous
EPS = 2.0**-52
SHAPES = [1e-4, 3e-3, 0.1, 0.5, 1.0, 3.0, 9.99, 10.01, 300.0, 1e5, 1e8, 1e10, 1e12, 1e15]
FEW = [1e-4, 0.1, 1.0, 30.0, 1e4, 1e8, 1e15]
by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def exactly(x):
    return mp.mpf(float(x))


def rounding(dtype):
    """Relative error that the type itself makes, beside what float64 arithmetic makes."""
    return np.finfo(dtype).eps if dtype == np.float32 else 0.0


def assert_close(got, exact, dtype, allowed):
    """Errors are at most so many float64 roundings (of numbers of the size `allowed`)."""
    got, exact = exactly(got), mp.mpf(exact)
    bound = 8 * EPS * float(allowed) + (rounding(dtype) + 8 * EPS) * abs(float(exact))
    assert abs(float(got - exact)) <= bound, (float(got), float(exact), bound)


def numbers_about(mean, deviation):
    """Points from the far below to the far above of a positive variable."""
    near = [mean + s * deviation for s in (-1.5, -0.01, 0.0, 1.0, 3.0)]
    return [x for x in [1e-30 * mean, 0.1 * mean, *near, 20 * mean] if x > 0]


# -- gamma -------------------------------------------------------------------------------------


def gamma_log_prob(log_a, log_rate, x):
    a = mp.exp(log_a)
    return a * log_rate + (a - 1) * mp.log(x) - mp.exp(log_rate) * x - mp.loggamma(a)


@by_dtype
@pytest.mark.parametrize("a", SHAPES)
def test_gamma(a, dtype):
    d = C.Gamma(dtype(np.log(a)), dtype(0.7))
    with mp.workdps(60):
        log_a, log_rate = (exactly(p) for p in d.parameters.values())
        a = mp.exp(log_a)
        entropy = a - log_rate + mp.loggamma(a) + (1 - a) * mp.digamma(a)
        assert_close(d.entropy(), entropy, dtype, 1 + abs(log_a))
        for x in numbers_about(float(a / mp.exp(log_rate)), float(mp.sqrt(a) / mp.exp(log_rate))):
            x = dtype(x)
            point, log_x = exactly(x), np.log(float(x))
            scaled = mp.exp(log_rate) * point
            # A rounding of x, of rate and of the shape moves the density by its slope there.
            slope = abs(a - scaled) + abs(a * (mp.log(scaled) - mp.digamma(a)))
            size = 1 + abs(log_a) + abs(log_x) + slope
            assert_close(d.log_prob(x), gamma_log_prob(log_a, log_rate, point), dtype, size)
            score = d.score(x)
            exact = a * (mp.log(scaled) - mp.digamma(a))
            assert_close(score["log_concentration"], exact, dtype, a + abs(exact))
            assert_close(score["log_rate"], a - scaled, dtype, a + scaled)
            if dtype == np.float64:
                at = exactly(log_x)
                exact = gamma_log_prob(log_a, log_rate, mp.exp(at))
                size += slope * (abs(log_x) + abs(float(log_a)))
                assert_close(d.log_prob(log_x, log=True), exact, dtype, size)


# -- beta and Dirichlet ------------------------------------------------------------------------


def dirichlet_log_prob(log_a, x):
    a = [mp.exp(p) for p in log_a]
    constant = sum(mp.loggamma(s) for s in a) - mp.loggamma(sum(a))
    return sum((s - 1) * mp.log(y) for s, y in zip(a, x)) - constant


def dirichlet_score(log_a, x):
    a = [mp.exp(p) for p in log_a]
    return [s * (mp.log(y) - mp.digamma(s) + mp.digamma(sum(a))) for s, y in zip(a, x)]


def dirichlet_entropy(log_a):
    a = [mp.exp(p) for p in log_a]
    constant = sum(mp.loggamma(s) for s in a) - mp.loggamma(sum(a))
    last = (sum(a) - len(a)) * mp.digamma(sum(a))
    return constant + last - sum((s - 1) * mp.digamma(s) for s in a)


def dirichlet_sizes(log_a, x):
    """Numbers whose roundings show in density and score."""
    a = [mp.exp(p) for p in log_a]
    logs = [abs(mp.log(y)) + abs(mp.log(s / sum(a))) for s, y in zip(a, x)]
    slopes = [abs(s - sum(a) * y) + abs(g) for s, y, g in zip(a, x, dirichlet_score(log_a, x))]
    density = 4 + sum(abs(p) for p in log_a) + sum(logs) + sum(g * t for g, t in zip(slopes, logs))
    density += sum(slopes)
    gaps = [1 + s * abs(t) for s, t in zip(a, logs)]
    return density, gaps


@by_dtype
@pytest.mark.parametrize(("a", "b"), list(itertools.product(FEW, FEW)))
def test_beta(a, b, dtype):
    d = C.Beta(dtype(np.log(a)), dtype(np.log(b)))
    with mp.workdps(60):
        log_a = [exactly(p) for p in d.parameters.values()]
        size = 4 + sum(abs(p) for p in log_a)
        assert_close(d.entropy(), dirichlet_entropy(log_a), dtype, size)
        mean, n = a / (a + b), a + b
        small, swapped = (mean, False) if a <= b else (b / n, True)
        deviation = np.sqrt(mean * (b / n) / (n + 1))
        for x in numbers_about(small, deviation):
            x = dtype(x)
            if not 0 < x < 1:
                continue
            shares = [exactly(x), 1 - exactly(x)]
            shares = shares[::-1] if swapped else shares
            size, sizes = dirichlet_sizes(log_a, shares)
            exact = dirichlet_log_prob(log_a, shares)
            assert_close(d.log_prob(x, complement=swapped), exact, dtype, size)
            score = d.score(x, complement=swapped)
            exact = dirichlet_score(log_a, shares)
            for got, right, s in zip(score.values(), exact, sizes):
                assert_close(got, right, dtype, s)


@by_dtype
@pytest.mark.parametrize("log_base", [-9.0, -1.0, 0.0, 2.5, 10.0, 34.0])
def test_dirichlet(log_base, dtype):
    for spread in ([0, 0, 0], [0.5, -1, 0.3, 0], [-43.5, 0, 0.1] if log_base > 30 else [0, 6]):
        d = C.Dirichlet(np.array(spread, dtype) + dtype(log_base))
        with mp.workdps(60):
            log_a = [exactly(p) for p in d.log_concentration]
            size = 4 + sum(abs(p) for p in log_a)
            assert_close(d.entropy(), dirichlet_entropy(log_a), dtype, size)
            noise = d.noise(3, rng=0)
            for x in d.transform(noise):
                total = sum(exactly(y) for y in x)
                shares = [exactly(y) / total for y in x]
                size, sizes = dirichlet_sizes(log_a, shares)
                assert_close(d.log_prob(x), dirichlet_log_prob(log_a, shares), dtype, size)
                score, exact = d.score(x)["log_concentration"], dirichlet_score(log_a, shares)
                for got, right, s in zip(score, exact, sizes):
                    assert_close(got, right, dtype, s)


# -- Student t ---------------------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("df", SHAPES)
def test_student_t(df, dtype):
    d = C.StudentT(dtype(0), dtype(0.4), dtype(np.log(df)))
    with mp.workdps(60):
        scale, v = mp.exp(exactly(d.log_scale)), mp.exp(exactly(d.log_df))
        half, log_df = v / 2, abs(exactly(d.log_df))
        gap = mp.digamma(half + 0.5) - mp.digamma(half)
        constant = mp.loggamma(half + 0.5) - mp.loggamma(half) - mp.log(mp.pi * v) / 2
        entropy = mp.log(scale) + (half + 0.5) * gap - constant
        assert_close(d.entropy(), entropy, dtype, 4 + log_df)
        for x in (1e-20, 0.3, 1.5, -4.0, 40.0, 1e30):
            x = dtype(x)
            m = (exactly(x) / scale) ** 2
            kernel = mp.log(1 + m / v)
            exact = constant - mp.log(scale) - (half + 0.5) * kernel
            slope = (v + 1) * m / (v + m)
            assert_close(d.log_prob(x), exact, dtype, 4 + log_df + slope)
            score = d.score(x)
            sizes = (1 + log_df) * (1 + slope)
            assert_close(score["log_scale"], slope - 1, dtype, sizes)
            assert_close(score["loc"], slope / exactly(x), dtype, sizes / abs(x))
            exact = half * (gap - kernel) - mp.mpf(0.5) + (half + 0.5) * m / (v + m)
            parts = (
                (half * (1 + log_df) if half < 10 else 1 / half)
                + half * min(kernel, kernel**2)
                + m / (v + m)
            )
            assert_close(score["log_df"], exact, dtype, (1 + log_df) * parts)


@pytest.mark.parametrize(("df", "score"), [(1e10, 1.09375e-11), (1e15, 1.09375e-16)])
def test_a_score_without_a_baseline_is_right_at_huge_df(df, score):
    d = C.StudentT(0.0, 0.0, np.log(df))
    np.testing.assert_allclose(d.score(1.5)["log_df"], score, rtol=1e-6)
    f = lambda x: x * x / (1 + x * x)  # noqa: E731
    estimate = fg.estimator("score_function", baseline=None)(f, d, num_samples=10_000, rng=0)
    assert abs(estimate.grad["log_df"]) < 1 / df


# -- the table of the literature's cases -------------------------------------------------------

ENTROPIES = [
    (C.Beta(np.log(2), np.log(1e20)), -44.4745),
    (C.Beta(np.log(1e15), np.log(1e15)), -16.8902),
    (C.Gamma(np.log(1e15), 0.0), 18.6883),
    (C.Dirichlet(np.full(3, np.log(1e15))), -34.4474),
    *((C.StudentT(0.0, 0.0, np.log(v)), 1.418939) for v in (1e10, 1e12, 1e15)),
]


@pytest.mark.parametrize(("distribution", "entropy"), ENTROPIES)
def test_entropies_at_large_parameters(distribution, entropy):
    assert abs(distribution.entropy() - entropy) < 1e-4


def test_a_density_one_deviation_up():
    x = 1e13 + np.sqrt(1e13)
    assert abs(C.Gamma(np.log(1e13), 0.0).log_prob(x) + 16.3857) < 1e-4


# -- remainders --------------------------------------------------------------------------------


def test_remainders_are_exact_on_both_sides_of_the_switch():
    from fastgrad.distributions.continuous import stirling

    a = np.concatenate([np.logspace(-300, 300, 61), np.linspace(0.5, 30, 60), [10.0, 9.999999]])
    gaps, remainders = stirling.digamma_gap(a), stirling.log_gamma_remainder(a)
    seconds = stirling.digamma_remainder(a)
    for s, gap, remainder, second in zip(a, gaps, remainders, seconds):
        # Of s log(s), as large as s, a remainder of 1 / s is left: twice the digits of s cancel.
        with mp.workdps(60 + int(2.1 * max(np.log10(s), 0.0))):
            s = exactly(s)
            exact = mp.log(s) - mp.digamma(s)
            assert_close(gap, exact, float, 2 if s < 10 else 0)
            assert_close(second, exact - 1 / (2 * s), float, 2 if s < 10 else 0)
            exact = mp.loggamma(s) - (s - 0.5) * mp.log(s) + s - mp.log(2 * mp.pi) / 2
            assert_close(remainder, exact, float, 5 + abs(mp.log(s)) if s < 10 else 0)


def test_exp_remainder():
    from fastgrad.distributions.continuous.stirling import exp_remainder

    t = np.array([-np.inf, -800, -1.001, -0.999, -1e-3, -1e-200, 0, 1e-9, 0.5, 0.999, 1.001, 700])
    with mp.workdps(60):
        for x, got in zip(t[1:], exp_remainder(t)[1:]):
            exact = exactly(x) - mp.expm1(exactly(x))
            assert abs(got - exact) <= 4 * EPS * abs(exact)
    assert exp_remainder(np.array([-np.inf, np.inf])).tolist() == [-np.inf, -np.inf]
