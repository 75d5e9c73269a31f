"""Samples of continuous families as tensors: the numbers and gradients of the NumPy API."""

import numpy as np
import pytest

import fastgrad as fg

torch = pytest.importorskip("torch")
import fastgrad.torch as fgt  # noqa: E402
from fastgrad.torch.continuous import _KINDS  # noqa: E402
from fastgrad.torch.tensors import SEEDED  # noqa: E402

pytestmark = [
    pytest.mark.optional,
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]
KEY = fg.Key(3)
PAIR = np.array([0.5, -1.0]), np.array([0.0, 0.3])
FAMILIES = {
    "Beta": dict(zip(("log_alpha", "log_beta"), PAIR)),
    "Dirichlet": {"log_concentration": np.array([[0.5, -1.0, 0.2], [0.0, 0.1, 0.2]])},
    "Exponential": {"log_rate": PAIR[0]},
    "Gamma": dict(zip(("log_concentration", "log_rate"), PAIR)),
    "Laplace": dict(zip(("loc", "log_scale"), PAIR)),
    "LogNormal": dict(zip(("loc", "log_scale"), PAIR)),
    "Logistic": dict(zip(("loc", "log_scale"), PAIR)),
    "MultivariateNormal": {
        "loc": np.array([[0.5, -1.0], [0.0, 1.0]]),
        "scale_tril": np.array([[[1.0, 0.0], [0.5, 2.0]], [[0.3, 0.0], [-1.0, 0.2]]]),
    },
    "Normal": dict(zip(("loc", "log_scale"), PAIR)),
    "StudentT": dict(zip(("log_df", "loc", "log_scale"), (np.array([1.0, 2.0]), *PAIR))),
    "Uniform": {"low": PAIR[1], "high": PAIR[1] + [0.5, 2.0]},
    "VonMises": dict(zip(("loc", "log_concentration"), PAIR)),
}
# A sample of the others is no smooth function of the bits and the parameters: its derivative is
# implicit, and no quotient of differences.
EXPLICIT = ("Exponential", "Laplace", "LogNormal", "Logistic", "MultivariateNormal", "Normal")
each = pytest.mark.parametrize("name", FAMILIES)


def given(name, dtype=np.float64, grad=False):
    """Return a family, its parameters, and these as tensors."""
    parameters = {n: x.astype(dtype) for n, x in FAMILIES[name].items()}
    tensors = {n: torch.tensor(x, requires_grad=grad) for n, x in parameters.items()}
    return getattr(fg.continuous, name), parameters, tensors


def test_every_family_is_here():
    assert {family.__name__ for family in _KINDS} == set(FAMILIES)
    assert set(FAMILIES) == set(fg.continuous.__all__) - {"Continuous"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each
def test_has_the_bits_and_products_of_the_numpy_api(name, dtype):
    family, parameters, tensors = given(name, dtype, grad=True)
    d = family(**parameters)
    x = fgt.continuous.sample(family, num_samples=3, rng=KEY, sample_offset=2, **tensors)
    np.testing.assert_array_equal(
        x.detach().numpy(), d.sample(num_samples=3, rng=KEY, sample_offset=2)
    )
    w = np.random.default_rng(0).normal(size=x.shape).astype(dtype)
    (x * torch.from_numpy(w)).sum().backward()
    products = d.transform_vjp(d.noise(3, rng=KEY, sample_offset=2), w)
    for n, product in products.items():
        np.testing.assert_array_equal(tensors[n].grad.numpy(), product.sum(axis=0))


@pytest.mark.parametrize("name", EXPLICIT)
def test_gradcheck(name):
    family, _, tensors = given(name, grad=True)

    def call(*values):
        parameters = dict(zip(tensors, values))
        if name == "MultivariateNormal":
            parameters["scale_tril"] = parameters["scale_tril"].tril()
        return fgt.continuous.sample(family, num_samples=2, rng=KEY, **parameters)

    assert torch.autograd.gradcheck(call, tuple(tensors.values()), check_batched_grad=True)


def check_operators(name):
    _, _, tensors = given(name)
    noise = (5, SEEDED, 3, 2)  # the key, the samples, and the first of them
    op = getattr(torch.ops.fastgrad, f"_continuous_{name}").default
    product = getattr(torch.ops.fastgrad, f"_continuous_{name}_vjp").default
    x = op(*tensors.values(), *noise)
    for call, args in ((op, ()), (product, (torch.ones_like(x),))):
        found = torch.library.opcheck(call, (*args, *tensors.values(), *noise))
        assert set(found.values()) == {"SUCCESS"}


@pytest.mark.parametrize("name", ["Dirichlet", "MultivariateNormal", "StudentT"])
def test_opcheck(name):
    check_operators(name)


@pytest.mark.slow
@each
def test_opcheck_of_all(name):
    check_operators(name)


@pytest.mark.parametrize("name", ["Dirichlet", "Gamma", "MultivariateNormal"])
def test_one_sample_compiles_and_vmap_is_one_large_call(name):
    family, _, tensors = given(name)

    def draw(key, *values):
        return fgt.continuous.sample(family, rng=key, **dict(zip(tensors, values)))

    values = tuple(tensors.values())
    expected = draw(KEY, *values)
    assert torch.equal(torch.func.vmap(lambda *v: draw(KEY, *v))(*values), expected)
    torch._dynamo.reset()
    compiled = torch.compile(draw, fullgraph=True, backend="aot_eager")
    for key in (KEY, fg.Key(4)):
        assert torch.equal(compiled(key, *values), draw(key, *values))
    values[-1].requires_grad_()
    (found,) = torch.autograd.grad(compiled(KEY, *values).sum(), values[-1])
    (direct,) = torch.autograd.grad(draw(KEY, *values).sum(), values[-1])
    assert torch.equal(found, direct)


def test_the_memory_is_that_of_numpys_result(monkeypatch):
    made, sample = [], fg.continuous.Normal.sample

    def spy(self, **options):
        made.append(sample(self, **options))
        return made[-1]

    monkeypatch.setattr(fg.continuous.Normal, "sample", spy)
    family, _, tensors = given("Normal")
    x = fgt.continuous.sample(family, num_samples=3, rng=KEY, **tensors)
    assert x.data_ptr() == made[0].ctypes.data


def test_types():
    loc, log_scale = torch.zeros(2, dtype=torch.bfloat16), torch.zeros(2)
    normal = fg.continuous.Normal
    x = fgt.continuous.sample(normal, rng=KEY, loc=loc, log_scale=loc)
    assert x.dtype == torch.bfloat16
    wide = fgt.continuous.sample(normal, rng=KEY, loc=loc, log_scale=log_scale)
    assert wide.dtype == torch.float32
    assert torch.equal(x, wide.to(torch.bfloat16))


def test_second_derivatives_are_refused():
    loc = torch.zeros(2, requires_grad=True)
    x = fgt.continuous.sample(fg.continuous.LogNormal, rng=KEY, loc=loc, log_scale=loc.detach())
    (g,) = torch.autograd.grad(x.sum(), loc, create_graph=True)
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        g.sum().backward()


def test_errors():
    zeros = torch.zeros(2)
    with pytest.raises(TypeError, match=r"family must be one of fastgrad\.continuous"):
        fgt.continuous.sample(fg.Categorical, rng=0, logits=zeros)
    with pytest.raises(TypeError, match="Normal has the parameters"):
        fgt.continuous.sample(fg.continuous.Normal, rng=0, loc=zeros, scale=zeros)
    with pytest.raises(ValueError, match="log_scale must have the shape of loc"):
        fgt.continuous.sample(fg.continuous.Normal, rng=0, loc=zeros, log_scale=zeros[:1])
    with pytest.raises(ValueError, match="loc must be finite"):
        fgt.continuous.sample(fg.continuous.Normal, rng=0, loc=zeros + torch.nan, log_scale=zeros)
    with pytest.raises(TypeError, match="loc must be a tensor"):
        fgt.continuous.sample(fg.continuous.Normal, rng=0, loc=0.0, log_scale=zeros)
