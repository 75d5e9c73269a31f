"""Kernels that were compiled when the package was built, for common levels of processors.

A level is a set of instructions that all processors of a kind have, as the psABI of x86-64 names
them. `PLACE` holds a folder for each level that a wheel ships; most wheels ship none. There nothing
is ever written. What a file is for, its name says by a digest: of the sources, Python, Numba, the
types of the arguments, and the level, not of the place or time of the installation.
"""

import os
import pathlib
import sys

import llvmlite
from llvmlite import binding
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target

from fastgrad.kernels.compiler.cache_files import Files, digest, is_plain

PLACE = pathlib.Path(__file__).parents[2] / "_prebuilt"
INTO = "FASTGRAD_PREBUILD_INTO"  # the folder of the level for which this process builds

_V2 = "cx16 popcnt sahf sse3 ssse3 sse4.1 sse4.2"
_V3 = f"{_V2} avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave"
_V4 = f"{_V3} avx512f avx512bw avx512cd avx512dq avx512vl"
# The instructions, as LLVM names them, that a processor needs for each level: the best first.
LEVELS = {"x86-64-v4": _V4.split(), "x86-64-v3": _V3.split()}


def lacking(level):
    """Return the instructions of a level that this machine lacks."""
    try:
        found = binding.get_host_cpu_features()
    except RuntimeError:
        found = {}
    return [name for name in LEVELS[level] if not found.get(name)]


def environment(level, into):
    """Return the variables under which a process compiles for a level, into a folder of that name.

    Vector functions of Intel's library are not used, since who installs the wheel may not have it.
    """
    return {
        "NUMBA_CPU_NAME": level,
        "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in LEVELS[level]),
        "NUMBA_DISABLE_INTEL_SVML": "1",
        "FASTGRAD_PREBUILT": "0",
        INTO: os.path.join(into, level),
    }


def levels(features, place):
    """Return the levels shipped that are contained in LLVM's list of features, the best first."""
    if os.environ.get("FASTGRAD_PREBUILT", "1") == "0" or not place.is_dir():
        return []
    has = set(features.split(","))
    return [
        level
        for level, needs in LEVELS.items()
        if has.issuperset(f"+{name}" for name in needs) and (place / level).is_dir()
    ]


def usable():
    """Return the levels shipped that this machine has, the best first."""
    return levels(cpu_target.target_context.codegen().magic_tuple()[2], PLACE)


class Prebuilt:
    """What is shipped of one function."""

    def __init__(self, function, sources, place=None):
        name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")
        line = function.__code__.co_firstlineno
        self._base = f"{name}-{line}.{sys.implementation.cache_tag}"
        self._stamp = llvmlite.__version__, getattr(sys, "abiflags", ""), sources
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        self._shippable = is_plain(function)
        self._code, self._place = digest(function.__code__.co_code, cells), place or PLACE

    def load(self, args, context):
        """Return what was compiled for the best level that this machine has, or None."""
        if not self._shippable:
            return None
        triple, _, features = context.codegen().magic_tuple()
        for level in levels(features, self._place):
            data = self._files(self._place / level).load((args, triple, level, self._code))
            if data is not None:
                return CompileResult._rebuild(context, *data)
        return None

    def save(self, result):
        """Save what was compiled where `INTO` says, if it does."""
        into = os.environ.get(INTO)
        if into and self._shippable and not result.library.has_dynamic_globals:
            folder = pathlib.Path(into)
            triple = result.library.codegen.magic_tuple()[0]
            key = result.signature.args, triple, folder.name, self._code
            folder.mkdir(parents=True, exist_ok=True)
            self._files(folder).save(key, result._reduce())

    def is_filled(self, context):
        """Return whether some overload is shipped for this machine."""
        features = context.codegen().magic_tuple()[2]
        folders = [self._place / level for level in levels(features, self._place)]
        return any(files._names(files._prefix) for files in map(self._files, folders))

    def _files(self, folder):
        return Files(str(folder), self._base, self._stamp)
