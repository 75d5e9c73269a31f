"""Perturbed optimisers in JAX programs: the numbers and gradients of the NumPy API."""

import functools
import gc
import weakref

import numpy as np
import pytest

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
check_grads = pytest.importorskip("jax.test_util").check_grads
pytestmark = pytest.mark.optional

X = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)
KEY = jax.random.key(3)
RNG = fj.to_key(KEY)


def best(theta):
    return np.eye(4)[theta.argmax(axis=-1)]


@pytest.mark.parametrize("control", ["leave-one-out", "unperturbed", "none"])
@pytest.mark.parametrize("noise", ["gumbel", "normal", "lognormal"])
def test_values_and_gradients(noise, control):
    options = {"num_samples": 8, "noise": noise, "noise_scale": 0.5}

    @jax.jit
    def layer(theta):
        return fj.perturbed.solve(best, theta, KEY, control=control, **options)

    y = fg.perturbed.solve(best, X, rng=RNG, **options)
    np.testing.assert_allclose(layer(X), y.mean(axis=0), rtol=1e-6)
    grad = jax.grad(lambda theta: (layer(theta) * W).sum())(X)
    expected = fg.perturbed.solve_vjp(best, X, W, rng=RNG, control=control, **options)
    np.testing.assert_allclose(grad, expected, rtol=1e-6, atol=1e-7)


def test_vmap_over_keys():
    keys = jax.random.split(KEY, 3)
    found = jax.vmap(lambda key: fj.perturbed.solve(best, X, key, num_samples=4))(keys)
    for key, own in zip(keys, found):
        alone = fg.perturbed.solve(best, X, num_samples=4, rng=fj.to_key(key))
        np.testing.assert_allclose(own, alone.mean(axis=0), rtol=1e-6)


LOSSES = {"fenchel_young": {"num_samples": 8, "noise_scale": 0.5}, "spo_plus": {}}


@pytest.mark.parametrize("problem_ndim", [0, 1, 2])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_the_bits_of_the_numpy_api(name, problem_ndim):
    options = {"problem_ndim": problem_ndim} | LOSSES[name]
    keys, rng = ((KEY,), {"rng": RNG}) if name == "fenchel_young" else ((), {})
    right = best(W).astype(np.float32)
    loss, grad = getattr(fg.perturbed, name)(best, X, right, **options, **rng)
    of_jax = functools.partial(getattr(fj.perturbed, name), best)
    layer = jax.jit(lambda theta: of_jax(theta, right, *keys, **options))
    np.testing.assert_array_equal(layer(X), loss)
    found, w = jax.grad(lambda theta: (layer(theta) * w).sum()), 2 * loss + 1
    expected = grad * w.reshape(*w.shape, *(1,) * problem_ndim)
    np.testing.assert_array_equal(found(X), expected)
    if problem_ndim == 1:  # rows share their noise where they share the key
        rows = jax.vmap(lambda theta, y: of_jax(theta, y, *keys, **options))(X, right)
        alone = [getattr(fg.perturbed, name)(best, *one, **options, **rng) for one in zip(X, right)]
        np.testing.assert_array_equal(rows, [one for one, _ in alone])
        check_grads(layer, (X,), 1, "rev", rtol=1e-2, eps=1e-3)
        with pytest.raises(NotImplementedError, match=f"{name} can not be differentiated"):
            jax.grad(lambda theta: found(theta).sum())(X)


def test_losses_refuse():
    with pytest.raises(ValueError, match=r"true_theta must have shape \(2, 4\), got \(4,\)"):
        fj.perturbed.spo_plus(best, X, X[0])
    with pytest.raises(ValueError, match="noise_scale"):
        fj.perturbed.fenchel_young(best, X, X, KEY, num_samples=4, noise_scale=-1)
    with pytest.raises(TypeError, match="solver must be a function"):
        fj.perturbed.spo_plus(3, X, X)


def test_errors():
    with pytest.raises(ValueError, match="noise must be one of"):
        fj.perturbed.solve(best, X, KEY, num_samples=4, noise="cauchy")
    with pytest.raises(ValueError, match="num_samples must be at least 2"):
        fj.perturbed.solve(best, X, KEY, num_samples=1)
    with pytest.raises(TypeError, match="solver must be a function"):
        fj.perturbed.solve(3, X, KEY, num_samples=4)

    def broken(theta):
        raise RuntimeError("no solution today")

    with pytest.raises((jax.errors.JaxRuntimeError, RuntimeError), match="no solution today"):
        jax.block_until_ready(
            jax.jit(lambda x: fj.perturbed.solve(broken, x, KEY, num_samples=4))(X)
        )


class Solver:
    """With data of its own; equal to others of its kind, and so without a hash."""

    def __eq__(self, other):
        return isinstance(other, Solver)

    def __call__(self, theta):
        return best(theta)


class Known(Solver):
    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


@pytest.mark.parametrize("kind", [Solver, Known])
def test_solvers_and_families_go_with_their_programs(kind):
    def program(solver, family):
        def value(theta):
            y = fj.perturbed.solve(solver, theta, KEY, num_samples=2)
            loss = fj.perturbed.spo_plus(solver, theta, W).sum()
            return (y * W).sum() + loss + fj.structured.mean(family, theta)[0, 0]

        return jax.jit(jax.grad(value))

    given = [kind(), functools.partial(fg.subset.KSubset, k=2)]
    made, alive = program(*given), [weakref.ref(one) for one in given]
    np.testing.assert_array_equal(made(X), made(X))
    del given, made
    gc.collect()
    assert [one() for one in alive] == [None, None]
