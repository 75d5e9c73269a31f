"""Order statistics in JAX: the NumPy API's numbers, and gradients."""

import numpy as np
import pytest
from jax_types import enable_x64

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
handlers = pytest.importorskip("fastgrad.jax.handlers")
jnp = pytest.importorskip("jax.numpy")
check_grads = pytest.importorskip("jax.test_util").check_grads
pytestmark = pytest.mark.optional

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 5)).astype(np.float32)
MASKED = np.where(np.eye(3, 5, k=1, dtype=bool), np.float32(-np.inf), X)
W = RNG.normal(size=X.shape).astype(np.float32)
BAD = (jax.errors.JaxRuntimeError, ValueError)  # the latter where a program runs at once
HEAT = {"temperature": 0.7}  # which float32 does not hold
# name: (name of the function, other arguments)
CALLS = {
    "sort": ("soft_sort", HEAT | {"descending": True}),
    "sort entropic": ("soft_sort", HEAT | {"method": "entropic"}),
    "sort laplace": ("soft_sort", HEAT | {"method": "laplace"}),
    "sort hard": ("soft_sort", HEAT | {"hard": True, "descending": True}),
    "rank": ("soft_rank", HEAT),
    "rank laplace": ("soft_rank", HEAT | {"method": "laplace", "descending": True}),
    "rank hard": ("soft_rank", HEAT | {"hard": True}),
    "top_k": ("soft_top_k", HEAT | {"k": 2}),
    "top_k hard": ("soft_top_k", HEAT | {"k": 2, "hard": True}),
    "quantile": ("soft_quantile", HEAT | {"q": [[0.1, 0.5], [0.99, 1.0]]}),
    "median": ("soft_median", {"temperature": 0.1, "method": "laplace"}),
}
QUANTILES = "quantile", "median"
each = pytest.mark.parametrize("name", CALLS)


def both(name):
    """Return the function of arrays of JAX, and that of the NumPy API."""
    function, options = CALLS[name]
    of_jax, of_numpy = (getattr(front.order, function) for front in (fj, fg))
    return (lambda x: of_jax(x, **options)), (lambda x: of_numpy(x, **options))


def product(name, x, w):
    """Return the product of the NumPy API."""
    function, options = CALLS[name]
    options = {key: value for key, value in options.items() if key != "hard"}
    return getattr(fg.order, f"{function}_vjp")(x, w, **options)


@each
def test_bits(name):
    of_jax, of_numpy = both(name)
    call = jax.jit(lambda x: of_jax(x))  # anew, as handlers may be switched off elsewhere
    assert ("callback" in call.lower(X).as_text()) == (name in QUANTILES)
    for x in (X, MASKED, X[0, 0]):
        np.testing.assert_array_equal(call(x), of_numpy(x))
        np.testing.assert_array_equal(of_jax(x), of_numpy(x))


@each
def test_the_other_route_has_the_same_bits(name, monkeypatch):
    monkeypatch.setattr(handlers.frames, "version", lambda: None)
    of_jax, of_numpy = both(name)
    call = jax.jit(lambda x: of_jax(x))
    assert "callback" in call.lower(X).as_text()
    np.testing.assert_array_equal(call(MASKED), of_numpy(MASKED))
    w = np.ones(of_numpy(X).shape, np.float32)
    found = jax.grad(lambda x: (of_jax(x) * w).sum())(X)
    np.testing.assert_allclose(found, product(name, X, w), rtol=1e-5, atol=1e-6)


@each
def test_gradients_are_the_products(name):
    of_jax, of_numpy = both(name)
    w = np.resize(W, of_numpy(X).shape)
    found = jax.jit(jax.grad(lambda x: (of_jax(x) * w).sum()))(X)
    np.testing.assert_array_equal(found, product(name, X, w))


@each
def test_vmap(name):
    of_jax, of_numpy = both(name)
    found = jax.vmap(of_jax, out_axes=2 if name == "quantile" else 0)(MASKED)
    np.testing.assert_array_equal(found, of_numpy(MASKED))


@pytest.mark.parametrize("name", [name for name in CALLS if "hard" not in name])
def test_gradients_by_finite_differences(name, monkeypatch):
    monkeypatch.setattr(handlers.frames, "version", lambda: None)  # float32 has its handlers above
    with enable_x64():
        x, (of_jax, of_numpy) = X[0].astype(np.float64), both(name)
        np.testing.assert_array_equal(of_jax(x), of_numpy(x))
        check_grads(lambda x: of_jax(x), (x,), order=1, modes=["rev"], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sort", "rank laplace", "top_k hard"])
def test_handlers_of_float64(name):
    with enable_x64():
        x, (of_jax, of_numpy) = X.astype(np.float64), both(name)
        call = jax.jit(lambda x: of_jax(x))
        assert "callback" not in call.lower(x).as_text()
        np.testing.assert_array_equal(call(x), of_numpy(x))
        found = jax.grad(lambda x: (of_jax(x) * W).sum())(x)
        np.testing.assert_array_equal(found, product(name, x, W.astype(np.float64)))
        with pytest.raises(BAD, match=r"values must be from -2\*\*900"):
            jax.block_until_ready(call(x * 1e300))


def test_temperatures_may_be_traced_and_mapped():
    call = jax.jit(lambda x, t: fj.order.soft_rank(x, temperature=t))
    temperatures = np.array([0.3, 3.0], np.float32)
    for t, found in zip(temperatures, jax.vmap(call, (None, 0))(X, temperatures), strict=True):
        np.testing.assert_array_equal(found, fg.order.soft_rank(X, temperature=t))
        np.testing.assert_array_equal(found, call(X, t))
    expected = fg.order.soft_rank(X, temperature=temperatures[:1])  # an array of one number
    np.testing.assert_array_equal(call(X, temperatures[:1]), expected)
    slope = jax.grad(lambda t: fj.order.soft_rank(X, temperature=t)[0, 0, 0])
    assert slope(0.5) == 0


def test_halves():
    x = jnp.asarray(X, jnp.bfloat16)
    found = fj.order.soft_sort(x)
    expected = fg.order.soft_sort(np.asarray(x, np.float32))
    np.testing.assert_array_equal(found, jnp.asarray(expected, jnp.bfloat16))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: fj.order.soft_quantile(x, [0.5, 1.5]), "q must be from 0 to 1, got 1.5"),
        (lambda x: fj.order.soft_sort(x, method="exact"), "method must be one of .*'exact'"),
        (lambda x: fj.order.soft_rank(x, temperature=0.0), "temperature must be a finite"),
        (lambda x: fj.order.soft_top_k(x, 0), "k must be at least 1"),
        (lambda x: fj.order.soft_sort(x[0, 0, 0]), "values must have shape"),
        (lambda x: jax.jit(lambda q: fj.order.soft_quantile(x, q))(0.5), "q must be known when"),
    ],
)
def test_refuses_when_it_is_traced(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call(X)


@pytest.mark.parametrize("native", [True, False])
def test_errors_when_it_runs(native, monkeypatch):
    if not native:
        monkeypatch.setattr(handlers.frames, "version", lambda: None)
    rank, few = (lambda x: fj.order.soft_rank(x)), (lambda x: fj.order.soft_top_k(x, 5))
    heat = lambda x: fj.order.soft_rank(x, temperature=x[0, 0, 0] * 0)  # noqa: E731
    for call, x, words in (
        (rank, X * np.nan, "values must be below infinity"),
        (rank, X - np.inf, "values has only -inf in"),
        (few, MASKED, "k must be at most the number of values above -inf"),
        (heat, X, "temperature must be"),
    ):
        with pytest.raises(BAD, match=words):
            jax.block_until_ready(jax.jit(lambda x, call=call: call(x))(x))
