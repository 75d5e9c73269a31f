"""The finished strips of a large picture, in a file beside the one that is going to be written."""

from __future__ import annotations

import contextlib
import json
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fastgrad._typing import ByteArray, FloatArray
from fastgrad.dithering.optimiser.wavefront import Settled
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.strips.learned import Learned

__all__ = ["SideFile", "beside"]

ENDING = ".unfinished"
HEAD = struct.Struct("<4sQIII")  # mark, first row, rows, bytes that follow, their checksum
MARK = b"rows"


def beside(target: Path) -> Path:
    """Return the name of the side file of a file.

    Examples
    --------
    >>> beside(Path("photo-dithered.png")).name
    'photo-dithered.png.unfinished'
    """
    return target.with_name(target.name + ENDING)


class SideFile:
    """Strips that are finished: what they have in common in a line, then one record for each.

    A record is whole or does not count, so the work may end at any moment.

    Parameters
    ----------
    target : pathlib.Path or None
        The file that is going to be written; None for a temporary side file that nobody finds.
    shape : tuple of int
        Height and width of the picture.
    said : dict
        What the strips depend on, as JSON has it: of the picture, the options, the version.
    resume : bool, optional
        Whether to go on from a side file that is there.

    Attributes
    ----------
    path : pathlib.Path or None
        Its name.
    rows : int
        How many rows are finished.
    learned : Learned or None
        What the strips have in common; None if that is not yet known.
    used : array of bool, shape (256,)
        Which entries these rows have.

    Raises
    ------
    FileError
        If it cannot be read or written, or is that of another picture or of other options.
    """

    path: Path | None
    rows: int
    learned: Learned | None
    used: npt.NDArray[np.bool_]

    def __init__(
        self,
        target: Path | None,
        shape: tuple[int, int],
        said: dict[str, Any],
        *,
        resume: bool = False,
    ) -> None:
        self.path = None if target is None else beside(target)
        self.rows, self.learned, self.used = 0, None, np.zeros(256, bool)
        self._shape, self._said, self._begin, self._end = shape, said, 0, 0
        self._sums: list[FloatArray] = []
        self._file: BinaryIO | None = None
        if resume and self.path is not None and self.path.exists():
            with self._failures("read"):
                self._file = open(self.path, "r+b", buffering=0)  # noqa: SIM115 (`close` closes it)
                try:
                    self._read()
                except BaseException:
                    self._file.close()
                    raise

    @property
    def sums(self) -> FloatArray:
        """The sums of the finished rows, see `Settled`."""
        return np.concatenate([np.empty((0, 4)), *self._sums])

    def begin(self, learned: Learned) -> None:
        """Begin, or go on, with what all strips have in common."""
        if self.learned is not None:
            return
        self.learned = learned
        line = json.dumps({"said": self._said, "learned": learned.to_json()}).encode() + b"\n"
        with self._failures("write"):
            if self.path is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            else:
                self._file = open(self.path, "w+b", buffering=0)  # noqa: SIM115
            self._write(line)
            self._begin = self._end

    def append(self, strip: Settled) -> None:
        """Add the next rows.

        Raises
        ------
        FileError
            If they cannot be written; what was there stays as it was.
        """
        used = np.zeros(256, bool)
        used[strip.indices] = True
        data = strip.sums.tobytes() + used.tobytes() + strip.indices.tobytes()
        data = zlib.compress(data, 1)
        size = len(strip.indices)
        head = HEAD.pack(MARK, strip.top, size, len(data), zlib.crc32(data))
        with self._failures("write"):
            self._write(head + data)
        self._count(strip, used)

    def strips(self) -> Iterator[ByteArray]:
        """Yield the indices of all finished rows, from top to bottom."""
        place = self._begin
        while place < self._end:
            with self._failures("read"):
                found = self._record(place)
            if found is None:
                raise FileError(f"cannot read {self.path or 'a temporary file'}: it is damaged")
            strip, _, place = found
            yield strip.indices

    def close(self) -> None:
        """Close the file, and leave it where it is."""
        if self._file is not None:
            self._file.close()

    def remove(self) -> None:
        """Close the file, and remove it."""
        self.close()
        if self.path is not None and self._file is not None:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        """Read a file that is there."""
        assert self._file is not None
        line = bytearray()
        while not line.endswith(b"\n"):
            more = self._file.read(1)
            if not more or len(line) > 1 << 20:
                break
            line += more
        try:
            found = json.loads(line)
            learned = Learned.from_json(found["learned"])
            same = found["said"] == self._said
        except (ValueError, TypeError, KeyError):
            raise FileError(f"{self.path} is no file of finished strips: --resume needs one") from (
                None
            )
        if not same:
            reason = "of another picture, other options or another version"
            raise FileError(f"cannot go on from {self.path}: it is {reason}")
        self.learned, self._begin, self._end = learned, len(line), len(line)
        while (record := self._record(self._end)) is not None and record[0].top == self.rows:
            strip, used, self._end = record
            self._count(strip, used)

    def _record(self, place: int) -> tuple[Settled, Any, int] | None:
        """Return the record at a place, and the place of the next; None if it is not whole."""
        assert self._file is not None
        self._file.seek(place)
        head = self._file.read(HEAD.size)
        if len(head) < HEAD.size:
            return None
        mark, top, rows, size, check = HEAD.unpack(head)
        data = self._file.read(size) if mark == MARK else b""
        if mark != MARK or len(data) < size or zlib.crc32(data) != check:
            return None
        plain = zlib.decompress(data)
        sums = np.frombuffer(plain, np.float64, 4 * rows).reshape(rows, 4)
        used = np.frombuffer(plain, np.bool_, 256, sums.nbytes)
        indices = np.frombuffer(plain, np.uint8, -1, sums.nbytes + 256)
        strip = Settled(top, indices.reshape(rows, self._shape[1]), sums)
        return strip, used, place + HEAD.size + size

    def _count(self, strip: Settled, used: Any) -> None:
        """Count some rows in."""
        self.rows += len(strip.indices)
        self.used |= used
        self._sums.append(strip.sums)

    def _write(self, data: bytes) -> None:
        """Write at the end; what is there stays, if that fails."""
        assert self._file is not None
        self._file.seek(self._end)
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except BaseException:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise
        self._file.truncate(self._end + len(data))
        self._end += len(data)

    @contextlib.contextmanager
    def _failures(self, doing: str) -> Iterator[None]:
        """Say in one line what goes wrong."""
        try:
            yield
        except OSError as error:
            name = self.path or "a temporary file"
            raise FileError(f"cannot {doing} {name}: {error.strerror or error}") from None
