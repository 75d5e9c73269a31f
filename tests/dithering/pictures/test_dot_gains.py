"""Dot gain as it is given, and pictures that allow for it."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering import DotGain
from fastgrad.dithering.eye.colour import to_linear
from fastgrad.dithering.pictures.dot_gains import EXCLUDES, dot_gain_for, read
from fastgrad.dithering.pictures.images import FileError
from fastgrad.dithering.run import Run

BLACK_AND_WHITE = ["#000000", "#ffffff"]
LEVELS = [60, 100, 140, 180, 220]


def fields():
    """Fields of grey, 32 x 32 each, whose rows begin with a little noise."""
    noise = np.random.default_rng(0).integers(-2, 3, (32, 32 * len(LEVELS)))
    return (np.repeat(LEVELS, 32) + noise).astype(np.uint8)


def light_of(gain, picture):
    """The light of each field as it is seen, without its border."""
    seen = 1 - gain.cover(picture == 0)
    return np.array([seen[4:-4, x + 4 : x + 28].mean() for x in range(0, seen.shape[1], 32)])


@pytest.mark.parametrize("gain", [DotGain.grown(20), DotGain.round(0.8)], ids=["grown", "round"])
def test_tones_are_seen_as_they_should_be(gain):
    image = fields()
    wanted = [to_linear(image[4:-4, x + 4 : x + 28]).mean() for x in range(0, image.shape[1], 32)]
    found = fg.dither(image, palette=BLACK_AND_WHITE, dot_gain=gain)
    error = light_of(gain, found.indices) - wanted
    assert abs(error).max() < 0.015
    plain = fg.dither(image, palette=BLACK_AND_WHITE)
    dark = light_of(gain, plain.indices) - wanted
    assert dark.max() < -0.02  # too dark without it, by much in the middle
    assert dark.min() < -0.1


def test_the_loss_and_its_figures_are_of_what_is_seen(monkeypatch):
    image = fields()
    found = fg.dither(image, preset="bw", dot_gain=25)
    plain = fg.dither(image, preset="bw")
    assert set(found.metrics) == set(plain.metrics)
    assert found.metrics["blurred_psnr"] > 30
    zero = fg.dither(image, preset="bw", dot_gain=0)
    monkeypatch.setattr(Run, "_steers", False)  # as searches for printers are not
    plain = fg.dither(image, preset="bw")
    assert zero.loss[-1] == pytest.approx(plain.loss[-1], rel=0.05)
    orders = BLACK_AND_WHITE, BLACK_AND_WHITE[::-1]
    one, other = (fg.dither(image, palette=order, dot_gain=25).image for order in orders)
    np.testing.assert_array_equal(one, other)


def test_light_dots_are_dark_ones_turned_over():
    image = np.random.default_rng(1).random((24, 32), np.float32)
    options = {"palette": BLACK_AND_WHITE, "space": "linear", "local_weights": False}
    dark = fg.dither(image, dot_gain=DotGain.grown(20), **options)
    light = fg.dither(image, dot_gain=DotGain.grown(20, "light"), **options)
    assert light.indices.mean() < dark.indices.mean()


def test_what_is_pinned_stays_and_is_seen_by_its_neighbours():
    image = np.full((24, 48), 200, np.uint8)
    image[:, 20:28] = 0
    found = fg.dither(image, preset="bw", dot_gain=25, solid=True)
    assert (found.indices[:, 20:28] == 0).all()
    beside = found.indices[2:-2, [19, 28]]
    assert beside.mean() > found.indices[2:-2, 2:18].mean()  # the bar's own gain is dark enough


def test_steps_are_told_and_snapshots_are_right():
    steps = []

    def note(progress):
        steps.append((progress.stage, progress.loss))
        snapshots.append(progress.snapshot())

    snapshots = []
    found = fg.dither(fields(), preset="bw", dot_gain=25, callback=note)
    assert steps[0][0] == "palette"
    np.testing.assert_allclose(snapshots[-1].loss[-1], found.loss[-1], rtol=0.05)


def test_files(tmp_path):
    path = tmp_path / "gain.json"
    for content, table in (
        ({"percent": 15}, DotGain.grown(15).table),
        ({"radius": 0.9}, DotGain.round(0.9).table),
        ({"table": [0.25] * 512, "dots": "light"}, np.full(512, 0.25)),
    ):
        path.write_text(json.dumps(content))
        found = read(path)
        np.testing.assert_array_equal(found.table, table)
        assert found.dots == content.get("dots", "dark")
    assert dot_gain_for(path, None, "bw").dots == "light"
    wrong = ["{", "[]", "{}", '{"percent": 5, "radius": 1}', '{"percent": 5, "x": 1}']
    for text in [*wrong, '{"percent": 90}', '{"radius": "a"}', '{"table": [1]}', "[" * 99999]:
        path.write_text(text)
        with pytest.raises(FileError, match=r"not a dot gain: .*gain\.json: "):
            read(path)
    with pytest.raises(FileError, match="cannot read"):
        read(tmp_path / "nothing.json")


def test_what_is_refused():
    image = np.zeros((8, 8), np.uint8)
    with pytest.raises(ValueError, match="palette or preset must have two colours with dot_gain"):
        fg.dither(image, dot_gain=20)
    with pytest.raises(ValueError, match="must have two colours with dot_gain, got 6"):
        fg.dither(image, preset="spectra6", dot_gain=20)
    with pytest.raises(ValueError, match="dot_gain must be from 0 to 50, got 70"):
        fg.dither(image, preset="bw", dot_gain=70)
    with pytest.raises(TypeError, match="dot_gain must be a number"):
        fg.dither(image, preset="bw", dot_gain="much")
    with pytest.raises(ValueError, match="space must be 'linear' or 'opponent' or 'yycxcz' with"):
        fg.dither(image, preset="bw", dot_gain=20, space="oklab")
    with pytest.raises(ValueError, match="dot_gain must be left out with tiles"):
        fg.dither(image, tiles="gbc", dot_gain=20)
    values = {"choose": 2, "lock_colors": True, "pattern": "ordered", "structure": 0.1}
    values |= {"previous": image, "rate": 0.1, "max_bytes": 9, "quality": 50}
    assert set(values) == set(EXCLUDES)
    for name, value in values.items():
        with pytest.raises(ValueError, match=f"{name} must be left out with dot_gain"):
            fg.dither(image, preset="bw", dot_gain=20, **{name: value})


def test_files_of_pictures(tmp_path):
    pytest.importorskip("PIL.Image")
    source = tmp_path / "fields.png"
    fg.dither(fields(), preset="grey16").save(source)
    (made,) = fg.dither_files(source, output=tmp_path / "out.png", preset="bw", dot_gain=20)
    assert made.error is None
    (plain,) = fg.dither_files(source, output=tmp_path / "plain.png", preset="bw")
    light = [np.asarray(fg_image(one.target)).mean() for one in (made, plain)]
    assert light[0] > light[1] + 0.05
    with pytest.raises(ValueError, match="must have two colours with dot_gain"):
        fg.dither_files(source, output=tmp_path / "no.png", preset="grey4", dot_gain=20)
    with pytest.raises(ValueError, match="rate must be left out with dot_gain"):
        fg.dither_files(source, output=tmp_path / "no.png", preset="bw", dot_gain=20, rate=0.1)


def fg_image(path: Path):
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("L")) / 255
