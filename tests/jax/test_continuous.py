"""Samples of continuous families in JAX programs: the numbers and gradients of the NumPy API."""

import numpy as np
import pytest

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
pytestmark = pytest.mark.optional

KEY = jax.random.key(3)
RNG = fj.to_key(KEY)
FAMILIES = {
    "Normal": {"loc": np.array([0.5, -1.0]), "log_scale": np.array([0.0, 0.3])},
    "Gamma": {"log_concentration": np.array([0.5, -1.0]), "log_rate": np.array([0.0, 0.3])},
    "Beta": {"log_alpha": np.array([0.5, -1.0]), "log_beta": np.array([0.0, 0.3])},
    "Dirichlet": {"log_concentration": np.array([[0.5, -1.0, 0.2]])},
    "MultivariateNormal": {
        "loc": np.array([0.5, -1.0]),
        "scale_tril": np.array([[1.0, 0.0], [0.5, 2.0]]),
    },
}


@pytest.mark.parametrize("name", FAMILIES)
def test_values_and_gradients(name):
    family = getattr(fg.continuous, name)
    parameters = {n: x.astype(np.float32) for n, x in FAMILIES[name].items()}
    d = family(**parameters)
    draw = jax.jit(lambda p: fj.continuous.sample(family, KEY, num_samples=3, **p))
    expected = d.sample(num_samples=3, rng=RNG)
    np.testing.assert_array_equal(draw(parameters), expected)
    w = np.random.default_rng(0).normal(size=expected.shape).astype(np.float32)
    found = jax.grad(lambda p: (draw(p) * w).sum())(parameters)
    grads = d.transform_vjp(d.noise(3, rng=RNG), w)
    for n, grad in grads.items():
        np.testing.assert_allclose(found[n], grad.sum(axis=0), rtol=1e-6, atol=1e-7)


def test_vmap_and_one_sample():
    keys = jax.random.split(KEY, 3)
    loc, log_scale = np.zeros(2, np.float32), np.zeros(2, np.float32)
    parameters = {"loc": loc, "log_scale": log_scale}
    found = jax.vmap(lambda key: fj.continuous.sample(fg.continuous.Normal, key, **parameters))(
        keys
    )
    d = fg.continuous.Normal(**parameters)
    for key, own in zip(keys, found):
        np.testing.assert_array_equal(own, d.sample(rng=fj.to_key(key)))


def test_errors():
    with pytest.raises(TypeError, match=r"family must be one of fastgrad\.continuous"):
        fj.continuous.sample(fg.Categorical, KEY, logits=np.zeros(2))
    with pytest.raises(TypeError, match="Normal has the parameters"):
        fj.continuous.sample(fg.continuous.Normal, KEY, loc=0.0, scale=1.0)
