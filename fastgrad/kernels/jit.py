"""How kernels are compiled and run: the one module that knows Numba's options.

No fast-math flag is set. Every operation rounds once, as written, and `special.fma` says where a
product is fused; so neither vectorisation nor the choice of serial or parallel changes a bit.
"""

import functools
import hashlib
import math
import os
import pathlib
import re
import threading

import numba
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

# error_model="numpy": a division that may raise ZeroDivisionError would not vectorise.
OPTIONS = {"error_model": "numpy", "nogil": True}
PARALLEL_WORK = 1 << 15  # below so many elements, waking threads costs more than it saves
CHUNKS_PER_THREAD = 4
MAX_CHUNKS = 512

prange = numba.prange


IMPORT = re.compile(r"^from fastgrad\.kernels([.\w]*) import (\([^)]*\)|.*)", re.MULTILINE)


def sources(path):
    """Return the file at path and those of all kernel modules that it imports, however deep."""
    root, found, queue = pathlib.Path(__file__).parent, set(), [pathlib.Path(path)]
    while queue:
        path = queue.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        for module, names in IMPORT.findall(path.read_text(encoding="utf-8")):
            folder = root.joinpath(*module.split(".")[1:])
            queue += [folder.with_suffix(".py")]
            queue += [folder / f"{name}.py" for name in re.findall(r"\w+", names)]
    return sorted(found)


@functools.cache
def source_digest(path):
    """Digest of `sources`: Numba's own cache key misses edits in imported files."""
    digest = hashlib.sha256()
    for source in sources(path):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


class _Cache(FunctionCache):
    """Numba's on-disk cache, keyed by imported sources too; a failure is only a miss."""

    def __init__(self, dispatcher):
        super().__init__(dispatcher.py_func)
        stamp = self._cache_file._source_stamp  # an index of other sources is dropped, not added to
        digest = source_digest(dispatcher.py_func.__code__.co_filename)
        self._cache_file._source_stamp = (stamp, digest)
        # Numba's key leaves the options out: without them the parallel twin would load the serial.
        self._options = repr(sorted(dispatcher.targetoptions.items()))

    def _index_key(self, sig, codegen):
        return (*super()._index_key(sig, codegen), self._options)

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception:
            self.disable()


def cached(dispatcher):
    """Give a dispatcher the package's cache; without a writable place it simply has none."""
    if os.environ.get("FASTGRAD_CACHE", "1") != "0":
        try:
            dispatcher._cache = _Cache(dispatcher)
        except (RuntimeError, OSError, AttributeError):
            pass
    return dispatcher


def cache_directory():
    """Return where compiled kernels are kept, or None where nothing is writable."""

    def probe():
        pass

    cache = getattr(cached(numba.njit(probe)), "_cache", None)
    return getattr(cache, "cache_path", None)


def inline(function):
    """Compile a scalar function that every caller inlines (what lets LLVM vectorise its loop)."""
    return numba.njit(forceinline=True, **OPTIONS)(function)


def block(function):
    """Compile the serial work on one block of rows, called from kernels."""
    return numba.njit(**OPTIONS)(function)


@intrinsic
def wide_vectors(typingctx):
    """Let LLVM use 512-bit registers in the calling function (it halves them on some CPUs)."""

    def codegen(context, builder, signature, args):
        # llvmlite's own `add` knows no attribute that has a value.
        attributes = builder.function.attributes
        set.add(attributes, '"prefer-vector-width"="512"')
        if "alwaysinline" not in attributes:  # inlined elsewhere, the width would be lost
            attributes.add("noinline")
        return context.get_dummy_value()

    return numba.types.none(), codegen


class Kernel:
    """A `prange` driver `body(chunks, ...)`, compiled lazily both serial and parallel.

    Calling ``kernel(work, ...)`` with the number of elements at stake runs the parallel twin where
    that pays and is safe, and the serial one otherwise; both give the same bits.
    """

    def __init__(self, body):
        self.body = body
        functools.update_wrapper(self, body)

    @functools.cached_property
    def serial(self):
        return cached(numba.njit(**OPTIONS)(self.body))

    @functools.cached_property
    def parallel(self):
        return cached(numba.njit(parallel=True, **OPTIONS)(self.body))

    def __call__(self, work, *args):
        chunks = plan(work)
        twin = self.serial if chunks == 1 else self.parallel
        return twin(chunks, *args)


kernel = Kernel


def plan(work):
    """Return the number of chunks for so much work: 1 means serial."""
    if work < PARALLEL_WORK:
        return 1
    threads = numba.get_num_threads()
    if threads == 1 or not _parallel_is_safe():
        return 1
    most = min(threads * CHUNKS_PER_THREAD, MAX_CHUNKS)
    return min(most, math.ceil(work / (PARALLEL_WORK // 8)))


_forked = False
_layer = None
_layer_lock = threading.Lock()


def _mark_forked():
    global _forked, _layer_lock
    _forked = True
    _layer_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)


def _parallel_is_safe():
    # OpenMP ends a forked child at its first parallel region; workqueue aborts the process when
    # two threads enter at once.
    if _forked:
        return False
    if threading_layer() == "workqueue":
        return threading.current_thread() is threading.main_thread()
    return True


def threading_layer():
    """Return the name of Numba's threading layer, starting it when it has not been."""
    global _layer
    if _layer is None:
        with _layer_lock:
            if _layer is None:
                try:
                    _layer = numba.threading_layer()
                except ValueError:
                    _start_threads()
                    _layer = numba.threading_layer()
    return _layer


def _start_threads():
    from numba.np.ufunc import parallel

    parallel._launch_threads()
