"""Whose memory the gradient of an expectation is: multiplied in place where nobody asks again."""

import dataclasses

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.estimators.score_functions.reinforce import RLOO

torch = pytest.importorskip("torch")
import fastgrad.torch as fgt  # noqa: E402

pytestmark = pytest.mark.optional
LOGITS = np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32)
TABLE = torch.tensor([0.3, -1.2, 0.7])
COTANGENTS = {
    "sum": torch.ones(()).expand(5),
    "mean": torch.full((), 0.2).expand(5),
    "each": torch.tensor([1.0, -0.5, 0.0, 3.0, 0.1]),
}


def value_and_logits(estimator="rloo", f=lambda z: TABLE[z], logits=LOGITS):
    leaf = torch.tensor(logits, requires_grad=True)
    value = fgt.expectation(f, leaf, estimator=estimator, num_samples=4, rng=0, index=True)
    return value, leaf


def numpy_gradient():
    f = fg.objective(index=lambda z: TABLE.numpy()[z])
    return torch.from_numpy(fg.estimator("rloo")(f, LOGITS, num_samples=4, rng=0).grad)


@pytest.mark.parametrize("kind", COTANGENTS)
def test_products_are_those_of_a_kept_graph(kind):
    value, leaf = value_and_logits()
    g, expected = COTANGENTS[kind], COTANGENTS[kind][:, None] * numpy_gradient()
    (first,) = torch.autograd.grad(value, leaf, g, retain_graph=True)
    assert torch.equal(first, expected)
    first.zero_()  # it is the user's
    (last,) = torch.autograd.grad(value, leaf, g)
    assert torch.equal(last, expected)


def test_one_number_for_all_variables():
    value, leaf = value_and_logits(f=lambda z: TABLE[z].sum(dim=-1))
    (once,) = torch.autograd.grad(value, leaf, retain_graph=True)
    (twice,) = torch.autograd.grad(value, leaf, torch.tensor(2.0))
    assert torch.equal(twice, 2 * once)


def test_no_variables():
    value, leaf = value_and_logits(logits=LOGITS[:0])
    (g,) = torch.autograd.grad(value, leaf, torch.ones(()).expand(0))
    assert g.shape == (0, 3)


def test_a_sum_is_not_multiplied():
    """The gradient takes no memory twice: what the graph holds is what the user gets."""
    value, leaf = value_and_logits()
    held = value.grad_fn.saved_tensors[-1].data_ptr()
    (g,) = torch.autograd.grad(value.sum(), leaf)
    assert g.data_ptr() == held


def test_a_graph_that_was_not_kept_is_not_asked_again():
    value, leaf = value_and_logits()
    torch.autograd.grad(value.sum(), leaf)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(value.sum(), leaf)


@pytest.mark.parametrize("name", ["reinforce", "rebar"])
def test_a_state_is_not_written_to(name):
    leaf = torch.tensor(LOGITS, requires_grad=True)
    options = {"baseline": "moving_average"} if name == "reinforce" else {}
    value, state = fgt.expectation_and_state(
        lambda x: (x @ TABLE).square(), leaf, estimator=name, num_samples=4, rng=0, **options
    )
    before = {name: x.clone() for name, x in state.items()}
    torch.autograd.grad(value, leaf, COTANGENTS["each"])
    assert all(torch.equal(state[name], before[name]) for name in state)


def test_an_estimator_of_somebody_else_keeps_its_arrays():
    kept = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Remembering(RLOO):
        name = "remembering"

        def combine(self, distribution, blocks, state=None):
            found = super().combine(distribution, blocks, state)
            kept.append(found.grad)
            return found

    value, leaf = value_and_logits(Remembering())
    torch.autograd.grad(value, leaf, COTANGENTS["each"])
    assert np.array_equal(kept[0], numpy_gradient())
