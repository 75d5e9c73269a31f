"""``fastgrad palette``: charts, forms, measurements, and pictures with them."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import cli, palettes, presets

Image = pytest.importorskip("PIL.Image")
y, x = np.mgrid[:24, :32]
INKS = ["#000000", "#ffffff", "#ff0000", "#00ff00", "#0000ff", "#808000"]
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
        ("palette --measured none.json", "--measured none.json: cannot read: No such"),
        ("palette --measured m.json -o m.json", "would replace the input"),
        ("dither photo.png --measured m.json -o o.png", "--measured m.json: not a measurement: "),
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


def test_inks_are_chosen_as_the_function_chooses_them():
    Path("list.hex").write_text("\n".join(INKS))
    common = ["dither", "photo.png", "--from", "list.hex", "--choose", "3", "--speed", "10", "-q"]
    assert run(*common, "-o", "out.png", "--swatches", "taken.hex") == 0
    expected = fg.dither(PICTURE, palette=INKS, choose=3, speed=10)
    with Image.open("out.png") as image:
        np.testing.assert_array_equal(np.asarray(image), expected.indices)
    np.testing.assert_array_equal(palettes.read("taken.hex"), expected.palette)
    (made,) = fg.dither_files("photo.png", output="b.png", palette=INKS, choose=3, speed=10)
    np.testing.assert_array_equal(made.palette, expected.palette)


def test_frames_share_the_inks_and_a_driver_its_codes():
    frames = [Image.fromarray(np.roll(PICTURE, k, axis=1)) for k in range(3)]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:], duration=50)
    common = ["--preset", "spectra6", "--choose", "3", "--speed", "10", "-q"]
    assert run("dither", "a.gif", *common, "-o", "b.gif") == 0
    with Image.open("b.gif") as image:
        assert image.n_frames == 3
        colors = {tuple(c) for c in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    assert len(colors) <= 3
    assert run("dither", "photo.png", *common, "--format", "raw", "-o", "p.bin") == 0
    raw = np.frombuffer(Path("p.bin").read_bytes(), np.uint8)
    preset = presets.find("spectra6")
    made = fg.dither(PICTURE, preset="spectra6", choose=3, speed=10)
    places = [preset.colors.tolist().index(color) for color in made.palette.tolist()]
    codes = np.uint8(preset.codes)[places]
    bits = 4 if codes.max() > 3 else 2
    pixels = np.stack([raw >> s for s in range(8 - bits, -1, -bits)], -1) & ((1 << bits) - 1)
    np.testing.assert_array_equal(pixels.reshape(PICTURE.shape[:2]), codes[made.indices])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--choose 3", "--choose needs --from, --palette or --preset"),
        ("--choose 7 --preset bwr", "--choose must be at most the 3 colours given"),
        ("--choose 2 --preset bwr --lock-colors -k 9", "without --lock-colors"),
        ("--choose 1 --preset bwr", "must be an integer from 2 to 256"),
        ("--choose 2 --tiles nes", "--choose goes without --tiles"),
    ],
)
def test_choices_that_are_refused(capsys, arguments, said):
    assert run("dither", "photo.png", *arguments.split(), "-o", "out.png") == 2
    assert said in capsys.readouterr().err
