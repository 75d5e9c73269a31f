"""Animations of a quality: one palette for all frames, or one for each."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.choices import Choice
from fastgrad.dithering.files import sized
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.pictures.excerpts import Excerpt

Image = pytest.importorskip("PIL.Image")


def clip():
    """Two frames of other colours, of which a stripe stays."""
    y, x = np.mgrid[:24, :32]
    waves = [np.stack([np.sin(x / a), np.cos(y / a), np.sin((x + y) / 9)], -1) for a in (4, 6)]
    first, last = (np.uint8(np.rint(128 + 60 * wave)) for wave in waves)
    last[..., 0], last[:, :8] = 255 - last[..., 2], first[:, :8]
    return first, last


@pytest.mark.parametrize(("ending", "apart"), [(".gif", True), (".gif", False), (".png", False)])
def test_frames_of_a_gif_may_have_their_own_colours(tmp_path, monkeypatch, ending, apart):
    frames = clip()
    path, output = tmp_path / "clip.png", tmp_path / f"out{ending}"
    first, last = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=[last])

    def climb(merit, start, colors, strengths):
        assert list(strengths) == ([0, 1, 2] if ending == ".gif" else [0])
        assert merit(Choice(2, 2 * apart)) < 0
        return Choice(2, 2 * apart)

    monkeypatch.setattr(sized, "climb", climb)
    sizes = sized._Work.size_of
    monkeypatch.setattr(  # those of one palette look large, if they are not to be chosen
        sized._Work, "size_of", lambda work, made: sizes(work, made) * (1 + apart * (not made.own))
    )
    (result,) = fg.dither_files(path, output=output, quality=50, speed=10)
    assert result.error is None
    with Image.open(output) as image:
        shown = []
        for i in range(2):
            image.seek(i)
            shown.append(np.asarray(image.convert("RGB")))
    scores = [Ssimulacra2(values).score(picture) for values, picture in zip(frames, shown)]
    assert 50 <= min(scores) < 82  # a small picture is all edges
    assert len(result.palette) <= 16
    counts = [len(np.unique(picture.reshape(-1, 3), axis=0)) for picture in shown]
    both = len(np.unique(np.reshape(shown, (-1, 3)), axis=0))
    assert (both > max(counts) and both > 16) == apart
    if apart:
        np.testing.assert_array_equal(shown[0][:, :8], shown[1][:, :8])


def test_more_colours_are_taken_where_some_do_not_do(tmp_path, monkeypatch):
    path = tmp_path / "clip.png"
    first, last = map(Image.fromarray, clip())
    first.save(path, save_all=True, append_images=[last])
    monkeypatch.setattr(sized, "climb", lambda *_: Choice(0, 0))
    (result,) = fg.dither_files(path, output=tmp_path / "out.gif", quality=80, speed=10)
    assert result.error is None
    assert len(result.palette) > 4


def test_the_smallest_of_all_files_of_the_quality_is_kept(tmp_path, monkeypatch):
    path, output, sizes, quality = tmp_path / "clip.png", tmp_path / "out.gif", [], 70
    first, last = map(Image.fromarray, clip())
    first.save(path, save_all=True, append_images=[last])
    made, size_of, own = sized._Work.made, sized._Work.size_of, Choice(5, 2)

    def judged(work, options, *, judged=False):
        """With a rate, frames of own palettes lose all, which those that are tried do not tell."""
        outcome = made(work, options, judged=judged)
        if not isinstance(work.picture, Excerpt):
            if outcome.own and options.get("rate"):
                outcome.scores = [0.0 for _ in outcome.scores]
            if outcome.score >= quality:
                sizes.append(size_of(work, outcome))
        return outcome

    def measured(work, outcome):
        return 1 if isinstance(work.picture, Excerpt) and outcome.own else size_of(work, outcome)

    monkeypatch.setattr(sized, "climb", lambda merit, *_: own if merit(own) else None)
    monkeypatch.setattr(sized._Work, "made", judged)
    monkeypatch.setattr(sized._Work, "size_of", measured)
    (result,) = fg.dither_files(path, output=output, quality=quality, speed=10)
    assert result.error is None
    assert len(sizes) > 2
    assert output.stat().st_size == min(sizes) < 0.9 * max(sizes)


def test_a_lower_quality_takes_no_more_bytes(tmp_path):
    path, sizes = tmp_path / "clip.png", []
    y, x = np.mgrid[:36, :48]
    still = np.stack([np.sin(x / 4 + np.sin(y / 6)), np.cos(y / 5), np.sin((x + y) / 7)], -1)
    frames = []
    for place in (10, 20, 30):
        inside = np.hypot(y - 18, x - place) < 8
        values = np.where(inside[..., None], still[::-1, ::-1, [2, 0, 1]], still)
        frames.append(Image.fromarray(np.uint8(128 + 100 * values)))
    frames[0].save(path, save_all=True, append_images=frames[1:])
    for quality in (45, 70):
        output = tmp_path / f"{quality}.gif"
        (result,) = fg.dither_files(path, output=output, quality=quality, speed=10)
        assert result.error is None
        sizes.append(output.stat().st_size)
    assert sizes == sorted(sizes)
