"""Expectations of functions of tensors, against the NumPy API and against plain autograd."""

import functools
import gc
import itertools
import math

import numpy as np
import pytest

import fastgrad as fg

torch = pytest.importorskip("torch")
import fastgrad.torch as fgt  # noqa: E402

pytestmark = [
    pytest.mark.optional,
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]
KEY, RNG = fg.Key(11), np.random.default_rng(2)
LOGITS = RNG.normal(size=(3, 2))
W = RNG.normal(size=2)
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-12}
SETS = ("unordered_set", "importance_weighted", "sum_and_sample")  # of distinct outcomes
each = pytest.mark.parametrize("name", fg.list_estimators())


def count(name):
    """Return a number of samples."""
    return 2 if name in SETS else 4


def numpy_f(x, w=W):
    """One value for each example, (S, 3)."""
    return np.square(x @ w - 0.3) + (x @ w)


def numpy_grad(x, w=W):
    return (2 * (x @ w - 0.3) + 1)[..., None] * w


def torch_f(x, w):
    return (x @ w - 0.3).square() + x @ w


def estimates(name, dtype, f=torch_f, of_arrays=numpy_f, grad=numpy_grad, **options):
    """Return the estimate of arrays, and value, logits and parameters of that of tensors."""
    x, w = LOGITS.astype(dtype), W.astype(dtype)
    logits, weights = (torch.tensor(a, requires_grad=True) for a in (x, w))
    objective = fg.objective(functools.partial(of_arrays, w=w), grad=functools.partial(grad, w=w))
    expected = fg.estimator(name, **options)(objective, x, num_samples=count(name), rng=KEY)
    value = fgt.expectation(
        lambda x: f(x, weights),
        logits,
        estimator=name,
        num_samples=count(name),
        rng=KEY,
        **options,
    )
    return expected, value, logits, weights


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each
def test_equals_the_numpy_api(name, dtype):
    expected, value, logits, _ = estimates(name, dtype)
    value.sum().backward()
    bound = TOLERANCE[dtype] * max(1, abs(expected.grad).max())
    assert value.detach().numpy().dtype == logits.grad.numpy().dtype == dtype
    np.testing.assert_allclose(value.detach().numpy(), expected.value, rtol=0, atol=bound)
    np.testing.assert_allclose(logits.grad.numpy(), expected.grad, rtol=0, atol=bound)


def value_of(name, logits, weights):
    """Compute the value anew as a function of the weights, at the same samples."""
    d = fg.Categorical(logits)
    estimator = fg.estimator(name)
    draws = estimator.draw(d, 4, KEY)
    if name == "enumerate":
        table = torch_f(torch.eye(2, dtype=torch.float64), weights)
        return torch.from_numpy(np.exp(fg.log_softmax(logits))) @ table
    if name == "gumbel_softmax":
        return torch_f(torch.from_numpy(draws.copy()), weights).mean(0)
    if name in SETS:
        # All values are linear in f, so is the estimate: it is known from f = 1 at each outcome.
        table = torch_f(torch.eye(2, dtype=torch.float64), weights)
        parts = [
            estimator(
                fg.objective(index=lambda x, k=k: (x == k) * 1.0), logits, num_samples=2, rng=KEY
            ).value
            for k in range(2)
        ]
        return sum(torch.from_numpy(p) * table[k] for k, p in enumerate(parts))
    x = torch.from_numpy(np.array(estimator.samples(d, draws)))
    values = torch_f(x, weights)
    if name == "vimco":
        return values.logsumexp(0) - math.log(4)
    if name == "max_at_k":
        pairs = itertools.combinations(values, 2)
        return torch.stack([torch.maximum(*pair) for pair in pairs]).mean(0)
    return values.mean(0)


@each
def test_parameters_of_f_have_the_gradient_of_autograd(name):
    factors = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64)
    logits = torch.tensor(LOGITS, requires_grad=True)
    weights, other = (torch.tensor(W, requires_grad=True) for _ in range(2))
    value = fgt.expectation(
        lambda x: torch_f(x, weights), logits, estimator=name, num_samples=count(name), rng=KEY
    )
    (value * factors).sum().backward()
    expected = value_of(name, LOGITS, other)
    (expected * factors).sum().backward()
    torch.testing.assert_close(weights.grad, other.grad, rtol=1e-12, atol=1e-12)
    if name != "arsm":  # whose value has more in it than the samples
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)


@each
def test_examples_have_their_own_cotangents(name):
    expected, value, logits, _ = estimates(name, np.float64)
    factors = np.array([0.5, -2.0, 3.0])
    (value * torch.from_numpy(factors)).sum().backward()
    np.testing.assert_allclose(logits.grad.numpy(), factors[:, None] * expected.grad, rtol=1e-12)


@pytest.mark.parametrize("name", ["rloo", "rebar", "local_expectation", "straight_through"])
def test_one_value_for_the_whole_sample(name):
    expected, value, logits, weights = estimates(
        name,
        np.float64,
        f=lambda x, w: torch_f(x, w).prod(-1),
        of_arrays=lambda x, w: numpy_f(x, w).prod(-1),
        grad=lambda x, w: (
            (numpy_f(x, w).prod(-1, keepdims=True) / numpy_f(x, w))[..., None] * numpy_grad(x, w)
        ),
    )
    (2 * value).backward()
    assert value.shape == ()
    np.testing.assert_allclose(logits.grad.numpy(), 2 * expected.grad, rtol=0, atol=1e-12)
    assert weights.grad is not None


@pytest.mark.parametrize("name", ["rloo", "rebar", "disarm"])
def test_credit(name):
    expected, value, logits, _ = estimates(
        name,
        np.float64,
        f=lambda x, w: (torch_f(x, w).sum(-1), torch_f(x, w)),
        of_arrays=lambda x, w: (numpy_f(x, w).sum(-1), numpy_f(x, w)),
    )
    value.backward()
    np.testing.assert_allclose(logits.grad.numpy(), expected.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["rloo", "local_expectation", "unordered_set", "disarm"])
def test_indices(name):
    logits, table = (torch.tensor(x, requires_grad=True) for x in (LOGITS, W))
    value = fgt.expectation(
        lambda z: table[z], logits, estimator=name, num_samples=2, rng=KEY, index=True
    )
    value.sum().backward()
    expected = fg.estimator(name)(lambda x: x @ W, LOGITS, num_samples=2, rng=KEY)
    np.testing.assert_allclose(logits.grad.numpy(), expected.grad, rtol=0, atol=1e-12)
    np.testing.assert_allclose(value.detach().numpy(), expected.value, rtol=0, atol=1e-12)
    assert abs(float(table.grad.sum()) - 3) < 1e-12


@pytest.mark.parametrize("name", [name for name in fg.list_estimators() if name != "arsm"])
def test_distributions_of_torch(name):
    logits = torch.tensor(LOGITS[:, 0], requires_grad=True)
    given = torch.distributions.Independent(torch.distributions.Bernoulli(logits=logits), 1)
    objective = fg.objective(lambda x: (x - 0.3) ** 2, grad=lambda x: 2 * (x - 0.3))
    expected = fg.estimator(name)(objective, fg.Bernoulli(LOGITS[:, 0]), num_samples=2, rng=KEY)
    value = fgt.expectation(
        lambda x: (x - 0.3).square(), given, estimator=name, num_samples=2, rng=KEY
    )
    value.sum().backward()
    np.testing.assert_allclose(logits.grad.numpy(), expected.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["Categorical", "OneHotCategorical"])
def test_probabilities_of_a_distribution_get_their_gradient(kind):
    p = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64, requires_grad=True)
    w = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    given = getattr(torch.distributions, kind)(probs=p)
    value = fgt.expectation(lambda x: x @ w, given, estimator="enumerate", rng=0)
    value.backward()
    assert float(value.detach()) == pytest.approx(2.8)
    q = p.detach().clone().requires_grad_()
    (w @ (q / q.sum())).backward()
    torch.testing.assert_close(p.grad, q.grad)


def test_state_goes_in_and_comes_out():
    logits, state, other = torch.tensor(LOGITS), None, None
    objective = fg.objective(numpy_f, grad=numpy_grad)
    for key in KEY.split(3):
        expected = fg.estimator("rebar")(objective, LOGITS, num_samples=4, rng=key, state=other)
        other = expected.state
        _, state = fgt.expectation_and_state(
            lambda x: torch_f(x, torch.from_numpy(W)),
            logits,
            num_samples=4,
            rng=key,
            state=state,
        )
    assert state.keys() == other.keys()
    for name, x in state.items():
        np.testing.assert_allclose(x, other[name], rtol=1e-12)


@pytest.mark.parametrize("name", ["rebar", "relax", "reinforce"])
def test_a_state_goes_through_a_checkpoint(name, tmp_path):
    logits = torch.tensor(LOGITS)
    options = {"estimator": name, "num_samples": 4, "rng": KEY}
    if name == "reinforce":
        options["baseline"] = "moving_average"
    f = functools.partial(torch_f, w=torch.from_numpy(W))
    _, state = fgt.expectation_and_state(f, logits, **options)
    torch.save({"key": KEY, "state": state}, tmp_path / "checkpoint.pt")
    loaded = torch.load(tmp_path / "checkpoint.pt")  # which takes but what it knows
    assert loaded["key"] == KEY
    expected = fgt.expectation_and_state(f, logits, state=state, **options)
    found = fgt.expectation_and_state(f, logits, state=loaded["state"], **options)
    assert torch.equal(found[0], expected[0])
    assert all(torch.equal(x, expected[1][name]) for name, x in found[1].items())
    arrays = {name: x.numpy() for name, x in state.items()}
    assert torch.equal(fgt.expectation_and_state(f, logits, state=arrays, **options)[0], found[0])


def test_a_state_of_halves_or_of_another_device():
    logits = torch.tensor(LOGITS)
    f = functools.partial(torch_f, w=torch.from_numpy(W))
    _, state = fgt.expectation_and_state(f, logits, rng=KEY)
    halves = {name: x.bfloat16() if x.is_floating_point() else x for name, x in state.items()}
    rounded = {name: x.to(state[name].dtype) for name, x in halves.items()}
    found, expected = (
        fgt.expectation_and_state(f, logits, rng=KEY, state=x) for x in (halves, rounded)
    )
    torch.testing.assert_close(found[0], expected[0])
    away = {name: x.to("meta") for name, x in state.items()}
    with pytest.raises(ValueError, match=r"state\['.*'\] must be on the CPU, .* got device meta"):
        fgt.expectation_and_state(f, logits, rng=KEY, state=away)


@each
def test_f_is_evaluated_once_at_each_point(name):
    seen = []

    def f(x):
        seen.append(x.detach().clone())
        return torch_f(x, torch.from_numpy(W))

    expected, value, _, _ = estimates(name, np.float64, f=lambda x, w: f(x))
    assert value.shape == (3,)
    assert sum(map(len, seen)) <= expected.evaluations


def test_no_grad_makes_no_graph():
    logits, weights = (torch.tensor(x, requires_grad=True) for x in (LOGITS, W))
    with torch.no_grad():
        value = fgt.expectation(lambda x: torch_f(x, weights), logits, rng=KEY)
    assert not value.requires_grad


def test_inference_mode_takes_gradients_of_f():
    logits, w = torch.from_numpy(LOGITS), torch.tensor(W, requires_grad=True)
    options = {"estimator": "rebar", "num_samples": 4, "rng": KEY}
    expected = fgt.expectation(lambda x: torch_f(x, w), logits, **options)
    with torch.inference_mode():
        value = fgt.expectation(lambda x: torch_f(x, w), logits, **options)
    assert torch.equal(value, expected)
    assert not value.requires_grad


def test_halves():
    logits = torch.tensor(LOGITS, dtype=torch.bfloat16, requires_grad=True)
    w = torch.tensor(W, dtype=torch.bfloat16, requires_grad=True)
    value = fgt.expectation(lambda x: x @ w, logits, rng=KEY)
    value.sum().backward()
    assert value.dtype == logits.grad.dtype == w.grad.dtype == torch.bfloat16


def test_second_derivatives_are_refused():
    logits = torch.tensor(LOGITS, requires_grad=True)
    value = fgt.expectation(lambda x: torch_f(x, torch.from_numpy(W)), logits, rng=KEY)
    (g,) = torch.autograd.grad(value.sum(), logits, create_graph=True)
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        (g.square().sum() + logits.pow(3).sum()).backward()  # in part known to torch


@pytest.mark.parametrize("transform", ["none", "torch.func"])
def test_mixed_second_derivatives_are_refused(transform):
    w = torch.tensor(W, requires_grad=True)

    def value(logits, w):
        return fgt.expectation(lambda x: torch_f(x, w), logits, rng=KEY).sum()

    def slope(logits, w, by):
        if transform == "none":
            return torch.autograd.grad(value(logits, w), (logits, w)[by], create_graph=True)[0]
        return torch.func.grad(value, by)(logits, w)

    for by in (0, 1):  # the one by the other
        logits = torch.tensor(LOGITS, requires_grad=True)
        loss = slope(logits, w, by).square().sum() + w.square().sum() + logits.pow(3).sum()
        with pytest.raises(NotImplementedError, match="first derivatives only"):
            torch.autograd.grad(loss, (w, logits)[by])


def test_second_derivatives_by_parameters_are_those_of_torch():
    logits, w = torch.tensor(LOGITS, requires_grad=True), torch.tensor(W, requires_grad=True)
    seen = []

    def f(x):
        seen.append(x.detach().clone())
        return torch_f(x, w)

    value = fgt.expectation(f, logits, estimator="rloo", num_samples=4, rng=KEY).square().sum()
    (g,) = torch.autograd.grad(value, w, create_graph=True)
    (found,) = torch.autograd.grad(g.square().sum(), w)
    (x,) = seen
    (g,) = torch.autograd.grad(torch_f(x, w).mean(0).square().sum(), w, create_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(g.square().sum(), w)[0])


def test_takes_a_generator_of_torch():
    logits = torch.tensor(LOGITS)
    found = [
        fgt.expectation(
            lambda x: x[..., 0], logits, estimator="rloo", rng=torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


# -- errors ---------------------------------------------------------------------------------------


def ask(f, name="rebar", logits=LOGITS, **options):
    return fgt.expectation(f, torch.tensor(logits), estimator=name, rng=KEY, **options)


def test_what_f_raises_comes_through():
    with pytest.raises(ZeroDivisionError):
        ask(lambda x: 1 / 0)


def test_values_must_be_finite_tensors():
    with pytest.raises(ValueError, match="f must be finite, got nan for sample 0"):
        ask(lambda x: x[..., 0] * torch.nan)
    with pytest.raises(TypeError, match="the value of f must be a tensor, got ndarray"):
        ask(lambda x: x.detach().numpy())
    with pytest.raises(ValueError, match="the value of f must be on the CPU"):
        ask(lambda x: x[..., 0].to("meta"))
    with pytest.raises(ValueError, match="leading part"):
        ask(lambda x: x[0])
    with pytest.raises(TypeError, match=r"the value of f must be .* got torch\.complex64"):
        ask(lambda x: x[..., 0].to(torch.complex64))


@pytest.mark.parametrize("of", [lambda x: x.argmax(dim=-1), lambda x: x[..., 0] > 0])
def test_counts_and_truths_are_values_as_in_the_numpy_api(of):
    expected = ask(lambda x: of(x).to(x.dtype), "rloo")
    assert torch.equal(ask(of, "rloo"), expected)
    assert torch.equal(ask(lambda x: (of(x), of(x)), "rloo"), expected)


@pytest.mark.parametrize("name", ["rebar", "muprop", "double_cv", "straight_through"])
def test_f_must_depend_on_samples_by_functions_with_a_gradient(name):
    with pytest.raises(ValueError, match=f"f must be differentiable by the samples for {name}"):
        ask(lambda x: x.detach()[..., 0], name)
    with pytest.raises(TypeError, match=f"{name} needs"):
        ask(lambda z: z * 1.0, name, index=True)


def test_other_things_are_refused():
    with pytest.raises(TypeError, match="f must be a function of tensors"):
        ask(fg.objectives.linear([1.0, 2.0]))
    with pytest.raises(TypeError, match="options go with an estimator's name, got temperature"):
        ask(lambda x: x[..., 0], fg.estimator("rloo"), temperature=1.0)
    with pytest.raises(ValueError, match="logits must be on the CPU"):
        fgt.expectation(lambda x: x, torch.zeros(3, device="meta"), rng=KEY)


@pytest.mark.parametrize("name", ["rloo", "rebar", "gumbel_softmax"])
def test_no_cycles_hold_arrays_and_graphs(name):
    w = torch.ones(3, requires_grad=True)

    def step():
        logits = torch.zeros(5, 3, requires_grad=True)
        value = fgt.expectation(lambda x: (x @ w).square(), logits, estimator=name, rng=0)
        value.sum().backward()

    def found():
        gc.collect()
        step()
        return gc.collect()

    gc.disable()
    try:
        gc.freeze()  # what is there is not looked through again
        assert any(found() == 0 for _ in range(4))  # other garbage comes once, as by compilers
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # at which Dynamo looks
def test_graphs_are_broken_around_it():
    """Dynamo must not trace the estimator: it fails inside of Numba, which no caller can catch."""
    x = torch.tensor(LOGITS, requires_grad=True)
    loss = lambda x: fgt.expectation(lambda z: z[..., 0].sum(-1), x, rng=KEY) * 3  # noqa: E731
    compiled = torch.compile(loss, backend="eager", dynamic=True)
    (found,), (expected,) = (torch.autograd.grad(f(x), x) for f in (compiled, loss))
    torch.testing.assert_close(found, expected)
