"""The functions of JAX give the NumPy API's numbers, and the gradients of its products."""

import functools

import numpy as np
import pytest
from jax_types import enable_x64

import fastgrad as fg
from fastgrad.distributions.concrete_products import gumbel_softmax_product, relax_product

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
jnp = pytest.importorskip("jax.numpy")
export = pytest.importorskip("jax.export")
check_grads = pytest.importorskip("jax.test_util").check_grads
pytestmark = pytest.mark.optional

LOGITS = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
KEY = jax.random.key(3)
BAD = (jax.errors.JaxRuntimeError, ValueError)  # the latter where a program runs at once
RNG = fj.to_key(KEY)

# Each function of logits and a key, and the same of NumPy.
PAIRS = {
    "sample": (fj.sample, fg.sample, {"num_samples": 2}),
    "sample_gumbel": (fj.sample, fg.sample, {"num_samples": 2, "method": "gumbel"}),
    "gumbel_softmax": (fj.gumbel_softmax, fg.gumbel_softmax, {"temperature": 0.3}),
    "hard": (fj.gumbel_softmax, fg.gumbel_softmax, {"temperature": 0.3, "hard": True}),
    "log": (fj.gumbel_softmax, fg.gumbel_softmax, {"temperature": 0.3, "log": True}),
    "samples": (fj.gumbel_softmax, fg.gumbel_softmax, {"temperature": 0.7, "num_samples": 3}),
    "relax": (fj.relax, fg.relax, {"temperature": 0.3, "num_samples": 2}),
    "by ratios": (fj.relax, fg.relax, {"temperature": 0.5, "num_samples": 2}),
    "coupled": (fj.relax, fg.relax, {"temperature": 0.3, "coupled": True, "log": True}),
}


def equal(found, expected):
    """Compare arrays, or tuples of them, bit for bit and by dtype."""
    if isinstance(expected, tuple):
        assert type(found) is type(expected)
        for pair in zip(found, expected, strict=True):
            equal(*pair)
    else:
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", PAIRS)
def test_bits_under_jit(name):
    ours, theirs, options = PAIRS[name]
    logits = 10 * LOGITS
    expected = theirs(logits, rng=RNG, **options)
    equal(jax.jit(functools.partial(ours, **options))(logits, KEY), expected)
    equal(ours(logits, KEY, **options), expected)


def test_bits_where_results_are_subnormal():
    logits = np.zeros((500, 16), np.float32)
    logits[:, 3] = -86.0
    options = {"temperature": 1.0, "rng": RNG}
    expected = fg.gumbel_softmax(logits, **options)
    assert ((expected > 0) & (expected < np.finfo(np.float32).tiny)).any()
    draw = jax.jit(lambda x: fj.gumbel_softmax(x, KEY, temperature=1.0))
    equal(draw(logits), expected)
    both = jax.jit(lambda x: fj.relax(x, KEY, temperature=1.0))
    equal(both(logits), fg.relax(logits, **options))


@pytest.mark.parametrize("name", PAIRS)
def test_float64_bits(name):
    ours, theirs, options = PAIRS[name]
    with enable_x64():
        logits = LOGITS.astype(np.float64)
        equal(
            jax.jit(functools.partial(ours, **options))(logits, KEY),
            theirs(logits, rng=RNG, **options),
        )


def test_functions_without_noise():
    z = fg.sample(LOGITS, num_samples=7, rng=0)
    equal(jax.jit(fj.entropy)(LOGITS), fg.entropy(LOGITS))
    equal(jax.jit(fj.log_prob)(LOGITS, z), fg.log_prob(LOGITS, z))
    equal(jax.jit(fj.log_prob)(LOGITS, z[0]), fg.log_prob(LOGITS, z[0]))


def test_vmap_over_logits_is_one_large_call():
    expected = fg.relax(LOGITS, temperature=0.3, num_samples=2, rng=RNG)
    once = functools.partial(fj.relax, temperature=0.3, num_samples=2)
    equal(jax.vmap(once, (0, None), 1)(LOGITS, KEY), expected)
    twice = jax.vmap(jax.vmap(once, (0, None), 1), (0, None), 1)
    equal(jax.jit(twice)(LOGITS, KEY), expected)
    other = jax.vmap(jax.vmap(once, (0, None), 1), (1, None), 2)  # the outer rows come second
    moved = fg.relax(LOGITS.swapaxes(0, 1), temperature=0.3, num_samples=2, rng=RNG)
    equal(other(LOGITS, KEY).relaxed, moved.relaxed.swapaxes(1, 2))


def test_vmap_over_keys_starts_afresh_with_each():
    keys = jax.random.split(KEY, 5)
    draw = functools.partial(fj.gumbel_softmax, temperature=0.5)
    both = jax.vmap(draw)(LOGITS, keys)
    shared = jax.jit(jax.vmap(draw, (None, 0)))(LOGITS, keys)
    table = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(LOGITS, keys)
    for i, key in enumerate(map(fj.to_key, keys)):
        equal(both[i], fg.gumbel_softmax(LOGITS[i], temperature=0.5, rng=key))
        equal(shared[i], fg.gumbel_softmax(LOGITS, temperature=0.5, rng=key))
        equal(table[:, i], fg.gumbel_softmax(LOGITS, temperature=0.5, rng=key))


def test_offsets_join_and_may_be_traced():
    whole = fg.sample(LOGITS, num_samples=4, rng=RNG)

    @jax.jit
    def part(logits, row, sample):
        options = {"num_samples": 2, "row_offset": row, "sample_offset": sample}
        return fj.sample(logits, KEY, **options)

    equal(part(LOGITS[3:], 12, 2), whole[2:, 3:])
    far = functools.partial(fj.sample, LOGITS, KEY)
    large = {"row_offset": 2**33 + 5, "sample_offset": 2**31}
    equal(far(**large), fg.sample(LOGITS, rng=RNG, **large))
    rows = {"row_offset": 2**32 - 7}  # whose sum with the rows before carries
    equal(jax.vmap(functools.partial(fj.sample, **rows), (0, None))(LOGITS, KEY), far(**rows))


@pytest.mark.parametrize("hard", [False, True])
def test_gradients_are_the_products(hard):
    options = {"temperature": 0.5, "num_samples": 3}
    w = np.random.default_rng(1).normal(size=(3, *LOGITS.shape)).astype(np.float32)

    def loss(logits, key):
        return (w * fj.gumbel_softmax(logits, key, hard=hard, **options)).sum()

    expected = fg.gumbel_softmax_vjp(LOGITS, w, temperature=0.5, rng=RNG)
    if not hard:  # made of the samples, whose digits are not those of noise that is drawn again
        x = fg.gumbel_softmax(LOGITS, rng=RNG, **options)
        again, expected = expected, gumbel_softmax_product(LOGITS, x, w, temperature=0.5)
        np.testing.assert_allclose(expected, again, rtol=1e-5, atol=1e-6)
    for way in (loss, jax.jit(loss), jax.checkpoint(loss)):
        equal(jax.grad(way)(LOGITS, KEY), expected)


@pytest.mark.parametrize("samples", [None, 3])
def test_gradients_of_relaxations_draw_no_noise(samples):
    options = {"temperature": 0.5, "num_samples": samples}
    r = fg.relax(LOGITS, rng=RNG, **options)
    weights = np.random.default_rng(1).normal(size=(2, *r.relaxed.shape)).astype(np.float32)

    def loss(logits, weights):
        _, relaxed, conditional, _ = fj.relax(logits, KEY, **options)
        return (weights[0] * relaxed).sum() + (weights[1] * conditional).sum()

    expected = relax_product(LOGITS, *r[:3], *weights, temperature=0.5)
    program = jax.jit(jax.grad(loss))
    equal(program(LOGITS, weights), expected)
    equal(jax.grad(loss)(LOGITS, weights), expected)
    rows = (0, 1) if samples is None else (0, 2)
    equal(jax.vmap(jax.grad(loss), rows)(LOGITS, weights), expected)
    assert "relax_product" in program.lower(LOGITS, weights).as_text()
    both = jax.jit(jax.grad(lambda x: (fj.gumbel_softmax(x, KEY, **options) ** 2).sum()))
    text = both.lower(LOGITS).as_text()
    assert "gumbel_softmax_product" in text
    assert "vjp" not in text


@pytest.mark.parametrize("name", ["sample", "gumbel_softmax", "relax"])
def test_nothing_but_the_handler_runs(name):
    """A constant of equal numbers would be filled by a loop, which takes as long as 64 floats."""
    ours, _, options = PAIRS[name]

    def call(x, key):
        found = ours(x, key, **options)
        return found[:3] if isinstance(found, tuple) else found  # of `relax` all but the score

    text = jax.jit(call).lower(LOGITS[0], KEY).compile().as_text()
    assert "custom-call(" in text
    assert "fusion(" not in text


def test_scores_that_nothing_needs_are_not_computed():
    def pair(x):
        _, relaxed, conditional, _ = fj.relax(x, KEY, temperature=0.5)
        return (relaxed * conditional).sum()

    def scored(x):
        return pair(x) + fj.relax(x, KEY, temperature=0.5).score[0, 0, 0]

    for loss, count in ((pair, 0), (scored, 1)):
        text = jax.jit(jax.value_and_grad(loss)).lower(LOGITS).compile().as_text()
        calls = [line for line in text.splitlines() if "custom-call(" in line]
        assert sum('"fastgrad_relax_score_float32"' in line for line in calls) == count


def test_gradients_under_vmap():
    def loss(logits, key):
        return (fj.gumbel_softmax(logits, key, temperature=0.5) ** 2).sum()

    expected = jax.grad(loss)(LOGITS, KEY)
    equal(jax.vmap(jax.grad(loss), (0, None))(LOGITS, KEY), np.asarray(expected))
    mean = jax.grad(lambda x: jax.vmap(loss, (0, None))(x, KEY).sum())
    equal(jax.jit(mean)(LOGITS), np.asarray(expected))
    jacobian = jax.jacrev(lambda x: fj.gumbel_softmax(x, KEY, temperature=0.5))(LOGITS[0])
    w = np.zeros((4, 3), np.float32)
    w[2, 1] = 1
    x = fg.gumbel_softmax(LOGITS[0], temperature=0.5, rng=RNG)
    equal(jacobian[2, 1], gumbel_softmax_product(LOGITS[0], x, w, temperature=0.5))


DIFFERENTIABLE = {
    "gumbel_softmax": lambda x: fj.gumbel_softmax(x, KEY, temperature=0.7, num_samples=2),
    "log": lambda x: fj.gumbel_softmax(x, KEY, temperature=0.7, log=True),
    "relaxed": lambda x: fj.relax(x, KEY, temperature=0.7, num_samples=2).relaxed,
    "coupled": lambda x: fj.relax(x, KEY, temperature=0.7, num_samples=2, log=True).relaxed,
    "conditional": lambda x: fj.relax(x, KEY, temperature=0.7, num_samples=2).conditional,
    "score": lambda x: fj.relax(x, KEY, temperature=0.7, num_samples=2).score,
    "log_prob": lambda x: fj.log_prob(x, jnp.array([[0, 2, 1, 1], [1, 1, 0, 2]])),
    "entropy": fj.entropy,
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_by_finite_differences(name):
    with enable_x64():
        logits = LOGITS[0].astype(np.float64)
        check_grads(DIFFERENTIABLE[name], (logits,), order=1, modes=["rev"], rtol=1e-6)


def test_scan_with_a_key_for_each_step():
    def step(total, i):
        key = jax.random.fold_in(KEY, i)
        return total + fj.gumbel_softmax(LOGITS, key, temperature=0.5), None

    @jax.jit
    def run():
        return jax.lax.scan(step, jnp.zeros_like(LOGITS), jnp.arange(3))[0]

    expected = np.zeros_like(LOGITS)
    for i in range(3):
        rng = fj.to_key(jax.random.fold_in(KEY, i))
        expected += fg.gumbel_softmax(LOGITS, temperature=0.5, rng=rng)
    equal(run(), expected)


def test_gradient_of_a_scan():
    def loss(logits):
        def step(x, i):
            key = jax.random.fold_in(KEY, i)
            return x + fj.gumbel_softmax(x, key, temperature=0.5) ** 2, None

        return jax.lax.scan(step, logits, jnp.arange(3))[0].sum()

    x, rngs = LOGITS, [fj.to_key(jax.random.fold_in(KEY, i)) for i in range(3)]
    points = []
    for rng in rngs:
        points.append(x)
        x = x + fg.gumbel_softmax(x, temperature=0.5, rng=rng) ** 2
    g = np.ones_like(x)
    for x, rng in zip(points[::-1], rngs[::-1], strict=True):
        y = fg.gumbel_softmax(x, temperature=0.5, rng=rng)
        g = g + fg.gumbel_softmax_vjp(x, 2 * y * g, temperature=0.5, rng=rng)
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(LOGITS), g, rtol=1e-5)


def test_a_traced_temperature_has_the_bits_of_a_known_one():
    draw = jax.jit(lambda t: fj.gumbel_softmax(LOGITS, KEY, temperature=t))
    for t in (0.5, 0.3, 7.7):
        expected = fg.gumbel_softmax(LOGITS, temperature=float(np.float32(t)), rng=RNG)
        equal(draw(np.float32(t)), expected)


@pytest.mark.parametrize("temperature", [0.5, 0.3])
def test_a_temperature_may_be_an_array_of_one_number(temperature):
    t = np.full(1, temperature, np.float32)
    options = {"temperature": float(t[0]), "rng": RNG}
    for call, other in ((fj.gumbel_softmax, fg.gumbel_softmax), (fj.relax, fg.relax)):
        expected = other(LOGITS, **options)
        equal(call(LOGITS, KEY, temperature=t), expected)
        equal(call(LOGITS, KEY, temperature=jnp.asarray(t)), expected)
        equal(jax.jit(lambda t, call=call: call(LOGITS, KEY, temperature=t))(t), expected)

    def loss(x, t):
        return (fj.gumbel_softmax(x, KEY, temperature=t) ** 2).sum()

    slope = jax.jit(jax.grad(loss, (0, 1)))
    by_logits, by_temperature = slope(LOGITS, t)
    equal(by_logits, np.asarray(jax.grad(loss)(LOGITS, t[0])))
    assert by_temperature.shape == (1,)
    assert not by_temperature.any()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3), (3,), (1, 1)])
def test_shapes_at_the_edge(shape):
    x = np.zeros(shape, np.float32)
    for ours, theirs, options in PAIRS.values():
        equal(jax.jit(functools.partial(ours, **options))(x, KEY), theirs(x, rng=RNG, **options))
    assert jax.grad(lambda x: fj.entropy(x).sum())(x).shape == shape
    draw = functools.partial(fj.gumbel_softmax, temperature=1.0)
    assert jax.vmap(draw, (0, None))(np.zeros((0, *shape), np.float32), KEY).shape == (0, *shape)


def test_half_precision_is_computed_in_float32():
    x = jnp.asarray(LOGITS, jnp.bfloat16)
    y = fj.gumbel_softmax(x, KEY, temperature=0.5)
    assert y.dtype == jnp.bfloat16
    exact = fg.gumbel_softmax(np.asarray(x.astype(jnp.float32)), temperature=0.5, rng=RNG)
    equal(np.asarray(y), np.asarray(jnp.asarray(exact, jnp.bfloat16)))
    assert jax.grad(lambda x: fj.entropy(x).sum())(x).dtype == jnp.bfloat16


def test_masked_categories():
    x = np.array([[0.0, -np.inf, 1.0], [2.0, 0.5, -np.inf]], np.float32)
    draw = jax.jit(lambda x: fj.gumbel_softmax(x, KEY, temperature=0.5))
    equal(draw(x), fg.gumbel_softmax(x, temperature=0.5, rng=RNG))
    r = jax.jit(
        jax.grad(lambda x: sum((y**2).sum() for y in fj.relax(x, KEY, temperature=1.0)[1:]))
    )
    assert np.isfinite(r(x)).all()


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_logits_end_the_program_in_an_error(name, bad):
    ours, _, options = PAIRS[name]
    logits = LOGITS.copy()
    logits[1, 2, 0] = bad
    draw = jax.jit(functools.partial(ours, **options))
    with pytest.raises(BAD, match="logits must be below infinity"):
        jax.block_until_ready(draw(logits, KEY))
    logits[1, 2] = -np.inf
    with pytest.raises(BAD, match="only -inf"):
        jax.block_until_ready(draw(logits, KEY))
    assert jax.tree.leaves(draw(LOGITS, KEY))[0].shape[-1] in (3, 4)  # the next call is fine


def test_errors_when_it_runs():
    t = jax.jit(lambda t: fj.gumbel_softmax(LOGITS, KEY, temperature=t))
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(BAD, match="temperature must be from"):
            t(np.float32(bad)).block_until_ready()
    equal(t(2), t(2.0))
    with pytest.raises(BAD, match="z must be from 0 to"):
        jax.jit(fj.log_prob)(LOGITS, np.full((5, 4), 3)).block_until_ready()


def test_errors_when_it_is_traced():
    with pytest.raises(ValueError, match="temperature must be"):
        fj.gumbel_softmax(LOGITS, KEY, temperature=0.0)
    with pytest.raises(ValueError, match="temperature must be one number"):
        fj.gumbel_softmax(LOGITS, KEY, temperature=np.ones(3))
    with pytest.raises(ValueError, match="log=True does not go"):
        fj.gumbel_softmax(LOGITS, KEY, temperature=1.0, hard=True, log=True)
    with pytest.raises(ValueError, match="logits must have shape"):
        fj.entropy(np.float32(0))
    for bad in (np.zeros(3, complex), np.zeros(3, bool), None, "one"):
        with pytest.raises(TypeError, match="logits must be real"):
            fj.entropy(bad)
    with pytest.raises(TypeError, match="hard must be known when the program is traced"):
        jax.jit(lambda hard: fj.gumbel_softmax(LOGITS, KEY, temperature=1.0, hard=hard))(True)
    with pytest.raises(TypeError, match="coupled must be known when the program is traced"):
        jax.jit(lambda c: fj.relax(LOGITS, KEY, temperature=1.0, coupled=c))(True)
    symbolic = jax.ShapeDtypeStruct(export.symbolic_shape("n, 3"), np.float32)
    with pytest.raises(TypeError, match=r"logits must have a shape that is known, got \(n, 3\)"):
        export.export(jax.jit(fj.entropy))(symbolic)
    with pytest.raises(ValueError, match="num_samples must be"):
        fj.sample(LOGITS, KEY, num_samples=0)
    with pytest.raises(ValueError, match="method must be one of"):
        fj.sample(LOGITS, KEY, method="other")
    with pytest.raises(TypeError, match="z must hold integers"):
        fj.log_prob(LOGITS, np.zeros((5, 4)))
    with pytest.raises(ValueError, match="z must have shape"):
        fj.log_prob(LOGITS, np.zeros((4, 5), int))


def test_second_derivatives_are_refused():
    def loss(x):
        return (fj.gumbel_softmax(x, KEY, temperature=0.5) ** 2).sum()

    with pytest.raises(NotImplementedError, match="gumbel_softmax can not be differentiated"):
        jax.grad(lambda x: jax.grad(loss)(x).sum())(LOGITS)


def test_kl_divergence_and_both_gradients():
    draws = np.random.default_rng(0)
    p, q = (draws.normal(size=shape).astype(np.float32) for shape in ((3, 4), 4))
    found = jax.jit(fj.kl_divergence)(p, q)
    np.testing.assert_array_equal(found, fg.kl_divergence(p, q))
    w = np.arange(1, 4, dtype=np.float32)
    by_p, by_q = jax.grad(lambda p, q: (fj.kl_divergence(p, q) * w).sum(), (0, 1))(p, q)
    wide = np.broadcast_to(q, p.shape)
    expected = fg.kl_divergence_vjp(p, wide, w)
    np.testing.assert_allclose(by_p, expected[0], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(by_q, expected[1].sum(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(jax.vmap(lambda p: fj.kl_divergence(p, q))(p), found)
    with pytest.raises(ValueError, match="q_logits must have as many categories"):
        fj.kl_divergence(p, q[:3])
