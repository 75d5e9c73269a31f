"""Tones and colours fitted to a palette's range: by least squares, with shadows open, hue kept."""

import numpy as np
import pytest
from scipy.optimize import nnls

from fastgrad.dithering import ToneMap, dither, fit_tones
from fastgrad.dithering.eye.colour import SPACES, decode, to_linear
from fastgrad.dithering.optimiser import tone_curve, tones
from fastgrad.dithering.pictures.presets import PRESETS

rng = np.random.default_rng(3)
y, x = np.mgrid[:40, :60]
PICTURE = np.stack([4 * x, 6 * y, 255 - 4 * x], axis=-1).astype(np.uint8)
SPECTRA, ACEP = PRESETS["spectra6"].colors, PRESETS["acep7"].colors
FULL = np.uint8([[0, 0, 0], [255, 255, 255]])


def lightness(values):
    return SPACES["oklab"].into(decode(np.asarray(values) / 255))[..., 0]


def test_shares_are_those_of_another_solver():
    for _ in range(30):
        rows, wanted = rng.normal(size=(20, 14)), rng.normal(size=20)
        heavy = np.vstack([rows, np.full(14, 1e4)])
        expected = nnls(heavy, np.append(wanted, 0.7e4))[0]
        found = tone_curve._shares(rows.T @ rows, rows.T @ wanted, 0.7)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert found.min() >= 0
        assert found.sum() == pytest.approx(0.7)


def interpolated(table, value):
    """Return a table of colours at sRGB values, (3,), by weights of the eight nodes around."""
    last = len(table) - 1
    low = np.minimum((value * last).astype(int), last - 1)
    part = value * last - low
    corners = np.array(list(np.ndindex(2, 2, 2)))
    weights = np.where(corners == 1, part, 1 - part).prod(axis=1)
    return weights @ table[tuple((low + corners).T)]


def test_tables_are_interpolated_in_each_channel():
    table = rng.random((5, 5, 5, 3)).astype(np.float32)
    values = np.concatenate([rng.random((50, 3)), np.eye(3), np.ones((1, 3)), np.zeros((1, 3))])
    found = tones._looked_up(table, values.astype(np.float32))
    expected = [interpolated(table, value) for value in values]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert tones._looked_up(table, np.empty((0, 3), np.float32)).shape == (0, 3)


@pytest.mark.parametrize("fit", tones.FITS[:-1])
def test_a_palette_of_full_range_leaves_greys_as_they_are(fit):
    grey = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    made = fit_tones(grey, FULL, fit)(grey)
    assert made.shape == grey.shape
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - grey).max() <= 2


@pytest.mark.parametrize("palette", [SPECTRA, ACEP, PRESETS["bwr"].colors])
@pytest.mark.parametrize("fit", ["all", "tone"])
def test_the_curve_rises_from_black_to_white(palette, fit):
    made = fit_tones(PICTURE, palette, fit)
    ends = lightness(palette).min(), lightness(palette).max()
    assert (np.diff(made.curve) > 0).all()
    assert ends[0] - 1e-3 <= made.curve[0]
    assert made.curve[-1] <= ends[1] + 1e-3
    assert ((made.chroma >= 0.5) & (made.chroma <= 1)).all()


@pytest.mark.parametrize("fit", tones.FITS[:-1])
def test_what_is_made_is_a_mixture_of_the_inks(fit):
    made = fit_tones(PICTURE / 255, SPECTRA, fit)(PICTURE / 255)
    assert made.dtype == np.float32
    rows = np.vstack([to_linear(SPECTRA).astype(float).T, np.full(6, 10.0)])
    for color in decode(made[::9, ::9].reshape(-1, 3).astype(float)):
        assert nnls(rows, np.append(color, 10.0))[1] < 0.02  # a table is between its nodes


def test_shadows_stay_open():
    # Sixteen dark steps, of which the panel's black swallows most where nothing is fitted.
    steps = np.repeat(np.repeat(np.arange(0, 48, 3, dtype=np.uint8), 8)[None], 32, axis=0)
    picture = np.repeat(steps[..., None], 3, axis=2)
    shown = {fit: fit_tones(picture, ACEP, fit)(picture)[0, ::8] for fit in ("clip", "tone")}
    distinct = {fit: (np.diff(lightness(made)) > 2e-3).sum() for fit, made in shown.items()}
    assert distinct["clip"] <= 8
    assert distinct["tone"] >= 12


def test_shadows_are_closed_where_dots_would_stand_apart():
    # White dots on black hide what little contrast a gentle slope would keep.
    noise = rng.normal(13, 2, (60, 60)).clip(0, 255).astype(np.uint8)
    picture = np.repeat(noise[..., None], 3, axis=2)
    picture[:20] = 200
    for preset, (least, most) in {"bwr": (-1e-9, 0.7), "acep7": (0.9, 2.0)}.items():
        light = lightness(PRESETS[preset].colors)
        curve = fit_tones(picture, PRESETS[preset].colors, "tone").curve
        gentle = tone_curve.GENTLE * np.ptp(light) / tone_curve.KNOTS
        rises = np.diff(np.maximum(curve, light.min()))[:2] / gentle
        assert least < rises.min()
        assert rises.max() < most


def test_a_nearly_black_picture_has_no_field_of_dots():
    stars = rng.normal(14, 3, (96, 96, 3))
    stars[8::16, 8::16] = stars[8::16, 9::16] = 220
    sky = stars.clip(0, 255).astype(np.uint8)
    shown = dither(sky, preset="spectra6", speed=8)
    assert (shown.indices == 0).mean() > 0.97  # black; of other inks are the stars, 1 % of it
    assert (shown.indices[8::16, 8::16] != 0).all()


def test_hue_is_kept_and_chroma_gives_way():
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    lab = np.stack([np.full(60, 0.7), 0.1 * np.cos(turn), 0.1 * np.sin(turn)], axis=1)
    wheel = np.clip(SPACES["oklab"].back(lab), 0, 1)
    picture = np.repeat((255 * tones.encode(wheel)).round().astype(np.uint8)[None], 20, axis=0)
    made = fit_tones(picture, SPECTRA)(picture)[0]
    before, after = (SPACES["oklab"].into(decode(p / 255)) for p in (picture[0], made))
    angle = np.arctan2(after[:, 2], after[:, 1]) - np.arctan2(before[:, 2], before[:, 1])
    seen = np.hypot(*after[:, 1:].T) > 0.02
    assert seen.mean() > 0.7
    assert np.degrees(np.abs((angle + np.pi) % (2 * np.pi) - np.pi))[seen].max() < 25
    assert (np.hypot(*after[:, 1:].T) <= np.hypot(*before[:, 1:].T) + 0.01).all()


def test_pixels_that_nobody_sees_have_no_say():
    half = PICTURE.copy()
    half[:, 30:] = rng.integers(0, 256, (40, 30, 3))
    seen = np.zeros((40, 60), bool)
    seen[:, :30] = True
    other = half.copy()
    other[:, 30:] = 0
    first, second = (fit_tones(p, ACEP, seen=seen) for p in (half, other))
    np.testing.assert_array_equal(first.table, second.table)
    nothing = fit_tones(PICTURE, ACEP, seen=np.zeros((40, 60), bool))
    np.testing.assert_array_equal(nothing.chroma, 1)


def test_palettes_without_any_range():
    made = fit_tones(PICTURE, np.uint8([[90, 90, 90], [90, 90, 90]]))(PICTURE)
    assert np.abs(made.astype(int) - 90).max() <= 1


AXIS = np.linspace(0, 1, 17, dtype=np.float32)
NODES = np.stack(np.meshgrid(AXIS, AXIS, AXIS, indexing="ij"), axis=-1)
UNCHANGED = ToneMap(np.linspace(0, 1, 13), np.ones(6), NODES)


@pytest.mark.parametrize("fit", ["tone", "clip"])
def test_dither_dithers_the_mapped_picture(fit):
    made = fit_tones(PICTURE, SPECTRA, fit)
    options = {"palette": SPECTRA, "space": "linear", "sigma": 1.5}
    expected = dither(made(PICTURE), fit=UNCHANGED, **options)
    for given in (fit, made):
        found = dither(PICTURE, fit=given, **options)
        np.testing.assert_array_equal(found.indices, expected.indices)
    plain = dither(PICTURE, fit="none", **options)
    np.testing.assert_array_equal(plain.indices, dither(PICTURE, **options).indices)
    assert (plain.indices != expected.indices).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fit": "some", "palette": SPECTRA}, "fit must be one of"),
        ({"fit": "all"}, "fit must be 'none' where colours are learned"),
        (
            {"fit": "all", "palette": SPECTRA, "lock_colors": True, "colors": 8},
            "fit must be 'none'",
        ),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        dither(PICTURE, **options)


def test_a_picture_with_opacity_is_fitted_where_it_is_seen():
    alpha = np.where(x < 30, 0, 255).astype(np.uint8)
    leaf = np.dstack([PICTURE, alpha])
    made = fit_tones(PICTURE, SPECTRA, seen=alpha > 0)
    result = dither(leaf, palette=SPECTRA, fit="all")
    expected = dither(leaf, palette=SPECTRA, fit=made)
    np.testing.assert_array_equal(result.indices, expected.indices)
