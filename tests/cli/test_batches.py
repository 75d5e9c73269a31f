"""Many pictures in one command: names, what is left out, processes, and what is printed."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from fastgrad import _progress, cli
from fastgrad.dithering.files import processes

Image = pytest.importorskip("PIL.Image")
FAST = ["--speed", "9", "-k", "4"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:16, :24]
    values = np.stack([9 * x, 15 * y, 255 - 9 * x], axis=-1).astype(np.uint8)
    Path("in").mkdir()
    Image.fromarray(values).save("in/a.png")
    Image.fromarray(values).save("in/a.jpg")
    Image.fromarray(values[::-1]).save("in/b.bmp")
    return tmp_path


def run(*arguments):
    return cli.main(["dither", *arguments])


def refused(capsys, *arguments):
    before = sorted(Path().rglob("*"))
    assert run(*arguments) == 2
    assert sorted(Path().rglob("*")) == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


def names(path):
    return sorted(os.listdir(path))


def test_names_of_one_stem(folder, capsys):
    """`a.png` and `a.jpg` go to files of their own."""
    assert run("in", "-o", "out/", "--suffix=-{ext}", *FAST) == 0
    assert names("out") == ["a-jpg.png", "a-png.png", "b-bmp.png"]
    assert run("in/b.bmp", "-o", "dashed/", "--suffix", "-{ext}", *FAST) == 0
    assert names("dashed") == ["b-bmp.png"]
    assert run("in/b.bmp", "-o", "plain/", "--suffix=", *FAST) == 0
    assert names("plain") == ["b.png"]


def test_pictures_may_stand_between_options(folder, capsys):
    assert run("in/a.png", *FAST, "in/b.bmp", "-o", "out/", "in/a.jpg", "--suffix=-{ext}") == 0
    assert names("out") == ["a-jpg.png", "a-png.png", "b-bmp.png"]
    assert run("in/a.png", *FAST, "10", "-o", "more/") == 2
    assert capsys.readouterr().err == "fastgrad dither: no such file: 10\n"


def test_what_the_suffix_marks_is_not_read_again(folder, capsys):
    assert run("in/b.bmp", "-o", "in", "--suffix=.small", *FAST) == 0
    assert "b.small.png" in names("in")
    assert run("in", "-o", "out/", "--suffix={ext}.small", *FAST) == 0
    assert names("out") == ["ajpg.small.png", "apng.small.png", "bbmp.small.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("in/a.png --suffix x/y", "--suffix: must be part of a file's name, got x/y"),
        ("in/a.png --suffix -q", "--suffix: expected one argument"),
        ("in/a.png --suffix -k4", "--suffix: expected one argument"),
        ("in/a.png --suffix {name}", "--suffix: must be part of a file's name"),
        ("in/a.png -o out.png --suffix x", "--suffix goes with a directory"),
        ("in/a.png -o - --skip-existing", "need a file as --output"),
        ("in/a.png --jobs 0", "--jobs: must be an integer from 1"),
        ("in/a.png -j 2 --threads 1", "--threads goes with one process"),
        ("in/a.png --suffix=", "the output would replace the input"),
    ],
)
def test_what_does_not_go_together(folder, capsys, arguments, message):
    if arguments.endswith("="):
        os.chdir("in")
        arguments = arguments.removeprefix("in/")
    assert message in refused(capsys, *arguments.split())


def test_skip_existing(folder, capsys):
    assert run("in/a.png", "-o", "out/", *FAST) == 0
    Path("out/a-dithered.png").write_bytes(b"mine")
    capsys.readouterr()
    options = ["-o", "out/", "--skip-existing", "--report", "r.json"]
    assert run("in/a.png", "in/b.bmp", *options, *FAST) == 0
    assert "skipped in/a.png: out/a-dithered.png is there already" in capsys.readouterr().out
    assert Path("out/a-dithered.png").read_bytes() == b"mine"
    assert names("out") == ["a-dithered.png", "b-dithered.png"]
    report = json.loads(Path("r.json").read_text())
    assert [entry["input"] for entry in report["skipped"]] == ["in/a.png"]
    assert [entry["input"] for entry in report["pictures"]] == ["in/b.bmp"]


def test_skip_if_larger(folder, capsys):
    assert run("in/a.png", "in/b.bmp", "-o", "out/", "--skip-if-larger", *FAST) == 0
    larger = []
    for name in ("a.png", "b.bmp"):
        assert run(f"in/{name}", "-o", "all/", *FAST) == 0
        stem = name.partition(".")[0]
        if os.path.getsize(f"all/{stem}-dithered.png") > os.path.getsize(f"in/{name}"):
            larger.append(name)
    assert larger == ["a.png"]
    assert names("out") == ["b-dithered.png"]
    assert "bytes are more than" in capsys.readouterr().out


def test_quiet(folder, capsys):
    Path("in/text.png").write_text("This is no picture.")
    assert run("in", "-o", "out/", "--suffix=-{ext}", "-q", "--preview", *FAST) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "not an image" in line


def test_pages_that_are_left_out_are_told(folder, capsys):
    with Image.open("in/a.png") as image:
        image.save("pages.tif", save_all=True, append_images=[image, image])
    assert run("pages.tif", *FAST) == 0
    assert "pages.tif: 24 x 16, the first of 3 pages\n" in capsys.readouterr().out


def test_webp(folder, capsys):
    assert run("in/a.png", "-o", "out.webp", *FAST) == 0
    assert run("in/a.png", "-o", "out.png", *FAST) == 0
    assert b"VP8L" in Path("out.webp").read_bytes()
    with Image.open("out.webp") as found, Image.open("out.png") as expected:
        np.testing.assert_array_equal(
            np.asarray(found.convert("RGB")), np.asarray(expected.convert("RGB"))
        )


def test_processes(folder, capsys):
    """The same files and lines, in the order of the pictures."""
    shutil.copy("in/b.bmp", "in/c.bmp")
    Path("in/text.png").write_text("This is no picture.")
    sources = ["in/c.bmp", "in/text.png", "in/a.png", "in/b.bmp"]
    said = []
    for jobs in ("1", "2"):
        options = ["-o", f"out{jobs}/", "--jobs", jobs, "--report", f"r{jobs}.json"]
        assert run(*sources, *options, *FAST) == 2
        captured = capsys.readouterr()
        said.append([line.partition(" (")[0] for line in captured.out.splitlines()])
        assert captured.err.count("\n") == 1
    assert said[0] == [line.replace("out2", "out1") for line in said[1]]
    for name in names("out1"):
        assert Path("out1", name).read_bytes() == Path("out2", name).read_bytes()
    reports = [json.loads(Path(f"r{jobs}.json").read_text()) for jobs in "12"]
    assert reports[0]["errors"] == reports[1]["errors"]
    for one, two in zip(*(report["pictures"] for report in reports)):
        assert one["input"] == two["input"]
        assert (
            one["metrics"]["fastgrad"]["SSIM, sRGB values"]
            == (two["metrics"]["fastgrad"]["SSIM, sRGB values"])
        )


def test_an_interrupt_with_processes(folder, capsys, monkeypatch):
    """Some are finished, one is cut short, and the others are not begun."""
    whole = processes.answers

    def interrupted(task, jobs, count):
        for i, answer in enumerate(whole(task, jobs, 1)):
            if i == 0:
                yield answer
            elif i == 1:
                yield answer._replace(value=answer.value._replace(complete=False))
            else:
                yield processes.Answer(error=KeyboardInterrupt())

    monkeypatch.setattr(processes, "answers", interrupted)
    options = ["-o", "out/", "--suffix=-{ext}", "--jobs", "2", *FAST]
    assert run("in", *options) == 130
    error = capsys.readouterr().err
    assert "the best picture so far is in out/a-png.png" in error.replace(os.sep, "/")


def test_the_compiler_is_announced_before_the_wait(folder, capsys, monkeypatch):
    """But not where all is to be quiet."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for quiet in (False, True):
        with _progress.progress_bar("step", quiet=quiet) as (_, compiling):
            for _ in range(3):
                compiling.on_start(None)
                compiling.on_end(None)
        assert capsys.readouterr().err.count("kernels are compiled") == (not quiet)


# -- a page of comparisons ------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["before", "after"])
def test_compare_on_a_page(folder, capsys, order):
    names, option = ["in/a.png", "in/b.bmp"], ["--compare", "report.html"]
    given = [*option, *names] if order == "before" else [*names, *option]
    assert run(*given, "-o", "out/", *FAST) == 0
    assert capsys.readouterr().out.endswith("wrote report.html\n")
    assert sorted(path.name for path in Path().iterdir()) == ["in", "out", "report.html"]
    assert len(list(Path("out").iterdir())) == 2
    page = Path("report.html").read_text(encoding="utf-8")
    assert page.count('class="fg-compare"') == 2
    assert all(f"<h2>{Path(name).name}</h2>" in page for name in names)
    assert page.count("data:image/png") >= 6  # the original, ours and Pillow's, of both


def test_compare_alone_takes_no_picture_for_a_page(folder):
    assert run("--compare", "in/a.png", *FAST) == 0
    names = ["a-comparison.png", "a-dithered.png", "in"]
    assert sorted(path.name for path in Path().iterdir()) == names


def test_a_page_is_claimed_like_any_file(folder, capsys):
    assert "no such directory: no" in refused(capsys, "in/a.png", "--compare", "no/report.html")
    line = refused(capsys, "in/a.png", "--compare=report.txt")
    assert "must be a name that ends in .html, got report.txt" in line
