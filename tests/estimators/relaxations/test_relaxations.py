"""What every straight-through estimator keeps, whatever its derivative of an outcome is."""

import numba
import numpy as np
import pytest

from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators import estimator
from fastgrad.objectives import objective

RNG = np.random.default_rng(12)
AT_OUTCOMES = ("straight_through", "reinmax", "gapped_st")
INNER = {"inner_samples": 4}
OPTIONS = {name: {} for name in (*AT_OUTCOMES, "st_gumbel", "decoupled_st_gumbel")}
OPTIONS |= {"gumbel_rao": INNER, "reinmax_rao": INNER, "reinmax_cv": INNER}
each_estimator = pytest.mark.parametrize("name", OPTIONS)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@each_dtype
@each_estimator
def test_neither_blocks_nor_threads_change_a_bit(name, dtype):
    problems = (
        Categorical(RNG.normal(size=(5, 70, 10)).astype(dtype)),
        Bernoulli(RNG.normal(size=(5, 701)).astype(dtype)),
    )
    f = objective(lambda x: x.reshape(*x.shape[:2], -1).sum(axis=2), grad=lambda x: np.cos(3 * x))
    run = estimator(name, temperature=0.7, **OPTIONS[name])
    for d in problems:
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        whole = run(f, d, num_samples=17, rng=4)
        assert whole.evaluations == 17
        for block_size, threads in ((1, 2), (3, 1), (16, 1), (17, 1)):
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            estimate = run(f, d, num_samples=17, rng=4, block_size=block_size)
            np.testing.assert_array_equal(estimate.grad, whole.grad)
            np.testing.assert_array_equal(estimate.value, whole.value)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}])
@each_estimator
def test_certain_outcomes_get_exactly_zero(name, options):
    logits = RNG.normal(size=(30, 4))
    logits[:, 2] = -np.inf
    logits[3, :3] = -np.inf
    f = objective(lambda x: (x**2).sum(axis=(1, 2)), grad=lambda x: np.cos(x) + np.arange(4))
    run = estimator(name, **options)
    grad = run(f, logits, num_samples=5, rng=0).grad
    assert not grad[np.isinf(logits)].any()
    assert not grad[3].any()
    assert grad[0, 0]
    sites = Bernoulli(np.array([np.inf, -np.inf, 0.3]))
    f = objective(lambda x: x.sum(axis=1), grad=lambda x: np.ones_like(x))
    grad = run(f, sites, num_samples=16, rng=0).grad
    assert not grad[:2].any()
    assert grad[2] > 0


@each_dtype
@pytest.mark.parametrize("large", [90.0, 1e4, 1e30])
@each_estimator
def test_extreme_logits_and_temperatures_are_finite(name, large, dtype):
    logits = np.array([[large, 0.0, -large], [-large, -large, large]], dtype)
    f = objective(lambda x: x[..., 0].sum(axis=1), grad=lambda x: np.ones_like(x) * [1, 2, 3])
    bits = Bernoulli(np.array([large, -large], dtype))
    g = objective(lambda x: x[..., 0], grad=lambda x: np.ones_like(x))
    for temperature in (2.0**-60, 1.0, 2.0**60):
        run = estimator(name, temperature=temperature)
        for estimate in (run(f, logits, num_samples=5, rng=0), run(g, bits, num_samples=5, rng=0)):
            assert np.isfinite(estimate.grad).all()
    if name in AT_OUTCOMES:
        grad = estimator(name)(f, logits, num_samples=5, rng=0).grad
        np.testing.assert_allclose(grad, 0, atol=1e-30)


@each_estimator
def test_examples_do_not_mix(name):
    logits, scale = RNG.normal(size=(4, 6, 3)), np.ones((4, 1, 1))
    f = objective(
        lambda x: ((x * scale) ** 2 * [1, 2, 3]).sum(axis=(2, 3)),
        grad=lambda x: 2 * x * scale**2 * [1, 2, 3],
    )
    before = estimator(name)(f, logits, num_samples=5, rng=2)
    scale[1], logits[1, 2] = 7, [0, 9, 0]
    after = estimator(name)(f, logits, num_samples=5, rng=2)
    others = [0, 2, 3]
    np.testing.assert_array_equal(after.grad[others], before.grad[others])
    np.testing.assert_array_equal(after.value[others], before.value[others])
    assert (after.grad[1] != before.grad[1]).any()


@each_estimator
def test_empty_batches(name):
    f = objective(lambda x: np.zeros(len(x)), grad=lambda x: x)
    for d in (Categorical(np.zeros((0, 3))), Bernoulli(np.zeros(0))):
        estimate = estimator(name)(f, d, num_samples=2, rng=0)
        assert estimate.grad.shape == d.logits.shape
