"""What several tests draw on: hypothesis strategies for logits, and Python run in a new process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastgrad

ROOT = Path(fastgrad.__file__).resolve().parents[1]
DTYPES = (np.float32, np.float64)
WIDTH = {np.float32: 32, np.float64: 64}


def run(code, *, timeout=300, root=ROOT, **environment):
    """Run Python code in a new process that imports the tree at `root`; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(root), **environment}
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=timeout,
        env=environment,
    )
    assert result.returncode == 0, f"exit code {result.returncode}\n{result.stderr}"
    return result.stdout.strip()


# Runs codes in copies of one process, one after the other, and tells what each prints.
COPIES = """
import os, sys, traceback
for code in {codes!r}:
    child = os.fork()
    if child == 0:
        try:
            exec(code)
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    print("-- next --", flush=True)
"""


def run_copies(head, *codes, **options):
    """Run codes in processes of their own, each after the same head; return what each prints.

    Where processes can be copied the head runs once: imports take most of the time. It must start
    no threads.
    """
    if not hasattr(os, "fork"):
        return [run(head + code, **options) for code in codes]
    printed = run(head + COPIES.format(codes=codes), **options).split("-- next --")
    return [text.strip() for text in printed[:-1]]


def restride(x, way):
    """Return an array equal to x with other strides, byte order or flags."""
    if way == "fortran":
        return np.asfortranarray(x)
    if way == "reversed":
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    if way == "strided":
        spread = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        spread[..., ::2] = x
        return spread[..., ::2]
    if way == "swapped":
        return x.astype(x.dtype.newbyteorder())
    if way == "read-only":
        x = x.copy()
        x.flags.writeable = False
        return x
    return x


WAYS = ("plain", "fortran", "reversed", "strided", "swapped", "read-only")


@st.composite
def logits(draw, *, max_rows=8, max_k=20, dtypes=DTYPES, masks=True, largest=30.0):
    """Logits (*batch, K) of any strides, each row with at least one category above -inf."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=max_rows))
    shape = (*shape[:-1], draw(st.integers(1, max_k)))
    numbers = st.floats(-largest, largest, width=32)
    x = draw(hnp.arrays(dtype, shape, elements=numbers, fill=numbers))
    if masks:
        masked = draw(hnp.arrays(bool, shape))
        masked[..., draw(st.integers(0, shape[-1] - 1))] = False
        x[masked] = -np.inf
    return restride(x, draw(st.sampled_from(WAYS)))


def some_logits(n, k, dtype, seed=0):
    rng = np.random.default_rng([seed, n, k])
    x = rng.normal(size=(n, k)) * rng.choice([0.1, 1, 4, 30], size=(n, 1))
    if k > 1:
        x[::3][rng.random(x[::3].shape) < 0.3] = -np.inf
        x[np.isneginf(x).all(axis=1), rng.integers(k)] = 0
    return x.astype(dtype)
