"""Pictures for devices by the command: tones, solid inks, masks, scans."""

from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import cli

Image = pytest.importorskip("PIL.Image")
y, x = np.mgrid[:24, :32]
PICTURE = np.stack([60 + 4 * x, 200 - 5 * y, 40 + x + y], axis=-1).astype(np.uint8)
PICTURE[:6, :10] = [255, 0, 0]
FAST = ["--speed", "10", "-q", "-o", "out.png"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURE).save("photo.png")
    Image.fromarray(np.where(x < 16, 0, 255).astype(np.uint8)).save("right.png")
    return tmp_path


def run(*arguments):
    return cli.main(["dither", *arguments])


def indices():
    image = Image.open("out.png")
    return np.asarray(image), np.asarray(image.getpalette()).reshape(-1, 3)


@pytest.mark.parametrize("fit", [None, "tone", "none"])
def test_the_command_fits_as_the_function_does(fit):
    assert run("photo.png", "--preset", "spectra6", *(["--fit", fit] if fit else []), *FAST) == 0
    expected = fg.dither(PICTURE, preset="spectra6", fit=fit, speed=10)
    found, palette = indices()
    np.testing.assert_array_equal(palette[found], expected.device[expected.indices])
    assert (palette[found[:6, :10]] == [255, 0, 0]).all()  # the ink itself


def test_colours_that_stay_solid():
    Path("p.hex").write_text("000000\nffffff\nff0000\n")
    assert run("photo.png", "--palette", "p.hex", "--solid", "#ff0000", *FAST) == 0
    assert (indices()[0][:6, :10] == 2).all()
    assert run("photo.png", "--preset", "spectra6", "--solid", "none", *FAST) == 0


def test_masks_and_their_modes():
    assert run("photo.png", "--preset", "bwr", "--mask", "right.png:line", *FAST) == 0
    found, _ = indices()
    expected = fg.dither(PICTURE, preset="bwr", regions={"line": x >= 16}, speed=10)
    np.testing.assert_array_equal(found, expected.indices)
    assert run("photo.png", "--preset", "bwr", "--mask", "right.png", *FAST) == 0
    expected = fg.dither(PICTURE, preset="bwr", regions={"text": x >= 16}, speed=10)
    np.testing.assert_array_equal(indices()[0], expected.indices)


def test_a_scan():
    page = np.full((24, 32), 240, np.uint8)
    page[8:10, 4:28] = 40
    Image.fromarray(page).save("scan.png")
    assert run("scan.png", "--threshold", *FAST) == 0
    found, palette = indices()
    np.testing.assert_array_equal(palette[found][..., 0], np.where(page > 128, 255, 0))


def test_frames_share_their_tones():
    frames = [Image.fromarray(np.roll(PICTURE, k, axis=1)) for k in range(3)]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:], duration=50)
    assert run("a.gif", "--preset", "acep7", "--speed", "10", "-q", "-o", "b.gif") == 0
    with Image.open("b.gif") as made:
        assert made.n_frames == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--fit all", "--fit needs --palette or --preset"),
        ("--solid all -k 4", "--solid needs --palette or --preset"),
        ("--threshold -k 4", "--threshold needs --palette or --preset"),
        ("--preset bw --mask small.png", "--mask small.png is of 4 x 4 pixels, not of 32 x 24"),
        ("--preset bw --mask none.png", "--mask none.png: no such file"),
        (
            "--preset bw --mask photo.png --mask small.png",
            "not of the size of --mask photo.png",
        ),
        ("--preset bw --mask small.png:ink", "must end in one of"),
        ("--preset bw --solid red", "must be all, none, or colours like"),
    ],
)
def test_what_is_refused(capsys, arguments, said):
    Image.new("L", (4, 4)).save("small.png")
    try:
        code = run("photo.png", *arguments.split(), *FAST)
    except SystemExit as end:  # of argparse
        code = end.code
    assert code == 2
    assert said in capsys.readouterr().err
    assert not Path("out.png").exists()


def test_a_mask_is_not_replaced(capsys):
    arguments = ["--preset", "bw", "--mask", "right.png", "-o", "right.png"]
    assert run("photo.png", *arguments) == 2
    assert "replace the mask: right.png" in capsys.readouterr().err


def test_files_for_devices():
    common = ["photo.png", "--speed", "10", "-q"]
    expected = fg.dither(PICTURE, preset="spectra6", speed=10)
    codes = np.uint8(fg.presets.find("spectra6").codes)[expected.indices]
    assert run(*common, "--preset", "spectra6", "--format", "raw", "-o", "a.bin") == 0
    raw = np.frombuffer(Path("a.bin").read_bytes(), np.uint8).reshape(24, 16)
    np.testing.assert_array_equal(np.stack([raw >> 4, raw & 15], axis=2).reshape(24, 32), codes)
    assert run(*common, "--preset", "grey4", "--format", "grey2") == 0
    with Image.open("photo-dithered.png") as image:
        assert image.mode == "L"
    assert run(*common, "-k", "5", "--format", "bmp") == 0
    with Image.open("photo-dithered.bmp") as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) <= 5
    assert run(*common, "--preset", "bwr", "--format", "c-planes", "-o", "x.h") == 0
    assert "photo_red[96]" in Path("x.h").read_text()


def test_sizes_and_turns():
    common = ["photo.png", "--preset", "bw", *FAST]
    assert run(*common, "--rotate", "90") == 0
    assert indices()[0].shape == (32, 24)
    for way in ("cover", "contain", "stretch"):
        assert run(*common, "--rotate", "270", "--resize", "20x20", "--fit-size", way) == 0
        assert indices()[0].shape == (20, 20)
    assert run(*common, "--resize", "20x20", "--fit-size", "contain") == 0
    assert (indices()[1][indices()[0][:2]] == 255).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("photo.png --format raw -k 4 -o a.png", "must end in .bin or .raw"),
        (
            "photo.png --format grey4 --preset bwr -o a.png",
            "dither: --format grey4: a grey PNG needs a palette of greys",
        ),
        ("photo.png --format grey2 --preset grey16", "--format grey2: 2 bits do not hold 16 greys"),
        ("photo.png --format raw -k 4 --size 3kB", "--size goes without --format raw"),
        ("photo.png --format bmp --quality 30", "--quality goes without --format bmp"),
        ("photo.png --format c --preset bwr --rate 0.1", "--rate goes without --format c"),
        (
            "photo.png --transparent-index 16",
            "--transparent-index must be at most 15 in this palette, got 16",
        ),
        (
            "photo.png --transparent-index 3 --palette two.hex",
            "--transparent-index must be at most 2 in this palette, got 3",
        ),
        ("a.gif --format raw --preset bwr -o a.bin", "holds no animation"),
        ("photo.png --format raw --preset bwr --alpha keep", "--format goes with --alpha blend"),
        ("photo.png --fit-size cover --preset bwr", "--fit-size goes with --resize"),
    ],
)
def test_files_that_are_refused(capsys, arguments, said):
    frames = [Image.fromarray(np.roll(PICTURE, k, axis=1)) for k in range(2)]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:], duration=50)
    Path("two.hex").write_text("000000 ffffff")
    try:
        code = run(*arguments.split(), "--speed", "10", "-q")
    except SystemExit as end:  # of argparse
        code = end.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_patterns_are_still_in_an_animation():
    frames = [PICTURE.copy() for _ in range(3)]
    for k, frame in enumerate(frames):
        frame[10:14, 4 * k : 4 * k + 4] = 255
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save("a.png", save_all=True, append_images=images[1:], duration=50)
    options = ["--preset", "bwr", "--fit", "none", "--pattern", "blue-noise", "-q"]
    assert run("a.png", *options, "-o", "b.png") == 0
    shown = []
    with Image.open("b.png") as made:
        for k in range(3):
            made.seek(k)
            shown.append(np.asarray(made.convert("RGB")))
    for one, two, a, b in zip(shown, shown[1:], frames, frames[1:]):
        assert not ((one != two).any(axis=2) & (a == b).all(axis=2)).any()
    first = fg.dither(PICTURE, preset="bwr", fit="none", pattern="blue-noise")
    assert run("photo.png", *options, "-o", "c.png") == 0
    with Image.open("c.png") as made:
        np.testing.assert_array_equal(np.asarray(made), first.indices)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--pattern bayer", "invalid choice: 'bayer'"),
        ("--pattern ordered --size 4kB", "--size goes without --pattern"),
        ("--pattern ordered --quality 50", "--quality goes without --pattern"),
        ("--pattern ordered --alpha keep", "--pattern goes with --alpha key or blend"),
    ],
)
def test_patterns_that_are_refused(capsys, arguments, said):
    try:
        code = run("photo.png", *arguments.split(), *FAST)
    except SystemExit as end:  # of argparse
        code = end.code
    assert code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("other", ["--pattern=ordered", "--dot-gain=20", "--tiles=gbc"])
def test_a_rate_of_zero_is_none(other):
    assert run("photo.png", other, *FAST) == 0
    expected = Path("out.png").read_bytes()
    assert run("photo.png", other, "--rate", "0", *FAST) == 0
    assert Path("out.png").read_bytes() == expected


def test_dot_gain_of_a_printer(folder):
    Path("gain.json").write_text('{"radius": 0.9}')
    for option, gain in (("20", 20), ("gain.json", fg.dithering.DotGain.round(0.9))):
        assert run("photo.png", "--dot-gain", option, *FAST) == 0
        inks = fg.presets.find("bw").colors
        expected = fg.dither(PICTURE, palette=inks, dot_gain=gain, speed=10)
        np.testing.assert_array_equal(indices()[0], expected.indices)
    assert run("photo.png", "--dot-gain", "20", "--report", "all.json", *FAST) == 0
    assert '"dot_gain": 20.0' in Path("all.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--dot-gain 60", "must be percent from 0 to 50, or a file that ends in .json, got 60"),
        ("--dot-gain no.json", "--dot-gain no.json: cannot read: No such"),
        ("--dot-gain 20 --preset bwr", "--dot-gain goes with two colours given"),
        ("--dot-gain 20 -k 2", "--dot-gain goes with two colours given"),
        ("--dot-gain 20 --pattern ordered", "--pattern goes without --dot-gain"),
        ("--dot-gain 20 --size 4kB", "--size goes without --dot-gain"),
        ("--dot-gain 20 --space srgb", "--space srgb goes without --dot-gain"),
        ("--dot-gain 20 --tiles gbc", "--dot-gain goes without --tiles"),
    ],
)
def test_dot_gain_that_is_refused(capsys, arguments, said):
    try:
        code = run("photo.png", *arguments.split(), *FAST)
    except SystemExit as end:  # of argparse
        code = end.code
    assert code == 2
    assert said in capsys.readouterr().err
