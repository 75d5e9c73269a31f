"""Colours of swatches, by hand."""

import pytest

from fastgrad.dithering.pictures.swatch_colours import to_values


@pytest.mark.parametrize(
    ("model", "numbers", "expected"),
    [
        ("RGB", (0.2, 0.5, 1), (51, 128, 255)),
        ("HSB", (1 / 3, 1, 0.8), (0, 204, 0)),
        ("HSB", (0.5, 0, 0.2), (51, 51, 51)),
        ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
        ("CMYK", (0.2, 0, 1, 0.5), (102, 128, 0)),
        ("CMYK", (0, 0, 0, 1), (0, 0, 0)),
        ("Gray", (0.6,), (153, 153, 153)),
        ("Lab", (100, 0, 0), (255, 255, 255)),
        ("Lab", (53.585, 0, 0), (128, 128, 128)),
        ("Lab", (87.82, -79.27, 80.99), (0, 255, 0)),  # green under D50
        ("Lab", (50, 128, -128), (218, 0, 255)),  # outside of sRGB
    ],
)
def test_models(model, numbers, expected):
    found = to_values(model, numbers)
    assert max(abs(x - y) for x, y in zip(found, expected)) <= (model == "Lab") * 2
    assert all(isinstance(x, int) for x in found)


@pytest.mark.parametrize(
    ("model", "numbers"),
    [
        ("RGB", (0, 0, 1.01)),
        ("CMYK", (-0.1, 0, 0, 0)),
        ("Gray", (float("nan"),)),
        ("Lab", (101, 0, 0)),
        ("Lab", (50, 0, -129)),
        ("Lab", (50, float("nan"), 0)),
    ],
)
def test_numbers_out_of_range(model, numbers):
    with pytest.raises(ValueError, match="a colour out of range"):
        to_values(model, numbers)
