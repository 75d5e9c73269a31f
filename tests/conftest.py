"""What every test needs: one hypothesis profile, Ctrl-C, and Numba's thread count left as it was.

And who runs which file: two processes that need a kernel at the same time wait for each other.
"""

import collections
import gc
import itertools
import os
import signal

import hypothesis
import numba
import pytest

# Kernels compile inside the first example, so no deadline; the same examples on every run.
hypothesis.settings.register_profile(
    "fastgrad",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("fastgrad")


def heed_interrupts():
    """Have SIGINT raise, as it does in a program that a person starts.

    A script has what it starts in the background ignore it, and so have the children of that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


heed_interrupts()

# Who collects tests or compiles makes many objects and few cycles: a quarter of the time of the
# former, when files of tests are read for the first time, and a tenth of that of the latter went
# into the search for garbage.
gc.set_threshold(50_000, 20, 20)


def pytest_collection_finish():
    """Leave what stays, thousands of tests and the libraries, out of the search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Let every other process read folders from the end.

    Who reads a file of tests first rewrites its assertions, and others find that on disk. In one
    order each would rewrite all, at the same time as the others: a fifth of what reading takes.
    """
    report = yield
    worker = getattr(collector.config, "workerinput", {}).get("workerid", "gw0")
    if isinstance(collector, pytest.Directory) and worker[-1] in "13579":
        report.result.reverse()
    return report


def pytest_sessionstart(session):
    """Have processes of tests say what came of each, not that it begins, ends and is tidied up.

    To send and to read the other messages takes a second for 1,000 tests.
    """
    if not hasattr(session.config, "workerinput"):
        return
    for name in ("logstart", "logfinish", "logreport"):
        for hook in getattr(session.config.hook, f"pytest_runtest_{name}").get_hookimpls():
            if type(hook.plugin).__name__ == "WorkerInteractor":
                hook.function = _outcomes(hook.function) if name == "logreport" else _nothing


def _outcomes(send):
    """Return what hands on the report of a test's call, and whatever has not passed."""

    def logreport(report):
        if report.when == "call" or not report.passed:
            send(report)

    return logreport


def _nothing(nodeid, location):
    """Send nothing."""


# Half of the work, in rooms that share most of their kernels.
FIRST = ("tests/estimators", "tests/graph", "tests/comparison", "tests/objectives")
FIRST += ("tests/test_digests", "tests/test_validate")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Put one half of the files before the other, the larger ones outside; slow ones first."""
    if hasattr(config, "workerinput"):
        sizes = collections.Counter()
        for item in items:
            sizes[_unit(item.nodeid)] += _length(item)

        def place(item):
            first, size = item.nodeid.startswith(FIRST), sizes[_unit(item.nodeid)]
            names = _unit(item.nodeid), _file(item.nodeid)
            if not _is_default(config):
                return -size, *names
            return not first, -size if first else size, *names

        items.sort(key=place)


def _is_default(config):
    return config.option.markexpr == "not slow"


def _length(item):
    """Guess how long a test takes, in ordinary ones: those that start processes take longest."""
    if item.get_closest_marker("slow"):
        return 300 if hasattr(item.module, "subprocess") else 100
    return 10 if item.get_closest_marker("optional") else 1


# What XLA calls is compiled when it is first needed: nobody waits for another who compiles it.
TOGETHER = tuple(f"tests/jax/test_{name}.py" for name in ("functions", "calls", "jax", "keys"))


def _file(nodeid):
    return nodeid.partition("::")[0]


def _unit(nodeid):
    """Return what a process takes at once: a file, or some that share what they compile."""
    file = _file(nodeid)
    return "tests/jax" if file in TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give files to processes from both ends of the list, the smallest last.

    Where kernels are on disk already it does not matter who shares them: the longest goes first.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Units(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return _unit(nodeid)

        def _pending_of(self, workload):
            """Count in the last units: another is given out where two tests or fewer are left.

            After each test it would go through all that a process has done: half a millisecond.
            """
            last = itertools.islice(reversed(workload.values()), 4)
            return sum(list(tests.values()).count(False) for tests in last)

    class BothEnds(Units):
        def _assign_work_unit(self, node):
            if self.nodes.index(node) % 2:
                self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
            super()._assign_work_unit(node)

    config.option.loadscopereorder = False
    return (BothEnds if _is_default(config) else Units)(config, log)


@pytest.fixture(autouse=True)
def _restore_threads():
    threads = numba.get_num_threads()
    yield
    numba.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def _restore_environment():
    """Dask leaves settings of its workers: one thread, and memory handed back at once."""
    before = dict(os.environ)
    yield
    before.pop("PYTEST_CURRENT_TEST", None)  # is pytest's own
    for name in {*os.environ} - {*before, "PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    os.environ.update(before)
