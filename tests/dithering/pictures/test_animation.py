"""Animations and indexed files, written and decoded again."""

import io

import numpy as np
import pytest

from fastgrad import dithering
from fastgrad.dithering.eye.colour import to_linear
from fastgrad.dithering.pictures import animation, images

Image = pytest.importorskip("PIL.Image")


def moving(count, colors, seed=0):
    """Frames of noise in which a square moves."""
    rng = np.random.default_rng(seed)
    frames = [rng.integers(0, colors, (20, 30)).astype(np.uint8)]
    for i in range(count - 1):
        frames.append(frames[-1].copy())
        frames[-1][3 + i : 8 + i, 4:12] = rng.integers(0, colors, (5, 8))
    return frames


def palette_of(colors):
    index = np.arange(colors)
    return np.stack([index, 255 - index, index * 5 % 256], axis=1).astype(np.uint8)


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            yield np.asarray(image.convert("RGBA"))


@pytest.mark.parametrize("ending", [".png", ".gif"])
@pytest.mark.parametrize("colors", [2, 3, 5, 16, 17, 256])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("transparent", [False, True])
def test_what_is_written_is_decoded(ending, colors, count, transparent):
    frames, palette = moving(count, colors), palette_of(colors)
    opacity = np.full(colors, 255, np.uint8)
    if transparent:
        opacity[-1] = 0
    data = animation.encode(
        frames,
        palette,
        opacity if transparent else None,
        ending=ending,
        durations=[40, 70, 100, 130, 160][:count],
        plays=3,
    )
    found = list(decoded(data))
    assert len(found) == count
    for indices, rgba in zip(frames, found):
        np.testing.assert_array_equal(rgba[..., 3], opacity[indices])
        seen = opacity[indices] > 0
        np.testing.assert_array_equal(rgba[seen][:, :3], palette[indices][seen])
    picture = images.Picture(data)
    assert picture.count == count
    assert picture.format == animation.FORMATS[ending]
    if count > 1:
        assert picture.plays == 3
        durations = [frame.duration for frame in picture.frames()]
        assert durations == [40, 70, 100, 130, 160][:count]
    if ending == ".png":
        bits = next(bits for bits in (1, 2, 4, 8) if colors <= 1 << bits)
        assert data[24] in (bits, 8 if bits > 1 else 1)  # whichever is smaller
        assert data[25] == 3


def test_what_stays_is_not_drawn_again_for_a_string():
    y, x = np.mgrid[:40, :60]
    waves = np.stack([np.sin(x / 9), np.cos(y / 9), np.sin((x + y) / 7)], axis=-1)
    first = np.uint8(np.rint(128 + 60 * waves))
    last, moved = first.copy(), np.s_[10:20, 10:30]
    last[moved] = 255 - last[moved]
    options = {"nu": 0.3, "space": "oklab", "speed": 9}
    palette = dithering.dither(first, colors=40, **options).palette
    options |= {"rate": 1e-4, "ending": ".gif"}
    pairs = [(first, None), (last, None)]
    before, after = animation.dither_frames(pairs, palette=palette, **options)
    changed = before.indices != after.indices
    assert changed[moved].any()
    changed[moved] = False
    assert not changed.any()


@pytest.mark.parametrize("plays", [0, 1, 2, 7])
@pytest.mark.parametrize("ending", [".png", ".gif"])
def test_how_often_it_is_played(ending, plays):
    data = animation.encode(
        moving(2, 4), palette_of(4), ending=ending, durations=[50, 50], plays=plays
    )
    assert images.Picture(data).plays == plays


def test_degrees_of_opacity_in_a_png():
    opacity = np.array([255, 128, 3, 0], np.uint8)
    data = animation.encode([np.arange(4, dtype=np.uint8)[None]], palette_of(4), opacity)
    (rgba,) = decoded(data)
    np.testing.assert_array_equal(rgba[0, :, 3], opacity)


def test_equal_frames_are_merged_and_take_as_long():
    frame = moving(1, 4)[0]
    for ending in (".png", ".gif"):
        other = 3 - frame
        data = animation.encode(
            [frame, frame, other], palette_of(4), ending=ending, durations=[50, 60, 70], plays=0
        )
        found = list(images.Picture(data).frames())
        assert [f.duration for f in found] == [110, 70]
        np.testing.assert_array_equal(found[1].values, palette_of(4)[other])


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("transparent", [False, True])
def test_a_webp_has_the_same_colours(count, transparent):
    frames, palette = moving(count, 16), palette_of(16)
    opacity = np.full(16, 255, np.uint8)
    opacity[:2] = 0, 128
    data = animation.encode(
        frames,
        palette,
        opacity if transparent else None,
        ending=".webp",
        durations=[40, 80, 120, 900][:count],
        plays=3,
    )
    found = list(decoded(data))
    assert len(found) == count
    for indices, rgba in zip(frames, found):
        if transparent:
            np.testing.assert_array_equal(rgba[..., 3], opacity[indices])
        seen = rgba[..., 3] > 0
        np.testing.assert_array_equal(rgba[seen][:, :3], palette[indices][seen])
    picture = images.Picture(data)
    assert picture.format == "WEBP"
    if count > 1:
        assert [frame.duration for frame in picture.frames()] == [40, 80, 120, 900]
        assert picture.plays == 3


@pytest.mark.parametrize("ending", [".png", ".gif", ".webp"])
def test_delays_whose_sum_no_frame_can_have(ending):
    frame = moving(1, 4)[0]
    frames, durations = [frame, frame, 3 - frame], [400_000, 400_000, 100]
    data = animation.encode(frames, palette_of(4), ending=ending, durations=durations, plays=0)
    with Image.open(io.BytesIO(data)) as image:
        delays = []
        for i in range(image.n_frames):
            image.seek(i)
            image.load()
            delays.append(image.info["duration"])
    assert sum(delays[:-1]) == pytest.approx(800_000, abs=10)
    assert delays[-1] == 100


def test_a_sorted_palette_shows_the_same():
    frames, palette = moving(3, 16), palette_of(256)[::-16]
    opacity = np.tile(np.uint8([255, 0, 128, 255]), 4)
    new, colours, kept = animation.arranged(frames, palette, opacity)
    for indices, other in zip(frames, new):
        np.testing.assert_array_equal(palette[indices], colours[other])
        np.testing.assert_array_equal(opacity[indices], kept[other])
    assert (np.diff(kept.astype(int)) >= 0).all()
    light = to_linear(colours) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light)[np.diff(kept.astype(int)) == 0] >= 0).all()


def test_contact_sheet():
    frames = [(np.full((4, 6, 3), i, np.uint8), None) for i in range(40)]
    sheet, seen = animation.contact_sheet(iter(frames), 40)
    assert sheet.shape == (16, 24, 3)
    assert seen.all()
    corners = sheet[::4, ::6, 0].ravel()
    assert corners.tolist() == sorted(set(corners.tolist()))
    assert (corners[0], corners[-1]) == (0, 37)
    mask = np.zeros((4, 6), bool)
    mask[1] = True
    sheet, seen = animation.contact_sheet(iter([(f, mask) for f, _ in frames[:3]]), 3)
    assert sheet.shape == (8, 12, 3)
    assert seen.sum() == 18
    assert not seen[4:, 6:].any()


def test_a_contact_sheet_of_large_frames_is_small(monkeypatch):
    monkeypatch.setattr(animation, "SHEET_PIXELS", 70)
    frames = [(np.full((4, 6, 3), i, np.uint8), None) for i in range(10)]
    sheet, seen = animation.contact_sheet(iter(frames), 10)
    assert sheet.shape == (4, 12, 3)
    assert seen.all()
    assert sheet[0, ::6, 0].tolist() == [0, 5]


def test_frames_start_from_the_one_before():
    y, x = np.mgrid[:32, :48]
    values = np.stack([5 * x, 7 * y, 255 - 5 * x], axis=-1).astype(np.uint8)
    moved = values.copy()
    moved[8:16, 8:16] = 255 - moved[8:16, 8:16]
    palette = np.uint8([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 160, 0], [0, 0, 255]])
    frames = [(values, None), (values, None), (moved, None)]
    first, second, third = animation.dither_frames(frames, palette=palette, speed=4)
    away = np.ones((32, 48), bool)
    away[2:22, 2:22] = False
    alone = dithering.dither(moved, palette=palette, speed=4, rng=1)
    for result in (second, third):
        np.testing.assert_array_equal(result.palette, palette)
        changed = (result.indices != first.indices)[away].mean()
        assert changed <= 0.5 * (alone.indices != first.indices)[away].mean()


def learned(frames, colors):
    sheet, _ = animation.contact_sheet([(values, None) for values in frames], len(frames))
    return dithering.dither(sheet, colors=colors).palette


@pytest.mark.parametrize("colour", [(64, 62, 70), (90, 80, 80), (130, 100, 100), (160, 120, 110)])
def test_what_moves_leaves_no_ghost(colour):
    frames = []
    for i in range(8):
        values = np.zeros((24, 64, 3), np.uint8)
        values[:] = 60, 60, 70
        values[:2] = 255
        values[8:14, 4 + 6 * i : 12 + 6 * i] = colour
        frames.append(values)
    pairs = [(values, None) for values in frames]
    for values, found in zip(frames, animation.dither_frames(pairs, palette=learned(frames, 16))):
        np.testing.assert_array_equal(found.image, values)


def test_what_fades_in_does_not_stop():
    frames = []
    for i in range(12):
        values = np.zeros((40, 80, 3), np.uint8)
        values[4:8] = 255
        values[12:36, 10:70] = 10 * i
        frames.append(values)
    pairs = [(values, None) for values in frames]
    for values, found in zip(frames, animation.dither_frames(pairs, palette=learned(frames, 16))):
        np.testing.assert_array_equal(found.image, values)


def test_art_of_60_colours_moves_exactly():
    palette = np.random.default_rng(5).integers(0, 256, (60, 3)).astype(np.uint8)
    art = palette[np.random.default_rng(6).integers(0, 60, (48, 48))]
    frames = [np.roll(art, 4 * i, 1) for i in range(4)]
    pairs = [(values, None) for values in frames]
    for values, found in zip(frames, animation.dither_frames(pairs, palette=learned(frames, 64))):
        np.testing.assert_array_equal(found.image, values)


def test_no_reward_where_the_frame_before_was_not_seen(monkeypatch):
    values, mask = np.zeros((6, 8, 3), np.uint8), np.ones((6, 8), bool)
    mask[:3] = False
    moved = values.copy()
    moved[:, :2] = 9
    asked = []

    def watched(frame, **options):
        asked.append(options.get("flicker"))
        return np.zeros((6, 8), np.uint8)

    monkeypatch.setattr(dithering, "dither", watched)
    palette = np.uint8([[0, 0, 0], [255, 255, 255]])
    list(animation.dither_frames([(values, mask), (moved, None)], palette=palette, flicker=2.0))
    expected = np.full((6, 8), 2.0)
    expected[:3] = expected[:, :2] = 0
    assert asked[0] is None
    np.testing.assert_array_equal(asked[1], expected)


def test_a_frame_in_which_nothing_is_seen():
    values, hidden = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool)
    frames = [(values, hidden), (values, ~hidden)]
    palette = np.uint8([[0, 0, 0], [255, 255, 255]])
    nothing, black = animation.dither_frames(frames, palette=palette, speed=9)
    assert nothing is None
    assert not black.indices.any()


def test_lifetimes_are_counted():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 2, (6, 5, 7, 1)).astype(np.uint8).repeat(3, axis=3)
    masks = rng.random((6, 5, 7)) < 0.8
    for seen in (False, True):
        pairs = [(f, m if seen else None) for f, m in zip(frames, masks)]
        found = np.array(list(animation.lifetimes(iter(pairs))))
        for i, y, x in np.ndindex(found.shape):
            last = i
            while last < 5 and (frames[last, y, x] == frames[last + 1, y, x]).all():
                if seen and not masks[last, y, x]:
                    break
                last += 1
            assert found[i, y, x] == last - i + 1


def test_errors_count_as_the_root_of_how_often_they_are_shown(monkeypatch):
    values, mask, asked = np.zeros((2, 3, 3), np.uint8), np.array([[1, 1, 0]] * 2, bool), []

    def watched(frame, **options):
        asked.append(options.get("weights"))
        return np.zeros((2, 3), np.uint8)

    monkeypatch.setattr(dithering, "dither", watched)
    palette = np.uint8([[0, 0, 0], [255, 255, 255]])
    for seen in (mask, None):
        times = [np.full((2, 3), 16), np.ones((2, 3), int)]
        pairs = [(values, seen), (values + 1, seen)]
        list(animation.dither_frames(pairs, palette=palette, lasting=times))
    np.testing.assert_array_equal(asked[0], 2 * mask)
    np.testing.assert_array_equal(asked[1], mask)
    np.testing.assert_array_equal(asked[2], np.full((2, 3), 2))
    assert asked[3] is None
