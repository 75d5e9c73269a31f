"""The work on one picture file; what the command makes of it is tested there."""

import io

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.files import one_picture, outcome
from fastgrad.dithering.pictures import images

Image = pytest.importorskip("PIL.Image")
ImageSequence = pytest.importorskip("PIL.ImageSequence")
y, x = np.mgrid[:16, :24]
VALUES = np.stack([9 * x, 15 * y, 255 - 9 * x], axis=-1).astype(np.uint8)
SETTINGS = outcome.Settings(None, None, False, 4, "keep", None, {"speed": 9})


def picture():
    file = io.BytesIO()
    Image.fromarray(VALUES).save(file, "PNG")
    return images.Picture(file.getvalue())


def test_a_file_is_dithered_as_its_pixels():
    source = picture()
    made = one_picture.run(source, SETTINGS, quiet=True)
    np.testing.assert_array_equal(made.shown, fg.dither(VALUES, colors=4, speed=9).image)
    data, (indices,) = made.encode(".png", source, SETTINGS)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), made.shown)
    np.testing.assert_array_equal(made.palette[indices], made.shown)
    assert made.complete


def test_an_animation_with_soft_edges_has_no_more_entries_than_asked_for(tmp_path):
    y, x = np.mgrid[:32, :48]
    frames = []
    for i in range(4):
        alpha = np.clip(255 - 24 * np.hypot(y - 16, x - 12 - 8 * i), 0, 255).astype(np.uint8)
        values = np.broadcast_to(np.uint8([200, 60, 30]), (32, 48, 3)).copy()
        values[y < 16] = [30, 60, 200]
        frames.append(np.dstack([values, alpha]))
    first, *rest = map(Image.fromarray, frames)
    first.save(tmp_path / "a.png", save_all=True, append_images=rest, duration=80, loop=0)
    (done,) = fg.dither_files(tmp_path / "a.png", output=tmp_path / "b.png", colors=24)
    assert done.error is None
    with Image.open(tmp_path / "b.png") as found:
        assert found.n_frames == 4
        for i, frame in enumerate(frames):
            found.seek(i)
            shown = np.asarray(found.convert("RGBA")).astype(float)
            assert np.abs(shown[..., 3] - frame[..., 3]).mean() < 6
            premultiplied = [a[..., :3] * (a[..., 3:] / 255) for a in (shown, frame.astype(float))]
            assert np.abs(premultiplied[0] - premultiplied[1]).mean() < 6
    entries = np.unique(np.concatenate([_rgba(tmp_path / "b.png", i) for i in range(4)]), axis=0)
    assert len(entries) <= 24


def test_what_is_still_stays_where_opacity_is_soft(tmp_path):
    """Also where another part of the first frame is off by more than any of the second."""
    alpha = np.tile(np.linspace(165, 242, 48).astype(np.uint8), (2, 32, 1))
    alpha[0, 28:, 40:] = 89
    values = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).repeat(8, 0).repeat(8, 1)
    first, second = (Image.fromarray(np.dstack([values, a]).astype(np.uint8)) for a in alpha)
    first.save(tmp_path / "a.png", save_all=True, append_images=[second], duration=80)
    (done,) = fg.dither_files(tmp_path / "a.png", output=tmp_path / "b.png", colors=8)
    assert done.error is None
    with Image.open(tmp_path / "b.png") as found:
        shown = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(found)]
    assert (shown[0] != shown[1])[:20].any(axis=-1).mean() < 0.04


def _rgba(path, i):
    """The different colours, with their opacity, of a frame; hidden ones are one."""
    with Image.open(path) as image:
        image.seek(i)
        colors = np.asarray(image.convert("RGBA")).reshape(-1, 4)
    return np.unique(np.where(colors[:, 3:] > 0, colors, 0), axis=0)


def test_hidden_colours_reach_the_file(tmp_path):
    values = np.dstack([VALUES, np.where(x < 6, 0, 255).astype(np.uint8)])
    values[x < 6, :3] = [255, 0, 255]
    Image.fromarray(values).save(tmp_path / "a.png")
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    for palette in ({"colors": 8}, {"palette": ["#000000", "#ff8080", "#80ff80"]}):
        (done,) = fg.dither_files(source, output=target, hidden=True, **palette)
        assert done.error is None
        with Image.open(target) as found:
            shown = np.asarray(found.convert("RGBA"))
        np.testing.assert_array_equal(shown[x < 6], [[255, 0, 255, 0]] * 96)
        assert (shown[x >= 6][:, 3] == 255).all()


def test_hidden_colours_of_a_picture_of_which_nothing_is_seen(tmp_path):
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    values = np.dstack([VALUES, np.zeros_like(x, np.uint8)])
    values[..., :3] = np.where(x < 6, 200, 40)[..., None]
    Image.fromarray(values).save(source)
    (done,) = fg.dither_files(source, output=target, hidden=True, colors=16)
    assert done.error is None
    with Image.open(target) as found:
        np.testing.assert_array_equal(np.asarray(found.convert("RGBA")), values)
