"""Finished strips beside the output: whole records or none."""

import errno
import json

import numpy as np
import pytest

from fastgrad.dithering.files.side_file import SideFile, beside
from fastgrad.dithering.optimiser.wavefront import Settled
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.images import FileError
from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.strips.learning import learn

RNG = np.random.default_rng(0)
SHAPE = (500, 40)
INDICES = RNG.integers(0, 7, SHAPE, np.uint8)
SUMS = RNG.random((500, 4))
SAID = {"a": [1, "b"]}


@pytest.fixture(scope="module")
def learned():
    image = RNG.integers(0, 256, (40, 40, 3), np.uint8)
    return learn(ArraySource(image), palette=["#000", "#fff"], pace=Pace(10))


def strip(top, bottom):
    return Settled(top, INDICES[top:bottom], SUMS[top:bottom])


def begun(target, learned, *places):
    side = SideFile(target, SHAPE, SAID)
    side.begin(learned)
    for top, bottom in places:
        side.append(strip(top, bottom))
    return side


@pytest.mark.parametrize("cut", [0, 1, 30, 2000])
def test_what_was_finished_is_there_again(tmp_path, learned, cut):
    target = tmp_path / "a.png"
    side = begun(target, learned, (0, 100), (100, 130), (130, 300))
    side.close()
    path = beside(target)
    assert path.name == "a.png.unfinished"
    path.write_bytes(path.read_bytes()[:-cut] if cut else path.read_bytes())
    again = SideFile(target, SHAPE, SAID, resume=True)
    end = 130 if cut else 300
    assert again.rows == end
    assert again.learned.to_json() == learned.to_json()
    again.begin(learned)
    again.append(strip(end, 500))
    np.testing.assert_array_equal(np.concatenate(list(again.strips())), INDICES)
    np.testing.assert_array_equal(again.sums, SUMS)
    assert again.used.nonzero()[0].tolist() == list(range(7))
    again.remove()
    assert not list(tmp_path.iterdir())


def test_without_resume_all_begins_anew(tmp_path, learned):
    begun(tmp_path / "a.png", learned, (0, 100)).close()
    side = SideFile(tmp_path / "a.png", SHAPE, SAID)
    assert side.rows == 0
    assert side.learned is None
    side.remove()  # of something that has not begun
    assert len(list(tmp_path.iterdir())) == 1


def test_what_belongs_to_something_else_is_refused(tmp_path, learned):
    target = tmp_path / "a.png"
    begun(target, learned, (0, 100)).close()
    with pytest.raises(FileError, match=r"cannot go on from .*: it is of another picture"):
        SideFile(target, SHAPE, {"a": [1, "c"]}, resume=True)
    for data in (b"", b"\n", b"{}\n", json.dumps({"said": SAID}).encode() + b"\n", bytes(99)):
        beside(target).write_bytes(data)
        with pytest.raises(FileError, match="is no file of finished strips"):
            SideFile(target, SHAPE, SAID, resume=True)


def test_a_full_disk_leaves_what_was_there(tmp_path, learned):
    target = tmp_path / "a.png"
    side = begun(target, learned, (0, 100))

    class Full:
        def __init__(self, file):
            self._file = file

        def __getattr__(self, name):
            return getattr(self._file, name)

        def write(self, data):
            self._file.write(bytes(data[:10]))
            raise OSError(errno.ENOSPC, "No space left on device")

    whole = side._file
    side._file = Full(whole)
    with pytest.raises(FileError, match=r"cannot write .*unfinished: No space left on device"):
        side.append(strip(100, 200))
    side._file = whole
    side.append(strip(100, 500))
    np.testing.assert_array_equal(np.concatenate(list(side.strips())), INDICES)
    side.close()


def test_a_temporary_one(learned):
    side = begun(None, learned, (0, 500))
    np.testing.assert_array_equal(np.concatenate(list(side.strips())), INDICES)
    side.remove()
