"""Files that are written: checks, all or nothing, links and modes."""

import os
from pathlib import Path

import numpy as np
import pytest

from fastgrad.dithering.pictures import output_files
from fastgrad.dithering.pictures.images import FileError

Image = pytest.importorskip("PIL.Image")
VALUES = np.random.default_rng(0).integers(0, 256, (12, 17, 3)).astype(np.uint8)


def test_replace_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    output_files.replace(b"first", path)
    output_files.replace(b"second", path)
    assert path.read_bytes() == b"second"

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileError, match=r"cannot write .*a\.png: No space left"):
        output_files.replace(b"third", path)
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.png"]


def test_targets_are_checked(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    (tmp_path / "b.png").mkdir()
    output_files.check_targets([path, tmp_path / "new.png"])
    for target, source, message in (
        (path, path, "would replace the input"),
        (tmp_path / "b.png", None, "is a directory"),
        (tmp_path / "none" / "a.png", None, "no such directory"),
        (tmp_path / "a.jpg", None, r"must end in \.png: "),
    ):
        with pytest.raises(FileError, match=message):
            output_files.check_targets([target], source)
    with pytest.raises(FileError, match=r"must end in \.png, \.gif or \.x: "):
        output_files.check_targets([Path("a.y")], endings=(".png", ".gif", ".x"))


def test_a_target_must_be_a_file_that_can_be_made(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "dangling.png").symlink_to("none/a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "null.png").symlink_to(os.devnull)
    for name, message in (
        ("loop.png", "is a link to itself"),
        ("dangling.png", "no such directory"),
        ("pipe.png", "is a pipe or a device"),
        ("null.png", "is a pipe or a device"),
        (f"{'n' * 255}.png", "cannot write .*: File name too long"),
    ):
        with pytest.raises(FileError, match=message):
            output_files.check_targets([tmp_path / name])
    path = tmp_path / f"{'é' * 120}.png"  # 244 bytes: a longer temporary name would not do
    output_files.check_targets([path])
    output_files.replace(b"x", path)
    assert path.read_bytes() == b"x"


def test_links_and_modes_are_kept(tmp_path):
    private, link, new = tmp_path / "private.png", tmp_path / "link.png", tmp_path / "new.png"
    private.write_bytes(b"first")
    private.chmod(0o640)
    link.symlink_to("private.png")
    output_files.check_targets([link])
    output_files.replace(b"second", link)
    assert link.is_symlink()
    assert private.read_bytes() == b"second"
    assert private.stat().st_mode & 0o777 == 0o640
    link.unlink()
    link.symlink_to("new.png")  # which is not there yet
    output_files.replace(b"third", link)
    assert new.read_bytes() == b"third"
    umask = os.umask(0o027)
    try:
        output_files.replace(b"fourth", tmp_path / "last.png")
    finally:
        os.umask(umask)
    assert (tmp_path / "last.png").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["last.png", "link.png", "new.png", "private.png"]


def test_identity_is_that_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(b"x")
    Path("link.png").symlink_to("a.png")
    Path("to-none.png").symlink_to("none.png")
    assert output_files.identity(Path("link.png")) == output_files.identity(tmp_path / "a.png")
    assert output_files.identity(Path("to-none.png")) == output_files.identity(Path("./none.png"))
    assert output_files.identity(Path("none.png")) != output_files.identity(Path("a.png"))
    assert output_files.identity(Path("n" * 300)) == output_files.identity(tmp_path / ("n" * 300))


def test_write_makes_a_png(tmp_path):
    output_files.write(Image.fromarray(VALUES), tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), VALUES)
