"""Transport and soft permutations of tensors: NumPy's bits, derivatives by differences, vmap."""

import numpy as np
import pytest

import fastgrad as fg

torch = pytest.importorskip("torch")
import fastgrad.torch as fgt  # noqa: E402

pytestmark = [
    pytest.mark.optional,
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]
RNG = np.random.default_rng(3)
SCORES = RNG.normal(size=(2, 3, 4))
ROWS = np.array([0.2, 0.5, 0.3])
COLUMNS = np.abs(RNG.normal(size=(2, 4))) + 0.1
COLUMNS /= COLUMNS.sum(axis=1, keepdims=True)
BALANCED = {"tolerance": 1e-12, "temperature": 0.7}
PENALTIES = BALANCED | {"row_penalty": 2.0, "column_penalty": 0.5}


def tensors(*arrays):
    return [torch.tensor(a, requires_grad=True) for a in arrays]


@pytest.mark.parametrize("options", [BALANCED, PENALTIES])
def test_plans_and_their_products_are_those_of_numpy(options):
    given = tensors(SCORES, ROWS, COLUMNS)
    found = fgt.transport.sinkhorn(*given, **options)
    expected = fg.transport.sinkhorn(SCORES, ROWS, COLUMNS, **options)
    for name in found._fields:
        np.testing.assert_array_equal(getattr(found, name).detach(), getattr(expected, name))
    r = RNG.normal(size=SCORES.shape)
    (found.matrix * torch.tensor(r)).sum().backward()
    grads = fg.transport.sinkhorn_vjp(SCORES, r, ROWS, COLUMNS, **options)
    np.testing.assert_array_equal(given[0].grad, grads.scores)
    np.testing.assert_allclose(given[1].grad, grads.rows.sum(axis=0), rtol=1e-12)  # one for all
    np.testing.assert_array_equal(given[2].grad, grads.columns)
    assert not found.value.requires_grad


def test_masses_are_alike_by_default():
    found = fgt.transport.sinkhorn(torch.tensor(SCORES))
    np.testing.assert_array_equal(found.matrix, fg.transport.sinkhorn(SCORES).matrix)


def test_derivatives_by_differences():
    def of_scores(scores, rows, columns):
        return fgt.transport.sinkhorn(scores, rows, columns, **PENALTIES).matrix

    given = tensors(SCORES[0], ROWS, COLUMNS[0])
    assert torch.autograd.gradcheck(of_scores, given, atol=1e-6)
    s, x = tensors(RNG.normal(size=(2, 5)), RNG.normal(size=(2, 5, 3)))
    permute = fgt.permutation.soft_permute
    assert torch.autograd.gradcheck(lambda s, x: permute(s, x, temperature=0.4), (s, x))


def test_soft_permutations_are_those_of_numpy():
    s, x, r = RNG.normal(size=(2, 5)), RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 5, 3))
    given = tensors(s, x)
    found = fgt.permutation.soft_permute(*given, temperature=0.4)
    expected = fg.permutation.soft_permute(s, x, temperature=0.4)
    np.testing.assert_array_equal(found.detach(), expected)
    (found * torch.tensor(r)).sum().backward()
    grads = fg.permutation.soft_permute_vjp(s, x, r, temperature=0.4)
    np.testing.assert_array_equal(given[0].grad, grads.scores)
    np.testing.assert_array_equal(given[1].grad, grads.x)


@pytest.mark.parametrize("op", ["_transport", "_soft_permute"])
def test_opcheck(op):
    r, heat = torch.tensor(RNG.normal(size=SCORES.shape)), torch.tensor(0.7, dtype=torch.float64)
    rows = np.broadcast_to(ROWS, (2, 3)).copy()
    given = [x.detach() for x in tensors(SCORES, rows, COLUMNS)]
    given = given if op == "_transport" else given[:2]
    limits = (2.0, 0.5, 1e-9, 1000) if op == "_transport" else ()
    for name, args in ((op, given), (f"{op}_vjp", [r, *given])):
        operator = getattr(torch.ops.fastgrad, name).default
        found = torch.library.opcheck(operator, (*args, heat, *limits))
        assert set(found.values()) == {"SUCCESS"}


def test_rows_of_vmap_are_those_of_one_call():
    scores, columns = torch.tensor(SCORES), torch.tensor(COLUMNS)
    plan = torch.func.vmap(lambda x, c: fgt.transport.sinkhorn(x, columns=c).matrix)
    expected = fg.transport.sinkhorn(SCORES, columns=COLUMNS).matrix
    np.testing.assert_array_equal(plan(scores, columns), expected)
    s, x = torch.tensor(RNG.normal(size=(2, 5))), torch.tensor(RNG.normal(size=(5, 3)))
    permute = torch.func.vmap(
        lambda s: fgt.permutation.soft_permute(s, x, temperature=0.4), in_dims=0
    )
    both = np.broadcast_to(x.numpy(), (2, 5, 3))
    expected = fg.permutation.soft_permute(s.numpy(), both, temperature=0.4)
    np.testing.assert_array_equal(permute(s), expected)


def test_what_is_refused():
    for shape in ((3,), (3, 0), (0, 3)):
        with pytest.raises(ValueError, match=r"scores must have shape \(\*batch, N, M\)"):
            fgt.transport.sinkhorn(torch.zeros(shape))
    with pytest.raises(TypeError, match="rows must be a tensor, got ndarray"):
        fgt.transport.sinkhorn(torch.zeros(3, 3), ROWS)
    with pytest.raises(ValueError, match="rows and columns must have the same sum, or a penalty"):
        fgt.transport.sinkhorn(torch.zeros(3, 3), torch.ones(3))
    with pytest.raises(ValueError, match=r"scores must have shape \(3,\), as x has, got \(2,\)"):
        fgt.permutation.soft_permute(torch.zeros(2), torch.zeros(3, 1), temperature=1.0)
