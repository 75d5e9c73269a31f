"""MuProp, double control variates and discrete Stein control variates against exact moments."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from score_family import PROBLEMS, RNG, assert_unbiased, moments, problem, smooth, variance

import fastgrad as fg
from fastgrad import exact
from fastgrad.objectives import Values

NAMES = {"muprop": 1, "double_cv": 2, "rodeo": 2}


def options(name):
    """Estimators of this name: weights to begin with, fixed, and none."""
    run = fg.estimator(name)
    if name == "muprop":
        return [run]
    return [run, *(dataclasses.replace(run, scale=s) for s in (0.0, 0.6, -2.0))]


# -- exact means -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kind", "case"), PROBLEMS)
def test_they_are_unbiased(kind, case, name):
    d = problem(kind, case)
    for run in options(name):
        assert_unbiased(run, smooth(d), d, NAMES[name])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [fg.Categorical, fg.Bernoulli])
@pytest.mark.parametrize("num_samples", [3, 4])
def test_they_are_unbiased_with_more_samples(kind, num_samples, name):
    d = problem(kind, "one" if kind is fg.Categorical else "three")
    for run in options(name):
        assert_unbiased(run, smooth(d), d, num_samples)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_unbiased_whatever_the_gradient(name):
    """A wrong one costs variance, no bias; each weight of rodeo's surrogates by itself, too."""
    d = problem(fg.Categorical, "plain")
    wrong = fg.objective(smooth(d).f, grad=smooth(d, seed=3).grad)
    runs = options(name)
    if name == "rodeo":
        for weights in np.eye(4):
            runs.append(_weighted(weights))
    for run in runs:
        assert_unbiased(run, wrong, d, 2)


def _weighted(weights):
    run = fg.estimator("rodeo", scale=1.0)
    object.__setattr__(run, "weights", tuple(map(float, weights)))
    return run


@pytest.mark.parametrize("name", ["double_cv", "rodeo"])
def test_learned_weights_leave_the_mean_and_do_no_harm(name):
    for kind, case in ((fg.Categorical, "plain"), (fg.Bernoulli, "three")):
        d = problem(kind, case)
        f, run, state = smooth(d), fg.estimator(name), None
        for t in range(300):
            state = run(f, d, num_samples=2, rng=t, state=state).state
        after = assert_unbiased(run, f, d, 2, state)
        assert after < 1.03 * variance(run, f, d, 2)
        assert after < 1.02 * variance(fg.estimator("rloo"), f, d, 2)


def test_learned_weights_are_the_best():
    """The variance is a parabola in the weight: three points give its least."""
    d = problem(fg.Categorical, "three")
    f, run, state = smooth(d), fg.estimator("double_cv"), None
    for t in range(3000):
        state = run(f, d, num_samples=2, rng=t, state=state).state
    zero, one, two = (
        variance(fg.estimator("double_cv", scale=s), f, d, 2) for s in (0.0, 1.0, 2.0)
    )
    curvature, slope = (zero + two) / 2 - one, (two - zero) / 2
    least = one - slope**2 / (4 * curvature)
    assert least <= variance(run, f, d, 2, state) < least + 0.03 * (zero - least)


@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_exact_mean(name):
    """A bound of 5.5 standard errors: a false-alarm rate of 4e-8 for each of the 6 numbers."""
    logits = np.tile([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]], (20_000, 1, 1))
    f = smooth(fg.Categorical(logits[0]))
    grad = fg.estimator(name)(f, logits, num_samples=3, rng=11).grad
    error = grad.mean(axis=0) - exact.grad(f, logits[0])
    assert (np.abs(error) < 5.5 * grad.std(axis=0) / math.sqrt(len(grad))).all()


# -- variances -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["muprop", "double_cv"])
@pytest.mark.parametrize(("kind", "case"), PROBLEMS)
def test_a_linear_f_leaves_no_variance(kind, case, name):
    d = problem(kind, case)
    weights = RNG.normal(size=d.logits.shape)
    axes = tuple(range(-d.logits.ndim, 0))
    f = fg.objective(
        lambda x: (x * weights).sum(axes), grad=lambda x: np.broadcast_to(weights, x.shape)
    )
    assert assert_unbiased(fg.estimator(name), f, d, NAMES[name]) < 1e-26


def test_rodeo_leaves_a_variable_its_own_noise_where_f_is_linear():
    """The estimate is then the mean of (<f', x - mu> score + J f') / 2, each variable's own."""
    weights = np.array([[0.3, 1.0, -0.2], [2.0, 0.1, 0.4]])
    for logits in ([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]], [[0.0, 0.0, 0.0], [1.0, 0.0, -9.0]]):
        d = fg.Categorical(np.array(logits))
        z = d.sample(num_samples=4, rng=0)
        score = d.score(z)
        mu = np.eye(3)[z] - score
        own = (weights * score).sum(axis=-1, keepdims=True) * score
        product = mu * (weights - (mu * weights).sum(axis=-1, keepdims=True))
        run = fg.estimator("rodeo")
        answer = Values((np.eye(3)[z] * weights).sum((1, 2)), None), np.tile(weights, (4, 1, 1))
        grad = run.combine(d, [(z, answer)]).grad
        np.testing.assert_allclose(grad, (own + product).mean(axis=0) / 2, rtol=0, atol=1e-12)


def test_they_beat_rloo_and_the_learned_surrogate_beats_the_taylor_expansion():
    """f is the square of a softplus of a linear function of eight bits."""
    rng = np.random.default_rng(1)
    w, d = rng.normal(size=8), fg.Bernoulli(rng.normal(size=8) / 2)

    def grad(x):
        y = (x * w).sum(-1, keepdims=True)
        return 2 * np.logaddexp(0, y) / (1 + np.exp(-y)) * w

    f = fg.objective(lambda x: np.logaddexp(0, (x * w).sum(-1)) ** 2, grad=grad)
    learned, rloo = {}, variance(fg.estimator("rloo"), f, d, 2)
    assert variance(fg.estimator("muprop"), f, d, 2) < 0.5 * rloo
    for name in ("double_cv", "rodeo"):
        run, state = fg.estimator(name), None
        assert variance(run, f, d, 2) < 0.5 * rloo
        for t in range(300):
            state = run(f, d, num_samples=2, rng=t, state=state).state
        learned[name] = variance(run, f, d, 2, state)
    assert learned["rodeo"] < 0.7 * learned["double_cv"] < 0.35 * rloo


# -- what they compute -----------------------------------------------------------------------------


def _double_cv(f, g, x, mu, jacobian):
    """Titsias and Shi's estimate with alpha = -1, written out; J is (N, K, K)."""
    count = len(x)
    others = [[j for j in range(count) if j != s] for s in range(count)]
    a = np.array([-(g[o].mean(axis=0) * (x[s] - mu)).sum() for s, o in enumerate(others)])
    total = (
        -sum(((f + a)[o].mean() - (f + a)[s]) * (x[s] - mu) for s, o in enumerate(others)) / count
    )
    return total + np.einsum("nkl,nl->nk", jacobian, g.mean(axis=0))


def _rodeo(f, g, x, mu):
    """Shi et al.'s estimate with surrogates w and w / 2 of as many variables, written out."""
    count, n, k = x.shape
    total, outcomes = np.zeros((n, k)), np.eye(k)
    others = [[j for j in range(count) if j != s] for s in range(count)]

    def w(s, y):
        return (g[others[s]].mean(axis=0) * (y - mu)).sum()

    def steps(s, h):
        """The sum over variables of E[h] with one drawn afresh, less h."""
        result, here = 0.0, h(s, x[s])
        for v, c in itertools.product(range(n), range(k)):
            y = x[s].copy()
            y[v] = outcomes[c]
            result = result + mu[v, c] * (h(s, y) - here)
        return result

    for s in range(count):
        corrected = np.mean([f[j] + steps(j, w) for j in others[s]])
        total += (f[s] - corrected) * (x[s] - mu)
        total += steps(s, lambda s, y: w(s, y) / 2 * (y - mu))
    return total / count


@pytest.mark.parametrize("num_samples", [2, 5])
@pytest.mark.parametrize(("n", "k"), [(4, 3), (70, 2), (3, 16), (2, 520)])
def test_they_are_their_formulae(n, k, num_samples):
    d = fg.Categorical(RNG.normal(size=(n, k)))
    z = d.sample(num_samples=num_samples, rng=3)
    x = np.eye(k)[z]
    mu = x[0] - d.score(z)[0]
    jacobian = np.einsum("nk,kl->nkl", mu, np.eye(k)) - np.einsum("nk,nl->nkl", mu, mu)
    f, g = RNG.normal(size=num_samples), RNG.normal(size=x.shape)
    answer = Values(f, None), g
    double_cv = fg.estimator("double_cv").combine(d, [(z, answer)]).grad
    np.testing.assert_allclose(double_cv, _double_cv(f, g, x, mu, jacobian), atol=1e-12)
    rodeo = fg.estimator("rodeo").combine(d, [(z, answer)]).grad
    np.testing.assert_allclose(rodeo, _rodeo(f, g, x, mu), atol=1e-12)
    at_mu, slope = RNG.normal(), RNG.normal(size=(n, k))
    residual = f - at_mu - ((x - mu) * slope).sum(axis=(1, 2))
    expected = np.tensordot(residual, x - mu, 1) / num_samples
    expected += np.einsum("nkl,nl->nk", jacobian, slope)
    expansion = mu, np.array(at_mu), slope[None]
    muprop = fg.estimator("muprop").combine(d, [(z, (Values(f, None), expansion))])
    np.testing.assert_allclose(muprop.grad, expected, atol=1e-12)
    assert muprop.evaluations == num_samples + 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(1,), (3,), (4, 70)])
def test_a_bernoulli_variable_is_the_second_of_two_categories(batch, dtype, name):
    logits = RNG.normal(size=batch).astype(dtype)
    pair = fg.Categorical(np.stack([np.zeros_like(logits), logits], axis=-1))
    w = RNG.normal(size=batch)
    axes = tuple(range(-len(batch), 0))
    f = fg.objective(
        lambda x: (w * x**3).sum(axes) ** 2,
        grad=lambda x: 6 * w * x**2 * np.expand_dims((w * x**3).sum(axes), axes),
    )
    of_pair = fg.objective(
        lambda x: f.f(x[..., 1]), grad=lambda x: np.stack([0 * x[..., 1], f.grad(x[..., 1])], -1)
    )
    run, binary = fg.estimator(name), fg.Bernoulli(logits)
    z = binary.sample(num_samples=5, rng=0)
    a = run.combine(binary, [(z, run.ask(fg.Objective(f.f, f.grad), binary, z))])
    b = run.combine(pair, [(z, run.ask(of_pair, pair, z))])
    scale = np.abs(b.grad).max()
    assert a.grad.dtype == dtype
    np.testing.assert_allclose(
        a.grad, b.grad[..., 1], rtol=0, atol=100 * scale * np.finfo(dtype).eps
    )
    np.testing.assert_allclose(a.value, b.value, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 2, 16, 700])
def test_float32_agrees_with_float64(name, k):
    logits = RNG.normal(size=(3, 20, k))
    f = smooth(fg.Categorical(logits))
    z = fg.sample(logits, num_samples=4, rng=0)
    run, grads = fg.estimator(name), []
    for dtype in (np.float32, np.float64):
        d = fg.Categorical(logits.astype(dtype))
        estimate = run.combine(d, [(z, run.ask(f, d, z))])
        assert estimate.grad.dtype == estimate.value.dtype == dtype
        grads.append(estimate.grad)
    np.testing.assert_allclose(*grads, rtol=0, atol=2e-5 * max(np.abs(grads[1]).max(), 10))
    if k == 1:
        assert not grads[0].any()


# -- credit, examples, blocks, extremes --------------------------------------------------------


CHAIN = RNG.normal(size=(2, 3, 3))


def chain(x):
    """A chain of three variables, f the sum of two terms; each variable is told its own terms."""
    a, b = (
        np.einsum("...k,...l,kl->...", x[..., i, :], x[..., i + 1, :], CHAIN[i]) for i in range(2)
    )
    return a + b, np.stack([a, a + b, b], axis=-1)


def chain_grad(x):
    a, b, c = (x[..., i, :] for i in range(3))
    return np.stack([b @ CHAIN[0].T, a @ CHAIN[0] + c @ CHAIN[1].T, b @ CHAIN[1]], axis=-2)


@pytest.mark.parametrize("name", NAMES)
def test_credit_is_unbiased_and_of_lower_variance(name):
    d = fg.Categorical(RNG.normal(size=(3, 3)))
    with_credit = fg.objective(chain, grad=chain_grad)
    without = fg.objective(lambda x: chain(x)[0], grad=chain_grad)
    runs = [r for r in options(name) if getattr(r, "scale", None) is None]
    for run in runs:
        ends = [0, 1, 2, 6, 7, 8]
        assert_unbiased(run, with_credit, d, 2)
        lower = np.diag(moments(run, with_credit, d, 2)[1])[ends].sum()
        higher = np.diag(moments(fg.estimator("rloo"), without, d, 2)[1])[ends].sum()
        assert lower < 0.8 * higher


@pytest.mark.parametrize("unit", [2.0**-80, 2.0**70])
@pytest.mark.parametrize("name", ["double_cv", "rodeo"])
def test_weights_are_learned_in_any_unit(name, unit):
    """Squares of such an f leave the range of float32."""
    logits = RNG.normal(size=(5, 3)).astype(np.float32)
    f, found = smooth(fg.Categorical(logits)), []
    for u in (1.0, unit):
        scaled = fg.objective(lambda x, u=u: u * f.f(x), grad=lambda x, u=u: u * f.grad(x))
        state = None
        for t in range(3):
            estimate = fg.estimator(name)(scaled, logits, num_samples=4, rng=t, state=state)
            state = estimate.state
        found.append((estimate.grad / np.float32(u), state["gram"] / u**2))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(a).max())


@pytest.mark.parametrize("name", NAMES)
def test_examples_do_not_mix(name):
    logits, scale = RNG.normal(size=(4, 6, 3)), np.ones((4, 1, 1))

    def f(x):
        return ((x * scale) ** 2 * [1, 2, 3]).sum(axis=(2, 3))

    f = fg.objective(f, grad=lambda x: 2 * x * scale**2 * [1, 2, 3])
    run = fg.estimator(name)
    state = run(f, logits, num_samples=5, rng=1).state
    before = run(f, logits, num_samples=5, rng=2, state=state)
    scale[1], logits[1, 2] = 7, [0, 9, 0]
    after = run(f, logits, num_samples=5, rng=2, state=state)
    others = [0, 2, 3]
    np.testing.assert_array_equal(after.grad[others], before.grad[others])
    np.testing.assert_array_equal(after.value[others], before.value[others])
    assert (after.grad[1] != before.grad[1]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_do_not_change_a_bit_of_muprop(dtype):
    logits, run = RNG.normal(size=(5, 70, 10)).astype(dtype), fg.estimator("muprop")
    sizes = []

    def f(x):
        sizes.append(len(x))
        return (x * np.arange(10)).sum(axis=(2, 3)) ** 2

    f = fg.objective(f, grad=lambda x: np.sin(3 * x))
    whole = run(f, logits, num_samples=17, rng=4)
    assert whole.evaluations == 18
    for block_size in (1, 3, 16):
        sizes.clear()
        estimate = run(f, logits, num_samples=17, rng=4, block_size=block_size)
        np.testing.assert_array_equal(estimate.grad, whole.grad)
        np.testing.assert_array_equal(estimate.value, whole.value)
        assert sum(sizes) == 18
        assert max(sizes) == block_size


@pytest.mark.parametrize("name", ["double_cv", "rodeo"])
def test_the_others_need_all_samples_at_once(name):
    sizes, run = [], fg.estimator(name)

    def f(x):
        sizes.append(len(x))
        return x[:, 0, 0]

    f = fg.objective(f, grad=lambda x: x)
    a, b = (run(f, np.zeros((2, 3)), num_samples=7, rng=4, block_size=s) for s in (2, None))
    np.testing.assert_array_equal(a.grad, b.grad)
    assert sizes == [7, 7]
    assert a.evaluations == 7


@pytest.mark.parametrize("name", NAMES)
def test_threads_do_not_change_a_bit(name):
    numba = pytest.importorskip("numba")
    logits = RNG.normal(size=(3, 900, 10))
    f = fg.objective(lambda x: x[..., 0].sum(axis=2) ** 2, grad=lambda x: np.sin(3 * x))
    results = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        results.append(fg.estimator(name)(f, logits, num_samples=5, rng=4).grad)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("large", [90.0, 1e4, 1e30])
@pytest.mark.parametrize("name", NAMES)
def test_masks_give_zero_and_extreme_logits_finite_gradients(name, large, dtype):
    logits = np.array([[large, 0, -large], [-large, -large, large], [0.3, -np.inf, 0.1]], dtype)
    logits = np.vstack([logits, np.array([[-np.inf, 2, -np.inf]], dtype)])
    f = fg.objective(lambda x: (x * [1, 2, 3]).sum(axis=(1, 2)), grad=lambda x: x + np.arange(1, 4))
    grad = fg.estimator(name)(f, logits, num_samples=5, rng=0).grad
    assert np.isfinite(grad).all()
    assert not grad[np.isinf(logits)].any()
    assert not grad[3].any()
    np.testing.assert_allclose(grad[:2], 0, atol=1e-5)
    sites = np.array([np.inf, -np.inf, 0.3], dtype)
    f = fg.objective(lambda x: (x * [1, 2, 3]).sum(axis=1), grad=lambda x: x + np.arange(1, 4))
    grad = fg.estimator(name)(f, fg.Bernoulli(sites), num_samples=16, rng=0).grad
    assert not grad[:2].any()
    assert np.isfinite(grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_buffer_that_f_returns_twice_is_not_kept(name):
    buffer = np.empty(6)

    def f(x):
        out = buffer[: len(x)]
        out[:] = x[:, 0, 0] + x[:, 1, 1]
        return out

    def run(f, **given):
        f = fg.objective(f, grad=lambda x: x)
        return fg.estimator(name)(f, np.zeros((2, 3)), num_samples=6, rng=0, **given)

    a, b = run(f, block_size=2), run(lambda x: f(x).copy())
    np.testing.assert_array_equal(a.grad, b.grad)
    assert a.value == b.value


@pytest.mark.parametrize("name", NAMES)
def test_f_cannot_change_the_samples(name):
    def f(x):
        x *= 2
        return x[:, 0, 0]

    for part in ({"f": f, "grad": lambda x: x}, {"f": lambda x: x[:, 0, 0], "grad": f}):
        with pytest.raises(ValueError, match="read-only"):
            fg.estimator(name)(fg.objective(**part), np.zeros((2, 3)), num_samples=2, rng=0)


@pytest.mark.parametrize("name", NAMES)
def test_no_variables(name):
    f = fg.objective(lambda x: x.sum(axis=(1, 2)) + 2, grad=lambda x: x)
    estimate = fg.estimator(name)(f, np.zeros((0, 3)), num_samples=4, rng=0)
    assert estimate.grad.shape == (0, 3)
    assert estimate.value == 2


def test_f_of_indices_serves():
    table = RNG.normal(size=(3, 3))
    f = fg.objective(
        lambda x: np.einsum("...k,...l,kl->...", x[..., 0, :], x[..., 1, :], table),
        index=lambda z: table[z[..., 0], z[..., 1]],
        grad=lambda x: np.stack([x[..., 1, :] @ table.T, x[..., 0, :] @ table], axis=-2),
    )
    d = problem(fg.Categorical, "plain")
    for name in NAMES:
        assert_unbiased(fg.estimator(name), f, d, 2)


# -- errors ----------------------------------------------------------------------------------------


def first(x):
    return x[:, 0, 0]


ERRORS = {
    "no gradient": (
        ("double_cv", first, {}),
        TypeError,
        "double_cv needs the gradient of f at relaxed points: fg.objective(f, grad=...)",
    ),
    "rodeo without gradient": (
        ("rodeo", first, {}),
        TypeError,
        "rodeo needs the gradient of f at relaxed points: fg.objective(f, grad=...)",
    ),
    "no f at the mean": (
        ("muprop", fg.objective(index=lambda z: z[:, 0], grad=lambda x: x), {}),
        TypeError,
        "muprop needs the function itself: fg.objective(f, ...)",
    ),
    "one sample": (
        ("rodeo", fg.objective(first, grad=lambda x: x), {"num_samples": 1}),
        ValueError,
        "rodeo needs at least 2 samples, got num_samples=1",
    ),
    "shapes": (
        (
            "muprop",
            fg.objective(first, index=lambda z: z * 1.0, grad=lambda x: x),
            {},
        ),
        ValueError,
        "f must return values and credit of one shape, got (2,) at outcomes and () at the mean",
    ),
    "another's state": (
        ("rodeo", fg.objective(first, grad=lambda x: x), {"state": {"mean": np.zeros(2)}}),
        ValueError,
        "state must be that of the last estimate, with gram, weight, got mean",
    ),
    "NaN gradient": (
        ("double_cv", fg.objective(first, grad=lambda x: x * np.nan), {}),
        ValueError,
        "the gradient of f must be finite, got nan for sample 0 at (0, 0, 0)",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input_is_named_in_one_sentence(case):
    (name, f, given), kind, message = ERRORS[case]
    given = {"distribution": np.zeros((2, 3)), "num_samples": 4, "rng": 0} | given
    with pytest.raises(kind) as caught:
        fg.estimator(name)(f, **given)
    if case == "NaN gradient":
        message = str(caught.value)
        assert message.startswith("the gradient of f must be finite, got nan for sample 0")
    assert str(caught.value) == message


def test_a_scale_must_be_finite():
    for name in ("double_cv", "rodeo"):
        with pytest.raises(ValueError, match="scale must be None or a finite number, got nan"):
            fg.estimator(name, scale=float("nan"))
