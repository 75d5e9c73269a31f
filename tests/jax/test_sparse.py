"""Sparse maps in JAX: the NumPy API's numbers, and gradients."""

import numpy as np
import pytest
from jax_types import enable_x64

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
handlers = pytest.importorskip("fastgrad.jax.handlers")
check_grads = pytest.importorskip("jax.test_util").check_grads
pytestmark = pytest.mark.optional

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4)).astype(np.float32)
MASKED = np.where(np.eye(3, 4, k=1, dtype=bool), np.float32(-np.inf), X)
Z = np.array([[0, 3, 1], [2, 2, 0]])
Y = fg.sparse.sparsemax(RNG.normal(size=X.shape).astype(np.float32))
KEY = jax.random.key(3)
NUMPY_KEY = fj.to_key(KEY)
BAD = (jax.errors.JaxRuntimeError, ValueError)  # the latter where a program runs at once
DRAWN = {"temperature": 0.7, "num_samples": 3, "row_offset": 5, "sample_offset": 2}
# name: (function of arrays of JAX, the same in the NumPy API)
PAIRS = {
    "entmax": (lambda x: fj.sparse.entmax(x, alpha=1.3), lambda x: fg.sparse.entmax(x, alpha=1.3)),
    "entmax15": (fj.sparse.entmax15, fg.sparse.entmax15),
    "sparsemax": (fj.sparse.sparsemax, fg.sparse.sparsemax),
    "entmax15_loss": (
        lambda x: fj.sparse.entmax15_loss(x, Z),
        lambda x: fg.sparse.entmax15_loss(x, Z),
    ),
    "sparsemax_loss": (
        lambda x: fj.sparse.sparsemax_loss(x, Y.astype(x.dtype)),
        lambda x: fg.sparse.sparsemax_loss(x, Y),
    ),
    "gumbel_entmax": (
        lambda x: fj.sparse.gumbel_entmax(x, KEY, alpha=1.5, **DRAWN),
        lambda x: fg.sparse.gumbel_entmax(x, rng=NUMPY_KEY, alpha=1.5, **DRAWN),
    ),
    "gumbel_sparsemax": (
        lambda x: fj.sparse.gumbel_sparsemax(x, KEY, temperature=0.7),
        lambda x: fg.sparse.gumbel_sparsemax(x, rng=NUMPY_KEY, temperature=0.7),
    ),
}
each = pytest.mark.parametrize("name", PAIRS)


@each
def test_bits(name):
    of_jax, of_numpy = PAIRS[name]
    call = jax.jit(lambda x: of_jax(x))  # anew, as handlers may be switched off elsewhere
    assert "callback" not in call.lower(X).as_text()
    for x in (X, MASKED):
        np.testing.assert_array_equal(call(x), of_numpy(x))


def test_one_row():
    found = fj.sparse.sparsemax(X[0, 0]), fj.sparse.entmax15_loss(X[0, 0], 2)
    np.testing.assert_array_equal(found[0], fg.sparse.sparsemax(X[0, 0]))
    np.testing.assert_array_equal(found[1], fg.sparse.entmax15_loss(X[0, 0], np.array(2)))


@each
def test_the_other_route_has_the_same_bits(name, monkeypatch):
    monkeypatch.setattr(handlers.frames, "version", lambda: None)
    of_jax, of_numpy = PAIRS[name]
    call = jax.jit(lambda x: of_jax(x))
    assert "callback" in call.lower(X).as_text()
    np.testing.assert_array_equal(call(X), of_numpy(X))


def product(name, x, w):
    """Return the product of the NumPy API."""
    given = {"entmax15_loss": (Z,), "sparsemax_loss": (Y,)}.get(name, ())
    options = {"alpha": 1.3} if name == "entmax" else {}
    if "gumbel" in name:
        options = {"rng": NUMPY_KEY, "temperature": 0.7}
    if name == "gumbel_entmax":
        options |= {"alpha": 1.5, "row_offset": 5, "sample_offset": 2}
    return getattr(fg.sparse, f"{name}_vjp")(x, *given, w, **options)


@each
def test_gradients_are_the_products(name):
    of_jax, of_numpy = PAIRS[name]
    w = RNG.normal(size=of_numpy(X).shape).astype(np.float32)
    found = jax.jit(jax.grad(lambda x: (of_jax(x) * w).sum()))(MASKED)
    np.testing.assert_array_equal(found, product(name, MASKED, w))


def test_vmap_counts_rows_as_one_large_call():
    options = {"temperature": 0.7, "num_samples": 3}
    found = jax.vmap(lambda x: fj.sparse.gumbel_entmax(x, KEY, alpha=1.5, **options), out_axes=1)(X)
    expected = fg.sparse.gumbel_entmax(X, rng=NUMPY_KEY, alpha=1.5, **options)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(jax.vmap(fj.sparse.sparsemax)(X), fg.sparse.sparsemax(X))
    for target in (Z, Y):
        found = jax.vmap(lambda x, y: fj.sparse.entmax_loss(x, y, alpha=1.3))(X, target)
        np.testing.assert_array_equal(found, fg.sparse.entmax_loss(X, target, alpha=1.3))
    slope = jax.vmap(jax.grad(lambda x, z: fj.sparse.entmax15_loss(x, z).sum()))(X, Z)
    np.testing.assert_array_equal(slope, fg.sparse.entmax15_loss_vjp(X, Z, np.ones(Z.shape)))


@each
def test_gradients_by_finite_differences(name, monkeypatch):
    monkeypatch.setattr(handlers.frames, "version", lambda: None)  # float32 has its handlers above
    with enable_x64():
        x, (of_jax, of_numpy) = X.astype(np.float64), PAIRS[name]
        np.testing.assert_array_equal(of_jax(x), of_numpy(x))
        check_grads(lambda x: of_jax(x), (x,), order=1, modes=["rev"], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gumbel_entmax", "entmax15_loss"])
def test_handlers_of_float64(name):
    with enable_x64():
        x, (of_jax, of_numpy) = X.astype(np.float64), PAIRS[name]
        call = jax.jit(lambda x: of_jax(x))
        assert "callback" not in call.lower(x).as_text()
        np.testing.assert_array_equal(call(x), of_numpy(x))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: fj.sparse.entmax(x, alpha=3), "alpha must be from 1 to 2, got 3"),
        (lambda x: jax.jit(lambda a: fj.sparse.entmax(x, alpha=a))(1.5), "alpha must be known"),
        (lambda x: fj.sparse.sparsemax_loss(x, Z[0]), "target must have shape"),
        (lambda x: fj.sparse.sparsemax(x[..., :0]), "logits must have shape"),
    ],
)
def test_refuses_when_it_is_traced(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call(X)


@pytest.mark.parametrize("native", [True, False])
def test_errors_when_it_runs(native, monkeypatch):
    if not native:
        monkeypatch.setattr(handlers.frames, "version", lambda: None)
    for call, x, words in (
        (lambda x: fj.sparse.sparsemax(x), X * np.nan, "logits must be below infinity"),
        (lambda x: fj.sparse.sparsemax(x), X - np.inf, "logits has only -inf in"),
        (lambda x: fj.sparse.sparsemax_loss(x, Z + 2), X, "target must be from 0 to"),
        (lambda x: fj.sparse.sparsemax_loss(x, 2 * Y), X, "target must h"),
    ):
        with pytest.raises(BAD, match=words):
            jax.block_until_ready(jax.jit(lambda x, call=call: call(x))(x))
