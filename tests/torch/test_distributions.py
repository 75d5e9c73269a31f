"""Distributions of torch as those of expectations: their logits, and gradients of parameters."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import _validate

torch = pytest.importorskip("torch")
from torch import distributions as td  # noqa: E402

import fastgrad.torch as fgt  # noqa: E402

pytestmark = pytest.mark.optional
P = torch.tensor([[0.2, 0.0, 0.8], [0.25, 0.5, 0.25]], dtype=torch.float64)
W = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)


def expect(distribution, f=lambda x: x @ W, **options):
    options = {"estimator": "rloo", "rng": 3, "num_samples": 6} | options
    return fgt.expectation(f, distribution, **options)


@pytest.mark.parametrize(
    "kind", [td.Categorical, td.OneHotCategorical, td.OneHotCategoricalStraightThrough]
)
def test_categoricals_by_logits_are_the_tensor(kind):
    logits = P.clamp(min=0.1).log().requires_grad_()
    value = expect(kind(logits=logits, validate_args=False))
    value.sum().backward()
    given = logits.detach().log_softmax(-1).requires_grad_()  # as torch normalises them
    other = expect(given)
    other.sum().backward()
    assert torch.equal(value, other)
    torch.testing.assert_close(logits.grad, given.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [td.Categorical, td.OneHotCategorical])
def test_what_has_no_probability_is_never_drawn(kind):
    seen = []

    def f(x):
        seen.append(x)
        return x @ W

    p = P.clone().requires_grad_()
    expect(kind(probs=p), f, num_samples=50).sum().backward()
    assert all((x[:, 0, 1] == 0).all() for x in seen)
    assert p.grad.isfinite().all()
    exact = expect(kind(probs=P), estimator="enumerate")
    torch.testing.assert_close(exact, P @ W, rtol=1e-14, atol=0)


def test_certain_outcomes_of_bernoulli_variables():
    p = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64, requires_grad=True)
    given = td.Independent(td.Bernoulli(probs=p), 1)
    value = expect(given, lambda x: x, estimator="enumerate")
    value.sum().backward()
    torch.testing.assert_close(value.detach(), p.detach(), rtol=1e-14, atol=0)
    torch.testing.assert_close(p.grad, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "looks"), [("rloo", 0), ("reinforce", 0), ("vimco", 0), ("rebar", 1)]
)
def test_logits_are_looked_at_once(monkeypatch, name, looks):
    seen, check = [], _validate.check_logits
    monkeypatch.setattr(_validate, "check_logits", lambda *x: seen.append(x) or check(*x))
    for given in (torch.zeros(2, 3), td.Categorical(logits=torch.zeros(2, 3))):
        seen.clear()
        expect(given, lambda x: x.sum((-1, -2)), estimator=name)
        assert len(seen) == looks  # draws of the others look by the way


@pytest.mark.parametrize("name", fg.list_estimators())
@pytest.mark.parametrize(
    ("row", "message"),
    [((0.0, torch.nan), "below infinity"), ((-torch.inf, -torch.inf), "only -inf in row")],
)
def test_invalid_logits_are_refused(name, row, message):
    logits = torch.tensor([[0.0, 1.0], row], dtype=torch.float64)
    with pytest.raises(ValueError, match=f"logits (must be|has) {message}"):
        expect(logits, lambda x: x.square().sum((-1, -2)), estimator=name, num_samples=4)


def test_all_layers_of_independence_are_looked_through():
    logits = torch.tensor([[0.5, -0.5], [1.0, 0.0]], dtype=torch.float64)
    given = td.Independent(td.Independent(td.Bernoulli(logits=logits), 1), 1)
    found = expect(given, lambda x: x.sum((-1, -2)))
    expected = fg.estimator("rloo")(
        lambda x: x.sum((-1, -2)), fg.Bernoulli(logits.numpy()), num_samples=6, rng=3
    )
    np.testing.assert_array_equal(found.numpy(), expected.value)


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (td.Normal(0.0, 1.0), "Normal: for continuous families there is fastgrad.torch.continuous"),
        (
            td.RelaxedOneHotCategorical(torch.tensor(0.5), logits=torch.zeros(3)),
            "give the discrete",
        ),
        (
            td.RelaxedBernoulli(torch.tensor(0.5), logits=torch.zeros(3)),
            "give the discrete one, an",
        ),
        (td.Independent(td.Poisson(torch.ones(3)), 1), "got Poisson"),
    ],
)
def test_others_are_refused(given, advice):
    with pytest.raises(TypeError, match="distribution must be Categorical or Bernoulli, or logits"):
        expect(given)
    with pytest.raises(TypeError, match=advice):
        expect(given)
