"""What strips have in common, as text and as entries of a file."""

import json
from dataclasses import replace

import numpy as np

from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.strips.learned import Learned
from fastgrad.dithering.strips.learning import learn

NOISE = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)


def fast(image, **options):
    return learn(ArraySource(image), pace=Pace(10), **options)


def test_all_of_it_is_kept_as_text():
    one = fast(NOISE, colors=4, ppd=30)
    two = Learned.from_json(json.loads(json.dumps(one.to_json())))
    assert two.to_json() == one.to_json()
    np.testing.assert_array_equal(two.colors, one.colors)
    assert two.viewing == one.viewing
    assert two.adapted == one.adapted


def test_opacity_and_hidden_colours_are_kept_as_text():
    one = replace(
        fast(NOISE, palette=["#000", "#fff"]),
        clear=True,
        opacity=np.uint8([255, 9]),
        hidden=np.uint8([[1, 2, 3], [4, 5, 6]]),
    )
    two = Learned.from_json(json.loads(json.dumps(one.to_json())))
    assert two.to_json() == one.to_json()
    np.testing.assert_array_equal(two.colors, one.colors)
    for palette, opacity in (one.entries, two.entries):
        assert palette.tolist() == [[0, 0, 0], [255, 255, 255], [1, 2, 3], [4, 5, 6]]
        assert opacity.tolist() == [255, 9, 0, 0]
