"""Frames of animated PNG and GIF files, against what their standards say, pixel by pixel."""

import io
import shutil
import struct
import subprocess
from fractions import Fraction

import numpy as np
import pytest
from animations import PALETTE, apng, gif, px
from png_files import chunk

from fastgrad.dithering.pictures import compositing, images

Image = pytest.importorskip("PIL.Image")

WHITE, RED, GREEN = (255, 255, 255, 255), (200, 30, 30, 255), (30, 160, 60, 255)


def read(data):
    """Return the frames in RGBA as `images` reads them, and their durations."""
    found = list(images.Picture(data).frames())
    shown = []
    for frame in found:
        opaque = np.full(frame.values.shape[:2], 255, np.uint8)
        shown.append(np.dstack([frame.values, opaque if frame.alpha is None else frame.alpha]))
    return shown, [frame.duration for frame in found]


OVER = apng(
    *(40, 30),
    [dict(px=px(40, 30, WHITE)), dict(px=px(20, 20, (200, 0, 0, 128)), x=5, y=5, blend=1)],
)
OVER_PREVIOUS = apng(
    *(40, 30),
    [
        dict(px=px(40, 30, WHITE)),
        dict(px=px(20, 20, (200, 0, 0, 255)), x=5, y=5, blend=1, dispose=2),
        dict(px=px(4, 4, (0, 0, 200, 255)), x=34, y=2, blend=1),
    ],
)
MIXED = gif(40, 30, [(0, 40, 30, 0, 0, 1, 20), (1, 10, 10, 5, 5, 2, 30), (2, 8, 8, 28, 18, 1, 7)])


def test_what_shines_through_is_laid_over():
    (first, second), durations = read(OVER)
    assert durations == [100, 100]
    np.testing.assert_array_equal(first, px(40, 30, WHITE))
    expected = px(40, 30, WHITE)
    expected[5:25, 5:25] = (227, 127, 127, 255)
    np.testing.assert_array_equal(second, expected)


def test_what_was_there_before_is_restored():
    (_, second, third), _ = read(OVER_PREVIOUS)
    assert second[10, 10].tolist() == [200, 0, 0, 255]
    expected = px(40, 30, WHITE)
    expected[2:6, 34:38] = (0, 0, 200, 255)
    np.testing.assert_array_equal(third, expected)


def test_what_is_cleared_in_a_gif_is_transparent():
    (first, second, third), durations = read(MIXED)
    assert durations == [200, 300, 70]
    np.testing.assert_array_equal(first, px(40, 30, WHITE))
    expected = px(40, 30, WHITE)
    expected[5:15, 5:15] = RED
    np.testing.assert_array_equal(second, expected)
    expected[5:15, 5:15, 3] = 0
    expected[18:26, 28:36] = GREEN
    np.testing.assert_array_equal(third[..., 3], expected[..., 3])
    seen = third[..., 3] > 0
    np.testing.assert_array_equal(third[seen], expected[seen])


@pytest.mark.parametrize("count", [1, 2])
def test_what_no_frame_of_a_gif_covers_is_transparent(count):
    frames = [(1, 10, 10, 5, 5, 1, 20), (2, 4, 4, 30, 20, 1, 20)][:count]
    shown, _ = read(gif(40, 30, frames))
    alpha = np.zeros((30, 40), np.uint8)
    alpha[5:15, 5:15] = 255
    np.testing.assert_array_equal(shown[0][..., 3], alpha)
    assert shown[0][5, 5].tolist() == list(RED)


def test_a_default_picture_is_no_part_of_the_animation():
    frames = [dict(px=px(8, 6, (i, 9, 9, 255))) for i in (1, 2)]
    shown, _ = read(apng(8, 6, frames, default=px(8, 6, (77, 7, 7, 255))))
    assert [values[0, 0, 0] for values in shown] == [1, 2]


def test_a_default_picture_before_a_single_frame():
    data = apng(8, 6, [dict(px=px(8, 6, GREEN), num=3)], default=px(8, 6, RED))
    (shown,), (duration,) = read(data)
    assert (shown == GREEN).all()
    assert duration == 300


@pytest.mark.parametrize("seed", range(4))
def test_a_png_pixel_by_pixel(seed):
    rng = np.random.default_rng(seed)
    canvas = [[(Fraction(0),) * 4 for _ in range(9)] for _ in range(7)]
    frames, expected = [], []
    for i in range(6):
        w, h = (9, 7) if i == 0 else rng.integers(1, 8, 2).tolist()
        x, y = rng.integers(0, 10 - w), rng.integers(0, 8 - h)
        dispose, blend = rng.integers(0, 3), rng.integers(0, 2)
        values = rng.integers(0, 256, (h, w, 4)).astype(np.uint8)
        values[..., 3] = rng.choice([0, 60, 128, 255], (h, w))
        delay = dict(num=int(rng.integers(1, 99)), den=int(rng.choice([0, 10, 1000])))
        frames.append(dict(px=values, x=x, y=y, dispose=dispose, blend=blend, **delay))
        before = [row.copy() for row in canvas]
        for a in range(h):
            for b in range(w):
                *colour, alpha = (Fraction(int(v)) for v in values[a, b])
                *below, its = canvas[y + a][x + b]
                mine, rest = alpha / 255, its / 255 * (1 - alpha / 255)
                if not blend or alpha == 255:
                    new = (*colour, alpha)
                elif alpha == 0:
                    new = (*below, its)
                else:
                    mixed = ((p * mine + q * rest) / (mine + rest) for p, q in zip(colour, below))
                    new = (*mixed, 255 * (mine + rest))
                canvas[y + a][x + b] = tuple(Fraction(round(v)) for v in new)
        expected.append(np.array([[[int(v) for v in p] for p in row] for row in canvas]))
        if dispose == 1 or (dispose == 2 and i == 0):
            for a in range(y, y + h):
                for b in range(x, x + w):
                    canvas[a][b] = (Fraction(0),) * 4
        elif dispose == 2:
            canvas = before
    shown, durations = read(apng(9, 7, frames))
    for values, right, frame, duration in zip(shown, expected, frames, durations):
        np.testing.assert_array_equal(values[..., 3], right[..., 3])
        seen = right[..., 3] > 0
        np.testing.assert_allclose(values[seen].astype(int), right[seen], atol=1)
        assert duration == pytest.approx(1000 * frame["num"] / (frame["den"] or 100))


@pytest.mark.parametrize("seed", range(4))
def test_a_gif_pixel_by_pixel(seed):
    rng = np.random.default_rng(seed)
    colours = np.frombuffer(PALETTE, np.uint8).reshape(4, 3)
    canvas, frames, expected = np.full((7, 9), -1), [], []
    for _ in range(7):
        w, h = rng.integers(1, 8, 2).tolist()
        x, y = (int(rng.integers(0, n)) for n in (9, 7))  # some reach beyond the picture
        disposal = int(rng.choice([0, 1, 2, 3]))
        indices = rng.integers(0, 4, (h, w))
        frames.append((indices.ravel().tolist(), w, h, x, y, disposal, 5))
        before = canvas.copy()
        for a in range(min(h, 7 - y)):
            for b in range(min(w, 9 - x)):
                if indices[a, b] != 3:
                    canvas[y + a, x + b] = indices[a, b]
        expected.append(canvas.copy())
        if disposal == 2:
            canvas[y : y + h, x : x + w] = -1
        elif disposal == 3:
            canvas = before
    frames = [([3] * 63, 9, 7, 0, 0, 1, 5), *frames]  # which sets the size, and nothing else
    shown, _ = read(gif(9, 7, frames, clear=3))
    for values, right in zip(shown[1:], expected):
        np.testing.assert_array_equal(values[..., 3] > 0, right >= 0)
        seen = right >= 0
        np.testing.assert_array_equal(values[seen][:, :3], colours[right[seen]])


@pytest.mark.optional
@pytest.mark.parametrize("data", [OVER, OVER_PREVIOUS], ids=["over", "previous"])
def test_ffmpeg_shows_the_same(data, tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    path = tmp_path / "clip.apng"
    path.write_bytes(data)
    command = ["ffmpeg", "-v", "error", "-i", path, "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgba", "-"]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    found = np.frombuffer(out, np.uint8).reshape(-1, 30, 40, 4)
    shown, _ = read(data)
    np.testing.assert_allclose(found, shown, atol=1)


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_any_damage_is_one_clear_line(form):
    whole = {"PNG": OVER_PREVIOUS, "GIF": MIXED}[form]
    for seed in range(80):
        rng = np.random.default_rng(seed)
        bad = bytearray(whole)
        if seed % 2:
            bad = bad[: rng.integers(0, len(bad))]
        else:
            for place in rng.integers(0, len(bad), 1 + seed % 7):
                bad[place] = rng.integers(0, 256)
        message = ""
        try:
            for frame in images.Picture(bytes(bad)).frames():
                assert frame.values.shape[2] == 3
        except images.FileError as error:
            message = str(error)
        assert "\n" not in message


def test_too_few_frames_are_damage():
    missing = OVER_PREVIOUS.replace(
        chunk(b"acTL", struct.pack(">II", 3, 0)), chunk(b"acTL", struct.pack(">II", 5, 0))
    )
    with pytest.raises(images.FileError, match="the file ends before frame 4 of 5"):
        read(missing)
    outside = apng(8, 6, [dict(px=px(8, 6, WHITE)), dict(px=px(4, 4, RED), x=6)])
    with pytest.raises(images.FileError, match="not inside the picture"):
        read(outside)


@pytest.mark.parametrize("mode", ["P", "L", "LA", "RGB", "1"])
@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_modes(mode, form):
    if form == "GIF" and mode == "LA":
        pytest.skip("a GIF has a palette")
    grey = np.random.default_rng(0).integers(0, 256, (3, 12, 10)).astype(np.uint8)
    shown = [Image.fromarray(values).convert(mode) for values in grey]
    file = io.BytesIO()
    shown[0].save(file, form, save_all=True, append_images=shown[1:], duration=50)
    found, durations = read(file.getvalue())
    assert durations == [50, 50, 50]
    for values, image in zip(found, shown):
        np.testing.assert_array_equal(values[..., :3], image.convert("RGB"))


def test_16_bits_of_grey():
    grey = np.random.default_rng(0).integers(0, 65536, (3, 12, 10)).astype(">u2")
    data = apng(10, 12, [dict(px=values) for values in grey], depth=16, kind=0)
    for values, right in zip(read(data)[0], grey):
        np.testing.assert_array_equal(values[..., 1], np.rint(right / 257))


@pytest.mark.parametrize(("depth", "kind"), [(2, 0), (4, 0), (16, 2), (16, 0)])
def test_a_transparent_colour(depth, kind):
    values = np.random.default_rng(0).integers(0, 1 << depth, (2, 12, 8, 3)).astype(np.uint16)
    values = values if kind else values[..., :1]
    packed = values.astype(">u2")
    if depth < 8:
        bits = np.unpackbits(values.astype(np.uint8), axis=-1)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(2, 12, -1), axis=-1)
    data = apng(8, 12, [dict(px=one, w=8) for one in packed], depth=depth, kind=kind)
    clear = values[0, 3, 4]
    trns = chunk(b"tRNS", clear.astype(">u2").tobytes())
    for shown, given in zip(read(data[:33] + trns + data[33:])[0], values):
        opacity = np.where((given == clear).all(axis=-1), 0, 255)
        np.testing.assert_array_equal(shown[..., 3], opacity)


def test_values_are_laid_over_values():
    values = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 4)).astype(np.uint8)
    clear = values[0] * np.uint8([1, 1, 1, 0])
    np.testing.assert_array_equal(compositing.over(clear, values[1])[..., 3], values[1][..., 3])
    full = values[0] | np.uint8([0, 0, 0, 255])
    np.testing.assert_array_equal(compositing.over(full, values[1]), full)
