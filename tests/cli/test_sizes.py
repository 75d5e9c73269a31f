"""Files whose bytes count: --rate and --size."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import cli
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2

Image = pytest.importorskip("PIL.Image")

y, x = np.mgrid[:60, :80]
WAVES = 60 * np.sin(x / 7 + np.sin(y / 5)) + 50 * np.sin(y / 9)
PICTURE = np.clip(np.stack([128 + WAVES, 90 + WAVES / 2 + y, 2 * x + WAVES], -1), 0, 255)
PICTURE = PICTURE.astype(np.uint8)


@pytest.fixture(autouse=True)
def picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURE).save("picture.png")


def run(*options, out="out.png"):
    given = ["dither", "picture.png", "-o", out, "-q", "--speed", "9", *options]
    assert cli.main(given) == 0
    return os.path.getsize(out)


def test_a_rate_makes_a_file_smaller():
    plain = run()
    assert run("--rate", "0.001") < 0.9 * plain
    with Image.open("out.png") as image:
        written = np.asarray(image.convert("RGB"))
    result = fg.dither(PICTURE, colors=16, rate=0.001, speed=9)
    np.testing.assert_array_equal(written, result.image)
    assert result.metrics["bytes"] == os.path.getsize("out.png")


@pytest.mark.parametrize("options", [("-k", "16"), ()])
def test_a_size_is_kept(options, capsys):
    plain = run("-k", "16", "--report", "plain.json")
    assert json.loads(Path("plain.json").read_text())["pictures"][0]["bytes"] == plain
    most = int(0.8 * plain)
    size = run("--size", str(most), *options)
    assert 0.95 * most <= size <= most


def test_a_size_counts_what_else_is_in_the_file():
    from PIL.PngImagePlugin import PngInfo

    plain = run("-k", "16")
    notes = PngInfo()
    notes.add_text("Copyright", "nobody " * 30)
    Image.fromarray(PICTURE).save("picture.png", pnginfo=notes, dpi=(300, 300))
    most = int(0.85 * plain)
    assert 0.9 * most <= run("--size", str(most), "-k", "16") <= most


def test_an_animation_is_kept_within_a_size():
    frames = [Image.fromarray(np.roll(PICTURE[:40, :40], 3 * i, axis=1)) for i in range(3)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 100}
    frames[0].save("picture.png", **options)
    plain = run("-k", "8", out="plain.gif")
    most = int(0.8 * plain)
    assert 0.95 * most <= run("-k", "8", "--size", f"{most}B", out="out.gif") <= most
    with Image.open("out.gif") as image:
        assert image.n_frames == 3


def test_a_size_that_cannot_be_is_refused(capsys):
    given = ["dither", "picture.png", "-o", "out.png", "-q", "--speed", "10", "--size", "90"]
    assert cli.main([*given, "-k", "4"]) == 2
    assert "no file of 90 bytes was found, the smallest has" in capsys.readouterr().err
    assert not os.path.exists("out.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "0"], "must be bytes such as 40000, 40kB or 1MiB, got 0"),
        (["--size", "4 apples"], "must be bytes such as 40000, 40kB or 1MiB, got 4 apples"),
        (["--rate", "-1"], "must be a number from 0 to 1000, got -1"),
        (["--rate", "1", "--size", "9kB"], "not allowed with argument"),
        (["--rate", "1", "--structure", "0.1"], "--structure goes without --rate"),
        (["--size", "1MB", "--time-budget", "1"], "--time-budget goes without --size"),
    ],
)
def test_what_is_wrong_is_refused(options, message, capsys):
    try:
        code = cli.main(["dither", "picture.png", *options])
    except SystemExit as exit:
        code = exit.code
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"), [("40000", 40000), ("40kB", 40000), ("1.5KiB", 1536), ("2M", 2000000)]
)
def test_bytes_are_read(text, value):
    assert cli.arguments.bytes_of(text) == value


def test_many_files_within_a_size(tmp_path):
    made = fg.dither_files("picture.png", output="b.png", max_bytes=2000, speed=9)
    assert made[0].error is None
    assert os.path.getsize("b.png") <= 2000
    with pytest.raises(ValueError, match="rate must be from 0 to 1000, got -1"):
        fg.dither_files("picture.png", rate=-1)


def test_a_quality_is_met():
    run("--quality", "5", "--nu", "2", "-k", "256")
    with Image.open("out.png") as image:
        assert 5 <= Ssimulacra2(PICTURE).score(np.asarray(image.convert("RGB"))) < 25


def test_a_quality_of_an_animation_is_that_of_its_worst_frames():
    originals = [np.roll(PICTURE[:40, :40], 3 * i, axis=1) for i in range(3)]
    frames = [Image.fromarray(frame) for frame in originals]
    frames[0].save("picture.png", save_all=True, append_images=frames[1:], duration=100)
    run("--quality", "40", "--speed", "10", out="out.gif")
    with Image.open("out.gif") as image:
        scores = []
        for i, original in enumerate(originals):
            image.seek(i)
            scores.append(Ssimulacra2(original).score(np.asarray(image.convert("RGB"))))
    assert min(scores) >= 40
    assert np.mean(scores) < 55


def test_a_quality_that_cannot_be_is_refused(capsys):
    given = ["dither", "picture.png", "-o", "out.png", "-q", "--speed", "10", "--quality", "99"]
    assert cli.main([*given, "-k", "4"]) == 2
    assert "quality must be at most" in capsys.readouterr().err
