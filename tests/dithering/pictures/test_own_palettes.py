"""Animations whose frames have palettes of their own, written and decoded again."""

import io

import numpy as np
import pytest

from fastgrad import dithering
from fastgrad.dithering.pictures import gif, images, own_palettes

Image = pytest.importorskip("PIL.Image")


def clip():
    """Two pictures, half of the second of which stays, a frame that stays, and a third picture."""
    rng = np.random.default_rng(0)
    first, other, last = rng.integers(0, 256, (3, 20, 30, 3)).astype(np.uint8)
    second = first.copy()
    second[:, 10:25] = other[:, 10:25]
    return [first, second, second, last]


def dithered(frames, **options):
    pairs = [(values, None) for values in frames]
    return list(own_palettes.dither_frames(pairs, speed=9, **{"colors": 8} | options))


def decoded(data):
    frames = images.Picture(data).frames()
    return [(np.asarray(frame.values), frame.duration) for frame in frames]


def test_pixels_stay_and_others_have_colours_of_their_frame():
    frames = clip()
    found = dithered(frames)
    assert [frame.kept.sum() for frame in found] == [0, 20 * 15, 20 * 30, 0]
    assert [len(frame.palette) for frame in found] == [8, 8, 0, 8]
    before = None
    for frame in found:
        new = ~frame.kept
        np.testing.assert_array_equal(frame.shown[new], frame.palette[frame.indices[new]])
        if before is not None:
            np.testing.assert_array_equal(frame.shown[~new], before[~new])
        before = frame.shown
    alone = dithering.dither(frames[3], colors=8, speed=9)
    np.testing.assert_array_equal(found[3].shown, alone.image)


def test_pixels_stay_that_have_hardly_changed_since_they_were_drawn():
    first = clip()[0] // 2
    frames = [first + np.uint8(i) for i in range(0, 24, 2)]  # far in the end
    assert not any(frame.kept.any() for frame in dithered(frames[:3], colors=2))
    found, drawn = dithered(frames, colors=2, rate=2e-4), np.zeros(first.shape[:2], int)
    for i, frame in enumerate(found):
        drawn[~frame.kept] = i
        if i:
            np.testing.assert_array_equal(frame.shown[frame.kept], found[i - 1].shown[frame.kept])
    assert found[1].kept.mean() > 0.9
    assert (drawn > 1).mean() > 0.7
    assert not dithered([first, 255 - first], colors=2, rate=2e-4)[1].kept.all()


def test_what_is_written_is_decoded():
    found = dithered(clip(), rate=1e-4, ending=".gif")
    data = own_palettes.encode(found, [50, 60, 70, 80], 3)
    assert images.Picture(data).plays == 3
    shown = decoded(data)
    assert [duration for _, duration in shown] == [50, 130, 80]
    for (values, _), frame in zip(shown, (found[0], found[2], found[3])):
        np.testing.assert_array_equal(values, frame.shown)


def test_a_frame_may_be_shown_for_long():
    found = dithered(clip()[1:3])
    data = own_palettes.encode(found, [gif.LONGEST, 100], 1)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2
    assert sum(duration for _, duration in decoded(data)) == gif.LONGEST + 100


def test_a_frame_of_all_colours():
    values = np.arange(255, dtype=np.uint8).reshape(15, 17)
    frames = [np.dstack([values, values, 255 - values]), np.dstack([values] * 3)]
    found = dithered(frames, colors=own_palettes.MOST)
    for (shown, _), frame in zip(decoded(own_palettes.encode(found, [50, 50], 0)), frames):
        np.testing.assert_array_equal(shown, frame)


def test_errors_count_as_the_root_of_how_often_they_are_shown(monkeypatch):
    asked = []

    def watched(values, **options):
        asked.append(options.get("weights"))
        return plain(values, **options)

    plain = dithering.dither
    monkeypatch.setattr(dithering, "dither", watched)
    times = np.ones((4, 20, 30), int)
    times[0, :, :10] = 9
    dithered(clip(), lasting=times)
    np.testing.assert_array_equal(asked[0], np.sqrt(np.sqrt(times[0])))
    assert (asked[1] == (np.arange(30) >= 10) * (np.arange(30) < 25)).all()
    assert len(asked) == 3
