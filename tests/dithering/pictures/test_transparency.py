"""Opacity: laid on white, split in two, or kept in entries of the palette."""

import numpy as np
import pytest

from fastgrad.dithering.pictures import transparency

RNG = np.random.default_rng(0)


def test_on_white_is_what_pillow_does():
    Image = pytest.importorskip("PIL.Image")
    rgba = RNG.integers(0, 256, (40, 50, 4)).astype(np.uint8)
    white = Image.new("RGBA", (50, 40), "white")
    expected = np.asarray(Image.alpha_composite(white, Image.fromarray(rgba)).convert("RGB"))
    found = transparency.on_white(rgba[..., :3], rgba[..., 3])
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 1
    near = transparency.on_white(np.float32(rgba[..., :3]) / 255, rgba[..., 3])
    np.testing.assert_allclose(255 * near, found, atol=0.501)


def test_what_is_dithered():
    values, alpha = RNG.integers(0, 256, (1, 4, 3)).astype(np.uint8), np.uint8([[255, 128, 127, 0]])
    blended, mask, left = transparency.to_dither(values, alpha, "blend")
    assert mask is left is None
    assert blended[0, 3].tolist() == [255, 255, 255]
    kept, mask, left = transparency.to_dither(values, alpha, "keep")
    assert kept is values
    assert mask.tolist() == [[True, True, True, False]]
    np.testing.assert_array_equal(left, alpha)
    _, mask, left = transparency.to_dither(values, alpha, "key")
    assert mask.tolist() == [[True, True, False, False]]
    assert left.tolist() == [[255, 255, 0, 0]]
    _, mask, left = transparency.to_dither(values, np.uint8([[255, 200, 130, 128]]), "key")
    assert mask is left is None
    for mode in transparency.MODES:
        assert transparency.to_dither(values, None, mode) == (values, None, None)


@pytest.mark.parametrize("colors", [1, 2, 16, 100, 200, 254, 255])
def test_entries_say_the_same(colors):
    palette = RNG.integers(0, 256, (colors, 3)).astype(np.uint8)
    indices = RNG.integers(0, colors, (3, 60, 70)).astype(np.uint8)
    alpha = np.where(RNG.random(indices.shape) < 0.3, RNG.integers(0, 256, indices.shape), 255)
    alpha[:, :5] = 0
    alpha = alpha.astype(np.uint8)
    found, entries, opacity = transparency.entries(indices, palette, alpha)
    assert found.shape == indices.shape
    assert found.dtype == entries.dtype == opacity.dtype == np.uint8
    assert len(entries) == len(opacity) <= 256
    np.testing.assert_array_equal(entries[:colors], palette)
    assert (opacity[:colors] == 255).all()
    np.testing.assert_array_equal(found[alpha == 255], indices[alpha == 255])
    assert (opacity[found][alpha == 0] == 0).all()
    visible = opacity[found] > 0
    np.testing.assert_array_equal(entries[found][visible], palette[indices][visible])
    error = np.abs(opacity[found].astype(int) - alpha)
    # Two pairs for a colour leave room for (256 - K) // K degrees; they are so far apart at most.
    assert error.max() <= {1: 1, 2: 2, 16: 18}.get(colors, 128)


def test_exact_opacity_where_there_is_room():
    alpha = np.arange(256, dtype=np.uint8)
    indices = np.zeros(256, np.uint8)
    found, _, opacity = transparency.entries(indices, np.uint8([[1, 2, 3]]), alpha)
    np.testing.assert_array_equal(opacity[found], alpha)


def test_no_room():
    palette = RNG.integers(0, 256, (256, 3)).astype(np.uint8)
    with pytest.raises(ValueError, match="no room for a transparent one"):
        transparency.entries(np.zeros(3, np.uint8), palette, np.uint8([0, 255, 255]))


def test_resize_in_linear_light():
    pytest.importorskip("PIL")
    board = (np.indices((40, 60)).sum(axis=0) % 2 * 255).astype(np.uint8)
    values = np.repeat(board[..., None], 3, axis=2)
    small, alpha = transparency.resize(values, None, (15, 10))
    assert small.shape == (10, 15, 3)
    assert alpha is None
    np.testing.assert_allclose(small[2:-2, 2:-2] * 255, 188, atol=1.5)  # half the light
    ramp = np.repeat(np.linspace(0, 1, 30, dtype=np.float32)[None, :, None], 3, axis=2)
    large, _ = transparency.resize(np.repeat(ramp, 4, axis=0), None, (90, 9))
    assert large.shape == (9, 90, 3)
    assert (large >= 0).all()
    assert (large <= 1).all()
    assert np.all(np.diff(large[4, 5:-5, 0]) > -1e-3)


def test_resize_lets_no_hidden_colour_through():
    pytest.importorskip("PIL")
    values = np.zeros((16, 16, 3), np.uint8)
    values[:, 8:] = [0, 255, 0]  # hidden
    values[:, :8] = [255, 0, 0]
    alpha = np.zeros((16, 16), np.uint8)
    alpha[:, :8] = 255
    small, opacity = transparency.resize(values, alpha, (5, 5))
    assert opacity[2, 2] not in (0, 255)
    assert small[2, 2, 0] > 0.98
    assert small[2, 2, 1] < 0.02


def test_learned_entries_are_those_in_use():
    palette = np.uint8([[1, 1, 1], [2, 2, 2], [3, 3, 3]])
    indices, alpha = np.uint8([0, 2, 2, 1]), np.uint8([0, 255, 128, 128])
    found, entries, opacity = transparency.entries(indices, palette, alpha, learned=True)
    assert len(entries) == 4
    np.testing.assert_array_equal(opacity[found], alpha)
    np.testing.assert_array_equal(entries[found][1:], palette[indices][1:])


def test_order_of_an_indexed_original():
    given = np.uint8([[255, 0, 255], [0, 0, 0], [34, 32, 52], [172, 50, 50]])
    hidden = np.uint8([0, 255, 255, 255])
    indices = RNG.integers(0, 4, (9, 9)).astype(np.uint8)
    mine = np.uint8([[172, 50, 50], [0, 0, 0], [34, 32, 52], [0, 0, 0]])
    seen = np.uint8([255, 0, 255, 255])
    other = np.uint8([1, 3, 2, 0])[indices]
    found = transparency.in_order(other, mine, seen, given, hidden)
    np.testing.assert_array_equal(found[0], indices)
    np.testing.assert_array_equal(found[1], given)
    np.testing.assert_array_equal(found[2], hidden)
    assert transparency.in_order(other, mine + np.uint8(1), seen, given, hidden) is None
