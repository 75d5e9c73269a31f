"""Hard Concrete gates in JAX programs: the numbers and gradients of the NumPy API."""

import numpy as np
import pytest

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
check_grads = pytest.importorskip("jax.test_util").check_grads
pytestmark = pytest.mark.optional

X = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
KEY = jax.random.key(3)
OPTIONS = {"temperature": 0.7, "stretch": (-0.3, 1.2)}
DRAWN = OPTIONS | {"num_samples": 3, "site_offset": 5, "sample_offset": 2}


@jax.jit
def gates(x):
    return fj.bernoulli.hard_concrete(x, KEY, **DRAWN)


def test_gates_and_their_gradients():
    drawn = DRAWN | {"rng": fj.to_key(KEY)}
    expected = fg.bernoulli.hard_concrete(X, **drawn)
    assert {0, 1} < set(expected.ravel())
    np.testing.assert_array_equal(gates(X), expected)
    w = np.random.default_rng(1).normal(size=expected.shape).astype(np.float32)
    del drawn["num_samples"]
    product = fg.bernoulli.hard_concrete_vjp(X, w, **drawn)
    np.testing.assert_array_equal(jax.grad(lambda x: (gates(x) * w).sum())(X), product)
    check_grads(gates, (X,), 1, "rev", rtol=1e-2, eps=1e-3)
    one = fj.bernoulli.hard_concrete(X, KEY)
    np.testing.assert_array_equal(one, fg.bernoulli.hard_concrete(X, rng=fj.to_key(KEY)))


def test_vmap_counts_sites_as_one_large_call():
    draw = lambda x: fj.bernoulli.hard_concrete(x, KEY, **DRAWN)  # noqa: E731
    np.testing.assert_array_equal(jax.vmap(draw, out_axes=1)(X), gates(X))


def test_probabilities_of_gates_that_are_not_0():
    active = jax.jit(lambda x: fj.bernoulli.hard_concrete_active(x, **OPTIONS))
    np.testing.assert_array_equal(active(X), fg.bernoulli.hard_concrete_active(X, **OPTIONS))
    expected = fg.bernoulli.hard_concrete_active_vjp(X, X, **OPTIONS)
    np.testing.assert_array_equal(jax.grad(lambda x: (active(x) * X).sum())(X), expected)
    check_grads(active, (X,), 1, "rev", rtol=1e-2, eps=1e-3)


def test_errors():
    with pytest.raises(ValueError, match="stretch must be from below 0 to above 1"):
        fj.bernoulli.hard_concrete(X, KEY, stretch=(0, 1))
    with pytest.raises(TypeError, match="temperature must be known when the program is traced"):
        jax.jit(lambda t: fj.bernoulli.hard_concrete(X, KEY, temperature=t))(0.5)
    with pytest.raises(ValueError, match="temperature must be"):
        fj.bernoulli.hard_concrete_active(X, temperature=0.0)
