"""Animations, stepped through in Chromium: what was dithered beside its source, frame by frame.

The browser's decoders of PNG, GIF, WebP and AVIF are not ours, nor Pillow's. Needs Chromium, found
on the path or by CHROMIUM, and the package playwright.
"""

import base64
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from animations import apng, gif, px

from fastgrad import cli
from fastgrad.dithering.pictures import images

Image = pytest.importorskip("PIL.Image")
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.optional,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
STEPS = """
async ([data, type]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const decoder = new ImageDecoder({data: bytes, type, preferAnimation: true});
  await decoder.tracks.ready;
  await decoder.completed;
  const track = decoder.tracks.selectedTrack, frames = [];
  for (let frameIndex = 0; frameIndex < track.frameCount; frameIndex++) {
    const {image} = await decoder.decode({frameIndex});
    const values = new Uint8Array(image.allocationSize({format: "RGBA"}));
    await image.copyTo(values, {format: "RGBA"});
    const text = Array.from(values, (value) => String.fromCharCode(value)).join("");
    frames.push([image.displayHeight, image.displayWidth, btoa(text), image.duration]);
    image.close();
  }
  return [frames, track.repetitionCount];
}
"""
WHITE, RED, GREEN, BLUE = (
    (255, 255, 255, 255),
    (200, 0, 0, 255),
    (30, 160, 60, 255),
    (0, 0, 200, 255),
)
GLASS, NOTHING = (200, 0, 0, 128), (0, 0, 0, 0)


def pillow(form, frames, **options):
    """Write an animation of opaque or transparent frames as Pillow does, which cuts them down."""
    pictures = [Image.fromarray(values) for values in frames]
    options = {"duration": 100, "loop": 0, **options}
    file = io.BytesIO()
    pictures[0].save(file, form, save_all=True, append_images=pictures[1:], **options)
    return file.getvalue()


def ghost(colour):
    """A sprite that moves over a ground of nearly its colour."""
    frames = []
    for i in range(8):
        values = np.full((24, 64, 3), (60, 60, 70), np.uint8)
        values[:2], values[8:14, 4 + 6 * i : 12 + 6 * i] = 255, colour
        frames.append(values)
    return frames


def fade():
    """A field that grows light."""
    frames = []
    for i in range(12):
        values = np.zeros((40, 80, 3), np.uint8)
        values[4:8], values[12:36, 10:70] = 255, 10 * i
        frames.append(values)
    return frames


def art():
    """Pixels of 60 colours that move."""
    colours = np.random.default_rng(5).integers(0, 256, (60, 3)).astype(np.uint8)
    values = colours[np.random.default_rng(6).integers(0, 60, (48, 48))]
    return [np.roll(values, 4 * i, 1) for i in range(4)]


def drifting(transparent):
    """Frames in which a rectangle moves, on a ground that is opaque or is not there."""
    frames = []
    for i in range(5):
        values = px(40, 30, NOTHING if transparent else WHITE)
        values[4 + 3 * i : 12 + 3 * i, 2 + 5 * i : 16 + 5 * i] = (RED, GREEN, BLUE)[i % 3]
        frames.append(values)
    return frames


def random_png(seed):
    """Blocks anywhere, disposed and blended in any way, some of them half transparent."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(7):
        w, h = (40, 30) if i == 0 else rng.integers(1, (31, 21))
        x, y = (0, 0) if i == 0 else rng.integers(0, (40 - w + 1, 30 - h + 1))
        colour = (WHITE, RED, GREEN, BLUE, GLASS, NOTHING)[rng.integers(6)]
        frame = {"px": px(w, h, colour), "x": x, "y": y, "num": rng.integers(2, 90), "den": 100}
        frames.append(frame | {"dispose": rng.integers(3), "blend": rng.integers(2)})
    return apng(40, 30, frames, default=px(40, 30, GREEN) if seed % 2 else None)


def random_gif(seed):
    """The same of a GIF, the first block covering all of it or not."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(7):
        w, h = (40, 30) if i == 0 and seed % 2 else (int(n) for n in rng.integers(1, (31, 21)))
        x, y = (int(n) for n in rng.integers(0, (40 - w + 1, 30 - h + 1)))
        indices = rng.integers(0, 4, w * h).tolist()
        frames.append((indices, w, h, x, y, int(rng.integers(4)), int(rng.integers(2, 90))))
    return gif(40, 30, frames, clear=3 if seed % 3 else None)


WAITING = [40, 80, 120, 900]
FLAT = [px(64, 48, (i * 60, 255 - i * 50, 90, 255)) for i in range(4)]
ANIMATIONS = {
    "over.png": apng(40, 30, [{"px": px(40, 30, WHITE)}, dict(px=px(20, 20, GLASS), x=5, blend=1)]),
    "previous.png": apng(
        *(40, 30),
        [
            dict(px=px(40, 30, WHITE)),
            dict(px=px(20, 20, RED), x=5, y=5, blend=1, dispose=2),
            dict(px=px(4, 4, BLUE), x=34, y=2, blend=1),
        ],
    ),
    "glass.png": apng(
        *(40, 30),
        [
            dict(px=px(40, 30, NOTHING)),
            dict(px=px(20, 20, GLASS), x=2, y=2),
            dict(px=px(20, 20, BLUE), x=12, y=8, blend=1, dispose=1),
            dict(px=px(9, 9, GLASS), x=16, y=10, blend=1),
        ],
    ),
    "mixed.gif": gif(
        40, 30, [(0, 40, 30, 0, 0, 1, 20), (1, 10, 10, 5, 5, 2, 30), (2, 8, 8, 28, 18, 1, 7)]
    ),
    "uncovered.gif": gif(40, 30, [(1, 10, 10, 5, 5, 1, 20), (2, 8, 8, 20, 10, 3, 30)]),
    "long.gif": gif(
        8, 8, [(0, 8, 8, 0, 0, 0, 40000), (0, 8, 8, 0, 0, 0, 40000), (1, 8, 8, 0, 0, 0, 10)]
    ),
    "delays.webp": pillow("WEBP", FLAT, duration=WAITING, loop=3, lossless=True),
    "delays.avif": pillow("AVIF", FLAT, duration=WAITING, quality=100, subsampling="4:4:4"),
    "drifting.webp": pillow("WEBP", drifting(False), lossless=True, minimize_size=True),
    "holes.webp": pillow("WEBP", drifting(True), lossless=True, exact=True),
    "holes.gif": pillow("GIF", drifting(True), disposal=2),
    "ghost.png": pillow("PNG", ghost((72, 66, 70))),
    "fade.png": pillow("PNG", fade()),
    "art.png": pillow("PNG", art()),
}
ANIMATIONS |= {f"random{seed}.png": random_png(seed) for seed in range(4)}
ANIMATIONS |= {f"random{seed}.gif": random_gif(seed) for seed in range(4)}


@pytest.fixture(scope="module")
def page():
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"))
        page.goto("http://localhost/")  # which may use the decoders, and asks nobody
        yield page
        browser.close()


def shown(page, data, form):
    """Return the frames as premultiplied values, their times in ms, and how often they repeat."""
    sent = [base64.b64encode(data).decode(), f"image/{form}"]
    frames, repetitions = page.evaluate(STEPS, sent)
    values = [
        np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
        for height, width, text, _ in frames
    ]
    return values, [time / 1000 for *_, time in frames], repetitions


def timeline(frames, times):
    """Return when each picture begins and what it is, equal ones in a row being one."""
    begun, whole = 0.0, []
    for values, time in zip(frames, times):
        if not whole or not np.array_equal(whole[-1][1], values):
            whole.append((begun, values))
        begun += time
    return whole, begun


def premultiplied(values):
    alpha = values[..., 3:] / 255
    return np.concatenate([values[..., :3] * alpha, values[..., 3:]], axis=-1)


@pytest.mark.parametrize("name", ANIMATIONS)
def test_each_frame_is_what_a_browser_shows(page, name, tmp_path, capsys):
    data = ANIMATIONS[name]
    form = name.rpartition(".")[2]
    expected, times, repetitions = shown(page, data, form)
    ours = list(images.Picture(data).frames())
    assert [frame.duration for frame in ours] == times
    for frame, values in zip(ours, expected, strict=True):
        alpha = np.uint8(255) if frame.alpha is None else frame.alpha[..., None]
        both = np.concatenate([frame.values, np.broadcast_to(alpha, (*values.shape[:2], 1))], -1)
        error = np.abs(premultiplied(both) - premultiplied(values))
        assert error.max() <= (3 if form == "avif" else 1)  # browsers round on the way

    source = tmp_path / name
    source.write_bytes(data)
    endings = {form} if name.startswith("random") else {"png", "webp", form} - {"avif"}
    for ending in endings:
        made = tmp_path / f"made.{ending}"
        assert cli.main(["dither", str(source), "-k", "64", "-o", str(made), "-q"]) == 0
        found = shown(page, Path(made).read_bytes(), ending)
        assert found[2] == repetitions or form == "avif"
        (wanted, end), (given, over) = timeline(expected, times), timeline(*found[:2])
        assert over == pytest.approx(end)
        assert [begun for begun, _ in given] == pytest.approx([begun for begun, _ in wanted])
        for (_, values), (_, picture) in zip(wanted, given, strict=True):
            error = np.abs(premultiplied(picture) - premultiplied(values))
            assert error.max() <= (3 if form == "avif" else 1)
    assert capsys.readouterr().err == ""
