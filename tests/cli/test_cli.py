"""The command line, mostly in this process."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import fastgrad
from fastgrad import _progress as progress
from fastgrad import cli, comparison, dithering, precompile
from fastgrad.cli import problems
from fastgrad.cli.arguments import DITHER
from fastgrad.comparison import measuring
from fastgrad.dithering.metrics import psnr_and_ssim
from fastgrad.dithering.pictures import images, report
from fastgrad.dithering.pictures.presets import PRESETS
from fastgrad.estimators import ESTIMATORS

Image = pytest.importorskip("PIL.Image")


# -- dither ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def picture(folder):
    y, x = np.mgrid[:40, :56]
    values = np.stack([4 * x, 6 * y, 255 - 4 * x], axis=-1).astype(np.uint8)
    Image.fromarray(values).save("picture.png")
    return folder / "picture.png"


def load(name, mode="RGB"):
    with Image.open(name) as image:
        return np.asarray(image.convert(mode))


def palette_of(image, colors):
    """The palette in a file, less what Pillow before 13 appends until all codes have a colour."""
    palette = image.getpalette()
    assert not any(palette[3 * colors :])
    return palette[: 3 * colors]


def names(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


def refused(capsys, *arguments):
    """Run a command that must fail with one line; return the line."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    try:
        code = cli.main(list(arguments))
    except SystemExit as exit:
        code = exit.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    return captured.err


@pytest.mark.parametrize(("colors", "bits"), [(2, 1), (3, 2), (16, 4), (40, 8), (256, 8)])
def test_dither_writes_an_indexed_png(picture, capsys, colors, bits):
    assert cli.main(["dither", "picture.png", "-k", str(colors), "--speed", "7"]) == 0
    output = capsys.readouterr().out
    assert "picture.png: 56 x 40" in output
    assert "wrote picture-dithered.png (" in output
    data = (picture.parent / "picture-dithered.png").read_bytes()
    assert data[24] in (bits, 8 if bits > 1 else 1)  # of the header: depth, the smaller of two
    assert data[25] == 3
    with Image.open("picture-dithered.png") as image:
        assert image.size == (56, 40)
        assert len(image.getcolors()) <= colors
        palette_of(image, len(image.getcolors()))  # none for nothing
    expected = dithering.dither(load(picture), colors=colors, speed=7)
    np.testing.assert_array_equal(load("picture-dithered.png"), expected.image)
    assert names() == ["picture-dithered.png", "picture.png"]


def test_output_and_options(picture, capsys):
    (picture.parent / "sub").mkdir()
    options = ["--seed", "3", "--speed", "7", "--sigma", "0.7", "--nu", "0.1"]
    assert cli.main(["dither", str(picture), "-o", "sub/new.png", *options]) == 0
    assert names("sub") == ["new.png"]
    result = dithering.dither(load(picture), speed=7, sigma=0.7, nu=0.1, rng=3)
    written = load("sub/new.png")
    np.testing.assert_array_equal(written, result.image)


def test_help_says_the_default_of_what_always_has_a_value():
    off = {"--pattern", "--dot-gain", "--ppd", "--time-budget", "--rate", "--size", "--quality"}
    for option in DITHER["what is optimised"]:
        if not off & set(option.names) and option.told.get("action") != "store_true":
            assert "(default: " in option.told["help"], option.names


def test_the_weight_of_an_error_has_one_bound(picture, capsys):
    for option in ("nu", "structure"):
        beyond = refused(capsys, "dither", "picture.png", f"--{option}", "1e10")
        assert "from 0 to 1000000000, got 1e10" in beyond
        with pytest.raises(ValueError, match=rf"{option} must be from 0 to 1e\+09, got 1e10|1000"):
            dithering.dither(load(picture), **{option: 1e10})
    assert cli.main(["dither", "picture.png", "--nu", "1e9", "--speed", "10"]) == 0


@pytest.mark.parametrize("option", ["space", "ppd", "time_budget"])
def test_options_reach_the_optimiser(picture, capsys, option):
    value = {"space": "srgb", "ppd": 20.0, "time_budget": 1e-3}[option]
    flag = "--" + option.replace("_", "-")
    assert cli.main(["dither", "picture.png", "-k", "5", flag, str(value)]) == 0
    result = dithering.dither(load(picture), colors=5, **{option: value})
    if option != "time_budget":  # which leaves it to the clock
        np.testing.assert_array_equal(load("picture-dithered.png"), result.image)


def test_compare_with_other_tools(picture, capsys):
    assert cli.main(["dither", "picture.png", "-k", "6", "--speed", "7", "--compare"]) == 0
    output = capsys.readouterr().out
    assert "wrote picture-dithered.png and picture-comparison.png (" in output
    with Image.open("picture-comparison.png") as sheet:
        assert sheet.width >= 3 * 56
        assert sheet.height > 40
    head, *rows = [line for line in output.splitlines() if "  " in line]
    assert head.split()[:2] == ["fastgrad", "Pillow"]
    assert len(rows) == 10
    assert {row.split(",")[0].strip() for row in rows} >= {
        "S-CIELAB",
        "FLIP",
        "SSIM",
        "MS-SSIM",
        "CSSIM",
    }
    for row in rows[:-2]:
        assert any(space in row for space in ("sRGB values", "linear light", "CIE 1976"))
    assert [row.split()[0] for row in rows[-2:]] == ["bytes", "seconds"]
    shown = load("picture-dithered.png")
    value = psnr_and_ssim.psnr(shown, load("picture.png"), sigma=1.5)
    (row,) = [row for row in rows if "linear light, blurred" in row]
    assert float(row.replace("*", "").split()[-len(head.split())]) == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize("alpha", [False, True])
def test_what_is_written_is_encoded_once(picture, capsys, monkeypatch, alpha):
    """For the file, the bytes in the table and the page; a transparent file is another one."""
    encode, calls = report.png.encode, []
    monkeypatch.setattr(report.png, "encode", lambda *a, **k: calls.append(a) or encode(*a, **k))
    monkeypatch.setattr(report, "RIVALS", {})
    if alpha:
        values = load("picture.png")
        opacity = np.full(values.shape[:2], 255, np.uint8)
        opacity[:4] = 0
        Image.fromarray(np.dstack([values, opacity])).save("picture.png")
    options = ["-k", "6", "--speed", "9", "--compare", "page.html", "--report", "all.json"]
    assert cli.main(["dither", "picture.png", *options]) == 0
    assert len(calls) == 1 + alpha
    (entry,) = json.loads(Path("all.json").read_text())["pictures"]
    size = report.size_of(load("picture-dithered.png"))
    assert alpha or entry["metrics"]["fastgrad"][report.BYTES] == size == entry["bytes"]


def test_report(picture, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    Image.fromarray(noise).save("noise.png")
    Path("text.png").write_text("This is no picture.")
    options = ["-k", "9", "--speed", "9", "--report", "all.json", "--seed", "2"]
    assert cli.main(["dither", "picture.png", "text.png", "noise.png", *options]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    report = json.loads(Path("all.json").read_text())
    assert report["fastgrad"] == fastgrad.__version__
    assert report["options"]["seed"] == 2
    assert [entry["input"] for entry in report["pictures"]] == ["picture.png", "noise.png"]
    (error,) = report["errors"]
    assert error["input"] == "text.png"
    assert "not an image" in error["error"]
    first = report["pictures"][0]
    assert (first["width"], first["height"], first["frames"]) == (56, 40, 1)
    assert first["complete"] is True
    figures = first["metrics"]["fastgrad"]
    original, shown = load("picture.png"), load("picture-dithered.png")
    expected = psnr_and_ssim.ssim(shown, original)
    assert figures["SSIM, sRGB values"] == pytest.approx(expected)
    colours = {f"#{bytes(c).hex()}" for c in shown.reshape(-1, 3)}
    assert set(first["palette"]) == set(first["device"]) == colours


def test_a_report_of_a_perfect_picture_is_json(folder, capsys):
    Image.new("RGB", (12, 12), "teal").save("flat.png")
    assert cli.main(["dither", "flat.png", "--report", "flat.json"]) == 0
    (entry,) = json.loads(Path("flat.json").read_text(), parse_constant=pytest.fail)["pictures"]
    assert entry["metrics"]["fastgrad"]["PSNR in dB, sRGB values"] is None
    assert entry["palette"] == ["#008080"]
    assert Path("flat-dithered.png").read_bytes()[24] == 1


def test_preview(picture, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "28")
    monkeypatch.setenv("LINES", "30")
    assert cli.main(["dither", "picture.png", "--speed", "9", "--preview"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "\x1b" in line]
    assert len(lines) == 10  # 28 x 20 pixels, two to a character
    assert all(line.count("▀") == 28 and line.endswith("\x1b[0m") for line in lines)


@pytest.mark.slow
def test_the_bundled_photograph(folder, capsys):
    assert cli.main(["dither"]) == 0
    assert names() == ["astronaut-comparison.png", "astronaut-dithered.png"]
    with Image.open("astronaut-dithered.png") as image:
        assert image.size == (512, 512)
    with Image.open("astronaut-comparison.png") as image:
        assert image.height > 3 * 512  # the whole and two crops
    assert "Pillow" in capsys.readouterr().out


# -- many pictures --------------------------------------------------------------------------------


def three(folder):
    for i, name in enumerate(("a.png", "b.jpg", "c.bmp")):
        Image.new("RGB", (10 + i, 8), ("red", "lime", "blue")[i]).save(folder / name)


def test_a_batch_and_a_pattern(folder, capsys):
    three(folder)
    (folder / "out").mkdir()
    assert cli.main(["dither", "[ab].*", "c.bmp", "-o", "out"]) == 0
    assert names("out") == ["a-dithered.png", "b-dithered.png", "c-dithered.png"]
    assert load("out/c-dithered.png").shape == (8, 12, 3)


def test_a_bad_file_does_not_stop_a_batch(folder, capsys):
    three(folder)
    Path("b.jpg").write_bytes(Path("b.jpg").read_bytes()[:300])
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save("cut.png")
    Path("cut.png").write_bytes(Path("cut.png").read_bytes()[:2000])
    Path("d").mkdir()
    assert cli.main(["dither", "a.png", "b.jpg", "cut.png", "d", "none.png", "c.bmp"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 4
    for name in ("b.jpg", "cut.png", "not a file: d", "no such file: none.png"):
        assert sum(name in line for line in errors) == 1
    assert {"a-dithered.png", "c-dithered.png"} <= set(names())
    assert not {"b-dithered.png", "cut-dithered.png", "d-dithered.png"} & set(names())


def test_no_two_pictures_go_to_one_file(folder, capsys):
    three(folder)
    Image.new("RGB", (4, 4), "white").save("a.gif")
    assert cli.main(["dither", "a.png", "a.gif", "c.bmp"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "two pictures would be written to a-dithered.png: a.gif" in line
    assert load("a-dithered.png")[0, 0].tolist() == [255, 0, 0]
    assert Path("c-dithered.png").exists()


def test_many_pictures_need_a_directory(folder, capsys):
    three(folder)
    for out in ("new.png", "-", "a.png"):
        line = refused(capsys, "dither", "a.png", "c.bmp", "-o", out)
        assert f"several pictures need a directory as --output, got {out}" in line
    Path("file").write_text("")
    line = refused(capsys, "dither", "a.png", "c.bmp", "-o", "file")
    assert "cannot make the directory file: File exists" in line
    line = refused(capsys, "dither", "a.png", "c.bmp", "-o", "no/new")
    assert "cannot make the directory no/new: No such file" in line
    assert "one picture" in refused(capsys, "dither", "a.png", "c.bmp", "--swatches", "x.gpl")
    assert "no such file: x*.png" in refused(capsys, "dither", "x*.png")


def test_no_output_replaces_an_input(folder, capsys):
    three(folder)
    Image.new("RGB", (5, 5), "navy").save("a-dithered.png")
    assert cli.main(["dither", "a.png", "a-dithered.png"]) == 2
    assert "would replace the input: a-dithered.png" in capsys.readouterr().err
    assert load("a-dithered.png").shape == (5, 5, 3)
    assert Path("a-dithered-dithered.png").exists()


def test_an_interrupt_keeps_what_is_finished(folder, capsys, monkeypatch):
    three(folder)
    whole = dithering.dither

    def interrupted(values, **options):
        if values.shape[1] == 12:
            raise KeyboardInterrupt
        return whole(values, **options)

    monkeypatch.setattr(dithering, "dither", interrupted)
    assert cli.main(["dither", "a.png", "b.jpg", "c.bmp"]) == 130
    assert "interrupted: 2 of 3 pictures are finished" in capsys.readouterr().err
    assert {"a-dithered.png", "b-dithered.png"} <= set(names())
    assert "c-dithered.png" not in names()


# -- standard input and output --------------------------------------------------------------------


class Standard:
    """As much of sys.stdin and sys.stdout as is used."""

    def __init__(self, data=b"", terminal=False):
        self.buffer, self.terminal = io.BytesIO(data), terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        raise AssertionError(f"text among the data: {text!r}")

    def flush(self):
        pass


def test_from_standard_input_to_standard_output(picture, capsys, monkeypatch):
    out = Standard()
    monkeypatch.setattr(sys, "stdin", Standard(picture.read_bytes()))
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["dither", "-", "-k", "5", "--speed", "7", "--preview"]) == 0
    monkeypatch.undo()
    with Image.open(io.BytesIO(out.buffer.getvalue())) as image:
        found = np.asarray(image.convert("RGB"))
    expected = dithering.dither(load(picture), colors=5, speed=7)
    np.testing.assert_array_equal(found, expected.image)
    assert "wrote standard output (" in capsys.readouterr().err
    assert names(picture.parent) == ["picture.png"]


def test_standard_input_to_a_file(picture, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Standard(picture.read_bytes()))
    assert cli.main(["dither", "-", "-o", "new.png", "--speed", "9", "--compare"]) == 0
    assert names() == ["new-comparison.png", "new.png", "picture.png"]


def test_bad_standard_streams(picture, capsys, monkeypatch):
    out = Standard(terminal=True)
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["dither", "picture.png", "-o", "-"]) == 2
    assert out.buffer.getvalue() == b""
    monkeypatch.undo()
    assert "not written to a terminal" in capsys.readouterr().err
    os.chdir(picture.parent)
    for data in (b"", b"nonsense", picture.read_bytes()[:60]):
        monkeypatch.setattr(sys, "stdin", Standard(data))
        assert "standard input" in refused(capsys, "dither", "-", "-o", "out.png")


@pytest.mark.parametrize("size", [4, 64])  # what is written stays in the buffer, or is too large
def test_a_closed_pipe(picture, size):
    colours = np.random.default_rng(0).integers(256, size=(size, size, 3), dtype=np.uint8)
    Image.fromarray(colours).save("picture.png")
    root = Path(fastgrad.__file__).resolve().parent.parent
    command = [sys.executable, "-m", "fastgrad", "dither", "picture.png", "--speed", "9", "-o", "-"]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": ""}
    read_end, write_end = os.pipe()
    os.close(read_end)
    options = {"stderr": subprocess.PIPE, "text": True, "env": environment}
    result = subprocess.run(command, stdout=write_end, timeout=300, **options)
    os.close(write_end)
    assert result.returncode == 2
    assert "cannot write standard output: Broken pipe" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Exception" not in result.stderr


@pytest.mark.parametrize("arguments", [["info"], ["info", "--estimators"]])
def test_a_reader_that_has_gone(arguments):
    root = Path(fastgrad.__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": ""}
    read_end, write_end = os.pipe()
    os.close(read_end)
    options = {"stderr": subprocess.PIPE, "text": True, "env": environment}
    command = [sys.executable, "-m", "fastgrad", *arguments]
    result = subprocess.run(command, stdout=write_end, timeout=300, **options)
    os.close(write_end)
    assert result.returncode == 141
    assert result.stderr == ""


# -- colours --------------------------------------------------------------------------------------


def test_a_palette_file(picture, capsys):
    Path("three.hex").write_text("000000\nff8000\nffffff\n")
    assert cli.main(["dither", "picture.png", "--palette", "three.hex", "--speed", "7"]) == 0
    fixed = np.uint8([[0, 0, 0], [255, 128, 0], [255, 255, 255]])
    expected = dithering.dither(load(picture), palette=fixed, speed=7)
    np.testing.assert_array_equal(load("picture-dithered.png"), expected.image)
    with Image.open("picture-dithered.png") as image:
        assert palette_of(image, 3) == fixed.ravel().tolist()  # in that order, used or not
        np.testing.assert_array_equal(np.asarray(image), expected.indices)


def test_swatches(picture, capsys):
    assert (
        cli.main(["dither", "picture.png", "-k", "6", "--speed", "7", "--swatches", "p.gpl"]) == 0
    )
    assert "wrote picture-dithered.png and p.gpl (6 colours" in capsys.readouterr().out
    first = Path("picture-dithered.png").read_bytes()
    assert cli.main(["dither", "picture.png", "--palette", "p.gpl", "-o", "new.png"]) == 0
    with Image.open(io.BytesIO(first)) as image, Image.open("new.png") as again:
        assert image.getpalette() == again.getpalette()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_write_the_colours_of_the_device(picture, capsys, name):
    preset = PRESETS[name]
    options = ["--preset", name, "--report", "r.json", "--swatches", "seen.hex"]
    assert cli.main(["dither", "picture.png", *options]) == 0
    expected = dithering.dither(load(picture), palette=preset.colors, **preset.options)
    with Image.open("picture-dithered.png") as image:
        assert palette_of(image, len(preset.device)) == preset.device.ravel().tolist()
        np.testing.assert_array_equal(np.asarray(image), expected.indices)
    (entry,) = json.loads(Path("r.json").read_text())["pictures"]
    seen = [f"#{bytes(colour).hex()}" for colour in preset.colors]
    assert entry["palette"] == seen
    assert Path("seen.hex").read_text().split() == [colour[1:] for colour in seen]
    value = entry["metrics"]["fastgrad"]["PSNR in dB, sRGB values"]  # of the colours as seen
    own = psnr_and_ssim.psnr(expected.image, load(picture), linear=False)
    assert value == pytest.approx(own)


def test_locked_colours_stay_and_others_are_learned(picture, capsys):
    Path("two.json").write_text(
        '{"colors": ["#ff00ff", "#00ff00"], "device": ["#010203", "#040506"]}'
    )
    options = ["--palette", "two.json", "--lock-colors", "-k", "7", "--speed", "7"]
    assert cli.main(["dither", "picture.png", *options, "--report", "r.json"]) == 0
    (entry,) = json.loads(Path("r.json").read_text())["pictures"]
    assert entry["palette"][:2] == ["#ff00ff", "#00ff00"]
    assert entry["device"][:2] == ["#010203", "#040506"]
    assert entry["palette"][2:] == entry["device"][2:]
    assert len(entry["palette"]) == 7


def test_a_single_colour_may_be_locked(picture, capsys):
    Path("one.hex").write_text("ff8000")
    options = ["--palette", "one.hex", "--lock-colors", "-k", "4", "--swatches", "all.hex"]
    assert cli.main(["dither", "picture.png", *options, "-o", "out.png", "--speed", "9"]) == 0
    colors = Path("all.hex").read_text().split()
    assert colors[0] == "ff8000"
    assert len(colors) == 4
    made = dithering.dither(
        Image.open("picture.png"), palette=Path("one.hex"), lock_colors=True, colors=4, speed=9
    )
    assert [bytes(color).hex() for color in made.palette] == colors
    line = refused(capsys, "dither", "picture.png", "--palette", "one.hex")
    assert "--palette one.hex: a palette must have 2 to 256 colours, got 1" in line


def test_colours_that_do_not_go_together(picture, capsys):
    Path("two.hex").write_text("000000\nffffff\n")
    given = ["--palette", "two.hex"]
    line = refused(capsys, "dither", "picture.png", "--lock-colors")
    assert "--lock-colors needs --palette or --preset" in line
    line = refused(capsys, "dither", "picture.png", *given, "--lock-colors", "-k", "2")
    assert "--lock-colors needs more --colors than the 2 given" in line
    assert "--colors goes with" in refused(capsys, "dither", "picture.png", *given, "-k", "9")
    assert "not allowed with" in refused(capsys, "dither", "picture.png", *given, "--preset", "bw")
    assert "invalid choice: 'none'" in refused(capsys, "dither", "picture.png", "--preset", "none")
    line = refused(capsys, "dither", "picture.png", "--palette", "none.gpl")
    assert "dither: --palette none.gpl: cannot read: No such file" in line
    Path("bad.gpl").write_text("GIMP\n")
    for name, option, said in (
        ("bad.gpl", "--palette", "not a palette: the first line"),
        ("none.json", "--measured", "cannot read: No such"),
        ("p.gif", "--swatches", "the output's name must end in .gpl"),
        ("r.txt", "--report", "the output's name must end in .json\n"),
        ("no/r.json", "--report", "no such directory: no\n"),
        ("no/p.html", "--compare", "no such directory: no\n"),
    ):
        line = refused(capsys, "dither", "picture.png", option, name)
        assert line.startswith(f"fastgrad dither: {option} {name}: {said}")
    line = refused(capsys, "dither", "picture.png", *given, "--mask", "none.png:photo")
    assert line == "fastgrad dither: --mask none.png: no such file\n"


# -- pictures of all kinds ------------------------------------------------------------------------


def test_one_pixel(folder, capsys):
    Image.new("RGB", (1, 1), (12, 200, 99)).save("dot.png")
    assert cli.main(["dither", "dot.png"]) == 0
    assert load("dot-dithered.png")[0, 0].tolist() == [12, 200, 99]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (300, 1), (2, 3)])
def test_thin_pictures(folder, capsys, size):
    values = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3)).astype(np.uint8)
    Image.fromarray(values).save("thin.png")
    options = ["-k", "3", "--speed", "7", "--compare", "--preview", "--report", "thin.json"]
    assert cli.main(["dither", "thin.png", *options]) == 0
    assert load("thin-dithered.png").shape == values.shape
    with Image.open("thin-comparison.png") as sheet:
        assert sheet.height > size[1]


def test_fewer_colours_than_asked_for_are_kept(folder, capsys):
    colours = np.uint8([[1, 2, 3], [250, 0, 0], [9, 99, 200]])
    values = colours[np.random.default_rng(0).integers(0, 3, (30, 20))]
    Image.fromarray(values).save("three.png")
    assert cli.main(["dither", "three.png", "-k", "200"]) == 0
    np.testing.assert_array_equal(load("three-dithered.png"), values)
    data = Path("three-dithered.png").read_bytes()
    assert data[24] in (2, 8)  # bits for three, or what is smaller
    assert struct.unpack(">I4s", data[33:41]) == (3 * 3, b"PLTE")


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I"])
def test_modes(folder, capsys, mode):
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (24, 1))
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
    name = "image.tif" if mode in ("CMYK", "I") else "image.png"
    image.save(name)
    assert cli.main(["dither", name, "-k", "4", "--speed", "7"]) == 0
    dithered = load("image-dithered.png", "L").astype(float)
    assert dithered[:, :6].mean() < dithered[:, -6:].mean()


@pytest.fixture
def leaf(folder):
    """A picture whose left quarter is transparent, and whose next is half opaque."""
    rgba = np.zeros((16, 32, 4), np.uint8)
    rgba[..., 0] = np.arange(0, 256, 8)
    rgba[..., 1] = 255 - rgba[..., 0]
    rgba[..., 3] = np.repeat([0, 128, 255, 255], 8)
    Image.fromarray(rgba).save("leaf.png")
    return rgba


def test_blended_with_white(leaf, capsys):
    assert cli.main(["dither", "leaf.png", "-k", "5", "--alpha", "blend"]) == 0
    with Image.open("leaf-dithered.png") as image:
        assert "transparency" not in image.info
    assert load("leaf-dithered.png")[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["keep", "key"])
def test_opacity_stays(leaf, capsys, mode):
    options = [] if mode == "keep" else ["--alpha", "key"]
    assert cli.main(["dither", "leaf.png", "-k", "5", *options]) == 0
    found = load("leaf-dithered.png", "RGBA")
    expected = leaf[..., 3] if mode == "keep" else np.where(leaf[..., 3] > 0, 255, 0)
    assert np.abs(found[..., 3].astype(int) - expected).max() <= 1
    solid = found[found[..., 3] == 255][:, :3]
    assert len(np.unique(solid, axis=0)) <= 5
    with Image.open("leaf-dithered.png") as image:
        assert image.mode == "P"
        palette_of(image, 11 if mode == "keep" else 6)


def test_an_indexed_picture_with_a_transparent_colour(folder, capsys):
    indices = np.random.default_rng(0).integers(0, 4, (12, 17)).astype(np.uint8)
    image = Image.frombytes("P", (17, 12), indices.tobytes())
    image.putpalette([0, 0, 0, 255, 0, 0, 77, 77, 77, 0, 0, 255])
    for name in ("few.png", "few.gif"):
        image.save(name, transparency=2)
        assert cli.main(["dither", name, "-o", "new.png"]) == 0
        found = load("new.png", "RGBA")
        np.testing.assert_array_equal(found[..., 3] == 0, indices == 2)
        seen = np.asarray(image.convert("RGB"))[indices != 2]
        np.testing.assert_array_equal(found[indices != 2][:, :3], seen)


@pytest.mark.parametrize("mode", ["keep", "key"])
def test_nothing_to_be_seen(folder, capsys, mode):
    Image.new("RGBA", (6, 5), (1, 2, 3, 0)).save("air.png")
    assert cli.main(["dither", "air.png", "--alpha", mode, "--report", "air.json"]) == 0
    assert not load("air-dithered.png", "RGBA")[..., 3].any()


def test_256_colours_and_a_transparent_one(folder, capsys):
    rgba = np.random.default_rng(0).integers(0, 256, (40, 40, 4)).astype(np.uint8)
    rgba[..., 3] = 255
    rgba[:4, :4, 3] = 0
    Image.fromarray(rgba).save("noise.png")
    assert cli.main(["dither", "noise.png", "-k", "256", "--speed", "9"]) == 0
    assert not load("noise-dithered.png", "RGBA")[:4, :4, 3].any()
    assert load("noise-dithered.png", "RGBA")[4:, :, 3].all()
    Path("noise-dithered.png").unlink()
    Path("full.act").write_bytes(np.random.default_rng(1).bytes(768))
    line = refused(capsys, "dither", "noise.png", "--palette", "full.act")
    assert "noise.png: a palette of 256 colours has no room for a transparent one" in line


def test_resize(picture, capsys):
    for text, size in {"28": (28, 20), "x10": (14, 10), "9x30": (9, 30), "100": (100, 71)}.items():
        assert cli.main(["dither", "picture.png", "--resize", text, "--speed", "9"]) == 0
        assert load("picture-dithered.png").shape[1::-1] == size
    for text in ("0", "x", "", "4x0", "-3", "4x5x6", "big"):
        assert "must be WxH, W or xH" in refused(capsys, "dither", "picture.png", "--resize", text)
    line = refused(capsys, "dither", "picture.png", "--resize", "99999")
    assert "more than 33554432 pixels after --resize: picture.png" in line


def test_the_picture_is_turned_upright(folder, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    Image.new("RGB", (20, 10), "navy").save("turned.jpg", exif=exif)
    assert cli.main(["dither", "turned.jpg", "--speed", "9"]) == 0
    assert "turned.jpg: 10 x 20" in capsys.readouterr().out
    assert load("turned-dithered.png").shape == (20, 10, 3)


# -- animations -----------------------------------------------------------------------------------


def frames_of(name):
    with Image.open(name) as image:
        for i in range(image.n_frames):
            image.seek(i)
            yield np.asarray(image.convert("RGBA")), image.info["duration"]


@pytest.fixture
def clip(folder):
    """A square that moves over a gradient: four frames, each its own time."""
    y, x = np.mgrid[:32, :40]
    still = np.stack([6 * x, 7 * y, 255 - 6 * x], axis=-1).astype(np.uint8)
    frames = []
    for i in range(4):
        values = still.copy()
        values[4:12, 4 + 6 * i : 12 + 6 * i] = [255, 255, 0]
        frames.append(Image.fromarray(values))
    options = {"save_all": True, "append_images": frames[1:], "duration": [50, 60, 70, 80]}
    frames[0].save("clip.png", loop=0, **options)
    frames[0].save("clip.gif", loop=2, **options)
    return [np.asarray(frame) for frame in frames]


@pytest.mark.parametrize(
    ("source", "target"), [("gif", None), ("png", None), ("gif", "new.png"), ("png", "new.gif")]
)
def test_animations(clip, capsys, source, target):
    options = ["-k", "6", "--speed", "4", "--report", "r.json"]
    options += ["-o", target] if target else []
    assert cli.main(["dither", f"clip.{source}", *options]) == 0
    name = target or f"clip-dithered.{source}"
    found = list(frames_of(name))
    assert [duration for _, duration in found] == [50, 60, 70, 80]
    colours = set()
    for (rgba, _), values in zip(found, clip):
        assert psnr_and_ssim.psnr(rgba[..., :3], values, sigma=1.5) > 18
        colours |= {tuple(colour) for colour in rgba[..., :3].reshape(-1, 3)}
    assert len(colours) <= 6  # one palette for all
    (entry,) = json.loads(Path("r.json").read_text())["pictures"]
    assert entry["frames"] == 4
    assert len(entry["loss"]) == 4
    assert entry["share of pixels that change though the original stays"] < 0.2
    picture = images.Picture(Path(name))
    assert picture.plays == images.Picture(Path(f"clip.{source}")).plays


def test_an_animation_for_a_panel(clip, capsys):
    options = ["--preset", "spectra6", "--speed", "7", "-o", "panel.png"]
    assert cli.main(["dither", "clip.gif", *options]) == 0
    device = {tuple(colour) for colour in PRESETS["spectra6"].device.tolist()}
    for rgba, _ in frames_of("panel.png"):
        assert {tuple(c) for c in rgba[..., :3].reshape(-1, 3).tolist()} <= device


@pytest.mark.parametrize("target", ["new.gif", "new.png"])
def test_a_transparent_animation(clip, capsys, target):
    shown = []
    for i, values in enumerate(clip):
        alpha = np.full(values.shape[:2], 255, np.uint8)
        alpha[:, : 8 * i] = 0
        alpha[20:] = 255 if i else 0
        alpha[:] = alpha if i != 2 else 0  # a frame in which nothing is seen
        shown.append(Image.fromarray(np.dstack([values, alpha])))
    options = {"append_images": shown[1:], "duration": 50, "loop": 0}
    shown[0].save("clear.png", save_all=True, **options)
    assert cli.main(["dither", "clear.png", "-k", "4", "--speed", "7", "-o", target]) == 0
    found = list(frames_of(target))
    assert len(found) == 4
    for (rgba, _), image in zip(found, shown):
        np.testing.assert_array_equal(rgba[..., 3], np.asarray(image)[..., 3])


def test_an_interrupted_animation_ends_early(clip, capsys, monkeypatch):
    whole, calls = dithering.dither, []

    def interrupted(values, *, callback, **options):
        calls.append(values.shape)

        def watch(progress):
            callback(progress)
            if len(calls) == 4 and progress.step == 3:  # the palette, then the third frame
                raise KeyboardInterrupt

        return whole(values, callback=watch, **options)

    monkeypatch.setattr(dithering, "dither", interrupted)
    assert cli.main(["dither", "clip.gif", "-k", "4", "--speed", "7"]) == 130
    assert "the best picture so far is in clip-dithered.gif" in capsys.readouterr().err
    assert len(list(frames_of("clip-dithered.gif"))) == 3


def test_an_animation_of_whole_minutes(folder, capsys):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "#fffffe", "red")]
    options = {"append_images": frames[1:], "duration": [400_000, 400_000, 100]}
    frames[0].save("long.gif", save_all=True, **options)
    frames[0].save("good.png")
    options = ["--palette", "two.hex", "--report", "r.json", "-o", "out/"]
    Path("two.hex").write_text("ffffff\nff0000\n")  # in which the first two frames are the same
    assert cli.main(["dither", "long.gif", "good.png", *options]) == 0
    durations = [duration for _, duration in frames_of("out/long-dithered.gif")]
    assert sum(durations) == 800_100
    assert durations[-1] == 100
    assert len(json.loads(Path("r.json").read_text())["pictures"]) == 2


def test_a_webp_keeps_its_delays(folder, capsys):
    frames = [Image.new("RGB", (64, 48), (60 * i, 255 - 50 * i, 90)) for i in range(4)]
    options = {"duration": [40, 80, 120, 900], "loop": 3, "lossless": True}
    frames[0].save("b11.webp", save_all=True, append_images=frames[1:], **options)
    for ending in ("png", "gif", "webp"):
        assert cli.main(["dither", "b11.webp", "-k", "4", "-o", f"out.{ending}"]) == 0
        found = list(images.Picture(Path(f"out.{ending}")).frames())
        assert [frame.duration for frame in found] == [40, 80, 120, 900]
        assert images.Picture(Path(f"out.{ending}")).plays == 3
        for frame, shown in zip(found, frames):
            np.testing.assert_array_equal(frame.values, shown)


def test_an_animation_of_one_frame_is_a_picture(folder, capsys):
    frame = Image.new("RGB", (12, 9), "teal")
    frame.save("one.gif", save_all=True)
    frame.save("one.png", save_all=True)
    (folder / "out").mkdir()
    for name in ("one.gif", "one.png"):
        assert cli.main(["dither", name, "-o", "out"]) == 0
        with Image.open("out/one-dithered.png") as image:
            assert image.size == (12, 9)
            assert getattr(image, "n_frames", 1) == 1


# -- what goes wrong ------------------------------------------------------------------------------


def test_bad_images(folder, capsys):
    assert "no such file: missing.png" in refused(capsys, "dither", "missing.png")
    Path("text.png").write_text("This is no picture.")
    assert "not an image" in refused(capsys, "dither", "text.png")
    Path("empty.png").write_bytes(b"")
    assert "not an image" in refused(capsys, "dither", "empty.png")
    Path("folder.png").mkdir()
    assert "not a file" in refused(capsys, "dither", "folder.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for name in ("cut.png", "cut.jpg"):
        Image.fromarray(noise).save(name)
        Path(name).write_bytes(Path(name).read_bytes()[:2000])
        assert f"cannot read {name}" in refused(capsys, "dither", name)
    Image.fromarray(np.zeros((4, 4), np.float32)).save("float.tif")
    assert "floating-point" in refused(capsys, "dither", "float.tif")


def test_an_unexpected_error_concerns_one_picture(picture, capsys, monkeypatch):
    Image.new("RGB", (8, 8), "red").save("other.png")
    whole = dithering.dither

    def broken(values, **options):
        if values.shape[:2] == (40, 56):
            raise ZeroDivisionError("division\nby zero")
        return whole(values, **options)

    monkeypatch.setattr(dithering, "dither", broken)
    options = ["-o", "out/", "--report", "r.json", "--speed", "9"]
    assert cli.main(["dither", "picture.png", "other.png", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    error = "unexpected error with picture.png: ZeroDivisionError: division by zero"
    assert line.endswith(error)
    assert names("out") == ["other-dithered.png"]
    report = json.loads(Path("r.json").read_text())
    assert report["errors"] == [{"input": "picture.png", "error": error}]
    assert [entry["input"] for entry in report["pictures"]] == ["other.png"]


def test_an_animation_that_is_cut_off(clip, capsys):
    for name in ("clip.gif", "clip.png"):
        data = Path(name).read_bytes()
        Path(name).write_bytes(data[: len(data) * 2 // 3])
        assert name in refused(capsys, "dither", name, "--speed", "9")


def png_claiming(width, height):
    """A PNG whose header claims a size that its data does not have."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((31623, 31623), "more than 268435456 pixels: bomb.png"),
        ((6000, 6000), "bytes cannot hold 6000 x 6000 pixels"),
        ((10**9, 1), "more than 268435456 pixels: bomb.png"),
    ],
)
def test_a_file_that_claims_too_many_pixels(folder, capsys, size, reason):
    import tracemalloc

    Path("bomb.png").write_bytes(png_claiming(*size))
    tracemalloc.start()
    assert reason in refused(capsys, "dither", "bomb.png")
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_an_animation_of_too_many_pixels(folder, capsys, monkeypatch):
    monkeypatch.setattr(images, "MAX_ANIMATED", 999)
    frames = [Image.new("L", (10, 10), 20 * i) for i in range(10)]
    frames[0].save("bomb.gif", save_all=True, append_images=frames[1:], duration=20)
    assert "more than 999 pixels in all frames" in refused(capsys, "dither", "bomb.gif")


def test_bad_options(picture, capsys):
    for k in ("1", "300", "x", "2.5"):
        line = refused(capsys, "dither", "picture.png", "-k", k)
        assert f"must be an integer from 2 to 256, got {k}" in line
    assert "--speed" in refused(capsys, "dither", "picture.png", "--speed", "0")
    assert "--sigma" in refused(capsys, "dither", "picture.png", "--sigma", "nan")
    assert "--ppd" in refused(capsys, "dither", "picture.png", "--ppd", "0")
    assert "not allowed with" in refused(
        capsys, "dither", "picture.png", "--ppd", "9", "--sigma", "1"
    )
    assert "--time-budget" in refused(capsys, "dither", "picture.png", "--time-budget", "0")
    both = ("--time-budget", "1", "--speed", "9")
    assert "not allowed with" in refused(capsys, "dither", "picture.png", *both)
    line = refused(capsys, "dither", "picture.png", "--estimator", "rloo")
    assert "--estimator goes with a --structure above 0" in line
    assert "--space" in refused(capsys, "dither", "picture.png", "--space", "cmyk")
    assert "--alpha" in refused(capsys, "dither", "picture.png", "--alpha", "none")
    assert "--seed" in refused(capsys, "dither", "picture.png", "--seed", "-1")
    assert "unrecognized" in refused(capsys, "dither", "picture.png", "--frobnicate")
    Path("-dash.png").write_bytes(Path("picture.png").read_bytes())
    assert "-dash.png (the file is ./-dash.png)" in refused(capsys, "dither", "-dash.png")
    assert "required" in refused(capsys)


def test_bad_outputs(picture, capsys):
    Path("folder.png").mkdir()
    assert ".png, .gif or .webp" in refused(capsys, "dither", "picture.png", "-o", "out.jpg")
    assert "no such directory" in refused(capsys, "dither", "picture.png", "-o", "no/out.png")
    assert "replace the input" in refused(capsys, "dither", "picture.png", "-o", "picture.png")
    Path("picture-dithered.png").mkdir()
    assert "is a directory: picture-dithered.png" in refused(capsys, "dither", "picture.png")
    assert cli.main(["dither", "picture.png", "-o", "folder.png", "--speed", "9"]) == 0
    assert names("folder.png") == ["picture-dithered.png"]


def test_a_read_only_destination(picture, capsys, monkeypatch):
    Path("out.png").write_text("precious")
    Path("closed").mkdir()
    ask = os.access

    def access(path, mode):  # whoever runs this may write everywhere
        return Path(path).name not in ("out.png", "closed") and ask(path, mode)

    monkeypatch.setattr(os, "access", access)
    assert "the output is read-only: out.png" in refused(
        capsys, "dither", "picture.png", "-o", "out.png"
    )
    assert "cannot write to the directory closed" in refused(
        capsys, "dither", "picture.png", "-o", "closed"
    )


def test_a_picture_that_may_not_be_read(picture, capsys, monkeypatch):
    def closed(*arguments, **options):
        raise PermissionError(13, "Permission denied", "picture.png")

    monkeypatch.setattr(Image, "open", closed)
    line = refused(capsys, "dither", "picture.png")
    assert line == "fastgrad dither: cannot read picture.png: Permission denied\n"


def test_a_failing_write_leaves_nothing_behind(picture, capsys, monkeypatch):
    Path("out.png").write_text("precious")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    line = refused(capsys, "dither", "picture.png", "-o", "out.png", "--speed", "9")
    assert "cannot write out.png: No space left on device" in line


def test_too_little_memory_does_not_stop_a_batch(folder, capsys, monkeypatch):
    three(folder)
    whole = dithering.dither

    def dither(values, **options):
        if values.shape[1] == 11:
            raise MemoryError
        return whole(values, **options)

    monkeypatch.setattr(dithering, "dither", dither)
    assert cli.main(["dither", "a.png", "b.jpg", "c.bmp"]) == 2
    assert capsys.readouterr().err == "fastgrad dither: not enough memory for b.jpg\n"
    assert {"a-dithered.png", "c-dithered.png"} <= set(names())


def test_an_interrupt_writes_the_best_picture_so_far(picture, capsys, monkeypatch):
    whole = dithering.dither

    def interrupted(values, *, callback, **options):
        def watch(progress):
            callback(progress)
            if progress.step == 8:
                raise KeyboardInterrupt

        return whole(values, callback=watch, **options)

    monkeypatch.setattr(dithering, "dither", interrupted)
    assert cli.main(["dither", "picture.png", "--compare"]) == 130
    assert "interrupted: the best picture so far is in" in capsys.readouterr().err
    original = load(picture)
    written = load("picture-dithered.png")
    assert psnr_and_ssim.psnr(written, original, sigma=1.5) > 25
    assert not Path("picture-comparison.png").exists()


def test_an_interrupt_of_the_comparison_keeps_the_picture(picture, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "_judged", interrupted)
    assert cli.main(["dither", "picture.png", "--speed", "9", "--compare"]) == 130
    assert "the best picture so far is in picture-dithered.png" in capsys.readouterr().err
    assert names() == ["picture-dithered.png", "picture.png"]


def test_an_early_interrupt_writes_nothing(picture, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(dithering, "dither", interrupted)
    assert cli.main(["dither", "picture.png"]) == 130
    assert "interrupted, nothing written" in capsys.readouterr().err
    assert not Path("picture-dithered.png").exists()


def test_dither_shows_progress(picture, capsys, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(["dither", "picture.png", "-k", "5", "--speed", "7"]) == 0
    line = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()[-1]
    assert "5 colours, loss" in line
    assert "<00:00" in line


def test_a_first_run_is_told_from_others(picture, capsys, monkeypatch):
    from numba.core import event

    whole, own = dithering.dither, progress.Compiling

    def compiling(values, **options):
        for _ in range(2):
            with event.trigger_event("numba:compile"), event.trigger_event("numba:compile"):
                pass
        return whole(values, **options)

    class Slow(own):
        def on_end(self, event):
            super().on_end(event)
            self.seconds += 30

    monkeypatch.setattr(dithering, "dither", compiling)
    monkeypatch.setattr(progress, "Compiling", Slow)
    for terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)  # noqa: B023
        assert cli.main(["dither", "picture.png", "--speed", "9", "--report", "r.json"]) == 0
        captured = capsys.readouterr()
        assert captured.err.count("first run: kernels are compiled") == terminal
        assert " s and 120.0" in captured.out
        (entry,) = json.loads(Path("r.json").read_text())["pictures"]
        assert 120 <= entry["compiling"] < 121
        assert entry["seconds"] < 0  # what is left of the time


def test_without_pillow_and_tqdm(picture, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert cli.main(["dither", "picture.png", "--speed", "9"]) == 0
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install fastgrad[dither]" in refused(capsys, "dither", "picture.png")


# -- compare --------------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch):
    """Two estimators, so that it takes no time."""
    pytest.importorskip("matplotlib")
    two = {name: ESTIMATORS[name] for name in ("rloo", "gumbel_softmax")}
    monkeypatch.setattr(measuring, "ESTIMATORS", two)


SHORT = ["--samples", "4", "--repeats", "5"]


def test_compare_runs_the_stock_problems(folder, capsys, few):
    assert cli.main(["compare", *SHORT]) == 0
    output = capsys.readouterr().out
    for name in ("rebar", "separable", "bernoulli3", "polynomial"):
        assert output.count(f"{name}: ") == 1
    assert output.count("\nrloo") == output.count("\ngumbel_softmax") == 4
    assert output.count("4 evaluations of f in an estimate") == 4
    assert output.count("; 5 estimates\ntruth: exact\n") == 4
    assert output.endswith("wrote fastgrad-compare.png\n")
    assert [p.name for p in folder.iterdir()] == ["fastgrad-compare.png"]
    with Image.open("fastgrad-compare.png") as image:
        assert image.height > image.width  # one below the other


def test_compare_some_problems(folder, capsys, few):
    command = ["compare", "--problem", "bernoulli3", "rebar", "rebar", "-o", "two.png", *SHORT]
    assert cli.main(command) == 0
    output = capsys.readouterr().out
    assert output.index("bernoulli3: ") < output.index("rebar: ")
    assert output.count("truth") == 2
    assert load("two.png").shape[1] > 1000


def test_compare_is_a_call_of_the_library(folder, capsys, few, monkeypatch):
    calls = []

    def watched(f, distribution, **options):
        calls.append(options)
        return whole(f, distribution, **options)

    whole = comparison.compare
    monkeypatch.setattr(comparison, "compare", watched)
    assert cli.main(["compare", "--problem", "rebar", "--seed", "7", *SHORT]) == 0
    (options,) = calls
    del options["callback"]
    assert options == {"num_samples": 4, "repeats": 5, "rng": 7}


def test_compare_shows_progress(folder, capsys, few, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(["compare", "--problem", "rebar", "bernoulli3", *SHORT]) == 0
    line = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()[-1]
    assert "8/8" in line
    assert "bernoulli3: gumbel_softmax" in line


def test_compare_off_a_terminal_is_silent(folder, capsys, few, monkeypatch):
    for _ in range(2):
        assert cli.main(["compare", "--problem", "rebar", *SHORT]) == 0
        assert capsys.readouterr().err == ""
        monkeypatch.setitem(sys.modules, "tqdm", None)


def test_bad_input_to_compare(folder, capsys, few):
    line = refused(capsys, "compare", "--problem", "toy")
    assert "--problem: invalid choice: 'toy'" in line
    assert "polynomial" in line
    line = refused(capsys, "compare", "--repeats", "1")
    assert "--repeats: must be an integer from 2 to 1000000000, got 1" in line
    assert "--samples" in refused(capsys, "compare", "--samples", "0")
    assert "--seed" in refused(capsys, "compare", "--seed", "x")
    assert "must end in .png: out.svg" in refused(capsys, "compare", "-o", "out.svg")
    assert "no such directory: no" in refused(capsys, "compare", "-o", "no/out.png")


def test_compare_without_matplotlib(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = refused(capsys, "compare")
    assert line == "fastgrad compare: Matplotlib is needed: pip install fastgrad[plot]\n"


def test_an_interrupted_comparison_writes_nothing(folder, capsys, few, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "compare", interrupted)
    assert cli.main(["compare", *SHORT]) == 130
    assert "fastgrad compare: interrupted, nothing written" in capsys.readouterr().err
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_compare_all_estimators(folder, capsys):
    pytest.importorskip("matplotlib")
    assert cli.main(["compare", "--repeats", "5"]) == 0
    output = capsys.readouterr().out
    tables = output.split("truth: exact\n")
    assert len(tables) == 5
    for table in (output.split(f"{name}: ")[1] for name in problems.PROBLEMS):
        for name in ESTIMATORS:  # in the table, or with the reason why not
            assert f"\n{name}" in table or f"\nskipped: {name}: " in table


# -- info -----------------------------------------------------------------------------------------


def test_the_table_of_estimators(capsys):
    assert cli.main(["info", "--estimators"]) == 0
    head, rule, *rows = capsys.readouterr().out.splitlines()
    heads = "estimator", "unbiased", "needs", "evaluations of f", "distributions", "paper"
    assert head == f"| {' | '.join(heads)} |"
    assert rule == "| --- | --- | --- | --- | --- | --- |"
    cells = [[cell.strip() for cell in row[1:-1].split("|")] for row in rows]
    assert [row[0].strip("`") for row in cells] == fastgrad.list_estimators()
    for row, cls in zip(cells, ESTIMATORS.values()):
        needs = ", ".join(f"`{part}`" for part in cls.needs)
        unbiased = "yes" if cls.unbiased else "no"
        assert [*row[1:4], row[5]] == [unbiased, needs, cls.evaluations, cls.paper]
    takes = {row[0].strip("`"): row[4] for row in cells}
    assert takes["rloo"] == "all but GumbelMatching"
    assert takes["gumbel_softmax"] == "all but Multinomial"
    assert takes["rebar"] == "Categorical, Bernoulli, PlackettLuce, SpanningTree, Arborescence"
    assert takes["arm"] == "Categorical, Bernoulli"


def test_info(capsys):
    assert cli.main(["info"]) == 0
    output = capsys.readouterr().out
    for name in ("fastgrad", "numba", "llvmlite", "numpy", "scipy", "python", "threads"):
        assert f"\n{name} " in "\n" + output
    assert "threading layer" in output
    assert "bits" in output or "unknown" in output
    assert "kernel cache" in output


def test_version_in_a_process_of_its_own():
    root = Path(fastgrad.__file__).resolve().parent.parent
    command = [sys.executable, "-m", "fastgrad", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert result.returncode == 0
    assert result.stdout == f"fastgrad {fastgrad.__version__}\n"


def test_compile_says_what_there_is(capsys, monkeypatch):
    done = precompile.Compiled(12.34, 5, 6_000_000, "/cache")
    asked = []
    monkeypatch.setattr(precompile, "precompile", lambda *a, **k: asked.append((a, k)) or done)
    assert cli.main(["compile", "photographs", "-j", "2"]) == 0
    assert asked == [((["photographs"],), {"jobs": 2})]
    assert capsys.readouterr().out == "5 kernels, 6.0 MB in /cache (12.3 s)\n"
    assert cli.main(["compile", "nothing"]) == 2
    groups = ", ".join(precompile.GROUPS)
    assert f"must be one of {groups}, got nothing" in capsys.readouterr().err
    assert "photographs, panels, greys, drawings, animations, consoles, samples" in groups
