"""Estimates with compiled objectives in parts are those of one call, bit for bit."""

import itertools

import numba
import numpy as np
import pytest

import fastgrad as fg
from fastgrad.comparison.runs import Counter
from fastgrad.estimators import examples_in_parts

CALLS = [(name, {}) for name in fg.list_estimators()] + [
    ("reinforce", {"baseline": "moving_average"}),
    ("reinforce", {"baseline": "optimal"}),
    ("reinforce", {"baseline": "optimal_pooled"}),
    ("arms", {"group_size": 4}),
]
IN_ONE_PASS = [
    ("rloo", {}),
    ("reinforce", {}),
    ("reinforce", {"baseline": 0.3}),
    ("reinforce", {"baseline": lambda d: np.linspace(0, 1, 11)}),
    ("reinforce", {"baseline": "moving_average"}),
    ("reinforce", {"baseline": "optimal"}),
    ("gumbel_softmax", {"temperature": 0.7}),
    ("arm", {}),
    ("disarm", {}),
]
QUICK = ("arm", "disarm", "gumbel_softmax")
slow = pytest.mark.slow  # kernels for these are compiled for the test alone


@numba.njit
def sines(example, z, weights):
    total = 0.0
    for d in range(z.size):
        total += np.sin(weights[example, d, z[d]])
    return total


@numba.njit
def sines_and_cosines(example, x, grad, weights):
    total = 0.0
    for d in range(x.shape[0]):
        for k in range(x.shape[1]):
            phase = x[d, k] * weights[example, d, k]
            total += np.sin(phase)
            grad[d, k] = np.cos(phase) * weights[example, d, k]
    return total


def problem(name):
    """Return logits of 11 examples of three variables, and a compiled f."""
    k = 2 if name in ("arm", "arms", "disarm") else 3
    rng = np.random.default_rng(len(name))
    parts = {"compiled": sines, "compiled_value_and_grad": sines_and_cosines}
    f = fg.objective(**parts, data=(rng.normal(size=(11, 3, k)),))
    return fg.Categorical(rng.normal(size=(11, 3, k))), f


def sites(name):
    """Return 11 examples of three Bernoulli variables, and a compiled f."""
    rng = np.random.default_rng(len(name))
    f = fg.objective(compiled=product, compiled_value_and_grad=product_and_factors)
    return fg.Bernoulli(rng.normal(size=(11, 3))), f


@numba.njit
def product(example, b):
    return example + (b[0] + 1) * (b[1] + 2) * (b[2] + 3)


@numba.njit
def product_and_factors(example, x, grad):
    grad[0] = (x[1] + 2) * (x[2] + 3)
    grad[1] = (x[0] + 1) * (x[2] + 3)
    grad[2] = (x[0] + 1) * (x[1] + 2)
    return example + (x[0] + 1) * grad[0]


def in_arrays(f):
    """Return the same objective without what is compiled: parts that take arrays."""
    return fg.objective(index=f.index, value_and_grad=f.value_and_grad)


@pytest.mark.parametrize(("name", "options"), CALLS)
def test_estimates_are_those_of_one_call(name, options, monkeypatch):
    check(fg.estimator(name, **options), *problem(name), monkeypatch)


def check(run, d, f, monkeypatch, constant="NUMBERS"):
    """Compare estimates where a part has that many numbers with those of one call."""
    for state in (None, run(in_arrays(f), d, num_samples=8, rng=0).state):
        call = {"num_samples": 8, "rng": 1, "row_offset": 5, "state": state}
        whole = run(in_arrays(f), d, **call)
        for numbers, size in itertools.product((1, 200), (None, 4)):
            with monkeypatch.context() as patch:
                patch.setattr(examples_in_parts, constant, numbers)
                if constant == "ONE_PASS":  # all of it happens in the kernel
                    patch.setattr(type(run), "draw", None)
                found = run(f, d, **call, block_size=size)
            np.testing.assert_array_equal(found.value, whole.value)
            np.testing.assert_array_equal(found.grad, whole.grad)
            assert found.grad.dtype == whole.grad.dtype
            assert found.evaluations == whole.evaluations
            assert (found.state is None) == (whole.state is None)
            for name in whole.state or ():
                np.testing.assert_array_equal(found.state[name], whole.state[name])
        if state is None and whole.state is None:
            return


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        pytest.param(*call, kind, marks=[] if kind is sites and call[0] in QUICK else slow)
        for call, kind in itertools.product(IN_ONE_PASS, (sites, problem))
    ],
)
def test_so_are_estimates_in_one_pass(name, options, kind, monkeypatch):
    check(fg.estimator(name, **options), *kind(name), monkeypatch, "ONE_PASS")


def test_the_parts_are_small(monkeypatch):
    """What f is asked at once has about so many numbers, with one example, too."""
    sizes, (d, f) = [], problem("rloo")

    def watching(draw):
        def watched(self, *how):
            z = draw(self, *how)
            sizes.append(z.size)
            return z

        return watched

    monkeypatch.setattr(fg.Categorical, "drawn", watching(fg.Categorical.drawn))
    monkeypatch.setattr(examples_in_parts, "NUMBERS", 200)
    run = fg.estimator("reinforce", baseline="optimal_pooled")
    run(f, d, num_samples=8, rng=0)
    assert len(sizes) == 5
    assert max(sizes) <= 72
    f = fg.objective(compiled=first, examples=0)
    whole = run(in_arrays(f), d, num_samples=8, rng=0)
    sizes.clear()
    found = run(f, d, num_samples=8, rng=0)
    assert len(sizes) == 8
    assert found.value.shape == ()
    np.testing.assert_array_equal(found.grad, whole.grad)


@numba.njit
def first(example, z):
    return z[0, 0] + z[10, 2]


@pytest.mark.parametrize("name", ["rloo", "vimco"])
def test_errors_name_the_example_among_all(name, monkeypatch):
    monkeypatch.setattr(examples_in_parts, "NUMBERS", 1)
    d, f = problem(name)
    weights = f.compiled.data[0].copy()
    weights[7] = np.nan
    f = fg.objective(compiled=sines, data=(weights,))
    with pytest.raises(
        ValueError, match=r"f must be (finite|below infinity), got nan for sample 0 at \(7,\)"
    ):
        fg.estimator(name)(f, d, num_samples=4, rng=0)


def test_wrapped_parts_are_left_alone():
    """Such as those of `fastgrad.compare`, which counts evaluations."""
    d, f = problem("rloo")
    assert examples_in_parts.plain(f) is f.compiled
    assert examples_in_parts.plain(in_arrays(f)) is None
    counter = Counter(f)
    assert examples_in_parts.plain(counter.objective) is None
    fg.estimator("rloo")(counter.objective, d, num_samples=4, rng=0)
    assert counter.points == 4


def test_a_subclass_does_not_inherit_the_pass():
    """It may draw or combine in another way."""

    class Mine(type(fg.estimator("rloo"))):
        def combine(self, distribution, blocks, state=None):
            return super().combine(distribution, blocks, state)._replace(evaluations=-1)

    d, f = fg.Categorical(np.zeros((30_000, 3))), fg.objective(compiled=alone)
    assert Mine()(f, d, num_samples=4, rng=0).evaluations == -1


@numba.njit
def alone(example, z):
    return z


@pytest.mark.parametrize("name", ["disarm", "vimco"])
def test_the_number_of_threads_changes_nothing(name):
    """In one pass, and in parts."""
    d, f = fg.Bernoulli(np.linspace(-3, 3, 40_000)), fg.objective(compiled=alone)
    assert d.logits.size * 2 * 8 > examples_in_parts.ONE_PASS
    run, found = fg.estimator(name), []
    try:
        for threads in (1, None):
            fg.set_num_threads(threads)
            found.append(run(f, d, num_samples=8, rng=0))
    finally:
        fg.set_num_threads(None)
    np.testing.assert_array_equal(found[0].grad, found[1].grad)
    np.testing.assert_array_equal(found[0].value, found[1].value)
