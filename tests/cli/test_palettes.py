"""``fastgrad palette``: charts, forms, measurements, and pictures with them."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import cli, palettes, presets

Image = pytest.importorskip("PIL.Image")
y, x = np.mgrid[:24, :32]
PICTURE = np.stack([60 + 4 * x, 200 - 5 * y, 40 + x + y], axis=-1).astype(np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURE).save("photo.png")


def run(*arguments):
    try:
        return cli.main([*arguments])
    except SystemExit as end:  # of argparse
        return end.code


@pytest.mark.parametrize("name", ["grey16", "spectra6", "bwry-42"])
def test_the_chart_of_a_preset_is_in_colours_of_the_device(name):
    device = presets.find(name).device
    assert run("palette", "--preset", name, "--patches", "c.png", "--size", "320x240") == 0
    with Image.open("c.png") as image:
        shown = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(shown, device[presets.patches(device, (320, 240))])
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == len(device)


def test_a_chart_for_a_driver():
    command = "palette --preset spectra6 --patches c.bin --format raw --size 320x240"
    assert run(*command.split()) == 0
    raw = np.frombuffer(Path("c.bin").read_bytes(), np.uint8)
    codes = np.stack([raw >> 4, raw & 15], axis=1).reshape(240, 320)
    preset = presets.find("spectra6")
    chart = presets.patches(preset.device, (320, 240))
    np.testing.assert_array_equal(codes, np.uint8(preset.codes)[chart])


def test_from_a_chart_to_a_picture(capsys):
    assert run("palette", "--preset", "bwr", "--form", "f.json") == 0
    form = json.loads(Path("f.json").read_text())
    form["space"] = "lab"
    for entry, numbers in zip(form["patches"], ([20, 2, -3], [70, -2, 1], [35, 40, 25])):
        entry["measured"] = numbers
    Path("m.json").write_text(json.dumps(form))
    assert run("palette", "--measured", "m.json", "-o", "p.json") == 0
    expected = presets.measured("m.json")
    np.testing.assert_array_equal(palettes.read("p.json"), expected.colors)
    np.testing.assert_array_equal(palettes.read_device("p.json"), expected.device)
    assert (
        run(
            *["dither", "photo.png", "--measured", "m.json", "--speed", "10", "-q", "-o", "out.png"]
        )
        == 0
    )
    made = fg.dither(PICTURE, preset=expected, speed=10)
    with Image.open("out.png") as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), made.device[made.indices])
    capsys.readouterr()
    assert run("palette", "--measured", "m.json") == 0
    assert "#ff0000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("palette --patches c.png", "--preset, --palette or --measured says whose colours"),
        ("palette --preset bw --palette m.hex", "not allowed with"),
        ("palette --preset bw --patches c.gif", "must end in .png"),
        ("palette --preset bw --patches c.png --format raw", "must end in .bin or .raw"),
        ("palette --preset bw --patches a.png -o a.png", "a name of its own"),
        ("palette --preset bw --format raw", "--format goes with --patches"),
        ("palette --preset grey16 --patches c.png --size 40x40", "room for 16 patches"),
        ("palette --preset bw --patches c.png --size 40", "--size must be WxH"),
        ("palette --preset bw --form f.txt", "must end in .json"),
        ("palette --measured none.json", "cannot read none.json"),
        ("palette --measured m.json -o m.json", "would replace the input"),
        ("dither photo.png --measured m.json -o o.png", "not a measurement: m.json"),
        ("dither photo.png --measured m.json --preset bw", "not allowed with"),
        ("dither photo.png --measured good.json -k 4", "--colors goes with"),
        ("dither photo.png --measured good.json --tiles nes", "--measured goes without --tiles"),
    ],
)
def test_what_is_refused(capsys, arguments, said):
    Path("m.json").write_text("{}")
    run("palette", "--preset", "bw", "--form", "good.json")
    capsys.readouterr()
    assert run(*arguments.split()) == 2
    assert said in capsys.readouterr().err
    assert sorted(p.name for p in Path().iterdir()) == ["good.json", "m.json", "photo.png"]
