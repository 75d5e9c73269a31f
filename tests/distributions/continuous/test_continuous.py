"""Continuous distributions against SciPy, and their estimators against quadrature."""

import functools

import numba
import numpy as np
import pytest
from families import FAMILIES, C, make
from scipy import stats

import fastgrad as fg
from fastgrad.estimators import CONTINUOUS

FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
CASES = [(name, p) for name, (_, _, sets) in FAMILIES.items() for p in sets]
by_case = pytest.mark.parametrize(("name", "parameters"), CASES)
by_family = pytest.mark.parametrize("name", FAMILIES)
by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
VECTORS = {
    "dirichlet": C.Dirichlet(np.log([[0.3, 1.0, 2.0], [3.0, 0.5, 9.0]])),
    "multivariate_normal": C.MultivariateNormal(
        np.array([[0.3, -1.0], [0.0, 2.0]]),
        np.array([[[1.0, 0.0], [0.5, 2.0]], [[0.5, 0.0], [-1.0, 0.2]]]),
    ),
}
ALL = {**{name: make(name, sets[0], (3,)) for name, (_, _, sets) in FAMILIES.items()}, **VECTORS}
by_all = pytest.mark.parametrize("distribution", ALL.values(), ids=ALL)
REPLICAS = 200


def law_of(name, parameters):
    return FAMILIES[name][1](*parameters)


def with_parameter(d, name, value):
    return type(d)(**{**d.parameters, name: value})


def smooth(x):
    return np.sin(2 * x) + 0.3 * x


def smooth_grad(x):
    return 2 * np.cos(2 * x) + 0.3


SMOOTH = fg.objective(smooth, grad=smooth_grad)
OF_FAMILY = {  # of angles, a function must have their period; of heavy tails, not too many turns
    "von_mises": fg.objective(lambda x: np.sin(2 * x), grad=lambda x: 2 * np.cos(2 * x)),
    "student_t": fg.objective(np.arctan, grad=lambda x: 1 / (1 + x * x)),
}


@functools.cache
def nodes():
    """Nodes and weights of the tanh-sinh rule on (0, 1): both ends may be singular."""
    t = np.linspace(-4, 4, 401)
    s = np.pi * np.sinh(t)
    x = 1 / (1 + np.exp(-s))
    return x, x / (1 + np.exp(s)) * np.pi * np.cosh(t) * (t[1] - t[0])


@functools.cache
def exact_mean(name, parameters, f):
    """E[f] by quadrature, to 1e-12, on both sides of the median: there may be a kink."""
    law, (x, weights) = law_of(name, parameters), nodes()
    ends = law.ppf([1e-15, 0.5, 1 - 1e-15])
    if name == "von_mises":
        ends = parameters[0] + np.array([-np.pi, 0, np.pi])
    if law.support()[0] == 0:
        ends[0] = 0.0
    widths = np.diff(ends)[:, None]
    at = ends[:-1, None] + widths * x
    return (widths * weights * f(at) * law.pdf(at)).sum()


def exact_gradient(name, parameters, f):
    """Central differences, of fourth order, of E[f]."""
    h, grad = 1e-2, []
    for i in range(len(parameters)):
        at = [
            exact_mean(name, tuple(p + step * h * (i == j) for j, p in enumerate(parameters)), f)
            for step in (-2, -1, 1, 2)
        ]
        grad.append((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h))
    return grad


def assert_mean(samples, expected, *, slack=1e-6):
    """The mean of independent samples is as expected, by Student's t."""
    gap = samples.mean() - expected
    if abs(gap) > slack:  # the accuracy of what is expected
        gap -= np.sign(gap) * slack
        error = samples.std(ddof=1) / np.sqrt(len(samples))
        assert 2 * stats.t.sf(abs(gap) / error, len(samples) - 1) > FALSE_ALARM


# -- laws --------------------------------------------------------------------------------------


@by_dtype
@by_case
def test_samples_follow_the_law(name, parameters, dtype):
    x = make(name, parameters, (2,), dtype).sample(num_samples=50_000, rng=3)
    assert x.dtype == dtype
    assert stats.kstest(x.reshape(-1), law_of(name, parameters).cdf).pvalue > FALSE_ALARM
    assert abs(stats.spearmanr(x[:, 0], x[:, 1]).statistic) < 4.9 / np.sqrt(len(x))


@by_dtype
@by_case
def test_density_entropy_and_mean_are_scipys(name, parameters, dtype):
    law = law_of(name, parameters)
    d = make(name, parameters, (5,), dtype)
    x = law.ppf([0.001, 0.2, 0.5, 0.9, 0.9999]).astype(dtype)
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if dtype == np.float64 else {"rtol": 2e-5}
    if name == "von_mises":
        x = x.clip(parameters[0] - 3, parameters[0] + 3).astype(dtype)
    assert d.log_prob(x).dtype == d.entropy().dtype == d.mean().dtype == dtype
    np.testing.assert_allclose(d.log_prob(x), law.logpdf(x.astype(float)), **tolerance)
    np.testing.assert_allclose(d.log_prob(np.stack([x, x])), [d.log_prob(x)] * 2)
    np.testing.assert_allclose(d.entropy(), law.entropy(), rtol=tolerance["rtol"], atol=1e-6)
    mean = parameters[0] if name == "von_mises" else law.mean()
    np.testing.assert_allclose(d.mean(), mean, **tolerance)


@pytest.mark.parametrize("name", ["lognormal", "exponential", "gamma", "beta", "uniform"])
def test_density_outside_the_support_is_zero(name):
    d = make(name, FAMILIES[name][2][0])
    assert d.log_prob(-1.5) == -np.inf
    if name in ("beta", "uniform"):
        assert d.log_prob(2.5) == -np.inf


@by_all
def test_score_is_the_derivative_of_the_density(distribution):
    if isinstance(distribution, C.Uniform):
        with pytest.raises(TypeError, match="Uniform has no score"):
            distribution.score(np.zeros(3))
        return
    x = distribution.sample(num_samples=4, rng=1)
    score = distribution.score(x)
    for name, p in distribution.parameters.items():
        assert score[name].shape == (4, *p.shape)
        for index in np.ndindex(p.shape):
            if name == "scale_tril" and index[-1] > index[-2]:
                assert not score[name][(slice(None), *index)].any()
                continue
            h = np.zeros(p.shape)
            h[index] = 1e-5
            up, down = (with_parameter(distribution, name, p + s * h).log_prob(x) for s in (1, -1))
            slope = ((up - down) / 2e-5).reshape(4, -1).sum(axis=1)
            np.testing.assert_allclose(
                score[name][(slice(None), *index)], slope, rtol=1e-6, atol=1e-6
            )


@by_all
def test_mean_vjp_is_the_derivative_of_the_mean(distribution):
    c = np.random.default_rng(0).normal(size=distribution.mean().shape)
    grad = distribution.mean_vjp(c)
    for name, p in distribution.parameters.items():
        h = 1e-6 * (np.tril(np.ones(p.shape)) if name == "scale_tril" else 1)
        up, down = (with_parameter(distribution, name, p + s * h).mean() for s in (1, -1))
        np.testing.assert_allclose(grad[name].sum(), (c * (up - down)).sum() / 2e-6, atol=1e-7)


@pytest.mark.parametrize("name", [n for n in FAMILIES if n not in ("beta", "student_t")])
def test_samples_move_along_their_quantiles(name):
    """With one noise variate, dx / d theta is that of the quantile function at F(x)."""
    for parameters in FAMILIES[name][2]:
        d = make(name, parameters)
        noise = d.noise(50, rng=2)
        x = d.transform(noise)
        grad = d.transform_vjp(noise, np.ones(50))
        law = law_of(name, parameters)
        below, h = x < law.median(), 1e-5
        for i, key in enumerate(grad):
            moved = []
            for s in (1, -1):
                other = law_of(name, [p + s * h * (i == j) for j, p in enumerate(parameters)])
                at = np.empty(50)
                at[below], at[~below] = other.ppf(law.cdf(x[below])), other.isf(law.sf(x[~below]))
                moved.append(at)
            slope = (moved[0] - moved[1]) / (2 * h)
            np.testing.assert_allclose(grad[key], slope, rtol=2e-5, atol=2e-6)


# -- bits --------------------------------------------------------------------------------------


@by_dtype
@by_all
def test_chunks_of_samples_join(distribution, dtype):
    d = type(distribution)(**{n: p.astype(dtype) for n, p in distribution.parameters.items()})
    whole = d.sample(num_samples=700, rng=5)
    parts = [
        d.sample(num_samples=n, rng=5, sample_offset=o) for o, n in ((0, 1), (1, 260), (261, 439))
    ]
    assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(d.sample(rng=5), whole[0])


@by_all
def test_threads_do_not_change_a_bit(distribution):
    noise, grads = [], []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        x = distribution.noise(30_000, rng=6)
        noise.append(x)
        sample = distribution.transform(x)
        grads.append(distribution.transform_vjp(x, np.cos(sample)))
    for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in noise)):
        assert np.array_equal(a, b)
    assert all(np.array_equal(grads[0][n], grads[1][n]) for n in grads[0])


@by_family
def test_float32_is_float64_rounded(name):
    parameters = FAMILIES[name][2][0]
    x, y = (
        make(name, parameters, (), t).sample(num_samples=5000, rng=7) for t in (np.float32, float)
    )
    gap = np.abs(x - y) / (1 + np.abs(y))
    assert gap.max() < 2e-5


# -- estimators --------------------------------------------------------------------------------

PAIRS = [
    (name, estimator, options)
    for name in FAMILIES
    for estimator, options in [
        ("pathwise", {}),
        ("pathwise", {"control": "linear"}),
        ("pathwise", {"control": "quadratic"}),
        ("score_function", {}),
        ("score_function", {"baseline": None}),
        ("measure_valued", {}),
    ]
    if name in ("normal", "lognormal")
    or (
        not (estimator == "measure_valued" or options == {"control": "quadratic"})
        and not (estimator == "score_function" and name == "uniform")
    )
]


@pytest.mark.parametrize(("name", "estimator", "options"), PAIRS)
def test_gradients_are_unbiased(name, estimator, options):
    parameters = FAMILIES[name][2][0]
    d = make(name, parameters, (REPLICAS,))
    e = fg.estimator(estimator, **options)
    assert e.unbiased
    objective = OF_FAMILY.get(name, SMOOTH)
    estimate = e(objective, d, num_samples=500, rng=11)
    assert list(estimate.grad) == list(d.parameters)
    for key, slope in zip(d.parameters, exact_gradient(name, parameters, objective.f)):
        assert_mean(estimate.grad[key], slope)
    assert_mean(estimate.value, exact_mean(name, parameters, objective.f))


@pytest.mark.parametrize("options", [{}, {"baseline": None}])
def test_two_samples_are_enough_for_the_score_function(options):
    """Leave-one-out, not the mean of all: with two samples that would halve the gradient."""
    d = make("normal", (0.3, -0.5), (50_000,))
    f = lambda x: x**2  # noqa: E731
    estimate = fg.estimator("score_function", **options)(f, d, num_samples=2, rng=0)
    assert_mean(estimate.grad["loc"], 0.6)
    assert_mean(estimate.grad["log_scale"], 2 * np.exp(-1))


def test_measure_valued_draws_are_coupled():
    e, d = fg.estimator("measure_valued"), make("normal", (0.3, -0.5), (20_000,))
    normal, maxwell, rayleigh = (x[0] for x in e.draw(d, 1, fg.Key(0)))
    u = normal / maxwell
    laws = [(u, "uniform"), (normal, "norm"), (np.abs(maxwell), "maxwell"), (rayleigh, "rayleigh")]
    for x, law in laws:
        assert stats.kstest(x, law).pvalue > FALSE_ALARM
    assert abs((maxwell > 0).mean() - 0.5) < 4.9 * 0.5 / np.sqrt(len(maxwell))
    assert abs(np.corrcoef(u, maxwell)[0, 1]) < 4.9 / np.sqrt(len(u))


@pytest.mark.parametrize("estimator", ["score_function", "measure_valued"])
def test_steps_need_no_gradient(estimator):
    parameters = (0.3, -0.5)
    d = make("normal", parameters, (REPLICAS,))
    estimate = fg.estimator(estimator)(lambda x: 1.0 * (x > 0.7), d, num_samples=300, rng=1)
    z = (0.7 - 0.3) / np.exp(-0.5)
    density = stats.norm.pdf(z)
    assert_mean(estimate.grad["loc"], density / np.exp(-0.5))
    assert_mean(estimate.grad["log_scale"], density * z)


VECTOR_ESTIMATORS = ["pathwise", "score_function"]


@pytest.mark.parametrize("estimator", VECTOR_ESTIMATORS)
def test_dirichlet_gradients(estimator):
    """E[x_0 x_1] = a_0 a_1 / (a (a + 1))."""
    a = np.array([0.3, 1.0, 2.0])
    d = C.Dirichlet(np.tile(np.log(a), (REPLICAS, 1)))

    def f(x):
        return x[..., 0] * x[..., 1]

    def grad(x):
        return np.stack([x[..., 1], x[..., 0], 0 * x[..., 0]], axis=-1)

    def mean(log_a):
        a = np.exp(log_a)
        return a[0] * a[1] / (a.sum() * (a.sum() + 1))

    estimate = fg.estimator(estimator)(fg.objective(f, grad=grad), d, num_samples=300, rng=1)
    assert_mean(estimate.value, mean(np.log(a)))
    for i in range(3):
        h = 1e-5 * np.eye(3)[i]
        slope = (mean(np.log(a) + h) - mean(np.log(a) - h)) / 2e-5
        assert_mean(estimate.grad["log_concentration"][:, i], slope)


@pytest.mark.parametrize("estimator", VECTOR_ESTIMATORS)
def test_multivariate_normal_gradients(estimator):
    """E[x^T A x] = tr(A L L^T) + loc^T A loc, whose gradients are 2 A loc and 2 tril(A L)."""
    loc, scale = np.array([0.5, -1.0]), np.array([[1.0, 0.0], [0.5, 0.7]])
    a = np.array([[1.0, 0.3], [0.3, -2.0]])
    d = C.MultivariateNormal(np.tile(loc, (REPLICAS, 1)), np.tile(scale, (REPLICAS, 1, 1)))
    f = fg.objective(lambda x: ((x @ a) * x).sum(axis=-1), grad=lambda x: 2 * x @ a)
    estimate = fg.estimator(estimator)(f, d, num_samples=300, rng=1)
    assert_mean(estimate.value, np.trace(a @ scale @ scale.T) + loc @ a @ loc)
    expected = {"loc": 2 * a @ loc, "scale_tril": 2 * np.tril(a @ scale)}
    for name, slope in expected.items():
        for index in np.ndindex(slope.shape):
            assert_mean(estimate.grad[name][(slice(None), *index)], slope[index])
    assert not estimate.grad["scale_tril"][:, 0, 1].any()


def test_the_linear_control_leaves_no_variance_where_f_is_linear():
    f = fg.objective(
        lambda x: x @ np.array([1.0, -2.0, 0.5]), grad=lambda x: 0 * x + [1.0, -2.0, 0.5]
    )
    for distribution in ALL.values():
        if distribution.event_shape or isinstance(distribution, C.LogNormal):
            continue
        estimate = fg.estimator("pathwise", control="linear")(f, distribution, num_samples=3, rng=0)
        expected = distribution.mean_vjp(np.array([1.0, -2.0, 0.5]))
        for name, g in estimate.grad.items():
            np.testing.assert_allclose(g, expected[name], atol=1e-12)
        assert estimate.evaluations == 4


@by_dtype
@pytest.mark.parametrize("family", ["normal", "lognormal"])
def test_the_quadratic_control_is_fitted_to_the_other_samples(family, dtype):
    d, n = make(family, (0.3, -0.5), (3,), dtype), 5
    e = fg.estimator("pathwise", control="quadratic")
    z, x = e.draw(d, n, fg.Key(4))
    f = fg.objective(lambda x: np.sin(3 * x).sum(axis=-1), grad=lambda x: 3 * np.cos(3 * x))
    v = d.transform_vjp(z, f.grad(x))["loc"].astype(float)
    z, scale, loc, log_scale = z.astype(float), np.exp(-0.5), 0, 0
    for s in range(n):
        others = np.arange(n) != s
        a, curvature = v[others].mean(axis=0), (z * v)[others].mean(axis=0)
        loc = loc + (v[s] - curvature * z[s]) / n
        log_scale = log_scale + scale * (z[s] * (v[s] - a - curvature * z[s]) + curvature) / n
    estimate = e(f, d, num_samples=n, rng=4)
    tolerance = 3e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(estimate.grad["loc"], loc, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        estimate.grad["log_scale"], log_scale, rtol=tolerance, atol=tolerance
    )


def test_the_quadratic_control_leaves_little_where_curvature_is_all():
    """Of a quadratic f, its errors are those of the fit: as 1 / n to plain pathwise ones' 1."""
    f = fg.objective(lambda x: np.square(x) + x, grad=lambda x: 2 * x + 1)
    d, n = make("normal", (0.3, -0.5), (REPLICAS,)), 50
    plain, fitted = (
        fg.estimator("pathwise", control=c)(f, d, num_samples=n, rng=2) for c in (None, "quadratic")
    )
    assert fitted.evaluations == n
    for key in plain.grad:
        assert fitted.grad[key].var() < 6 / n * plain.grad[key].var()


def test_two_samples_are_enough_for_the_quadratic_control():
    d = make("normal", (0.3, -0.5), (50_000,))
    f = fg.objective(np.square, grad=lambda x: 2 * x)
    estimate = fg.estimator("pathwise", control="quadratic")(f, d, num_samples=2, rng=0)
    assert_mean(estimate.grad["loc"], 0.6)
    assert_mean(estimate.grad["log_scale"], 2 * np.exp(-1))


@pytest.mark.parametrize("name", ["score_function", "measure_valued"])
def test_variance_reduction_is_what_it_should_be(name):
    """A constant added to f changes nothing: neither with a baseline nor in a difference."""
    d = make("normal", (0.3, -0.5), (4,))
    f = lambda x: np.floor(x).sum(axis=-1)  # noqa: E731
    plain = fg.estimator(name)(f, d, num_samples=16, rng=0)
    shifted = fg.estimator(name)(lambda x: f(x) + 1024, d, num_samples=16, rng=0)
    for key in plain.grad:
        np.testing.assert_allclose(plain.grad[key], shifted.grad[key], atol=1e-10)


ESTIMATORS = [
    ("pathwise", {}),
    ("pathwise", {"control": "linear"}),
    ("pathwise", {"control": "quadratic"}),
    ("score_function", {}),
    ("score_function", {"baseline": None}),
    ("measure_valued", {}),
]
by_estimator = pytest.mark.parametrize(("name", "options"), ESTIMATORS)
JOINT = fg.objective(
    lambda x: np.sin(x.sum(axis=-1)), grad=lambda x: 0 * x + np.cos(x.sum(axis=-1, keepdims=True))
)


@by_estimator
@by_dtype
def test_blocks_do_not_change_a_bit(name, options, dtype):
    d = make("normal", (0.3, -0.5), (3, 2), dtype)
    e = fg.estimator(name, **options)
    whole = e(JOINT, d, num_samples=23, rng=0)
    for block_size in (1, 7, 23):
        part = e(JOINT, d, num_samples=23, rng=0, block_size=block_size)
        assert np.array_equal(part.value, whole.value)
        assert part.evaluations == whole.evaluations
        for key, g in part.grad.items():
            assert g.dtype == dtype
            assert np.array_equal(g, whole.grad[key])


@by_estimator
def test_examples_do_not_mix(name, options):
    rng = np.random.default_rng(0)
    loc = rng.normal(size=(3, 2))
    e = fg.estimator(name, **options)
    first = e(JOINT, C.Normal(loc, 0 * loc), num_samples=8, rng=0)
    loc[1:] += 1
    other = e(JOINT, C.Normal(loc, 0 * loc), num_samples=8, rng=0)
    assert first.value.shape == (3,)
    assert first.value[0] == other.value[0]
    for key in first.grad:
        assert np.array_equal(first.grad[key][0], other.grad[key][0])
        assert not np.array_equal(first.grad[key][1], other.grad[key][1])


def test_measure_valued_moves_one_variable_of_a_cell_at_a_time():
    d = make("normal", (0.0, 0.0), (REPLICAS, 2))
    f = lambda x: x[..., 0] * np.maximum(x[..., 1], 0)  # noqa: E731
    estimate = fg.estimator("measure_valued")(f, d, num_samples=300, rng=0)
    assert estimate.evaluations == 300 * 7
    assert_mean(estimate.grad["loc"][:, 0], np.sqrt(0.5 / np.pi))
    for key, i in (("loc", 1), ("log_scale", 0), ("log_scale", 1)):
        assert_mean(estimate.grad[key][:, i], 0.0)


def test_credit_is_each_variables_own_signal():
    d = make("normal", (0.3, -0.5), (REPLICAS, 5))

    def f(x):
        terms = x**2
        return terms.sum(axis=-1), terms

    e = fg.estimator("score_function")
    with_credit = e(f, d, num_samples=100, rng=0).grad["loc"]
    without = e(lambda x: f(x)[0], d, num_samples=100, rng=0).grad["loc"]
    for i in range(5):
        assert_mean(with_credit[:, i], 0.6)
        assert_mean(without[:, i], 0.6)
    assert with_credit.var() < 0.7 * without.var()


# -- errors ------------------------------------------------------------------------------------


def test_errors_name_the_argument():
    with pytest.raises(
        ValueError, match=r"log_scale must have the shape of loc, \(2,\), got \(3,\)"
    ):
        C.Normal(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match=r"loc must be finite, got nan at index \(1,\)"):
        C.Normal([0, np.nan], np.zeros(2))
    with pytest.raises(ValueError, match=r"log_rate must be from -87.3 to 88.7 in float32, got 90"):
        C.Exponential(np.float32(90))
    with pytest.raises(TypeError, match="loc must be float32 or float64"):
        C.Normal(["a"], [0.0])
    d = C.Normal(np.zeros(2), np.zeros(2))
    with pytest.raises(
        ValueError, match=r"x must have shape \(2,\) or \(S, \*\(2,\)\), got \(3,\)"
    ):
        d.log_prob(np.zeros(3))
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        d.sample(num_samples=0, rng=0)
    with pytest.raises(ValueError, match="sample_offset must be from 0"):
        d.sample(num_samples=1, rng=0, sample_offset=-1)
    with pytest.raises(TypeError, match="rng must be"):
        d.sample(rng=None)
    with pytest.raises(ValueError, match=r"cotangent must have shape \(3, 2\), got \(3, 1\)"):
        d.transform_vjp(d.noise(3, rng=0), np.zeros((3, 1)))


def test_estimators_refuse_what_does_not_fit():
    d = C.Normal(np.zeros(2), np.zeros(2))
    for name in CONTINUOUS:
        with pytest.raises(TypeError, match=f"{name} needs a distribution that is"):
            fg.estimator(name)(SMOOTH, fg.Categorical(np.zeros(2)), num_samples=4, rng=0)
    with pytest.raises(
        TypeError, match="measure_valued needs a distribution that is Normal, got Ga"
    ):
        fg.estimator("measure_valued")(smooth, C.Gamma(0.0, 0.0), num_samples=4, rng=0)
    with pytest.raises(TypeError, match="pathwise needs the gradient of f"):
        fg.estimator("pathwise")(smooth, d, num_samples=4, rng=0)
    with pytest.raises(TypeError, match="Uniform has no score"):
        fg.estimator("score_function")(smooth, C.Uniform(0.0, 1.0), num_samples=4, rng=0)
    with pytest.raises(TypeError, match="Normal has no logits"):
        fg.estimator("rloo")(smooth, d, num_samples=4, rng=0)
    with pytest.raises(ValueError, match="score_function needs at least 2 samples"):
        fg.estimator("score_function")(smooth, d, num_samples=1, rng=0)
    fg.estimator("score_function", baseline=None)(smooth, d, num_samples=1, rng=0)
    with pytest.raises(ValueError, match="got 'cubic'"):
        fg.estimator("pathwise", control="cubic")
    quadratic = fg.estimator("pathwise", control="quadratic")
    with pytest.raises(TypeError, match="needs a distribution that is Normal, got Gamma"):
        quadratic(SMOOTH, C.Gamma(0.0, 0.0), num_samples=4, rng=0)
    with pytest.raises(ValueError, match="pathwise needs at least 2 samples"):
        quadratic(SMOOTH, d, num_samples=1, rng=0)
    with pytest.raises(ValueError, match="the mean must be finite"):
        fg.estimator("pathwise", control="linear")(
            SMOOTH, C.StudentT(0.0, 0.0, -1.0), num_samples=2, rng=0
        )
    with pytest.raises(ValueError, match="f must be finite, got nan for sample 0"):
        fg.estimator("score_function")(lambda x: x * np.nan, d, num_samples=2, rng=0)


def test_the_registry():
    assert fg.list_estimators(continuous=True) == list(CONTINUOUS)
    assert not set(CONTINUOUS) & set(fg.list_estimators())
    for name, cls in CONTINUOUS.items():
        assert cls.name == name
        assert cls.paper
        assert fg.estimator(name) == cls()
