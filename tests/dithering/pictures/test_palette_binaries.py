"""What tells palettes apart that are no text."""

import pytest

from fastgrad.dithering.pictures import palette_binaries, palette_files

COLORS = [[0, 0, 0], [255, 255, 255], [9, 8, 7]]


@pytest.mark.parametrize("ending", palette_binaries.WRITERS)
def test_what_is_written_is_recognised(ending):
    if ending == ".png":
        pytest.importorskip("PIL")
    data = palette_files.encode(COLORS, ending)
    assert palette_binaries.recognise(data) == ending
    found = palette_binaries.READERS[ending](data)
    assert [[int(x) for x in colour] for colour in found] == COLORS


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (b"RIFF\0\0\0\0PAL ", ".pal"),
        (bytes(192), ".pal"),
        (bytes(768), ".pal"),
        (bytes(772), ".act"),
        (b"\0\1\0\1" + bytes(10), ".aco"),
        (b"\0\1\0\2" + bytes(10), None),  # too short
        (b"\0\1\0\0", None),
        (b"\0\3\0\1" + bytes(10), None),
        (b"", None),
        (b"GIF89a", ".gif"),
        (b"BM\0\0", ".bmp"),
    ],
)
def test_contents(data, ending):
    assert palette_binaries.recognise(data) == ending
