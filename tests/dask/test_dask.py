"""Functions of Dask arrays: the bits of the NumPy API, for any chunks, types and workers."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgrad as fg

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
import fastgrad.dask as fgd  # noqa: E402

pytestmark = pytest.mark.optional
RNG = np.random.default_rng(0)
NOISE = ("uniform", "exponential", "gumbel", "logistic", "normal")
DRAWS = {
    "inverse": ("sample", {}),
    "gumbel": ("sample", {"method": "gumbel"}),
    "gumbel_softmax": ("gumbel_softmax", {"temperature": 0.3}),
    "hard": ("gumbel_softmax", {"temperature": 0.3, "hard": True}),
    "relax": ("relax", {"temperature": 0.7}),
    "coupled": ("relax", {"temperature": 0.7, "coupled": True, "log": True}),
}


def same(found, expected):
    """Whether arrays, or tuples of them, are equal in type, shape and all bits."""
    if isinstance(expected, tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    alike = found.dtype == expected.dtype and found.shape == expected.shape
    return alike and np.ascontiguousarray(found).tobytes() == expected.tobytes()


def cuts(n):
    """Chunks of an axis of length n."""
    places = st.lists(st.integers(0, n), max_size=3).map(sorted)
    return places.map(lambda p: tuple(b - a for a, b in zip([0, *p], [*p, n], strict=True)))


@st.composite
def problems(draw, logits=True):
    """A shape with the chunks of all its axes; the last is that of categories."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=0 if logits else 1, max_size=3)))
    chunks = tuple(draw(cuts(n)) for n in shape)
    if logits:
        k = draw(st.sampled_from([1, 2, 3, 7]))
        shape, chunks = (*shape, k), (*chunks, (k,))
    return shape, chunks


workers = st.sampled_from([("sync", 1), ("threads", 1), ("threads", 3)])
dtypes = st.sampled_from([np.float32, np.float64])


def computed(collections, how):
    scheduler, number = how
    return dask.compute(*collections, scheduler=scheduler, num_workers=number)


@given(
    problems(),
    dtypes,
    workers,
    st.sampled_from(sorted(DRAWS)),
    st.one_of(st.none(), st.integers(1, 5).flatmap(cuts)),
    st.integers(0, 9),
)
@settings(max_examples=40)
def test_draws_are_those_of_one_call(problem, dtype, how, name, samples, offset):
    (shape, chunks), (function, options) = problem, DRAWS[name]
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)
    options = options | {"rng": fg.Key(5), "row_offset": offset, "sample_offset": 2 * offset}
    own = {}
    if samples is not None:
        samples = tuple(n for n in samples if n)
        options["num_samples"], own["sample_chunks"] = sum(samples), samples
    found = getattr(fgd, function)(da.from_array(x, chunks=chunks), **options, **own)
    expected = getattr(fg, function)(x, **options)
    many = isinstance(expected, tuple)
    lazy = tuple(found) if many else (found,)
    assert [(a.shape, a.dtype) for a in lazy] == [
        (a.shape, a.dtype) for a in (expected if many else (expected,))
    ]
    assert same(computed(lazy, how), tuple(expected) if many else (expected,))


@given(problems(), dtypes, workers)
@settings(max_examples=20)
def test_functions_of_categories_are_those_of_one_call(problem, dtype, how):
    shape, chunks = problem
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)
    z = fg.sample(x, num_samples=3, rng=0)
    logits = da.from_array(x, chunks=chunks)
    many, one = da.from_array(z, chunks=(2, *z.shape[1:])), da.from_array(z[0], chunks=-1)
    lazy = [
        *(fgd.log_prob(logits, many), fgd.log_prob(logits, one)),
        *(fgd.score(logits, many), fgd.score(logits, one), fgd.entropy(logits)),
    ]
    expected = (
        *(fg.log_prob(x, z), fg.log_prob(x, z[0])),
        *(fg.score(x, z), fg.score(x, z[0]), np.asarray(fg.entropy(x))),
    )
    assert [a.shape for a in lazy] == [a.shape for a in expected]
    assert same(tuple(map(np.asarray, computed(lazy, how))), expected)


@given(problems(logits=False), dtypes, workers, st.sampled_from(NOISE), st.integers(0, 70))
@settings(max_examples=30)
def test_noise_is_that_of_one_call(problem, dtype, how, name, offset):
    shape, chunks = problem
    options = {"rng": 3, "dtype": dtype, "offset": offset}
    lazy = getattr(fgd.random, name)(shape, chunks=chunks, **options)
    expected = getattr(fg.random, name)(shape, **options)
    assert same(computed([lazy], how)[0], expected)


@pytest.mark.parametrize("name", NOISE)
def test_long_noise_is_that_of_one_call(name):
    """More than one tile of the stream, and blocks that begin inside of one."""
    lazy = getattr(fgd.random, name)((90, 101), rng=3, chunks=(17, 50))
    assert same(lazy.compute(), getattr(fg.random, name)((90, 101), rng=3))


def test_one_task_a_block():
    x = da.from_array(RNG.normal(size=(100, 3)), chunks=(10, 3))
    z = fgd.sample(x, rng=0)
    known = dask.optimize(x)[0].__dask_graph__()
    assert len(dask.optimize(z)[0].__dask_graph__()) <= len(known) + 10
    assert len(dask.optimize(fgd.random.normal(100, rng=0, chunks=10))[0].__dask_graph__()) == 10


def test_nothing_is_computed_before_it_is_asked_for():
    def explode(block):
        raise RuntimeError("computed")

    x = da.zeros((100, 3), chunks=(10, 3)).map_blocks(explode, meta=np.empty((0, 0)))
    fgd.sample(x, rng=0, num_samples=2)
    fgd.relax(x, temperature=0.5, rng=0)
    fgd.entropy(x)


def test_equal_calls_have_equal_names_and_others_do_not():
    x = da.zeros((100, 3), chunks=(10, 3))
    assert fgd.sample(x, rng=0).name == fgd.sample(x, rng=fg.Key(0)).name
    names = {
        fgd.sample(x, rng=0).name,
        fgd.sample(x, rng=1).name,
        fgd.sample(x, rng=0, row_offset=1).name,
        fgd.sample(x, rng=0, method="gumbel").name,
        fgd.sample(x, rng=0, num_samples=2).name,
        fgd.sample(x, rng=0, num_samples=2, sample_chunks=1).name,
        fgd.sample(x.rechunk((50, 3)), rng=0).name,
    }
    assert len(names) == 7


@pytest.mark.parametrize("order", ["ones", "fortran", "sliced", "half", "integers"])
def test_blocks_of_any_kind_are_taken(order):
    x = RNG.normal(size=(40, 4))
    lazy = {
        "ones": lambda: da.ones((40, 4), chunks=(7, 4)),
        "fortran": lambda: da.from_array(np.ascontiguousarray(x.T), chunks=(4, 7)).T,
        "sliced": lambda: da.from_array(x, chunks=(9, 4))[3::2],
        "half": lambda: da.from_array(x.astype(np.float16), chunks=(7, 4)),
        "integers": lambda: da.from_array(x.astype(int), chunks=(7, 4)),
    }[order]()
    found = fgd.gumbel_softmax(lazy, temperature=np.full(1, 0.5), rng=0)
    expected = fg.gumbel_softmax(lazy.compute(), temperature=0.5, rng=0)
    assert found.dtype == expected.dtype
    assert same(found.compute(), expected)


def test_a_generator_is_asked_once():
    x = da.zeros((100, 3), chunks=(10, 3))
    z = fgd.sample(x, rng=np.random.default_rng(4))
    assert same(z.compute(), z.compute())
    assert same(z.compute(), fg.sample(np.zeros((100, 3)), rng=np.random.default_rng(4)))


# -- what is refused, before any work -----------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: fgd.sample(np.zeros((2, 3)), rng=0), TypeError, "Dask array, got ndarray"),
        (lambda x: fgd.sample(x.rechunk((10, 2)), rng=0), ValueError, "categories in one chunk"),
        (lambda x: fgd.sample(x[:, :0], rng=0), ValueError, r"K >= 1, got \([1-9][0-9]*, 0\)"),
        (lambda x: fgd.sample(x[0, 0], rng=0), ValueError, r"K >= 1, got \(\)"),
        (lambda x: fgd.sample(x[x[:, 0] > 1], rng=0), ValueError, "compute_chunk_sizes"),
        (lambda x: fgd.sample(x.astype(complex), rng=0), TypeError, "logits must be float32"),
        (lambda x: fgd.sample(x[:, :0], rng=0), ValueError, "logits must"),
        (lambda x: fgd.sample(x, rng=None), TypeError, "rng must be"),
        (lambda x: fgd.sample(x, rng=0, method="best"), ValueError, "method must be"),
        (lambda x: fgd.sample(x, rng=0, num_samples=0), ValueError, "num_samples must be"),
        (lambda x: fgd.sample(x, rng=0, sample_chunks=1), ValueError, "sample_chunks must be None"),
        (
            lambda x: fgd.sample(x, rng=0, num_samples=3, sample_chunks=(1, 1)),
            ValueError,
            "sample_chunks must be an int or a tuple of positive ones with the sum 3",
        ),
        (lambda x: fgd.sample(x, rng=0, row_offset=-1), ValueError, "row_offset must be"),
        (lambda x: fgd.relax(x, rng=0, temperature=0), ValueError, "temperature must be"),
        (
            lambda x: fgd.gumbel_softmax(x, rng=0, temperature=1, hard=True, log=True),
            ValueError,
            "log=True does not go",
        ),
        (lambda x: fgd.log_prob(x, da.zeros(3, dtype=int)), ValueError, "z must have the shape"),
        (lambda x: fgd.log_prob(x, x[:, 0]), TypeError, "z must"),
        (lambda x: fgd.random.normal(-1, rng=0), ValueError, "shape must be"),
        (lambda x: fgd.random.normal(3, rng=0, dtype=int), (TypeError, ValueError), "dtype"),
    ],
)
def test_bad_input_is_refused_before_any_work(call, error, words):
    x = da.from_array(RNG.normal(size=(40, 3)), chunks=(10, 3))
    with pytest.raises(error, match=words):
        call(x)


def test_bad_logits_are_refused_when_they_are_seen():
    x = np.zeros((40, 3))
    x[33, 1] = np.nan
    z = fgd.sample(da.from_array(x, chunks=(10, 3)), rng=0)
    with pytest.raises(ValueError, match="logits must"):
        z.compute()


def test_functions_of_arrays_do_not_compute_dask_arrays_unasked():
    x = da.zeros((100, 3), chunks=(10, 3))
    with pytest.raises(TypeError, match=r"fastgrad\.dask"):
        fg.sample(x, rng=0)


def test_it_is_reached_by_its_name_and_says_what_is_missing(tmp_path):
    code = "import fastgrad as fg; print(fg.dask.sample.__module__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert run.stdout.strip() == "fastgrad.dask.categorical", run.stderr
    (tmp_path / "dask.py").write_text("raise ImportError")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import fastgrad.dask"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    last = run.stderr.strip().splitlines()[-1]
    assert last == "ImportError: fastgrad.dask needs Dask: pip install fastgrad[dask]"


# -- xarray -------------------------------------------------------------------------------------


def test_data_arrays_by_apply_ufunc():
    xr = pytest.importorskip("xarray")
    x = RNG.normal(size=(12, 10, 4)).astype(np.float32)
    lazy = xr.DataArray(x, dims=("y", "x", "k"), coords={"y": np.arange(12)}).chunk(x=3, y=5)
    z = xr.apply_ufunc(fgd.sample, lazy, input_core_dims=[["k"]], dask="allowed", kwargs={"rng": 3})
    assert z.dims == ("y", "x")
    assert z.chunks is not None
    assert same(z.values, fg.sample(x, rng=3))
    soft = xr.apply_ufunc(
        fgd.gumbel_softmax,
        lazy,
        input_core_dims=[["k"]],
        output_core_dims=[["k"]],
        dask="allowed",
        kwargs={"rng": 3, "temperature": 0.5},
    )
    assert same(soft.values, fg.gumbel_softmax(x, rng=3, temperature=0.5))
    h = xr.apply_ufunc(fgd.entropy, lazy, input_core_dims=[["k"]], dask="allowed")
    assert same(h.values, fg.entropy(x))
    assert (h.y == lazy.y).all()
