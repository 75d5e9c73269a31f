"""Large picture files: what is written, what an interrupt leaves, and how it goes on."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import cli
from fastgrad.dithering.eye.colour import to_linear
from fastgrad.dithering.files import large_picture, plan
from fastgrad.dithering.files.side_file import SideFile
from fastgrad.dithering.pictures import images, png_rows
from fastgrad.dithering.pictures.images import FileError
from fastgrad.dithering.pictures.sources import Stamp

Image = pytest.importorskip("PIL.Image")
ROOT = Path(fg.__file__).resolve().parent.parent
RNG = np.random.default_rng(0)
OPTIONS = ["--speed", "10", "-k", "4"]


def picture(height=700, width=60):
    y, x = np.mgrid[:height, :width]
    values = np.stack([y * 255 / height, x * 255 / width, 128 + 90 * np.sin(y / 19)], axis=-1)
    return np.clip(values + RNG.normal(0, 4, values.shape), 0, 255).astype(np.uint8)


VALUES = picture()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a.png is a large picture, since it has more than 5000 pixels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(images, "MAX_PIXELS", 5000)
    Image.fromarray(VALUES).save("a.png", dpi=(300, 300))
    return tmp_path


def dither(*args):
    return cli.main(["dither", "a.png", "-o", "b.png", *OPTIONS, *args])


def shown(name):
    with Image.open(name) as image:
        assert image.mode == "P"
        return np.asarray(image.convert("RGB"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_command_writes_what_the_function_returns(folder, capsys):
    assert dither("--report", "r.json") == 0
    assert "wrote b.png (4 colours" in capsys.readouterr().out
    result = fg.dither(VALUES, colors=4, speed=10)
    np.testing.assert_array_equal(shown("b.png"), result.image)
    with Image.open("b.png") as image:
        assert round(image.info["dpi"][0]) == 300
        colours = np.reshape(image.getpalette()[:12], (4, 3)).astype(np.uint8)
    light = to_linear(colours) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > 0).all()
    assert names(folder) == ["a.png", "b.png", "r.json"]


def test_a_panel_gets_the_tones_and_solid_colours_of_other_pictures(folder):
    options = {"preset": "spectra6", "speed": 10, "fit": "tone", "solid": ["#ff0000"]}
    (made,) = fg.dither_files("a.png", output="c.png", **options)
    assert made.complete
    result = fg.dither(VALUES, **options)
    np.testing.assert_array_equal(shown("c.png"), result.device[result.indices])


def test_a_mask_goes_with_a_large_picture(folder, capsys):
    mask = np.zeros(VALUES.shape[:2], bool)
    mask[100:400] = True
    Image.fromarray(mask).save("m.png")
    panel = ["dither", "a.png", "-o", "b.png", "--preset", "bw", "--speed", "10"]
    assert cli.main([*panel, "--mask", "m.png:line"]) == 0
    result = fg.dither(VALUES, preset="bw", speed=10, regions={"line": mask})
    np.testing.assert_array_equal(shown("b.png"), result.image)
    Image.fromarray(mask[:90]).save("m.png")
    capsys.readouterr()
    assert cli.main([*panel, "--mask", "m.png:line"]) == 2
    assert "a.png: --mask m.png is of 60 x 90 pixels, not of 60 x 700" in capsys.readouterr().err
    assert cli.main([*panel, "--threshold"]) == 2
    assert "a region of text goes with pictures of no more than" in capsys.readouterr().err


def test_files_from_python(folder):
    (made,) = fg.dither_files("a.png", output="c.png", colors=4, speed=10)
    assert made.target == Path("c.png")
    assert len(made.palette) == 4
    assert made.complete
    (made,) = fg.dither_files("a.png", output="d.gif", colors=4)
    assert "must end in .png, .tif, .tiff or .zarr" in made.error
    (made,) = fg.dither_files("a.png", output="d.png", max_pixels=100)
    assert "more than 100 pixels" in made.error


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--structure", "0.1"], "more than 5000 pixels: all pixels are annealed together"),
        (["--rate", "1e-4"], "rate goes with pictures of no more than 5000 pixels: the size of"),
        (["--compare"], "a comparison goes with"),
        (["--preview"], "--preview goes with"),
        (["--skip-if-larger"], "--skip-if-larger goes with"),
        (["--max-pixels", "6000"], "more than 6000 pixels: a.png"),
    ],
)
def test_what_strips_do_not_know_is_said_in_one_line(folder, capsys, args, said):
    assert dither(*args) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert names(folder) == ["a.png"]


def test_opacity_and_hidden_colours(folder):
    alpha = np.repeat(np.uint8([0, 0, 90, 180, 255, 255]), 10)
    values = VALUES.copy()
    values[:, :20] = 0, 200, 9
    Image.fromarray(np.dstack([values, np.tile(alpha, (700, 1))]), "RGBA").save("a.png")
    assert (
        cli.main(["dither", "a.png", "-o", "b.png", "--speed", "10", "-k", "16", "--hidden"]) == 0
    )
    with Image.open("b.png") as image:
        assert image.mode == "P"
        found = np.asarray(image.convert("RGBA"))
    assert (found[:, :20] == [0, 200, 9, 0]).all()
    assert abs(found[:, 25:35, 3].mean() - 120) < 25
    assert (found[:, 45:, 3] > 240).mean() > 0.9


def interrupted_after(monkeypatch, strips):
    """Send Ctrl-C after so many strips."""
    append, count = SideFile.append, 0

    def counted(self, strip):
        nonlocal count
        append(self, strip)
        count += 1
        if count == strips:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(SideFile, "append", counted)


def test_an_interrupt_leaves_what_is_finished_and_it_goes_on(folder, monkeypatch, capsys):
    assert dither() == 0
    expected = Path("b.png").read_bytes()
    Path("b.png").write_bytes(b"before")
    with monkeypatch.context() as patch:
        interrupted_after(patch, 1)
        assert dither() == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert "pixels are in b.png.unfinished, --resume goes on from there" in line
    assert Path("b.png").read_bytes() == b"before"
    left = Path("b.png.unfinished").read_bytes()
    assert dither("--resume", "--seed", "1") == 2  # of other options
    assert "cannot go on from b.png.unfinished" in capsys.readouterr().err
    assert Path("b.png.unfinished").read_bytes() == left
    monkeypatch.setattr(large_picture, "learn", None)  # that is done
    assert dither("--resume") == 0
    assert Path("b.png").read_bytes() == expected
    assert names(folder) == ["a.png", "b.png"]


def test_an_interrupt_before_there_is_anything(folder, monkeypatch, capsys):
    def learn(*args, **options):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(large_picture, "learn", learn)
    assert dither() == 130
    assert "interrupted, nothing written" in capsys.readouterr().err
    assert names(folder) == ["a.png"]


def test_an_interrupt_while_the_file_is_written(folder, monkeypatch, capsys):
    pack = png_rows.pack

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        return pack(*args)

    with monkeypatch.context() as patch:
        patch.setattr(png_rows, "pack", interrupted)
        assert dither() == 130
    assert "42000 of 42000 pixels are in b.png.unfinished" in capsys.readouterr().err
    assert names(folder) == ["a.png", "b.png.unfinished"]
    assert dither("--resume") == 0
    assert names(folder) == ["a.png", "b.png"]


def test_resume_without_a_side_file_begins(folder):
    assert dither("--resume") == 0
    assert names(folder) == ["a.png", "b.png"]


def test_a_source_that_changes_or_is_cut_short(folder, monkeypatch, capsys):
    data = Path("a.png").read_bytes()
    begin = SideFile.begin

    def changed(self, learned):
        Path("a.png").write_bytes(data + b"more")
        begin(self, learned)

    with monkeypatch.context() as patch:
        patch.setattr(SideFile, "begin", changed)
        assert dither() == 2
    assert capsys.readouterr().err == "fastgrad dither: a.png has changed while it was read\n"
    assert names(folder) == ["a.png"]
    Path("a.png").write_bytes(data[: len(data) // 2])
    assert dither() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot read a.png" in line
    assert names(folder) == ["a.png"]


def test_a_full_disk(folder, monkeypatch, capsys):
    append = SideFile.append

    def full(self, strip):
        if self.rows:
            raise FileError("cannot write b.png.unfinished: No space left on device")
        append(self, strip)

    with monkeypatch.context() as patch:
        patch.setattr(SideFile, "append", full)
        assert dither() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device: " in line
    assert "--resume goes on" in line
    assert names(folder) == ["a.png", "b.png.unfinished"]


@contextlib.contextmanager
def files_of_at_most(size):
    """Let no file grow beyond a size, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_more_of_the_side_file(folder, capsys):
    assert dither() == 0
    expected = Path("b.png").read_bytes()
    with files_of_at_most(12_000):
        assert dither() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"cannot write b.png.unfinished: .*: \d+ of 42000 pixels are in", line)
    assert "--resume goes on from there" in line
    assert Path("b.png").read_bytes() == expected
    assert Path("b.png.unfinished").stat().st_size <= 12_000
    Path("b.png").unlink()
    assert dither("--resume") == 0
    assert Path("b.png").read_bytes() == expected
    assert names(folder) == ["a.png", "b.png"]


def test_a_disk_that_takes_no_more_of_the_output(folder, monkeypatch, capsys):
    write = large_picture.write_rows

    def full(*args, **options):
        with files_of_at_most(1000):
            write(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(large_picture, "write_rows", full)
        assert dither() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot write b.png: " in line
    assert "42000 of 42000 pixels are in b.png.unfinished, --resume goes on" in line
    assert names(folder) == ["a.png", "b.png.unfinished"]
    assert dither("--resume") == 0
    assert names(folder) == ["a.png", "b.png"]


def test_a_source_that_gets_another_size_between_passes(folder, monkeypatch, capsys):
    begin = SideFile.begin

    def replaced(self, learned):
        Image.fromarray(VALUES[:500]).save("a.png")
        begin(self, learned)

    with monkeypatch.context() as patch:
        patch.setattr(SideFile, "begin", replaced)
        assert dither() == 2
    assert capsys.readouterr().err == "fastgrad dither: a.png has changed while it was read\n"
    assert names(folder) == ["a.png"]
    find = plan.large.find

    def found(*args):
        made = find(*args)
        Image.fromarray(VALUES[:400]).save("a.png")
        return made

    monkeypatch.setattr(plan.large, "find", found)
    assert dither() == 2
    assert capsys.readouterr().err == "fastgrad dither: a.png has changed while it was read\n"
    assert names(folder) == ["a.png"]


@pytest.mark.slow
def test_a_killed_process_has_lost_no_finished_strip(folder):
    assert dither() == 0
    code = (
        "import os, signal, sys; from fastgrad import cli;"
        "from fastgrad.dithering.files.side_file import SideFile;"
        "from fastgrad.dithering.pictures import images; images.MAX_PIXELS = 5000;"
        "append = SideFile.append;"
        "SideFile.append = lambda self, strip:"
        " (append(self, strip), os.kill(os.getpid(), signal.SIGKILL));"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "dither", "a.png", "-o", "c.png", *OPTIONS, "--resume"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    sizes = [0]
    for _ in range(2):
        assert subprocess.run(command, env=env, timeout=600).returncode == -signal.SIGKILL
        assert names(folder) == ["a.png", "b.png", "c.png.unfinished"]
        sizes.append(Path("c.png.unfinished").stat().st_size)
    assert sizes == sorted(set(sizes)), "each has gone on from what was finished"
    assert cli.main(["dither", "a.png", "-o", "c.png", *OPTIONS, "--resume"]) == 0
    assert Path("c.png").read_bytes() == Path("b.png").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no peak memory")
def test_the_benchmark_measures_a_large_picture(folder, capsys):
    from benchmarks import large_pictures

    large_pictures.make(Path("c.jpg"), 12_000)
    large_pictures.one("c.jpg", "c.png", 4)
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 < said["clock"] < 600
    assert 0.05 < said["peak"] < 20
    with Image.open("c.png") as image:
        assert image.size == (126, 95)


def test_to_standard_output(folder, capsysbinary):
    assert cli.main(["dither", "a.png", "-o", "-", *OPTIONS]) == 0
    Path("c.png").write_bytes(capsysbinary.readouterr().out)
    assert dither() == 0
    np.testing.assert_array_equal(shown("c.png"), shown("b.png"))
    assert names(folder) == ["a.png", "b.png", "c.png"]


@pytest.mark.slow
def test_interrupts_at_random_moments(folder):
    """Whatever the moment, the file is whole or is not there, and in the end it is right."""
    Image.fromarray(picture(3000, 300)).save("a.png")
    code = (
        "from fastgrad.dithering.pictures import images; images.MAX_PIXELS = 5000;"
        "import sys; from fastgrad import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "dither", "a.png", "-o", "c.png", *OPTIONS]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    subprocess.run([*command[:-6], "-o", "b.png", *OPTIONS], env=env, check=True, timeout=600)
    taken = time.monotonic() - began
    before = Stamp.of(Path("a.png"))
    for share in np.random.default_rng(1).random(10):
        process = subprocess.Popen([*command, "--resume"], env=env, stderr=subprocess.PIPE)
        time.sleep(1 + share * max(taken - 1, 1))
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=600)
        # It may come while Python still imports what the command needs.
        assert process.returncode in (0, 130, -signal.SIGINT), error
        if Path("c.png").exists():  # it came when all was written
            assert Path("c.png").read_bytes() == Path("b.png").read_bytes()
            break
        assert process.returncode != 0, error
    assert Stamp.of(Path("a.png")) == before
    subprocess.run([*command, "--resume"], env=env, check=True, timeout=600)
    assert Path("c.png").read_bytes() == Path("b.png").read_bytes()
    assert names(folder) == ["a.png", "b.png", "c.png"]
