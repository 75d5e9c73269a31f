"""Functions of tensors for every structure: NumPy's bits, derivatives by differences, vmap."""

import functools

import numpy as np
import pytest
from structures import STRUCTURES, smooth

import fastgrad as fg

torch = pytest.importorskip("torch")
import fastgrad.torch as fgt  # noqa: E402

pytestmark = [
    pytest.mark.optional,
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]
KEY = fg.Key(4)
KINDS = (  # one of each, some in a batch
    *("KSubset", "two of Knapsack", "PlackettLuce of two", "GumbelMatching", "two of SpanningTree"),
    *("Arborescence", "two of LinearChain", "CopulaBernoulli", "Poisson", "Multinomial"),
)
RELAXED = [name for name in KINDS if "relaxation" not in STRUCTURES[name].lacks]
MEANS = [name for name in KINDS if "mean" not in STRUCTURES[name].lacks]
SCORED = [name for name in KINDS if "score" not in STRUCTURES[name].lacks]
ESTIMATORS = ("rloo", "vimco", "pooled", "rebar", "enumerate", "unordered_set", "measure_valued")
ESTIMATORS += ("gumbel_softmax", "straight_through", "optimal_st")
SINGLE = [name for name in KINDS if not STRUCTURES[name].batch_shape]


def given(name):
    d = STRUCTURES[name]
    return d, d.with_logits, torch.tensor(d.logits, requires_grad=True)


def same(found, expected):
    np.testing.assert_array_equal(found.detach().numpy(), expected)


@pytest.mark.parametrize("name", KINDS)
def test_samples_and_features_are_those_of_numpy(name):
    d, family, x = given(name)
    z = fgt.structured.sample(family, x, num_samples=3, rng=KEY, sample_offset=2)
    expected = d.sample(num_samples=3, rng=KEY, sample_offset=2)
    same(z, expected)
    assert not z.requires_grad
    same(fgt.structured.features(family, x, z), d.features(expected))
    assert fgt.structured.sample(family, x, rng=KEY).shape == expected.shape[1:]


@pytest.mark.parametrize("name", SCORED)
def test_log_prob_has_the_score_as_its_gradient(name):
    d, family, x = given(name)
    z = d.sample(num_samples=3, rng=KEY)
    value = fgt.structured.log_prob(family, x, torch.tensor(z))
    same(value, d.log_prob(z))
    value[1].sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), d.score(z)[1], rtol=1e-12)


@pytest.mark.parametrize("name", MEANS)
def test_mean(name):
    d, family, x = given(name)
    mean, r = fgt.structured.mean, np.random.default_rng(0).normal(size=d.feature_shape)
    # Where values are computed anew for the backward pass, what was saved is unpacked but once.
    value = torch.utils.checkpoint.checkpoint(lambda x: mean(family, x), x, use_reentrant=False)
    same(value, d.mean())
    (value * torch.tensor(r)).sum().backward()
    same(x.grad, d.mean_vjp(r))


@pytest.mark.parametrize("name", RELAXED)
def test_relaxed_samples(name):
    d, family, x = given(name)
    options = {"temperature": 0.7, "num_samples": 2, "rng": KEY}
    value = fgt.structured.gumbel_softmax(family, x, **options)
    same(value, d.gumbel_softmax(**options))
    r = np.random.default_rng(0).normal(size=value.shape)
    (value * torch.tensor(r)).sum().backward()
    del options["num_samples"]
    same(x.grad, d.gumbel_softmax_vjp(r, **options))


@pytest.mark.parametrize(
    "name", ["KSubset", "Knapsack", "SpanningTree", "PlackettLuce", "Binomial"]
)
def test_derivatives_by_differences(name):
    d, family, x = given(name)
    check, module = torch.autograd.gradcheck, fgt.structured
    z = torch.tensor(d.sample(num_samples=2, rng=KEY))
    assert check(lambda x: module.log_prob(family, x, z), x)
    options = {"temperature": 0.9, "rng": KEY}
    assert check(lambda x: module.gumbel_softmax(family, x, **options), x)
    if name in MEANS:
        assert check(lambda x: module.mean(family, x), x)


@pytest.mark.parametrize("name", SINGLE)
def test_rows_of_vmap_are_those_of_one_call(name):
    d, family, x = given(name)
    rows = torch.stack([x.detach(), x.detach() + 0.1])
    both, vmap, module = d.with_logits(rows.numpy()), torch.func.vmap, fgt.structured
    z = both.sample(num_samples=3, rng=KEY)
    draw = functools.partial(module.sample, family, num_samples=3, rng=KEY)
    same(vmap(draw, out_dims=1)(rows), z)
    if name in SCORED:
        call = functools.partial(module.log_prob, family)
        same(vmap(call, in_dims=(0, 1), out_dims=1)(rows, torch.tensor(z)), both.log_prob(z))
        grads = vmap(torch.func.grad(lambda x, z: call(x, z).sum()), in_dims=(0, 1))
        found = grads(rows, torch.tensor(z))
        np.testing.assert_allclose(found.numpy(), both.score(z).sum(axis=0), rtol=1e-12)
    if name in MEANS:
        same(vmap(functools.partial(module.mean, family))(rows), both.mean())
    if name in RELAXED:
        options = {"temperature": 0.7, "rng": KEY}
        call = functools.partial(module.gumbel_softmax, family, **options)
        same(vmap(call)(rows), both.gumbel_softmax(**options))
        y, back = torch.func.vjp(call, rows)
        r = torch.linspace(-1, 1, 2 * y.numel(), dtype=y.dtype).reshape(2, *y.shape)
        for found, one in zip(vmap(back)(r)[0], r, strict=True):  # as `jacrev` maps them
            same(found, back(one)[0].numpy())


@pytest.mark.parametrize("name", KINDS)
def test_expectations_are_those_of_numpy(name):
    d, family, x = given(name)
    f, w = (
        smooth(d.feature_shape[len(d.batch_shape) :]),
        torch.ones((), dtype=torch.float64, requires_grad=True),
    )
    axes = tuple(range(-len(d.feature_shape) + len(d.batch_shape), 0))
    size = int(np.prod(d.feature_shape[len(d.batch_shape) :]))
    shape = d.feature_shape[len(d.batch_shape) :]
    a = torch.tensor(np.random.default_rng(size).normal(size=shape) / np.sqrt(size))

    def of_tensors(x):
        products = x * a
        return w * (products.sum(dim=axes) if axes else products).exp()

    for estimator in fg.list_estimators(distribution=d):
        if estimator not in ESTIMATORS:
            continue
        run = fg.estimator(estimator)
        expected = run(f, d, num_samples=4, rng=KEY)
        given_to = {"estimator": estimator, "num_samples": 4, "rng": KEY, "family": family}
        value = fgt.expectation(of_tensors, x, **given_to)
        np.testing.assert_allclose(value.detach().numpy(), expected.value, rtol=1e-12)
        by_x, by_w = torch.autograd.grad(value.sum(), (x, w))
        bound = 1e-12 * max(1.0, abs(expected.grad).max())
        np.testing.assert_allclose(by_x.numpy(), expected.grad, rtol=1e-9, atol=bound)
        if estimator not in ("vimco", "max_at_k"):  # f is linear in w
            np.testing.assert_allclose(float(by_w), np.sum(expected.value), rtol=1e-9)


def test_second_derivatives_are_refused():
    _, family, x = given("KSubset")
    (grad,) = torch.autograd.grad(fgt.structured.mean(family, x)[0], x, create_graph=True)
    with pytest.raises(NotImplementedError, match="the gradient of mean can not be different"):
        grad.sum().backward()


def test_half_precision_and_graphs():
    pairs = functools.partial(fg.subset.KSubset, k=2)
    assert fgt.structured.mean(pairs, torch.zeros(5, dtype=torch.bfloat16)).dtype == torch.bfloat16
    compiled = torch.compile(lambda x: fgt.structured.mean(pairs, x) * 2, backend="eager")
    torch.testing.assert_close(compiled(torch.zeros(4)), torch.ones(4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_samples_may_be_of_half_precision(dtype):
    pairs = functools.partial(fg.subset.KSubset, k=2)
    x, z = torch.zeros(4), torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    for function in (fgt.structured.log_prob, fgt.structured.features):
        torch.testing.assert_close(function(pairs, x, z.to(dtype)), function(pairs, x, z))


@pytest.mark.parametrize(
    ("family", "softmax"),
    [(fg.Categorical, lambda x: x.softmax(dim=-1)), (fg.Bernoulli, torch.sigmoid)],
)
def test_rows_have_means_too(family, softmax):
    x = torch.tensor([[0.3, -1.0, 0.4], [0.1, 0.2, -torch.inf]], requires_grad=True)
    for loss in (lambda p: (p**2).sum(), lambda p: p[:, 0].sum()):
        values = [loss(p(x)) for p in (functools.partial(fgt.structured.mean, family), softmax)]
        torch.testing.assert_close(*values)
        torch.testing.assert_close(*(torch.autograd.grad(value, x) for value in values))


def test_what_is_refused():
    x, module = torch.zeros(3), fgt.structured
    pairs = functools.partial(fg.subset.KSubset, k=2)
    with pytest.raises(TypeError, match=r"family must make a distribution of an array .* got 3"):
        module.mean(3, x)
    with pytest.raises(TypeError, match=r"family must make a distribution with logits .* got str"):
        module.mean(lambda x: "no", x)
    with pytest.raises(TypeError, match=r"whose logits have the shape \(3,\), got \(1, 3\)"):
        module.mean(lambda x: pairs(x[None]), x)
    with pytest.raises(TypeError, match="PlackettLuce has no mean: the mean of its permutation"):
        module.mean(fg.permutation.PlackettLuce, x)
    three = functools.partial(fg.counts.Multinomial, total_count=3)
    with pytest.raises(TypeError, match="Multinomial has no gumbel_softmax: its counts are sums"):
        module.gumbel_softmax(three, x, temperature=1.0, rng=0)
    heat = torch.tensor(0.5, requires_grad=True)
    with pytest.raises(ValueError, match="temperature must not require grad"):
        module.gumbel_softmax(pairs, x, temperature=heat, rng=0)
    with pytest.raises(ValueError, match="z must be from 0 to 2, got 3"):
        module.features(fg.permutation.PlackettLuce, x, torch.tensor([0, 1, 3]))
    with pytest.raises(TypeError, match="logits must be a tensor, got ndarray"):
        module.sample(pairs, np.zeros(3), rng=0)
    with pytest.raises(TypeError, match=r"family must make a distribution of an array .* got 'no'"):
        fgt.expectation(lambda x: x[:, 0], x, estimator="rloo", rng=0, family="no")
    bits = torch.distributions.Bernoulli(logits=x)
    with pytest.raises(TypeError, match="family goes with a tensor of logits, got Bernoulli"):
        fgt.expectation(lambda x: x[:, 0], bits, estimator="rloo", rng=0, family=pairs)
    with pytest.raises(TypeError, match="rebar does not work with KSubset: no Gumbel noise"):
        fgt.expectation(lambda x: x[:, 0], x, rng=0, family=pairs)
