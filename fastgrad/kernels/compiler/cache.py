"""Compiled kernels on disk: Numba's cache, keyed by the sources of all that a kernel imports."""

import contextlib
import functools
import gc
import hashlib
import importlib
import os
import pathlib
import pickle
import re
import time

import numba
from numba.core import sigutils
from numba.core.caching import FunctionCache, IndexDataCacheFile

from fastgrad.kernels.compiler import interrupts

ROOT = pathlib.Path(__file__).parents[1]  # the folder of all kernels
IMPORT = re.compile(r"^from fastgrad\.kernels([.\w]*) import (\([^)]*\)|.*)", re.MULTILINE)


def sources(path):
    """Return the file at path and those of all kernel modules that it imports, however deep."""
    found, queue = set(), [pathlib.Path(path)]
    while queue:
        path = queue.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        for module, names in IMPORT.findall(path.read_text(encoding="utf-8")):
            folder = ROOT.joinpath(*module.split(".")[1:])
            queue += [folder.with_suffix(".py")]
            queue += [folder / f"{name}.py" for name in re.findall(r"\w+", names)]
    return sorted(found)


@functools.cache
def source_digest(path):
    """Digest of `sources`: Numba's own cache key misses edits in imported files."""
    digest = hashlib.sha256()
    for source in sources(path):
        name = os.path.relpath(source, ROOT)
        digest.update(name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


class _Files(IndexDataCacheFile):
    """One file for each overload, named by a digest of all that it depends on; there is no index.

    Numba's own index numbers its files, and two processes that save two overloads at once may give
    them one number. Here no two overloads share a name, and a file says what it holds.
    """

    def __init__(self, cache_path, filename_base, source_stamp):
        super().__init__(cache_path, filename_base, source_stamp)
        self._prefix = f"{filename_base}.{_digest(self._version, source_stamp)[:12]}."

    def data_name(self, key):
        """Return the name of the file of an overload."""
        return f"{self._prefix}{_digest(key)[:20]}.nbc"

    def save(self, key, data):
        head, body = self._dump((self._version, self._source_stamp, key)), self._dump(data)
        with self._open_for_write(self._data_path(self.data_name(key))) as file:
            file.write(head)
            file.write(body)
        self._remove_stale()

    def load(self, key):
        try:
            with open(self._data_path(self.data_name(key)), "rb") as file:
                if pickle.load(file) == (self._version, self._source_stamp, key):
                    return pickle.load(file)
        except FileNotFoundError:
            pass
        return None

    def flush(self):
        for name in self._names(self._prefix):
            os.unlink(self._data_path(name))

    def _names(self, prefix):
        names = os.listdir(self._cache_path)
        return [n for n in names if n.startswith(prefix) and n.endswith((".nbc", ".nbi"))]

    def _remove_stale(self):
        """Remove the files of other sources and of other versions of Numba."""
        for name in self._names(self._index_name.removesuffix("nbi")):
            if not name.startswith(self._prefix):
                with contextlib.suppress(OSError):  # another process may have been faster
                    os.unlink(self._data_path(name))


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


def _digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class _Cache(FunctionCache):
    """Numba's on-disk cache, keyed by imported sources too; a failure is only a miss."""

    def __init__(self, dispatcher):
        super().__init__(dispatcher.py_func)
        digest = source_digest(dispatcher.py_func.__code__.co_filename)
        stamp = self._cache_file._source_stamp, digest
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)
        self._locks = []

    def load_overload(self, sig, target_context):
        loaded = self._load(sig, target_context)
        if loaded is None and self._enabled:
            with contextlib.suppress(Exception):  # without a lock it is compiled all the same
                self._locks.append(_Lock(self._lock_path(sig, target_context)))
            loaded = self._load(sig, target_context)  # another process may just have saved it
        return loaded

    def close(self):
        """Let go of what is no longer being compiled."""
        while self._locks:
            self._locks.pop().release()

    def _load(self, sig, target_context):
        try:
            loaded = super().load_overload(sig, target_context)
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


def cached(dispatcher):
    """Give a dispatcher the package's cache; without a writable place it simply has none.

    Interrupts, and the search for garbage, wait until it has compiled, or loaded, what it is called
    for.
    """
    compile_, release = dispatcher.compile, contextlib.nullcontext
    if os.environ.get("FASTGRAD_CACHE", "1") != "0":
        try:
            dispatcher._cache = cache = _Cache(dispatcher)
            release = functools.partial(contextlib.closing, cache)
        except (RuntimeError, OSError, AttributeError):
            pass

    def compile_and_release(signature):
        with release(), _without_collector():
            return compile_(signature)

    dispatcher.compile = interrupts.held()(compile_and_release)
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
    files = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    try:
        return files is not None and bool(files._names(files._prefix))
    except OSError:
        return False


def cache_directory():
    """Return where compiled kernels are kept, or None where nothing is writable."""

    def probe():
        pass

    cache = getattr(cached(numba.njit(probe)), "_cache", None)
    return getattr(cache, "cache_path", None)
