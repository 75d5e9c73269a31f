"""Measured panels: known colours in every space, charts, and what is refused."""

import json

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import presets
from fastgrad.dithering.pictures.images import FileError
from fastgrad.dithering.pictures.measurements import form

BLACK = {"device": "#000000", "measured": [0, 0, 0]}
WHITE = {"device": "#ffffff", "measured": [255, 255, 255]}
RED = {"device": "#ff0000", "measured": [200, 30, 40]}


def measured(*patches, **options):
    return presets.measured({"patches": list(patches), **options})


def patch(device, *numbers):
    return {"device": device, "measured": list(numbers)}


@pytest.mark.parametrize(
    ("space", "white", "red", "paper", "black"),
    [  # the primary red of sRGB and its white, as Lindbloom's calculator has them
        ("srgb", None, (255, 0, 0), (255, 255, 255), (0, 0, 0)),
        ("lab", None, (54.292, 80.812, 69.885), (100, 0, 0), (0, 0, 0)),
        ("lab", "D65", (53.241, 80.092, 67.203), (100, 0, 0), (0, 0, 0)),
        ("xyz", "D50", (0.43607, 0.22249, 0.01392), (0.96422, 1, 0.82521), (0, 0, 0)),
        ("xyz", [95.047, 100, 108.883], (41.246, 21.267, 1.933), (95.047, 100, 108.883), (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("relative", [False, True])
def test_spaces(space, white, red, paper, black, relative):
    options = {"space": space, "relative": relative} | ({} if white is None else {"white": white})
    inks = patch("#f00", *red), patch("#fff", *paper), patch("#000", *black)
    found = measured(*inks, **options)
    want = np.array([[255, 0, 0], [255, 255, 255], [0, 0, 0]])
    np.testing.assert_allclose(found.colors.astype(int), want, atol=1)
    np.testing.assert_array_equal(found.device, want)


def test_a_panel_is_seen_relative_to_its_white():
    reading = {"device": "#000000", "measured": [[20, 20, 20], [20, 20, 20]]}
    paper = {"device": "#ffffff", "measured": [188, 200, 188]}
    assert measured(reading, paper).colors.tolist() == [[31, 29, 31], [255, 255, 255]]
    assert measured(reading, paper, relative=False).colors.tolist()[1] == [188, 200, 188]


def test_readings_are_averaged_in_light():
    reading = {"device": "#000000", "measured": [[0, 0, 0], [255, 255, 255]]}
    found = measured(reading, WHITE, relative=False)
    assert found.colors[0].tolist() == [188] * 3  # half the light


def test_a_form_that_is_filled_in_with_what_it_has(tmp_path):
    preset = presets.find("spectra6")
    path = tmp_path / "panel.json"
    path.write_text(form("mine", preset.colors, preset.device, preset.codes))
    found = presets.measured(path)
    np.testing.assert_array_equal(found.colors, preset.colors)
    np.testing.assert_array_equal(found.device, preset.device)
    assert found.codes == preset.codes
    assert found.options == preset.options
    assert found.summary == "mine"
    picture = np.linspace(0, 255, 16 * 20 * 3).reshape(16, 20, 3).astype(np.uint8)
    mine, theirs = (fg.dither(picture, preset=p, speed=10) for p in (found, "spectra6"))
    np.testing.assert_array_equal(mine.indices, theirs.indices)
    np.testing.assert_array_equal(mine.device, theirs.device)


@pytest.mark.parametrize("size", [(800, 480), (97, 61), (30, 290)])
@pytest.mark.parametrize("name", ["bwr", "spectra6", "grey16"])
def test_charts(name, size):
    device = presets.find(name).device
    chart = presets.patches(device, size)
    assert chart.shape == size[::-1]
    sizes = np.bincount(chart.ravel(), minlength=len(device))
    light = device.astype(int).sum(axis=1).argmax()
    assert sizes.min() >= 64
    assert sizes.min() * 40 >= chart.size / len(device)
    assert (chart[[0, -1]] == light).all()
    assert (chart[:, [0, -1]] == light).all()


def test_charts_that_are_refused():
    for colors, size in ((["#000", "#fff"], (20, 9)), (presets.find("grey16").device, (40, 40))):
        with pytest.raises(ValueError, match=f"size must have room for {len(colors)} patches"):
            presets.patches(colors, size)
    with pytest.raises(ValueError, match="colors must be a list of colours, got not a colour"):
        presets.patches(["white", "black"])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "'patches' must be a list of 2 to 256 objects, got None"),
        ({"patches": [BLACK]}, "got 1"),
        ({"patches": [BLACK, 3]}, "patch 2 must be an object"),
        ({"patches": [BLACK, {"device": "#fff"}]}, "patch 2 must have 'measured'"),
        ({"patches": [BLACK, WHITE], "Space": "lab"}, "no 'Space', but name, space"),
        ({"patches": [BLACK, {**WHITE, "colour": 1}]}, "patch 2 must have no 'colour'"),
        ({"patches": [BLACK, WHITE], "space": "rgb"}, "'space' must be"),
        ({"patches": [BLACK, WHITE], "relative": 2}, "'relative' must be"),
        ({"patches": [BLACK, WHITE], "space": "xyz"}, "'white' must be D50, D65 or the XYZ"),
        ({"patches": [BLACK, WHITE], "space": "lab", "white": "A"}, "got 'A'"),
        ({"patches": [BLACK, WHITE], "white": "D65"}, "'white' must be left out with sRGB"),
        ({"patches": [BLACK, patch("#fff", 1, 2)]}, "'measured' of patch 2 must be three numbers"),
        ({"patches": [BLACK, patch("#fff", 1, 2, float("nan"))]}, "must be three numbers"),
        ({"patches": [BLACK, patch("#fff", 1, True, 3)]}, "must be three numbers"),
        ({"patches": [BLACK, patch("#fff", 1, 2, 256)]}, "within the range of srgb, got"),
        ({"patches": [BLACK, patch("white", 1, 2, 3)]}, "'device' of patch 2 must be a colour"),
        ({"patches": [BLACK, WHITE, WHITE]}, "another 'device' colour than the others"),
        ({"patches": [BLACK, WHITE, patch("#f00", 255, 255, 255)]}, None),
        ({"patches": [BLACK, patch("#fff", 0, 0, 0)]}, "patch 2, the lightest of the device"),
        ({"patches": [patch("#000", 255, 255, 255), patch("#fff", 9, 99, 99)]}, "lightest too"),
        ({"patches": [{**BLACK, "code": 0}, WHITE]}, "'code' of patch 2 must be an integer"),
        ({"patches": [{**BLACK, "code": 1}, {**WHITE, "code": 1}]}, "another 'code'"),
    ],
)
def test_what_is_refused(found, said, tmp_path):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(found))
    if said is None:  # two patches alike are a sorry panel, but no mistake
        assert len(presets.measured(path).colors) == 3
        return
    with pytest.raises(ValueError, match=said):
        presets.measured(found)
    with pytest.raises(FileError, match=f"not a measurement: .*m.json: .*{said}"):
        presets.measured(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON"),
        (b"[1]", "no object with 'patches'"),
        (b"\xff\xfe\x80", "no text in UTF-8"),
        (b"[" * 100_000, "without end"),
        (b" " * (1 << 21), "more than"),
    ],
)
def test_files_that_are_refused(data, said, tmp_path):
    path = tmp_path / "m.json"
    path.write_bytes(data)
    with pytest.raises(FileError, match=said):
        presets.measured(path)
    with pytest.raises(FileError, match=r"cannot read .*none"):
        presets.measured(tmp_path / "none")
