"""Every estimator under jit: NumPy's gradients by the logits, JAX's own by the parameters of f."""

import functools
import itertools
import threading

import numpy as np
import pytest
from jax_types import enable_x64

import fastgrad as fg

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
jnp = pytest.importorskip("jax.numpy")
pytestmark = pytest.mark.optional

BINARY = {"arm", "arms", "disarm"}
WITHOUT_REPLACEMENT = {"sum_and_sample", "importance_weighted", "unordered_set", "enumerate"}
KEY = jax.random.key(5)
RNG = fj.to_key(KEY)
BAD = (jax.errors.JaxRuntimeError, ValueError)  # the latter where a program runs at once


def problem(name="rebar", dtype=np.float32):
    rng = np.random.default_rng(1)
    shape = 3, 2 if name in BINARY else 4
    return rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)


def f(x, w):
    return jnp.cos((x * w).sum(-1)).sum(-1)


def objective(w):
    """The same f for NumPy."""
    return fg.objective(
        lambda x: np.cos((x * w).sum(-1)).sum(-1),
        grad=lambda x: -np.sin((x * w).sum(-1))[..., None] * w,
    )


def loss(logits, w, key, name, **options):
    return fj.expectation(lambda x: f(x, w), logits, key, estimator=name, **options).value


def slope_by_weights(x, w):
    return (-np.sin((x * w).sum(-1))[..., None] * x).mean(axis=0)


def check(name, dtype, tolerance):
    logits, w = problem(name, dtype)
    call = functools.partial(loss, name=name, num_samples=4)
    value, (grad, by_w) = jax.jit(jax.value_and_grad(call, (0, 1)))(logits, w, KEY)
    estimator = fg.estimator(name)
    expected = estimator(objective(w), logits, num_samples=4, rng=RNG)
    np.testing.assert_allclose(grad, expected.grad, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(value, expected.value, rtol=tolerance)
    assert grad.dtype == value.dtype == dtype
    d = fg.Categorical(logits)
    if name in WITHOUT_REPLACEMENT:
        x = d.features(d.sample(num_samples=4, rng=RNG.fold_in(1)))
    else:
        x = estimator.samples(d, estimator.draw(d, 4, RNG))
    wanted = slope_by_weights(x, w)
    if name == "vimco":  # the gradient of the log of the mean of exp(f)
        values = np.exp(np.cos((x * w).sum(-1)).sum(-1))
        each = -np.sin((x * w).sum(-1))[..., None] * x
        wanted = (each * (values / values.sum())[:, None, None]).sum(axis=0)
    if name == "max_at_k":  # of the mean of the best of two
        values = np.cos((x * w).sum(-1)).sum(-1)
        each = -np.sin((x * w).sum(-1))[..., None] * x
        best = [max(pair, key=values.__getitem__) for pair in itertools.combinations(range(4), 2)]
        wanted = each[best].mean(axis=0)
    np.testing.assert_allclose(by_w, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", fg.list_estimators())
def test_float64(name):
    with enable_x64():
        check(name, np.float64, 1e-12)


@pytest.mark.parametrize("name", ["rloo", "rebar", "relax", "gumbel_softmax", "unordered_set"])
def test_float32(name):
    check(name, np.float32, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", fg.list_estimators())
def test_float32_of_all(name):
    check(name, np.float32, 1e-6)


@pytest.mark.parametrize("name", ["rebar", "relax", "reinforce"])
def test_state_goes_in_and_comes_out(name):
    with enable_x64():
        logits, w = problem(name, np.float64)

        @jax.jit
        def step(logits, state, key):
            def call(x):
                made = fj.expectation(lambda x: f(x, w), x, key, estimator=name, state=state)
                return made.value, made.state

            return jax.grad(call, has_aux=True)(logits)

        state = known = None
        for i in range(3):
            key = jax.random.fold_in(KEY, i)
            grad, state = step(logits, state, key)
            rng = fj.to_key(key)
            made = fg.estimator(name)(objective(w), logits, num_samples=8, rng=rng, state=known)
            known = made.state
            np.testing.assert_allclose(grad, made.grad, rtol=1e-12, atol=1e-12)
        for part in known or {}:
            np.testing.assert_allclose(state[part], known[part], rtol=1e-12)


def test_scan_over_steps_with_a_state():
    logits, w = problem()
    start = fj.initial_state(lambda x: f(x, w), logits)

    def step(carry, key):
        logits, state = carry

        def call(x):
            made = fj.expectation(lambda x: f(x, w), x, key, state=state)
            return made.value, made.state

        grad, state = jax.grad(call, has_aux=True)(logits)
        return (logits - grad, state), grad

    keys = jax.random.split(KEY, 3)
    (_, last), grads = jax.jit(lambda: jax.lax.scan(step, (logits, start), keys))()
    state = {name: np.asarray(x) for name, x in start.items()}
    known = fg.estimator("rebar")(
        fg.objective(lambda x: np.zeros(len(x)), grad=np.zeros_like), logits, num_samples=8, rng=0
    ).state
    state = {name: x.astype(known[name].dtype) for name, x in state.items()}
    for grad, key in zip(grads, keys, strict=True):
        made = fg.estimator("rebar")(
            objective(w), logits, num_samples=8, rng=fj.to_key(key), state=state
        )
        np.testing.assert_allclose(grad, made.grad, rtol=2e-5, atol=1e-6)
        logits, state = logits - made.grad, made.state
    assert set(last) == set(state)


@pytest.mark.parametrize("name", ["rloo", "rebar", "unordered_set"])
def test_examples_do_not_mix(name):
    logits, w = problem(name)
    weight = np.array([1.0, 0.0, -2.0], np.float32)

    def total(logits):
        def each(x):
            return jnp.cos((x * w).sum(-1))

        value = fj.expectation(each, logits, KEY, estimator=name, num_samples=4).value
        assert value.shape == (3,)
        return (weight * value).sum()

    numpy = fg.objective(
        lambda x: np.cos((x * w).sum(-1)), grad=lambda x: -np.sin((x * w).sum(-1))[..., None] * w
    )
    expected = fg.estimator(name)(numpy, logits, num_samples=4, rng=RNG).grad
    found = jax.jit(jax.grad(total))(logits)
    np.testing.assert_allclose(found, expected * weight[:, None], rtol=1e-5, atol=1e-6)


def test_credit():
    logits, w = problem()

    def both(x):
        credit = ((x - w) ** 2).sum(-1)
        return credit.sum(-1), credit

    call = functools.partial(fj.expectation, both, key=KEY, estimator="rloo")
    found = jax.jit(jax.grad(lambda x: call(x).value))(logits)
    expected = fg.estimator("rloo")(both, logits, num_samples=8, rng=RNG).grad
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_bernoulli():
    logits, w = problem()

    def g(x):
        return ((x - w) ** 2).sum((-2, -1))

    def call(x):
        return fj.expectation(g, x, KEY, estimator="disarm", distribution="bernoulli").value

    found = jax.jit(jax.grad(call))(logits)
    expected = fg.estimator("disarm")(g, fg.Bernoulli(logits), num_samples=8, rng=RNG).grad
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_what_f_closes_over_need_not_be_differentiated():
    logits, w = problem()
    call = functools.partial(loss, name="rebar")
    expected = jax.grad(call)(logits, w, KEY)
    inside = jax.jit(lambda logits, w, key: jax.grad(lambda x: call(x, w, key))(logits))
    np.testing.assert_allclose(inside(logits, w, KEY), expected, rtol=1e-5, atol=1e-6)
    again = jax.checkpoint(lambda x: call(x, w, KEY))
    np.testing.assert_allclose(jax.jit(jax.grad(again))(logits), expected, rtol=1e-5, atol=1e-6)


def test_vmap_over_keys_and_logits():
    logits, w = problem()
    keys = jax.random.split(KEY, 3)
    call = functools.partial(loss, name="rebar")
    grads = jax.vmap(jax.grad(call, (0, 1)), (None, None, 0))(logits, w, keys)
    for i, key in enumerate(keys):
        for found, expected in zip(grads, jax.grad(call, (0, 1))(logits, w, key), strict=True):
            np.testing.assert_allclose(found[i], expected, rtol=1e-5, atol=1e-6)


def test_masked_outcomes():
    logits, w = problem()
    logits[0, 1] = -np.inf
    for name in ("rebar", "arsm", "local_expectation", "enumerate"):
        found = jax.jit(jax.grad(functools.partial(loss, name=name)))(logits, w, KEY)
        expected = fg.estimator(name)(objective(w), logits, num_samples=8, rng=RNG).grad
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_an_estimator_with_options():
    logits, w = problem()
    made = fg.estimator("rebar", temperature=0.25)
    by_name = loss(logits, w, KEY, "rebar", temperature=0.25)
    np.testing.assert_array_equal(by_name, loss(logits, w, KEY, made))
    with pytest.raises(TypeError, match="estimator must be a name with options"):
        loss(logits, w, KEY, made, temperature=0.5)
    with pytest.raises(TypeError, match="has no option"):
        loss(logits, w, KEY, "rloo", temperature=0.5)
    with pytest.raises(TypeError, match="pathwise needs a distribution"):
        loss(logits, w, KEY, "pathwise")


@pytest.mark.parametrize("kind", [int, bool])
def test_values_may_be_counts_or_truths(kind):
    logits, _ = problem()
    options = {"estimator": "rloo", "num_samples": 4}
    counted = lambda x: (x.argmax(-1) == 0).sum(-1).astype(kind)  # noqa: E731
    grad = jax.grad(lambda x: fj.expectation(counted, x, KEY, **options).value)(logits)
    floats = lambda x: counted(x).astype(np.float32)  # noqa: E731
    own = jax.grad(lambda x: fj.expectation(floats, x, KEY, **options).value)(logits)
    np.testing.assert_array_equal(grad, own)
    assert np.abs(own).max() > 0


def test_errors():
    logits, w = problem()
    with pytest.raises(ValueError, match="f must return values whose shape"):
        fj.expectation(lambda x: x.sum(), logits, KEY)
    for answer in (None, {"value": 1}, [1.0], 3 * (np.zeros(8),)):
        with pytest.raises(TypeError, match="f must return an array of values"):
            fj.expectation(lambda x, answer=answer: answer, logits, KEY)
    for kind in (int, complex):
        with pytest.raises(TypeError, match="f must return floating values for rebar"):
            fj.expectation(lambda x, kind=kind: x[:, 0, 0].astype(kind), logits, KEY)
    with pytest.raises(TypeError, match="f must be a function that JAX can trace, got 3"):
        fj.expectation(3, logits, KEY)
    with pytest.raises(NotImplementedError, match="expectation can not be differentiated"):
        jax.hessian(lambda x: loss(x, w, KEY, "rebar"))(logits)
    with pytest.raises(ValueError, match="distribution must be one of"):
        fj.expectation(lambda x: f(x, w), logits, KEY, distribution="normal")
    with pytest.raises(ValueError, match="state must have the arrays"):
        fj.expectation(lambda x: f(x, w), logits, KEY, state={"other": np.zeros(3)})

    for bad in (5, "a", [1]):
        with pytest.raises(TypeError, match="state must be the dict of the last estimate, got"):
            fj.expectation(lambda x: f(x, w), logits, KEY, estimator="rloo", state=bad)
    state = fj.expectation(lambda x: f(x, w), logits, KEY).state
    for bad in (None, "a"):
        with pytest.raises(TypeError, match=r"state\['scale'\] must hold numbers, got"):
            fj.expectation(lambda x: f(x, w), logits, KEY, state=state | {"scale": bad})
    with pytest.raises(ValueError, match=r"state\['scale'\] must have shape \(1,\), got \(2,\)"):
        fj.expectation(lambda x: f(x, w), logits, KEY, state=state | {"scale": np.ones(2)})
    lost = state | {"scale": jnp.full(1, jnp.nan)}
    with pytest.raises(BAD, match=r"state\['scale'\] must be finite, got nan"):
        fj.expectation(lambda x: f(x, w), logits, KEY, state=lost).value.block_until_ready()
    with pytest.raises(TypeError, match="auto tries estimators on f before it draws"):
        fj.expectation(lambda x: f(x, w), logits, KEY, estimator="auto")

    def step(state, key):  # a carry whose structure changes: there is `initial_state` for that
        found = fj.expectation(lambda x: f(x, w), logits, key, estimator="rebar", state=state)
        return found.state, found.value

    with pytest.raises(TypeError, match="carry"):
        jax.lax.scan(step, None, jax.random.split(KEY, 2))
    with pytest.raises(ZeroDivisionError):  # an error in f is the user's own
        fj.expectation(lambda x: x[:, 0, 0] / (1 // 0), logits, KEY)
    nan = jax.jit(lambda x: fj.expectation(lambda x: x[:, 0, 0] * jnp.nan, x, KEY).value)
    with pytest.raises(BAD, match="f must be finite, got nan for sample 0"):
        nan(logits).block_until_ready()
    with pytest.raises(BAD, match="logits must be below infinity"):
        jax.jit(functools.partial(loss, name="rloo"))(logits * np.nan, w, KEY).block_until_ready()


def test_eight_threads():
    logits, w = problem()
    call = jax.jit(jax.grad(functools.partial(loss, name="rebar")))
    keys = list(jax.random.split(KEY, 8))
    expected = [np.asarray(call(logits, w, key)) for key in keys]
    found = [None] * 8

    def work(i):
        for _ in range(5):
            found[i] = np.asarray(call(logits, w, keys[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own, other)
