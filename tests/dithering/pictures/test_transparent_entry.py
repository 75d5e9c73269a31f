"""Transparent entries in their places, and colours in their stead: what Pillow reads back."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering.pictures.transparent_entry import Entries, KeyColor, key_of, moved

INKS = ["#000000", "#ffffff", "#ff00ff", "#ff8000", "#0080ff"]
HEX = "\n".join(color[1:] for color in INKS)


@pytest.fixture
def leaf(tmp_path, monkeypatch):
    """A file of a picture that is seen in the middle only; its values, and where it is not seen."""
    Image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:24, :32]
    inside = np.hypot(x - 16, y - 12) < 9
    values = np.dstack([8 * x, 10 * y, np.full_like(x, 128), 255 * inside]).astype(np.uint8)
    Image.fromarray(values).save("leaf.png")
    return values, ~inside


def entries(indices, opacity=(255, 0, 255)):
    palette = np.uint8([[9, 9, 9], [0, 0, 0], [255, 0, 255]])
    return Entries(np.uint8(indices), palette, np.uint8(opacity))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_moved_entries_show_the_same(place):
    before = entries([[0, 1, 2], [2, 1, 0]])
    after = moved(before, place)
    assert after.opacity.tolist().index(0) == place
    for name in ("palette", "opacity"):
        shown = [getattr(one, name)[one.indices] for one in (before, after)]
        np.testing.assert_array_equal(*shown)
    assert before.opacity.tolist() == [255, 0, 255]  # as it was


def test_what_is_opaque_does_not_move():
    opaque = entries([0, 1], [255, 255, 255])
    assert moved(opaque, 200) is opaque
    with pytest.raises(ValueError, match="transparent_index must be at most 2 in this palette"):
        moved(entries([0, 1]), 3)


def test_a_learned_colour_is_not_taken_for_the_key():
    found = KeyColor((255, 0, 255)).laid(entries([0, 1, 2]))
    assert found.palette[found.indices].tolist() == [[9, 9, 9], [255, 0, 255], [255, 1, 255]]


def test_a_given_palette_keeps_its_order(leaf):
    values, hidden = leaf
    for image in (values, values[..., :3]):
        result = fg.dither(image, palette=INKS, alpha="#f0f")
        assert [f"#{bytes(color).hex()}" for color in result.palette] == INKS
        assert result.opacity is None
        mine = hidden if image.shape[2] == 4 else np.zeros_like(hidden)
        np.testing.assert_array_equal(result.indices == 2, mine)


def test_colours_are_counted_with_the_key(leaf):
    values, hidden = leaf
    result = fg.dither(values, colors=6, alpha="#ff00ff")
    assert len(result.palette) == 6
    assert result.palette[0].tolist() == [255, 0, 255]
    np.testing.assert_array_equal(result.indices == 0, hidden)
    for image in (values, values[..., :3]):
        more = fg.dither(image, colors=7, palette=INKS, lock_colors=True, alpha="#ff00ff")
        assert len(more.palette) == 7
        assert more.palette[2].tolist() == [255, 0, 255]


@pytest.mark.parametrize(
    ("flags", "options", "place", "entry"),
    [
        ("-k 6 --alpha #ff00ff", {"colors": 6, "alpha": "#ff00ff"}, 0, [255, 0, 255]),
        ("-k 6 --transparent-index 4", {"colors": 6, "transparent_index": 4}, 4, None),
        ("--palette inks.hex --alpha #F0F", {"palette": INKS, "alpha": "#f0f"}, 2, [255, 0, 255]),
        (
            "--palette inks.hex --transparent-index 0",
            {"palette": INKS, "transparent_index": 0},
            0,
            None,
        ),
    ],
)
def test_files_have_it_where_it_is_asked_for(leaf, flags, options, place, entry):
    from pathlib import Path

    from PIL import Image

    from fastgrad import cli

    hidden = leaf[1]
    Path("inks.hex").write_text(HEX, encoding="utf-8")
    (made,) = fg.dither_files("leaf.png", output="api.png", **options)
    assert made.error is None
    more = ["--swatches", "seen.hex", "-o", "cli.png", "-q"]
    assert cli.main(["dither", "leaf.png", *flags.split(), *more]) == 0
    assert Path("cli.png").read_bytes() == Path("api.png").read_bytes()
    with Image.open("cli.png") as image:
        np.testing.assert_array_equal(np.asarray(image) == place, hidden)
        assert image.info.get("transparency") == (place if entry is None else None)
        if entry is not None:
            assert image.getpalette()[3 * place :][:3] == entry
            seen = Path("seen.hex").read_text(encoding="utf-8").split()
            assert seen[place].lstrip("#") == bytes(entry).hex()


def test_an_index_in_a_gif_and_by_save(leaf):
    from PIL import Image

    from fastgrad import cli

    values, hidden = leaf
    assert (
        cli.main(["dither", "leaf.png", "-k", "5", "--transparent-index", "3", "-o", "a.gif"]) == 0
    )
    fg.dither(values, colors=5, alpha="key").save("b.png", transparent_index=3)
    for name in ("a.gif", "b.png"):
        with Image.open(name) as image:
            assert image.info["transparency"] == 3
            np.testing.assert_array_equal(np.asarray(image) == 3, hidden)


REFUSED = [
    ({"alpha": "#123456", "palette": INKS}, "alpha must be one of the colours of the palette"),
    ({"alpha": "#12", "palette": INKS}, "alpha must hold colours like '#rrggbb', got '#12'"),
    ({"alpha": "#f0f", "hidden": True}, "hidden must be left out with a colour as alpha"),
    ({"alpha": "#f0f", "palette": INKS, "choose": 2}, "alpha must be left out with choose"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_contradictions(options, message):
    with pytest.raises(ValueError, match=message):
        fg.dither(np.zeros((4, 4, 4), np.uint8), **options)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "--transparent-index 6 -k 6",
            "--transparent-index must be at most 5 in this palette, got 6",
        ),
        ("--transparent-index 1 --alpha blend", "--transparent-index goes with --alpha keep, key"),
        ("--transparent-index 1 -o a.webp", "a .webp has no palette"),
        ("--alpha #123456 --palette inks.hex", "--alpha must be one of the colours"),
        ("--alpha lilac", "must be one of keep, key, blend, or a colour like #rrggbb, got lilac"),
        ("--alpha #f0f --hidden", "--hidden goes without a colour as --alpha"),
    ],
)
def test_the_command_says_what_is_wrong(leaf, flags, message, capsys):
    from pathlib import Path

    from fastgrad import cli

    Path("inks.hex").write_text(HEX, encoding="utf-8")
    assert cli.main(["dither", "leaf.png", *flags.split()]) == 2
    assert message in capsys.readouterr().err


def test_key_of_names():
    assert key_of("Keep") == ("keep", None)
    assert key_of(None) == (None, None)
