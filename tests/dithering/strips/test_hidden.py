"""Colours that are hidden in transparent pixels of large pictures."""

import numpy as np

from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.strips.hidden import hidden_colors, nearest

RNG = np.random.default_rng(0)


def test_few_colours_are_found_wherever_they_are():
    image = np.full((900, 40, 4), 255, np.uint8)
    image[700, 3] = 1, 2, 3, 0
    image[50, 39] = 9, 9, 9, 0
    image[60, 0] = 7, 7, 7, 100
    assert hidden_colors(ArraySource(image), 3).tolist() == [[1, 2, 3], [9, 9, 9]]
    assert hidden_colors(ArraySource(image), 3, below=128).tolist()[1] == [7, 7, 7]
    assert hidden_colors(ArraySource(image[..., :3]), 3).tolist() == [[0, 0, 0]]
    assert len(hidden_colors(ArraySource(image), 1)) == 1


def test_many_colours_are_those_of_a_whole_picture():
    values = RNG.integers(0, 256, (60, 50, 3), np.uint8)
    image = np.dstack([values, np.zeros((60, 50), np.uint8)])
    colors = hidden_colors(ArraySource(image), 5)
    none = np.zeros((60, 50), np.uint8), np.zeros((1, 3), np.uint8), np.zeros(1, np.uint8)
    indices, palette, _ = transparency.with_hidden(*none, values, 5)
    np.testing.assert_array_equal(colors, palette)
    found = nearest(values.reshape(-1, 3), colors)
    np.testing.assert_array_equal(found.reshape(60, 50), indices)
