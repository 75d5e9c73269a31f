"""Values on the command line: what is read from text, and what is refused."""

import argparse

import pytest

from fastgrad.cli import values


@pytest.mark.parametrize(
    ("text", "expected"),
    [("all", True), ("NONE", False), ("#ff0000, 0f0", ["#ff0000", "0f0"])],
)
def test_solid_colours(text, expected):
    assert values.solid(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m.png", ("m.png", "text")),
        ("m.png:LINE", ("m.png", "line")),
        ("C:/m.png", ("C:/m.png", "text")),
        ("C:/m.png:photo", ("C:/m.png", "photo")),
    ],
)
def test_masks(text, expected):
    assert values.mask(text) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (values.solid, "red"),
        (values.solid, ""),
        (values.mask, ""),
        (values.mask, ":line"),
        (values.size, "0x4"),
        (values.number(int, 1, 9), "1_0"),
    ],
)
def test_what_is_refused(kind, text):
    with pytest.raises(argparse.ArgumentTypeError):
        kind(text)


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0, 1e6, "from 0 to 1000000"), (0.001, 1e6, "from 0.001 to 1000000")]
)
def test_bounds_are_said_as_they_are_written(low, high, said):
    with pytest.raises(argparse.ArgumentTypeError, match=f"must be a number {said}, got -1"):
        values.number(float, low, high)("-1")
