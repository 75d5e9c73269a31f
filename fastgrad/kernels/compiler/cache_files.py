"""Files of compiled kernels, each of which says what it holds."""

import contextlib
import hashlib
import os
import pickle

from numba.core.caching import IndexDataCacheFile


def digest(*parts):
    """Return a digest of what is printed of some objects."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def is_plain(function):
    """Return whether a function closes over numbers and names only, if over anything.

    What these are is known by how they are printed, and none of them is a function of the user's.
    """
    cells = (cell.cell_contents for cell in function.__closure__ or ())
    return all(isinstance(cell, (int, float, str)) for cell in cells)


class Files(IndexDataCacheFile):
    """One file for each overload, named by a digest of all that it depends on; there is no index.

    Numba's own index numbers its files, and two processes that save two overloads at once may give
    them one number. Here no two overloads share a name, and a file says what it holds.
    """

    def __init__(self, cache_path, filename_base, source_stamp, suffix=".nbc"):
        super().__init__(cache_path, filename_base, source_stamp)
        self._suffix = suffix
        self._prefix = f"{filename_base}.{digest(self._version, source_stamp)[:12]}."

    def data_name(self, key):
        """Return the name of the file of an overload."""
        return f"{self._prefix}{digest(key)[:20]}{self._suffix}"

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
        return [n for n in names if n.startswith(prefix) and n.endswith((self._suffix, ".nbi"))]

    def _remove_stale(self):
        """Remove the files of other sources and of other versions of Numba."""
        for name in self._names(self._index_name.removesuffix("nbi")):
            if not name.startswith(self._prefix):
                with contextlib.suppress(OSError):  # another process may have been faster
                    os.unlink(self._data_path(name))
