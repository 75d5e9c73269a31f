"""How many threads fastgrad computes with, and what the environment says about them."""

import os
import subprocess
import sys
import threading

import numba
import pytest
from strategies import ROOT, run

import fastgrad as fg
from fastgrad.kernels.compiler import threads

MOST = threads.MOST
needs_two = pytest.mark.skipif(MOST < 2, reason="one processor")
SHOW = "import fastgrad as fg; print(fg.get_num_threads())"
CLEAR = {"NUMBA_NUM_THREADS": "", "OMP_NUM_THREADS": ""}


@pytest.fixture(autouse=True)
def restore():
    yield
    fg.set_num_threads(None)


def test_the_number_is_what_was_set():
    numba.set_num_threads(MOST)
    for n in range(1, MOST + 1):
        fg.set_num_threads(n)
        assert fg.get_num_threads() == n
    fg.set_num_threads(None)
    assert 1 <= fg.get_num_threads() <= MOST


@pytest.mark.parametrize("n", [0, -1, MOST + 1])
def test_numbers_out_of_range_are_refused(n):
    with pytest.raises(ValueError, match=f"n must be from 1 to {MOST}, got {n}"):
        fg.set_num_threads(n)


@pytest.mark.parametrize("n", [1.0, "1", True])
def test_what_is_no_integer_is_refused(n):
    with pytest.raises(TypeError, match="n must be an integer"):
        fg.set_num_threads(n)


@needs_two
def test_other_threads_see_it_and_numba_can_lower_it_in_one():
    fg.set_num_threads(2)
    seen = []

    def look():
        seen.append(fg.get_num_threads())
        numba.set_num_threads(1)
        seen.append(fg.get_num_threads())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [2, 1]
    assert fg.get_num_threads() == 2


# A kernel that notes how many threads Numba was told to use.
COUNT = """
import numba, numpy as np, fastgrad as fg
from fastgrad.kernels.compiler import jit
@jit.kernel(cost=lambda x: x.size)
def who(chunk, chunks, x):
    x[chunk] = numba.get_num_threads()
x = np.zeros(64, np.int64)
"""


@needs_two
def test_calls_use_so_many_and_numba_s_own_number_stays():
    code = """
for n in (1, 2, None, 1):
    fg.set_num_threads(n)
    numba.set_num_threads(2)
    who.run(64, x)
    print(set(x.tolist()) == {n or 2}, numba.get_num_threads(), end=" ")
"""
    assert run(COUNT + code, NUMBA_NUM_THREADS="2") == "True 2 " * 3 + "True 2"


def test_one_thread_means_serial():
    from fastgrad.kernels.compiler import jit

    fg.set_num_threads(1)
    assert jit.plan(1 << 24) == 1


# -- the default ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"NUMBA_NUM_THREADS": "7"}, 7),
        ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
        ({"OMP_NUM_THREADS": "many"}, None),
        ({"OMP_NUM_THREADS": "0"}, None),
    ],
)
def test_the_environment_sets_the_default(variables, expected, monkeypatch):
    for name in CLEAR:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert threads._wished() == expected


def without(*names, **environment):
    """Run Python with some variables unset; return what it prints."""
    code, *names = names
    kept = {k: v for k, v in os.environ.items() if k not in {*names, *CLEAR}}
    kept |= {"PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=kept)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_the_environment_is_obeyed_in_a_process():
    assert without(SHOW, OMP_NUM_THREADS="1") == "1\n"
    assert without(SHOW, NUMBA_NUM_THREADS="3", OMP_NUM_THREADS="1") == "3\n"


@needs_two
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_threads_follow_the_affinity_mask():
    code = """
import os, time, fastgrad as fg
from fastgrad.kernels.compiler import threads
threads.quota = lambda: float("inf")
before = fg.get_num_threads()
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
time.sleep(1.1)
print(before > 1, fg.get_num_threads())
"""
    assert without(code) == "True 1\n"


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("cpu_", "cpu.")).write_text(text)


def test_the_quota_of_version_2_is_the_least_of_a_group_and_those_above_it(tmp_path):
    membership = tmp_path / "cgroup"
    membership.write_text("0::/pod/box\n")
    root = tmp_path / "fs"
    group(root / "pod" / "box", cpu_max="max 100000\n")
    assert threads.quota(root, membership) == float("inf")
    group(root / "pod", cpu_max="250000 100000\n")
    assert threads.quota(root, membership) == 2.5
    group(root / "pod" / "box", cpu_max="50000 100000\n")
    assert threads.quota(root, membership) == 0.5


def test_the_quota_of_version_1(tmp_path):
    membership = tmp_path / "cgroup"
    membership.write_text("4:memory:/box\n3:cpuset:/box\n2:cpu,cpuacct:/box\n1:name=x:/box\n0::/\n")
    root = tmp_path / "fs"
    group(root / "cpu" / "box", cpu_cfs_quota_us="-1\n", cpu_cfs_period_us="100000\n")
    assert threads.quota(root, membership) == float("inf")
    group(root / "cpu,cpuacct" / "box", cpu_cfs_quota_us="150000\n", cpu_cfs_period_us="100000\n")
    assert threads.quota(root, membership) == 1.5


def test_no_control_groups_mean_no_quota(tmp_path):
    assert threads.quota(tmp_path, tmp_path / "nothing") == float("inf")


@pytest.mark.parametrize(("quota", "expected"), [(0.2, 1), (1.0, 1), (1.5, 2), (1e9, None)])
def test_a_quota_is_rounded_up(quota, expected, monkeypatch):
    monkeypatch.setattr(threads, "quota", lambda: quota)
    most = threads.available()
    assert most >= 1
    assert expected is None or most == min(expected, most)


# -- how threads wait ------------------------------------------------------------------------------

WAIT = """
import ctypes, os, fastgrad as fg
from fastgrad.kernels.compiler import jit
before = dict(os.environ)
layer = jit.threading_layer()
assert dict(os.environ) == before
if layer == "omp":
    from numba.np.ufunc import omppool
    print("number", ctypes.CDLL(omppool.__file__).omp_get_max_threads())
print("layer", layer)
"""


def spinning(**variables):
    """Return the layer, how often GNU OpenMP says that a waiting thread turns, and all output."""
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    shown = without(WAIT, *names, OMP_DISPLAY_ENV="verbose", **variables)
    found = [line.split("'")[1] for line in shown.splitlines() if "GOMP_SPINCOUNT" in line]
    return shown.split("layer ")[1].split()[0], found[0] if found else None, shown


def test_waiting_threads_sleep_unless_the_user_says_how_they_wait():
    layer, turns, _ = spinning()
    if layer != "omp" or turns is None:
        pytest.skip("not GNU OpenMP")
    assert turns == "2000"
    _, turns, shown = spinning(GOMP_SPINCOUNT="77", OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="2")
    assert turns == "77"
    assert "number 1\n" in shown  # of threads of this library, which torch uses as well
    assert int(spinning(OMP_WAIT_POLICY="active")[1]) > 1e6
    assert spinning(OMP_WAIT_POLICY="passive")[1] == "0"


def test_no_variable_is_left_in_the_environment(monkeypatch):
    for name in threads.ASKED:
        monkeypatch.delenv(name, raising=False)

    @threads._environment({"GOMP_SPINCOUNT": "1"})
    def fail():
        assert os.environ["GOMP_SPINCOUNT"] == "1"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert "GOMP_SPINCOUNT" not in os.environ
