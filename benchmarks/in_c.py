"""The kernels of `kernels.c`, built by gcc for this processor, or held to AVX2."""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from . import common

SOURCE = Path(__file__).resolve().parent / "kernels.c"
TAU = common.TEMPERATURE


@functools.cache
def library():
    """Build the kernels; return them as functions of arrays, numbers and lengths."""
    level = "haswell" if common.AVX2 else "native"
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "kernels.so"
        flags = ["-O3", f"-march={level}", "-ffast-math", "-shared", "-fPIC"]
        command = ["gcc", *flags, str(SOURCE), "-o", str(built), "-lmvec", "-lm"]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(built))


def available():
    """Return whether there is a compiler to build the kernels with."""
    return shutil.which("gcc") is not None


def function(name, *args):
    """Return a call of a kernel with these arrays, integers and floats."""
    kernel, values = getattr(library(), name), []
    for a in args:
        if isinstance(a, np.ndarray):
            values.append(ctypes.c_void_p(a.ctypes.data))
        elif a is None:
            values.append(ctypes.c_void_p(0))
        else:
            values.append(ctypes.c_float(a) if isinstance(a, float) else ctypes.c_long(a))
    kernel.restype = None
    kept = args  # what the addresses point to
    return lambda: (kernel(*values), kept)[1]


def works(x, cotangents):
    """Return {work: call} for logits x."""
    (n, k), (r, q) = x.shape, cotangents
    out, grad, grad2, conditional, score = (np.empty_like(x) for _ in range(5))
    z, each = np.empty(n, np.int32), np.empty(n, np.float32)
    sites, key = np.empty(x.size, np.int32), np.array([common.KEY, 0], np.uint32)
    chosen = np.random.default_rng(3).integers(0, k, n, np.int32)
    relaxed = x, n, k, 1 / TAU, z, out, conditional, score
    return {
        "gumbel": function("gumbel", out, x.size, key),
        "sample": function("sample", x, z, n, k, key),
        "gumbel_softmax": function("gumbel_softmax", x, out, n, k, 1 / TAU, key),
        "gumbel_softmax at 1": function("gumbel_softmax", x, out, n, k, 1.0, key),
        "gumbel_softmax at 0.7": function("gumbel_softmax", x, out, n, k, 1 / 0.7, key),
        "gumbel_softmax_vjp": function("gumbel_softmax_vjp", x, r, grad, n, k, 1 / TAU, key),
        "relax": function("relax", *relaxed, None, None, None, None, key),
        "relax_vjp": function("relax", *relaxed, r, q, grad, grad2, key),
        "log_softmax": function("log_softmax", x, out, n, k),
        "entropy": function("entropy", x, each, n, k),
        "score": function("score", x, chosen, out, n, k),
        "bernoulli.sample": function("bernoulli_sample", x, sites, x.size, key),
        "bernoulli.gumbel_softmax": function("bernoulli_relaxed", x, out, x.size, 1 / TAU, key),
    }
