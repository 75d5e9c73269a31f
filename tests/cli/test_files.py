"""What the command reads and writes: no file is replaced that was not named as output."""

import os
from pathlib import Path

import numba
import numpy as np
import pytest

import fastgrad
from fastgrad import cli

Image = pytest.importorskip("PIL.Image")
FAST = ["--speed", "9", "-k", "4"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:16, :24]
    values = np.stack([9 * x, 15 * y, 255 - 9 * x], axis=-1).astype(np.uint8)
    Image.fromarray(values).save("photo.png")
    Path("p.gpl").write_text("GIMP Palette\n0 0 0\n255 255 255\n")
    Image.fromarray(values[:1, :5]).save("colours.png")
    Path("p.json").write_text('["#000", "#fff"]')
    return tmp_path


def run(*arguments):
    return cli.main(["dither", *arguments])


def contents():
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def refused(capsys, *arguments):
    before = contents()
    assert run(*arguments) == 2
    assert contents() == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "photo.png -o out.png --swatches photo.png",
            "photo.png: the output would replace the input",
        ),
        (
            "photo.png -o out.png --swatches ./photo.png",
            "photo.png: the output would replace the input",
        ),
        ("photo.png -o sw.png --swatches sw.png", "two files would be written to sw.png"),
        (
            "photo.png --palette p.gpl --swatches p.gpl",
            "p.gpl: the output would replace the palette",
        ),
        ("photo.png --palette colours.png -o colours.png", "replace the palette: colours.png"),
        (
            "photo.png --palette p.json --report p.json",
            "p.json: the output would replace the palette",
        ),
        ("photo.png --swatches r.json --report r.json", "two files would be written to r.json"),
        ("photo.png --swatches photo-dithered.png", "would be written to photo-dithered.png"),
        ("photo.png -o link.png", "replace the input: link.png"),
        (
            "photo.png -o out.png --swatches hard.png",
            "hard.png: the output would replace the input",
        ),
        ("link.png -o photo.png", "replace the input: photo.png"),
    ],
)
def test_what_is_read_is_not_written(folder, capsys, arguments, message):
    Path("link.png").symlink_to("photo.png")
    os.link("photo.png", "hard.png")
    assert message in refused(
        capsys, *arguments.split(), *(FAST if "--pal" not in arguments else [])
    )


def test_a_comparison_replaces_no_input_of_the_batch(folder, capsys):
    Path("photo.png").rename("photo-comparison.png")
    Image.new("RGB", (5, 4), "red").save("photo.png")
    before = Path("photo-comparison.png").read_bytes()
    assert run("photo.png", "photo-comparison.png", "--compare", *FAST) == 2
    assert "replace the input: photo-comparison.png" in capsys.readouterr().err
    assert Path("photo-comparison.png").read_bytes() == before
    assert Path("photo-comparison-dithered.png").exists()


def test_links_and_modes_are_kept(folder, capsys):
    (folder / "real").mkdir()
    Path("real/out.png").write_bytes(b"old")
    Path("real/out.png").chmod(0o600)
    Path("out.png").symlink_to("real/out.png")
    assert run("photo.png", "-o", "out.png", *FAST) == 0
    assert Path("out.png").is_symlink()
    with Image.open("real/out.png") as image:
        assert image.size == (24, 16)
    assert Path("real/out.png").stat().st_mode & 0o777 == 0o600


def test_pipes_and_devices_are_refused(folder, capsys):
    os.mkfifo("pipe.png")
    Path("null.png").symlink_to(os.devnull)
    for name in ("pipe.png", "null.png"):
        assert run("photo.png", "-o", name) == 2
        assert "a pipe or a device" in capsys.readouterr().err
    assert run("pipe.png") == 2
    assert "not a file: pipe.png" in capsys.readouterr().err


def test_links_that_lead_nowhere(folder, capsys):
    Path("loop.png").symlink_to("loop.png")
    assert "not a file: loop.png" in refused(capsys, "loop.png")
    assert "is a link to itself: loop.png" in refused(capsys, "photo.png", "-o", "loop.png")
    assert "--palette loop.gpl: cannot read: " in refused(
        capsys, "photo.png", "--palette", "loop.gpl"
    )


def test_names_that_are_too_long(folder, capsys):
    long = "n" * 300
    assert "no such file: nnn" in refused(capsys, f"{long}.png")
    assert "name too long" in refused(capsys, "photo.png", "-o", f"{long}.png")
    assert "name too long" in refused(capsys, "photo.png", "-o", f"{long}/")
    assert "no such directory" in refused(capsys, "photo.png", "-o", f"{long}/a.png")
    assert "name too long" in refused(capsys, "photo.png", "--report", f"{long}.json")
    assert "name too long" in refused(capsys, "photo.png", "--palette", f"{long}.gpl")
    assert "no such file" in refused(capsys, f"{long}*.png")


@pytest.mark.parametrize("option", ["-o", "--report", "--swatches", "--palette", None])
def test_empty_names(folder, capsys, option):
    arguments = ["photo.png", option, ""] if option else [""]
    assert "must be the name of a file, got ''" in refused(capsys, *arguments)
    assert "got 'a\\\\x00b'" in refused(capsys, *arguments[:-1], "a\0b")


@pytest.mark.parametrize(
    "name", ["esc\x1b[31m.png", "two\nlines.png", "\u202egnp.png", "\udce9.png"]
)
def test_names_do_not_reach_the_terminal_as_they_are(folder, capsys, name):
    assert not set("\x1b\n\u202e\udce9") & set(refused(capsys, name).rstrip("\n"))
    Path("photo.png").rename(name)
    assert run(name, *FAST) == 0
    lines = capsys.readouterr().out
    assert lines.count("\n") == 2
    assert all(line.isprintable() for line in lines.splitlines())
    Path(name).write_text("nothing")
    assert refused(capsys, name, *FAST).isprintable()
    assert refused(capsys, "-k", name).isprintable()
    assert refused(capsys, name, f"--{name}").isprintable()
    assert refused(capsys, "--preset", name).isprintable()


def test_long_values_are_not_repeated(folder, capsys):
    assert len(refused(capsys, "photo.png", "-k", "9" * 5000)) < 200
    assert len(refused(capsys, "photo.png", "--resize", "9" * 5000)) < 200
    assert len(refused(capsys, "9" * 5000)) < 1200


# -- directories ----------------------------------------------------------------------------------


def test_a_directory_is_made_where_one_is_meant(folder, capsys):
    assert run("photo.png", "-o", "out/", *FAST) == 0
    assert os.listdir("out") == ["photo-dithered.png"]
    Path("other.png").write_bytes(Path("photo.png").read_bytes())
    assert run("photo.png", "other.png", "-o", "new", *FAST) == 0
    assert sorted(os.listdir("new")) == ["other-dithered.png", "photo-dithered.png"]


def test_no_directory_is_left_empty(folder, capsys):
    Path("photo.png").write_text("nothing")
    assert run("photo.png", "none.png", "-o", "out/") == 2
    assert not Path("out").exists()


def test_a_directory_of_pictures(folder, capsys):
    (folder / "pics").mkdir()
    for name in ("b.PNG", "a.jpg", "old-dithered.png", "old-comparison.png"):
        Image.new("RGB", (6, 5), "teal").save(folder / "pics" / name)
    Path("pics/notes.txt").write_text("no picture")
    Path("pics/c.png").mkdir()
    assert run("pics", "-o", "out", *FAST) == 0
    assert sorted(os.listdir("out")) == ["a-dithered.png", "b-dithered.png"]
    Path("empty").mkdir()
    line = refused(capsys, "empty")
    assert line.endswith("not a file: empty (a directory without pictures)")


# -- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_large_picture_is_made_smaller(folder, capsys, monkeypatch, ending):
    from fastgrad.dithering.pictures import images

    Image.new("RGB", (500, 300), "teal").save(f"large.{ending}")
    monkeypatch.setattr(images, "MAX_PIXELS", 10_000)
    monkeypatch.setattr(images.Picture.__init__, "__kwdefaults__", {"largest": 10_000})
    line = refused(capsys, f"large.{ending}", "--max-pixels", "10000")
    assert "more than 10000 pixels" in line
    assert "--resize" in line
    assert run(f"large.{ending}", "--resize", "50", *FAST) == 0
    with Image.open("large-dithered.png") as image:
        assert image.size == (50, 30)
        np.testing.assert_allclose(image.convert("RGB").getpixel((9, 9)), (0, 128, 128), atol=4)
    resized = "--resize", "400"
    said = "more than {} pixels after --resize: large"
    assert said.format(10_000) in refused(capsys, f"large.{ending}", *resized)
    assert said.format(9_000) in refused(
        capsys, f"large.{ending}", *resized, "--max-pixels", "9000"
    )
    asked = "--resize", "50", "--max-pixels"
    assert said.format(1499) in refused(capsys, f"large.{ending}", *asked, "1499")
    assert run(f"large.{ending}", *asked, "1500", *FAST) == 0


@pytest.mark.parametrize(("ending", "side"), [("gif", 70_000), ("webp", 20_000)])
def test_a_format_that_has_no_room_for_a_side_is_refused_before_any_work(
    folder, capsys, monkeypatch, ending, side
):
    from fastgrad.dithering.files import one_picture

    Image.new("L", (1, side)).save("tall.png")
    said = f": a .{ending} has at most {65_535 if ending == 'gif' else 16_383} pixels on a side"
    with monkeypatch.context() as without:
        without.setattr(one_picture, "_Work", None)
        assert f"tall.png{said}, got 1 x {side}" in refused(capsys, "tall.png", "-o", f"t.{ending}")
        line = refused(capsys, "photo.png", "-o", f"t.{ending}", "--resize", f"{side}x1")
        assert f"photo.png{said}, got {side} x 1" in line
    assert run("tall.png", "-o", f"t.{ending}", "--resize", "x100", *FAST) == 0


@pytest.mark.slow
def test_a_picture_of_a_phone(folder, capsys):
    Image.new("RGB", (9248, 6936), "teal").save("phone.jpg")  # 64 million pixels
    assert "--resize" in refused(capsys, "phone.jpg", "--max-pixels", "33554432")
    assert run("phone.jpg", "--resize", "60", *FAST) == 0
    with Image.open("phone-dithered.png") as image:
        assert image.size == (60, 45)


def test_too_many_frames(folder, capsys, monkeypatch):
    from fastgrad.dithering.pictures import images

    monkeypatch.setattr(images, "MAX_FRAMES", 3)
    frames = [Image.new("L", (1, 1), 50 * i) for i in range(4)]
    frames[0].save("many.gif", save_all=True, append_images=frames[1:], duration=20)
    assert "more than 3 frames: many.gif" in refused(capsys, "many.gif")


# -- advice ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["dithr", "photo.png"], "did you mean dither?"),
        (["dither", "photo.png", "--pallete", "x.gpl"], "did you mean --palette?"),
        (["dither", "photo.png", "--n-colors=4"], "did you mean --colors?"),
        (["dither", "photo.png", "--preset", "spectra"], "did you mean spectra6?"),
        (["dither", "photo.png", "--space", "oklap"], "did you mean oklab?"),
        (["compare", "--problem", "reber"], "did you mean rebar?"),
        (["compare", "--repeat-s", "5"], "did you mean --repeats?"),
    ],
)
def test_did_you_mean(folder, capsys, arguments, advice):
    assert cli.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert advice in line


def test_spelling_is_forgiven(folder, capsys):
    options = ["--space", "OKLab", "--alpha", "Blend", "--speed", "9"]
    assert run("photo.png", "--colours", "4", *options) == 0
    assert run("photo.png", "--preset", "Spectra6", "--speed", "9") == 0


def test_threads(folder, capsys):
    try:
        assert run("photo.png", "--threads", "1", *FAST) == 0
        assert fastgrad.get_num_threads() == 1
    finally:
        fastgrad.set_num_threads(None)
    most = numba.config.NUMBA_NUM_THREADS
    line = refused(capsys, "photo.png", "--threads", str(most + 1))
    assert f"--threads must be at most {most} here, got {most + 1}" in line
    assert "--threads: must be an integer from 1" in refused(capsys, "--threads", "0")
