"""The page with a slider between pictures: what is in it is what it was given."""

import base64
import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image

from fastgrad.dithering.pictures import comparison_page as pages

VOID = {"meta", "input", "img", "br", "hr"}


class Checked(html.parser.HTMLParser):
    """Notes tags, and that each is closed where it was opened."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(text):
    parser = Checked()
    parser.feed(text)
    parser.close()
    assert not parser.open
    return parser.tags


def picture(colors, height=6, width=9):
    rng = np.random.default_rng(colors)
    palette = rng.integers(0, 256, (colors, 3), dtype=np.uint8)
    return palette[rng.integers(0, colors, (height, width))]


def decoded(address):
    data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, np.asarray(image.convert("RGB"))


def test_files_at_hand_are_put_into_the_page_unless_a_part_is_shown():
    panels, files = {"a": picture(3), "b": picture(5)}, {"b": b"a file of b"}
    tags = read(pages.page("a", [pages.section("b", panels, {}, files=files)]))
    first, second = [attributes["src"] for tag, attributes in tags if tag == "img"]
    np.testing.assert_array_equal(decoded(first)[1], panels["a"])
    assert base64.b64decode(second.partition(",")[2]) == b"a file of b"
    wide = {"b": np.resize(panels["b"], (6, pages.LARGEST + 4, 3))}
    tags = read(pages.page("a", [pages.section("b", wide, {}, files=files)]))
    (found,) = [attributes["src"] for tag, attributes in tags if tag == "img"]
    np.testing.assert_array_equal(decoded(found)[1], wide["b"][:, 2:-2])


def test_pictures_are_in_the_page_to_the_last_bit():
    panels = {"original": picture(5000, 80, 90), "fastgrad": picture(3)}
    panels["fastgrad"] = np.resize(panels["fastgrad"], panels["original"].shape)
    tags = read(pages.page("a", [pages.section("b", panels, {"fastgrad": {"SSIM": 0.5}})]))
    found = [decoded(attributes["src"]) for tag, attributes in tags if tag == "img"]
    assert [mode for mode, _ in found] == ["RGB", "P"]
    for (_, values), panel in zip(found, panels.values()):
        np.testing.assert_array_equal(values, panel)


@pytest.mark.parametrize("colors", [1, 2, 256])
def test_few_colours_make_an_indexed_file(colors):
    values = picture(colors, 40, 40)
    with Image.open(io.BytesIO(pages.png(values))) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), values)


def test_asks_for_nothing_else():
    text = pages.page("a", [pages.section("b", {"x": picture(2), "y": picture(3)}, {})])
    for _, attributes in read(text):
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not re.search(r"https?:|@import|url\(", text)


def test_names_are_text():
    name = '<b>"a" & b</b>'
    text = pages.page(name, [pages.section(name, {name: picture(2)}, {name: {name: 1.0}})])
    tags = read(text)
    assert not any(tag == "b" for tag, _ in tags)
    assert [a["alt"] for tag, a in tags if tag == "img"] == [f"{name}, {name}"]


def test_the_best_of_each_line_is_marked():
    figures = {
        "ours": {"SSIM": 0.9, "FLIP, low is good": 0.1, "seconds": 2.0},
        "theirs": {"SSIM": 0.8, "FLIP, low is good": 0.2, "seconds": 1.0},
    }
    text = pages.section("a", {"ours": picture(2)}, figures)
    marked = re.findall(r'row">(.*?)</th>(.*?)</tr>', text)
    assert [["strong" in cell for cell in row.split("</td>")[:2]] for _, row in marked] == [
        [True, False],
        [True, False],
        [False, True],
    ]


def test_bytes_are_written_without_an_exponent():
    text = pages.section("a", {"ours": picture(2)}, {"ours": {"bytes": 62017.0, "SSIM": 0.62534}})
    assert "<td>62017</td>" in text
    assert "<td>0.6253</td>" in text


def test_of_a_large_picture_the_middle_is_shown():
    values = np.zeros((pages.LARGEST + 20, 4, 3), np.uint8)
    values[10:-10] = 7
    text = pages.section("a", {"x": values}, {})
    (image,) = [attributes for tag, attributes in read(text) if tag == "img"]
    assert image["height"] == str(pages.LARGEST)
    assert (decoded(image["src"])[1] == 7).all()
    assert f"of which the middle 4 × {pages.LARGEST} are shown" in text


def test_pictures_may_stand_elsewhere():
    asked = []
    text = pages.section(
        "a", {"x": picture(2)}, {}, place=lambda *one: asked.append(one) or "x.png"
    )
    assert 'src="x.png"' in text
    assert [label for label, _ in asked] == ["x"]
