"""Limits of palettes of tiles."""

import numpy as np
import pytest

from fastgrad.dithering import Tiles
from fastgrad.dithering.eye import colour


@pytest.mark.parametrize("bits", range(1, 9))
def test_levels_repeat_their_bits(bits):
    expected = [int((f"{value:0{bits}b}" * 8)[:8], 2) for value in range(1 << bits)]
    assert Tiles(channel_bits=bits).levels.tolist() == expected


@pytest.mark.parametrize("space", colour.SPACES)
def test_the_nearest_colour_is_the_nearest_of_all(space):
    tiles, into = Tiles(channel_bits=3), colour.SPACES[space].into
    grid = np.stack(np.meshgrid(*[tiles.levels] * 3), axis=-1).reshape(-1, 3)
    every = into(colour.to_linear(grid))
    rng = np.random.default_rng(0)
    for goal in into(rng.random((40, 3), np.float32)):
        found = into(colour.to_linear(tiles.nearest(goal, colour.SPACES[space])[None]))
        least = np.square(every - goal).sum(axis=1).min()
        assert np.square(found - goal).sum() <= 1.3 * least  # one of the 27 around it in sRGB


def test_inks_are_the_only_colours():
    inks = np.uint8([[0, 0, 0], [200, 20, 20], [255, 255, 255]])
    shown = Tiles(inks=inks).shown(np.random.default_rng(0).integers(0, 256, (50, 3)))
    assert (shown[:, None] == inks).all(axis=2).any(axis=1).all()


def test_a_shared_colour_is_one_unknown():
    free, shared = Tiles(palettes=3, colors=4), Tiles(palettes=3, colors=4, shared_color=True)
    assert free.variables.tolist() == list(range(12))
    assert shared.variables.tolist() == [0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9]
    assert Tiles(channel_bits=3, shared_color="#FF00FF").fixed.tolist() == [[255, 0, 255]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 8}, r"size must be \(width, height\), got 8"),
        ({"size": (8, 0)}, "size must be from 1 to 128, got 0|size must be"),
        ({"colors": 1}, "colors must be"),
        ({"palettes": 20, "colors": 16}, r"palettes \* colors must be at most 256, got 20 \* 16"),
        ({"channel_bits": 9}, "channel_bits must be"),
        ({"shared_color": "red"}, "shared_color must be like '#rrggbb', got 'red'"),
        ({"shared_color": "#100000", "channel_bits": 3}, "such as '#000000', got '#100000'"),
        ({"inks": np.zeros((2, 3), np.uint8), "channel_bits": 3}, "channel_bits must be None"),
        ({"inks": np.zeros((1, 3), np.uint8)}, r"inks must have shape \(G, 3\)"),
    ],
)
def test_what_no_picture_can_have_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Tiles(**options)
