"""Both routes into XLA: handlers that it calls without Python, and callbacks in pure NumPy."""

import ast
import ctypes
import pathlib
import re
import threading

import numba
import numpy as np
import pytest

import fastgrad as fg
from fastgrad.kernels.compiler import cache

jax = pytest.importorskip("jax")
fj = pytest.importorskip("fastgrad.jax")
jnp = pytest.importorskip("jax.numpy")
calls = pytest.importorskip("fastgrad.jax.calls")
chunks = pytest.importorskip("fastgrad.jax.chunks")
frames = pytest.importorskip("fastgrad.jax.frames")
handlers = pytest.importorskip("fastgrad.jax.handlers")
calls = pytest.importorskip("fastgrad.jax.calls")
pytestmark = pytest.mark.optional

KEY = jax.random.key(3)
RNG = fj.to_key(KEY)
X = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
BAD = (jax.errors.JaxRuntimeError, ValueError)


def everything(x):
    """Call each function that has a handler, and the gradients of those that have one."""
    r = fj.relax(x, KEY, temperature=0.5, num_samples=2)
    y = fj.gumbel_softmax(x, KEY, temperature=0.5, num_samples=2)
    return fj.sample(x, KEY), r, y, fj.entropy(x), fj.log_prob(x, r.sample)


def loss(x):
    _, r, y, h, p = everything(x)
    return sum((a**2).sum() for a in (*r[1:], y, h, p))


def results(x):
    """Return what each way of calling gives; new functions, so that nothing is remembered."""
    calling = jax.jit(lambda x: everything(x))
    mapped = jax.vmap(lambda x: everything(x), 0, (0, 1, 1, 0, 1))
    return calling(x), mapped(x), jax.jit(jax.grad(lambda x: loss(x)))(x)


@pytest.fixture(params=["buffers", "arrays"])
def without_handlers(request, monkeypatch):
    """Callbacks for all, of either kind: older JAX has none that read buffers."""
    monkeypatch.setattr(handlers.frames, "version", lambda: None)
    if request.param == "arrays":
        monkeypatch.setattr(calls, "_buffers", None)


def programs(x):
    return jax.jit(lambda x: everything(x)).lower(x).as_text()


def test_handlers_are_called():
    assert frames.version() is not None
    text = programs(X)
    assert "fastgrad_relax_float32" in text
    assert "callback" not in text


def test_handlers_come_from_the_cache_of_kernels():
    handlers.target("entropy", "float32")
    _, made_again = handlers._handler("entropy", "float32")
    assert made_again.stats.cache_hits
    assert not made_again.stats.cache_misses
    covered = {path.name for path in cache.sources(handlers.__file__)}
    bodies = {path.name for path in pathlib.Path(handlers.__file__).parent.glob("*bodies.py")}
    assert bodies | {"frames.py", "chunks.py", "losses.py", "addresses.py", "concrete.py"} < covered


def test_handlers_share_what_they_all_do():
    """It is machine code of its own: a handler only calls it."""
    _, made = handlers._handler("entropy", "float32")
    (overload,) = made.overloads.values()
    functions = list(overload.library._get_module_for_linking().functions)
    for name in ("_opened", "_answered", "check"):
        (found,) = (f for f in functions if re.match(rf"_ZN8fastgrad3jax.*\d{name}", f.name))
        assert found.is_declaration


def test_callbacks_are_called_where_frames_are_unknown(without_handlers):
    text = programs(X)
    assert "fastgrad_" not in text
    assert "callback" in text


def test_callbacks_are_given_the_halves_of_an_address(without_handlers):
    """JAX 0.6 ends the process where one takes what XLA has concatenated, as of a single number."""
    x = X[:1, :1]
    program = jax.jit(lambda x, key, i: fj.sample(x, key, num_samples=2, row_offset=i))
    assert "-> tensor<5xui32>" not in program.lower(x, KEY, 5).as_text()
    found, plain = program(x, KEY, 5), jax.jit(lambda x, k: fj.sample(x, k, num_samples=2))(x, KEY)
    for y, row in ((found, 5), (plain, 0)):
        expected = fg.sample(x, num_samples=2, rng=fj.to_key(KEY), row_offset=row)
        np.testing.assert_array_equal(y, expected)


def test_all_routes_agree(monkeypatch):
    native = jax.tree.leaves(results(X))
    monkeypatch.setattr(handlers.frames, "version", lambda: None)
    for _ in range(2):
        for own, other in zip(native, jax.tree.leaves(results(X)), strict=True):
            np.testing.assert_array_equal(own, other)
        monkeypatch.setattr(calls, "_buffers", None)


def test_expectation_is_the_same_by_both_kinds_of_callbacks(monkeypatch):
    def slopes():
        def f(z):
            return (z * np.arange(3.0)).sum((-1, -2)) ** 2

        return jax.jit(jax.grad(lambda x: fj.expectation(f, x, KEY, estimator="rloo").value.sum()))

    by_buffers = slopes()(X)
    monkeypatch.setattr(calls, "_buffers", None)
    np.testing.assert_array_equal(by_buffers, slopes()(X))


def test_errors_without_handlers(without_handlers):
    bad = X * np.nan
    for f in (fj.entropy, lambda x: fj.sample(x, KEY)):
        with pytest.raises(BAD, match="logits must be below infinity"):
            jax.jit(f)(bad).block_until_ready()
    draw = jax.jit(lambda t: fj.gumbel_softmax(X, KEY, temperature=t))
    with pytest.raises(BAD, match="temperature must be from"):
        draw(np.float32(0)).block_until_ready()


def test_shapes_at_the_edge_without_handlers(without_handlers):
    for shape in ((0, 3), (2, 0, 3), (3,)):
        x = np.zeros(shape, np.float32)
        found = jax.jit(lambda x: fj.relax(x, KEY, temperature=0.5, num_samples=2))(x)
        for own, other in zip(found, fg.relax(x, temperature=0.5, num_samples=2, rng=RNG)):
            np.testing.assert_array_equal(own, other)


def test_operations_that_callbacks_run_know_no_jax():
    path = pathlib.Path(calls.__file__).with_name("operations.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("jax") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith(("jax", "fastgrad.jax"))


def header(tmp_path, monkeypatch, text):
    """Let JAX say that its headers are these, and return the version that is read there."""
    path = tmp_path / "xla" / "ffi" / "api"
    path.mkdir(parents=True)
    (path / "c_api.h").write_text(text)
    monkeypatch.setattr(jax.ffi, "include_dir", lambda: str(tmp_path))
    frames.version.cache_clear()
    try:
        return frames.version()
    finally:
        frames.version.cache_clear()


DEFINED = "#define XLA_FFI_API_MAJOR {}\n#define XLA_FFI_API_MINOR {}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DEFINED.format(0, 3), (0, 3)),
        (DEFINED.format(0, 1), (0, 1)),
        (DEFINED.format(0, 9), None),
        (DEFINED.format(1, 0), None),
        ("", None),
    ],
)
def test_version_of_the_interface(tmp_path, monkeypatch, text, expected):
    assert header(tmp_path, monkeypatch, text) == expected


def test_other_machines_and_missing_headers(tmp_path, monkeypatch):
    monkeypatch.setattr(frames.platform, "machine", lambda: "riscv64")
    assert header(tmp_path, monkeypatch, DEFINED.format(0, 3)) is None
    monkeypatch.undo()
    monkeypatch.setattr(jax.ffi, "include_dir", lambda: str(tmp_path / "nowhere"))
    frames.version.cache_clear()
    assert frames.version() is None
    frames.version.cache_clear()


def test_many_chunks_have_the_bits_of_one(monkeypatch):
    x = np.random.default_rng(0).normal(size=(20_000, 8)).astype(np.float32)
    draw = jax.jit(lambda x: fj.relax(x, KEY, temperature=0.5, num_samples=2))
    slope = jax.jit(jax.grad(lambda x: (fj.gumbel_softmax(x, KEY, temperature=0.5) ** 2).sum()))
    draw(x), slope(x)
    found = []
    for count in (1, 3, 8):
        chunks.MOST[0] = count
        found.append([np.asarray(a) for a in (*draw(x), slope(x), fj.entropy(x))])
    chunks.plan_threads()
    for others in found[1:]:
        for own, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(
        found[0][0], fg.relax(x, temperature=0.5, num_samples=2, rng=RNG).sample
    )


def test_as_many_chunks_as_the_numpy_api_runs(monkeypatch):
    monkeypatch.setattr(chunks.jit.threads, "count", lambda: 2)
    monkeypatch.setattr(chunks.jit, "_parallel_is_safe", lambda: True)
    monkeypatch.setattr(chunks.threads, "limit", lambda: chunks.threads.MOST)
    chunks.plan_threads()
    count = numba.njit(lambda work: chunks.chunks_for(work))
    for work in (0, 1, 2**12, 2**15 - 1, 2**15, 2**15 + 1, 20_000, 10**5, 10**9, 2**40):
        assert count(work) == chunks.jit.plan(work)
    monkeypatch.undo()
    chunks.plan_threads()


def test_programs_go_by_a_number_of_threads_that_is_chosen_later():
    chunks.plan_threads()
    default = int(chunks.MOST[0])
    try:
        fg.set_num_threads(1)
        assert chunks.MOST[0] == 1
    finally:
        fg.set_num_threads(None)
    assert chunks.MOST[0] == default


def test_eight_threads_at_once():
    x = np.random.default_rng(0).normal(size=(10_000, 8)).astype(np.float32)
    expected = fg.gumbel_softmax(x, temperature=0.5, rng=RNG)
    draw = jax.jit(lambda x: fj.gumbel_softmax(x, KEY, temperature=0.5))
    good = [False] * 8

    def work(i):
        good[i] = all(bool((np.asarray(draw(x)) == expected).all()) for _ in range(5))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(good)


def words(*values):
    return np.array(values, np.int64)


def test_an_allocation_of_a_handler_that_fails_is_an_error():
    """A frame by hand: its 2**58 rows of no logits need room for 2**58 sums."""
    said = []

    @ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.POINTER(ctypes.c_int64))
    def make_error(args):
        said.append((ctypes.string_at(args[2]), args[3] & 0xFFFFFFFF))
        return 42

    rows, none = words(2**58, 0), words(0, 2**58)
    buffers = [words(48, 0, 11, 0, 2, sizes.ctypes.data) for sizes in (rows, none, none)]
    ins, outs = (words(*(b.ctypes.data for b in part)) for part in (buffers[:2], buffers[2:]))
    options = words(0, 0, 0, 0, 0)
    attribute = words(0, 5, options.ctypes.data)
    attributes = words(attribute.ctypes.data)
    api, frame = words(0, 0, 0, 0, 0, 0, 0), np.zeros(22, np.int64)
    api[6] = ctypes.cast(make_error, ctypes.c_void_p).value
    frame[[2, 7, 9]] = api.ctypes.data, 2, ins.ctypes.data
    frame[[12, 14]], frame[[17, 20]] = (1, outs.ctypes.data), (1, attributes.ctypes.data)
    address, _ = handlers._handler("log_prob", "float32")
    handler = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)
    assert handler(frame.ctypes.data) == 42
    ((text, code),) = said
    assert b"could not allocate" in text
    assert code == 8  # RESOURCE_EXHAUSTED


def test_long_rows_and_other_methods_have_no_handler():
    x = np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float32)
    z = jax.jit(lambda x: fj.sample(x, KEY))(x)
    np.testing.assert_array_equal(z, fg.sample(x, rng=RNG))
    np.testing.assert_array_equal(jax.jit(fj.log_prob)(x, z), fg.log_prob(x, np.asarray(z)))
    y = jax.jit(lambda x: fj.gumbel_softmax(x, KEY, temperature=0.5))(x)
    np.testing.assert_array_equal(y, fg.gumbel_softmax(x, temperature=0.5, rng=RNG))


def test_shards_of_one_batch():
    """Each device draws what the whole batch has at its rows: here two, one after the other."""
    draw = jax.jit(lambda x, i: fj.sample(x, KEY, row_offset=i * 10))
    x = X.reshape(20, 3)
    parts = [draw(x[10 * i : 10 * i + 10], i) for i in range(2)]
    np.testing.assert_array_equal(np.concatenate(parts), fg.sample(x, rng=RNG))


def test_the_numpy_api_names_this_one_when_it_is_given_a_tracer():
    for f in (fg.entropy, lambda x: fg.sample(x, rng=0)):
        with pytest.raises(TypeError, match=r"logits .* tracer .* fastgrad\.jax"):
            jax.jit(f)(X)
