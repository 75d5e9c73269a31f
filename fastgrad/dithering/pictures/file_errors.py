"""Errors of files, which know the file and the reason, and the option that named it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FileError", "TooManyPixels", "of_option"]


class FileError(ValueError):
    """A file that cannot be read or written; the message says in one line which and why.

    Parameters
    ----------
    what : str
        What cannot be done, with a colon at its end where the file's name does not go on with it.
    path : path-like, optional
        The file, or the directory.
    why : object, optional
        The reason.

    Examples
    --------
    >>> print(FileError("cannot read", "m.png", "it is cut short"), FileError("no such file:", "m"))
    cannot read m.png: it is cut short no such file: m
    """

    def __init__(
        self, what: str, path: str | os.PathLike[str] | None = None, why: object = None
    ) -> None:
        self.what = what
        self.path: str | None = None if path is None else os.fspath(path)
        self.why: str | None = None if why is None else str(why)
        super().__init__(what, self.path, self.why)  # what is pickled

    def __str__(self) -> str:
        """Return the line."""
        return self._line(self.path)

    def of_option(self, option: str, path: str | os.PathLike[str]) -> FileError:
        """Return the error that begins with the option which named the file, and the file.

        Examples
        --------
        >>> print(FileError("no such file:", "m.png").of_option("--mask", "m.png"))
        --mask m.png: no such file
        """
        same = self.path is not None and Path(self.path) == Path(path)
        return type(self)(option, path, self._line(None if same else self.path))

    def _line(self, path: str | None) -> str:
        """Return the line, without the file if it is None."""
        line = self.what.removesuffix(":") if path is None else f"{self.what} {path}"
        return line if self.why is None else f"{line}: {self.why}"


class TooManyPixels(FileError):
    """A picture that is larger than was allowed."""


@contextlib.contextmanager
def of_option(option: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of a `FileError` which option named the file.

    Examples
    --------
    >>> with of_option("--mask", "m.png"):
    ...     raise FileError("no such file:", "m.png")
    Traceback (most recent call last):
    fastgrad.dithering.pictures.file_errors.FileError: --mask m.png: no such file
    """
    try:
        yield
    except FileError as error:
        raise error.of_option(option, path) from None
