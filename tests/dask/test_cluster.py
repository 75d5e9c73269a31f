"""On processes and on a cluster: the same bits, also where a worker is killed in the middle."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastgrad as fg

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
import fastgrad.dask as fgd  # noqa: E402

pytestmark = [
    pytest.mark.optional,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of distributed's own, on its way down
]
LOGITS = np.random.default_rng(0).normal(size=(6_000, 5)).astype(np.float32)
WAIT = 300  # seconds for what takes a few


@pytest.fixture(scope="module")
def client():
    """Three workers as processes of their own, with nannies that replace what dies."""
    options = {"n_workers": 3, "threads_per_worker": 1, "processes": True}
    fg.sample(LOGITS, rng=0)  # so that the kernels are in the cache
    fg.estimator("rloo")(lambda x: x[..., 0], LOGITS[:10], num_samples=4, rng=0)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "120s"}),
        distributed.LocalCluster(**options, dashboard_address=None, host="127.0.0.1") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def slow(block):
    time.sleep(0.15)
    return block


def threads_in_use(x):
    return np.full(x.shape[:2], float(fg.get_num_threads()))


def test_a_killed_worker_changes_nothing(client):
    lazy = da.from_array(LOGITS, chunks=(100, 5)).map_blocks(slow, dtype=LOGITS.dtype)
    z = fgd.sample(lazy, num_samples=4, rng=7, sample_chunks=2)
    total = fgd.tree_sum(fgd.score(lazy, z[0]))
    running_z, running_total = client.persist([z, total])
    futures = distributed.futures_of(running_z)
    end = time.monotonic() + WAIT
    while sum(future.done() for future in futures) < len(futures) // 4:
        assert time.monotonic() < end
        time.sleep(0.05)
    held = client.has_what()
    victim = max(held, key=lambda worker: len(held[worker]))
    assert held[victim], "a worker that holds results"
    pid = client.run(os.getpid, workers=[victim])[victim]
    os.kill(pid, signal.SIGKILL)
    assert sum(future.done() for future in futures) < len(futures), "in the middle"
    expected = fg.sample(LOGITS, num_samples=4, rng=7)
    assert running_z.compute().tobytes() == expected.tobytes()
    with dask.config.set(scheduler="sync"):
        alone = fgd.tree_sum(
            fgd.score(da.from_array(LOGITS, chunks=999), da.from_array(expected[0]))
        )
        assert running_total.compute(scheduler=client).tobytes() == alone.compute().tobytes()
    pids = client.run(os.getpid).values()
    assert pid not in pids


def test_a_picture_survives_a_killed_worker(client, tmp_path):
    zarr = pytest.importorskip("zarr")
    y, x = np.mgrid[:3000, :40]
    image = (y * 255 / 3000 + 20 * np.sin(x)).clip(0, 255).astype(np.uint8)
    whole = da.from_array(image, chunks=(500, 40))
    options = {"palette": ["#000", "#777", "#fff"], "speed": 10, "rows": 128}
    expected = fgd.dither(whole, **options).compute(scheduler="sync")
    lazy = fgd.dither(whole.map_blocks(slow, dtype=np.uint8), **options)
    pids = client.run(os.getpid)

    def kill():
        end = time.monotonic() + WAIT
        while not any(client.processing().values()) and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(next(iter(pids.values())), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    lazy.to_zarr(tmp_path / "a.zarr")
    killer.join()
    array = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    np.testing.assert_array_equal(array[:], expected.indices)
    assert next(iter(pids.values())) not in client.run(os.getpid).values()


def test_estimates_on_workers_have_one_thread_and_the_bits_of_one_call(client):
    lazy = da.from_array(LOGITS, chunks=(1_500, 5))
    found = fgd.estimate("rloo", threads_in_use, lazy, num_samples=2, rng=0)
    assert set(found.value.compute()) == {1.0}
    f = lambda x: (x * x[..., ::-1]).sum(axis=-1) + x[..., 0]  # noqa: E731 - sent by cloudpickle
    found = fgd.estimate("rloo", f, lazy, num_samples=4, rng=3)
    whole = fg.estimator("rloo")(f, LOGITS, num_samples=4, rng=3)
    assert found.grad.compute().tobytes() == whole.grad.tobytes()


def test_workers_find_compiled_kernels_in_the_cache(client):
    def misses():
        from fastgrad.kernels.distributions import categorical_inverse

        return sum(categorical_inverse.sample.dispatcher.stats.cache_misses.values())

    fgd.sample(da.from_array(LOGITS, chunks=(500, 5)), rng=1).compute()
    assert sum(client.run(misses).values()) == 0


def test_processes():
    z = fgd.sample(da.from_array(LOGITS, chunks=(2_000, 5)), rng=1)
    found = z.compute(scheduler="processes", num_workers=2)
    assert found.tobytes() == fg.sample(LOGITS, rng=1).tobytes()


# Of what a script defines, each worker compiles its own: one shows as much as two.
SCRIPT = """
import dask, dask.array as da, numpy as np, fastgrad as fg, fastgrad.dask as fgd
from distributed import Client, LocalCluster
import numba

SCALE = 2.0

def f(x):
    return SCALE * (x ** 2).sum(axis=-1)

@numba.njit
def compiled(x):
    return x[..., 0] * SCALE

def main():
    logits = np.random.default_rng(0).normal(size=(40, 3))
    lazy = da.from_array(logits, chunks=(15, 3))
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster):
        for each in (f, compiled):
            found = fgd.estimate("rloo", each, lazy, num_samples=4, rng=0).grad.compute()
            whole = fg.estimator("rloo")(each, logits, num_samples=4, rng=0).grad
            print((found == whole).all())

if __name__ == "__main__":
    main()
"""


def test_functions_of_a_script_are_sent_along(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    command = [sys.executable, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=WAIT)
    assert run.stdout.split() == ["True", "True"], run.stderr
