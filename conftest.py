"""Doctests of the fronts of frameworks run where the framework is installed.

And how threads wait, said here because this is read before NumPy: tests share the cores with each
other, and threads that spin while they wait take what others need.
"""

import os
from importlib.util import find_spec

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# OpenBLAS knows no other way to wait, and the matrices are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

collect_ignore_glob = [
    f"fastgrad/{front}/*" for front in ("torch", "jax", "dask") if find_spec(front) is None
]
