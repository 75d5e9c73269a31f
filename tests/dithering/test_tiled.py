"""Pictures whose tiles have a palette each, from `fastgrad.dither` to the command line."""

import json

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.cli import main
from fastgrad.dithering import Tiles, Viewing
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.tiled import SUITED, dither_tiles

Image = pytest.importorskip("PIL.Image")
LIMITS = Tiles((8, 8), palettes=3, colors=3, channel_bits=4, shared_color=True)


@pytest.fixture(scope="module")
def picture():
    """Stripes of hues from dark to light, 40 x 30."""
    y, x = np.mgrid[:30, :40] / 40
    planes = [0.5 + 0.5 * np.sin(9 * x), y + 0.2, 0.5 + 0.4 * np.cos(7 * x + 3 * y)]
    return np.rint(255 * np.clip(np.stack(planes, axis=-1), 0, 1)).astype(np.uint8)


def of_tiles(indices, colors):
    return [
        np.unique(indices[y : y + 8, x : x + 8] // colors).tolist()
        for y in range(0, indices.shape[0], 8)
        for x in range(0, indices.shape[1], 8)
    ]


def test_the_result_keeps_the_limits_and_lowers_the_loss(picture):
    states = []
    options = {"tiles": LIMITS, "speed": 8, "space": "linear"}
    found = fg.dither(picture, **options, callback=states.append)
    labels = of_tiles(found.indices, 3)
    assert all(len(label) == 1 for label in labels)
    assert {label[0] for label in labels} == {0, 1, 2}
    assert np.isin(found.palette, 17 * np.arange(16)).all()
    assert (found.palette[::3] == found.palette[0]).all()
    assert found.loss[-1] <= min(state.loss for state in states[-4:]) * (1 + 1e-5)
    assert [state.step for state in states] == list(range(1, len(states) + 1))
    assert states[0].stage == "palette"
    shown = states[1].snapshot()
    assert np.isin(shown.palette, 17 * np.arange(16)).all()
    assert all(len(label) == 1 for label in of_tiles(shown.indices, 3))
    np.testing.assert_array_equal(fg.dither(picture, **options).indices, found.indices)


def test_more_palettes_are_better(picture):
    same = {"speed": 8, "space": "linear"}  # else each has its own measure
    one = fg.dither(picture, tiles=Tiles(palettes=1, colors=3), **same)
    four = fg.dither(picture, tiles=Tiles(palettes=4, colors=3), **same)
    assert four.loss[-1] < 0.7 * one.loss[-1]


def test_of_several_viewing_conditions_the_best_picture_is_taken(picture):
    viewings = [Viewing(**suited) for suited in SUITED]
    share = Pace(10).one_of(len(viewings))
    alone = [dither_tiles(picture, LIMITS, viewings=[v], pace=share) for v in viewings]
    judge = Ssimulacra2(picture)
    scores = [judge.score(found.image) for found in alone]
    assert max(scores) > min(scores) + 1
    best = alone[int(np.argmax(scores))]
    for order in (viewings, viewings[::-1]):
        states = []
        how = {"pace": Pace(10), "callback": states.append}
        found = dither_tiles(picture, LIMITS, viewings=order, **how)
        np.testing.assert_array_equal(found.image, best.image)
        assert found.loss == best.loss
        assert [state.step for state in states] == list(range(1, len(states) + 1))
        assert all(state.step <= state.steps for state in states)
    np.testing.assert_array_equal(fg.dither(picture, tiles=LIMITS, speed=10).image, best.image)
    weights = np.ones((30, 40))
    weights[:, 20:] = 0  # what is hidden has no say
    parts = []
    for some, pace in (viewings, Pace(10)), *(([viewing], share) for viewing in viewings):
        part = dither_tiles(picture, LIMITS, viewings=some, weights=weights, pace=pace)
        parts.append(judge.score(np.where(weights[..., None] > 0, part.image, picture)))
    assert parts[0] == max(parts[1:])


def test_grey_small_and_weighted_pictures(picture):
    for image in (picture[..., 0], picture[:1, :1], picture[:3] / 255, picture[:9, :2]):
        found = fg.dither(image, tiles=LIMITS, speed=10)
        assert found.palette.shape == (9, 3)
        assert all(len(label) == 1 for label in of_tiles(found.indices, 3))
    weights = np.zeros((30, 40))
    weights[:16, :16] = 1
    part = fg.dither(picture, tiles=LIMITS, speed=10, weights=weights)
    assert all(len(label) == 1 for label in of_tiles(part.indices, 3))
    nothing = fg.dither(picture, tiles=LIMITS, speed=10, weights=np.zeros((30, 40)))
    assert nothing.loss[-1] == 0


def test_a_shared_colour_that_is_given_stays(picture):
    given = Tiles(palettes=3, colors=3, channel_bits=5, shared_color="#ff00ff")
    found = fg.dither(picture, tiles=given, speed=8)
    assert (found.palette[::3] == [255, 0, 255]).all()


@pytest.mark.parametrize(
    "option",
    [{"colors": 4}, {"preset": "bw"}, {"alpha": "key"}, {"solid": True}, {"rate": 0.1}],
)
def test_options_of_other_pictures_are_refused(picture, option):
    (name,) = option
    with pytest.raises(ValueError, match=f"{name} must be left out with tiles, got"):
        fg.dither(picture, tiles="gbc", **option)


def test_the_command_writes_entries_in_their_places(picture, tmp_path, capsys):
    source, target, report = (tmp_path / name for name in ("in.png", "out.png", "out.json"))
    Image.fromarray(picture).save(source)
    limits = ["--tiles", "8x8", "--palettes", "3", "--tile-colors", "3", "--channel-bits", "4"]
    files = [str(source), "-o", str(target), "--report", str(report)]
    asked = [*limits, "--shared-color", "learn", "--speed", "8"]
    assert main(["dither", *files, *asked]) == 0
    expected = fg.dither(picture, tiles=LIMITS, speed=8)
    with Image.open(target) as image:
        np.testing.assert_array_equal(np.asarray(image), expected.indices)
        colors = np.array(image.getpalette()).reshape(-1, 3)
        np.testing.assert_array_equal(colors[:9], expected.palette)
    assert len(json.loads(report.read_text())["pictures"][0]["palette"]) == 9
    (made,) = fg.dither_files(source, output=tmp_path / "b.png", tiles=LIMITS, speed=8)
    assert made.error is None
    with Image.open(tmp_path / "b.png") as image:
        np.testing.assert_array_equal(np.asarray(image), expected.indices)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--palettes", "3"], "--palettes goes with --tiles"),
        (["--tiles", "nes", "--channel-bits", "3"], "channel_bits must be None with inks"),
        (["--tiles", "8x8", "-k", "3"], "--colors goes without --tiles"),
        (
            ["--tiles", "snes", "--palettes", "99"],
            "palettes * colors must be at most 256, got 99 * 16",
        ),
        (["--tiles", "8x0"], "must be nes, snes, gbc, mega-drive, sms or WxH in pixels, got 8x0"),
        (["--tiles", "sms", "--shared-color", "red"], "must be learn, none, or a colour"),
    ],
)
def test_the_command_refuses_what_does_not_go_together(asked, words, capsys):
    assert main(["dither", "x.png", *asked]) == 2
    assert words in capsys.readouterr().err


def test_an_animation_has_no_tiles(picture, tmp_path, capsys):
    frames = [Image.fromarray(picture), Image.fromarray(255 - picture)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:])
    out = str(tmp_path / "out.png")
    assert main(["dither", str(tmp_path / "in.gif"), "-o", out, "--tiles", "gbc"]) == 2
    assert "an animation has one palette, and not some for tiles" in capsys.readouterr().err
