"""Arrays of other libraries: no copy on the way in, and the caller's own kind on the way out."""

import inspect
import timeit

import numpy as np
import pytest

import fastgrad as fg
from fastgrad._array_api import answered, foreign

LOGITS = np.array([[0.3, -1.0, 0.8], [0.5, 0.2, -0.4]], np.float32)


class Space:
    """A namespace of the array API, of one kind of array."""

    @staticmethod
    def from_dlpack(x):
        return Own(np.from_dlpack(x))

    @staticmethod
    def asarray(x):
        return Own(np.array(x))


class Own:
    """An array with nothing but what the array API standard says that it has."""

    def __init__(self, a, device=1):
        self.a, self.device = a, device

    def __dlpack__(self, **options):
        return self.a.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device, 0

    def __array_namespace__(self):
        return Space


def test_what_is_foreign():
    assert foreign(Own(LOGITS))
    for own in (LOGITS, np.float32(1), np.ma.array([1.0]), [1.0], 1.0, None, np.memmap):
        assert not foreign(own)


def test_an_array_of_the_standard_is_answered_in_kind():
    x = fg.log_softmax(Own(LOGITS))
    assert type(x) is Own
    np.testing.assert_array_equal(x.a, fg.log_softmax(LOGITS))
    found = fg.relax(Own(LOGITS), temperature=0.5, num_samples=2, rng=0)
    assert type(found) is fg.Relaxation
    for own, plain in zip(found, fg.relax(LOGITS, temperature=0.5, num_samples=2, rng=0)):
        np.testing.assert_array_equal(own.a, plain)
    grad = fg.gumbel_softmax_vjp(Own(LOGITS), Own(LOGITS), temperature=0.5, rng=0)
    np.testing.assert_array_equal(
        grad.a, fg.gumbel_softmax_vjp(LOGITS, LOGITS, temperature=0.5, rng=0)
    )


def test_results_go_where_out_says():
    out = np.empty_like(LOGITS)
    fg.log_softmax(Own(LOGITS), out=Own(out))
    np.testing.assert_array_equal(out, fg.log_softmax(LOGITS))


def test_every_other_operand_may_be_of_any_kind():
    z = fg.sample(LOGITS, rng=0)
    assert type(fg.log_prob(LOGITS, Own(z))) is np.ndarray
    assert type(fg.log_prob(Own(LOGITS), z)) is Own


def test_an_array_elsewhere_is_refused():
    with pytest.raises(ValueError, match="logits must be on the CPU, where fastgrad computes, got"):
        fg.sample(Own(LOGITS, device=2), rng=0)


ARRAYS = ("logits", "values", "distribution", "cotangent")
GIVEN = {  # what functions of arrays take, by the names of their parameters
    **dict.fromkeys(ARRAYS, LOGITS),
    **{"edges": [[0, 1], [1, 2], [0, 2]], "root": 0, "k": 2, "q": 0.5, "rng": 0},
    **{"temperature": 0.5, "alpha": 1.3, "target": np.array([0, 2]), "f": lambda x: x[:, 0, 0]},
}


def functions_of(*modules):
    """Return the public functions of modules, by their names."""
    public = {f"{m.__name__}.{name}": getattr(m, name) for m in modules for name in m.__all__}
    return {name: f for name, f in public.items() if inspect.isfunction(f)}


@pytest.mark.parametrize(
    ("name", "function"),
    [
        *functions_of(fg.order, fg.sparse, fg.trees, fg.exact).items(),
        ("permutation.sample", fg.permutation.sample),
    ],
)
def test_rooms_of_functions_answer_in_kind(name, function):
    needed = inspect.signature(function).parameters.values()
    given = {p.name: GIVEN[p.name] for p in needed if p.default is p.empty}
    if "cotangent" in given and ("loss" in name or "quantile" in name or "median" in name):
        given["cotangent"] = LOGITS[:, 0]
    own = {k: Own(x) if k in ARRAYS else x for k, x in given.items()}
    found, plain = function(**own), function(**given)
    for a, b in zip(*((x if isinstance(x, tuple) else (x,)) for x in (found, plain))):
        assert type(a) is Own
        np.testing.assert_array_equal(a.a, b)


def test_an_estimate_is_of_the_kind_of_the_logits():
    f, run = lambda x: x[..., 0].sum(axis=-1), fg.estimator("rloo")
    found = run(f, Own(LOGITS), num_samples=4, rng=0, return_samples=True)
    plain = run(f, LOGITS, num_samples=4, rng=0, return_samples=True)
    for name in ("value", "grad", "samples", "weights"):
        np.testing.assert_array_equal(getattr(found, name).a, getattr(plain, name))
    assert found.state is None
    assert found.evaluations == 4


@pytest.mark.parametrize("optimiser", [fg.optim.SGD, fg.optim.Adam])
def test_parameters_stay_of_their_kind(optimiser):
    run = optimiser(learning_rate=0.1)
    plain, state = run.update(LOGITS, LOGITS)
    own, _ = run.update(Own(LOGITS), Own(LOGITS))
    assert type(own) is Own
    np.testing.assert_array_equal(own.a, plain)
    several, _ = run.update({"a": Own(plain), "b": LOGITS}, dict.fromkeys("ab", LOGITS))
    assert [type(several[name]) for name in "ab"] == [Own, np.ndarray]
    again, _ = run.update(own, Own(LOGITS), state)  # a state is of plain arrays
    np.testing.assert_array_equal(again.a, run.update(plain, LOGITS, state)[0])


def test_a_read_only_answer_is_copied():
    class Picky(Space):
        @staticmethod
        def from_dlpack(x):
            raise BufferError

    class Other(Own):
        def __array_namespace__(self):
            return Picky

    assert type(answered(LOGITS, Other(LOGITS))) is Own


@pytest.mark.parametrize("name", ["rloo", "auto"])
def test_estimators_see_where_foreign_logits_stand(name):
    options = {"estimators": ["rloo"], "repeats": 2} if name == "auto" else {}
    run, call = fg.estimator(name, **options), {"num_samples": 4, "rng": 0}
    f = fg.objective(lambda x: x[..., 0] - x[..., 1] ** 2)
    call["state"] = run(f, LOGITS, **call).state
    here, there = (run(f, LOGITS, **call, row_offset=i).grad for i in (0, 8))
    assert not np.array_equal(here, there)
    np.testing.assert_array_equal(run(f, Own(LOGITS), **call, row_offset=8).grad.a, there)


def test_what_numpy_calls_pay():
    """Two hundred nanoseconds would be seen in a small call: the check takes a fraction of it."""
    check = "type(x) is not ndarray and foreign(x)"
    names = {"x": LOGITS, "ndarray": np.ndarray, "foreign": foreign}
    call = min(timeit.repeat(lambda: fg.log_softmax(LOGITS), number=200, repeat=20)) / 200
    paid = min(timeit.repeat(check, globals=names, number=2000, repeat=20)) / 2000
    assert paid < 0.02 * call


# -- the libraries themselves ----------------------------------------------------------------------


@pytest.mark.optional
def test_tensors_of_torch():
    torch = pytest.importorskip("torch")
    x = torch.tensor(LOGITS)
    z = fg.sample(x, num_samples=3, rng=0)
    assert z.dtype == torch.int32
    np.testing.assert_array_equal(z.numpy(), fg.sample(LOGITS, num_samples=3, rng=0))
    out = torch.empty(2, 3)
    assert fg.log_softmax(x, out=out).data_ptr() == out.data_ptr()
    np.testing.assert_array_equal(out.numpy(), fg.log_softmax(LOGITS))
    assert type(fg.perturbed.solve(lambda t: t, x, num_samples=2, rng=0)) is torch.Tensor
    found = fg.estimator("rloo")(lambda x: x[:, 0, 0], x, num_samples=4, rng=0)
    assert found.grad.shape == x.shape
    assert found.value.shape == ()
    with pytest.raises(TypeError, match=r"got a tensor that requires grad: .* in fastgrad\.torch"):
        fg.sample(x.requires_grad_(), rng=0)
    with pytest.raises(TypeError, match=r"logits must be .* got dtype torch\.bfloat16"):
        fg.sample(torch.zeros(3, dtype=torch.bfloat16), rng=0)
    with pytest.raises(TypeError, match="resolve_neg"):  # its memory has the other sign
        fg.log_softmax(torch.zeros(3, dtype=torch.complex64).conj().imag)


@pytest.mark.optional
def test_tensors_of_torch_are_not_copied():
    torch = pytest.importorskip("torch")
    from fastgrad import _validate

    x = torch.tensor(LOGITS)
    assert _validate.real_array(x, "logits").ctypes.data == x.data_ptr()
    answer = fg.log_softmax(LOGITS)
    assert answered(answer, x).data_ptr() == answer.ctypes.data


@pytest.mark.optional
def test_arrays_of_jax():
    jax = pytest.importorskip("jax")
    from fastgrad import _validate

    x = jax.numpy.asarray(LOGITS)
    assert _validate.real_array(x, "logits").ctypes.data == x.unsafe_buffer_pointer()
    z = fg.sample(x, num_samples=3, rng=0)
    assert isinstance(z, jax.Array)
    np.testing.assert_array_equal(z, fg.sample(LOGITS, num_samples=3, rng=0))
    found = fg.permutation.sinkhorn(jax.numpy.eye(3))  # its error is float64, which JAX has not
    assert all(isinstance(part, jax.Array) for part in found)
    with pytest.raises(TypeError, match=r"call the functions of fastgrad\.jax"):
        jax.jit(lambda x: fg.sample(x, rng=0))(x)
    with pytest.raises(TypeError, match=r"rng must be .* give fastgrad\.jax\.to_key\(key\)"):
        fg.sample(LOGITS, rng=jax.random.key(0))
