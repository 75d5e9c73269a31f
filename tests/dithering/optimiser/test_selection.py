"""Which flat colours get an entry: those that the others cannot be mixed of."""

import numpy as np
import pytest

from fastgrad.dithering.eye.colour import encode, to_linear
from fastgrad.dithering.optimiser.selection import nearest, selected

NONE = np.empty((0, 3), np.uint8)


def colours(count, seed):
    codes = np.random.default_rng(seed).choice(1 << 24, count, replace=False)
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)


def missed(rgb, entries):
    """By how much the best mixture of entries misses each colour, in sRGB values."""
    optimize = pytest.importorskip("scipy.optimize")
    corners, far = np.vstack([to_linear(entries).T, np.full(len(entries), 100.0)]), []
    for colour in rgb:
        shares, _ = optimize.nnls(corners, np.append(to_linear(colour), 100.0))
        mixed = encode(to_linear(entries).T @ shares)
        far.append(np.linalg.norm(255 * mixed - colour))
    return np.array(far)


def far_apart(rgb, most):
    """The same number of colours, each as far as can be from all before."""
    chosen = [0]
    while len(chosen) < most:
        squares = np.square(rgb[:, None].astype(float) - rgb[chosen]).sum(axis=-1)
        chosen.append(int(squares.min(axis=1).argmax()))
    return rgb[chosen]


def test_the_others_can_be_mixed():
    means = []
    for seed in range(4):
        rgb = colours(24, seed)
        found = selected(rgb, np.full(24, 1600), NONE, 14)
        assert len(np.unique(found, axis=0)) == 14
        means.append([missed(rgb, entries).mean() for entries in (found, far_apart(rgb, 14))])
    ours, plain = np.mean(means, axis=0)
    assert ours < 0.5 * plain


def test_all_if_there_is_room_and_by_size():
    rgb = colours(5, 0)
    sizes = np.array([3, 9, 1, 5, 7])
    np.testing.assert_array_equal(selected(rgb, sizes, NONE, 5), rgb[[1, 4, 3, 0, 2]])


def test_large_fields_come_first():
    rgb = colours(40, 1)
    sizes = np.full(40, 10)
    sizes[17] = 1_000_000
    assert selected(rgb, sizes, NONE, 3)[0].tolist() == rgb[17].tolist()


def test_what_is_kept_counts():
    greys = np.arange(1, 255, dtype=np.uint8)[:, None].repeat(3, axis=1)
    red = np.uint8([[200, 10, 10]])
    kept = np.uint8([[0, 0, 0], [255, 255, 255]])
    found = selected(np.concatenate([greys, red]), np.full(255, 50), kept, 2)
    assert found[0].tolist() == red[0].tolist()  # which no grey can stand for
    assert 90 < found[1, 0] < 165


@pytest.mark.parametrize("plane", [(1, 0, 0), (1, 1, 1), (1, 2, 0)])
def test_colours_on_a_line(plane):
    rgb = np.arange(60, dtype=np.uint8)[:, None] * np.uint8(plane)
    found = selected(rgb, np.full(60, 10), NONE, 8)
    assert len(np.unique(found, axis=0)) == 8
    assert {0, 59} <= set((found.max(axis=1) // max(plane)).tolist())


def test_the_nearest_of_many():
    rgb, entries = colours(5000, 2), colours(30, 3)
    index, squares = nearest(rgb, entries)
    exact = np.square(rgb[:, None].astype(int) - entries).sum(axis=-1)
    np.testing.assert_array_equal(squares, exact.min(axis=1))
    np.testing.assert_array_equal(index, exact.argmin(axis=1))
