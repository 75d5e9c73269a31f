"""Texts of palettes: how they are decoded, and colours of eight digits."""

import pytest

from fastgrad.dithering.pictures import palette_texts


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"]
)
def test_encodings(encoding):
    text = "GIMP Palette\r\n# Größe\r\n0 0 0\tschwarz\r\n"
    assert palette_texts.decode(text.encode(encoding)) == text


def test_what_is_no_text():
    for data in (b"\0\1\0\2", b"ab\0c", b"\x89PNG\r\n\x1a\n", b"\x7f\x7f", bytes(range(256))):
        assert palette_texts.decode(data) is None
    assert palette_texts.decode(b"") == ""
    for data in (b"\xff\xfea", b"\xfe\xff\0a\0\1"):
        with pytest.raises(ValueError, match="begins as text in UTF-16"):
            palette_texts.decode(data)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["ff0000ff", "ff000080"], [(0, 0, 255), (0, 0, 128)]),  # all begin with ff, not all end so
        (["102030ff", "405060ff"], [(16, 32, 48), (64, 80, 96)]),
        (["#ff0000ff"], [(255, 0, 0)]),
        (["#FFF", "0X102030"], [(255, 255, 255), (16, 32, 48)]),
        ([(1, 2, 3), "040506"], [(1, 2, 3), (4, 5, 6)]),
    ],
)
def test_colours(found, expected):
    assert palette_texts.colours(found) == expected


def test_colours_that_are_known_to_have_opacity_first():
    found = palette_texts.colours(["80102030", "00ffffff", "102030ff"], alpha_first=True)
    assert found == [(16, 32, 48), (32, 48, 255)]


@pytest.mark.parametrize("bad", ["", "#", "12345", "#1234", "1234567", "0x", "ghijkl", "١٢٣"])
def test_what_is_no_colour(bad):
    with pytest.raises(ValueError, match="not a colour"):
        palette_texts.colours([bad])


@pytest.mark.parametrize(
    "found", [["ff102030", "405060ff"], ["01020304"], ["10203040", "ff000000"]]
)
def test_colours_that_may_be_read_in_two_ways(found):
    with pytest.raises(ValueError, match=r"can be read as rrggbbaa, #.{6}, or as aarrggbb, #.{6}:"):
        palette_texts.colours(found)
