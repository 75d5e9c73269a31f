"""Expectations inside the transforms of `torch.func`, against the call of all rows."""

import numpy as np
import pytest

import fastgrad as fg

torch = pytest.importorskip("torch")
from torch.func import grad, grad_and_value, jacrev, vjp, vmap  # noqa: E402

import fastgrad.torch as fgt  # noqa: E402

pytestmark = [
    pytest.mark.optional,
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),  # of torch's own code
]
KEY, RNG = fg.Key(11), np.random.default_rng(2)
LOGITS = torch.from_numpy(RNG.normal(size=(3, 2)))
W = torch.from_numpy(RNG.normal(size=2))
SETS = ("unordered_set", "importance_weighted", "sum_and_sample")  # of distinct outcomes


def f(x, w=W):
    return (x @ w - 0.3).square() + x @ w


def estimate(logits, w=W, name="rebar", f=f, **options):
    options = {"num_samples": 2 if name in SETS else 4} | options
    return fgt.expectation(lambda x: f(x, w), logits, estimator=name, rng=KEY, **options)


def slopes(name="rebar", logits=LOGITS, w=W, **options):
    """Return value and gradients of one call, by autograd."""
    logits, w = (x.clone().requires_grad_() for x in (logits, w))
    value = estimate(logits, w, name, **options)
    return value.detach(), *torch.autograd.grad(value.sum(), [logits, w])


@pytest.mark.parametrize("name", fg.list_estimators())
def test_rows_that_are_mapped_are_those_of_one_call(name):
    expected, by_logits, by_w = slopes(name)
    own, value = vmap(grad_and_value(lambda x: estimate(x, name=name)))(LOGITS)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(own, by_logits, rtol=1e-12, atol=1e-12)
    shared = vmap(grad(lambda w, x: estimate(x, w, name)), (None, 0))(W, LOGITS)
    torch.testing.assert_close(shared.sum(0), by_w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["rloo", "rebar", "vimco", "gumbel_softmax"])
def test_gradients_of_both_kinds(name):
    def total(x, w):
        return estimate(x, w, name).sum()

    _, by_logits, by_w = slopes(name)
    found = grad(total, (0, 1))(LOGITS, W)
    torch.testing.assert_close(found, (by_logits, by_w), rtol=1e-12, atol=1e-12)


def test_maps_may_be_nested_along_any_axes():
    logits = torch.from_numpy(RNG.normal(size=(2, 3, 2)))
    expected, by_logits, _ = slopes(logits=logits)
    call = grad_and_value(lambda x: estimate(x))
    own, value = vmap(vmap(call, 1), 0)(logits.movedim(1, 2))
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(own, by_logits, rtol=1e-12, atol=1e-12)

    def loss(x):  # the gradient outside, with a batch inside
        return vmap(lambda x: estimate(x).mean())(x).sum()

    torch.testing.assert_close(grad(loss)(logits), by_logits / 3, rtol=1e-12, atol=1e-12)


def test_rows_have_their_own_parameters_targets_and_credit():
    targets = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)

    def near(x, w, target):
        parts = (x - target).square() @ w
        return parts.sum(-1), parts

    logits = torch.from_numpy(RNG.normal(size=(3, 4, 2)))
    found = vmap(grad(lambda x, t: estimate(x, name="rloo", f=lambda x, w: near(x, w, t))))(
        logits, targets
    )
    _, expected, _ = slopes("rloo", logits, f=lambda x, w: near(x, w, targets[:, None, None]))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_indices_and_constants_are_mapped():
    table = torch.tensor([1.0, 3.0], dtype=torch.float64)
    found = vmap(
        lambda x: fgt.expectation(lambda z: table[z], x, estimator="rloo", rng=KEY, index=True)
    )(LOGITS)
    expected = fgt.expectation(lambda z: table[z], LOGITS, estimator="rloo", rng=KEY, index=True)
    assert torch.equal(found, expected)
    ones = vmap(lambda x: estimate(x, name="rloo", f=lambda x, w: torch.ones(len(x))))(LOGITS)
    assert torch.equal(ones, torch.ones(3, dtype=torch.float64))


def test_plain_parameters_get_their_gradient_through_a_map():
    w = W.clone().requires_grad_()
    vmap(lambda x: estimate(x, w))(LOGITS).sum().backward()
    torch.testing.assert_close(w.grad, slopes()[2], rtol=1e-12, atol=1e-12)


def test_chunks_of_vmap_share_their_noise():
    """As the docstring of the module says: a chunk does not know its place."""
    draw = lambda x: fgt.sample(x, num_samples=5, rng=0)  # noqa: E731
    x = torch.zeros(4, 2, 3)
    whole, chunked = (torch.func.vmap(draw, chunk_size=size)(x) for size in (None, 2))
    assert torch.equal(chunked, torch.cat([whole[:2], whole[:2]]))


def test_halves_and_negative_views():
    x = LOGITS.to(torch.bfloat16)
    own = vmap(grad(lambda x: estimate(x, W.to(torch.bfloat16))))(x)
    assert own.dtype == torch.bfloat16
    negative = torch.complex(torch.zeros_like(LOGITS), -LOGITS).conj().imag
    assert torch.equal(grad(lambda x: estimate(x).sum())(negative), slopes()[1])


def test_jacobians_are_products_one_by_one():
    whole = jacrev(lambda x: estimate(x))(LOGITS)
    _, back = vjp(lambda x: estimate(x), LOGITS)
    for row, one in zip(whole, torch.eye(3, dtype=torch.float64), strict=True):
        torch.testing.assert_close(row, back(one)[0], rtol=1e-12, atol=1e-15)


def test_what_makes_no_sense_gets_one_sentence():
    with pytest.raises(ValueError, match=r"f must not be mapped by torch\.func\.vmap where"):
        vmap(lambda w: estimate(LOGITS, w, "rloo"))(torch.stack([W, W]))
    with pytest.raises(ValueError, match="f must be differentiable by the samples for rebar"):
        grad(lambda x: estimate(x, f=lambda x, w: x.detach() @ w).sum())(LOGITS)
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        grad(lambda x: grad(lambda x: estimate(x).sum())(x).square().sum())(LOGITS)
    with pytest.raises(RuntimeError, match="jvp"):
        torch.func.jvp(lambda x: estimate(x), (LOGITS,), (LOGITS,))


def test_a_generator_under_vmap_draws_as_randomness_says():
    def drawn(randomness, call=lambda x, rng: fgt.sample(x, num_samples=50, rng=rng)):
        rng = torch.Generator().manual_seed(4)
        return vmap(lambda x: call(x, rng), out_dims=-1, randomness=randomness)(LOGITS)

    same, different = drawn("same"), drawn("different")
    assert same.shape == different.shape == (50, 3)
    assert torch.equal(different, drawn("different"))
    # All elements are one call, whose key is the first that is drawn: each element has its rows.
    one = fgt.sample(LOGITS, num_samples=50, rng=torch.Generator().manual_seed(4))
    assert torch.equal(same, one)
    value = drawn("different", lambda x, rng: fgt.expectation(lambda z: z[..., 0], x, rng=rng))
    assert value.shape == (3,)
    nested = vmap(vmap(lambda x: fgt.sample(x[None], num_samples=1, rng=torch.Generator())))
    with pytest.raises(RuntimeError, match="randomness"):
        nested(LOGITS[..., None])
