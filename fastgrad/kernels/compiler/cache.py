"""Compiled kernels on disk: Numba's cache, keyed by the sources of all that a kernel imports."""

import contextlib
import functools
import gc
import hashlib
import importlib
import os
import pathlib
import re
import time

import numba
from numba.core import sigutils
from numba.core.caching import FunctionCache, NullCache
from numba.core.runtime import rtsys

from fastgrad.kernels.compiler import interrupts
from fastgrad.kernels.compiler.cache_files import Files, is_plain
from fastgrad.kernels.compiler.prebuilt import Prebuilt
from fastgrad.kernels.compiler.registries import refreshed_where_new

ROOT = pathlib.Path(__file__).parents[1]  # the folder of all kernels
IMPORT = re.compile(r"^from fastgrad([.\w]*) import (\([^)]*\)|.*)", re.MULTILINE)


def sources(path):
    """Return the file at path and those of all our modules that it imports, however deep."""
    found, queue = set(), [pathlib.Path(path)]
    while queue:
        path = queue.pop()
        if path not in found and path.is_file():
            found.add(path)
            queue += imported(path)
    return sorted(found)


@functools.cache
def imported(path):
    """Return where the modules of ours would be that a file imports, and names that it does."""
    paths = []
    for module, names in IMPORT.findall(read(path).decode("utf-8")):
        folder = ROOT.parent.joinpath(*module.split(".")[1:])
        paths += [folder.with_suffix(".py")]
        paths += [folder / f"{name}.py" for name in re.findall(r"\w+", names)]
    return paths


@functools.cache
def read(path):
    """Return what is in a file."""
    return path.read_bytes()


@functools.cache
def source_digest(path):
    """Digest of `sources`: Numba's own cache key misses edits in imported files."""
    digest = hashlib.sha256()
    for source in sources(path):
        name = os.path.relpath(source, ROOT)
        digest.update(name.encode() + b"\0" + read(source))
    return digest.hexdigest()


class _Lock:
    """Says to other processes that an overload is being compiled: they wait, and load it then.

    The system lets go of the lock of a process that ends. Where there are no locks nobody waits.
    """

    PATIENCE = 120.0  # seconds, after which it is compiled here too
    PAUSE = 0.01

    def __init__(self, path):
        self._path, self._descriptor = path, None
        with contextlib.suppress(ImportError, OSError):
            fcntl = importlib.import_module("fcntl")
            self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
            exclusive = fcntl.LOCK_EX | fcntl.LOCK_NB
            self._take(functools.partial(fcntl.flock, self._descriptor, exclusive))

    def _take(self, attempt):
        late = time.monotonic() + self.PATIENCE
        while time.monotonic() < late:
            try:
                return attempt()
            except BlockingIOError:
                time.sleep(self.PAUSE)

    def release(self):
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # who opened it before may wait for nothing in vain
                os.unlink(self._path)
            os.close(self._descriptor)


class _Shipped(NullCache):
    """What came with the package: all there is where no place is writable."""

    def __init__(self, dispatcher):
        sources = source_digest(dispatcher.py_func.__code__.co_filename)
        self._prebuilt = Prebuilt(dispatcher.py_func, sources)

    def load_overload(self, sig, target_context):
        args, _ = sigutils.normalize_signature(sig)
        try:
            loaded = self._prebuilt.load(args, target_context)
            return loaded if loaded is not None and loaded.signature.args == args else None
        except Exception:
            return None

    def save_overload(self, sig, data):
        """Keep nothing, unless this process builds a package."""
        self._prebuilt.save(data)

    def close(self):
        """Hold nothing."""

    def is_filled(self, target_context):
        """Return whether some overload is there."""
        return self._prebuilt.is_filled(target_context)


class Kept(FunctionCache):
    """Numba's on-disk cache, keyed by imported sources too. A failure is only a miss.

    Another process that compiles the same is waited for.
    """

    suffix = ".nbc"

    def __init__(self, function):
        super().__init__(function)
        self._locks, self._plain = [], is_plain(function)
        stamp = self._cache_file._source_stamp, source_digest(function.__code__.co_filename)
        self._cache_file = Files(self._cache_path, self._impl.filename_base, stamp, self.suffix)

    def load_overload(self, sig, target_context):
        loaded = self._load(sig, target_context)
        if loaded is None:
            loaded = self._shipped_overload(sig, target_context)
        if loaded is None and self._enabled:
            with contextlib.suppress(Exception):  # without a lock it is compiled all the same
                self._locks.append(_Lock(self._lock_path(sig, target_context)))
            loaded = self._load(sig, target_context)  # another process may just have saved it
        return loaded

    def _shipped_overload(self, sig, target_context):
        return None

    def close(self):
        """Let go of what is no longer being compiled."""
        while self._locks:
            self._locks.pop().release()

    def _load(self, sig, target_context):
        """Return what is on disk, without what Numba registers for whatever it compiles.

        That is three fifths of a second's work, and machine code calls none of it, unless it holds
        a function of the user's.
        """
        try:
            if not self._plain:
                target_context.refresh()
            loaded = self._load_overload(sig, target_context)
            args, _ = sigutils.normalize_signature(sig)
            return loaded if loaded is not None and loaded.signature.args == args else None
        except Exception:
            return None

    def _lock_path(self, sig, target_context):
        self._impl.locator.ensure_cache_path()
        name = self._cache_file.data_name(self._index_key(sig, target_context.codegen()))
        return os.path.join(self._cache_path, f"{name}.lock")

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception:
            self.disable()


class _Cache(Kept):
    """The cache of a kernel: what it lacks may have been shipped.

    What a function closes over tells it from others of its factory, as Numba pickles it; or a mark
    does, where that is not the same in every process.
    """

    def __init__(self, dispatcher, mark=None):
        super().__init__(dispatcher.py_func)
        self._mark, self._shipped = mark, _Shipped(dispatcher)

    def _index_key(self, sig, codegen):
        if self._mark is None:
            return super()._index_key(sig, codegen)
        return sig, codegen.magic_tuple(), self._mark

    def _shipped_overload(self, sig, target_context):
        return self._shipped.load_overload(sig, target_context)

    def save_overload(self, sig, data):
        self._shipped.save_overload(sig, data)
        super().save_overload(sig, data)

    def is_filled(self, target_context):
        """Return whether some overload is there."""
        with contextlib.suppress(OSError):
            if self._cache_file._names(self._cache_file._prefix):
                return True
        return self._shipped.is_filled(target_context)


def opened(kind, *args):
    """Return a cache of some kind, or None where nothing is to be kept or no place is writable."""
    if os.environ.get("FASTGRAD_CACHE", "1") == "0":
        return None
    try:
        return kind(*args)
    except (RuntimeError, OSError, AttributeError):
        return None


def cached(dispatcher, mark=None):
    """Give a dispatcher the package's cache; without a writable place it has what was shipped.

    Interrupts, and the search for garbage, wait until it has compiled, or loaded, what it is called
    for.
    """
    compile_, release = dispatcher.compile, contextlib.nullcontext
    if os.environ.get("FASTGRAD_CACHE", "1") != "0":
        dispatcher._cache = cache = opened(_Cache, dispatcher, mark) or _Shipped(dispatcher)
        release = functools.partial(contextlib.closing, cache)

    def compile_and_release(signature):
        rtsys.initialize(dispatcher.targetctx)  # machine code allocates and frees by its functions
        with release(), _without_collector(), refreshed_where_new(dispatcher):
            return compile_(signature)

    dispatcher.compile = interrupts.held()(compile_and_release)
    dispatcher._compilation_chain_init_hook = lambda: None  # `LeanCompiler` does that, if need be
    return dispatcher


@contextlib.contextmanager
def _without_collector():
    """Let nobody look for garbage during the block: a tenth of a compiler's time went into that.

    A compiler makes many objects that stay, each 700 of which would have all young ones looked at.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def is_filled(dispatcher):
    """Return whether some overload of a function is on disk."""
    cache = dispatcher._cache
    return hasattr(cache, "is_filled") and cache.is_filled(dispatcher.targetctx)


def cache_directory():
    """Return where compiled kernels are kept, or None where nothing is writable."""

    def probe():
        pass

    cache = getattr(cached(numba.njit(probe)), "_cache", None)
    return getattr(cache, "cache_path", None)
