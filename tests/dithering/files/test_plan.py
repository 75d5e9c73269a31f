"""Where pictures go."""

from pathlib import Path

import pytest

from fastgrad.dithering.files import plan

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in ("a.png", "b.PNG", "a-dithered.png", "a-comparison.png", "c-x.png"):
        Image.new("RGB", (4, 3), "teal").save(Path("in", name))
    Path("in/notes.txt").write_text("")
    return tmp_path


def test_a_directory_stands_for_its_pictures():
    assert [path.name for path in plan.find(["in"])] == ["a.png", "b.PNG", "c-x.png"]
    assert [path.name for path in plan.find(["in"], "-x")] == ["a.png", "b.PNG"]
    assert [path.name for path in plan.find(["in/*.png"])][-1] == "c-x.png"
    assert plan.find(["none.png"]) == [Path("none.png")]


def test_everything_is_planned_once_and_in_order():
    Path("a-dithered.png").write_bytes(b"")
    naming = plan.Naming(skip_existing=True)
    sources = [Path(name) for name in ("in/b.PNG", "none.png", "in/a.png", "in/b.PNG")]
    made = plan.plan(naming, sources)
    assert [job.target for job in made.jobs] == [Path("b-dithered.png")]
    assert [entry["input"] for entry in made.errors] == ["none.png", str(Path("in/b.PNG"))]
    assert [entry["input"] for entry in made.skipped] == [str(Path("in/a.png"))]
    assert made.order == [made.jobs[0], made.errors[0], made.skipped[0], made.errors[1]]


@pytest.mark.parametrize("text", ["a/b", "{name}", "}", "a\0"])
def test_what_is_no_suffix(text):
    with pytest.raises(ValueError, match="suffix must be part of a file's name"):
        plan.checked_suffix(text)
    assert plan.checked_suffix("-{ext}") == "-{ext}"
