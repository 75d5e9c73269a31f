"""What every test needs: one hypothesis profile, and Numba's thread count left as it was."""

import gc
import os

import hypothesis
import numba
import pytest

# Tests share the cores with each other, and OpenMP's threads would spin while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Kernels compile inside the first example, so no deadline; the same examples on every run.
hypothesis.settings.register_profile(
    "fastgrad",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("fastgrad")


def pytest_collection_finish():
    """Leave what stays, thousands of tests and the libraries, out of the search for garbage.

    A compiler makes many objects and few cycles: a tenth of its time went into that search.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def _restore_threads():
    threads = numba.get_num_threads()
    yield
    numba.set_num_threads(threads)
