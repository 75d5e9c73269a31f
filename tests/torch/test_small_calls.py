"""Serial calls by addresses: the bits of the NumPy API, and what they leave to it."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import _validate

torch = pytest.importorskip("torch")
import fastgrad.torch as fgt  # noqa: E402
from fastgrad.torch import small_calls  # noqa: E402

pytestmark = pytest.mark.optional
LOGITS = np.random.default_rng(5).normal(size=(2, 3, 4))
HEAT = {"temperature": 0.7}


def arguments(**changed):
    """Return the arguments of an operator, the operand first."""
    given = {"logits": torch.from_numpy(LOGITS.copy()), "temperature": 0.7, "key_0": 1, "key_1": 2}
    given |= {"num_samples": None, "hard": False, "log": False}
    return (given | {"row_offset": 0, "sample_offset": 0} | changed).values()


@pytest.fixture
def alone(monkeypatch):
    """Let nothing be checked by the NumPy API: a call that needs it fails."""
    monkeypatch.delattr(_validate, "rows")
    monkeypatch.delattr(_validate, "real_array")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"rng": fg.Key(3)},
        {"rng": 3, "num_samples": 1},
        {"rng": 3, "num_samples": 5, "row_offset": 2**33 + 1, "sample_offset": 7},
    ],
)
def test_bits_of_values_and_products(dtype, options, request):
    logits = LOGITS.astype(dtype)
    expected = fg.gumbel_softmax(logits, **HEAT, **options)
    w = np.random.default_rng(1).normal(size=expected.shape).astype(dtype)
    place = {name: x for name, x in options.items() if name != "num_samples"}
    product, of_sum = (fg.gumbel_softmax_vjp(logits, r, **HEAT, **place) for r in (w, w * 0 + 1))
    x = torch.tensor(logits, requires_grad=True)
    fgt.gumbel_softmax(x, **HEAT, rng=0).sum().backward()  # compiled once
    request.getfixturevalue("alone")
    y = fgt.gumbel_softmax(x, **HEAT, **options)
    (grad,) = torch.autograd.grad(y, x, torch.from_numpy(w), retain_graph=True)
    (of_ones,) = torch.autograd.grad(y.sum(), x)  # whose strides are 0
    np.testing.assert_array_equal(of_ones.numpy(), of_sum)
    assert y.dtype == grad.dtype == x.dtype
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    np.testing.assert_array_equal(grad.numpy(), product)
    np.testing.assert_array_equal(
        fgt.gumbel_softmax(x.detach(), **HEAT, **options).numpy(), expected
    )


LEFT = {
    "a tensor as temperature": {"temperature": torch.tensor(0.7)},
    "a temperature out of range": {"temperature": 1e-20},
    "NaN as temperature": {"temperature": float("nan")},
    "no samples": {"num_samples": 0},
    "a NumPy integer": {"num_samples": np.int64(3)},
    "a bool": {"num_samples": True},
    "a negative row": {"row_offset": -1},
    "a row out of range": {"row_offset": 2**41},
    "samples out of range": {"sample_offset": 2**32},
    "hard": {"hard": True},
    "logarithms": {"log": True},
    "a row of nothing": {"logits": torch.tensor([[0.0, 0.0], [-torch.inf, -torch.inf]])},
    "infinity": {"logits": torch.tensor([0.0, torch.inf])},
    "NaN": {"logits": torch.tensor([0.0, torch.nan])},
    "strides": {"logits": torch.zeros(3, 4).T},
    "a lazy sign": {"logits": torch.complex(torch.zeros(3), torch.ones(3)).conj().imag},
    "a sparse tensor": {"logits": torch.eye(3).to_sparse()},
    "no rows": {"logits": torch.zeros(0, 3)},
    "no axes": {"logits": torch.tensor(1.0)},
}


@pytest.mark.parametrize("name", LEFT)
def test_leaves_to_the_usual_way(name):
    draw = small_calls.GUMBEL_SOFTMAX.forward
    assert draw(*arguments(logits=torch.zeros(1, 3))) is not None
    assert draw(*arguments(**LEFT[name])) is None


def test_leaves_what_several_threads_do(monkeypatch):
    draw = small_calls.GUMBEL_SOFTMAX.forward
    monkeypatch.setattr(small_calls, "plan", lambda work: 1 if work < 2**16 else 2)
    assert draw(*arguments(logits=torch.zeros(4096, 15))) is not None
    assert draw(*arguments(logits=torch.zeros(4096, 16))) is None
    assert draw(*arguments(logits=torch.zeros(64, 16), num_samples=64)) is None


@pytest.mark.parametrize("masked", [False, True])
def test_bits_of_many_numbers(masked, monkeypatch, request):
    logits = np.random.default_rng(7).normal(size=(5000, 16)).astype(np.float32)
    if masked:
        logits[::3, 2] = -np.inf
    w = np.random.default_rng(8).normal(size=logits.shape).astype(np.float32)
    expected = fg.gumbel_softmax(logits, **HEAT, rng=3)
    product = fg.gumbel_softmax_vjp(logits, w, **HEAT, rng=3)
    monkeypatch.setattr(small_calls, "plan", lambda work: 1)  # as one thread does
    x = torch.tensor(logits, requires_grad=True)
    fgt.gumbel_softmax(x[:1], **HEAT, rng=0).sum().backward()  # compiled once
    request.getfixturevalue("alone")
    y = fgt.gumbel_softmax(x, **HEAT, rng=3)
    (grad,) = torch.autograd.grad(y, x, torch.from_numpy(w))
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    np.testing.assert_array_equal(grad.numpy(), product)


def test_leaves_tensors_without_memory():
    x = torch.zeros(2, 3)
    x.untyped_storage().resize_(0)
    assert small_calls.GUMBEL_SOFTMAX.forward(*arguments(logits=x)) is None


@pytest.mark.parametrize("masked", [False, True])
def test_products_that_are_left_have_the_same_bits(masked):
    logits = LOGITS.copy()
    if masked:
        logits[0, 0, 1] = -np.inf
    w = np.random.default_rng(1).normal(size=logits.shape)
    x = torch.tensor(logits, requires_grad=True)
    y = fgt.gumbel_softmax(x, **HEAT, rng=3)
    strided = torch.from_numpy(w.transpose(2, 0, 1).copy()).permute(1, 2, 0)
    ones = torch.ones((), dtype=torch.float64).expand(logits.shape)
    for cotangent in (torch.from_numpy(w), strided, ones):
        (grad,) = torch.autograd.grad(y, x, cotangent, retain_graph=True)
        expected = fg.gumbel_softmax_vjp(logits, cotangent.numpy(), **HEAT, rng=3)
        np.testing.assert_array_equal(grad.numpy(), expected)


@pytest.mark.parametrize("changed", ["double", "flatten", "t"])
def test_saved_results_that_hooks_have_changed_are_left(changed):
    x = torch.zeros(3, 3, requires_grad=True)
    y = fgt.gumbel_softmax(x, **HEAT, rng=3)
    saved, call = getattr(y.detach(), changed)(), (True, 3, 3, 1, 1 / 0.7)
    assert small_calls.GUMBEL_SOFTMAX.product(torch.ones(3, 3), saved, call) is None
    for bad in (lambda g: g[:1], lambda g: g.double()):  # of the result: autograd refuses these
        y = fgt.gumbel_softmax(x, **HEAT, rng=3)
        y.register_hook(bad)
        with pytest.raises(RuntimeError, match=r"has changed the (size|type)"):
            y.sum().backward()
