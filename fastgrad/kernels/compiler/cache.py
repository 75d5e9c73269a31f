"""Compiled kernels on disk: Numba's cache, keyed by the sources of all that a kernel imports."""

import functools
import hashlib
import os
import pathlib
import re

import numba
from numba.core.caching import FunctionCache

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


class _Cache(FunctionCache):
    """Numba's on-disk cache, keyed by imported sources too; a failure is only a miss."""

    def __init__(self, dispatcher):
        super().__init__(dispatcher.py_func)
        stamp = self._cache_file._source_stamp  # an index of other sources is dropped, not added to
        digest = source_digest(dispatcher.py_func.__code__.co_filename)
        self._cache_file._source_stamp = (stamp, digest)

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
