"""Transport and soft permutations inside JAX programs: NumPy's bits, derivatives, vmap."""

import functools

import numpy as np
import pytest
from jax_types import enable_x64

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
jnp = pytest.importorskip("jax.numpy")
test_util = pytest.importorskip("jax.test_util")
pytestmark = pytest.mark.optional

RNG = np.random.default_rng(3)
SCORES = RNG.normal(size=(2, 3, 4))
ROWS = np.array([0.2, 0.5, 0.3])
PENALTIES = {"tolerance": 1e-12, "temperature": 0.7, "row_penalty": 2.0, "column_penalty": 0.5}
same = np.testing.assert_array_equal


@pytest.fixture(autouse=True)
def wide():
    with enable_x64():
        yield


def test_plans_and_their_products_are_those_of_numpy():
    call = functools.partial(fj.transport.sinkhorn, **PENALTIES)
    found = jax.jit(call)(SCORES, ROWS)
    expected = fg.transport.sinkhorn(SCORES, ROWS, **PENALTIES)
    for name in found._fields:
        same(getattr(found, name), getattr(expected, name))
    r = RNG.normal(size=SCORES.shape)
    _, pull = jax.vjp(lambda s, a: call(s, a).matrix, SCORES, ROWS)
    by_scores, by_rows = pull(r)
    grads = fg.transport.sinkhorn_vjp(SCORES, r, ROWS, **PENALTIES)
    same(by_scores, grads.scores)
    np.testing.assert_allclose(by_rows, grads.rows.sum(axis=0), rtol=1e-12)


def test_soft_permutations_are_those_of_numpy():
    s, x, r = RNG.normal(size=(2, 5)), RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 5, 3))
    call = functools.partial(fj.soft_permute, temperature=0.4)
    value, pull = jax.vjp(call, s, x)
    same(value, fg.permutation.soft_permute(s, x, temperature=0.4))
    grads = fg.permutation.soft_permute_vjp(s, x, r, temperature=0.4)
    for ours, expected in zip(pull(r), (grads.scores, grads.x), strict=True):
        same(ours, expected)


def test_derivatives_by_differences_and_vmap():
    call = functools.partial(fj.transport.sinkhorn, **PENALTIES)
    test_util.check_grads(lambda s: call(s).matrix, (SCORES[0],), order=1, modes=["rev"])
    same(jax.vmap(call)(SCORES).matrix, fg.transport.sinkhorn(SCORES, **PENALTIES).matrix)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"scores must have shape \(\*batch, N, M\)"):
        fj.transport.sinkhorn(jnp.zeros(3))
    with pytest.raises(ValueError, match=r"scores and x must have shapes .* \(2,\) and \(3, 1\)"):
        fj.soft_permute(jnp.zeros(2), jnp.zeros((3, 1)), temperature=1.0)
    with pytest.raises(TypeError, match="temperature must be known when the program is traced"):
        jax.jit(lambda t: fj.transport.sinkhorn(SCORES, temperature=t).matrix)(1.0)
    with pytest.raises(
        (jax.errors.JaxRuntimeError, ValueError), match="the same sum, or a penalty"
    ):
        fj.transport.sinkhorn(SCORES, 2 * ROWS).matrix.block_until_ready()
