"""What `dither` is given: of whatever kind, it means the same; contradictions are refused."""

import json

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import dithering
from fastgrad.dithering import dither
from fastgrad.dithering.pictures import transparency

y, x = np.mgrid[:24, :32]
PICTURE = np.stack([8 * x, 10 * y, 255 - 8 * x], axis=-1).astype(np.uint8)
OPACITY = np.where(x < 8, 0, np.where(x < 16, 128, 255)).astype(np.uint8)
LEAF = np.dstack([PICTURE, OPACITY])
BW = np.uint8([[0, 0, 0], [255, 255, 255]])


def test_an_image_of_pillow_s_is_its_pixels():
    Image = pytest.importorskip("PIL.Image")
    indexed = Image.fromarray(PICTURE).quantize(64)
    expected = dither(np.asarray(indexed.convert("RGB")), colors=4)
    np.testing.assert_array_equal(dither(indexed, colors=4).image, expected.image)


def test_palettes_of_every_kind(tmp_path):
    expected = dither(PICTURE, palette=BW)
    path = tmp_path / "two.hex"
    fg.palettes.write(path, BW)
    for palette in ([(0, 0, 0), (255, 255, 255)], ["#000000", "#fff"], BW.astype(int), path):
        result = dither(PICTURE, palette=palette)
        np.testing.assert_array_equal(result.indices, expected.indices)
        assert result.palette.dtype == np.uint8
        assert result.device is None


@pytest.mark.parametrize("name", ["spectra6", "Spectra6", "bw"])
def test_a_preset_is_its_colours_and_its_options(name):
    preset = fg.presets.find(name)
    result = dither(PICTURE, preset=name)
    expected = dither(PICTURE, palette=preset.colors, **preset.options)
    np.testing.assert_array_equal(result.indices, expected.indices)
    if name == "bw":
        assert result.device is None
    else:
        np.testing.assert_array_equal(result.device, preset.device)
    sharp = dither(PICTURE, preset=name, sigma=1.0, nu=0.05)
    options = {**preset.options, "ppd": None, "sigma": 1.0, "nu": 0.05}
    expected = dither(PICTURE, palette=preset.colors, **options)
    np.testing.assert_array_equal(sharp.indices, expected.indices)


def test_a_preset_with_others():
    preset = fg.presets.find("bwr")
    result = dither(PICTURE, preset="bwr", lock_colors=True, colors=6)
    np.testing.assert_array_equal(result.palette[:3], preset.colors)
    np.testing.assert_array_equal(result.device[:3], preset.device)
    np.testing.assert_array_equal(result.device[3:], result.palette[3:])


def test_a_palette_file_with_colours_of_a_device(tmp_path):
    path = tmp_path / "panel.json"
    path.write_text(json.dumps({"colors": ["#101010", "#eeeeee"], "device": ["#000", "#fff"]}))
    result = dither(PICTURE, palette=path)
    assert result.palette.tolist() == [[16] * 3, [238] * 3]
    assert result.device.tolist() == [[0] * 3, [255] * 3]


def test_opacity_stays():
    result = dither(LEAF, colors=24)
    assert result.image.shape == (24, 32, 4)
    np.testing.assert_allclose(result.image[..., 3], OPACITY, atol=12)
    assert len(result.palette) == len(result.opacity) <= 24
    assert np.argmax(result.opacity < 255) == np.count_nonzero(result.opacity == 255)


def test_opacity_is_added_to_colours_learned_with_weights():
    result = dither(LEAF, colors=6, weights=np.ones(OPACITY.shape))
    np.testing.assert_allclose(result.image[..., 3], OPACITY, atol=1)
    plain = dither(PICTURE, colors=5, weights=OPACITY > 0)
    opaque = OPACITY == 255
    np.testing.assert_array_equal(result.image[opaque, :3], plain.image[opaque])


def test_opacity_turns_into_all_or_nothing():
    result = dither(LEAF, colors=6, alpha="key")
    np.testing.assert_array_equal(result.image[..., 3], np.where(OPACITY < 128, 0, 255))
    assert len(result.palette) == 6


def test_a_picture_is_laid_on_white():
    expected = dither(transparency.on_white(PICTURE, OPACITY), colors=6)
    result = dither(LEAF, colors=6, alpha="blend")
    assert result.opacity is None
    np.testing.assert_array_equal(result.image, expected.image)
    panel = dither(LEAF, preset="bwr")  # which has no transparent ink
    assert panel.opacity is None


def test_weights_and_opacity():
    weights = np.where(y < 12, 1.0, 0.25)
    seen = dither(LEAF, colors=4, alpha="key", weights=weights)
    expected = dither(PICTURE, colors=3, weights=np.where(OPACITY < 128, 0, weights))
    opaque = OPACITY >= 128
    np.testing.assert_array_equal(seen.image[opaque, :3], expected.image[opaque])


def test_the_frame_before_may_be_transparent():
    palette = np.uint8([[0, 0, 0], [90, 120, 128], [255, 255, 255], [200, 0, 0]])
    first = dither(LEAF, palette=palette)
    moved = np.clip(LEAF[..., :3].astype(int) + 2, 0, 255).astype(np.uint8)
    again = dither(np.dstack([moved, OPACITY]), palette=palette, previous=first)
    opaque = OPACITY == 255
    free = dither(np.dstack([moved, OPACITY]), palette=palette)
    changed = [(r.indices != first.indices)[opaque].mean() for r in (again, free)]
    assert changed[0] < changed[1]


def test_snapshots_are_dressed_as_the_result():
    seen = []
    dither(LEAF, preset="bwr", alpha="keep", callback=lambda p: seen.append(p.snapshot()))
    for result in seen:
        assert result.image.shape == (24, 32, 4)
        assert result.device is not None


# Each is refused by the command too: its options are in the last column.
CONTRADICTIONS = [
    ({"speed": 3, "time_budget": 1.0}, "speed must be None", "--speed 3 --time-budget 1"),
    ({"estimator": "rloo"}, "estimator must be None", "--estimator rloo"),
    ({"palette": BW, "colors": 16}, "colors must be None", "--palette bw.hex -k 16"),
    ({"preset": "bw", "colors": 16}, "colors must be None", "--preset bw -k 16"),
    ({"preset": "bw", "palette": BW}, "palette must be None", "--preset bw --palette bw.hex"),
    ({"lock_colors": True}, "palette must be given", "--lock-colors"),
    (
        {"palette": BW, "lock_colors": True, "colors": 2},
        "colors must be more than the 2 of palette, got 2",
        "--palette bw.hex --lock-colors -k 2",
    ),
    ({"sigma": 1.0, "ppd": 40.0}, "sigma must be None with ppd", "--sigma 1 --ppd 40"),
    ({"preset": "spectra"}, "did you mean 'spectra6'", "--preset spectra"),
    ({"space": "oklap"}, "did you mean 'oklab'", "--space oklap"),
    ({"alpha": "keap"}, "did you mean 'keep'", "--alpha keap"),
]


@pytest.mark.parametrize(("options", "message", "flags"), CONTRADICTIONS)
def test_contradictions_are_refused_alike(options, message, flags, tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL")
    with pytest.raises(ValueError, match=message):
        dither(PICTURE, **options)

    from fastgrad import cli

    monkeypatch.chdir(tmp_path)
    fg.palettes.write("bw.hex", BW)
    assert cli.main(["dither", *flags.split()]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_text_is_no_palette():
    with pytest.raises(TypeError, match="use preset='spectra6'"):
        dither(PICTURE, palette="spectra6")
    with pytest.raises(TypeError, match=r"use a pathlib\.Path"):
        dither(PICTURE, palette="mine.gpl")


def test_256_colours_leave_no_room_for_a_transparent_one():
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    with pytest.raises(ValueError, match="palette must have at most 255 colours beside"):
        dither(LEAF, palette=palette)
    assert dither(LEAF, palette=palette, alpha="blend").opacity is None
    assert len(dither(LEAF, colors=256).palette) <= 256


@pytest.mark.parametrize("name", ["space", "alpha", "preset"])
def test_names_may_be_in_capitals(name):
    value = {"space": "OKLab", "alpha": "Blend", "preset": "BW"}[name]
    options = {} if name == "preset" else {"colors": 4}
    np.testing.assert_array_equal(
        dither(LEAF, **{name: value}, **options).image,
        dithering.dither(LEAF, **{name: value.lower()}, **options).image,
    )


def test_hidden_colours_are_kept_on_request():
    hidden = np.where(OPACITY[..., None] > 0, LEAF[..., :3], np.uint8([200, 30, 90]))
    picture = np.dstack([hidden, OPACITY])
    clear = OPACITY == 0
    lost = dither(picture, colors=16).image
    kept = dither(picture, colors=16, hidden=True)
    assert (lost[clear] == 0).all()
    np.testing.assert_array_equal(kept.image[clear], [[200, 30, 90, 0]] * clear.sum())
    assert len(kept.palette) <= 16
    several = dither(np.dstack([PICTURE, np.where(clear, 0, 255)]), colors=32, hidden=True)
    assert len(several.palette) <= 32
    assert np.count_nonzero(several.opacity == 0) == 4
    off = np.abs(several.image[..., :3][clear].astype(int) - PICTURE[clear]).mean()
    assert off < 40
    panel = dither(picture, preset="bwr", alpha="keep", hidden=True)
    assert len(panel.device) == len(panel.palette)
    np.testing.assert_array_equal(panel.image[clear], [[200, 30, 90, 0]] * clear.sum())
