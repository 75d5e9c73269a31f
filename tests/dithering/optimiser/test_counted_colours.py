"""Clusters of counted colours: fields keep their very colours, and no entry is idle."""

import numpy as np

from fastgrad.dithering.optimiser.counted_colours import clusters
from fastgrad.dithering.optimiser.palette import initial
from fastgrad.dithering.optimiser.selection import nearest


def drawn(seed=0, fields=20, inks=400):
    """Return colours of large fields, and of edges between them."""
    rng = np.random.default_rng(seed)
    flat = rng.integers(0, 256, (fields, 3))
    pairs, share = rng.integers(0, fields, (2, inks)), rng.random((inks, 1))
    mixed = np.rint(flat[pairs[0]] * share + flat[pairs[1]] * (1 - share))
    rgb = np.unique(np.concatenate([flat, mixed]).astype(np.uint8), axis=0)
    large = (rgb[:, None] == flat).all(axis=2).any(axis=1)
    return rgb, np.where(large, 5000, rng.integers(1, 30, len(rgb))), large


def test_large_fields_keep_their_very_colours():
    rgb, counts, large = drawn()
    palette, places = clusters(rgb, counts, 64, "srgb")
    off = abs(palette[places[large]].astype(int) - rgb[large])
    assert large.sum() == 20
    assert off.max() <= 1
    assert (off == 0).all(axis=1).mean() >= 0.9


def test_errors_are_less_than_those_of_seeds_by_chance():
    for seed in range(4):
        rgb, counts, _ = drawn(seed)
        palette, places = clusters(rgb, counts, 64, "srgb")
        error = counts @ np.square(palette[places].astype(float) - rgb).sum(axis=1)
        encoded = (rgb[None] / 255).astype(np.float32)
        others = initial(encoded, 64, rng=seed, trials=3, iterations=30, counts=counts)
        least = min(counts @ nearest(rgb, np.rint(255 * p).astype(np.uint8))[1] for p in others)
        assert error < least, seed


def test_each_entry_is_used_and_each_colour_has_the_nearest():
    rgb, counts, _ = drawn(1)
    palette, places = clusters(rgb, counts, 100, "srgb")
    assert len(np.unique(palette, axis=0)) == len(np.unique(places)) == 100


def test_more_entries_than_colours():
    rgb = np.uint8([[0, 0, 0], [9, 8, 7]])
    palette, places = clusters(rgb, np.array([3, 5]), 4, "srgb")
    assert palette.shape == (4, 3)
    assert (palette[places] == rgb).all()
    one, first = clusters(rgb[1:], np.array([7]), 2, "srgb")
    assert (one == rgb[1]).all()
    assert first.tolist() == [0]
