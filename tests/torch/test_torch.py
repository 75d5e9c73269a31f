"""Functions of tensors: bits of the NumPy API, derivatives by torch's own checks, and graphs."""

import subprocess
import sys

import numpy as np
import pytest

import fastgrad as fg

torch = pytest.importorskip("torch")
from torch._dynamo.backends.common import aot_autograd  # noqa: E402
from torch._dynamo.testing import CompileCounterWithBackend  # noqa: E402
from torch._functorch.aot_autograd import make_boxed_func  # noqa: E402

import fastgrad.torch as fgt  # noqa: E402
from fastgrad.torch.tensors import SEEDED  # noqa: E402

pytestmark = [
    pytest.mark.optional,
    # Dynamo makes an instance of an autograd.Function, and then warns of it.
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]
KEY = fg.Key(3)
RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(2, 3, 4))

# name: (function of tensors, function of arrays, operands, other arguments)
DRAWN = {"rng": KEY, "num_samples": 3}
ROWS, SITES, PLACE = (
    {"row_offset": 5, "sample_offset": 2},
    {"site_offset": 7},
    {"problem_offset": 1},
)
HEAT = {"temperature": 0.7}
Z = fg.sample(LOGITS, rng=1, num_samples=5)
X = fg.bernoulli.sample(LOGITS, rng=1, num_samples=5)
Q = RNG.normal(size=(3, 4))
FUNCTIONS = {
    "sample": (fgt.sample, fg.sample, (LOGITS,), DRAWN | ROWS),
    "sample gumbel": (fgt.sample, fg.sample, (LOGITS,), DRAWN | {"method": "gumbel"}),
    "gumbel_softmax": (fgt.gumbel_softmax, fg.gumbel_softmax, (LOGITS,), DRAWN | HEAT | ROWS),
    "gumbel_softmax of one": (
        *(fgt.gumbel_softmax, fg.gumbel_softmax, (LOGITS[0, 0],)),
        {"rng": KEY, "log": True} | HEAT,
    ),
    "relax": (fgt.relax, fg.relax, (LOGITS,), DRAWN | HEAT | ROWS),
    "relax coupled": (fgt.relax, fg.relax, (LOGITS,), DRAWN | HEAT | {"coupled": True}),
    "log_prob": (fgt.log_prob, fg.log_prob, (LOGITS, Z), {}),
    "entropy": (fgt.entropy, fg.entropy, (LOGITS,), {}),
    "kl_divergence": (fgt.kl_divergence, fg.kl_divergence, (LOGITS, Q), {}),
    "bernoulli sample": (
        *(fgt.bernoulli.sample, fg.bernoulli.sample, (LOGITS,)),
        DRAWN | SITES,
    ),
    "bernoulli gumbel_softmax": (
        *(fgt.bernoulli.gumbel_softmax, fg.bernoulli.gumbel_softmax, (LOGITS,)),
        DRAWN | HEAT | SITES,
    ),
    "bernoulli relax": (
        *(fgt.bernoulli.relax, fg.bernoulli.relax, (LOGITS,)),
        DRAWN | HEAT | SITES,
    ),
    "bernoulli hard_concrete": (
        *(fgt.bernoulli.hard_concrete, fg.bernoulli.hard_concrete, (LOGITS,)),
        DRAWN | HEAT | SITES | {"stretch": (-0.3, 1.2)},
    ),
    "bernoulli hard_concrete_active": (
        *(fgt.bernoulli.hard_concrete_active, fg.bernoulli.hard_concrete_active, (LOGITS,)),
        HEAT,
    ),
    "bernoulli log_prob": (fgt.bernoulli.log_prob, fg.bernoulli.log_prob, (LOGITS, X), {}),
    "bernoulli entropy": (fgt.bernoulli.entropy, fg.bernoulli.entropy, (LOGITS,), {}),
    "bernoulli kl_divergence": (
        *(fgt.bernoulli.kl_divergence, fg.bernoulli.kl_divergence, (LOGITS, Q)),
        {},
    ),
    "sinkhorn": (fgt.permutation.sinkhorn, fg.permutation.sinkhorn, (LOGITS,), HEAT),
    "gumbel_sinkhorn": (
        *(fgt.permutation.gumbel_sinkhorn, fg.permutation.gumbel_sinkhorn, (LOGITS,)),
        DRAWN | HEAT | PLACE,
    ),
    "relaxed_top_k": (
        *(fgt.subset.relaxed_top_k, fg.subset.relaxed_top_k, (LOGITS,)),
        DRAWN | HEAT | ROWS | {"k": 2},
    ),
    "marginals": (fgt.subset.marginals, fg.subset.marginals, (LOGITS,), {"k": 2}),
    "k_hot": (fgt.subset.k_hot, fg.subset.k_hot, (LOGITS,), DRAWN | ROWS | {"k": 2}),
    "soft_sort": (fgt.order.soft_sort, fg.order.soft_sort, (LOGITS,), HEAT | {"descending": True}),
    "soft_sort laplace": (
        *(fgt.order.soft_sort, fg.order.soft_sort, (LOGITS,)),
        HEAT | {"method": "laplace"},
    ),
    "soft_rank": (
        *(fgt.order.soft_rank, fg.order.soft_rank, (LOGITS,)),
        HEAT | {"method": "entropic"},
    ),
    "soft_top_k": (fgt.order.soft_top_k, fg.order.soft_top_k, (LOGITS,), HEAT | {"k": 2}),
    "soft_median": (fgt.order.soft_median, fg.order.soft_median, (LOGITS,), HEAT),
    "entmax": (fgt.sparse.entmax, fg.sparse.entmax, (LOGITS,), {"alpha": 1.3}),
    "entmax15": (fgt.sparse.entmax15, fg.sparse.entmax15, (LOGITS,), {}),
    "sparsemax": (fgt.sparse.sparsemax, fg.sparse.sparsemax, (LOGITS,), {}),
    "entmax15_loss": (fgt.sparse.entmax15_loss, fg.sparse.entmax15_loss, (LOGITS, Z[0]), {}),
    "sparsemax_loss": (
        *(fgt.sparse.sparsemax_loss, fg.sparse.sparsemax_loss),
        *((LOGITS, Z[1]), {}),
    ),
    "gumbel_sparsemax": (
        *(fgt.sparse.gumbel_sparsemax, fg.sparse.gumbel_sparsemax, (LOGITS,)),
        DRAWN | HEAT | ROWS,
    ),
}
each = pytest.mark.parametrize("name", FUNCTIONS)
SAMPLERS = [
    name for name in FUNCTIONS if name.split()[-1] in ("sample", "gumbel") or "k_hot" in name
]
# Coupled noise follows the logits, and is held constant in the derivative: no check of differences.
SMOOTH = [name for name in FUNCTIONS if name not in [*SAMPLERS, "relax coupled"]]


def many(found):
    return list(found) if isinstance(found, tuple) else [found]


def smooth(name):
    """Return the function of its real operands that a derivative is asked of."""
    function, _, operands, options = FUNCTIONS[name]
    real = [torch.tensor(x) for x in operands if x.dtype.kind == "f"]
    others = [torch.from_numpy(x) for x in operands if x.dtype.kind != "f"]
    if "sinkhorn" in name:
        options = options | {"tolerance": 1e-13}

    def call(*given):
        return [y for y in many(function(*given, *others, **options)) if y.requires_grad]

    return (lambda *given: tuple(call(*given))), real


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each
def test_has_the_bits_of_the_numpy_api(name, dtype):
    function, of_arrays, operands, options = FUNCTIONS[name]
    operands = [x.astype(dtype) if x.dtype.kind == "f" else x for x in operands]
    expected = many(of_arrays(*operands, **options))
    found = many(function(*[torch.from_numpy(x) for x in operands], **options))
    assert len(found) == len(expected)
    for x, y in zip(found, expected, strict=True):
        assert x.numpy().dtype == y.dtype
        np.testing.assert_array_equal(x.numpy(), y)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradcheck(name):
    function, real = smooth(name)
    real = [x.requires_grad_() for x in real]
    assert torch.autograd.gradcheck(function, real, check_batched_grad=True)


def test_hard_samples_have_the_gradient_of_relaxed_ones():
    grads = []
    for hard in (False, True):
        x = torch.tensor(LOGITS, requires_grad=True)
        y = fgt.gumbel_softmax(x, temperature=0.7, rng=KEY, hard=hard)
        (y * torch.from_numpy(LOGITS)).sum().backward()
        grads.append(x.grad)
    assert torch.equal(*grads)


def test_k_hot_has_the_gradient_of_the_marginals():
    x, w = torch.tensor(LOGITS, requires_grad=True), RNG.normal(size=(5, *LOGITS.shape))
    (fgt.subset.k_hot(x, 2, num_samples=5, rng=KEY) * torch.from_numpy(w)).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), fg.subset.marginals_vjp(LOGITS, w, 2))


@pytest.mark.parametrize("hard", [False, True])
def test_quantiles_are_those_of_the_numpy_api(hard):
    values = LOGITS.copy()
    values[0, 0, 1:] = values[1, 1, 2] = -np.inf
    q, options = [[0.1, 0.5], [0.0, 1.0]], {"temperature": 0.2, "hard": hard}
    x = torch.tensor(values, requires_grad=True)
    found, w = fgt.order.soft_quantile(x, q, **options), RNG.normal(size=(2, 2, 2, 3))
    (found * torch.from_numpy(w)).sum().backward()
    expected = fg.order.soft_quantile(values, q, **options)
    np.testing.assert_array_equal(found.detach().numpy(), expected)
    product = fg.order.soft_quantile_vjp(values, w, q, temperature=0.2)
    np.testing.assert_allclose(x.grad.numpy(), product, rtol=1e-12, atol=1e-15)
    assert torch.equal(
        found, fgt.order.soft_quantile(x, torch.tensor(q, dtype=torch.double), **options)
    )


def test_the_median_of_one_row_is_a_number():
    x = torch.tensor([3.0, 1.0, 2.0, 90.0])
    assert fgt.order.soft_median(x, temperature=0.01).item() == 2.5


def test_one_graph_holds_quantiles_and_sparse_maps():
    def call(x):
        low, high = fgt.order.soft_quantile(x, [0.1, 0.5], temperature=0.3).mean(dim=(1, 2))
        return low * high + fgt.sparse.entmax15(x).square().sum()

    grads = []
    for function in (call, torch.compile(call, fullgraph=True, backend="aot_eager")):
        x = torch.tensor(LOGITS, requires_grad=True)
        function(x).backward()
        grads.append(x.grad)
    assert torch.equal(*grads)


def test_losses_of_probabilities_are_those_of_the_numpy_api():
    y = fg.sparse.sparsemax(RNG.normal(size=LOGITS.shape))
    x, w = torch.tensor(LOGITS, requires_grad=True), RNG.normal(size=LOGITS.shape[:-1])
    found = fgt.sparse.entmax_loss(x, torch.from_numpy(y), alpha=1.3)
    (found * torch.from_numpy(w)).sum().backward()
    expected = fg.sparse.entmax_loss(LOGITS, y, alpha=1.3)
    np.testing.assert_array_equal(found.detach().numpy(), expected)
    product = fg.sparse.entmax_loss_vjp(LOGITS, y, w, alpha=1.3)
    np.testing.assert_array_equal(x.grad.numpy(), product)
    with pytest.raises(ValueError, match="target must not require grad, as it is given none"):
        fgt.sparse.entmax_loss(x, torch.tensor(y, requires_grad=True), alpha=1.3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: fgt.order.soft_quantile(x, [0.5, 1.5]), "q must be from 0 to 1, got 1.5"),
        (lambda x: fgt.order.soft_sort(x, method="exact"), "method must be one of .*'exact'"),
        (lambda x: fgt.order.soft_top_k(x, 9), "k must be at most the number of values"),
        (lambda x: fgt.bernoulli.hard_concrete(x, stretch=(0, 1), rng=0), "stretch must be from"),
        (lambda x: fgt.sparse.entmax(x, alpha=3), "alpha must be from 1 to 2, got 3"),
        (lambda x: fgt.sparse.sparsemax(x.numpy()), "logits must be a tensor, got ndarray"),
    ],
)
def test_refuses_what_the_numpy_api_refuses(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call(torch.from_numpy(LOGITS))


def args_of(op):
    """Return arguments of an operator, by its schema."""
    values = {
        "temperature": torch.tensor(0.7, dtype=torch.float64),
        "key_0": 5,
        "key_1": SEEDED,
        "num_samples": 3,
        "method": "inverse",
        "noise_scale": 1.0,
        "tolerance": 1e-6,
        "max_iterations": 100,
        "k": 2,
        "z": torch.from_numpy(Z),
        "x": torch.from_numpy(X),
        "logits": torch.from_numpy(LOGITS),
        "q_logits": torch.from_numpy(LOGITS[::-1].copy()),
        "hard": False,
        "log": False,
        "coupled": False,
        "newton": True,
        "row_offset": 4,
        "site_offset": 4,
        "problem_offset": 4,
        "sample_offset": 2,
        "alpha": 1.5,
        "low": -0.1,
        "high": 1.1,
        "descending": True,
        "target": torch.from_numpy(Z[0]),
        "probabilities": torch.from_numpy(fg.sparse.sparsemax(LOGITS)),
    }
    values["p_logits"] = values["log_alpha"] = values["values"] = values["logits"]
    if "soft_" in op:
        values["method"] = "laplace"
    forward = getattr(torch.ops.fastgrad, op.removesuffix("_vjp")).default
    names = [argument.name for argument in forward._schema.arguments]
    args = [values[name] for name in names]
    if op.endswith("_vjp"):
        count = sum(a.name.startswith("cotangent") for a in schema(op).arguments)
        found = many(forward(*args))
        results = [x for x in found if x.dtype == torch.float64]
        again = [a.name[7:] for a in schema(op).arguments if a.name.startswith("result_")]
        args = [torch.ones_like(x) for x in results[:count]] + [found[int(i)] for i in again] + args
    return args


def schema(op):
    return getattr(torch.ops.fastgrad, op).default._schema


ELSEWHERE = ("fastgrad::_cont", "fastgrad::_perturbed", "fastgrad::_transport")
ELSEWHERE += ("fastgrad::_soft_permute",)
OPERATORS = sorted(
    {
        name.split("::")[1]
        for name in torch._C._dispatch_get_all_op_names()
        # The others have test files of their own.
        if "fastgrad::" in name and not name.startswith(ELSEWHERE)
    }
)


@pytest.mark.parametrize("op", OPERATORS)
def test_opcheck(op):
    assert op.startswith("_")  # users must not reach what torch.func would differentiate to zero
    found = torch.library.opcheck(getattr(torch.ops.fastgrad, op).default, args_of(op))
    assert set(found.values()) == {"SUCCESS"}


def test_opcheck_sees_all_operators():
    assert len(OPERATORS) == 28 + 25  # all but three have a product


def test_coupled_relaxations_have_the_products_of_the_numpy_api():
    x, options = torch.tensor(LOGITS, requires_grad=True), {"coupled": True} | HEAT
    w = RNG.normal(size=(2, 3, *LOGITS.shape))
    r = fgt.relax(x, **options, **DRAWN)
    (r.relaxed * torch.from_numpy(w[0]) + r.conditional * torch.from_numpy(w[1])).sum().backward()
    products = fg.relax_vjp(LOGITS, *w, rng=KEY, **options)
    np.testing.assert_allclose(x.grad.numpy(), products[0] + products[1], rtol=1e-12, atol=1e-14)


# -- torch.func and second derivatives ------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if "one" not in name])
def test_vmap_counts_rows_as_one_large_call(name):
    function, _, operands, options = FUNCTIONS[name]
    operands = [torch.from_numpy(x) for x in operands]
    dims = tuple({4: 1, 3: 0, 2: None}[x.ndim] for x in operands)  # samples, logits, and Q
    out = int("num_samples" in options or "log_prob" in name)
    if function is fgt.log_prob:
        dims = (0, 1)
    if "loss" in name:
        dims = (0, 0)
    call = torch.func.vmap(lambda *given: function(*given, **options), dims, out)
    for x, y in zip(many(call(*operands)), many(function(*operands, **options)), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("name", SMOOTH)
def test_products_that_are_mapped_are_those_one_by_one(name):
    """As `torch.func.jacrev` maps them: noise of rows further on had made its rows wrong."""
    function, real = smooth(name)
    y, back = torch.func.vjp(function, *real)
    generator = torch.Generator().manual_seed(0)
    given = [torch.randn((2, *each.shape), generator=generator).to(each.dtype) for each in y]
    both = torch.func.vmap(lambda *r: back(r))(*given)
    for i in range(2):
        for x, one in zip(both, back(tuple(r[i] for r in given)), strict=True):
            torch.testing.assert_close(x[i], one, rtol=1e-12, atol=1e-12)


def test_vmap_of_grad():
    weights = torch.from_numpy(RNG.normal(size=LOGITS.shape[1:]))

    def loss(x):
        return (fgt.gumbel_softmax(x, rng=KEY, num_samples=2, **HEAT) * weights).sum()

    x = torch.tensor(LOGITS, requires_grad=True)
    (fgt.gumbel_softmax(x, rng=KEY, num_samples=2, **HEAT) * weights).sum().backward()
    found = torch.func.vmap(torch.func.grad(loss))(x.detach())
    torch.testing.assert_close(found, x.grad, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
@pytest.mark.parametrize("call", [fgt.gumbel_softmax, fgt.relax, fgt.subset.relaxed_top_k])
def test_a_temperature_may_be_a_tensor_of_one_number(call, shape):
    def draw(x, t):
        found = call(x, *([2] if call is fgt.subset.relaxed_top_k else []), temperature=t, rng=KEY)
        return found.relaxed if call is fgt.relax else found

    x, y = (torch.tensor(LOGITS, requires_grad=True) for _ in range(2))
    found, expected = draw(x, torch.full(shape, 0.5)), draw(y, 0.5)
    assert torch.equal(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    assert torch.equal(x.grad, y.grad)
    slopes = torch.func.vmap(torch.func.grad(lambda x: draw(x, torch.full(shape, 0.5)).sum()))
    assert slopes(x.detach()).shape == x.shape


def test_vmap_over_temperatures_is_refused():
    x, temperatures = torch.zeros(3), torch.ones(2, dtype=torch.float64)
    call = torch.func.vmap(lambda t: fgt.gumbel_softmax(x, temperature=t, rng=0))
    with pytest.raises(ValueError, match="temperature must be one number for all rows: vmap"):
        call(temperatures)


def test_vmap_over_numbers_is_refused_by_their_name():
    x = torch.zeros(2, 3)
    for draw, name in [(fgt.gumbel_softmax, "row_offset"), (fgt.sample, "num_samples")]:
        heat = HEAT if draw is fgt.gumbel_softmax else {}
        call = torch.func.vmap(lambda x, i: draw(x, rng=0, **{name: i}, **heat))  # noqa: B023
        with pytest.raises(TypeError, match=f"{name} must be a number, got a tensor"):
            call(x, torch.arange(2))


def by_backward(function, real):
    y = sum(y.square().sum() for y in function(*real))
    (g,) = torch.autograd.grad(y, real[0], create_graph=True)
    (g.square().sum() + real[0].pow(3).sum()).backward()  # in part known to torch


def by_grad(function, real):
    y = sum(y.square().sum() for y in function(*real))
    (g,) = torch.autograd.grad(y, real[0], create_graph=True)
    torch.autograd.grad(g.square().sum() + real[0].pow(3).sum(), real[0])


def by_func(function, real):
    def total(*given):
        return sum(y.square().sum() for y in function(*given))

    torch.func.grad(lambda *x: torch.func.grad(total)(*x).square().sum())(*real)


@pytest.mark.parametrize("way", [by_backward, by_grad, by_func])
@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_are_refused(name, way):
    function, real = smooth(name)
    real = [x.requires_grad_() for x in real]
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        way(function, real)


@pytest.mark.parametrize("name", SMOOTH)
def test_forward_derivatives_are_refused(name):
    function, real = smooth(name)
    with pytest.raises(RuntimeError, match="jvp"):
        torch.func.jvp(function, tuple(real), tuple(real))


# -- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gumbel_softmax", "relax", "sample", "k_hot", "relaxed_top_k"])
def test_nothing_is_copied(name, monkeypatch):
    """The kernel reads the tensor's memory and writes the result's."""
    from fastgrad import _outputs, _validate
    from fastgrad.torch import small_calls

    # What is given addresses and no arrays is left out.
    monkeypatch.setattr(small_calls, "plan", lambda work: 2)
    function, _, (logits,), options = FUNCTIONS[name]
    x, read, written = torch.from_numpy(logits), [], []
    rows, output = _validate.rows, _outputs.output

    def spy_rows(*args, **others):
        found = rows(*args, **others)
        read.append(found[0].ctypes.data)
        return found

    def spy_output(*args, **others):
        found = output(*args, **others)
        written.append(found.ctypes.data)
        return found

    monkeypatch.setattr(_validate, "rows", spy_rows)
    monkeypatch.setattr(_outputs, "output", spy_output)
    found = many(function(x, **options))
    assert read == [x.data_ptr()]
    assert written == [y.data_ptr() for y in found]


def test_takes_whatever_strides_and_signs():
    x = torch.from_numpy(LOGITS)
    negative = torch.complex(torch.zeros_like(x), -x).conj().imag  # its negation is lazy
    assert negative.is_neg()
    transposed = x.transpose(0, 1).contiguous().transpose(0, 1)
    expected = fgt.gumbel_softmax(x, rng=KEY, **HEAT)
    for given in (negative, transposed):
        assert torch.equal(fgt.gumbel_softmax(given, rng=KEY, **HEAT), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_computed_in_float32(dtype):
    x = torch.tensor(LOGITS, dtype=dtype, requires_grad=True)
    y = fgt.gumbel_softmax(x, rng=KEY, **HEAT)
    y.float().square().sum().backward()
    w = x.detach().float().requires_grad_()
    expected = fgt.gumbel_softmax(w, rng=KEY, **HEAT)
    assert y.dtype == x.grad.dtype == dtype
    assert torch.equal(y, expected.to(dtype))
    expected.to(dtype).float().square().sum().backward()
    assert torch.equal(x.grad, w.grad.to(dtype))
    assert fgt.relax(x, rng=KEY, **HEAT).score.dtype == dtype
    assert torch.equal(fgt.sample(x, rng=KEY), fgt.sample(w, rng=KEY))


# -- keys -----------------------------------------------------------------------------------------


def test_takes_a_generator_of_torch():
    x, seeded = torch.from_numpy(LOGITS), torch.Generator().manual_seed(4)
    first, second = (fgt.sample(x, num_samples=20, rng=seeded) for _ in range(2))
    assert not torch.equal(first, second)
    again = fgt.sample(x, num_samples=20, rng=torch.Generator().manual_seed(4))
    assert torch.equal(first, again)


@pytest.mark.parametrize("seed", [0, 2**62, 2**70, np.int64(3)])
def test_integers_are_seeds(seed):
    x = torch.from_numpy(LOGITS)
    found = fgt.sample(x, num_samples=20, rng=seed).numpy()
    np.testing.assert_array_equal(found, fg.sample(LOGITS, num_samples=20, rng=seed))


@pytest.mark.parametrize("rng", [None, -1, True, 0.5])
def test_other_keys_are_refused(rng):
    with pytest.raises((TypeError, ValueError), match="must be"):
        fgt.sample(torch.zeros(3), rng=rng)


# -- graphs ---------------------------------------------------------------------------------------


def compiled(function):
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    return torch.compile(function, fullgraph=True, backend=counter), counter


def both(x, key, temperature):
    z = fgt.sample(x, num_samples=2, rng=key)
    y = fgt.gumbel_softmax(x, temperature=temperature, num_samples=3, rng=key)
    r = fgt.relax(x, temperature=temperature, rng=key)
    return z, (y.square().sum(0) + r.relaxed * r.conditional).sum()


def test_compiles_as_one_graph_for_all_keys_and_temperatures():
    call, counter = compiled(both)
    for step in range(12):
        key = fg.Key(step)
        temperature = torch.tensor(1.0 / (1 + step), dtype=torch.float64)
        x, w = (torch.tensor(LOGITS, requires_grad=True) for _ in range(2))
        (z, loss), (other, expected) = call(x, key, temperature), both(w, key, temperature)
        loss.backward()
        expected.backward()
        assert torch.equal(z, other)
        assert torch.equal(loss, expected)
        torch.testing.assert_close(x.grad, w.grad, rtol=1e-12, atol=1e-14)
    assert counter.frame_count <= 3  # what changes is made a symbol the second time


def test_compiles_as_one_graph_for_all_seeds():
    call, counter = compiled(both)
    half, x = torch.tensor(0.5, dtype=torch.float64), torch.tensor(LOGITS)
    for step in range(3, 12):
        (z, loss), (other, expected) = call(x, step, half), both(x, step, half)
        assert torch.equal(z, other)
        assert torch.equal(loss, expected)
    assert counter.frame_count <= 3


def test_transforms_within_a_graph_find_the_gradient():
    """Dynamo by itself takes a Function there for its forward pass: pytorch/pytorch#193279."""
    half, x = torch.tensor(0.5, dtype=torch.float64), torch.tensor(LOGITS)
    slope = torch.func.grad(lambda x: both(x, KEY, half)[1])
    call, _ = compiled(slope)
    found, expected = call(x), slope(x)
    assert expected.any()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@each
def test_every_function_compiles(name):
    function, _, operands, options = FUNCTIONS[name]
    call, _ = compiled(lambda *given: function(*given, **options))
    given = [torch.tensor(x) for x in operands]
    given[0].requires_grad_()
    for x, y in zip(many(call(*given)), many(function(*given, **options)), strict=True):
        assert torch.equal(x, y)
        assert x.requires_grad == y.requires_grad


def test_scores_that_nothing_needs_are_not_in_the_graph():
    graphs = []

    def kept(module, given):
        graphs.append(str(module.graph))
        return make_boxed_func(module.forward)

    def pair(x):
        _, relaxed, conditional, score = fgt.relax(x, rng=KEY, **HEAT)
        return (relaxed * conditional).sum(), score

    for wanted in (1, 2):
        torch._dynamo.reset()
        call = torch.compile(
            lambda x, wanted=wanted: pair(x)[:wanted],
            backend=aot_autograd(fw_compiler=kept, bw_compiler=kept),
            fullgraph=True,
        )
        x = torch.tensor(LOGITS, requires_grad=True)
        found = call(x)
        found[0].backward()
        for y, expected in zip(found, pair(torch.tensor(LOGITS)), strict=False):
            assert torch.equal(y, expected)
    counts = [("_relaxed_pair" in text, "_relax_score" in text) for text in graphs[::2]]
    assert counts == [(True, False), (True, True)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of torch's own code
def test_compiles_by_inductor():
    torch._dynamo.reset()
    call = torch.compile(both, fullgraph=True)
    x, w = (torch.tensor(LOGITS, requires_grad=True) for _ in range(2))
    for f, y in ((call, x), (both, w)):
        f(y, KEY, torch.tensor(0.5, dtype=torch.float64))[1].backward()
    torch.testing.assert_close(x.grad, w.grad, rtol=1e-12, atol=1e-14)


def test_generators_are_refused_in_graphs():
    call, _ = compiled(lambda x, rng: fgt.sample(x, rng=rng))
    with pytest.raises(Exception, match=r"rng must be a fastgrad.Key or an int"):
        call(torch.zeros(3), torch.Generator())


# -- errors ---------------------------------------------------------------------------------------


NESTED = torch.nested.nested_tensor([torch.zeros(2, 3)], layout=torch.jagged)


def test_other_devices_get_one_sentence():
    sentence = "logits must be on the CPU, where fastgrad computes, got device meta: move it with"
    for call in (fgt.gumbel_softmax, fgt.relax):
        with pytest.raises(ValueError, match=sentence):
            call(torch.zeros(3, device="meta"), temperature=0.5, rng=0)
    with pytest.raises(ValueError, match=sentence):
        fgt.entropy(torch.zeros(3, device="meta"))


def test_tensors_are_made_on_the_cpu_whatever_the_default():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3)))

    def found():
        rng = torch.Generator("cpu").manual_seed(3)
        r = fgt.relax(x, temperature=1, rng=rng)
        return *r, fgt.gumbel_softmax(x, temperature=0.5, num_samples=2, rng=1), fgt.entropy(x)

    expected = found()
    with torch.device("meta"):
        others = found()
    assert all(map(torch.equal, others, expected))


def test_log_probabilities_of_no_rows_have_a_gradient():
    x = torch.zeros(0, 3, requires_grad=True)
    fgt.log_prob(x, torch.zeros((2, 0), dtype=torch.int32)).sum().backward()
    assert x.grad.shape == (0, 3)


def test_what_is_no_tensor_of_reals_is_refused():
    with pytest.raises(TypeError, match="logits must be a tensor, got ndarray: functions of arra"):
        fgt.entropy(np.zeros(3))
    for x, kind in ((torch.eye(3).to_sparse(), "layout"), (NESTED, "a nested tensor")):
        with pytest.raises(TypeError, match=f"logits must be dense, got {kind}"):
            fgt.entropy(x)
    with pytest.raises(TypeError, match="logits must be float32, float64, float16 or bfloat16"):
        fgt.entropy(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(TypeError, match="z must hold integers, got"):
        fgt.log_prob(torch.zeros(3), torch.zeros(()))
    with pytest.raises(TypeError, match="q_logits must have the type of p_logits"):
        fgt.kl_divergence(torch.zeros(3), torch.zeros(3, dtype=torch.float64))


def test_errors_of_the_numpy_api_come_through():
    nan = torch.tensor([[0.0, torch.nan]])
    with pytest.raises(ValueError, match=r"must be below infinity, got nan at index \(0, 1\)"):
        fgt.gumbel_softmax(nan, temperature=0.5, rng=0)
    with pytest.raises(ValueError, match="temperature must be a finite number above 0"):
        fgt.gumbel_softmax(torch.zeros(3), temperature=0.0, rng=0)
    with pytest.raises(TypeError, match="temperature must be a number, got 'a'"):
        fgt.gumbel_softmax(torch.zeros(3), temperature="a", rng=0)
    with pytest.raises(ValueError, match=r"one number for all rows, got shape \(2,\)"):
        fgt.gumbel_softmax(torch.zeros(2, 3), temperature=[0.5, 1.0], rng=0)
    with pytest.raises(ValueError, match="temperature must not require grad"):
        fgt.relax(torch.zeros(3), temperature=torch.ones((), requires_grad=True), rng=0)
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        fgt.sample(torch.zeros(3), num_samples=0, rng=0)
    with pytest.raises(ValueError, match="q_logits must have as many categories as p_logits"):
        fgt.kl_divergence(torch.zeros(3), torch.zeros(2))


def test_results_go_through_a_checkpoint(tmp_path):
    results = [
        fgt.relax(torch.zeros(4, 3), temperature=0.5, rng=KEY),
        fgt.permutation.sinkhorn(torch.zeros(3, 3)),
        fgt.transport.sinkhorn(torch.zeros(3, 3)),
    ]
    torch.save(results, tmp_path / "results.pt")
    for found, expected in zip(torch.load(tmp_path / "results.pt"), results, strict=True):
        assert type(found) is type(expected)
        assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_tensors_that_require_grad_are_sent_here_by_the_numpy_api():
    x = torch.zeros(3, requires_grad=True)
    with pytest.raises(TypeError, match="with gradients, are in fastgrad"):
        fg.gumbel_softmax(x, temperature=0.5, rng=0)
    assert fg.entropy(x.detach()) == pytest.approx(np.log(3))


def test_is_imported_only_by_name():
    code = (
        "import fastgrad, sys; assert 'torch' not in sys.modules; "
        "fastgrad.torch.sample; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


# -- the way past the dispatcher -------------------------------------------------------------------


def test_modes_of_the_dispatcher_see_operators():
    """Small calls leave it out: never where somebody listens."""
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Listener(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    x = torch.zeros(2, 3, requires_grad=True)
    with Listener():
        y = fgt.gumbel_softmax(x, temperature=0.5, rng=0)
        fgt.sample(x, rng=0)
        y.sum().backward()
    names = [name.split(".")[1] for name in seen if name.startswith("fastgrad")]
    assert names == ["_gumbel_softmax", "_sample", "_gumbel_softmax_vjp"]


def test_forward_mode_is_refused_and_never_zero():
    from torch.autograd import forward_ad

    with forward_ad.dual_level():
        x = forward_ad.make_dual(torch.zeros(2, 3), torch.ones(2, 3))
        with pytest.raises(RuntimeError, match="jvp"):
            fgt.gumbel_softmax(x, temperature=0.5, rng=0)


def test_gradients_in_batches_are_those_one_by_one():
    x = torch.zeros(2, 3, requires_grad=True)
    y = fgt.gumbel_softmax(x, temperature=0.5, rng=0)
    weights = torch.arange(12.0).reshape(2, 2, 3)
    (both,) = torch.autograd.grad(y, x, weights, is_grads_batched=True, retain_graph=True)
    for one, weight in zip(both, weights):
        (alone,) = torch.autograd.grad(y, x, weight, retain_graph=True)
        torch.testing.assert_close(one, alone, rtol=0, atol=0)
