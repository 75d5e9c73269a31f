"""Palettes in files, as `fastgrad.palettes` reads and writes them."""

import json

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.pictures import palette_files

COLORS = np.array([[0, 0, 0], [255, 128, 0], [1, 2, 3]])


@pytest.mark.parametrize("ending", palette_files.WRITERS)
def test_what_is_written_is_read(tmp_path, ending):
    pytest.importorskip("PIL")
    path = tmp_path / f"p{ending}"
    fg.palettes.write(str(path), COLORS)
    found = fg.palettes.read(str(path))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, COLORS)
    np.testing.assert_array_equal(fg.palettes.read_device(path), COLORS)


def test_colours_of_a_device(tmp_path):
    path = tmp_path / "panel.json"
    path.write_text(json.dumps({"colors": ["#102030", "#ddeeff"], "device": ["#000", "#fff"]}))
    assert fg.palettes.read(path).tolist() == [[16, 32, 48], [221, 238, 255]]
    assert fg.palettes.read_device(path).tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize(
    ("name", "colors", "error", "message"),
    [
        ("p.doc", COLORS, ValueError, "must end in"),
        ("none/p.hex", COLORS, ValueError, "no such directory"),
        ("p.hex", COLORS / 255, TypeError, "palette must be uint8 or other integers"),
        ("p.hex", [[0, 0, 256]], ValueError, "palette must be from 0 to 255, got 256"),
        ("p.hex", ["#12345"], ValueError, "palette must hold colours like '#rrggbb', got '#12345'"),
        ("p.hex", np.zeros((0, 3), int), ValueError, "palette must have 2 to 256 colours"),
    ],
)
def test_bad_palettes_are_refused(tmp_path, name, colors, error, message):
    with pytest.raises(error, match=message):
        fg.palettes.write(tmp_path / name, colors)
    assert not list(tmp_path.iterdir())
