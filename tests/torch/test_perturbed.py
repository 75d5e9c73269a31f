"""Solvers as layers of torch: the numbers and gradients of the NumPy API, and graphs."""

import numpy as np
import pytest

import fastgrad as fg

torch = pytest.importorskip("torch")
import fastgrad.torch as fgt  # noqa: E402
from fastgrad.torch import solvers  # noqa: E402
from fastgrad.torch.tensors import SEEDED  # noqa: E402

pytestmark = [
    pytest.mark.optional,
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]
KEY = fg.Key(3)
THETA = np.random.default_rng(0).normal(size=(2, 4))


def best(theta):
    return torch.nn.functional.one_hot(theta.argmax(dim=-1), theta.shape[-1])


def best_of_arrays(theta):
    return np.eye(theta.shape[-1])[theta.argmax(axis=-1)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("control", ["leave-one-out", "unperturbed", "none"])
@pytest.mark.parametrize("noise", ["gumbel", "normal", "lognormal"])
def test_has_the_bits_of_the_numpy_api(noise, control, dtype):
    theta, w = THETA.astype(dtype), THETA[::-1].astype(dtype)
    options = {"num_samples": 6, "rng": KEY, "noise": noise, "noise_scale": 0.7, "sample_offset": 1}
    x = torch.tensor(theta, requires_grad=True)
    y = fgt.perturbed.solve(best, x, control=control, **options)
    solutions = fg.perturbed.solve(best_of_arrays, theta, **options)
    np.testing.assert_array_equal(y.detach().numpy(), solutions.mean(axis=0))
    (y * torch.from_numpy(w.copy())).sum().backward()
    expected = fg.perturbed.solve_vjp(best_of_arrays, theta, w, control=control, **options)
    np.testing.assert_array_equal(x.grad.numpy(), expected)


FORBIDDEN = np.where(np.eye(2, 4, dtype=bool), -np.inf, THETA)
TARGET = best_of_arrays(THETA[::-1])
LOSSES = {
    "fenchel_young": {"num_samples": 6, "rng": KEY, "noise_scale": 0.7, "sample_offset": 1},
    "spo_plus": {},
}


def losses(name):
    """Return a loss of tensors and that of arrays, each a function of parameters and of what is
    right."""
    options = LOSSES[name]
    of_tensors, of_arrays = getattr(fgt.perturbed, name), getattr(fg.perturbed, name)
    return (
        lambda x, y, **others: of_tensors(best, x, y, **options, **others),
        lambda x, y, **others: of_arrays(best_of_arrays, x, y, **options, **others),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("problem_ndim", [0, 1, 2])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_the_bits_of_the_numpy_api(name, problem_ndim, dtype):
    of_tensors, of_arrays = losses(name)
    theta = (FORBIDDEN if name == "fenchel_young" else THETA).astype(dtype)
    x, y = torch.tensor(theta, requires_grad=True), TARGET.astype(dtype)
    loss, grad = of_arrays(theta, y, problem_ndim=problem_ndim)
    found, w = of_tensors(x, torch.tensor(y), problem_ndim=problem_ndim), 2 * loss + 1
    np.testing.assert_array_equal(found.detach().numpy(), loss)
    (found * torch.tensor(w)).sum().backward()
    expected = grad * w.reshape(*w.shape, *(1,) * problem_ndim)
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_under_gradcheck_and_vmap_and_in_one_graph(name):
    of_tensors, _ = losses(name)
    x, y = torch.tensor(THETA, requires_grad=True), torch.from_numpy(TARGET)
    assert torch.autograd.gradcheck(lambda x: of_tensors(x, y), x)
    found = torch.func.vmap(torch.func.grad(of_tensors))(x, y)
    (expected,) = torch.autograd.grad(of_tensors(x, y).sum(), x)
    assert torch.equal(found, expected)
    torch._dynamo.reset()
    compiled = torch.compile(of_tensors, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, y), of_tensors(x, y))
    assert torch.equal(torch.autograd.grad(compiled(x, y).sum(), x)[0], expected)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_refuse(name):
    of_tensors, _ = losses(name)
    x, y = torch.from_numpy(THETA), torch.from_numpy(TARGET)
    with pytest.raises(ValueError, match="must not require grad, as it is given none: detach it"):
        of_tensors(x, y.clone().requires_grad_())
    with pytest.raises(ValueError, match=r"must have shape \(2, 4\), got \(4,\)"):
        of_tensors(x, y[0])
    with pytest.raises(TypeError, match="solver must be a function of tensors, got 3"):
        getattr(fgt.perturbed, name)(3, x, y, **LOSSES[name])


def test_solutions_are_kept():
    calls = []

    def solver(theta):
        calls.append(tuple(theta.shape))
        return best_of_arrays(theta.numpy())  # arrays are welcome

    x = torch.tensor(THETA, requires_grad=True)
    fgt.perturbed.solve(solver, x, num_samples=6, rng=KEY).sum().backward()
    assert calls == [(6, 2, 4)]


def test_solvers_may_hold_parameters_and_change_their_argument():
    weight = torch.ones(4, requires_grad=True)

    def solver(theta):
        theta *= weight
        return theta

    x = torch.tensor(THETA, requires_grad=True)
    before = x.detach().clone()
    y = fgt.perturbed.solve(solver, x, num_samples=2, rng=KEY, control="unperturbed")
    y.sum().backward()
    assert weight.grad is None
    assert torch.equal(x, before)


OPERATORS = ["solutions", "mean", "mean_vjp", "fenchel_young", "fenchel_young_vjp"]
OPERATORS += ["spo_plus", "spo_plus_vjp"]


@pytest.mark.parametrize("op", OPERATORS)
def test_opcheck(op):
    theta, number = torch.from_numpy(THETA), solvers.number_of(best)
    options = (number, 5, SEEDED, "gumbel", 0.7, "leave-one-out", 1, 2)
    solutions = torch.ops.fastgrad._perturbed_solutions(theta, 3, *options)
    pair, ones = (theta, torch.from_numpy(TARGET)), torch.ones_like(theta)
    problem, drawn = (number, [4]), (number, [4], 5, SEEDED, 3, "gumbel", 0.7, 2)
    args = {
        "solutions": (theta, 3, *options),
        "mean": (theta, solutions, *options),
        "mean_vjp": (ones, theta, solutions, *options),
        "fenchel_young": (*pair, *drawn),
        "fenchel_young_vjp": (ones[:, 0], ones, *pair, *drawn),
        "spo_plus": (*pair, *problem),
        "spo_plus_vjp": (ones[:, 0], ones, *pair, *problem),
    }
    operator = getattr(torch.ops.fastgrad, f"_perturbed_{op}").default
    found = torch.library.opcheck(operator, args[op])
    assert set(found.values()) == {"SUCCESS"}


def worst(theta):
    return torch.nn.functional.one_hot(theta.argmin(dim=-1), theta.shape[-1])


class Layer(torch.nn.Module):
    def __init__(self, solver):
        super().__init__()
        self.solver = solver

    def forward(self, theta, key):
        return fgt.perturbed.solve(self.solver, theta, num_samples=3, rng=key)


def test_compiles_as_one_graph():
    def call(solver, theta, key):
        return fgt.perturbed.solve(solver, theta, num_samples=3, rng=key)

    torch._dynamo.reset()
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    x = torch.tensor(THETA, requires_grad=True)
    for solver in (best, worst, lambda theta: theta):
        for key in (KEY, fg.Key(4)):
            found, expected = compiled(solver, x, key), call(solver, x, key)
            assert torch.equal(found, expected)
            weights = torch.from_numpy(THETA[::-1].copy())
            pair = (torch.autograd.grad(y, x, weights)[0] for y in (found, expected))
            assert torch.equal(*pair)
    layer = Layer(best)
    found = torch.compile(layer, fullgraph=True, backend="aot_eager")(x, KEY)
    assert torch.equal(found, layer(x, KEY))


def test_vmap_is_one_large_call():
    x = torch.from_numpy(THETA)
    options = {"num_samples": 3, "rng": KEY}
    expected = fgt.perturbed.solve(best, x, **options)
    found = torch.func.vmap(lambda t: fgt.perturbed.solve(best, t, **options))(x)
    assert torch.equal(found, expected)


def test_solvers_are_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(solvers, "MOST", 2)
    x = torch.tensor(THETA, requires_grad=True)
    results = [
        fgt.perturbed.solve(lambda t, i=i: t + i, x, num_samples=2, rng=KEY) for i in range(3)
    ]
    assert len(solvers.recent) == 2
    for y in results[1:]:
        y.sum().backward()
    with pytest.raises(RuntimeError, match="solve must be differentiated before"):
        results[0].sum().backward()


def test_errors():
    x = torch.from_numpy(THETA)
    calls = []

    def solver(theta):
        calls.append(theta)
        raise KeyError("no way")

    with pytest.raises(TypeError, match="solver must be a function of tensors, got 3"):
        fgt.perturbed.solve(3, x, num_samples=2, rng=0)
    for wrong in ({"control": "best"}, {"noise": "cauchy"}, {"num_samples": 1}, {"noise_scale": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            fgt.perturbed.solve(solver, x, **{"num_samples": 2, "rng": 0} | wrong)
    with pytest.raises(ValueError, match="problem_ndim"):
        fgt.perturbed.solve(solver, x, num_samples=2, rng=0, problem_ndim=3)
    with pytest.raises(ValueError, match="theta must be below infinity"):
        fgt.perturbed.solve(solver, x + torch.nan, num_samples=2, rng=0)
    assert not calls
    with pytest.raises(KeyError, match="no way"):
        fgt.perturbed.solve(solver, x, num_samples=2, rng=0)
    with pytest.raises(ValueError, match="solver must return solutions of shape"):
        fgt.perturbed.solve(lambda theta: theta[0], x, num_samples=2, rng=0)
    with pytest.raises(ValueError, match="the solver's result must be finite, got nan"):
        fgt.perturbed.solve(lambda theta: theta * torch.nan, x, num_samples=2, rng=0)
