"""Estimates of minibatches in blocks: the bits of one call, for every estimator."""

import dataclasses
import pickle

import numba
import numpy as np
import pytest

import fastgrad as fg

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
import fastgrad.dask as fgd  # noqa: E402

pytestmark = pytest.mark.optional
RNG = np.random.default_rng(3)
CHUNKS = ((4, 1, 6, 2), (3, 0, 10), (13,))
BINARY = ("arm", "arms", "disarm")
TARGET = RNG.normal(size=(13, 2, 1))


def value(x, target):
    return ((x - target) ** 2).sum(axis=3).sum(axis=2)


def slope(x, target):
    return 2 * (x - target)


def local(z, target):
    """f with each variable set to each of its categories; all values of a target are alike."""
    k = 3
    each = ((np.eye(k)[z] - target) ** 2).sum(axis=-1)
    other = ((np.eye(k) - target[..., None, :]) ** 2).sum(axis=-1)
    return each.sum(axis=2)[..., None, None] - each[..., None] + other


def objective(target=None):
    parts = {"grad": slope, "local": local}
    if target is None:
        return fg.objective(value, **parts)
    bound = {name: (lambda x, p=p: p(x, target)) for name, p in parts.items()}
    return fg.objective(lambda x: value(x, target), **bound)


@pytest.mark.parametrize("name", fg.list_estimators())
def test_blocks_give_one_calls_bits(name):
    estimator = fg.estimator(name)
    logits = RNG.normal(size=(13, 2, 2 if name in BINARY else 3)).astype(np.float32)
    options = {"num_samples": 4, "rng": 5}
    whole = estimator(objective(TARGET), logits, **options)
    for chunks in CHUNKS:
        lazy = da.from_array(logits, chunks=(chunks, *logits.shape[1:]))
        found = fgd.estimate(name, objective(), lazy, TARGET, **options)
        assert found.value.shape == (13,)
        assert found.grad.shape == logits.shape
        value, grad = dask.compute(found.value, found.grad, num_workers=3)
        assert value.tobytes() == whole.value.tobytes()
        assert grad.tobytes() == whole.grad.tobytes()
        assert value.dtype == found.value.dtype == np.float32


@pytest.mark.parametrize("name", ["rebar", "relax", "reinforce"])
def test_what_is_learned_goes_from_call_to_call(name):
    options = {"baseline": "moving_average"} if name == "reinforce" else {}
    estimator = fg.estimator(name, **options)
    logits = RNG.normal(size=(13, 2, 3))
    lazy = da.from_array(logits, chunks=((5, 8), 2, 3))
    state = whole_state = None
    for step in range(3):
        found = fgd.estimate(
            estimator, objective(), lazy, TARGET, num_samples=4, rng=step, state=state
        )
        whole = estimator(objective(TARGET), logits, num_samples=4, rng=step, state=whole_state)
        grad, state = dask.persist(found.grad, found.state)
        whole_state = whole.state
        assert grad.compute().tobytes() == whole.grad.tobytes()
    assert state.shape == (2,)


def test_sites_and_further_axes_of_examples():
    logits = RNG.normal(size=(9, 4))
    found = fgd.estimate(
        "disarm",
        lambda x: x**2,
        da.from_array(logits, chunks=(2, 4)),
        num_samples=4,
        rng=1,
        examples=2,
        single_logit=True,
        row_offset=7,
    )
    whole = fg.estimator("disarm")(
        lambda x: x**2, fg.Bernoulli(logits), num_samples=4, rng=1, row_offset=7
    )
    assert found.value.shape == (9, 4)
    assert found.value.compute().tobytes() == whole.value.tobytes()
    assert found.grad.compute().tobytes() == whole.grad.tobytes()
    assert found.evaluations.compute() == 5 * 4


def test_the_sum_of_shared_logits_does_not_depend_on_chunks():
    shared = RNG.normal(size=(2, 3))
    bits = set()
    for chunks in CHUNKS:
        logits = da.broadcast_to(shared, (13, 2, 3), chunks=(chunks, 2, 3))
        found = fgd.estimate("rloo", value, logits, TARGET, num_samples=4, rng=0)
        total, mean = dask.compute(fgd.tree_sum(found.grad), fgd.tree_sum(found.value))
        bits.add((total.tobytes(), mean.tobytes()))
    assert len(bits) == 1


def test_data_may_be_cut_otherwise():
    logits = da.from_array(RNG.normal(size=(13, 2, 3)), chunks=(5, 2, 3))
    data = da.from_array(TARGET, chunks=(4, 1, 1))
    a = fgd.estimate("rloo", value, logits, data, num_samples=4, rng=0)
    b = fgd.estimate("rloo", value, logits, TARGET, num_samples=4, rng=0)
    assert a.grad.compute().tobytes() == b.grad.compute().tobytes()


def test_objectives_and_estimators_pickle():
    again = pickle.loads(pickle.dumps(objective()))
    assert again.f is value
    for name in fg.list_estimators():
        assert pickle.loads(pickle.dumps(fg.estimator(name))) == fg.estimator(name)


LAZY = da.zeros((13, 2, 3), chunks=(5, 2, 3))
CALL = {"num_samples": 4, "rng": 0}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fgd.estimate("rlo", value, LAZY, **CALL), ValueError, "did you mean 'rloo'"),
        (lambda: fgd.estimate(3, value, LAZY, **CALL), TypeError, "estimator must be an Estimator"),
        (lambda: fgd.estimate("rebar", value, LAZY, **CALL), TypeError, "gradient of f"),
        (lambda: fgd.estimate("rloo", 3, LAZY, **CALL), TypeError, "f must be a function"),
        (
            lambda: fgd.estimate("rloo", value, LAZY.rechunk((5, 1, 3)), **CALL),
            ValueError,
            "first axis only",
        ),
        (lambda: fgd.estimate("rloo", value, LAZY[0, 0], **CALL), ValueError, "first axis only"),
        (
            lambda: fgd.estimate("rloo", value, LAZY, TARGET[:4], **CALL),
            ValueError,
            r"data\[0\] must have 13 examples",
        ),
        (
            lambda: fgd.estimate("rloo", value, LAZY, num_samples=1, rng=0),
            ValueError,
            "num_samples must be",
        ),
        (
            lambda: fgd.estimate("rebar", objective(), LAZY, state={}, **CALL),
            ValueError,
            "state must be that of the last estimate",
        ),
        (
            lambda: fgd.estimate("rodeo", objective(), LAZY, state={}, **CALL),
            ValueError,
            "rodeo learns one state from all examples",
        ),
        (lambda: fgd.estimate("rloo", value, LAZY, examples=3, **CALL), ValueError, "examples"),
    ],
)
def test_bad_input_is_refused_before_any_work(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_f_must_have_a_value_for_each_example():
    lazy = fgd.estimate("rloo", lambda x: x.sum(axis=(1, 2, 3)), LAZY, **CALL)
    with pytest.raises(ValueError, match="f must have a value for each example"):
        lazy.grad.compute()


def test_an_estimator_of_ones_own():
    """One that draws by the distribution's functions need not know where it stands."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Mine(type(fg.estimator("rloo"))):
        name = "mine"

    logits = RNG.normal(size=(13, 2, 3))
    lazy = da.from_array(logits, chunks=(5, 2, 3))
    found = fgd.estimate(Mine(), value, lazy, TARGET, **CALL).grad.compute()
    whole = Mine()(lambda x: value(x, TARGET), logits, **CALL)
    assert found.tobytes() == whole.grad.tobytes()


@numba.njit
def chosen(example, z, target):
    return target[example, 0, 0] * z[0] + z[1]


def test_a_compiled_objective_knows_examples_among_all():
    logits = RNG.normal(size=(13, 2, 3)).astype(np.float32)
    f = fg.objective(compiled=chosen, data=(TARGET,))
    whole = fg.estimator("rloo")(f, logits, num_samples=4, rng=5)
    found = fgd.estimate("rloo", f, da.from_array(logits, chunks=(5, 2, 3)), num_samples=4, rng=5)
    np.testing.assert_array_equal(found.grad.compute(), whole.grad)
    with pytest.raises(TypeError, match="data must be part of a compiled objective"):
        fgd.estimate("rloo", f, da.from_array(logits), TARGET, num_samples=4, rng=5)
