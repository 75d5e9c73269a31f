"""Files that are written: checked beforehand, all or nothing, links and modes kept."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from fastgrad.dithering.pictures.file_errors import FileError


def check_targets(
    targets: Sequence[Path], source: Path | None = None, *, endings: Sequence[str] = (".png",)
) -> None:
    """Raise an error if files cannot be written, before any work is done for them.

    Parameters
    ----------
    targets : sequence of pathlib.Path
        The files to be written.
    source : pathlib.Path, optional
        The file that is read, which must not be among them.
    endings : sequence of str, optional
        How their names may end.

    Raises
    ------
    FileError
        If the name of a target ends otherwise; if a target is a directory, a pipe, a device or the
        source; or if it, or its directory, does not exist or may not be written.
    """
    for target in targets:
        if target.suffix.lower() not in endings:
            wanted = " or ".join([", ".join(endings[:-1]), endings[-1]]).removeprefix(" or ")
            raise FileError(f"the output's name must end in {wanted}:", target)
        path = resolved(target)
        if not os.path.isdir(path.parent):
            raise FileError("no such directory:", path.parent)
        if not os.access(path.parent, os.W_OK):
            raise FileError("cannot write to the directory", target.parent)
        if os.path.isdir(path):
            raise FileError("the output is a directory:", target)
        if os.path.islink(path):
            raise FileError("the output is a link to itself:", target)
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:  # a name that is too long
            reason = getattr(error, "strerror", None) or error
            raise FileError("cannot write", target, reason) from None
        if not regular:
            raise FileError("the output is a pipe or a device, to which -o - can write:", target)
        if not os.access(path, os.W_OK):
            raise FileError("the output is read-only:", target)
        if source is not None and identity(target) == identity(source):
            raise FileError("the output would replace the input:", target)


def resolved(path: Path) -> Path:
    """Follow symbolic links to the file that reading and writing would reach.

    Parameters
    ----------
    path : pathlib.Path
        Any path, whether there is a file or not.

    Returns
    -------
    pathlib.Path
        The path itself where it is no link.
    """
    return Path(os.path.realpath(path)) if os.path.islink(path) else path


def identity(path: Path) -> tuple[int, int] | str:
    """Return what two paths have in common exactly when they lead to one file.

    Parameters
    ----------
    path : pathlib.Path
        Any path, whether there is a file or not.

    Returns
    -------
    tuple of int or str
        The numbers of device and file; where there is no file, its full name.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file, all of it or nothing.

    The data go to a temporary file beside it, which is renamed in the end. A symbolic link stays
    one: the file that it leads to is replaced. A file that exists passes on its mode, and its owner
    where that is allowed.

    Parameters
    ----------
    path : pathlib.Path
        The file, replaced if it exists.

    Yields
    ------
    binary file
        Where the new content is written.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    goal = resolved(path)
    part = goal.with_name(f".{goal.name[:32]}.{os.getpid()}.part")
    try:
        try:
            old = os.stat(goal)
        except FileNotFoundError:
            old = None
        mode = 0o666 if old is None else 0o600  # closed to others until it has the old mode
        with open(part, "x+b", opener=partial(os.open, mode=mode)) as file:
            yield file
        if old is not None:
            if hasattr(os, "chown"):
                with contextlib.suppress(OSError):
                    os.chown(part, old.st_uid, old.st_gid)
            os.chmod(part, stat.S_IMODE(old.st_mode))
        os.replace(part, goal)
    except OSError as error:
        raise FileError("cannot write", path, error.strerror or error) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def replace(data: bytes, path: Path) -> None:
    """Write a file as `replacing` does.

    Parameters
    ----------
    data : bytes
        The new content.
    path : pathlib.Path
        The file, replaced if it exists.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    with replacing(path) as file:
        file.write(data)


def write(image: Any, path: Path) -> None:
    """Write an image as a PNG, all of it or nothing.

    Parameters
    ----------
    image : PIL.Image.Image
        The picture.
    path : pathlib.Path
        The file, replaced if it exists.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    data = io.BytesIO()
    image.save(data, "PNG")
    replace(data.getvalue(), path)
