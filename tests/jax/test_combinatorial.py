"""Subsets and permutations: the NumPy API's numbers, and gradients."""

import numpy as np
import pytest

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
check_grads = pytest.importorskip("jax.test_util").check_grads
pytestmark = pytest.mark.optional

X = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
KEY = jax.random.key(3)
BAD = (jax.errors.JaxRuntimeError, ValueError)  # the latter where a program runs at once
RNG = fj.to_key(KEY)


def test_bits():
    np.testing.assert_array_equal(
        jax.jit(lambda x: fj.marginals(x, 2))(X), fg.subset.marginals(X, 2)
    )
    draw = jax.jit(lambda x: fj.relaxed_top_k(x, 2, KEY, temperature=0.5, num_samples=3))
    expected = fg.subset.relaxed_top_k(X, 2, temperature=0.5, num_samples=3, rng=RNG)
    np.testing.assert_array_equal(draw(X), expected)
    found = jax.jit(lambda x: fj.sinkhorn(x, temperature=0.5))(X)
    for own, other in zip(found, fg.permutation.sinkhorn(X, temperature=0.5), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-7)
    np.testing.assert_array_equal(found.matrix, fg.permutation.sinkhorn(X, temperature=0.5).matrix)


def test_vmap():
    draw = jax.vmap(lambda x: fj.relaxed_top_k(x, 2, KEY, temperature=0.5))
    expected = fg.subset.relaxed_top_k(X, 2, temperature=0.5, rng=RNG)
    np.testing.assert_array_equal(draw(X), expected)
    matrix = fg.permutation.sinkhorn(X).matrix
    np.testing.assert_array_equal(jax.vmap(lambda x: fj.sinkhorn(x).matrix)(X), matrix)


DIFFERENTIABLE = {
    "marginals": lambda x: fj.marginals(x, 2),
    "relaxed_top_k": lambda x: fj.relaxed_top_k(x, 2, KEY, temperature=0.5, num_samples=2),
    "sinkhorn": lambda x: fj.sinkhorn(x, tolerance=1e-13).matrix,
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_by_finite_differences(name):
    with jax.enable_x64(True):
        x = X.astype(np.float64)
        check_grads(DIFFERENTIABLE[name], (x,), order=1, modes=["rev"], rtol=1e-5, atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="k must be"):
        fj.marginals(X, 5)
    with pytest.raises(ValueError, match="log_alpha must have shape"):
        fj.sinkhorn(X[0, 0])
    with pytest.raises(TypeError, match="temperature must be known"):
        jax.jit(lambda t: fj.sinkhorn(X, temperature=t))(0.5)
    with pytest.raises(BAD, match="only -inf"):
        jax.block_until_ready(jax.jit(fj.sinkhorn)(np.full((3, 3), -np.inf, np.float32)))
