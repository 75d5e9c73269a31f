"""Devices, forked children and threads that compile at once: in processes of their own."""

import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("jax")
handlers = pytest.importorskip("fastgrad.jax.handlers")
pytestmark = [pytest.mark.optional, pytest.mark.slow]

HEAD = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import jax, numpy as np
import fastgrad as fg, fastgrad.jax as fj
x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
expected = fg.gumbel_softmax(x, temperature=0.5, rng=5)
"""


def output_of(code):
    """Run code in a process that begins as `HEAD` does; return what it printed."""
    run = subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


CASES = {  # which follow each other in one process
    # Of the same handler and of others: the first programs of a process, traced side by side.
    "threads": """
    import threading
    found, barrier = {}, threading.Barrier(4)

    def work(i):
        barrier.wait()
        if i < 2:
            found[i] = jax.jit(lambda x: fj.gumbel_softmax(x, 5, temperature=0.5))(x)
        else:
            found[i] = jax.jit(lambda x: fj.entropy(x))(x)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)
    print(*(np.array_equal(found[i], expected) for i in range(2)))
    print(*(np.array_equal(found[i], fg.entropy(x)) for i in (2, 3)))
    """,
    # Those of this program were compiled by the process of the tests.
    "cache": """
    from fastgrad.jax import handlers
    kept = handlers.frames.KEPT["fastgrad_entropy_float32"]
    print(len(kept.stats.cache_hits), len(kept.stats.cache_misses))
    """,
    # Each device draws the noise of its own rows; value and gradient are those of one device.
    "devices": """
    from jax.sharding import Mesh, PartitionSpec as P
    shard_map = getattr(jax, "shard_map", None)
    if shard_map is None:
        from jax.experimental.shard_map import shard_map

    def local(block):
        row = jax.lax.axis_index("rows") * len(block)
        return fj.gumbel_softmax(block, 5, temperature=0.5, row_offset=row)

    mesh = Mesh(np.array(jax.devices()), ("rows",))
    draw = jax.jit(shard_map(local, mesh=mesh, in_specs=P("rows"), out_specs=P("rows")))
    y = draw(x)
    print(len(y.sharding.device_set), np.array_equal(y, expected))
    grad = jax.jit(jax.grad(lambda x: (draw(x) ** 2).sum()))(x)
    whole = fg.gumbel_softmax_vjp(x, 2 * expected, temperature=0.5, rng=5)
    print(np.allclose(grad, whole, rtol=1e-5, atol=1e-6))

    def pair(block):
        row = jax.lax.axis_index("rows") * len(block)
        r = fj.relax(block, 5, temperature=0.5, row_offset=row)
        return r.sample, r.relaxed

    eager = shard_map(pair, mesh=mesh, in_specs=P("rows"), out_specs=P("rows"))
    draw = jax.jit(eager)
    r = fg.relax(x, temperature=0.5, rng=5)
    print(*(np.array_equal(own, other) for own, other in zip(draw(x), r)))
    whole, _ = fg.relax_vjp(x, 2 * r.relaxed, 0 * r.relaxed, temperature=0.5, rng=5)
    for call in (draw, eager):
        grad = jax.grad(lambda x: (call(x)[1] ** 2).sum())(x)
        print(np.allclose(grad, whole, rtol=1e-5, atol=1e-6))

    def slopes(block):  # of an expectation, whose gradient is taken on each device
        key = jax.random.fold_in(jax.random.key(5), jax.lax.axis_index("rows"))

        def loss(block):
            f = lambda z: ((z * np.arange(3.0)).sum(-1) ** 2).sum(-1)
            return fj.expectation(f, block, key, estimator="rloo").value

        return jax.grad(loss)(block)

    part = jax.jit(shard_map(slopes, mesh=mesh, in_specs=P("rows"), out_specs=P("rows")))(x)
    for i in range(2):
        key = fj.to_key(jax.random.fold_in(jax.random.key(5), i))
        f = lambda z: ((z * np.arange(3.0)).sum(-1) ** 2).sum(-1)
        own = fg.estimator("rloo")(f, x[4 * i : 4 * i + 4], num_samples=8, rng=key)
        print(np.allclose(part[4 * i : 4 * i + 4], own.grad, rtol=1e-5, atol=1e-5))
    """,
    "fork": """
    import warnings
    big = np.zeros((50_000, 8), np.float32)
    draw = jax.jit(lambda x: fj.gumbel_softmax(x, 5, temperature=0.5))
    mine = np.asarray(draw(big))
    warnings.simplefilter("ignore")  # JAX warns of forks
    child = os.fork() if hasattr(os, "fork") else None
    if child == 0:
        same = np.array_equal(fg.gumbel_softmax(big, temperature=0.5, rng=5), mine)
        os._exit(0 if same else 1)
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """,
    # XLA's names cannot be given twice; programs of before go on, and so do new ones.
    "anew": """
    import sys

    def programs(module):
        return jax.jit(lambda x: module.gumbel_softmax(x, 5, temperature=0.5))

    before = programs(fj)
    print(np.array_equal(before(x), expected))
    for name in [name for name in sys.modules if name.startswith("fastgrad.jax")]:
        del sys.modules[name]
    del fg.jax, fj
    import fastgrad.jax
    for call in (programs(fastgrad.jax), before):
        print(np.array_equal(call(x), expected))
    """,
}


@pytest.fixture(scope="module")
def printed():
    """What each case has printed."""
    handlers.target("entropy", "float32")
    codes = (f"\nprint('case')\n{textwrap.dedent(code)}" for code in CASES.values())
    words = " ".join(output_of("".join(codes))).split("case")[1:]
    return dict(zip(CASES, map(str.split, words), strict=True))


def test_two_threads_compile_at_once(printed):
    assert printed["threads"] == 4 * ["True"]


def test_another_process_has_compiled(printed):
    assert printed["cache"] == ["1", "0"]


def test_shard_map_over_two_devices(printed):
    assert printed["devices"] == ["2", *8 * ["True"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_uses_the_numpy_api(printed):
    """JAX itself is not to be used in a child; the NumPy API goes on there, serially."""
    assert printed["fork"] == ["0"]


def test_a_process_imports_and_traces_anew(printed):
    assert printed["anew"] == 3 * ["True"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors can not be chosen")
def test_a_process_with_one_processor_goes_on():
    """Where callbacks wait for a thread, that is the one which waits for them."""
    code = """
    import os
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import jax, numpy as np
    import fastgrad.jax as fj

    def loss(x, key):
        f = lambda z: (z * np.arange(16.0)).sum(-1)
        return fj.expectation(f, x, key, estimator="rloo", num_samples=2).value.sum()

    step, x = jax.jit(jax.grad(loss)), np.zeros((4096, 16), np.float32)
    print(all(np.isfinite(step(x + i, jax.random.key(i))).all() for i in range(20)))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert run.stdout.split() == ["True"], run.stderr
