"""REBAR and RELAX: exact by quadrature where variables have two outcomes, else by fixed draws.

Draws are compared within 5.5 standard errors: a false-alarm rate of 4e-8 for each number.
"""

import functools
import itertools
import math
import tracemalloc

import numba
import numpy as np
import pytest
from exact_moments import all_moments

import fastgrad as fg
from fastgrad import _validate, exact
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators.relaxed_controls import relaxed_pairs
from fastgrad.estimators.relaxed_controls.adaptation import adam_step
from fastgrad.estimators.relaxed_controls.controlled_sums import ControlledScores
from fastgrad.estimators.relaxed_controls.network import TanhNetwork
from fastgrad.estimators.relaxed_controls.rebar import REBAR
from fastgrad.estimators.relaxed_controls.relax import RELAX
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Control, draw_relaxed
from fastgrad.kernels.estimators.relaxed_controls import network as network_kernels
from fastgrad.kernels.estimators.relaxed_controls.network_blocks import SPAN
from fastgrad.objectives import objective

RNG = np.random.default_rng(17)
SIGMAS = 5.5
INF = np.inf

each_coupled = pytest.mark.parametrize("coupled", [False, True])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def moments(estimator, f, distribution, state=None):
    """Exact mean, and variance of each coordinate, of a one-sample estimate."""
    found = all_moments(estimator, f, distribution, 1, state)
    return found.mean, found.variance.reshape(-1)


def spread(estimator, f, distribution, state=None):
    """Variance of a one-sample estimate, summed over coordinates."""
    return moments(estimator, f, distribution, state)[1].sum()


def second(x, distribution):
    """The feature of the second outcome of each variable."""
    return x if isinstance(distribution, Bernoulli) else x[..., 1]


def smooth(distribution, *, credit=False):
    """An objective of two variables, not symmetric; with credit, two terms."""

    def f(x):
        u = second(x, distribution)
        a, b = u[..., 0], u[..., 1]
        alone, both = 2 * (a - 0.45) ** 2 + 1, 1.5 * a * b**2 + np.sin(b)
        return (alone + both, np.stack([alone + both, both], -1)) if credit else alone + both

    def grad(x):
        u = second(x, distribution)
        a, b = u[..., 0], u[..., 1]
        g = np.stack([4 * (a - 0.45) + 1.5 * b**2, 3 * a * b + np.cos(b)], -1)
        if x.shape == u.shape:
            return g
        return np.stack([np.zeros_like(g), g], -1)

    return objective(f, grad=grad)


PAIRS = {
    "bernoulli": Bernoulli([0.4, -0.8]),
    "two categories": Categorical([[0.3, -1.0], [0.0, 0.5]]),
    "masked": Categorical([[0.3, -1.0], [-INF, 0.5]]),
    "certain": Bernoulli([INF, 0.7]),
    "near-deterministic": Categorical([[30.0, 0.0], [0.0, -700.0]]),
    "rare": Bernoulli([-13.0, 9.0]),
}


# -- the toy of both papers ---------------------------------------------------------------------

# Variance of one sample by the logit, at logit 0 and scale 1: independent noise, coupled noise.
TOY = {
    (0.45, 0.5): (2.265312e-2, 2.406711e-2),
    (0.45, 1.0): (1.848909e-2, 1.791667e-2),
    (0.45, 0.1): (8.725173e-2, 9.041436e-2),
    (0.499, 0.5): (2.229023e-2, 2.350225e-2),
    (0.499, 1.0): (1.837802e-2, 1.770842e-2),
    (0.499, 0.1): (8.370220e-2, 8.659328e-2),
}


@each_coupled
@pytest.mark.parametrize(("target", "temperature"), TOY)
@pytest.mark.parametrize("binary", [False, True])
def test_rebar_has_the_variance_of_the_toy(target, temperature, coupled, binary):
    d = Bernoulli([0.0]) if binary else Categorical(np.zeros((1, 2)))
    f = objective(
        lambda x: ((second(x, d) - target) ** 2)[..., 0],
        grad=lambda x: 2 * (x - target) * (1 if binary else [0, 1]),
    )
    mean, variance = moments(REBAR(temperature=temperature, coupled=coupled), f, d)
    assert mean.reshape(-1)[-1] == pytest.approx((1 - 2 * target) / 4, abs=1e-14)
    assert variance[-1] == pytest.approx(TOY[target, temperature][coupled], rel=3e-7)


leggauss = functools.cache(np.polynomial.legendre.leggauss)


@pytest.mark.parametrize("temperature", [0.02, 0.3, 1.0, 7.0])
@each_coupled
def test_the_nodes_are_enough(temperature, coupled):
    """The variance by another rule: Gauss and Legendre over uniform noise, cut where b changes."""
    logit, target = 0.6, 0.3
    p = 1 / (1 + math.exp(-logit))
    t, w = leggauss(600)
    t, w = (t + 1) / 2, w / 2
    w = w * 30 * t**2 * (1 - t) ** 2  # v and 1 - v, flat at both ends
    v, rest = (t**3 * (10 - 15 * t + 6 * t**2) for t in (t, 1 - t))

    def parts(b):  # c, its derivative by z, and d z~ / d logit, at the nodes of v given b
        r = 1 - p if b else p
        size = np.log1p(v / (rest * r))
        z = size if b else -size
        x = np.exp(-np.logaddexp(0, -z / temperature))
        slope = 2 * (x - target) * x * (1 - x) / temperature
        return (x - target) ** 2, slope, -(1 - r) * np.expm1(-size)

    mean = square = 0.0
    for b in (0, 1):
        c, slope, damp = parts(b)
        score, chance = b - p, p if b else 1 - p
        given = ((b - target) ** 2 - c) * score - slope * damp
        if coupled:
            g, weight = given + slope, w
        else:
            g, weight = given[:, None] + slope, w[:, None] * w
        mean += chance * (weight * g).sum()
        square += chance * (weight * g**2).sum()
    d = Bernoulli([logit])
    f = objective(lambda x: ((x - target) ** 2)[..., 0], grad=lambda x: 2 * (x - target))
    found = moments(REBAR(temperature=temperature, coupled=coupled), f, d)
    assert found[0][0] == pytest.approx(mean, rel=1e-8)
    assert found[1][0] == pytest.approx(square - mean**2, rel=1e-7)


# -- unbiased -----------------------------------------------------------------------------------


def of_one(d, f):
    """The first variable of a pair alone, the second's feature being 0."""
    one = type(d)(d.logits[:1])

    def padded(x):
        return np.concatenate([x, np.zeros_like(x)], axis=x.ndim - 1 - (d.logits.ndim == 2))

    def grad(x):
        g = f.grad(padded(x))
        return np.split(g, 2, axis=x.ndim - 1 - (d.logits.ndim == 2))[0]

    return one, objective(lambda x: f.f(padded(x)), grad=grad)


@pytest.fixture
def few_nodes(monkeypatch):
    """Fewer nodes of the quadrature, enough where relaxations are as smooth as RELAX makes them."""
    monkeypatch.setattr(relaxed_pairs, "STEP", 0.4)
    monkeypatch.setattr(relaxed_pairs, "REACH", 31.0)


@pytest.mark.parametrize("case", PAIRS)
@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_rebar_is_unbiased(case, temperature):
    d = PAIRS[case]
    run = REBAR(temperature=temperature, scale=0.7)
    for credit in (False, True):
        mean, variance = moments(run, smooth(d, credit=credit), d)
        np.testing.assert_allclose(mean, exact.grad(smooth(d), d), rtol=0, atol=2e-12)
        assert not mean[np.isinf(d.logits)].any()
        assert np.isfinite(variance).all()
    one, f = of_one(d, smooth(d))
    mean, _ = moments(REBAR(temperature=temperature, coupled=False), f, one)
    np.testing.assert_allclose(mean, exact.grad(f, one), rtol=0, atol=2e-12)


@pytest.mark.usefixtures("few_nodes")
@pytest.mark.parametrize("add_objective", [False, True])
@pytest.mark.parametrize("case", PAIRS)
def test_relax_is_unbiased_with_any_weights(case, add_objective):
    d, network = PAIRS[case], TanhNetwork(hidden=3)
    run = RELAX(network=network, temperature=0.7, add_objective=add_objective)
    state = learned(run, d)
    for credit in (False, True):
        mean, variance = moments(run, smooth(d, credit=credit), d, state)
        np.testing.assert_allclose(mean, exact.grad(smooth(d), d), rtol=0, atol=2e-11)
        assert not mean[np.isinf(d.logits)].any()
        assert np.isfinite(variance).all()
    one, f = of_one(d, smooth(d))
    run = RELAX(network=network, coupled=False, add_objective=add_objective)
    mean, _ = moments(run, f, one, learned(run, one))
    np.testing.assert_allclose(mean, exact.grad(f, one), rtol=0, atol=2e-11)


def learned(run, distribution):
    """A state of one cell with random weights."""
    size = len(run.network.initial(distribution.logits.size))
    cell = (1,) * len(distribution.batch_shape)
    zero = np.zeros((*cell, size))
    return {
        "weights": 0.3 * np.random.default_rng(3).normal(size=zero.shape),
        "first_moment": zero,
        "second_moment": zero,
        "steps": np.array(5),
        "size": np.full(cell, 1.7),
    }


def cubic(k, credit=False):
    """An objective of two categoricals with K outcomes, one value for each example."""
    w, v = np.random.default_rng(k).normal(size=(2, 2, k))

    def f(x):
        first, second_ = (x**2 * w).sum(axis=(-1, -2)), (x * v).sum(axis=-1).prod(axis=-1)
        if not credit:
            return first + second_
        return first + second_, (x**2 * w).sum(axis=-1) + second_[..., None]

    def grad(x):
        s = (x * v).sum(axis=-1)
        return 2 * x * w + s[..., ::-1, None] * v

    return objective(f, grad=grad)


def check_draws(run, k, credit, examples, num_samples, most):
    logits = np.random.default_rng(5).normal(size=(2, k))
    logits[1, 0] = -INF
    f, d = cubic(k, credit), Categorical(np.tile(logits, (examples, 1, 1)))
    state = learned(run, Categorical(logits)) if isinstance(run, RELAX) else None
    grad = run(f, d, num_samples=num_samples, rng=4, state=state, block_size=1).grad
    error = grad.mean(axis=0) - exact.grad(cubic(k), logits)
    deviation = grad.std(axis=0) / math.sqrt(examples)
    assert (np.abs(error) <= SIGMAS * deviation).all()
    assert deviation.max() < most


@each_coupled
@pytest.mark.parametrize("cls", [REBAR, RELAX])
def test_three_categories_are_unbiased(cls, coupled):
    check_draws(cls(coupled=coupled), 3, False, 20_000, 1, 0.02)


@pytest.mark.slow
@each_coupled
@pytest.mark.parametrize(("k", "credit"), [(3, True), (4, False), (5, True), (5, False)])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.15}, {"add_objective": True}])
def test_more_categories_are_unbiased(options, k, credit, coupled):
    if "add_objective" in options:
        run = RELAX(coupled=coupled, network=TanhNetwork(hidden=3), **options)
    else:
        run = REBAR(coupled=coupled, **options)
    check_draws(run, k, credit, 5_000, 32, 0.005)  # weights are of examples: few


# -- couplings and Jacobians, apart from the mean -----------------------------------------------

SOME = [
    Categorical(RNG.normal(size=(5, 3))),
    Categorical(3 * RNG.normal(size=(2, 33, 16)).astype(np.float32)),
    Categorical(RNG.normal(size=(3, 700))),
    Bernoulli(3 * RNG.normal(size=(7, 90)).astype(np.float32)),
    Bernoulli(RNG.normal(size=5)),
]


@pytest.mark.parametrize("d", SOME)
@each_coupled
def test_both_relaxations_have_the_sample_on_every_draw(d, coupled):
    temperatures = RNG.uniform(0.05, 5, size=d.batch_shape)
    z, (pair,) = draw_relaxed(d, (temperatures,), 200, fg.Key(2), coupled=coupled)
    assert pair.coupled == coupled
    for x in (pair.relaxed, pair.conditional):
        found = x > 0.5 if isinstance(d, Bernoulli) else x.argmax(axis=-1)
        np.testing.assert_array_equal(found, z)
    assert coupled or (pair.relaxed != pair.conditional).any()


@pytest.mark.parametrize("d", SOME)
@each_coupled
def test_draws_are_those_of_relax(d, coupled):
    module = fg.bernoulli if isinstance(d, Bernoulli) else fg
    options = {"temperature": 0.6, "num_samples": 3, "rng": fg.Key(8), "coupled": coupled}
    r = module.relax(d.logits, sample_offset=2, **options)
    z, (pair,) = draw_relaxed(d, (0.6,), 3, fg.Key(8), offset=2, coupled=coupled)
    np.testing.assert_array_equal(z, r.sample)
    tolerance = 8 * np.finfo(d.logits.dtype).eps
    np.testing.assert_allclose(pair.relaxed, r.relaxed, rtol=0, atol=tolerance)
    np.testing.assert_allclose(pair.conditional, r.conditional, rtol=0, atol=tolerance)


def gradients(d, pair, scale, f, c, r, q, z):
    """What `ControlledScores` makes of one sample: g, the products and the directions."""
    total = ControlledScores(d, products=True)
    along = total.add(z, pair, scale, f, Control(c, r, q), directions=True)
    return total.total, total.products, along


@pytest.mark.parametrize("temperature", [0.05, 0.6, 1.0, 20.0])
@pytest.mark.parametrize("d", SOME)
@each_coupled
def test_products_are_those_that_draw_the_noise_again(d, coupled, temperature):
    module = fg.bernoulli if isinstance(d, Bernoulli) else fg
    key, shape, dtype = fg.Key(5), (1, *d.logits.shape), d.logits.dtype
    for sample in range(4):
        z, (pair,) = draw_relaxed(d, (temperature,), 1, key, offset=sample, coupled=coupled)
        r, q = RNG.normal(size=(2, *shape)).astype(dtype)
        q = r if coupled else q
        f, c, scale = (RNG.normal(size=(1, *d.batch_shape)) for _ in range(3))
        a, e = module.relax_vjp(
            *(d.logits, r, q),
            temperature=temperature,
            rng=key,
            coupled=coupled,
            sample_offset=sample,
        )
        score = d.score(z)[0]
        f_, c_, scale_ = (x[0] if a.shape == x[0].shape else x[0][..., None] for x in (f, c, scale))
        g = (f_ - scale_ * c_) * score + scale_ * (a - e)
        h = c_ * score - a + e
        got, products, along = gradients(d, pair, scale[0], f, c, r, q, z)
        tolerance = 200 * np.finfo(dtype).eps * max(1, 1 / temperature)
        np.testing.assert_allclose(got, g, rtol=0, atol=tolerance)
        for found, pair_ in zip(products, ((g, h), (h, h), (g, g)), strict=True):
            expected = (pair_[0] * pair_[1]).reshape(math.prod(d.batch_shape), -1).sum(axis=-1)
            np.testing.assert_allclose(found, expected, rtol=2e3 * tolerance, atol=2e2 * tolerance)
        product = (g * score).reshape(*d.batch_shape, -1).sum(axis=-1)
        np.testing.assert_allclose(along.score[0], product.reshape(-1), atol=20 * tolerance)
        options = {"directions": True, "difference": True}
        at_once = ControlledScores(d).add(z, pair, scale[0], f, Control(c, r, q), **options)
        np.testing.assert_array_equal(at_once.relaxed, along.relaxed - along.conditional)
        np.testing.assert_array_equal(at_once.score, along.score)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize(
    "d", [Categorical([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]]), Bernoulli([0.4, -2.0])]
)
def test_products_and_directions_are_slopes_of_the_draws(d, temperature):
    """Noise of z~ drawn given b is held: so it is in draws of other logits with the same key."""
    h, shape = 1e-6, (1, *d.logits.shape)

    def at(logits, key):
        z, (pair,) = draw_relaxed(type(d)(logits), (temperature,), 1, key, coupled=False)
        return z, pair

    for seed in range(5):
        key = fg.Key(seed)
        z, pair = at(d.logits, key)
        r, q = RNG.normal(size=(2, *shape))
        nought = np.zeros((1, *d.batch_shape))
        g, _, along = gradients(d, pair, np.ones(d.batch_shape), nought, nought, r, q, z)
        for where in np.ndindex(d.logits.shape):
            step = np.zeros_like(d.logits)
            step[where] = h
            (up, a), (down, b) = at(d.logits + step, key), at(d.logits - step, key)
            np.testing.assert_array_equal(up, down)
            path = r * (a.relaxed - b.relaxed) - q * (a.conditional - b.conditional)
            assert g[where] == pytest.approx(path.sum() / (2 * h), abs=1e-8)
        (_, a), (_, b) = at(d.logits + h * g, key), at(d.logits - h * g, key)
        for got, x, y in (
            (along.relaxed, a.relaxed, b.relaxed),
            (along.conditional, a.conditional, b.conditional),
        ):
            slope = ((x - y) / (2 * h)).reshape(got.shape)
            np.testing.assert_allclose(got, slope, rtol=0, atol=1e-8)


# -- what a call does ---------------------------------------------------------------------------


def test_a_call_is_its_formula():
    logits = RNG.normal(size=(4, 3))
    w = RNG.normal(size=(4, 3))
    f = objective(lambda x: (w * x**3).sum(axis=(1, 2)), grad=lambda x: 3 * w * x**2)
    run, key, eta = REBAR(temperature=0.4, scale=0.8, coupled=False), fg.Key(6), 0.8
    estimate = run(f, logits, num_samples=7, rng=key)
    x = fg.relax(logits, temperature=0.4, num_samples=7, rng=key)
    value = f.f(np.eye(3)[x.sample])
    a, e = fg.relax_vjp(logits, f.grad(x.relaxed), f.grad(x.conditional), temperature=0.4, rng=key)
    d = value - eta * f.f(x.conditional)
    expected = ((d[:, None, None] * x.score).sum(axis=0) + eta * (a - e)) / 7
    np.testing.assert_allclose(estimate.grad, expected, rtol=0, atol=1e-13)
    assert estimate.value == pytest.approx(value.mean(), rel=1e-14)


COUNTS = [
    (REBAR(), 2, [7, 7]),
    (REBAR(coupled=False), 3, [7, 7]),
    (REBAR(adapt_temperature=True), 3, [7, 7, 7]),
    (REBAR(adapt_temperature=True, coupled=False), 5, [7, 7, 7]),
    (RELAX(), 1, [7]),
    (RELAX(add_objective=True), 2, [7, 7]),
    (RELAX(add_objective=True, coupled=False), 3, [7, 7]),
]


@pytest.mark.parametrize(("run", "each", "values"), COUNTS)
def test_evaluations_are_counted(run, each, values):
    seen, points = [], set()

    def note(x):
        points.update(row.tobytes() for row in x)

    def f(x):
        seen.append(len(x))
        note(x)
        return x[:, 0, 0]

    def grad(x):
        note(x)
        return x

    with_gradient = objective(f, grad=grad)
    count = run(with_gradient, np.zeros((40, 3)), num_samples=7, rng=1).evaluations
    assert count == 7 * each == len(points)
    assert seen == values
    seen.clear()
    run(with_gradient, np.zeros((40, 3)), num_samples=7, rng=1, block_size=3)
    assert max(seen) == 3


ALL = [
    REBAR(),
    REBAR(coupled=False, adapt_temperature=True),
    RELAX(),
    RELAX(coupled=False, add_objective=True),
]
SHAPES = {
    "whole": lambda x: (x**2 * np.arange(x.shape[-1])).sum(axis=(1, 2, 3)),
    "examples": lambda x: (x**2 * np.arange(x.shape[-1])).sum(axis=(2, 3)),
    "credit": lambda x: (x[..., 0].sum(axis=(1, 2)), x[..., 0].astype(np.float64) / 3),
}


@each_dtype
@pytest.mark.parametrize("problem", SHAPES)
@pytest.mark.parametrize("run", ALL)
def test_neither_blocks_nor_threads_change_a_bit(run, problem, dtype):
    logits = RNG.normal(size=(5, 70, 10)).astype(dtype)
    f = objective(SHAPES[problem], grad=lambda x: np.sin(3 * x))
    state = None
    for call in range(2):
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        whole = run(f, logits, num_samples=11, rng=call, state=state)
        for block_size, threads in ((1, 2), (3, 1), (4, 2)):
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            part = run(f, logits, num_samples=11, rng=call, state=state, block_size=block_size)
            np.testing.assert_array_equal(part.grad, whole.grad)
            np.testing.assert_array_equal(part.value, whole.value)
            assert part.evaluations == whole.evaluations
            for name, x in whole.state.items():
                np.testing.assert_array_equal(part.state[name], x)
        assert whole.grad.dtype == dtype
        state = whole.state


@each_dtype
@pytest.mark.parametrize("run", ALL)
def test_neither_blocks_nor_threads_change_a_bit_of_bernoulli_variables(run, dtype):
    d = Bernoulli(RNG.normal(size=(5, 701)).astype(dtype))
    f = objective(lambda x: (x**2).sum(axis=2), grad=lambda x: 2 * x)
    state = run(f, d, num_samples=3, rng=0).state
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    whole = run(f, d, num_samples=11, rng=4, state=state)
    numba.set_num_threads(1)
    for block_size in (1, 4):
        part = run(f, d, num_samples=11, rng=4, state=state, block_size=block_size)
        np.testing.assert_array_equal(part.grad, whole.grad)
        for name, x in whole.state.items():
            np.testing.assert_array_equal(part.state[name], x)


@pytest.mark.parametrize("run", ALL)
def test_examples_do_not_mix_nor_do_their_states(run):
    logits, scale = RNG.normal(size=(4, 6, 3)), np.ones((4, 1, 1))
    weights = np.arange(1, 4)
    f = objective(
        lambda x: ((x * scale) ** 2 * weights).sum(axis=(2, 3)),
        grad=lambda x: 2 * x * scale**2 * weights,
    )

    def two_calls():
        state = run(f, logits, num_samples=5, rng=1).state
        return run(f, logits, num_samples=5, rng=2, state=state)

    before = two_calls()
    scale[1], logits[1, 2] = 7, [0, 9, 0]
    after, others = two_calls(), [0, 2, 3]
    np.testing.assert_array_equal(after.grad[others], before.grad[others])
    assert (after.grad[1] != before.grad[1]).any()
    for name, x in before.state.items():
        if x.ndim:
            examples = -x.ndim if x.shape[0] == 4 else 1 - x.ndim
            np.testing.assert_array_equal(
                np.delete(after.state[name], 1, axis=examples), np.delete(x, 1, axis=examples)
            )


@each_dtype
@pytest.mark.parametrize("run", ALL)
def test_masks_and_certain_outcomes_give_zero(run, dtype):
    logits = RNG.normal(size=(30, 4)).astype(dtype)
    logits[:, 2] = -INF
    logits[3, :3] = -INF
    f = objective(lambda x: (x**2 * 3 - x).sum(axis=(1, 2)), grad=lambda x: 6 * x - 1)
    state = None
    for call in range(3):
        estimate = run(f, logits, num_samples=5, rng=call, state=state)
        state = estimate.state
        assert np.isfinite(estimate.grad).all()
        assert estimate.grad.any()
        assert not estimate.grad[np.isinf(logits)].any()
        assert not estimate.grad[3].any()
    sites = Bernoulli(np.array([INF, -INF, 0.3], dtype))
    f = objective(lambda x: (x**2 * 3 - x).sum(axis=1), grad=lambda x: 6 * x - 1)
    grad = run(f, sites, num_samples=5, rng=0).grad
    assert not grad[:2].any()
    assert grad[2] != 0


@each_dtype
@pytest.mark.parametrize("large", [90.0, 1e4, 1e30])
@pytest.mark.parametrize("run", ALL)
def test_near_deterministic_logits_give_finite_gradients(run, large, dtype):
    logits = np.array([[large, 0.0, -large], [-large, -large, large]], dtype)
    f = objective(lambda x: x[..., 0].sum(axis=1), grad=lambda x: np.ones_like(x) * [1, 2, 3])
    np.testing.assert_allclose(run(f, logits, num_samples=5, rng=0).grad, 0, atol=1e-6)
    sites = Bernoulli(np.array([large, -large], dtype))
    f = objective(lambda x: x[:, 0], grad=np.ones_like)
    np.testing.assert_allclose(run(f, sites, num_samples=5, rng=0).grad, 0, atol=1e-6)


@pytest.mark.parametrize("temperature", [2.0**-60, 1e-3, 1e3, 2.0**60])
@each_dtype
def test_extreme_temperatures_are_finite(temperature, dtype):
    for d in (Categorical(RNG.normal(size=(9, 5)).astype(dtype)), Bernoulli(np.ones(9, dtype))):
        f = objective(lambda x: x.reshape(len(x), -1).sum(axis=1), grad=np.ones_like)
        for coupled in (False, True):
            run = REBAR(temperature=temperature, coupled=coupled)
            assert np.isfinite(run(f, d, num_samples=50, rng=0).grad).all()


@pytest.mark.parametrize("run", ALL)
def test_an_array_that_f_returns_again_is_not_kept(run):
    value, slope = np.empty(2), np.empty((2, 4, 3))

    def f(x):
        value[:] = x[:, 0, 0] ** 2
        return value

    def grad(x):
        slope[:] = np.cos(x)
        return slope

    def fresh(x):
        return x[:, 0, 0] ** 2

    a = run(objective(f, grad=grad), np.zeros((4, 3)), num_samples=6, rng=0, block_size=2)
    b = run(objective(fresh, grad=np.cos), np.zeros((4, 3)), num_samples=6, rng=0)
    np.testing.assert_array_equal(a.grad, b.grad)


@pytest.mark.parametrize("run", ALL)
@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3), (0, 2, 3)])
def test_no_variables(run, shape):
    def f(x):
        return x.reshape(len(x), *shape[:-2], -1).sum(axis=-1) + 2 if x.size else np.full(4, 2.0)

    estimate = run(objective(f, grad=lambda x: x), np.zeros(shape), num_samples=4, rng=0)
    assert estimate.grad.shape == shape
    np.testing.assert_array_equal(estimate.value, 2)


@pytest.mark.parametrize("run", ALL)
def test_memory_is_bounded_by_the_block(run):
    logits = np.zeros((200, 16), np.float32)
    f = objective(lambda x: x[:, 0, 0], grad=lambda x: x)

    def peak(num_samples):
        tracemalloc.start()
        run(f, logits, num_samples=num_samples, rng=0, block_size=8)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(8)
    assert peak(160) < 1.2 * peak(24)


# -- adaptation ---------------------------------------------------------------------------------


def run_on(run, f, d, calls, num_samples=16):
    state = None
    for call in range(calls):
        state = run(f, d, num_samples=num_samples, rng=call, state=state).state
    return state


def test_the_scale_becomes_the_best():
    d = PAIRS["bernoulli"]
    f, run = smooth(d), REBAR(temperature=0.5)
    state = run_on(run, f, d, 400)
    assert state["scale"].shape == (1,)
    found = float(state["scale"][0])
    at = {s: spread(REBAR(temperature=0.5, scale=s), f, d) for s in (0.0, 1.0, 2.0, found)}
    # The variance is a parabola of the scale.
    curve = np.polyfit((0.0, 1.0, 2.0), [at[s] for s in (0.0, 1.0, 2.0)], 2)
    best = -curve[1] / (2 * curve[0])
    assert found == pytest.approx(best, abs=0.05)
    assert at[found] < 0.95 * at[1.0]
    assert at[found] < 0.2 * at[0.0]


def test_the_temperature_lowers_the_variance():
    d = PAIRS["bernoulli"]
    f = smooth(d)
    for start in (0.3, 8.0):
        run = REBAR(temperature=start, adapt_temperature=True, learning_rate=0.02)
        state = run_on(run, f, d, 300)
        scale, temperature = float(state["scale"][0]), float(state["temperature"][0])
        fixed = run_on(REBAR(temperature=start), f, d, 300)
        after = spread(REBAR(temperature=temperature, scale=scale), f, d)
        assert after < 0.95 * spread(REBAR(temperature=start, scale=float(fixed["scale"][0])), f, d)


SIZES = {
    np.float64: (1e200, 1e150, 1.0, 1e-100, 1e-150, 1e-160, 1e-200, 1e-300, 0.0),
    np.float32: (1e35, 1e18, 1.0, 1e-15, 1e-19, 1e-20, 1e-21, 7e-22, 1e-22, 1e-30, 0.0),
}


@pytest.mark.parametrize(("dtype", "size"), [(t, size) for t in SIZES for size in SIZES[t]])
def test_no_step_is_longer_than_the_learning_rate(dtype, size):
    """Nor where squares of the gradient underflow; above that, it is the same in any unit."""
    x, state, slack = np.zeros(3, dtype), None, 4 * np.finfo(dtype).eps
    for _ in range(3):
        slopes = (size * np.array([[1.0, -2.0, 0.0]])).astype(dtype)
        y, state = adam_step(x, slopes, state, 0.01)
        assert y.dtype == state["first_moment"].dtype == state["second_moment"].dtype == dtype
        assert np.all(np.abs(y - x) <= 0.01 * (1 + 10 * slack))
        assert y[2] == x[2]
        if size >= SIZES[dtype][3]:
            np.testing.assert_allclose(y - x, [-0.01, 0.01, 0.0], rtol=100 * slack)
        x = y


def test_each_cell_adapts_to_its_own():
    logits = np.tile([0.4, -0.8], (2, 1))
    size = np.array([1.0, 50.0])
    plain = smooth(Bernoulli(logits))

    def f(x):
        u = x.copy()
        u[..., 1, :] = 0.2 * u[..., 1, :]
        return plain.f(u) * size

    def grad(x):
        u = x.copy()
        u[..., 1, :] = 0.2 * u[..., 1, :]
        return plain.grad(u) * np.array([[1.0], [10.0]])

    state = run_on(REBAR(adapt_temperature=True), objective(f, grad=grad), Bernoulli(logits), 50)
    assert state["scale"].shape == state["temperature"].shape == (2, 1)
    assert abs(state["scale"][0] - state["scale"][1]) > 0.1
    assert abs(np.log(state["temperature"][0] / state["temperature"][1])) > 0.01


def test_only_earlier_calls_decide():
    logits, f = RNG.normal(size=(4, 3)), objective(lambda x: x[:, 0, 0] ** 2, grad=lambda x: x)
    options = {"num_samples": 6, "rng": 3}
    adaptive = REBAR(temperature=0.8, scale=0.6, adapt_temperature=True)
    fixed = REBAR(temperature=0.8, scale=0.6, adapt_scale=False)
    first, still = adaptive(f, logits, **options), fixed(f, logits, **options)
    np.testing.assert_array_equal(first.grad, still.grad)
    assert still.state is None
    state = first.state
    again = adaptive(f, logits, num_samples=6, rng=9, state=state)
    now = REBAR(
        temperature=float(state["temperature"][0]),
        scale=float(state["scale"][0]),
        adapt_scale=False,
    )
    same = now(f, logits, num_samples=6, rng=9)
    np.testing.assert_allclose(again.grad, same.grad, rtol=1e-13)
    assert again.state["steps"] == 2


def test_what_is_constant_keeps_the_scale():
    f = objective(lambda x: np.zeros(len(x)), grad=np.zeros_like)
    run = REBAR(scale=0.3, adapt_temperature=True)
    estimate = run(f, np.zeros((2, 3)), num_samples=3, rng=0)
    estimate = run(f, np.zeros((2, 3)), num_samples=3, rng=0, state=estimate.state)
    assert estimate.state["scale"] == 0.3
    assert estimate.state["temperature"] == pytest.approx(0.5)
    assert not estimate.grad.any()


# -- the learned control variate ----------------------------------------------------------------


@each_coupled
@pytest.mark.parametrize("add_objective", [False, True])
@pytest.mark.parametrize(
    "d", [Bernoulli(RNG.normal(size=(2, 3))), Categorical(RNG.normal(size=(2, 2, 3)))]
)
def test_training_follows_the_slope_of_the_square(d, add_objective, coupled):
    """The first moment of Adam, after one step, is a tenth of the gradient of mean g . g."""
    size_of_f = 1.5
    f = objective(
        lambda x: (x**2 * np.arange(3)).reshape(*x.shape[:2], -1).sum(axis=-1),
        grad=lambda x: 2 * x * np.arange(3),
    )
    run = RELAX(network=TanhNetwork(hidden=2), add_objective=add_objective, coupled=coupled)
    size = len(run.network.initial(d.logits[0].size))
    cells = (2, *(1 for _ in d.batch_shape[1:]))
    weights = RNG.normal(size=(*cells, size))
    zero = np.zeros_like(weights)
    state = {"first_moment": zero, "second_moment": zero, "steps": 0}
    state["size"] = np.full(cells, size_of_f)
    count = 3

    def square(weights):
        """The mean square of each cell, sample by sample."""
        total = 0
        for i in range(count):
            draws = run.draw(d, 1, fg.Key(2), offset=i)
            answers = run.ask(f, d, draws)
            g = run.combine(d, [(draws, answers)], state | {"weights": weights}).grad
            total = total + (g.reshape(2, -1) ** 2).sum(axis=1)
        return total / count

    estimate = run(f, d, num_samples=count, rng=fg.Key(2), state=state | {"weights": weights})
    slope = estimate.state["first_moment"] / 0.1 * size_of_f**2
    for _ in range(3):
        direction, h = RNG.normal(size=weights.shape), 1e-6
        difference = (square(weights + h * direction) - square(weights - h * direction)) / (2 * h)
        found = (slope * direction).reshape(2, -1).sum(axis=1)
        np.testing.assert_allclose(found, difference, rtol=1e-6, atol=1e-7)


def reinforce_and_rloo(f, d):
    """Exact variances, summed: REINFORCE of one sample, RLOO of two."""
    p = 1 / (1 + np.exp(-d.logits))
    z = np.array(list(itertools.product((0, 1), repeat=len(p))))
    weight = np.prod(np.where(z, p, 1 - p), axis=1)
    value, score = f.f(z.astype(float)), z - p
    one = value[:, None] * score
    two = (value[:, None] - value)[..., None] * (score[:, None] - score) / 2
    mean = weight @ one
    pairs = np.einsum("i,j,ijk->k", weight, weight, two**2)
    return (weight @ one**2 - mean**2).sum(), (pairs - mean**2).sum()


@pytest.mark.usefixtures("few_nodes")
@pytest.mark.parametrize("add_objective", [False, True])
def test_relax_learns_to_beat_rloo(add_objective):
    d = PAIRS["bernoulli"]
    f, run = smooth(d), RELAX(add_objective=add_objective, learning_rate=0.02)
    reinforce, rloo = reinforce_and_rloo(f, d)
    start = {False: reinforce, True: spread(REBAR(temperature=1.0), f, d)}[add_objective]
    assert spread(run, f, d) == pytest.approx(start, rel=1e-9)  # c starts as 0
    after = spread(run, f, d, run_on(run, f, d, 200))
    assert after < 0.2 * reinforce
    assert after / 2 < 0.6 * rloo  # two evaluations each


def test_relax_takes_a_black_box_of_indices():
    table = RNG.normal(size=(3, 3))
    f = objective(index=lambda z: table[z[:, 0], z[:, 1]] + 5)
    logits, run = RNG.normal(size=(2, 3)), RELAX(learning_rate=0.03)
    state = run_on(run, f, logits, 150)

    def variance(state):
        estimates = [run(f, logits, num_samples=1, rng=r, state=state).grad for r in range(400)]
        return np.var(estimates, axis=0).sum()

    assert variance(state) < 0.2 * variance(None)


def test_relax_does_not_depend_on_the_unit_of_f():
    d = PAIRS["bernoulli"]
    f, run = smooth(d), RELAX()
    large = objective(lambda x: 2.0**20 * f.f(x), grad=f.grad)
    a, b = (run_on(run, g, d, 20) for g in (f, large))
    np.testing.assert_allclose(a["weights"], b["weights"], rtol=0, atol=1e-8)


class Constant:
    """A network of one weight, its value everywhere: a learned baseline."""

    def initial(self, features):
        return np.zeros(1)

    def value_and_gradient(self, weights, x):
        return np.broadcast_to(weights[:, 0], x.shape[:2]), np.zeros_like(x)

    def add_parameter_gradient(self, weights, x, factor, direction, total):
        for a in factor:
            total[:, 0] += a


def test_the_network_may_be_the_users_own():
    """One bit: the best constant leaves no variance at all."""
    d = Bernoulli([0.5])
    f = objective(lambda x: (x[..., 0] - 0.45) ** 2)
    run = RELAX(network=Constant(), learning_rate=0.05)
    before, after = (spread(run, f, d, s) for s in (None, run_on(run, f, d, 400)))
    assert after < 0.02 * before


NETWORKS = [(3, 2, 4, 5), (50, 17, 1, 3), (SPAN + 50, 3, 2, 3)]


@pytest.mark.parametrize(("features", "hidden", "cells", "samples"), NETWORKS)
def test_the_network_and_its_derivatives(features, hidden, cells, samples):
    network = TanhNetwork(hidden=hidden, seed=1)
    start = network.initial(features)
    weights = RNG.normal(size=(cells, len(start)))
    weights[:, : hidden * features] /= features**0.5
    x, u = RNG.uniform(size=(2, samples, cells, features))
    a = RNG.normal(size=(samples, cells))

    def value(weights, x):
        inputs, b, v, bias = np.split(weights, np.cumsum([hidden * features, hidden, hidden]), 1)
        inputs = inputs.reshape(cells, hidden, features)
        h = np.tanh(np.einsum("mhd,smd->smh", inputs, 2 * x - 1) + b)
        return (v * h).sum(axis=-1) + bias[:, 0]

    def loss(weights):
        c, slope = network.value_and_gradient(weights, x)
        return (a * c).sum(axis=0) + (u * slope).sum(axis=(0, 2))

    c, slope = network.value_and_gradient(weights, x)
    np.testing.assert_allclose(c, value(weights, x), rtol=0, atol=1e-13)
    h, e = 1e-6, RNG.normal(size=x.shape)
    difference = (value(weights, x + h * e) - value(weights, x - h * e)) / (2 * h)
    np.testing.assert_allclose((slope * e).sum(axis=-1), difference, rtol=1e-6, atol=1e-6)
    total = np.zeros_like(weights)
    network.add_parameter_gradient(weights, x, a, u, total)
    e = RNG.normal(size=weights.shape)
    difference = (loss(weights + h * e) - loss(weights - h * e)) / (2 * h)
    np.testing.assert_allclose((total * e).sum(axis=-1), difference, rtol=1e-6, atol=1e-5)
    single = network.value_and_gradient(weights.astype(np.float32), x.astype(np.float32))
    assert single[0].dtype == single[1].dtype == np.float32
    np.testing.assert_allclose(single[0], c, rtol=0, atol=1e-4)
    sizes = RNG.uniform(size=cells)
    for one, other in zip(network.evaluated(weights, x, sizes), (c, slope)):
        by_cell = sizes.reshape(-1, *(1,) * (one.ndim - 2))
        np.testing.assert_array_equal(one, other * by_cell)
    nothing, flat = network.value_and_gradient(np.tile(start, (cells, 1)), x)
    assert not nothing.any()
    assert not flat.any()


def test_threads_share_the_features_of_a_cell():
    """Every chunk does its part of one large cell, and all together what one does alone."""
    network, features = TanhNetwork(hidden=3), 2 * SPAN + 50
    weights = RNG.normal(size=(1, 3 * features + 7)) / features**0.5
    x = _validate.frozen(RNG.uniform(size=(2, 1, features)))
    weights, size = _validate.frozen(weights), _validate.frozen(np.ones(1))
    whole = network.evaluated(weights, x, size)
    made = [np.full_like(a, np.nan) for a in whole]
    sums = network._projected(weights, x, 2, -1)
    given = weights, 3, size, x, sums, *made
    for chunk, filled in ((1, SPAN), (2, SPAN + 50), (0, features)):
        network_kernels.value_and_gradient.dispatcher(chunk, 3, *given)
        assert np.isfinite(made[1]).sum() == 2 * filled
    for a, b in zip(made, whole):
        np.testing.assert_array_equal(a, b)


# -- what is refused ----------------------------------------------------------------------------

ONES = objective(lambda x: x[:, 0, 0], grad=lambda x: x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: REBAR()(lambda x: x[:, 0, 0], X, **CALL), TypeError, "rebar needs the gradient"),
        (
            lambda: RELAX(add_objective=True)(lambda x: x[:, 0, 0], X, **CALL),
            TypeError,
            "relax needs the gradient",
        ),
        (lambda: REBAR(temperature=0), ValueError, "temperature .* 0"),
        (lambda: RELAX(temperature=-1), ValueError, "temperature .*-1"),
        (lambda: REBAR(scale=-0.5), ValueError, "scale .*-0.5"),
        (lambda: REBAR(scale=np.nan), ValueError, "scale .*nan"),
        (lambda: REBAR(decay=1.5), ValueError, "decay .*1.5"),
        (lambda: REBAR(decay=0), ValueError, "decay .*0"),
        (lambda: REBAR(learning_rate=0), ValueError, "learning_rate .*0"),
        (lambda: RELAX(learning_rate=np.inf), ValueError, "learning_rate .*inf"),
        (lambda: REBAR(coupled="yes"), ValueError, "coupled .*'yes'"),
        (lambda: RELAX(network=3), TypeError, "network must have .*initial.* got 3"),
        (lambda: TanhNetwork(hidden=0), ValueError, "hidden .*0"),
        (lambda: REBAR()(ONES, X, state={}, **CALL), ValueError, "state .*'temperature'"),
        (lambda: RELAX()(ONES, X, state={"scale": 1}, **CALL), ValueError, "state .*'weights'"),
        (
            lambda: REBAR()(ONES, X, state=REBAR()(PER, X3, **CALL).state, **CALL),
            ValueError,
            r"state\['temperature'\] must fit .*\(2,\), got \(3, 1\)",
        ),
        (
            lambda: RELAX()(ONES, X, state=RELAX()(ONES, X5, **CALL).state, **CALL),
            ValueError,
            r"state\['weights'\] must fit",
        ),
        (
            lambda: REBAR()(objective(lambda x: x[:, 0, 0] / (x == x.round()).all(), grad=BAD), X),
            TypeError,
            "num_samples",
        ),
        (
            lambda: REBAR()(objective(lambda x: x[:, 0, 0], grad=BAD), X, **CALL),
            ValueError,
            "the gradient of f must be finite, got nan for sample 0",
        ),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


X, X3, X5 = np.zeros((2, 3)), np.zeros((3, 2, 3)), np.zeros((2, 5))
PER = objective(lambda x: x[:, :, 0, 0], grad=lambda x: x)
CALL = {"num_samples": 2, "rng": 0}


def BAD(x):
    return np.full_like(x, np.nan)


def test_names():
    assert fg.estimator("rebar", temperature=0.3) == REBAR(temperature=0.3)
    assert fg.estimator("relax", add_objective=True) == RELAX(add_objective=True)
    assert REBAR().nodes(Bernoulli([0.0]), 2) is None
    assert REBAR().nodes(Categorical(np.zeros((1, 3))), 1) is None
    assert REBAR().nodes(Bernoulli(np.zeros(9)), 1) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gap", [20.0, 30.0, 60.0])
@pytest.mark.parametrize("coupled", [False, True])
def test_scores_of_saturated_logits_keep_their_digits(dtype, gap, coupled):
    """The score of the likely category is the sum of the other probabilities."""
    values = fg.objective(
        lambda x: np.arange(1, len(x) + 1, dtype=dtype), grad=lambda x: np.zeros_like(x)
    )
    run = fg.estimator("rebar", scale=0.5, adapt_scale=False, coupled=coupled)
    rest = 2 * np.exp(-gap) / (1 + 2 * np.exp(-gap))
    grad = run(values, np.array([[gap, 0, 0]], dtype), num_samples=4, rng=0).grad
    right = 0.5 * 2.5 * rest * np.array([[1, -0.5, -0.5]])
    np.testing.assert_allclose(grad, right, rtol=100 * np.finfo(dtype).eps)
