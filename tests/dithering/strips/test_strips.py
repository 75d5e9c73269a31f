"""Pictures in strips: the same for any number of them, and as good as a whole one."""

from dataclasses import replace

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.metrics.s_cielab_and_flip import s_cielab
from fastgrad.dithering.optimiser.diffusion import diffuse_rows, limits_of
from fastgrad.dithering.optimiser.search import in_vectors
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures import images
from fastgrad.dithering.pictures.sources import ArraySource
from fastgrad.dithering.run import Run
from fastgrad.dithering.strips.conversion import Conversion
from fastgrad.dithering.strips.learning import learn
from fastgrad.dithering.strips.strips import dither_strips, settled
from fastgrad.dithering.strips.weights import WeightSource

RNG = np.random.default_rng(0)


def picture(height, width):
    y, x = np.mgrid[:height, :width]
    image = np.stack([y * 255 / height, x * 255 / width, 128 + 90 * np.sin(y / 19)], axis=-1)
    return np.clip(image + RNG.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


IMAGE = picture(1000, 70)


@pytest.fixture
def small(monkeypatch):
    """Whatever has more than 5000 pixels is large."""
    monkeypatch.setattr(images, "MAX_PIXELS", 5000)


def whole(image, learned, **options):
    strips = list(settled(ArraySource(image), learned, **options))
    return [np.concatenate([strip[i] for strip in strips]) for i in (1, 2)]


def test_the_picture_is_the_same_for_any_number_of_strips():
    learned = learn(ArraySource(IMAGE), colors=6, pace=Pace(10))
    indices, sums = whole(IMAGE, learned, rows=1024)
    for rows in (128, 256, 512):
        again = whole(IMAGE, learned, rows=rows)
        np.testing.assert_array_equal(again[0], indices)
        np.testing.assert_array_equal(again[1], sums)
    below = whole(IMAGE, learned, first=601)
    np.testing.assert_array_equal(below[0], indices[601:])
    np.testing.assert_array_equal(below[1], sums[601:])


@pytest.mark.slow
def test_1_2_7_and_64_strips():
    image = picture(64 * 128, 40)
    learned = learn(ArraySource(image), colors=6, pace=Pace(10))
    indices, _ = whole(image, learned, rows=64 * 128)
    for strips in (2, 7, 64):
        rows = -(-64 // strips) * 128
        np.testing.assert_array_equal(whole(image, learned, rows=rows)[0], indices)


def test_the_last_sweeps_aim_at_what_is_missing():
    y, x = np.mgrid[:300, :90]
    waves = np.stack([40 + 30 * np.sin(x / 9), 36 + 20 * np.sin(y / 11 + x / 30), 50 + y / 19], -1)
    ratios = []
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(0, 2, waves.shape)
        image = np.clip(waves + noise, 0, 255).astype(np.uint8)
        learned = learn(ArraySource(image), colors=16)
        assert 0 < learned.compensated < learned.sweeps
        truer, plain = (
            learned.palette[whole(image, each, rows=128)[0]]
            for each in (learned, replace(learned, compensated=0))
        )
        ratios.append(s_cielab(truer, image) / s_cielab(plain, image))
    assert np.mean(ratios) < 0.95
    given = learn(ArraySource(image), palette=["#000", "#fff"])
    drawn = np.zeros((90, 90, 3), np.uint8)
    drawn[50:, :40] = 255, 0, 0
    drawn[:9] = image[:9]
    pinned = learn(ArraySource(drawn), colors=4)
    assert pinned.pinning == "near"
    assert given.compensated == pinned.compensated == 0


def test_no_seam_can_be_measured():
    image = picture(1536, 160)
    learned = learn(ArraySource(image), colors=8, pace=Pace(10))
    _, sums = whole(image, learned)
    rows, loss = np.arange(len(sums)) % 256, sums[:, 0]
    near = (rows < 4) | (rows >= 252)
    near[:4] = near[-4:] = False
    # The same rows of the bands in which there are no borders of strips, as a measure of chance.
    others = [loss[(rows >= at) & (rows < at + 8)].mean() for at in range(4, 252, 8)]
    assert abs(loss[near].mean() / np.mean(others) - 1) < 3 * np.std(others) / np.mean(others)


@pytest.mark.slow
def test_eight_rows_at_borders_are_as_good_as_others_to_one_per_cent():
    """Of strips of 128 rows, in a picture that differ by chance only."""
    x = np.arange(640)
    image = 128 + 50 * np.sin(x / 11) + RNG.normal(0, 12, (48 * 128, len(x)))
    source = ArraySource(np.clip(image, 0, 255).astype(np.uint8))
    learned = learn(source, palette=["#000", "#555", "#aaa", "#fff"], pace=Pace(10))
    loss = np.concatenate([strip.sums[:, 0] for strip in settled(source, learned, rows=128)])
    bands = np.roll(loss, 4).reshape(48, 128)[1:]  # rows 0 to 7 are around a border
    assert abs(bands[:, :8].mean() / bands[:, 8:].mean() - 1) < 0.01


def test_an_array_of_many_pixels_is_dithered_in_strips(small, tmp_path):
    path = tmp_path / "rows"
    mapped = np.memmap(path, np.uint8, "w+", shape=IMAGE.shape)
    mapped[:] = IMAGE
    mapped.flush()
    seen, shots = [], []

    def callback(progress):
        seen.append(progress)
        if progress.step in (1, progress.steps):
            shots.append(progress.snapshot())

    result = fg.dither(mapped, colors=5, speed=10, rng=3, callback=callback)
    np.testing.assert_array_equal(
        result.indices, fg.dither(IMAGE, colors=5, speed=10, rng=3).indices
    )
    assert result.indices.shape == IMAGE.shape[:2]
    assert result.palette.shape == (5, 3)
    assert result.metrics["colors"] == 5
    steps = [p.step for p in seen]
    assert steps == sorted(steps)
    assert {p.steps for p in seen} == {IMAGE[..., 0].size}
    assert steps[-1] == IMAGE[..., 0].size
    first, last = shots
    assert first.indices.shape == IMAGE.shape[:2]
    np.testing.assert_array_equal(last.indices, result.indices)
    assert last.metrics == result.metrics
    assert first.metrics["blurred_psnr"] < result.metrics["blurred_psnr"]


def test_it_is_as_good_as_a_whole_picture(small, monkeypatch):
    image = IMAGE.copy()
    image[250:262, 20:50] = 255, 0, 0  # a sign that stays solid, across a border of strips
    strips = fg.dither(image, preset="spectra6", speed=8)
    monkeypatch.setattr(images, "MAX_PIXELS", 1 << 25)
    steered = fg.dither(image, preset="spectra6", speed=8)
    monkeypatch.setattr(Run, "_steers", False)  # as it is in strips
    whole = fg.dither(image, preset="spectra6", speed=8)
    assert steered.metrics["blurred_psnr"] > whole.metrics["blurred_psnr"]
    red = whole.device.tolist().index([255, 0, 0])
    assert (whole.indices[250:262, 20:50] == red).all()
    assert (strips.indices[250:262, 20:50] == red).all()
    assert abs(strips.metrics["blurred_psnr"] - whole.metrics["blurred_psnr"]) < 0.1
    assert abs(strips.metrics["psnr"] - whole.metrics["psnr"]) < 0.1
    assert strips.loss[-1] < 1.02 * whole.loss[-1]
    np.testing.assert_array_equal(strips.device, whole.device)


def test_regions_are_settled_in_any_division(small):
    drawn = np.zeros(IMAGE.shape[:2], bool)
    drawn[200:300, 10:50] = True
    options = {"palette": ["#000", "#f00", "#0ff", "#fff"], "speed": 10}
    result = fg.dither(IMAGE, regions={"line": drawn}, **options)
    nearest = fg.dither(IMAGE[200:300, 10:50], regions={"line": True}, **options)
    np.testing.assert_array_equal(result.indices[200:300, 10:50], nearest.indices)
    source = ArraySource(IMAGE)
    how = {"regions": {"line": drawn}}
    learned = learn(source, palette=options["palette"], pace=Pace(10), **how)
    again = whole(IMAGE, learned, rows=128, **how)[0]
    np.testing.assert_array_equal(again, result.indices)
    assert (whole(IMAGE, learned)[0] != again).any()
    for bad in ({"line": drawn[:9]}, {"lines": drawn}, {"text": drawn}):
        with pytest.raises(ValueError, match="regions"):
            learn(source, palette=options["palette"], regions=bad)
    with pytest.raises(ValueError, match="regions must be left out where colours are learned"):
        learn(source, colors=4, **how)


def test_what_only_whole_pictures_have_is_done_as_before(small):
    plain = fg.dither(IMAGE[:90], palette=["#000", "#fff"], speed=10)
    timed = fg.dither(IMAGE[:90], palette=["#000", "#fff"], time_budget=1)
    assert len(plain.loss) == 1  # nothing was learned, and each row was finished at once
    assert len(timed.loss) > 1


def test_weights_are_those_of_a_whole_picture(small, monkeypatch):
    image, weights = IMAGE[:300], np.ones((300, 70))
    weights[:150], weights[200:, 30:] = 1e-5, 0
    options = {"palette": ["#000", "#f00", "#0ff", "#fff"], "speed": 9, "weights": weights}
    strips = fg.dither(image, **options)
    learned = learn(ArraySource(image), palette=options["palette"], pace=Pace(9))
    weighed = {"weights": WeightSource(weights, weights.shape)}
    again = whole(image, learned, rows=128, **weighed)
    np.testing.assert_array_equal(again[0], whole(image, learned, rows=256, **weighed)[0])
    assert (strips.indices != fg.dither(image, **{**options, "weights": None}).indices).any()
    monkeypatch.setattr(images, "MAX_PIXELS", 1 << 25)
    once = fg.dither(image, **options)
    errors = [
        np.square(r.image[200:, :30] - image[200:, :30].astype(float)) for r in (strips, once)
    ]
    np.testing.assert_allclose(*[e.mean() for e in errors], rtol=0.02)
    assert abs(strips.metrics["blurred_psnr"] - once.metrics["blurred_psnr"]) < 0.2


def soft_picture():
    y, x = np.mgrid[:700, :70]
    alpha = np.clip(255 * (1.2 - np.hypot(y - 350, 5 * (x - 35)) / 250), 0, 255)
    return np.dstack([IMAGE[:700], alpha.astype(np.uint8)])


def test_degrees_of_opacity_are_searched_in_strips(small, monkeypatch):
    image = soft_picture()
    learned = learn(ArraySource(image), colors=16, pace=Pace(8))
    indices, sums = whole(image, learned, rows=128)
    for again in (whole(image, learned, rows=512), whole(image, learned, rows=128, first=301)):
        np.testing.assert_array_equal(again[0], indices[-len(again[0]) :])
        np.testing.assert_array_equal(again[1], sums[-len(again[0]) :])
    strips = fg.dither(image, colors=16, speed=8)
    assert strips.indices.shape == image.shape[:2]
    assert (strips.opacity[strips.indices[image[..., 3] == 0]] == 0).all()
    assert len(np.unique(strips.opacity)) > 4
    monkeypatch.setattr(images, "MAX_PIXELS", 1 << 25)
    once = fg.dither(image, colors=16, speed=8)
    # The palette of so small a sample is not as good; that of 600,000 pixels is better.
    assert strips.loss[-1] < 1.15 * once.loss[-1]
    for found in (strips, once):  # no pixel may be seen where it is transparent by half
        off = np.abs(found.opacity[found.indices].astype(float) - image[..., 3])
        assert off.max() <= 1.45 * 255 * 16**-0.6 + 1


@pytest.mark.parametrize("options", [{"colors": 16}, {"palette": ["#000", "#fff"], "alpha": "key"}])
def test_hidden_colours_are_kept_in_strips(small, monkeypatch, options):
    image = soft_picture()
    image[image[..., 3] < 128] = 0, 200, 9, 0
    image[600:, :, :3] = 7, 7, 200
    strips = fg.dither(image, hidden=True, speed=10, **options)
    clear = image[..., 3] == 0
    assert (strips.opacity[strips.indices[clear]] == 0).all()
    np.testing.assert_array_equal(strips.palette[strips.indices[clear]], image[clear][:, :3])
    monkeypatch.setattr(images, "MAX_PIXELS", 1 << 25)
    once = fg.dither(image, hidden=True, speed=10, **options)
    np.testing.assert_array_equal(
        strips.palette[strips.opacity == 0], once.palette[once.opacity == 0]
    )


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_deep_pictures(dtype):
    scale = 65535 if dtype == np.uint16 else 1
    image = (IMAGE[:300] / 255 * scale).astype(dtype)
    result = dither_strips(ArraySource(image), palette=["#000", "#f00", "#0ff", "#fff"])
    eight = dither_strips(ArraySource(IMAGE[:300]), palette=["#000", "#f00", "#0ff", "#fff"])
    assert (result.indices != eight.indices).mean() < 0.1
    assert abs(result.metrics["psnr"] - eight.metrics["psnr"]) < 0.1


def test_greys_and_what_is_transparent(monkeypatch):
    image = np.dstack([IMAGE[..., 2], np.where(IMAGE[..., 1] > 250, 0, 255)]).astype(np.uint8)
    image[600:700, 20:30, 1] = 0
    result = dither_strips(ArraySource(image), colors=4, pace=Pace(10))
    assert result.palette.shape == (4, 3)
    assert result.opacity.tolist() == [255, 255, 255, 0]
    np.testing.assert_array_equal(result.indices == 3, image[..., 1] == 0)
    assert result.metrics["colors"] == 3
    monkeypatch.setattr(images, "MAX_PIXELS", 5000)
    again = fg.dither(image, colors=4, speed=10, alpha="key")
    np.testing.assert_array_equal(again.indices, result.indices)


def test_flat_colour_is_kept():
    image = np.zeros((700, 120, 3), np.uint8)
    image[:, 60:] = 200, 30, 30
    image[300:310, :] = IMAGE[:10, :1]
    result = dither_strips(ArraySource(image), colors=6, pace=Pace(10))
    same = (result.image == image).all(axis=-1)
    assert same[:300].all()
    assert same[310:].all()


def test_a_value_out_of_range_is_refused():
    image = np.zeros((300, 40), np.float32)
    image[200, 3] = 2
    with pytest.raises(ValueError, match="image must be from 0 to 1"):
        dither_strips(ArraySource(image))


def test_errors_of_a_picture_that_is_fitted_to_inks_are_handed_on_whole():
    image = np.full((40, 60, 3), [150, 120, 60], np.uint8)
    learned = replace(learn(ArraySource(image), preset="bwry"), sweeps=0, compensated=0)
    found, part = (
        whole(image, learned)[0],
        Conversion(ArraySource(image), learned).rows(0, 40, 0, 60),
    )
    started = np.empty((2, 40, 60), np.uint8)
    for fitted, labels in enumerate(started):
        colours = in_vectors(learned.colors), limits_of(learned.colors, fitted=bool(fitted))
        diffuse_rows(labels, part.planes, part.weights, colours, 60)
    np.testing.assert_array_equal(found, started[1])
    assert (started[0] != started[1]).any()
