"""What is drawn twice looks the same twice."""

import numpy as np

from fastgrad.dithering import dither
from fastgrad.dithering.optimiser.repeats import AROUND, repeated

RNG = np.random.default_rng(0)


def letters():
    """The same soft shapes of many colours again and again on paper, and where they are."""
    from scipy import ndimage

    shapes = ndimage.gaussian_filter(RNG.normal(0, 600, (5, 14, 10, 3)), (0, 1, 1, 0))
    image = np.full((200, 300, 3), 246, np.uint8)
    places = [(8 + 19 * i, 8 + 17 * j + 3 * (i % 3)) for i in range(9) for j in range(16)]
    for n, (y, x) in enumerate(places):
        image[y : y + 14, x : x + 10] = np.clip(120 + shapes[n % 5], 0, 240)
    return image, places


def test_against_a_loop():
    image = np.kron(RNG.integers(0, 2, (20, 30, 1)), np.ones((1, 1, 3))).astype(np.uint8)
    image[:, 15:] = image[:, :15]
    indices = RNG.integers(0, 3, (20, 30)).astype(np.uint8)
    free = RNG.random((20, 30)) < 0.9
    wide = np.pad(image[..., 0], AROUND, mode="edge")
    size = 2 * AROUND + 1
    keys = {
        (y, x): wide[y : y + size, x : x + size].tobytes() for y, x in np.argwhere(free).tolist()
    }
    wanted = indices.copy()
    beside = ((0, 1), (1, 0), (0, -1), (-1, 0))
    alone = {
        at: key
        for at, key in keys.items()
        if all(keys.get((at[0] + dy, at[1] + dx)) != key for dy, dx in beside)
    }
    for key in set(alone.values()):
        group = tuple(np.array([at for at, other in alone.items() if other == key]).T)
        wanted[group] = np.bincount(indices[group]).argmax()
    found = repeated(image, indices, free)
    np.testing.assert_array_equal(found, wanted)
    assert (found != indices).any()
    np.testing.assert_array_equal(repeated(image, indices, np.zeros_like(free)), indices)


def test_ramps_keep_their_grain():
    image = np.repeat(np.arange(40, dtype=np.uint8)[:, None, None], 50, axis=1).repeat(3, axis=2)
    indices = RNG.integers(0, 2, (40, 50)).astype(np.uint8)
    found = repeated(image, indices, np.ones((40, 50), bool))
    np.testing.assert_array_equal(found, indices)


def test_letters_are_drawn_alike():
    image, places = letters()
    result = dither(image, colors=16)
    drawn = {result.indices[y : y + 14, x : x + 10].tobytes() for y, x in places}
    assert len(drawn) == 5  # without: 7
