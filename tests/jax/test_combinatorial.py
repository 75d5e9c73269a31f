"""Subsets and permutations: the NumPy API's numbers, and gradients."""

import numba
import numpy as np
import pytest
from jax_types import enable_x64

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
handlers = pytest.importorskip("fastgrad.jax.handlers")
bodies = pytest.importorskip("fastgrad.jax.combinatorial_bodies")
check_grads = pytest.importorskip("jax.test_util").check_grads
pytestmark = pytest.mark.optional

X = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
MASKED = np.where(np.eye(4, k=2, dtype=bool), np.float32(-np.inf), X)
KEY = jax.random.key(3)
BAD = (jax.errors.JaxRuntimeError, ValueError)  # the latter where a program runs at once
RNG = fj.to_key(KEY)

HEAT = {"temperature": 0.5}
DRAWN = HEAT | {"num_samples": 3}
PLACE = {"row_offset": 5, "sample_offset": 2}
PROBLEM = {"problem_offset": 5, "sample_offset": 2}
# name: (function of arrays of JAX, the same in the NumPy API)
PAIRS = {
    "marginals": (lambda x: fj.marginals(x, 2), lambda x: fg.subset.marginals(x, 2)),
    "k_hot": (
        lambda x: fj.k_hot(x, 2, KEY, num_samples=3, **PLACE),
        lambda x: fg.subset.k_hot(x, 2, rng=RNG, num_samples=3, **PLACE),
    ),
    "relaxed_top_k": (
        lambda x: fj.relaxed_top_k(x, 2, KEY, **DRAWN, **PLACE),
        lambda x: fg.subset.relaxed_top_k(x, 2, rng=RNG, **DRAWN, **PLACE),
    ),
    "sinkhorn": (
        lambda x: tuple(fj.sinkhorn(x, **HEAT)),
        lambda x: tuple(fg.permutation.sinkhorn(x, **HEAT)),
    ),
    "gumbel_sinkhorn": (
        lambda x: tuple(fj.gumbel_sinkhorn(x, KEY, noise_scale=0.7, **DRAWN, **PROBLEM)),
        lambda x: tuple(
            fg.permutation.gumbel_sinkhorn(x, rng=RNG, noise_scale=0.7, **DRAWN, **PROBLEM)
        ),
    ),
}


def equal(found, expected):
    found, expected = (y if isinstance(y, tuple) else (y,) for y in (found, expected))
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own, other.astype(own.dtype))  # an error is float64 in NumPy


@pytest.mark.parametrize("name", PAIRS)
def test_bits(name):
    of_jax, of_numpy = PAIRS[name]
    call = jax.jit(lambda x: of_jax(x))  # anew, as handlers may be switched off elsewhere
    assert "callback" not in call.lower(X).as_text()
    for x in (X, MASKED, X[0]):
        equal(call(x), of_numpy(x))


@pytest.mark.parametrize("name", PAIRS)
def test_the_other_route_has_the_same_bits(name, monkeypatch):
    monkeypatch.setattr(handlers.frames, "version", lambda: None)
    of_jax, of_numpy = PAIRS[name]
    call = jax.jit(lambda x: of_jax(x))
    assert "callback" in call.lower(X).as_text()
    equal(call(X), of_numpy(X))


@pytest.mark.parametrize("shape", [(2, 3), (3, 2)])
def test_matrices_that_are_not_square(shape):
    x = X[0, : shape[0], : shape[1]]
    for name in ("sinkhorn", "gumbel_sinkhorn"):
        equal(PAIRS[name][0](x), PAIRS[name][1](x))
    w, options = X[1, : shape[0], : shape[1]], HEAT | {"num_samples": 2}
    found = jax.grad(lambda x: (fj.gumbel_sinkhorn(x, KEY, **options).matrix * w).sum())(x)
    w = np.broadcast_to(w, (2, *shape))
    equal(found, fg.permutation.gumbel_sinkhorn_vjp(x, w, rng=RNG, **HEAT))


def test_a_temperature_may_be_traced():
    for f in (
        lambda x, t: fj.sinkhorn(x, temperature=t).matrix,
        lambda x, t: fj.relaxed_top_k(x, 2, KEY, temperature=t),
    ):
        equal(jax.jit(f)(X, np.float32(0.5)), f(X, 0.5))


def test_vmap():
    for name in PAIRS:
        of_jax, of_numpy = PAIRS[name]
        lead = int("num_samples" in name or name in ("k_hot", "relaxed_top_k", "gumbel_sinkhorn"))
        equal(jax.vmap(of_jax, out_axes=lead)(X), of_numpy(X))


DIFFERENTIABLE = {
    "marginals": lambda x: fj.marginals(x, 2),
    "relaxed_top_k": lambda x: fj.relaxed_top_k(x, 2, KEY, temperature=0.5, num_samples=2),
    "sinkhorn": lambda x: fj.sinkhorn(x, tolerance=1e-13).matrix,
    "gumbel_sinkhorn": lambda x: (
        fj.gumbel_sinkhorn(x, KEY, tolerance=1e-13, temperature=0.5, num_samples=2).matrix
    ),
}


@pytest.mark.parametrize("native", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_by_finite_differences(name, native, monkeypatch):
    if not native:  # the handlers of float32 have the bits of the products, see below
        monkeypatch.setattr(handlers.frames, "version", lambda: None)
    with enable_x64():
        x, call = X.astype(np.float64), DIFFERENTIABLE[name]
        check_grads(lambda x: call(x), (x,), order=1, modes=["rev"], rtol=1e-5, atol=1e-6)


W = np.random.default_rng(1).normal(size=(3, *X.shape)).astype(np.float32)
PRODUCTS = {
    "marginals": lambda x: fg.subset.marginals_vjp(x, W[0], 2),
    "relaxed_top_k": lambda x: fg.subset.relaxed_top_k_vjp(x, W, 2, rng=RNG, **HEAT, **PLACE),
    "sinkhorn": lambda x: fg.permutation.sinkhorn_vjp(x, W[0], **HEAT),
    "gumbel_sinkhorn": lambda x: fg.permutation.gumbel_sinkhorn_vjp(
        x, W, rng=RNG, noise_scale=0.7, **HEAT, **PROBLEM
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_gradients_are_the_products(name):
    def weighted(x):
        y = PAIRS[name][0](x)
        y = y[0] if isinstance(y, tuple) else y
        return (y * (W if y.ndim == 4 else W[0])).sum()

    equal(jax.jit(jax.grad(weighted))(X), PRODUCTS[name](X))


def test_k_hot_has_the_gradient_of_the_marginals():
    w = np.random.default_rng(1).normal(size=(3, *X.shape)).astype(np.float32)
    found = jax.grad(lambda x: (fj.k_hot(x, 2, KEY, num_samples=3) * w).sum())(X)
    np.testing.assert_allclose(found, fg.subset.marginals_vjp(X, w, 2), rtol=1e-5, atol=1e-6)


def test_masks_admit_a_matching_if_scipys_solver_finds_one():
    matches = numba.njit(lambda x: bodies.matches(x))
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 7))
        shape = n, n + int(rng.integers(0, 3))
        x = np.where(rng.random(shape) < 0.7, -np.inf, np.float64(0))
        try:
            fg.permutation.matching(x)
            expected = True
        except ValueError:
            expected = False
        assert matches(x) == expected


def test_errors():
    with pytest.raises(ValueError, match="k must be"):
        fj.marginals(X, 5)
    with pytest.raises(ValueError, match="log_alpha must have shape"):
        fj.sinkhorn(X[0, 0])
    for name in ("tolerance", "noise_scale"):
        with pytest.raises(TypeError, match=f"{name} must be known"):
            jax.jit(lambda t, n=name: fj.gumbel_sinkhorn(X, 0, temperature=1.0, **{n: t}))(0.5)
    with pytest.raises(ValueError, match="problem_offset must be"):
        fj.gumbel_sinkhorn(X, 0, temperature=1.0, problem_offset=-1)
    with pytest.raises(ValueError, match="noise_scale must be smaller for float32"):
        fj.gumbel_sinkhorn(X.astype(np.float32), 0, temperature=1.0, noise_scale=1e39)


# Every row and column has a partner, but three rows have only two columns between them.
UNMATCHED = np.where(np.eye(4)[[0, 0, 0, 3]] + np.eye(4)[[1, 1, 1, 2]], 0, -np.inf)
SLOPE = jax.grad(lambda x: fj.sinkhorn(x, max_iterations=5, newton=False).matrix[0, 0])


@pytest.mark.parametrize(
    ("call", "x", "message"),
    [
        (lambda x: fj.marginals(x, 2), X * np.nan, "logits must be below infinity"),
        (
            lambda x: fj.k_hot(x, 3, 0),
            np.where(np.eye(4, 3) > 0, -np.inf, X[0, :, :3]),
            "k must be",
        ),
        (lambda x: fj.relaxed_top_k(x, 1, 0, **HEAT), X - np.inf, "has only -inf in"),
        (lambda x: fj.sinkhorn(x), X * np.nan, "log_alpha must be below infinity"),
        (lambda x: fj.sinkhorn(x), np.where(np.arange(4) > 0, X[0], -np.inf), "only -inf"),
        (lambda x: fj.gumbel_sinkhorn(x, 0, **HEAT), X - np.inf, "only -inf"),
        (lambda x: fj.sinkhorn(x, temperature=x[0, 0, 0] * 0), X, "temperature must be from"),
        (lambda x: fj.sinkhorn(x, newton=False), X * 1e9, r"log_alpha / temperature must be"),
        (SLOPE, UNMATCHED, "log_alpha admits no matching"),
    ],
)
@pytest.mark.parametrize("native", [True, False])
def test_errors_when_it_runs(call, x, message, native, monkeypatch):
    if not native:
        monkeypatch.setattr(handlers.frames, "version", lambda: None)
    with pytest.raises(BAD, match=message):
        jax.block_until_ready(jax.jit(lambda x: call(x))(x.astype(np.float32)))
