"""Structures inside JAX programs: NumPy's bits, and derivatives by differences."""

import functools

import numpy as np
import pytest
from jax_types import enable_x64
from structures import STRUCTURES, smooth

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
jnp = pytest.importorskip("jax.numpy")
test_util = pytest.importorskip("jax.test_util")
pytestmark = pytest.mark.optional

KEY = fg.Key(4)
KINDS = (  # one of each, some in a batch
    *("KSubset", "two of Knapsack", "PlackettLuce of two", "GumbelMatching", "two of SpanningTree"),
    *("Arborescence", "two of LinearChain", "CopulaBernoulli", "Poisson", "Multinomial"),
)
RELAXED = [name for name in KINDS if "relaxation" not in STRUCTURES[name].lacks]
MEANS = [name for name in KINDS if "mean" not in STRUCTURES[name].lacks]
SCORED = [name for name in KINDS if "score" not in STRUCTURES[name].lacks]
FAMILIES = {name: STRUCTURES[name].with_logits for name in KINDS}  # one object, one program


@pytest.fixture(autouse=True)
def wide():
    with enable_x64():
        yield


def given(name):
    d = STRUCTURES[name]
    return d, FAMILIES[name], jnp.asarray(d.logits)


same = np.testing.assert_array_equal


@pytest.mark.parametrize("name", KINDS)
def test_samples_and_features_are_those_of_numpy(name):
    d, family, x = given(name)

    @jax.jit
    def both(x):
        z = fj.structured.sample(family, x, KEY, num_samples=3, sample_offset=2)
        return z, fj.structured.features(family, x, z)

    expected = d.sample(num_samples=3, rng=KEY, sample_offset=2)
    z, features = both(x)
    same(z, expected)
    assert z.dtype == expected.dtype
    same(features, d.features(expected))


@pytest.mark.parametrize("name", KINDS)
def test_values_and_gradients_are_those_of_numpy(name):
    d, family, x = given(name)
    rng = np.random.default_rng(0)

    def check(function, expected, product):
        r = rng.normal(size=np.shape(expected))
        value, pull = jax.vjp(function, x)
        same(value, expected)
        np.testing.assert_allclose(pull(jnp.asarray(r))[0], product(r), rtol=1e-12, atol=1e-14)

    if name in SCORED:
        z = d.sample(num_samples=3, rng=KEY)
        score = d.score(z)

        def product(r):
            return (r.reshape(r.shape + (1,) * (score.ndim - r.ndim)) * score).sum(axis=0)

        log_prob = functools.partial(fj.structured.log_prob, family, z=z)
        check(log_prob, d.log_prob(z), product)
    if name in MEANS:
        check(functools.partial(fj.structured.mean, family), d.mean(), d.mean_vjp)
    if name in RELAXED:
        options = {"temperature": 0.7, "num_samples": 2}
        draw = functools.partial(fj.structured.gumbel_softmax, family, key=KEY, **options)
        product = functools.partial(d.gumbel_softmax_vjp, temperature=0.7, rng=KEY)
        check(draw, d.gumbel_softmax(rng=KEY, **options), product)


@pytest.mark.parametrize("name", ["KSubset", "two of SpanningTree"])
def test_derivatives_by_differences(name):
    d, family, x = given(name)
    z = d.sample(num_samples=2, rng=KEY)
    calls = [
        lambda x: fj.structured.log_prob(family, x, z),
        lambda x: fj.structured.gumbel_softmax(family, x, KEY, temperature=0.9),
    ]
    if name in MEANS:
        calls.append(lambda x: fj.structured.mean(family, x))
    for call in calls:
        test_util.check_grads(call, (x,), order=1, modes=["rev"])


@pytest.mark.parametrize("name", ["KSubset", "PlackettLuce of two"])
def test_vmap_takes_one_after_the_other(name):
    d, family, x = given(name)
    rows = jnp.stack([x, x + 0.1])
    call = functools.partial(fj.structured.gumbel_softmax, family, key=KEY, temperature=0.7)
    found = jax.jit(jax.vmap(call))(rows)
    for row, one in zip(rows, found, strict=True):
        expected = d.with_logits(np.asarray(row)).gumbel_softmax(temperature=0.7, rng=KEY)
        same(one, expected)


ESTIMATORS = {  # of which the rest have "rloo"
    "KSubset": "straight_through",
    "PlackettLuce of two": "rebar",
    "GumbelMatching": "gumbel_softmax",
    "two of SpanningTree": "pooled",
    "CopulaBernoulli": "unordered_set",
}


@pytest.mark.parametrize("name", KINDS)
def test_expectations_are_those_of_numpy(name):
    d, family, x = given(name)
    shape = d.feature_shape[len(d.batch_shape) :]
    f, axes, size = smooth(shape), tuple(range(-len(shape), 0)), int(np.prod(shape))
    a = np.random.default_rng(size).normal(size=shape) / np.sqrt(size)

    def loss(x, w, estimator):
        def traced(features):
            return w * jnp.exp((features * a).sum(axis=axes))

        options = {"estimator": estimator, "num_samples": 4, "distribution": family}
        return fj.expectation(traced, x, KEY, **options).value.sum()

    estimator = ESTIMATORS.get(name, "rloo")
    expected = fg.estimator(estimator)(f, d, num_samples=4, rng=KEY)
    value, (by_x, by_w) = jax.value_and_grad(functools.partial(loss, estimator=estimator), (0, 1))(
        x, 1.0
    )
    np.testing.assert_allclose(value, np.sum(expected.value), rtol=1e-12)
    bound = 1e-12 * max(1.0, abs(expected.grad).max())
    np.testing.assert_allclose(by_x, expected.grad, rtol=1e-9, atol=bound)
    if estimator != "unordered_set":  # whose parameters see other samples
        np.testing.assert_allclose(by_w, np.sum(expected.value), rtol=1e-9)


def test_what_is_refused():
    x, module = jnp.zeros(3), fj.structured
    pairs = functools.partial(fg.subset.KSubset, k=2)
    with pytest.raises(TypeError, match=r"family must make a distribution of an array .* got 3"):
        module.mean(3, x)
    with pytest.raises(TypeError, match=r"family must make a distribution with logits .* got str"):
        module.mean(lambda x: "no", x)
    with pytest.raises(ValueError, match=r"z must have shape \(3,\) with or without S, got \(4,\)"):
        module.log_prob(pairs, x, jnp.zeros(4))
    with pytest.raises(TypeError, match="temperature must be known when the program is traced"):
        jax.jit(lambda t: module.gumbel_softmax(pairs, x, 0, temperature=t))(1.0)
    with pytest.raises(TypeError, match="distribution must make a distribution with logits"):
        fj.expectation(lambda x: x[:, 0], x, 0, distribution=lambda x: "no")
    with pytest.raises(TypeError, match="rebar does not work with KSubset: no Gumbel noise"):
        fj.expectation(lambda x: x[:, 0], x, 0, distribution=pairs)
    with pytest.raises((jax.errors.JaxRuntimeError, ValueError, TypeError), match="has no mean"):
        module.mean(fg.permutation.PlackettLuce, x).block_until_ready()
