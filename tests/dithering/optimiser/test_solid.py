"""Inks stay solid where they are asked for: charts, text, and photographs beside them."""

import numpy as np
import pytest
from scipy import ndimage

from fastgrad.dithering import dither
from fastgrad.dithering.optimiser import lettering as strokes
from fastgrad.dithering.optimiser.solid import lettered, settled
from fastgrad.dithering.pictures.presets import PRESETS

y, x = np.mgrid[:64, :96]
PHOTO = np.stack([60 + 2 * x, 200 - 2 * y, 40 + x + y], axis=-1).astype(np.uint8)
PANELS = ("spectra6", "acep7", "bwr", "bwy", "bwry", "playdate")
INKS = np.uint8([[0, 0, 0], [255, 255, 255], [255, 0, 0]])


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("kind", ["device", "colors"])
def test_every_ink_is_solid_in_a_chart_and_beside_a_photograph(name, kind):
    preset = PRESETS[name]
    chart = PHOTO.copy()
    for i, color in enumerate(getattr(preset, kind)):
        chart[4 + 3 * i : 7 + 3 * i, 4:40] = color
    result = dither(chart, preset=name, solid=True, speed=10)
    calls = [tuple(color) for color in preset.device.tolist()]
    for i, color in enumerate(getattr(preset, kind).tolist()):
        ink = calls.index(tuple(color)) if tuple(color) in calls else i  # greys look like others
        assert (result.indices[4 + 3 * i : 7 + 3 * i, 4:40] == ink).all()


@pytest.mark.parametrize("shape", [(2, 5), (40, 61)])
def test_shapes_of_text_are_those_of_morphology(shape):
    grey = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    closed = strokes._over(np.minimum, strokes._over(np.maximum, grey, 9, 9), 9, 9)
    np.testing.assert_array_equal(closed, ndimage.grey_closing(grey, (9, 9)))
    mask = grey < 200
    wide, bold = strokes._over(np.maximum, mask, 3, 7), strokes._bold(mask)
    np.testing.assert_array_equal(wide, ndimage.binary_dilation(mask, np.ones((3, 7))))
    np.testing.assert_array_equal(bold, ndimage.binary_opening(mask, np.ones((4, 4))))


def test_a_photograph_is_dithered_without_what_is_solid():
    picture = PHOTO.copy()
    picture[:, :40] = [255, 0, 0]
    solid = dither(picture, palette=INKS, solid=True, local_weights=False)
    without = dither(picture, palette=INKS, weights=(x >= 40), local_weights=False)
    np.testing.assert_array_equal(solid.indices[:, 40:], without.indices[:, 40:])


def test_one_pixel_alone_is_no_field():
    picture = PHOTO.copy()
    picture[10, 10] = picture[20, 20] = picture[21, 21] = [255, 0, 0]
    labels = settled(picture, INKS, solid=True)
    assert labels[10, 10] == -1
    assert labels[20, 20] == labels[21, 21] == 2
    assert (labels >= 0).sum() == 2


def test_listed_colours_become_their_entries():
    picture = PHOTO.copy()
    picture[:4] = [200, 10, 10]
    picture[4] = [1, 2, 3]
    labels = settled(picture, INKS, solid=np.uint8([[200, 10, 10], [1, 2, 3]]))
    assert (labels[:4] == 2).all()
    assert (labels[4] == 0).all()
    assert (labels[5:] == -1).all()
    result = dither(picture, palette=INKS, solid=["#c80a0a", "#010203"])
    np.testing.assert_array_equal(result.indices[:5], labels[:5])


def lettering(size=12, ink=(0, 0, 0), paper=None, at=(6, 22), grown=1):
    """Return a photograph with text on it as Pillow draws it, and the mask of its lines."""
    Image = pytest.importorskip("PIL.Image")
    from PIL import ImageDraw, ImageFont

    picture = PHOTO.repeat(grown, 0).repeat(grown, 1)
    mask = np.zeros(picture.shape[:2], bool)
    mask[20 * grown : 40 * grown, 4 * grown : 92 * grown] = True
    if paper is not None:
        picture[mask] = paper
    image = Image.fromarray(picture)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text(at, "Wind 12 km/h", fill=ink, font=font)
    return np.asarray(image), mask


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize("dark", [False, True])
def test_text_is_legible_and_has_no_fringes(name, dark):
    ink, paper = ((0, 0, 0), (255, 255, 255))[:: -1 if dark else 1]
    picture, mask = lettering(ink=ink, paper=paper)
    result = dither(picture, preset=name, regions={"text": mask}, speed=10)
    light = picture.astype(int).sum(axis=2)[mask] / 3
    shown = result.device[result.indices[mask]].astype(int)
    assert set(map(tuple, shown.tolist())) == {(0, 0, 0), (255, 255, 255)}  # no fringe at all
    far = np.abs(light - 127.5) > 64
    assert ((shown[:, 0] > 127) == (light > 127.5))[far].all()


@pytest.mark.parametrize("name", ["spectra6", "bwr"])
def test_text_on_a_photograph_without_paper_has_no_fringes(name):
    picture, mask = lettering()
    result = dither(picture, preset=name, regions={"text": mask}, speed=10)
    drawn, _ = lettering(ink=(255, 255, 255), paper=(0, 0, 0))
    cover = drawn[..., 0] / 255
    inside = result.indices[mask]
    assert (result.device[inside[cover[mask] > 0.75]] == 0).all()  # legible: strokes are black
    paper = np.bincount(inside[cover[mask] == 0]).argmax()
    strange = (inside != paper) & (result.device[inside] != 0).any(axis=1)
    assert np.count_nonzero(strange) == 0  # at no edge is there a third ink
    assert np.ptp(result.indices[~mask]) > 0  # the photograph around it is dithered


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


@pytest.mark.parametrize("name", ["spectra6", "bwry"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [(BLACK, None), (WHITE, None), (RED, None), (BLACK, WHITE), (RED, WHITE), (WHITE, RED)],
)
def test_text_without_a_mask_is_solid_and_has_no_fringes(name, ink, paper):
    picture, mask = lettering(ink=ink, paper=paper)
    result = dither(picture, preset=name, speed=10)
    calls = [tuple(color) for color in result.device.tolist()]
    drawn, _ = lettering(ink=WHITE, paper=BLACK)
    cover = np.where(mask, drawn[..., 0] / 255, 0)
    text = result.indices == calls.index(ink)
    assert text[cover > 0.6].mean() > 0.99  # legible: strokes are in their ink
    if paper is None:
        assert np.ptp(result.indices[cover == 0]) > 0
    else:
        strange = mask & ~text & (result.indices != calls.index(paper))
        assert np.count_nonzero(strange) == 0


@pytest.mark.parametrize("ink", [BLACK, WHITE])
def test_thin_text_on_a_busy_photograph_is_solid(ink):
    drawn, mask = lettering(size=48, ink=WHITE, paper=BLACK, at=(26, 86), grown=4)
    cover = (mask * (drawn[..., 0] / 255)).reshape(64, 4, 96, 4).mean(axis=(1, 3))[..., None]
    assert 0.02 < np.mean(cover[cover > 0.5] == 1) < 0.2  # strokes lie between pixels
    noise = np.random.default_rng(0).normal(size=PHOTO.shape[:2]) * 90
    ground = np.clip(PHOTO + ndimage.gaussian_filter(noise, 1)[..., None], 70, 190)
    picture = np.rint(cover * ink + (1 - cover) * ground).astype(np.uint8)
    labels, _ = lettered(picture, None, INKS, solid=True)
    text = labels == INKS.tolist().index(list(ink))
    assert text[cover[..., 0] > 0.6].mean() > 0.95
    assert not text[ndimage.maximum_filter(cover[..., 0], (15, 9)) == 0].any()


def test_what_is_no_text_stays_a_photograph():
    noise = np.random.default_rng(0).integers(0, 256, PHOTO.shape).astype(np.uint8)
    noise[10, 10] = noise[20, 20] = noise[30, 50] = [255, 0, 0]
    labels = settled(noise, INKS, solid=True)
    assert lettered(noise, labels, INKS, solid=True)[0] is None
    picture, mask = lettering()
    for regions in ({"photo": True}, {"photo": mask}):
        how = {"solid": True, "regions": regions}
        labels, _ = lettered(picture, settled(picture, INKS, **how), INKS, **how)
        assert labels is None or (labels[mask] == -1).all()


def test_red_text_is_red_and_black_text_is_black():
    picture, mask = lettering(ink=(220, 20, 20), paper=(250, 250, 250))
    picture = picture.copy()
    picture[37:40, 10:60] = 10
    labels = settled(picture, INKS, regions={"text": mask})
    assert (labels[37:40, 10:60] == 0).all()
    found, counts = np.unique(labels[22:34, 6:80], return_counts=True)
    assert set(found) <= {1, 2}
    assert counts.min() > 100


def test_a_scan_with_uneven_light():
    shade = (120 + x * 1.3)[..., None] * np.ones(3)
    text, mask = lettering(paper=(255, 255, 255))
    ink = (text.sum(axis=2) < 300) & mask
    scan = np.where(ink[..., None], 0.35 * shade, shade).astype(np.uint8)
    result = dither(scan, palette=INKS[:2], regions={"text": True})
    assert ((result.indices == 0) == ink).mean() > 0.99


def test_line_and_untouched_take_what_is_nearest():
    preset = PRESETS["acep7"]
    picture = PHOTO.copy()
    picture[:32, :48] = preset.device[2] - np.uint8([0, 9, 0])
    picture[:32, 48:] = preset.colors[3]
    left, right = (x < 48) & (y < 32), (x >= 48) & (y < 32)
    result = dither(picture, preset="acep7", regions={"untouched": left, "line": right})
    assert (result.indices[left] == 2).all()
    assert (result.indices[right] == 3).all()
    again = dither(picture, preset="acep7", regions={"line": left | right, "photo": left})
    assert len(np.unique(again.indices[left])) > 1


def test_grey_pictures_and_floats():
    grey = np.full((16, 16), 128, np.uint8)
    grey[4:8] = 255
    result = dither(grey, palette=INKS, solid=True)
    assert (result.indices[4:8] == 1).all()
    result = dither(grey / 255, palette=INKS, solid=["#808080"])
    assert len(np.unique(result.indices[8:])) == 1


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"solid": True}, ValueError, "solid must be left out where colours are learned"),
        ({"regions": {"text": True}}, ValueError, "regions must be left out"),
        ({"palette": INKS, "regions": {"texts": True}}, ValueError, "regions must be one of"),
        ({"palette": INKS, "regions": {"text": y}}, TypeError, "must be boolean"),
        ({"palette": INKS, "regions": {"text": x[:9] > 3}}, ValueError, r"must have shape \(64"),
        ({"palette": INKS, "solid": ["red"]}, ValueError, "solid must hold colours like"),
    ],
)
def test_what_is_refused(options, error, said):
    with pytest.raises(error, match=said):
        dither(PHOTO, **options)
